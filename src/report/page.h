/* report/page.h: a page around its JSON. */
#ifndef REPORT_PAGE_H
#define REPORT_PAGE_H

#include "base/json.h"
#include "base/map.h"

/* Limits of a page; it says if it omits something. */
enum {
    HTML_NODES = 40,      /* nodes drawn on one side of a picture */
    HTML_GROUPS = 60,     /* pictures on a page, equal ones counted once */
    HTML_TITLES = 400,    /* further ones, only named */
    HTML_BLOCKS = 600,    /* blocks, equal or not, that are listed and can be drawn */
    HTML_PLACES = 60,     /* places listed for one reason */
    HTML_REASONS = 100,   /* reasons */
    HTML_OVERVIEW = 6000, /* ops in the overview, of all graphs */
    HTML_EDGES = 24000,   /* lines between them */
    HTML_OVERVIEWS = 60,  /* graphs in the overview */
    HTML_PLOTS = 60,      /* plots of weights */
    HTML_BARS = 1000,     /* bars of a plot of values along the way */
    HTML_LINES = 400,     /* other changes, of those that count and of those that do not */
    HTML_STRING = 300,    /* bytes of one string */
    HTML_LISTED = 2000,   /* changes in the text for browsers without scripts */
    HTML_LISTING = 100000 /* bytes of the text for browsers without scripts */
};

/* The JSON of a page under construction. Each string of pictures is stored once. */
struct page {
    struct arena *arena;
    struct json json;
    struct map seen;
    LIST(const char *) strings;
    size_t blocks; /* listed so far */
};

/* Opens the object that the page's script reads. The next member begins a line. */
struct page page_begin(struct arena *arena, const char *kind);
/* A string, cut at HTML_STRING bytes; NULL is "". */
void page_text(struct page *page, const char *key, const char *string);
/* The same stored once: its index in the list of all strings. */
void page_index(struct page *page, const char *key, const char *string);

/* Completes the page with the strings and the end. listing: text for browsers without scripts. */
const char *page_finish(struct page *page, const char *title, const char *listing);

#endif
