#!/usr/bin/env python3
"""Write the small train-form models of this folder.

Each is named and laid out as torch's exporter names and lays out the network it
comes from, BatchNormalization kept, with seeded random weights and statistics.
The same versions of onnx and numpy always write the same bytes.

usage: make_models.py [-o FOLDER]     (default: the folder of this script)
needs: onnx, numpy
"""
import argparse
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 13
IR_VERSION = 8
EPSILON = 1e-5


class Net:
    """A graph under construction. Values are named by strings, as in ONNX.

    A module path such as "stage1.0.rbr_dense.conv" gives the node name
    "/stage1.0/rbr_dense/conv/Conv", its output with "_output_0" appended, and
    the prefix of its initializers.
    """

    def __init__(self, name, seed, dtype=np.float32):
        self.name = name
        self.rng = np.random.default_rng(seed)
        self.dtype = np.dtype(dtype)
        self.elem = helper.np_dtype_to_tensor_dtype(self.dtype)
        self.nodes, self.initializers, self.inputs = [], [], []
        self.channels = {}
        self.used = set()

    def input(self, name, shape, elem=None):
        self.inputs.append(helper.make_tensor_value_info(name, elem or self.elem, shape))
        self.channels[name] = shape[1] if len(shape) > 1 else 0
        return name

    def param(self, name, values):
        array = np.ascontiguousarray(values, dtype=self.dtype)
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def op(self, op, inputs, scope, channels=None, **attributes):
        base = "/" + scope.replace(".", "/") if scope else ""
        name = f"{base}/{op}"
        n = 0
        while name in self.used:
            n += 1
            name = f"{base}/{op}_{n}"
        self.used.add(name)
        out = f"{name}_output_0"
        self.nodes.append(helper.make_node(op, inputs, [out], name=name, **attributes))
        self.channels[out] = channels if channels is not None else self.channels.get(inputs[0], 0) if inputs else 0
        return out

    def constant(self, scope, array):
        return self.op("Constant", [], scope, value=numpy_helper.from_array(np.asarray(array)))

    def conv(self, x, cout, kernel, scope, stride=1, pad=None, group=1, bias=False, weight_plus=None):
        cin = self.channels[x]
        kernel = tuple(kernel)
        rank = len(kernel)
        pad = [k // 2 for k in kernel] if pad is None else list(pad)
        w = self.rng.normal(0, (cin // group * np.prod(kernel)) ** -0.5, (cout, cin // group, *kernel))
        if weight_plus is not None:
            w = w + weight_plus
        names = [x, self.param(f"{scope}.weight", w)]
        if bias:
            names.append(self.param(f"{scope}.bias", self.rng.normal(0, 0.1, cout)))
        return self.op("Conv", names, scope, channels=cout, dilations=[1] * rank, group=group,
                       kernel_shape=list(kernel), pads=pad + pad, strides=[stride] * rank)

    def bn_values(self, channels):
        return (self.rng.uniform(0.4, 1.1, channels), self.rng.normal(0, 0.1, channels),
                self.rng.normal(0, 0.1, channels), self.rng.uniform(0.5, 1.5, channels))

    def bn(self, x, scope, values=None):
        gamma, beta, mean, var = values or self.bn_values(self.channels[x])
        names = [x, self.param(f"{scope}.weight", gamma), self.param(f"{scope}.bias", beta),
                 self.param(f"{scope}.running_mean", mean), self.param(f"{scope}.running_var", var)]
        return self.op("BatchNormalization", names, scope, epsilon=EPSILON, momentum=0.9)

    def conv_bn(self, x, cout, kernel, scope, **keywords):
        return self.bn(self.conv(x, cout, kernel, f"{scope}.conv", **keywords), f"{scope}.bn")

    def add(self, values, scope):
        total = values[0]
        for v in values[1:]:
            total = self.op("Add", [total, v], scope)
        return total

    def relu(self, x, scope):
        return self.op("Relu", [x], scope)

    def graph(self, outputs):
        """outputs: (value, public name, shape). The value takes the public name."""
        for old, new, _ in outputs:
            for node in self.nodes:
                for names in (node.input, node.output):
                    for i, v in enumerate(names):
                        if v == old:
                            names[i] = new
        infos = [helper.make_tensor_value_info(new, self.elem, shape) for _, new, shape in outputs]
        return helper.make_graph(self.nodes, self.name, self.inputs, infos, self.initializers)

    def model(self, value, shape):
        return finish(self.graph([(value, "output", shape)]))


def finish(graph):
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)],
                              ir_version=IR_VERSION, producer_name="make_models.py")
    model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    onnx.checker.check_model(model, full_check=True)
    return model


# ---- blocks ----

def repvgg_block(net, x, cout, scope, stride=1, rank=2, kernel=3):
    """arXiv 2101.03697: dense + 1x1 + identity, each with its BN."""
    parts = [net.conv_bn(x, cout, [kernel] * rank, f"{scope}.rbr_dense", stride=stride),
             net.conv_bn(x, cout, [1] * rank, f"{scope}.rbr_1x1", stride=stride)]
    if stride == 1 and net.channels[x] == cout:
        parts.append(net.bn(x, f"{scope}.rbr_identity"))
    return net.relu(net.add(parts, scope), f"{scope}.nonlinearity")


def mobileone_branches(net, x, cout, kernel, scope, stride=1, group=1, branches=4, act=True):
    """arXiv 2206.04040: identity BN, 1x1 scale branch, N parallel kxk branches."""
    out = None
    if stride == 1 and net.channels[x] == cout:
        out = net.bn(x, f"{scope}.rbr_skip")
    if kernel > 1:
        scale = net.conv_bn(x, cout, [1, 1], f"{scope}.rbr_scale", stride=stride, group=group)
        out = scale if out is None else net.op("Add", [scale, out], scope)
    for i in range(branches):
        b = net.conv_bn(x, cout, [kernel] * 2, f"{scope}.rbr_conv.{i}", stride=stride, group=group)
        out = b if out is None else net.op("Add", [out, b], scope)
    return net.relu(out, f"{scope}.activation") if act else out


# ---- models ----

def repvgg_small():
    """A whole RepVGG of A0's depth: stages of 1, 2, 4, 14 and 1 blocks, narrow."""
    net = Net("main_graph", 1)
    x = net.input("input", ["N", 3, 64, 64])
    x = repvgg_block(net, x, 16, "stage0", stride=2)
    for stage, (blocks, width) in enumerate(((2, 16), (4, 24), (14, 48), (1, 96)), 1):
        for i in range(blocks):
            x = repvgg_block(net, x, width, f"stage{stage}.{i}", stride=2 if i == 0 else 1)
    x = net.op("GlobalAveragePool", [x], "gap")
    x = net.op("Flatten", [x], "", axis=1)
    w = net.param("linear.weight", net.rng.normal(0, 96 ** -0.5, (10, 96)))
    b = net.param("linear.bias", net.rng.normal(0, 0.1, 10))
    x = net.op("Gemm", [x, w, b], "linear", channels=10, alpha=1.0, beta=1.0, transB=1)
    return net.model(x, ["N", 10])


def mobileone_stack():
    """A MobileOne stem and two depthwise/pointwise pairs, four branches each."""
    net = Net("main_graph", 2)
    x = net.input("input", ["N", 3, 33, 29])
    x = mobileone_branches(net, x, 12, 3, "stage0", stride=2)
    for i, (width, stride) in enumerate(((12, 1), (20, 2))):
        cin = net.channels[x]
        x = mobileone_branches(net, x, cin, 3, f"stage1.{2 * i}", stride=stride, group=cin)
        x = mobileone_branches(net, x, width, 1, f"stage1.{2 * i + 1}")
    return net.model(x, ["N", 20, 9, 8])


def acnet_block():
    """arXiv 1908.03930: 3x3 + 3x1 + 1x3, padded, then unpadded with cropping Slices."""
    net = Net("main_graph", 3)
    x = net.input("input", ["N", 6, 13, 17])
    for name, pad in (("block1", 1), ("block2", 0)):
        square = net.bn(net.conv(x, 8, [3, 3], f"{name}.square_conv", pad=[pad, pad]), f"{name}.square_bn")
        parts = [square]
        for side, kernel, axis in (("ver", (3, 1), 3), ("hor", (1, 3), 2)):
            v = x
            if pad == 0:
                # The crop takes away the columns (rows) that the thin kernel would reach past the square one.
                scope = f"{name}.{side}_conv_crop_layer"
                bounds = [net.constant(scope, np.array([n], np.int64)) for n in (1, -1)]
                axes = net.constant(scope, np.array([axis], np.int64))
                steps = net.constant(scope, np.array([1], np.int64))
                v = net.op("Slice", [x, bounds[0], bounds[1], axes, steps], scope)
            p = [pad if k == 3 else 0 for k in kernel]
            v = net.conv(v, 8, kernel, f"{name}.{side}_conv", pad=p)
            parts.append(net.bn(v, f"{name}.{side}_bn"))
        x = net.relu(net.add(parts, name), f"{name}.nonlinear")
    return net.model(x, ["N", 8, 11, 15])


def dbb_block():
    """arXiv 2103.13425: dense + 1x1 + (1x1, border, AveragePool) + (1x1, border, 3x3).

    Both borders hold what BN makes of 0; the exporter writes that as a Pad whose border is overwritten by ScatterND,
    with indices that name every element, so the batch is fixed.
    """
    net = Net("main_graph", 4)
    channels, h, w = 6, 9, 11
    x = net.input("input", [1, channels, h, w])

    def bn_and_pad(v, scope):
        values = [a.astype(np.float32) for a in net.bn_values(channels)]
        gamma, beta, mean, var = values
        v = net.bn(v, f"{scope}.bn", values)
        border = (beta - mean * gamma / np.sqrt(var + np.float32(EPSILON))).astype(np.float32)
        pads = net.constant(scope, np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
        zero = net.constant(scope, np.array(0, np.float32))
        v = net.op("Pad", [v, pads, zero], scope, mode="constant")
        for rows, columns in ((slice(0, 1), slice(None)), (slice(h + 1, h + 2), slice(None)),
                              (slice(None), slice(0, 1)), (slice(None), slice(w + 1, w + 2))):
            grid = np.stack(np.meshgrid(np.arange(1), np.arange(channels), np.arange(h + 2), np.arange(w + 2),
                                        indexing="ij"), axis=-1)[:, :, rows, columns]
            updates = np.broadcast_to(border[None, :, None, None], grid.shape[:-1])
            v = net.op("ScatterND", [v, net.constant(scope, grid.astype(np.int64)),
                                     net.constant(scope, np.ascontiguousarray(updates))], scope)
        return v

    origin = net.conv_bn(x, channels, [3, 3], "dbb_origin")
    one = net.conv_bn(x, channels, [1, 1], "dbb_1x1")
    avg = bn_and_pad(net.conv(x, channels, [1, 1], "dbb_avg.conv"), "dbb_avg.bn")
    avg = net.op("AveragePool", [avg], "dbb_avg.avg", ceil_mode=0, count_include_pad=1, kernel_shape=[3, 3],
                 pads=[0, 0, 0, 0], strides=[1, 1])
    avg = net.bn(avg, "dbb_avg.avgbn")
    identity = np.eye(channels)[:, :, None, None]
    kxk = bn_and_pad(net.conv(x, channels, [1, 1], "dbb_1x1_kxk.idconv1", weight_plus=identity), "dbb_1x1_kxk.bn1")
    kxk = net.bn(net.conv(kxk, channels, [3, 3], "dbb_1x1_kxk.conv2", pad=[0, 0]), "dbb_1x1_kxk.bn2")
    x = net.relu(net.add([origin, one, avg, kxk], ""), "nonlinear")
    return net.model(x, [1, channels, h, w])


def replknet_block():
    """arXiv 2203.06717: BN, 1x1, depthwise 31x31 + 5x5, 1x1, residual."""
    net = Net("main_graph", 5)
    channels = 8
    x = net.input("input", ["N", channels, 19, 23])
    y = net.bn(x, "prelkb_bn")
    y = net.relu(net.conv_bn(y, channels, [1, 1], "pw1"), "pw1.nonlinear")
    y = net.add([net.conv_bn(y, channels, [31, 31], "large_kernel.lkb_origin", group=channels),
                 net.conv_bn(y, channels, [5, 5], "large_kernel.small_conv", group=channels)], "large_kernel")
    y = net.relu(y, "lk_nonlinear")
    y = net.conv_bn(y, channels, [1, 1], "pw2")
    return net.model(net.op("Add", [x, y], ""), ["N", channels, 19, 23])


def qarepvgg_block():
    """arXiv 2212.01593: only the 3x3 branch has a BN of its own, one more BN after the sum."""
    net = Net("main_graph", 6)
    channels = 12
    x = net.input("input", ["N", channels, 15, 12])
    dense = net.conv_bn(x, channels, [3, 3], "rbr_dense")
    y = net.add([dense, net.conv(x, channels, [1, 1], "rbr_1x1"), x], "")
    y = net.relu(net.bn(y, "bn"), "nonlinearity")
    return net.model(y, ["N", channels, 15, 12])


def repmixer_block():
    """arXiv 2303.14189: x + scale * (mixer(x) - norm(x)), then the convolutional FFN."""
    net = Net("main_graph", 7)
    channels = 10
    shape = ["N", channels, 14, 9]
    x = net.input("input", shape)
    scope = "token_mixer"
    norm = net.bn(x, f"{scope}.norm.rbr_skip")
    mixer = mobileone_branches(net, x, channels, 3, f"{scope}.mixer", group=channels, branches=1, act=False)
    delta = net.op("Sub", [mixer, norm], scope)
    scale = net.param(f"{scope}.layer_scale", net.rng.uniform(0.2, 0.8, (channels, 1, 1)))
    x = net.op("Add", [x, net.op("Mul", [scale, delta], scope, channels=channels)], scope)
    y = net.conv_bn(x, channels, [7, 7], "convffn.conv", group=channels)
    y = net.conv(y, 3 * channels, [1, 1], "convffn.fc1", bias=True)
    y = net.relu(y, "convffn.act")
    y = net.conv(y, channels, [1, 1], "convffn.fc2", bias=True)
    scale = net.param("layer_scale", net.rng.uniform(0.2, 0.8, (channels, 1, 1)))
    y = net.op("Mul", [scale, y], "", channels=channels)
    return net.model(net.op("Add", [x, y], ""), shape)


def conv1d_stack():
    """RepVGG blocks over a sequence, kernels of 5."""
    net = Net("main_graph", 8)
    x = net.input("input", ["N", 7, 50])
    x = repvgg_block(net, x, 12, "layers.0", stride=2, rank=1, kernel=5)
    x = repvgg_block(net, x, 12, "layers.1", rank=1, kernel=5)
    return net.model(x, ["N", 12, 25])


def repvgg_fp16():
    """Two RepVGG blocks in float16 throughout."""
    net = Net("main_graph", 9, np.float16)
    x = net.input("input", ["N", 3, 17, 15])
    x = repvgg_block(net, x, 16, "stage0", stride=2)
    x = repvgg_block(net, x, 16, "stage1.0")
    return net.model(x, ["N", 16, 9, 8])


def if_body():
    """A RepVGG block in the then-branch of an If; its source is captured from outside."""
    net = Net("main_graph", 10)
    channels = 8
    shape = ["N", channels, 9, 7]
    x = net.input("input", shape)
    net.input("refine", [], TensorProto.BOOL)
    x = net.relu(net.conv_bn(x, channels, [3, 3], "stem"), "stem.act")

    then = Net("then_branch", 11)
    then.channels[x] = channels
    y = repvgg_block(then, x, channels, "block")
    then_graph = then.graph([(y, "then_out", shape)])
    net.initializers += then_graph.initializer
    del then_graph.initializer[:]

    other = Net("else_branch", 12)
    other.channels[x] = channels
    else_graph = other.graph([(other.op("Identity", [x], "skip"), "else_out", shape)])
    y = net.op("If", ["refine"], "", then_branch=then_graph, else_branch=else_graph)
    return net.model(y, shape)


MODELS = (repvgg_small, mobileone_stack, acnet_block, dbb_block, replknet_block, qarepvgg_block,
          repmixer_block, conv1d_stack, repvgg_fp16, if_body)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("-o", dest="folder", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent)
    folder = p.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for make in MODELS:
        path = folder / f"{make.__name__}.onnx"
        path.write_bytes(make().SerializeToString(deterministic=True))
        print(path)


if __name__ == "__main__":
    main()
