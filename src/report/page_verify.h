/* report/page_verify.h: a verdict as a page. */
#ifndef REPORT_PAGE_VERIFY_H
#define REPORT_PAGE_VERIFY_H

#include "verify/verify.h"

/* The page of a comparison whose models are still open; b is the second, left and right are their names. */
const char *html_verify(struct arena *arena, const struct verify_result *result, const struct verify_options *options,
                        const struct model *b, const char *left, const char *right);

#endif
