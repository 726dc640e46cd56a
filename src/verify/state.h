/* verify/state.h: what the files of verify share: one call of it, and the cone of a value. */
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
    int32_t span, scale;     /* input extent that reaches every tap on the way, and its stride */
    bool departs;            /* a value of the second model that is not what the first has under its name */
};

enum finding { FOUND_NOTHING, FOUND_EQUAL, FOUND_DIFFERENT };

struct verify {
    struct arena *arena;
    struct arena *cones; /* scratch, emptied for each value */
    const struct verify_options *options;
    struct verify_result *result;
    struct numbering numbering;
    struct value **outputs[2]; /* of each model, those that belong together at one index; NULL: nothing makes it */
    size_t output_count;
    struct same **left; /* values of the first model by number */
    struct mark *marks; /* by number */
    size_t room;        /* of both */
    uint32_t walk;      /* stamp of `walked` */
    double visits;      /* nodes walked in all cones so far */
    double compared;    /* pairs compared, and one for 64 elements */
    double steps_most;  /* of all that: verify_is_spent */

    struct joint_eval searching; /* where the first model is searched */
    struct {
        struct value **items;
        size_t count, room;
    } found;                    /* values of the first model whose readers are searched */
    size_t searched;            /* of `found`: done */
    size_t budget;              /* nodes the search may still evaluate */
    uint32_t search;            /* stamp of `queued` */
    int vain;                   /* searches that found nothing */
    size_t reached, granted;    /* the most nodes that one which found something took; as `budget` began */
    int failures;               /* values in a row for which nothing was found */
    struct joint_eval checking; /* where pairs are tried again */
    struct map functions;       /* compared before, by both: struct outcome */
    bool departed;              /* the last value's hint holds other numbers */
    bool unresolved;            /* a value departed from its hint and nothing else is equal to it */
    enum finding glance;        /* of both whole models at a departure */
    bool has_glanced;           /* once says it: FOUND_NOTHING too */
    bool differs;               /* outputs that should be equal are not */
    const char *blocker;        /* why the first value that could not be evaluated could not */
    /* Numbers of values that are drawn, on the way to the graph's inputs: nobody evaluates what makes them. */
    uint32_t closed[8];
    size_t closed_count;
};

/* What lies between a value of the second model and the values before it that are equal. */
struct cone {
    struct arena *arena;
    LIST(struct value *) sources;
    LIST(const struct node *) nodes;
    LIST(struct graph *) bodies;             /* any may run; a branch that never does is not compared */
    LIST(uint32_t) opened;                   /* numbers of equal values that are computed instead of drawn */
    bool opens_all;                          /* down to the graph's inputs */
    bool ends_early;                         /* at the first equal values */
    bool saturates;                          /* an operator that hides differences for some inputs */
    bool asks_finite;                        /* an operator asks which numbers are not finite */
    bool draws_integers;                     /* a source holds integers */
    int64_t rows;                            /* of the longest constant that Gather takes elements of, or 0 */
    LIST(int64_t) constants;                 /* integers that are asked for */
    bool draws_runs;                         /* one behind the other, as they stand there */
    LIST(const ProtobufCBinaryData *) texts; /* that are asked for */
    LIST(uint32_t) trips;                    /* numbers of what says how often a Loop runs */
    int32_t type;                            /* the coarsest float type of its constants and sources, or 0 */
    enum { LAYOUT_NONE, LAYOUT_IMAGE, LAYOUT_ROWS } layout;
    int64_t span;               /* input extent that reaches every tap, per axis */
    int64_t stride;             /* windows' steps, multiplied along the way: what a size leaves as rest counts */
    int64_t extents[EVAL_RANK]; /* that bounds of slices ask for, by axis of what is sliced */
    int64_t fixed[EVAL_RANK];   /* that constants which broadcast have, by axis from the last on */
    int64_t length;             /* of the longest constant that is cut to a computed length, or 0 */
    bool moves;                 /* an operator gives axes another place */
    bool by_size;               /* an operator asks for the size of what it reads */
    const struct cone *from;    /* whose sources it has, or NULL: it looks for its own */
};

enum {
    TEXTS_MOST = 256, /* that are asked for; with more, none is drawn */
    CONE_MOST = 4000, /* nodes between a value and its sources */
    HINT_MOST = 4000, /* nodes of the first model that lead to a hint */
    /* Sizes of inputs to try until the operators accept one: small, larger, all alike and halved as often
     * as networks do, as the models declare it. */
    CONE_SIZES = 4,
    CONE_SIZE_EVEN = 2
};

enum {
    SPAN_LINE = 8192, /* the most that is reached along one axis */
    SPAN_PLANE = 160  /* along each of two */
};

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The nodes between `root` and its sources: values that graph `left` has as well, constants and
 * inputs. Returns NULL, or the reason why not. Attempt 0 has as few sources as can be: random
 * numbers for each of several would contradict one another where one is made of the other, and
 * their shapes might not agree. Attempt 1 ends at the first equal values: what is before them may
 * be an operator nobody evaluates. Attempt 2 ends at the graph's inputs only: what is between may
 * have no known shape. Attempt 3 ends at the first equal values that are not made of one another.
 * The cone before is forgotten. */
enum { CONE_ATTEMPTS = 4 };

/* What sources are drawn by. */
struct drawing {
    int trial;         /* which numbers */
    int size, stretch; /* which of the sizes, and how the axes are unlike: a trial's number */
    enum integers integers;
    bool every_row; /* integers are all rows of the cone's constants, in order */
    bool is_long;   /* axis `axis` is as long as the cone's longest constant that is cut; all but the
                       first where that is -1 */
    int axis;
};

#endif
