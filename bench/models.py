#!/usr/bin/env python3
"""Write seeded models of any size for the benchmarks.

Everything is streamed: a tensor's numbers are drawn when they are written, in parts, so that
8 GB of weights need no 8 GB of memory. A tensor's numbers depend on the seed and its name alone;
the same version of numpy always writes the same bytes. The protobuf encoding is made here, as
protobuf's own library stops at 2 GiB.

Prints the number of ops.

usage: models.py KIND -o FILE [options]; models.py KIND --help
needs: numpy
"""
import argparse
import functools
import mmap
import pathlib
import struct
import sys
import zlib

import numpy as np

MIB = 1 << 20
ALIGNMENT = 4096  # of each tensor in a data file, as ONNX advises for mmap
PART = 16 * MIB
FLOAT, INT64, BOOL = 1, 7, 9
B3_WIDTHS, B3_DEPTHS = (64, 192, 384, 768, 2560), (1, 4, 6, 16, 1)
EPSILON = 1e-5


# Protobuf's wire format


@functools.cache
def varint(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def head(number, length):
    """Key and length of a length-delimited field."""
    return varint(number << 3 | 2) + varint(length)


def blob(number, data):
    return head(number, len(data)) + data


def text(number, value):
    return blob(number, value.encode())


def integer(number, value):
    return varint(number << 3) + varint(value % (1 << 64))


def attribute(name, value):
    body = text(1, name)
    if isinstance(value, bytes):  # a GraphProto
        return body + blob(6, value) + integer(20, 5)
    if isinstance(value, float):
        return body + b"\x15" + struct.pack("<f", value) + integer(20, 1)
    if isinstance(value, int):
        return body + integer(3, value) + integer(20, 2)
    return body + b"".join(integer(8, v) for v in value) + integer(20, 7)


def node(op, inputs, outputs, name="", **attributes):
    return b"".join([*(text(1, i) for i in inputs), *(text(2, o) for o in outputs), text(3, name) if name else b"", text(4, op),
                     *(blob(5, attribute(k, v)) for k, v in attributes.items())])


def value_info(name, shape, elem=FLOAT):
    dims = b"".join(blob(1, text(2, d) if isinstance(d, str) else integer(1, d)) for d in shape)
    return text(1, name) + blob(2, blob(1, integer(1, elem) + blob(2, dims)))


# Models


class Tensor:
    """A float tensor: `values` holds its numbers, or `kind` says how they are drawn."""

    def __init__(self, name, dims, kind, values=None):
        self.name, self.dims, self.kind, self.given = name, tuple(dims), kind, values
        self.bytes = 4 * int(np.prod(self.dims, dtype=np.int64))

    def parts(self, seed):
        if self.given is not None:
            yield np.ascontiguousarray(self.given, dtype="<f4")
            return
        rng = np.random.Generator(np.random.SFC64([seed, zlib.crc32(self.name.encode())]))
        left = self.bytes // 4
        while left:
            n = min(left, PART // 4)
            if self.kind in ("scale", "var"):
                yield (rng.random(n, dtype=np.float32) + np.float32(0.5)).astype("<f4", copy=False)
            else:
                fan_in = np.prod(self.dims[1:]) if self.kind == "conv" else self.dims[0] if self.kind == "matmul" else 100
                yield (rng.standard_normal(n, dtype=np.float32) * np.float32(fan_in ** -0.5)).astype("<f4", copy=False)
            left -= n

    def values(self, seed):
        return np.concatenate(list(self.parts(seed))).reshape(self.dims)

    def header(self):
        return b"".join(integer(1, d) for d in self.dims) + integer(2, FLOAT) + text(8, self.name)


class Model:
    """A graph under construction. A value is its name; `deploy` asks for the form after fusion."""

    def __init__(self, seed=0, deploy=False):
        self.seed, self.deploy = seed, deploy
        self.nodes, self.tensors, self.inputs, self.outputs = [], [], [], []
        self.count = 0

    def input(self, name, shape, elem=FLOAT):
        self.inputs.append(blob(11, value_info(name, shape, elem)))
        return name

    def output(self, name, shape, elem=FLOAT):
        self.outputs.append(blob(12, value_info(name, shape, elem)))

    def tensor(self, name, dims, kind, values=None):
        self.tensors.append(Tensor(name, dims, kind, values))
        return name

    def op(self, op, inputs, name, **attributes):
        out = name + "_output_0"
        self.nodes.append(blob(1, node(op, inputs, [out], name, **attributes)))
        self.count += 1
        return out

    # Layers

    def norm(self, x, channels, scope):
        tensors = [self.tensor(f"{scope}.{n}", [channels], k)
                   for n, k in (("weight", "scale"), ("bias", "shift"), ("running_mean", "shift"), ("running_var", "var"))]
        return self.op("BatchNormalization", [x, *tensors], f"/{scope}/BatchNormalization", epsilon=EPSILON)

    def conv(self, x, dims, scope, stride=1, groups=1, pads=None, dilation=1, values=None, bias=None):
        kernel = dims[2:]
        if pads is None:  # "same"
            pads = [dilation * (k - 1) // 2 for k in kernel] * 2
        inputs = [x, self.tensor(f"{scope}.weight", dims, "conv", values)]
        if bias is not None:
            inputs.append(self.tensor(f"{scope}.bias", [dims[0]], "shift", bias))
        return self.op("Conv", inputs, f"/{scope}/Conv", kernel_shape=kernel, strides=[stride] * len(kernel),
                       pads=pads, dilations=[dilation] * len(kernel), group=groups)

    def block(self, x, cin, cout, scope, kernels=((3, 3), (1, 1)), identity=None, stride=1, groups=1, dilations=None, relu=True):
        """Parallel Conv+BN of the kernel sizes (and BN of x), summed: RepVGG's block and its descendants.

        Deployed it is one Conv of the union of the kernels, made here by numpy in double."""
        rank = len(kernels[0])
        dilations = dilations or [1] * len(kernels)
        if identity is None:
            identity = cin == cout and stride == 1
        scopes = [f"{scope}.branch_{i}" for i in range(len(kernels))]
        if self.deploy:
            y = self.deployed(x, cin, cout, scope, scopes, kernels, dilations, identity, stride, groups)
        else:
            leaves = []
            for s, k, d in zip(scopes, kernels, dilations):
                c = self.conv(x, [cout, cin // groups, *k], f"{s}.conv", stride, groups, dilation=d)
                leaves.append(self.norm(c, cout, f"{s}.bn"))
            if identity:
                leaves.append(self.norm(x, cin, f"{scope}.identity"))
            y = leaves[0]
            for i, leaf in enumerate(leaves[1:]):
                y = self.op("Add", [y, leaf], f"/{scope}/Add" + (f"_{i}" if i else ""))
        assert rank in (1, 2)
        return self.op("Relu", [y], f"/{scope}/relu/Relu") if relu else y

    def deployed(self, x, cin, cout, scope, scopes, kernels, dilations, identity, stride, groups):
        extents = [[d * (n - 1) + 1 for n in k] for k, d in zip(kernels, dilations)]
        box = [max(e[a] for e in extents) for a in range(len(kernels[0]))]
        weight, bias = np.zeros([cout, cin // groups, *box]), np.zeros(cout)

        def draw(name, dims, kind):
            return Tensor(name, dims, kind).values(self.seed).astype(np.float64)

        def norm(s):
            gamma, beta, mean, var = (draw(f"{s}.{n}", [cout], k) for n, k in (
                ("weight", "scale"), ("bias", "shift"), ("running_mean", "shift"), ("running_var", "var")))
            t = gamma / np.sqrt(var + EPSILON)
            return t, beta - mean * t

        for s, k, d, e in zip(scopes, kernels, dilations, extents):
            w = draw(f"{s}.conv.weight", [cout, cin // groups, *k], "conv")
            t, shift = norm(f"{s}.bn")
            place = tuple(slice((b - n) // 2, (b - n) // 2 + n, d) for b, n in zip(box, e))
            weight[(slice(None), slice(None), *place)] += w * t.reshape([-1] + [1] * (w.ndim - 1))
            bias += shift
        if identity:
            t, shift = norm(f"{scope}.identity")
            o = np.arange(cout)
            weight[(o, o % (cin // groups), *((b - 1) // 2 for b in box))] += t
            bias += shift
        return self.conv(x, weight.shape, f"{scope}.reparam", stride, groups, values=weight, bias=bias)

    # Writing

    def write(self, path, data=None, files=1):
        """Write the model to `path`; tensors of at least 1 KiB to data files beside it when `data` (a name) is given."""
        path = pathlib.Path(path)
        names = [data] if files == 1 else [f"{data}.{i}" for i in range(files)]
        ends = [0] * files
        places, per_file = {}, -(-sum(t.bytes for t in self.tensors) // files)
        at = 0
        if data:
            for t in self.tensors:
                if t.bytes >= 1024:
                    while at + 1 < files and ends[at] >= per_file:
                        at += 1
                    offset = -(-ends[at] // ALIGNMENT) * ALIGNMENT
                    places[t.name] = (at, offset)
                    ends[at] = offset + t.bytes

        def entries(t):
            where, offset = places[t.name]
            pairs = {"location": names[where], "offset": str(offset), "length": str(t.bytes)}
            return b"".join(blob(13, text(1, k) + text(2, v)) for k, v in pairs.items()) + integer(14, 1)

        heads = []  # of each initializer, up to where its numbers begin
        for t in self.tensors:
            start = t.header()
            if t.name in places:
                start += entries(t)
                heads.append(head(5, len(start)) + start)
            else:
                start += head(9, t.bytes)
                heads.append(head(5, len(start) + t.bytes) + start)
        inline = sum(t.bytes for t in self.tensors if t.name not in places)
        name = text(2, "main_graph")
        size = sum(map(len, self.nodes)) + len(name) + sum(map(len, heads)) + inline + sum(map(len, self.inputs + self.outputs))
        with open(path, "wb") as f:
            f.write(integer(1, 8) + text(2, "bench/models.py") + head(7, size))
            f.writelines(self.nodes)
            f.write(name)
            for t, start in zip(self.tensors, heads):
                f.write(start)
                if t.name not in places:
                    for part in t.parts(self.seed):
                        f.write(part.data)
            f.writelines(self.inputs + self.outputs)
            f.write(blob(8, integer(2, 17)))
        opened = [open(path.parent / n, "wb") for n in names] if data else []
        try:
            for t in self.tensors:
                if t.name in places:
                    where, offset = places[t.name]
                    opened[where].seek(offset)
                    for part in t.parts(self.seed):
                        opened[where].write(part.data)
        finally:
            for f in opened:
                f.close()
        return path


def repvgg(widths=B3_WIDTHS, depths=B3_DEPTHS, classes=1000, size=224, groups=1, seed=0, deploy=False):
    """RepVGG's train form (arXiv 2101.03697) as torch exports it; with B3's widths and depths 492 MB."""
    m = Model(seed, deploy)
    x, cin = m.input("input", ["N", 3, size, size]), 3
    for stage, (width, depth) in enumerate(zip(widths, depths)):
        for i in range(depth):
            x = m.block(x, cin, width, f"stage{stage}.{i}", stride=1 if i else 2, groups=groups if stage and i % 2 else 1)
            cin = width
    x = m.op("GlobalAveragePool", [x], "/gap/GlobalAveragePool")
    x = m.op("Flatten", [x], "/Flatten", axis=1)
    m.tensor("linear.weight", [classes, cin], "conv")
    m.tensor("linear.bias", [classes], "shift")
    m.output(m.op("Gemm", [x, "linear.weight", "linear.bias"], "/linear/Gemm", transB=1), ["N", classes])
    return m


def repvgg_of(size, **more):
    """RepVGG with B3's depths, its widths scaled so that it has about `size` bytes."""
    low, high = 0.01, 20.0

    def widths(f):
        return [max(4, int(w * f) // 4 * 4) for w in B3_WIDTHS]

    def total(f):
        w, cin, n = widths(f), 3, 0
        for width, depth in zip(w, B3_DEPTHS):
            for _ in range(depth):
                n += width * cin * 10 + 8 * width + (4 * width if cin == width else 0)
                cin = width
        return 4 * (n + 1000 * cin + 1000)

    for _ in range(40):
        f = (low + high) / 2
        low, high = (f, high) if total(f) < size else (low, f)
    return repvgg(widths(high), **more)


def large(size, share=0.01, width=4096, seed=0):
    """Mostly untouched MatMul weights; RepVGG blocks hold about `share` of the bytes."""
    m = Model(seed)
    x = m.input("image", ["N", 3, 32, 32])
    c = max(8, min(1024, int((size * share / 80) ** 0.5) // 8 * 8))  # two blocks of 10 c^2 floats at least
    x = m.block(x, 3, c, "stem", stride=2)
    for i in range(max(1, round(size * share / (40 * c * c)))):
        x = m.block(x, c, c, f"block{i}")
    m.output(x, ["N", c, 16, 16])
    y = m.input("tokens", ["N", width])
    for i in range(max(1, round(size * (1 - share) / (4 * width * width)))):
        y = m.op("MatMul", [y, m.tensor(f"layer{i}.weight", [width, width], "matmul")], f"/layer{i}/MatMul")
        y = m.op("Relu", [y], f"/layer{i}/Relu")
    m.output(y, ["N", width])
    return m


def chain(nodes, kind="mixed", seed=0):
    """A chain of small ops on 4 channels. In 'mixed' most of them fold, in 'plain' none does."""
    m = Model(seed)
    x = m.input("x", ["N", 4, 5, 7])
    for i in range(nodes):
        step = i % 5
        if step == 0 or kind == "plain":
            x = m.op(("Relu", "Sigmoid", "Abs", "Tanh", "Relu")[step], [x], f"n{i}")
        elif step == 1:
            x = m.op("Add", [x, m.tensor(f"c{i}", [4, 1, 1], "shift")], f"n{i}")
        elif step == 2:
            x = m.op("Conv", [x, m.tensor(f"c{i}", [4, 4, 1, 1], "conv")], f"n{i}", kernel_shape=[1, 1])
        elif step == 3:
            x = m.op("Mul", [x, m.tensor(f"c{i}", [4, 1, 1], "scale")], f"n{i}")
        else:
            x = m.op("Identity", [x], f"n{i}")
    m.output(x, ["N", 4, 5, 7])
    return m


def blocks(nodes, seed=0):
    """A chain of RepVGG blocks of 4 channels: 7 nodes each, every one of them is rewritten."""
    m = Model(seed)
    x = m.input("x", ["N", 4, 5, 7])
    for i in range(max(1, nodes // 8)):
        x = m.block(x, 4, 4, f"b{i}")
    m.output(x, ["N", 4, 5, 7])
    return m


def wide(leaves, shape="chain", seed=0):
    """1x1 Convs of one input, summed by a chain of Adds, a balanced tree, or one Sum."""
    m = Model(seed)
    x = m.input("x", ["N", 4, 5, 7])
    terms = [m.conv(x, [4, 4, 1, 1], f"leaf{i}") for i in range(leaves)]
    if shape == "sum":
        y = m.op("Sum", terms, "total")
    elif shape == "chain":
        y = terms[0]
        for i, t in enumerate(terms[1:]):
            y = m.op("Add", [y, t], f"add{i}")
    else:
        n = 0
        while len(terms) > 1:
            pairs = [terms[i:i + 2] for i in range(0, len(terms), 2)]
            terms = []
            for pair in pairs:
                terms.append(m.op("Add", pair, f"add{n}") if len(pair) == 2 else pair[0])
                n += 1
        y = terms[0]
    m.output(y, ["N", 4, 5, 7])
    return m


def nested(depth, seed=0):
    """Ifs in Ifs: each body holds a RepVGG block and the next If."""
    m = Model(seed)
    m.input("flag", [], BOOL)
    m.input("x", ["N", 4, 5, 7])
    shape = ["N", 4, 5, 7]

    def conditional(level):
        """An If, and how many nodes it holds."""
        branches, count = {}, 1
        for side in ("then", "else"):
            b = Model(seed)
            if side == "then" and level < depth:
                inner, n = conditional(level + 1)
                b.nodes.append(blob(1, inner))
                b.count += n
                y = b.block(f"if{level + 1}", 4, 4, f"body{level}")
            else:
                y = b.block("x", 4, 4, f"body{level}.{side}")
            # The numbers go into the body's own initializers: it reads x and flag from outside.
            held = b"".join(blob(5, t.header() + blob(9, b"".join(p.tobytes() for p in t.parts(seed)))) for t in b.tensors)
            branches[f"{side}_branch"] = b"".join(b.nodes) + text(2, f"{side}{level}") + held + blob(12, value_info(y, shape))
            count += b.count
        return node("If", ["flag"], [f"if{level}"], f"If{level}", **branches), count

    sys.setrecursionlimit(max(1000, 10 * depth))
    made, m.count = conditional(1)
    m.nodes.append(blob(1, made))
    m.output("if1", shape)
    return m


def count_ops(path):
    """Nodes of a model, subgraphs included, Constant left out. Reads the nodes only."""
    def fields(start, end):
        at = start
        while at < end:
            key = shift = 0
            while True:
                b = data[at]
                at += 1
                key |= (b & 0x7F) << shift
                shift += 7
                if b < 0x80:
                    break
            if key & 7 == 2:
                length = shift = 0
                while True:
                    b = data[at]
                    at += 1
                    length |= (b & 0x7F) << shift
                    shift += 7
                    if b < 0x80:
                        break
                yield key >> 3, at, at + length
                at += length
            elif key & 7 == 0:
                while data[at] >= 0x80:
                    at += 1
                at += 1
            else:
                at += 4 if key & 7 == 5 else 8

    def in_graph(start, end):
        return sum(in_node(s, e) for number, s, e in fields(start, end) if number == 1)

    def in_node(start, end):
        total = 1
        for number, s, e in fields(start, end):
            if number == 4 and data[s:e] == b"Constant":
                total -= 1
            elif number == 5:  # an attribute; 6 and 11 are graphs
                total += sum(in_graph(s2, e2) for n, s2, e2 in fields(s, e) if n in (6, 11))
        return total

    sys.setrecursionlimit(100000)
    with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return sum(in_graph(s, e) for number, s, e in fields(0, len(data)) if number == 7)


def bytes_of(value):
    """'20M', '8G', '1000': a number of bytes; K, M and G are powers of 1000."""
    scale = {"K": 10 ** 3, "M": 10 ** 6, "G": 10 ** 9}.get(value[-1:].upper(), 1)
    return int(float(value[:-1] if scale > 1 else value) * scale)


def ints(value):
    return [int(v) for v in value.split(",")]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = p.add_subparsers(dest="kind", required=True, metavar="KIND")

    def kind(name, help):
        k = kinds.add_parser(name, help=help)
        k.add_argument("-o", dest="output", required=True, type=pathlib.Path)
        k.add_argument("--seed", type=int, default=0)
        k.add_argument("--data", metavar="NAME", help="write the weights to this file beside the model")
        k.add_argument("--files", type=int, default=1, help="spread the weights over this many data files (default: 1)")
        return k

    k = kind("repvgg", "RepVGG by widths and depths, or by size")
    k.add_argument("--widths", type=ints, default=list(B3_WIDTHS), help="default: those of B3 (492 MB)")
    k.add_argument("--depths", type=ints, default=list(B3_DEPTHS))
    k.add_argument("--bytes", type=bytes_of, help="scale B3's widths to this size, such as 20M")
    k.add_argument("--groups", type=int, default=1)
    k.add_argument("--deploy", action="store_true", help="the form after fusion, made by numpy")
    k = kind("large", "MatMul weights that stay, and a few blocks that fuse")
    k.add_argument("--bytes", type=bytes_of, default=bytes_of("8G"))
    k.add_argument("--share", type=float, default=0.01, help="of the bytes that change (default: 0.01)")
    k = kind("chain", "a chain of small ops")
    k.add_argument("--nodes", type=int, default=1000)
    k.add_argument("--mix", choices=["mixed", "plain"], default="mixed", help="most fold, or none does")
    k = kind("blocks", "a chain of small RepVGG blocks")
    k.add_argument("--nodes", type=int, default=1000)
    k = kind("wide", "many Convs of one input, summed")
    k.add_argument("--leaves", type=int, default=10000)
    k.add_argument("--shape", choices=["chain", "tree", "sum"], default="chain")
    k = kind("nested", "Ifs in Ifs")
    k.add_argument("--depth", type=int, default=10)
    k = kinds.add_parser("ops", help="count the ops of a model instead of writing one")
    k.add_argument("model")
    a = p.parse_args()

    if a.kind == "ops":
        print(count_ops(a.model))
        return
    if a.kind == "repvgg":
        more = {"groups": a.groups, "seed": a.seed, "deploy": a.deploy}
        m = repvgg_of(a.bytes, **more) if a.bytes else repvgg(a.widths, a.depths, **more)
    elif a.kind == "large":
        m = large(a.bytes, a.share, seed=a.seed)
    elif a.kind == "chain":
        m = chain(a.nodes, a.mix, seed=a.seed)
    elif a.kind == "blocks":
        m = blocks(a.nodes, seed=a.seed)
    elif a.kind == "wide":
        m = wide(a.leaves, a.shape, seed=a.seed)
    else:
        m = nested(a.depth, seed=a.seed)
    m.write(a.output, a.data, a.files)
    print(m.count)


if __name__ == "__main__":
    main()
