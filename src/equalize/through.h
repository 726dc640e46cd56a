/* equalize/through.h: how one operator passes scales on. Each function ties input channels to output channels, or
 * returns the reason why it cannot. */
#ifndef EQUALIZE_THROUGH_H
#define EQUALIZE_THROUGH_H

#include "equalize/classes.h"
#include "infer/constant.h"

#define NOT_KNOWN "its channels are not known"

enum { EQUALIZE_RANK = 16 }; /* maximum number of axes and amounts */

static inline struct channel *channel_at(struct classes *classes, const struct channels *channels, int64_t index)
{
    return &classes->channels.items[channels->first + index];
}

static inline struct moments moments_of(struct classes *classes, const struct channels *channels, int64_t index)
{
    return channel_at(classes, channels, index)->moments;
}

static inline struct channels *input_of(const struct node *node, size_t index)
{
    const struct value *value = node_input(node, index);
    return value && value->graph == node->graph ? value_channels(value) : NULL;
}

static inline bool is_constant(struct value *value, const struct tensor **tensor)
{
    return !constant_of(value, tensor);
}

/* ---- keep.c: one to one ---- */

/* Channel j of one value is channel i of another, statistics too. */
void through_take(struct classes *classes, struct channels *to, int64_t j, struct channels *from, int64_t i);
/* Channel c of output `index`, on that axis, is channel c of the input. */
const char *through_keep(struct classes *classes, struct node *node, struct channels *in, size_t index, int axis);
const char *through_activate(struct classes *classes, struct node *node, double slope);
const char *through_activate_by_slopes(struct classes *classes, struct node *node);
const char *through_pass_on(struct classes *classes, struct node *node);
const char *through_pool(struct classes *classes, struct node *node);
const char *through_reduce(struct classes *classes, struct node *node);
const char *through_squeeze(struct classes *classes, struct node *node);
const char *through_unsqueeze(struct classes *classes, struct node *node);
const char *through_transpose(struct classes *classes, struct node *node);
const char *through_pad(struct classes *classes, struct node *node);
const char *through_resize(struct classes *classes, struct node *node);
/* The axes of the node as non-negative numbers, at most EQUALIZE_RANK; false: unknown. */
bool through_axes(const struct node *node, size_t input, int rank, int64_t *axes, size_t *count);

/* ---- rearrange.c: channels moved ---- */

const char *through_reshape(struct classes *classes, struct node *node);
const char *through_depth_to_space(struct classes *classes, struct node *node);
const char *through_slice(struct classes *classes, struct node *node);
const char *through_split(struct classes *classes, struct node *node);
const char *through_concat(struct classes *classes, struct node *node);

/* ---- join.c: sums and products ---- */

const char *through_sum(struct classes *classes, struct node *node);
const char *through_product(struct classes *classes, struct node *node);
const char *through_normalize(struct classes *classes, struct node *node);

#endif
