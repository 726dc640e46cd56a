/* test_diff.c: what is said of two models side by side. */
#include "diff/model.h"
#include "net.h"

static struct model *network(struct unit *unit, const char *sum, int64_t stride, float first, bool active)
{
    struct net net;
    uint64_t state = unit->state;
    net_begin(&net, unit);
    net_input(&net, "x", NET_DIMS(1, 2, 9));
    net_weight(&net, "w", NET_DIMS(2, 2, 3));
    net_weight(&net, "b", NET_DIMS(2, 1));
    unit->state = state;
    if (first != 0)
        net.tensors[0]->float_data[0] = first;
    Onnx__NodeProto *conv = net_node(&net, "Conv", "x w", "c");
    net_set_list(&net, conv, "strides", 1, &stride);
    net_node(&net, "Add", "c b", sum);
    net_node(&net, active ? "Relu" : "Tanh", sum, "y");
    net_output(&net, "y");
    return net_load(&net, sum);
}

static const struct diff_change *only(const struct diff_result *result, enum diff_kind kind)
{
    const struct diff_change *found = NULL;
    for (size_t i = 0; i < result->changes.count; i++)
        if (result->changes.items[i]->kind == kind)
            found = result->changes.items[i];
    return result->by_kind[kind] == 1 ? found : NULL;
}

struct change {
    const char *sum;
    int64_t stride;
    float first;
    bool active;
};

/* The plain network beside the changed one. Both are loaded anew: a comparison leaves its notes in them. */
static void compare(struct unit *unit, const struct change *change, struct diff_result *result)
{
    const struct diff_options options = {.rtol = 0};
    struct model *a = network(unit, "s", 1, 0, true);
    struct model *b = network(unit, change->sum, change->stride, change->first, change->active);
    *result = (struct diff_result){.counted = 0};
    diff_models(&unit->arena, a, b, &options, result);
    net_close(a);
    net_close(b);
}

static void changes_are_told_by_kind(struct unit *unit)
{
    struct diff_result result;
    compare(unit, &(struct change){"s", 1, 0, true}, &result);
    expect(result.counted == 0 && result.changes.count == 0, "a model beside itself");
    expect(result.before.ops == 3 && result.after.ops == 3, "ops of both are counted");
    compare(unit, &(struct change){"other", 1, 0, true}, &result);
    expect(result.counted == 0 && result.matched == 3, "another name is no change that counts");
    compare(unit, &(struct change){"s", 1, 7, true}, &result);
    expect(result.counted == 1 && only(&result, DIFF_weight), "one number of a weight");
    compare(unit, &(struct change){"s", 2, 0, true}, &result);
    expect(only(&result, DIFF_attribute) != NULL, "an attribute");
    compare(unit, &(struct change){"s", 1, 0, false}, &result);
    expect(result.counted == 1 && only(&result, DIFF_region), "another op is a region");
}

int main(void)
{
    unit_run("changes are told by kind", changes_are_told_by_kind);
    return unit_finish();
}
