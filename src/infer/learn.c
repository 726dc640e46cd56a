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
    if (rank < 0 || rank > SHAPE_MAX_RANK)
        return;
    if (value->rank < 0) {
        value->rank = rank;
        value->dims = NEW_ARRAY(model->arena, int64_t, rank + 1);
        for (int i = 0; i < rank; i++)
            value->dims[i] = -1;
        model->learned = true;
    }
    if (value->rank != rank)
        return;
    for (int i = 0; i < rank; i++)
        if (value->dims[i] < 0 && dims[i] >= 0) {
            value->dims[i] = dims[i];
            model->learned = true;
        }
}
