/* view/range.h: the ranges of a weight's channels. */
#ifndef VIEW_RANGE_H
#define VIEW_RANGE_H

#include "view/info.h"

/* view/range.c: the weight of a Conv, ConvTranspose, Gemm or MatMul. False: the node has no readable weight. */
bool info_range_of(struct model *model, const struct node *node, struct info_rooms *rooms, struct info_range *range);

#endif
