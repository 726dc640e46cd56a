/* eval_model.c: evaluates a model without inputs by the reference evaluator.
 *
 *     eval_model MODEL.onnx OUT.onnx
 *
 * OUT is a model whose initializers are the outputs, as raw data: NAME, or for the elements of a
 * sequence or optional NAME/0, NAME/1 ... after one int64, NAME, that says how many. Exit status 1
 * and a line on standard error: it cannot be evaluated. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval/eval.h"
#include "eval/graph.h"
#include "model/load.h"

struct program {
    struct landing landing;
    struct arena arena;
    struct model model;
    LIST(Onnx__TensorProto *) results;
};

/* Elements side by side, those of less than a byte too, the first in the lowest bits. */
static void pack(struct program *program, const struct array *array, Onnx__TensorProto *tensor)
{
    int bits = type_bits(array->type);
    size_t size = ((size_t)array->count * (size_t)bits + 7) / 8;
    uint8_t *bytes = NEW_ARRAY(&program->arena, uint8_t, size + 1);
    for (int64_t i = 0; i < array->count; i++) {
        uint64_t element = eval_bits(array->type, array->cells + i * EVAL_CELL);
        for (int k = 0; k < bits; k++) {
            size_t bit = (size_t)i * (size_t)bits + (size_t)k;
            bytes[bit / 8] |= (uint8_t)((element >> k & 1) << bit % 8);
        }
    }
    tensor->has_raw_data = 1;
    tensor->raw_data = (ProtobufCBinaryData){size, bytes};
}

static void add(struct program *program, const char *name, const struct array *array)
{
    struct arena *arena = &program->arena;
    Onnx__TensorProto *tensor = NEW(arena, Onnx__TensorProto);
    onnx__tensor_proto__init(tensor);
    tensor->name = arena_format(arena, "%s", name);
    tensor->has_data_type = 1;
    tensor->data_type = array->type;
    LIST_PUSH(arena, &program->results, tensor);
    if (array->type < 0) {
        int64_t *count = NEW(arena, int64_t);
        *count = array->count;
        tensor->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
        tensor->has_raw_data = 1;
        tensor->raw_data = (ProtobufCBinaryData){sizeof(*count), (uint8_t *)count};
        for (int64_t i = 0; i < array->count; i++)
            add(program, arena_format(arena, "%s/%lld", name, (long long)i), array->items[i]);
        return;
    }
    tensor->n_dims = (size_t)array->rank;
    tensor->dims = NEW_ARRAY(arena, int64_t, array->rank + 1);
    memcpy(tensor->dims, array->dims, (size_t)array->rank * sizeof(*tensor->dims));
    if (array->type != ONNX__TENSOR_PROTO__DATA_TYPE__STRING) {
        pack(program, array, tensor);
        return;
    }
    tensor->n_string_data = (size_t)array->count;
    tensor->string_data = NEW_ARRAY(arena, ProtobufCBinaryData, array->count + 1);
    for (int64_t i = 0; i < array->count; i++)
        if (array->texts[i])
            tensor->string_data[i] = *array->texts[i];
}

static const char *evaluate(struct program *program)
{
    struct arena *arena = &program->arena;
    struct graph *graph = program->model.graphs.items[0];
    struct effort effort = effort_for((size_t)1 << 20);
    struct pool pool = {.arena = arena, .effort = &effort};
    struct evaluation e = {
        .arena = arena, .pool = &pool, .limit = 1 << 26, .is_constant = true, .evaluate = eval_arrays};
    struct scope scope;
    struct array **outputs = NEW_ARRAY(arena, struct array *, eval_output_count(graph) + 1);
    const char *reason = scope_begin(&e, &scope, graph);
    if (!reason)
        reason = scope_run(&e, &scope, NULL, 0, outputs);
    for (size_t i = 0; !reason && i < eval_output_count(graph); i++)
        add(program, eval_output(graph, i)->name, outputs[i]);
    return reason;
}

static int write_results(struct program *program, const char *path)
{
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
    model.graph = &graph;
    graph.n_initializer = program->results.count;
    graph.initializer = program->results.items;
    size_t size = onnx__model_proto__get_packed_size(&model);
    uint8_t *bytes = NEW_ARRAY(&program->arena, uint8_t, size + 1);
    onnx__model_proto__pack(&model, bytes);
    FILE *file = fopen(path, "wb");
    bool good = file && fwrite(bytes, 1, size, file) == size;
    if (file && fclose(file) != 0)
        good = false;
    if (!good)
        fprintf(stderr, "%s: cannot be written\n", path);
    return good ? 0 : 2;
}

int main(int count, char **arguments)
{
    static struct program program; /* not a local: it outlives the jump unclobbered */
    if (count != 3) {
        fputs("eval_model MODEL.onnx OUT.onnx\n", stderr);
        return 2;
    }
    arena_init(&program.arena, &program.landing);
    jmp_buf jump;
    program.landing.jump = &jump;
    if (setjmp(jump) != 0) {
        fprintf(stderr, "%s\n", program.landing.message);
        return 2;
    }
    program.model.arena = &program.arena;
    program.model.path = arguments[1];
    mapping_open(&program.landing, arguments[1], false, &program.model.bytes);
    model_load(&program.model);
    const char *reason = evaluate(&program);
    if (reason)
        fprintf(stderr, "%s\n", reason);
    int status = reason ? 1 : write_results(&program, arguments[2]);
    mapping_close(&program.model.bytes);
    free(program.model.skeleton.bytes);
    arena_free(&program.arena);
    return status;
}
