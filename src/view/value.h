/* view/value.h: tensors and numbers in ONNX's text syntax. */
#ifndef VIEW_VALUE_H
#define VIEW_VALUE_H

#include "view/writer.h"

void dump_float(struct dump *dump, float value);
/* NULL, or why a tensor cannot be written. */
const char *dump_tensor_problem(struct dump *dump, const Onnx__TensorProto *proto);
/* float[2,3] */
void dump_tensor_type(struct dump *dump, const Onnx__TensorProto *proto);
/* {1, 2, ...}, or its hash, or its location if external data was not opened. The tensor must be printable. Notes
 * lost information. */
void dump_tensor_values(struct dump *dump, const Onnx__TensorProto *proto);
/* One line of text for notes: type, number and hash of values and of indices. */
const char *dump_sparse(struct dump *dump, const Onnx__SparseTensorProto *sparse);

#endif
