/* report/page_diff.h: a comparison as a page. */
#ifndef REPORT_PAGE_DIFF_H
#define REPORT_PAGE_DIFF_H

#include "diff/change.h"

/* The page of a comparison whose models, a and b, are still open; left, right: their names. */
const char *html_diff(struct arena *arena, const struct diff_result *result, const struct diff_options *options,
                      const struct model *a, const struct model *b, const char *left, const char *right);

#endif
