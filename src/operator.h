/* operator.h: the ONNX operators this program computes with, in one table; defaults of attributes,
 * of others too.
 *
 * Anything else, any other domain, and any opset outside [OPSET_OLDEST, OPSET_NEWEST] is
 * OP_UNKNOWN: never read into, never changed. */
#ifndef OP_H
#define OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OPSET_OLDEST = 7, OPSET_NEWEST = 28 };

/* name, and whether shape inference may pass the first input's shape through */
#define OPERATORS(X)                                                                               \
    X(Abs, 1)                                                                                      \
    X(Add, 0)                                                                                      \
    X(AveragePool, 0)                                                                              \
    X(BatchNormalization, 1)                                                                       \
    X(Cast, 1)                                                                                     \
    X(CastLike, 1)                                                                                 \
    X(Ceil, 1)                                                                                     \
    X(Clip, 1)                                                                                     \
    X(Concat, 0)                                                                                   \
    X(Constant, 0)                                                                                 \
    X(ConstantOfShape, 0)                                                                          \
    X(Conv, 0)                                                                                     \
    X(ConvTranspose, 0)                                                                            \
    X(Div, 0)                                                                                      \
    X(Dropout, 1)                                                                                  \
    X(Einsum, 0)                                                                                   \
    X(Elu, 1)                                                                                      \
    X(Equal, 0)                                                                                    \
    X(Erf, 1)                                                                                      \
    X(Exp, 1)                                                                                      \
    X(Expand, 0)                                                                                   \
    X(Flatten, 0)                                                                                  \
    X(Floor, 1)                                                                                    \
    X(Gather, 0)                                                                                   \
    X(Gelu, 1)                                                                                     \
    X(Gemm, 0)                                                                                     \
    X(GlobalAveragePool, 0)                                                                        \
    X(HardSigmoid, 1)                                                                              \
    X(HardSwish, 1)                                                                                \
    X(Identity, 1)                                                                                 \
    X(LeakyRelu, 1)                                                                                \
    X(Log, 1)                                                                                      \
    X(MatMul, 0)                                                                                   \
    X(MaxPool, 0)                                                                                  \
    X(Mean, 0)                                                                                     \
    X(Mish, 1)                                                                                     \
    X(Mod, 0)                                                                                      \
    X(Mul, 0)                                                                                      \
    X(Neg, 1)                                                                                      \
    X(PRelu, 1)                                                                                    \
    X(Pad, 0)                                                                                      \
    X(Pow, 0)                                                                                      \
    X(Range, 0)                                                                                    \
    X(Reciprocal, 1)                                                                               \
    X(ReduceMean, 0)                                                                               \
    X(ReduceProd, 0)                                                                               \
    X(ReduceSum, 0)                                                                                \
    X(Relu, 1)                                                                                     \
    X(Reshape, 0)                                                                                  \
    X(ScatterND, 1)                                                                                \
    X(Selu, 1)                                                                                     \
    X(Shape, 0)                                                                                    \
    X(Sigmoid, 1)                                                                                  \
    X(Size, 0)                                                                                     \
    X(Slice, 0)                                                                                    \
    X(Softmax, 1)                                                                                  \
    X(Softplus, 1)                                                                                 \
    X(Softsign, 1)                                                                                 \
    X(Split, 0)                                                                                    \
    X(Sqrt, 1)                                                                                     \
    X(Squeeze, 0)                                                                                  \
    X(Sub, 0)                                                                                      \
    X(Sum, 0)                                                                                      \
    X(Swish, 1)                                                                                    \
    X(Tanh, 1)                                                                                     \
    X(Tile, 0)                                                                                     \
    X(Transpose, 0)                                                                                \
    X(Unsqueeze, 0)                                                                                \
    X(Where, 0)

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

/* What it means that `attribute` is left out of an operator, "" included: *length characters, which
 * are a number, a string, "*1" for a list of nothing but that number, or "0,2" for a list. NULL: it has no default, or
 * one that no such text says, or the operator or opset is not known here. */
const char *operator_default(const char *domain, const char *type, int64_t opset,
                             const char *attribute, size_t *length);

/* An operator of ai.onnx since one of its versions. */
struct operator_schema {
    const char *name;
    int since;   /* the opset that brought it, or OPSET_OLDEST and before */
    int meaning; /* since when it computes the same of the same */
    /* INPUTS>OUTPUTS: a letter for a type, the same for what must be of one type, "." for a type of its
     * own, "*" behind what repeats; "": it is no operator any more */
    const char *types;
};
/* The schema of an operator of the default domain at an opset: its oldest, of a later opset, where it is not there
 * yet; NULL: there is none of this name, or the domain is another. */
const struct operator_schema *operator_schema(const char *domain, const char *type, int64_t opset);

/* True when the first output has the shape and type of the first input (Cast: shape only). */
bool operator_keeps_shape(enum op op);

#endif
