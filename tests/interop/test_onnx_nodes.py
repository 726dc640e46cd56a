"""Every model of onnx's own backend tests goes through: none crashes, none is refused, each result is valid and equal."""
import concurrent.futures
import os
import pathlib
import subprocess
import warnings

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.backend.test import loader
from onnx.reference import ReferenceEvaluator

from tests.support.tool import TOLERANCE, TOOL, check_valid, compare, fuse, session

# A floor for the number of models of each kind, so that a loader that finds nothing doesn't pass.
KINDS = {"node": 1500, "simple": 15, "pytorch-converted": 70, "pytorch-operator": 30}
LIGHT = pathlib.Path(loader.DATA_DIR) / "light"


def load_value(path, kind):
    if kind.HasField("sequence_type"):
        return numpy_helper.to_list(onnx.SequenceProto.FromString(path.read_bytes()))
    if kind.HasField("optional_type"):
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(path.read_bytes()))
    return numpy_helper.to_array(onnx.TensorProto.FromString(path.read_bytes()))


def plain(value):
    """What evaluators take: arrays, or lists of them."""
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return value if value is None else np.asarray(value)


def data_sets(case, model):
    """The inputs a case comes with, each a dict by name."""
    if case.data_sets is not None:
        yield from ({i.name: plain(v) for i, v in zip(model.graph.input, ins)} for ins, _ in case.data_sets)
        return
    for folder in sorted(pathlib.Path(case.model_dir).glob("test_data_set_*")):
        yield {i.name: load_value(folder / f"input_{k}.pb", i.type)
               for k, i in enumerate(model.graph.input) if (folder / f"input_{k}.pb").exists()}


def run_both(old, new, x):
    """Outputs of both models: by ONNX Runtime where it runs the old one, else by onnx's own evaluator."""
    try:
        want = session(old).run(None, x)
    except Exception:
        a, b = (ReferenceEvaluator(onnx.ModelProto.FromString(m)) for m in (old, new))
        return a.run(None, x), b.run(None, x)
    return want, session(new).run(None, x)


def is_valid(data):
    try:
        check_valid(onnx.ModelProto.FromString(data))
        return True
    except Exception:
        return False


def leaves(values):
    for v in values:
        if isinstance(v, list):
            yield from leaves(v)
        elif v is not None:
            yield np.asarray(v)


def trouble(name, data, inputs, folder):
    """What is wrong with the tool's answer to this model: a line, or None."""
    result = fuse(data, folder, stem=name)
    if result.code != 0:
        return f"{name}: exit {result.code}: {result.stderr.strip()}"
    if result.data == data:
        return None
    if not result.report["changed"]:
        return f"{name}: the bytes changed and the report says nothing did"
    if result.report["warnings"]:
        return f"{name}: {result.report['warnings']}"
    if is_valid(data) and not is_valid(result.data):
        return f"{name}: the output is not valid"
    try:
        for x in inputs:
            old, new = run_both(data, result.data, x)
            old, new = list(leaves(old)), list(leaves(new))
            compare(old, new, max((TOLERANCE.get(a.dtype, 0) for a in old), default=0), name)
    except Exception as e:
        return f"{name}: {type(e).__name__}: {e}"
    return None


def changed(cases, folder):
    """Those that do not come out as they went in. One run takes them all: most do."""
    source, target = folder / "source", folder / "target"
    source.mkdir()
    for name, data, _ in cases:
        (source / f"{name}.onnx").write_bytes(data)
    run = subprocess.run([TOOL, "--quiet", "--batch", target, *sorted(source.iterdir())], capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    return [case for case in cases if (target / f"{case[0]}.onnx").read_bytes() != case[1]]


def judge(cases, folder, least=1):
    """cases: (name, bytes, inputs). At least so many of them change."""
    cases = changed(list(cases), folder)
    assert len(cases) >= least
    with concurrent.futures.ThreadPoolExecutor(max(2, (os.cpu_count() or 2))) as pool:
        found = [t for t in pool.map(lambda c: trouble(*c, folder), cases) if t]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("kind", KINDS)
def test_models_of_onnx(kind, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of the cases divide by 0 when they are made
        cases = loader.load_model_tests(kind=kind)
    assert len(cases) >= KINDS[kind]

    def each():
        for case in cases:
            if case.model is not None:
                data, model = case.model.SerializeToString(), case.model
            else:
                data = (pathlib.Path(case.model_dir) / "model.onnx").read_bytes()
                model = onnx.ModelProto.FromString(data)
            yield case.name, data, list(data_sets(case, model))

    judge(each(), tmp_path, 1 if kind == "node" else 0)


def test_networks_of_onnx(tmp_path):
    """Whole networks whose weights are nodes that fill constants."""
    models = sorted(LIGHT.glob("*.onnx"))
    assert len(models) >= 8

    def each():
        for path in models:
            data = path.read_bytes()
            graph = onnx.ModelProto.FromString(data).graph
            fixed = {t.name for t in graph.initializer}
            rng = np.random.default_rng(0)
            x = {i.name: rng.normal(0, 1, [d.dim_value for d in i.type.tensor_type.shape.dim]).astype(np.float32)
                 for i in graph.input if i.name not in fixed}
            yield path.stem, data, [x]

    judge(each(), tmp_path)
