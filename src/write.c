/* write.c: a queue of blocks, and threads that work through it.
 *
 * A block is a range of bytes to copy or a range of rows to compute. Each has its place in the
 * output, so it does not matter who does it when. A file that cannot be written at an offset (a
 * pipe) has one thread, which takes the blocks in order. */
#include "write.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "affine.h"

enum {
    COPY_BLOCK = 8 << 20,      /* bytes */
    COMPUTE_BLOCK = 256 << 10, /* numbers written at once: fewer calls, less waiting for the file */
    COMPUTE_PART = 12 << 10,   /* numbers computed at once: in double they fit a core's own cache */
    KEEP_PAGES = 32 << 20      /* bytes of input touched before its pages are given back */
};

struct block {
    const struct piece *piece;
    uint64_t first, count; /* bytes of a span, rows of a weight */
    struct preparation *preparation;
};

/* Shared by the blocks of one weight: what composing needs is computed by the first of them and
 * freed after the last. */
struct preparation {
    pthread_mutex_t mutex;
    size_t blocks_left;
    struct affine_dense *dense;
    bool tried, good;
};

struct writer {
    struct model *model;
    const struct sink *sink;
    struct block *blocks;
    size_t block_count;
    atomic_size_t next;
    atomic_ullong done;    /* bytes */
    atomic_ullong touched; /* bytes since pages were given back */
    atomic_int error;      /* errno of the first failure; ENOMEM: memory */
    pthread_mutex_t mutex; /* guards failures */
    struct write_failure *failures;
    size_t failure_count;
    uint64_t total;
    void (*progress)(void *closure, const char *step, double fraction);
    void *closure;
};

static bool put(struct writer *writer, uint64_t offset, const void *data, size_t size)
{
    int error = 0;
    if (writer->sink->memory)
        memcpy(writer->sink->memory + offset, data, size);
    else if (writer->sink->output)
        error = output_put(writer->sink->output, offset, data, size);
    if (error)
        atomic_store(&writer->error, error);
    return !error;
}

static void copy_block(struct writer *writer, const struct block *block)
{
    const struct piece *piece = block->piece;
    uint64_t offset = piece->offset + block->first;
    const uint8_t *data = piece->data + block->first;
    if (writer->sink->output && piece->mapping) {
        int error = output_copy(writer->sink->output, offset, piece->mapping, data, block->count);
        if (error)
            atomic_store(&writer->error, error);
    } else {
        put(writer, offset, data, block->count);
    }
}

static void report_failure(struct writer *writer, const struct tensor *tensor, int64_t index,
                           double number)
{
    pthread_mutex_lock(&writer->mutex);
    bool known = false;
    for (size_t i = 0; i < writer->failure_count; i++) {
        struct write_failure *failure = &writer->failures[i];
        if (failure->tensor != tensor)
            continue;
        known = true;
        if (index < failure->index) /* the first one, whichever thread finds it */
            *failure = (struct write_failure){tensor, number, index};
    }
    if (!known)
        writer->failures[writer->failure_count++] = (struct write_failure){tensor, number, index};
    pthread_mutex_unlock(&writer->mutex);
}

/* Rounds numbers, the first of which is number `index` of the tensor. */
static void round_numbers(struct writer *writer, const struct tensor *tensor, int64_t index,
                          const double *numbers, int64_t count, void *out)
{
    int64_t bad = tensor_round(tensor->type, numbers, count, out);
    if (bad >= 0)
        report_failure(writer, tensor, index + bad, numbers[bad]);
}

static bool prepare(struct preparation *preparation, const struct affine *form)
{
    pthread_mutex_lock(&preparation->mutex);
    if (!preparation->tried)
        preparation->good = affine_prepare(form, &preparation->dense);
    preparation->tried = true;
    bool good = preparation->good;
    pthread_mutex_unlock(&preparation->mutex);
    return good;
}

static void finish(struct preparation *preparation)
{
    pthread_mutex_lock(&preparation->mutex);
    bool last = --preparation->blocks_left == 0;
    pthread_mutex_unlock(&preparation->mutex);
    if (last)
        affine_release(&preparation->dense);
}

static void transpose(const double *from, int64_t rows, int64_t columns, double *to)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            to[c * rows + r] = from[r * columns + c];
}

/* Rows are computed a few at a time and leave for the file together. */
static bool compute_rows(struct writer *writer, const struct block *block, double *rows,
                         int64_t part, uint8_t *out)
{
    const struct tensor *tensor = block->piece->tensor;
    const struct affine *form = tensor->form;
    int64_t length = affine_row_length(form), size = (int64_t)type_size(tensor->type);
    for (int64_t done = 0; done < (int64_t)block->count; done += part) {
        int64_t first = (int64_t)block->first + done;
        int64_t count = (int64_t)block->count - done < part ? (int64_t)block->count - done : part;
        if (!affine_rows(form, block->preparation->dense, form->outputs, first, count, rows))
            return false;
        round_numbers(writer, tensor, first * length, rows, count * length,
                      out + done * length * size);
    }
    return true;
}

/* The whole matrix, turned: its rows lie across the whole tensor. */
static bool compute_turned(struct writer *writer, const struct block *block, double *rows,
                           uint8_t *out)
{
    const struct affine *form = block->piece->tensor->form;
    int64_t length = affine_row_length(form), count = (int64_t)block->count;
    double *columns = malloc((size_t)(count * length) * sizeof(double) + 1);
    bool good =
        columns && affine_rows(form, block->preparation->dense, form->outputs, 0, count, rows);
    if (good) {
        transpose(rows, count, length, columns);
        round_numbers(writer, block->piece->tensor, 0, columns, count * length, out);
    }
    free(columns);
    return good;
}

static void compute_fused(struct writer *writer, const struct block *block)
{
    const struct tensor *tensor = block->piece->tensor;
    int64_t length = affine_row_length(tensor->form);
    size_t size = type_size(tensor->type), row_size = (size_t)length * size;
    bool turned = tensor->part == FUSED_KERNEL_TRANSPOSED;
    int64_t part = turned                  ? (int64_t)block->count
                   : length < COMPUTE_PART ? COMPUTE_PART / length
                                           : 1;
    double *rows = malloc((size_t)(part * length) * sizeof(double) + 1);
    uint8_t *out = malloc((size_t)block->count * row_size + 1);
    bool good = rows && out && prepare(block->preparation, tensor->form);
    if (good)
        good = turned ? compute_turned(writer, block, rows, out)
                      : compute_rows(writer, block, rows, part, out);
    if (good)
        put(writer, block->piece->offset + block->first * row_size, out, block->count * row_size);
    else
        atomic_store(&writer->error, ENOMEM);
    free(rows);
    free(out);
}

static void compute_stored(struct writer *writer, const struct block *block)
{
    const struct tensor *tensor = block->piece->tensor;
    size_t size = type_size(tensor->type);
    double *numbers = malloc((size_t)block->count * sizeof(double) + 1);
    uint8_t *out = malloc((size_t)block->count * size + 1);
    if (numbers && out) {
        tensor_read(tensor, (int64_t)block->first, (int64_t)block->count, numbers);
        round_numbers(writer, tensor, (int64_t)block->first, numbers, (int64_t)block->count, out);
        put(writer, block->piece->offset + block->first * size, out, block->count * size);
    } else {
        atomic_store(&writer->error, ENOMEM);
    }
    free(numbers);
    free(out);
}

/* The mapping's pages stay in the system's cache; only this process lets go of them. */
static void give_back(struct writer *writer, uint64_t bytes)
{
    if (atomic_fetch_add(&writer->touched, bytes) + bytes < KEEP_PAGES)
        return;
    atomic_store(&writer->touched, 0);
    model_give_back(writer->model);
}

static bool work_one(struct writer *writer)
{
    size_t index = atomic_fetch_add(&writer->next, 1);
    if (index >= writer->block_count)
        return false;
    const struct block *block = &writer->blocks[index];
    const struct tensor *tensor = block->piece->tensor;
    bool fused = tensor && tensor->storage == STORAGE_FUSED;
    uint64_t bytes = block->count;
    if (!atomic_load(&writer->error)) {
        if (!tensor) {
            copy_block(writer, block);
        } else if (fused) {
            compute_fused(writer, block);
            bytes *= (uint64_t)affine_row_length(tensor->form) * type_size(tensor->type);
        } else {
            compute_stored(writer, block);
        }
    }
    if (fused)
        finish(block->preparation);
    give_back(writer, bytes);
    atomic_fetch_add(&writer->done, bytes);
    return true;
}

static void *work(void *closure)
{
    while (work_one(closure))
        ;
    return NULL;
}

/* ---- the queue ---- */

static uint64_t rows_per_block(const struct tensor *tensor)
{
    int64_t length = affine_row_length(tensor->form);
    if (tensor->part == FUSED_KERNEL_TRANSPOSED)
        return (uint64_t)tensor->form->outputs; /* its rows lie across the whole tensor */
    return length < COMPUTE_BLOCK ? (uint64_t)(COMPUTE_BLOCK / length) : 1;
}

static void fill_queue(struct writer *writer, const struct pieces *pieces)
{
    struct arena *arena = writer->model->arena;
    LIST(struct block) blocks = {0};
    for (size_t i = 0; i < pieces->list.count; i++) {
        const struct piece *piece = &pieces->list.items[i];
        bool fused = piece->tensor && piece->tensor->storage == STORAGE_FUSED;
        uint64_t total = fused           ? (uint64_t)piece->tensor->form->outputs
                         : piece->tensor ? (uint64_t)piece->tensor->count
                                         : piece->size;
        uint64_t step = fused ? rows_per_block(piece->tensor) : COPY_BLOCK;
        struct preparation *preparation = NULL;
        if (fused) {
            preparation = NEW(arena, struct preparation);
            preparation->blocks_left = (size_t)((total + step - 1) / step);
            pthread_mutex_init(&preparation->mutex, NULL);
        }
        for (uint64_t first = 0; first < total; first += step) {
            struct block block = {piece, first, total - first < step ? total - first : step,
                                  preparation};
            LIST_PUSH(arena, &blocks, block);
        }
        writer->total += piece->size;
        writer->failure_count += piece->tensor != NULL;
    }
    writer->blocks = blocks.items;
    writer->block_count = blocks.count;
    writer->failures = NEW_ARRAY(arena, struct write_failure, writer->failure_count + 1);
    writer->failure_count = 0;
}

enum { MOST_THREADS = 64 };

void write_pieces(struct model *model, const struct pieces *pieces, const struct sink *sink,
                  int jobs, void (*progress)(void *closure, const char *step, double fraction),
                  void *closure, struct write_result *result)
{
    struct writer writer = {.model = model, .sink = sink};
    pthread_t threads[MOST_THREADS];
    int started = 0;
    fill_queue(&writer, pieces);
    pthread_mutex_init(&writer.mutex, NULL);
    if (sink->output && !output_is_seekable(sink->output))
        jobs = 1;
    if (writer.total < COPY_BLOCK)
        jobs = 1; /* starting a thread costs more than it saves */
    while (started < jobs - 1 && started < MOST_THREADS &&
           pthread_create(&threads[started], NULL, work, &writer) == 0)
        started++;
    while (work_one(&writer))
        if (progress)
            progress(closure, "writing",
                     (double)atomic_load(&writer.done) / (double)(writer.total + 1));
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&writer.mutex);
    int error = atomic_load(&writer.error);
    if (error == ENOMEM)
        fail(model->arena->landing, ONNX_FUSE_OUT_OF_MEMORY,
             "%s: out of memory while computing weights", model->path);
    if (error)
        fail(model->arena->landing, ONNX_FUSE_IO, "%s: cannot write: %s",
             sink->output ? sink->output->path : "memory", strerror(error));
    for (size_t i = 0; i < writer.failure_count; i++)
        LIST_PUSH(model->arena, &result->failures, writer.failures[i]);
}
