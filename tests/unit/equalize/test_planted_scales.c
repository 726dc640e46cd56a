/* test_planted_scales.c: faults planted in equalisation, which its own check must find.
 *
 * The linker hands the calls of four functions to the wrappers below. The check gets nothing of them but what was scaled, so
 * the network comes out as it was fused, with a warning. */
#include <math.h>
#include <string.h>

#include "equalize/classes.h"
#include "net.h"
#include "onnx_repvgg_fuse.h"

enum fault { NONE, ROW, COLUMN, BIAS, ROUND, PIN };
static enum fault planted;

struct tensor *__real_weight_scaled(struct arena *arena, const struct weight *weight, const int *outputs,
                                    const int *inputs);
struct tensor *__wrap_weight_scaled(struct arena *arena, const struct weight *weight, const int *outputs,
                                    const int *inputs);
/* One row or column that is scaled twice as much. */
struct tensor *__wrap_weight_scaled(struct arena *arena, const struct weight *weight, const int *outputs,
                                    const int *inputs)
{
    int *wrong = NEW_ARRAY(arena, int, weight->outputs + weight->inputs);
    const int *from = planted == ROW ? outputs : inputs;
    memcpy(wrong, from, (size_t)(planted == ROW ? weight->outputs : weight->inputs) * sizeof(int));
    wrong[0]++;
    return __real_weight_scaled(arena, weight, planted == ROW ? wrong : outputs, planted == COLUMN ? wrong : inputs);
}

struct tensor *__real_constant_scaled(struct arena *arena, const struct tensor *tensor, const double *numbers,
                                      int after, int64_t channels, const int *exponents);
struct tensor *__wrap_constant_scaled(struct arena *arena, const struct tensor *tensor, const double *numbers,
                                      int after, int64_t channels, const int *exponents);
/* A bias that stays as it was. */
struct tensor *__wrap_constant_scaled(struct arena *arena, const struct tensor *tensor, const double *numbers,
                                      int after, int64_t channels, const int *exponents)
{
    const int *none = NEW_ARRAY(arena, int, channels);
    return __real_constant_scaled(arena, tensor, numbers, after, channels, planted == BIAS ? none : exponents);
}

bool __real_weight_stays_exact(const struct weight *weight, const int *outputs, const int *inputs, int64_t *output,
                               int64_t *input);
bool __wrap_weight_stays_exact(const struct weight *weight, const int *outputs, const int *inputs, int64_t *output,
                               int64_t *input);
/* Numbers that become subnormal pass. */
bool __wrap_weight_stays_exact(const struct weight *weight, const int *outputs, const int *inputs, int64_t *output,
                               int64_t *input)
{
    return planted == ROUND || __real_weight_stays_exact(weight, outputs, inputs, output, input);
}

void __real_classes_pin(struct classes *classes, const struct channels *channels, const struct node *node,
                        const char *reason);
void __wrap_classes_pin(struct classes *classes, const struct channels *channels, const struct node *node,
                        const char *reason);
/* Ops that are not homogeneous read scaled values. */
void __wrap_classes_pin(struct classes *classes, const struct channels *channels, const struct node *node,
                        const char *reason)
{
    if (planted != PIN)
        __real_classes_pin(classes, channels, node, reason);
}

enum { CHANNELS = 4 };

static void write_over(const float *numbers, int count, float first, float factor)
{
    float *to = (float *)(uintptr_t)numbers;
    for (int i = 0; i < count; i++, first *= factor)
        to[i] = first;
}

/* y = Conv(Relu(BatchNormalization(Conv(x)))), whose channels lie far apart; with a Sigmoid that reads the same if asked. */
static void build(struct net *net, struct unit *unit, bool sigmoid)
{
    net_begin(net, unit);
    net_input(net, "x", NET_DIMS(1, 3, 8, 8));
    net_weight(net, "w", NET_DIMS(CHANNELS, 3, 3, 3));
    const float *gamma = net_weight(net, "gamma", NET_DIMS(CHANNELS));
    const float *beta = net_weight(net, "beta", NET_DIMS(CHANNELS));
    const float *variance = net_weight(net, "variance", NET_DIMS(CHANNELS));
    net_weight(net, "mean", NET_DIMS(CHANNELS));
    const float *v = net_weight(net, "v", NET_DIMS(2, CHANNELS, 3, 3));
    write_over(gamma, CHANNELS, 0.0625F, 8);
    write_over(beta, CHANNELS, 0.03125F, 8);
    write_over(variance, CHANNELS, 1, 1);
    write_over(v, 1, 0x1.abcdefp-126F, 1); /* of the channel that is made larger, so its column smaller */
    net_node(net, "Conv", "x w", "c");
    net_node(net, "BatchNormalization", "c gamma beta mean variance", "n");
    net_node(net, "Relu", "n", "r");
    net_node(net, "Conv", "r v", "y");
    net_output(net, "y");
    if (sigmoid) {
        net_node(net, "Sigmoid", "n", "s");
        net_output(net, "s");
    }
}

struct outcome {
    enum onnx_fuse_status status;
    bool warned, scaled;
};

static struct outcome equalize(const void *model, size_t size, enum fault fault)
{
    struct onnx_fuse_options options;
    struct onnx_fuse_report *report;
    void *output;
    size_t output_size;
    onnx_fuse_options_init(&options);
    options.equalize = ONNX_FUSE_EQUALIZE_TENSOR;
    planted = fault;
    struct outcome outcome = {.status = onnx_fuse_memory(model, size, &output, &output_size, &options, &report)};
    planted = NONE;
    outcome.warned = onnx_fuse_report_warnings(report) > 0;
    const char *text = onnx_fuse_report_explanation(report);
    outcome.scaled = text && strstr(text, "equalized '") != NULL;
    onnx_fuse_report_free(report);
    free(output);
    return outcome;
}

static void finds(struct unit *unit, bool sigmoid, enum fault fault, const char *what)
{
    struct net net;
    build(&net, unit, sigmoid);
    size_t size = onnx__model_proto__get_packed_size(&net.model);
    uint8_t *bytes = NEW_ARRAY(&unit->arena, uint8_t, size);
    onnx__model_proto__pack(&net.model, bytes);
    struct outcome right = equalize(bytes, size, NONE), wrong = equalize(bytes, size, fault);
    expect(right.status == ONNX_FUSE_OK && !right.warned && right.scaled == !sigmoid, "%s: without the fault, %s", what,
           sigmoid ? "nothing is scaled" : "channels are scaled");
    expect(wrong.status == ONNX_FUSE_OK && wrong.warned && !wrong.scaled,
           "%s: the check leaves the network as it was fused", what);
}

static void faults_are_found(struct unit *unit)
{
    finds(unit, false, ROW, "a row that is scaled otherwise");
    finds(unit, false, COLUMN, "a column that is scaled otherwise");
    finds(unit, false, BIAS, "a bias that is not scaled");
    finds(unit, false, ROUND, "a number that was rounded");
    finds(unit, true, PIN, "a Sigmoid of what is scaled");
}

int main(void)
{
    unit_run("faults are found", faults_are_found);
    return unit_finish();
}
