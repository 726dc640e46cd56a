/* model/external.h: the data of tensors, in the model or in a file beside it. */
#ifndef MODEL_EXTERNAL_H
#define MODEL_EXTERNAL_H

#include "model/model.h"

/* A tensor of the model with its data found, external data opened. Lands when it is broken. */
struct tensor *model_tensor(struct model *model, const Onnx__TensorProto *proto);

/* Lets go of the pages of mapped files: they stay in the system's cache, but no longer count as
 * this process's memory. */
void model_give_back(const struct model *model);

/* Lands with IO when a file of the model has changed since it was opened. */
void model_check_files(const struct model *model);

/* True when both models are the same bytes, and so is external data. */
bool model_same_bytes(const struct model *a, const struct model *b);

#endif
