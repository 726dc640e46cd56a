/* report/text.h: the report of a run, as JSON, as lines and as a table. */
#ifndef REPORT_TEXT_H
#define REPORT_TEXT_H

#include "fuse/plan.h"
#include "infer/census.h"

struct sized_input {
    const char *name;
    int rank;
    int64_t *dims;
};

struct symbol_size {
    const char *name;
    int64_t size;
};

/* The requested changes of a model's inputs and outputs. */
struct interface {
    LIST(const char *) frozen;  /* initializers that are no longer inputs */
    LIST(const char *) outputs; /* removed outputs */
    size_t ops;                 /* number of ops that only those needed */
    LIST(struct sized_input) inputs;
    LIST(struct symbol_size) symbols; /* symbols that became numbers */
};

struct summary {
    const char *input, *output; /* as the caller named them */
    bool changed;
    struct interface interface;
    struct census before, after;
    double seconds;
};

const char *report_json(const struct plan *plan, const struct summary *summary);
const char *report_explanation(const struct plan *plan, const struct summary *summary);
const char *report_table(const struct plan *plan, const struct summary *summary);
/* "22 blocks fused, 169 -> 47 ops", or "nothing to fuse" and why. */
const char *report_sentence(const struct plan *plan, const struct summary *summary);

/* ---- parts for other reports of a plan ---- */

/* The fields of a rewrite, without the braces around them. */
void report_json_fusion(struct json *json, const struct plan *plan, const struct fusion *fusion);

/* The changes of inputs and outputs, one per line; "" if there are none. */
const char *report_interface(struct arena *arena, const struct interface *interface);

/* "3 Conv, 3 BatchNormalization, 2 Add", in the file's order */
void report_ops(struct text *text, const struct plan *plan, const struct fusion *fusion);
/* The table without the time. */
void report_table_rows(struct text *text, const struct plan *plan, const struct summary *summary);
/* The largest difference of the present rewrites; negative: none was checked. */
double report_largest_difference(const struct plan *plan);

#endif
