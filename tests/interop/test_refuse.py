"""Every structure that must be left as it is: the same bytes come out, and the report says why.

Where a case expects counts, something else in the model folds and the refused part stays."""
import re

import numpy as np
import pytest

from tests.support.cases import Table
from tests.support.net import FLOAT, Net, newest_opset, tensor_type
from tests.support.tool import assert_equal_under_ort, check_tidy, check_valid, count_ops, fuse, same_interface

X = (2, 6, 11, 14)
NEWEST = newest_opset()

SOURCE = r"source|different|the same value"
READERS = r"read|used|reader|consumer"
BORDER = r"border|pad|outside"
BROADCAST = r"broadcast|extent|shape|size|spatial|channel"
CONSTANT = r"constant|input|overrid|known"
OP = r"linear|affine|not lift|no .*form|unsupported|source|constant"
COST = r"cost|multiply|parameters|grow|more"

table = Table()
refused = table.case


# Sources and readers


@refused(reason=SOURCE)
def different_sources(n):
    x, z = n.input("x", X), n.input("z", X)
    n.output(n.add(n.conv(x, 6, 3), n.conv(z, 6, 1)))


@refused(reason=SOURCE)
def source_before_and_after_an_activation(n):
    x = n.input("x", X)
    n.output(n.add(n.conv(x, 6, 3), n.conv(n.relu(x), 6, 1)))


@refused({"Conv": 2, "Add": 1, "Relu": 1}, reason=READERS)
def branch_that_others_read(n):
    """The branch stays for its other reader; the rest of the tree still joins."""
    x = n.input("x", X)
    a = n.convbn(x, 6, 3)
    n.output(n.add(a, n.convbn(x, 6, 1), n.bn(x)), n.relu(a))


@refused({"Conv": 2, "Add": 1}, reason=READERS + "|output")
def branch_that_is_a_graph_output(n):
    x = n.input("x", X)
    a = n.convbn(x, 6, 3)
    n.output(n.add(a, n.convbn(x, 6, 1), n.bn(x)), a)


@refused(reason=READERS + "|output|" + COST)
def only_branch_is_a_graph_output(n):
    x = n.input("x", X)
    a = n.conv(x, 6, 3)
    n.output(n.add(a, x), a)


@refused({"If": 1, "Conv": 2, "Add": 1, "Relu": 1, "Abs": 1}, reason=READERS + "|captured|subgraph")
def branch_that_a_subgraph_reads(n):
    x, flag = n.input("x", X), n.input("flag", (), dtype=bool)
    a = n.convbn(x, 6, 3)
    graphs = []
    for op in ("Relu", "Abs"):
        s = n.sub()
        s.output(s.node(op, [a]))
        graphs.append(s.graph(op))
    n.output(n.add(a, n.convbn(x, 6, 1), n.bn(x)))
    n.output(n.node("If", [flag], then_branch=graphs[0], else_branch=graphs[1], types=[tensor_type(FLOAT, X)]))


# Strides and extents


@refused(reason=r"stride")
def stride_mismatch(n):
    x = n.input("x", (2, 5, 11, 13))
    n.output(n.add(n.conv(x, 7, 3, stride=2), n.conv(x, 7, (6, 7), pads=0)))


@refused(reason=r"extent|size|shape|slack", norun=True)
def extents_that_differ(n):
    x = n.input("x", ("N", 5, "H", "W"))
    n.output(n.add(n.conv(x, 7, 3), n.conv(x, 7, 3, pads=[1, 1, 1, 0])))


@refused(reason=BROADCAST + "|slack")
def extents_that_broadcast(n):
    x = n.input("x", (2, 5, 3, 3))
    n.output(n.add(n.conv(x, 7, 3), n.conv(x, 7, 3, pads=0)))


@refused(reason=r"auto_pad|SAME|size|extent|known", auto=["SAME_UPPER", "SAME_LOWER"])
def same_padding_of_unknown_size_strided(n, auto):
    x = n.input("x", ("N", 5, "H", "W"))
    n.output(n.add(n.conv(x, 7, 3, stride=2, auto_pad=auto), n.conv(x, 7, 1, stride=2, auto_pad=auto)))


@refused(reason=r"auto_pad|SAME|size|extent|known", versions=[(10, 5), (13, 7), (19, 9)])
def same_padding_after_a_disputed_size(n):
    """ceil_mode before opset 22: onnx infers a size that ONNX Runtime does not compute."""
    x = n.avgpool(n.input("x", (2, 5, 9, 10)), 1, 2, 0, ceil_mode=1)
    n.output(n.bn(n.conv(x, 7, 2, stride=2, auto_pad="SAME_LOWER")))


# BatchNormalization that is not a constant scale and shift


@refused(reason=r"training", versions=[(14, 7), (15, 8), (NEWEST, 13)], norun=True)
def bn_in_training(n):
    n.output(*n.bn(n.conv(n.input("x", X), 6, 3), n_out=3, training_mode=1))


@refused(reason=r"training", norun=True)
def bn_in_training_in_a_branch(n):
    x = n.input("x", X)
    y, mean, var = n.bn(n.conv(x, 6, 3), n_out=3, training_mode=1)
    n.output(n.add(y, x), mean, var)


@refused(reason=r"output|training", opset=9, ir=4, norun=True)
def bn_with_more_outputs(n):
    """Before opset 14, more than one output means training."""
    y = n.conv(n.input("x", X), 6, 3)
    stats = n.bn(y, n_out=5)
    for s in stats[1:]:
        n.types[s] = tensor_type(FLOAT, (6,))
    n.output(*stats)


@refused(reason=CONSTANT, which=[0, 1, 2, 3])
def bn_statistic_is_an_input(n, which):
    x = n.input("x", X)
    stats = [n.const(v) for v in (n.away(6), n.shifts(6), n.shifts(6), n.rng.uniform(0.3, 2.5, 6))]
    stats[which] = n.input("stat", (6,))
    y = n.bn(n.conv(x, 6, 3), stats=stats)
    n.output(y)


@refused(reason=CONSTANT)
def weight_is_an_input(n):
    x, w = n.input("x", X), n.input("w", (6, 6, 3, 3))
    n.output(n.bn(n.conv(x, 6, 3, weight=w)))


@refused(reason=CONSTANT)
def bias_is_an_input(n):
    x, b = n.input("x", X), n.input("b", (6,))
    n.output(n.bn(n.conv(x, 6, 3, bias=b)))


@refused(reason=CONSTANT, what=["weight", "mean"], versions=[(13, 4), (17, 8), (NEWEST, 13)])
def overridable_initializer(n, what):
    """From IR 4 on, an initializer that is a graph input too is only a default."""
    x = n.input("x", X)
    w = n.const(n.kernel(6, 6, (3, 3)), overridable=what == "weight")
    stats = [n.const(n.away(6)), n.const(n.shifts(6)), n.const(n.shifts(6), overridable=what == "mean"), n.const(np.full(6, 1.7))]
    n.output(n.bn(n.conv(x, 6, 3, weight=w), stats=stats))


@refused(reason=CONSTANT)
def weight_is_computed_from_an_input(n):
    x, s = n.input("x", X), n.input("s", (6, 1, 1, 1))
    w = n.binary("Mul", n.const(n.kernel(6, 6, (3, 3))), s)
    n.output(n.bn(n.conv(x, 6, 3, weight=w)))


@refused(reason=r"var|eps|positive|finite|negative", var=[-1.5, 0.0], eps=[0.0, 1e-3])
def bn_variance_not_positive(n, var, eps):
    x = n.input("x", X)
    values = np.full(6, 1.5)
    values[4] = var if eps == 0.0 or var < 0 else -eps
    stats = [n.const(n.away(6)), n.const(n.shifts(6)), n.const(n.shifts(6)), n.const(values)]
    n.output(n.bn(n.conv(x, 6, 3), stats=stats, eps=eps))


@refused(reason=r"finite|nan|inf", bad=[float("nan"), float("inf")], where=["weight", "gamma", "mean"])
def numbers_not_finite(n, bad, where):
    x = n.input("x", X)
    w, gamma, mean = n.kernel(6, 6, (3, 3)), n.away(6), n.shifts(6)
    {"weight": w[1, 2, 0], "gamma": gamma, "mean": mean}[where][1] = bad
    stats = [n.const(gamma), n.const(n.shifts(6)), n.const(mean), n.const(np.full(6, 1.7))]
    n.output(n.bn(n.conv(x, 6, 3, weight=n.const(w)), stats=stats))


@refused(reason=r"finite|overflow|range|inf")
def fold_overflows_float32(n):
    x = n.input("x", X)
    stats = [n.const(np.full(6, 1e30)), n.const(n.shifts(6)), n.const(n.shifts(6)), n.const(np.full(6, 1e-20))]
    n.output(n.bn(n.conv(x, 6, 3), stats=stats, eps=0.0))


# Ops that are not linear


@refused(reason=OP + "|Relu|Sigmoid|Tanh|Elu|Clip|Softmax|HardSwish|Abs|Exp|activation",
         op=["Relu", "Sigmoid", "Tanh", "Elu", "LeakyRelu", "Softmax", "HardSwish", "Abs", "Exp"])
def activation_in_a_branch(n, op):
    x = n.input("x", X)
    n.output(n.add(n.conv(x, 6, 3), n.node(op, [n.conv(x, 6, 1), *([n.const(-0.5)] if op == "Clip" else [])])))


@refused(reason=OP + "|Mul|gate")
def gate_in_a_branch(n):
    x = n.input("x", X)
    gate = n.node("Sigmoid", [n.conv(x, 6, 1)])
    n.output(n.add(n.binary("Mul", n.conv(x, 6, 3), gate), x))


@refused(reason=OP + "|Mul|product")
def product_of_branches(n):
    x = n.input("x", X)
    n.output(n.add(n.binary("Mul", n.conv(x, 6, 1), n.conv(x, 6, 3)), x))


@refused(reason=OP + "|Mul|Div|product|square", op=["Mul", "Div"])
def x_times_x(n, op):
    x = n.input("x", X)
    n.output(n.add(n.binary(op, x, x), n.conv(x, 6, 3)))


@refused(reason=OP + "|Div|divis")
def constant_divided_by_a_branch(n):
    x = n.input("x", X)
    y = n.conv(x, 6, 3)
    n.output(n.add(n.binary("Div", n.per_channel(y), y), n.conv(x, 6, 1)))


@refused(reason=OP + "|Random", norun=True, op=["RandomNormalLike", "RandomUniformLike", "Bernoulli"])
def random_op_in_a_branch(n, op):
    x = n.input("x", X)
    y = n.conv(x, 6, 1)
    n.output(n.add(n.node(op, [n.node("Sigmoid", [y]) if op == "Bernoulli" else y]), n.conv(x, 6, 3)))


@refused(reason=OP + "|Dropout|training", norun=True, versions=[(12, 7), (13, 7), (22, 10), (NEWEST, 13)])
def live_dropout(n):
    x = n.input("x", X)
    half, on = n.const(np.array(0.5, np.float32), dtype=np.float32), n.const(np.array(True))
    n.output(n.add(n.node("Dropout", [n.conv(x, 6, 1), half, on]), n.conv(x, 6, 3)))


@refused(reason=OP + "|Dropout|training", norun=True)
def dropout_switched_by_an_input(n):
    x, on = n.input("x", X), n.input("on", (), dtype=bool)
    half = n.const(np.array(0.5, np.float32), dtype=np.float32)
    n.output(n.add(n.node("Dropout", [n.conv(x, 6, 1), half, on]), n.conv(x, 6, 3)))


@refused(reason=OP + "|MaxPool")
def maxpool_in_a_branch(n):
    x = n.input("x", X)
    n.output(n.add(n.node("MaxPool", [x], kernel_shape=[3, 3], pads=[1, 1, 1, 1]), n.conv(x, 6, 3)))


@refused(reason=OP + "|Norm", kind=["InstanceNormalization", "LayerNormalization", "LRN"])
def normalisation_in_a_branch(n, kind):
    x = n.input("x", X)
    y = n.conv(x, 6, 1)
    if kind == "InstanceNormalization":
        y = n.node(kind, [y, n.const(n.away(6)), n.const(n.shifts(6))])
    elif kind == "LayerNormalization":
        y = n.node(kind, [y, n.const(n.away(14)), n.const(n.shifts(14))])
    else:
        y = n.node(kind, [y], size=3)
    n.output(n.add(y, n.conv(x, 6, 3)))


@refused(reason=OP + "|Norm", opset=21, ir=10)
def group_normalisation_in_a_branch(n):
    x = n.input("x", X)
    y = n.node("GroupNormalization", [n.conv(x, 6, 1), n.const(n.away(6)), n.const(n.shifts(6))], num_groups=2,
               types=[tensor_type(FLOAT, X)])
    n.output(n.add(y, n.conv(x, 6, 3)))


@refused(reason=OP + "|Quantize")
def quantised_branch(n):
    x = n.input("x", X)
    scale, zero = n.const(np.array(0.05)), n.const(np.array(3, np.uint8))
    q = n.node("QuantizeLinear", [n.conv(x, 6, 1), scale, zero])
    n.output(n.add(n.node("DequantizeLinear", [q, scale, zero]), n.conv(x, 6, 3)))


@refused(reason=CONSTANT + "|Quantize")
def quantised_weight(n):
    x = n.input("x", X)
    q = n.const(n.rng.integers(-90, 90, (6, 6, 15, 15)).astype(np.int8))
    w = n.node("DequantizeLinear", [q, n.const(np.array(0.01)), n.const(np.array(0, np.int8))])
    n.output(n.bn(n.conv(x, 6, 15, weight=w)))


@refused(reason=OP + "|Reshape|Transpose|shuffle")
def channel_shuffle_between(n):
    x = n.input("x", X)
    y = n.conv(x, 6, 1, group=2)
    y = n.node("Reshape", [y, n.ints(2, 2, 3, 11, 14)])
    y = n.node("Reshape", [n.node("Transpose", [y], perm=[0, 2, 1, 3, 4]), n.ints(2, 6, 11, 14)])
    n.output(n.add(n.conv(y, 6, 3, group=2), x))


@refused(reason=OP + "|Cast|type", norun=True)
def cast_to_another_type(n):
    x = n.input("x", X)
    y = n.cast(n.cast(n.conv(x, 6, 1), np.float16), np.float32)
    n.output(n.add(y, n.conv(x, 6, 3)))


# Broadcasts


@refused(reason=BROADCAST)
def averaged_branch_broadcasts(n):
    """An affine branch of one pixel, spread over the image: not a convolution."""
    x = n.input("x", X)
    n.output(n.add(n.conv(x, 6, 3), n.conv(n.avgpool(x, (11, 14)), 6, 1)))


@refused(reason=BROADCAST + "|" + OP + "|GlobalAveragePool")
def global_pool_branch_broadcasts(n):
    x = n.input("x", X)
    n.output(n.add(n.conv(x, 6, 3), n.conv(n.node("GlobalAveragePool", [x]), 6, 1)))


@refused(reason=BROADCAST)
def identity_of_other_channels_broadcasts(n):
    x = n.input("x", (2, 1, 11, 14))
    n.output(n.add(n.conv(x, 7, 3), x))


@refused(reason=BROADCAST + "|constant", op=["Mul", "Add", "Sub", "Div"], dims=[(1, 1, 11, 14), (14,), (11, 1), (1, 6, 11, 14), (2, 1, 1, 1)])
def spatial_constant(n, op, dims):
    y = n.conv(n.input("x", X), 6, 3)
    n.output(n.binary(op, y, n.const(n.away(dims))))


@refused(reason=BROADCAST + "|axis|axes|constant|last", op=["Mul", "Add", "Sub", "Div"], dims=[(7,), (1, 7), (7, 1), (1, 7, 1)])
def constant_that_looks_per_channel(n, op, dims):
    """Shaped [C] it broadcasts along W, though W is C; [C,1] along H, though H is C."""
    y = n.conv(n.input("x", (2, 5, 7, 7)), 7, 3)
    n.output(n.binary(op, y, n.const(n.away(dims))))


@refused(reason=BROADCAST + "|rank|constant", op=["Mul", "Add"])
def constant_that_raises_the_rank(n, op):
    y = n.conv(n.input("x", (2, 5, 7, 9)), 6, 3)
    n.output(n.binary(op, y, n.const(n.away((3, 1, 6, 1, 1)))))


@refused(reason=BROADCAST + "|constant", op=["Mul", "Add"])
def constant_that_raises_the_channels(n, op):
    y = n.conv(n.input("x", (2, 5, 7, 9)), 1, 3)
    n.output(n.binary(op, y, n.const(n.away((1, 6, 1, 1)))))


# Borders


@refused(reason=BORDER, kind=["one", "reflect", "edge"], versions=[(9, 4), (13, 7), (NEWEST, 13)])
def pad_by_anything_but_zero(n, kind):
    x = n.input("x", X)
    y = n.pad(x, [1, 1, 1, 1], value=1.0) if kind == "one" else n.pad(x, [1, 1, 1, 1], mode=kind)
    n.output(n.conv(y, 7, 3, pads=0))


@refused(reason=BORDER, opset=19, ir=9)
def pad_by_wrapping(n):
    n.output(n.conv(n.pad(n.input("x", X), [1, 1, 1, 1], mode="wrap"), 7, 3, pads=0))


@refused(reason=BORDER + "|constant")
def pad_by_an_input(n):
    x, v = n.input("x", X), n.input("v", ())
    n.output(n.conv(n.node("Pad", [x, n.ints(0, 0, 1, 1, 0, 0, 1, 1), v]), 7, 3, pads=0))


@refused(reason=BORDER + "|bias")
def biased_1x1_then_padded_3x3(n):
    y = n.conv(n.input("x", (2, 5, 11, 14)), 13, 1, bias=True)
    n.output(n.conv(y, 7, 3, bias=True))


@refused(reason=BORDER)
def padded_3x3_then_padded_3x3(n):
    n.output(n.conv(n.conv(n.input("x", (2, 5, 11, 14)), 13, 3), 7, 3))


@refused(reason=BORDER)
def unpadded_3x3_then_padded_3x3(n):
    n.output(n.conv(n.conv(n.input("x", (2, 5, 11, 14)), 13, 3, pads=0), 7, 3))


@refused(reason=BORDER)
def padded_biased_1x1_then_padded_3x3(n):
    n.output(n.conv(n.conv(n.input("x", (2, 5, 11, 14)), 13, 1, pads=1, bias=True), 7, 3))


@refused(reason=BORDER)
def biased_row_then_column(n):
    y = n.conv(n.input("x", (2, 5, 11, 14)), 13, (1, 3), bias=True)
    n.output(n.conv(y, 7, (3, 1)))


@refused(reason=BORDER + "|shift|bias")
def bn_with_shift_then_padded_3x3(n):
    n.output(n.conv(n.bn(n.input("x", X)), 7, 3))


@refused(reason=BORDER + "|shift|bias", op=["Add", "Sub"])
def shift_then_padded_3x3(n, op):
    x = n.input("x", X)
    n.output(n.conv(n.binary(op, x, n.per_channel(x)), 7, 3))


@refused(reason=BORDER)
def inner_border_in_a_branch(n):
    x = n.input("x", X)
    y = n.conv(n.conv(x, 6, 1, bias=True), 6, 3)
    n.output(n.add(y, n.node("Relu", [n.conv(x, 6, 3)])))


@refused(reason=BORDER + "|exclud|AveragePool|count")
def average_excluding_pads(n):
    x = n.input("x", X)
    n.output(n.add(n.avgpool(x, 3, 1, 1, include=0), n.conv(x, 6, 3)))


@refused(reason=BORDER + "|exclud|AveragePool|ceil|overflow", pads=[0, 1])
def average_with_ceil_overflow(n, pads):
    x = n.input("x", (2, 6, 12, 14) if pads == 0 else (2, 6, 12, 16))
    pool = n.avgpool(x, 3, 2, pads, include=1, ceil_mode=1)
    h, w = n.shape(pool)[2:]
    first = n.conv(x, 6, 3, stride=2, pads=[1, 1, 2 * h - 12, 2 * w - n.shape(x)[3]])
    n.output(n.add(pool, first))


# Slices and products that are none of ours


@refused(reason=OP + "|Slice|step|crop", versions=[(10, 5), (NEWEST, 13)])
def slice_backwards(n):
    x = n.input("x", (2, 6, 12, 14))
    n.output(n.add(n.conv(n.slice(x, [11], [-13], [2], [-1]), 6, 1), n.conv(x, 6, 3)))


@refused(reason=CONSTANT + "|" + OP)
def matmul_of_two_values(n):
    x, z = n.input("x", (5, 7)), n.input("z", (7, 7))
    n.output(n.add(n.node("MatMul", [x, z]), n.gemm(x, 7)))


@refused(reason=OP + "|MatMul|left|constant|Gemm|source")
def matmul_by_a_constant_on_the_left(n):
    x = n.input("x", (7, 7))
    n.output(n.add(n.node("MatMul", [n.const(n.normal((7, 7))), x]), n.gemm(x, 7)))


@refused(reason=OP + "|transA|transpose|Gemm")
def gemm_of_the_transpose(n):
    x = n.input("x", (7, 7))
    y = n.node("Gemm", [x, n.const(n.normal((7, 7)))], transA=1)
    n.output(n.add(y, n.gemm(x, 7)))


@refused(reason=BROADCAST + "|bias|Gemm|row|matrix")
def gemm_with_a_full_matrix_for_bias(n):
    x = n.input("x", (3, 13))
    y = n.node("Gemm", [x, n.const(n.normal((13, 7))), n.const(n.shifts((3, 7)))])
    n.output(n.add(y, n.gemm(x, 7)))


# Ops of other domains


@refused(norun=True)
def ops_of_another_domain(n):
    """Conv and Add of a foreign domain are not ONNX's."""
    x = n.input("x", X)
    n.opsets["com.example"] = 3
    same = [tensor_type(FLOAT, X)]
    w = n.const(n.kernel(6, 6, (3, 3)))
    y = n.node("Conv", [x, w], domain="com.example", types=same, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    n.output(n.bn(y), n.node("Add", [n.conv(x, 6, 3), x], domain="com.example", types=same))


# Costs


COSTLY = []


def costly(build):
    COSTLY.append(build.__name__)
    return refused(reason=COST)(build)


@costly
def depthwise_then_pointwise(n):
    n.output(n.conv(n.conv(n.input("x", X), 6, 3, group=6), 7, 1, bias=True))


@costly
def bottleneck(n):
    n.output(n.conv(n.conv(n.input("x", (2, 7, 11, 14)), 2, 1, bias=True), 7, 3, bias=True, pads=0))


@costly
def dilated_2x2_and_identity(n):
    x = n.input("x", X)
    n.output(n.add(n.conv(x, 6, 2, bias=True, dil=2), x))


@costly
def groups_widen_too_far(n):
    x = n.input("x", X)
    n.output(n.add(n.conv(x, 6, 3, bias=True, group=2), n.conv(x, 6, 1, bias=True)))


@costly
def cross_of_1x5_and_5x1(n):
    x = n.input("x", X)
    n.output(n.add(n.conv(x, 6, (1, 5), bias=True), n.conv(x, 6, (5, 1), bias=True)))


@costly
def gemm_bottleneck(n):
    n.output(n.gemm(n.gemm(n.input("x", (3, 13)), 2), 11))


# A border written by ScatterND

SCATTERED = {
    "gap": "leaves some of the padding at 0",
    "inside": "writes inside the padding",
    "uneven": "one channel holds different values",
    "outside": "out of range",
    "reduces": "reduces",
    "variable": "writes, or where, is not constant",
    "not_padded": "not a linear op",
    "long": "not a linear op",
    "crops": "Pad crops",
    "batch": "not known",
    "turned": "do not undo each other",
}


def scattered(kind):
    def build(n):
        x = n.input("x", ("n" if kind == "batch" else 2, 3, 5, 5 if kind == "turned" else 6))
        mid = n.conv(x, 3, 1, bias=True)
        y = n.relu(mid) if kind == "not_padded" else n.pad(mid, [-1, 1, 1, 1] if kind == "crops" else [1, 1, 1, 1])
        h, w = {"not_padded": (5, 6), "crops": (5, 8), "turned": (7, 7)}.get(kind, (7, 8))
        edges = [([0], range(w)), ([h - 1], range(w)), (range(h), [0]), (range(h), [w - 1])]
        if kind == "gap":
            edges.pop()
        elif kind == "inside":
            edges.append(([2], [3]))
        elif kind == "outside":
            edges.append(([h], [0]))
        elif kind == "long":
            edges *= 9
        for i, (rows, columns) in enumerate(edges):
            grid = np.stack(np.meshgrid(range(2), range(3), list(rows), list(columns), indexing="ij"), -1).astype(np.int64)
            updates = np.broadcast_to(np.array([0.5, 0.25, 2], n.dtype)[None, :, None, None], grid.shape[:-1]).copy()
            if kind == "uneven" and i == 3:
                updates[0, 1, 2] = 7
            data = n.input("u", updates.shape) if kind == "variable" and i == 3 else n.const(updates)
            how = {"reduction": "add"} if kind == "reduces" and i == 3 else {}
            y = n.node("ScatterND", [y, n.const(grid), data], **how)
        if kind == "turned":
            y = n.node("Transpose", [y], perm=[0, 1, 3, 2])
        pads = {"crops": [0, 1, 0, 1], "not_padded": [0, 0, 0, 0]}.get(kind, [1, 1, 1, 1])
        n.output(n.add(n.conv(y, 4, 3, pads=0), n.conv(x, 4, 3, pads=pads)))
    return build


for kind, why in SCATTERED.items():
    build = scattered(kind)
    build.__name__ = "scattered_" + kind
    refused(reason=why)(build)


# The checks


@table.parametrize()
def test_refuse(case, tmp_path):
    before = case.net().model()
    check_valid(before)
    result = fuse(before, tmp_path)
    assert result.code == 0, result.stderr
    assert result.report["warnings"] == []
    if case.expect is None:
        assert result.data == before.SerializeToString(), [f["pass"] for f in result.report["fusions"]]
        assert result.report["changed"] is False and result.report["fusions"] == []
    else:
        after = result.model
        assert count_ops(after) == case.expect, result.reasons()
        check_valid(after)
        same_interface(before, after)
        check_tidy(after, before)
        assert_equal_under_ort(before, after)
    if case.reason:
        reasons = result.reasons()
        assert any(re.search(case.reason, r, re.IGNORECASE) for r in reasons), reasons
    for r in result.report["refusals"]:
        assert r["reason"] and r["pass"] and r["op"], r


@pytest.mark.parametrize("case", [c for c in table.cases if c.name in COSTLY], ids=lambda c: c.name)
def test_max_growth_pays(case, tmp_path):
    """What is refused for its cost alone folds when the user pays for it, and is equal."""
    before = case.net().model()
    result = fuse(before, tmp_path, "--max-growth", "100")
    assert result.code == 0, result.stderr
    after = result.model
    assert sum(count_ops(after).values()) == 1, result.reasons()
    check_valid(after)
    assert_equal_under_ort(before, after)


@pytest.mark.parametrize("channels, size, folds", [(1001, 7, False), (130, 11, False), (1004, 7, True), (1001, 14, True), (3, 7, True)])
def test_groups_that_the_runtime_takes_one_by_one(channels, size, folds, tmp_path):
    """x + BN(x) as a Conv of a group per channel is slower for some shapes than the passes over memory that it saves."""
    n = Net(seed=3)
    x = n.input("x", (1, channels, size, size))
    n.output(n.relu(n.add(x, n.bn(x))))
    before = n.model()
    result = fuse(before, tmp_path)
    assert count_ops(result.model) == ({"Conv": 1, "Relu": 1} if folds else {"BatchNormalization": 1, "Add": 1, "Relu": 1})
    assert folds or any("groups, not a multiple of 4" in r for r in result.reasons())
    assert count_ops(fuse(before, tmp_path, "--max-growth", "1.5").model) == {"Conv": 1, "Relu": 1}


def test_groups_of_a_conv_stay_a_conv(tmp_path):
    n = Net(seed=3)
    x = n.input("x", (1, 1001, 7, 7))
    n.output(n.add(n.convbn(x, 1001, 1, group=1001), n.bn(x)))
    assert count_ops(fuse(n.model(), tmp_path).model) == {"Conv": 1}
