/* model/size.h: descriptions of values, with numbers in the place of symbols. */
#ifndef MODEL_SIZE_H
#define MODEL_SIZE_H

#include "model/model.h"

/* The size that a declared axis has whatever is fed; -1: any. */
int64_t size_declared(const Onnx__TensorShapeProto__Dimension *dim);
/* The shape of a tensor type; NULL: none is declared, or it is no tensor. */
const Onnx__TensorShapeProto *size_shape(const Onnx__ValueInfoProto *info);

/* What `info`, which describes an input, an output or a value of the graph, has become by edit_size; NULL: it is what
 * it was. The message is new, and borrows from `info`. */
const Onnx__ValueInfoProto *size_described(const struct graph *graph, const Onnx__ValueInfoProto *info);

#endif
