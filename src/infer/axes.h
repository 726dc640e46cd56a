/* infer/axes.h: ops that change axes. */
#ifndef INFER_AXES_H
#define INFER_AXES_H

#include "model/graph.h"

/* infer/axes.c: ops that give other axes, or axes of another size, than they take. */
void shape_infer_axes(struct node *node);

#endif
