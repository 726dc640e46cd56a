/* fuse/plan.h: the decisions of one run: rewrites made, rewrites refused, and why. */
#ifndef FUSE_PLAN_H
#define FUSE_PLAN_H

#include "fuse/step.h"

/* A value from which a move is computed, and the axis along which its numbers differ; -1: none. */
struct move_source {
    struct value *value;
    int axis;
};

/* An input of a rewrite, and the shape to check it with. */
struct trial_source {
    struct value *value;
    int rank;
    const int64_t *dims;
};

/* One remaining rewrite: `node` computes `target` from `source` instead of the replaced ops. */
struct fusion {
    const char *pass;
    struct graph *graph;
    struct node *node; /* the new node that makes target; NULL: target became a stored constant, or: redirects */
    struct value *target, *source;      /* source NULL: a stored constant has none */
    struct value *origin;               /* not NULL: the new node reads a Pad of it, and it is the source */
    struct term_list terms;             /* the summands of target, if the file does not have it */
    LIST(const struct node *) replaced; /* nodes of the file */
    LIST(const struct node *) made;
    LIST(const struct node *) sums;                   /* of which it is a part, and whose constants it includes */
    double multiply_adds_before, multiply_adds_after; /* per output position of target */
    double parameters_before, parameters_after;       /* fuse/account.c: numbers of float types stored */
    double stored;                                    /* bytes of its weight */
    /* Its inputs, if it is not an affine form of one source; then form, layout and axes are unset. */
    LIST(struct trial_source) sources;
    enum layout layout;
    int axes;         /* spatial axes */
    int64_t channels; /* of the source */
    int64_t outputs;  /* channels of the target */
    int32_t type;
    const struct affine *form;
    bool sized;                            /* exact for the declared input size only */
    bool moves;                            /* its ops only moved: there is no form */
    LIST(struct move_source) move_sources; /* of a move, instead of `source` */
    LIST(struct value *) moved;            /* of a move: the values of the file that its ops compute */
    bool superseded;                       /* a later rewrite replaced it as a whole */
    bool redirects;                        /* no new op: readers of target read the equal value source */
    const struct value *first_target;      /* the key of a ban, if target took over another name */
    double difference;                     /* of the self-check; negative: not checked */
    int64_t channels_checked;
    const char *failure; /* why the self-check failed, or NULL */
};

struct refusal {
    const char *pass;
    const struct graph *graph;
    const struct node *node;
    const struct value *output;
    const char *reason;
    /* False if no user could want the rewrite: the network is not linear there, or nothing would be saved. True if a
     * change of the model or an option would allow it, and for warnings. */
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

/* An op whose constants equalisation scaled, with its input and output. */
struct scaling {
    struct node *node;
    const int *input, *output; /* exponents of channels, NULL: not scaled */
};

/* Marks of a walk over a graph on a node; plan.stamp numbers the walks. */
struct node_mark {
    double density; /* output positions per output position of the root; 0: off the data path */
    uint32_t stamp; /* of the walk that saw it last */
    bool doomed;    /* replaced if the rewrite is made */
};

/* And on a value: each stamp is that of the last walk. */
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

/* True if no more rewrites are made, because the present ones still need memory for their check and output. */
bool plan_is_full(struct plan *plan);
/* Replaces the pass in a refusal that applies to all passes. */
#define PLAN_WHOLE_MODEL "model"

/* Adds value * factor to a sum. The check needs values of the file, so the value of a rewrite is expanded. */
void plan_add_term(struct arena *arena, struct term_list *terms, struct value *value, double factor);

/* Lists a refused rewrite. */
void plan_refuse(struct plan *plan, const struct node *node, const struct value *output, const char *reason);
/* The number of refusals that count. */
size_t plan_count_refusals(const struct plan *plan);
/* The key for banning a rewrite of this target. For a part of a sum, it is the first value of the file that it adds,
 * because its own name is meaningless in the next plan. */
const char *plan_key(struct arena *arena, const struct graph *graph, const struct value *target);
/* Why it is banned, or NULL. */
const char *plan_banned(const struct plan *plan, const struct graph *graph, const struct value *target);

/* Records that `node` was removed because its `target` equals `source`. Consecutive ones share an entry, with the
 * target and source of the first. */
struct fusion *plan_redirected(struct plan *plan, struct node *node, struct value *target, struct value *source);
/* Records that the new `node` computes `target` from several sources, with shapes to check it with (copied), instead
 * of `count` nodes. All values are of the file. */
void plan_rewritten(struct plan *plan, struct node *node, struct value *target, const struct trial_source *sources,
                    size_t source_count, struct node *const *replaced, size_t count);
/* Lists a node that a rewrite replaces. If an earlier rewrite made the node, lists the nodes that it replaced, and
 * it is no longer a separate rewrite. */
void fusion_adopt(struct plan *plan, struct fusion *fusion, const struct node *node);

/* True for a remaining rewrite. */
bool fusion_is_live(const struct fusion *fusion);

/* True for a rewrite that is still in force, and for a move: what it has shown, others rely on. */
bool fusion_is_checked(const struct fusion *fusion);

/* What a rewrite replaced, in the file's order, whatever order the walk found it in. */
const struct node **fusion_replaced(const struct plan *plan, const struct fusion *fusion);

#endif
