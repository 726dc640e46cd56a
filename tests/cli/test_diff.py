"""onnx-repvgg-fuse diff: what is the same, and each kind of change by itself."""
import re
import subprocess

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from tests.support.comparison import (KINDS, add_node, change_attribute, change_numbers, copy_of, counted, diff, network, node_of, run,
                                      tensor_of)
from tests.support.cost import processor_seconds
from tests.support.net import Net
from tests.support.tool import TOOL, fuse, reordered


@pytest.fixture(scope="module")
def model():
    return network()


# Twins


def renamed(model):
    """Every temporary, constant and node by another name."""
    model = copy_of(model)
    keep = {v.name for v in [*model.graph.input, *model.graph.output]}

    def name(old):
        return old if old in keep or not old else "other/" + old[::-1]

    for t in model.graph.initializer:
        t.name = name(t.name)
    for k, n in enumerate(model.graph.node):
        n.name = f"node {k}"
        n.input[:] = map(name, n.input)
        n.output[:] = map(name, n.output)
    for v in model.graph.value_info:
        v.name = name(v.name)
    return model


def constants_as_nodes(model):
    model = copy_of(model)
    nodes = [helper.make_node("Constant", [], [t.name], value=t) for t in model.graph.initializer]
    del model.graph.initializer[:]
    nodes += model.graph.node
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def typed(model):
    model = copy_of(model)
    for t in model.graph.initializer:
        if t.data_type in (TensorProto.FLOAT, TensorProto.INT64):
            t.CopyFrom(helper.make_tensor(t.name, t.data_type, t.dims, numpy_helper.to_array(t).ravel().tolist()))
    return model


def reserialised(model):
    """Field order within messages is free: written back to front, it is the same message."""
    parts = [onnx.GraphProto() for _ in range(5)]
    parts[0].output.extend(model.graph.output)
    parts[4].value_info.extend(model.graph.value_info)
    parts[4].name = model.graph.name
    parts[1].input.extend(model.graph.input)
    parts[2].initializer.extend(reversed(model.graph.initializer))
    parts[3].node.extend(model.graph.node)
    shell = copy_of(model)
    shell.ClearField("graph")
    data = b"".join(p.SerializeToString() for p in parts)
    size = len(data)
    varint = b""
    while size >= 0x80:
        varint += bytes([size & 0x7F | 0x80])
        size >>= 7
    return b"\x3a" + varint + bytes([size]) + data + shell.SerializeToString()


def noted(model):
    model = copy_of(model)
    model.doc_string, model.producer_name, model.producer_version = "words", "someone", "7"
    model.graph.name, model.graph.doc_string = "another", "more words"
    model.graph.node[0].doc_string = "x"
    model.model_version, model.domain, model.ir_version = 12, "example.org", model.ir_version + 1
    helper.set_model_props(model, {"date": "today"})
    return model


def spelled(model):
    model = copy_of(model)
    for n in model.graph.node:
        have = {a.name for a in n.attribute}
        extra = {"Conv": {"group": 1, "dilations": [1, 1], "auto_pad": "NOTSET"}, "Gemm": {"alpha": 1.0}}.get(n.op_type, {})
        for k, v in extra.items():
            if k not in have:
                n.attribute.append(helper.make_attribute(k, v))
    return model


def attributes_reversed(model):
    model = copy_of(model)
    for n in model.graph.node:
        kept = list(n.attribute)[::-1]
        del n.attribute[:]
        n.attribute.extend(kept)
    return model


def operands_swapped(model):
    model = copy_of(model)
    for n in model.graph.node:
        if n.op_type in ("Add", "Mul"):
            n.input[0], n.input[1] = n.input[1], n.input[0]
    return model


def without_shapes(model):
    model = copy_of(model)
    del model.graph.value_info[:]
    return model


def with_unused(model):
    model = copy_of(model)
    model.graph.initializer.append(numpy_helper.from_array(np.ones(3, np.float32), "nobody reads me"))
    model.graph.node.append(helper.make_node("Relu", ["x"], ["nobody reads me either"]))
    return model


def duplicated_weight(model):
    """A constant that two nodes could share is stored twice."""
    model = copy_of(model)
    reader = next(n for n in model.graph.node if n.op_type == "Conv")
    twin = copy_of(model).graph.initializer
    tensor = next(t for t in twin if t.name == reader.input[1])
    tensor.name = "a copy"
    model.graph.initializer.append(tensor)
    reader.input[1] = "a copy"
    return model


TWINS = {
    renamed: {"name"}, reordered: {"order"}, constants_as_nodes: {"storage"}, typed: {"storage"}, reserialised: set(),
    noted: {"doc", "metadata", "ir_version"}, spelled: {"spelling"}, attributes_reversed: set(), operands_swapped: {"order"},
    without_shapes: {"shape"}, with_unused: {"dead"}, duplicated_weight: {"name", "dead"},
}


@pytest.mark.parametrize("twin", TWINS, ids=lambda f: f.__name__)
def test_a_twin_is_the_same(twin, model, tmp_path):
    other = twin(model)
    assert (other if isinstance(other, bytes) else other.SerializeToString()) != model.SerializeToString()
    for a, b in ((model, other), (other, model)):
        code, report = diff(a, b, tmp_path)
        assert code == 0, [c["text"] for c in counted(report)]
        plain = run(tmp_path / "a.onnx", tmp_path / "b.onnx")
        assert (plain.returncode, plain.stdout, plain.stderr) == (0, "", "")
        code, report = diff(a, b, tmp_path, "--strict")
        kinds = {c["kind"] for c in counted(report)}
        # A Relu that is dead still has a place among the nodes, a renamed constant may be where its node was.
        assert kinds - {"order"} == TWINS[twin] - {"order"}
        assert kinds >= TWINS[twin]
        assert code == (1 if kinds else 0)


def test_a_twin_with_external_data(model, tmp_path):
    folder = tmp_path / "apart"
    folder.mkdir()
    onnx.save_model(copy_of(model), folder / "external.onnx", save_as_external_data=True, location="w.data", size_threshold=0)
    code, report = diff(model, folder / "external.onnx", tmp_path)
    assert code == 0
    code, report = diff(model, folder / "external.onnx", tmp_path, "--strict")
    assert {c["kind"] for c in counted(report)} == {"storage"}
    assert "external data" in counted(report)[0]["new"]


def test_all_at_once(model, tmp_path):
    other = typed(constants_as_nodes(noted(spelled(reordered(renamed(model), 4)))))
    code, report = diff(model, other, tmp_path)
    assert code == 0, [c["text"] for c in counted(report)]


def test_the_same_file(model, tmp_path):
    code, report = diff(model, model, tmp_path, "--strict")
    assert code == 0 and report["changes"] == []
    assert report["before"] == report["after"]


# Single changes


def add_attribute(m):
    node_of(m, "Conv").attribute.append(helper.make_attribute("dilations", [2, 2]))


def drop_attribute(m):
    node = node_of(m, "BatchNormalization")
    node.attribute.remove(next(a for a in node.attribute if a.name == "epsilon"))


def change_shape_of_weight(m):
    t = tensor_of(m, node_of(m, "Gemm").input[1])
    t.CopyFrom(numpy_helper.from_array(np.zeros((7, 12), np.float32), t.name))


def change_type_of_weight(m):
    t = tensor_of(m, node_of(m, "Gemm").input[2])
    t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(t).astype(np.float64), t.name))


def drop_bias(m):
    del node_of(m, "Conv", 2).input[2]


def remove_node(m):
    node = node_of(m, "Sigmoid")
    relu = node_of(m, "Relu", 2)
    for n in m.graph.node:
        n.input[:] = [relu.input[0] if i == relu.output[0] else i for i in n.input]
    m.graph.node.remove(relu)
    assert node


def replace_node(m):
    node_of(m, "Sigmoid").op_type = "HardSigmoid"


def rewire(m):
    """The third Relu reads what the first makes."""
    concat = node_of(m, "Concat")
    concat.input[1] = concat.input[0]
    m.graph.node.remove(node_of(m, "Relu", 2))


def swap_operands(m):
    concat = node_of(m, "Concat")
    concat.input[0], concat.input[1] = concat.input[1], concat.input[0]


def rename_input(m):
    for n in m.graph.node:
        n.input[:] = ["image" if i == "x" else i for i in n.input]
    m.graph.input[0].name = "image"


def change_input_shape(m):
    m.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 13


def change_input_type(m):
    m.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16


def add_input(m):
    m.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))


def rename_output(m):
    old = m.graph.output[0].name
    for n in m.graph.node:
        n.output[:] = ["logits" if o == old else o for o in n.output]
    m.graph.output[0].name = "logits"


def change_output_shape(m):
    m.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"


def move_output(m):
    """An output that is what another node makes."""
    m.graph.output[1].name, old = node_of(m, "GlobalAveragePool").output[0], m.graph.output[1].name
    assert old


def remove_output(m):
    del m.graph.output[1]


def change_opset(m):
    m.opset_import[0].version = 18


def add_domain(m):
    m.opset_import.append(helper.make_opsetid("example.org", 1))


# What a change is reported as: kind, what, old, new; None stands for anything.
SINGLE = {
    change_attribute: [("attribute", "pads", "[1, 1, 1, 1]", "[0, 2, 2, 0]")],
    add_attribute: [("attribute", "dilations", None, "[2, 2]")],
    drop_attribute: [("attribute", "epsilon", "0.00100000005", None)],
    change_numbers: [("weight", "values", "float [4, 4, 3, 3]", "float [4, 4, 3, 3]")],
    change_shape_of_weight: [("weight", "shape", "float [5, 12]", "float [7, 12]")],
    change_type_of_weight: [("weight", "type", "float", "double")],
    drop_bias: [("weight", "input 2", "[", None)],
    add_node: [("region", "", None, None)],
    remove_node: [("region", "", None, None)],
    replace_node: [("region", "", None, None)],
    rewire: [("region", "", None, None)],
    swap_operands: [("edge", "input 0", "'", "'"), ("edge", "input 1", "'", "'")],
    rename_input: [("input", "name", "x", "image")],
    change_input_shape: [("input", "shape", "float [N, 4, 11, 9]", "float [N, 4, 13, 9]")],
    change_input_type: [("input", "type", "float [N, 4, 11, 9]", "float16 [N, 4, 11, 9]")],
    add_input: [("input", "", None, "float [1]")],
    rename_output: [("output", "name", "gemm_0.out", "logits")],
    change_output_shape: [("output", "shape", "float [N, 5]", "float [batch, 5]")],
    remove_output: [("output", "", "float [N, 6, 1, 1]", None)],
    change_opset: [("opset", "", "17", "18")],
}


# What such a change brings with it, seen with --strict.
FOLLOWS = {drop_bias: {"dead"}}


@pytest.mark.parametrize("change", SINGLE, ids=lambda f: f.__name__)
def test_a_single_change_is_reported_as_exactly_that(change, model, tmp_path):
    other = copy_of(model)
    change(other)
    code, report = diff(model, other, tmp_path)
    assert code == 1
    found = counted(report)
    wanted = SINGLE[change]
    assert [c["kind"] for c in found] == [w[0] for w in wanted], [c["text"] for c in found]
    for c, (_, what, old, new) in zip(found, wanted):
        assert c["what"] == what
        for text, part in ((c["old"], old), (c["new"], new)):
            assert text is None if part is None else text.startswith(part), c
    _, report = diff(model, other, tmp_path, "--strict")
    assert {c["kind"] for c in report["changes"]} == {w[0] for w in wanted} | FOLLOWS.get(change, set())
    assert run("--ignore", ",".join({w[0] for w in wanted}), tmp_path / "a.onnx", tmp_path / "b.onnx").returncode == 0


def test_a_segment_of_a_tensor(model, tmp_path):
    """Nobody knows the whole, but two that are made of the same bytes are the same."""
    model, other = copy_of(model), copy_of(model)
    for m, value in ((model, 1.0), (other, 2.0)):
        m.graph.initializer.append(numpy_helper.from_array(np.full(3, value, np.float32), "part"))
        m.graph.initializer[-1].segment.begin, m.graph.initializer[-1].segment.end = 0, 3
        m.graph.node.append(helper.make_node("Unknown", ["part"], ["whole"], domain="example.org"))
        m.graph.output.append(helper.make_tensor_value_info("whole", TensorProto.FLOAT, [6]))
    assert diff(model, copy_of(model), tmp_path)[0] == 0
    code, report = diff(model, other, tmp_path)
    assert code == 1 and [c["kind"] for c in counted(report)] == ["weight"]


def branched(body, suffix, **weights):
    """A model whose weights and temporaries all end in the suffix."""
    text = '<ir_version: 8, opset_import: ["": 17]> g (float[1,4,7,6] x, bool c) => (float[1,4,7,6] y) { ' + body + " }"
    for name in ["t1", "t2", "t3", *weights]:
        text = re.sub(rf"\b{name}\b", name + suffix, text)
    model = onnx.parser.parse_model(text)
    model.graph.initializer.extend(numpy_helper.from_array(w, n + suffix) for n, w in weights.items())
    return model


BODY = "y = If (c) <then_branch = t () => (float[1,4,7,6] p) { p = THEN }, else_branch = e () => (float[1,4,7,6] q) { q = Conv (x, w2) }>"
BRANCHED = {
    "read by a body": (BODY.replace("THEN", "Conv (x, w1)"), 1),
    "made for a body": ("t1 = Conv (x, w1) t2 = Relu (t1) " + BODY.replace("THEN", "Relu (t2)"), 1),
    "given out by a body": ("t1 = Conv (x, w1) " + BODY.replace("p = THEN", "o = Relu (x)").replace("(float[1,4,7,6] p)", "(float[1,4,7,6] t1)"), 1),
    "both operands": ("t1 = Conv (x, w1) t2 = Conv (x, w2) y = Add (t1, t2)", 2),
    "operands of another depth": ("t1 = Conv (x, w1) t2 = Relu (t1) t3 = Conv (x, w2) y = Add (t3, t2)", 2),
}


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("name", BRANCHED)
def test_changed_weights_of_a_renamed_model(name, swap, tmp_path):
    """Also where nothing but the weights tells the operands of an Add apart."""
    body, count = BRANCHED[name]
    weights = {n: np.random.default_rng(k).standard_normal((4, 4, 1, 1)).astype(np.float32) for k, n in enumerate(["w1", "w2"])}
    other = {"w1": weights["w1"] * np.float32(1.1), "w2": weights["w2"] * np.float32(1.1) if count == 2 else weights["w2"]}
    b = branched(body, "_renamed", **other)
    if swap:
        b.graph.node[-1].input[:] = reversed(b.graph.node[-1].input)
    _, report = diff(branched(body, "", **weights), b, tmp_path)
    assert [c["kind"] for c in counted(report)] == ["weight"] * count, report["changes"]
    assert all(c["numbers"]["largest_relative"] < 0.2 for c in counted(report))


def test_no_kind_is_without_a_single_change():
    singles = {w[0] for wanted in SINGLE.values() for w in wanted} | set(DRESS.values()) | {"function"}
    assert singles == set(KINDS)


def set_doc_of_model(m):
    m.doc_string = "of the model"


def set_doc_of_graph(m):
    m.graph.doc_string = "of the graph"


def set_doc_of_node(m):
    node_of(m, "Conv").doc_string = "traced at model.py:12"


def set_doc_of_input(m):
    m.graph.input[0].doc_string = "RGB"


def set_doc_of_weight(m):
    m.graph.initializer[0].doc_string = "trained"


def set_metadata(m):
    m.metadata_props.add(key="version", value="3")


def set_metadata_of_node(m):
    node_of(m, "Conv").metadata_props.add(key="layer", value="3")


def set_metadata_of_input(m):
    m.graph.input[0].metadata_props.add(key="layout", value="NCHW")


def set_metadata_of_weight(m):
    m.graph.initializer[0].metadata_props.add(key="step", value="9")


def set_producer(m):
    m.producer_name = "someone"


def set_model_version(m):
    m.model_version = 7


def name_graph(m):
    m.graph.name = "another"


def set_ir(m):
    m.ir_version += 1


def rename_node(m):
    node_of(m, "Conv").name = "another"


def rename_temporary(m):
    old = node_of(m, "Sigmoid").input[0]
    for n in m.graph.node:
        n.input[:] = ["another" if i == old else i for i in n.input]
        n.output[:] = ["another" if o == old else o for o in n.output]
    for v in m.graph.value_info:
        v.name = "another" if v.name == old else v.name


def rename_weight(m):
    old = node_of(m, "Gemm").input[1]
    tensor_of(m, old).name = "another"
    node_of(m, "Gemm").input[1] = "another"


def reorder_nodes(m):
    """A node goes before the one before it, which it does not read."""
    nodes = list(m.graph.node)
    k = next(k for k in range(1, len(nodes)) if not set(nodes[k - 1].output) & set(nodes[k].input))
    nodes[k - 1], nodes[k] = nodes[k], nodes[k - 1]
    del m.graph.node[:]
    m.graph.node.extend(nodes)


def reorder_weights(m):
    tensors = list(m.graph.initializer)
    del m.graph.initializer[:]
    m.graph.initializer.extend(tensors[1:] + tensors[:1])


def store_in_typed_field(m):
    t = tensor_of(m, node_of(m, "Conv").input[1])
    numbers = numpy_helper.to_array(t).ravel()
    t.ClearField("raw_data")
    t.float_data.extend(numbers)


def spell_default(m):
    node_of(m, "Conv").attribute.append(helper.make_attribute("auto_pad", "NOTSET"))


def note_shape(m):
    m.graph.value_info.append(helper.make_tensor_value_info(node_of(m, "Sigmoid").input[0], TensorProto.FLOAT, ["N", 6, 1, "?"]))


def add_dead_node(m):
    m.graph.node.append(helper.make_node("Relu", ["x"], ["unread"]))


def add_dead_weight(m):
    m.graph.initializer.append(numpy_helper.from_array(np.ones(3, np.float32), "unread"))


# What changes nothing that is computed: reported as this kind and no other, counted with --strict only.
DRESS = {
    **dict.fromkeys([set_doc_of_model, set_doc_of_graph, set_doc_of_node, set_doc_of_input, set_doc_of_weight], "doc"),
    **dict.fromkeys([set_metadata, set_metadata_of_node, set_metadata_of_input, set_metadata_of_weight, set_producer, set_model_version, name_graph], "metadata"),
    **dict.fromkeys([rename_node, rename_temporary, rename_weight], "name"),
    **dict.fromkeys([reorder_nodes, reorder_weights], "order"),
    **dict.fromkeys([add_dead_node, add_dead_weight, add_domain], "dead"),
    set_ir: "ir_version",
    store_in_typed_field: "storage",
    spell_default: "spelling",
    note_shape: "shape",
}


@pytest.mark.parametrize("change", DRESS, ids=lambda f: f.__name__)
def test_what_changes_nothing_is_one_kind_and_counts_when_asked(change, model, tmp_path):
    other = copy_of(model)
    change(other)
    assert other != model
    code, report = diff(model, other, tmp_path)
    assert (code, counted(report)) == (0, [])
    code, report = diff(model, other, tmp_path, "--strict")
    assert code == 1 and [c["kind"] for c in report["changes"]] == [DRESS[change]], [c["text"] for c in report["changes"]]
    code, report = diff(model, other, tmp_path, "--strict", "--ignore", DRESS[change])
    assert (code, report["changes"]) == (0, [])
    code, report = diff(other, model, tmp_path, "--strict")
    assert [c["kind"] for c in report["changes"]] == [DRESS[change]], "the other way round"


def test_operator_sets_that_no_node_needs(model, tmp_path):
    """Two that are new, one that is gone and one of another version are one line; one that a node needs counts."""
    model, other = copy_of(model), copy_of(model)
    model.opset_import.extend([helper.make_opsetid("example.gone", 3), helper.make_opsetid("example.kept", 1)])
    other.opset_import.extend([helper.make_opsetid("example.kept", 2), helper.make_opsetid("example.org", 1), helper.make_opsetid("ai.onnx.ml", 5)])
    code, report = diff(model, other, tmp_path)
    assert code == 0
    (change,) = report["changes"]
    assert (change["kind"], change["old"], change["new"]) == ("dead", "example.gone 3, example.kept 1", "example.kept 2, example.org 1, ai.onnx.ml 5")
    for m in (model, other):
        m.graph.node.append(helper.make_node("Unknown", ["x"], ["unknown"], domain="example.kept"))
        m.graph.output.append(helper.make_tensor_value_info("unknown", TensorProto.FLOAT, [1]))
    code, report = diff(model, other, tmp_path)
    assert [(c["subject"], c["old"], c["new"]) for c in counted(report)] == [("operator set example.kept", "1", "2")]


def test_regions_say_what_became_what(model, tmp_path):
    for change, summary in ((add_node, "Dropout added"), (remove_node, "Relu removed"), (rewire, "Relu removed"),
                            (replace_node, "Sigmoid became HardSigmoid")):
        other = copy_of(model)
        change(other)
        _, report = diff(model, other, tmp_path)
        assert [c["subject"] for c in counted(report)] == [summary]


def test_a_moved_output(model, tmp_path):
    """The output has another name, another shape, and comes from elsewhere; the gate is dead beyond that."""
    other = copy_of(model)
    move_output(other)
    _, report = diff(model, other, tmp_path)
    assert {(c["kind"], c["what"]) for c in counted(report)} >= {("output", "name"), ("edge", "")}


def test_numbers_of_a_weight(model, tmp_path):
    other = copy_of(model)
    change_numbers(other)
    _, report = diff(model, other, tmp_path)
    (change,) = counted(report)
    numbers = change["numbers"]
    old = numpy_helper.to_array(tensor_of(model, node_of(model, "Conv").input[1]))
    new = numpy_helper.to_array(tensor_of(other, node_of(other, "Conv").input[1]))
    assert (numbers["count"], numbers["differing"]) == (old.size, 2)
    assert numbers["largest"] == np.abs(old.astype(float) - new).max()
    assert numbers["first"] == "[1, 2, 0, 1]"
    assert (numbers["first_a"], numbers["first_b"]) == (float(old[1, 2, 0, 1]), float(new[1, 2, 0, 1]))
    assert numbers["largest_relative"] == pytest.approx((np.abs(old.astype(float) - new) / np.abs(old)).max())
    assert sum(numbers["bins"]) == 2 and numbers["bins"][0] == 1  # -0.5 is the lowest, +0.25 beyond the middle
    assert change["a"]["name"] == node_of(model, "Conv").name


def test_tolerances(model, tmp_path):
    other = copy_of(model)
    change_numbers(other)
    assert diff(model, other, tmp_path, "--atol", "0.6")[0] == 0
    assert diff(model, other, tmp_path, "--atol", "0.4")[0] == 1
    assert diff(model, other, tmp_path, "--rtol", "1e6")[0] == 0
    assert diff(model, other, tmp_path, "--rtol", "1e-6")[0] == 1


def test_a_nan_is_a_difference_and_two_are_none(model, tmp_path):
    def with_nan(m):
        t = tensor_of(m, node_of(m, "Conv").input[1])
        array = numpy_helper.to_array(t).copy()
        array[0, 0, 0, 0] = np.nan
        t.CopyFrom(numpy_helper.from_array(array, t.name))
        return m

    other = with_nan(copy_of(model))
    code, report = diff(model, other, tmp_path)
    assert code == 1 and counted(report)[0]["numbers"]["largest"] is None
    assert diff(other, copy_of(other), tmp_path)[0] == 0


def test_a_weight_that_many_read_is_one_change(tmp_path):
    def build(scale):
        n = Net(seed=1)
        x = n.input("x", (1, 3, 5, 5))
        w = n.const(n.kernel(3, 3, (3, 3)) * scale, "shared")
        n.output(n.conv(n.relu(n.conv(x, 3, weight=w)), 3, weight=w))
        return n.model()

    _, report = diff(build(1), build(2), tmp_path)
    assert [c["kind"] for c in counted(report)] == ["weight"]


def test_a_fused_model(tmp_path):
    n = Net(seed=2)
    x = n.input("x", (1, 4, 9, 9))
    n.output(n.relu(n.add(n.convbn(x, 4, 3), n.convbn(x, 4, 1), n.bn(x))))
    model = n.model()
    fused = fuse(model, tmp_path)
    _, report = diff(model, fused.path, tmp_path)
    (change,) = counted(report)
    assert change["subject"] == "2 Conv + 3 BatchNormalization + 2 Add became Conv"
    assert (change["region"]["a_inputs"], change["region"]["b_inputs"]) == (["x"], ["x"])
    assert change["region"]["a_outputs"] == change["region"]["b_outputs"]
    assert (report["before"]["ops"], report["after"]["ops"]) == (8, 2)
    _, report = diff(renamed(model), fused.path, tmp_path)
    assert [c["subject"] for c in counted(report)] == [change["subject"]]


# Bodies and functions


def branching(scale=1.0, extra=False):
    n = Net(seed=4)
    x = n.input("x", (1, 3, 7, 7))
    c = n.input("c", (), dtype=np.bool_)
    shape = n.types[x]
    bodies = []
    for k in range(2):
        body = n.sub()
        y = body.conv(x, 3, 3, weight=body.const(body.kernel(3, 3, (3, 3)) * (scale if k else 1), f"w{k}"))
        body.output(body.relu(y) if extra and k else y)
        bodies.append(body.graph(f"body{k}"))
    n.output(n.node("If", [c], then_branch=bodies[0], else_branch=bodies[1], types=[shape]))
    return n.model()


def test_changes_inside_a_body(tmp_path):
    assert diff(branching(), branching(), tmp_path)[0] == 0
    _, report = diff(branching(), branching(2.0), tmp_path)
    (change,) = counted(report)
    assert change["kind"] == "weight" and change["graph"].endswith(".else_branch")
    _, report = diff(branching(), branching(extra=True), tmp_path)
    (change,) = counted(report)
    assert change["subject"] == "Relu added" and change["graph"].endswith(".else_branch")


def calling(scale=1.0, name="block", extra=False):
    n = Net(seed=4)
    x = n.input("x", (1, 3, 7, 7))

    def build(body, v):
        y = body.conv(v, 3, 3, weight=body.const(body.kernel(3, 3, (3, 3)) * scale, "w"))
        return body.relu(y) if extra else y

    n.function("local", name, {"v": n.types[x]}, build)
    first = n.node(name, [x], domain="local", name="first", types=[n.types[x]])
    n.output(n.node(name, [first], domain="local", name="second", types=[n.types[x]]))
    return n.model()


def test_changes_inside_a_function(tmp_path):
    assert diff(calling(), calling(), tmp_path)[0] == 0
    _, report = diff(calling(), calling(2.0), tmp_path)
    (change,) = counted(report)
    assert change["kind"] == "weight" and change["graph"] == "function block"
    _, report = diff(calling(), calling(extra=True), tmp_path)
    (change,) = counted(report)
    assert change["subject"] == "Relu added" and change["graph"] == "function block"
    _, report = diff(calling(), calling(name="other"), tmp_path)
    assert [c["kind"] for c in counted(report)] == ["region", "function", "function"]


def test_random_numbers_are_drawn_anew(tmp_path):
    """x - x and draw - draw: the first is one value, the second two."""
    def build(shared):
        a = helper.make_node("RandomNormal", [], ["a"], shape=[2])
        b = helper.make_node("RandomNormal", [], ["b"], shape=[2])
        sub = helper.make_node("Sub", ["a", "a" if shared else "b"], ["y"])
        graph = helper.make_graph([a, sub] if shared else [a, b, sub], "g", [],
                                  [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    assert diff(build(False), build(False), tmp_path)[0] == 0
    assert diff(build(False), build(True), tmp_path)[0] == 1


# Size


def chain(count, change=None, last="Sigmoid"):
    """A hundred thousand nodes: Relu, Neg, Abs, Sigmoid in turn."""
    ops = ["Relu", "Neg", "Abs", last]
    nodes = [helper.make_node(ops[k % 4], [f"v{k}"], [f"v{k + 1}"], name=f"n{k}") for k in range(count)]
    if change is not None:
        nodes[change].op_type = "Tanh"
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("v0", TensorProto.FLOAT, [1])],
                              [helper.make_tensor_value_info(f"v{count}", TensorProto.FLOAT, [1])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_a_hundred_thousand_nodes(tmp_path):
    start = processor_seconds()
    code, report = diff(chain(100_000), chain(100_000, 50_000), tmp_path)
    assert code == 1 and [c["subject"] for c in counted(report)] == ["Relu became Tanh"]
    assert processor_seconds() - start < 60  # building the models takes most of it
    assert report["matched"] == 99_999


def test_attributes_of_all_types(tmp_path):
    """Operators of other domains: any attribute is compared."""
    def build(**attributes):
        node = helper.make_node("Custom", ["x"], ["y"], domain="example.org", **attributes)
        graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
                                  [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("example.org", 1)],
                                 ir_version=8)

    tensor = numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(2, 3))
    other = numpy_helper.from_array(np.arange(1, 7, dtype=np.float32).reshape(2, 3))
    strings = helper.make_tensor("s", TensorProto.STRING, [2], [b"ab", b"c"])
    moved = helper.make_tensor("s", TensorProto.STRING, [2], [b"a", b"bc"])
    for one, two in ((1, 2), (1.5, 2.5), ("a", "b"), ([1, 2], [1, 3]), ([1.0], [2.0]), (["a", "b"], ["a", "c"]), (tensor, other),
                     ([tensor], [other]), (strings, moved), (1, 1.0)):
        assert diff(build(a=one), build(a=one), tmp_path)[0] == 0
        _, report = diff(build(a=one), build(a=two), tmp_path)
        assert [(c["kind"], c["what"]) for c in counted(report)] == [("attribute", "a")], (one, two)
    kinds = {a.type for a in build(a=tensor).graph.node[0].attribute}
    assert kinds == {AttributeProto.TENSOR}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_types_of_weights(dtype, tmp_path):
    def build(storage, scale=1.0):
        n = Net(seed=1, dtype=dtype, storage=storage, opset=22, ir=10)
        n.output(n.conv(n.input("x", (1, 3, 5, 5)), 3, weight=n.const(n.kernel(3, 3, (3, 3)) * scale, "w")))
        return n.model()

    assert diff(build("raw"), build("typed"), tmp_path)[0] == 0
    assert diff(build("raw"), build("constant"), tmp_path)[0] == 0
    code, report = diff(build("raw"), build("typed", 2.0), tmp_path)
    assert code == 1 and counted(report)[0]["numbers"]["differing"] == 81


def test_packed_types(tmp_path):
    """Four-bit numbers in raw_data and in int32_data are the same."""
    def build(raw, first):
        t = helper.make_tensor("w", TensorProto.INT4, [3], [first, -2, 3])
        if raw:
            packed = bytes(v & 0xFF for v in t.int32_data)
            t.ClearField("int32_data")
            t.raw_data = packed
        node = helper.make_node("DequantizeLinear", ["w", "s"], ["y"])
        scale = numpy_helper.from_array(np.float32(0.5), "s")
        graph = helper.make_graph([node], "g", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])], [t, scale])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)

    assert diff(build(False, 1), build(True, 1), tmp_path)[0] == 0
    code, report = diff(build(False, 1), build(True, 2), tmp_path)
    assert code == 1 and [(c["kind"], c["what"]) for c in counted(report)] == [("weight", "values")]


# What a model says beside its graphs


def test_two_functions_of_one_name(tmp_path):
    """The later one is what is called; a model is the same as itself."""
    head, function = '<ir_version: 8, opset_import: ["": 17, "f": 1]> g (float[2] x) => (float[2] y) { y = f.f (x) }', \
        '<domain: "f", opset_import: ["": 17]> f (x) => (z) { z = %s (x) }'
    for first in "Identity", "Neg":
        model = onnx.parser.parse_model(head + function % first + function % "Identity")
        for name in "ab":
            onnx.save(model, tmp_path / f"{name}.onnx")
        result = subprocess.run([TOOL, "diff", tmp_path / "a.onnx", tmp_path / "b.onnx"], capture_output=True, text=True, timeout=60)
        assert (result.returncode, result.stdout) == (0, "")


NOTED = {  # what --strict tells, and what counts in any case
    "a device of a node": ("metadata", lambda m: m.graph.node[0].device_configurations.add(configuration_id="c")),
    "devices of the model": ("metadata", lambda m: m.configuration.add(name="c", num_devices=2)),
    "training": ("metadata", lambda m: m.training_info.add().algorithm.node.add(op_type="Relu")),
    "what a type denotes": ("metadata", lambda m: setattr(m.graph.input[0].type, "denotation", "IMAGE")),
    "metadata of a value": ("metadata", lambda m: m.graph.value_info[0].metadata_props.add(key="a", value="b")),
    "metadata of a function": ("metadata", lambda m: m.functions[0].metadata_props.add(key="a", value="b")),
    "a quantized value": ("metadata", lambda m: m.graph.quantization_annotation.add(tensor_name="r").quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="s")),
    "the order of attributes": ("order", lambda m: reverse(m.graph.node[1].attribute)),
    "what is said of an attribute": ("doc", lambda m: setattr(m.graph.node[1].attribute[0], "doc_string", "z")),
    "a type that a body states": ("shape", lambda m: setattr(m.graph.node[1].attribute[0].g.output[0].type.tensor_type, "elem_type", 10)),
    "an input's name in a function": ("name", lambda m: rename_in_function(m, "p", "pp")),
    "an operator set of a function": ("opset", lambda m: setattr(m.functions[0].opset_import[0], "version", 12)),
    "an attribute that calls must give": ("attribute", lambda m: m.functions[0].attribute.append("zz")),
}


def reverse(field):
    items = list(field)
    del field[:]
    field.extend(reversed(items))


def rename_in_function(model, old, new):
    function = model.functions[0]
    for names in [function.input, *(n.input for n in function.node)]:
        for i, name in enumerate(names):
            names[i] = new if name == old else name


@pytest.mark.parametrize("name", NOTED)
def test_what_a_model_says_beside_its_graphs(name, tmp_path):
    kind, change = NOTED[name]
    model = onnx.parser.parse_model('''<ir_version: 11, opset_import: ["": 17, "f": 1]> g (float[2] x, bool c) => (float[2] y)
        { r = f.f (x) y = If (c) <then_branch = t () => (float[2] u) { u = Identity (r) }, else_branch = e () => (float[2] v) { v = Neg (r) }> }
        <domain: "f", opset_import: ["": 17]> f (p) => (q) { q = Relu (p) }''')
    model.graph.value_info.append(helper.make_tensor_value_info("r", TensorProto.FLOAT, [2]))
    other = copy_of(model)
    change(other)
    counts = kind in ("opset", "attribute")
    for a, b in ((model, other), (other, model)):
        code, report = diff(a, b, tmp_path)
        assert code == counts and [c["kind"] for c in report["changes"]] == [kind], report["changes"]
        assert diff(a, b, tmp_path, "--strict")[0] == 1
        assert diff(a, copy_of(a), tmp_path, "--strict")[0] == 0


# Many of one thing, and names that say nothing


def test_many_functions(tmp_path):
    """What is kept for a pair of graphs must not grow with the number of graphs."""
    functions = "".join(f' <domain: "f", opset_import: ["": 17]> f{i} (p) => (q) {{ q = Relu (p) }}' for i in range(2000))
    model = onnx.parser.parse_model('<ir_version: 9, opset_import: ["": 17, "f": 1]> g (float[2] x) => (float[2] y) { y = f.f0 (x) }' + functions)
    assert diff(model, model, tmp_path)[0] == 0


def test_many_changes(tmp_path):
    """What is told of them may take as much memory as the comparison."""
    count = 16000 if "build-test" not in str(TOOL) else 6000  # sanitizers make everything larger

    def chain(shift):
        nodes = [helper.make_node("Add", [f"v{i}", f"c{i}"], [f"v{i + 1}"]) for i in range(count)]
        constants = [numpy_helper.from_array(np.array([i + shift], np.float32), f"c{i}") for i in range(count)]
        inputs, outputs = ([helper.make_tensor_value_info(name, 1, [1])] for name in ("v0", f"v{count}"))
        return helper.make_model(helper.make_graph(nodes, "g", inputs, outputs, constants), opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    code, report = diff(chain(0), chain(1), tmp_path)
    assert code == 1 and report["counted"] == count


@pytest.mark.parametrize("swaps", range(16))
def test_one_constant_of_a_renamed_model_with_swapped_operands(swaps, tmp_path):
    """Rotary embeddings: the sums and products are told apart by what is further up."""
    def build(scale, suffix, swaps):
        def two(bit, a, b):
            return f"{b}, {a}" if swaps >> bit & 1 else f"{a}, {b}"
        body = f"""q = MatMul (x, w) k = MatMul (x, v) c = Cos (p) s = Sin (p) nq = Neg (q) nk = Neg (k) a = Mul ({two(0, 'q', 'c')}) b = Mul ({two(1, 'nq', 's')})
                   d = Mul ({two(2, 'k', 'c')}) e = Mul ({two(3, 'nk', 's')}) f = Add ({two(0, 'a', 'b')}) g = Add ({two(1, 'd', 'e')}) y = Add ({two(2, 'f', 'g')})"""
        names = re.findall(r"(\w+) =", body)
        for name in names[:-1]:
            body = re.sub(rf"\b{name}\b", name + suffix, body)
        model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> g (float[2, 4] x, float[4] p) => (float[2, 4] y) {{ {body} }}')
        rng = np.random.default_rng(0)
        for name in "wv":
            numbers = rng.standard_normal((4, 4)).astype(np.float32)
            model.graph.initializer.append(numpy_helper.from_array(numbers * np.float32(scale if name == "w" else 1), name))
        return model

    code, report = diff(build(1, "", 0), build(2, "_z", swaps), tmp_path)
    assert code == 1 and [c["kind"] for c in counted(report)] == ["weight"], [c["text"] for c in counted(report)]
