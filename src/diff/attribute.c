/* diff/attribute.c: attributes of two nodes side by side. */
#include "diff/attribute.h"

#include <stdlib.h>

#include "diff/change.h"

enum { FEW = 16 };

struct attribute_names diff_attributes(struct arena *arena, const struct node *node)
{
    struct attribute_names names = {.node = node};
    struct map counts = {0};
    size_t count = node->proto->n_attribute > FEW ? node->proto->n_attribute : 0;
    names.keys = count ? NEW_ARRAY(arena, const char *, count) : NULL;
    for (size_t i = 0; i < count; i++) {
        Onnx__AttributeProto *attribute = node->proto->attribute[i];
        names.keys[i] = diff_key(arena, &counts, text_or_empty(attribute->name));
        map_put(arena, &names.map, names.keys[i], attribute);
    }
    return names;
}

static bool is_named_alike(const Onnx__AttributeProto *a, const Onnx__AttributeProto *b)
{
    return strcmp(text_or_empty(a->name), text_or_empty(b->name)) == 0;
}

const Onnx__AttributeProto *diff_attribute_like(const struct attribute_names *names,
                                                const struct attribute_names *others, size_t index)
{
    const Onnx__NodeProto *proto = names->node->proto, *other = others->node->proto;
    if (names->keys && others->keys)
        return map_get(&names->map, others->keys[index]);
    size_t before = others->keys ? strtoull(others->keys[index], NULL, 10) : 0;
    for (size_t i = 0; !others->keys && i < index; i++)
        before += is_named_alike(other->attribute[i], other->attribute[index]);
    for (size_t i = 0; i < proto->n_attribute; i++)
        if (is_named_alike(proto->attribute[i], other->attribute[index]) && before-- == 0)
            return proto->attribute[i];
    return NULL;
}
