/* diff/attribute.h: attributes of two nodes side by side. */
#ifndef DIFF_ATTRIBUTE_H
#define DIFF_ATTRIBUTE_H

#include "model/graph.h"

/* Attributes of a node by name. */
struct attribute_names {
    const struct node *node;
    const char **keys; /* and map: where there are many */
    struct map map;
};
struct attribute_names diff_attributes(struct arena *arena, const struct node *node);
/* The one that corresponds to attribute `index` of the other node, or NULL. */
const Onnx__AttributeProto *diff_attribute_like(const struct attribute_names *names,
                                                const struct attribute_names *others, size_t index);

#endif
