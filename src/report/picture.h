/* report/picture.h: some nodes of a graph, drawn; blocks that look the same are one picture. */
#ifndef REPORT_PICTURE_H
#define REPORT_PICTURE_H

#include "model/graph.h"
#include "report/page.h"

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
/* "key": {"boxes": ...}, or null when there is none. */
void picture_json(struct page *page, const char *key, const struct picture *picture);

/* What the attributes of a node say, one a line, defaults left out; NULL-terminated. */
const char *const *picture_attributes(struct arena *arena, const struct node *node);
/* Copies the texts of a node's attributes, which lie in the file, so that it can be closed. */
void picture_keep(struct arena *arena, const struct node *node);
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

void block_add(struct arena *arena, struct block_groups *groups, const char *kind, struct picture *before,
               struct picture *after, const void *subject);

#endif
