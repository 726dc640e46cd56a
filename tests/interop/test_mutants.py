"""Fused models altered in hundreds of ways: verify must not call one equal that computes something else.

ONNX Runtime is the referee: a mutant counts when its outputs depart from the original's by more than the
tolerance the other suites grant float32. What verify then calls equal is a miss, and there may be none."""
import collections
import pathlib
import subprocess

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, helper, numpy_helper

from tests.interop.test_fold import table
from tests.support.cost import SLOWER
from tests.support.net import Net
from tests.support.tool import ROOT, TOOL, evaluator, feeds, fuse, graphs_of, scopes

MODELS = sorted((ROOT / "models").glob("*.onnx"))
CASES = [c for c in table.cases if c.options.get("dtype", "float32") == "float32" and not c.external]
# Mutants of each model, of each fold; under memcheck fewer. The models that are named are slow.
EACH = {"replknet_block": 30, "repvgg_small": 30} if SLOWER == 1 else {}
EACH_OTHER, EACH_FOLD = (50, 6) if SLOWER == 1 else (4, 1)
TOLERANCE = 2e-5


def verify(a, b):
    return subprocess.run([TOOL, "verify", a, b], capture_output=True, text=True, timeout=120)


# Mutations. Each takes the model and a random generator, alters the model and says what it did, or returns None.


def float_tensors(model):
    for g in graphs_of(model.graph):
        yield from (t for t in g.initializer if t.data_type == onnx.TensorProto.FLOAT and np.prod(t.dims) > 0)
    for _, nodes in scopes(model):
        for n in nodes:
            for a in n.attribute:
                if n.op_type == "Constant" and a.type == AttributeProto.TENSOR and a.t.data_type == onnx.TensorProto.FLOAT:
                    yield a.t


def pick(rng, items):
    items = list(items)
    return items[rng.integers(len(items))] if items else None


def numbers(change):
    def mutate(model, rng):
        tensor = pick(rng, float_tensors(model))
        if tensor is None:
            return None
        before = numpy_helper.to_array(tensor)
        after = change(before.copy(), rng)
        if after is None:
            return None
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(after, np.float32), name))
        return f"{change.__name__} of '{name}'"
    mutate.__name__ = change.__name__
    return mutate


def one(array, rng):
    return tuple(rng.integers(d) for d in array.shape)


def nudge_one(array, rng):
    array[one(array, rng)] *= 1 + 10.0 ** rng.uniform(-4, -1)
    return array


def shift_one(array, rng):
    array[one(array, rng)] += 10.0 ** rng.uniform(-3, 0)
    return array


def flip_one(array, rng):
    array[one(array, rng)] *= -1
    return array


def zero_one(array, rng):
    array[one(array, rng)] = 0
    return array


def scale_channel(array, rng):
    if array.ndim == 0:
        return None
    array[rng.integers(len(array))] *= 1 + 10.0 ** rng.uniform(-3, 0)
    return array


def swap_channels(array, rng):
    if array.ndim == 0 or len(array) < 2:
        return None
    i, k = rng.choice(len(array), 2, replace=False)
    array[[i, k]] = array[[k, i]]
    return array


def swap_inputs(array, rng):
    if array.ndim < 2 or array.shape[1] < 2:
        return None
    i, k = rng.choice(array.shape[1], 2, replace=False)
    array[:, [i, k]] = array[:, [k, i]]
    return array


def mirror_kernel(array, rng):
    return array[..., ::-1] if array.ndim > 2 and array.shape[-1] > 1 else None


def transpose_kernel(array, rng):
    return np.swapaxes(array, -1, -2) if array.ndim == 4 and array.shape[-1] == array.shape[-2] > 1 else None


def roll_kernel(array, rng):
    return np.roll(array, 1, -1) if array.ndim > 2 and array.shape[-1] > 1 else None


def all_nodes(model):
    return [(o, nodes, n) for o, nodes in scopes(model) for n in nodes]


def set_attribute(node, name, value):
    for a in list(node.attribute):
        if a.name == name:
            node.attribute.remove(a)
    if value is not None:
        node.attribute.append(helper.make_attribute(name, value))


def attribute(node, name, otherwise):
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), otherwise)


def convs(model):
    return [n for _, _, n in all_nodes(model) if n.op_type in ("Conv", "ConvTranspose")]


def drop_bias(model, rng):
    node = pick(rng, [n for n in convs(model) if len(n.input) > 2])
    if node is None:
        return None
    del node.input[2]
    return f"bias of {node.name} dropped"


def swap_bias(model, rng):
    node = pick(rng, [n for n in convs(model) if len(n.input) > 2])
    other = pick(rng, [n for n in convs(model) if len(n.input) > 2 and n is not node])
    if other is None:
        return None
    node.input[2], other.input[2] = other.input[2], node.input[2]
    return f"biases of {node.name} and {other.name} swapped"


def swap_weights(model, rng):
    found = convs(model)
    if len(found) < 2:
        return None
    i, k = rng.choice(len(found), 2, replace=False)
    found[i].input[1], found[k].input[1] = found[k].input[1], found[i].input[1]
    return f"weights of {found[i].name} and {found[k].name} swapped"


def shift_pads(model, rng):
    node = pick(rng, [n for n in convs(model) if any(attribute(n, "pads", [0]))])
    if node is None:
        return None
    pads = list(attribute(node, "pads", None))
    rank = len(pads) // 2
    axis = rng.integers(rank)
    step = 1 if pads[axis] else -1  # the window moves, the size stays
    if pads[axis] - step < 0 or pads[rank + axis] + step < 0:
        return None
    pads[axis] -= step
    pads[rank + axis] += step
    set_attribute(node, "pads", pads)
    return f"pads of {node.name} moved"


def grow_pads(model, rng):
    node = pick(rng, [n for n in convs(model) if attribute(n, "pads", None)])
    if node is None:
        return None
    pads = list(attribute(node, "pads", None))
    pads[rng.integers(len(pads))] += 1
    set_attribute(node, "pads", pads)
    return f"a pad of {node.name} grown"


def dilate(model, rng):
    node = pick(rng, [n for n in convs(model) if max(attribute(n, "kernel_shape", [1])) > 1])
    if node is None:
        return None
    rank = len(attribute(node, "kernel_shape", None))
    set_attribute(node, "dilations", [2] * rank)
    pads = list(attribute(node, "pads", [0] * (2 * rank)))
    kernel = list(attribute(node, "kernel_shape", None)) * 2
    set_attribute(node, "pads", [p + (k - 1) // 2 for p, k in zip(pads, kernel)])
    return f"{node.name} dilated"


def stride(model, rng):
    node = pick(rng, convs(model))
    if node is None:
        return None
    rank = len(attribute(node, "kernel_shape", [1, 1]))
    strides = list(attribute(node, "strides", [1] * rank))
    strides[rng.integers(rank)] += 1
    set_attribute(node, "strides", strides)
    return f"strides of {node.name} changed"


def number_attribute(model, rng):
    found = [(n, a) for _, _, n in all_nodes(model) for a in n.attribute if a.type == AttributeProto.FLOAT]
    if not found:
        return None
    node, a = pick(rng, found)
    a.f = a.f * 1.5 + 0.01
    return f"{a.name} of {node.name} changed"


def other_operator(model, rng):
    table = {"Relu": ["Sigmoid", "LeakyRelu", "Abs", "Identity", "Tanh"], "Add": ["Sub", "Mul"], "Sub": ["Add"], "Mul": ["Add"],
             "Sigmoid": ["Tanh", "Relu"], "Neg": ["Identity"]}
    node = pick(rng, [n for _, _, n in all_nodes(model) if n.op_type in table])
    if node is None:
        return None
    was, node.op_type = node.op_type, pick(rng, table[node.op_type])
    return f"{was} {node.name} became {node.op_type}"


def rewire(model, rng):
    """One input of one node reads another value made before it."""
    owner, nodes = pick(rng, [(o, ns) for o, ns in scopes(model) if len(ns)])
    at = int(rng.integers(len(nodes)))
    node = nodes[at]
    known = [i.name if hasattr(i, "name") else i for i in owner.input]
    known += [o for n in nodes[:at] for o in n.output]
    held = {t.name for t in getattr(owner, "initializer", [])}
    slots = [i for i, name in enumerate(node.input) if name and name not in held]
    if not slots or not known:
        return None
    slot, name = pick(rng, slots), pick(rng, known)
    if node.input[slot] == name:
        return None
    was, node.input[slot] = node.input[slot], name
    return f"{node.name} reads '{name}', not '{was}'"


def swap_operands(model, rng):
    node = pick(rng, [n for _, _, n in all_nodes(model) if n.op_type in ("Sub", "Div", "Concat", "MatMul") and len(n.input) > 1])
    if node is None:
        return None
    node.input[0], node.input[1] = node.input[1], node.input[0]
    return f"operands of {node.name} swapped"


def bypass(model, rng):
    """A node is taken out: its readers read its input."""
    owner, nodes = pick(rng, [(o, ns) for o, ns in scopes(model) if len(ns)])
    outputs = {o.name if hasattr(o, "name") else o for o in owner.output}
    node = pick(rng, [n for n in nodes if len(n.input) and n.input[0] and n.output[0] not in outputs])
    if node is None:
        return None
    for n in nodes:
        for i, name in enumerate(n.input):
            if name == node.output[0]:
                n.input[i] = node.input[0]
    nodes.remove(node)
    return f"{node.op_type} {node.name} taken out"


def swap_branches(model, rng):
    node = pick(rng, [n for _, _, n in all_nodes(model) if n.op_type == "If"])
    if node is None:
        return None
    for a in node.attribute:
        a.name = {"then_branch": "else_branch", "else_branch": "then_branch"}[a.name]
    return "branches of If swapped"


MUTATIONS = [
    *map(numbers, (nudge_one, shift_one, flip_one, zero_one, scale_channel, swap_channels, swap_inputs, mirror_kernel,
                   transpose_kernel, roll_kernel)),
    drop_bias, swap_bias, swap_weights, shift_pads, grow_pads, dilate, stride, number_attribute, other_operator, rewire,
    swap_operands, bypass, swap_branches,
]


# The judge


def departs(want, got):
    """True when some output differs beyond the tolerance, or has another shape."""
    for a, b in zip(want, got):
        if a.shape != b.shape:
            return True
        a, b = a.astype(np.float64), b.astype(np.float64)
        if not (np.isfinite(a) == np.isfinite(b)).all():
            return True
        if np.abs(a - b).max(initial=0) > TOLERANCE * np.abs(a).max(initial=0):
            return True
    return False


def hunt(model, data, folder, seed, count):
    """Mutants of a fused model. Returns what became of them and those that were missed."""
    source, target = folder / "model.onnx", folder / "mutant.onnx"
    source.write_bytes(model.SerializeToString())
    inputs = [x for s in range(2) for x in feeds(model, seed=seed + s)]
    run = evaluator(model)
    want = [run(x) for x in inputs]
    tally, missed, rng = collections.Counter(), [], np.random.default_rng(seed)
    for n in range(count):
        mutant = onnx.ModelProto.FromString(data)
        what = MUTATIONS[(n + seed) % len(MUTATIONS)](mutant, rng)
        if what is None:
            tally["not applicable"] += 1
            continue
        target.write_bytes(mutant.SerializeToString())
        code = verify(source, target).returncode
        assert code in (0, 1, 2), what
        try:
            run = evaluator(mutant)
            changed = any(departs(w, run(x)) for w, x in zip(want, inputs))
        except Exception:  # noqa: BLE001: ONNX Runtime refuses it, in one of many ways
            tally["refused by the runtime"] += 1
            continue
        if changed:
            tally[f"changed, verify {code}"] += 1
            if code == 0:
                missed.append(what)
        else:
            tally[f"unchanged, verify {code}"] += 1
    return tally, missed


def deep(n):
    """Blocks one after another, with activations, a gate and a head: a change early on must show at the end."""
    x = n.input("x", (1, 4, 13, 11))
    for k in range(3):
        y = n.add(n.convbn(x, 4, 3), n.convbn(x, 4, 1), n.bn(x))
        x = [n.relu, lambda v: n.node("HardSwish", [v]) if n.opset >= 14 else n.relu(v), n.relu][k](y)
    gate = n.node("Sigmoid", [n.conv(n.node("GlobalAveragePool", [x]), 4, 1, bias=True)])
    x = n.node("Mul", [x, gate])
    x = n.node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
    x = n.relu(n.add(n.convbn(x, 6, 3, stride=2), n.convbn(x, 6, 1, stride=2)))
    n.output(n.node("Flatten", [n.node("GlobalAveragePool", [x])]))


def judge(subject, tally, missed, capsys):
    with capsys.disabled():
        print(f"\n{subject}: " + ", ".join(f"{k}: {v}" for k, v in sorted(tally.items())))
    assert not missed, f"{subject}: called equal: {missed}"
    assert SLOWER > 1 or sum(v for k, v in tally.items() if k.startswith("changed")) > 0


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_mutants_of_models(path, tmp_path, capsys):
    model = onnx.load(path)
    if any(t.data_type == onnx.TensorProto.FLOAT16 for t in model.graph.initializer):
        pytest.skip("half types have a tolerance of their own")
    fused = fuse(model, tmp_path, stem="original")
    assert verify(tmp_path / "original.onnx", fused.path).returncode == 0
    tally, missed = hunt(model, fused.data, tmp_path, 1, EACH.get(path.stem, EACH_OTHER))
    judge(path.stem, tally, missed, capsys)


def test_mutants_of_a_deep_model(tmp_path, capsys):
    net = Net(seed=5)
    deep(net)
    model = net.model()
    fused = fuse(model, tmp_path, stem="original")
    assert verify(tmp_path / "original.onnx", fused.path).returncode == 0
    tally, missed = hunt(model, fused.data, tmp_path, 2, 4 * EACH_OTHER)
    judge("deep", tally, missed, capsys)


def test_mutants_of_every_fold(tmp_path, capsys):
    """A few of each case: all operators, bodies and functions."""
    total, misses = collections.Counter(), []
    for k, case in enumerate(CASES):
        folder = pathlib.Path(tmp_path, str(k))
        folder.mkdir()
        model = case.net().model()
        fused = fuse(model, folder, stem="original")
        tally, missed = hunt(model, fused.data, folder, case.seed % 10007, EACH_FOLD)
        total += tally
        misses += [f"{case.name}: {m}" for m in missed]
    judge("all folds", total, misses, capsys)
