/* report/text.h: what a run did, as JSON, as lines and as a table. */
#ifndef REPORT_TEXT_H
#define REPORT_TEXT_H

#include "fuse/plan.h"
#include "infer/census.h"

struct summary {
    const char *input, *output; /* as the caller named them */
    bool changed;
    struct census before, after;
    double seconds;
};

const char *report_json(const struct plan *plan, const struct summary *summary);
const char *report_explanation(const struct plan *plan, const struct summary *summary);
const char *report_table(const struct plan *plan, const struct summary *summary);

/* ---- parts, for others who tell of a plan ---- */

/* The fields of a rewrite, without the braces around them. */
void report_json_fusion(struct json *json, const struct plan *plan, const struct fusion *fusion);

/* "3 Conv, 3 BatchNormalization, 2 Add", in the file's order */
void report_ops(struct text *text, const struct plan *plan, const struct fusion *fusion);
/* The table without the time. */
void report_table_rows(struct text *text, const struct plan *plan, const struct summary *summary);
/* Of the rewrites in force; negative: none was checked. */
double report_largest_difference(const struct plan *plan);

#endif
