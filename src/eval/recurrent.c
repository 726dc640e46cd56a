/* eval/recurrent.c: RNN, GRU and LSTM.
 *
 * Weights are [directions, gates * hidden, ...], gates in the order of the operator: LSTM's input,
 * output, forget, cell; GRU's update, reset, hidden. */
#include "eval/recurrent.h"

#include <math.h>

#include "base/real.h"
#include "base/text.h"

/* ---- activations ---- */

struct activation {
    const char *name;
    double alpha, beta; /* defaults */
    bool has_alpha, has_beta;
};

static const struct activation activations[] = {
    {"Affine", 1, 0, true, true},
    {"Elu", 1, 0, true, false},
    {"HardSigmoid", (double)0.2f, 0.5, true, true},
    {"LeakyRelu", (double)0.01f, 0, true, false},
    {"Relu", 0, 0, false, false},
    {"ScaledTanh", 1, 1, true, true},
    {"Sigmoid", 0, 0, false, false},
    {"Softplus", 0, 0, false, false},
    {"Softsign", 0, 0, false, false},
    {"Tanh", 0, 0, false, false},
    {"ThresholdedRelu", 1, 0, true, false},
};

static double activate(const struct activation *a, double x)
{
    switch (a->name[0] == 'S' ? a->name[1] : a->name[0]) {
    case 'A': return a->alpha * x + a->beta;
    case 'E': return x >= 0 ? x : a->alpha * real_expm1(x);
    case 'H': return fmin(fmax(a->alpha * x + a->beta, 0), 1);
    case 'L': return x >= 0 ? x : a->alpha * x;
    case 'R': return x > 0 ? x : 0;
    case 'c': return a->alpha * real_tanh(a->beta * x);
    case 'i': return 1 / (1 + real_exp(-x));
    case 'o':
        if (strcmp(a->name, "Softplus") == 0)
            return x > 0 ? x + real_log1p(real_exp(-x)) : real_log1p(real_exp(x));
        return x / (1 + fabs(x));
    default:
        if (strcmp(a->name, "Tanh") == 0)
            return real_tanh(x);
        return x >= a->alpha ? x : 0;
    }
}

/* ---- the cell ---- */

enum { FUNCTIONS_MOST = 3 };

struct cell {
    enum op op;
    int64_t gates, functions;
    int64_t directions, steps, batch, inputs, hidden;
    bool batch_first, coupled, reset_first; /* layout, input_forget, linear_before_reset */
    double clip;
    struct activation function[2 * FUNCTIONS_MOST];
    const struct array *data, *lengths, *start, *cell_start;
    const double *weight, *recurrence, *bias, *peephole; /* of a direction; the last two or NULL */
    double *sums, *shares, *before; /* gates * hidden of each, and the hidden state before the step */
};

static const char *find_activation(struct evaluation *e, const ProtobufCBinaryData *name, struct activation *found)
{
    const char *letters =
        name->len > 0 && name->len < 32 ? arena_format(e->arena, "%.*s", (int)name->len, (const char *)name->data) : "";
    for (size_t i = 0; i < COUNT_OF(activations); i++)
        if (text_same_letters(letters, activations[i].name)) {
            *found = activations[i];
            return NULL;
        }
    return arena_format(e->arena, "an activation that is not known");
}

/* The functions of all directions. Alphas and betas are dealt out to those that take one. */
static const char *read_activations(struct evaluation *e, struct cell *cell)
{
    static const char *const defaults[][FUNCTIONS_MOST] = {{"Tanh"}, {"Sigmoid", "Tanh"}, {"Sigmoid", "Tanh", "Tanh"}};
    const Onnx__AttributeProto *names = node_attribute(e->node, "activations");
    const Onnx__AttributeProto *alphas = node_attribute(e->node, "activation_alpha");
    const Onnx__AttributeProto *betas = node_attribute(e->node, "activation_beta");
    size_t count = (size_t)(cell->functions * cell->directions), alpha = 0, beta = 0;
    if (names && names->n_strings && names->n_strings != count)
        return arena_format(e->arena, "%zu activations for %zu", names->n_strings, count);
    for (size_t i = 0; i < count; i++) {
        struct activation *function = &cell->function[i];
        const char *text = defaults[cell->functions - 1][i % (size_t)cell->functions];
        ProtobufCBinaryData name = {strlen(text), (uint8_t *)(uintptr_t)text};
        const char *reason = find_activation(e, names && names->n_strings ? &names->strings[i] : &name, function);
        if (reason)
            return reason;
        if (function->has_alpha && alphas && alpha < alphas->n_floats)
            function->alpha = (double)alphas->floats[alpha++];
        if (function->has_beta && betas && beta < betas->n_floats)
            function->beta = (double)betas->floats[beta++];
    }
    return NULL;
}

/* An optional input of reals, of this shape. */
static const char *take(struct evaluation *e, size_t index, int rank, const int64_t *dims, const struct array **found)
{
    *found = eval_input(e, index);
    if (!*found || (array_is_real(*found) && (*found)->rank == rank &&
                    memcmp((*found)->dims, dims, (size_t)rank * sizeof(*dims)) == 0))
        return NULL;
    return arena_format(e->arena, "input %zu of shape %s", index, array_shape(e->arena, *found));
}

static const char *read_cell(struct evaluation *e, struct cell *cell, const struct array **weights)
{
    const char *direction = node_string(e->arena, e->node, "direction", "forward");
    const struct array *data = e->inputs[0], *recurrence = e->inputs[2];
    enum op op = e->node->op;
    *cell = (struct cell){.op = op,
                          .gates = op == OP_LSTM  ? 4
                                   : op == OP_GRU ? 3
                                                  : 1,
                          .functions = op == OP_LSTM  ? 3
                                       : op == OP_GRU ? 2
                                                      : 1,
                          .directions = strcmp(direction, "bidirectional") == 0 ? 2 : 1,
                          .batch_first = node_integer(e->node, "layout", 0) != 0,
                          .coupled = node_integer(e->node, "input_forget", 0) != 0,
                          .reset_first = node_integer(e->node, "linear_before_reset", 0) == 0,
                          .clip = node_float(e->node, "clip", 0),
                          .data = data};
    if (!array_is_real(data) || data->rank != 3 || recurrence->rank != 3)
        return arena_format(e->arena, "data of shape %s", array_shape(e->arena, data));
    cell->steps = data->dims[cell->batch_first];
    cell->batch = data->dims[!cell->batch_first];
    cell->inputs = data->dims[2];
    cell->hidden = recurrence->dims[2];
    int64_t rows, directions = cell->directions;
    if (!multiply_fits(cell->gates, cell->hidden, &rows) || rows > INT32_MAX)
        return "a hidden state too large";
    int64_t first = cell->batch_first ? cell->batch : directions;
    int64_t second = cell->batch_first ? directions : cell->batch;
    const char *reason = take(e, 1, 3, (int64_t[]){directions, rows, cell->inputs}, &weights[0]);
    if (!reason)
        reason = take(e, 2, 3, (int64_t[]){directions, rows, cell->hidden}, &weights[1]);
    if (!reason)
        reason = take(e, 3, 2, (int64_t[]){directions, 2 * rows}, &weights[2]);
    if (!reason)
        reason = take(e, 5, 3, (int64_t[]){first, second, cell->hidden}, &cell->start);
    if (!reason && op == OP_LSTM)
        reason = take(e, 6, 3, (int64_t[]){first, second, cell->hidden}, &cell->cell_start);
    if (!reason && op == OP_LSTM)
        reason = take(e, 7, 2, (int64_t[]){directions, 3 * cell->hidden}, &weights[3]);
    cell->lengths = eval_input(e, 4);
    if (!reason && cell->lengths && (!array_is_whole(cell->lengths) || cell->lengths->count != cell->batch))
        reason = "sequence_lens do not fit the batch";
    return reason ? reason : read_activations(e, cell);
}

static double clipped(const struct cell *cell, double x)
{
    return cell->clip > 0 ? fmin(fmax(x, -cell->clip), cell->clip) : x;
}

/* Row of W * x, with its bias. */
static double input_share(const struct cell *cell, int64_t row, const double *x)
{
    double sum = cell->bias ? cell->bias[row] : 0;
    for (int64_t i = 0; i < cell->inputs; i++)
        sum += cell->weight[row * cell->inputs + i] * x[i];
    return sum;
}

/* Row of R * h, with its bias. */
static double state_share(const struct cell *cell, int64_t row, const double *h)
{
    double sum = cell->bias ? cell->bias[cell->gates * cell->hidden + row] : 0;
    for (int64_t i = 0; i < cell->hidden; i++)
        sum += cell->recurrence[row * cell->hidden + i] * h[i];
    return sum;
}

static void step_lstm(const struct cell *cell, const struct activation *f, double *h, double *c)
{
    int64_t n = cell->hidden;
    const double *peephole = cell->peephole;
    for (int64_t i = 0; i < n; i++) {
        double was = c[i];
        double in = cell->sums[i] + (peephole ? peephole[i] * was : 0);
        double forget = cell->sums[2 * n + i] + (peephole ? peephole[2 * n + i] * was : 0);
        in = activate(&f[0], clipped(cell, in));
        forget = cell->coupled ? 1 - in : activate(&f[0], clipped(cell, forget));
        c[i] = forget * was + in * activate(&f[1], clipped(cell, cell->sums[3 * n + i]));
        double out = cell->sums[n + i] + (peephole ? peephole[n + i] * c[i] : 0);
        h[i] = activate(&f[0], clipped(cell, out)) * activate(&f[2], c[i]);
    }
}

static void step_gru(const struct cell *cell, const struct activation *f, double *h)
{
    int64_t n = cell->hidden;
    for (int64_t i = 0; i < n; i++) {
        cell->sums[i] = activate(&f[0], clipped(cell, cell->sums[i]));
        cell->sums[n + i] = activate(&f[0], clipped(cell, cell->sums[n + i]));
        cell->before[i] = h[i];
    }
    for (int64_t i = 0; cell->reset_first && i < n; i++)
        cell->shares[i] = cell->sums[n + i] * cell->before[i];
    for (int64_t i = 0; i < n; i++) {
        double recurrent = cell->reset_first ? state_share(cell, 2 * n + i, cell->shares)
                                             : cell->sums[n + i] * state_share(cell, 2 * n + i, cell->before);
        double new = activate(&f[1], clipped(cell, cell->sums[2 * n + i] + recurrent));
        h[i] = (1 - cell->sums[i]) * new + cell->sums[i] * cell->before[i];
    }
}

/* One step of one sequence: the state and, of LSTM, the cell become the next. */
static void step(const struct cell *cell, const struct activation *f, const double *x, double *h, double *c)
{
    int64_t n = cell->hidden;
    for (int64_t row = 0; row < cell->gates * n; row++) {
        bool apart = cell->op == OP_GRU && row >= 2 * n;
        cell->sums[row] = input_share(cell, row, x) + (apart ? 0 : state_share(cell, row, h));
    }
    if (cell->op == OP_LSTM)
        step_lstm(cell, f, h, c);
    else if (cell->op == OP_GRU)
        step_gru(cell, f, h);
    else
        for (int64_t i = 0; i < n; i++)
            h[i] = activate(&f[0], clipped(cell, cell->sums[i]));
}

/* ---- the sequences ---- */

/* The index of a sequence's state in [directions, batch, hidden], or batch first. */
static int64_t state_at(const struct cell *cell, int64_t direction, int64_t n)
{
    return (cell->batch_first ? n * cell->directions + direction : direction * cell->batch + n) * cell->hidden;
}

static const char *run_sequence(struct evaluation *e, const struct cell *cell, int64_t direction, int64_t n,
                                bool backwards, struct array *const *outputs)
{
    int64_t length = cell->lengths ? cell->lengths->integers[n] : cell->steps;
    int64_t at = state_at(cell, direction, n);
    double *h = outputs[1]->reals + at, *c = outputs[2]->reals + at;
    if (length < 0 || length > cell->steps)
        return arena_format(e->arena, "a sequence of %lld steps", (long long)length);
    for (int64_t i = 0; i < cell->hidden; i++) {
        h[i] = cell->start ? cell->start->reals[at + i] : 0;
        c[i] = cell->cell_start ? cell->cell_start->reals[at + i] : 0;
    }
    for (int64_t k = 0; k < length; k++) {
        int64_t t = backwards ? length - 1 - k : k;
        int64_t place = cell->batch_first ? n * cell->steps + t : t * cell->batch + n;
        int64_t to = cell->batch_first ? place * cell->directions + direction
                                       : (t * cell->directions + direction) * cell->batch + n;
        step(cell, cell->function + direction * cell->functions, cell->data->reals + place * cell->inputs, h, c);
        memcpy(outputs[0]->reals + to * cell->hidden, h, (size_t)cell->hidden * sizeof(*h));
    }
    return NULL;
}

const char *eval_recurrent(struct evaluation *e)
{
    struct cell cell;
    const struct array *weights[4] = {NULL, NULL, NULL, NULL}; /* W, R, B, P */
    struct array *outputs[3];
    const char *reason = read_cell(e, &cell, weights);
    if (reason)
        return reason;
    int64_t n = cell.hidden, rows = cell.gates * n, products;
    int64_t all[4] = {cell.steps, cell.directions, cell.batch, n};
    int64_t last[3] = {cell.directions, cell.batch, n};
    if (cell.batch_first) {
        memcpy(all, (int64_t[]){cell.batch, cell.steps, cell.directions, n}, sizeof(all));
        memcpy(last, (int64_t[]){cell.batch, cell.directions, n}, sizeof(last));
    }
    for (size_t i = 0; !reason && i < 3; i++) {
        reason = array_make(e->arena, e->pool, e->limit, cell.data->type, i ? 3 : 4, i ? last : all, &outputs[i]);
        if (i < e->node->output_count && (i < 2 || cell.op == OP_LSTM))
            e->outputs[i] = outputs[i];
    }
    if (!reason && !multiply_fits(rows, cell.inputs + n, &products))
        reason = eval_too_dear;
    if (!reason)
        reason = eval_check_products(e, outputs[0]->count / (n ? n : 1), products, 1);
    if (!reason && !pool_affords(e->pool, 0, 3 * (double)rows))
        reason = eval_too_dear;
    if (reason)
        return reason;
    cell.sums = NEW_ARRAY(e->arena, double, rows + 1);
    cell.shares = NEW_ARRAY(e->arena, double, rows + 1);
    cell.before = NEW_ARRAY(e->arena, double, rows + 1);
    const char *direction = node_string(e->arena, e->node, "direction", "forward");
    for (int64_t d = 0; d < cell.directions; d++) {
        cell.weight = weights[0]->reals + d * rows * cell.inputs;
        cell.recurrence = weights[1]->reals + d * rows * n;
        cell.bias = weights[2] ? weights[2]->reals + d * 2 * rows : NULL;
        cell.peephole = weights[3] ? weights[3]->reals + d * 3 * n : NULL;
        for (int64_t i = 0; !reason && i < cell.batch; i++)
            reason = run_sequence(e, &cell, d, i, d == 1 || strcmp(direction, "reverse") == 0, outputs);
    }
    return reason;
}
