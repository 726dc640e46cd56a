#!/usr/bin/env python3
"""Draw small models in which sizes coincide, fuse them with options drawn as well, and compare channel by channel.

Nearly all sizes are 1 or 2 and values have one to five axes, so that whatever is taken along the wrong axis still fits, and
only the numbers tell. Channels differ in magnitude, so that a small one which is wrong shows beside a large one.

usage: python -m tests.support.random_broadcast [--first-seed N] [--count N] [--jobs N] [--save FOLDER]
"""
import functools
import subprocess
import sys

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from tests.support.drawing import GraphDrawer, Impossible, forget_sizes, run_seeds
from tests.support.judge import FLOATS, Settings, judge_saved, run_with
from tests.support.net import Net, newest_opset
from tests.support.tool import ROOT, check_valid, scopes

FIXED_SEED = 0  # of the first model, where no commit gives one
RANK, ELEMENTS = 5, 400  # the most of a value

newest = functools.cache(newest_opset)


def first_seed():
    """A seed that each commit has of its own, and where it comes from."""
    try:
        git = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True)
    except OSError:
        return FIXED_SEED, "fixed, without git"
    if git.returncode != 0:
        return FIXED_SEED, "fixed, without a commit"
    return int(git.stdout[:7], 16), f"of commit {git.stdout[:7]}"


class Drawer(GraphDrawer):
    WAYS = (*GraphDrawer.WAYS, "reverse", "reverse", "whole", "bytes")

    def __init__(self, rng):
        dtype = str(rng.choice(["float32", "float16", "float64", "bfloat16"], p=[0.64, 0.14, 0.11, 0.11]))
        opset = int(rng.integers(22 if dtype == "bfloat16" else 7, newest() + 1))
        ir = int(rng.integers(3, onnx.IR_VERSION + 1))
        seed = int(rng.integers(1 << 31))
        super().__init__(rng, Net(opset, ir, dtype, seed=seed, inferred=rng.random() < 0.5))
        self.decades = 0.0 if self.chance(0.6) else 1.2 if dtype == "float16" else 2.5
        self.wide = self.chance(0.06)
        self.function_body = False

    def size(self):
        return self.among(1, 1, 1, 2, 2, 2, 2, 2, 2, 3) if self.chance(0.97) else self.int(4, 6)

    def shape(self, value):
        dims = self.n.shape(value)
        if not all(isinstance(d, int) and d >= 0 for d in dims):
            raise Impossible
        return tuple(dims)

    def pick(self, *ranks):
        options = [v for v in self.pool if not ranks or len(self.n.shape(v)) in ranks]
        if not options:
            raise Impossible
        return options[-1 - min(int(self.rng.exponential(2)), len(options) - 1)]

    # Constants

    def const(self, array):
        n = self.n
        storage = self.among("raw", "raw", "raw", "typed", "constant")
        if storage == "constant" and n.opset >= 12 and n.dtype == np.float32 and self.chance(0.3):
            storage = "floats"
        if n.ir < 4 and n.parent:
            storage = "constant"  # there an initializer must be an input, and a subgraph's inputs are what the op gives
        return n.const(array, storage=storage)

    def loud(self, array, axis):
        """The array, its slices along one axis of different magnitudes."""
        dims = [1] * array.ndim
        dims[axis] = array.shape[axis]
        return array * 10.0 ** self.rng.uniform(-self.decades, self.decades, dims)

    def numbers(self, dims):
        roll = self.rng.random()
        array = (np.zeros(dims) if roll < 0.06 else np.ones(dims) if roll < 0.1 else
                 self.n.away(dims) if roll < 0.6 else self.n.shifts(dims))
        return self.loud(np.asarray(array), self.int(0, len(dims) - 1)) if dims and self.chance(0.7) else array

    def vector(self, c):
        return self.loud(self.n.away(c), 0)

    def weight(self, shape, fan_in):
        """A random weight, now and then one that another op has already."""
        shared = [] if self.function_body else self.weights[shape]
        if shared and self.chance(0.25):
            return self.among(*shared)
        array = self.loud(self.n.normal(shape, fan_in ** -0.5), self.int(0, len(shape) - 1))
        w = self.computed(array) if self.chance(0.2) else self.const(array)
        if self.n is self.plain:
            self.weights[shape].append(w)
        return w

    def computed(self, array):
        n = self.n
        way = self.among(*self.WAYS)
        axis = self.int(0, array.ndim - 1)
        if way == "reverse" and n.opset >= 10:
            backwards = self.const(np.flip(array, axis))
            return n.slice(backwards, [array.shape[axis] - 1], [-(1 << 31)], [axis], [-1])
        if way == "bytes" and n.opset >= 9:
            steps = n.const(self.rng.integers(-127, 128, array.shape).astype(np.int8))
            return n.node("Mul", [n.cast(steps), self.const(np.full([1] * array.ndim, np.abs(array).max() / 64))])
        if way == "whole":
            return n.node(self.among("Add", "Sub"), [self.const(array), self.const(self.numbers(self.broadcast(array.shape, False)))])
        return super().computed(array)

    def broadcast(self, shape, above=True):
        """A shape that broadcasts with this one: of any rank up to its own, and now and then one above."""
        rank = len(shape)
        if above and rank < RANK and self.chance(0.06):
            return (self.among(1, 1, 2), *self.broadcast(shape, False))
        kept = self.int(0, rank)
        if self.chance(0.3):  # per channel, as exporters write it
            kept = rank
            return tuple(d if k == (1 if rank > 1 else 0) else 1 for k, d in enumerate(shape))
        dims = shape[rank - kept:]
        return tuple(d if self.chance(0.55) else 1 for d in dims)

    # Steps that change a value

    def constant_op(self, y):
        n = self.n
        dims = self.broadcast(self.shape(y))
        op = self.among("Add", "Add", "Mul", "Mul", "Sub", "Div")
        if op == "Div":
            return n.node(op, [y, self.const(np.asarray(n.away(dims)))])
        c = self.const(self.numbers(dims))
        if op == "Add" and n.opset >= 8 and self.chance(0.2):
            op = self.among("Sum", "Sum", "Mean")
            return n.node(op, [y, c] if self.chance(0.5) else [c, y])
        return n.node(op, [y, c] if self.chance(0.6) else [c, y])

    def norm(self, y):
        n = self.n
        shape = self.shape(y)
        if len(shape) < 2:
            raise Impossible
        c = shape[1]
        stats = [self.const(v) for v in (self.vector(c), self.vector(c), n.shifts(c), self.rng.uniform(0.3, 2.5, c))]
        return n.bn(y, stats=stats, eps=self.among(None, 1e-3, 0.1))

    def window(self, y, steady):
        """kernel, strides, dilations and padding of a window; steady: of size in, of size out."""
        size = self.shape(y)[2:]
        if not size:
            raise Impossible
        k = [self.among(1, 1, 2, 3, 3) for _ in size]
        s, d = [1] * len(size), [self.among(1, 1, 1, 2) for _ in size]
        if not steady and self.chance(0.3):
            s = [self.int(1, 2) for _ in size]
        if self.chance(0.15):
            return k, s, [1] * len(size), {"auto_pad": self.among("SAME_UPPER", "SAME_LOWER", "VALID" if not steady else "SAME_UPPER")}
        reach = [(a - 1) * b for a, b in zip(k, d)]
        begin = [self.int(0, r) if self.chance(0.4) else r // 2 for r in reach]
        end = [r - b for r, b in zip(reach, begin)]
        if not steady and self.chance(0.6):
            begin, end = ([max(0, p - self.int(0, 1)) for p in side] for side in (begin, end))
        return k, s, d, {"pads": begin + end}

    def conv(self, y, steady=False):
        n = self.n
        c = self.shape(y)[1] if len(self.shape(y)) > 2 else 0
        k, s, d, attrs = self.window(y, steady)
        cout = c if steady or self.chance(0.6) else self.int(1, 3)
        group = self.among(*[g for g in range(1, c + 1) if c % g == 0 and cout % g == 0])
        w = self.weight((cout, c // group, *k), max(1, c // group * int(np.prod(k))))
        if any(v != 1 for v in d):
            attrs["dilations"] = d
        if any(v != 1 for v in s):
            attrs["strides"] = s
        if self.chance(0.7):
            attrs["kernel_shape"] = k
        if group != 1:
            attrs["group"] = group
        return n.node("Conv", [y, w, *([self.const(self.vector(cout))] if self.chance(0.4) else [])], **attrs)

    def conv_transpose(self, y, steady=False):
        c = self.shape(y)[1] if len(self.shape(y)) > 2 else 0
        if not 2 < len(self.shape(y)) < 5:
            raise Impossible
        rank = len(self.shape(y)) - 2
        cout = c if steady else self.int(1, 3)
        group = self.among(*[g for g in range(1, c + 1) if c % g == 0 and cout % g == 0])
        k = [1 if steady else self.int(1, 3) for _ in range(rank)]
        attrs = {} if steady else {"strides": [self.int(1, 2) for _ in k]}
        w = self.weight((c, cout // group, *k), max(1, c // group))
        bias = [self.const(self.vector(cout))] if self.chance(0.5) else []
        return self.n.node("ConvTranspose", [y, w, *bias], group=group, kernel_shape=k, **attrs)

    def average(self, y, steady=False):
        k, s, _, attrs = self.window(y, steady)
        pads = attrs.get("pads", [])
        if any(p >= a for p, a in zip(pads, k * 2)) or (steady and any(p > a - 1 for p, a in zip(pads, k * 2))):
            raise Impossible
        if pads:
            reach = [a - 1 for a in k]
            attrs["pads"] = [r // 2 for r in reach] + [r - r // 2 for r in reach]
        elif not str(attrs.get("auto_pad", "")).startswith("SAME") and any(a > d for a, d in zip(k, self.shape(y)[2:])):
            raise Impossible  # a window larger than what it is on: nothing comes out, and a Conv would fail
        attrs["count_include_pad"] = self.int(0, 1)
        return self.n.node("AveragePool", [y], kernel_shape=k, strides=s, **attrs)

    def matmul(self, y, steady=False):
        shape = self.shape(y)
        cin = shape[-1]
        cout = cin if steady or self.chance(0.6) else self.int(1, 3)
        dims = (cin, cout)
        if not steady and self.chance(0.2):
            dims = (cin,) if self.chance(0.3) else (*[self.among(1, d) for d in shape[:-2]], cin, cout)
        w = self.weight(dims, cin)
        if len(shape) > 1 and self.chance(0.12) and (not steady or shape[-2] == shape[-1]):  # the constant on the left
            return self.n.node("MatMul", [self.weight((shape[-2] if steady else self.int(1, 2), shape[-2]), shape[-2]), y])
        return self.n.node("MatMul", [y, w])

    def gemm(self, y, steady=False):
        n = self.n
        shape = self.shape(y)
        if len(shape) != 2:
            raise Impossible
        cin = shape[1]
        cout = cin if steady else self.int(1, 3)
        attrs = {k: v for k, v in (("transB", self.int(0, 1)), ("alpha", self.among(1.0, 1.0, 0.6)), ("beta", self.among(1.0, 1.0, -1.4)))
                 if v != (0 if k == "transB" else 1.0) or self.chance(0.2)}
        if not steady and self.chance(0.1):
            attrs["transA"] = 1
            cin, shape = shape[0], shape[::-1]
        w = self.weight((cout, cin) if attrs.get("transB") else (cin, cout), cin)
        c = [self.const(self.numbers(self.broadcast((shape[0], cout), False)))] if n.opset < 11 or self.chance(0.7) else []
        return n.node("Gemm", [y, w, *c], **attrs)

    def pad(self, y, steady=False):
        if steady or len(self.shape(y)) < 3:
            raise Impossible
        mode = self.among("constant", "constant", "constant", "edge")
        return self.n.pad(y, [self.int(0, 1) for _ in self.shape(y)[2:] * 2], self.among(0.0, 0.0, 0.7) if mode == "constant" else 0.0, mode)

    def slice(self, y, steady=False):
        shape = self.shape(y)
        axis = self.int(0, len(shape) - 1)
        if steady or shape[axis] < 2:
            raise Impossible
        start = self.int(0, 1)
        return self.n.slice(y, [start], [shape[axis] - (1 - start) * self.int(0, 1)], [axis])

    def unary(self, y, steady=False):
        return self.n.node(self.among("Relu", "Sigmoid", "Tanh", "Abs", "LeakyRelu"), [y])

    def negate(self, y, steady=False):
        return self.n.node("Neg", [y])

    LINEAR = ("conv", "conv", "conv", "norm", "norm", "constant_op", "constant_op", "matmul", "gemm", "gemm", "average",
              "conv_transpose", "pad", "slice", "negate", "passive")

    def step(self, y, steady=False, ops=LINEAR):
        """One op after y, affine; steady: of the same shape."""
        self.fits(y)
        for _ in range(12):
            name = self.among(*ops)
            mark = len(self.n.nodes), len(self.n.initializers)
            try:
                got = getattr(self, name)(y, *([steady] if name not in ("norm", "constant_op", "passive") else []))
                self.fits(got)
                if not steady or self.shape(got) == self.shape(y):
                    return got
            except (Impossible, KeyError, onnx.shape_inference.InferenceError):
                pass
            del self.n.nodes[mark[0]:], self.n.initializers[mark[1]:]
        raise Impossible

    def fits(self, value):
        shape = self.shape(value)
        if not 0 < len(shape) <= RANK or not 0 < np.prod(shape) <= ELEMENTS:
            raise Impossible
        return value

    def branch(self, x, steady, ops):
        for _ in range(self.among(0, 1, 1, 1, 1, 2, 2)):
            x = self.spy(self.step(x, steady, ops))
        return self.unary(x) if self.chance(0.06) else x

    # Steps that take values of the pool and add one

    def across(self):
        """A sum of values of two ranks: of one, branches that fold; and constants that are per channel in one of them only."""
        a = self.pick()
        b = self.pick(*(r for r in range(1, RANK + 1) if r != len(self.shape(a))))
        ops = self.among(("conv", "conv", "norm", "constant_op"), ("conv", "conv", "negate"), ("matmul", "gemm", "constant_op"), self.LINEAR)
        first, last = (self.step(a, True, ops) for _ in range(2))
        other = self.step(b, True) if self.chance(0.3) else b
        whole = np.broadcast_shapes(self.shape(first), self.shape(other))
        constants = []
        for _ in range(self.among(1, 1, 2)):
            shape = self.among(whole, self.shape(other))
            per_channel = tuple(d if k == min(1, len(shape) - 1) else 1 for k, d in enumerate(shape))
            constants.append(self.const(self.numbers(per_channel if self.chance(0.75) else self.broadcast(shape))))
        if self.chance(0.25):
            return self.add_up([first, other, *constants, last])
        if self.chance(0.5):  # the constants meet a value of one rank only
            pair = [self.n.add(first, last), self.n.add(other, *constants)]
        else:  # the constants meet the sum of both ranks
            pair = [self.n.add(*self.among((other, first), (first, other)), *constants), last]
        return self.n.node(self.among("Add", "Add", "Sub"), pair if self.chance(0.5) else pair[::-1])

    def dense(self):
        """A value of two axes, which the op that makes it may not tell, and a sum of matrix products of it."""
        x = self.pick()
        if len(self.shape(x)) != 2 or self.chance(0.4):
            x = self.n.node("Flatten", [x], **({"axis": self.int(0, 2)} if self.chance(0.3) and len(self.shape(x)) > 1 else {}))
        y = self.passive(x) if self.chance(0.4) else x
        y = self.sum([x, y], self.int(3, 4), ("matmul", "gemm", "gemm", "constant_op", "constant_op", "norm", "passive"))
        return self.step(y) if self.chance(0.3) else y

    def sum(self, sources=None, size=None, ops=LINEAR):
        """Three to six branches of one to three values, and constants between them."""
        n = self.n
        sources = sources or [self.pick() for _ in range(self.among(1, 1, 2, 2, 3))]
        leaves = []
        shape = ()
        for _ in range(size or self.int(3, 6)):
            mark = len(n.nodes), len(n.initializers)
            try:
                if leaves and self.chance(0.25):
                    dims = self.broadcast(shape)
                    leaf = self.const(self.numbers(dims))
                else:
                    leaf = self.branch(self.among(*sources), self.chance(0.8), ops)
                shape = np.broadcast_shapes(shape, self.shape(leaf))
                leaves.append(leaf)
            except (Impossible, ValueError):
                del n.nodes[mark[0]:], n.initializers[mark[1]:]
        if len(leaves) < 2:
            raise Impossible
        y = self.add_up(leaves)
        return self.unary(y) if self.chance(0.15) else y

    def add_up(self, leaves):
        """Their sum, in any order and shape of the tree."""
        n = self.n
        leaves = [leaves[i] for i in self.rng.permutation(len(leaves))]
        while len(leaves) > 1:
            i = self.int(0, len(leaves) - 2)
            width = 2
            op = self.among("Add", "Add", "Add", "Add", "Sub")
            if n.opset >= 8 and self.chance(0.25):
                op, width = self.among("Sum", "Sum", "Mean"), self.int(2, len(leaves))
                i = self.int(0, len(leaves) - width)
            leaves[i:i + width] = [self.fits(self.spy(n.node(op, leaves[i:i + width])))]
            if self.chance(0.1):
                leaves[i] = self.fits(self.constant_op(leaves[i]))
        return leaves[0]

    def chain(self):
        y = self.pick()
        for _ in range(self.int(1, 4)):
            y = self.spy(self.step(y))
        return y

    def nonlinear(self):
        return self.unary(self.pick())

    def reshaped(self):
        n = self.n
        x = self.pick()
        shape = self.shape(x)
        rank = len(shape)
        way = self.among("Flatten", "Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Split", "Concat")
        if way == "Flatten":
            return n.node("Flatten", [x], **({"axis": self.int(0, rank)} if self.chance(0.4) else {}))
        if way == "Reshape":
            sizes = list(shape)
            at = self.int(0, rank - 1)
            if self.chance(0.5) and at + 1 < rank:
                sizes[at:at + 2] = [-1]
            else:
                sizes.insert(at, 1)
            return n.node("Reshape", [x, n.ints(*sizes)])
        if way == "Transpose":
            return n.node("Transpose", [x], perm=[int(i) for i in self.rng.permutation(rank)])
        if way == "Squeeze" and 1 in shape and rank > 1:
            return n.squeeze(x, shape.index(1))
        if way == "Split":
            axis = self.int(0, rank - 1)
            if shape[axis] % 2:
                raise Impossible
            sizes = [shape[axis] // 2] * 2
            a, b = n.node("Split", [x], 2, axis=axis, split=sizes) if n.opset < 13 else n.node("Split", [x, n.ints(*sizes)], 2, axis=axis)
            self.pool.append(b)
            return a
        if way == "Concat":
            return n.node("Concat", [x, x if self.chance(0.5) else self.step(x, True)], axis=self.int(0, rank - 1))
        return n.unsqueeze(x, self.int(0, rank))

    def steady(self, y):
        """Steps after which the shape is what it was: what a body of a loop needs."""
        shape = self.shape(y)
        y = self.sum([y], 3) if self.chance(0.5) else self.step(self.step(y, True), True)
        if self.shape(y) != shape:
            raise Impossible
        return y

    def body(self, draw):
        """A subgraph: draw() gives its inputs and outputs, by name, or their types."""
        outer = self.n
        self.n = outer.sub()
        try:
            inputs, outputs = draw()
            self.n.inputs = [helper.make_value_info(i, self.n.types[i]) for i in inputs]
            self.n.output(*outputs)
            made = {*inputs, *(t.name for t in self.n.initializers), *(o for node in self.n.nodes for o in node.output)}
            self.n.types = {k: v for k, v in self.n.types.items() if k in made}
            return self.n.graph(outer.fresh("body")), [self.n.type_of(o) for o in outputs]
        finally:
            self.n = outer

    def conditional(self, x=None):
        if self.flag is None and not self.function_body:
            raise Impossible
        x = x or self.pick()
        flag = self.n.const(np.array(True), storage="constant") if self.function_body else self.flag
        graphs = [self.body(lambda: ([], [self.steady(x)])) for _ in range(2)]
        return self.n.node("If", [flag], then_branch=graphs[0][0], else_branch=graphs[1][0], types=graphs[0][1])

    def loop(self):
        n = self.n
        x, captured = self.pick(), self.pick()

        def draw():
            inner, name = self.n, n.fresh
            i, go, carried = name("i"), name("go"), name("carried")
            inner.types[i] = helper.make_tensor_type_proto(TensorProto.INT64, ())
            inner.types[go] = helper.make_tensor_type_proto(TensorProto.BOOL, ())
            inner.types[carried] = n.type_of(x)
            y = self.sum([carried, captured], 3) if self.chance(0.5) else self.steady(carried)
            if self.shape(y) != self.shape(x):
                raise Impossible
            return [i, go, carried], [inner.identity(go), inner.node("Tanh", [y])]

        graph, types = self.body(draw)
        return n.node("Loop", [n.const(np.array(2)), n.const(np.array(True)), x], body=graph, types=types[1:])

    def scan(self):
        n = self.n
        x, captured = self.pick(2, 3, 4, 5), self.pick()
        if n.opset < 9:
            raise Impossible
        shape = self.shape(x)

        def draw():
            row = n.fresh("row")
            self.n.types[row] = helper.make_tensor_type_proto(n.elem(), shape[1:])
            y = self.sum([row, captured], 3) if self.chance(0.5) else self.steady(row)
            return [row], [y]

        graph, types = self.body(draw)
        whole = helper.make_tensor_type_proto(n.elem(), [shape[0], *[d.dim_value for d in types[0].tensor_type.shape.dim]])
        y = n.node("Scan", [x], body=graph, num_scan_inputs=1, types=[whole])
        return self.fits(y)

    def function(self):
        """A call of a local function, some of whose attributes are the call's; now and then two calls that differ there."""
        n = self.plain
        if n.ir < 8 or self.n is not n:
            raise Impossible
        sources = [self.pick() for _ in range(self.int(1, 2))]
        names = [n.fresh("given") for _ in sources]
        pool = self.pool

        def build(body, *inputs):
            self.n, self.pool, self.function_body = body, list(inputs), True
            try:
                y = self.sum(list(inputs), 3)
                return self.conditional(y) if self.chance(0.3) and body.opset >= 11 else y
            finally:
                self.n, self.pool, self.function_body = n, pool, False

        name = n.fresh("function")
        kept, opsets = len(n.functions), dict(n.opsets)
        try:
            types = n.function("local", name, {i: n.type_of(s) for i, s in zip(names, sources)}, build)
        except Exception:
            del n.functions[kept:]
            n.opsets.clear()
            n.opsets.update(opsets)
            raise
        given = self.referred(n.functions[-1])
        outs = []
        for k in range(self.among(1, 1, 2)):
            attrs = {a: v * 1.5 if k and isinstance(v, float) else v for a, v in given.items()}
            outs.append(n.node(name, sources, domain="local", types=types, **attrs))
        self.pool.extend(outs[1:])
        return outs[0]

    def referred(self, function):
        """Make some attributes of the body references; what a call must give."""
        given = {}
        for node in function.node:
            for a in node.attribute:
                if a.type in (AttributeProto.GRAPH, AttributeProto.TENSOR) or not self.chance(0.3):
                    continue
                name = f"given_{len(given)}"
                given[name] = helper.get_attribute_value(a)
                reference = AttributeProto(name=a.name, type=a.type, ref_attr_name=name)
                a.CopyFrom(reference)
                function.attribute.append(name)
        return given

    STEPS = {"sum": 5, "across": 4, "dense": 2, "chain": 2.5, "reshaped": 1.5, "nonlinear": 0.6, "conditional": 0.5, "loop": 0.4, "scan": 0.4, "function": 0.8}

    def draw(self):
        n = self.n
        self.flag = n.input("flag", (), dtype=bool) if self.chance(0.25) else None
        whole = [2 if self.chance(0.6) else self.size() for _ in range(RANK)]
        for k in range(self.among(1, 2, 2, 2, 3, 3)):
            rank = self.among(1, 2, 3, 3, 3, 4, 4, 4, 5)
            dims = [d if self.chance(0.85) else 1 for d in whole[RANK - rank:]] if self.chance(0.75) else [self.size() for _ in range(rank)]
            if self.wide and rank > 1:
                dims[1] = 24
            self.pool.append(n.input(f"x{k}", dims))
        names, odds = list(self.STEPS), np.array(list(self.STEPS.values()))
        for _ in range(self.among(1, 1, 2, 2, 3)):
            for _ in range(12):
                mark = (len(n.nodes), len(n.initializers), len(self.pool), {k: list(v) for k, v in self.weights.items()})
                try:
                    step = names[self.rng.choice(len(names), p=odds / odds.sum())]
                    self.pool.append(self.fits(getattr(self, step)()))
                    break
                except (Impossible, KeyError, ValueError, onnx.shape_inference.InferenceError):
                    self.n = n
                    del n.nodes[mark[0]:], n.initializers[mark[1]:], self.pool[mark[2]:]
                    self.weights.clear()
                    self.weights.update(mark[3])
        made = {o for node in n.nodes for o in node.output if node.op_type != "Constant"}
        self.pool = [v for v in self.pool if v in made]
        read = {i for node in n.nodes for i in node.input}
        ends = [v for v in dict.fromkeys(self.pool) if v not in read or self.chance(0.08)]
        if not ends:
            raise Impossible
        kept = [i for i in n.inputs if i.name in read or self.chance(0.1)]
        captured = {i for g_owner, nodes in scopes(helper.make_model(n.graph(), functions=n.functions)) for node in nodes for i in node.input}
        n.inputs = [i for i in n.inputs if i in kept or i.name in captured]
        n.output(*ends)
        live = {t.name for t in n.initializers} & captured
        if n.ir >= 4 and live and self.chance(0.12):
            n.overridable = [self.among(*sorted(live))]
        n.types = {k: v for k, v in n.types.items() if k in made or k in {i.name for i in n.inputs} or k in captured}
        return n.model()


def feeds(model, rng, concrete):
    """Numbers for every input; concrete: the sizes of symbolic dims, by name."""
    given = {}
    fixed = {t.name: t for t in model.graph.initializer}
    for i in model.graph.input:
        t = i.type.tensor_type
        dims = [d.dim_value if d.HasField("dim_value") else concrete[d.dim_param] for d in t.shape.dim]
        kind = helper.tensor_dtype_to_np_dtype(t.elem_type)
        if i.name in fixed:
            if model.ir_version < 4 or t.elem_type not in FLOATS or rng.random() < 0.5:
                continue
            given[i.name] = (numpy_helper.to_array(fixed[i.name]).astype(np.float64) * 1.5).astype(kind)
        else:
            given[i.name] = np.array(rng.random() < 0.5) if kind == bool else rng.normal(0, 1, dims).astype(kind)
    return given


def sizes_of(model, other):
    """Of each symbolic dim of the one, the size in the other."""
    return {d.dim_param: e.dim_value for i, j in zip(model.graph.input, other.graph.input)
            for d, e in zip(i.type.tensor_type.shape.dim, j.type.tensor_type.shape.dim) if d.dim_param}


def generate(seed):
    """A valid model that ONNX Runtime runs with float in place of its type, inputs for it, and the settings of a run."""
    rng = np.random.default_rng(seed)
    while True:
        try:
            model = Drawer(rng).draw()
        except (Impossible, KeyError, ValueError):
            continue
        settings = Settings(rng)
        whole = onnx.ModelProto.FromString(model.SerializeToString())
        if settings.forget:
            model = forget_sizes(model, rng)
        try:
            check_valid(model)
            run = run_with(model, TensorProto.FLOAT)
            sizes = sizes_of(model, whole)
            inputs = [feeds(model, rng, sizes), feeds(model, rng, sizes)]
            results = [run(x) for x in inputs]
        except Exception:
            continue  # not a model that both accept
        if sizes and len(list(scopes(model))) == 1:
            try:  # other sizes, where they do
                other = feeds(model, rng, {k: int(rng.integers(1, 4)) for k in sizes})
                results.append(run(other))
                inputs.append(other)
            except Exception:
                pass
        if all(np.isfinite(v).all() and np.abs(v).max(initial=0) < 1e9 for r in results for v in r):
            return model, inputs, settings


def try_seed(seed, folder):
    """Draw, fuse, compare. Returns the passes that fused something; raises Failure, the model left in the folder."""
    return judge_saved(f"seed{seed}", *generate(seed), folder)


if __name__ == "__main__":
    sys.exit(run_seeds(__doc__, try_seed))
