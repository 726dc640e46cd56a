/* test_infer.c: shapes, constants, and sizes of which some are known. */
#include "infer/constant.h"
#include "net.h"

static bool has_shape(const struct model *model, const char *name, int rank, const int64_t *dims)
{
    const struct value *value = net_find(model, name);
    bool same = value && value->rank == rank;
    for (int i = 0; same && i < rank; i++)
        same = dims[i] < 0 ? value->dims[i] < 0 : value->dims[i] == dims[i];
    return same;
}

static void shapes_follow_operators(struct unit *unit)
{
    struct net net;
    net_begin(&net, unit);
    net_input(&net, "x", NET_DIMS(-1, 3, 9, 7));
    net_weight(&net, "w", NET_DIMS(4, 3, 3, 2));
    net_integers(&net, "halves", 2, (const int64_t[]){1, 3});
    net_integers(&net, "rows", 2, (const int64_t[]){0, -1});
    Onnx__NodeProto *conv = net_node(&net, "Conv", "x w", "c");
    net_set_list(&net, conv, "strides", NET_DIMS(2, 1));
    net_set_list(&net, conv, "pads", NET_DIMS(1, 0, 1, 1));
    net_set(&net, net_node(&net, "Split", "c halves", "s t"), "axis", 1);
    net_set(&net, net_node(&net, "Concat", "t s t", "k"), "axis", 1);
    net_set_list(&net, net_node(&net, "Transpose", "k", "p"), "perm", NET_DIMS(0, 2, 3, 1));
    net_node(&net, "Flatten", "k", "f");
    net_node(&net, "Reshape", "p rows", "r");
    net_node(&net, "GlobalAveragePool", "k", "g");
    net_output(&net, "f");
    net_output(&net, "r");
    net_output(&net, "g");
    struct model *model = net_load(&net, "shapes");
    expect(has_shape(model, "c", NET_DIMS(-1, 4, 5, 7)), "Conv with strides and pads");
    expect(has_shape(model, "s", NET_DIMS(-1, 1, 5, 7)), "the first part of a Split");
    expect(has_shape(model, "t", NET_DIMS(-1, 3, 5, 7)), "the second part of a Split");
    expect(has_shape(model, "k", NET_DIMS(-1, 7, 5, 7)), "Concat adds sizes up");
    expect(has_shape(model, "p", NET_DIMS(-1, 5, 7, 7)), "Transpose");
    expect(has_shape(model, "f", NET_DIMS(-1, 245)), "Flatten multiplies sizes");
    expect(has_shape(model, "r", NET_DIMS(-1, 245)), "Reshape to 0 and -1");
    expect(has_shape(model, "g", NET_DIMS(-1, 7, 1, 1)), "GlobalAveragePool");
    const struct value *x = net_find(model, "x"), *c = net_find(model, "c");
    expect(c->dims[0] == x->dims[0], "an open size keeps its name through a Conv");
    net_close(model);
}

static void constants_are_computed(struct unit *unit)
{
    struct net net;
    net_begin(&net, unit);
    net_input(&net, "x", NET_DIMS(2, 3));
    const float *a = net_weight(&net, "a", NET_DIMS(2, 3));
    const float *b = net_weight(&net, "b", NET_DIMS(3));
    net_node(&net, "Mul", "a b", "m");
    net_node(&net, "Neg", "m", "n");
    net_node(&net, "Add", "x n", "y");
    net_output(&net, "y");
    struct model *model = net_load(&net, "constants");
    const struct tensor *tensor = NULL;
    struct value *n = net_find(model, "n");
    const char *reason = constant_of(n, &tensor);
    const double *numbers = reason ? NULL : constant_numbers(n, tensor);
    bool same = numbers && tensor->count == 6;
    for (int i = 0; same && i < 6; i++)
        same = numbers[i] == -(double)(float)((double)a[i] * (double)b[i % 3]);
    expect(same, "Neg of Mul of constants, rounded to float after each op");
    reason = constant_of(net_find(model, "y"), &tensor);
    expect(reason && strstr(reason, "x"), "what depends on an input is none: %s", reason);
    net_close(model);
}

static void sizes_are_reckoned_with(struct unit *unit)
{
    struct net net;
    net_begin(&net, unit);
    net_input(&net, "x", NET_DIMS(-1, 3, 4));
    net_integers(&net, "one", 1, (const int64_t[]){1});
    net_integers(&net, "zero", 1, (const int64_t[]){0});
    net_integers(&net, "four", 1, (const int64_t[]){4});
    net_node(&net, "Shape", "x", "s");
    net_node(&net, "Gather", "s zero", "n");
    net_node(&net, "Gather", "s one", "c");
    net_node(&net, "Mul", "c four", "m");
    net_set(&net, net_node(&net, "Concat", "n m", "t"), "axis", 0);
    net_node(&net, "Reshape", "x t", "y");
    net_output(&net, "y");
    struct model *model = net_load(&net, "sizes");
    const struct elements *elements = constant_elements(net_find(model, "t"));
    expect(elements && elements->count == 2 && elements->items[0].kind == ELEMENT_SYMBOL &&
               elements->items[1].kind == ELEMENT_NUMBER && elements->items[1].number == 12,
           "a target of an open size and 3 * 4");
    expect(elements && element_dim(elements->items[0]) == net_find(model, "x")->dims[0],
           "the open size is the input's");
    expect(has_shape(model, "y", NET_DIMS(-1, 12)), "the Reshape gives what the target asks for");
    net_close(model);
}

static void multiples_of_a_size_are_sizes(struct unit *unit)
{
    struct net net;
    net_begin(&net, unit);
    net_input(&net, "x", NET_DIMS(-1, 6, 4));
    net_integers(&net, "places", 2, (const int64_t[]){0, 1});
    net_integers(&net, "zero", 1, (const int64_t[]){0});
    net_integers(&net, "two", 1, (const int64_t[]){2});
    net_integers(&net, "three", 1, (const int64_t[]){3});
    net_integers(&net, "four", 1, (const int64_t[]){4});
    net_integers(&net, "left", 1, (const int64_t[]){-1});
    net_node(&net, "Shape", "x", "s");
    net_node(&net, "Gather", "s zero", "n");
    net_node(&net, "Gather", "s places", "both");
    net_node(&net, "ReduceProd", "both", "six");
    net_node(&net, "Mul", "n two", "twice");
    net_node(&net, "Mul", "three twice", "again");
    net_node(&net, "Div", "again two", "thrice");
    net_node(&net, "Div", "again four", "broken");
    net_node(&net, "Max", "again six", "most");
    net_set(&net, net_node(&net, "Concat", "twice left four", "t"), "axis", 0);
    net_node(&net, "Reshape", "x t", "y");
    net_output(&net, "y");
    struct model *model = net_load(&net, "multiples");
    const char *const names[] = {"six", "again", "most", "thrice", "twice", "broken"};
    int64_t dims[COUNT_OF(names)];
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const struct elements *elements = constant_elements(net_find(model, names[i]));
        dims[i] = elements && elements->count == 1 ? element_dim(elements->items[0]) : 0;
    }
    expect(dims[0] < -1 && dims[0] == dims[1] && dims[1] == dims[2], "6 N is one size however it is reckoned");
    expect(dims[3] < -1 && dims[4] < -1 && dims[3] != dims[4] && dims[3] != dims[0], "3 N, 2 N and 6 N are three");
    expect(dims[5] == -1, "6 N / 4 is not known");
    const struct value *y = net_find(model, "y");
    expect(y->rank == 3 && y->dims[0] == dims[4] && y->dims[1] == 3 && y->dims[2] == 4,
           "of [N, 6, 4] as [2 N, -1, 4] three are left");
    net_close(model);
}

int main(void)
{
    unit_run("shapes follow operators", shapes_follow_operators);
    unit_run("constants are computed", constants_are_computed);
    unit_run("sizes are reckoned with", sizes_are_reckoned_with);
    unit_run("multiples of a size are sizes", multiples_of_a_size_are_sizes);
    return unit_finish();
}
