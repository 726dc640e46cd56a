/* verify/joint_draw.c: random numbers for the values that an evaluation starts from: such as the models have there,
 * as far as that is known. */
#include "verify/joint_draw.h"

#include <math.h>

#include "eval/eval.h"
#include "infer/constant.h"
#include "match/numbered.h"

/* Ops after which not every number can come. */
static bool has_range(enum op op)
{
    switch (op) {
    case OP_Abs:
    case OP_Clip:
    case OP_Exp:
    case OP_HardSigmoid:
    case OP_Relu:
    case OP_Sigmoid:
    case OP_Softmax:
    case OP_Softplus:
    case OP_Tanh: return true;
    default: return false;
    }
}

/* Ops whose results are elements of their first input. */
static bool hands_on(enum op op)
{
    return operator_is(op, MOVES) || op == OP_Dropout || op == OP_MaxPool;
}

/* The node that made the elements of a value, or NULL. */
static const struct node *maker_of(const struct value *value)
{
    enum { STEPS_MOST = 16 };
    const struct node *node = value->producer;
    for (int i = 0; node && hands_on(node->op) && i < STEPS_MOST; i++)
        node = node_input(node, 0) ? node->inputs[0]->producer : NULL;
    return node;
}

static bool is_even_power(const struct node *node)
{
    const struct tensor *tensor;
    struct value *power = node_input(node, 1);
    double number;
    if (!power || constant_of(power, &tensor) || tensor->count != 1 || !type_is_float(tensor->type) ||
        !tensor_is_readable(tensor))
        return false;
    tensor_read(tensor, 0, 1, &number);
    return fmod(number, 2) == 0;
}

/* True for a short constant without a number below 0. */
static bool is_stored_nonnegative(const struct value *value)
{
    enum { COUNT_MOST = 4096 };
    const struct tensor *tensor;
    if (constant_of((struct value *)(uintptr_t)value, &tensor) || !type_is_float(tensor->type) ||
        tensor->count > COUNT_MOST || !tensor_is_readable(tensor))
        return false;
    for (int64_t i = 0; i < tensor->count; i++) {
        double number;
        tensor_read(tensor, i, 1, &number);
        if (!(number >= 0))
            return false;
    }
    return true;
}

/* True for a value that is never below 0, whatever the inputs: by what makes it. At most *steps values are
 * looked at. */
static bool is_nonnegative(const struct value *value, int depth, int *steps)
{
    const struct node *node = value ? value->producer : NULL;
    size_t asked = 1; /* inputs that must be so, too */
    if (!value || depth == 0 || *steps == 0)
        return false;
    --*steps;
    if (!node || node->op == OP_Constant)
        return is_stored_nonnegative(value);
    switch (node->op) {
    case OP_Abs:
    case OP_Exp:
    case OP_HardSigmoid:
    case OP_ReduceL1:
    case OP_ReduceL2:
    case OP_ReduceSumSquare:
    case OP_Relu:
    case OP_Sigmoid:
    case OP_Softmax:
    case OP_Softplus:
    case OP_Sqrt: return true;
    case OP_Pow:
        if (is_even_power(node))
            return true;
        break;
    case OP_Mul:
        if (node->input_count == 2 && node->inputs[0] == node->inputs[1])
            return true;
        asked = node->input_count;
        break;
    case OP_Add:
    case OP_Concat:
    case OP_Div:
    case OP_Mean:
    case OP_Min:
    case OP_Sum: asked = node->input_count; break;
    case OP_AveragePool:
    case OP_GlobalAveragePool:
    case OP_ReduceMean:
    case OP_ReduceSum: break;
    case OP_Max:
        for (size_t i = 0; i < node->input_count; i++)
            if (is_nonnegative(node->inputs[i], depth - 1, steps))
                return true;
        return false;
    case OP_UNKNOWN: return false;
    default:
        if (!hands_on(node->op))
            return false;
    }
    for (size_t i = 0; i < asked; i++)
        if (!is_nonnegative(node_input(node, i), depth - 1, steps))
            return false;
    return true;
}

/* Applies the op that computes a value to its random numbers, because the model never sees others. If the effect is
 * unknown, they stay. */
static struct array *in_range(struct joint_eval *joint, const struct value *value, struct array *drawn)
{
    enum { DEPTH = 8 };
    int steps = 64;
    const struct node *node = maker_of(value);
    if (!array_is_real(drawn))
        return drawn;
    if (!node || !has_range(node->op)) {
        bool nonnegative = is_nonnegative(value, DEPTH, &steps);
        for (int64_t i = 0; nonnegative && i < drawn->count; i++)
            drawn->reals[i] = fabs(drawn->reals[i]);
        return drawn;
    }
    struct array **inputs = NEW_ARRAY(joint->scratch, struct array *, node->input_count);
    for (size_t i = 0; i < node->input_count; i++) {
        const struct tensor *tensor;
        if (i == 0)
            inputs[0] = drawn;
        else if (node->inputs[i] && (constant_of(node->inputs[i], &tensor) ||
                                     array_load(joint->scratch, &joint->pool, tensor, &inputs[i])))
            return drawn;
    }
    struct evaluation e = {
        .arena = joint->scratch, .pool = &joint->pool, .node = node, .inputs = inputs, .limit = BUDGET_VALUE};
    return eval_arrays(&e) || e.outputs[0]->count != drawn->count ? drawn : e.outputs[0];
}

/* The highest bits of a random number, signed or not. */
static int64_t high_bits(uint64_t bits, int count, bool is_positive)
{
    return is_positive ? (int64_t)(bits >> (64 - count))
                       : (int64_t)(bits >> (64 - count)) - (INT64_C(1) << (count - 1));
}

static int64_t draw_integer(const struct draw *draw, int32_t type, bool is_positive, uint64_t bits)
{
    static const int widths[] = {3, 8, 20, 40}; /* bits of a wide one */
    is_positive = is_positive || !eval_integer_fits(type, -1);
    if (type == ONNX__TENSOR_PROTO__DATA_TYPE__BOOL || type_size(type) == 0)
        return (int64_t)(bits >> 63); /* types of less than a byte hold these */
    switch (draw->integers) {
    case INTEGERS_WIDE: {
        int most = 8 * (int)type_size(type), width = widths[bits & 3];
        return high_bits(bits, width < most ? width : most, is_positive);
    }
    case INTEGERS_ROWS: return (int64_t)((bits >> 1) % (uint64_t)(draw->rows ? draw->rows : 1));
    case INTEGERS_MIDDLE: {
        int most = 8 * (int)type_size(type);
        return high_bits(bits, most < 15 ? most : 15, is_positive);
    }
    case INTEGERS_SMALL: return high_bits(bits, 4, is_positive);
    case INTEGERS_FEW: return (int64_t)((bits >> 1) % 5) - (is_positive ? 0 : 2);
    default: return bits >> 62 != 0; /* masks have more of 1 */
    }
}

/* A Loop that runs often costs much and shows no more. */
static bool counts_trips(const struct draw *draw, const struct value *value)
{
    for (size_t i = 0; i < draw->trip_count; i++)
        if (draw->trips[i] == value_number(value))
            return true;
    return false;
}

/* The same with large letters for small ones, and the other way round: an operator may take them for one. */
static const ProtobufCBinaryData *in_other_case(struct arena *arena, const ProtobufCBinaryData *text)
{
    ProtobufCBinaryData *other = NEW(arena, ProtobufCBinaryData);
    *other = (ProtobufCBinaryData){text->len, NEW_ARRAY(arena, uint8_t, text->len + 1)};
    for (size_t i = 0; i < text->len; i++) {
        bool is_letter = (text->data[i] | 0x20) >= 'a' && (text->data[i] | 0x20) <= 'z';
        other->data[i] = text->data[i] ^ (is_letter ? 0x20 : 0);
    }
    return other;
}

/* Texts: numbers where small integers are asked for; else one that the models ask for in turn with a random
 * one. */
static void draw_texts(struct joint_eval *joint, const struct draw *draw, struct array *array, uint64_t state)
{
    static const char letters[] = "abcdABCD019  ";
    enum { LENGTH_MOST = 8 };
    bool is_number =
        draw->integers == INTEGERS_SMALL || draw->integers == INTEGERS_FEW || draw->integers == INTEGERS_BITS;
    for (int64_t i = 0; i < array->count; i++) {
        uint64_t bits = eval_random(&state);
        uint64_t turn = (uint64_t)draw->trial * (uint64_t)array->count + (uint64_t)i;
        if (!is_number && draw->text_count && (turn + turn / draw->text_count) % 2 == 0) {
            const ProtobufCBinaryData *asked = draw->texts[turn % draw->text_count];
            array->texts[i] = turn / 2 % 2 ? in_other_case(joint->scratch, asked) : asked;
            continue;
        }
        ProtobufCBinaryData *text = NEW(joint->scratch, ProtobufCBinaryData);
        char *data;
        if (is_number) {
            data = arena_format(joint->scratch, "%d", (int)(bits >> 60) - 8);
        } else {
            data = NEW_ARRAY(joint->scratch, char, LENGTH_MOST);
            for (uint64_t k = 0; k < bits >> 61; k++)
                data[k] = letters[(bits >> 4 * k & 0xffff) % (sizeof(letters) - 1)];
        }
        *text = (ProtobufCBinaryData){strlen(data), (uint8_t *)data};
        array->texts[i] = text;
    }
}

/* Every other integer is one that the models ask for or a neighbour of one, in turn from trial to trial. After
 * all of them they begin one further: so that each comes to each place. */
static bool asked_for(const struct draw *draw, const struct array *array, int64_t at, bool is_positive,
                      int64_t *integer)
{
    static const int beside[] = {0, 1, -1};
    uint64_t count = draw->constant_count, trial = (uint64_t)draw->trial;
    if (draw->has_runs && count && trial % 2 == 0) {
        *integer = draw->constants[((uint64_t)at + trial / 2) % count];
        return eval_integer_fits(array->type, *integer);
    }
    uint64_t drawn = trial * (uint64_t)array->count + (uint64_t)at; /* by all trials */
    /* Bits of every other trial ask for nothing: a single element is asked for between those. */
    if (count == 0 || drawn % 2 != (array->count == 1) || draw->integers == INTEGERS_ROWS ||
        draw->integers == INTEGERS_BITS)
        return false;
    uint64_t all = count * COUNT_OF(beside), turn = (drawn / 2 + drawn / 2 / all) % all;
    return add_fits(draw->constants[turn % count], beside[turn / count], integer) &&
           eval_integer_fits(array->type, *integer) && (*integer >= 0 || !is_positive);
}

/* Elements of a plane of an image, or of a row: of these one is moved down, the next up. */
static int64_t plane_of(const struct array *array)
{
    int64_t plane = 1;
    for (int i = array->rank > 2 ? 2 : array->rank - 1; i >= 0 && i < array->rank; i++)
        plane *= array->dims[i];
    return plane;
}

/* Reals in [-1, 1) times the amplitude, of some draws every other is infinite or none in turn, planes moved by a whole one where that is asked for. */
static double draw_real(const struct draw *draw, int64_t at, int64_t plane, uint64_t bits)
{
    static const double odd[] = {(double)INFINITY, -(double)INFINITY, (double)NAN};
    int shift = plane % 2 ? draw->shift : -draw->shift;
    if (draw->has_odd && at % 2 == 0)
        return odd[(at / 2 + draw->trial / 2) % (int)COUNT_OF(odd)];
    return draw->amplitude > 0 ? (eval_uniform(bits) + shift) * draw->amplitude : (double)(bits >> 62 != 0);
}

const char *joint_draw(struct joint_eval *joint, const struct value *value, int rank, const int64_t *dims,
                       const struct draw *draw)
{
    if (joint_array(joint, value))
        return NULL;
    int32_t type = value->type ? value->type : ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    struct array *array;
    const char *reason = array_make(joint->scratch, &joint->pool, BUDGET_VALUE, type, rank, dims, &array);
    if (reason)
        return reason;
    uint64_t state = draw->seed + value_number(value) * UINT64_C(0x5851f42d4c957f2d);
    const struct node *maker = maker_of(value);
    bool is_positive = maker && (maker->op == OP_Shape || maker->op == OP_Size);
    int64_t plane = plane_of(array);
    enum { TRIPS_MOST = 5 };
    bool is_trips = array_is_whole(array) && counts_trips(draw, value);
    if (type == ONNX__TENSOR_PROTO__DATA_TYPE__STRING) {
        draw_texts(joint, draw, array, state);
        joint_put(joint, value_number(value), array);
        return NULL;
    }
    for (int64_t i = 0; i < array->count; i++) {
        uint64_t bits = eval_random(&state);
        if (array_is_real(array))
            array->reals[i] = draw_real(draw, i, draw->shift ? i / plane : 0, bits);
        else if (is_trips)
            array->integers[i] = (int64_t)((bits >> 1) % TRIPS_MOST);
        else if (draw->in_order && type != ONNX__TENSOR_PROTO__DATA_TYPE__BOOL)
            array->integers[i] = i % draw->rows;
        else if (!asked_for(draw, array, i, is_positive, &array->integers[i]))
            array->integers[i] = draw_integer(draw, type, is_positive, bits);
    }
    joint_put(joint, value_number(value), in_range(joint, value, array));
    return NULL;
}
