/* view/range.h: how far apart the channels of a weight lie. */
#ifndef VIEW_RANGE_H
#define VIEW_RANGE_H

#include "view/info.h"

/* view/range.c: the weight of a Conv, ConvTranspose, Gemm or MatMul. False: the node has none that
 * can be read. */
bool info_range_of(struct model *model, const struct node *node, struct info_rooms *rooms, struct info_range *range);

#endif
