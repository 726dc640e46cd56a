/* model/operator_default.c: what an attribute that is left out means, by operator. */
#include "model/operator_default.h"

#include <stdlib.h>

#include "base/decimal.h"

/* ATTRIBUTE=VALUE, separated by spaces: a number, a string, "*1" for a list of nothing but that number, or "0,2" for
 * a list. "@13": from that opset on; before, its absence means what stands before. Source: the ONNX
 * operators' schemas and, for lists, their texts; tests/interop/test_defaults.py compares. */
static const struct {
    const char *operator;
    const char *defaults;
} operators[] = {
    /* sorted by name as strcmp sorts: operator_default searches by halves */
    {"AffineGrid", "align_corners=0"},
    {"ArgMax", "axis=0 keepdims=1 select_last_index=0"},
    {"ArgMin", "axis=0 keepdims=1 select_last_index=0"},
    {"Attention", "is_causal=0 left_window_size=-1 qk_matmul_output_mode=0 right_window_size=-1 softcap=0"},
    {"AveragePool", "auto_pad=NOTSET ceil_mode=0 count_include_pad=0 dilations=*1 pads=*0 strides=*1"},
    {"BatchNormalization", "epsilon=1e-05 momentum=0.9 spatial=1 training_mode=0"},
    {"BlackmanWindow", "output_datatype=1 periodic=1"},
    {"Cast", "round_mode=up saturate=1"},
    {"CastLike", "round_mode=up saturate=1"},
    {"CausalConvWithState", "activation=none"},
    {"Celu", "alpha=1"},
    {"Clip", "max=3.4028235e+38 min=-3.4028235e+38"},
    {"ConcatFromSequence", "new_axis=0"},
    {"Conv", "auto_pad=NOTSET dilations=*1 group=1 pads=*0 strides=*1"},
    {"ConvInteger", "auto_pad=NOTSET dilations=*1 group=1 pads=*0 strides=*1"},
    {"ConvTranspose", "auto_pad=NOTSET dilations=*1 group=1 output_padding=*0 pads=*0 strides=*1"},
    {"CumProd", "exclusive=0 reverse=0"},
    {"CumSum", "exclusive=0 reverse=0"},
    {"DFT", "axis=1 inverse=0 onesided=0"},
    {"DeformConv", "dilations=*1 group=1 offset_group=1 pads=*0 strides=*1"},
    {"DepthToSpace", "mode=DCR"},
    {"DequantizeLinear", "axis=1 block_size=0 output_dtype=0"},
    {"Dropout", "ratio=0.5"},
    {"Elu", "alpha=1"},
    {"EyeLike", "k=0"},
    {"Flatten", "axis=1"},
    {"GRU", "direction=forward layout=0 linear_before_reset=0"},
    {"Gather", "axis=0"},
    {"GatherElements", "axis=0"},
    {"GatherND", "batch_dims=0"},
    {"Gelu", "approximate=none"},
    {"Gemm", "alpha=1 beta=1 transA=0 transB=0"},
    {"GlobalLpPool", "p=2"},
    {"GridSample", "align_corners=0 mode=bilinear mode=linear@20 padding_mode=zeros"},
    {"GroupNormalization", "epsilon=1e-05 stash_type=1"},
    {"HammingWindow", "output_datatype=1 periodic=1"},
    {"HannWindow", "output_datatype=1 periodic=1"},
    {"HardSigmoid", "alpha=0.2 beta=0.5"},
    {"Hardmax", "axis=1 axis=-1@13"},
    {"ImageDecoder", "pixel_format=RGB"},
    {"InstanceNormalization", "epsilon=1e-05"},
    {"IsInf", "detect_negative=1 detect_positive=1"},
    {"LRN", "alpha=1e-04 beta=0.75 bias=1"},
    {"LSTM", "direction=forward input_forget=0 layout=0"},
    {"LayerNormalization", "axis=-1 epsilon=1e-05 stash_type=1"},
    {"LeakyRelu", "alpha=0.01"},
    {"LinearAttention", "chunk_size=64 scale=0 update_rule=gated_delta"},
    {"LogSoftmax", "axis=1 axis=-1@13"},
    {"LpNormalization", "axis=-1 p=2"},
    {"LpPool", "auto_pad=NOTSET ceil_mode=0 dilations=*1 p=2 pads=*0 strides=*1"},
    {"MaxPool", "auto_pad=NOTSET ceil_mode=0 dilations=*1 pads=*0 storage_order=0 strides=*1"},
    {"MaxRoiPool", "spatial_scale=1"},
    {"MaxUnpool", "pads=*0 strides=*1"},
    {"MeanVarianceNormalization", "axes=0,2,3"},
    {"MelWeightMatrix", "output_datatype=1"},
    {"Mod", "fmod=0"},
    {"Multinomial", "dtype=6 sample_size=1"},
    {"NegativeLogLikelihoodLoss", "reduction=mean"},
    {"NonMaxSuppression", "center_point_box=0"},
    {"OneHot", "axis=-1"},
    {"Pad", "mode=constant value=0"},
    {"QLinearConv", "auto_pad=NOTSET dilations=*1 group=1 pads=*0 strides=*1"},
    {"QuantizeLinear", "axis=1 block_size=0 output_dtype=0 precision=0 saturate=1"},
    {"RMSNormalization", "axis=-1 epsilon=1e-05 stash_type=1"},
    {"RNN", "direction=forward layout=0"},
    {"RandomNormal", "dtype=1 mean=0 scale=1"},
    {"RandomNormalLike", "mean=0 scale=1"},
    {"RandomUniform", "dtype=1 high=1 low=0"},
    {"RandomUniformLike", "high=1 low=0"},
    {"Range", "stash_type=1"},
    {"ReduceL1", "keepdims=1 noop_with_empty_axes=0"},
    {"ReduceL2", "keepdims=1 noop_with_empty_axes=0"},
    {"ReduceLogSum", "keepdims=1 noop_with_empty_axes=0"},
    {"ReduceLogSumExp", "keepdims=1 noop_with_empty_axes=0"},
    {"ReduceMax", "keepdims=1 noop_with_empty_axes=0"},
    {"ReduceMean", "keepdims=1 noop_with_empty_axes=0"},
    {"ReduceMin", "keepdims=1 noop_with_empty_axes=0"},
    {"ReduceProd", "keepdims=1 noop_with_empty_axes=0"},
    {"ReduceSum", "keepdims=1 noop_with_empty_axes=0"},
    {"ReduceSumSquare", "keepdims=1 noop_with_empty_axes=0"},
    {"Reshape", "allowzero=0"},
    {"Resize", "antialias=0 coordinate_transformation_mode=half_pixel cubic_coeff_a=-0.75 "
               "exclude_outside=0 extrapolation_value=0 keep_aspect_ratio_policy=stretch "
               "mode=nearest nearest_mode=round_prefer_floor"},
    {"ReverseSequence", "batch_axis=1 time_axis=0"},
    {"RoiAlign", "coordinate_transformation_mode=half_pixel mode=avg output_height=1 "
                 "output_width=1 sampling_ratio=0 spatial_scale=1"},
    {"RotaryEmbedding", "interleaved=0 rotary_embedding_dim=0"},
    {"STFT", "onesided=1"},
    {"Scatter", "axis=0"},
    {"ScatterElements", "axis=0 reduction=none"},
    {"ScatterND", "reduction=none"},
    {"Selu", "alpha=1.6732632 gamma=1.050701"},
    {"Shape", "start=0"},
    {"Shrink", "bias=0 lambd=0.5"},
    {"Softmax", "axis=1 axis=-1@13"},
    {"SoftmaxCrossEntropyLoss", "reduction=mean"},
    {"SpaceToDepth", "mode=DCR"},
    {"Split", "axis=0"},
    {"SplitToSequence", "axis=0 keepdims=1"},
    {"StringNormalizer", "case_change_action=NONE is_case_sensitive=0"},
    {"SwiGLU", "alpha=1"},
    {"Swish", "alpha=1"},
    {"TensorScatter", "axis=-2 mode=linear"},
    {"ThresholdedRelu", "alpha=1"},
    {"TopK", "axis=-1 largest=1 sorted=1"},
    {"Trilu", "upper=1"},
    {"Unique", "sorted=1"},
    {"Upsample", "mode=nearest"},
};

/* The default of `attribute` of an operator, which may be "": *length characters, which are a number, a string, "*1"
 * for a list that repeats that number, or "0,2" for a list. NULL: it has no default, or one that such a text cannot
 * express, or the operator or opset is unknown. */
static const char *operator_default(const char *domain, const char *type, int64_t opset, const char *attribute,
                                    size_t *length)
{
    if (opset < OPSET_OLDEST || opset > OPSET_NEWEST || operator_domain(domain)[0] || !type)
        return NULL;
    const char *const *found =
        bsearch(type, operators, sizeof(operators) / sizeof(operators[0]), sizeof(operators[0]), operator_compare_name);
    size_t name = strlen(attribute);
    const char *said = NULL;
    for (const char *at = found ? found[1] : NULL; at; at = strchr(at, ' ')) {
        at += *at == ' ';
        if (strncmp(at, attribute, name) != 0 || at[name] != '=')
            continue;
        const char *value = at + name + 1;
        size_t size = strcspn(value, " @");
        if (value[size] == '@' && opset < strtol(value + size + 1, NULL, 10))
            continue;
        said = value;
        *length = size;
    }
    return said;
}

/* ---- attributes ---- */

/* "0,2,3" */
static bool is_list(const Onnx__AttributeProto *attribute, const char *value, size_t length)
{
    const char *at = value, *end = value + length;
    for (size_t i = 0; i < attribute->n_ints; i++, at++) {
        char *next;
        if (at >= end || strtol(at, &next, 10) != attribute->ints[i])
            return false;
        at = next;
    }
    return at == end + 1;
}

/* Value: of `length` characters, as operator_default gives it. */
static bool is_value(const Onnx__AttributeProto *attribute, const char *value, size_t length)
{
    if (value[0] == '*') {
        for (size_t i = 0; i < attribute->n_ints; i++)
            if (attribute->ints[i] != value[1] - '0')
                return false;
        return attribute->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
    }
    double number;
    switch (attribute->type) {
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS: return is_list(attribute, value, length);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT: return attribute->i == strtol(value, NULL, 10);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT:
        return decimal_read(value, length, &number) && attribute->f == (float)number;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING:
        return attribute->s.len == length && memcmp(attribute->s.data, value, length) == 0;
    default: return false;
    }
}

/* kernel_shape of a Conv repeats what the weight says. */
static bool repeats_weight(const struct node *node, const Onnx__AttributeProto *attribute)
{
    const struct value *weight = node_input(node, 1);
    if ((node->op != OP_Conv && node->op != OP_ConvTranspose) || strcmp(attribute->name, "kernel_shape") != 0 ||
        !weight || !value_is_stored(weight) || (size_t)weight->tensor->rank != attribute->n_ints + 2)
        return false;
    for (size_t i = 0; i < attribute->n_ints; i++)
        if (attribute->ints[i] != weight->tensor->dims[i + 2])
            return false;
    return true;
}

bool attribute_is_default(const struct node *node, const Onnx__AttributeProto *attribute)
{
    const char *name = attribute->name;
    if (!name || (attribute->ref_attr_name && attribute->ref_attr_name[0]))
        return false;
    size_t length = 0;
    const char *value = operator_default(node->proto->domain, node->proto->op_type, node->opset, name, &length);
    return value ? is_value(attribute, value, length) : repeats_weight(node, attribute);
}
