/* report/text.h: what a run did, as JSON, as lines and as a table. */
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

/* What the caller wanted changed of a model's inputs and outputs. */
struct interface {
    LIST(const char *) frozen;  /* initializers that are no inputs any more */
    LIST(const char *) outputs; /* that were left out */
    size_t ops;                 /* that only those needed */
    LIST(struct sized_input) inputs;
    LIST(struct symbol_size) symbols; /* that stand for numbers now */
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

/* ---- parts, for others who tell of a plan ---- */

/* The fields of a rewrite, without the braces around them. */
void report_json_fusion(struct json *json, const struct plan *plan, const struct fusion *fusion);

/* What became of inputs and outputs, one a line; "" where nothing did. */
const char *report_interface(struct arena *arena, const struct interface *interface);

/* "3 Conv, 3 BatchNormalization, 2 Add", in the file's order */
void report_ops(struct text *text, const struct plan *plan, const struct fusion *fusion);
/* The table without the time. */
void report_table_rows(struct text *text, const struct plan *plan, const struct summary *summary);
/* Of the rewrites in force; negative: none was checked. */
double report_largest_difference(const struct plan *plan);

#endif
