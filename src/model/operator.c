/* model/operator.c: operator names to numbers. */
#include "model/operator.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    enum op op;
    unsigned traits;
} operators[] = {/* sorted by name as strcmp sorts; operator_find searches by halves */
#define X(name, traits) {#name, OP_##name, traits},
                 OPERATORS(X)
#undef X
};

int operator_compare_name(const void *key, const void *element)
{
    return strcmp(key, *(const char *const *)element);
}

const char *operator_domain(const char *domain)
{
    return !domain || strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

enum op operator_find(const char *domain, const char *type, int64_t opset)
{
    if (opset < OPSET_OLDEST || opset > OPSET_NEWEST)
        return OP_UNKNOWN;
    if (operator_domain(domain)[0])
        return OP_UNKNOWN;
    size_t index = 0;
    const void *found = type ? bsearch(type, operators, sizeof(operators) / sizeof(operators[0]), sizeof(operators[0]),
                                       operator_compare_name)
                             : NULL;
    if (!found)
        return OP_UNKNOWN;
    index = (size_t)((const char *)found - (const char *)operators) / sizeof(operators[0]);
    return operators[index].op;
}

bool operator_is(enum op op, unsigned traits)
{
    return op != OP_UNKNOWN && (operators[op - 1].traits & traits) != 0;
}

bool operator_has_attribute(const struct operator_schema *schema, const char *name)
{
    size_t length = strlen(name);
    if (strncmp(name, "__", 2) == 0)
        return true;
    for (const char *at = schema->attributes; length && (at = strstr(at, name)) != NULL; at++)
        if ((at == schema->attributes || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
            return true;
    return false;
}
