/* run/interface.c: inputs and outputs as the caller wants them, before a plan is made. */
#include "run/interface.h"

#include <inttypes.h>

#include "infer/call.h"
#include "model/describe.h"
#include "model/edit.h"
#include "model/size.h"

bool interface_is_asked(const struct run *run)
{
    return run->options.freeze || run->options.outputs || run->options.input_shapes;
}

/* ---- names ---- */

struct names {
    const char **items;
    size_t count, room;
};

static noreturn void fail_name(struct run *run, const char *option, const char *name, const char *what,
                               const struct names *names)
{
    const char *nearest = text_nearest(name, names->items, names->count);
    fail(&run->landing, ONNX_FUSE_ARGUMENT, "%s: %s: there is no %s '%s'; %s%s%s", run->model.path, option, what,
         text_plain(&run->arena, name), nearest ? "the nearest is '" : "the model has none",
         nearest ? text_plain(&run->arena, nearest) : "", nearest ? "'" : "");
}

/* ---- freeze ---- */

static bool is_overridable(const struct value *value)
{
    return value->is_initializer && value->is_input && value->graph->model->ir_version >= 4;
}

static void freeze(struct run *run, struct value *value)
{
    edit_freeze(value);
    LIST_PUSH(&run->arena, &run->summary.interface.frozen, value->name);
}

static void freeze_all(struct run *run)
{
    struct graph *main = run->model.graphs.items[0];
    for (size_t i = 0; i < main->initializers.count; i++)
        if (is_overridable(main->initializers.items[i]))
            freeze(run, main->initializers.items[i]);
}

static void freeze_named(struct run *run, const char *name)
{
    struct graph *main = run->model.graphs.items[0];
    struct value *value = map_get(&main->values, name);
    struct names names = {NULL, 0, 0};
    if (value && is_overridable(value)) {
        freeze(run, value);
        return;
    }
    if (value && value->is_initializer) /* callers cannot override it */
        return;
    if (value && value->is_input)
        fail(&run->landing, ONNX_FUSE_ARGUMENT,
             "%s: freeze: input '%s' has no initializer, so it has no default value to keep", run->model.path,
             text_plain(&run->arena, name));
    for (size_t i = 0; i < main->initializers.count; i++)
        if (is_overridable(main->initializers.items[i]))
            LIST_PUSH(&run->arena, &names, main->initializers.items[i]->name);
    fail_name(run, "freeze", name, "overridable initializer", &names);
}

/* ---- outputs ---- */

static void keep_outputs(struct run *run)
{
    const struct graph *main = run->model.graphs.items[0];
    size_t count = main->proto->n_output;
    bool *kept = NEW_ARRAY(&run->arena, bool, count + 1);
    struct names names = {NULL, 0, 0};
    if (!run->options.outputs[0])
        fail(&run->landing, ONNX_FUSE_ARGUMENT, "%s: outputs: the list is empty, expected at least one output",
             run->model.path);
    for (size_t i = 0; i < count; i++)
        LIST_PUSH(&run->arena, &names, text_or_empty(main->proto->output[i]->name));
    for (const char *const *name = run->options.outputs; *name; name++) {
        bool any = false;
        for (size_t i = 0; i < count; i++)
            if (strcmp(names.items[i], *name) == 0)
                any = kept[i] = true;
        if (!any)
            fail_name(run, "outputs", *name, "output", &names);
    }
    for (size_t i = 0; i < count; i++)
        if (!kept[i])
            LIST_PUSH(&run->arena, &run->summary.interface.outputs, names.items[i]);
    if (run->summary.interface.outputs.count)
        run->summary.interface.ops = edit_keep_outputs(&run->model, kept);
}

/* ---- sizes ---- */

static noreturn void fail_shape(struct run *run, const char *text)
{
    fail(&run->landing, ONNX_FUSE_ARGUMENT,
         "%s: input_shapes: '%s' is not NAME:SIZE,SIZE,... with whole numbers above 0", run->model.path,
         text_plain(&run->arena, text));
}

/* Names may hold colons: the last one is meant. */
static struct sized_input parse_shape(struct run *run, const char *text)
{
    enum { AXES_MOST = 64 };
    const char *at = strrchr(text, ':');
    struct sized_input input = {.dims = NEW_ARRAY(&run->arena, int64_t, AXES_MOST)};
    if (!at)
        fail_shape(run, text);
    input.name = arena_format(&run->arena, "%.*s", (int)(at - text), text);
    while (*++at) {
        int64_t size = 0;
        for (; *at >= '0' && *at <= '9'; at++)
            if (size > (INT64_MAX - 9) / 10)
                fail_shape(run, text);
            else
                size = size * 10 + (*at - '0');
        if (size < 1 || input.rank == AXES_MOST || (*at && *at != ',') || (*at && !at[1]))
            fail_shape(run, text);
        input.dims[input.rank++] = size;
        if (!*at)
            break;
    }
    return input;
}

/* The description of the input; NULL: there is no such input. */
static const Onnx__ValueInfoProto *find_input(const struct graph *main, const char *name)
{
    for (size_t i = 0; i < main->proto->n_input; i++)
        if (strcmp(text_or_empty(main->proto->input[i]->name), name) == 0)
            return main->proto->input[i];
    return NULL;
}

static const char *shape_text(struct arena *arena, const struct sized_input *input)
{
    const char *text = "[";
    for (int i = 0; i < input->rank; i++)
        text = arena_format(arena, "%s%s%" PRId64, text, i ? ", " : "", input->dims[i]);
    return arena_format(arena, "%s]", text);
}

static void note_symbol(struct run *run, const struct sized_input *input, const char *symbol, int64_t size)
{
    struct interface *interface = &run->summary.interface;
    for (size_t i = 0; i < interface->symbols.count; i++) {
        const struct symbol_size *known = &interface->symbols.items[i];
        if (strcmp(known->name, symbol) != 0)
            continue;
        if (known->size != size)
            fail(&run->landing, ONNX_FUSE_ARGUMENT,
                 "%s: input_shapes: '%s' gives %" PRId64 " for the symbol '%s', which is %" PRId64
                 " elsewhere in these shapes",
                 run->model.path, text_plain(&run->arena, input->name), size, text_plain(&run->arena, symbol),
                 known->size);
        return;
    }
    struct symbol_size own = {symbol, size};
    LIST_PUSH(&run->arena, &interface->symbols, own);
}

static void check_shape(struct run *run, const struct sized_input *input, const Onnx__ValueInfoProto *info)
{
    const Onnx__TensorShapeProto *shape = size_shape(info);
    const Onnx__TypeProto *type = info->type;
    bool fits = !type || type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    fits = fits && (!shape || shape->n_dim == (size_t)input->rank);
    for (size_t i = 0; fits && shape && i < shape->n_dim; i++) {
        int64_t size = size_declared(shape->dim[i]);
        fits = size < 0 || size == input->dims[i];
    }
    if (!fits)
        fail(&run->landing, ONNX_FUSE_ARGUMENT, "%s: input_shapes: input '%s' is declared %s, and %s contradicts that",
             run->model.path, text_plain(&run->arena, input->name),
             text_plain(&run->arena, describe_type(&run->arena, type)), shape_text(&run->arena, input));
    for (size_t i = 0; shape && i < shape->n_dim; i++)
        if (shape->dim[i]->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM &&
            text_or_empty(shape->dim[i]->dim_param)[0])
            note_symbol(run, input, shape->dim[i]->dim_param, input->dims[i]);
}

static void size_input(struct run *run, const char *text)
{
    struct graph *main = run->model.graphs.items[0];
    struct sized_input input = parse_shape(run, text);
    const Onnx__ValueInfoProto *info = find_input(main, input.name);
    struct value *value = map_get(&main->values, input.name);
    struct names names = {NULL, 0, 0};
    for (size_t i = 0; i < main->proto->n_input; i++)
        LIST_PUSH(&run->arena, &names, text_or_empty(main->proto->input[i]->name));
    if (!info || !value)
        fail_name(run, "input_shapes", input.name, "input", &names);
    if (value->is_initializer)
        fail(&run->landing, ONNX_FUSE_ARGUMENT,
             "%s: input_shapes: input '%s' has an initializer, which fixes its sizes", run->model.path,
             text_plain(&run->arena, input.name));
    check_shape(run, &input, info);
    edit_size(value, input.rank, input.dims);
    LIST_PUSH(&run->arena, &run->summary.interface.inputs, input);
}

/* Saved shapes of computed values. */
struct known {
    struct value *value;
    int64_t *dims;
};

struct known_values {
    struct known *items;
    size_t count, room;
};

static bool is_computed(const struct value *value)
{
    return value && value->producer && !value->tensor && value->rank >= 0;
}

static struct known_values forget_computed(struct arena *arena, const struct graph *main)
{
    struct known_values all = {NULL, 0, 0};
    for (size_t i = 0; i < main->order.count; i++)
        for (size_t k = 0; k < main->order.items[i]->output_count; k++) {
            struct known one = {main->order.items[i]->outputs[k], NULL};
            if (!is_computed(one.value))
                continue;
            one.dims = one.value->dims;
            one.value->dims = NEW_ARRAY(arena, int64_t, one.value->rank + 1);
            for (int axis = 0; axis < one.value->rank; axis++)
                one.value->dims[axis] = -1;
            LIST_PUSH(arena, &all, one);
        }
    return all;
}

static void remember(const struct known_values *all)
{
    for (size_t i = 0; i < all->count; i++) {
        struct value *value = all->items[i].value;
        for (int axis = 0; axis < value->rank; axis++)
            if (value->dims[axis] < 0)
                value->dims[axis] = all->items[i].dims[axis];
    }
}

static void compare_sizes(struct run *run, const struct graph *main, const Onnx__ValueInfoProto *info)
{
    const Onnx__TensorShapeProto *shape = size_shape(info);
    const struct value *value = map_get(&main->values, text_or_empty(info->name));
    if (!shape || !is_computed(value) || value->disputed || value->rank != (int)shape->n_dim)
        return;
    for (int axis = 0; axis < value->rank; axis++) {
        int64_t declared = size_declared(shape->dim[axis]), size = value->dims[axis];
        if (declared >= 0 && size >= 0 && declared != size)
            fail(&run->landing, ONNX_FUSE_ARGUMENT,
                 "%s: input_shapes: '%s' is declared with size %" PRId64 " on axis %d, and %" PRId64
                 " follows from the sizes of the inputs",
                 run->model.path, text_plain(&run->arena, value->name), declared, axis, size);
    }
}

/* Shapes are inferred without what the file says of computed values, and compared with that: files keep the sizes of
 * the example they were traced with. */
static void check_computed(struct run *run)
{
    const struct graph *main = run->model.graphs.items[0];
    const struct known_values all = forget_computed(&run->arena, main);
    shape_infer(&run->model);
    for (size_t i = 0; i < main->proto->n_value_info; i++)
        compare_sizes(run, main, main->proto->value_info[i]);
    for (size_t i = 0; i < main->proto->n_output; i++)
        compare_sizes(run, main, main->proto->output[i]);
    remember(&all);
}

/* ---- all of it ---- */

void interface_apply(struct run *run)
{
    const char *const *names = run->options.freeze;
    run->summary.interface = (struct interface){.ops = 0};
    if (names && names[0] && !names[1] && strcmp(names[0], "all") == 0)
        freeze_all(run);
    else
        for (; names && *names; names++)
            freeze_named(run, *names);
    for (names = run->options.input_shapes; names && *names; names++)
        size_input(run, *names);
    if (run->summary.interface.inputs.count) {
        check_computed(run);
        edit_spread_sizes(&run->model);
    }
    if (run->options.outputs)
        keep_outputs(run);
    shape_infer(&run->model);
    /* Sizes of outputs follow only now. */
    if (run->summary.interface.inputs.count)
        edit_spread_sizes(&run->model);
}
