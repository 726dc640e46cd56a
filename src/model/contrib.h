/* model/contrib.h: operators of ONNX Runtime's optimizer told in those of ONNX, before a model's graphs are built. */
#ifndef MODEL_CONTRIB_H
#define MODEL_CONTRIB_H

#include "model/model.h"

/* Replaces nodes of com.microsoft that stand for several of ai.onnx, in the main graph and in bodies: FusedConv,
 * FusedGemm, FusedMatMul, Gelu, BiasGelu, FastGelu, QuickGelu, SkipLayerNormalization. What lies between is called
 * OUTPUT::NAME. A node of another form, or of a model that has functions of that domain, stays. */
void contrib_expand(struct model *model);

#endif
