"""onnx-repvgg-fuse info: the lines, the JSON and its schema, ranges of weights, exit codes."""
import json
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.support.schema import validate
from tests.support.tool import ROOT, TOOL, count_ops, fuse

MODELS = sorted((ROOT / "models").glob("*.onnx"))
SCHEMA = json.loads((ROOT / "docs" / "info.schema.json").read_text())
BLOCK = ROOT / "models" / "qarepvgg_block.onnx"


def run(*arguments, stdin=b"", **keywords):
    return subprocess.run([TOOL, *arguments], input=stdin, capture_output=True, timeout=120, **keywords)


def info(path_or_model):
    data = path_or_model.SerializeToString() if isinstance(path_or_model, onnx.ModelProto) else b""
    result = run("info", "--format", "json", "-" if data else str(path_or_model), stdin=data)
    assert (result.returncode, result.stderr) == (0, b"")
    report = json.loads(result.stdout)
    validate(report, SCHEMA)
    return report


def spread(array):
    """Smallest and largest of the channels' largest magnitudes; channels first."""
    largest = np.abs(array.reshape(array.shape[0], -1)).max(1)
    return float(largest.min()), float(largest.max())


def weights(model):
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    constants |= {n.output[0]: numpy_helper.to_array(n.attribute[0].t) for n in model.graph.node if n.op_type == "Constant"}
    return {n.name: constants[n.input[1]] for n in model.graph.node if n.op_type == "Conv" and n.input[1] in constants}


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_json_is_what_fusing_does(path, tmp_path):
    report = info(path)
    model = onnx.load(path)
    result = fuse(path.read_bytes(), tmp_path)
    for key in ("before", "after"):
        assert report[key] == result.report[key]
    assert report["before"]["by_type"] == count_ops(model) and report["bytes"] == path.stat().st_size
    assert [{k: v for k, v in r.items() if not k.startswith("weights")} for r in report["regions"]] == result.report["fusions"]
    assert report["refused"] == sum(r["counts"] for r in result.report["refusals"]) and report["dropped"] == 0
    assert report["ir_version"] == model.ir_version and report["producer"]["name"] == model.producer_name
    assert [(o["domain"], o["version"]) for o in report["opsets"]] == [(o.domain, o.version) for o in model.opset_import]
    assert [v["name"] for v in report["inputs"]] == [i.name for i in model.graph.input]
    assert [v["name"] for v in report["outputs"]] == [o.name for o in model.graph.output]
    before, after, seen = weights(model), weights(result.model), 0
    for region in report["regions"]:
        for key, arrays in (("weights_before", before), ("weights_after", after)):
            for w in region[key]:
                if w["op"] == "Conv" and w["node"] in arrays and region["graph"] == "main":
                    array = arrays[w["node"]].astype(np.float64)
                    assert w["channels"] == array.shape[0]
                    assert (w["smallest"], w["largest"]) == pytest.approx(spread(array), rel=1e-12)
                    assert w["ratio"] == (pytest.approx(w["largest"] / w["smallest"]) if w["smallest"] else None)
                    seen += 1
    assert seen or path.stem in ("if_body", "conv1d_stack"), "no weight was compared"


def test_values_of_every_kind():
    tensor = helper.make_tensor_type_proto
    types = {"x": tensor(TensorProto.FLOAT, [1, "N", None]), "scalar": tensor(TensorProto.INT64, []), "free": tensor(TensorProto.BOOL, None),
             "list": helper.make_sequence_type_proto(tensor(TensorProto.STRING, None)),
             "map": helper.make_map_type_proto(TensorProto.INT64, tensor(TensorProto.FLOAT, None)),
             "maybe": helper.make_optional_type_proto(tensor(TensorProto.FLOAT16, [2])),
             "sparse": helper.make_sparse_tensor_type_proto(TensorProto.DOUBLE, [3])}
    values = [helper.make_value_info(n, t) for n, t in types.items()] + [helper.make_tensor_value_info("w", TensorProto.FLOAT, [1])]
    graph = helper.make_graph([], "g", values, values[:1], [helper.make_tensor("w", TensorProto.FLOAT, [1], [1])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13), helper.make_opsetid("a.b", 2)], ir_version=8,
                              producer_name='"p"', producer_version="1")
    model.model_version, model.domain = 7, "org"
    report = info(model)
    assert {v["name"]: (v["type"], v["shape"]) for v in report["inputs"]} == {
        "x": ("float", [1, "N", None]), "scalar": ("int64", []), "free": ("bool", None), "list": ("seq(string)", None),
        "map": ("map(int64, float)", None), "maybe": ("optional(float16)", None), "sparse": ("sparse_tensor(double)", [3])}
    assert report["opsets"] == [{"domain": "", "version": 13}, {"domain": "a.b", "version": 2}]
    assert (report["producer"], report["model_version"], report["domain"]) == ({"name": '"p"', "version": "1"}, 7, "org")
    assert report["before"]["ops"] == 0 and report["regions"] == [] and report["before"]["parameters"] == 1


def chain(op, shape, channels, scale, **attributes):
    """A weighted op, all ones, and a BatchNormalization that scales it; and the op's weight."""
    weight = np.ones(shape, np.float32)
    norm = [np.full(channels, v, np.float32) for v in (scale, 0, 0, 1)]
    source = [1, shape[0] if op == "ConvTranspose" else shape[1] * attributes.get("group", 1), 5, 5] if len(shape) == 4 else [4, shape[0]]
    nodes = [helper.make_node(op, ["x", "w"], ["m"], name="op", **attributes),
             helper.make_node("BatchNormalization", ["m", *"abcd"], ["y"], epsilon=0.0)]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, source)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(v, n) for v, n in zip([weight, *norm], "wabcd")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model, model.graph.initializer[0]


@pytest.mark.parametrize("op, shape, axis, channels, attributes", [
    ("Conv", (4, 2, 3, 3), 0, 4, {}),
    ("Conv", (4, 1, 3, 3), 0, 4, {"group": 2}),
    ("ConvTranspose", (2, 3, 3, 3), 1, 3, {}),
    ("Gemm", (3, 5), 1, 5, {}),
    ("MatMul", (3, 5), 1, 5, {}),
])
def test_channels_of_each_operator(op, shape, axis, channels, attributes):
    model, weight = chain(op, shape, channels, 8.0, **attributes)
    side = [1] * len(shape)
    side[axis] = channels
    weight.raw_data = (numpy_helper.to_array(weight) * (2.0 ** -np.arange(channels)).reshape(side)).astype(np.float32).tobytes()
    region, = info(model)["regions"]
    before, = region["weights_before"]
    after, = region["weights_after"]
    assert (before["op"], before["channels"]) == (op, channels)
    assert (before["smallest"], before["largest"], before["ratio"]) == (2.0 ** (1 - channels), 1, 2.0 ** (channels - 1))
    assert (after["smallest"], after["largest"], after["ratio"]) == (8 * before["smallest"], 8, before["ratio"])


def test_channels_of_a_grouped_transpose():
    model, weight = chain("ConvTranspose", (4, 2, 3, 3), 4, 2.0, group=2)
    array = np.ones((2, 2, 2, 3, 3), np.float32)
    array[0, :, 1] = 8  # output channel 1
    array[1, :, 0] = -16  # output channel 2
    weight.raw_data = array.tobytes()
    region, = info(model)["regions"]
    assert [(w["channels"], w["smallest"], w["largest"]) for w in region["weights_before"] + region["weights_after"]] == [(4, 1, 16), (4, 2, 32)]


def test_a_dead_channel_has_no_ratio():
    model, weight = chain("Conv", (2, 1, 3, 3), 2, 2.0)
    array = np.ones((2, 1, 3, 3), np.float32)
    array[1] = 0
    weight.raw_data = array.tobytes()
    region, = info(model)["regions"]
    assert [(w["smallest"], w["largest"], w["ratio"]) for w in region["weights_before"]] == [(0, 1, None)]
    text = run("info", "-", stdin=model.SerializeToString()).stdout.decode()
    assert "largest weight per channel: 0 to 1 -> 0 to 2\n" in text


TEXT = """\
model            standard input
bytes            %s
producer         p 1
IR version       8
opset            ai.onnx 17
input            float[1,2,5,5] x
output           float[...] y

                                      now            fused
BatchNormalization                      1                0
Conv                                    1                1
ops                                     2                1
parameters                             88               72
multiply-adds                         648              648
bytes                    %16s %16s

fold_after: 1 Conv, 1 BatchNormalization -> Conv 'op'
  to 'y' from 'x'
  parameters 88 -> 72
  largest weight per channel: 1 to 1, 1 times -> 2 to 2, 1 times

1 regions would be fused, 0 were refused
"""


def test_text():
    model, _ = chain("Conv", (4, 2, 3, 3), 4, 2.0)
    model.producer_name, model.producer_version = "p", "1"
    data = model.SerializeToString()
    result = run("info", "-", stdin=data)
    assert (result.returncode, result.stderr) == (0, b"")
    after = info(model)["after"]["bytes"]
    assert result.stdout.decode() == TEXT % (len(data), len(data), after)
    assert run("info", "--format", "text", "-", stdin=data).stdout == result.stdout


def test_external_data(tmp_path):
    onnx.save(onnx.load(BLOCK), tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    report, inline = info(tmp_path / "m.onnx"), info(BLOCK)
    assert report["external_bytes"] == (tmp_path / "w.bin").stat().st_size and inline["external_bytes"] == 0
    assert report["bytes"] == (tmp_path / "m.onnx").stat().st_size
    assert [r["weights_after"] for r in report["regions"]] == [r["weights_after"] for r in inline["regions"]]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.onnx", "w.bin"]
    assert "of external data" in run("info", str(tmp_path / "m.onnx")).stdout.decode()


def test_nothing_is_written(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(BLOCK.read_bytes())
    stamp = path.stat().st_mtime_ns
    info(path)
    assert path.read_bytes() == BLOCK.read_bytes() and path.stat().st_mtime_ns == stamp
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


def test_help_and_wrong_arguments():
    result = run("info", "--help")
    assert result.returncode == 0 and result.stdout.startswith(b"usage: onnx-repvgg-fuse info ")
    for arguments in ([], ["a", "b"], ["--format", "yaml", str(BLOCK)], ["--bogus", str(BLOCK)], ["--format"]):
        result = run("info", *arguments)
        assert result.returncode == 2 and result.stdout == b"", arguments
        assert result.stderr.startswith(b"onnx-repvgg-fuse: "), result.stderr


def test_rules_that_a_model_breaks_are_told(tmp_path):
    # A double scale of a float Conv: ONNX has no Mul of both, so nobody can say what it computes.
    model = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["": 15]>
        g (float[N,2,H,W] x) => (float[N,3,H,W] y)
        <float[3,2,1,1] w = {1, -0.5, 3, 1.5, 2, 0.5}, double[1] k = {2}, float[1] f = {2}>
        { t = Conv (x, w) [scale] y = Mul (t, k) }""")
    rule = "input 0 ('t') is of type float, and input 1 ('k') of type double: Mul takes one type for both"
    report = info(model)
    assert report["warnings"] == [f"Mul 'scale' -> 'y': not valid ONNX: {rule}"] and report["dropped"] == 0
    assert f"warning: {report['warnings'][0]}" in run("info", "-", stdin=model.SerializeToString()).stdout.decode()
    result = run("--strict", "-", tmp_path / "out.onnx", stdin=model.SerializeToString())
    assert result.returncode == 1 and b"1 warnings" in result.stderr
    assert (tmp_path / "out.onnx").read_bytes() == model.SerializeToString()
    fused = fuse(model, tmp_path)
    assert rule in [r["reason"] for r in fused.report["refusals"]] and fused.report["fusions"] == []
    model.graph.node[1].input[1] = "f"
    assert info(model)["warnings"] == [] and len(info(model)["regions"]) == 1
