"""diff takes an attribute that spells out its default for none: every default of ONNX's schemas, at every opset.

The schemas of the installed onnx package are the referee. Lists have no default there, but in the texts."""
import json
import shutil
import subprocess
import sys

import onnx
import pytest
from onnx import AttributeProto, defs, helper

from tests.support.tool import ROOT, TOOL

OLDEST, NEWEST = 7, min(28, defs.onnx_opset_version())
LISTS = {"strides": 1, "dilations": 1, "pads": 0, "output_padding": 0}
# Its length goes by another attribute.
LEFT_OUT = {("RNN", "activations")}


def spelled_out(opset):
    """(operator, attribute that says its default, the same that says something else)"""
    for name in sorted({s.name for s in defs.get_all_schemas() if s.domain == ""}):
        try:
            schema = defs.get_schema(name, opset, "")
        except defs.SchemaError:
            continue
        if schema.deprecated:
            continue
        for key, attribute in sorted(schema.attributes.items()):
            value = attribute.default_value
            if value.type == AttributeProto.INTS:
                default = list(value.ints)
                other = default[:-1]
            elif value.type in (AttributeProto.INT, AttributeProto.FLOAT, AttributeProto.STRING):
                default = helper.get_attribute_value(value)
                other = default + b"x" if isinstance(default, bytes) else type(default)(3)  # of no attribute the default
            elif "kernel_shape" in schema.attributes and key in LISTS or name == "DeformConv" and key in LISTS:
                default = [LISTS[key]] * (4 if key == "pads" else 2)
                other = [3, *default[1:]]
            else:
                assert value.type == AttributeProto.UNDEFINED or (name, key) in LEFT_OUT, f"{name}.{key} has a new kind of default"
                continue
            yield name, helper.make_attribute(key, default), helper.make_attribute(key, other)


def model(opset, nodes):
    inputs, outputs = ([helper.make_tensor_value_info(f"{letter}{i}", 1, None) for i in range(len(nodes))] for letter in "xy")
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def node(operator, index, attribute=None):
    made = helper.make_node(operator, [f"x{index}"], [f"y{index}"], name=f"n{index}")
    made.attribute.extend([attribute] if attribute else [])
    return made


def changes(folder, opset, a, b):
    for name, nodes in ("a", a), ("b", b):
        (folder / f"{name}.onnx").write_bytes(model(opset, nodes).SerializeToString())
    run = subprocess.run([TOOL, "diff", "--format=json", folder / "a.onnx", folder / "b.onnx"], capture_output=True, text=True, timeout=60)
    assert run.returncode in (0, 1), run.stderr
    return {c["a"]["name"] for c in json.loads(run.stdout)["changes"] if c["counts"]}


@pytest.mark.parametrize("opset", range(OLDEST, NEWEST + 1))
def test_defaults(opset, tmp_path):
    cases = list(spelled_out(opset))
    assert len(cases) > 50
    bare = [node(name, i) for i, (name, _, _) in enumerate(cases)]
    said = [node(name, i, default) for i, (name, default, _) in enumerate(cases)]
    wrong = [node(name, i, other) for i, (name, _, other) in enumerate(cases)]
    assert changes(tmp_path, opset, bare, said) == set() == changes(tmp_path, opset, said, bare)
    assert changes(tmp_path, opset, bare, wrong) == {n.name for n in bare}


@pytest.mark.skipif(not shutil.which("clang-format"), reason="the file is formatted by clang-format")
@pytest.mark.skipif(defs.onnx_opset_version() < 28, reason="the file was written from a later onnx")
def test_the_schemas_are_those_of_onnx():
    """src/model/operator_schema.c is what scripts/operator_schemas prints."""
    written = subprocess.run([sys.executable, ROOT / "scripts" / "operator_schemas"], capture_output=True, check=True).stdout
    formatted = subprocess.run(["clang-format", "--assume-filename", ROOT / "src" / "model" / "operator_schema.c"], input=written, capture_output=True,
                               check=True).stdout
    assert formatted == (ROOT / "src" / "model" / "operator_schema.c").read_bytes()
