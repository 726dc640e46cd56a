/* model/load.h: from bytes to a model. */
#ifndef MODEL_LOAD_H
#define MODEL_LOAD_H

#include "model/model.h"

/* Reads a model: scans the wire format, unpacks the skeleton, points tensors into `bytes`, builds
 * the graphs. Lands with NOT_ONNX, INVALID_MODEL, LIMIT or IO. */
void model_load(struct model *model);
/* Its two halves: reading the messages, which may then be changed, and building the model from them. */
void model_parse(struct model *model);
void model_build(struct model *model);

#endif
