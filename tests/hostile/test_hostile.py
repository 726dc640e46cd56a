"""Bad input is answered with one clear line and exit 2; what is merely unknown is left alone."""
import os
import random
import re
import time
import zlib

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.hostile import wire
from tests.support.cost import SLOWER
from tests.support.tool import count_ops

FLOAT = TensorProto.FLOAT


def tensor(name, *shape):
    """The values follow from the name: a failure repeats, whatever ran before."""
    values = np.random.default_rng(zlib.crc32(name.encode())).uniform(0.5, 1.5, shape)
    return numpy_helper.from_array(np.asarray(values, np.float32), name)


def info(name, *shape, elem=FLOAT):
    return helper.make_tensor_value_info(name, elem, list(shape))


def model(nodes, inputs, outputs, initializers=(), functions=(), opsets=(("", 17),), ir=8):
    graph = helper.make_graph(list(nodes), "g", list(inputs), list(outputs), list(initializers))
    return helper.make_model(graph, functions=list(functions), ir_version=ir,
                             opset_imports=[helper.make_opsetid(*o) for o in opsets])


def block_parts(channels=2, prefix="", source="x", result="y"):
    """3x3 Conv+BN, 1x1 Conv, identity: five nodes that fold to one Conv."""
    c, p = channels, prefix
    nodes = [helper.make_node("Conv", [source, p + "w3"], [p + "a"], name=p + "dense", pads=[1] * 4),
             helper.make_node("BatchNormalization", [p + "a", p + "g", p + "b", p + "m", p + "v"], [p + "n"], name=p + "bn"),
             helper.make_node("Conv", [source, p + "w1"], [p + "c"], name=p + "one"),
             helper.make_node("Add", [p + "n", p + "c"], [p + "s"], name=p + "add"),
             helper.make_node("Add", [p + "s", source], [result], name=p + "skip")]
    inits = [tensor(p + "w3", c, c, 3, 3), tensor(p + "w1", c, c, 1, 1), *(tensor(p + n, c) for n in "gbmv")]
    return nodes, inits


def block_model(**keywords):
    nodes, inits = block_parts()
    return model(nodes, [info("x", 1, 2, 5, 4)], [info("y", 1, 2, 5, 4)], inits, **keywords)


def relu_model(initializers=(), **keywords):
    return model([helper.make_node("Relu", ["x"], ["y"], name="act")], [info("x", 2, 3)], [info("y", 2, 3)],
                 initializers, **keywords)


def data_of(m):
    return m if isinstance(m, bytes) else m.SerializeToString()


def decodes(data):
    try:
        return onnx.load_model_from_string(data)
    except Exception:
        return None


def test_the_block_of_these_tests_folds(bench):
    """Without this the refusals below could have any reason."""
    out = bench.accepted(data_of(block_model()))
    assert count_ops(onnx.load_model_from_string(out)) == {"Conv": 1}


# Not a model


@pytest.mark.parametrize("data", [
    b"\0", b"\xff" * 64, b"PK\x03\x04" + b"\0" * 60, b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    b"<!DOCTYPE html><html></html>\n", b"ir_version: 8\ngraph { name: \"g\" }\n", b"\x80" * 4096, bytes(4096),
    b"\x08\x08\x3b", b"\x08\x08\x3c", b"\x0b" * 5000, b"\x08", b"\x00\x01", b"\x7f\xff\xff",
], ids=["zero byte", "ff", "zip", "lfs pointer", "html", "text format", "endless varint", "zeros", "group opened", "group closed",
        "nested groups", "tag alone", "field 0", "wire type 7"])
def test_not_protobuf(bench, data):
    bench.refused(data, "protobuf|not an ONNX|decode|damaged|not a model")


def test_empty_file(bench):
    bench.refused(b"", "empty|no graph")


def test_no_graph(bench):
    bench.refused(wire.number(1, 8) + wire.block(8, wire.number(2, 17)), "no graph")


@pytest.mark.parametrize("length", [2**31 - 1, 2**31, 2**32 - 1, 2**32 + 5, 2**63 - 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("field", [2, 7, 1999], ids=["string", "graph", "unknown"])
def test_length_beyond_the_end(bench, length, field):
    bench.refused(data_of(relu_model()) + wire.block(field, b"abc", length), "truncated|beyond|past|end|protobuf|length|bytes")


@pytest.mark.parametrize("length", [2**31 - 1, 2**32 + 4, 2**63, 2**64 - 1])
def test_payload_length_beyond_the_end(bench, length):
    bad = wire.number(1, 1) + wire.number(2, 1) + wire.block(8, "t") + wire.block(9, b"abcd", length)
    bench.refused(wire.model(wire.relu_graph(wire.block(5, bad))), "truncated|beyond|past|end|protobuf|length|bytes")


@pytest.mark.parametrize("kind", ["plain", "block"])
def test_truncated_at_every_byte(bench, kind):
    """A cut file that no longer decodes, or has no graph, is refused; one cut between two fields is a model still."""
    whole = data_of(relu_model() if kind == "plain" else block_model())
    # The whole of the small one; of the larger one all but the insides of its payloads.
    for end in range(len(whole)):
        cut = whole[:end]
        if kind == "block" and end % 7 and end < len(whole) - 40:
            continue
        still = decodes(cut)
        if still is None or not still.HasField("graph"):
            bench.refused(cut)
        else:
            bench.run(cut)


# Tensors


def broken_tensor(change, nodes_read_it=True):
    """The block, with one tensor changed by hand."""
    m = block_model()
    t = next(t for t in m.graph.initializer if t.name == "w3")
    change(t)
    if not nodes_read_it:
        t.name = "unread"
        m.graph.initializer.append(tensor("w3", 2, 2, 3, 3))
    return data_of(m)


def dims(*values):
    def change(t):
        t.dims[:] = values
    return change


def typed(field, values, data_type=FLOAT):
    def change(t):
        t.ClearField("raw_data")
        t.data_type = data_type
        getattr(t, field).extend(values)
    return change


def raw(data):
    def change(t):
        t.raw_data = data
    return change


@pytest.mark.parametrize("read", [True, False], ids=["read", "unread"])
@pytest.mark.parametrize("change", [
    raw(b""), raw(b"\0" * 143), raw(b"\0" * 140), raw(b"\0" * 145), raw(b"\0" * 148), raw(b"\0" * 288),
    dims(2, 2, 3, 2), dims(2, 2, 3, 4), dims(), dims(0, 2, 3, 3), dims(36, 1, 1, 1, 2),
    typed("float_data", [1.0] * 35), typed("float_data", [1.0] * 37), typed("float_data", []),
    typed("double_data", [1.0] * 35, TensorProto.DOUBLE), typed("int32_data", [1] * 35, TensorProto.FLOAT16),
    typed("int64_data", [1] * 36), typed("float_data", [1.0] * 36, TensorProto.INT64),
], ids=["raw empty", "raw odd", "raw short", "raw odd long", "raw long", "raw double", "dims small", "dims large", "dims none", "dims zero",
        "dims other rank", "float short", "float long", "float none", "double short", "half short", "wrong field", "wrong type"])
def test_data_does_not_fit_dims(bench, change, read):
    bench.refused(broken_tensor(change, read), "w3" if read else "unread", r"\d")


@pytest.mark.parametrize("values", [
    (2**62, 2**62), (2**32, 2**32), (2**63 - 1, 2), (2**31, 2**31, 2**31), (2**62, 4), (3, 2**62 + 12), (2**40,), (2**62,), (2**63 - 1,),
    (2**61, 1, 1, 1), (2**32 + 2, 2**32 + 2, 3, 3),
])
def test_dims_overflow(bench, values):
    bench.refused(broken_tensor(dims(*values)), "w3")


@pytest.mark.parametrize("values", [(-1,), (-36,), (-2, -2, 3, 3), (2, 2, -3, -3), (-(2**63),), (0, -1)])
def test_dims_negative(bench, values):
    bench.refused(broken_tensor(dims(*values)), "w3", "negative|-")


def test_bad_tensor_in_a_constant_node_and_a_body(bench):
    bad = tensor("c", 4)
    bad.raw_data = b"\0" * 15
    constant = helper.make_node("Constant", [], ["c"], name="const", value=bad)
    relu = helper.make_node("Relu", ["x"], ["y"])
    ends = [info("x", 2, 3)], [info("y", 2, 3)]
    bench.refused(data_of(model([constant, relu], *ends)))
    body = helper.make_graph([constant], "body", [], [info("c", 4)])
    branch = helper.make_node("If", ["f"], ["z"], name="if", then_branch=body, else_branch=body)
    bench.refused(data_of(model([branch, relu], [*ends[0], info("f", elem=TensorProto.BOOL)], ends[1])))


# External data


def external(location, offset=None, length=None, entries=()):
    """The block with its 3x3 weight outside."""
    m = block_model()
    t = next(t for t in m.graph.initializer if t.name == "w3")
    t.ClearField("raw_data")
    t.data_location = TensorProto.EXTERNAL
    pairs = [("location", location), ("offset", offset), ("length", length), *entries]
    for key, value in pairs:
        if value is not None:
            e = t.external_data.add()
            e.key, e.value = key, str(value)
    return data_of(m)


@pytest.fixture
def outside(bench):
    """A good payload of 144 bytes both in the model's folder and beside it."""
    payload = tensor("w3", 36).raw_data
    (bench.folder / "w.bin").write_bytes(payload)
    (bench.folder / "sub").mkdir()
    (bench.folder / "sub" / "w.bin").write_bytes(b"." * 16 + payload)
    (bench.folder.parent / "w.bin").write_bytes(payload)
    return bench


@pytest.mark.parametrize("arguments", [
    ("w.bin",), ("w.bin", 0, 144), ("w.bin", 0), ("w.bin", None, 144), ("sub/w.bin", 16, 144), ("sub/w.bin", 16), ("./w.bin",),
    ("w.bin", 0, 144, (("future", "1"),)),
], ids=str)
def test_good_external_data_is_read(outside, arguments):
    """The control for the refusals below: the same model, the same files."""
    out = outside.accepted(external(*arguments))
    assert count_ops(onnx.load_model_from_string(out)) == {"Conv": 1}


@pytest.mark.parametrize("location", ["../w.bin", "sub/../../w.bin", "./../w.bin", "sub/./../../w.bin", "/etc/hostname", "//etc/hostname",
                                      "ABSOLUTE", "..", "../bench/w.bin"])
def test_external_path_leaves_the_folder(outside, location):
    if location == "ABSOLUTE":
        location = str(outside.folder.parent / "w.bin")
    outside.refused(external(location), "folder|outside|leaves|absolute", "w3")


@pytest.mark.parametrize("kind", ["file", "folder", "absolute", "chain"])
def test_external_symlink_leaves_the_folder(outside, kind):
    link = outside.folder / "link"
    location = "link"
    if kind == "file":
        link.symlink_to("../w.bin")
    elif kind == "folder":
        link.symlink_to("..")
        location = "link/w.bin"
    elif kind == "absolute":
        link.symlink_to(outside.folder.parent / "w.bin")
    else:
        link.symlink_to("sub/second")
        (outside.folder / "sub" / "second").symlink_to("../../w.bin")
    outside.refused(external(location, 0, 144), "w3")


@pytest.mark.parametrize("location, said", [("absent.bin", "absent.bin"), ("absent/w.bin", "absent/w.bin"), ("w.bin/x", "w.bin/x"),
                                            ("sub", "sub"), ("", "location"), (None, "location"), ("x" * 5000, "x" * 20)],
                         ids=["file", "folder", "below a file", "a folder", "empty", "not given", "too long"])
def test_external_missing(outside, location, said):
    outside.refused(external(location), re.escape(said), "w3")


def test_external_not_a_regular_file(outside):
    """Opening a FIFO that nobody writes to would wait for ever."""
    os.mkfifo(outside.folder / "pipe")
    outside.refused(external("pipe"), "pipe", "w3")


@pytest.mark.parametrize("offset, length", [
    (1, 144), (144, 144), (145, 0), (0, 145), (0, 143), (0, 148), (2**63 - 1, 144), (2**64 - 1, 144), (2**64, 144), (2**63 - 100, 144),
    (0, 2**63), (0, 2**64), (-1, 144), (0, -1), ("x", 144), (0, "x"), ("", 144), (0, ""), ("0x0", 144), ("1e1", 144), ("0 ", 144),
    (" 0", 144), (200, None), (140, None),
], ids=str)
def test_external_offset_or_length(outside, offset, length):
    outside.refused(external("w.bin", offset, length), "w3")


@pytest.mark.parametrize("offset, length, said", [
    (145, 0, "starts at byte 145 of"), (2**64 - 1, 144, "starts at byte 18446744073709551615 of"), (0, 145, "has 145 bytes from byte 0 of"),
    (140, 2**64 - 100, "has 18446744073709551516 bytes from byte 140 of"),
], ids=str)
def test_external_beyond_the_end_is_said_as_it_stands(outside, offset, length, said):
    """Also where the two have no sum."""
    outside.refused(external("w.bin", offset, length), said, "which has 144")


# Graphs


def chain(*pairs):
    return [helper.make_node("Tanh" if len(i) == 1 else "Add", list(i), [o], name=f"n{k}") for k, (i, o) in enumerate(pairs)]


@pytest.mark.parametrize("nodes", [
    chain(("y", "y")), chain(("a", "y"), ("y", "a")), chain((("x", "b"), "a"), ("a", "b"), ("b", "y")),
    chain((("x", "d"), "a"), ("a", "b"), ("b", "c"), ("c", "d"), ("d", "y")), chain(("x", "y"), ("q", "q")),
], ids=["self", "two", "through", "long", "beside"])
def test_cycle(bench, nodes):
    bench.refused(data_of(model(nodes, [info("x", 2, 3)], [info("y", 2, 3)])), "cycle|loop|circular|depends on itself")


def test_cycle_in_a_body(bench):
    body = helper.make_graph(chain((("x", "b"), "a"), ("a", "b")), "body", [], [info("b", 2, 3)])
    node = helper.make_node("If", ["f"], ["y"], then_branch=body, else_branch=body)
    bench.refused(data_of(model([node], [info("x", 2, 3), info("f", elem=TensorProto.BOOL)], [info("y", 2, 3)])),
                  "cycle|loop|circular|depends on itself")


def test_cycle_through_a_capture(bench):
    """The body reads what the If makes."""
    body = helper.make_graph(chain(("y", "b")), "body", [], [info("b", 2, 3)])
    node = helper.make_node("If", ["f"], ["y"], then_branch=body, else_branch=body)
    bench.refused(data_of(model([node], [info("f", elem=TensorProto.BOOL)], [info("y", 2, 3)])), "cycle|loop|circular|depends on itself")


def test_cycle_in_a_function(bench):
    f = helper.make_function("f", "F", ["x"], ["b"], chain((("x", "b"), "a"), ("a", "b")), [helper.make_opsetid("", 17)])
    node = helper.make_node("F", ["x"], ["y"], domain="f")
    bench.refused(data_of(model([node], [info("x", 2, 3)], [info("y", 2, 3)], functions=[f], opsets=(("", 17), ("f", 1)))),
                  "cycle|loop|circular|depends on itself")


def test_functions_that_call_each_other(bench):
    make = [helper.make_function("f", a, ["x"], ["y"], [helper.make_node(b, ["x"], ["y"], domain="f")], [helper.make_opsetid("f", 1)])
            for a, b in (("F", "G"), ("G", "F"))]
    node = helper.make_node("F", ["x"], ["y"], domain="f")
    bench.run(data_of(model([node], [info("x", 2, 3)], [info("y", 2, 3)], functions=make, opsets=(("", 17), ("f", 1)))))


@pytest.mark.parametrize("kind", ["two nodes", "one node", "node and initializer", "node and input", "initializer twice", "input twice",
                                  "in a body", "in a function"])
def test_value_produced_twice(bench, kind):
    x, y = [info("x", 2, 3)], [info("y", 2, 3)]
    two = chain(("x", "v"), ("x", "v"), ("v", "y"))
    if kind == "two nodes":
        m = model(two, x, y)
    elif kind == "one node":
        m = model([helper.make_node("Split", ["x"], ["v", "v"], axis=0), *chain(("v", "y"))], x, y)
    elif kind == "node and initializer":
        m = model(chain(("x", "v"), ("v", "y")), x, y, [tensor("v", 2, 3)])
    elif kind == "node and input":
        m = model(chain(("x", "v"), ("v", "y")), [*x, info("v", 2, 3)], y)
    elif kind == "initializer twice":
        m = model(chain((("x", "v"), "y")), x, y, [tensor("v", 2, 3), tensor("v", 2, 3)])
    elif kind == "input twice":
        m = model(chain((("x", "v"), "y")), [*x, info("v", 2, 3), info("v", 2, 3)], y)
    elif kind == "in a body":
        body = helper.make_graph(chain(("x", "v"), ("x", "v"), ("v", "b")), "body", [], [info("b", 2, 3)])
        node = helper.make_node("If", ["f"], ["y"], then_branch=body, else_branch=body)
        m = model([node], [*x, info("f", elem=TensorProto.BOOL)], y)
    else:
        f = helper.make_function("f", "F", ["x"], ["y"], two, [helper.make_opsetid("", 17)])
        m = model([helper.make_node("F", ["x"], ["y"], domain="f")], x, y, functions=[f], opsets=(("", 17), ("f", 1)))
    bench.refused(data_of(m), r"\bv\b", "twice|two|duplicate|already|more than once")


def test_values_that_only_look_produced_twice(bench):
    """Optional outputs without a name; two bodies with the same names; an initializer that is an input."""
    nothing = [helper.make_node("Dropout", ["x"], ["a", ""]), helper.make_node("Dropout", ["a"], ["y", ""])]
    bench.accepted(data_of(model(nothing, [info("x", 2, 3)], [info("y", 2, 3)])))
    body = helper.make_graph(chain(("x", "v"), ("v", "b")), "body", [], [info("b", 2, 3)])
    node = helper.make_node("If", ["f"], ["y"], then_branch=body, else_branch=body)
    bench.untouched(data_of(model([node], [info("x", 2, 3), info("f", elem=TensorProto.BOOL)], [info("y", 2, 3)])))
    m = model(chain((("x", "v"), "y")), [info("x", 2, 3), info("v", 2, 3)], [info("y", 2, 3)], [tensor("v", 2, 3)])
    bench.untouched(data_of(m))


# Depth and size


def nested(levels, inner, wrap):
    data = inner
    for _ in range(levels):
        data = wrap(data)
    return data


def subgraph(data):
    """A GraphProto whose only node has that graph as an attribute."""
    attribute = wire.block(1, "then_branch") + wire.block(6, data) + wire.number(20, 5)
    return wire.block(1, wire.block(4, "If") + wire.block(5, attribute))


def subgraphs(data):
    attribute = wire.block(1, "g") + wire.block(11, data) + wire.number(20, 10)
    return wire.block(1, wire.block(4, "If") + wire.block(5, attribute))


@pytest.mark.parametrize("levels", [500, 2000, 5000])
@pytest.mark.parametrize("wrap", [subgraph, subgraphs])
def test_nested_subgraphs(bench, wrap, levels):
    bench.refused(wire.model(nested(levels, b"", wrap)), "deep|nest|depth")


@pytest.mark.parametrize("field", [4, 9], ids=["sequence", "optional"])
def test_nested_types(bench, field):
    kind = nested(5000, wire.block(1, wire.number(1, 1)), lambda t: wire.block(field, wire.block(1, t)))
    graph = wire.relu_graph(wire.block(13, wire.block(1, "v") + wire.block(2, kind)))
    bench.refused(wire.model(graph), "deep|nest|depth")


def test_nested_in_a_function_and_training(bench):
    deep = nested(5000, b"", subgraph)
    function = wire.block(1, "F") + wire.block(10, "f") + wire.block(7, wire.block(4, "If") + wire.block(5, wire.block(1, "a") + wire.block(6, deep)))
    bench.refused(wire.model(wire.relu_graph(), extra=wire.block(25, function)), "deep|nest|depth")
    bench.refused(wire.model(wire.relu_graph(), extra=wire.block(20, wire.block(1, deep))), "deep|nest|depth")


def test_depth_inside_an_unknown_field_does_not_matter(bench):
    bench.untouched(wire.model(wire.relu_graph(), extra=wire.block(1999, nested(5000, b"", subgraph))))


def test_thirty_nested_ifs_are_a_model(bench):
    """As deep as protobuf's own limit of 100 messages lets other readers go."""
    body = helper.make_graph(chain(("x", "r")), "inner", [], [info("r", 2, 3)])
    other = helper.make_graph(chain(("x", "e")), "other", [], [info("e", 2, 3)])
    for k in range(30):
        node = helper.make_node("If", ["f"], [f"o{k}"], name=f"if{k}", then_branch=body, else_branch=other)
        body = helper.make_graph([node], f"level{k}", [], [info(f"o{k}", 2, 3)])
    top = helper.make_node("If", ["f"], ["y"], name="top", then_branch=body, else_branch=other)
    m = model([top], [info("x", 2, 3), info("f", elem=TensorProto.BOOL)], [info("y", 2, 3)])
    onnx.checker.check_model(onnx.load_model_from_string(data_of(m)))
    bench.untouched(data_of(m))


LONG = 20000


@pytest.mark.parametrize("kind", ["relu", "identity", "add source", "add scalar", "add tree", "conv"])
def test_long_chains(bench, kind):
    """Tens of thousands of nodes in a row: no recursion by length, no quadratic walk."""
    x, y = info("x", 1, 2, 3, 3), info("y", 1, 2, 3, 3)
    names = ["x", *(f"v{k}" for k in range(LONG - 1)), "y"]
    steps = list(zip(names, names[1:]))
    inits = []
    if kind == "relu":
        nodes = [helper.make_node("Relu", [a], [b]) for a, b in steps]
    elif kind == "identity":
        nodes = [helper.make_node("Identity", [a], [b]) for a, b in steps]
    elif kind == "add source":
        nodes = [helper.make_node("Add", [a, "x"], [b]) for a, b in steps]
    elif kind == "add scalar":
        inits = [numpy_helper.from_array(np.array(0.25, np.float32), "k")]
        nodes = [helper.make_node("Add", [a, "k"], [b]) for a, b in steps]
    elif kind == "add tree":
        nodes = [helper.make_node("Relu", ["x"], [f"r{k}"]) for k in range(LONG // 2)]
        joins = ["r0", *(f"t{k}" for k in range(LONG // 2 - 2)), "y"]
        nodes += [helper.make_node("Add", [a, f"r{k + 1}"], [b]) for k, (a, b) in enumerate(zip(joins, joins[1:]))]
    else:
        count = 2000
        names = ["x", *(f"v{k}" for k in range(count - 1)), "y"]
        inits = [tensor("w", 2, 2, 3, 3)]
        nodes = [helper.make_node("Conv", [a, "w"], [b], pads=[1] * 4) for a, b in zip(names, names[1:])]
    bench.accepted(data_of(model(nodes, [x], [y], inits)))


def test_one_node_with_many_inputs(bench):
    bench.accepted(data_of(model([helper.make_node("Sum", ["x"] * 50000, ["y"])], [info("x", 2, 3)], [info("y", 2, 3)])))


def ints(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


HUGE = 2**40


@pytest.mark.parametrize("kind", ["constant of shape", "expand", "pad", "doubling", "tile", "einsum", "outer product", "reshape"])
def test_constants_that_explode(bench, kind):
    """Small constants that would be terabytes when computed: such a weight is left as it is."""
    inits, nodes = [tensor("k", 1, 1, 1, 1)], []
    if kind == "constant of shape":
        inits.append(ints("s", 1, 1, HUGE, HUGE))
        nodes = [helper.make_node("ConstantOfShape", ["s"], ["w"])]
    elif kind == "expand":
        inits.append(ints("s", HUGE, 1, HUGE, HUGE))
        nodes = [helper.make_node("Expand", ["k", "s"], ["w"])]
    elif kind == "pad":
        inits.append(ints("s", 0, 0, HUGE, HUGE, 0, 0, HUGE, HUGE))
        nodes = [helper.make_node("Pad", ["k", "s"], ["w"])]
    elif kind == "doubling":
        names = ["k", *(f"d{i}" for i in range(49)), "w"]
        nodes = [helper.make_node("Concat", [a, a], [b], axis=0) for a, b in zip(names, names[1:])]
    elif kind == "tile":
        inits.append(ints("s", HUGE, 1, HUGE, 1))
        nodes = [helper.make_node("Tile", ["k", "s"], ["w"])]
    elif kind == "einsum":
        inits += [tensor("a", 30000), tensor("b", 30000)]
        nodes = [helper.make_node("Einsum", ["a", "b", "a", "b"], ["w"], equation="a,b,c,d->abcd")]
    elif kind == "outer product":
        inits += [tensor("k1", 60000, 1, 1, 1), tensor("k2", 1, 60000, 1, 1), tensor("k3", 1, 1, 60000, 1)]
        nodes = [helper.make_node("Mul", ["k1", "k2"], ["k12"]), helper.make_node("Mul", ["k12", "k3"], ["w"])]
    else:
        inits.append(ints("s", HUGE, HUGE, HUGE, -1))
        nodes = [helper.make_node("Reshape", ["k", "s"], ["w"])]
    nodes += [helper.make_node("Conv", ["x", "w"], ["c"], name="conv"), helper.make_node("Add", ["c", "x"], ["y"], name="add")]
    bench.accepted(data_of(model(nodes, [info("x", "n", "c", "h", "w_")], [info("y", "n", "c", "h", "w_")], inits)))


@pytest.mark.parametrize("kind", ["dilation", "pads", "pad op", "stride", "slice", "box"])
def test_kernels_that_explode(bench, kind):
    """A join whose common kernel box has billions of taps is refused, not computed."""
    far = 2**30
    attributes = {"dilation": {"dilations": [far, far], "pads": [far] * 4}, "pads": {"pads": [far] * 4}, "pad op": {"pads": [1] * 4},
                  "stride": {"strides": [2**62, 2**62], "pads": [1] * 4}, "slice": {"pads": [1] * 4},
                  "box": {"dilations": [2**15, 1], "pads": [2**15, 1, 2**15, 1]}}[kind]
    inits = [tensor("w", 2, 2, 3, 3), tensor("w2", 2, 2, 1, 1), tensor("w3", 2, 2, 3, 3)]
    source, before = "x", []
    if kind == "pad op":
        inits.append(ints("p", 0, 0, 2**61, 2**61, 0, 0, 2**61, 2**61))
        before = [helper.make_node("Pad", ["x", "p"], ["q"])]
        source = "q"
    if kind == "slice":
        inits += [ints("from", -(2**62), 2**62), ints("to", 2**63 - 1, -(2**63)), ints("axes", 2, 3)]
        before = [helper.make_node("Slice", ["x", "from", "to", "axes"], ["q"])]
        source = "q"
    second = {"pads": [2**31] * 4} if kind == "stride" else {}
    if kind == "box":
        second = {"dilations": [1, 2**15], "pads": [1, 2**15, 1, 2**15]}
    nodes = [*before, helper.make_node("Conv", [source, "w"], ["a"], name="wide", **attributes),
             helper.make_node("Conv", ["x", "w3" if kind == "box" else "w2"], ["b"], name="one", **second),
             helper.make_node("Add", ["a", "b"], ["y"], name="add")]
    bench.accepted(data_of(model(nodes, [info("x", "n", 2, "h", "w_")], [info("y", "n", 2, "h2", "w2_")], inits)))


# Ops that contradict themselves: any answer but a crash


def conv_with(**attributes):
    nodes, inits = block_parts()
    attributes = {"pads": [1] * 4, **attributes}
    nodes[0] = helper.make_node("Conv", ["x", "w3"], ["a"], name="dense", **{k: v for k, v in attributes.items() if v != []})
    nodes[0].attribute.extend(helper.make_attribute(k, v, attr_type=onnx.AttributeProto.INTS) for k, v in attributes.items() if v == [])
    return model(nodes, [info("x", 1, 2, 5, 4)], [info("y", 1, 2, 5, 4)], inits)


@pytest.mark.parametrize("attributes", [
    {"group": 0}, {"group": -1}, {"group": 3}, {"group": 2**62}, {"group": -(2**63)}, {"group": 2}, {"strides": [0, 0]}, {"strides": [-1, -1]},
    {"strides": [1]}, {"strides": [1, 1, 1]}, {"strides": [-(2**63), 1]}, {"dilations": [0, 0]}, {"dilations": [-1, -1]}, {"dilations": [2**63 - 1, 1]},
    {"dilations": [1]}, {"pads": [1]}, {"pads": []}, {"pads": [-1] * 4}, {"pads": [-(2**63)] * 4}, {"pads": [2**63 - 1] * 4}, {"pads": [1] * 8},
    {"kernel_shape": [5, 5]}, {"kernel_shape": [3]}, {"kernel_shape": [-3, -3]}, {"kernel_shape": [2**63 - 1] * 2}, {"kernel_shape": []},
    {"auto_pad": "NONSENSE"}, {"auto_pad": ""}, {"auto_pad": "SAME_UPPER"}, {"group": 1.5}, {"group": "1"}, {"strides": [1.0, 1.0]}, {"pads": 1},
], ids=str)
def test_nonsense_attributes_of_conv(bench, attributes):
    bench.run(data_of(conv_with(**attributes)))


NODES = {
    "no inputs": ("Conv", [], ["y"], {}), "one input": ("Conv", ["x"], ["y"], {}), "no name": ("Conv", ["x", ""], ["y"], {}),
    "many inputs": ("Conv", ["x", "w3", "b", "b", "b"], ["y"], {}), "no outputs": ("Conv", ["x", "w3"], [], {}),
    "two outputs": ("Conv", ["x", "w3"], ["y", "z"], {}), "scalar weight": ("Conv", ["x", "scalar"], ["y"], {}),
    "weight is x": ("Conv", ["x", "x"], ["y"], {}), "x is weight": ("Conv", ["w3", "w3"], ["y"], {}), "bias is scalar": ("Conv", ["x", "w3", "scalar"], ["y"], {}),
    "bias too long": ("Conv", ["x", "w3", "long"], ["y"], {}), "bias empty": ("Conv", ["x", "w3", "empty"], ["y"], {}),
    "weight empty": ("Conv", ["x", "none"], ["y"], {}), "integer weight": ("Conv", ["x", "int"], ["y"], {}), "string weight": ("Conv", ["x", "str"], ["y"], {}),
    "bn missing": ("BatchNormalization", ["x", "g", "b"], ["y"], {}), "bn scalar": ("BatchNormalization", ["x", "scalar", "b", "m", "v"], ["y"], {}),
    "bn long": ("BatchNormalization", ["x", "long", "long", "long", "long"], ["y"], {}), "bn negative": ("BatchNormalization", ["x", "g", "b", "m", "v"], ["y"], {"epsilon": -5.0}),
    "bn nan": ("BatchNormalization", ["x", "g", "b", "m", "v"], ["y"], {"epsilon": float("nan")}),
    "bn string": ("BatchNormalization", ["x", "g", "b", "m", "v"], ["y"], {"epsilon": "1e-5"}),
    "add one": ("Add", ["x"], ["y"], {}), "add none": ("Add", [], ["y"], {}), "add empty": ("Add", ["x", ""], ["y"], {}), "sum none": ("Sum", [], ["y"], {}),
    "add unknown": ("Add", ["x", "nowhere"], ["y"], {}), "mul empty tensor": ("Mul", ["x", "empty"], ["y"], {}), "mul rank 9": ("Mul", ["x", "rank9"], ["y"], {}),
    "div by zero": ("Div", ["x", "zero"], ["y"], {}), "pad short": ("Pad", ["x", "two"], ["y"], {}), "pad float": ("Pad", ["x", "g"], ["y"], {}),
    "slice axis": ("Slice", ["x", "one", "two_", "far"], ["y"], {}), "slice mismatch": ("Slice", ["x", "two", "one"], ["y"], {}),
    "slice step 0": ("Slice", ["x", "one", "one", "one", "nil"], ["y"], {}), "concat axis": ("Concat", ["g", "b"], ["y"], {"axis": 99}),
    "concat axis low": ("Concat", ["g", "b"], ["y"], {"axis": -(2**63)}), "transpose perm": ("Transpose", ["w3"], ["y"], {"perm": [0, 0, 9, -1]}),
    "transpose perm short": ("Transpose", ["w3"], ["y"], {"perm": [0]}), "squeeze axes": ("Squeeze", ["w3", "far"], ["y"], {}),
    "unsqueeze axes": ("Unsqueeze", ["w3", "far"], ["y"], {}), "reshape two -1": ("Reshape", ["w3", "minus"], ["y"], {}),
    "gather index": ("Gather", ["g", "far"], ["y"], {"axis": 0}), "gemm rank": ("Gemm", ["x", "w3"], ["y"], {}), "matmul scalar": ("MatMul", ["x", "scalar"], ["y"], {}),
    "pool no kernel": ("AveragePool", ["x"], ["y"], {}), "pool kernel 0": ("AveragePool", ["x"], ["y"], {"kernel_shape": [0, 0], "count_include_pad": 1}),
    "pool kernel huge": ("AveragePool", ["x"], ["y"], {"kernel_shape": [2**31, 2**31], "count_include_pad": 1, "pads": [2**30] * 4}),
    "einsum": ("Einsum", ["w3", "g"], ["y"], {"equation": "abcd,,->(*"}), "scatter": ("ScatterND", ["w3", "far2", "g"], ["y"], {}),
    "cast": ("Cast", ["g"], ["y"], {"to": 12345}), "constant of shape": ("ConstantOfShape", ["minus"], ["y"], {}), "constant": ("Constant", [], ["y"], {}),
    "if without bodies": ("If", ["x"], ["y"], {}), "loop without body": ("Loop", ["", "", "x"], ["y"], {}),
}


@pytest.mark.parametrize("kind", NODES)
def test_nonsense_nodes(bench, kind):
    """Such a node alone, and between a block before it and a block after it."""
    op, inputs, outputs, attributes = NODES[kind]
    _, inits = block_parts()
    inits += [tensor("scalar"), tensor("long", 7), tensor("empty", 0), tensor("none", 0, 2, 3, 3), tensor("rank9", *[1] * 9),
              numpy_helper.from_array(np.zeros(1, np.float32), "zero"), numpy_helper.from_array(np.ones((2, 2, 3, 3), np.int32), "int"),
              helper.make_tensor("str", TensorProto.STRING, [1], [b"text"]), ints("one", 1), ints("two", 1, 2), ints("two_", 2), ints("nil", 0),
              ints("far", 2**62), ints("minus", -1, -1, -(2**63)), numpy_helper.from_array(np.full((2, 4), 2**62, np.int64), "far2")]
    alone = helper.make_node(op, inputs, outputs, name="odd", **attributes)
    x, y = info("x", 1, 2, 5, 4), info("y", 1, 2, 5, 4)
    bench.run(data_of(model([alone], [x], [y], inits)))
    before, more = block_parts(prefix="p", source="x0", result="x")
    after, rest = block_parts(prefix="q", source="y", result="y1")
    bench.run(data_of(model([*before, alone, *after], [info("x0", 1, 2, 5, 4)], [info("y1", 1, 2, 5, 4)], [*inits, *more, *rest])))


def test_numbers_that_are_not_finite(bench):
    """Infinite, NaN and huge weights, negative variance: valid files; the report says why nothing folds."""
    for changes in ({"w3": np.inf}, {"w3": np.nan}, {"v": -2.0}, {"v": np.nan}, {"g": np.inf}, {"b": np.nan},
                    {"m": 3e38, "v": 0.01}, {"g": 3e38, "v": 0.01}):
        m = block_model()
        for t in m.graph.initializer:
            if t.name in changes:
                a = numpy_helper.to_array(t).copy()
                a.flat[0] = changes[t.name]
                t.CopyFrom(numpy_helper.from_array(a, t.name))
        out = onnx.load_model_from_string(bench.accepted(data_of(m)))
        assert count_ops(out).get("BatchNormalization") == 1, changes


# Mutations


def constant_weight_model():
    nodes, inits = block_parts()
    constants = [helper.make_node("Constant", [], [t.name], name="c_" + t.name, value=t) for t in inits]
    return model([*constants, *nodes], [info("x", 1, 2, 5, 4)], [info("y", 1, 2, 5, 4)])


def body_model():
    nodes, inits = block_parts(result="inner")
    body = helper.make_graph(nodes, "body", [], [info("inner", 1, 2, 5, 4)], inits)
    other = helper.make_graph([helper.make_node("Relu", ["x"], ["e"])], "other", [], [info("e", 1, 2, 5, 4)])
    node = helper.make_node("If", ["f"], ["y"], then_branch=body, else_branch=other)
    return model([node], [info("x", 1, 2, 5, 4), info("f", elem=TensorProto.BOOL)], [info("y", 1, 2, 5, 4)])


def typed_data_model():
    m = block_model()
    for t in m.graph.initializer:
        t.CopyFrom(helper.make_tensor(t.name, FLOAT, t.dims, numpy_helper.to_array(t).ravel()))
    return m


def function_model():
    nodes, inits = block_parts()
    constants = [helper.make_node("Constant", [], [t.name], value=t) for t in inits]
    f = helper.make_function("f", "F", ["x"], ["y"], constants + nodes, [helper.make_opsetid("", 17)])
    call = helper.make_node("F", ["x"], ["y"], domain="f")
    return model([call], [info("x", 1, 2, 5, 4)], [info("y", 1, 2, 5, 4)], [], functions=[f], opsets=(("", 17), ("f", 1)))


def shaped_model():
    """Pad, Slice, AveragePool, Gemm, Transpose and computed weights, for the parts of lifting that a block does not reach."""
    inits = [tensor("w", 2, 2, 3, 3), tensor("w1", 2, 2, 1, 1), tensor("k", 1, 2, 1, 1), ints("p", 0, 0, 1, 1, 0, 0, 1, 1), ints("s", 0),
             ints("e", 5), ints("axes", 2), ints("shape", 2, 2, 3, 3), ints("pads", 0, 0, 1, 1, 0, 0, 1, 1)]
    nodes = [helper.make_node("Transpose", ["w"], ["wt"], perm=[1, 0, 2, 3]), helper.make_node("Reshape", ["wt", "shape"], ["wr"]),
             helper.make_node("Pad", ["w1", "pads"], ["wp"]), helper.make_node("Pad", ["x", "p"], ["xp"]),
             helper.make_node("Conv", ["xp", "wr"], ["a"]), helper.make_node("Conv", ["x", "wp"], ["b"], pads=[1] * 4),
             helper.make_node("AveragePool", ["x"], ["c"], kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1),
             helper.make_node("Slice", ["x", "s", "e", "axes"], ["d"]), helper.make_node("Mul", ["d", "k"], ["dk"]),
             helper.make_node("Sum", ["a", "b", "c", "dk"], ["y"])]
    return model(nodes, [info("x", 1, 2, 5, 4)], [info("y", 1, 2, 5, 4)], inits)


SEEDS = {"plain": relu_model, "block": block_model, "constants": constant_weight_model, "body": body_model, "typed": typed_data_model,
         "function": function_model, "shaped": shaped_model}


@pytest.mark.parametrize("kind", SEEDS)
def test_the_models_to_be_mutated_are_good(bench, kind):
    m = SEEDS[kind]()
    onnx.checker.check_model(m, full_check=True)
    out = bench.accepted(data_of(m))
    assert (out == data_of(m)) is (kind == "plain")


def mutate(data, rng):
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(data))
        kind = rng.randrange(8)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.choice((0, 1, 2, 0x7f, 0x80, 0xff, rng.randrange(256)))
        elif kind == 2:
            del data[at:at + rng.randrange(1, 9)]
        elif kind == 3:
            data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9)))
        elif kind == 4:
            length = rng.randrange(1, 64)
            to = rng.randrange(len(data))
            data[to:to] = data[at:at + length]
        elif kind == 5:
            length = rng.randrange(1, 32)
            to = rng.randrange(len(data))
            data[to:to + length] = data[at:at + length]
        elif kind == 6:
            data[at:at + 1] = wire.varint(rng.choice((2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1)))
        else:
            del data[at:]
        if not data:
            data = bytearray(b"\0")
    return bytes(data)


MUTATIONS, TIME = 150 if SLOWER == 1 else 45, 45 * SLOWER


@pytest.mark.parametrize("kind", SEEDS)
def test_mutations(bench, kind):
    """Seeded, so that a failure repeats. A model that was valid and comes out must be valid still."""
    whole = data_of(SEEDS[kind]())
    rng = random.Random(f"mutations of {kind}")
    end = time.monotonic() + TIME
    codes = {0: 0, 2: 0}
    for number in range(MUTATIONS):
        data = mutate(whole, rng)
        try:
            code, _ = bench.run(data)
        except AssertionError as e:
            raise AssertionError(f"mutation {number}: {data.hex()}") from e
        codes[code] += 1
        if code == 0:
            check_still_valid(data, bench.target.read_bytes(), number)
        if time.monotonic() > end:
            break
    assert codes[0] + codes[2] >= 40, "too slow to say anything"
    assert codes[0] and codes[2], codes


def check_still_valid(before, after, number):
    old = decodes(before)
    assert old is not None, f"mutation {number} does not decode, and was accepted: {before.hex()}"
    try:
        onnx.checker.check_model(old, full_check=True)
    except Exception:
        return
    try:
        onnx.checker.check_model(onnx.load_model_from_string(after), full_check=True)
    except Exception as e:
        raise AssertionError(f"mutation {number} was valid, its result is not: {before.hex()}") from e


# Valid, and unknown to us


UNKNOWN = {"varint": wire.number(1999, 5), "bytes": wire.block(1999, b"some bytes"), "fixed32": wire.tag(1999, 5) + b"abcd",
           "fixed64": wire.tag(1999, 1) + b"abcdefgh"}


@pytest.mark.parametrize("kind", UNKNOWN)
@pytest.mark.parametrize("place", ["model first", "model last", "graph", "node", "attribute", "tensor", "value_info", "opset"])
def test_unknown_fields(bench, place, kind):
    def at(here):
        return UNKNOWN[kind] if place == here else b""

    attribute = wire.block(1, "to") + wire.number(3, 1) + wire.number(20, 2) + at("attribute")
    t = wire.number(1, 2) + wire.number(2, 1) + wire.block(8, "t") + wire.block(9, b"abcdefgh") + at("tensor")
    graph = (wire.block(1, wire.node("Cast", ["x"], ["y"], attribute) + at("node")) + wire.block(2, "g") + wire.block(5, t)
             + wire.block(11, wire.value_info("x", [2, 3]) + at("value_info")) + wire.block(12, wire.value_info("y", [2, 3])) + at("graph"))
    opset = wire.block(8, wire.block(1, "") + wire.number(2, 17) + at("opset"))
    data = at("model first") + wire.number(1, 8) + wire.block(7, graph) + opset + at("model last")
    assert decodes(data) is not None
    bench.untouched(data)


def test_unknown_fields_survive_a_fusion(bench):
    nodes, inits = block_parts()
    kept = helper.make_node("Relu", ["y0"], ["y"], name="kept")
    nodes[-1].output[0] = "y0"
    m = model([*nodes, kept], [info("x", 1, 2, 5, 4)], [info("y", 1, 2, 5, 4)], inits)
    marks = [f"mark {k}".encode() for k in range(4)]
    at_node = kept.SerializeToString() + wire.block(1999, marks[0])
    graph = m.graph.SerializeToString()
    old = wire.block(1, kept.SerializeToString())
    assert graph.count(old) == 1
    graph = graph.replace(old, wire.block(1, at_node)) + wire.block(1998, marks[1])
    out = bench.accepted(wire.block(1997, marks[2]) + wire.model(graph, extra=wire.block(1999, marks[3])))
    assert count_ops(onnx.load_model_from_string(out)) == {"Conv": 1, "Relu": 1}
    for field, mark in zip((1999, 1998, 1997, 1999), marks):
        assert out.count(wire.block(field, mark)) == 1, mark
    assert wire.block(1, at_node) in out


def odd_order(m):
    """The model's fields in an order that no writer uses; repeated fields keep theirs."""
    graph = m.graph
    parts = [wire.block(12, o.SerializeToString()) for o in graph.output]
    parts += [wire.block(5, t) for t in map(packed_tensor, graph.initializer)]
    parts += [wire.block(11, i.SerializeToString()) for i in graph.input]
    parts += [wire.block(1, n.SerializeToString()) for n in graph.node]
    parts += [wire.block(2, graph.name)]
    opsets = b"".join(wire.block(8, o.SerializeToString()) for o in m.opset_import)
    return opsets + wire.block(7, b"".join(parts)) + wire.number(1, m.ir_version)


def packed_tensor(t):
    """dims packed, float_data one by one: the other legal encoding of each."""
    values = numpy_helper.to_array(t).ravel()
    floats = b"".join(wire.tag(4, 5) + np.float32(v).tobytes() for v in values)
    return floats + wire.block(8, t.name) + wire.number(2, t.data_type) + wire.block(1, b"".join(map(wire.varint, t.dims)))


def test_other_legal_encodings_fold_alike(bench):
    m = block_model()
    data = odd_order(m)
    assert onnx.load_model_from_string(data).graph.node == m.graph.node
    a = onnx.load_model_from_string(bench.accepted(data))
    b = onnx.load_model_from_string(bench.accepted(data_of(m)))
    assert count_ops(a) == {"Conv": 1}
    assert a.graph.node == b.graph.node
    for p, q in zip(a.graph.initializer, b.graph.initializer, strict=True):
        assert p.name == q.name and (numpy_helper.to_array(p) == numpy_helper.to_array(q)).all()


def test_other_legal_encodings_pass_untouched(bench):
    long_varint = b"\x08\x88\x80\x80\x80\x80\x80\x80\x80\x80\x00"  # ir_version 8 in ten bytes
    plain = wire.model(wire.relu_graph())
    for data in (odd_order(relu_model([tensor("t", 2, 3)])), plain[2:] + long_varint, plain + wire.block(2, "first") + wire.block(2, "second")):
        assert decodes(data) is not None
        bench.untouched(data)


def test_a_graph_in_two_pieces_is_one_graph(bench):
    """Protobuf merges a message that comes twice."""
    whole = wire.relu_graph()
    first = wire.block(1, wire.node("Relu", ["x"], ["y"]))
    assert whole.startswith(first)
    data = wire.number(1, 8) + wire.block(7, first) + wire.block(8, wire.number(2, 17)) + wire.block(7, whole[len(first):])
    assert len(decodes(data).graph.node) == 1
    bench.untouched(data)


def test_unknown_op_and_domain(bench):
    odd = helper.make_node("Frobnicate", ["x", "", "k"], ["y", "", "z"], name="odd", domain="com.example", b=1, a=[1.0], zz="s", Aa=[b"1"])
    ordered = sorted(odd.attribute, key=lambda a: ["zz", "b", "a", "Aa"].index(a.name))
    del odd.attribute[:]
    odd.attribute.extend(ordered)
    bench.untouched(data_of(model([odd], [info("x", 2, 3)], [info("y", 2, 3)], [tensor("k", 3)], opsets=(("", 17), ("com.example", 7)))))
    other = helper.make_node("OpOfTheFuture", ["x"], ["y"], name="new", axis=1)
    bench.untouched(data_of(model([other], [info("x", 2, 3)], [info("y", 2, 3)])))


def test_foreign_op_of_a_known_name(bench):
    """Conv and Add of another domain are not ours."""
    nodes, inits = block_parts()
    for n in nodes:
        n.domain = "com.example"
    bench.untouched(data_of(model(nodes, [info("x", 1, 2, 5, 4)], [info("y", 1, 2, 5, 4)], inits, opsets=(("", 17), ("com.example", 1)))))


@pytest.mark.parametrize("version", [999, 2**31 - 1])
def test_unknown_opset(bench, version):
    """An op may mean something else there: nothing is fused."""
    bench.untouched(data_of(block_model(opsets=(("", version),))))


@pytest.mark.parametrize("version", [1, 6])
def test_ancient_opset(bench, version):
    bench.accepted(data_of(relu_model(opsets=(("", version),))))


@pytest.mark.parametrize("ir", [999, 2**31])
def test_unknown_ir_version(bench, ir):
    bench.accepted(data_of(block_model(ir=ir)))
    bench.untouched(data_of(relu_model(ir=ir)))


def bits(name):
    """How many bits a value of that type takes; None where raw_data cannot hold it."""
    if name in ("UNDEFINED", "STRING"):
        return None
    named = {"FLOAT": 32, "DOUBLE": 64, "BOOL": 8, "BFLOAT16": 16}
    return named.get(name) or int(re.search(r"^(?:FLOAT|U?INT|COMPLEX)(\d+)", name)[1])


@pytest.mark.parametrize("kind", [k for k in TensorProto.DataType.keys() if bits(k)])
@pytest.mark.parametrize("count", [0, 1, 3, 8])
def test_every_type_of_tensor(bench, kind, count):
    """Raw data of the right size is let pass, of a wrong size refused."""
    size = (count * bits(kind) + 7) // 8
    t = TensorProto(name="t", data_type=TensorProto.DataType.Value(kind), dims=[count], raw_data=b"\1" * size)
    bench.untouched(data_of(relu_model([t])))
    t.raw_data = b"\1" * (size + 1)
    bench.refused(data_of(relu_model([t])), r"\bt\b")


@pytest.mark.parametrize("field, kind, per_value", [
    ("float_data", "FLOAT", 1), ("float_data", "COMPLEX64", 2), ("double_data", "DOUBLE", 1), ("double_data", "COMPLEX128", 2),
    *(("int32_data", k, 1) for k in ("INT8", "UINT8", "INT16", "UINT16", "INT32", "BOOL", "FLOAT16", "BFLOAT16", "FLOAT8E4M3FN", "FLOAT8E5M2")),
    ("int32_data", "INT4", 0.5), ("int32_data", "UINT4", 0.5), ("int64_data", "INT64", 1), ("uint64_data", "UINT64", 1), ("uint64_data", "UINT32", 1),
])
def test_every_typed_field(bench, field, kind, per_value):
    for count in (1, 3, 6):
        t = TensorProto(name="t", data_type=TensorProto.DataType.Value(kind), dims=[count])
        getattr(t, field).extend([1] * int(np.ceil(count * per_value)))
        bench.untouched(data_of(relu_model([t])))
        getattr(t, field).append(1)
        bench.refused(data_of(relu_model([t])), r"\bt\b")


def test_strings(bench):
    bench.untouched(data_of(relu_model([helper.make_tensor("t", TensorProto.STRING, [2], [b"\xff\xfe not utf-8", b""])])))


@pytest.mark.parametrize("kind", [100, 999, 2**31 - 1])
def test_custom_types(bench, kind):
    """How large a value of an unknown type is nobody can say."""
    t = TensorProto(name="t", data_type=kind, dims=[3], raw_data=b"\1" * 7)
    m = relu_model([t])
    m.graph.value_info.append(info("v", 2, 3, elem=kind))
    bench.untouched(data_of(m))


def test_everything_else_a_model_can_hold(bench):
    m = relu_model(functions=[helper.make_function("f", "F", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], [helper.make_opsetid("", 17)])])
    m.producer_name, m.producer_version, m.domain, m.model_version, m.doc_string = "p", "1", "d", -1, "doc\n\0text"
    helper.set_model_props(m, {"key": "value", "": ""})
    m.training_info.add().algorithm.name = "training"
    m.graph.sparse_initializer.append(helper.make_sparse_tensor(tensor("sv", 2), ints("si", 1, 3), [2, 3]))
    q = m.graph.quantization_annotation.add(tensor_name="x")
    q.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="s")
    m.graph.value_info.append(helper.make_tensor_sequence_value_info("seq", FLOAT, None))
    kind = m.graph.value_info.add(name="map").type.map_type
    kind.key_type = TensorProto.STRING
    kind.value_type.tensor_type.elem_type = FLOAT
    m.graph.value_info.add(name="opt").type.optional_type.elem_type.sparse_tensor_type.elem_type = FLOAT
    m.graph.node[0].metadata_props.add(key="k", value="v")
    bench.untouched(data_of(m))


def test_names_that_are_not_utf8(bench):
    """The C++ readers of ONNX take them; so do we."""
    graph = (wire.block(1, wire.node("Relu", ["x"], [b"\xff\xfe"]))
             + wire.block(2, "g") + wire.block(11, wire.value_info("x", [2])) + wire.block(12, wire.block(1, b"\xff\xfe")))
    bench.untouched(wire.model(graph))


def test_empty_graphs(bench):
    x = info("x", 2, 3)
    bench.untouched(data_of(model([], [], [])))
    bench.untouched(data_of(model([], [x], [x])))
    bench.untouched(data_of(model([], [], [info("k", 3)], [tensor("k", 3)])))
