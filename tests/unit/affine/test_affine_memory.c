/* test_affine_memory.c: no memory while the bias of a composition is computed. malloc is wrapped: it fails
 * when asked to, and what it gives is full of numbers that raise an exception where they are used. */
#include <fenv.h>
#include <stdlib.h>
#include <string.h>

#include "affine/laws.h"
#include "affine/rows.h"
#include "unit.h"

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

static size_t requests, refused;

void *__wrap_malloc(size_t size)
{
    const uint64_t signalling = 0x7ff4000000000000;
    if (refused && ++requests == refused)
        return NULL;
    char *memory = __real_malloc(size);
    for (size_t at = 0; refused && memory && at + sizeof(signalling) <= size; at += sizeof(signalling))
        memcpy(memory + at, &signalling, sizeof(signalling));
    return memory;
}

static void read_ones(const void *closure, int64_t first, int64_t count, double *out)
{
    (void)closure;
    (void)first;
    for (int64_t i = 0; i < count * 3; i++)
        out[i] = 1;
}

static const struct affine *kernel(struct unit *unit, const double *bias)
{
    const struct affine *form = NULL;
    expect(!affine_make(
               &unit->arena,
               &(struct affine_kernel){
                   .axes = 0, .axis = NULL, .outputs = 3, .inputs = 3, .groups = 1, .read = read_ones, .bias = bias},
               &form),
           "a kernel");
    return form;
}

/* Of the three kernels one after the other, the bias is 3 * 3 times that of the first. */
static bool has_bias(struct unit *unit, const struct affine *outer, const struct affine *inner)
{
    const struct affine *form;
    if (affine_compose(&unit->arena, outer, inner, &form))
        return false;
    const double *bias = affine_bias(&unit->arena, form, 3);
    return bias && bias[0] == 9 * 6 && bias[2] == 9 * 6;
}

static void test_bias(struct unit *unit)
{
    static const double numbers[3] = {5, 6, 7};
    const struct affine *inner = kernel(unit, numbers), *outer;
    jmp_buf *outside = unit->landing.jump, jump;
    static volatile bool done;
    expect(!affine_compose(&unit->arena, kernel(unit, NULL), kernel(unit, NULL), &outer), "two kernels");
    static size_t turn;
    for (turn = 1, done = false; !done; turn++) {
        requests = 0;
        refused = turn;
        feclearexcept(FE_ALL_EXCEPT);
        unit->landing.jump = &jump;
        if (setjmp(jump) == 0)
            done = has_bias(unit, outer, inner);
        refused = 0;
        if (!done)
            expect(!fetestexcept(FE_INVALID) && unit->landing.status == ONNX_FUSE_OUT_OF_MEMORY,
                   "request %zu refused: %s", turn, unit->landing.message);
    }
    unit->landing.jump = outside;
    expect(turn > 5, "%zu requests", turn - 2);
}

int main(void)
{
    unit_run("the bias of a composition", test_bias);
    return unit_finish();
}
