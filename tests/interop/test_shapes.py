"""Shapes as they are inferred here, told by the Shape ops that become constants, against onnx's own inference."""
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, shape_inference

from tests.interop.test_corpus import COUNTS, refill
from tests.support import random_broadcast, random_graph
from tests.support.tool import fuse


def described(model):
    """What onnx knows: sizes by name, None for one that is not known."""
    inferred = shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    shapes = {}
    for v in [*inferred.graph.value_info, *inferred.graph.output]:
        if v.type.HasField("tensor_type") and v.type.tensor_type.HasField("shape"):
            shapes[v.name] = [d.dim_value if d.HasField("dim_value") else None for d in v.type.tensor_type.shape.dim]
    return shapes


def asked(model, names):
    """The model with an op for each size of each value: it reads a constant once the size is known."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    graph = copy.graph
    graph.input.append(helper.make_tensor_value_info("asked", TensorProto.INT64, [1]))
    for k in range(16):
        graph.initializer.append(helper.make_tensor(f"asked.{k}", TensorProto.INT64, [1], [k]))
    answers = []
    for name, rank in names.items():
        graph.node.append(helper.make_node("Shape", [name], [f"{name}.asked"]))
        for k in range(rank):
            graph.node.append(helper.make_node("Gather", [f"{name}.asked", f"asked.{k}"], [f"{name}.{k}.known"]))
            graph.node.append(helper.make_node("Mul", [f"{name}.{k}.known", "asked"], [f"{name}.{k}.answer"]))
            answers.append(f"{name}.{k}.answer")
    graph.node.append(helper.make_node("Concat", answers, ["answers"], axis=0))
    graph.output.append(helper.make_tensor_value_info("answers", TensorProto.INT64, [len(answers)]))
    return copy


def undescribed(model):
    """Without what the file says of values that it makes."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    del copy.graph.value_info[:]
    for v in copy.graph.output:
        v.type.tensor_type.ClearField("shape")
    return copy


def known(model, shapes, tmp_path):
    """The sizes that are known here, by value."""
    names = {name: len(shape) for name, shape in shapes.items() if shape}
    result = fuse(asked(model, names), tmp_path, "--only", "fold_constants")
    assert result.code == 0, result.stderr
    stored = {t.name: t for t in result.model.graph.initializer}
    found = {}
    for name, rank in names.items():
        at = [stored.get(f"{name}.{k}.known") for k in range(rank)]
        found[name] = [None if t is None else int(numpy_helper.to_array(t)[0]) for t in at]
    return found


def compare(model, tmp_path, least):
    """Sizes that both know are the same. Returns the values of which onnx knows more, which `least` forbids."""
    model = undescribed(model)
    shapes = described(model)
    here = known(model, shapes, tmp_path)
    more = []
    for name, found in here.items():
        for k, (size, wanted) in enumerate(zip(found, shapes[name])):
            assert size is None or wanted is None or size == wanted, f"{name}, axis {k}: {size}, onnx says {wanted}"
            if size is None and wanted is not None:
                more.append(f"{name}, axis {k}: onnx says {wanted}")
    assert not (least and more), more
    return here


@pytest.mark.parametrize("name", COUNTS)
def test_corpus(name, tmp_path):
    compare(refill(name), tmp_path, least=True)


@pytest.mark.parametrize("draw", [random_graph, random_broadcast], ids=["graph", "broadcast"])
def test_random(draw, tmp_path):
    some = 0
    for seed in range(25):
        model = draw.generate(seed)
        model = model[0] if isinstance(model, tuple) else model
        try:
            described(undescribed(model))
        except shape_inference.InferenceError:
            continue  # an op that this onnx does not know
        some += sum(s is not None for found in compare(model, tmp_path, least=False).values() for s in found)
    assert some > 300
