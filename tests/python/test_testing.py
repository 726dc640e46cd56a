"""testing: whole models under ONNX Runtime."""
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnx_repvgg_fuse import ModelError, OptionError, fuse
from onnx_repvgg_fuse.testing import assert_equivalent, compare, generate_inputs


def model(text):
    found = onnx.parser.parse_model("<ir_version: 8, opset_import: [\"\": 13]>\n" + text)
    onnx.checker.check_model(found)
    return found


def test_models_of_the_repository(model_path, tmp_path):
    fuse(model_path, tmp_path / "fused.onnx")
    assert_equivalent(model_path, tmp_path / "fused.onnx")


def test_a_difference_is_told(block):
    other = onnx.ModelProto()
    other.CopyFrom(block)
    other.graph.node[-1].op_type = "Sigmoid"
    with pytest.raises(AssertionError, match="DIFFERENT: output 'y0': difference 0"):
        assert_equivalent(block, other)
    assert_equivalent(block, other, rtol=10.0)
    found = compare(block, other)
    assert not found and found.largest_difference == found.outputs[0].difference > 0.01


def test_small_differences_are_rounding(block):
    other = onnx.ModelProto()
    other.CopyFrom(block)
    name = block.graph.output[0].name
    for graph, factor in ((other.graph, 1 + 1e-5),):
        graph.node[-1].output[0] = "last"
        graph.initializer.append(onnx.numpy_helper.from_array(np.float32(factor), "factor"))
        graph.node.append(helper.make_node("Mul", ["last", "factor"], [name]))
    assert_equivalent(block, other)
    with pytest.raises(AssertionError):
        assert_equivalent(block, other, rtol=1e-6)


def test_given_inputs():
    a, b = model("g (float[2] x) => (float[2] y) { y = Relu(x) }"), model("g (float[2] x) => (float[2] y) { y = Identity(x) }")
    good, bad = {"x": np.float32([1, 2])}, {"x": np.float32([1, -2])}
    assert_equivalent(a, b, good)
    assert_equivalent(a, b, [good, good])
    with pytest.raises(AssertionError):
        assert_equivalent(a, b, [good, bad])
    with pytest.raises(AssertionError):
        assert_equivalent(a, b)  # random ones have both signs
    for wrong in ({}, {"z": good["x"]}, {**good, "z": good["x"]}):
        with pytest.raises(OptionError, match=r"inputs has .*expected \['x'\]"):
            assert_equivalent(a, b, wrong)
    with pytest.raises(OptionError, match="inputs is empty"):
        assert_equivalent(a, b, [])
    with pytest.raises(ModelError, match="does not run"):
        assert_equivalent(a, b, {"x": np.zeros((2, 3, 4), np.float32)})


def test_interfaces():
    one = model("g (float[2] x, float[2] z) => (float[2] p, float[2] q) { p = Relu(x)\n q = Neg(z) }")
    other = model("g (float[2] z, float[2] x) => (float[2] q, float[2] p) { p = Relu(x)\n q = Neg(z) }")
    assert_equivalent(one, other)  # paired by name
    less = model("g (float[2] x) => (float[2] p) { p = Relu(x) }")
    with pytest.raises(AssertionError, match="input 'z' is in the first model only\n.*output 'q' is in the first model only"):
        assert_equivalent(one, less)
    with pytest.raises(AssertionError, match="output 'q' is in the second model only"):
        assert_equivalent(less, one)
    typed = model("g (float[2] x) => (double[2] p) { t = Relu(x)\n p = Cast<to: int = 11>(t) }")
    with pytest.raises(AssertionError, match=r"output 'p': tensor\(float\) became tensor\(double\)"):
        assert_equivalent(less, typed)


def test_not_a_number_in_one_only():
    a = model("g (float[2] x) => (float[2] y) { y = Sqrt(x) }")
    b = model("g (float[2] x) => (float[2] y) { t = Abs(x)\n y = Sqrt(t) }")
    assert_equivalent(a, a, {"x": np.float32([-1, 4])})
    with pytest.raises(AssertionError, match="NaN or infinity in one of them only"):
        assert_equivalent(a, b, {"x": np.float32([-1, 4])})


def test_integers_must_be_equal():
    a = model("g (int64[3] x) => (int64[3] y) { y = Identity(x) }")
    b = model("g (int64[3] x) => (int64[3] y) <int64 one = {1000000001}, int64 two = {1000000000}> { t = Mul(x, one)\n y = Div(t, two) }")
    assert_equivalent(a, b)
    with pytest.raises(AssertionError, match="values differ"):
        assert_equivalent(a, b, {"x": np.int64([0, 10**9, 1])}, rtol=1.0)


def test_shapes():
    a = model("g (float[N, 3] x) => (float[M] y) <int64[1] s = {-1}> { y = Reshape(x, s) }")
    b = model("g (float[N, 3] x) => (float[M] y) <int64[2] s = {3, -1}> { y = Reshape(x, s) }")
    with pytest.raises((AssertionError, ModelError), match=r"shape \[6\] became \[3, 2\]|does not"):
        assert_equivalent(a, b)


def test_generated_inputs():
    text = "g (float[N, 3, h, 7] x, int32[5] i, bool[2] b, float16[h] s) => (float[N, 3, h, 7] y) { y = Identity(x) }"
    inputs = generate_inputs(model(text), dims={"h": 11})
    assert {name: (value.shape, value.dtype.name) for name, value in inputs.items()} == {
        "x": ((2, 3, 11, 7), "float32"), "i": ((5,), "int32"), "b": ((2,), "bool"), "s": ((11,), "float16")}
    again, other = generate_inputs(model(text), dims={"h": 11}), generate_inputs(model(text), dims={"h": 11}, seed=1)
    assert all((inputs[name] == again[name]).all() for name in inputs)
    assert (inputs["x"] != other["x"]).any()
    assert generate_inputs(model(text), size=13)["x"].shape == (2, 3, 13, 7)
    with pytest.raises(OptionError, match=r"input 'x' is a tensor\(string\)"):
        generate_inputs(model("g (string[2] x) => (string[2] y) { y = Identity(x) }"))


def test_an_open_size_that_runs():
    """A model that takes images of 224 only, without saying so."""
    text = ("g (float[1, 1, h, w] x) => (float[1, 2] y) <int64[2] s = {1, 50176}, float[50176, 2] m = {%s}>"
            " { t = Reshape(x, s)\n y = MatMul(t, m) }") % ", ".join(["1"] * 100352)
    assert compare(model(text), model(text)).runs == 2
    with pytest.raises(ModelError, match="none of the sizes"):
        odd = model(text.replace("50176", "50177").replace("{1, 50177}", "{1, 50177}").replace("= {1, 1,", "= {1, 1, 1, 1,", 1))
        compare(odd, odd)


def test_sequences():
    a = model("g (float[2] x) => (seq(float[2]) y) { n = Neg(x)\n y = SequenceConstruct(x, n) }")
    b = model("g (float[2] x) => (seq(float[2]) y) { n = Abs(x)\n y = SequenceConstruct(x, n) }")
    assert_equivalent(a, a)
    with pytest.raises(AssertionError, match="output 'y'"):
        assert_equivalent(a, b)


def test_what_it_needs_is_said(tmp_path):
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('gone', name='onnxruntime')")
    code = ("import onnx_repvgg_fuse as f\n"
            "try:\n    f.verify(b'', b'', runtime='onnxruntime')\nexcept ImportError as error:\n    print(error)")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(tmp_path)})
    assert run.stdout == "comparing under ONNX Runtime needs onnxruntime: pip install onnx-repvgg-fuse[ort]\n"
