/* verify/state.h: shared by the files of verify: the state of one call, and the cone of a value. */
#ifndef VERIFY_STATE_H
#define VERIFY_STATE_H

#include "match/key.h"
#include "verify/joint.h"
#include "verify/verify.h"

/* Values of the first model that hold one number, in the order they were numbered. */
struct same {
    struct value *value;
    struct same *next;
};

/* Notes on a number, each valid while its stamp is the current one. */
struct mark {
    uint32_t walked, queued; /* stamps: by collect, by the search */
    int32_t span, scale;     /* input extent that reaches every tap on the path, and its stride */
    bool departs;            /* a value of the second model that differs from the one with its name in the first */
};

enum finding { FOUND_NOTHING, FOUND_EQUAL, FOUND_DIFFERENT };

struct verify {
    struct arena *arena;
    struct arena *cones; /* scratch, emptied for each value */
    const struct verify_options *options;
    struct verify_result *result;
    struct numbering numbering;
    struct value **outputs[2]; /* of each model, pairs at one index; NULL: no producer */
    size_t output_count;
    struct same **left; /* values of the first model by number */
    struct mark *marks; /* by number */
    size_t room;        /* of both */
    uint32_t walk;      /* stamp of `walked` */
    double visits;      /* nodes walked in all cones so far */
    double compared;    /* compared pairs, plus one per 64 elements */
    double steps_most;  /* limit of all steps: verify_is_spent */

    struct joint_eval searching; /* where the first model is searched */
    struct {
        struct value **items;
        size_t count, room;
    } found;                    /* values of the first model whose readers are searched */
    size_t searched;            /* of `found`: done */
    size_t budget;              /* nodes the search may still evaluate */
    uint32_t search;            /* stamp of `queued` */
    int vain;                   /* searches that found nothing */
    size_t reached, granted;    /* the most nodes that a successful search took; the initial `budget` */
    int failures;               /* consecutive values without an equal one */
    struct joint_eval checking; /* where pairs are tried again */
    struct map functions;       /* compared before, by both: struct outcome */
    bool departed;              /* the last value differs from its hint */
    bool unresolved;            /* a value differs from its hint and equals no other value */
    enum finding glance;        /* quick run of both whole models at a difference */
    bool has_glanced;           /* glance is set, even to FOUND_NOTHING */
    bool differs;               /* outputs that should be equal are not */
    const char *blocker;        /* why the first value without an evaluation could not be evaluated */
    /* Numbers of values that are drawn at random on the path to the graph's inputs, because their producers cannot
     * be evaluated. */
    uint32_t closed[8];
    size_t closed_count;
};

/* The nodes between a value of the second model and the equal values before it. */
struct cone {
    struct arena *arena;
    LIST(struct value *) sources;
    LIST(const struct node *) nodes;
    LIST(struct graph *) bodies;             /* any may run; a branch that never does is not compared */
    LIST(uint32_t) opened;                   /* numbers of equal values that are computed instead of drawn */
    bool opens_all;                          /* down to the graph's inputs */
    bool ends_early;                         /* at the first equal values */
    bool saturates;                          /* an operator that hides differences for some inputs */
    bool asks_finite;                        /* an operator tests for infinity or NaN */
    bool draws_integers;                     /* a source holds integers */
    int64_t rows;                            /* of the longest constant from which Gather selects, or 0 */
    LIST(int64_t) constants;                 /* integers that operators compare with */
    bool draws_runs;                         /* in sequence, as in the constant */
    LIST(const ProtobufCBinaryData *) texts; /* that are asked for */
    LIST(uint32_t) trips;                    /* numbers of what says how often a Loop runs */
    int32_t type;                            /* the coarsest float type of its constants and sources, or 0 */
    enum { LAYOUT_NONE, LAYOUT_IMAGE, LAYOUT_ROWS } layout;
    int64_t span;               /* input extent that reaches every tap, per axis */
    int64_t stride;             /* product of the strides of windows on the path: the remainder of a size matters */
    int64_t extents[EVAL_RANK]; /* required by bounds of slices, by axis of the sliced value */
    int64_t fixed[EVAL_RANK];   /* of constants that broadcast, by axis from the last */
    int64_t length;             /* of the longest constant that is cut to a computed length, or 0 */
    bool moves;                 /* an operator moves axes */
    bool by_size;               /* an operator depends on the size of its input */
    const struct cone *from;    /* the cone whose sources it uses, or NULL: its own */
};

enum {
    TEXTS_MOST = 256, /* that operators compare with; with more, none is drawn */
    CONE_MOST = 4000, /* nodes between a value and its sources */
    HINT_MOST = 4000, /* nodes of the first model that lead to a hint */
    /* Sizes of inputs to try until the operators accept one: small, larger, equal ones that can be halved as often
     * as in networks, declared. */
    CONE_SIZES = 4,
    CONE_SIZE_EVEN = 2
};

enum {
    SPAN_LINE = 8192, /* the largest extent along one axis */
    SPAN_PLANE = 160  /* along each of two */
};

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The nodes between `root` and its sources: values that graph `left` has too, constants and inputs. Returns NULL, or
 * the reason why not. Attempt 0 has as few sources as possible: random numbers for several would contradict each
 * other if one depends on another, and their shapes might not agree. Attempt 1 ends at the first equal values,
 * because an operator before them may be unknown. Attempt 2 ends only at the graph's inputs, because the shapes
 * between may be unknown. Attempt 3 ends at the first equal values that do not depend on each other. The previous
 * cone is forgotten. */
enum { CONE_ATTEMPTS = 4 };

/* How sources are drawn. */
struct drawing {
    int trial;         /* which numbers */
    int size, stretch; /* which of the sizes, and how the axes differ: a trial's number */
    enum integers integers;
    bool every_row; /* integers are all rows of the cone's constants, in order */
    bool is_long;   /* axis `axis` is as long as the cone's longest constant that is cut; -1: all axes but the first */
    int axis;
};

#endif
