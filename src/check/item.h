/* check/item.h: the values that a check evaluates, and their numbers. */
#ifndef CHECK_ITEM_H
#define CHECK_ITEM_H

#include "check/check.h"
#include "eval/array.h"

enum {
    SAMPLE = 8 /* channels of a sample, at most */
};

enum wanted { WANTED_NOT, WANTED_SAMPLE, WANTED_ALL };

/* A value of one side. */
struct item {
    const struct value *value;
    const struct node *node;  /* NULL for the source, for stored constants, and for: */
    const struct term *terms; /* the summands of a rewrite of another part of the sum */
    const struct tensor *stored;
    size_t output;        /* which output of the node */
    struct item **inputs; /* input_count, NULL where left out */
    size_t input_count;   /* of the node, or terms */
    size_t next_input;    /* for the walk */
    size_t place;         /* in the side's order */
    bool is_source;       /* or one of its summands, if a rewrite made it: */
    double share;         /* the term's share of the source, without the constants among the terms; otherwise 0 */
    bool is_number;       /* another part of the sum: replaced by one random number */
    bool in_sum;          /* found on the way from the file's sum to its parts */
    bool is_done;         /* the walk has left it */
    bool is_evaluated;    /* a constant: once for all trials */
    bool varies;          /* depends on the source */
    bool is_whole;        /* all channels are computed, otherwise the sample */
    enum wanted wanted;
    size_t readers; /* number of evaluations that read the array */
    size_t left;    /* number of those that are still to come */
    struct array *array;
};

struct item_map {
    struct item **items;
    size_t count, room;
};

struct value_list {
    const struct value **items;
    size_t count, room;
};

struct trial {
    struct arena *arena;
    struct pool pool;
    const struct check_case *check;
    struct array **inputs;   /* one for each source */
    const struct value *sum; /* computed by both sides: a value of the file, or a sum of such values */
    struct value_list parts; /* of the sum, each replaced by a number */
    bool perturbs;           /* constants are changed by their rounding error */
    uint64_t state;          /* of the random numbers for that */
    int64_t kept;            /* elements of stored weights that stay between trials */
    bool samples;            /* otherwise every channel is evaluated */
    int64_t sample[SAMPLE];  /* ascending */
    int64_t sample_count;
};

struct side {
    struct trial *trial;
    bool is_file; /* follows first_producer */
    struct item_map map;
    LIST(struct item *) order; /* inputs before readers */
    struct item *root;         /* trial.sum */
};

/* True for Add, Sub, Sum and Mean. */
bool check_adds_up(const struct node *node);

/* Lists the items that trial.sum needs, inputs before readers. Call it for the new side first: it finds trial.parts.
 * Returns NULL, or the reason why it cannot be evaluated. */
const char *check_list(struct side *side);

/* The random numbers of a source. */
struct array *check_input(struct trial *trial, const struct value *value);

/* The number that replaces a part of the sum in this trial. */
struct array *check_number(const struct trial *trial, const struct value *value);

/* The array of an item for a reader that needs the sample along one of its axes; axis -1: all. A dimension of 1
 * broadcasts and stays. *is_copy: the reader returns the array to the pool. Returns NULL, or the reason why it
 * cannot be read. */
const char *check_read(struct trial *trial, struct item *item, int axis, struct array **array, bool *is_copy);

#endif
