/* number.h: value numbering of two models side by side.
 *
 * Every value of both models gets a number; values with one number hold the same, whatever they
 * are called and wherever their nodes stand in the file. A number stands for the operator, its
 * attributes (in any order, those that spell out a default left out), the numbers of its inputs
 * (in any order where the operator does not mind) and, for a constant, the type, dims and elements.
 * Numbers are given by comparing whole keys, never by a hash alone, so equal numbers can be relied
 * on. Results of operators that draw random numbers are never the same within one model.
 *
 * A body of If, Loop or Scan is numbered with its node: its inputs stand for their positions, and
 * the number of the body is that of its outputs. So is a local function. */
#ifndef NUMBER_H
#define NUMBER_H

#include "model.h"

struct number_entry;

/* The level of functions, apart from the bodies of the main graph. */
enum { NUMBER_FUNCTION_LEVEL = 0x10000 };

struct numbering {
    struct arena *arena;
    struct model *models[2];
    bool folds;    /* what operators make of constants is a constant */
    bool versions; /* an operator whose meaning changed with the opset differs between opsets */

    struct secret secret;
    struct number_entry **slots; /* by hash */
    size_t room;
    LIST(struct number_entry *) entries; /* by number; number 0 is nobody's */
    struct map functions[2];             /* struct number_function by key, per model */
    struct map imports[2];               /* Onnx__OperatorSetIdProto by domain, per model */
    uint64_t touched;                    /* bytes read since pages were given back */
    uint32_t unique;
    uint32_t calls; /* functions that are being numbered */
    bool drew;      /* something that draws was numbered, in the function that is */
};

void numbering_init(struct numbering *numbering, struct arena *arena, struct model *a,
                    struct model *b, bool folds, bool versions);

/* The number of input `index` of the graphs at nesting `level`; 0 is the main graph. */
uint32_t number_input(struct numbering *numbering, uint32_t level, uint32_t index);
/* A number nothing else has. */
uint32_t number_unique(struct numbering *numbering);
/* The number of a constant. */
uint32_t number_tensor(struct numbering *numbering, const struct tensor *tensor);

/* Numbers what a graph starts from: initializers, and the inputs of a body or function. Inputs of
 * the main graph must have their numbers already. */
void number_start(struct numbering *numbering, struct graph *graph, uint32_t level);
/* Numbers a node, its bodies and its outputs. Its inputs must have theirs. */
void number_node(struct numbering *numbering, struct node *node, uint32_t level);
/* Both for all nodes of a graph, in topological order. */
void number_graph(struct numbering *numbering, struct graph *graph, uint32_t level);
/* Numbers every local function of both models, called or not. */
void number_functions(struct numbering *numbering);
/* Of the attributes that a function takes, and what they are when a call gives none. */
uint32_t number_parameters(struct numbering *numbering, const struct graph *graph);
/* The number of what a body or function computes, from its outputs' numbers. */
uint32_t number_signature(struct numbering *numbering, const struct graph *graph);

/* A node's key without its inputs, bodies and called function: equal for nodes that do the same to
 * different things. */
uint32_t number_operator(struct numbering *numbering, const struct node *node);

/* Outputs of a graph by position; NULL for what is not there. */
size_t graph_output_count(const struct graph *graph);
struct value *graph_output(const struct graph *graph, size_t index);
/* Inputs of a graph by position. */
size_t graph_input_count(const struct graph *graph);
struct value *graph_input(const struct graph *graph, size_t index);

/* The local function of a side (0, 1) that goes by the names of another, or NULL. */
struct graph *number_function_like(const struct numbering *numbering, size_t side,
                                   const Onnx__FunctionProto *function);
/* True when something in the numbered node draws: its results differ from call to call. */
bool number_is_draw(const struct numbering *numbering, const struct node *node);
/* The local function a node calls, or NULL. */
struct graph *node_function(const struct numbering *numbering, const struct node *node);
/* The function `node` calls has been found to compute what the one `model` calls computes. Number
 * the node again afterwards. */
void number_adopt_function(struct numbering *numbering, const struct node *node,
                           const struct node *model);
/* True when operand order means nothing. */
bool node_commutes(const struct node *node);
/* True for an attribute that says what its absence would say. */
bool attribute_is_default(const struct node *node, const Onnx__AttributeProto *attribute);
/* What an attribute of a model says; bodies are not looked into. */
uint32_t number_attribute(struct numbering *numbering, struct model *model,
                          const Onnx__AttributeProto *attribute);
/* Inputs without the left-out ones at the end. */
size_t node_input_end(const struct node *node);
/* True when the value is a constant that nobody can override, stored or made by a Constant node. */
bool value_is_stored(const struct value *value);

#endif
