/* model/size.h: value descriptions with numbers instead of symbols. */
#ifndef MODEL_SIZE_H
#define MODEL_SIZE_H

#include "model/model.h"

/* The fixed size of a declared axis; -1: open. */
int64_t size_declared(const Onnx__TensorShapeProto__Dimension *dim);
/* The shape of a tensor type; NULL: none is declared, or it is not a tensor. */
const Onnx__TensorShapeProto *size_shape(const Onnx__ValueInfoProto *info);

/* The description `info` of an input, output or value after edit_size; NULL: unchanged. The message is new, and
 * borrows from `info`. */
const Onnx__ValueInfoProto *size_described(const struct graph *graph, const Onnx__ValueInfoProto *info);

#endif
