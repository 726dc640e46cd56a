/* model/operator.h: the ONNX operators this program computes with, in one table; defaults of attributes,
 * of others too.
 *
 * Anything else, any other domain, and any opset outside [OPSET_OLDEST, OPSET_NEWEST] is
 * OP_UNKNOWN: never read into, never changed. */
#ifndef MODEL_OPERATOR_H
#define MODEL_OPERATOR_H

#include <stdbool.h>
#include <stdint.h>

enum { OPSET_OLDEST = 7, OPSET_NEWEST = 28 };

/* name, and whether shape inference may pass the first input's shape through */
#define OPERATORS(X)                                                                               \
    X(Abs, 1)                                                                                      \
    X(Acos, 0)                                                                                     \
    X(Acosh, 0)                                                                                    \
    X(Add, 0)                                                                                      \
    X(AffineGrid, 0)                                                                               \
    X(And, 0)                                                                                      \
    X(ArgMax, 0)                                                                                   \
    X(ArgMin, 0)                                                                                   \
    X(Asin, 0)                                                                                     \
    X(Asinh, 0)                                                                                    \
    X(Atan, 0)                                                                                     \
    X(Atanh, 0)                                                                                    \
    X(Attention, 0)                                                                                \
    X(AveragePool, 0)                                                                              \
    X(BatchNormalization, 1)                                                                       \
    X(BitCast, 0)                                                                                  \
    X(BitShift, 0)                                                                                 \
    X(BitwiseAnd, 0)                                                                               \
    X(BitwiseNot, 0)                                                                               \
    X(BitwiseOr, 0)                                                                                \
    X(BitwiseXor, 0)                                                                               \
    X(BlackmanWindow, 0)                                                                           \
    X(Cast, 1)                                                                                     \
    X(CastLike, 1)                                                                                 \
    X(CausalConvWithState, 0)                                                                      \
    X(Ceil, 1)                                                                                     \
    X(Celu, 0)                                                                                     \
    X(CenterCropPad, 0)                                                                            \
    X(Clip, 1)                                                                                     \
    X(Col2Im, 0)                                                                                   \
    X(Compress, 0)                                                                                 \
    X(Concat, 0)                                                                                   \
    X(ConcatFromSequence, 0)                                                                       \
    X(Constant, 0)                                                                                 \
    X(ConstantOfShape, 0)                                                                          \
    X(Conv, 0)                                                                                     \
    X(ConvInteger, 0)                                                                              \
    X(ConvTranspose, 0)                                                                            \
    X(Cos, 0)                                                                                      \
    X(Cosh, 0)                                                                                     \
    X(CumProd, 0)                                                                                  \
    X(CumSum, 0)                                                                                   \
    X(DFT, 0)                                                                                      \
    X(DeformConv, 0)                                                                               \
    X(DepthToSpace, 0)                                                                             \
    X(DequantizeLinear, 0)                                                                         \
    X(Det, 0)                                                                                      \
    X(Div, 0)                                                                                      \
    X(Dropout, 1)                                                                                  \
    X(DynamicQuantizeLinear, 0)                                                                    \
    X(Einsum, 0)                                                                                   \
    X(Elu, 1)                                                                                      \
    X(Equal, 0)                                                                                    \
    X(Erf, 1)                                                                                      \
    X(Exp, 1)                                                                                      \
    X(Expand, 0)                                                                                   \
    X(EyeLike, 0)                                                                                  \
    X(Flatten, 0)                                                                                  \
    X(Floor, 1)                                                                                    \
    X(GRU, 0)                                                                                      \
    X(Gather, 0)                                                                                   \
    X(GatherElements, 0)                                                                           \
    X(GatherND, 0)                                                                                 \
    X(Gelu, 1)                                                                                     \
    X(Gemm, 0)                                                                                     \
    X(GlobalAveragePool, 0)                                                                        \
    X(GlobalLpPool, 0)                                                                             \
    X(GlobalMaxPool, 0)                                                                            \
    X(Greater, 0)                                                                                  \
    X(GreaterOrEqual, 0)                                                                           \
    X(GridSample, 0)                                                                               \
    X(GroupNormalization, 0)                                                                       \
    X(HammingWindow, 0)                                                                            \
    X(HannWindow, 0)                                                                               \
    X(HardSigmoid, 1)                                                                              \
    X(HardSwish, 1)                                                                                \
    X(Hardmax, 0)                                                                                  \
    X(Identity, 1)                                                                                 \
    X(If, 0)                                                                                       \
    X(InstanceNormalization, 0)                                                                    \
    X(IsInf, 0)                                                                                    \
    X(IsNaN, 0)                                                                                    \
    X(LRN, 0)                                                                                      \
    X(LSTM, 0)                                                                                     \
    X(LayerNormalization, 0)                                                                       \
    X(LeakyRelu, 1)                                                                                \
    X(Less, 0)                                                                                     \
    X(LessOrEqual, 0)                                                                              \
    X(LinearAttention, 0)                                                                          \
    X(Log, 1)                                                                                      \
    X(LogSoftmax, 0)                                                                               \
    X(Loop, 0)                                                                                     \
    X(LpNormalization, 0)                                                                          \
    X(LpPool, 0)                                                                                   \
    X(MatMul, 0)                                                                                   \
    X(MatMulInteger, 0)                                                                            \
    X(Max, 0)                                                                                      \
    X(MaxPool, 0)                                                                                  \
    X(MaxRoiPool, 0)                                                                               \
    X(MaxUnpool, 0)                                                                                \
    X(Mean, 0)                                                                                     \
    X(MeanVarianceNormalization, 0)                                                                \
    X(MelWeightMatrix, 0)                                                                          \
    X(Min, 0)                                                                                      \
    X(Mish, 1)                                                                                     \
    X(Mod, 0)                                                                                      \
    X(Mul, 0)                                                                                      \
    X(Neg, 1)                                                                                      \
    X(NegativeLogLikelihoodLoss, 0)                                                                \
    X(NonMaxSuppression, 0)                                                                        \
    X(NonZero, 0)                                                                                  \
    X(Not, 0)                                                                                      \
    X(OneHot, 0)                                                                                   \
    X(Optional, 0)                                                                                 \
    X(OptionalGetElement, 0)                                                                       \
    X(OptionalHasElement, 0)                                                                       \
    X(Or, 0)                                                                                       \
    X(PRelu, 1)                                                                                    \
    X(Pad, 0)                                                                                      \
    X(Pow, 0)                                                                                      \
    X(QLinearConv, 0)                                                                              \
    X(QLinearMatMul, 0)                                                                            \
    X(QuantizeLinear, 0)                                                                           \
    X(RMSNormalization, 0)                                                                         \
    X(RNN, 0)                                                                                      \
    X(Range, 0)                                                                                    \
    X(Reciprocal, 1)                                                                               \
    X(ReduceL1, 0)                                                                                 \
    X(ReduceL2, 0)                                                                                 \
    X(ReduceLogSum, 0)                                                                             \
    X(ReduceLogSumExp, 0)                                                                          \
    X(ReduceMax, 0)                                                                                \
    X(ReduceMean, 0)                                                                               \
    X(ReduceMin, 0)                                                                                \
    X(ReduceProd, 0)                                                                               \
    X(ReduceSum, 0)                                                                                \
    X(ReduceSumSquare, 0)                                                                          \
    X(RegexFullMatch, 0)                                                                           \
    X(Relu, 1)                                                                                     \
    X(Reshape, 0)                                                                                  \
    X(Resize, 0)                                                                                   \
    X(ReverseSequence, 0)                                                                          \
    X(RoiAlign, 0)                                                                                 \
    X(RotaryEmbedding, 0)                                                                          \
    X(Round, 0)                                                                                    \
    X(STFT, 0)                                                                                     \
    X(Scan, 0)                                                                                     \
    X(Scatter, 0)                                                                                  \
    X(ScatterElements, 0)                                                                          \
    X(ScatterND, 1)                                                                                \
    X(Selu, 1)                                                                                     \
    X(SequenceAt, 0)                                                                               \
    X(SequenceConstruct, 0)                                                                        \
    X(SequenceEmpty, 0)                                                                            \
    X(SequenceErase, 0)                                                                            \
    X(SequenceInsert, 0)                                                                           \
    X(SequenceLength, 0)                                                                           \
    X(SequenceMap, 0)                                                                              \
    X(Shape, 0)                                                                                    \
    X(Shrink, 0)                                                                                   \
    X(Sigmoid, 1)                                                                                  \
    X(Sign, 0)                                                                                     \
    X(Sin, 0)                                                                                      \
    X(Sinh, 0)                                                                                     \
    X(Size, 0)                                                                                     \
    X(Slice, 0)                                                                                    \
    X(Softmax, 1)                                                                                  \
    X(SoftmaxCrossEntropyLoss, 0)                                                                  \
    X(Softplus, 1)                                                                                 \
    X(Softsign, 1)                                                                                 \
    X(SpaceToDepth, 0)                                                                             \
    X(Split, 0)                                                                                    \
    X(SplitToSequence, 0)                                                                          \
    X(Sqrt, 1)                                                                                     \
    X(Squeeze, 0)                                                                                  \
    X(StringConcat, 0)                                                                             \
    X(StringNormalizer, 0)                                                                         \
    X(StringSplit, 0)                                                                              \
    X(Sub, 0)                                                                                      \
    X(Sum, 0)                                                                                      \
    X(SwiGLU, 0)                                                                                   \
    X(Swish, 1)                                                                                    \
    X(Tan, 0)                                                                                      \
    X(Tanh, 1)                                                                                     \
    X(TensorScatter, 0)                                                                            \
    X(TfIdfVectorizer, 0)                                                                          \
    X(ThresholdedRelu, 0)                                                                          \
    X(Tile, 0)                                                                                     \
    X(TopK, 0)                                                                                     \
    X(Transpose, 0)                                                                                \
    X(Trilu, 0)                                                                                    \
    X(Unique, 0)                                                                                   \
    X(Unsqueeze, 0)                                                                                \
    X(Upsample, 0)                                                                                 \
    X(Where, 0)                                                                                    \
    X(Xor, 0)

enum op {
    OP_UNKNOWN,
#define X(name, keeps_shape) OP_##name,
    OPERATORS(X)
#undef X
};

/* For bsearch in a table whose rows begin with an operator's name. */
int operator_compare_name(const void *key, const void *element);

/* "" and "ai.onnx" are one domain, and so is none: "". Others as they are. */
const char *operator_domain(const char *domain);

/* The operator of a name in the default domain ("" and "ai.onnx"), else OP_UNKNOWN. */
enum op operator_find(const char *domain, const char *type, int64_t opset);

/* An operator of ai.onnx since one of its versions. */
struct operator_schema {
    const char *name;
    int since;   /* the opset that brought it, or OPSET_OLDEST and before */
    int meaning; /* since when it computes the same of the same */
    /* INPUTS>OUTPUTS: a letter for a type, the same for what must be of one type, "." for a type of its
     * own, "*" behind what repeats; "": it is no operator any more */
    const char *types;
};

/* True when the first output has the shape and type of the first input (Cast: shape only). */
bool operator_keeps_shape(enum op op);

/* True for If, Loop, Scan and SequenceMap, whose attributes are graphs. */
bool operator_has_bodies(enum op op);

#endif
