/* html_internal.h: what the files that make a page share. */
#ifndef HTML_INTERNAL_H
#define HTML_INTERNAL_H

#include "html.h"

/* ---- html.c: the page ---- */

/* The JSON of a page while it grows. Strings of pictures are stored once each. */
struct page {
    struct arena *arena;
    struct text json;
    struct map seen;
    LIST(const char *) strings;
    size_t blocks; /* listed so far */
};

/* The index of a string, cut at HTML_STRING bytes. NULL is "". */
size_t page_string(struct page *page, const char *string);
/* The string, cut and quoted. */
void page_json(struct page *page, const char *string);
void page_or_null(struct page *page, const char *string);

/* Puts the page together. json: begins with "{" and lacks only the strings and the end. listing: for
 * readers without scripts. */
const char *page_finish(struct page *page, const char *title, const char *listing);

/* ---- html_picture.c: some nodes of a graph, drawn ---- */

enum picture_state {
    PICTURE_PLAIN,
    PICTURE_CHANGED, /* the subject of a picture that shows its surroundings too */
    PICTURE_CONTEXT, /* around it */
    PICTURE_SOURCE,  /* a value that comes in */
    PICTURE_TARGET,  /* a value that goes out */
    PICTURE_STORED   /* a constant that a rewrite computed */
};

struct picture_box {
    enum picture_state state;
    const struct node *node;   /* NULL: a value */
    const struct value *value; /* of SOURCE, TARGET, STORED */
};

struct picture_line {
    size_t from, to; /* boxes */
    const struct value *value;
};

struct picture {
    LIST(struct picture_box) boxes;
    LIST(struct picture_line) lines;
    size_t left_out;       /* nodes that were too many to draw */
    const char *signature; /* equal for pictures that differ in names and sizes only */
};

struct picture_wish {
    bool as_filed;             /* values come from the nodes that made them in the file */
    bool context;              /* draw what stands around as nodes, not as values */
    enum picture_state state;  /* of the nodes */
    const struct value *value; /* drawn as going out, whoever reads it, or NULL */
};

struct picture *picture_make(struct arena *arena, const struct node *const *nodes, size_t count,
                             const struct picture_wish *wish);
/* A picture of one constant. */
struct picture *picture_stored(struct arena *arena, const struct value *value);
/* {"boxes": ...}, or null when there is none. */
void picture_json(struct page *page, const struct picture *picture);

/* What the attributes of a node say, one a line, defaults left out; NULL-terminated. */
const char *const *picture_attributes(struct arena *arena, const struct node *node);
/* True when the text of an attribute may lie in the file rather than in the arena. */
bool picture_borrows(const struct node *node);
/* Dims with a times sign between, "?" where not known; "" where the rank is not known. */
const char *picture_shape(struct arena *arena, int rank, const int64_t *dims);

/* ---- blocks that look the same are one picture with many members ---- */

struct block {
    struct picture *before, *after;
    const void *subject; /* struct fusion, struct diff_change, ... */
};

struct block_group {
    const char *key;
    LIST(struct block *) members;
};

struct block_groups {
    struct map by_key;
    LIST(struct block_group *) list; /* in the order of their first members */
};

/* "name": {"count": ..., "groups": [...]}. Of each group the title, how many blocks it has, and as
 * many of them as the page takes; json_block writes one. */
void block_json(struct page *page, const char *name, const struct block_groups *groups,
                void (*json_title)(struct page *, const void *closure, const struct block *),
                void (*json_block)(struct page *, const struct block *), const void *closure);

void block_add(struct arena *arena, struct block_groups *groups, const char *kind,
               struct picture *before, struct picture *after, const void *subject);

#endif
