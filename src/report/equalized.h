/* report/equalized.h: what equalisation did, as lines and as JSON. */
#ifndef REPORT_EQUALIZED_H
#define REPORT_EQUALIZED_H

#include "base/text.h"
#include "fuse/plan.h"

/* One line for each group of values whose channels were scaled. */
void equalized_lines(struct text *text, const struct plan *plan);
/* `"equalized": [...]`: all groups that could be, the one with the most noise first. */
void equalized_json(struct text *text, const struct plan *plan);

#endif
