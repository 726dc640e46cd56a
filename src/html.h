/* html.h: a run or a comparison as one HTML file that needs nothing else.
 *
 * The page holds a style, a layout library, a script (src/html/) and what they show, as JSON in an
 * element that is never executed. The script makes the pictures and tables from it, without ever
 * reading a name as markup; where scripts are off, a text stands in their place. A content security
 * policy admits the page's own scripts and style by hash and nothing from the network.
 *
 * Equal models and options give equal bytes: a page holds no time and no duration. */
#ifndef HTML_H
#define HTML_H

#include "diff.h"
#include "report.h"

/* Ends of what a page shows; it says so where something is left out. */
enum {
    HTML_NODES = 40,      /* nodes drawn on one side of a picture */
    HTML_GROUPS = 60,     /* pictures on a page, equal ones counted once */
    HTML_TITLES = 400,    /* further ones that are only named */
    HTML_BLOCKS = 600,    /* blocks, equal or not, that are listed and can be drawn */
    HTML_PLACES = 60,     /* places listed for one reason */
    HTML_REASONS = 100,   /* reasons */
    HTML_PLOTS = 60,      /* plots of weights */
    HTML_LINES = 400,     /* other changes, of those that count and of those that do not */
    HTML_STRING = 300,    /* bytes of one string */
    HTML_LISTED = 2000,   /* changes in the text for readers without scripts */
    HTML_LISTING = 100000 /* bytes of the text for readers without scripts */
};

/* Keeps what a page says of the nodes replaced beyond the closing of the model's file. */
void html_keep(const struct plan *plan);

/* The page of a run, NUL-terminated, in the arena of its model. */
const char *html_fuse(const struct plan *plan, const struct summary *summary);

/* The page of a comparison whose models are still open. */
const char *html_diff(struct arena *arena, const struct diff_result *result,
                      const struct diff_options *options, const char *left, const char *right);

#endif
