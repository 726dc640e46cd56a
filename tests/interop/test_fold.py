"""Every structure that must fold, from file to file: op counts, validity, numbers, bytes.

Sizes are odd and unequal and whole outputs are compared, so that a border that is wrong shows."""
import numpy as np
from onnx import helper

from tests.support.cases import Table
from tests.support.net import INT64, newest_opset, tensor_type
from tests.support.tool import (
    adds_up, assert_equal_under_ort, check_tidy, check_valid, count_ops, fuse, reordered, same_interface, tolerance_for)

X = (2, 6, 11, 14)
NEWEST = newest_opset()
VERSIONS = [(7, 3), (8, 3), (9, 4), (11, 6), (13, 7), (14, 7), (15, 8), (17, 8), (18, 9), (20, 9), (21, 10), (22, 10), (NEWEST, 13)]
FEW = [(7, 3), (9, 4), (11, 6), (13, 7), (NEWEST, 13)]
CONV = {"Conv": 1}

table = Table()
case = table.case


def rvgg(n, x, stride=1, group=1, cout=None, bias=False, identity=True):
    """A RepVGG block before its activation."""
    c = n.channels(x)
    cout = cout or c
    branches = [n.convbn(x, cout, 3, bias=bias, stride=stride, group=group),
                n.convbn(x, cout, 1, bias=bias, stride=stride, group=group)]
    if identity and stride == 1 and cout == c:
        branches.insert(0, n.bn(x))
    return n.add(*branches)


# RepVGG and its variants


@case(CONV, stride=[1, 2], group=[1, 3], versions=VERSIONS)
def rvgg_block(n, stride, group):
    n.output(rvgg(n, n.input("x", X), stride, group))


@case(CONV, stride=[1, 2], bias=[False, True], dynamic=[False, True])
def rvgg_dynamic(n, stride, bias, dynamic):
    x = n.input("x", ("N", 5, "H", "W") if dynamic else (1, 5, 13, 9))
    n.output(rvgg(n, x, stride, cout=5 if stride == 1 else 7, bias=bias))


@case({"Conv": 3, "Relu": 3}, versions=FEW)
def rvgg_three_blocks(n):
    x = n.input("x", (2, 3, 13, 9))
    for stride, cout in ((2, 5), (1, 5), (2, 7)):
        x = n.relu(rvgg(n, x, stride, cout=cout))
    n.output(x)


@case(CONV, group=[2, 3, 6], kind=["bn", "plain", "Identity"])
def grouped_identity(n, group, kind):
    x = n.input("x", X)
    skip = {"bn": n.bn, "plain": lambda v: v, "Identity": n.identity}[kind](x)
    n.output(n.add(skip, n.convbn(x, 6, 3, group=group)))


@case(CONV)
def different_groups_widen(n):
    x = n.input("x", (2, 12, 9, 7))
    n.output(n.add(n.convbn(x, 12, 3, group=4), n.convbn(x, 12, 3, group=4), n.convbn(x, 12, 3, group=6)))


@case(CONV)
def grouped_beside_dense_widens(n):
    x = n.input("x", X)
    n.output(n.add(n.convbn(x, 4, 3, group=2), n.convbn(x, 4, 3, group=2), n.convbn(x, 4, 1)))


@case(CONV, stride=[1, 2], multiplier=[1, 2])
def depthwise(n, stride, multiplier):
    x = n.input("x", X)
    n.output(rvgg(n, x, stride, group=6, cout=6 * multiplier))


@case(CONV, order=[0, 1])
def lone_bn_branch(n, order):
    x = n.input("x", X)
    branches = [n.conv(x, 6, 3), n.bn(x)]
    n.output(n.add(*(branches[::-1] if order else branches)))


@case([CONV, {"BatchNormalization": 1}])
def bn_beside_bn(n):
    x = n.input("x", X)
    n.output(n.add(n.bn(x), n.bn(x)))


@case(CONV, k=[1, 3, 5], group=[1, 2])
def identity_only(n, k, group):
    x = n.input("x", X)
    n.output(n.add(n.conv(x, 6, k, group=group), x))


@case(CONV, first=[True, False], dims=[(), (1,), (1, 1, 1, 1)])
def add_of_scalar_zero(n, first, dims):
    x = n.input("x", X)
    zero = n.const(np.zeros(dims))
    branch = n.convbn(x, 6, 3)
    start = n.binary("Add", zero, branch) if first else n.binary("Add", branch, zero)
    n.output(n.add(start, n.convbn(x, 6, 1), n.bn(x)))


@case(CONV, count=[2, 4], stride=[1, 2], group=[1, 6])
def mobileone(n, count, stride, group):
    x = n.input("x", X)
    out = n.scalar(0.0)
    for _ in range(count):
        out = n.add(out, n.convbn(x, 6, 3, stride=stride, group=group))
    out = n.add(out, n.convbn(x, 6, 1, stride=stride, group=group))
    n.output(n.add(out, n.bn(x)) if stride == 1 else out)


@case(CONV, pool=[False, True], stride=[1, 2])
def qarepvgg(n, pool, stride):
    x = n.input("x", X)
    branches = [n.convbn(x, 6, 3, stride=stride), n.conv(x, 6, 1, bias=True, stride=stride)]
    if stride == 1:
        branches.append(x)
    if pool:
        branches.append(n.avgpool(x, 3, stride, 1))
    n.output(n.bn(n.add(*branches)))


@case(CONV, dims=[(), (1,)], left=[True, False])
def scalar_alpha(n, dims, left):
    x = n.input("x", X)
    alpha = n.const(np.full(dims, 0.37))
    branch = n.convbn(x, 6, 1)
    scaled = n.binary("Mul", alpha, branch) if left else n.binary("Mul", branch, alpha)
    n.output(n.add(n.convbn(x, 6, 3), scaled, x))


@case(CONV, left=[True, False], flat=[True, False])
def repopt_scales(n, left, flat):
    x = n.input("x", X)
    out = []
    for v in (n.conv(x, 6, 3), n.conv(x, 6, 1), x):
        s = n.per_channel(v, flat=flat)
        out.append(n.binary("Mul", s, v) if left else n.binary("Mul", v, s))
    n.output(n.bn(n.add(*out)))


@case(CONV, k=[3, 7])
def repmixer(n, k):
    x = n.input("x", X)
    mix = n.add(n.convbn(x, 6, k, group=6), n.convbn(x, 6, 1, group=6), n.bn(x))
    gate = n.per_channel(x, flat=True)
    n.output(n.add(x, n.binary("Mul", gate, n.binary("Sub", mix, n.bn(x)))))


@case(CONV, order=[0, 1])
def residual_depthwise(n, order):
    x = n.input("x", X)
    y = n.conv(x, 6, 3, bias=True, group=6)
    n.output(n.add(y, x) if order else n.add(x, y))


@case(CONV)
def sub_and_div_by_constants(n):
    x = n.input("x", X)
    y = n.conv(x, 6, 3, bias=True)
    y = n.binary("Div", n.binary("Sub", y, n.per_channel(y)), n.per_channel(y))
    n.output(n.binary("Sub", y, n.convbn(x, 6, 1)))


@case(CONV)
def constant_minus_and_neg(n):
    x = n.input("x", X)
    y = n.conv(x, 6, 3, bias=True)
    y = n.binary("Sub", n.per_channel(y, flat=True), y)
    z = n.node("Neg", [n.convbn(x, 6, 1)])
    n.output(n.add(y, z, n.node("Neg", [x])))


@case(CONV, op=["Mul", "Add", "Sub", "Div"])
def constant_after_conv(n, op):
    y = n.conv(n.input("x", X), 7, 3, bias=True)
    n.output(n.binary(op, y, n.per_channel(y, flat=op in ("Mul", "Sub"))))


@case(CONV, k=[1, 3])
def conv_bn(n, k):
    n.output(n.bn(n.conv(n.input("x", X), 7, k)))


# Kernels of different shapes and positions


@case(CONV, stride=[1, 2])
def acnet(n, stride):
    x = n.input("x", X)
    n.output(n.add(*(n.convbn(x, 7, k, stride=stride) for k in (3, (1, 3), (3, 1)))))


@case(CONV, versions=[(9, 4), (10, 5), (13, 7), (NEWEST, 13)], dynamic=[False, True])
def acnet_cropped_by_slice(n, dynamic):
    x = n.input("x", ("N", 5, "H", "W") if dynamic else (2, 5, 11, 14))
    rows = n.slice(x, [1], [-1], [3])
    columns = n.slice(x, [1], [-1], [2])
    n.output(n.add(n.convbn(x, 7, 3, pads=0), n.convbn(rows, 7, (3, 1), pads=0), n.convbn(columns, 7, (1, 3), pads=0)))


@case(CONV)
def cropped_output(n):
    """A crop after a padded convolution is a smaller padding."""
    x = n.input("x", (2, 5, 11, 14))
    wide = n.slice(n.conv(x, 7, 3), [1, 0], [10, 13], [2, 3])
    n.output(n.add(wide, n.conv(x, 7, 3, pads=[0, 1, 0, 0])))


@case(CONV)
def pad_of_channels(n):
    x = n.input("x", X)
    n.output(n.conv(n.node("Pad", [x, n.ints(0, 1, 1, 1, 0, 0, 1, 1)]), 7, 3, pads=0))


@case(CONV, versions=FEW)
def slice_of_channels(n):
    x = n.input("x", X)
    n.output(n.add(n.conv(n.slice(x, [1], [4], [1]), 6, 1), n.conv(x, 6, 3)))


@case(CONV)
def channels_in_another_order(n):
    x = n.input("x", X)
    n.output(n.add(n.node("Gather", [x, n.ints(5, 1, 1, 0, -3, 2)], axis=1), n.convbn(x, 6, 3)))


@case(CONV)
def slice_end_from_shape(n):
    """The end of a crop read off a known shape by Shape, Gather and Unsqueeze, as torch traces it."""
    x = n.input("x", (2, 5, 11, 14))
    end = n.unsqueeze(n.node("Gather", [n.node("Shape", [x]), n.const(np.array(3, np.int64))], axis=0), 0)
    crop = n.node("Slice", [x, n.ints(1), end, n.ints(3)], types=[tensor_type(n.elem(), (2, 5, 11, 13))])
    n.output(n.add(n.convbn(x, 7, 3, pads=[1, 0, 1, 0]), n.convbn(crop, 7, (3, 2), pads=[1, 0, 1, 0])))


@case(CONV, k=[3, 5])
def bn_without_affine(n, k):
    x = n.input("x", X)
    n.output(n.add(n.bn(n.conv(x, 6, k), affine=False), n.bn(x, affine=False)))


def dbb_border(n, y, turned=False):
    """BNAndPad: a BatchNormalization whose border is what it makes of 0, as Pad and four ScatterND write it; turned: with
    the axis that is written turned to the front."""
    c = n.channels(y)
    batch, _, h, w = n.shape(y)
    gamma, beta, mean, var = n.away(c), n.shifts(c), n.shifts(c), n.rng.uniform(0.3, 2.5, c)
    stats = [n.const(v, n.fresh("border")) for v in (gamma, beta, mean, var)]
    y = n.node("BatchNormalization", [y, *stats], epsilon=1e-3)
    fill = (beta - mean * gamma / np.sqrt(var + np.float32(1e-3))).astype(n.dtype)
    y = n.pad(y, [1, 1, 1, 1])
    h, w = h + 2, w + 2
    if turned:
        for perm, last, rest in (([2, 1, 0, 3], h - 1, (batch, w)), ([3, 1, 0, 2], w - 1, (h, batch))):
            y = n.node("Transpose", [y], perm=perm)
            updates = np.broadcast_to(fill[None, :, None, None], (1, c, *rest))
            y = n.node("ScatterND", [y, n.const(np.array([[0]])), n.const(updates)])
            y = n.node("ScatterND", [n.node("Identity", [y]), n.const(np.array([[-1]])), n.const(updates)])
        return n.node("Transpose", [y], perm=[3, 1, 2, 0])
    for rows, columns in (([0], range(w)), ([h - 1], range(w)), (range(h), [0]), (range(h), [w - 1])):
        grid = np.stack(np.meshgrid(range(batch), range(c), list(rows), list(columns), indexing="ij"), -1).astype(np.int64)
        updates = np.broadcast_to(fill[None, :, None, None], grid.shape[:-1])
        y = n.node("ScatterND", [y, n.const(grid), n.const(updates)])
    return y


@case({"Conv": 1, "Relu": 1}, stride=[1, 2], batch=[1, 2], turned=[False, True])
def dbb_dense(n, stride, batch, turned):
    x = n.input("x", (batch, 5, 11, 14))
    branches = [n.convbn(x, 7, 3, stride=stride), n.convbn(x, 7, 1, stride=stride)]
    # 1x1 whose kernel is a weight plus an identity, then 3x3
    eye = np.eye(5).reshape(5, 5, 1, 1)
    w = n.add(n.const(n.kernel(5, 5, (1, 1))), n.const(eye))
    mid = dbb_border(n, n.conv(x, 5, 1, weight=w), turned)
    branches.append(n.convbn(mid, 7, 3, stride=stride, pads=0))
    # 1x1, then average
    mid = dbb_border(n, n.conv(x, 7, 1), turned)
    branches.append(n.bn(n.avgpool(mid, 3, stride)))
    n.output(n.relu(n.add(*branches)))




@case(CONV, stride=[1, 2])
def dbb_depthwise(n, stride):
    x = n.input("x", (1, 6, 11, 14))
    branches = [n.convbn(x, 6, 3, stride=stride, group=6), n.convbn(x, 6, 1, stride=stride, group=6)]
    w = n.add(n.const(n.kernel(6, 1, (1, 1))), n.const(np.ones((6, 1, 1, 1))))
    mid = dbb_border(n, n.conv(x, 6, 1, weight=w, group=6))
    branches.append(n.convbn(mid, 6, 3, stride=stride, pads=0, group=6))
    branches.append(n.bn(n.avgpool(x, 3, stride, 1)))
    n.output(n.add(*branches))


@case(CONV, bias=[False, True])
def padded_1x1_then_3x3(n, bias):
    x = n.input("x", (2, 5, 11, 14))
    n.output(n.conv(n.conv(x, 11, 1, bias=bias, pads=1), 7, 3, bias=True, pads=0))


@case(CONV, stride=[1, 2], versions=FEW)
def pad_1x1_3x3_1x1_chain(n, stride):
    x = n.input("x", (2, 5, 11, 14))
    y = n.conv(n.pad(x, [1, 1, 1, 1]), 9, 1, bias=True)
    y = n.conv(y, 9, 3, bias=True, stride=stride, pads=0)
    n.output(n.conv(y, 7, 1, bias=True))


@case(CONV)
def pad_chain_beside_a_skip(n):
    x = n.input("x", (2, 6, 11, 14))
    y = n.convbn(n.convbn(n.pad(x, [1, 1, 1, 1]), 12, 1), 12, 3, pads=0)
    n.output(n.add(n.convbn(y, 6, 1), n.conv(x, 6, 1, bias=True), x))


@case(CONV)
def replknet_31_and_5(n):
    x = n.input("x", (1, 3, 11, 14))
    n.output(n.add(n.convbn(x, 3, 31, group=3), n.convbn(x, 3, 5, group=3)))


@case(CONV)
def unireplknet_dilated(n):
    x = n.input("x", (1, 3, 17, 15))
    branches = [n.convbn(x, 3, 13, group=3)]
    branches += [n.convbn(x, 3, k, group=3, dil=d) for k, d in ((5, 1), (7, 2), (3, 3), (3, 4), (3, 5))]
    n.output(n.add(*branches))


@case(CONV)
def two_by_two_dilated(n):
    x = n.input("x", X)
    n.output(n.add(n.convbn(x, 6, 3), n.convbn(x, 6, 2, dil=2)))


@case(CONV)
def row_then_column_without_bias(n):
    x = n.input("x", (2, 5, 11, 14))
    n.output(n.conv(n.conv(x, 13, (1, 3)), 7, (3, 1), bias=True))


@case(CONV)
def row_then_column_as_a_branch(n):
    x = n.input("x", (2, 5, 11, 14))
    n.output(n.add(n.conv(n.conv(x, 5, (1, 3)), 7, (3, 1), bias=True), n.convbn(x, 7, 3)))


@case(CONV, stride=[1, 2])
def five_three_and_three_five(n, stride):
    x = n.input("x", X)
    n.output(n.add(n.convbn(x, 7, (5, 3), stride=stride), n.convbn(x, 7, (3, 5), stride=stride)))


@case(CONV)
def asymmetric_pads_that_align(n):
    x = n.input("x", X)
    n.output(n.add(n.convbn(x, 7, 3, pads=[0, 1, 2, 1]), n.convbn(x, 7, 3, pads=[2, 1, 0, 1])))


@case(CONV)
def even_kernels(n):
    x = n.input("x", X)
    n.output(n.add(n.convbn(x, 7, 2, pads=[0, 0, 1, 1]), n.convbn(x, 7, 2, pads=[1, 1, 0, 0]), n.convbn(x, 7, 1)))


@case(CONV)
def strided_even_kernel(n):
    x = n.input("x", (2, 5, 13, 9))
    n.output(n.add(n.convbn(x, 7, 4, stride=(2, 3), pads=[1, 2, 1, 1]), n.convbn(x, 7, 2, stride=(2, 3), pads=[0, 1, 0, 0])))


@case(CONV, auto=["SAME_UPPER", "SAME_LOWER"], stride=[1, 2])
def same_padding_of_known_size(n, auto, stride):
    x = n.input("x", X)
    n.output(n.add(n.convbn(x, 7, 3, stride=stride, auto_pad=auto), n.convbn(x, 7, 1, stride=stride, auto_pad=auto)))


@case(CONV, auto=["SAME_UPPER", "SAME_LOWER"])
def same_padding_of_unknown_size_stride_1(n, auto):
    x = n.input("x", ("N", 5, "H", "W"))
    n.output(n.add(n.convbn(x, 5, 4, auto_pad=auto), n.convbn(x, 5, 1, auto_pad=auto), n.bn(x)))


@case(CONV)
def auto_pad_valid(n):
    x = n.input("x", X)
    n.output(n.add(n.convbn(x, 7, 3, auto_pad="VALID"), n.convbn(x, 7, 3, pads=0)))


@case(CONV, rank=[1, 3], stride=[1, 2], group=[1, 2])
def other_ranks(n, rank, stride, group):
    x = n.input("x", (2, 6, 13, 7, 9)[:rank + 2])
    n.output(rvgg(n, x, stride, group))


# BN and constants before


@case(CONV)
def bn_then_1x1(n):
    n.output(n.conv(n.bn(n.input("x", X)), 7, 1, bias=True))


@case(CONV, stride=[1, 2])
def bn_then_unpadded_3x3(n, stride):
    n.output(n.conv(n.bn(n.input("x", X)), 7, 3, bias=True, stride=stride, pads=0))


@case(CONV)
def bn_without_shift_then_padded_3x3(n):
    n.output(n.conv(n.bn(n.input("x", X), shift=False), 7, 3, bias=True))


@case(CONV, op=["Mul", "Div"])
def scale_then_padded_3x3(n, op):
    x = n.input("x", X)
    n.output(n.conv(n.binary(op, x, n.per_channel(x)), 7, 3))


@case(CONV)
def image_normalisation_then_unpadded_conv(n):
    x = n.input("x", (2, 3, 13, 9))
    y = n.binary("Div", n.binary("Sub", x, n.per_channel(x)), n.per_channel(x))
    n.output(n.conv(y, 7, 3, bias=True, stride=2, pads=0))


@case(CONV)
def pad_then_conv(n):
    x = n.input("x", X)
    n.output(n.conv(n.pad(x, [2, 0, 1, 3]), 7, 3, bias=True, pads=[0, 1, 0, 0]))


# Weights that are computed


def made_weight(n, cout, cin, how):
    """A [cout, cin, 3, 3] weight (1x1 for Unsqueeze), made from constants by one op."""
    w = n.kernel(cout, cin, (3, 3))
    if how == "Identity":
        return n.identity(n.const(w)), 3
    if how == "Constant":
        return n.const(w, storage="constant"), 3
    if how == "Transpose":
        return n.node("Transpose", [n.const(w.transpose(2, 3, 1, 0).copy())], perm=[3, 2, 0, 1]), 3
    if how == "Reshape":
        return n.node("Reshape", [n.const(w.reshape(cout, -1)), n.ints(cout, -1, 3, 3)]), 3
    if how == "Unsqueeze":
        return n.unsqueeze(n.const(w[:, :, 0, 0].copy()), 2, 3), 1
    if how == "Squeeze":
        return n.squeeze(n.const(w[None]), 0), 3
    if how == "Concat":
        return n.node("Concat", [n.const(w[:2].copy()), n.const(w[2:].copy())], axis=0), 3
    if how == "Mul":
        return n.binary("Mul", n.const(w), n.const(n.away((cout, 1, 1, 1)))), 3
    if how == "Add":
        return n.binary("Add", n.const(w), n.const(np.eye(cout, cin)[:, :, None, None])), 3
    if how == "Pad":
        small = n.const(w[:, :, 1:2, 1:2].copy())
        return n.node("Pad", [small, n.ints(0, 0, 1, 1, 0, 0, 1, 1)]), 3
    if how == "Einsum":
        return n.node("Einsum", [n.const(n.normal((cout, 4), 0.5)), n.const(n.normal((4, cin, 3, 3), 0.3))],
                      equation="om,mihw->oihw"), 3
    if how == "Chain":
        flat = n.node("Reshape", [n.const(w.transpose(1, 0, 2, 3).copy()), n.ints(cin, cout, 9)])
        t = n.node("Transpose", [flat], perm=[1, 0, 2])
        t = n.node("Reshape", [n.binary("Mul", t, n.const(n.away((cout, 1, 1)))), n.ints(cout, cin, 3, 3)])
        return n.identity(n.binary("Add", t, n.const(n.normal((cout, cin, 3, 3), 0.1)))), 3
    raise ValueError(how)


MADE = ["Identity", "Constant", "Transpose", "Reshape", "Unsqueeze", "Squeeze", "Concat", "Mul", "Add", "Pad", "Einsum", "Chain"]


@case(CONV, how=MADE)
def computed_weight(n, how):
    x = n.input("x", X)
    w, k = made_weight(n, 6, 6, how)
    n.output(n.add(n.bn(n.conv(x, 6, k, weight=w)), n.convbn(x, 6, 1), n.bn(x)))


@case(CONV, how=["Transpose", "Unsqueeze", "Squeeze", "Pad"], versions=[(11, 6), (13, 7), (NEWEST, 13)])
def computed_weight_versions(n, how):
    x = n.input("x", X)
    w, k = made_weight(n, 7, 6, how)
    n.output(n.bn(n.conv(x, 7, k, weight=w)))


@case(CONV)
def computed_statistics(n):
    x = n.input("x", X)
    stats = [n.identity(n.const(n.away(6))), n.node("Reshape", [n.const(n.shifts((6, 1, 1))), n.ints(-1)]),
             n.squeeze(n.const(n.shifts((1, 6))), 0), n.node("Concat", [n.const(np.full(3, 1.7)), n.const(np.full(3, 0.6))], axis=0)]
    n.output(n.add(n.bn(n.conv(x, 6, 3), stats=stats), x))


# What exporters write


def torch_pad(n, x, left, right, top, bottom):
    """F.pad as torch's TorchScript exporter writes it: the pads of the last axis first, turned round at run time."""
    zeros = n.node("ConstantOfShape", [n.ints(4)], value=helper.make_tensor("value", INT64, [1], [0]))
    pads = n.node("Concat", [n.ints(left, right, top, bottom), zeros], axis=0)
    pads = n.node("Reshape", [pads, n.ints(-1, 2)])
    pads = n.node("Slice", [pads, n.ints(-1), n.ints(-9223372036854775807), n.ints(0), n.ints(-1)])
    pads = n.node("Transpose", [pads], perm=[1, 0])
    pads = n.node("Cast", [n.node("Reshape", [pads, n.ints(-1)])], to=INT64)
    dims = [d + e if isinstance(d, int) else None for d, e in zip(n.shape(x), (0, 0, top + bottom, left + right))]
    return n.node("Pad", [x, pads, n.scalar(0.0)], mode="constant", types=[tensor_type(n.elem(), dims)])


@case(CONV, storage=["raw", "constant"], dynamic=[False, True])
def torch_script_pad(n, dynamic):
    x = n.input("x", ("N", 6, "H", "W") if dynamic else X)
    y = n.convbn(torch_pad(n, x, 1, 1, 1, 1), 6, 3, pads=0)
    n.output(n.add(y, n.convbn(x, 6, 1)))


@case(CONV)
def torch_script_pad_one_side(n):
    """TensorFlow-style padding: one more row and column after than before."""
    x = n.input("x", X)
    n.output(n.convbn(torch_pad(n, x, 0, 1, 0, 1), 7, 3, stride=2, pads=0))


@case(CONV)
def reshape_target_from_shape(n):
    """A weight reshaped to a target that Shape, Gather and Concat compute from another constant."""
    x = n.input("x", X)
    w = n.const(n.kernel(6, 6, (3, 3)).reshape(6, -1))
    rows = n.node("Gather", [n.node("Shape", [w]), n.ints(0)], axis=0)
    target = n.node("Concat", [rows, n.ints(6, 3, 3)], axis=0)
    weight = n.node("Reshape", [w, target], types=[tensor_type(n.elem(), (6, 6, 3, 3))])
    n.output(n.add(n.bn(n.conv(x, 6, 3, weight=weight)), n.bn(x)))


@case(CONV, versions=FEW, stride=[1, 2])
def conv_with_bias_beside_bare_bn(n, stride):
    """torch's exporter folds Conv and BN itself and leaves the identity's BN bare."""
    x = n.input("x", X)
    a, b = n.conv(x, 6, 3, bias=True, stride=stride), n.conv(x, 6, 1, bias=True, stride=stride)
    n.output(n.add(a, b, n.bn(x)) if stride == 1 else n.add(a, b))


@case(CONV, versions=[(7, 3), (10, 5), (12, 7), (13, 7), (NEWEST, 13)])
def passive_ops_in_branches(n):
    x = n.input("x", X)
    a = n.dropout(n.convbn(n.identity(x), 6, 3))
    b = n.cast(n.convbn(x, 6, 1))
    n.output(n.add(a, b, n.dropout(n.cast(x))))


@case(CONV)
def dropout_switched_off(n):
    x = n.input("x", X)
    off = n.const(np.array(False))
    ratio = n.const(np.array(0.4, np.float32), dtype=np.float32)
    y = n.node("Dropout", [n.convbn(x, 6, 3), ratio, off])
    n.output(n.add(y, n.node("Dropout", [n.convbn(x, 6, 1), "", off]), x))


# Trees


def four_leaves(n, x):
    return [n.convbn(x, 6, 3), n.convbn(x, 6, 1), n.bn(x), x]


SHAPES = {
    "left": lambda n, a, b, c, d: n.add(n.add(n.add(a, b), c), d),
    "right": lambda n, a, b, c, d: n.add(a, n.add(b, n.add(c, d))),
    "even": lambda n, a, b, c, d: n.add(n.add(a, b), n.add(c, d)),
    "inner": lambda n, a, b, c, d: n.add(n.add(a, n.add(b, c)), d),
    "sum": lambda n, a, b, c, d: n.node("Sum", [a, b, c, d]),
    "mixed": lambda n, a, b, c, d: n.node("Sum", [n.add(a, b), c, n.node("Sum", [d])]),
}


@case(CONV, shape=list(SHAPES), order=["abcd", "dcba", "bdac", "cadb"])
def add_trees(n, shape, order):
    x = n.input("x", X)
    leaves = dict(zip("abcd", four_leaves(n, x)))
    n.output(SHAPES[shape](n, *(leaves[k] for k in order)))


@case(CONV, op=["Sum", "Mean"], versions=[(8, 3), (13, 7), (NEWEST, 13)])
def n_ary(n, op):
    x = n.input("x", X)
    n.output(n.node(op, four_leaves(n, x)))


@case(CONV)
def sub_in_a_tree(n):
    x = n.input("x", X)
    a, b, c, d = four_leaves(n, x)
    n.output(n.binary("Sub", n.add(a, d), n.binary("Sub", b, c)))


@case(CONV)
def added_to_itself(n):
    x = n.input("x", X)
    y = n.convbn(x, 6, 3)
    n.output(n.add(n.binary("Add", y, y), n.convbn(x, 6, 1), x, x))


@case({"Conv": 2, "Add": 1})
def leaves_of_two_sources(n):
    """Leaves are grouped by source; what does not join stays in a smaller tree."""
    x, z = n.input("x", X), n.input("z", X)
    n.output(n.add(n.convbn(x, 6, 3), n.convbn(z, 6, 3), n.bn(x), n.convbn(z, 6, 1)))


@case({"Conv": 1, "Tanh": 1, "Sub": 1}, channels=[1, 6])
def constants_beside_a_branch_that_stays(n, channels):
    """Neither the identity nor the scalars say how many channels there are."""
    x = n.input("x", (2, channels, 9, 7))
    scaled = n.binary("Mul", n.const(np.full((), 0.47)), x)
    shifted = n.binary("Add", n.const(np.full((1, 1, 1, 1), 1.36)), x)
    n.output(n.add(shifted, n.binary("Sub", scaled, n.node("Tanh", [x]))))


@case({"Conv": 2, "Add": 1})
def constant_below_a_sum_of_two_sources(n):
    """The first Conv takes the constant along, so the inner sum's name is not the second one's."""
    x, z = n.input("x", X), n.input("z", X)
    inner = n.add(n.binary("Add", n.conv(x, 6, 3), n.per_channel(x)), n.conv(x, 6, 1))
    n.output(n.add(n.add(n.conv(z, 6, 3), n.conv(z, 6, 1), z), inner))


@case({"Conv": 1, "Sigmoid": 1, "Add": 1})
def non_linear_leaf_stays(n):
    x = n.input("x", X)
    n.output(n.add(n.convbn(x, 6, 3), n.node("Sigmoid", [x]), n.bn(x), n.convbn(x, 6, 1)))


@case(CONV)
def block_inside_a_branch(n):
    x = n.input("x", X)
    inner = n.bn(rvgg(n, x))
    n.output(n.add(inner, n.convbn(x, 6, 1), x))


@case(CONV)
def block_then_1x1_inside_a_branch(n):
    x = n.input("x", X)
    n.output(n.add(n.convbn(rvgg(n, x), 6, 1), n.convbn(x, 6, 5), n.bn(x)))


@case({"Conv": 1, "Relu": 1})
def source_read_by_others(n):
    x = n.input("x", X)
    n.output(rvgg(n, x), n.relu(x))


@case({"Conv": 1, "Relu": 2})
def source_is_inner_and_an_output(n):
    x = n.relu(n.input("x", X))
    n.output(x, n.relu(rvgg(n, x)))


@case({"Conv": 2, "Relu": 2}, versions=FEW)
def weight_shared_by_two_blocks(n):
    x = n.input("x", X)
    w = n.const(n.kernel(6, 6, (3, 3)), "shared.weight")
    for _ in range(2):
        x = n.relu(n.add(n.bn(n.conv(x, 6, 3, weight=w)), n.bn(x)))
    n.output(x)


@case({"Conv": 2, "Relu": 2})
def weight_shared_with_a_plain_conv(n):
    """The shared weight is copied, never edited: the other reader still sees its numbers."""
    x = n.input("x", X)
    w = n.const(n.kernel(6, 6, (3, 3)), "shared.weight")
    n.output(n.relu(n.add(n.bn(n.conv(x, 6, 3, weight=w)), n.bn(x))), n.relu(n.conv(x, 6, 3, weight=w, bias=True)))


@case(CONV)
def padded_1x1_then_padded_3x3(n):
    """The inner kernel sees nothing but padding where the outer one pads, and has no bias: exact."""
    n.output(n.conv(n.conv(n.input("x", (2, 5, 11, 14)), 13, 1, pads=1), 7, 3))


# ConvTranspose, Gemm, MatMul


@case({"ConvTranspose": 1}, group=[1, 2, 3], bias=[False, True])
def bn_after_conv_transpose(n, group, bias):
    x = n.input("x", (2, 6, 5, 7))
    n.output(n.bn(n.conv_t(x, 12, 3, bias=bias, group=group, strides=[2, 3], pads=[1, 0, 0, 1], output_padding=[1, 0])))


@case({"ConvTranspose": 1}, group=[1, 3])
def constants_after_conv_transpose(n, group):
    y = n.conv_t(n.input("x", (2, 6, 5, 7)), 9, (2, 3), bias=True, group=group, strides=[2, 2])
    y = n.binary("Mul", n.per_channel(y), y)
    n.output(n.binary("Add", y, n.per_channel(y, flat=True)))


@case({"Gemm": 1}, how=["Mean", "Add and Mul", "Add and Div"], trans=[0, 1])
def two_gemms_averaged(n, how, trans):
    x = n.input("x", (3, 13))
    a, b = n.gemm(x, 7, trans_b=trans), n.gemm(x, 7, trans_b=1 - trans)
    if how == "Mean":
        n.output(n.node("Mean", [a, b]))
    else:
        n.output(n.binary(how[-3:], n.add(a, b), n.scalar(0.5 if how.endswith("Mul") else 2.0)))


@case({"Gemm": 1}, alpha=[1.0, 0.7], beta=[1.0, -1.3], trans=[0, 1])
def gemm_then_bn_and_constants(n, alpha, beta, trans):
    y = n.bn(n.gemm(n.input("x", (3, 13)), 7, alpha=alpha, beta=beta, trans_b=trans))
    y = n.binary("Mul", y, n.const(n.away(7)))
    n.output(n.binary("Add", n.const(n.shifts((1, 7))), y))


@case({"Gemm": 1}, bias=[True, False])
def bn_then_gemm(n, bias):
    y = n.gemm(n.bn(n.input("x", (3, 13))), 7, bias=True)
    n.output(y if bias else n.binary("Mul", y, n.const(n.away(7))))


@case({"Gemm": 1})
def gemm_chain(n):
    n.output(n.gemm(n.gemm(n.input("x", (3, 13)), 21), 7))


@case({"Gemm": 1})
def gemm_branches_and_identity(n):
    x = n.input("x", ("N", 13))
    n.output(n.add(n.gemm(x, 13), n.bn(n.gemm(x, 13, trans_b=0)), x))


@case([{"Gemm": 1}, {"MatMul": 1, "Add": 1}])
def matmul_add_bn(n):
    x = n.input("x", (3, 13))
    y = n.binary("Add", n.matmul(x, 7), n.const(n.shifts(7)))
    n.output(n.binary("Mul", n.bn(y), n.const(n.away(7))))


@case({"MatMul": 1, "Add": 1}, left=[True, False])
def matmul_of_rank_3(n, left):
    y = n.matmul(n.input("x", (2, 5, 13)), 7)
    bias, scale = n.const(n.shifts(7)), n.const(n.away(7))
    y = n.binary("Add", bias, y) if left else n.binary("Add", y, bias)
    n.output(n.binary("Mul", scale, y) if left else n.binary("Mul", y, scale))


@case({"MatMul": 1, "Add": 1})
def two_matmuls_of_rank_3_joined(n):
    x = n.input("x", (2, 5, 13))
    a, b = (n.binary("Add", n.matmul(x, 7), n.const(n.shifts(7))) for _ in range(2))
    n.output(n.add(a, b))


@case([{"MatMul": 1}, {"Gemm": 1}], rank=[2, 3])
def two_matmuls_joined(n, rank):
    x = n.input("x", (2, 5, 13)[3 - rank:])
    n.output(n.add(n.matmul(x, 7), n.matmul(x, 7)))


# Types and storage


@case(CONV, stride=[1, 2], versions=[(9, 4), (14, 7), (15, 8), (NEWEST, 13)], dtype="float16")
def float16(n, stride):
    n.output(rvgg(n, n.input("x", X), stride))


@case(CONV, stride=[1, 2], opset=[22, NEWEST], ir=10, dtype="bfloat16")
def bfloat16(n, stride):
    n.output(rvgg(n, n.input("x", X), stride))


# Opset 14 at least: onnx.reference takes BatchNormalization-9 for the training form.
@case(CONV, stride=[1, 2], group=[1, 3], versions=[(14, 7), (NEWEST, 13)], dtype="float64")
def double(n, stride, group):
    n.output(rvgg(n, n.input("x", X), stride, group))


@case({"Gemm": 1}, dtype=["float64", "float16"])
def gemm_types(n):
    x = n.input("x", (3, 13))
    n.output(n.add(n.gemm(x, 7), n.bn(n.gemm(x, 7))))


@case(CONV, storage=["raw", "typed", "constant", "floats", "external"], dtype="float32", group=[1, 2])
def stored_float(n, group):
    n.output(rvgg(n, n.input("x", X), group=group))


@case(CONV, storage=["raw", "typed", "constant", "external"], dtype=["float16", "float64"])
def stored_other(n):
    n.output(rvgg(n, n.input("x", X)))


@case(CONV, storage=["raw", "typed", "constant", "external"], opset=22, ir=10, dtype="bfloat16")
def stored_bfloat16(n):
    n.output(rvgg(n, n.input("x", X)))


# Subgraphs and functions


@case({"If": 1, "Conv": 2}, outer=[False, True], versions=[(11, 6), (13, 7), (NEWEST, 13)])
def inside_if(n, outer):
    """Blocks in both branches, over a value captured from outside; their weights may be outside as well."""
    x, flag = n.input("x", X), n.input("flag", (), dtype=bool)
    graphs = []
    for k in (3, 5):
        s = n.sub()
        home = n if outer else s
        weights = [home.const(n.kernel(6, 6, (i, i)), n.fresh("if.weight")) for i in (k, 1)]
        stats = [home.const(v, n.fresh("if.stat")) for v in (n.away(6), n.shifts(6), n.shifts(6), n.rng.uniform(0.3, 2.5, 6))]
        s.output(s.add(s.bn(s.conv(x, 6, k, weight=weights[0]), stats=stats), s.conv(x, 6, 1, weight=weights[1]), x))
        graphs.append(s.graph(f"branch{k}"))
    n.output(n.node("If", [flag], then_branch=graphs[0], else_branch=graphs[1], types=[tensor_type(n.elem(), X)]))


@case({"If": 1, "Conv": 3, "Relu": 1})
def before_and_inside_if(n):
    flag = n.input("flag", (), dtype=bool)
    x = n.relu(rvgg(n, n.input("x", X)))
    graphs = []
    for k in (3, 1):
        s = n.sub()
        s.output(rvgg(s, x) if k == 3 else s.add(s.convbn(x, 6, 1), x))
        graphs.append(s.graph(f"branch{k}"))
    n.output(n.node("If", [flag], then_branch=graphs[0], else_branch=graphs[1], types=[tensor_type(n.elem(), X)]))


@case({"If": 2, "Conv": 3})
def if_inside_if(n):
    x, flag = n.input("x", X), n.input("flag", (), dtype=bool)
    s = n.sub()
    graphs = []
    for _ in range(2):
        t = s.sub()
        t.output(rvgg(t, x))
        graphs.append(t.graph(t.fresh("inner")))
    s.output(s.node("If", [flag], then_branch=graphs[0], else_branch=graphs[1], types=[tensor_type(n.elem(), X)]))
    t = n.sub()
    t.output(t.add(t.convbn(x, 6, 3), x))
    n.output(n.node("If", [flag], then_branch=s.graph("outer"), else_branch=t.graph("else"), types=[tensor_type(n.elem(), X)]))


def loop(n, x, build):
    """A Loop over a state shaped like x; build(body, state) gives the next one."""
    trips = n.input("trips", (), dtype=np.int64)
    s = n.sub()
    s.input("i", (), dtype=np.int64)
    keep = s.input("keep", (), dtype=bool)
    state = s.input("state", X)
    s.output(s.identity(keep), s.node("Tanh", [build(s, state)]))
    return n.node("Loop", [trips, n.const(np.array(True)), x], body=s.graph("body"), types=[tensor_type(n.elem(), X)])


@case({"Loop": 1, "Conv": 1, "Tanh": 1, "Identity": 1}, versions=[(11, 6), (13, 7), (NEWEST, 13)])
def inside_loop(n):
    n.output(loop(n, n.input("x", X), rvgg))


@case({"Loop": 1, "Conv": 1, "Tanh": 1, "Identity": 1})
def inside_loop_with_outer_weights(n):
    w3, w1 = n.const(n.kernel(6, 6, (3, 3))), n.const(n.kernel(6, 6, (1, 1)))
    stats = [n.const(v) for v in (n.away(6), n.shifts(6), n.shifts(6), n.rng.uniform(0.3, 2.5, 6))]
    n.output(loop(n, n.input("x", X), lambda s, v: s.add(
        s.bn(s.conv(v, 6, 3, weight=w3), stats=stats), s.bn(s.conv(v, 6, 1, weight=w1), stats=stats), v)))


@case({"Loop": 1, "Conv": 2, "Relu": 1, "Add": 1, "Tanh": 1, "Identity": 1})
def inside_loop_over_a_captured_value(n):
    x = n.input("x", X)
    z = n.relu(rvgg(n, x))
    n.output(loop(n, x, lambda s, v: s.add(v, rvgg(s, z))))


@case({"Block": 1, "Conv": 1, "Relu": 1}, versions=[(15, 8), (17, 8), (NEWEST, 13)])
def inside_a_function(n):
    x = n.input("x", X)
    types = n.function("tests.local", "Block", {"v": n.type_of(x)}, lambda f, v: f.relu(rvgg(f, v)))
    n.output(n.node("Block", [x], domain="tests.local", types=types))


@case({"Block": 2, "Conv": 2, "Relu": 3})
def function_called_twice(n):
    x = n.input("x", X)
    types = n.function("tests.local", "Block", {"v": n.type_of(x)}, lambda f, v: f.relu(rvgg(f, v, group=2)))
    y = n.node("Block", [x], domain="tests.local", types=types)
    y = n.relu(rvgg(n, n.relu(y)))
    n.output(n.node("Block", [y], domain="tests.local", types=types))


# The checks


def check_report(report, before, after, data, tolerance, external):
    assert report["schema"] == 1 and report["tool"] == "onnx-repvgg-fuse"
    assert report["changed"] is True and report["fusions"]
    assert report["warnings"] == []
    for side, model in (("before", before), ("after", after)):
        listed = {k: v for k, v in report[side]["by_type"].items() if k != "Constant"}
        assert listed == count_ops(model), side
    if not external:
        assert report["after"]["bytes"] == len(data)
    kept = {o for n in before.graph.node for o in n.output}
    for f in report["fusions"]:
        assert f["replaced"] and f["output"] and f["pass"]
        assert f["difference"] is None or f["difference"] <= tolerance
        assert f["multiply_adds_after"] <= f["multiply_adds_before"], f
        assert f["parameters_after"] <= f["parameters_before"] + 4096 / 4, f  # a few numbers pay for ops that go
    assert adds_up(report), report["fusions"]
    assert report["largest_difference"] <= tolerance
    # The last op's output keeps its name: every value that is still made was made before
    # (but for the one between a MatMul and its new Add, and the parts of a sum that folds in part).
    made = {o for n in after.graph.node if n.op_type != "Constant" for o in n.output}
    apart = {name for name in made - kept if not (".fused" in name or ".sum" in name)}
    assert not apart or "MatMul" in count_ops(after), apart


@table.parametrize()
def test_fold(case, tmp_path):
    before = case.net().model()
    check_valid(before)
    result = fuse(before, tmp_path, external=case.external)
    assert result.code == 0, result.stderr
    after = result.model
    expected = case.expect if isinstance(case.expect, list) else [case.expect]
    assert count_ops(after) in expected, result.reasons()
    check_valid(after)
    same_interface(before, after)
    check_tidy(after, before)
    assert_equal_under_ort(before, after)
    check_report(result.report, before, after, result.data, tolerance_for(before), case.external)

    data = result.data
    assert fuse(before, tmp_path, external=case.external).data == data, "two runs differ"
    again = fuse(data, tmp_path, stem="again")
    assert again.code == 0 and again.data == data, "the output folds further"
    assert again.report["changed"] is False and again.report["fusions"] == []

    if not case.external:
        other = fuse(reordered(before, case.seed), tmp_path, stem="reordered")
        assert count_ops(other.model) in expected, "the order of the nodes matters"
        assert_equal_under_ort(before, other.model)

