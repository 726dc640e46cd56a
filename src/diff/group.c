/* diff/group.c: groups similar changes, and ends a long list of weights with the number of the rest. */
#include "diff/group.h"

#include <inttypes.h>

#include "base/text.h"

enum { WEIGHTS_MOST = 20 };

static const char *operator_of(const struct diff_change *change)
{
    const struct node *node = change->left ? change->left : change->right;
    return node ? text_or_empty(node->proto->op_type) : NULL;
}

/* Changes with equal keys are similar; NULL: it has no similar ones. Lengths separate names that contain the
 * separator. */
static const char *key_of(struct arena *arena, const struct diff_change *change)
{
    const char *type = operator_of(change);
    const char *old_text = change->old_text, *new_text = change->new_text;
    if (change->region)
        return arena_format(arena, "%d %d %s", (int)change->kind, change->region->left.count > 0, change->subject);
    if (!type || change->numbers || change->more || (old_text && strcmp(old_text, text_or_empty(new_text)) == 0))
        return NULL;
    return arena_format(arena, "%d %zu %zu %zu %s %s %s %s", (int)change->kind, strlen(type), strlen(change->what),
                        old_text ? strlen(old_text) : SIZE_MAX, type, change->what, text_or_empty(old_text),
                        new_text ? new_text : "\n");
}

static void hide_weights(struct diff_result *result)
{
    size_t shown = 0;
    struct diff_group *first = NULL;
    for (size_t i = 0; i < result->groups.count; i++) {
        struct diff_group *group = result->groups.items[i];
        if (!group->first->numbers || shown++ < WEIGHTS_MOST)
            continue;
        group->is_hidden = true;
        first = first ? first : group;
        first->rest++;
    }
}

void diff_group_changes(struct differ *differ)
{
    struct diff_result *result = differ->result;
    struct arena *arena = differ->arena;
    struct map by_key = {0};
    /* Regions come first, so what is part of one finds its group. */
    for (size_t i = 0; i < result->changes.count; i++) {
        struct diff_change *change = result->changes.items[i];
        change->place = i;
        if (change->part_of) {
            change->group = change->part_of->group;
            continue;
        }
        const char *key = differ->options->all ? NULL : key_of(arena, change);
        struct diff_group *group = key ? map_get(&by_key, key) : NULL;
        if (!group) {
            group = NEW(arena, struct diff_group);
            group->first = change;
            group->place = result->groups.count;
            LIST_PUSH(arena, &result->groups, group);
            if (key)
                map_put(arena, &by_key, key, group);
        }
        group->count++;
        change->group = group->place;
    }
    if (!differ->options->all)
        hide_weights(result);
}

const char *diff_headline(struct arena *arena, const struct diff_result *result, bool counts)
{
    size_t count[DIFF_KIND_COUNT] = {0};
    struct text text = {.arena = arena};
    text_append(&text, "", 0);
    for (size_t i = 0; i < result->changes.count; i++) {
        const struct diff_change *change = result->changes.items[i];
        if (change->counts == counts && !change->part_of)
            count[change->kind] += 1 + change->more;
    }
    for (;;) {
        size_t most = 0;
        for (size_t kind = 1; kind < DIFF_KIND_COUNT; kind++)
            if (count[kind] > count[most])
                most = kind;
        if (!count[most])
            return text.bytes;
        text_print(&text, "%s%zu %s", text.size ? ", " : "", count[most],
                   count[most] == 1 ? diff_kind_name((enum diff_kind)most) : diff_kind_plural((enum diff_kind)most));
        count[most] = 0;
    }
}
