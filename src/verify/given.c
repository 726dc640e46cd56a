/* verify/given.c: from numpy's arrays to tensors. */
#include "verify/given.h"

#include <string.h>

#include "base/text.h"
#include "io/npz.h"

struct reader {
    struct arena *arena;
    struct given *given;
};

/* The element type of ONNX, 0: there is none. */
static int32_t type_of(const struct npz_array *array)
{
    static const struct {
        char kind;
        size_t size;
        int32_t type;
    } types[] = {
        {'f', 2, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16}, {'f', 4, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT},
        {'f', 8, ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE},  {'i', 1, ONNX__TENSOR_PROTO__DATA_TYPE__INT8},
        {'i', 2, ONNX__TENSOR_PROTO__DATA_TYPE__INT16},   {'i', 4, ONNX__TENSOR_PROTO__DATA_TYPE__INT32},
        {'i', 8, ONNX__TENSOR_PROTO__DATA_TYPE__INT64},   {'u', 1, ONNX__TENSOR_PROTO__DATA_TYPE__UINT8},
        {'u', 2, ONNX__TENSOR_PROTO__DATA_TYPE__UINT16},  {'u', 4, ONNX__TENSOR_PROTO__DATA_TYPE__UINT32},
        {'u', 8, ONNX__TENSOR_PROTO__DATA_TYPE__UINT64},  {'b', 1, ONNX__TENSOR_PROTO__DATA_TYPE__BOOL},
    };
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (types[i].kind == array->kind && types[i].size == array->size)
            return types[i].type;
    return 0;
}

/* The numbers with the last axis fastest, whichever is in the file. */
static uint8_t *in_order(struct arena *arena, const struct npz_array *array)
{
    uint8_t *bytes = NEW_ARRAY(arena, uint8_t, (size_t)array->count * array->size + 1);
    int64_t at[NPZ_AXES] = {0}, strides[NPZ_AXES], from = 0, stride = 1;
    if (!array->by_columns || array->rank < 2) {
        if (array->count)
            memcpy(bytes, array->bytes, (size_t)array->count * array->size);
        return bytes;
    }
    for (int i = 0; i < array->rank; i++) {
        strides[i] = stride;
        stride *= array->dims[i];
    }
    for (int64_t i = 0; i < array->count; i++) {
        memcpy(bytes + (size_t)i * array->size, array->bytes + (size_t)from * array->size, array->size);
        for (int axis = array->rank - 1; axis >= 0; axis--) {
            from += strides[axis];
            if (++at[axis] < array->dims[axis])
                break;
            from -= strides[axis] * array->dims[axis];
            at[axis] = 0;
        }
    }
    return bytes;
}

static const char *take(void *closure, const struct npz_array *array)
{
    const struct reader *reader = closure;
    int32_t type = type_of(array);
    if (!type)
        return "has an element type that ONNX does not have";
    struct given_input input = {
        array->name, tensor_of_bytes(reader->arena, type, array->rank, array->dims, in_order(reader->arena, array))};
    LIST_PUSH(reader->arena, &reader->given->inputs, input);
    return NULL;
}

void given_read(struct arena *arena, const uint8_t *bytes, size_t size, struct given *given)
{
    static const char wanted[] = "inputs by numpy.savez, an array under the name of each";
    if (!npz_is(bytes, size))
        fail(arena->landing, ONNX_FUSE_ARGUMENT, "%s: is not a NumPy archive: expected %s", given->path, wanted);
    npz_read(arena, given->path, wanted, bytes, size, take, &(struct reader){arena, given});
}

const struct tensor *given_for(const struct given *given, const char *name)
{
    for (size_t i = 0; i < given->inputs.count; i++)
        if (strcmp(given->inputs.items[i].name, name) == 0)
            return given->inputs.items[i].tensor;
    return NULL;
}

/* "float [1, 3, ?]" */
static const char *text_of(struct arena *arena, int32_t type, int rank, const int64_t *dims)
{
    struct text text = {.arena = arena};
    text_print(&text, "%s", type ? type_name(type) : "of any type");
    for (int i = 0; i < rank; i++) {
        text_print(&text, "%s", i ? ", " : " [");
        text_print(&text, dims[i] < 0 ? "?" : "%lld", (long long)dims[i]);
    }
    text_print(&text, "%s", rank < 0 ? "" : rank ? "]" : " []");
    return text.bytes;
}

static const struct value *input_called(const struct graph *graph, const char *name)
{
    const struct value *value = map_get(&graph->values, name);
    return value && value->is_input ? value : NULL;
}

static bool fits(const struct tensor *tensor, const struct value *value)
{
    if ((value->type && value->type != tensor->type) || (value->rank >= 0 && value->rank != tensor->rank))
        return false;
    for (int i = 0; i < value->rank; i++)
        if (value->dims[i] >= 0 && value->dims[i] != tensor->dims[i])
            return false;
    return true;
}

void given_check(struct arena *arena, const struct given *given, struct graph *const graphs[2])
{
    for (size_t i = 0; i < given->inputs.count; i++) {
        const struct given_input *input = &given->inputs.items[i];
        const struct tensor *tensor = input->tensor;
        bool known = false;
        for (int side = 0; side < 2; side++) {
            const struct value *value = input_called(graphs[side], input->name);
            known = known || value;
            if (value && !fits(tensor, value))
                fail(arena->landing, ONNX_FUSE_ARGUMENT, "%s: '%s' is %s: the input of %s is %s", given->path,
                     input->name, text_of(arena, tensor->type, tensor->rank, tensor->dims), graphs[side]->model->path,
                     text_of(arena, value->type, value->rank, value->dims));
        }
        if (!known)
            fail(arena->landing, ONNX_FUSE_ARGUMENT,
                 "%s: '%s' is not an input of either model: expected arrays under the names of "
                 "inputs",
                 given->path, input->name);
    }
}
