/* diff/change.h: the differences of two models: changes, and functions that collect them. */
#ifndef DIFF_CHANGE_H
#define DIFF_CHANGE_H

#include "base/progress.h"
#include "infer/census.h"
#include "match/match.h"

/* Name in --ignore and in the formats; the same of several; whether it counts without --strict; what it is. */
#define DIFF_KINDS(X)                                                                                                  \
    X(region, "regions", true, "nodes added, removed or replaced")                                                     \
    X(attribute, "attributes", true, "an attribute of a node")                                                         \
    X(edge, "edges", true, "a node reads another value")                                                               \
    X(weight, "weights", true, "type, shape or numbers of a constant")                                                 \
    X(input, "inputs", true, "an input of the graph: name, type or shape")                                             \
    X(output, "outputs", true, "an output of the graph: name, type or shape")                                          \
    X(opset, "opsets", true, "an imported operator set")                                                               \
    X(function, "functions", true, "a local function added or removed")                                                \
    X(ir_version, "ir_version", false, "the version of the file format")                                               \
    X(dead, "dead", false, "nodes, weights, functions and operator sets that nothing needs")                           \
    X(name, "names", false, "names of nodes and temporaries")                                                          \
    X(order, "order", false, "the order of nodes, initializers, inputs or outputs")                                    \
    X(storage, "storage", false, "where and how constants are kept")                                                   \
    X(spelling, "spellings", false, "attributes that say what their absence would say")                                \
    X(shape, "shapes", false, "types and shapes noted for temporaries")                                                \
    X(doc, "docs", false, "doc strings")                                                                               \
    X(metadata, "metadata", false, "producer, version, graph name and metadata")

enum diff_kind {
#define X(name, plural, counts, purpose) DIFF_##name,
    DIFF_KINDS(X)
#undef X
        DIFF_KIND_COUNT
};

enum { DIFF_BINS = 25 };

/* How the numbers of two constants of one type and shape differ. */
struct diff_numbers {
    int64_t count, differing;
    double largest;          /* absolute difference; infinity where one is not finite */
    double largest_relative; /* to the first model's number */
    const char *first;       /* place of the first difference: "[0, 2, 1, 1]" */
    double first_left, first_right;
    /* Histogram of right - left over [-largest, largest], the numbers that are the same left out.
     * Empty when largest is infinite. */
    int64_t bins[DIFF_BINS];
};

/* One thing that changed. */
struct diff_change {
    enum diff_kind kind;
    bool counts;
    const struct graph *graph;                       /* of the first model, or of the second for what is new; NULL:
                                         the model as a whole */
    const struct node *left, *right;                 /* the node it is about, or NULL */
    const char *subject;                             /* "Conv 'conv1'", "input 'x'" */
    const char *what;                                /* "pads", "shape", "values": of the subject; "" : itself */
    const char *old_text, *new_text;                 /* NULL: was not there, is not there any more */
    const struct diff_numbers *numbers;              /* weights of one type and shape */
    const struct tensor *left_tensor, *right_tensor; /* weights */
    const struct diff_region *region;                /* DIFF_region */
    size_t more;                                     /* further unlisted changes of the kind: names, storage, ... */
    const struct diff_change *part_of;               /* the region that this is a part of, or NULL */
    size_t place, group;                             /* in the result's changes and groups */
};

/* Changes that share a line. */
struct diff_group {
    const struct diff_change *first;
    size_t count;   /* of changes similar to the first, including it */
    size_t place;   /* in the result's groups */
    bool is_hidden; /* omitted, because the list of weights is long enough */
    size_t rest;    /* in the first of those: their number */
};

struct diff_values {
    const struct value **items;
    size_t count, room;
};

/* Nodes that have no partner, connected with each other, and what they stand between. Where one side has none, nodes
 * next to them that changed take part: a BatchNormalization gone, and the weights of the Conv before it. */
struct diff_region {
    const struct graph *left_graph, *right_graph;
    struct node_list left, right;           /* in the order they compute */
    struct diff_values left_in, right_in;   /* values read from outside, no constants; 64 at most */
    struct diff_values left_out, right_out; /* values read outside, or outputs; 64 at most */
    /* What differs in nodes that have a partner, and belongs to the replacement all the same. */
    LIST(struct diff_change *) parts;
    const char *summary; /* "3 Conv + 3 BatchNormalization + 2 Add became Conv" */
    bool dead;           /* no output of the graph needs it */
};

struct diff_result {
    LIST(struct diff_change *)
    changes;                          /* by kind; weights by size, else in the order of the first model */
    LIST(struct diff_group *) groups; /* in the order of their first changes */
    size_t counted;                   /* changes that make the models different */
    size_t by_kind[DIFF_KIND_COUNT];
    size_t matched; /* pairs of nodes */
    struct census before, after;
};

struct diff_options {
    double rtol, atol;
    bool strict, colour, all;
    bool ignore[DIFF_KIND_COUNT];
    struct progress progress;
};

const char *diff_kind_name(enum diff_kind kind);
const char *diff_kind_plural(enum diff_kind kind);
const char *diff_kind_purpose(enum diff_kind kind);

/* Takes over names of kinds, NULL-terminated, NULL: none. Lands with ARGUMENT. */
void diff_ignore(struct arena *arena, struct diff_options *options, const char *const *names);

struct text;

struct differ {
    struct arena *arena;
    const struct diff_options *options;
    struct diff_result *result;
    struct numbering numbering;
    struct model *models[2];
    struct map weights; /* pairs of constants that were compared */
    struct match_table table;
};

/* Keeps a change and returns what was kept; NULL: its kind is ignored. */
struct diff_change *diff_add(struct differ *differ, const struct diff_change *change);

/* A name, and how many of it stood before. What ought to be named once and is not is compared the
 * first with the first, and so on. */
const char *diff_key(struct arena *arena, struct map *counts, const char *name);

#endif
