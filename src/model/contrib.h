/* model/contrib.h: replaces operators of ONNX Runtime's optimizer by those of ONNX, before a model's graphs are
 * built. */
#ifndef MODEL_CONTRIB_H
#define MODEL_CONTRIB_H

#include "model/model.h"

/* Replaces nodes of com.microsoft that stand for several of ai.onnx, in the main graph and in bodies: FusedConv,
 * FusedGemm, FusedMatMul, Gelu, BiasGelu, FastGelu, QuickGelu, SkipLayerNormalization. New values between them are
 * called OUTPUT::NAME. A node with another form stays, and so do all nodes of a model with functions of that domain. */
void contrib_expand(struct model *model);

#endif
