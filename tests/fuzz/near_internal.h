/* near_internal.h: what the files of the mutator share. */
#ifndef NEAR_INTERNAL_H
#define NEAR_INTERNAL_H

#include <string.h>

#include "base/arena.h"
#include "onnx.pb-c.h"

struct place {
    ProtobufCMessage *message;
    int depth;
};

struct near {
    struct arena *arena;
    uint64_t state;
    Onnx__ModelProto *model;
    LIST(struct place) places;         /* every message, outer before inner */
    LIST(Onnx__GraphProto *) graphs;   /* the main graph first */
    LIST(Onnx__NodeProto *) nodes;     /* of all graphs and functions */
    LIST(Onnx__TensorProto *) tensors; /* initializers and Constant values */
    LIST(char *) names;                /* of values, any scope */
    LIST(Onnx__NodeProto *) ahead;     /* to be placed before the node that is drawn */
    unsigned fresh;                    /* number of the next new name */
};

uint64_t near_bits(struct near *near);
size_t near_below(struct near *near, size_t limit); /* 0 when limit is 0 */
bool near_chance(struct near *near, unsigned percent);
int64_t near_integer(struct near *near); /* small, or at an edge */
double near_number(struct near *near);   /* mostly tame */
char *near_name(struct near *near, const char *stem);

/* Lists what is in the model; again after every change. */
void near_index(struct near *near);

/* An array one longer, its last element zeroed. */
#define NEAR_APPEND(near, array, count, item)                                                                          \
    do {                                                                                                               \
        (array) = near_grown((near)->arena, (array), (count), sizeof(*(array)));                                       \
        (array)[(count)++] = (item);                                                                                   \
    } while (0)
void *near_grown(struct arena *arena, const void *items, size_t count, size_t size);

/* near_field.c: changes of single fields, by the schema alone. */
void near_field(struct near *near);
void near_graft(struct near *near, ProtobufCMessage *const *others, size_t count);

/* near_graph.c: changes that know what a graph is. */
void near_graph(struct near *near);
void near_begin(struct near *near); /* the smallest model */

#endif
