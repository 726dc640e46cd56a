/* test_fuse.c: ops as forms, why others are none, and lanes through moves. */
#include <math.h>

#include "affine/rows.h"
#include "base/text.h"
#include "fuse/lane.h"
#include "fuse/lift.h"
#include "net.h"

static struct node *maker(const struct model *model, const char *name)
{
    return net_find(model, name)->producer;
}

static void a_conv_is_its_weight(struct unit *unit)
{
    struct net net;
    double rows[4 * 2 * 3];
    net_begin(&net, unit);
    net_input(&net, "x", NET_DIMS(1, 2, 9));
    const float *w = net_weight(&net, "w", NET_DIMS(4, 2, 3)), *b = net_weight(&net, "b", NET_DIMS(4));
    Onnx__NodeProto *conv = net_node(&net, "Conv", "x w b", "y");
    net_set_list(&net, conv, "strides", NET_DIMS(2));
    net_set_list(&net, conv, "pads", NET_DIMS(1, 0));
    net_output(&net, "y");
    struct model *model = net_load(&net, "conv");
    const struct step *step = lift_node(maker(model, "y"), LAYOUT_CONV);
    expect(!step->reason && step->input == net_find(model, "x"), "a Conv has one source");
    struct affine_axis axis = affine_axis_of(step->form, 0);
    expect(axis.stride == 2 && axis.low == -1 && axis.taps == 3, "its window");
    bool same = affine_row_length(step->form) == 6 && affine_rows(step->form, NULL, 4, 0, 4, rows);
    for (int i = 0; same && i < 24; i++)
        same = rows[i] == (double)w[i];
    expect(same, "its rows are its weight");
    const double *bias = affine_bias(&unit->arena, step->form, 4);
    for (int o = 0; same && o < 4; o++)
        same = bias && bias[o] == (double)b[o];
    expect(same, "and so is its bias");
    step = lift_node(maker(model, "y"), LAYOUT_MATRIX);
    expect(step->reason != NULL, "it is no matrix product: %s", step->reason);
    net_close(model);
}

static void sums_and_what_is_none(struct unit *unit)
{
    struct net net;
    net_begin(&net, unit);
    net_input(&net, "x", NET_DIMS(1, 2, 9));
    net_input(&net, "u", NET_DIMS(1, 2, 9));
    net_weight(&net, "s", NET_DIMS(2, 1));
    net_node(&net, "Sub", "x u", "d");
    net_node(&net, "Mul", "d s", "m");
    net_node(&net, "Relu", "m", "r");
    net_node(&net, "Mul", "r x", "p");
    net_output(&net, "p");
    struct model *model = net_load(&net, "sums");
    const struct step *step = lift_node(maker(model, "d"), LAYOUT_CONV);
    expect(!step->reason && step->term_count == 2 && step->terms[0].factor == 1 && step->terms[1].factor == -1,
           "a Sub adds two values, the second times -1");
    step = lift_node(maker(model, "m"), LAYOUT_CONV);
    expect(!step->reason && step->form->kind == AFFINE_DIAGONAL && step->form->inputs == 2,
           "a factor for each channel is a diagonal");
    expect(lift_node(maker(model, "m"), LAYOUT_CONV) == step, "a step is made once");
    step = lift_node(maker(model, "r"), LAYOUT_CONV);
    expect(step->reason && strstr(step->reason, "Relu"), "Relu is none: %s", step->reason);
    step = lift_node(maker(model, "p"), LAYOUT_CONV);
    expect(step->reason != NULL, "a product of two values is none: %s", step->reason);
    net_close(model);
}

static void lanes_go_through_moves(struct unit *unit)
{
    struct net net;
    struct lane lane, next, back;
    net_begin(&net, unit);
    net_input(&net, "x", NET_DIMS(1, 3, 4, 5));
    const float *s = net_weight(&net, "s", NET_DIMS(3, 1, 1));
    net_integers(&net, "flat", 2, (const int64_t[]){1, 60});
    net_node(&net, "Mul", "x s", "m");
    net_set_list(&net, net_node(&net, "Transpose", "m", "t"), "perm", NET_DIMS(0, 2, 3, 1));
    net_node(&net, "Reshape", "m flat", "f");
    net_node(&net, "Softmax", "t", "o");
    net_output(&net, "o");
    net_output(&net, "f");
    struct model *model = net_load(&net, "lanes");
    const char *reason = lane_of(maker(model, "m"), &lane);
    expect(!reason && lane.axis == 1 && lane.width == 3 && lane.scale[2] == (double)s[2] && !lane_shifts(&lane),
           "a Mul is a lane along the channels");
    reason = lane_forward(maker(model, "t"), 0, &lane, &next);
    expect(!reason && next.axis == 3 && next.width == 3, "behind the Transpose it is the last axis");
    reason = lane_backward(maker(model, "t"), 0, 0, &next, &back);
    expect(!reason && back.axis == 1 && back.scale[1] == lane.scale[1], "and back it is axis 1");
    reason = lane_forward(maker(model, "f"), 0, &lane, &next);
    expect(!reason && next.axis == 1 && next.width == 60 && next.scale[19] == lane.scale[0] &&
               next.scale[20] == lane.scale[1],
           "a Reshape repeats each number for the positions of its channel");
    reason = lane_forward(maker(model, "o"), 0, &lane, &next);
    expect(reason != NULL, "Softmax lets none through: %s", reason);
    net_close(model);
}

static void a_form_is_told_in_a_line(struct unit *unit)
{
    struct net net;
    struct text text = {.arena = &unit->arena}, plain = {.arena = &unit->arena};
    net_begin(&net, unit);
    net_input(&net, "x", NET_DIMS(1, 4, 9, 9));
    net_weight(&net, "w", NET_DIMS(6, 2, 3, 1));
    Onnx__NodeProto *conv = net_node(&net, "Conv", "x w", "c");
    net_set(&net, conv, "group", 2);
    net_set_list(&net, conv, "pads", NET_DIMS(1, 0, 1, 0));
    net_node(&net, "Neg", "c", "y");
    net_output(&net, "y");
    struct model *model = net_load(&net, "line");
    step_print_form(&text, lift_node(maker(model, "c"), LAYOUT_CONV)->form);
    expect(strcmp(text.bytes, "kernel 6 from 4, groups 2, taps 3 from -1 by 1, stride 1; taps 1 "
                              "from 0 by 1, stride 1") == 0,
           "a Conv of two groups: %s", text.bytes);
    step_print_form(&plain, lift_node(maker(model, "y"), LAYOUT_CONV)->form);
    expect(strcmp(plain.bytes, "diagonal") == 0, "what is of any width: %s", plain.bytes);
    net_close(model);
}

static void set_number(struct net *net, const char *name, float number)
{
    Onnx__TensorProto *tensor = net_tensor(net, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, NET_DIMS(1));
    tensor->n_float_data = 1;
    tensor->float_data = NEW(&net->unit->arena, float);
    tensor->float_data[0] = number;
}

/* Mul(x, Add(curve(x), one)) * half */
static bool folds_last(struct unit *unit, const char *curve, const char *sum, float one, float half)
{
    struct net net;
    net_begin(&net, unit);
    net_input(&net, "x", NET_DIMS(1, 4, 9));
    set_number(&net, "one", one);
    set_number(&net, "half", half);
    net_node(&net, curve, "x", "e");
    net_node(&net, sum, "one e", "s");
    net_node(&net, "Mul", "s x", "p");
    net_node(&net, "Mul", "half p", "y");
    net_output(&net, "y");
    struct model *model = net_load(&net, "gelu");
    bool folds = !lift_node(maker(model, "y"), LAYOUT_CONV)->reason;
    net_close(model);
    return folds;
}

static void the_last_factor_of_a_gelu(struct unit *unit)
{
    expect(!folds_last(unit, "Erf", "Add", 1, 0.5f), "GELU by erf keeps it");
    expect(!folds_last(unit, "Tanh", "Add", 1, 0.5f), "and GELU by tanh");
    expect(folds_last(unit, "Sigmoid", "Add", 1, 0.5f), "another curve is none");
    expect(folds_last(unit, "Erf", "Sub", 1, 0.5f), "nor is a difference");
    expect(folds_last(unit, "Erf", "Add", 2, 0.5f), "nor another number added");
    expect(folds_last(unit, "Erf", "Add", 1, 0.25f), "nor another factor");
}

int main(void)
{
    unit_run("a Conv is its weight", a_conv_is_its_weight);
    unit_run("sums, and what is none", sums_and_what_is_none);
    unit_run("lanes go through moves", lanes_go_through_moves);
    unit_run("a form is told in a line", a_form_is_told_in_a_line);
    unit_run("the last factor of a GELU", the_last_factor_of_a_gelu);
    return unit_finish();
}
