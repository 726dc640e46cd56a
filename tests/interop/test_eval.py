"""The evaluator against onnx's own node tests: every case of a deterministic operator gives the numbers that ONNX expects."""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import warnings

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test import loader

from tests.support.tool import TOOL

EVAL_MODEL = os.environ.get("EVAL_MODEL", str(pathlib.Path(TOOL).parent / "tests" / "eval_model"))

# What ops that follow each other may differ by: where a sum is rounded, each runtime has its own order.
ROUNDING = {TensorProto.FLOAT16: 2e-3, TensorProto.BFLOAT16: 1.6e-2}

# Cases that are not evaluated, by their names, with the reason.
EXCEPTIONS = {
    "training_dropout(_default|_mask|_default_mask|)$": "draws random numbers",
    "bernoulli": "draws random numbers",
}
# Cases of operators that are not evaluated yet.
MISSING = """
AffineGrid ArrayFeatureExtractor Attention Binarizer BlackmanWindow CausalConvWithState Col2Im DFT DeformConv
Det FlexAttention GridSample HammingWindow HannWindow ImageDecoder LabelEncoder
LinearAttention MelWeightMatrix NonMaxSuppression
RegexFullMatch RoiAlign RotaryEmbedding STFT StringConcat StringNormalizer StringSplit SwiGLU
TfIdfVectorizer TreeEnsemble Adagrad Adam Momentum
""".split()


def feed(nodes, name, kind, value):
    """Nodes that make an input of a case."""
    if kind.HasField("optional_type"):
        inner = kind.optional_type.elem_type
        if value is None:
            nodes.append(helper.make_node("Optional", [], [name], type=inner))
        else:
            feed(nodes, f"{name}/element", inner, value)
            nodes.append(helper.make_node("Optional", [f"{name}/element"], [name]))
    elif kind.HasField("sequence_type"):
        inner = kind.sequence_type.elem_type
        for i, element in enumerate(value):
            feed(nodes, f"{name}/{i}", inner, element)
        names = [f"{name}/{i}" for i in range(len(value))]
        if names:
            nodes.append(helper.make_node("SequenceConstruct", names, [name]))
        else:
            nodes.append(helper.make_node("SequenceEmpty", [], [name], dtype=inner.tensor_type.elem_type))
    else:
        tensor = value if isinstance(value, TensorProto) else numpy_helper.from_array(np.asarray(value))
        nodes.append(helper.make_node("Constant", [], [name], value=tensor))


def closed(model, inputs):
    """The model with its inputs inside."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    nodes = []
    values = list(copy.graph.input)
    for value, given in zip(values, inputs):
        feed(nodes, value.name, value.type, given)
    nodes.extend(copy.graph.node)
    del copy.graph.node[:], copy.graph.input[:]
    copy.graph.node.extend(nodes)
    for entry in copy.opset_import:  # what feeds it needs these
        if entry.domain in ("", "ai.onnx"):
            entry.version = max(entry.version, 7)
    return copy


def array_of(tensor):
    return np.asarray(numpy_helper.to_array(tensor))


def result_of(tensors, name):
    """An output: an array, or a list of them."""
    if f"{name}/0" in tensors or tensors[name] is None:
        return [result_of(tensors, f"{name}/{i}") for i in range(int(array_of(tensors[name])))]
    return array_of(tensors[name])


def difference(want, got, rtol, atol):
    """What is wrong, or None."""
    if isinstance(want, list) or isinstance(got, list):
        want, got = list(want) if isinstance(want, list) else [want], list(got) if isinstance(got, list) else [got]
        if len(want) != len(got):
            return f"{len(got)} elements for {len(want)}"
        return next((d for d in (difference(w, g, rtol, atol) for w, g in zip(want, got)) if d), None)
    if isinstance(want, TensorProto):
        want = array_of(want)
    want = np.asarray(want)
    if want.shape != got.shape:
        return f"shape {got.shape} for {want.shape}"
    if want.dtype.kind in "OSU":
        same = all((w if isinstance(w, str) else w.decode()) == (g if isinstance(g, str) else g.decode())
                   for w, g in zip(want.ravel().tolist(), got.ravel().tolist()))
        return None if same else f"{got.ravel()[:8]} for {want.ravel()[:8]}"
    if want.dtype != got.dtype:
        return f"type {got.dtype} for {want.dtype}"
    if want.dtype.kind not in "biu":
        want, got = want.astype(np.float64), got.astype(np.float64)
    try:
        np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)
    except AssertionError as e:
        return re.sub(r"\s+", " ", str(e))[:300]
    return None


def trouble(case, folder):
    """What is wrong with a case: a line, or None."""
    model = case.model
    source, target = folder / f"{case.name}.onnx", folder / f"{case.name}.out.onnx"
    for inputs, wanted in case.data_sets:
        source.write_bytes(closed(model, inputs).SerializeToString())
        run = subprocess.run([EVAL_MODEL, source, target], capture_output=True, text=True, timeout=60)
        source.unlink()
        if run.returncode != 0:
            return f"{case.name}: exit {run.returncode}: {run.stderr.strip()[:300]}"
        tensors = {t.name: t for t in onnx.load(target).graph.initializer}
        target.unlink()
        for value, want in zip(model.graph.output, wanted):
            counted = value.type.HasField("sequence_type") or value.type.HasField("optional_type")
            got = result_of(tensors, value.name)
            if counted and not isinstance(got, list):
                got = [] if int(got) == 0 else got
            if value.type.HasField("optional_type"):
                got, want = got, [] if want is None else [want]
            wrong = difference(want, got, max(case.rtol, ROUNDING.get(value.type.tensor_type.elem_type, 0)), case.atol)
            if wrong:
                return f"{case.name}: '{value.name}': {wrong}"
    return None


def load_cases():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of the cases divide by 0 when they are made
        return loader.load_model_tests(kind="node")


def judge(cases, folder):
    with concurrent.futures.ThreadPoolExecutor(max(2, os.cpu_count() or 2)) as pool:
        return [t for t in pool.map(lambda case: trouble(case, folder), cases) if t]


def test_node_cases(tmp_path):
    cases = load_cases()
    assert len(cases) >= 1500
    excepted = [case for case in cases if any(re.search(pattern, case.name) for pattern in EXCEPTIONS)]
    assert len(excepted) <= 0.03 * len(cases)
    missing = [case for case in cases if any(node.op_type in MISSING for node in case.model.graph.node)]
    found = judge([case for case in cases if case not in excepted and case not in missing], tmp_path)
    assert not found, f"{len(found)} of {len(cases)}\n" + "\n".join(found)


if __name__ == "__main__":
    import collections
    import sys
    import tempfile

    cases = [case for case in load_cases() if re.search(sys.argv[1] if len(sys.argv) > 1 else "", case.name)]
    with tempfile.TemporaryDirectory() as folder:
        found = judge(cases, pathlib.Path(folder))
    print("\n".join(sorted(found)))
    print(collections.Counter(re.sub(r".*exit \d+: ", "", f) if "is not evaluated" in f else "other" for f in found).most_common(150))
    print(f"{len(cases) - len(found)} of {len(cases)}")
