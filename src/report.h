/* report.h: what a run did, as JSON, as lines and as a table. */
#ifndef REPORT_H
#define REPORT_H

#include "plan.h"
#include "text.h"

/* What a model weighs, before or after. */
struct census {
    struct census_entry {
        const char *type;
        size_t count;
    } * by_type; /* sorted by name; Constant is not counted */
    size_t type_count;
    size_t ops;
    double parameters;
    double multiply_adds; /* negative: some shape is not known */
    uint64_t bytes;
};

/* Counts the nodes and constants that are in force now. */
void census_take(struct model *model, uint64_t bytes, struct census *census);
/* Ops of a type; 0 where there is none. */
size_t census_count(const struct census *census, const char *type);

struct summary {
    const char *input, *output; /* as the caller named them */
    bool changed;
    struct census before, after;
    double seconds;
};

const char *report_json(const struct plan *plan, const struct summary *summary);
const char *report_explanation(const struct plan *plan, const struct summary *summary);
const char *report_table(const struct plan *plan, const struct summary *summary);

/* True for a rewrite that is still in force. */
bool fusion_is_live(const struct fusion *fusion);

/* ---- parts, for others who tell of a plan ---- */

/* What a rewrite replaced, in the file's order, whatever order the walk found it in. */
const struct node **fusion_replaced(const struct plan *plan, const struct fusion *fusion);
/* The fields of a rewrite, without the braces around them. */
void report_json_fusion(struct text *text, const struct plan *plan, const struct fusion *fusion);
/* "name": {...} */
void report_json_census(struct text *text, const char *name, const struct census *census);
/* "3 Conv, 3 BatchNormalization, 2 Add", in the file's order */
void report_ops(struct text *text, const struct plan *plan, const struct fusion *fusion);
/* The table without the time. */
void report_table_rows(struct text *text, const struct plan *plan, const struct summary *summary);
/* Of the rewrites in force; negative: none was checked. */
double report_largest_difference(const struct plan *plan);
/* 12345678 as "12 345 678"; negative: "unknown" */
const char *report_grouped(struct arena *arena, double number);

#endif
