/* equalize/weight.c: weights read once, and scaled by powers of two. */
#include "equalize/weight.h"

#include <math.h>
#include <stdlib.h>

#include "affine/laws.h"
#include "affine/rows.h"
#include "base/vector.h"
#include "infer/constant.h"
#include "infer/operand.h"
#include "model/model.h"

/* ---- what it is ---- */

/* The exponents of float16 are too few: activations that are scaled would become subnormal. */
static bool type_is_scaled(int32_t type)
{
    return type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT || type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE ||
           type == ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16;
}

static const char *look_at(struct arena *arena, struct value *value, const struct tensor **tensor)
{
    if (!value)
        return "its weight is missing";
    const char *reason = constant_of(value, tensor);
    if (reason)
        return arena_format(arena, "its weight '%s' %s", value->name, reason);
    if (!value->tensor)
        return arena_format(arena, "its weight '%s' is computed by operators", value->name);
    if (value->is_annotated)
        return arena_format(arena, "its weight '%s' carries a quantization annotation", value->name);
    if (value->is_output || value_use_count(value) != 1)
        return arena_format(arena, "its weight '%s' is shared", value->name);
    int32_t type = (*tensor)->type;
    if (type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16)
        return arena_format(arena,
                            "its weight '%s' is float16, whose exponents are too few: a scaled "
                            "activation may lose bits as a subnormal",
                            value->name);
    if (!type_is_scaled(type) || (*tensor)->storage == STORAGE_OPAQUE || (*tensor)->count == 0)
        return arena_format(arena, "its weight '%s' is %s, not a type that is scaled", value->name, type_name(type));
    return NULL;
}

const char *weight_of(struct node *node, struct weight *weight)
{
    struct arena *arena = node->graph->model->arena;
    const struct tensor *tensor;
    const char *reason = look_at(arena, node_input(node, 1), &tensor);
    if (reason)
        return reason;
    bool matrix = node->op == OP_Gemm || node->op == OP_MatMul;
    bool fused = tensor->storage == STORAGE_FUSED;
    if (matrix ? tensor->rank != 2 : tensor->rank < 3)
        return arena_format(arena, "its weight has rank %d", tensor->rank);
    if (node->op == OP_Gemm && node_integer(node, "transA", 0))
        return "it transposes its input";
    *weight = (struct weight){.tensor = tensor, .groups = matrix ? 1 : node_integer(node, "group", 1)};
    weight->by_input =
        node->op == OP_ConvTranspose || (matrix && !fused && !(node->op == OP_Gemm && node_integer(node, "transB", 0)));
    bool turned = fused && tensor->part == FUSED_KERNEL_TRANSPOSED;
    weight->rows = tensor->dims[turned ? 1 : 0];
    weight->columns = tensor->dims[turned ? 0 : 1];
    weight->taps = tensor->count / weight->rows / weight->columns;
    if (weight->groups < 1 || weight->rows % weight->groups)
        return "its group does not fit its weight";
    int64_t others;
    if (!multiply_fits(weight->columns, weight->groups, &others))
        return "its group does not fit its weight";
    weight->outputs = weight->by_input ? others : weight->rows;
    weight->inputs = weight->by_input ? weight->rows : others;
    return NULL;
}

int64_t weight_group_outputs(const struct weight *weight)
{
    return weight->outputs / weight->groups;
}

int64_t weight_group_inputs(const struct weight *weight)
{
    return weight->inputs / weight->groups;
}

/* The channels of the other side that a row meets begin here. */
static int64_t first_column(const struct weight *weight, int64_t row)
{
    return row / (weight->rows / weight->groups) * weight->columns;
}

/* ---- reading ---- */

struct reading {
    const struct weight *weight;
    struct affine_dense *dense;
    int64_t at_once; /* rows */
    double *numbers;
    void *bytes;
};

static void reading_end(struct reading *reading)
{
    affine_release(&reading->dense);
    free(reading->numbers);
    free(reading->bytes);
}

static bool reading_begin(struct reading *reading, const struct weight *weight)
{
    enum { NUMBERS = 12 << 10 }; /* in double they fit a core's own cache */
    int64_t length = weight->columns * weight->taps;
    *reading = (struct reading){.weight = weight};
    reading->at_once = length < NUMBERS ? NUMBERS / length : 1;
    if (reading->at_once > weight->rows)
        reading->at_once = weight->rows;
    reading->numbers = numbers_alloc(reading->at_once, length);
    reading->bytes = numbers_alloc(reading->at_once, length);
    bool good = reading->numbers && reading->bytes;
    if (good && weight->tensor->storage == STORAGE_FUSED)
        good = affine_prepare(weight->tensor->form, &reading->dense);
    if (!good)
        reading_end(reading);
    return good;
}

/* Rows; of a form that is computed, before they are rounded. False: out of memory. */
static bool read_rows(struct reading *reading, int64_t first, int64_t count)
{
    const struct tensor *tensor = reading->weight->tensor;
    int64_t length = reading->weight->columns * reading->weight->taps;
    if (tensor->storage != STORAGE_FUSED) {
        tensor_read(tensor, first * length, count * length, reading->numbers);
        return true;
    }
    return affine_rows(tensor->form, reading->dense, tensor->form->outputs, first, count, reading->numbers);
}

/* As they will be stored, rounded to the type. */
static bool read_rounded(struct reading *reading, int64_t first, int64_t count)
{
    const struct tensor *tensor = reading->weight->tensor;
    int64_t length = reading->weight->columns * reading->weight->taps;
    const struct tensor rounded = {.type = tensor->type, .storage = STORAGE_BYTES, .data = reading->bytes};
    if (!read_rows(reading, first, count))
        return false;
    if (tensor->storage != STORAGE_FUSED)
        return true;
    tensor_round(tensor->type, reading->numbers, count * length, reading->bytes);
    tensor_read(&rounded, 0, count * length, reading->numbers);
    return true;
}

/* How many rows are read together from `first` on; 0 at the end. */
static int64_t block_at(const struct reading *reading, int64_t first)
{
    int64_t left = reading->weight->rows - first;
    return left < reading->at_once ? left : reading->at_once;
}

static inline __attribute__((always_inline)) double measure_channels(const double *numbers, int64_t columns,
                                                                     int64_t taps, float *largest, double *squares)
{
    double all = 0;
    for (int64_t c = 0; c < columns; c++) {
        const double *from = numbers + c * taps;
        double most = 0, sum = 0;
        for (int64_t t = 0; t < taps; t++) {
            double size = fabs(from[t]);
            most = size > most ? size : most;
            sum += size * size;
        }
        largest[c] = (float)most;
        squares[c] = sum;
        all = most > all ? most : all;
    }
    return all;
}

/* One row: the largest of each channel's taps and the sum of their squares. Returns the largest of all. */
VECTORISED(double, measure_row, (const double *numbers, int64_t columns, int64_t taps, float *largest, double *squares),
           (numbers, columns, taps, largest, squares))
{
    enum { USUAL = 9 }; /* a number that the compiler knows is a loop that it unrolls */
    return taps == USUAL ? measure_channels(numbers, columns, USUAL, largest, squares)
                         : measure_channels(numbers, columns, taps, largest, squares);
}

#define TINY 0x1p-100 /* far above what any type but float16 makes subnormal, once it is scaled */

/* True if a number other than 0 is smaller. */
VECTORISED(bool, has_tiny, (const double *numbers, int64_t count), (numbers, count))
{
    int64_t tiny = 0;
    for (int64_t k = 0; k < count; k++)
        tiny += (fabs(numbers[k]) < TINY) & (numbers[k] != 0);
    return tiny > 0;
}

VECTORISED(double, add_squares, (const double *squares, int64_t count, double *to), (squares, count, to))
{
    double sum = 0;
    for (int64_t c = 0; c < count; c++) {
        to[c] += squares[c];
        sum += squares[c];
    }
    return sum;
}

const char *weight_make_room(struct arena *arena, struct weight *weight)
{
    if (!affine_is_held(arena->landing, (double)weight->rows * (double)weight->columns))
        return "limit: its weight is larger than is measured for a model of this size";
    weight->largest = NEW_ARRAY(arena, float, weight->rows * weight->columns);
    weight->norm = NEW_ARRAY(arena, double, weight->inputs);
    weight->row_norm = NEW_ARRAY(arena, double, weight->outputs);
    weight->squares = NEW_ARRAY(arena, double, weight->columns);
    return NULL;
}

bool weight_measure(struct weight *weight)
{
    struct reading reading;
    int64_t length = weight->columns * weight->taps;
    double *of_row = weight->by_input ? weight->norm : weight->row_norm;
    double *of_column = weight->by_input ? weight->row_norm : weight->norm;
    bool good = reading_begin(&reading, weight);
    if (!good)
        return false;
    for (int64_t first = 0, count; good && (count = block_at(&reading, first)) > 0; first += count) {
        good = read_rows(&reading, first, count);
        if (!good)
            break;
        weight->has_tiny = weight->has_tiny || has_tiny(reading.numbers, count * length);
        for (int64_t r = first; r < first + count; r++) {
            double most = measure_row(reading.numbers + (r - first) * length, weight->columns, weight->taps,
                                      weight->largest + r * weight->columns, weight->squares);
            weight->most = fmax(weight->most, most);
            of_row[r] = add_squares(weight->squares, weight->columns, of_column + first_column(weight, r));
            weight->total += of_row[r];
        }
    }
    reading_end(&reading);
    return good;
}

double weight_largest(const struct weight *weight, int64_t output, int64_t input)
{
    if (!weight->by_input)
        return (double)weight->largest[output * weight->columns + input];
    int64_t group = output / weight->columns;
    int64_t row = group * weight_group_inputs(weight) + input;
    return (double)weight->largest[row * weight->columns + output % weight->columns];
}

/* ---- scaling ---- */

bool scales_exactly(int32_t type, double number, int exponent)
{
    double least = type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE ? 0x1p-1022 : 0x1p-126;
    double scaled = ldexp(number, exponent);
    return number == 0 || exponent == 0 ||
           (fabs(scaled) >= least && isfinite(tensor_rounded(type, scaled)) && tensor_rounded(type, scaled) == scaled);
}

static void range_of(const int *exponents, int64_t count, int *least, int *most)
{
    *least = *most = exponents[0];
    for (int64_t i = 1; i < count; i++) {
        *least = exponents[i] < *least ? exponents[i] : *least;
        *most = exponents[i] > *most ? exponents[i] : *most;
    }
}

/* A bound for most weights, even after rounding. */
static bool is_plainly_exact(const struct weight *weight, int least, int most)
{
    return weight->most == 0 ||
           (!weight->has_tiny && ldexp(TINY, least) >= 0x1p-125 && ldexp(weight->most, most) < 0x1p126);
}

bool weight_stays_exact(const struct weight *weight, const int *output_exponents, const int *input_exponents,
                        int64_t *output, int64_t *input)
{
    int least, most, least_input, most_input;
    range_of(output_exponents, weight->outputs, &least, &most);
    range_of(input_exponents, weight->inputs, &least_input, &most_input);
    if (is_plainly_exact(weight, least + least_input, most + most_input))
        return true;
    struct reading reading;
    int64_t length = weight->columns * weight->taps;
    *output = *input = 0;
    if (!reading_begin(&reading, weight))
        return false;
    bool good = true;
    for (int64_t first = 0, count; (count = block_at(&reading, first)) > 0; first += count) {
        good = good && read_rounded(&reading, first, count);
        for (int64_t k = 0; good && k < count * length; k++) {
            int64_t row = first + k / length;
            int64_t other = first_column(weight, row) + k % length / weight->taps;
            *output = weight->by_input ? other : row;
            *input = weight->by_input ? row : other;
            good = scales_exactly(weight->tensor->type, reading.numbers[k],
                                  output_exponents[*output] + input_exponents[*input]);
        }
    }
    reading_end(&reading);
    return good;
}

struct scaled_reader {
    struct weight weight;
    const int *rows, *columns; /* exponents */
};

/* Stored numbers. */
static void read_scaled(const void *closure, int64_t first, int64_t count, double *out)
{
    const struct scaled_reader *reader = closure;
    const struct weight *weight = &reader->weight;
    int64_t length = weight->columns * weight->taps;
    tensor_read(weight->tensor, first * length, count * length, out);
    for (int64_t k = 0; k < count * length; k++) {
        int64_t row = first + k / length;
        int64_t other = first_column(weight, row) + k % length / weight->taps;
        out[k] = ldexp(out[k], reader->rows[row] + reader->columns[other]);
    }
}

static const double *powers(struct arena *arena, const int *exponents, int64_t count)
{
    double *scale = NEW_ARRAY(arena, double, count);
    for (int64_t i = 0; i < count; i++)
        scale[i] = ldexp(1, exponents[i]);
    return scale;
}

/* A form made by rewrites, between two diagonals: what it is made of stays known to affine_prepare.
 * That of a ConvTranspose is its adjoint, which goes from the outputs to the inputs. */
static const char *scale_form(struct arena *arena, const struct weight *weight, const int *output_exponents,
                              const int *input_exponents, const struct affine **form)
{
    const double *of_outputs = powers(arena, output_exponents, weight->outputs);
    const double *of_inputs = powers(arena, input_exponents, weight->inputs);
    bool turns = weight->by_input;
    const struct affine *after, *before;
    const char *reason = affine_scale_shift(arena, turns ? weight->inputs : weight->outputs,
                                            turns ? of_inputs : of_outputs, NULL, NULL, &after);
    if (!reason)
        reason = affine_scale_shift(arena, turns ? weight->outputs : weight->inputs, turns ? of_outputs : of_inputs,
                                    NULL, NULL, &before);
    if (!reason)
        reason = affine_compose(arena, weight->tensor->form, before, form);
    return reason ? reason : affine_compose(arena, after, *form, form);
}

struct tensor *weight_scaled(struct arena *arena, const struct weight *weight, const int *output_exponents,
                             const int *input_exponents)
{
    const struct tensor *old = weight->tensor;
    const struct affine *form = NULL;
    const char *reason;
    if (old->storage == STORAGE_FUSED) {
        reason = scale_form(arena, weight, output_exponents, input_exponents, &form);
    } else {
        struct scaled_reader *reader = NEW(arena, struct scaled_reader);
        *reader = (struct scaled_reader){*weight, weight->by_input ? input_exponents : output_exponents,
                                         weight->by_input ? output_exponents : input_exponents};
        reason = affine_make(arena,
                             &(struct affine_kernel){.axes = 0,
                                                     .axis = NULL,
                                                     .outputs = weight->rows,
                                                     .inputs = weight->columns * weight->taps,
                                                     .groups = 1,
                                                     .read = read_scaled,
                                                     .closure = reader},
                             &form);
    }
    if (reason)
        return NULL;
    struct tensor *tensor = tensor_of_doubles(arena, old->type, old->rank, old->dims, NULL);
    tensor->storage = STORAGE_FUSED;
    tensor->form = form;
    tensor->part = old->storage == STORAGE_FUSED ? old->part : FUSED_KERNEL;
    tensor->before = old;
    return tensor;
}

struct tensor *constant_scaled(struct arena *arena, const struct tensor *tensor, const double *numbers, int behind,
                               int64_t channels, const int *exponents)
{
    int rank = tensor->rank > behind ? tensor->rank : behind + 1, axis = rank - 1 - behind;
    int64_t *dims = NEW_ARRAY(arena, int64_t, rank), inner = 1, count = 1;
    for (int i = 0; i < rank; i++) {
        int old = i - (rank - tensor->rank);
        dims[i] = i == axis ? channels : old < 0 ? 1 : tensor->dims[old];
        count *= dims[i];
        inner *= i > axis ? dims[i] : 1;
    }
    bool broadcasts = count != tensor->count; /* along the channels: it is spelled out */
    double *scaled = NEW_ARRAY(arena, double, count);
    for (int64_t k = 0; k < count; k++) {
        int64_t from = broadcasts ? k / inner / channels * inner + k % inner : k;
        scaled[k] = ldexp(numbers[from], exponents[k / inner % channels]);
    }
    struct tensor *result = tensor_of_doubles(arena, tensor->type, rank, dims, scaled);
    result->before = tensor;
    return result;
}
