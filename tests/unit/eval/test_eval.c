/* test_eval.c: the evaluator against plain formulas and known results, and the self-check against
 * regions that are equal, and regions that are not.
 *
 * Nodes are made by hand, so nothing of the loader takes part. */
#include "check/check.h"
#include "eval/eval.h"
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 8 }; /* inputs, attributes and dimensions of a case */

#define TYPE(name) ONNX__TENSOR_PROTO__DATA_TYPE__##name

struct bench {
    struct landing landing;
    struct arena arena;
    struct model model;
    struct graph graph;
    uint64_t state;
};

static double draw(struct bench *bench)
{
    return unit_number(&bench->state);
}

static int64_t draw_integer(struct bench *bench, int64_t low, int64_t high)
{
    return unit_integer(&bench->state, low, high);
}

/* ---- making tensors, values and nodes ---- */

static int64_t product(int rank, const int64_t *dims)
{
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= dims[i];
    return count;
}

static struct tensor *reals(struct bench *bench, int rank, const int64_t *dims, const double *from)
{
    int64_t count = product(rank, dims);
    double *values = NEW_ARRAY(&bench->arena, double, count + 1);
    for (int64_t i = 0; i < count; i++)
        values[i] = from ? from[i] : draw(bench);
    return tensor_of_doubles(&bench->arena, TYPE(FLOAT), rank, dims, values);
}

/* Where sums are compared to the last bits. */
static struct tensor *doubles(struct bench *bench, int rank, const int64_t *dims)
{
    struct tensor *tensor = reals(bench, rank, dims, NULL);
    tensor->type = TYPE(DOUBLE);
    return tensor;
}

static struct tensor *integers(struct bench *bench, int32_t type, int rank, const int64_t *dims, const int64_t *from)
{
    int64_t count = product(rank, dims);
    int64_t *values = NEW_ARRAY(&bench->arena, int64_t, count + 1);
    for (int64_t i = 0; i < count; i++)
        values[i] = from[i];
    return tensor_of_integers(&bench->arena, type, rank, dims, values);
}

#define DIMS(...)                                                                                                      \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[])                                             \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
#define SCALAR 0, NULL
#define NUMBERS(...)                                                                                                   \
    (double[])                                                                                                         \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
#define LONGS(...)                                                                                                     \
    (int64_t[])                                                                                                        \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
#define LIST_OF(...)                                                                                                   \
    integers(bench, TYPE(INT64), 1, (int64_t[]){sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)},                   \
             (int64_t[]){__VA_ARGS__})

static Onnx__AttributeProto *add_attribute(struct bench *bench, struct node *node, const char *name)
{
    Onnx__NodeProto *proto = (Onnx__NodeProto *)node->proto;
    Onnx__AttributeProto *attribute = NEW(&bench->arena, Onnx__AttributeProto);
    onnx__attribute_proto__init(attribute);
    attribute->name = arena_format(&bench->arena, "%s", name);
    proto->attribute[proto->n_attribute++] = attribute;
    return attribute;
}

static void set_integer(struct bench *bench, struct node *node, const char *name, int64_t value)
{
    add_attribute(bench, node, name)->i = value;
}

static void set_real(struct bench *bench, struct node *node, const char *name, double value)
{
    add_attribute(bench, node, name)->f = (float)value;
}

static void set_text(struct bench *bench, struct node *node, const char *name, const char *value)
{
    Onnx__AttributeProto *attribute = add_attribute(bench, node, name);
    attribute->s.data = (uint8_t *)arena_format(&bench->arena, "%s", value);
    attribute->s.len = strlen(value);
}

static void set_integers(struct bench *bench, struct node *node, const char *name, int count, const int64_t *values)
{
    Onnx__AttributeProto *attribute = add_attribute(bench, node, name);
    attribute->n_ints = (size_t)count;
    attribute->ints = NEW_ARRAY(&bench->arena, int64_t, count + 1);
    memcpy(attribute->ints, values, (size_t)count * sizeof(*values));
}

static struct value *new_value(struct bench *bench, const char *name, struct tensor *tensor)
{
    struct value *value = NEW(&bench->arena, struct value);
    *value = (struct value){.name = name, .graph = &bench->graph, .tensor = tensor, .type = TYPE(FLOAT), .rank = -1};
    return value;
}

static struct value *constant(struct bench *bench, struct tensor *tensor)
{
    return new_value(bench, "constant", tensor);
}

/* A node with one output; inputs end at the first missing one of MOST, "left out" is not needed. */
static struct node *new_node(struct bench *bench, const char *type, int64_t opset, size_t count,
                             struct value *const *inputs)
{
    struct node *node = NEW(&bench->arena, struct node);
    Onnx__NodeProto *proto = NEW(&bench->arena, Onnx__NodeProto);
    onnx__node_proto__init(proto);
    proto->op_type = arena_format(&bench->arena, "%s", type);
    proto->attribute = NEW_ARRAY(&bench->arena, Onnx__AttributeProto *, MOST);
    node->proto = proto;
    node->graph = &bench->graph;
    node->opset = opset;
    node->op = operator_find("", type, opset);
    node->input_count = count;
    node->inputs = NEW_ARRAY(&bench->arena, struct value *, count + 1);
    for (size_t i = 0; i < count; i++)
        node->inputs[i] = inputs[i];
    node->output_count = 1;
    node->outputs = NEW_ARRAY(&bench->arena, struct value *, 2);
    node->outputs[0] = new_value(bench, type, NULL);
    node->outputs[0]->producer = node->outputs[0]->first_producer = node;
    return node;
}

#define INPUTS(...)                                                                                                    \
    sizeof((struct value *[]){__VA_ARGS__}) / sizeof(struct value *), (struct value *[])                               \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }

/* ---- cases of one node ---- */

/* A case: made, given inputs and attributes, then judged. */
struct trial {
    struct node *node;
    const struct tensor *inputs[MOST];
    size_t count;
    struct tensor *output;
    struct tensor *second;
    const char *reason;
};

static struct trial begin(struct bench *bench, const char *type, int64_t opset)
{
    return (struct trial){.node = new_node(bench, type, opset, 0, NULL)};
}

static void give(struct trial *trial, const struct tensor *tensor)
{
    trial->inputs[trial->count++] = tensor;
}

static void run_within(struct bench *bench, struct trial *trial, int64_t limit)
{
    struct tensor *outputs[2] = {NULL, NULL};
    trial->node->input_count = trial->count;
    trial->reason = eval_node(&bench->arena, trial->node, trial->inputs, outputs, limit, NULL);
    trial->output = outputs[0];
    trial->second = outputs[1];
}

static void run(struct bench *bench, struct trial *trial)
{
    run_within(bench, trial, 1 << 20);
}

static bool has_shape(const struct tensor *tensor, int rank, const int64_t *dims)
{
    return tensor && tensor->rank == rank &&
           (rank == 0 || memcmp(tensor->dims, dims, (size_t)rank * sizeof(*dims)) == 0);
}

static bool holds(struct bench *bench, const struct tensor *tensor, int32_t type, int rank, const int64_t *dims,
                  const double *numbers)
{
    if (!has_shape(tensor, rank, dims) || tensor->type != type)
        return false;
    double *found = NEW_ARRAY(&bench->arena, double, tensor->count + 1);
    tensor_read(tensor, 0, tensor->count, found);
    for (int64_t i = 0; i < tensor->count; i++) {
        /* Results are rounded to their type. */
        double wanted = type_is_float(type) ? tensor_rounded(type, numbers[i]) : numbers[i];
        if (!(fabs(found[i] - wanted) <= 1e-12 * (1 + fabs(wanted))))
            return false;
    }
    return true;
}

/* The case gives floats of this shape. */
static void gives(struct bench *bench, struct trial *trial, const char *what, int rank, const int64_t *dims,
                  const double *numbers)
{
    run(bench, trial);
    expect(!trial->reason && holds(bench, trial->output, TYPE(FLOAT), rank, dims, numbers), "%s-%d: %s%s%s",
           trial->node->proto->op_type, (int)trial->node->opset, what, trial->reason ? ": " : "",
           trial->reason ? trial->reason : "");
}

static void gives_typed(struct bench *bench, struct trial *trial, const char *what, int32_t type, int rank,
                        const int64_t *dims, const double *numbers)
{
    run(bench, trial);
    expect(!trial->reason && holds(bench, trial->output, type, rank, dims, numbers), "%s-%d: %s%s%s",
           trial->node->proto->op_type, (int)trial->node->opset, what, trial->reason ? ": " : "",
           trial->reason ? trial->reason : "");
}

/* The case is refused, with a reason that says `part`. */
static void refuses(struct bench *bench, struct trial *trial, const char *part)
{
    run(bench, trial);
    expect(trial->reason && strstr(trial->reason, part), "%s-%d is refused: %s (found: %s)",
           trial->node->proto->op_type, (int)trial->node->opset, part, trial->reason ? trial->reason : "evaluated");
}

static void test_elementwise(struct bench *bench)
{
    struct tensor *ints = integers(bench, TYPE(INT32), DIMS(4), LONGS(7, -7, 8, -9));
    struct tensor *twos = integers(bench, TYPE(INT32), DIMS(1), LONGS(2));
    struct trial t = begin(bench, "Add", 7);
    give(&t, reals(bench, DIMS(2, 1), NUMBERS(1, 2)));
    give(&t, reals(bench, DIMS(3), NUMBERS(10, 20, 30)));
    gives(bench, &t, "broadcasts", DIMS(2, 3), NUMBERS(11, 21, 31, 12, 22, 32));

    t = begin(bench, "Div", 14);
    give(&t, ints);
    give(&t, twos);
    gives_typed(bench, &t, "integers truncate", TYPE(INT32), DIMS(4), NUMBERS(3, -3, 4, -4));

    t = begin(bench, "Mod", 13);
    give(&t, ints);
    give(&t, integers(bench, TYPE(INT32), DIMS(4), LONGS(4, 4, -3, -4)));
    gives_typed(bench, &t, "the sign follows the divisor", TYPE(INT32), DIMS(4), NUMBERS(3, 1, -1, -1));

    t = begin(bench, "Mul", 14);
    give(&t, integers(bench, TYPE(INT8), DIMS(1), LONGS(100)));
    give(&t, integers(bench, TYPE(INT8), DIMS(1), LONGS(2)));
    gives_typed(bench, &t, "a byte wraps around", TYPE(INT8), DIMS(1), NUMBERS(-56));

    t = begin(bench, "Mul", 14);
    give(&t, integers(bench, TYPE(INT64), DIMS(1), LONGS(INT64_MAX)));
    give(&t, integers(bench, TYPE(INT64), DIMS(1), LONGS(2)));
    refuses(bench, &t, "overflows");

    t = begin(bench, "Div", 14);
    give(&t, ints);
    give(&t, integers(bench, TYPE(INT32), DIMS(1), LONGS(0)));
    refuses(bench, &t, "divided by zero");

    t = begin(bench, "Sub", 14);
    give(&t, reals(bench, DIMS(2), NULL));
    give(&t, reals(bench, DIMS(3), NULL));
    refuses(bench, &t, "do not broadcast");

    t = begin(bench, "Add", 14);
    give(&t, reals(bench, DIMS(1), NULL));
    give(&t, ints);
    refuses(bench, &t, "types");

    t = begin(bench, "Neg", 6 + 1);
    give(&t, reals(bench, DIMS(2), NUMBERS(1.5, -2)));
    gives(bench, &t, "negates", DIMS(2), NUMBERS(-1.5, 2));

    t = begin(bench, "Pow", 12);
    give(&t, reals(bench, DIMS(2), NUMBERS(3, 4)));
    give(&t, integers(bench, TYPE(INT64), DIMS(2), LONGS(2, -1)));
    gives(bench, &t, "integer exponents", DIMS(2), NUMBERS(9, 0.25));

    t = begin(bench, "Equal", 11);
    give(&t, reals(bench, DIMS(3), NUMBERS(1, 2, 3)));
    give(&t, reals(bench, SCALAR, NUMBERS(2)));
    gives_typed(bench, &t, "is a bool", TYPE(BOOL), DIMS(3), NUMBERS(0, 1, 0));

    t = begin(bench, "Where", 9);
    give(&t, integers(bench, TYPE(BOOL), DIMS(2, 1), LONGS(1, 0)));
    give(&t, reals(bench, DIMS(2), NUMBERS(1, 2)));
    give(&t, reals(bench, SCALAR, NUMBERS(9)));
    gives(bench, &t, "broadcasts all three", DIMS(2, 2), NUMBERS(1, 2, 9, 9));

    t = begin(bench, "Mean", 13);
    give(&t, reals(bench, DIMS(2), NUMBERS(1, 2)));
    give(&t, reals(bench, DIMS(1), NUMBERS(3)));
    give(&t, reals(bench, DIMS(2, 1), NUMBERS(2, 5)));
    gives(bench, &t, "three inputs broadcast", DIMS(2, 2), NUMBERS(2, 7. / 3, 3, 10. / 3));

    t = begin(bench, "Sum", 8);
    give(&t, reals(bench, DIMS(2), NUMBERS(1, 2)));
    gives(bench, &t, "one input", DIMS(2), NUMBERS(1, 2));
}

static void test_constants_and_casts(struct bench *bench)
{
    struct trial t = begin(bench, "Constant", 12);
    Onnx__AttributeProto *attribute = add_attribute(bench, t.node, "value_floats");
    float floats[] = {1.5f, -2};
    attribute->n_floats = 2;
    attribute->floats = floats;
    gives(bench, &t, "value_floats", DIMS(2), NUMBERS(1.5, -2));

    t = begin(bench, "Constant", 12);
    set_integer(bench, t.node, "value_int", 5);
    gives_typed(bench, &t, "value_int", TYPE(INT64), SCALAR, NUMBERS(5));

    t = begin(bench, "Constant", 12);
    set_integers(bench, t.node, "value_ints", 2, LONGS(4, -4));
    gives_typed(bench, &t, "value_ints", TYPE(INT64), DIMS(2), NUMBERS(4, -4));

    t = begin(bench, "Constant", 13);
    Onnx__TensorProto proto;
    onnx__tensor_proto__init(&proto);
    int64_t dims[] = {2};
    proto.n_dims = 1;
    proto.dims = dims;
    proto.data_type = TYPE(FLOAT);
    proto.n_float_data = 2;
    proto.float_data = floats;
    add_attribute(bench, t.node, "value")->t = &proto;
    gives(bench, &t, "value", DIMS(2), NUMBERS(1.5, -2));

    t = begin(bench, "Constant", 12);
    set_text(bench, t.node, "value_string", "x");
    refuses(bench, &t, "a result of string is not folded");

    t = begin(bench, "Cast", 13);
    set_integer(bench, t.node, "to", TYPE(INT64));
    give(&t, reals(bench, DIMS(3), NUMBERS(2.9, -2.9, 0)));
    gives_typed(bench, &t, "truncates", TYPE(INT64), DIMS(3), NUMBERS(2, -2, 0));

    t = begin(bench, "Cast", 13);
    set_integer(bench, t.node, "to", TYPE(UINT8));
    give(&t, reals(bench, DIMS(1), NUMBERS(256)));
    refuses(bench, &t, "does not fit uint8");

    t = begin(bench, "Cast", 13);
    set_integer(bench, t.node, "to", TYPE(BOOL));
    give(&t, reals(bench, DIMS(3), NUMBERS(0.25, 0, -1)));
    gives_typed(bench, &t, "to bool", TYPE(BOOL), DIMS(3), NUMBERS(1, 0, 1));

    t = begin(bench, "Cast", 13);
    set_integer(bench, t.node, "to", TYPE(FLOAT16));
    give(&t, reals(bench, DIMS(2), NUMBERS(1 + 0x1p-12, 0.5)));
    gives_typed(bench, &t, "rounds to the narrower type", TYPE(FLOAT16), DIMS(2), NUMBERS(1, 0.5));

    t = begin(bench, "Cast", 13);
    set_integer(bench, t.node, "to", TYPE(FLOAT));
    give(&t, reals(bench, DIMS(1), NUMBERS(1 + 0x1p-40)));
    gives(bench, &t, "to the same type changes nothing", DIMS(1), NUMBERS(1 + 0x1p-40));

    t = begin(bench, "CastLike", 15);
    give(&t, reals(bench, DIMS(1), NUMBERS(3.5)));
    give(&t, integers(bench, TYPE(INT32), DIMS(1), LONGS(0)));
    gives_typed(bench, &t, "takes the second type", TYPE(INT32), DIMS(1), NUMBERS(3));

    t = begin(bench, "Dropout", 12);
    struct value *outputs[] = {t.node->outputs[0], new_value(bench, "mask", NULL)};
    t.node->outputs = outputs;
    t.node->output_count = 2;
    give(&t, reals(bench, DIMS(2), NUMBERS(1, 2)));
    gives(bench, &t, "is the identity in inference", DIMS(2), NUMBERS(1, 2));
    expect(holds(bench, t.second, TYPE(BOOL), DIMS(2), NUMBERS(1, 1)), "Dropout-12: its mask is true");
    give(&t, reals(bench, SCALAR, NUMBERS(0.5)));
    give(&t, integers(bench, TYPE(BOOL), SCALAR, LONGS(1)));
    refuses(bench, &t, "training");

    t = begin(bench, "ConstantOfShape", 9);
    give(&t, LIST_OF(2, 2));
    gives(bench, &t, "zeros", DIMS(2, 2), NUMBERS(0, 0, 0, 0));

    t = begin(bench, "ConstantOfShape", 9);
    give(&t, LIST_OF(1 << 11, 1 << 11));
    refuses(bench, &t, "more than the limit");

    t = begin(bench, "ConstantOfShape", 9);
    give(&t, LIST_OF(INT64_MAX, 2));
    refuses(bench, &t, "is not a shape");

    t = begin(bench, "Range", 11);
    give(&t, reals(bench, SCALAR, NUMBERS(1)));
    give(&t, reals(bench, SCALAR, NUMBERS(-1)));
    give(&t, reals(bench, SCALAR, NUMBERS(-0.75)));
    gives(bench, &t, "downwards", DIMS(3), NUMBERS(1, 0.25, -0.5));

    t = begin(bench, "Range", 11);
    give(&t, integers(bench, TYPE(INT64), SCALAR, LONGS(3)));
    give(&t, integers(bench, TYPE(INT64), SCALAR, LONGS(10)));
    give(&t, integers(bench, TYPE(INT64), SCALAR, LONGS(3)));
    gives_typed(bench, &t, "integers", TYPE(INT64), DIMS(3), NUMBERS(3, 6, 9));

    t = begin(bench, "Multinomial", 7);
    give(&t, reals(bench, DIMS(2), NULL));
    refuses(bench, &t, "is not evaluated");
}

static void test_shapes(struct bench *bench)
{
    double six[] = {1, 2, 3, 4, 5, 6};
    struct tensor *matrix = reals(bench, DIMS(2, 3), six);

    struct trial t = begin(bench, "Transpose", 13);
    give(&t, matrix);
    gives(bench, &t, "reverses by default", DIMS(3, 2), NUMBERS(1, 4, 2, 5, 3, 6));

    t = begin(bench, "Transpose", 13);
    set_integers(bench, t.node, "perm", 2, LONGS(0, 0));
    give(&t, matrix);
    refuses(bench, &t, "not a permutation");

    t = begin(bench, "Reshape", 7);
    give(&t, matrix);
    give(&t, LIST_OF(0, 1, -1));
    gives(bench, &t, "0 and -1", DIMS(2, 1, 3), six);

    t = begin(bench, "Reshape", 14);
    set_integer(bench, t.node, "allowzero", 1);
    give(&t, matrix);
    give(&t, LIST_OF(0, 6));
    refuses(bench, &t, "does not hold");

    t = begin(bench, "Reshape", 7);
    give(&t, matrix);
    give(&t, LIST_OF(4, -1));
    refuses(bench, &t, "do not fill");

    t = begin(bench, "Flatten", 11);
    set_integer(bench, t.node, "axis", -1);
    give(&t, reals(bench, DIMS(1, 2, 3), six));
    gives(bench, &t, "negative axis", DIMS(2, 3), six);

    t = begin(bench, "Squeeze", 11);
    set_integers(bench, t.node, "axes", 1, LONGS(0));
    give(&t, reals(bench, DIMS(1, 6, 1), six));
    gives(bench, &t, "axes as attribute", DIMS(6, 1), six);

    t = begin(bench, "Squeeze", 13);
    give(&t, reals(bench, DIMS(1, 6, 1), six));
    give(&t, LIST_OF(-1));
    gives(bench, &t, "axes as input", DIMS(1, 6), six);

    t = begin(bench, "Squeeze", 13);
    give(&t, reals(bench, DIMS(1, 6, 1), six));
    gives(bench, &t, "no axes", DIMS(6), six);

    t = begin(bench, "Squeeze", 13);
    give(&t, matrix);
    give(&t, LIST_OF(1));
    refuses(bench, &t, "not 1");

    t = begin(bench, "Unsqueeze", 11);
    set_integers(bench, t.node, "axes", 2, LONGS(0, 2));
    give(&t, reals(bench, DIMS(6), six));
    gives(bench, &t, "axes as attribute", DIMS(1, 6, 1), six);

    t = begin(bench, "Unsqueeze", 13);
    give(&t, reals(bench, DIMS(6), six));
    give(&t, LIST_OF(-1));
    gives(bench, &t, "axes as input", DIMS(6, 1), six);

    t = begin(bench, "Concat", 13);
    set_integer(bench, t.node, "axis", -1);
    give(&t, matrix);
    give(&t, reals(bench, DIMS(2, 1), NUMBERS(7, 8)));
    gives(bench, &t, "last axis", DIMS(2, 4), NUMBERS(1, 2, 3, 7, 4, 5, 6, 8));

    t = begin(bench, "Slice", 9);
    set_integers(bench, t.node, "starts", 1, LONGS(-2));
    set_integers(bench, t.node, "ends", 1, LONGS(INT64_MAX));
    set_integers(bench, t.node, "axes", 1, LONGS(1));
    give(&t, matrix);
    gives(bench, &t, "attributes", DIMS(2, 2), NUMBERS(2, 3, 5, 6));

    t = begin(bench, "Slice", 13);
    give(&t, matrix);
    give(&t, LIST_OF(-1, 5));
    give(&t, LIST_OF(INT64_MIN, 0));
    give(&t, LIST_OF(0, -1));
    give(&t, LIST_OF(-1, -2));
    gives(bench, &t, "backwards", DIMS(2, 1), NUMBERS(6, 3));

    t = begin(bench, "Slice", 13);
    give(&t, matrix);
    give(&t, LIST_OF(2));
    give(&t, LIST_OF(1));
    gives(bench, &t, "empty", DIMS(0, 3), NULL);

    t = begin(bench, "Slice", 13);
    give(&t, matrix);
    give(&t, LIST_OF(0));
    give(&t, LIST_OF(1));
    give(&t, LIST_OF(0));
    give(&t, LIST_OF(0));
    refuses(bench, &t, "step of 0");

    t = begin(bench, "Gather", 11);
    set_integer(bench, t.node, "axis", 1);
    give(&t, matrix);
    give(&t, integers(bench, TYPE(INT64), DIMS(1, 2), LONGS(-1, 0)));
    gives(bench, &t, "negative indices", DIMS(2, 1, 2), NUMBERS(3, 1, 6, 4));

    t = begin(bench, "Gather", 11);
    give(&t, matrix);
    give(&t, integers(bench, TYPE(INT64), SCALAR, LONGS(2)));
    refuses(bench, &t, "index 2 of 2");

    t = begin(bench, "Expand", 8);
    give(&t, reals(bench, DIMS(2, 1), NUMBERS(1, 2)));
    give(&t, LIST_OF(2, 1, 2));
    gives(bench, &t, "both ways", DIMS(2, 2, 2), NUMBERS(1, 1, 2, 2, 1, 1, 2, 2));

    t = begin(bench, "Tile", 13);
    give(&t, reals(bench, DIMS(1, 2), NUMBERS(1, 2)));
    give(&t, LIST_OF(2, 2));
    gives(bench, &t, "repeats", DIMS(2, 4), NUMBERS(1, 2, 1, 2, 1, 2, 1, 2));

    t = begin(bench, "Shape", 15);
    set_integer(bench, t.node, "start", -2);
    set_integer(bench, t.node, "end", -1);
    give(&t, reals(bench, DIMS(2, 3, 1), six));
    gives_typed(bench, &t, "start and end", TYPE(INT64), DIMS(1), NUMBERS(3));

    t = begin(bench, "Size", 13);
    give(&t, matrix);
    gives_typed(bench, &t, "counts", TYPE(INT64), SCALAR, NUMBERS(6));

    t = begin(bench, "Pad", 10);
    set_integers(bench, t.node, "pads", 4, LONGS(0, 1, 1, -1));
    set_real(bench, t.node, "value", 9);
    give(&t, matrix);
    gives(bench, &t, "attributes, a negative pad", DIMS(3, 3), NUMBERS(9, 1, 2, 9, 4, 5, 9, 9, 9));

    t = begin(bench, "Pad", 18);
    give(&t, matrix);
    give(&t, LIST_OF(1, 0));
    give(&t, reals(bench, SCALAR, NUMBERS(7)));
    give(&t, LIST_OF(-1));
    gives(bench, &t, "axes", DIMS(2, 4), NUMBERS(7, 1, 2, 3, 7, 4, 5, 6));

    static const struct {
        const char *mode;
        double row[7];
    } modes[] = {{"edge", {1, 1, 1, 2, 3, 3, 3}}, {"reflect", {3, 2, 1, 2, 3, 2, 1}}, {"wrap", {2, 3, 1, 2, 3, 1, 2}}};
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        t = begin(bench, "Pad", 19);
        set_text(bench, t.node, "mode", modes[i].mode);
        give(&t, reals(bench, DIMS(3), NUMBERS(1, 2, 3)));
        give(&t, LIST_OF(2, 2));
        gives(bench, &t, modes[i].mode, DIMS(7), modes[i].row);
    }
    t = begin(bench, "Pad", 13);
    set_text(bench, t.node, "mode", "reflect");
    give(&t, matrix);
    give(&t, LIST_OF(0, 1, 0, 3));
    refuses(bench, &t, "more than once");
    t = begin(bench, "Pad", 13);
    set_text(bench, t.node, "mode", "edge");
    give(&t, matrix);
    give(&t, LIST_OF(0, -1, 0, 1));
    refuses(bench, &t, "crops");
    t = begin(bench, "Pad", 13);
    set_text(bench, t.node, "mode", "mirror");
    give(&t, matrix);
    give(&t, LIST_OF(0, 1, 0, 1));
    refuses(bench, &t, "unknown mode");

    t = begin(bench, "ScatterND", 16);
    give(&t, matrix);
    give(&t, integers(bench, TYPE(INT64), DIMS(2, 2), LONGS(0, 1, -1, -1)));
    give(&t, reals(bench, DIMS(2), NUMBERS(20, 60)));
    gives(bench, &t, "elements", DIMS(2, 3), NUMBERS(1, 20, 3, 4, 5, 60));

    t = begin(bench, "ScatterND", 16);
    set_text(bench, t.node, "reduction", "add");
    give(&t, matrix);
    give(&t, integers(bench, TYPE(INT64), DIMS(2, 1), LONGS(0, 0)));
    give(&t, reals(bench, DIMS(2, 3), NUMBERS(10, 20, 30, 100, 200, 300)));
    gives(bench, &t, "adds", DIMS(2, 3), NUMBERS(111, 222, 333, 4, 5, 6));

    t = begin(bench, "ScatterND", 16);
    set_text(bench, t.node, "reduction", "mean");
    give(&t, matrix);
    give(&t, integers(bench, TYPE(INT64), DIMS(1, 1), LONGS(0)));
    give(&t, reals(bench, DIMS(1, 3), NULL));
    refuses(bench, &t, "reduction");
}

static void test_reductions(struct bench *bench)
{
    struct tensor *matrix = reals(bench, DIMS(2, 3), NUMBERS(1, 2, 3, 4, 5, 6));
    struct trial t = begin(bench, "ReduceSum", 11);
    set_integers(bench, t.node, "axes", 1, LONGS(-1));
    set_integer(bench, t.node, "keepdims", 0);
    give(&t, matrix);
    gives(bench, &t, "axes as attribute", DIMS(2), NUMBERS(6, 15));

    t = begin(bench, "ReduceSum", 13);
    give(&t, matrix);
    give(&t, LIST_OF(0));
    gives(bench, &t, "axes as input", DIMS(1, 3), NUMBERS(5, 7, 9));

    t = begin(bench, "ReduceSum", 13);
    set_integer(bench, t.node, "noop_with_empty_axes", 1);
    give(&t, matrix);
    gives(bench, &t, "no axes, no reduction", DIMS(2, 3), NUMBERS(1, 2, 3, 4, 5, 6));

    t = begin(bench, "ReduceMean", 18);
    give(&t, matrix);
    gives(bench, &t, "no axes, all of them", DIMS(1, 1), NUMBERS(3.5));

    t = begin(bench, "ReduceProd", 18);
    give(&t, integers(bench, TYPE(INT64), DIMS(3), LONGS(2, 3, 7)));
    gives_typed(bench, &t, "integers", TYPE(INT64), DIMS(1), NUMBERS(42));

    t = begin(bench, "Einsum", 12);
    set_text(bench, t.node, "equation", "ij , jk -> ki");
    give(&t, matrix);
    give(&t, reals(bench, DIMS(3, 2), NUMBERS(1, 0, 0, 1, 2, -1)));
    gives(bench, &t, "explicit", DIMS(2, 2), NUMBERS(7, 16, -1, -1));

    t = begin(bench, "Einsum", 12);
    set_text(bench, t.node, "equation", "ba");
    give(&t, matrix);
    gives(bench, &t, "implicit output is sorted", DIMS(3, 2), NUMBERS(1, 4, 2, 5, 3, 6));

    t = begin(bench, "Einsum", 12);
    set_text(bench, t.node, "equation", "ii->i");
    give(&t, reals(bench, DIMS(2, 2), NUMBERS(1, 2, 3, 4)));
    gives(bench, &t, "diagonal", DIMS(2), NUMBERS(1, 4));

    t = begin(bench, "Einsum", 12);
    set_text(bench, t.node, "equation", "...i->...");
    give(&t, matrix);
    gives(bench, &t, "an ellipsis", DIMS(2), NUMBERS(6, 15));

    t = begin(bench, "Einsum", 12);
    set_text(bench, t.node, "equation", "...,...i");
    give(&t, reals(bench, DIMS(2, 1), NUMBERS(1, 10)));
    give(&t, reals(bench, DIMS(1, 2, 2), NUMBERS(1, 2, 3, 4)));
    gives(bench, &t, "ellipses broadcast", DIMS(2, 2, 2), NUMBERS(1, 2, 3, 4, 10, 20, 30, 40));

    t = begin(bench, "Einsum", 12);
    set_text(bench, t.node, "equation", "...i->i");
    give(&t, matrix);
    refuses(bench, &t, "an ellipsis is summed over");

    t = begin(bench, "Einsum", 12);
    set_text(bench, t.node, "equation", "ij,jk->ik");
    give(&t, matrix);
    give(&t, matrix);
    refuses(bench, &t, "a label stands for");
}

static void test_products(struct bench *bench)
{
    double a[] = {1, 2, 3, 4, 5, 6}, transposed[] = {1, 4, 2, 5, 3, 6};
    double b[] = {1, 0, 0, 1, 2, -1};
    struct trial t = begin(bench, "Gemm", 13);
    set_integer(bench, t.node, "transA", 1);
    set_real(bench, t.node, "alpha", 2);
    set_real(bench, t.node, "beta", 0.5);
    give(&t, reals(bench, DIMS(3, 2), transposed));
    give(&t, reals(bench, DIMS(3, 2), b));
    give(&t, reals(bench, DIMS(2), NUMBERS(10, 20)));
    gives(bench, &t, "transA, alpha, beta, C", DIMS(2, 2), NUMBERS(19, 8, 37, 8));

    t = begin(bench, "Gemm", 11);
    set_integer(bench, t.node, "transB", 1);
    give(&t, reals(bench, DIMS(2, 3), a));
    give(&t, reals(bench, DIMS(2, 3), NUMBERS(1, 0, 2, 0, 1, -1)));
    gives(bench, &t, "transB, no C", DIMS(2, 2), NUMBERS(7, -1, 16, -1));

    t = begin(bench, "MatMul", 13);
    give(&t, reals(bench, DIMS(2, 1, 3), a));
    give(&t, reals(bench, DIMS(3, 2), b));
    gives(bench, &t, "broadcasts batches", DIMS(2, 1, 2), NUMBERS(7, -1, 16, -1));

    t = begin(bench, "MatMul", 13);
    give(&t, reals(bench, DIMS(3), NUMBERS(1, 2, 3)));
    give(&t, reals(bench, DIMS(3), NUMBERS(4, 5, 6)));
    gives(bench, &t, "two vectors", SCALAR, NUMBERS(32));

    t = begin(bench, "MatMul", 13);
    give(&t, reals(bench, DIMS(2, 3), a));
    give(&t, reals(bench, DIMS(2, 3), a));
    refuses(bench, &t, "do not fit");

    t = begin(bench, "BatchNormalization", 9);
    set_real(bench, t.node, "epsilon", 0.25);
    give(&t, reals(bench, DIMS(1, 2, 2), NUMBERS(1, 2, 3, 4)));
    give(&t, reals(bench, DIMS(2), NUMBERS(4, 2)));
    give(&t, reals(bench, DIMS(2), NUMBERS(10, 20)));
    give(&t, reals(bench, DIMS(2), NUMBERS(1, 5)));
    give(&t, reals(bench, DIMS(2), NUMBERS(3.75, 0.75)));
    gives(bench, &t, "inference", DIMS(1, 2, 2), NUMBERS(10, 12, 16, 18));
    t.node->output_count = 2;
    t.node->outputs = (struct value *[]){t.node->outputs[0], new_value(bench, "mean", NULL)};
    refuses(bench, &t, "training");

    t = begin(bench, "AveragePool", 11);
    set_integers(bench, t.node, "kernel_shape", 1, LONGS(3));
    set_integers(bench, t.node, "pads", 2, LONGS(1, 0));
    give(&t, reals(bench, DIMS(1, 1, 4), NUMBERS(3, 6, 9, 12)));
    gives(bench, &t, "pads do not count", DIMS(1, 1, 3), NUMBERS(4.5, 6, 9));
    set_integer(bench, t.node, "count_include_pad", 1);
    gives(bench, &t, "pads count", DIMS(1, 1, 3), NUMBERS(3, 6, 9));
    set_integers(bench, t.node, "strides", 1, LONGS(3));
    set_integer(bench, t.node, "ceil_mode", 1);
    gives(bench, &t, "ceil_mode: the rest does not count", DIMS(1, 1, 2), NUMBERS(3, 10.5));

    t = begin(bench, "AveragePool", 11);
    set_integers(bench, t.node, "kernel_shape", 1, LONGS(4));
    set_text(bench, t.node, "auto_pad", "SAME_UPPER");
    set_integer(bench, t.node, "count_include_pad", 1);
    give(&t, reals(bench, DIMS(1, 1, 3), NUMBERS(4, 8, 16)));
    gives(bench, &t, "SAME_UPPER, pads count", DIMS(1, 1, 3), NUMBERS(7, 7, 6));

    t = begin(bench, "AveragePool", 19);
    set_integers(bench, t.node, "kernel_shape", 1, LONGS(2));
    set_integers(bench, t.node, "dilations", 1, LONGS(2));
    give(&t, reals(bench, DIMS(1, 1, 4), NUMBERS(3, 6, 9, 12)));
    gives(bench, &t, "dilations", DIMS(1, 1, 2), NUMBERS(6, 9));
}

/* ---- convolutions, against the formula with all its loops ---- */

struct shape2 {
    int64_t batch, groups, inputs, outputs; /* inputs and outputs of a group */
    int64_t size[2], kernel[2], stride[2], dilation[2], begin[2], end[2], out[2];
};

static void conv_by_formula(const struct shape2 *s, const double *x, const double *w, const double *bias, double *y)
{
    int64_t all_in = s->groups * s->inputs, all_out = s->groups * s->outputs;
    for (int64_t n = 0; n < s->batch; n++)
        for (int64_t o = 0; o < all_out; o++)
            for (int64_t p = 0; p < s->out[0]; p++)
                for (int64_t q = 0; q < s->out[1]; q++) {
                    double sum = bias[o];
                    for (int64_t i = 0; i < s->inputs; i++)
                        for (int64_t u = 0; u < s->kernel[0]; u++)
                            for (int64_t v = 0; v < s->kernel[1]; v++) {
                                int64_t h = p * s->stride[0] + u * s->dilation[0] - s->begin[0];
                                int64_t k = q * s->stride[1] + v * s->dilation[1] - s->begin[1];
                                if (h < 0 || h >= s->size[0] || k < 0 || k >= s->size[1])
                                    continue;
                                int64_t c = o / s->outputs * s->inputs + i;
                                sum += x[((n * all_in + c) * s->size[0] + h) * s->size[1] + k] *
                                       w[((o * s->inputs + i) * s->kernel[0] + u) * s->kernel[1] + v];
                            }
                    y[((n * all_out + o) * s->out[0] + p) * s->out[1] + q] = sum;
                }
}

static struct shape2 draw_shape(struct bench *bench)
{
    struct shape2 s = {draw_integer(bench, 1, 2), draw_integer(bench, 1, 3), draw_integer(bench, 1, 3),
                       draw_integer(bench, 1, 3), .size = {0}};
    for (int i = 0; i < 2; i++) {
        s.kernel[i] = draw_integer(bench, 1, 4);
        s.stride[i] = draw_integer(bench, 1, 3);
        s.dilation[i] = draw_integer(bench, 1, 3);
        s.begin[i] = draw_integer(bench, 0, 3);
        s.end[i] = draw_integer(bench, 0, 3);
        int64_t reach = (s.kernel[i] - 1) * s.dilation[i] + 1;
        s.size[i] = draw_integer(bench, reach, reach + 4);
        s.out[i] = (s.size[i] + s.begin[i] + s.end[i] - reach) / s.stride[i] + 1;
    }
    return s;
}

static void set_window(struct bench *bench, struct node *node, const struct shape2 *s)
{
    set_integer(bench, node, "group", s->groups);
    set_integers(bench, node, "strides", 2, s->stride);
    set_integers(bench, node, "dilations", 2, s->dilation);
    set_integers(bench, node, "pads", 4, LONGS(s->begin[0], s->begin[1], s->end[0], s->end[1]));
}

static void test_convolutions(struct bench *bench)
{
    for (int round = 0; round < 40; round++) {
        struct shape2 s = draw_shape(bench);
        int64_t all_in = s.groups * s.inputs, all_out = s.groups * s.outputs;
        struct tensor *x = doubles(bench, DIMS(s.batch, all_in, s.size[0], s.size[1]));
        struct tensor *w = doubles(bench, DIMS(all_out, s.inputs, s.kernel[0], s.kernel[1]));
        struct tensor *b = doubles(bench, DIMS(all_out));
        int64_t count = s.batch * all_out * s.out[0] * s.out[1];
        double *y = NEW_ARRAY(&bench->arena, double, count);
        conv_by_formula(&s, x->data, w->data, b->data, y);
        struct trial t = begin(bench, "Conv", 11);
        set_window(bench, t.node, &s);
        give(&t, x);
        give(&t, w);
        give(&t, b);
        gives_typed(bench, &t, "by formula", TYPE(DOUBLE), DIMS(s.batch, all_out, s.out[0], s.out[1]), y);

        /* ConvTranspose is the adjoint: <conv(x), z> = <x, transpose(z)>. A Conv's kernel
         * [outputs, inputs / groups] is the ConvTranspose's [inputs, outputs / groups]. */
        struct tensor *z = doubles(bench, DIMS(s.batch, all_out, s.out[0], s.out[1]));
        struct trial back = begin(bench, "ConvTranspose", 11);
        set_window(bench, back.node, &s);
        int64_t added[2];
        for (int i = 0; i < 2; i++)
            added[i] = s.size[i] -
                       (s.stride[i] * (s.out[i] - 1) + (s.kernel[i] - 1) * s.dilation[i] + 1 - s.begin[i] - s.end[i]);
        set_integers(bench, back.node, "output_padding", 2, added);
        give(&back, z);
        give(&back, w);
        run(bench, &back);
        bool shaped = !back.reason && has_shape(back.output, x->rank, x->dims);
        double forward = 0, backward = 0;
        for (int64_t o = 0, i = 0; i < count; i++) {
            o = i / (s.out[0] * s.out[1]) % all_out;
            forward += (y[i] - ((const double *)b->data)[o]) * ((const double *)z->data)[i];
        }
        for (int64_t i = 0; shaped && i < x->count; i++)
            backward += ((const double *)x->data)[i] * ((const double *)back.output->data)[i];
        expect(shaped && fabs(forward - backward) < 1e-9 * (1 + fabs(forward)),
               "ConvTranspose-11 is Conv's adjoint%s%s", back.reason ? ": " : "", back.reason ? back.reason : "");
    }

    struct trial t = begin(bench, "Conv", 11);
    set_text(bench, t.node, "auto_pad", "SAME_LOWER");
    set_integers(bench, t.node, "strides", 1, LONGS(2));
    give(&t, reals(bench, DIMS(1, 1, 5), NUMBERS(1, 2, 3, 4, 5)));
    give(&t, reals(bench, DIMS(1, 1, 4), NUMBERS(1, 10, 100, 1000)));
    gives(bench, &t, "SAME_LOWER", DIMS(1, 1, 3), NUMBERS(2100, 4321, 543));

    t = begin(bench, "Conv", 11);
    give(&t, reals(bench, DIMS(1, 1, 2), NULL));
    give(&t, reals(bench, DIMS(1, 1, 3), NULL));
    refuses(bench, &t, "larger than the padded image");

    t = begin(bench, "Conv", 11);
    give(&t, reals(bench, DIMS(1, 3, 5), NULL));
    give(&t, reals(bench, DIMS(1, 2, 3), NULL));
    refuses(bench, &t, "3 input channels");

    t = begin(bench, "Conv", 11);
    set_integers(bench, t.node, "kernel_shape", 1, LONGS(2));
    give(&t, reals(bench, DIMS(1, 1, 5), NULL));
    give(&t, reals(bench, DIMS(1, 1, 3), NULL));
    refuses(bench, &t, "not the weight's");

    t = begin(bench, "Conv", 11);
    set_integers(bench, t.node, "pads", 2, LONGS(INT64_MAX, INT64_MAX));
    give(&t, reals(bench, DIMS(1, 1, 5), NULL));
    give(&t, reals(bench, DIMS(1, 1, 3), NULL));
    refuses(bench, &t, "pads of");

    t = begin(bench, "ConvTranspose", 11);
    set_integers(bench, t.node, "strides", 1, LONGS(2));
    set_integers(bench, t.node, "output_shape", 1, LONGS(6));
    give(&t, reals(bench, DIMS(1, 1, 2), NUMBERS(1, 2)));
    give(&t, reals(bench, DIMS(1, 1, 3), NUMBERS(1, 10, 100)));
    gives(bench, &t, "output_shape beyond the result", DIMS(1, 1, 6), NUMBERS(1, 10, 102, 20, 200, 0));

    t = begin(bench, "Conv", 11);
    give(&t, reals(bench, DIMS(1, 1, 5), NULL));
    give(&t, reals(bench, DIMS(4, 1, 3), NULL));
    run_within(bench, &t, 11);
    expect(t.reason && strstr(t.reason, "more than the limit of 11"), "Conv-11: 12 elements exceed a limit of 11");
}

/* ---- the self-check ---- */

/* A region under construction: the file's ops and the ops that replace them. */
struct region {
    struct check_case check;
    struct value *source;
    struct check_result result;
    const char *reason;
};

static struct region region_begin(struct bench *bench, int rank, const int64_t *dims, int axis, int64_t channels)
{
    struct region region = {.source = new_value(bench, "source", NULL)};
    region.check = (struct check_case){.source = region.source,
                                       .rank = rank,
                                       .dims = dims,
                                       .channel_axis = axis,
                                       .channels = channels,
                                       .seed = 12345,
                                       .type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
                                       .tolerance = 1e-5};
    return region;
}

static struct value *only_output(struct node *node)
{
    return node->outputs[0];
}

/* A trial, another, and the first again, which must come out as it did. */
static void region_try(struct bench *bench, struct region *region)
{
    struct check_region *prepared;
    struct check_result other, again = {0};
    uint64_t seed = region->check.seed;
    region->reason = check_begin(&bench->arena, &region->check, &prepared);
    if (!region->reason)
        region->reason = check_try(prepared, &region->result);
    if (region->reason)
        return;
    region->check.seed = seed + 1;
    region->reason = check_try(prepared, &other);
    region->check.seed = seed;
    if (!region->reason)
        region->reason = check_try(prepared, &again);
    expect(memcmp(&again.difference, &region->result.difference, sizeof(double)) == 0 &&
               again.channels == region->result.channels,
           "check: a third trial like the first finds %g, not %g", again.difference, region->result.difference);
}

/* The file computes the target by `old`, the rewrite by `new`. */
static void region_run(struct bench *bench, struct region *region, struct node *old, struct node *new)
{
    struct value *target = only_output(old);
    new->outputs[0] = target;
    target->first_producer = old;
    target->producer = new;
    target->name = "target";
    region->check.target = target;
    region_try(bench, region);
}

enum { SOME = -1 }; /* channels of a sample: how many depends on the work */

static void agrees(const struct region *region, int64_t channels, const char *what)
{
    int64_t seen = region->result.channels;
    bool right = channels == SOME ? seen >= 3 && seen <= 8 : seen == channels;
    expect(!region->reason && region->result.difference < 1e-12 && right,
           "check: %s agrees on %d channels (%s, %g, %d)", what, (int)channels,
           region->reason ? region->reason : "evaluated", region->result.difference, (int)region->result.channels);
}

static void differs(const struct region *region, const char *what)
{
    expect(!region->reason && region->result.difference > 1e-3, "check: %s is found (%s, %g)", what,
           region->reason ? region->reason : "evaluated", region->result.difference);
}

/* The numbers of a tensor that reals() made, to be changed in place. */
static double *numbers(struct tensor *tensor)
{
    return (double *)tensor->data;
}

static struct tensor *positive(struct bench *bench, int64_t count)
{
    struct tensor *tensor = reals(bench, 1, &count, NULL);
    for (int64_t i = 0; i < count; i++)
        numbers(tensor)[i] = fabs(numbers(tensor)[i]) + 0.5;
    return tensor;
}

struct norm {
    struct tensor *scale, *bias, *mean, *variance;
};

static struct node *add_norm(struct bench *bench, struct value *in, int64_t channels, struct norm *norm)
{
    *norm = (struct norm){reals(bench, 1, &channels, NULL), reals(bench, 1, &channels, NULL),
                          reals(bench, 1, &channels, NULL), positive(bench, channels)};
    struct node *node = new_node(bench, "BatchNormalization", 15,
                                 INPUTS(in, constant(bench, norm->scale), constant(bench, norm->bias),
                                        constant(bench, norm->mean), constant(bench, norm->variance)));
    set_real(bench, node, "epsilon", 0x1p-10);
    return node;
}

/* The weight times the norm's factor, row by row, and the bias that goes with it. */
static void fold_norm(struct bench *bench, const struct tensor *weight, const struct norm *norm, struct tensor **folded,
                      struct tensor **bias)
{
    int64_t rows = norm->scale->count, length = weight->count / rows;
    *folded = reals(bench, weight->rank, weight->dims, weight->data);
    *bias = reals(bench, 1, &rows, NULL);
    for (int64_t o = 0; o < rows; o++) {
        double factor = numbers(norm->scale)[o] / sqrt(numbers(norm->variance)[o] + 0x1p-10);
        for (int64_t i = 0; i < length; i++)
            numbers(*folded)[o * length + i] *= factor;
        numbers(*bias)[o] = numbers(norm->bias)[o] - numbers(norm->mean)[o] * factor;
    }
}

/* A grouped Conv's weight as that of a Conv with one group. */
static struct tensor *ungroup(struct bench *bench, const struct tensor *weight, int64_t groups)
{
    int64_t outputs = weight->dims[0], width = weight->dims[1];
    int64_t taps = weight->count / outputs / width;
    struct tensor *dense = reals(bench, DIMS(outputs, width * groups, weight->dims[2], weight->dims[3]), NULL);
    memset(numbers(dense), 0, (size_t)dense->count * sizeof(double));
    for (int64_t o = 0; o < outputs; o++)
        memcpy(numbers(dense) + (o * groups + o / (outputs / groups)) * width * taps,
               (const double *)weight->data + o * width * taps, (size_t)(width * taps) * sizeof(double));
    return dense;
}

/* Conv and norm against one Conv without groups; spoil: the channel with a wrong weight, or -1. */
static void check_conv(struct bench *bench, int64_t outputs, int64_t inputs, int64_t groups, int64_t spoil,
                       const char *what)
{
    int64_t dims[] = {2, inputs, 5, 7};
    struct region region = region_begin(bench, 4, dims, 1, outputs);
    struct tensor *weight = reals(bench, DIMS(outputs, inputs / groups, 3, 3), NULL);
    struct node *conv = new_node(bench, "Conv", 15, INPUTS(region.source, constant(bench, weight)));
    set_integers(bench, conv, "pads", 4, LONGS(1, 1, 1, 1));
    set_integers(bench, conv, "strides", 2, LONGS(2, 1));
    set_integer(bench, conv, "group", groups);
    struct norm norm;
    struct tensor *folded, *bias;
    struct node *old = add_norm(bench, only_output(conv), outputs, &norm);
    fold_norm(bench, weight, &norm, &folded, &bias);
    folded = ungroup(bench, folded, groups);
    if (spoil >= 0)
        numbers(folded)[spoil * folded->count / outputs] += 1;
    struct node *new =
        new_node(bench, "Conv", 15, INPUTS(region.source, constant(bench, folded), constant(bench, bias)));
    set_integers(bench, new, "pads", 4, LONGS(1, 1, 1, 1));
    set_integers(bench, new, "strides", 2, LONGS(2, 1));
    region_run(bench, &region, old, new);
    if (spoil >= 0)
        differs(&region, what);
    else
        agrees(&region, outputs > 16 ? SOME : outputs, what);
}

static void test_check_conv(struct bench *bench)
{
    check_conv(bench, 6, 4, 1, -1, "a small Conv and norm");
    check_conv(bench, 6, 4, 2, -1, "a small grouped Conv and norm");
    check_conv(bench, 6, 4, 1, 3, "a wrong number in a small weight");
    check_conv(bench, 120, 72, 1, -1, "a large Conv and norm");
    check_conv(bench, 120, 72, 1, 119, "a wrong number in the last row of a large weight");
    check_conv(bench, 120, 72, 1, 0, "a wrong number in the first row of a large weight");
    check_conv(bench, 120, 72, 4, -1, "a large grouped Conv and norm");
    check_conv(bench, 120, 120, 120, -1, "a depthwise Conv and norm");
}

/* A whole block: x + pad(conv) + pool branches, on both sides of the sampling limit. */
static void check_block(struct bench *bench, int64_t channels, const char *what)
{
    int64_t dims[] = {1, channels, 6, 5};
    struct region region = region_begin(bench, 4, dims, 1, channels);
    struct tensor *weight = reals(bench, DIMS(channels, channels, 1, 1), NULL);
    struct tensor *scale = reals(bench, DIMS(channels, 1, 1), NULL);
    struct norm norm;
    struct node *conv = new_node(bench, "Conv", 15, INPUTS(region.source, constant(bench, weight)));
    struct node *bn = add_norm(bench, only_output(conv), channels, &norm);
    /* Pad by one and crop it away again: nothing but work for the evaluator. */
    struct node *pad =
        new_node(bench, "Pad", 15, INPUTS(only_output(bn), constant(bench, LIST_OF(0, 0, 1, 1, 0, 0, 1, 1))));
    struct node *crop = new_node(bench, "Slice", 15,
                                 INPUTS(only_output(pad), constant(bench, LIST_OF(1, 1)),
                                        constant(bench, LIST_OF(-1, -1)), constant(bench, LIST_OF(2, 3))));
    struct node *pool = new_node(bench, "AveragePool", 15, INPUTS(region.source));
    set_integers(bench, pool, "kernel_shape", 2, LONGS(1, 1));
    struct node *scaled = new_node(bench, "Mul", 15, INPUTS(constant(bench, scale), only_output(pool)));
    struct node *negated = new_node(bench, "Neg", 15, INPUTS(only_output(scaled)));
    struct node *old = new_node(bench, "Sum", 15, INPUTS(region.source, only_output(crop), only_output(negated)));

    struct tensor *folded, *bias;
    fold_norm(bench, weight, &norm, &folded, &bias);
    for (int64_t c = 0; c < channels; c++)
        numbers(folded)[c * channels + c] += 1 - numbers(scale)[c];
    struct node *new =
        new_node(bench, "Conv", 15, INPUTS(region.source, constant(bench, folded), constant(bench, bias)));
    region_run(bench, &region, old, new);
    agrees(&region, channels > 16 ? SOME : channels, what);
}

static void check_products(struct bench *bench, int64_t inputs, int64_t outputs, const char *what)
{
    int64_t dims[] = {7, inputs};
    struct region region = region_begin(bench, 2, dims, 1, outputs);
    struct tensor *weight = reals(bench, DIMS(inputs, outputs), NULL);
    struct tensor *turned = reals(bench, DIMS(outputs, inputs), NULL);
    struct tensor *bias = reals(bench, DIMS(outputs), NULL);
    for (int64_t i = 0; i < inputs; i++)
        for (int64_t o = 0; o < outputs; o++)
            numbers(turned)[o * inputs + i] = numbers(weight)[i * outputs + o];
    struct node *product = new_node(bench, "MatMul", 13, INPUTS(region.source, constant(bench, weight)));
    struct node *old = new_node(bench, "Add", 13, INPUTS(constant(bench, bias), only_output(product)));
    struct node *new =
        new_node(bench, "Gemm", 13, INPUTS(region.source, constant(bench, turned), constant(bench, bias)));
    set_integer(bench, new, "transB", 1);
    region_run(bench, &region, old, new);
    agrees(&region, outputs > 16 ? SOME : outputs, what);
}

/* ConvTranspose and a per-channel Mul; grouped against one group. */
static void check_transposed(struct bench *bench, int64_t inputs, int64_t outputs, int64_t groups, const char *what)
{
    int64_t dims[] = {1, inputs, 5, 4}, width = outputs / groups, depth = inputs / groups;
    struct region region = region_begin(bench, 4, dims, 1, outputs);
    struct tensor *weight = reals(bench, DIMS(inputs, width, 2, 3), NULL);
    struct tensor *scale = reals(bench, DIMS(1, outputs, 1, 1), NULL);
    struct tensor *folded = reals(bench, DIMS(inputs, outputs, 2, 3), NULL);
    memset(numbers(folded), 0, (size_t)folded->count * sizeof(double));
    for (int64_t i = 0; i < inputs; i++)
        for (int64_t o = 0; o < width; o++)
            for (int64_t tap = 0; tap < 6; tap++) {
                int64_t output = i / depth * width + o;
                numbers(folded)[(i * outputs + output) * 6 + tap] =
                    numbers(weight)[(i * width + o) * 6 + tap] * numbers(scale)[output];
            }
    struct node *conv = new_node(bench, "ConvTranspose", 11, INPUTS(region.source, constant(bench, weight)));
    set_integer(bench, conv, "group", groups);
    set_integers(bench, conv, "strides", 2, LONGS(2, 1));
    struct node *old = new_node(bench, "Mul", 13, INPUTS(only_output(conv), constant(bench, scale)));
    struct node *new = new_node(bench, "ConvTranspose", 11, INPUTS(region.source, constant(bench, folded)));
    set_integers(bench, new, "strides", 2, LONGS(2, 1));
    region_run(bench, &region, old, new);
    agrees(&region, outputs > 16 ? SOME : outputs, what);
}

static void test_check_kinds(struct bench *bench)
{
    check_block(bench, 5, "a small block");
    check_block(bench, 300, "a large block");
    check_products(bench, 5, 9, "a small MatMul and Add");
    check_products(bench, 500, 400, "a large MatMul and Add");
    check_transposed(bench, 6, 4, 2, "a small grouped ConvTranspose");
    check_transposed(bench, 240, 160, 1, "a large ConvTranspose");
    check_transposed(bench, 240, 160, 4, "a large grouped ConvTranspose");
}

static void test_check_region(struct bench *bench)
{
    int64_t dims[] = {2, 3, 4};

    /* A weight that nodes compute, and one that needs the shape of the source. */
    struct region region = region_begin(bench, 3, dims, 1, 3);
    struct tensor *weight = reals(bench, DIMS(3, 3), NULL);
    for (int64_t i = 0; i < weight->count; i++) /* what is computed is rounded */
        numbers(weight)[i] = (double)(float)numbers(weight)[i];
    struct tensor *kernel = reals(bench, DIMS(3, 3, 1), weight->data);
    struct node *computed =
        new_node(bench, "Unsqueeze", 13, INPUTS(constant(bench, weight), constant(bench, LIST_OF(-1))));
    struct node *old = new_node(bench, "Conv", 13, INPUTS(region.source, only_output(computed)));
    struct node *shape = new_node(bench, "Shape", 13, INPUTS(region.source));
    struct node *conv = new_node(bench, "Conv", 13, INPUTS(region.source, constant(bench, kernel)));
    struct node *new = new_node(bench, "Reshape", 13, INPUTS(only_output(conv), only_output(shape)));
    region_run(bench, &region, old, new);
    agrees(&region, 3, "a computed weight and a shape");

    /* A value that is read early and once more, late. */
    region = region_begin(bench, 3, dims, 1, 3);
    struct node *early = new_node(bench, "Neg", 13, INPUTS(region.source));
    struct node *between = new_node(bench, "Neg", 13, INPUTS(only_output(early)));
    struct node *later = new_node(bench, "Identity", 13, INPUTS(only_output(between)));
    old = new_node(bench, "Sub", 13, INPUTS(only_output(later), only_output(early)));
    new = new_node(bench, "Add", 13, INPUTS(region.source, region.source));
    region_run(bench, &region, old, new);
    agrees(&region, 3, "a value that is read twice");

    /* The region depends on a value that nobody makes. */
    region = region_begin(bench, 3, dims, 1, 3);
    struct value *stranger = new_value(bench, "stranger", NULL);
    old = new_node(bench, "Add", 13, INPUTS(region.source, stranger));
    new = new_node(bench, "Identity", 13, INPUTS(region.source));
    region_run(bench, &region, old, new);
    expect(region.reason && strstr(region.reason, "'stranger'"), "check: a value from elsewhere is named (%s)",
           region.reason ? region.reason : "evaluated");

    /* Something that the evaluator does not know. */
    region = region_begin(bench, 3, dims, 1, 3);
    old = new_node(bench, "Multinomial", 13, INPUTS(region.source));
    new = new_node(bench, "Identity", 13, INPUTS(region.source));
    region_run(bench, &region, old, new);
    expect(region.reason && strstr(region.reason, "Multinomial that makes 'target'"),
           "check: an unknown operator is named (%s)", region.reason ? region.reason : "evaluated");

    /* Numbers that are not finite. */
    region = region_begin(bench, 3, dims, 1, 3);
    double infinite = (double)INFINITY;
    old = new_node(bench, "Identity", 13, INPUTS(region.source));
    new = new_node(bench, "Add", 13, INPUTS(region.source, constant(bench, reals(bench, SCALAR, &infinite))));
    region_run(bench, &region, old, new);
    expect(!region.reason && isinf(region.result.difference), "check: an infinite result is an infinite difference");

    /* Other shapes. */
    region = region_begin(bench, 3, dims, 1, 3);
    old = new_node(bench, "Identity", 13, INPUTS(region.source));
    new = new_node(bench, "Pad", 13, INPUTS(region.source, constant(bench, LIST_OF(0, 0, 0, 0, 0, 1))));
    region_run(bench, &region, old, new);
    expect(region.reason && strstr(region.reason, "shapes [2, 3, 4] and [2, 3, 5]"),
           "check: another shape is a reason (%s)", region.reason ? region.reason : "evaluated");
}

/* The file adds source - (3 * source + 3 * source) to a value that nothing here evaluates, and a constant. The
 * rewrite makes the former, under a name of its own, and adds it by `op`. */
static void check_sum(struct bench *bench, struct region *region, double factor, const char *op, struct tensor *shift)
{
    struct node *tripled =
        new_node(bench, "Mul", 13, INPUTS(region->source, constant(bench, reals(bench, SCALAR, NUMBERS(3)))));
    struct node *twice = new_node(bench, "Sum", 13, INPUTS(only_output(tripled), only_output(tripled)));
    struct node *other = new_node(bench, "Hardmax", 13, INPUTS(new_value(bench, "far", NULL)));
    struct node *group = new_node(bench, "Sub", 13, INPUTS(region->source, only_output(twice)));
    struct node *inner = new_node(bench, "Add", 13, INPUTS(only_output(other), only_output(group)));
    struct value *moved = constant(bench, shift);
    struct node *old = new_node(bench, "Add", 13, INPUTS(only_output(inner), moved));
    struct node *made =
        new_node(bench, "Mul", 13, INPUTS(region->source, constant(bench, reals(bench, SCALAR, NUMBERS(factor)))));
    struct node *shifted = new_node(bench, "Add", 13, INPUTS(only_output(made), moved));
    struct node *new = new_node(bench, op, 13, INPUTS(only_output(shifted), only_output(other)));
    struct node *news[] = {made, shifted, new};
    struct use *uses = NEW_ARRAY(&bench->arena, struct use, 2);
    for (size_t i = 0; i < COUNT_OF(news); i++) {
        news[i]->is_new = true;
        only_output(news[i])->first_producer = NULL;
        only_output(news[i])->is_new = true;
    }
    uses[0] = (struct use){shifted, shifted, NULL, 0};
    uses[1] = (struct use){new, new, NULL, 0};
    only_output(made)->uses = &uses[0];
    only_output(shifted)->uses = &uses[1];
    new->outputs[0] = only_output(old);
    only_output(old)->producer = new;
    only_output(old)->name = "sum";
    struct term *terms = NEW_ARRAY(&bench->arena, struct term, 2);
    terms[0] = (struct term){region->source, 1};
    terms[1] = (struct term){only_output(tripled), -2};
    region->check.terms = terms;
    region->check.term_count = 2;
    region->check.target = only_output(made);
    region_try(bench, region);
}

static void test_check_sums(struct bench *bench)
{
    const int64_t dims[] = {1, 3, 4};
    struct tensor *shift = reals(bench, DIMS(3, 1), NUMBERS(1, -2, 0.5));
    struct tensor *wide = reals(bench, DIMS(1, 3, 1, 1), NUMBERS(1, -2, 0.5));
    struct region region = region_begin(bench, 3, dims, 1, 3);
    check_sum(bench, &region, -5, "Add", shift);
    agrees(&region, 3, "a part of a sum");
    region = region_begin(bench, 3, dims, 1, 3);
    check_sum(bench, &region, -5, "Add", wide);
    agrees(&region, 3, "a part of a sum of more axes");
    region = region_begin(bench, 3, dims, 1, 3);
    check_sum(bench, &region, -4, "Add", shift);
    differs(&region, "a part that is not what it replaces");
    region = region_begin(bench, 3, dims, 1, 3);
    check_sum(bench, &region, -5, "Sub", shift);
    differs(&region, "a sum that is built anew with another sign");
}

/* What departs in a small channel is not hidden by a large one, and what rounding leaves is no fault. */
static void test_check_channels(struct bench *bench)
{
    const int64_t dims[] = {1, 2, 40};
    for (int wrong = 0; wrong < 2; wrong++) {
        struct region region = region_begin(bench, 3, dims, 1, 2);
        struct tensor *large = reals(bench, DIMS(2, 1), NUMBERS(1e5, 1));
        struct tensor *other = reals(bench, DIMS(2, 1), NUMBERS(1e5, 1));
        if (wrong)
            numbers(other)[1] = 1.01;
        region_run(bench, &region, new_node(bench, "Mul", 13, INPUTS(region.source, constant(bench, large))),
                   new_node(bench, "Mul", 13, INPUTS(region.source, constant(bench, other))));
        if (wrong)
            differs(&region, "a small channel beside a large one");
        else
            agrees(&region, 2, "a small channel beside a large one");
    }
    /* 1e4 * x - 1e4 * x + x of float, whose first weight rounding has moved: 4e-5 of x are left. */
    struct region region = region_begin(bench, 3, dims, 1, 2);
    struct tensor *up = reals(bench, SCALAR, NUMBERS(1e4)), *down = reals(bench, SCALAR, NUMBERS(-1e4));
    struct value *x = region.source;
    struct node *a = new_node(bench, "Mul", 13, INPUTS(x, constant(bench, up)));
    struct node *b = new_node(bench, "Mul", 13, INPUTS(x, constant(bench, down)));
    struct node *old = new_node(bench, "Sum", 13, INPUTS(only_output(a), only_output(b), x));
    struct node *new = new_node(bench, "Mul", 13, INPUTS(x, constant(bench, reals(bench, SCALAR, NUMBERS(1 + 4e-5)))));
    region_run(bench, &region, old, new);
    expect(!region.reason && region.result.difference <= region.check.tolerance,
           "check: what rounding leaves where terms cancel is within the tolerance (%s, %g)",
           region.reason ? region.reason : "evaluated", region.result.difference);
}

/* A hundred thousand nodes in a row: no recursion, and buffers that are used again. */
static void test_check_long_chain(struct bench *bench)
{
    enum { LENGTH = 100000 };
    int64_t dims[] = {1, 2, 30, 30};
    struct region region = region_begin(bench, 4, dims, 1, 2);
    struct tensor *two = reals(bench, SCALAR, NUMBERS(2));
    struct node *node = new_node(bench, "Neg", 13, INPUTS(region.source));
    for (int i = 1; i < LENGTH; i++)
        node = new_node(bench, "Neg", 13, INPUTS(only_output(node)));
    struct node *old = new_node(bench, "Mul", 13, INPUTS(only_output(node), constant(bench, two)));
    struct node *new = new_node(bench, "Add", 13, INPUTS(region.source, region.source));
    size_t before = bench->arena.allocated;
    region_run(bench, &region, old, new);
    agrees(&region, 2, "a chain of 100000 nodes");
    size_t used = bench->arena.allocated - before;
    expect(used < (size_t)LENGTH * 2000, "check: a chain takes %zu bytes a node, not a buffer for each", used / LENGTH);
}

static void run_group(void (*test)(struct bench *bench))
{
    struct bench *bench = calloc(1, sizeof(*bench));
    if (!bench)
        abort();
    bench->state = 1;
    arena_init(&bench->arena, &bench->landing);
    bench->model.arena = &bench->arena;
    bench->graph = (struct graph){.model = &bench->model, .name = "test", .opset = 13};
    jmp_buf jump;
    bench->landing.jump = &jump;
    if (setjmp(jump) == 0)
        test(bench);
    else
        expect(false, "landed: %s", bench->landing.message);
    arena_free(&bench->arena);
    free(bench);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*test)(struct bench *bench);
    } tests[] = {
        {"elementwise", test_elementwise},
        {"constants and casts", test_constants_and_casts},
        {"shapes", test_shapes},
        {"reductions", test_reductions},
        {"products", test_products},
        {"convolutions", test_convolutions},
        {"check: Conv", test_check_conv},
        {"check: other operators", test_check_kinds},
        {"check: regions", test_check_region},
        {"check: sums", test_check_sums},
        {"check: channels", test_check_channels},
        {"check: long chain", test_check_long_chain},
    };
    for (size_t i = 0; i < COUNT_OF(tests); i++) {
        printf("# %s\n", tests[i].name);
        run_group(tests[i].test);
    }
    return unit_finish();
}
