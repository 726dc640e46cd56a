/* eval/eval.c: the reference evaluator: which function evaluates which operator.
 *
 * eval_array.c holds the arrays; each other file has a family of operators. All follow the text of
 * the ONNX operator as plainly as they can. */
#include "eval/eval.h"

#include "eval/activation.h"
#include "eval/arrange.h"
#include "eval/attention.h"
#include "eval/cast.h"
#include "eval/compare.h"
#include "eval/control.h"
#include "eval/conv.h"
#include "eval/detect.h"
#include "eval/einsum.h"
#include "eval/gather.h"
#include "eval/graph.h"
#include "eval/loss.h"
#include "eval/math.h"
#include "eval/matrix.h"
#include "eval/microsoft.h"
#include "eval/move.h"
#include "eval/normalize.h"
#include "eval/order.h"
#include "eval/pool.h"
#include "eval/quantize.h"
#include "eval/recurrent.h"
#include "eval/reduce.h"
#include "eval/resize.h"
#include "eval/sample.h"
#include "eval/sequence.h"
#include "eval/spectrum.h"
#include "eval/string.h"

/* The allowed inputs of an operator. */
enum takes {
    NUMBERS, /* tensors of real or whole types */
    TENSORS, /* strings as well */
    ALL      /* sequences and optionals as well */
};

struct row {
    size_t required; /* the inputs that may not be left out */
    enum takes takes;
    const char *(*evaluate)(struct evaluation *e);
};

static const struct row rows[] = {
    [OP_Abs] = {1, NUMBERS, eval_unary},
    [OP_Acos] = {1, NUMBERS, eval_unary},
    [OP_Acosh] = {1, NUMBERS, eval_unary},
    [OP_Add] = {2, NUMBERS, eval_binary},
    [OP_AffineGrid] = {2, NUMBERS, eval_affine_grid},
    [OP_And] = {2, NUMBERS, eval_bitwise},
    [OP_ArgMax] = {1, NUMBERS, eval_arg},
    [OP_ArgMin] = {1, NUMBERS, eval_arg},
    [OP_Asin] = {1, NUMBERS, eval_unary},
    [OP_Asinh] = {1, NUMBERS, eval_unary},
    [OP_Atan] = {1, NUMBERS, eval_unary},
    [OP_Atanh] = {1, NUMBERS, eval_unary},
    [OP_Attention] = {3, NUMBERS, eval_attention},
    [OP_AveragePool] = {1, NUMBERS, eval_average_pool},
    [OP_BatchNormalization] = {5, NUMBERS, eval_batch_normalization},
    [OP_BitCast] = {1, NUMBERS, eval_bit_cast},
    [OP_BitShift] = {2, NUMBERS, eval_bitwise},
    [OP_BitwiseAnd] = {2, NUMBERS, eval_bitwise},
    [OP_BitwiseNot] = {1, NUMBERS, eval_unary},
    [OP_BitwiseOr] = {2, NUMBERS, eval_bitwise},
    [OP_BitwiseXor] = {2, NUMBERS, eval_bitwise},
    [OP_BlackmanWindow] = {1, NUMBERS, eval_window},
    [OP_Cast] = {1, TENSORS, eval_cast},
    [OP_CastLike] = {2, TENSORS, eval_cast_like},
    [OP_CausalConvWithState] = {2, NUMBERS, eval_causal_conv},
    [OP_Ceil] = {1, NUMBERS, eval_unary},
    [OP_Celu] = {1, NUMBERS, eval_activation},
    [OP_CenterCropPad] = {2, TENSORS, eval_center_crop_pad},
    [OP_Clip] = {1, NUMBERS, eval_clip},
    [OP_Col2Im] = {3, NUMBERS, eval_col2im},
    [OP_Compress] = {2, TENSORS, eval_compress},
    [OP_Concat] = {1, TENSORS, eval_concat},
    [OP_ConcatFromSequence] = {1, ALL, eval_concat_from_sequence},
    [OP_Constant] = {0, TENSORS, eval_constant},
    [OP_ConstantOfShape] = {1, TENSORS, eval_constant_of_shape},
    [OP_Conv] = {2, NUMBERS, eval_conv},
    [OP_ConvInteger] = {2, NUMBERS, eval_integer_product},
    [OP_ConvTranspose] = {2, NUMBERS, eval_conv_transpose},
    [OP_Cos] = {1, NUMBERS, eval_unary},
    [OP_Cosh] = {1, NUMBERS, eval_unary},
    [OP_CumProd] = {2, NUMBERS, eval_running},
    [OP_CumSum] = {2, NUMBERS, eval_running},
    [OP_DFT] = {1, NUMBERS, eval_dft},
    [OP_DeformConv] = {3, NUMBERS, eval_deform_conv},
    [OP_DepthToSpace] = {1, TENSORS, eval_depth},
    [OP_DequantizeLinear] = {2, NUMBERS, eval_dequantize_linear},
    [OP_Det] = {1, NUMBERS, eval_det},
    [OP_Div] = {2, NUMBERS, eval_binary},
    [OP_Dropout] = {1, NUMBERS, eval_dropout},
    [OP_DynamicQuantizeLinear] = {1, NUMBERS, eval_dynamic_quantize_linear},
    [OP_Einsum] = {1, NUMBERS, eval_einsum},
    [OP_Elu] = {1, NUMBERS, eval_activation},
    [OP_Equal] = {2, TENSORS, eval_compare},
    [OP_Erf] = {1, NUMBERS, eval_activation},
    [OP_Exp] = {1, NUMBERS, eval_unary},
    [OP_Expand] = {2, TENSORS, eval_expand},
    [OP_EyeLike] = {1, NUMBERS, eval_eye_like},
    [OP_Flatten] = {1, TENSORS, eval_flatten},
    [OP_Floor] = {1, NUMBERS, eval_unary},
    [OP_GRU] = {3, NUMBERS, eval_recurrent},
    [OP_Gather] = {2, TENSORS, eval_gather},
    [OP_GatherElements] = {2, TENSORS, eval_elements},
    [OP_GatherND] = {2, TENSORS, eval_gather_nd},
    [OP_Gelu] = {1, NUMBERS, eval_activation},
    [OP_Gemm] = {2, NUMBERS, eval_gemm},
    [OP_GlobalAveragePool] = {1, NUMBERS, eval_global_pool},
    [OP_GlobalLpPool] = {1, NUMBERS, eval_global_pool},
    [OP_GlobalMaxPool] = {1, NUMBERS, eval_global_pool},
    [OP_Greater] = {2, TENSORS, eval_compare},
    [OP_GreaterOrEqual] = {2, TENSORS, eval_compare},
    [OP_GridSample] = {2, NUMBERS, eval_grid_sample},
    [OP_GroupNormalization] = {3, NUMBERS, eval_group_normalization},
    [OP_HammingWindow] = {1, NUMBERS, eval_window},
    [OP_HannWindow] = {1, NUMBERS, eval_window},
    [OP_HardSigmoid] = {1, NUMBERS, eval_activation},
    [OP_HardSwish] = {1, NUMBERS, eval_activation},
    [OP_Hardmax] = {1, NUMBERS, eval_softmax},
    [OP_Identity] = {1, ALL, eval_identity},
    [OP_If] = {1, ALL, eval_if},
    [OP_InstanceNormalization] = {3, NUMBERS, eval_group_normalization},
    [OP_IsInf] = {1, NUMBERS, eval_test},
    [OP_IsNaN] = {1, NUMBERS, eval_test},
    [OP_LRN] = {1, NUMBERS, eval_lrn},
    [OP_LSTM] = {3, NUMBERS, eval_recurrent},
    [OP_LayerNormalization] = {2, NUMBERS, eval_layer_normalization},
    [OP_LeakyRelu] = {1, NUMBERS, eval_activation},
    [OP_Less] = {2, TENSORS, eval_compare},
    [OP_LessOrEqual] = {2, TENSORS, eval_compare},
    [OP_LinearAttention] = {3, NUMBERS, eval_linear_attention},
    [OP_Log] = {1, NUMBERS, eval_unary},
    [OP_LogSoftmax] = {1, NUMBERS, eval_softmax},
    [OP_Loop] = {0, ALL, eval_loop},
    [OP_LpNormalization] = {1, NUMBERS, eval_lp_normalization},
    [OP_LpPool] = {1, NUMBERS, eval_lp_pool},
    [OP_MatMul] = {2, NUMBERS, eval_matmul},
    [OP_MatMulInteger] = {2, NUMBERS, eval_integer_product},
    [OP_Max] = {1, NUMBERS, eval_extreme},
    [OP_MaxPool] = {1, NUMBERS, eval_max_pool},
    [OP_MaxRoiPool] = {2, NUMBERS, eval_max_roi_pool},
    [OP_MaxUnpool] = {2, NUMBERS, eval_max_unpool},
    [OP_Mean] = {1, NUMBERS, eval_sum},
    [OP_MeanVarianceNormalization] = {1, NUMBERS, eval_mean_variance_normalization},
    [OP_MelWeightMatrix] = {5, NUMBERS, eval_mel_weight_matrix},
    [OP_Min] = {1, NUMBERS, eval_extreme},
    [OP_Mish] = {1, NUMBERS, eval_activation},
    [OP_Mod] = {2, NUMBERS, eval_binary},
    [OP_Mul] = {2, NUMBERS, eval_binary},
    [OP_Neg] = {1, NUMBERS, eval_unary},
    [OP_NegativeLogLikelihoodLoss] = {2, NUMBERS, eval_loss},
    [OP_NonMaxSuppression] = {2, NUMBERS, eval_non_max_suppression},
    [OP_NonZero] = {1, NUMBERS, eval_non_zero},
    [OP_Not] = {1, NUMBERS, eval_test},
    [OP_OneHot] = {3, TENSORS, eval_one_hot},
    [OP_Optional] = {0, ALL, eval_optional},
    [OP_OptionalGetElement] = {1, ALL, eval_optional_get_element},
    [OP_OptionalHasElement] = {0, ALL, eval_optional_has_element},
    [OP_Or] = {2, NUMBERS, eval_bitwise},
    [OP_PRelu] = {2, NUMBERS, eval_prelu},
    [OP_Pad] = {1, TENSORS, eval_pad},
    [OP_Pow] = {2, NUMBERS, eval_pow},
    [OP_QLinearConv] = {8, NUMBERS, eval_quantized_product},
    [OP_QLinearMatMul] = {8, NUMBERS, eval_quantized_product},
    [OP_QuantizeLinear] = {2, NUMBERS, eval_quantize_linear},
    [OP_RMSNormalization] = {2, NUMBERS, eval_layer_normalization},
    [OP_RNN] = {3, NUMBERS, eval_recurrent},
    [OP_Range] = {3, NUMBERS, eval_range},
    [OP_Reciprocal] = {1, NUMBERS, eval_unary},
    [OP_ReduceL1] = {1, NUMBERS, eval_reduce},
    [OP_ReduceL2] = {1, NUMBERS, eval_reduce},
    [OP_ReduceLogSum] = {1, NUMBERS, eval_reduce},
    [OP_ReduceLogSumExp] = {1, NUMBERS, eval_reduce},
    [OP_ReduceMax] = {1, NUMBERS, eval_reduce},
    [OP_ReduceMean] = {1, NUMBERS, eval_reduce},
    [OP_ReduceMin] = {1, NUMBERS, eval_reduce},
    [OP_ReduceProd] = {1, NUMBERS, eval_reduce},
    [OP_ReduceSum] = {1, NUMBERS, eval_reduce},
    [OP_ReduceSumSquare] = {1, NUMBERS, eval_reduce},
    [OP_RegexFullMatch] = {1, TENSORS, eval_regex_full_match},
    [OP_Relu] = {1, NUMBERS, eval_unary},
    [OP_Reshape] = {2, TENSORS, eval_reshape},
    [OP_Resize] = {1, TENSORS, eval_resize},
    [OP_ReverseSequence] = {2, TENSORS, eval_reverse_sequence},
    [OP_RoiAlign] = {3, NUMBERS, eval_roi_align},
    [OP_RotaryEmbedding] = {3, NUMBERS, eval_rotary_embedding},
    [OP_Round] = {1, NUMBERS, eval_unary},
    [OP_STFT] = {2, NUMBERS, eval_stft},
    [OP_Scan] = {0, ALL, eval_scan},
    [OP_Scatter] = {3, TENSORS, eval_elements},
    [OP_ScatterElements] = {3, TENSORS, eval_elements},
    [OP_ScatterND] = {3, TENSORS, eval_scatter_nd},
    [OP_Selu] = {1, NUMBERS, eval_activation},
    [OP_SequenceAt] = {2, ALL, eval_sequence_at},
    [OP_SequenceConstruct] = {1, ALL, eval_sequence_construct},
    [OP_SequenceEmpty] = {0, ALL, eval_sequence_empty},
    [OP_SequenceErase] = {1, ALL, eval_sequence_change},
    [OP_SequenceInsert] = {1, ALL, eval_sequence_change},
    [OP_SequenceLength] = {1, ALL, eval_sequence_length},
    [OP_SequenceMap] = {1, ALL, eval_sequence_map},
    [OP_Shape] = {1, TENSORS, eval_shape},
    [OP_Shrink] = {1, NUMBERS, eval_activation},
    [OP_Sigmoid] = {1, NUMBERS, eval_unary},
    [OP_Sign] = {1, NUMBERS, eval_unary},
    [OP_Sin] = {1, NUMBERS, eval_unary},
    [OP_Sinh] = {1, NUMBERS, eval_unary},
    [OP_Size] = {1, TENSORS, eval_size},
    [OP_Slice] = {1, TENSORS, eval_slice},
    [OP_Softmax] = {1, NUMBERS, eval_softmax},
    [OP_SoftmaxCrossEntropyLoss] = {2, NUMBERS, eval_loss},
    [OP_Softplus] = {1, NUMBERS, eval_activation},
    [OP_Softsign] = {1, NUMBERS, eval_activation},
    [OP_SpaceToDepth] = {1, TENSORS, eval_depth},
    [OP_Split] = {1, TENSORS, eval_split},
    [OP_SplitToSequence] = {1, TENSORS, eval_split_to_sequence},
    [OP_Sqrt] = {1, NUMBERS, eval_unary},
    [OP_Squeeze] = {1, TENSORS, eval_squeeze},
    [OP_StringConcat] = {2, TENSORS, eval_string_concat},
    [OP_StringNormalizer] = {1, TENSORS, eval_string_normalizer},
    [OP_StringSplit] = {1, TENSORS, eval_string_split},
    [OP_Sub] = {2, NUMBERS, eval_binary},
    [OP_Sum] = {1, NUMBERS, eval_sum},
    [OP_SwiGLU] = {2, NUMBERS, eval_swiglu},
    [OP_Swish] = {1, NUMBERS, eval_activation},
    [OP_Tan] = {1, NUMBERS, eval_unary},
    [OP_Tanh] = {1, NUMBERS, eval_unary},
    [OP_TensorScatter] = {2, TENSORS, eval_tensor_scatter},
    [OP_TfIdfVectorizer] = {1, TENSORS, eval_tf_idf_vectorizer},
    [OP_ThresholdedRelu] = {1, NUMBERS, eval_activation},
    [OP_Tile] = {2, TENSORS, eval_tile},
    [OP_TopK] = {1, NUMBERS, eval_top_k},
    [OP_Transpose] = {1, TENSORS, eval_transpose},
    [OP_Trilu] = {1, TENSORS, eval_trilu},
    [OP_Unique] = {1, TENSORS, eval_unique},
    [OP_Unsqueeze] = {1, TENSORS, eval_unsqueeze},
    [OP_Upsample] = {1, TENSORS, eval_resize},
    [OP_Where] = {3, TENSORS, eval_where},
    [OP_Xor] = {2, NUMBERS, eval_bitwise},
};

/* Operators that fuse reads nothing into: OP_UNKNOWN. */
static const struct {
    const char *domain, *name;
    struct row row;
} others[] = {
    {"", "SimplifiedLayerNormalization", {2, NUMBERS, eval_simplified_layer_normalization}},
    {"com.microsoft", "BiasGelu", {2, NUMBERS, eval_bias_gelu}},
    {"com.microsoft", "DequantizeLinear", {2, NUMBERS, eval_dequantize_linear}},
    {"com.microsoft", "DynamicQuantizeMatMul", {3, NUMBERS, eval_matmul_to_float}},
    {"com.microsoft", "EmbedLayerNormalization", {1, NUMBERS, eval_embed_layer_normalization}},
    {"com.microsoft", "FastGelu", {1, NUMBERS, eval_bias_gelu}},
    {"com.microsoft", "FusedConv", {2, NUMBERS, eval_fused_conv}},
    {"com.microsoft", "FusedGemm", {2, NUMBERS, eval_fused_gemm}},
    {"com.microsoft", "FusedMatMul", {2, NUMBERS, eval_fused_matmul}},
    {"com.microsoft", "Gelu", {1, NUMBERS, eval_bias_gelu}},
    {"com.microsoft", "MatMulIntegerToFloat", {4, NUMBERS, eval_matmul_to_float}},
    {"com.microsoft", "NhwcMaxPool", {1, NUMBERS, eval_nhwc_max_pool}},
    {"com.microsoft", "QGemm", {6, NUMBERS, eval_quantized_gemm}},
    {"com.microsoft", "QLinearAdd", {2, NUMBERS, eval_quantized_binary}},
    {"com.microsoft", "QLinearAveragePool", {2, NUMBERS, eval_quantized_pool}},
    {"com.microsoft", "QLinearConcat", {1, NUMBERS, eval_quantized_concat}},
    {"com.microsoft", "QLinearGlobalAveragePool", {2, NUMBERS, eval_quantized_pool}},
    {"com.microsoft", "QLinearLeakyRelu", {2, NUMBERS, eval_quantized_unary}},
    {"com.microsoft", "QLinearMul", {2, NUMBERS, eval_quantized_binary}},
    {"com.microsoft", "QLinearSigmoid", {2, NUMBERS, eval_quantized_unary}},
    {"com.microsoft", "QLinearSoftmax", {2, NUMBERS, eval_quantized_unary}},
    {"com.microsoft", "QuantizeLinear", {2, NUMBERS, eval_quantize_linear}},
    {"com.microsoft", "QuickGelu", {1, NUMBERS, eval_bias_gelu}},
    {"com.microsoft", "SkipLayerNormalization", {3, NUMBERS, eval_skip_layer_normalization}},
    {"com.microsoft", "SkipSimplifiedLayerNormalization", {3, NUMBERS, eval_skip_layer_normalization}},
    {"com.microsoft", "TransposeMatMul", {2, NUMBERS, eval_fused_matmul}},
};

static bool is_taken(enum takes takes, const struct array *array)
{
    if (takes == ALL || array_is_real(array) || array_is_whole(array))
        return true;
    return takes == TENSORS && array->type == ONNX__TENSOR_PROTO__DATA_TYPE__STRING;
}

/* Cells that are not owned belong to an input, and are already rounded. */
static void round_array(struct array *array)
{
    if (!array->owned || array->type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE)
        return;
    if (array->type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT)
        for (int64_t i = 0; i < array->count; i++)
            array->reals[i] = (double)(float)array->reals[i];
    else
        for (int64_t i = 0; i < array->count; i++)
            array->reals[i] = eval_rounded(array->type, array->reals[i], false);
}

static const struct row *row_of(const struct node *node)
{
    const char *name = node->op == OP_UNKNOWN ? node->proto->op_type : NULL;
    for (size_t i = 0; name && i < COUNT_OF(others); i++)
        if (strcmp(others[i].name, name) == 0 && strcmp(others[i].domain, operator_domain(node->proto->domain)) == 0)
            return &others[i].row;
    return (size_t)node->op < COUNT_OF(rows) ? &rows[node->op] : &rows[0];
}

const char *eval_unknown(struct arena *arena, const struct node *node)
{
    const char *name = node->proto->op_type ? node->proto->op_type : "";
    if (strcmp(operator_domain(node->proto->domain), "com.microsoft.nchwc") == 0)
        return arena_format(arena,
                            "%s of com.microsoft.nchwc holds numbers in the order of the machine that "
                            "wrote the file",
                            name);
    return arena_format(arena, "operator %s is not evaluated", name);
}

bool eval_knows(const struct node *node)
{
    return row_of(node)->evaluate || (node->op == OP_UNKNOWN && eval_function(node));
}

const char *eval_arrays(struct evaluation *e)
{
    const struct node *node = e->node;
    e->evaluate = eval_arrays;
    const struct row *row = row_of(node);
    struct graph *function = e->scope && node->op == OP_UNKNOWN ? eval_function(node) : NULL;
    if (function) {
        e->outputs = NEW_ARRAY(e->arena, struct array *, node->output_count + 1);
        return eval_call(e, function);
    }
    if (!row->evaluate)
        return eval_unknown(e->arena, node);
    if (node->body_count && (!e->scope || !e->pool->effort))
        return arena_format(e->arena, "operator %s is not evaluated here", node->proto->op_type);
    if (node_has_references(node))
        return "an attribute refers to an attribute of the function";
    for (size_t i = 0; i < row->required; i++)
        if (!eval_input(e, i))
            return arena_format(e->arena, "input %zu is missing", i);
    for (size_t i = 0; i < node->input_count; i++)
        if (e->inputs[i] && !is_taken(row->takes, e->inputs[i]))
            return arena_format(e->arena, "input %zu is of %s", i, array_type_name(e->inputs[i]->type));
    if (!e->outputs)
        e->outputs = NEW_ARRAY(e->arena, struct array *, node->output_count + 1);
    double read = 0; /* a reduction reads much and gives little */
    for (size_t i = 0; i < node->input_count; i++)
        read += e->inputs[i] ? (double)e->inputs[i]->count : 0;
    const char *reason = pool_affords(e->pool, ELEMENT_COST * read, 0) ? row->evaluate(e) : eval_too_dear;
    if (reason)
        return reason;
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] && !e->outputs[i])
            return arena_format(e->arena, "output %zu is not evaluated", i);
    for (size_t i = 0; e->is_constant && i < node->output_count; i++)
        if (node->outputs[i] && array_is_real(e->outputs[i]))
            round_array(e->outputs[i]);
    return NULL;
}

/* ---- one number repeated ---- */

/* The inputs broadcast, and an element of the result depends on the elements in its place alone. */
static bool is_elementwise(enum op op)
{
    const struct row *row = &rows[op];
    return (row->evaluate == eval_unary || row->evaluate == eval_binary || row->evaluate == eval_pow ||
            row->evaluate == eval_sum || row->evaluate == eval_cast || row->evaluate == eval_cast_like ||
            row->evaluate == eval_identity);
}

/* The same tensor with a size of 1 on every axis; NULL: it is more than one number. */
static const struct tensor *shrunk(struct arena *arena, const struct tensor *tensor)
{
    int64_t dims[EVAL_RANK];
    if (tensor->rank > EVAL_RANK || (tensor->count != 1 && tensor->storage != STORAGE_REPEATED))
        return NULL;
    for (int i = 0; i < tensor->rank; i++)
        dims[i] = 1;
    return tensor->count == 1 ? tensor : tensor_of_repeated(arena, tensor->type, tensor->rank, dims, tensor->data);
}

static bool widen(const struct tensor *tensor, int *rank, int64_t *dims)
{
    struct array array = {.rank = tensor->rank};
    for (int i = 0; i < tensor->rank; i++)
        array.dims[i] = tensor->dims[i];
    return broadcast_dims(rank, dims, &array);
}

/* The inputs of a node whose result is plainly one number repeated, shrunk to what makes a single number,
 * and the shape of the result. NULL: it is another node. */
static const struct tensor **shrink_inputs(struct arena *arena, const struct node *node,
                                           const struct tensor *const *inputs, int *rank, int64_t *dims)
{
    static const int64_t ones[EVAL_RANK] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    bool fills = node->op == OP_ConstantOfShape, expands = node->op == OP_Expand;
    bool repeats = fills || expands;
    if (node->output_count != 1 || (!repeats && !is_elementwise(node->op)))
        return NULL;
    const struct tensor **one = NEW_ARRAY(arena, const struct tensor *, node->input_count);
    *rank = 0;
    for (size_t i = 0; i < node->input_count; i++) {
        if (!inputs[i])
            return NULL;
        if (i == (fills ? 0 : expands ? 1 : node->input_count)) {
            int64_t shape[EVAL_RANK];
            if (inputs[i]->rank != 1 || inputs[i]->count > EVAL_RANK || !tensor_read_integers(inputs[i], shape))
                return NULL;
            const struct tensor asked = {.rank = (int)inputs[i]->count, .dims = shape};
            if (!widen(&asked, rank, dims))
                return NULL;
            one[i] = tensor_of_integers(arena, inputs[i]->type, 1, inputs[i]->dims, ones);
            continue;
        }
        one[i] = shrunk(arena, inputs[i]);
        if (!one[i] || !widen(inputs[i], rank, dims))
            return NULL;
        repeats = repeats || inputs[i]->storage == STORAGE_REPEATED;
    }
    return repeats ? one : NULL;
}

/* Weights of many models that only show a structure are one number repeated: a few bytes in the file, and
 * no more here. NULL: the node is evaluated as others are. */
static struct tensor *evaluate_repeated(struct arena *arena, const struct node *node,
                                        const struct tensor *const *inputs, int64_t limit, struct effort *effort)
{
    int rank;
    int64_t dims[EVAL_RANK], count;
    struct tensor *single = NULL;
    struct pool pool = {.arena = arena, .effort = effort};
    const struct tensor **one = shrink_inputs(arena, node, inputs, &rank, dims);
    if (!one || !count_elements(dims, (size_t)rank, &count) || count < 2 || count > limit ||
        eval_node(arena, node, one, &single, limit, effort) || single->count != 1 ||
        single->storage != STORAGE_DOUBLES || !pool_affords(&pool, ELEMENT_COST * (double)count, 0))
        return NULL; /* who asks for its numbers looks at all of them */
    return tensor_of_repeated(arena, single->type, rank, dims, single->data);
}

const char *eval_node(struct arena *arena, const struct node *node, const struct tensor *const *inputs,
                      struct tensor **outputs, int64_t limit, struct effort *effort)
{
    struct array **arrays = NEW_ARRAY(arena, struct array *, node->input_count);
    struct pool pool = {.arena = arena, .effort = effort};
    struct evaluation e = {.arena = arena, .pool = &pool, .node = node, .inputs = arrays, .limit = limit};
    e.is_constant = true;
    struct tensor *single = evaluate_repeated(arena, node, inputs, limit, effort);
    if (!single && node->op == OP_Transpose && node->input_count && inputs[0])
        single = eval_transpose_stored(&e, inputs[0]);
    if (single) {
        outputs[0] = single;
        return NULL;
    }
    for (size_t i = 0; i < node->input_count; i++) {
        const char *reason = inputs[i] ? array_load(arena, &pool, inputs[i], &arrays[i]) : NULL;
        if (reason)
            return reason;
    }
    const char *reason = eval_arrays(&e);
    if (reason)
        return reason;
    for (size_t i = 0; i < node->output_count; i++) {
        outputs[i] = NULL;
        if (!node->outputs[i])
            continue;
        const struct array *array = e.outputs[i];
        if (!type_is_float(array->type) && !type_is_integer(array->type))
            return arena_format(arena, "a result of %s is not folded", array_type_name(array->type));
        outputs[i] = array_is_real(array)
                         ? tensor_of_doubles(arena, array->type, array->rank, array->dims, array->reals)
                         : tensor_of_integers(arena, array->type, array->rank, array->dims, array->integers);
    }
    return NULL;
}
