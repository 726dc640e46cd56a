/* report/equalized.h: what equalisation did, as lines and as JSON. */
#ifndef REPORT_EQUALIZED_H
#define REPORT_EQUALIZED_H

#include "base/text.h"
#include "fuse/plan.h"

/* One line for each group of values whose channels were scaled. */
void equalized_lines(struct text *text, const struct plan *plan);
/* `"NAME": [...]`: all groups that could be scaled, the one with the most noise first. */
void equalized_json(struct text *text, const char *name, const equalized_list *groups);
/* The groups with the most noise, before and after. */
void equalized_foreseen(struct text *text, const char *grain, const equalized_list *groups);

#endif
