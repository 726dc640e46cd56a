/* test_verify.c: whether two models compute the same. */
#include "net.h"
#include "verify/verify.h"

/* y = op(x * scale) where the scale is one Mul, or two. */
static struct model *scaled(struct unit *unit, bool twice, float factor, const char *op)
{
    struct net net;
    net_begin(&net, unit);
    net_input(&net, "x", NET_DIMS(-1, 3, 5));
    float *a = net_tensor(&net, "a", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, NET_DIMS(1))->float_data =
        NEW(&unit->arena, float);
    float *b = net_tensor(&net, "b", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, NET_DIMS(1))->float_data =
        NEW(&unit->arena, float);
    net.tensors[0]->n_float_data = net.tensors[1]->n_float_data = 1;
    *a = twice ? 0.5f : factor;
    *b = 2 * factor;
    net_node(&net, "Mul", "x a", "m");
    if (twice)
        net_node(&net, "Mul", "m b", "n");
    else
        net.graph.n_initializer = 1;
    net_node(&net, op, twice ? "n" : "m", "y");
    net_output(&net, "y");
    return net_load(&net, twice ? "two" : "one");
}

static enum verdict verdict_of(struct unit *unit, struct model *a, struct model *b, struct verify_result *result)
{
    const struct verify_options options = {.trials = 2};
    struct arena scratch[VERIFY_ARENAS];
    for (int i = 0; i < VERIFY_ARENAS; i++)
        arena_init(&scratch[i], &unit->landing);
    verify_models(&unit->arena, scratch, a, b, &options, result);
    for (int i = 0; i < VERIFY_ARENAS; i++)
        arena_free(&scratch[i]);
    return result->verdict;
}

static void verdicts(struct unit *unit)
{
    struct verify_result result;
    struct model *one = scaled(unit, false, 0.75f, "Tanh"), *two = scaled(unit, true, 0.75f, "Tanh");
    expect(verdict_of(unit, one, two, &result) == VERDICT_EQUAL && result.regions.count > 0,
           "one factor and two that are the same, by evaluation");
    expect(verdict_of(unit, one, one, &result) == VERDICT_EQUAL && result.regions.count == 0,
           "a model and itself, by structure");
    struct model *other = scaled(unit, true, 0.8f, "Tanh");
    expect(verdict_of(unit, one, other, &result) == VERDICT_DIFFERENT && result.departs &&
               result.departure.difference > 0 && result.reason[0],
           "another factor: %s", result.reason);
    struct model *sign = scaled(unit, false, 0.75f, "Abs");
    expect(verdict_of(unit, one, sign, &result) == VERDICT_DIFFERENT, "another op");
    struct model *strange = scaled(unit, false, 0.75f, "NobodysOperator");
    expect(verdict_of(unit, one, strange, &result) != VERDICT_EQUAL && result.reason[0],
           "an operator that nobody knows: %s", result.reason);
    struct model *all[] = {one, two, other, sign, strange};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        net_close(all[i]);
}

int main(void)
{
    unit_run("verdicts", verdicts);
    return unit_finish();
}
