/* fuse/account.c: stores equal constants once, and assigns stored and freed numbers to fusions. */
#include "fuse/account.h"

#include <stdlib.h>

#include "affine/rows.h"
#include "fuse/fused.h"
#include "infer/constant.h"
#include "model/edit.h"

/* ---- constants alike ---- */

struct stored {
    struct value *value;
    uint64_t hash; /* of type, shape and some numbers */
};

/* Of equal hashes the name decides, so that the first of them does not depend on the run. */
static int by_hash(const void *a, const void *b)
{
    const struct stored *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return strcmp(x->value->name, y->value->name);
}

static int64_t row_count(const struct tensor *tensor)
{
    return tensor->storage == STORAGE_FUSED ? fused_channels(tensor) : 1;
}

/* The bytes of some rows as they will be written; the caller frees them. NULL: a number is not finite, which is
 * reported elsewhere, or out of memory. A tensor that is not fused has a single row. */
static void *read_rows(const struct tensor *tensor, int64_t first, int64_t count)
{
    int64_t numbers = tensor->count / row_count(tensor) * count;
    struct affine_dense *dense = NULL;
    double *rows = numbers_alloc(numbers, 1);
    bool good = rows != NULL;
    if (good && tensor->storage == STORAGE_FUSED)
        good = affine_prepare(tensor->form, &dense) &&
               affine_rows(tensor->form, dense, tensor->form->outputs, first, count, rows);
    else if (good)
        tensor_read(tensor, 0, numbers, rows);
    affine_release(&dense);
    if (good && tensor_round(tensor->type, rows, numbers, rows) < 0)
        return rows;
    free(rows);
    return NULL;
}

static bool same_shape(const struct tensor *a, const struct tensor *b)
{
    return a->type == b->type && a->rank == b->rank && a->storage == b->storage && a->part == b->part &&
           (a->rank == 0 || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof(*a->dims)) == 0) &&
           row_count(a) == row_count(b);
}

bool account_same(const struct tensor *a, const struct tensor *b)
{
    enum { NUMBERS = 1 << 16 }; /* looked at together */
    if (!same_shape(a, b))
        return false;
    int64_t rows = row_count(a), length = a->count / rows;
    int64_t step = length < NUMBERS ? NUMBERS / (length + 1) + 1 : 1;
    bool same = true;
    for (int64_t first = 0; same && first < rows; first += step) {
        int64_t count = rows - first < step ? rows - first : step;
        void *one = read_rows(a, first, count), *two = read_rows(b, first, count);
        same = one && two && memcmp(one, two, (size_t)(length * count) * type_size(a->type)) == 0;
        free(one);
        free(two);
    }
    return same;
}

static uint64_t hash_of(const struct secret *secret, const struct tensor *tensor)
{
    uint64_t words[3] = {(uint64_t)tensor->type << 1 | (tensor->part == FUSED_KERNEL),
                         secret_hash(secret, tensor->dims, (size_t)tensor->rank * sizeof(*tensor->dims))};
    void *row = read_rows(tensor, 0, 1);
    size_t size = (size_t)(tensor->count / row_count(tensor)) * type_size(tensor->type);
    words[2] = row ? secret_hash(secret, row, size) : 0;
    free(row);
    return secret_hash(secret, words, sizeof(words));
}

void account_share_constants(struct plan *plan)
{
    struct model *model = plan->model;
    const struct secret *secret = landing_secret(model->arena->landing);
    for (size_t g = 0; g < model->graphs.count; g++) {
        struct graph *graph = model->graphs.items[g];
        LIST(struct stored) found = {0};
        for (size_t i = 0; i < graph->new_initializers.count; i++) {
            struct value *value = graph->new_initializers.items[i];
            if (value->removed || !value->is_new || value->tensor->count == 0)
                continue;
            struct stored stored = {value, hash_of(secret, value->tensor)};
            LIST_PUSH(model->arena, &found, stored);
        }
        if (found.count)
            qsort(found.items, found.count, sizeof(*found.items), by_hash);
        for (size_t i = 1, first = 0; i < found.count; i++) {
            struct value *one = found.items[first].value, *two = found.items[i].value;
            if (found.items[i].hash == found.items[first].hash && account_same(one->tensor, two->tensor))
                edit_share(two, one);
            else
                first = i;
        }
    }
}

/* ---- parameters ---- */

/* Each node and each constant once, for the first fusion that has it. */
static double numbers_of(struct plan *plan, struct value *value)
{
    if (!type_is_float(value->tensor->type) || !plan_counts_first(plan, value))
        return 0;
    return (double)value->tensor->count;
}

/* Numbers of the file's constants that disappeared with a removed node. Visits only constants and the ops that
 * compute them, which are not deeper than folding allows. */
static double freed_by(struct plan *plan, const struct node *node)
{
    double numbers = 0;
    for (size_t k = 0; k < node->input_count; k++) {
        struct value *value = node->inputs[k];
        if (!value || value->is_new || !value->removed)
            continue;
        struct node *maker = value->first_producer;
        if (value->tensor && (!maker || maker->op == OP_Constant))
            numbers += numbers_of(plan, value);
        else if (maker && (value->tensor || constant_folded(value)) && plan_visits_first(plan, maker))
            numbers += freed_by(plan, maker);
    }
    return numbers;
}

/* The same of a sum that went, and of the sums in it. */
static double freed_by_sum(struct plan *plan, const struct node *sum)
{
    struct arena *arena = plan->model->arena;
    LIST(const struct node *) stack = {0};
    double numbers = 0;
    LIST_PUSH(arena, &stack, sum);
    while (stack.count) {
        const struct node *node = stack.items[--stack.count];
        numbers += freed_by(plan, node);
        for (size_t k = 0; k < node->input_count; k++) {
            struct node *maker = node->inputs[k] ? node->inputs[k]->first_producer : NULL;
            if (!maker || !operator_is(maker->op, IS_SUM) || !maker->removed || !plan_visits_first(plan, maker))
                continue;
            LIST_PUSH(arena, &stack, maker);
        }
    }
    return numbers;
}

void account_parameters(struct plan *plan)
{
    plan->stamp++;
    for (size_t i = 0; i < plan->fusions.count; i++) {
        struct fusion *fusion = plan->fusions.items[i];
        if (!fusion_is_live(fusion))
            continue;
        for (size_t k = 0; k < fusion->replaced.count; k++)
            fusion->parameters_before += freed_by(plan, fusion->replaced.items[k]);
        for (size_t k = 0; k < fusion->sums.count; k++)
            fusion->parameters_before += freed_by_sum(plan, fusion->sums.items[k]);
        for (size_t k = 0; k < fusion->made.count; k++) {
            const struct node *node = fusion->made.items[k];
            for (size_t n = 0; n < node->input_count; n++)
                if (node->inputs[n] && node->inputs[n]->tensor && node->inputs[n]->is_new)
                    fusion->parameters_after += numbers_of(plan, node->inputs[n]);
        }
        /* Of an op with several results, those that were stored. */
        const struct node *maker = fusion->node ? NULL : fusion->target->first_producer;
        for (size_t k = 0; maker && k < maker->output_count; k++)
            if (maker->outputs[k] && maker->outputs[k]->tensor && !maker->outputs[k]->removed)
                fusion->parameters_after += numbers_of(plan, maker->outputs[k]);
    }
}
