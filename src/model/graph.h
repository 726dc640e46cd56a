/* model/graph.h: the index of a model: values by name, with their producers and readers.
 *
 * One struct graph per ONNX scope: the main graph, each subgraph of If, Loop, Scan, and each
 * local function. A scope sees the values of the scopes around it. Only model/edit.c changes an index after
 * graph_build, so an index never becomes stale. The original stays readable: a replaced node keeps its inputs and
 * outputs, a changed node keeps those of the file in node.filed, and value.first_producer is the producer in the
 * file. */
#ifndef MODEL_GRAPH_H
#define MODEL_GRAPH_H

#include "base/map.h"
#include "model/operator.h"
#include "model/tensor.h"

struct fusion;
struct term_list;

struct graph;
struct node;
struct model;

struct use {
    struct node *reader; /* in the value's own graph: the reader, or the node that holds it */
    struct node *inner;  /* the reader itself, perhaps inside a body of `reader` */
    struct use *next;
    uint32_t index; /* which input of `inner` */
};

struct node_list {
    struct node **items;
    size_t count, room;
};

struct graph {
    struct model *model;
    struct graph *parent;                /* NULL for the main graph and for functions */
    struct node *owner;                  /* the node whose attribute this graph is, or NULL */
    const Onnx__GraphProto *proto;       /* NULL for a function */
    const Onnx__FunctionProto *function; /* NULL for a graph */
    const char *name;                    /* for reports: "main", "function NAME", "NODE.ATTRIBUTE" */
    int64_t opset;                       /* of the default domain; 0 when not imported */
    struct map values;
    struct node **nodes; /* in the file's order */
    size_t node_count;
    struct node_list order;     /* topological, of the file's nodes */
    struct node_list new_nodes; /* in the order they were made */
    LIST(struct value *) new_initializers;
    /* Those of the file that have a name, in its order, sparse ones behind; removed ones too. */
    LIST(struct value *) initializers;
    bool changed; /* this graph itself; bodies have their own flag */
    bool was_run; /* eval/graph.c: since somebody cleared it */
};

struct value {
    const char *name;
    struct graph *graph;
    uint32_t index;              /* dense, in the model: for a struct memo of whoever keeps something of it */
    struct node *producer;       /* NULL: input, initializer, or unknown to this model */
    struct node *first_producer; /* the producer in the file; for a new value of a move, the move's node, which
                                    defines it */
    struct node *moved_producer; /* a move has shown that this node computes it too; or NULL */
    struct use *uses;            /* including removed readers: use value_use_count */
    struct tensor *tensor;       /* initializer, or the value of a Constant node; else NULL */
    bool is_input;               /* listed among the inputs of its graph */
    bool is_output;              /* listed among the outputs of its graph */
    bool is_initializer;
    bool is_annotated;     /* named by a quantization_annotation */
    bool is_new;           /* made by a rewrite: not in the file */
    bool removed;          /* by model/edit.c: nothing mentions it any more */
    bool is_withheld;      /* by model/edit.c: an output of the main graph in the file, and no more */
    bool is_sized;         /* by model/edit.c: an input whose sizes are the caller's */
    int32_t made_type;     /* what its operator makes, where the file declares another type; else 0 */
    bool stale;            /* declared of another shape than its inputs give it: runtimes go by these */
    bool disputed;         /* runtimes disagree on its spatial sizes, whatever the file declares */
    struct fusion *fusion; /* the rewrite that made its producer, or NULL */
    /* Of a value that a rewrite made: what it adds up, in values of the file. NULL: it is no such sum. */
    const struct term_list *terms;
    struct value *same;  /* model/edit.c: what its readers read instead of it, or NULL */
    struct value *taken; /* model/edit.c: whose maker makes it now, or NULL */

    /* What shape inference knows. type 0 and rank -1 mean unknown; a dim of -1 is unknown. Below that it is a
     * symbol: a size that the main graph's inputs do not tell; of one name it is one size. */
    int32_t type;
    int rank;
    int64_t *dims;
};

/* What a node of the file read and made there. */
struct node_ends {
    struct value **inputs, **outputs;
};

struct node {
    const Onnx__NodeProto *proto;
    struct graph *graph;
    struct value **inputs;         /* NULL where an optional input is left out */
    struct value **outputs;        /* NULL where an optional output is left out */
    struct graph **bodies;         /* one per subgraph attribute, in attribute order */
    const struct node_ends *filed; /* model/edit.c: in the file, where that was another; else NULL */
    /* Counts: a message has less than 2^31 of anything, and there are many nodes. */
    uint32_t input_count, output_count, body_count;
    uint32_t position; /* index in the file; a new node stands where its last replaced op stood */
    uint32_t depth;    /* longest path from the graph's inputs, in nodes: independent of file order */
    uint32_t sequence; /* new nodes: in the order they were made */
    uint32_t index;    /* dense, in the model: for a struct memo of whoever keeps something of it */
    enum op op;        /* OP_UNKNOWN: left alone */
    bool removed;
    bool is_new;
    int64_t opset; /* of the operator's domain; 0 when not imported */
};

/* Builds the index of every graph of the model: model->graphs, outer before inner. Lands with INVALID_MODEL on a
 * cycle or a value with two producers. The cost is nearly linear in the nodes. */
void graph_build(struct model *model);

/* The value with this name in this graph. *old: whether it existed; otherwise it is created. The name is borrowed. */
struct value *graph_value(struct graph *graph, const char *name, bool *old);
/* True if any graph of the model has a value with this name. */
bool graph_has_name(const struct model *model, const char *name);

/* A constant's type and shape are those of its tensor: completely known, so shape inference never writes to it. */
void value_takes_shape(struct value *value, const struct tensor *tensor);

/* The value a name refers to in this scope or one around it, or NULL. */
struct value *graph_find(const struct graph *graph, const char *name);

/* The unique key of a local function and its calls. */
const char *graph_function_key(struct arena *arena, const char *domain, const char *name, const char *overload);

bool use_is_live(const struct use *use);
/* Readers that are not removed, each input of a node counted. A graph output does not count. */
size_t value_use_count(const struct value *value);
/* True if the value has readers or is a graph output; false for NULL. */
bool value_is_needed(const struct value *value);
/* The only reader, if there is exactly one use and the value is not a graph output and has no quantization
 * annotation; otherwise NULL. */
struct node *value_only_reader(const struct value *value);

/* Attributes by name, with defaults. A reference attribute of a function body is never found:
 * callers ask node_has_references first. */
const Onnx__AttributeProto *node_attribute(const struct node *node, const char *name);
int64_t node_integer(const struct node *node, const char *name, int64_t otherwise);
double node_float(const struct node *node, const char *name, double otherwise);
const char *node_string(struct arena *arena, const struct node *node, const char *name, const char *otherwise);
/* The integers of an attribute, or NULL if it is absent; *count is their number. */
const int64_t *node_integers(const struct node *node, const char *name, size_t *count);
/* True when an attribute refers to an attribute of the function around the node. */
bool node_has_references(const struct node *node);

static inline struct value *node_input(const struct node *node, size_t index)
{
    return index < node->input_count ? node->inputs[index] : NULL;
}
static inline struct value *node_output(const struct node *node, size_t index)
{
    return index < node->output_count ? node->outputs[index] : NULL;
}

/* The same as the file has them. */
static inline struct value *node_filed_input(const struct node *node, size_t index)
{
    return node->filed ? node->filed->inputs[index] : node->inputs[index];
}
static inline struct value *node_filed_output(const struct node *node, size_t index)
{
    return node->filed ? node->filed->outputs[index] : node->outputs[index];
}
/* True if the value is defined in terms of the file: it is in the file, or a move defined it. */
static inline bool value_is_told(const struct value *value)
{
    return !value->is_new || value->first_producer;
}

struct multiple;
/* The meaning of a size in value.dims: a number or a symbol. */
struct multiple model_multiple(const struct model *model, int64_t size);
/* A multiple as a size: of the same ones the same. -1: it is of a symbol, and its factor is not above 0. */
int64_t model_size(struct model *model, struct multiple multiple);

/* The value that replaces this one now. */
static inline struct value *value_now(struct value *value)
{
    while (value->same)
        value = value->same;
    return value;
}

/* Outputs of a graph by position; NULL for what is not there. */
size_t graph_output_count(const struct graph *graph);
struct value *graph_output(const struct graph *graph, size_t index);
/* Input values, NULL if omitted. */
struct value_reads {
    struct value **items;
    size_t count, room;
};
/* Adds the values of the graphs around a body that it reads or gives out, bodies inside it included, in the
 * order they are read; one that is read often is there as often. */
void graph_captures(struct arena *arena, const struct graph *body, struct value_reads *captures);

/* Inputs of a graph by position. */
size_t graph_input_count(const struct graph *graph);
struct value *graph_input(const struct graph *graph, size_t index);

/* True if the order of operands does not matter. */
bool node_commutes(const struct node *node);

/* The number of inputs without omitted ones at the end. */
size_t node_input_end(const struct node *node);
/* True if the value is a constant that callers cannot override, stored or from a Constant node. */
bool value_is_stored(const struct value *value);

/* True for an operator that draws random numbers: two equal nodes give different results. */
bool node_draws(const struct node *node);

#endif
