/* fuse/plan.h: what one run decides: rewrites made, rewrites declined, and why. */
#ifndef FUSE_PLAN_H
#define FUSE_PLAN_H

#include "fuse/step.h"

/* A value that a move is computed from, and the axis of it along which numbers differ; -1: none. */
struct move_source {
    struct value *value;
    int axis;
};

/* A value that a rewrite reads, and the shape to try it with. */
struct trial_source {
    struct value *value;
    int rank;
    const int64_t *dims;
};

/* One rewrite that is in force: `node` makes `target` from `source` instead of the ops replaced. */
struct fusion {
    const char *pass;
    struct graph *graph;
    struct node *node; /* the new node that makes target; NULL: target became a stored constant, or: redirects */
    struct value *target, *source;      /* source NULL: a stored constant has none */
    struct value *origin;               /* not NULL: what the new node reads is a Pad of it, and it is the source */
    struct term_list terms;             /* what target is, when the file has no such value */
    LIST(const struct node *) replaced; /* nodes of the file */
    LIST(const struct node *) made;
    LIST(const struct node *) sums;                   /* of which it is a part, and took up the constants */
    double multiply_adds_before, multiply_adds_after; /* per output position of target */
    double parameters_before, parameters_after;       /* fuse/account.c: numbers of float types stored */
    double stored;                                    /* bytes of its weight */
    /* What it reads, where it is no affine form of one source: then form, layout and axes say nothing. */
    LIST(struct trial_source) sources;
    enum layout layout;
    int axes;         /* spatial axes */
    int64_t channels; /* of the source */
    int64_t outputs;  /* channels of the target */
    int32_t type;
    const struct affine *form;
    bool sized;                            /* holds for the declared input size only */
    bool moves;                            /* its ops only changed places: there is no form */
    LIST(struct move_source) move_sources; /* of a move, instead of `source` */
    LIST(struct value *) moved;            /* of a move: the values of the file that its ops make */
    bool superseded;                       /* a later rewrite replaced it as a whole */
    bool redirects;                        /* nothing was made: what read target reads source, which holds the same */
    const struct value *first_target;      /* what a ban goes by, where target took over another's name */
    double difference;                     /* of the self-check; negative: not checked */
    int64_t channels_checked;
    const char *failure; /* why the self-check does not hold, or NULL */
};

struct refusal {
    const char *pass;
    const struct graph *graph;
    const struct node *node;
    const struct value *output;
    const char *reason;
    /* False where nothing could be wanted: what the network computes there is not linear, or nothing would be saved. True
     * where a change of the model or an option would bring the rewrite, and of warnings. */
    bool counts;
};

/* Channels that keep their range for one reason. */
struct kept {
    const char *reason;
    int64_t channels;
};

/* Values that are scaled together, channel by channel, by powers of two: see equalize/equalize.h. */
struct equalized {
    const struct graph *graph;
    const struct node *node;            /* that makes the first of them */
    const struct value *value;          /* the first of them that an op with a weight reads */
    int64_t channels;                   /* of it */
    int64_t scaled;                     /* of those, with an exponent that is not 0 */
    int least, most;                    /* exponents */
    double spread_before, spread_after; /* largest range of a channel over the median */
    double before, after;               /* predicted signal to noise once quantised, in dB */
    const double *ranges;               /* of its channels, before */
    const int *exponents;               /* of its channels */
    const char *reason;                 /* why nothing is scaled, or NULL */
    LIST(struct kept) kept;             /* of its channels */
};

typedef LIST(struct equalized *) equalized_list;

/* An op whose constants equalisation scaled, and what it reads and makes. */
struct scaling {
    struct node *node;
    const int *input, *output; /* exponents of channels, NULL: not scaled */
};

/* What the walk over a graph that plan.stamp numbers left on a node. */
struct node_mark {
    double density; /* output positions per output position of the root; 0: off the data path */
    uint32_t stamp; /* of the walk that saw it last */
    bool doomed;    /* replaced, should the rewrite be made */
};

/* And on a value: each stamp is of the last walk that did it. */
struct value_mark {
    uint32_t kept;          /* it is needed anyway */
    uint32_t counted;       /* its numbers are counted */
    uint32_t listed, place; /* it is in a list, and where */
};

struct plan {
    struct model *model;
    const struct onnx_fuse_options *options;
    LIST(struct fusion *) fusions;
    LIST(struct refusal *) refusals;
    LIST(struct refusal *) warnings;           /* rewrites whose self-check failed, rules the model breaks */
    equalized_list equalized;                  /* by the run, with --equalize */
    equalized_list foreseen[2];                /* by tensor and by channel; for info */
    LIST(struct scaling) scalings;             /* ops that equalisation changed */
    struct map measured;                       /* names of values to struct measured: --statistics */
    struct map bans;                           /* key of a rewrite -> reason: never tried again in this run */
    struct map refused;                        /* pass and output -> its refusal: each is listed once */
    struct node_list candidates;               /* passes/passes.c */
    void (*ran)(struct plan *plan, int round); /* after each pass, or NULL */
    void *closure;                             /* of `ran` */
    const char *pass;                          /* the one that is running */
    uint32_t stamp;                            /* numbers the walks over the graph */
    struct memo node_marks, value_marks;       /* by node, by value */
    bool changed;                              /* by the pass that is running */
    bool full;                                 /* plan_is_full; set from the start: no rewrites at all */
    double stored;                             /* bytes of new weights in force */
    double effort;                             /* numbers looked at to read all new weights once */
};

static inline struct node_mark *plan_mark_node(struct plan *plan, const struct node *node)
{
    return memo_item(plan->model->arena, &plan->node_marks, sizeof(struct node_mark), node->index);
}
static inline struct value_mark *plan_mark_value(struct plan *plan, const struct value *value)
{
    return memo_item(plan->model->arena, &plan->value_marks, sizeof(struct value_mark), value->index);
}
/* True for the first time in a walk. */
bool plan_visits_first(struct plan *plan, const struct node *node);
bool plan_counts_first(struct plan *plan, const struct value *value);

/* True when so much memory is taken that no more rewrites are made: those in force have yet to be
 * checked and written. */
bool plan_is_full(struct plan *plan);
/* Stands for the pass in a refusal that holds for all of them. */
#define PLAN_WHOLE_MODEL "model"

/* Adds value * factor to a sum. Only values of the file can be checked against: one that a rewrite made is
 * spelled out. */
void plan_add_term(struct arena *arena, struct term_list *terms, struct value *value, double factor);

/* Lists a declined rewrite. */
void plan_refuse(struct plan *plan, const struct node *node, const struct value *output, const char *reason);
/* Refusals that count. */
size_t plan_count_refusals(const struct plan *plan);
/* The key under which a rewrite of this target can be banned: a part of a sum goes by the first value of the
 * file that it adds up, since its own name means nothing in the next plan. */
const char *plan_key(struct arena *arena, const struct graph *graph, const struct value *target);
/* Why it is banned, or NULL. */
const char *plan_banned(const struct plan *plan, const struct graph *graph, const struct value *target);

/* Enters that `node` went since its `target` holds what `source` does. Many in a row are one entry, which has the target
 * and the source of the first. */
struct fusion *plan_redirected(struct plan *plan, struct node *node, struct value *target, struct value *source);
/* Enters that `node`, a new one, makes `target` of some sources, with shapes to try it with (copied), in place of `count` nodes.
 * All values are of the file. */
void plan_rewritten(struct plan *plan, struct node *node, struct value *target, const struct trial_source *sources,
                    size_t source_count, struct node *const *replaced, size_t count);
/* Lists a node that a rewrite replaces. Where an earlier rewrite made the node, its own are listed, and it is no
 * longer a rewrite of its own. */
void fusion_adopt(struct plan *plan, struct fusion *fusion, const struct node *node);

/* True for a rewrite that is still in force. */
bool fusion_is_live(const struct fusion *fusion);

/* True for a rewrite that is still in force, and for a move: what it has shown, others rely on. */
bool fusion_is_checked(const struct fusion *fusion);

/* What a rewrite replaced, in the file's order, whatever order the walk found it in. */
const struct node **fusion_replaced(const struct plan *plan, const struct fusion *fusion);

#endif
