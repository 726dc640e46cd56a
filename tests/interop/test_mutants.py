"""Fused models altered in hundreds of ways: verify must not call one equal that computes something else.

ONNX Runtime is the referee: a mutant counts when its outputs depart from the original's by more than the
tolerance the other suites grant float32. What verify then calls equal is a miss, and there may be none."""
import collections
import pathlib
import subprocess

import numpy as np
import onnx
import pytest

from tests.interop.test_fold import table
from tests.support.cost import SLOWER
from tests.support.mutants import MUTATIONS
from tests.support.net import Net
from tests.support.tool import ROOT, TOOL, evaluator, feeds, fuse

MODELS = sorted((ROOT / "models").glob("*.onnx"))
CASES = [c for c in table.cases if c.options.get("dtype", "float32") == "float32" and not c.external]
# Mutants of each model, of each fold; under memcheck fewer. The models that are named are slow.
EACH = {"replknet_block": 10, "repvgg_small": 10} if SLOWER == 1 else {}
EACH_OTHER, EACH_FOLD = (40, 3) if SLOWER == 1 else (4, 1)
TOLERANCE = 2e-5


def verify(a, b):
    return subprocess.run([TOOL, "verify", a, b], capture_output=True, text=True, timeout=120)


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
