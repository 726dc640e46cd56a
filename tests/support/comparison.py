"""What the tests of diff share: the command, its answer, a network and a few changes of it."""
import json
import subprocess

import onnx
from onnx import helper, numpy_helper

from tests.support.net import Net
from tests.support.schema import validate
from tests.support.tool import ROOT, TOOL, paths_of

SCHEMA = json.loads((ROOT / "docs" / "diff.schema.json").read_text())
KINDS = list(SCHEMA["$defs"]["change"]["properties"]["kind"]["enum"])


def run(*arguments, **keywords):
    return subprocess.run([TOOL, "diff", *arguments], capture_output=True, text=True, timeout=60, **keywords)


def diff(a, b, folder, *options):
    """Exit code and parsed JSON of two models (or bytes, or paths)."""
    result = run("--format", "json", *options, *paths_of(folder, a, b))
    assert result.returncode in (0, 1), result.stderr
    report = json.loads(result.stdout)
    validate(report, SCHEMA)
    assert report["different"] == (result.returncode == 1)
    assert report["counted"] == sum(c["counts"] for c in report["changes"])
    return result.returncode, report


def counted(report):
    return [c for c in report["changes"] if c["counts"]]


def copy_of(model):
    return onnx.ModelProto.FromString(model.SerializeToString())


def network(storage="raw", opset=17):
    """Two blocks, a gate and a head: Conv, BatchNormalization, Add, Relu, Mul, Concat, Gemm, Constant nodes."""
    n = Net(seed=3, storage=storage, opset=opset)
    x = n.input("x", ("N", 4, 11, 9))
    y = n.relu(n.add(n.convbn(x, 4, 3), n.convbn(x, 4, 1), n.bn(x)))
    y = n.relu(n.conv(y, 6, 3, bias=True, stride=2))
    gate = n.node("Sigmoid", [n.conv(n.node("GlobalAveragePool", [y]), 6, 1, bias=True)])
    y = n.node("Mul", [y, gate])
    y = n.node("Concat", [y, n.relu(y)], axis=1)
    n.output(n.gemm(n.node("Flatten", [n.node("GlobalAveragePool", [y])], axis=1), 5), gate)
    return n.model()


def node_of(model, op, at=0):
    return [n for n in model.graph.node if n.op_type == op][at]


def tensor_of(model, name):
    return next(t for t in model.graph.initializer if t.name == name)


def change_attribute(m):
    a = next(a for a in node_of(m, "Conv").attribute if a.name == "pads")
    a.ints[:] = [0, 2, 2, 0]


def change_numbers(m):
    t = tensor_of(m, node_of(m, "Conv").input[1])
    array = numpy_helper.to_array(t).copy()
    array[1, 2, 0, 1] += 0.25
    array[3, 0, 2, 2] -= 0.5
    t.CopyFrom(numpy_helper.from_array(array, t.name))


def add_node(m):
    node = node_of(m, "Gemm")
    at = list(m.graph.node).index(node)
    m.graph.node.insert(at, helper.make_node("Dropout", [node.input[0]], ["dropped"]))
    node = node_of(m, "Gemm")
    node.input[0] = "dropped"
