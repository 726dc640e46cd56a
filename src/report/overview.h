/* report/overview.h: whole graphs, drawn small: each op is a box that may carry a mark. */
#ifndef REPORT_OVERVIEW_H
#define REPORT_OVERVIEW_H

#include "base/memo.h"
#include "model/model.h"
#include "report/page.h"

/* The marks of nodes: a number each, by node->index; 0: none. */
struct overview_marks {
    struct arena *arena;
    struct memo numbers;
};

/* A node keeps its first mark. */
void overview_mark(struct overview_marks *marks, const struct node *node, int64_t number);

/* "key": [{"graph": NAME, "ops": [[op, name, mark, maker of an input, ...], ...], "left_out": OPS, "lines_left_out": LINES},
 * ...]: the graphs as the file has them, without Constants. op and name are indices of strings. Input and output values
 * have the op "". A maker is an index of this list, and precedes its readers. */
void overview_json(struct page *page, const char *key, const struct model *model, const struct overview_marks *marks);

#endif
