/* test_match.c: values of two models by number, and their nodes in pairs. */
#include "match/match.h"
#include "match/number.h"
#include "net.h"

/* y = Relu((x + w) - v), spelled in more than one way. */
struct spelling {
    const char *sum, *operands;
    bool swapped;
    float last; /* of v */
};

static struct model *spelled(struct unit *unit, const struct spelling *spelling, const char *path)
{
    struct net net;
    uint64_t state = unit->state;
    net_begin(&net, unit);
    net_input(&net, "x", NET_DIMS(2, 3));
    net_weight(&net, "w", NET_DIMS(3));
    net_weight(&net, "v", NET_DIMS(3));
    unit->state = state; /* the same numbers in each */
    if (spelling->last != 0)
        net.tensors[1]->float_data[2] = spelling->last;
    net_node(&net, "Add", spelling->operands, spelling->sum);
    net_node(&net, "Sub", arena_format(&unit->arena, spelling->swapped ? "v %s" : "%s v", spelling->sum), "d");
    net_node(&net, "Relu", "d", "y");
    net_output(&net, "y");
    return net_load(&net, path);
}

static void number(struct unit *unit, struct numbering *numbering, struct model *a, struct model *b)
{
    numbering_init(numbering, &unit->arena, a, b, true, true);
    const uint32_t x = number_input(numbering, 0, 0);
    value_number_set(net_find(a, "x"), x);
    value_number_set(net_find(b, "x"), x);
    number_graph(numbering, a->graphs.items[0], 0);
    number_graph(numbering, b->graphs.items[0], 0);
}

static void numbers_tell_what_is_computed(struct unit *unit)
{
    static const struct {
        struct spelling spelling;
        bool sum, result;
        const char *what;
    } cases[] = {
        {{"other", "x w", false, 0}, true, true, "another name"},
        {{"a", "w x", false, 0}, true, true, "operands of Add the other way"},
        {{"a", "x w", true, 0}, true, false, "operands of Sub the other way"},
        {{"a", "x w", false, 5}, true, false, "another constant"},
        {{"a", "x v", false, 0}, false, false, "another operand"},
    };
    const struct spelling plain = {"a", "x w", false, 0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct numbering numbering;
        struct model *a = spelled(unit, &plain, "a"), *b = spelled(unit, &cases[i].spelling, "b");
        number(unit, &numbering, a, b);
        const struct value *left = net_find(a, "a"), *right = net_find(b, cases[i].spelling.sum);
        expect((value_number(left) == value_number(right)) == cases[i].sum, "%s: the sum", cases[i].what);
        expect((value_number(net_find(a, "y")) == value_number(net_find(b, "y"))) == cases[i].result, "%s: the result",
               cases[i].what);
        net_close(a);
        net_close(b);
    }
}

static void nodes_find_partners(struct unit *unit)
{
    const struct spelling plain = {"a", "x w", false, 0}, other = {"z", "x w", false, 5};
    struct numbering numbering;
    struct match_table table = {NULL, 0};
    struct model *a = spelled(unit, &plain, "a"), *b = spelled(unit, &other, "b");
    number(unit, &numbering, a, b);
    const struct value_pair output = {net_find(a, "y"), net_find(b, "y")};
    match_graphs(&unit->arena, &numbering, &table, a->graphs.items[0], b->graphs.items[0], &output, 1);
    bool all = true;
    for (size_t i = 0; i < 3; i++)
        all = all && node_partner(a->graphs.items[0]->nodes[i]) == b->graphs.items[0]->nodes[i] &&
              node_partner(b->graphs.items[0]->nodes[i]) == a->graphs.items[0]->nodes[i];
    expect(all, "each node has the one that does the same, though a weight is another");
    expect(match_is_pair(net_find(a, "a"), net_find(b, "z")), "and so have their values");
    net_close(a);
    net_close(b);
}

int main(void)
{
    unit_run("numbers tell what is computed", numbers_tell_what_is_computed);
    unit_run("nodes find partners", nodes_find_partners);
    return unit_finish();
}
