/* model/tensor.h: constants, however their numbers are stored.
 *
 * raw_data, the typed fields, Constant nodes, external data, results of constant folding and
 * weights that a rewrite will compute are one type to the rest of the program. */
#ifndef MODEL_TENSOR_H
#define MODEL_TENSOR_H

#include "io/file.h"
#include "onnx.pb-c.h"

struct affine;
struct model;

enum tensor_storage {
    STORAGE_BYTES,    /* little-endian elements, in the mapping or in external data */
    STORAGE_FLOATS,   /* float: float_data, value_floats */
    STORAGE_DOUBLES,  /* double: double_data, and results of constant folding */
    STORAGE_WORDS,    /* int32: int32_data, which also holds float16 and bfloat16 as bits */
    STORAGE_LONGS,    /* int64: int64_data, value_ints, and results of constant folding */
    STORAGE_ULONGS,   /* uint64: uint64_data, which also holds uint32 */
    STORAGE_REPEATED, /* of a float type: one double that every element is; ConstantOfShape, Expand */
    STORAGE_FUSED,    /* computed when written: the kernel of an affine form */
    STORAGE_OPAQUE    /* present, but not readable here: strings, packed 4-bit types, ... */
};

enum fused_part {
    FUSED_KERNEL,           /* rows as they are: [outputs, inputs / groups, taps...] */
    FUSED_KERNEL_TRANSPOSED /* MatMul: [inputs, outputs] */
};

struct tensor {
    const char *name;
    int32_t type; /* ONNX__TENSOR_PROTO__DATA_TYPE__... */
    int rank;
    const int64_t *dims; /* rank of them, none negative */
    int64_t count;       /* product of dims */
    enum tensor_storage storage;
    const void *data;
    const Onnx__TensorProto *proto;  /* NULL for what constant folding or a rewrite made */
    const struct external *external; /* where the bytes lie outside the model's file, or NULL */
    const struct affine *form;       /* STORAGE_FUSED */
    enum fused_part part;            /* STORAGE_FUSED */
    const struct tensor *before;     /* the tensor before equalisation scaled it by powers of two, or NULL */
    bool from_shape;                 /* folded from the shape of a value: exact for that shape only */
};

/* float, double, float16, bfloat16: what a fused weight may be. */
bool type_is_float(int32_t type);
/* Integers of a byte or more, and bools: what tensor_read_integers reads. */
bool type_is_integer(int32_t type);
/* Bits of an element; 0 for strings and unknown types. */
int type_bits(int32_t type);
/* Bytes per element for types with a whole number of them, else 0. */
size_t type_size(int32_t type);
/* "float16", ...; "type 99" is written into `unknown`'s place by callers that need it. */
const char *type_name(int32_t type);
/* Largest relative rounding error of one conversion: 2^-24 for float, 2^-11 for float16, ... */
double type_rounding(int32_t type);
/* Accepted difference of two computations of the same result, relative to the largest result. */
double type_tolerance(int32_t type);

/* Reads a TensorProto. `external`: the place of its external data, of which it takes only what its dims need; may be
 * NULL. Returns NULL and sets *result, or returns the reason why the tensor is invalid: data that does not fit the
 * dims, dims that overflow. Tensors of unsupported types become STORAGE_OPAQUE. */
const char *tensor_from_proto(struct arena *arena, const Onnx__TensorProto *proto, struct external *external,
                              struct tensor **result);

/* Bytes of its elements in raw_data, for types of whole bytes. */
static inline size_t tensor_bytes(const struct tensor *tensor)
{
    return (size_t)tensor->count * type_size(tensor->type);
}
/* Bytes that it takes in a file, also for packed types and strings. 0 if unknown. */
size_t tensor_stored_bytes(const struct tensor *tensor);
/* True if tensor_read works. */
bool tensor_is_readable(const struct tensor *tensor);

/* Elements [first, first + count) as double. Integers and bools convert; the storage must be
 * readable and not STORAGE_FUSED. */
void tensor_read(const struct tensor *tensor, int64_t first, int64_t count, double *out);
/* All elements as int64; false when the type is not an integer or bool type, or when a uint64 is
 * 2^63 or more. */
bool tensor_read_integers(const struct tensor *tensor, int64_t *out);

/* The same of a readable tensor of an integer type, a uint64 of 2^63 or more as its bits. */
void tensor_read_bits(const struct tensor *tensor, int64_t *out);

/* Rounds doubles to `type` (once, to nearest even) and writes them little-endian. Returns the
 * index of the first value that is not finite in `type`, or -1. */
int64_t tensor_round(int32_t type, const double *values, int64_t count, void *out);
/* The result of tensor_round followed by a read. */
double tensor_rounded(int32_t type, double value);

/* New constants: numbers as in a file, doubles (for a float type) or integers. `values` is borrowed. */
struct tensor *tensor_of_bytes(struct arena *arena, int32_t type, int rank, const int64_t *dims, const void *bytes);
struct tensor *tensor_of_doubles(struct arena *arena, int32_t type, int rank, const int64_t *dims,
                                 const double *values);
/* Every element is *value. */
struct tensor *tensor_of_repeated(struct arena *arena, int32_t type, int rank, const int64_t *dims,
                                  const double *value);
struct tensor *tensor_of_integers(struct arena *arena, int32_t type, int rank, const int64_t *dims,
                                  const int64_t *values);

#endif
