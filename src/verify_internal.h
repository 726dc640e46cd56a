/* verify_internal.h: what the files of verify share. Nobody but verify*.c includes it. */
#ifndef VERIFY_INTERNAL_H
#define VERIFY_INTERNAL_H

#include "joint_eval.h"
#include "verify.h"

/* Values of the first model that hold one number, in the order they were numbered. */
struct same {
    struct value *value;
    struct same *next;
};

/* Notes on a number, each valid while its stamp is the current one. */
struct mark {
    uint32_t walked, queued; /* stamps: by collect, by the search */
    int32_t span, scale;     /* input extent that reaches every tap on the way, and its stride */
};

struct verify {
    struct arena *arena;
    struct arena *cones; /* scratch, emptied for each value */
    const struct verify_options *options;
    struct verify_result *result;
    struct numbering numbering;
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
    int failures;               /* values in a row for which nothing was found */
    struct joint_eval checking; /* where pairs are tried again */
    struct map functions;       /* compared before, by both: struct outcome */
    bool departed;              /* the last value's hint holds other numbers */
    bool unresolved;            /* a value departed from its hint and nothing else is equal to it */
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
    LIST(uint32_t) opened;   /* numbers of equal values that are computed instead of drawn */
    bool opens_all;          /* down to the graph's inputs */
    bool ends_early;         /* at the first equal values */
    bool saturates;          /* an operator that hides differences for some inputs */
    bool draws_integers;     /* a source holds integers */
    int64_t rows;            /* of the longest constant that Gather takes elements of, or 0 */
    LIST(int64_t) constants; /* integers that are asked for */
    int32_t type;            /* the coarsest float type of its constants and sources, or 0 */
    enum { LAYOUT_NONE, LAYOUT_IMAGE, LAYOUT_ROWS } layout;
    int64_t span; /* input extent that reaches every tap, per axis */
    int64_t
        stride; /* windows' steps, multiplied along the way: what a size leaves as rest counts */
    int64_t extents[EVAL_RANK]; /* that bounds of slices ask for, by axis of what is sliced */
    int64_t fixed[EVAL_RANK];   /* that constants which broadcast have, by axis from the last on */
    int64_t length;             /* of the longest constant that is cut to a computed length, or 0 */
    bool moves;                 /* an operator gives axes another place */
    bool by_size;               /* an operator asks for the size of what it reads */
    const struct cone *from;    /* whose sources it has, or NULL: it looks for its own */
};

enum {
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
const char *cone_make(struct verify *verify, const struct graph *left, struct value *root,
                      int attempt, struct cone *cone);
/* True when one source is made of another. Numbers drawn for both contradict one another, so that a
 * difference shows nothing. */
bool cone_contradicts(struct verify *verify, const struct cone *cone);
/* What sources are drawn by. */
struct drawing {
    int trial;         /* which numbers */
    int size, stretch; /* which of the sizes, and how the axes are unlike: a trial's number */
    enum integers integers;
    bool every_row; /* integers are all rows of the cone's constants, in order */
    bool is_long; /* axis `axis` is as long as the cone's longest constant that is cut; all but the
                       first where that is -1 */
    int axis;
};
/* Random numbers for sources that have none yet. */
const char *cone_draw(struct verify *verify, struct joint_eval *joint, const struct cone *cone,
                      const struct graph *left, const struct drawing *drawing);
/* True when the size of a source is left open, but for the batch, or the models do not agree on it. */
bool cone_is_open(const struct verify *verify, const struct cone *cone, const struct graph *left);
/* True when not every tap can be reached by sources of a size that can be evaluated. */
bool cone_is_short(const struct verify *verify, const struct cone *cone, const struct graph *left);
/* `cone`, and what lies between its sources and a value of the first model: what either side asks of
 * the sizes and numbers drawn, the coarsest type of both. *nodes: of the first model. */
struct cone cone_join(struct verify *verify, const struct graph *left, const struct cone *cone,
                      struct value *value, size_t *nodes);

/* True when `part` of the steps that two models of this size are worth have been taken: walking,
 * evaluating, comparing. What depends on one another in many ways would take the square of it. */
bool verify_is_spent(const struct verify *verify, double part);

/* Notes on a number, whether or not there are any yet. They move when new numbers come. */
struct mark *verify_mark(struct verify *verify, uint32_t number);

/* The value of the first model that holds a number and can be seen from the graph, or NULL. */
struct value *verify_left(const struct verify *verify, uint32_t number, const struct graph *graph);
void verify_add_left(struct verify *verify, struct value *value);

/* True for a value that is drawn on the way to the graph's inputs. */
bool verify_is_closed(const struct verify *verify, uint32_t number);

/* verify_compare.c */

/* The largest relative difference, by type or by --rtol. */
double verify_tolerance(const struct verify *verify, int32_t type);
/* What a pair must keep to be taken for equal. Behind values that depart, where random numbers may
 * hide more than they show, it has to be clear. */
double verify_strict_tolerance(const struct verify *verify, int32_t type);
/* Integers are the same, unless someone asked for less. */
bool verify_within(const struct verify *verify, const struct gap *gap, double tolerance);
/* Keeps the first reason why a value could not be evaluated. */
void verify_note_blocker(struct verify *verify, const struct joint_eval *joint,
                         const struct value *value, const char *reason);
/* The kind of integers to try after `attempt` others, which not every operator took. INTEGERS_KINDS: there
 * is none. Between them, the trials see rows of tables and numbers that are none. */
enum integers verify_integers(const struct cone *cone, int trial, int attempt);
/* One evaluation of a pair on fresh numbers, at the first size from `size` on and with the first kind of
 * integers that the operators accept. `left` may be NULL: then `right` alone. Returns the reason why
 * not. */
const char *verify_evaluate(struct verify *verify, struct joint_eval *joint,
                            const struct cone *cone, const struct graph *graph, struct value *left,
                            struct value *right, int trial, int size);
/* Compares a pair on one random input of a size. What departs is evaluated once more, rounded after each
 * op: where a sum cancels, that much of a difference shows nothing. Returns the reason why not. */
const char *verify_compare(struct verify *verify, const struct cone *cone,
                           const struct graph *graph, struct value *left, struct value *right,
                           int trial, int size, struct gap *gap);
/* The same on every row of the tables that Gather takes rows of by the cone's integers. */
const char *verify_compare_rows(struct verify *verify, const struct cone *cone,
                                const struct graph *graph, struct value *left, struct value *right,
                                struct gap *gap);
/* The same where open axes are as long as the longest constant that is cut to their length. */
const char *verify_compare_length(struct verify *verify, const struct cone *cone,
                                  const struct graph *graph, struct value *left,
                                  struct value *right, struct gap *gap);

/* verify_measure.c */

/* Elements of all sources as the models declare them, or -1. What is left open, such as the batch, is
 * drawn: a few. */
double cone_declared(const struct cone *cone);
/* A pair that agreed in `searching`: more trials, each on other numbers and another size. */
bool verify_confirm(struct verify *verify, struct cone *cone, const struct graph *graph,
                    struct value *left, struct value *right, const struct gap *first);
/* Keeps the first departure. */
void verify_depart(struct verify *verify, const struct value *left, const struct value *right,
                   const struct gap *gap, const struct joint_eval *joint);

enum finding { FOUND_NOTHING, FOUND_EQUAL, FOUND_DIFFERENT };

/* Evaluates two values that should be equal on random inputs: some of them when `brief`, and then they
 * are not found to be equal. FOUND_NOTHING: they cannot be evaluated, or agree by chance perhaps. */
enum finding verify_measure(struct verify *verify, struct graph *graph, struct value *left,
                            struct value *right, bool brief);

/* verify_search.c */

/* Looks for a value of graph `left` that equals `right`. `hint`: where to look first, or NULL.
 * True: found, and `right` has its number now. */
bool verify_prove(struct verify *verify, struct graph *left, struct value *right,
                  struct value *hint);

#endif
