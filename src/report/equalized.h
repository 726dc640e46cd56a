/* report/equalized.h: the effect of equalisation, as lines and as JSON. */
#ifndef REPORT_EQUALIZED_H
#define REPORT_EQUALIZED_H

#include "base/json.h"
#include "fuse/plan.h"

/* Sorts the groups, the one with the most noise first. */
struct equalized **equalized_sorted(struct arena *arena, const equalized_list *groups);
/* One line for each group of values whose channels were scaled. */
void equalized_lines(struct text *text, const struct plan *plan);
/* "key": [...], on a line of its own: all groups that could be scaled, the one with the most noise first. */
void equalized_json(struct json *json, const char *key, const equalized_list *groups);
/* The groups with the most noise, before and after. */
void equalized_foreseen(struct text *text, const char *grain, const equalized_list *groups);

#endif
