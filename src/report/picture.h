/* report/picture.h: draws nodes of a graph; blocks that look the same share a picture. */
#ifndef REPORT_PICTURE_H
#define REPORT_PICTURE_H

#include "model/graph.h"
#include "report/page.h"

enum picture_state {
    PICTURE_PLAIN,
    PICTURE_CHANGED, /* the subject of a picture that also shows its surroundings */
    PICTURE_CONTEXT, /* around it */
    PICTURE_SOURCE,  /* an input value */
    PICTURE_TARGET,  /* an output value */
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
    size_t left_out;       /* number of nodes that are not drawn */
    const char *signature; /* equal for pictures that differ in names and sizes only */
};

struct picture_wish {
    bool as_filed;             /* draw producers of the file */
    bool context;              /* draw the surroundings as nodes, not as values */
    enum picture_state state;  /* of the nodes */
    const struct value *value; /* drawn as an output, whatever its readers, or NULL */
};

struct picture *picture_make(struct arena *arena, const struct node *const *nodes, size_t count,
                             const struct picture_wish *wish);
/* A picture of one constant. */
struct picture *picture_stored(struct arena *arena, const struct value *value);
/* "key": {"boxes": ...}, or null if there is none. */
void picture_json(struct page *page, const char *key, const struct picture *picture);

/* Copies the texts of a node's attributes from the file, so that it can be closed. */
void picture_keep(struct arena *arena, const struct node *node);
/* Dims separated by a multiplication sign, "?" for an unknown size; "" if the rank is unknown. */
const char *picture_shape(struct arena *arena, int rank, const int64_t *dims);

/* ---- blocks that look the same share a picture ---- */

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

/* "name": {"count": ..., "groups": [...]}. For each group the title, the number of its blocks, and as many blocks as
 * the page shows; json_block writes one. */
void block_json(struct page *page, const char *name, const struct block_groups *groups,
                void (*json_title)(struct page *, const void *closure, const struct block *),
                void (*json_block)(struct page *, const struct block *), const void *closure);

void block_add(struct arena *arena, struct block_groups *groups, const char *kind, struct picture *before,
               struct picture *after, const void *subject);

#endif
