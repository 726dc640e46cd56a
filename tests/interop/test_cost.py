"""What is stored: no file grows, equal constants are one, the report's parameters add up, one number repeated stays one."""
import pathlib
import subprocess

import numpy as np
import onnx
import onnx.backend.test
import pytest
from onnx import helper, numpy_helper, parser

from tests.support.tool import TOOL, adds_up, assert_equal_under_ort, check_valid, count_ops, fuse

HEAD = '<ir_version: 8, opset_import: ["": 17]>\n'
GOLDENS = sorted(p for p in (pathlib.Path(__file__).parents[1] / "golden").glob("*.before.txt")
                 if not p.name.startswith("remove_dead"))  # what nobody read in the file is no fusion's
MODELS = sorted((pathlib.Path(__file__).parents[2] / "models").glob("*.onnx"))
LIGHT = sorted((pathlib.Path(onnx.backend.test.__file__).parent / "data" / "light").glob("*.onnx"))
RNG = np.random.default_rng(0)


def shared_by_nine():
    """One weight that nine Convs read, each of them negated."""
    weight = numpy_helper.from_array(RNG.normal(size=(36, 1, 256, 1)).astype("f4"), "w")
    nodes, inputs, outputs = [], [], []
    for i in range(9):
        nodes += [helper.make_node("Conv", [f"x{i}", "w"], [f"c{i}"]), helper.make_node("Neg", [f"c{i}"], [f"y{i}"])]
        inputs.append(helper.make_tensor_value_info(f"x{i}", 1, [1, 1, 512, 1]))
        outputs.append(helper.make_tensor_value_info(f"y{i}", 1, [1, 36, 257, 1]))
    return nodes, inputs, outputs, [weight]


def three_norms():
    """One weight that three Convs read, a norm behind each."""
    constants = [numpy_helper.from_array(RNG.normal(size=(16, 16, 3, 3)).astype("f4"), "w")]
    nodes, inputs, outputs = [], [], []
    for i in range(3):
        norm = [f"{k}{i}" for k in "sbmv"]
        constants += [numpy_helper.from_array(RNG.uniform(0.5, 2, 16).astype("f4"), name) for name in norm]
        nodes += [helper.make_node("Conv", [f"x{i}", "w"], [f"c{i}"], pads=[1] * 4),
                  helper.make_node("BatchNormalization", [f"c{i}", *norm], [f"y{i}"])]
        inputs.append(helper.make_tensor_value_info(f"x{i}", 1, [1, 16, 8, 8]))
        outputs.append(helper.make_tensor_value_info(f"y{i}", 1, [1, 16, 8, 8]))
    return nodes, inputs, outputs, constants


def int8_weights():
    """Weights of a byte a number behind Cast and Mul, and a Mul behind the product."""
    constants = [numpy_helper.from_array(RNG.integers(-128, 128, (200, 100)).astype("i1"), "q"),
                 numpy_helper.from_array(np.float32(0.01), "s"),
                 numpy_helper.from_array(RNG.uniform(0.5, 2, 100).astype("f4"), "t")]
    nodes = [helper.make_node("Cast", ["q"], ["f"], to=1), helper.make_node("Mul", ["f", "s"], ["w"]),
             helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Mul", ["p", "t"], ["y"])]
    return (nodes, [helper.make_tensor_value_info("x", 1, [3, 200])],
            [helper.make_tensor_value_info("y", 1, [3, 100])], constants)


@pytest.mark.parametrize("make", [shared_by_nine, three_norms, int8_weights])
def test_no_file_grows(make, tmp_path):
    graph = helper.make_graph(make()[0], "g", *make()[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    result = fuse(model, tmp_path)
    assert result.code == 0, result.stderr
    assert len(result.data) <= len(model.SerializeToString()) * 1.02 + 512
    assert_equal_under_ort(model, result.model)


@pytest.mark.parametrize("path", GOLDENS + MODELS, ids=lambda path: path.name.split(".")[0])
def test_parameters_add_up(path, tmp_path):
    model = parser.parse_model(path.read_text()) if path.suffix == ".txt" else onnx.load(path)
    report = fuse(model, tmp_path).report
    assert adds_up(report), report["fusions"]


def test_parameters_of_a_sum_that_folds_in_part(tmp_path):
    """The constants of the sum go into the bias of the part."""
    model = parser.parse_model(HEAD + """
g (float[1,2,4] x, float[1,2,4] z) => (float[1,2,4] y) <float[2,2,1] w = {1, 2, 3, 4}, float[2,2,1] v = {1, 2, 3, 5}, float[2,1] c = {1, 2}>
{ a = Conv (x, w)  b = Conv (x, v)  r = Relu (z)  d = Add (a, c)  e = Add (d, r)  y = Add (e, b) }""")
    result = fuse(model, tmp_path)
    assert result.report["fusions"] and adds_up(result.report), result.report["fusions"]
    assert_equal_under_ort(model, result.model)


@pytest.mark.parametrize("path", LIGHT, ids=lambda path: path.stem)
def test_light_models(path, tmp_path):
    """onnx's models of real networks, whose weights ConstantOfShape makes: a few bytes that stand for 500 MB."""
    for command in (["info", path], ["diff", path, path], ["verify", path, path]):
        done = subprocess.run([TOOL, *command], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
    result = fuse(onnx.load(path), tmp_path)
    assert result.code == 0 and not result.report["warnings"], result.stderr
    assert len(result.data) <= 1.02 * path.stat().st_size + 4096
    again = fuse(result.model, tmp_path, stem="again")
    assert not again.report["changed"]
    if path.stem == "light_resnet50":
        assert count_ops(result.model).get("BatchNormalization", 0) < 10


def test_number_that_is_repeated_too_often(tmp_path):
    """A few bytes may state any number of channels: that is refused in little time and memory."""
    model = parser.parse_model(HEAD + """
g (float[N,C,L] x) => (float[N,C,L] y) <int64[1] many = {120000000}, int64[3] shape = {120000000, 1, 1}>
{ s = ConstantOfShape <value = float[1] {2}> (many)  m = ConstantOfShape (many)  w = ConstantOfShape <value = float[1] {3}> (shape)
  a = Conv <group = 120000000> (x, w)  y = BatchNormalization (a, s, m, m, s) }""")
    check_valid(model)
    result = fuse(model, tmp_path)
    assert result.code == 0 and not result.report["changed"], result.stderr
