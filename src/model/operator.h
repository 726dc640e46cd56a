/* model/operator.h: the table of ONNX operators that this program supports.
 *
 * Anything else, any other domain, and any opset outside [OPSET_OLDEST, OPSET_NEWEST] is
 * OP_UNKNOWN: never read into, never changed. */
#ifndef MODEL_OPERATOR_H
#define MODEL_OPERATOR_H

#include <stdbool.h>
#include <stdint.h>

enum { OPSET_OLDEST = 7, OPSET_NEWEST = 28 };

/* Traits of an operator, whatever its attributes, as bits. */
enum operator_trait {
    KEEPS_SHAPE = 1,   /* the first output has the shape and type of the first input (Cast: shape only) */
    COMMUTES = 2,      /* two inputs may change places */
    ADDS = 4,          /* a result is a sum of inputs, so that numbers may cancel */
    ARITHMETIC = 8,    /* +, -, *, / of operands that broadcast, and similar ops */
    ELEMENTWISE = 16,  /* each element depends only on the one in its place; set if a rewrite may span the op */
    BODIES = 32,       /* attributes are graphs */
    WEIGHTED = 64,     /* input 1 is a weight: numbers are multiplied by it and summed */
    IS_SUM = 128,      /* a sum of its operands, with factors */
    MAPS = 256,        /* applies the same function to each element alone */
    IDEMPOTENT = 512,  /* f(f(x)) = f(x) */
    INVOLUTION = 1024, /* f(f(x)) = x */
    MOVES = 2048       /* the results are elements of input 0, in other places or repeated */
};

/* name and traits */
#define OPERATORS(X)                                                                                                   \
    X(Abs, KEEPS_SHAPE | MAPS | IDEMPOTENT)                                                                            \
    X(Acos, 0)                                                                                                         \
    X(Acosh, 0)                                                                                                        \
    X(Add, COMMUTES | ADDS | ARITHMETIC | IS_SUM)                                                                      \
    X(AffineGrid, 0)                                                                                                   \
    X(And, COMMUTES)                                                                                                   \
    X(ArgMax, 0)                                                                                                       \
    X(ArgMin, 0)                                                                                                       \
    X(Asin, 0)                                                                                                         \
    X(Asinh, 0)                                                                                                        \
    X(Atan, 0)                                                                                                         \
    X(Atanh, 0)                                                                                                        \
    X(Attention, 0)                                                                                                    \
    X(AveragePool, 0)                                                                                                  \
    X(BatchNormalization, KEEPS_SHAPE)                                                                                 \
    X(BitCast, 0)                                                                                                      \
    X(BitShift, 0)                                                                                                     \
    X(BitwiseAnd, 0)                                                                                                   \
    X(BitwiseNot, 0)                                                                                                   \
    X(BitwiseOr, 0)                                                                                                    \
    X(BitwiseXor, 0)                                                                                                   \
    X(BlackmanWindow, 0)                                                                                               \
    X(Cast, KEEPS_SHAPE | ELEMENTWISE)                                                                                 \
    X(CastLike, KEEPS_SHAPE | ELEMENTWISE)                                                                             \
    X(CausalConvWithState, 0)                                                                                          \
    X(Ceil, KEEPS_SHAPE | IDEMPOTENT)                                                                                  \
    X(Celu, MAPS)                                                                                                      \
    X(CenterCropPad, 0)                                                                                                \
    X(Clip, KEEPS_SHAPE | MAPS)                                                                                        \
    X(Col2Im, 0)                                                                                                       \
    X(Compress, 0)                                                                                                     \
    X(Concat, 0)                                                                                                       \
    X(ConcatFromSequence, 0)                                                                                           \
    X(Constant, 0)                                                                                                     \
    X(ConstantOfShape, 0)                                                                                              \
    X(Conv, WEIGHTED)                                                                                                  \
    X(ConvInteger, 0)                                                                                                  \
    X(ConvTranspose, WEIGHTED)                                                                                         \
    X(Cos, 0)                                                                                                          \
    X(Cosh, 0)                                                                                                         \
    X(CumProd, 0)                                                                                                      \
    X(CumSum, 0)                                                                                                       \
    X(DFT, 0)                                                                                                          \
    X(DeformConv, 0)                                                                                                   \
    X(DepthToSpace, 0)                                                                                                 \
    X(DequantizeLinear, 0)                                                                                             \
    X(Det, 0)                                                                                                          \
    X(Div, ARITHMETIC)                                                                                                 \
    X(Dropout, KEEPS_SHAPE | ELEMENTWISE)                                                                              \
    X(DynamicQuantizeLinear, 0)                                                                                        \
    X(Einsum, 0)                                                                                                       \
    X(Elu, KEEPS_SHAPE | MAPS)                                                                                         \
    X(Equal, COMMUTES)                                                                                                 \
    X(Erf, KEEPS_SHAPE | MAPS)                                                                                         \
    X(Exp, KEEPS_SHAPE | MAPS)                                                                                         \
    X(Expand, MOVES)                                                                                                   \
    X(EyeLike, 0)                                                                                                      \
    X(Flatten, MOVES)                                                                                                  \
    X(Floor, KEEPS_SHAPE | IDEMPOTENT)                                                                                 \
    X(GRU, 0)                                                                                                          \
    X(Gather, MOVES)                                                                                                   \
    X(GatherElements, 0)                                                                                               \
    X(GatherND, 0)                                                                                                     \
    X(Gelu, KEEPS_SHAPE | MAPS)                                                                                        \
    X(Gemm, WEIGHTED)                                                                                                  \
    X(GlobalAveragePool, 0)                                                                                            \
    X(GlobalLpPool, 0)                                                                                                 \
    X(GlobalMaxPool, 0)                                                                                                \
    X(Greater, 0)                                                                                                      \
    X(GreaterOrEqual, 0)                                                                                               \
    X(GridSample, 0)                                                                                                   \
    X(GroupNormalization, 0)                                                                                           \
    X(HammingWindow, 0)                                                                                                \
    X(HannWindow, 0)                                                                                                   \
    X(HardSigmoid, KEEPS_SHAPE | MAPS)                                                                                 \
    X(HardSwish, KEEPS_SHAPE | MAPS)                                                                                   \
    X(Hardmax, 0)                                                                                                      \
    X(Identity, KEEPS_SHAPE | ELEMENTWISE | MOVES)                                                                     \
    X(If, BODIES)                                                                                                      \
    X(InstanceNormalization, 0)                                                                                        \
    X(IsInf, 0)                                                                                                        \
    X(IsNaN, 0)                                                                                                        \
    X(LRN, 0)                                                                                                          \
    X(LSTM, 0)                                                                                                         \
    X(LayerNormalization, 0)                                                                                           \
    X(LeakyRelu, KEEPS_SHAPE | ELEMENTWISE | MAPS)                                                                     \
    X(Less, 0)                                                                                                         \
    X(LessOrEqual, 0)                                                                                                  \
    X(LinearAttention, 0)                                                                                              \
    X(Log, KEEPS_SHAPE | MAPS)                                                                                         \
    X(LogSoftmax, 0)                                                                                                   \
    X(Loop, BODIES)                                                                                                    \
    X(LpNormalization, 0)                                                                                              \
    X(LpPool, 0)                                                                                                       \
    X(MatMul, WEIGHTED)                                                                                                \
    X(MatMulInteger, 0)                                                                                                \
    X(Max, COMMUTES)                                                                                                   \
    X(MaxPool, 0)                                                                                                      \
    X(MaxRoiPool, 0)                                                                                                   \
    X(MaxUnpool, 0)                                                                                                    \
    X(Mean, COMMUTES | ADDS | ARITHMETIC | IS_SUM)                                                                     \
    X(MeanVarianceNormalization, 0)                                                                                    \
    X(MelWeightMatrix, 0)                                                                                              \
    X(Min, COMMUTES)                                                                                                   \
    X(Mish, KEEPS_SHAPE | MAPS)                                                                                        \
    X(Mod, 0)                                                                                                          \
    X(Mul, COMMUTES | ARITHMETIC)                                                                                      \
    X(Neg, KEEPS_SHAPE | ELEMENTWISE | MAPS | INVOLUTION)                                                              \
    X(NegativeLogLikelihoodLoss, 0)                                                                                    \
    X(NonMaxSuppression, 0)                                                                                            \
    X(NonZero, 0)                                                                                                      \
    X(Not, INVOLUTION)                                                                                                 \
    X(OneHot, 0)                                                                                                       \
    X(Optional, 0)                                                                                                     \
    X(OptionalGetElement, 0)                                                                                           \
    X(OptionalHasElement, 0)                                                                                           \
    X(Or, COMMUTES)                                                                                                    \
    X(PRelu, KEEPS_SHAPE)                                                                                              \
    X(Pad, 0)                                                                                                          \
    X(Pow, 0)                                                                                                          \
    X(QLinearConv, 0)                                                                                                  \
    X(QLinearMatMul, 0)                                                                                                \
    X(QuantizeLinear, 0)                                                                                               \
    X(RMSNormalization, 0)                                                                                             \
    X(RNN, 0)                                                                                                          \
    X(Range, 0)                                                                                                        \
    X(Reciprocal, KEEPS_SHAPE | MAPS)                                                                                  \
    X(ReduceL1, 0)                                                                                                     \
    X(ReduceL2, 0)                                                                                                     \
    X(ReduceLogSum, 0)                                                                                                 \
    X(ReduceLogSumExp, 0)                                                                                              \
    X(ReduceMax, 0)                                                                                                    \
    X(ReduceMean, ADDS)                                                                                                \
    X(ReduceMin, 0)                                                                                                    \
    X(ReduceProd, 0)                                                                                                   \
    X(ReduceSum, ADDS)                                                                                                 \
    X(ReduceSumSquare, 0)                                                                                              \
    X(RegexFullMatch, 0)                                                                                               \
    X(Relu, KEEPS_SHAPE | MAPS | IDEMPOTENT)                                                                           \
    X(Reshape, MOVES)                                                                                                  \
    X(Resize, 0)                                                                                                       \
    X(ReverseSequence, 0)                                                                                              \
    X(RoiAlign, 0)                                                                                                     \
    X(RotaryEmbedding, 0)                                                                                              \
    X(Round, IDEMPOTENT)                                                                                               \
    X(STFT, 0)                                                                                                         \
    X(Scan, BODIES)                                                                                                    \
    X(Scatter, 0)                                                                                                      \
    X(ScatterElements, 0)                                                                                              \
    X(ScatterND, KEEPS_SHAPE)                                                                                          \
    X(Selu, KEEPS_SHAPE | MAPS)                                                                                        \
    X(SequenceAt, 0)                                                                                                   \
    X(SequenceConstruct, 0)                                                                                            \
    X(SequenceEmpty, 0)                                                                                                \
    X(SequenceErase, 0)                                                                                                \
    X(SequenceInsert, 0)                                                                                               \
    X(SequenceLength, 0)                                                                                               \
    X(SequenceMap, BODIES)                                                                                             \
    X(Shape, 0)                                                                                                        \
    X(Shrink, 0)                                                                                                       \
    X(Sigmoid, KEEPS_SHAPE | MAPS)                                                                                     \
    X(Sign, 0)                                                                                                         \
    X(Sin, 0)                                                                                                          \
    X(Sinh, 0)                                                                                                         \
    X(Size, 0)                                                                                                         \
    X(Slice, MOVES)                                                                                                    \
    X(Softmax, KEEPS_SHAPE)                                                                                            \
    X(SoftmaxCrossEntropyLoss, 0)                                                                                      \
    X(Softplus, KEEPS_SHAPE | MAPS)                                                                                    \
    X(Softsign, KEEPS_SHAPE | MAPS)                                                                                    \
    X(SpaceToDepth, 0)                                                                                                 \
    X(Split, MOVES)                                                                                                    \
    X(SplitToSequence, 0)                                                                                              \
    X(Sqrt, KEEPS_SHAPE | MAPS)                                                                                        \
    X(Squeeze, MOVES)                                                                                                  \
    X(StringConcat, 0)                                                                                                 \
    X(StringNormalizer, 0)                                                                                             \
    X(StringSplit, 0)                                                                                                  \
    X(Sub, ADDS | ARITHMETIC | IS_SUM)                                                                                 \
    X(Sum, COMMUTES | ADDS | ARITHMETIC | IS_SUM)                                                                      \
    X(SwiGLU, 0)                                                                                                       \
    X(Swish, KEEPS_SHAPE)                                                                                              \
    X(Tan, 0)                                                                                                          \
    X(Tanh, KEEPS_SHAPE | MAPS)                                                                                        \
    X(TensorScatter, 0)                                                                                                \
    X(TfIdfVectorizer, 0)                                                                                              \
    X(ThresholdedRelu, 0)                                                                                              \
    X(Tile, MOVES)                                                                                                     \
    X(TopK, 0)                                                                                                         \
    X(Transpose, MOVES)                                                                                                \
    X(Trilu, 0)                                                                                                        \
    X(Unique, 0)                                                                                                       \
    X(Unsqueeze, MOVES)                                                                                                \
    X(Upsample, 0)                                                                                                     \
    X(Where, 0)                                                                                                        \
    X(Xor, COMMUTES)

enum op {
    OP_UNKNOWN,
#define X(name, traits) OP_##name,
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
    int meaning; /* since when the same inputs give the same results */
    /* INPUTS>OUTPUTS: a letter for a type, the same for what must be of one type, "." for a type of its
     * own, "*" behind what repeats; "": it is no longer an operator */
    const char *types;
    const char *attributes; /* their names, separated by spaces */
};

/* Runtimes ignore attributes whose names begin with "__", so every operator may have them. */
bool operator_has_attribute(const struct operator_schema *schema, const char *name);

/* True when it has one of the traits (a set of enum operator_trait). OP_UNKNOWN has none. */
bool operator_is(enum op op, unsigned traits);

#endif
