"""Many nodes: long chains, wide sums, deep nesting. How long they take is measured in bench/."""
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.support.tool import assert_equal_under_ort, count_ops, fuse

SHAPE = [1, 3, 5, 4]


def tensor(name, *dims):
    values = np.random.default_rng(len(name) + sum(name.encode())).uniform(-1, 1, dims)
    return numpy_helper.from_array((values / 3).astype(np.float32), name)


def model(nodes, inits, output, inputs=()):
    info = [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE), *inputs]
    graph = helper.make_graph(nodes, "g", info, [helper.make_tensor_value_info(output, TensorProto.FLOAT, SHAPE)], inits)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_a_wide_sum_becomes_one_conv(tmp_path):
    count = 3000
    nodes, inits = [], []
    for i in range(count):
        inits.append(tensor(f"w{i}", 3, 3, 1, 1))
        nodes.append(helper.make_node("Conv", ["x", f"w{i}"], [f"b{i}"]))
    nodes.append(helper.make_node("Sum", [f"b{i}" for i in range(count)], ["y"]))
    result = fuse(model(nodes, inits, "y"), tmp_path)
    assert count_ops(result.model) == {"Conv": 1}


def test_a_sum_of_many_adds_becomes_one_conv(tmp_path):
    nodes, inits, last = [], [], "x"
    for i in range(2000):
        inits.append(tensor(f"w{i}", 3, 3, 1, 1))
        nodes.append(helper.make_node("Conv", ["x", f"w{i}"], [f"b{i}"]))
        nodes.append(helper.make_node("Add", [last, f"b{i}"], [f"s{i}"]))
        last = f"s{i}"
    result = fuse(model(nodes, inits, last), tmp_path)
    assert count_ops(result.model) == {"Conv": 1}


def test_a_long_chain(tmp_path):
    nodes, inits, last = [], [tensor("c", 1, 3, 1, 1), tensor("w", 3, 3, 1, 1)], "x"
    for i in range(10000):
        kind, extra = [("Relu", []), ("Add", ["c"]), ("Conv", ["w"]), ("Mul", ["c"]), ("Identity", [])][i % 5]
        nodes.append(helper.make_node(kind, [last, *extra], [f"v{i}"]))
        last = f"v{i}"
    before = model(nodes, inits, last)
    result = fuse(before, tmp_path)
    assert count_ops(result.model) == {"Relu": 2000, "Conv": 2000}
    assert_equal_under_ort(before, result.model)


def test_a_chain_of_constants_after_one_conv(tmp_path):
    """The whole run is one rewrite, whatever its length."""
    nodes, inits = [helper.make_node("Conv", ["x", "w"], ["v"])], [tensor("w", 3, 3, 1, 1), tensor("c", 1, 3, 1, 1)]
    last = "v"
    for i in range(5000):
        nodes.append(helper.make_node("Add" if i % 2 else "Sub", [last, "c"], [f"v{i}"]))
        last = f"v{i}"
    result = fuse(model(nodes, inits, last), tmp_path)
    assert count_ops(result.model) == {"Conv": 1}


@pytest.mark.parametrize("depth", [1, 20])
def test_bodies_in_bodies(tmp_path, depth):
    inits = [tensor("a", 3, 3, 1, 1), tensor("b", 3, 3, 1, 1)]
    inner, name = None, None
    for level in range(depth):
        out = f"y{level}"
        if inner is None:
            nodes = [helper.make_node("Conv", ["x", "a"], ["p"]), helper.make_node("Conv", ["x", "b"], ["q"]),
                     helper.make_node("Add", ["p", "q"], [out])]
        else:
            other = helper.make_graph([helper.make_node("Relu", ["x"], [f"e{level}"])], "e", [],
                                      [helper.make_tensor_value_info(f"e{level}", TensorProto.FLOAT, SHAPE)])
            nodes = [helper.make_node("If", ["f"], [out], then_branch=inner, else_branch=other)]
        name = out
        inner = helper.make_graph(nodes, f"g{level}", [], [helper.make_tensor_value_info(out, TensorProto.FLOAT, SHAPE)])
    flag = helper.make_tensor_value_info("f", TensorProto.BOOL, [])
    before = model(list(inner.node), inits, name, [flag])
    onnx.checker.check_model(before)
    result = fuse(before, tmp_path)
    assert count_ops(result.model)["Conv"] == 1
