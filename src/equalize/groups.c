/* equalize/groups.c: values that are decided together. */
#include "equalize/groups.h"

static struct group *group_at(struct equalization *e, struct channels *channels)
{
    struct channels *head = group_of(channels);
    if (!head->decided) {
        head->decided = NEW(e->arena, struct group);
        LIST_PUSH(e->arena, &e->groups, head->decided);
    }
    return head->decided;
}

static void list_seams(struct equalization *e)
{
    for (size_t i = 0; i < e->classes.seams.count; i++) {
        struct seam *seam = &e->classes.seams.items[i];
        if (seam->output)
            LIST_PUSH(e->arena, &group_at(e, seam->output)->before, seam);
    }
    for (size_t i = 0; i < e->classes.seams.count; i++) {
        struct seam *seam = &e->classes.seams.items[i];
        if (seam->input)
            LIST_PUSH(e->arena, &group_at(e, seam->input)->behind, seam);
    }
}

static void list_classes(struct equalization *e)
{
    bool *seen = NEW_ARRAY(e->arena, bool, e->classes.channels.count + 1);
    for (size_t i = 0; i < e->groups.count; i++) {
        struct group *group = e->groups.items[i];
        for (size_t k = 0; k < group->behind.count; k++) {
            struct seam *seam = group->behind.items[k];
            for (int64_t c = 0; c < seam->input->count; c++) {
                size_t root = root_of(e, seam->input, c);
                if (!seen[root])
                    LIST_PUSH(e->arena, &group->classes, root);
                seen[root] = true;
            }
        }
    }
}

void groups_find(struct equalization *e)
{
    list_seams(e);
    list_classes(e);
}

bool group_is_free(struct equalization *e, const struct group *group)
{
    for (size_t i = 0; i < group->classes.count; i++)
        if (!class_at(e, group->classes.items[i])->pin)
            return true;
    return false;
}

bool group_is_moved(struct equalization *e, const struct group *group)
{
    for (size_t i = 0; i < group->classes.count; i++)
        if (class_at(e, group->classes.items[i])->exponent)
            return true;
    return false;
}

bool group_is_weighed(struct equalization *e, const struct group *group)
{
    return group->behind.count && group_is_free(e, group);
}

void group_disturb(struct equalization *e, struct group *group)
{
    group->waits = true;
    for (size_t i = 0; i < group->before.count; i++) {
        struct seam *seam = group->before.items[i];
        seam->columns_hold = false;
        if (seam->input)
            group_at(e, seam->input)->waits = true;
    }
    for (size_t i = 0; i < group->behind.count; i++) {
        struct seam *seam = group->behind.items[i];
        seam->rows_hold = false;
        if (seam->output)
            group_at(e, seam->output)->waits = true;
    }
}

void group_clear(struct equalization *e, struct group *group)
{
    group->waits = true;
    if (!group_is_moved(e, group))
        return;
    for (size_t i = 0; i < group->classes.count; i++)
        class_at(e, group->classes.items[i])->exponent = 0;
    group_disturb(e, group);
}

int *exponents_of(struct equalization *e, const struct channels *channels, int64_t count, int factor)
{
    int *exponents = NEW_ARRAY(e->arena, int, count);
    for (int64_t c = 0; c < count; c++)
        exponents[c] = factor * class_exponent(&e->classes, channels, c);
    return exponents;
}

bool is_scaled(struct equalization *e, const struct channels *channels)
{
    for (int64_t c = 0; channels && c < channels->count; c++)
        if (class_exponent(&e->classes, channels, c))
            return true;
    return false;
}
