/* write/write.c: a queue of blocks, and threads that work through it.
 *
 * A block is a range of bytes to copy, a range of rows to compute, or a run of small pieces that
 * leave together. Each has its place in the output, so it does not matter who does it when. A file
 * that cannot be written at an offset (a pipe) has one thread, which takes the blocks in order. */
#include "write/write.h"

#include <errno.h>
#include <stdlib.h>

#include "affine/rows.h"
#include "base/system.h"
#include "base/system_error.h"
#include "model/external.h"

enum {
    COPY_BLOCK = 8 << 20,     /* bytes copied at once */
    COMPUTE_BLOCK = 96 << 10, /* numbers written at once: fewer calls, less waiting for the file */
    COMPUTE_PART = 12 << 10,  /* numbers computed at once: in double they fit a core's own cache */
    BATCH_BLOCK = 256 << 10,  /* bytes of a run of small pieces */
    SMALL = 32 << 10          /* bytes of a piece that is too small for its own block */
};

struct block {
    const struct piece *pieces;
    size_t piece_count;    /* several: a run of small pieces, each of them whole */
    uint64_t first, count; /* of one piece: bytes of a span, numbers, or rows of a fused weight */
    uint64_t size;         /* bytes of output */
    struct preparation *preparation;
};

/* Shared by the blocks of one weight: what composing needs is computed by the first of them and
 * freed after the last. */
struct preparation {
    struct mutex mutex;
    size_t blocks_left;
    struct affine_dense *dense;
    bool tried, good;
};

struct writer {
    struct model *model;
    const struct sink *sink;
    const struct write_company *company; /* or NULL */
    LIST(struct block) blocks;
    atomic_size_t next;
    atomic_ullong done;    /* bytes */
    atomic_ullong touched; /* bytes since pages were given back */
    atomic_int error;      /* errno of the first failure; ENOMEM: memory */
    struct mutex mutex;    /* guards failures */
    struct write_failure *failures;
    size_t failure_count;
    uint64_t total;
};

/* A thread and the block of output it fills, used again: fresh memory costs a page fault for every
 * few kilobytes. */
struct worker {
    struct writer *writer;
    int number; /* 0: the caller's thread */
    struct thread thread;
    uint8_t *out;
    size_t room;
};

/* ---- output ---- */

static void note_error(struct writer *writer, int error)
{
    if (error)
        atomic_store(&writer->error, error);
}

static void put(struct writer *writer, uint64_t offset, const void *data, size_t size)
{
    if (writer->sink->memory)
        memcpy(writer->sink->memory + offset, data, size);
    else if (writer->sink->output)
        note_error(writer, output_put(writer->sink->output, offset, data, size));
}

static void copy(struct writer *writer, const struct block *block)
{
    const struct piece *piece = block->pieces;
    uint64_t offset = piece->offset + block->first;
    const uint8_t *data = piece->data + block->first;
    if (writer->sink->output && piece->mapping)
        note_error(writer, output_copy(writer->sink->output, offset, piece->mapping, data, block->count));
    else
        put(writer, offset, data, block->count);
}

static void report_failure(struct writer *writer, const struct tensor *tensor, int64_t index, double number)
{
    mutex_lock(&writer->mutex);
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
    mutex_unlock(&writer->mutex);
}

/* ---- numbers ---- */

/* Rounds numbers, from number `index` of the tensor on. */
static void round_numbers(struct writer *writer, const struct tensor *tensor, int64_t index, const double *numbers,
                          int64_t count, void *out)
{
    int64_t bad = tensor_round(tensor->type, numbers, count, out);
    if (bad >= 0)
        report_failure(writer, tensor, index + bad, numbers[bad]);
}

/* Rows of a fused weight, a few at a time. False: out of memory. */
static bool fill_rows(struct writer *writer, const struct tensor *tensor, const struct affine_dense *dense,
                      int64_t first, int64_t count, uint8_t *out)
{
    const struct affine *form = tensor->form;
    int64_t length = affine_row_length(form), size = (int64_t)type_size(tensor->type);
    int64_t part = length < COMPUTE_PART ? COMPUTE_PART / length : 1;
    part = part < count ? part : count;
    double *rows = numbers_alloc(part, length);
    bool good = rows != NULL;
    for (int64_t done = 0; good && done < count; done += part) {
        int64_t some = count - done < part ? count - done : part;
        good = affine_rows(form, dense, form->outputs, first + done, some, rows);
        if (good)
            round_numbers(writer, tensor, (first + done) * length, rows, some * length, out + done * length * size);
    }
    free(rows);
    return good;
}

/* A whole fused matrix, turned: a few of its rows at a time, and of those a few columns, so that a core's cache holds both. */
static bool fill_turned(struct writer *writer, const struct tensor *tensor, const struct affine_dense *dense,
                        uint8_t *out)
{
    enum { ROWS = 64, COLUMNS = 8 };
    const struct affine *form = tensor->form;
    int64_t length = affine_row_length(form), count = form->outputs, size = (int64_t)type_size(tensor->type);
    double *rows = numbers_alloc(ROWS, length);
    double columns[COLUMNS][ROWS];
    bool good = rows != NULL;
    for (int64_t first = 0; good && first < count; first += ROWS) {
        int64_t some = count - first < ROWS ? count - first : ROWS;
        good = affine_rows(form, dense, count, first, some, rows);
        for (int64_t k = 0; good && k < length; k += COLUMNS) {
            int64_t width = length - k < COLUMNS ? length - k : COLUMNS;
            for (int64_t r = 0; r < some; r++)
                for (int64_t c = 0; c < width; c++)
                    columns[c][r] = rows[r * length + k + c];
            for (int64_t c = 0; c < width; c++) {
                int64_t index = (k + c) * count + first;
                round_numbers(writer, tensor, index, columns[c], some, out + index * size);
            }
        }
    }
    free(rows);
    return good;
}

static bool fill_stored(struct writer *writer, const struct tensor *tensor, int64_t first, int64_t count, uint8_t *out)
{
    if (tensor->storage == STORAGE_LONGS || tensor->storage == STORAGE_ULONGS) {
        const int64_t *integers = (const int64_t *)tensor->data + first;
        size_t size = type_size(tensor->type); /* of two's complement, the lowest bytes */
        for (int64_t i = 0; i < count; i++)
            memcpy(out + (size_t)i * size, &integers[i], size);
        return true;
    }
    double *numbers = numbers_alloc(count, 1);
    if (!numbers)
        return false;
    tensor_read(tensor, first, count, numbers);
    round_numbers(writer, tensor, first, numbers, count, out);
    free(numbers);
    return true;
}

static bool fill_fused(struct writer *writer, const struct tensor *tensor, const struct affine_dense *dense,
                       int64_t first, int64_t count, uint8_t *out)
{
    if (tensor->part == FUSED_KERNEL_TRANSPOSED)
        return fill_turned(writer, tensor, dense, out);
    return fill_rows(writer, tensor, dense, first, count, out);
}

static bool is_fused(const struct piece *piece)
{
    return piece->tensor && piece->tensor->storage == STORAGE_FUSED;
}

/* A whole piece of a run. */
static bool fill_piece(struct writer *writer, const struct piece *piece, uint8_t *out)
{
    const struct tensor *tensor = piece->tensor;
    struct affine_dense *dense = NULL;
    if (!tensor) {
        memcpy(out, piece->data, piece->size);
        return true;
    }
    if (!is_fused(piece))
        return fill_stored(writer, tensor, 0, tensor->count, out);
    bool good =
        affine_prepare(tensor->form, &dense) && fill_fused(writer, tensor, dense, 0, tensor->form->outputs, out);
    affine_release(&dense);
    return good;
}

/* ---- blocks ---- */

static bool prepare(struct preparation *preparation, const struct affine *form)
{
    mutex_lock(&preparation->mutex);
    if (!preparation->tried)
        preparation->good = affine_prepare(form, &preparation->dense);
    preparation->tried = true;
    bool good = preparation->good;
    mutex_unlock(&preparation->mutex);
    return good;
}

static void finish(struct preparation *preparation)
{
    mutex_lock(&preparation->mutex);
    bool last = --preparation->blocks_left == 0;
    mutex_unlock(&preparation->mutex);
    if (last) {
        affine_release(&preparation->dense);
        mutex_close(&preparation->mutex);
    }
}

static bool fill_block(struct writer *writer, const struct block *block, uint8_t *out)
{
    const struct piece *piece = block->pieces;
    bool good = true;
    if (block->piece_count > 1) {
        for (size_t i = 0; good && i < block->piece_count; i++)
            good = fill_piece(writer, &piece[i], out + (piece[i].offset - piece->offset));
        return good;
    }
    int64_t first = (int64_t)block->first, count = (int64_t)block->count;
    if (!is_fused(piece))
        return fill_stored(writer, piece->tensor, first, count, out);
    return prepare(block->preparation, piece->tensor->form) &&
           fill_fused(writer, piece->tensor, block->preparation->dense, first, count, out);
}

static uint64_t block_offset(const struct block *block)
{
    const struct piece *piece = block->pieces;
    uint64_t unit = 1;
    if (piece->tensor)
        unit = type_size(piece->tensor->type);
    if (is_fused(piece))
        unit *= (uint64_t)affine_row_length(piece->tensor->form);
    return piece->offset + block->first * unit;
}

static void compute(struct worker *worker, const struct block *block)
{
    struct writer *writer = worker->writer;
    if (worker->room < block->size) {
        free(worker->out);
        worker->out = block->size <= SIZE_MAX ? malloc((size_t)block->size) : NULL;
        worker->room = worker->out ? (size_t)block->size : 0;
    }
    if ((worker->out || !block->size) && fill_block(writer, block, worker->out))
        put(writer, block_offset(block), worker->out, block->size);
    else
        note_error(writer, ENOMEM);
}

/* The mapping's pages stay in the system's cache; only this process lets go of them. */
static void give_back(struct writer *writer, uint64_t bytes)
{
    if (atomic_fetch_add(&writer->touched, bytes) + bytes < BUDGET_TOUCHED_WRITE)
        return;
    atomic_store(&writer->touched, 0);
    model_give_back(writer->model);
}

static bool work_one(struct worker *worker)
{
    struct writer *writer = worker->writer;
    size_t index = atomic_fetch_add(&writer->next, 1);
    if (index >= writer->blocks.count)
        return false;
    const struct block *block = &writer->blocks.items[index];
    if (!atomic_load(&writer->error)) {
        if (block->piece_count == 1 && !block->pieces->tensor)
            copy(writer, block);
        else
            compute(worker, block);
    }
    if (block->preparation)
        finish(block->preparation);
    give_back(writer, block->size);
    atomic_fetch_add(&writer->done, block->size);
    return true;
}

static void keep_company(struct worker *worker)
{
    const struct write_company *company = worker->writer->company;
    while (company && !atomic_load(&worker->writer->error) && company->next(company->closure, worker->number))
        ;
}

static void work(void *closure)
{
    struct worker *worker = closure;
    if (worker->number % 2)
        keep_company(worker);
    while (work_one(worker))
        ;
    keep_company(worker);
    free(worker->out);
}

/* ---- the queue ---- */

/* Cuts a large piece into blocks. */
static void queue_piece(struct writer *writer, const struct piece *piece)
{
    struct arena *arena = writer->model->arena;
    uint64_t total = piece->size, unit = 1, step = COPY_BLOCK;
    struct preparation *preparation = NULL;
    if (piece->tensor) {
        total = (uint64_t)piece->tensor->count;
        unit = type_size(piece->tensor->type);
        step = COMPUTE_BLOCK;
    }
    if (is_fused(piece)) {
        uint64_t length = (uint64_t)affine_row_length(piece->tensor->form);
        total = (uint64_t)piece->tensor->form->outputs;
        unit *= length;
        step = length < COMPUTE_BLOCK ? COMPUTE_BLOCK / length : 1;
        if (piece->tensor->part == FUSED_KERNEL_TRANSPOSED)
            step = total;
        preparation = NEW(arena, struct preparation);
        preparation->blocks_left = (size_t)((total + step - 1) / step);
        mutex_open(&preparation->mutex);
    }
    for (uint64_t first = 0; first < total; first += step) {
        uint64_t count = total - first < step ? total - first : step;
        struct block block = {piece, 1, first, count, count * unit, preparation};
        LIST_PUSH(arena, &writer->blocks, block);
    }
}

static void fill_queue(struct writer *writer, const struct pieces *pieces)
{
    size_t tensors = 0;
    for (size_t i = 0; i < pieces->list.count; i++) {
        const struct piece *piece = &pieces->list.items[i];
        struct block run = {.pieces = piece};
        for (size_t k = i; k < pieces->list.count && pieces->list.items[k].size < SMALL && run.size < BATCH_BLOCK &&
                           pieces->list.items[k].offset == piece->offset + run.size;
             k++) {
            run.size += pieces->list.items[k].size;
            run.piece_count++;
            tensors += pieces->list.items[k].tensor != NULL;
        }
        if (run.piece_count > 1) {
            LIST_PUSH(writer->model->arena, &writer->blocks, run);
            i += run.piece_count - 1;
        } else {
            tensors += piece->tensor != NULL;
            queue_piece(writer, piece);
        }
    }
    writer->total = pieces->size;
    writer->failures = NEW_ARRAY(writer->model->arena, struct write_failure, tensors + 1);
}

bool write_takes_company(const struct pieces *pieces)
{
    return pieces->size >= COPY_BLOCK;
}

void write_pieces(struct model *model, const struct pieces *pieces, const struct sink *sink, int jobs,
                  const struct progress *progress, const struct write_company *company, struct write_result *result)
{
    struct writer writer = {.model = model, .sink = sink, .company = company};
    struct worker workers[BUDGET_THREADS] = {{.writer = &writer}};
    int started = 1;
    fill_queue(&writer, pieces);
    mutex_open(&writer.mutex);
    if (sink->output && !output_is_seekable(sink->output))
        jobs = 1;
    if (!write_takes_company(pieces))
        jobs = 1; /* starting a thread costs more than it saves */
    for (; started < jobs && started < BUDGET_THREADS; started++) {
        workers[started] = (struct worker){.writer = &writer, .number = started};
        if (!thread_start(&workers[started].thread, work, &workers[started]))
            break;
    }
    while (work_one(&workers[0])) /* once it is stopped, the blocks that are left are passed over */
        if (!atomic_load(&writer.error) &&
            !progress_tell(progress, "writing", (double)atomic_load(&writer.done) / (double)(writer.total + 1)))
            note_error(&writer, ECANCELED);
    keep_company(&workers[0]);
    free(workers[0].out);
    for (int i = 1; i < started; i++)
        thread_join(&workers[i].thread);
    mutex_close(&writer.mutex);
    int error = atomic_load(&writer.error);
    if (error == ECANCELED)
        fail(model->arena->landing, ONNX_FUSE_CANCELLED, "%s: stopped by the caller", model->path);
    if (error == ENOMEM)
        fail(model->arena->landing, ONNX_FUSE_OUT_OF_MEMORY, "%s: out of memory while computing weights", model->path);
    if (error) /* where a file became shorter, that is the reason */
        model_check_files(model);
    if (error)
        fail(model->arena->landing, ONNX_FUSE_IO, "%s: cannot write: %s", sink->output ? sink->output->path : "memory",
             system_error(error));
    for (size_t i = 0; i < writer.failure_count; i++)
        LIST_PUSH(model->arena, &result->failures, writer.failures[i]);
}
