/* report/page_fuse.h: a run as a page. */
#ifndef REPORT_PAGE_FUSE_H
#define REPORT_PAGE_FUSE_H

#include "report/text.h"

/* Copies the data of replaced nodes that a page needs, before the model's file is closed. */
void html_keep(const struct plan *plan);

/* The page of a run, NUL-terminated, in the arena of its model. */
const char *html_fuse(const struct plan *plan, const struct summary *summary);

#endif
