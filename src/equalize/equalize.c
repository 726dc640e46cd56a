/* equalize/equalize.c: the entry, and its report. */
#include "equalize/equalize.h"

#include <math.h>
#include <stdlib.h>

#include "base/real.h"
#include "equalize/apply.h"
#include "equalize/flow.h"
#include "equalize/problem.h"
#include "equalize/ranges.h"
#include "equalize/solve.h"

static const struct pin *first_pin(struct equalization *e, const struct group *group)
{
    if (group->classes.count)
        return class_at(e, group->classes.items[0])->pin;
    return group->before.count ? class_of(&e->classes, group->before.items[0]->output, 0)->pin : NULL;
}

static double decibels(const struct group *group, double noise)
{
    /* A step of D leaves noise of D^2 / 12. */
    return noise > 0 ? 10 * real_log10(12 * (double)group->behind.count / noise) : 0;
}

static void keep(struct equalization *e, struct equalized *told, const char *reason)
{
    size_t k = 0;
    while (k < told->kept.count && strcmp(told->kept.items[k].reason, reason) != 0)
        k++;
    if (k == told->kept.count) {
        struct kept kept = {reason, 0};
        LIST_PUSH(e->arena, &told->kept, kept);
    }
    told->kept.items[k].channels++;
}

static void tell(struct equalization *e, struct group *group)
{
    const struct channels *channels = group->behind.items[0]->input;
    struct equalized *told = NEW(e->arena, struct equalized);
    *told = (struct equalized){.graph = e->classes.graph,
                               .node = channels->value->producer,
                               .value = channels->value,
                               .channels = channels->count,
                               .reason = group->reason};
    double *ranges = NEW_ARRAY(e->arena, double, channels->count);
    int *exponents = exponents_of(e, channels, channels->count, 1);
    told->exponents = exponents;
    told->ranges = ranges;
    for (int64_t c = 0; c < channels->count; c++) {
        ranges[c] = range_of_channel(e, channels, c);
        const struct pin *pin = class_of(&e->classes, channels, c)->pin;
        if (pin)
            keep(e, told, pin->reason);
        told->scaled += exponents[c] != 0;
        told->least = exponents[c] < told->least ? exponents[c] : told->least;
        told->most = exponents[c] > told->most ? exponents[c] : told->most;
    }
    const struct problem *p = problem_of(e, group);
    told->spread_before = spread_of(e, channels, NULL);
    told->spread_after = spread_of(e, channels, p->now);
    told->before = decibels(group, group->noise_before);
    told->after = decibels(group, group->noise);
    LIST_PUSH(e->arena, e->told, told);
}

static void refuse(struct equalization *e, struct group *group)
{
    const struct pin *pin = group_is_free(e, group) ? NULL : first_pin(e, group);
    const struct channels *channels =
        group->before.count ? group->before.items[0]->output : group->behind.items[0]->input;
    struct node *node = channels->value->producer;
    const char *name = pin && pin->node && pin->node->proto->name ? pin->node->proto->name : "";
    if (!group->reason && pin)
        group->reason = strncmp(pin->reason, "no ", 3) == 0 ? pin->reason
                        : name[0] && pin->node != node ? arena_format(e->arena, "no seam: '%s': %s", name, pin->reason)
                                                       : arena_format(e->arena, "no seam: %s", pin->reason);
    if (group->reason && node)
        plan_refuse(e->plan, node, channels->value, group->reason);
}

/* ---- the entry ---- */

/* Finds the exponents, and lists the groups. */
static struct equalization *decide(struct plan *plan, struct graph *graph, enum grain grain, equalized_list *groups)
{
    struct arena *arena = plan->model->arena;
    struct equalization *e = NEW(arena, struct equalization);
    *e = (struct equalization){.plan = plan, .arena = arena, .grain = grain, .told = groups};
    e->classes.arena = arena;
    e->classes.measured = &plan->measured;
    flow_through(&e->classes, graph);
    ranges_measure(e);
    groups_find(e);
    e->ids = NEW_ARRAY(arena, size_t, e->classes.channels.count + 1);
    e->behind = NEW_ARRAY(arena, double, e->classes.channels.count + 1);
    solve_groups(e);
    for (size_t i = 0; i < e->groups.count; i++) {
        struct group *group = e->groups.items[i];
        if (group_is_moved(e, group))
            group->reason = NULL;
        if (group_is_weighed(e, group))
            tell(e, group);
    }
    return e;
}

void equalize_foresee(struct plan *plan, struct graph *graph, enum grain grain, equalized_list *groups)
{
    decide(plan, graph, grain, groups);
}

void equalize_graph(struct plan *plan, struct graph *graph, enum grain grain, equalized_list *groups)
{
    struct equalization *e = decide(plan, graph, grain, groups);
    for (size_t i = 0; i < e->classes.declined.count; i++) {
        const struct pin *pin = &e->classes.declined.items[i];
        plan_refuse(plan, pin->node, pin->node->outputs[0], pin->reason);
    }
    for (size_t i = 0; i < e->groups.count; i++)
        if (!group_is_moved(e, e->groups.items[i]))
            refuse(e, e->groups.items[i]);
    apply_all(e);
}
