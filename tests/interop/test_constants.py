"""What is computed of constants is stored, in every type, where the file does not grow much for it."""
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.support.tool import assert_equal_under_ort, check_valid, count_ops, fuse


def model(nodes, constants, x, y, inputs=(), opset=17, functions=()):
    graph = helper.make_graph(
        nodes, "constants", [helper.make_tensor_value_info("x", *x), *inputs], [helper.make_tensor_value_info("y", *y)],
        [numpy_helper.from_array(v, k) for k, v in constants.items()])
    domains = [helper.make_opsetid("", opset), *(helper.make_opsetid(f.domain, 1) for f in functions)]
    made = helper.make_model(graph, opset_imports=domains, ir_version=8, functions=functions)
    check_valid(made)
    return made


def stored(result):
    return {t.name: numpy_helper.to_array(t) for t in result.model.graph.initializer}


TYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool", "float16", "float32", "float64"]


@pytest.mark.parametrize("kind", TYPES)
def test_every_type(kind, tmp_path):
    """The bytes of a number are those of its type."""
    kind = np.dtype(kind)
    least = 0 if kind == bool else np.iinfo(kind).min if kind.kind in "iu" else -3.5
    most = 1 if kind == bool else np.iinfo(kind).max if kind.kind in "iu" else 3.5
    k = np.array([[least, most, 1], [0, most, least]], kind)
    to = helper.np_dtype_to_tensor_dtype(kind)
    before = model([helper.make_node("Transpose", ["k"], ["t"]), helper.make_node("Where", ["x", "t", "t"], ["y"])],
                   {"k": k}, (TensorProto.BOOL, [3, 2]), (to, [3, 2]), inputs=())
    result = fuse(before, tmp_path)
    assert count_ops(result.model) == {"Where": 1}, result.reasons()
    np.testing.assert_array_equal(stored(result)["t"], k.T)
    assert stored(result)["t"].dtype == kind


@pytest.mark.parametrize("length, folds", [(32, True), (48, False)])
def test_numbers_of_a_byte(length, folds, tmp_path):
    """As floats they take four times the room: 3 * 32 * 32 bytes more are less than 4 KiB, 3 * 48 * 48 are not."""
    k = np.arange(length * length).reshape(length, length).astype(np.int8)
    nodes = [helper.make_node("DequantizeLinear", ["k", "s"], ["w"]), helper.make_node("MatMul", ["x", "w"], ["y"])]
    before = model(nodes, {"k": k, "s": np.float32(0.25)}, (TensorProto.FLOAT, ["N", length]), (TensorProto.FLOAT, ["N", length]))
    result = fuse(before, tmp_path)
    assert ("w" in stored(result)) == folds, result.reasons()
    if not folds:
        assert any("cost: storing the result would take" in r for r in result.reasons())
        assert result.data == before.SerializeToString()


def test_statistics_of_a_weight(tmp_path):
    """timm's standardised Conv: a BatchNormalization in training mode makes the weight, as ONNX has it. (ONNX Runtime
    on a CPU is not built for that mode.)"""
    rng = np.random.default_rng(0)
    w = rng.normal(size=(6, 4, 3, 3)).astype("f4")
    nodes = [
        helper.make_node("Reshape", ["w", "flat"], ["v"]),
        helper.make_node("BatchNormalization", ["v", "g", "z", "z", "o"], ["n", "m1", "v1"], training_mode=1, epsilon=1e-6),
        helper.make_node("Reshape", ["n", "shape"], ["u"]),
        helper.make_node("Conv", ["x", "u"], ["y"])]
    constants = {
        "w": w, "g": rng.uniform(1, 2, 6).astype("f4"), "z": np.zeros(6, "f4"), "o": np.ones(6, "f4"),
        "flat": np.array([1, 6, -1]), "shape": np.array([6, 4, 3, 3])}
    before = model(nodes, constants, (TensorProto.FLOAT, ["N", 4, 9, 9]), (TensorProto.FLOAT, ["N", 6, 7, 7]))
    result = fuse(before, tmp_path)
    assert count_ops(result.model) == {"Conv": 1}, result.reasons()
    v = w.astype("f8").reshape(6, -1)
    v = (v - v.mean(1, keepdims=True)) / np.sqrt(v.var(1, keepdims=True) + 1e-6) * constants["g"][:, None]
    np.testing.assert_allclose(stored(result)["u"], v.reshape(w.shape), rtol=1e-5, atol=1e-6)


def test_in_a_function(tmp_path):
    """A function holds no initializer: a Constant node does."""
    body = [
        helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(np.array([2, 3]))),
        helper.make_node("Concat", ["k", "k"], ["kk"], axis=0),
        helper.make_node("Tile", ["a", "kk"], ["b"])]
    function = helper.make_function("local", "repeat", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    before = model([helper.make_node("repeat", ["x"], ["y"], domain="local")], {}, (TensorProto.FLOAT, [1, 2, 1, 2]),
                   (TensorProto.FLOAT, [2, 6, 2, 6]), functions=[function])
    result = fuse(before, tmp_path)
    nodes = result.model.functions[0].node
    assert [n.op_type for n in nodes] == ["Constant", "Tile"], result.reasons()
    assert_equal_under_ort(before, result.model)


@pytest.mark.parametrize("sizes", [{"N": 1, "H": 3}, {"N": 5, "H": 4}])
def test_sizes_that_are_not_known(sizes, tmp_path):
    """They are copied from the data or left over, whatever they are when the model runs."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"]),
        helper.make_node("Unsqueeze", ["n", "first"], ["u"]),
        helper.make_node("Concat", ["u", "eight", "rest"], ["t"], axis=0),
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Reshape", ["r", "t"], ["y"])]
    constants = {"zero": np.array(0), "first": np.array([0]), "eight": np.array([8]), "rest": np.array([-1])}
    before = model(nodes, constants, (TensorProto.FLOAT, ["N", 4, "H", 6]), (TensorProto.FLOAT, ["A", "B", "C"]))
    result = fuse(before, tmp_path)
    assert count_ops(result.model) == {"Relu": 1, "Reshape": 1}, result.reasons()
    assert stored(result)["t"].tolist() == [0, 8, -1]
    x = np.random.default_rng(1).normal(size=(sizes["N"], 4, sizes["H"], 6)).astype("f4")
    assert_equal_under_ort(before, result.model, [{"x": x}])


def test_two_products_of_sizes_that_are_not_known(tmp_path):
    """One of them could be what is left, but not both."""
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Shape", ["r"], ["s"]),
        helper.make_node("Gather", ["s", "front"], ["a"]),
        helper.make_node("Gather", ["s", "back"], ["b"]),
        helper.make_node("ReduceProd", ["a"], ["p"]),
        helper.make_node("ReduceProd", ["b"], ["q"]),
        helper.make_node("Concat", ["p", "q", "four"], ["t"], axis=0),
        helper.make_node("Reshape", ["r", "t"], ["y"])]
    constants = {"front": np.array([0, 1]), "back": np.array([2, 3]), "four": np.array([4])}
    before = model(nodes, constants, (TensorProto.FLOAT, ["N", 2, "H", 3, 4]), (TensorProto.FLOAT, ["A", "B", "C"]))
    result = fuse(before, tmp_path)
    assert result.data == before.SerializeToString()


def test_size_that_only_an_output_declares(tmp_path):
    """It is no promise: what the inputs leave open stays open."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Cast", ["s"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["f"], ["t"]),
        helper.make_node("Mul", ["r", "t"], ["y"])]
    before = model(nodes, {}, (TensorProto.FLOAT, ["N", 4]), (TensorProto.FLOAT, [1, 4]))
    result = fuse(before, tmp_path)
    assert result.data == before.SerializeToString()
