/* diff/change.c: kinds of changes, and the list of them. */
#include "diff/change.h"

static const struct {
    const char *name, *plural, *purpose;
    bool counts;
} kinds[] = {
#define X(name, plural, counts, purpose) {#name, plural, purpose, counts},
    DIFF_KINDS(X)
#undef X
};

const char *diff_kind_name(enum diff_kind kind)
{
    return kinds[kind].name;
}

const char *diff_kind_plural(enum diff_kind kind)
{
    return kinds[kind].plural;
}

const char *diff_kind_purpose(enum diff_kind kind)
{
    return kinds[kind].purpose;
}

void diff_ignore(struct arena *arena, struct diff_options *options, const char *const *names)
{
    const char *known[COUNT_OF(kinds)], *all = "";
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        known[i] = kinds[i].name;
        all = arena_format(arena, "%s %s", all, kinds[i].name);
    }
    for (; names && *names; names++) {
        size_t kind = 0;
        const char *nearest = text_nearest(*names, known, COUNT_OF(kinds));
        if (strcmp(nearest, *names) != 0)
            fail(arena->landing, ONNX_FUSE_ARGUMENT, "there is no kind '%s'; the nearest name is '%s'; the kinds are%s",
                 *names, nearest, all);
        while (known[kind] != nearest)
            kind++;
        options->ignore[kind] = true;
    }
}

struct diff_change *diff_add(struct differ *differ, const struct diff_change *change)
{
    struct diff_result *result = differ->result;
    if (differ->options->ignore[change->kind])
        return NULL;
    struct diff_change *own = NEW(differ->arena, struct diff_change);
    *own = *change;
    own->counts = kinds[change->kind].counts || differ->options->strict;
    if (!own->what)
        own->what = "";
    LIST_PUSH(differ->arena, &result->changes, own);
    result->by_kind[change->kind]++;
    result->counted += own->counts;
    return own;
}

const char *diff_key(struct arena *arena, struct map *counts, const char *name)
{
    size_t *count = map_get(counts, name);
    if (!count) {
        count = NEW(arena, size_t);
        map_put(arena, counts, name, count);
    }
    return arena_format(arena, "%zu %s", (*count)++, name);
}
