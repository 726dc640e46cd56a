#!/usr/bin/env python3
"""Draw random networks of ops that let scales through, and of some that do not; equalise them: not one bit may change.

Ranges of channels are drawn far apart, so that there is something to do. Each network is fused, and fused and
equalised; the outputs of the two must be the same bytes under ONNX Runtime at its lowest and highest level of
optimisation. It has no kernels of bfloat16: each op is computed in float and rounded, as they would be. Nor has it Convs of
double: onnx's reference computes them. Equalising the result once more must change nothing, nor may the number of threads.

usage: python -m tests.support.random_equalize [--kind float32|float64|bfloat16|float16] [--first-seed N] [--seeds N] [--jobs N]
"""
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

from tests.support.drawing import Failure, Impossible, run_seeds
from tests.support.net import BFLOAT16, Net
from tests.support.tool import check_valid, fuse


KINDS = ("float32", "float64", "bfloat16", "float16")


class Drawer:
    def __init__(self, seed, kind=None):
        self.rng = np.random.default_rng(seed)
        dtype = kind or self.rng.choice(["float32"] * 7 + ["float64", "bfloat16", "float16"])
        # Where onnx's reference has to run it: its BatchNormalization before opset 14 is in training mode.
        opset = 22 if dtype == "bfloat16" else int(self.rng.choice([14, 17, 18] if dtype == "float64" else [11, 13, 14, 17, 18, 22]))
        self.n = Net(opset, 8 if opset < 21 else 10, dtype=dtype, seed=seed)
        self.dtype = dtype

    def chance(self, p):
        return self.rng.random() < p

    def bn(self, x):
        n, c = self.n, self.n.channels(x)
        gamma = 2.0 ** self.rng.normal(0, 2.5, c) * self.rng.choice([-1, 1], c)
        beta = gamma * self.rng.normal(0, 0.7, c)
        if self.chance(0.1):
            gamma[0] = 0
        return n.bn(x, stats=[n.const(v) for v in (gamma, beta, n.shifts(c) * 0.1, self.rng.uniform(0.5, 2, c))])

    def conv(self, x, cout=None, k=None, group=None, bias=None):
        n, cin = self.n, self.n.channels(x)
        cout = cout or int(self.rng.choice([4, 6, 8]))
        group = group or (cin if cout == cin and self.chance(0.4) else 2 if cin % 2 == 0 and cout % 2 == 0 and self.chance(0.2) else 1)
        k = k or int(self.rng.choice([1, 3]))
        return n.conv(x, cout, k, bias=self.chance(0.3) if bias is None else bias, group=group)

    def block(self, x):
        """Conv and BatchNormalization, or branches of them."""
        n, c = self.n, int(self.rng.choice([4, 6, 8]))
        if self.chance(0.15):
            return self.bn(self.conv_transpose(x))
        if self.chance(0.5):
            return self.bn(self.conv(x, c))
        parts = [self.bn(n.conv(x, c, 3)), self.bn(n.conv(x, c, 1))]
        if c == n.channels(x):
            parts.append(self.bn(x))
        return n.add(*parts)

    def conv_transpose(self, x):
        n = self.n
        return n.conv_t(x, int(self.rng.choice([4, 6])), 3, bias=self.chance(0.5), pads=[1] * 4,
                        group=2 if n.channels(x) % 2 == 0 and self.chance(0.4) else 1)

    def act(self, x):
        n = self.n
        kind = self.rng.integers(12)
        if kind < 5:
            return n.relu(x)
        if kind == 5:
            return n.node("LeakyRelu", [x], alpha=0.125)
        if kind == 6:
            return n.node("PRelu", [x, n.const(self.rng.uniform(-0.5, 0.9, (n.channels(x), 1, 1)))])
        if kind == 7:
            return n.node("Abs", [x])
        if kind == 8:
            return n.node("Max", [x, n.const(np.zeros(()) if self.chance(0.5) else self.rng.normal(0, 1, (n.channels(x), 1, 1)))])
        if kind == 9:
            return n.node(str(self.rng.choice(["Sigmoid", "Tanh"])), [x])
        if kind == 10 and self.n.opset >= 11:
            return n.node("Clip", [x, n.scalar(0.0), n.scalar(6.0)])
        return x

    def between(self, x):
        n, c = self.n, self.n.channels(x)
        kind = self.rng.integers(18)
        if kind == 0:
            return n.node("MaxPool", [x], kernel_shape=[2, 2], strides=[1, 1])
        if kind == 1:
            return n.avgpool(x, 2)
        if kind == 2:
            return n.pad(x, [1, 1, 1, 1], value=float(self.rng.choice([0, 0, 0.5])))
        if kind == 3:
            return n.pad(x, [1, 0, 1, 0], mode="reflect")
        if kind == 4:
            scales = n.const(np.array([1, 1, 2, 2], np.float32), dtype=np.float32)
            return n.node("Resize", [x, n.const(np.zeros(0, np.float32), dtype=np.float32), scales], mode=str(self.rng.choice(["nearest", "linear"])))
        if kind == 5:
            return n.node(str(self.rng.choice(["Mul", "Add", "Sub", "Div"])), [x, n.per_channel(x)])
        if kind == 6:
            gate = n.node("Sigmoid", [self.conv(n.node("GlobalAveragePool", [x]), c, 1, group=1)])
            return n.node("Mul", [x, gate] if self.chance(0.5) else [gate, x])
        if kind == 7 and c % 2 == 0:
            parts = n.node("Split", [x], n_out=2, axis=1, **({"num_outputs": 2} if n.opset >= 18 else {}))
            return n.node("Concat", list(parts)[:: int(self.rng.choice([1, -1]))], axis=1)
        if kind == 8:
            return n.slice(x, [1], [c], [1])
        if kind == 9:
            return n.slice(x, [1], [9], [2])
        if kind == 10:
            return n.node("Concat", [x, self.act(self.block(x))], axis=1)
        if kind == 11:
            return n.add(x, self.act(self.bn(self.conv(x, c))))
        if kind == 12 and c % 2 == 0:
            shape = n.shape(x)
            y = n.node("Reshape", [x, n.ints(shape[0], 2, c // 2, *shape[2:])])
            return n.node("Reshape", [n.node("Transpose", [y], perm=[0, 2, 1, 3, 4]), n.ints(*shape)])
        if kind == 13 and c % 4 == 0:
            return n.node("DepthToSpace", [x], blocksize=2, mode=str(self.rng.choice(["DCR", "CRD"])))
        if kind == 14:
            return n.bn(x)
        if kind == 15:
            y = n.node("ReduceMean", [x], axes=[2, 3], keepdims=1) if n.opset < 18 else n.node("ReduceMean", [x, n.ints(2, 3)])
            return n.node("Sub", [x, y])
        if kind == 16:
            return n.identity(n.node("Neg", [x]))
        return x

    def network(self):
        n = self.n
        x = n.input("x", (1, int(self.rng.choice([3, 4])), 9, 9))
        seen = []
        x = self.act(self.block(x))
        for _ in range(int(self.rng.integers(2, 6))):
            for _ in range(int(self.rng.integers(3))):
                x = self.between(x)
            x = self.act(self.block(x))
            if self.chance(0.1):
                seen.append(x)
        if self.chance(0.7):
            pooled = n.node("Flatten", [n.node("GlobalAveragePool", [x])] if self.chance(0.7) else [x])
            x = n.gemm(pooled, 5, trans_b=int(self.chance(0.5))) if self.chance(0.6) else n.matmul(pooled, 5)
        n.output(x, *[v for v in dict.fromkeys(seen) if v != x])
        return n.model()


def run(model, x, level):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level, options.intra_op_num_threads, options.log_severity_level = level, 1, 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})


def in_float(model):
    """bfloat16 as a machine without it computes: each op in float, what it makes rounded."""
    wide, narrow = onnx.TensorProto.FLOAT, onnx.TensorProto.BFLOAT16
    copy = onnx.ModelProto()
    copy.CopyFrom(onnx.shape_inference.infer_shapes(model, data_prop=True))
    graph = copy.graph
    types = {v.name: v.type.tensor_type.elem_type for v in [*graph.value_info, *graph.input, *graph.output]}
    types.update((t.name, t.data_type) for t in graph.initializer)
    nodes, cast = [], set()

    def widen(name):
        if types.get(name) != narrow:
            return name
        if name not in cast:
            cast.add(name)
            nodes.append(onnx.helper.make_node("Cast", [name], [name + ".wide"], to=wide))
        return name + ".wide"

    for value in graph.input:
        if types[value.name] == narrow:  # a float that is one of bfloat16
            value.type.tensor_type.elem_type = types[value.name] = wide
    for node in graph.node:
        if node.op_type == "Constant" or any(a.g.node for a in node.attribute):
            nodes.append(node)
            continue
        names = [widen(name) for name in node.input]
        outputs = [(o, o + ".made" if types.get(o) == narrow else o) for o in node.output]
        node.input[:], node.output[:] = names, [made for _, made in outputs]
        nodes.append(node)
        nodes.extend(onnx.helper.make_node("Cast", [made], [o], to=narrow) for o, made in outputs if made != o)
    outputs = [(value, widen(value.name)) for value in graph.output]
    for value, name in outputs:
        value.name, value.type.tensor_type.elem_type = name, wide if name.endswith(".wide") else value.type.tensor_type.elem_type
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    return copy


def evaluated(models, x):
    """What each of them gives, once at each level of ONNX Runtime, else by onnx's reference. None: nobody runs them."""
    if x.dtype == BFLOAT16:
        models, x = [in_float(m) for m in models], x.astype(np.float32)
    levels = onnxruntime.GraphOptimizationLevel
    try:
        return [[run(m, x, level) for m in models] for level in (levels.ORT_DISABLE_ALL, levels.ORT_ENABLE_ALL)]
    except Exception as e:  # no kernel for the type
        if "NOT_IMPLEMENTED" not in str(e) and "not find an implementation" not in str(e) and "INVALID_GRAPH" not in str(e):
            raise
    try:
        return [[ReferenceEvaluator(m).run(None, {"x": x}) for m in models]]
    except ValueError:  # its own shortcomings: some types, pools, transposed Convs
        return None


def same_bits(before, after, x):
    return all(a.tobytes() == b.tobytes() for one, other in evaluated([before, after], x) or [] for a, b in zip(one, other))


def try_seed(seed, folder, kind=None):
    drawer = Drawer(seed, kind)
    for attempt in range(20):
        try:
            model = drawer.network()
            break
        except Impossible:
            drawer = Drawer(seed + (attempt + 1) * 1_000_003, kind)
    grain = "channel" if drawer.chance(0.3) else "tensor"
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    x = drawer.rng.normal(0, 1, shape).astype(drawer.n.dtype)
    with tempfile.TemporaryDirectory() as scratch:
        plain = fuse(model, scratch, stem="plain")
        even = fuse(model, scratch, "--equalize", grain, "--jobs", "1", stem="even")
        threads = fuse(model, scratch, "--equalize", grain, "--jobs", "3", stem="threads")
        name = f"seed {seed} ({drawer.dtype}, {grain})"

        def fail(kind, what):
            (folder / f"{seed}.onnx").write_bytes(model.SerializeToString())
            raise Failure(kind, f"{name}: {what}")

        if plain.code or even.code:
            fail("status", f"{plain.err} {even.err}")
        if even.report["warnings"] and any(w["pass"] == "equalize" for w in even.report["warnings"]):
            fail("self-check", even.report["warnings"])
        if even.path.read_bytes() != threads.path.read_bytes():
            fail("threads", "one thread and three make different bytes")
        check_valid(even.model)
        try:
            sides = evaluated([plain.model, even.model], x)
        except Exception as e:
            fail("run", f"{type(e).__name__}: {e}"[:600])
        for one, other in sides or []:
            if not all(a.tobytes() == b.tobytes() for a, b in zip(one, other)):
                fail("bits", "outputs differ")
        again = fuse(even.model, scratch, "--equalize", grain, stem="again")
        if again.path.read_bytes() != even.path.read_bytes():
            fail("again", "equalising twice changes it")
        changed = ["equalize"] if plain.path.read_bytes() != even.path.read_bytes() else []
        return changed + (["evaluated"] if changed and sides else [])


if __name__ == "__main__":
    sys.exit(run_seeds(__doc__, try_seed, KINDS))
