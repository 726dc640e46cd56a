"""These suites test the installed package: `pip install .`, or what scripts/test does."""
import importlib.util

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.support.tool import ROOT

if importlib.util.find_spec("onnx_repvgg_fuse") is None:
    collect_ignore_glob = ["test_*.py"]

MODELS = ROOT / "models"


@pytest.fixture
def small():
    return MODELS / "repvgg_small.onnx"


@pytest.fixture(params=sorted(path.name for path in MODELS.glob("*.onnx")))
def model_path(request):
    return MODELS / request.param


def make_block(channels=4, seed=0, size=9, blocks=1):
    """RepVGG blocks without identity: 3x3 and 1x1, each with BatchNormalization, then Relu."""
    random = np.random.default_rng(seed)
    nodes, tensors, last = [], [], "x"

    def add(name, value):
        tensors.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    for i in range(blocks):
        for kernel, branch in ((3, "a"), (1, "b")):
            name = f"{branch}{i}"
            weight = add(f"{name}.w", random.normal(0, (channels * kernel**2) ** -0.5, (channels, channels, kernel, kernel)))
            nodes.append(helper.make_node("Conv", [last, weight], [f"{name}.c"], kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4))
            statistics = [add(f"{name}.{part}", random.uniform(0.5, 1.5, channels)) for part in ("scale", "bias", "mean", "var")]
            nodes.append(helper.make_node("BatchNormalization", [f"{name}.c", *statistics], [f"{name}.n"]))
        nodes.append(helper.make_node("Add", [f"a{i}.n", f"b{i}.n"], [f"sum{i}"]))
        nodes.append(helper.make_node("Relu", [f"sum{i}"], [f"y{i}"]))
        last = f"y{i}"
    shape = [1, channels, size, size]
    graph = helper.make_graph(nodes, "block", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
                              [helper.make_tensor_value_info(last, TensorProto.FLOAT, shape)], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.fixture
def block():
    return make_block()


@pytest.fixture
def unfusible():
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "plain",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def ops(model):
    return sorted(node.op_type for node in (model if isinstance(model, onnx.ModelProto) else onnx.load(model)).graph.node)


def save_external(model, folder):
    path = folder / "external.onnx"
    copy = onnx.ModelProto()
    copy.CopyFrom(model)  # onnx.save_model moves the weights out of the model itself
    onnx.save_model(copy, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path
