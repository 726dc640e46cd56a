/* infer/axes.h: ops that change axes. */
#ifndef INFER_AXES_H
#define INFER_AXES_H

#include "model/graph.h"

/* infer/axes.c: ops whose output has other axes, or axes of another size, than their input. */
void shape_infer_axes(struct node *node);

#endif
