/* infer/inferred.h: inferred facts about a value, in model.inferred. */
#ifndef INFER_INFERRED_H
#define INFER_INFERRED_H

#include "model/model.h"

enum inferred_state { INFERRED_NOT_YET, INFERRED_IN_WORK, INFERRED_DONE };

struct inferred {
    struct tensor *constant;  /* the result of its operators on constants */
    const char *not_constant; /* or why there is none, once it was tried */
    const struct elements *elements;
    enum inferred_state constant_state, elements_state;
};

static inline struct inferred *inferred_of(const struct value *value)
{
    struct model *model = value->graph->model;
    return memo_item(model->arena, &model->inferred, sizeof(struct inferred), value->index);
}

#endif
