#!/usr/bin/env python3
"""Draw random graphs of linear and non-linear ops, fuse them, and compare with ONNX Runtime.

Most of what is drawn is blocks: branches of one source, summed. Some of their branches can't fold, some values have
other readers, some constants broadcast along the wrong axis: the fused model must be equal whatever folds.

usage: python -m tests.support.random_graph [--first-seed N] [--seeds N] [--jobs N] [--save FOLDER]
"""
import collections
import sys

import numpy as np
import onnx
from onnx import helper

from tests.support.drawing import Failure, GraphDrawer, Impossible, forget_sizes, run_seeds
from tests.support.net import Net, newest_opset
from tests.support.tool import check_tidy, check_valid, compare, count_ops, evaluator, fuse, same_interface

TOLERANCE = 2e-5
LARGEST = 300.0  # of any value between; a graph that grows beyond it is drawn again


class Drawer(GraphDrawer):
    def __init__(self, rng):
        opset = int(rng.choice([7, 8, 9, 11, 13, 14, 15, 17, 18, 20, 21, 22, newest_opset()]))
        ir = 3 if opset < 9 and rng.random() < 0.5 else 8 if opset < 21 else 10
        seed = int(rng.integers(1 << 31))
        super().__init__(rng, Net(opset, ir, seed=seed, inferred=rng.random() < 0.5))

    def pick(self, rank=None):
        """A value of the pool, the newer the likelier."""
        options = [v for v in self.pool if rank is None or len(self.n.shape(v)) == rank]
        if not options:
            raise Impossible
        return options[-1 - min(int(self.rng.exponential(1.2)), len(options) - 1)]

    # Pieces

    def bn(self, x):
        n = self.n
        c = n.channels(x)
        stats = [self.const(v) for v in (n.away(c), n.shifts(c), n.shifts(c), self.rng.uniform(0.5, 2.5, c))]
        if self.chance(0.15):
            stats[1] = stats[2] = self.const(np.zeros(c))
        return n.bn(x, stats=stats, eps=self.among(None, 1e-3, 1e-5))

    def conv(self, x, cout, k, pads, stride, dil, group, bias):
        n = self.n
        cin = n.channels(x)
        if cin % group or cout % group:
            raise Impossible
        w = self.weight((cout, cin // group, *k), max(1, cin // group * int(np.prod(k))))
        b = self.const(n.shifts(cout)) if bias else False
        return n.conv(x, cout, list(k), bias=b, stride=list(stride), pads=pads, group=group, dil=list(dil), weight=w)

    def group_for(self, cin, cout):
        options = [g for g in range(1, cin + 1) if cin % g == 0 and cout % g == 0]
        return 1 if self.chance(0.55) else self.among(*options)

    def fit(self, size, stride, out, reach):
        """Pads (begin, end) of a window of this reach, one axis, for this output size; negative ends are refused."""
        begin = min(reach, self.int(0, reach)) if self.chance(0.3) else reach // 2
        if size is None or out is None:
            raise Impossible
        total = (out - 1) * stride + reach + 1 - size + self.int(0, stride - 1)
        if total < 0:
            raise Impossible
        begin = min(begin, total)
        return begin, total - begin

    def fits(self, x, stride, out, k, dil):
        axes = [self.fit(*a) for a in zip(self.n.shape(x)[2:], stride, out, [(a - 1) * d for a, d in zip(k, dil)])]
        return [b for b, _ in axes] + [e for _, e in axes]

    def kernel_size(self, rank):
        if self.chance(0.55):
            return [self.among(1, 3, 3, 5)] * rank
        return [self.int(1, 4) for _ in range(rank)]

    def dressing(self, y, linear=0.9):
        """What may follow a convolution."""
        n = self.n
        for _ in range(2):
            roll = self.rng.random()
            if roll < 0.45:
                y = self.bn(y)
            elif roll < 0.55:
                y = self.constant_op(y)
            elif roll < 0.62:
                y = self.passive(y)
            if self.chance(0.6):
                break
        if not self.chance(linear):
            y = n.node(self.among("Relu", "Sigmoid", "Tanh"), [y])
        return y

    def constant_op(self, y):
        """An op with a constant: per channel mostly, or a shape that only looks so."""
        n = self.n
        shape = n.shape(y)
        c, rank = shape[1], len(shape)
        per_channel = (1, c, *[1] * (rank - 2))
        odd = [(shape[-1],), (1,) * rank, tuple(shape[1:]), (c, *[1] * (rank - 2)), (shape[0], *[1] * (rank - 1))]
        dims = per_channel if self.chance(0.7) else () if self.chance(0.5) else self.among(*odd)
        op = self.among("Mul", "Mul", "Add", "Sub", "Div")
        a = self.const(n.away(dims))
        if op != "Div" and self.chance(0.4):
            return n.node(op, [a, y])
        return n.node(op, [y, a])

    def branch(self, x, cout, stride, out):
        """One branch from x to [N, cout, *out], affine more often than not."""
        n = self.n
        shape = n.shape(x)
        cin, size = shape[1], shape[2:]
        rank = len(size)
        ones = [1] * rank
        same = cin == cout and list(out) == list(size) and all(s == 1 for s in stride)
        k = self.kernel_size(rank)
        dil = [self.among(1, 1, 1, 2)] * rank if self.chance(0.8) else [self.int(1, 3) for _ in range(rank)]
        bias = self.chance(0.5)
        roll = self.rng.random()
        if same and roll < 0.25:
            return x if self.chance(0.4) else self.bn(x) if self.chance(0.7) else self.constant_op(x)
        if roll < 0.6:
            y = self.conv(x, cout, k, self.fits(x, stride, out, k, dil), stride, dil, self.group_for(cin, cout), bias)
            return self.dressing(self.spy(y))
        if roll < 0.67:  # a pool
            if cin != cout:
                raise Impossible
            pads = self.fits(x, stride, out, k, ones)
            if any(p >= a for p, a in zip(pads, k * 2)):
                raise Impossible
            attrs = {"pads": pads} if any(pads) else {}
            if self.chance(0.75):
                y = n.node("AveragePool", [x], kernel_shape=k, strides=list(stride),
                           count_include_pad=self.among(0, 1, 1), **attrs)
            else:
                y = n.node("MaxPool", [x], kernel_shape=k, strides=list(stride), **attrs)
            return self.dressing(y)
        if roll < 0.79:  # 1x1, then a window
            mid = self.int(1, 2 * cout)
            if self.chance(0.4):  # whose padding the 1x1 has already
                pads = self.fits(x, stride, out, k, ones)
                y = self.conv(x, mid, ones, pads, ones, ones, 1, bias)
                y = self.bn(y) if self.chance(0.5) else y
                y = self.conv(y, cout, k, 0, stride, ones, 1, self.chance(0.5))
            else:
                y = self.conv(x, mid, ones, 0, ones, ones, 1, self.chance(0.3))
                y = self.passive(y) if self.chance(0.2) else y
                y = self.conv(y, cout, k, self.fits(y, stride, out, k, dil), stride, dil, self.group_for(mid, cout), bias)
            return self.dressing(y)
        if roll < 0.88:  # a window, then 1x1
            mid = cin if self.chance(0.4) else self.int(1, 2 * cout)
            group = cin if mid == cin and self.chance(0.6) else 1
            y = self.conv(x, mid, k, self.fits(x, stride, out, k, ones), stride, ones, group, bias)
            y = self.bn(y) if self.chance(0.5) else y
            return self.dressing(self.conv(self.spy(y), cout, ones, 0, ones, ones, 1, self.chance(0.5)))
        if roll < 0.95:  # Pad, then a window
            pads = self.fits(x, stride, out, k, ones)
            value = 0.0 if self.chance(0.8) else 0.7
            y = n.pad(x, pads, value, self.among("constant", "constant", "constant", "edge"), explicit=self.chance(0.5))
            return self.dressing(self.conv(y, cout, k, 0, stride, ones, self.group_for(cin, cout), bias))
        # a crop, then a window
        starts = [self.int(0, 1) for _ in size]
        ends = [d - self.int(0, 1) for d in size]
        y = n.slice(x, starts, ends, list(range(2, 2 + rank)))
        return self.dressing(self.conv(y, cout, k, self.fits(y, stride, out, k, ones), stride, ones, 1, bias))

    def tree(self, leaves):
        """Sum them in any order and shape."""
        n = self.n
        leaves = [leaves[i] for i in self.rng.permutation(len(leaves))]
        if len(leaves) > 2 and n.opset >= 8 and self.chance(0.2):
            return n.node(self.among("Sum", "Sum", "Mean"), leaves)
        while len(leaves) > 1:
            if len(leaves) > 2 and n.opset >= 8 and self.chance(0.15):  # a Sum of some of them
                i = self.int(0, len(leaves) - 3)
                leaves[i:i + 3] = [self.spy(n.node("Sum", leaves[i:i + 3]))]
                continue
            i = self.int(0, len(leaves) - 2)
            op = "Sub" if self.chance(0.12) else "Add"
            leaves[i:i + 2] = [self.spy(n.node(op, leaves[i:i + 2]))]
        return leaves[0]

    # Steps: each takes values of the pool and adds one

    def block(self, x=None, depth=0):
        x = x or self.pick_spatial()
        shape = self.n.shape(x)
        size = shape[2:]
        stride = [1] * len(size) if self.chance(0.7) else [self.int(1, 2) for _ in size]
        out = [(d - 1) // s + 1 for d, s in zip(size, stride)]
        if self.chance(0.2):
            out = [max(1, o - self.int(0, 2)) for o in out]
        cout = shape[1] if self.chance(0.7) else self.int(1, 7)
        leaves = []
        for _ in range(self.int(2, 6)):
            for _ in range(6):
                try:
                    leaves.append(self.branch(x, cout, stride, out))
                    break
                except Impossible:
                    continue
        if depth == 0 and leaves and self.chance(0.15):
            inner = self.block(x, 1)
            if self.n.shape(inner) == self.n.shape(leaves[0]):
                leaves.append(inner)
        others = [v for v in self.pool if leaves and self.n.shape(v) == self.n.shape(leaves[0])] if self.n is self.plain else []
        if others and self.chance(0.15):
            leaves.append(self.among(*others))
        if len(leaves) < 2:
            raise Impossible
        return self.dressing(self.tree(leaves), 0.6)

    def pick_spatial(self):
        for _ in range(20):
            x = self.pick()
            if len(self.n.shape(x)) > 2 and np.prod(self.n.shape(x)) < 20000:
                return x
        raise Impossible

    def dense_block(self):
        """Branches of Gemm and MatMul."""
        n = self.n
        x = self.pick(2)
        cin = n.shape(x)[1]
        cout = cin if self.chance(0.5) else self.int(2, 9)
        leaves = []
        for _ in range(self.int(1, 3)):
            roll = self.rng.random()
            if roll < 0.55:
                y = n.gemm(x, cout, bias=self.chance(0.7) or n.opset < 11, trans_b=self.int(0, 1),
                           alpha=self.among(1.0, 1.0, 0.6), beta=self.among(1.0, 1.0, -1.4))
            elif roll < 0.85 or cin != cout:
                y = n.matmul(x, cout)
                if self.chance(0.6):
                    y = n.node("Add", [y, self.const(n.shifts(cout))])
            else:
                y = x
            if self.chance(0.3):
                y = self.bn(y)
            if self.chance(0.3):
                y = n.node(self.among("Mul", "Add", "Sub", "Div"), [y, self.const(n.away(self.among((cout,), (1, cout), ())))])
            leaves.append(y)
        y = self.tree(leaves)
        return n.relu(y) if self.chance(0.4) else y

    def flatten(self):
        x = self.pick_spatial()
        if np.prod(self.n.shape(x)[1:]) > 300:
            x = self.n.node("GlobalAveragePool", [x])
        return self.n.node("Flatten", [x])

    def matmul_rank_3(self):
        x = self.pick(3)
        y = self.n.matmul(x, self.int(2, 7))
        for _ in range(self.int(0, 2)):
            y = self.n.node(self.among("Mul", "Add"), [y, self.const(self.n.away(self.n.shape(y)[-1]))])
        return y

    def unary(self):
        x = self.pick()
        op = self.among("Relu", "Sigmoid", "Tanh", "LeakyRelu", "Abs", "Softmax")
        return self.n.node(op, [x], **({"axis": 1} if op == "Softmax" else {}))

    def gate(self):
        x = self.pick()
        return self.n.node("Mul", [x, self.n.node("Sigmoid", [x])])

    def add_values(self):
        a, b = self.pick(), self.pick()
        if self.n.shape(a) != self.n.shape(b):
            raise Impossible
        return self.n.node(self.among("Add", "Sub"), [a, b])

    def concat(self):
        a, b = self.pick(), self.pick()
        sa, sb = self.n.shape(a), self.n.shape(b)
        if len(sa) != len(sb) or sa[:1] + sa[2:] != sb[:1] + sb[2:] or sa[1] + sb[1] > 12:
            raise Impossible
        return self.n.node("Concat", [a, b], axis=1)

    def pool_op(self):
        x = self.pick_spatial()
        size = self.n.shape(x)[2:]
        k = [min(d, self.int(1, 3)) for d in size]
        attrs = {"ceil_mode": self.int(0, 1)} if self.n.opset >= 10 else {}
        strides = [self.int(1, 2) for _ in k]
        pads = [self.int(0, a // 2) for a in k] * 2
        if attrs.get("ceil_mode"):
            pads = [0] * len(pads)  # ONNX Runtime's own shapes disagree where a window starts in the padding
            if any((d - a) % s and -(-(d - a) // s) * s >= d for d, a, s in zip(size, k, strides)):
                raise Impossible  # and onnx's with them where one starts behind the end
        if self.chance(0.7):
            attrs["count_include_pad"] = self.int(0, 1)
        elif any(pads) or self.n.opset < 10:
            pads = [0] * len(pads)
        y = self.n.node("AveragePool", [x], kernel_shape=k, strides=strides, pads=pads, **attrs)
        return self.dressing(y)

    def transposed(self):
        n = self.n
        x = self.pick_spatial()
        c, size = n.channels(x), n.shape(x)[2:]
        if len(size) > 2 or np.prod(size) > 120:
            raise Impossible
        cout = self.int(1, 7)
        group = self.among(*[g for g in range(1, c + 1) if c % g == 0 and cout % g == 0])
        k, s = [self.int(1, 3) for _ in size], [self.int(1, 2) for _ in size]
        y = n.conv_t(x, cout, k, bias=self.chance(0.5), group=group, strides=s)
        return self.dressing(y)

    def chain(self):
        """Convolutions in a row, with any padding."""
        y = self.pick_spatial()
        for _ in range(self.int(2, 3)):
            size = self.n.shape(y)[2:]
            k = [min(d, a) for d, a in zip(size, self.kernel_size(len(size)))]
            pads = [self.int(0, a // 2) for a in k] * 2 if self.chance(0.4) else [0] * (2 * len(k))
            cout = self.int(1, 9)
            y = self.conv(y, cout, k, pads, [1] * len(k), [1] * len(k), self.group_for(self.n.channels(y), cout), self.chance(0.4))
            y = self.bn(y) if self.chance(0.3) else y
        return y

    def before(self):
        """Something affine before a convolution."""
        x = self.pick_spatial()
        y = self.bn(x) if self.chance(0.5) else self.constant_op(x)
        k = [min(d, self.among(1, 3)) for d in self.n.shape(y)[2:]]
        if len(self.n.shape(y)) != len(self.n.shape(x)):
            raise Impossible
        pads = [a // 2 for a in k] * 2 if self.chance(0.4) else [0] * (2 * len(k))
        return self.conv(y, self.int(1, 7), k, pads, [1] * len(k), [1] * len(k), 1, self.chance(0.5))

    def same_padded(self):
        x = self.pick_spatial()
        n = self.n
        auto, stride = self.among("SAME_UPPER", "SAME_LOWER"), self.int(1, 2)
        cout = n.channels(x) if stride == 1 else self.int(1, 7)
        leaves = [n.conv(x, cout, self.among(1, 2, 3, 4), stride=stride, auto_pad=auto, bias=self.chance(0.5)) for _ in range(2)]
        if stride == 1:
            leaves.append(self.bn(x))
        return self.tree(leaves)

    def conditional(self):
        """An If whose branches hold blocks over a captured value."""
        if self.n.opset < 11 or self.n is not self.plain or self.flag is None:
            raise Impossible
        x = self.pick_spatial()
        graphs, types = [], []
        for k in (0, 1):
            self.n = self.plain.sub()
            try:
                c = self.n.channels(x)
                y = self.n.add(self.bn(self.conv(x, c, [1 + 2 * k] * (len(self.n.shape(x)) - 2), [k] * (2 * (len(self.n.shape(x)) - 2)),
                                                 [1] * (len(self.n.shape(x)) - 2), [1] * (len(self.n.shape(x)) - 2), 1, False)),
                               self.bn(x))
                self.n.output(y)
                graphs.append(self.n.graph(self.n.fresh("branch")))
                types.append(self.n.type_of(y))
            finally:
                self.n = self.plain
        return self.n.node("If", [self.flag], then_branch=graphs[0], else_branch=graphs[1], types=types[:1])

    STEPS = [("block", 9), ("dense_block", 3), ("flatten", 1), ("matmul_rank_3", 0.5), ("unary", 1.5), ("gate", 0.5),
             ("add_values", 1), ("concat", 0.7), ("pool_op", 0.8), ("transposed", 0.8), ("chain", 1.2), ("before", 1),
             ("same_padded", 0.8), ("conditional", 0.6)]

    def draw(self):
        n = self.n
        rank = self.among(1, 2, 2, 2, 2, 3)
        shape = [self.int(1, 2), self.int(1, 7), *[self.int(5, 13 if rank < 3 else 7) for _ in range(rank)]]
        self.flag = n.input("flag", (), dtype=bool) if n.opset >= 11 and self.chance(0.25) else None
        self.pool.append(n.input("x0", shape))
        if self.chance(0.3):
            self.pool.append(n.input("x1", shape))
        if self.chance(0.25):
            self.pool.append(n.input("x2", (self.int(1, 3), self.int(2, 9))))
        names = [s for s, _ in self.STEPS]
        odds = np.array([w for _, w in self.STEPS])
        for _ in range(self.int(1, 7)):
            for _ in range(8):
                mark = (len(n.nodes), len(n.initializers), len(self.pool), dict(n.types), {k: list(v) for k, v in self.weights.items()})
                try:
                    v = getattr(self, names[self.rng.choice(len(names), p=odds / odds.sum())])()
                    self.pool.append(v)
                    break
                except (Impossible, KeyError, onnx.shape_inference.InferenceError):
                    del n.nodes[mark[0]:], n.initializers[mark[1]:], self.pool[mark[2]:]
                    n.types = mark[3]
                    self.weights = collections.defaultdict(list, mark[4])
        inputs = {i.name for i in n.inputs}
        read = {i for node in n.nodes for i in node.input}
        ends = [v for v in dict.fromkeys(self.pool) if v not in inputs and (v not in read or self.chance(0.08))]
        if not ends:
            raise Impossible
        n.output(*ends)
        if n.ir >= 4 and n.initializers and self.chance(0.05):
            n.overridable = [n.initializers[self.int(0, len(n.initializers) - 1)].name]
        return n.model(), self.feeds(shape)

    def feeds(self, shape):
        got = []
        for flag in (True, False) if self.flag else (True,):
            x = {}
            for i in self.n.inputs:
                t = i.type.tensor_type
                dims = [d.dim_value for d in t.shape.dim]
                kind = helper.tensor_dtype_to_np_dtype(t.elem_type)
                x[i.name] = np.array(flag) if i.name == "flag" else self.rng.normal(0, 1, dims).astype(kind)
            got.append(x)
        return got


def generate(seed):
    """A valid model that ONNX Runtime runs, inputs for it, and the largest value in it."""
    rng = np.random.default_rng(seed)
    while True:
        try:
            model, inputs = Drawer(rng).draw()
        except (Impossible, KeyError):  # inference does not know every attribute
            continue
        if rng.random() < 0.25:
            model = forget_sizes(model, rng)
        try:
            check_valid(model)
            probe = onnx.ModelProto.FromString(model.SerializeToString())
            seen = {o.name for o in probe.graph.output}
            probe.graph.output.extend(
                helper.make_empty_tensor_value_info(o) for n in probe.graph.node for o in n.output
                if o and o not in seen and n.op_type != "Constant")
            run = evaluator(probe)
            largest, outs = 0.0, len(model.graph.output)
            for x in inputs:
                values = run(x)
                largest = max([largest, *(float(np.abs(v).max(initial=0)) for v in values)])
                if not all(np.isfinite(v).all() for v in values) or any(np.abs(v).max(initial=0) < 1e-3 for v in values[:outs]):
                    largest = np.inf
        except Exception:
            continue  # not a model that both accept
        if largest <= LARGEST:
            return model, inputs, largest


def try_seed(seed, folder):
    """Draw, fuse, compare. Returns the passes that fused something; raises Failure, the model left in the folder, when anything is wrong."""
    model, inputs, largest = generate(seed)
    data = model.SerializeToString()
    stem = f"seed{seed}"
    try:
        result = fuse(data, folder, stem=stem)
        assert result.code == 0, f"exit {result.code}: {result.stderr.strip()}"
        assert result.report["warnings"] == [], result.report["warnings"]
        if result.data == data:
            assert result.report["changed"] is False
            (result.path).unlink()
            (result.path.parent / f"{stem}.onnx").unlink()
            return fused_by(result.report)
        after = result.model
        check_valid(after)
        same_interface(model, after)
        check_tidy(after, model)
        old, new = evaluator(model), evaluator(after)
        for x in inputs:
            want, got = old(x), new(x)
            # Sums may cancel: what counts is the largest number that went into them.
            allowed = TOLERANCE * max(1.0, largest)
            for i, (a, b) in enumerate(zip(want, got)):
                scale = max(np.abs(a).max(initial=0), 1e-30)
                compare([a], [b], max(TOLERANCE, allowed / scale), f"value {model.graph.output[i].name}")
        assert sum(count_ops(after).values()) <= sum(count_ops(model).values()), "more ops than before"
        again = fuse(result.data, folder, stem=stem + "again")
        assert again.data == result.data, "a second run changes it"
        again.path.unlink()
        (again.path.parent / f"{stem}again.onnx").unlink()
    except Exception as e:
        raise Failure(type(e).__name__, f"seed {seed}: {type(e).__name__}: {e}\n  model: {folder}/{stem}.onnx") from e
    (result.path).unlink()
    (result.path.parent / f"{stem}.onnx").unlink()
    return fused_by(result.report)


def fused_by(report):
    return [f["pass"] for f in report["fusions"]]


if __name__ == "__main__":
    sys.exit(run_seeds(__doc__, try_seed))
