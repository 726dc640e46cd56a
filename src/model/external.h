/* model/external.h: the data of tensors, in the model or in a file beside it. */
#ifndef MODEL_EXTERNAL_H
#define MODEL_EXTERNAL_H

#include "model/model.h"

/* A tensor of the model with its data; opens external data. Lands if it is invalid. */
struct tensor *model_tensor(struct model *model, const Onnx__TensorProto *proto);

/* Releases the pages of mapped files: they stay in the system's cache, but no longer count as memory of this
 * process. */
void model_give_back(const struct model *model);

/* Lands with IO when a file of the model has changed since it was opened. */
void model_check_files(const struct model *model);

/* True if both models have the same bytes, and the same external data. */
bool model_same_bytes(const struct model *a, const struct model *b);

#endif
