/* test_write.c: pieces to bytes: any number of threads gives the same, also where a thread cannot be
 * started, memory runs out, the caller stops it, or the output is full.
 *
 * pthread_create, malloc and calloc go through the linker's --wrap. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "affine/laws.h"
#include "unit.h"
#include "write/write.h"

/* ---- what fails ---- */

static int threads_left = -1; /* that can be started; -1: all */
static atomic_int refused;    /* the allocation that fails, counted down; 0: none */
static atomic_bool struck;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *closure),
                          void *closure);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *closure),
                          void *closure);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *closure),
                          void *closure)
{
    if (threads_left == 0)
        return EAGAIN;
    if (threads_left > 0)
        threads_left--;
    return __real_pthread_create(thread, attributes, start, closure);
}

static bool strikes(void)
{
    if (atomic_load(&refused) <= 0 || atomic_fetch_sub(&refused, 1) != 1)
        return false;
    atomic_store(&struck, true);
    return true;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    return strikes() ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    return strikes() ? NULL : __real_calloc(count, size);
}

/* ---- pieces ---- */

enum { TYPE_FLOAT = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT };
enum { TYPE_HALF = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16 };

struct matrix {
    int64_t rows, columns;
    const double *numbers;
};

static void read_matrix(const void *closure, int64_t first, int64_t count, double *out)
{
    const struct matrix *matrix = closure;
    memcpy(out, matrix->numbers + first * matrix->columns, (size_t)(count * matrix->columns) * sizeof(double));
}

static const double *draw(struct unit *unit, int64_t count)
{
    double *numbers = NEW_ARRAY(&unit->arena, double, count);
    for (int64_t i = 0; i < count; i++)
        numbers[i] = (double)(float)unit_number(&unit->state);
    return numbers;
}

static const struct affine *matrix_form(struct unit *unit, int64_t rows, int64_t columns, const double *numbers)
{
    struct matrix *matrix = NEW(&unit->arena, struct matrix);
    const struct affine *form;
    *matrix = (struct matrix){rows, columns, numbers};
    const char *reason = affine_make(&unit->arena,
                                     &(struct affine_kernel){.axes = 0,
                                                             .axis = NULL,
                                                             .outputs = rows,
                                                             .inputs = columns,
                                                             .groups = 1,
                                                             .read = read_matrix,
                                                             .closure = matrix},
                                     &form);
    if (reason)
        abort();
    return form;
}

static const struct tensor *fused(struct unit *unit, const struct affine *form, enum fused_part part)
{
    int64_t *dims = NEW_ARRAY(&unit->arena, int64_t, 2);
    bool turned = part == FUSED_KERNEL_TRANSPOSED;
    dims[turned] = form->outputs;
    dims[!turned] = form->inputs;
    struct tensor *tensor = tensor_of_doubles(&unit->arena, TYPE_FLOAT, 2, dims, NULL);
    tensor->storage = STORAGE_FUSED;
    tensor->form = form;
    tensor->part = part;
    return tensor;
}

struct bench {
    struct model model;
    struct pieces pieces;
    uint8_t *wanted, *got;
};

static void push(struct unit *unit, struct bench *bench, struct piece piece, const void *wanted)
{
    piece.offset = bench->pieces.size;
    memcpy(bench->wanted + piece.offset, wanted, piece.size);
    LIST_PUSH(&unit->arena, &bench->pieces.list, piece);
    bench->pieces.size += piece.size;
}

static void push_bytes(struct unit *unit, struct bench *bench, size_t size)
{
    uint8_t *bytes = arena_alloc(&unit->arena, size, 1);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)unit_random(&unit->state);
    push(unit, bench, (struct piece){.data = bytes, .size = size}, bytes);
}

/* `numbers` are what the tensor comes to, in the order of the output. */
static void push_tensor(struct unit *unit, struct bench *bench, const struct tensor *tensor, const double *numbers)
{
    float *rounded = NEW_ARRAY(&unit->arena, float, tensor->count);
    for (int64_t i = 0; i < tensor->count; i++)
        rounded[i] = (float)numbers[i];
    push(unit, bench, (struct piece){.tensor = tensor, .size = (size_t)tensor->count * 4}, rounded);
}

static const double *turned(struct unit *unit, int64_t rows, int64_t columns, const double *from)
{
    double *to = NEW_ARRAY(&unit->arena, double, rows *columns);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            to[c * rows + r] = from[r * columns + c];
    return to;
}

/* outer * inner: composing needs the rows of inner at once. */
static void push_product(struct unit *unit, struct bench *bench, enum fused_part part)
{
    enum { ROWS = 300, MIDDLE = 3, COLUMNS = 400 };
    const double *a = draw(unit, ROWS * MIDDLE), *b = draw(unit, MIDDLE * COLUMNS);
    double *product = NEW_ARRAY(&unit->arena, double, ROWS *COLUMNS);
    const struct affine *form;
    for (int64_t r = 0; r < ROWS; r++)
        for (int64_t k = 0; k < MIDDLE; k++)
            for (int64_t c = 0; c < COLUMNS; c++)
                product[r * COLUMNS + c] += a[r * MIDDLE + k] * b[k * COLUMNS + c];
    const char *reason =
        affine_compose(&unit->arena, matrix_form(unit, ROWS, MIDDLE, a), matrix_form(unit, MIDDLE, COLUMNS, b), &form);
    if (reason)
        abort();
    bool turn = part == FUSED_KERNEL_TRANSPOSED;
    push_tensor(unit, bench, fused(unit, form, part), turn ? turned(unit, ROWS, COLUMNS, product) : product);
}

/* Small and large, to be copied and to be computed, longer and shorter than a block. */
static void fill(struct unit *unit, struct bench *bench)
{
    const size_t most = 40 << 20;
    *bench = (struct bench){.model = {.arena = &unit->arena, .path = "model"}};
    bench->model.bytes.descriptor = -1;
    bench->wanted = arena_alloc(&unit->arena, most, 1);
    bench->got = arena_alloc(&unit->arena, most, 1);
    push_bytes(unit, bench, 10);
    push_bytes(unit, bench, 70 << 10);
    const int64_t sizes[][2] = {{3, 5}, {700, 500}, {3, 13000}, {2, 100000}};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        int64_t rows = sizes[i][0], columns = sizes[i][1];
        const double *numbers = draw(unit, rows * columns);
        push_tensor(unit, bench, fused(unit, matrix_form(unit, rows, columns, numbers), FUSED_KERNEL), numbers);
        push_bytes(unit, bench, 100);
    }
    for (int i = 0; i < 2; i++) {
        int64_t count = i ? 150000 : 7;
        const double *numbers = draw(unit, count);
        push_tensor(unit, bench, tensor_of_doubles(&unit->arena, TYPE_FLOAT, 1, &count, numbers), numbers);
    }
    push_product(unit, bench, FUSED_KERNEL);
    push_product(unit, bench, FUSED_KERNEL_TRANSPOSED);
    const double *small = draw(unit, 12);
    push_tensor(unit, bench, fused(unit, matrix_form(unit, 3, 4, small), FUSED_KERNEL_TRANSPOSED),
                turned(unit, 3, 4, small));
    push_bytes(unit, bench, 9 << 20);
}

/* ---- runs ---- */

struct company {
    atomic_int left, done;
};

static bool do_one(void *closure, int thread)
{
    struct company *company = closure;
    if (thread < 0 || atomic_fetch_sub(&company->left, 1) <= 0)
        return false;
    atomic_fetch_add(&company->done, 1);
    return true;
}

static bool stop_soon(void *closure, const char *step, double fraction)
{
    int *calls = closure;
    (void)step;
    return fraction <= 1 && ++*calls < 3;
}

/* write_pieces as it ends: ONNX_FUSE_OK, or the status it landed with. */
static enum onnx_fuse_status run(struct unit *unit, struct bench *bench, const struct sink *sink, int jobs,
                                 bool stopped, struct write_result *result)
{
    struct landing *landing = &unit->landing;
    struct company company = {.left = 20};
    const struct write_company with = {do_one, &company};
    jmp_buf *outer = landing->jump;
    int calls = 0;
    const struct progress progress = {stopped ? stop_soon : NULL, &calls};
    volatile enum onnx_fuse_status status = ONNX_FUSE_OK;
    *result = (struct write_result){0};
    jmp_buf jump;
    landing->jump = &jump;
    if (setjmp(jump) == 0)
        write_pieces(&bench->model, &bench->pieces, sink, jobs, &progress, jobs > 1 ? &with : NULL, result);
    else
        status = landing->status;
    landing->jump = outer;
    if (jobs > 1 && status == ONNX_FUSE_OK && atomic_load(&company.done) != 20)
        expect(false, "%d pieces of other work were done, of 20", atomic_load(&company.done));
    return status;
}

static bool is_right(const struct bench *bench)
{
    return memcmp(bench->wanted, bench->got, bench->pieces.size) == 0;
}

static void test_threads(struct unit *unit)
{
    struct bench bench;
    struct write_result result;
    fill(unit, &bench);
    const struct sink sink = {.memory = bench.got};
    const int jobs[] = {1, 2, 3, 8, 200};
    for (size_t i = 0; i < COUNT_OF(jobs); i++) {
        memset(bench.got, 0, bench.pieces.size);
        expect(run(unit, &bench, &sink, jobs[i], false, &result) == ONNX_FUSE_OK && is_right(&bench) &&
                   !result.failures.count,
               "%d threads", jobs[i]);
    }
    for (int left = 0; left < 3; left++) {
        memset(bench.got, 0, bench.pieces.size);
        threads_left = left;
        expect(run(unit, &bench, &sink, 8, false, &result) == ONNX_FUSE_OK && is_right(&bench) && threads_left == 0,
               "%d threads could be started, of 7", left);
        threads_left = -1;
    }
    const struct sink nowhere = {0};
    expect(run(unit, &bench, &nowhere, 2, false, &result) == ONNX_FUSE_OK, "written to nowhere");
    expect(run(unit, &bench, &sink, 1, true, &result) == ONNX_FUSE_CANCELLED, "stopped by the caller: %s",
           unit->landing.message);
    /* The others may be done before the caller is asked. */
    enum onnx_fuse_status status = run(unit, &bench, &sink, 4, true, &result);
    expect(status == ONNX_FUSE_CANCELLED || (status == ONNX_FUSE_OK && is_right(&bench)),
           "stopped by the caller, or done: status %d", (int)status);
}

static void test_memory(struct unit *unit)
{
    struct bench bench;
    struct write_result result;
    fill(unit, &bench);
    const struct sink sink = {.memory = bench.got};
    for (int jobs = 1; jobs < 3; jobs++) {
        int tried = 0, wrong = 0;
        for (;; tried++) {
            /* The queue is of the arena, which may ask for more as well: that fails alike. */
            atomic_store(&struck, false);
            atomic_store(&refused, tried + 1);
            enum onnx_fuse_status status = run(unit, &bench, &sink, jobs, false, &result);
            atomic_store(&refused, 0);
            if (!atomic_load(&struck))
                break;
            wrong += status != ONNX_FUSE_OUT_OF_MEMORY;
        }
        expect(tried > 10 && !wrong && is_right(&bench),
               "%d threads: of %d allocations each failed once, %d without an error", jobs, tried, wrong);
    }
}

static void test_full(struct unit *unit)
{
    struct bench bench;
    struct write_result result;
    struct output output = {.path = "out.onnx", .name = (char[]){"full"}};
    fill(unit, &bench);
    const struct sink sink = {.output = &output};
    output.descriptor = open("/dev/full", O_WRONLY);
    for (int jobs = 1; jobs < 4; jobs++)
        expect(run(unit, &bench, &sink, jobs, false, &result) == ONNX_FUSE_IO &&
                   strcmp(unit->landing.message, "out.onnx: cannot write: No space left on device") == 0,
               "a full disk: %s", unit->landing.message);
    close(output.descriptor);
}

/* Numbers without a place in float16, in blocks that different threads take: one failure for each
 * tensor, the first one. */
static void test_failures(struct unit *unit)
{
    enum { ROWS = 2000, COLUMNS = 500 };
    struct bench bench = {.model = {.arena = &unit->arena, .path = "model"}};
    struct write_result result;
    bench.model.bytes.descriptor = -1;
    for (int i = 0; i < 3; i++) {
        double *numbers = NEW_ARRAY(&unit->arena, double, ROWS *COLUMNS);
        const struct tensor *tensor = fused(unit, matrix_form(unit, ROWS, COLUMNS, numbers), FUSED_KERNEL);
        ((struct tensor *)(uintptr_t)tensor)->type = TYPE_HALF;
        struct piece piece = {.tensor = tensor, .size = (size_t)ROWS * COLUMNS * 2, .offset = bench.pieces.size};
        LIST_PUSH(&unit->arena, &bench.pieces.list, piece);
        bench.pieces.size += piece.size;
        for (int64_t k = 1; i < 2 && k < ROWS * COLUMNS; k *= 3)
            numbers[ROWS * COLUMNS - k] = 1e5 + (double)k;
    }
    /* With this there is enough to write for more than one thread. */
    bench.got = arena_alloc(&unit->arena, 9 << 20, 1);
    uint8_t *tail = arena_alloc(&unit->arena, 3 << 20, 1);
    struct piece last = {.data = tail, .size = 3 << 20, .offset = bench.pieces.size};
    LIST_PUSH(&unit->arena, &bench.pieces.list, last);
    bench.pieces.size += last.size;
    const struct sink sink = {.memory = bench.got};
    for (int round = 0; round < 20; round++) {
        enum onnx_fuse_status status = run(unit, &bench, &sink, 1 + round % 5, false, &result);
        bool good = status == ONNX_FUSE_OK && result.failures.count == 2;
        for (size_t i = 0; good && i < 2; i++)
            good = result.failures.items[i].index == ROWS * COLUMNS - 531441 &&
                   result.failures.items[i].number == 1e5 + 531441;
        if (!good || round == 19)
            expect(good, "two weights fail, at the first of their numbers, with %d threads", 1 + round % 5);
        if (!good)
            break;
    }
}

int main(void)
{
    unit_run("threads", test_threads);
    unit_run("memory", test_memory);
    unit_run("full", test_full);
    unit_run("failures", test_failures);
    return unit_finish();
}
