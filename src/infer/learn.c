/* infer/learn.c: what is found out about a value. */
#include "infer/learn.h"

#include "infer/window.h"
#include "model/model.h"

void shape_learn(struct value *value, int32_t type, int rank, const int64_t *dims)
{
    if (!value)
        return;
    struct model *model = value->graph->model;
    if (!value->type && type) {
        value->type = type;
        model->learned = true;
    }
    if (type && value->type != type)
        value->made_type = type;
    if (rank < 0 || rank > SHAPE_MAX_RANK)
        return;
    if (value->rank < 0) {
        value->rank = rank;
        value->dims = NEW_ARRAY(model->arena, int64_t, rank + 1);
        for (int i = 0; i < rank; i++)
            value->dims[i] = -1;
        model->learned = true;
    }
    value->stale = value->stale || value->rank != rank;
    for (int i = 0; i < rank && !value->stale; i++)
        value->stale = value->dims[i] >= 0 && dims[i] >= 0 && value->dims[i] != dims[i];
    if (value->rank != rank)
        return;
    /* Arithmetic on sizes that do not fit may go below any symbol. */
    int64_t last = -1 - (int64_t)model->multiples.count;
    for (int i = 0; i < rank; i++) {
        bool is_symbol = dims[i] < -1 && dims[i] >= last;
        if (value->dims[i] < 0 && (dims[i] >= 0 || (value->dims[i] == -1 && is_symbol))) {
            value->dims[i] = dims[i];
            model->learned = true;
        }
    }
}

/* If two extents broadcast, an unknown one is 1 or equals the other one, if that is known and not 1. */
static int64_t broadcast_extent(int64_t a, int64_t b)
{
    if (a == b || b == 1)
        return a;
    if (a == 1)
        return b;
    if (a < 0 && b < 0)
        return -1;
    return a < 0 ? b : a;
}

void shape_broadcast(int rank, int64_t *dims, int other_rank, const int64_t *other)
{
    for (int i = 0; i < other_rank; i++) {
        int64_t *dim = &dims[rank - other_rank + i];
        *dim = broadcast_extent(*dim, other[i]);
    }
}

int64_t shape_product(struct model *model, const int64_t *dims, int count)
{
    struct multiple product = {0, 1}; /* of no symbol, as long as there are numbers only */
    for (int i = 0; i < count; i++)
        if (dims[i] == 0)
            return 0;
    for (int i = 0; i < count; i++) {
        struct multiple dim = model_multiple(model, dims[i]);
        if (dims[i] == -1 || (dim.symbol && product.symbol) ||
            !multiply_fits(product.factor, dim.factor, &product.factor))
            return -1;
        product.symbol = dim.symbol ? dim.symbol : product.symbol;
    }
    return model_size(model, product);
}
