/* passes/turn.c: finds values that already exist in another order of axes. */
#include "passes/turn.h"

#include <string.h>

#include "passes/slide.h"

void turn_back(const int *order, int rank, int *back)
{
    for (int i = 0; i < rank; i++)
        back[order[i]] = i;
}

static bool has_order(const struct node *node, int rank, const int *order)
{
    int own[TURN_RANK];
    return transpose_order(node, rank, own) && memcmp(own, order, (size_t)rank * sizeof(*own)) == 0;
}

/* Without any op between. */
static bool find_there(struct value *value, const int *order, const struct node *turn, struct turned *found)
{
    const struct graph *graph = turn->graph;
    int back[TURN_RANK];
    const struct node *maker = value->producer;
    turn_back(order, value->rank, back);
    if (maker && !maker->removed && maker->graph == graph && maker->inputs[0] && has_order(maker, value->rank, back)) {
        found->value = found->source = maker->inputs[0];
        found->is_undone = true;
        return true;
    }
    for (const struct use *use = value->uses; use; use = use->next) {
        const struct node *reader = use->inner;
        if (use_is_live(use) && reader != turn && reader->graph == graph && has_order(reader, value->rank, order)) {
            found->value = reader->outputs[0];
            found->source = value;
            return true;
        }
    }
    return false;
}

bool turn_find(struct value *value, const int *order, const struct node *turn, struct turned *found)
{
    const struct graph *graph = turn->graph;
    struct node *reader;
    int rank = value ? value->rank : -1;
    *found = (struct turned){0};
    while (value && value->rank == rank && rank >= 0 && rank <= TURN_RANK) {
        struct node *maker = value->producer;
        if (find_there(value, order, turn, found))
            return true;
        if (!maker || maker->removed || maker->graph != graph || found->lane_count == TURN_LANES ||
            !slide_is_inner(value, graph) || slide_readers(value, &reader) != 1 ||
            lane_of(maker, &found->lanes[found->lane_count]))
            return false;
        found->lane_ops[found->lane_count] = maker;
        value = found->lanes[found->lane_count++].data;
    }
    return false;
}
