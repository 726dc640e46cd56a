/* test_affine_pick.c: channels taken, repeated and placed: what is made of picks stays one, and costs no product. */
#include "affine/laws.h"
#include "plain.h"

enum { SEEDS = 1000 };

static const char *pick(struct unit *unit, int64_t inputs, int64_t outputs, const int64_t *from,
                        const struct affine **form)
{
    return affine_pick(&unit->arena,
                       &(struct affine_picked){.axes = -1, .inputs = inputs, .outputs = outputs, .from = from}, form);
}

static const int64_t *draw_from(struct unit *unit, int64_t inputs, int64_t outputs)
{
    int64_t *from = NEW_ARRAY(&unit->arena, int64_t, outputs);
    for (int64_t o = 0; o < outputs; o++)
        from[o] = draw(unit, -1, inputs - 1);
    return from;
}

static int64_t from_of(const struct affine *form, int64_t output)
{
    return form->kind == AFFINE_PICK ? form->from[output] : output;
}

/* Picks one after the other, and one's outputs after the other's. */
static void test_picks(struct unit *unit)
{
    int wrong = 0;
    for (int seed = 1; seed <= SEEDS; seed++) {
        unit->state = (uint64_t)seed;
        int64_t inputs = draw(unit, 1, 5), middles = draw(unit, 1, 5), outputs = draw(unit, 1, 5);
        const int64_t *first = draw_from(unit, inputs, middles);
        const int64_t *then = draw_from(unit, middles, outputs);
        const struct affine *inner, *outer, *both, *stack;
        bool sized = false, good = true;
        must(unit, pick(unit, inputs, middles, first, &inner));
        must(unit, pick(unit, middles, outputs, then, &outer));
        must(unit, affine_compose(&unit->arena, outer, inner, &both));
        const struct affine *parts[] = {inner, both, affine_uniform(&unit->arena, 1, 0)};
        must(unit, affine_stack(&unit->arena, parts, 3, NULL, &stack, &sized));
        for (int64_t o = 0; o < outputs; o++)
            good = good && from_of(both, o) == (then[o] < 0 ? -1 : first[then[o]]) &&
                   from_of(stack, middles + o) == from_of(both, o);
        for (int64_t i = 0; i < inputs; i++)
            good = good && from_of(stack, middles + outputs + i) == i;
        for (int64_t m = 0; m < middles; m++)
            good = good && from_of(stack, m) == first[m];
        wrong += !good || !affine_is_pick(both) || stack->kind != AFFINE_PICK ||
                 stack->outputs != middles + outputs + inputs || affine_bias(&unit->arena, stack, 3);
        arena_free(&unit->arena);
    }
    expect(wrong == 0, "picks in a row and side by side are picks: %d of %d are not", wrong, SEEDS);
}

static void test_groups(struct unit *unit)
{
    const struct affine *form;
    const struct {
        int64_t inputs, outputs, from[8], groups;
    } cases[] = {
        {4, 4, {1, 0, 3, 2}, 2}, {4, 4, {2, 1, 0, 3}, 1}, {2, 4, {0, 0, 1, -1}, 2},           {4, 2, {1, 2}, 2},
        {4, 2, {2, 1}, 1},       {3, 3, {0, -1, 2}, 3},   {2, 8, {0, 0, 0, 0, 1, 1, 1, 1}, 2}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        must(unit, pick(unit, cases[i].inputs, cases[i].outputs, cases[i].from, &form));
        expect(form->groups == cases[i].groups, "case %zu has %lld groups, expected %lld", i, (long long)form->groups,
               (long long)cases[i].groups);
    }
    must(unit, pick(unit, 3, 3, (const int64_t[]){0, 1, 2}, &form));
    expect(affine_is_identity(form) && form->outputs == 3, "all channels in order: the identity");
    const struct affine_axis half = {.stride = 2, .step = 1, .taps = 1};
    must(unit, affine_pick(&unit->arena,
                           &(struct affine_picked){
                               .axes = 1, .axis = &half, .inputs = 2, .outputs = 2, .from = (const int64_t[]){0, 1}},
                           &form));
    expect(form->kind == AFFINE_DIAGONAL && affine_axis_of(form, 0).stride == 2,
           "all channels at every second position: no pick");
}

static int64_t read_rows_count;

static void count_rows(const void *closure, int64_t first, int64_t count, double *out)
{
    read_rows_count += count;
    for (int64_t i = 0; i < count * *(const int64_t *)closure; i++)
        out[i] = (double)(first + i);
}

/* What is taken of a kernel is read, and nothing else; and no kernel is multiplied by zeros and ones. */
static void test_cost(struct unit *unit)
{
    enum { WIDE = 1 << 10 };
    static const int64_t length = WIDE;
    int64_t *from = NEW_ARRAY(&unit->arena, int64_t, WIDE);
    double *scale = constants(unit, WIDE, 2), *row = constants(unit, WIDE, 0);
    const struct affine *kernel, *few, *turned, *scales, *form, *light;
    struct affine_dense *dense = NULL;
    for (int64_t i = 0; i < WIDE; i++)
        from[i] = WIDE - 1 - i;
    must(unit, affine_make(&unit->arena,
                           &(struct affine_kernel){
                               .outputs = WIDE, .inputs = WIDE, .groups = 1, .read = count_rows, .closure = &length},
                           &kernel));
    must(unit, pick(unit, WIDE, 2, (const int64_t[]){7, -1}, &few));
    must(unit, pick(unit, WIDE, WIDE, from, &turned));
    must(unit, affine_scale_shift(&unit->arena, WIDE, scale, NULL, NULL, &scales));

    must(unit, affine_compose(&unit->arena, few, kernel, &form));
    double two[2 * WIDE];
    expect(affine_prepare(form, &dense) && !dense && affine_rows(form, NULL, 2, 0, 2, two) && read_rows_count == 1 &&
               two[1] == 8 && two[WIDE] == 0 && two[2 * WIDE - 1] == 0,
           "of a kernel the rows that are taken are read");

    must(unit, affine_compose(&unit->arena, turned, scales, &light));
    must(unit, affine_compose(&unit->arena, scales, light, &light));
    must(unit, affine_compose(&unit->arena, kernel, light, &form));
    read_rows_count = 0;
    expect(affine_prepare(form, &dense) && !dense && affine_rows(form, NULL, WIDE, 3, 1, row) && read_rows_count == 1 &&
               row[0] == 4 * (3 + WIDE - 1) && row[WIDE - 1] == 4 * 3,
           "a kernel after scales after a pick is read once, and nothing is held for it");
    expect(affine_effort(form) < 12.0 * WIDE * WIDE, "it takes little effort: %.0f", affine_effort(form));

    must(unit, affine_compose(&unit->arena, turned, turned, &form));
    expect(affine_is_identity(form), "turned twice: the identity");
}

static void test_refused(struct unit *unit)
{
    const struct affine *form, *taken, *shift;
    const int64_t none[1] = {0}, begin = 1, end = 1;
    const char *reason = pick(unit, 1 << 17, 1, none, &form);
    expect(reason && strstr(reason, "too many channels"), "too many channels: %s", reason ? reason : "");
    reason = pick(unit, 1, 0, none, &form);
    expect(reason && strstr(reason, "no channels"), "no channels: %s", reason ? reason : "");
    must(unit, pick(unit, 2, 2, (const int64_t[]){1, 0}, &taken));
    must(unit, affine_scale_shift(&unit->arena, 2, NULL, (const double[]){3, 0}, NULL, &shift));
    must(unit, affine_compose(&unit->arena, taken, shift, &form));
    const double *bias = affine_bias(&unit->arena, form, 2);
    expect(bias && bias[0] == 0 && bias[1] == 3, "the bias goes with its channel");
    const double *terms = affine_bias_terms(&unit->arena, form, 2);
    expect(terms[0] == 0 && terms[1] == 3, "what the bias is the sum of goes with it");
    const struct affine *pad, *padded;
    must(unit, affine_pad(&unit->arena, 1, &begin, &end, 0, NULL, 0, &pad));
    reason = affine_compose(&unit->arena, pad, form, &padded);
    expect(reason && strstr(reason, "border"), "padding behind it: %s", reason ? reason : "");
    must(unit, pick(unit, 2, 1, (const int64_t[]){1}, &taken));
    must(unit, affine_compose(&unit->arena, taken, shift, &form));
    reason = affine_compose(&unit->arena, pad, form, &padded);
    expect(!reason, "padding behind the channel that has no bias: %s", reason ? reason : "");
    must(unit, pick(unit, 3, 1, (const int64_t[]){1}, &taken));
    reason = affine_compose(&unit->arena, taken, shift, &form);
    expect(reason && strstr(reason, "channels"), "other channels: %s", reason ? reason : "");
}

int main(void)
{
    unit_run("picks of picks", test_picks);
    unit_run("groups", test_groups);
    unit_run("what it costs", test_cost);
    unit_run("refused", test_refused);
    return unit_finish();
}
