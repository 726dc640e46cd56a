"""What dump prints, onnx.parser reads back: the same nodes, attributes and values, or a line that says what is not held."""
import os
import pathlib
import re
import struct
import subprocess
import warnings

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, TensorProto, helper, numpy_helper, parser
from onnx.backend.test import loader

from tests.interop.test_corpus import COUNTS, refill
from tests.support.tool import ROOT, TOOL

# A floor for the number of models of each kind. A third of them is read back, all with BACKEND=all in the environment.
KINDS = {"node": 1500, "simple": 15, "pytorch-converted": 70, "pytorch-operator": 30}
LIGHT = pathlib.Path(loader.DATA_DIR) / "light"
MODELS = sorted((ROOT / "models").glob("*.onnx"))
NOT_HELD = re.compile(r"^ *# not held: (.*)$", re.M)

A = AttributeProto
T = TensorProto
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def dump(model, *options, code=0):
    """The text of a model, a path or bytes."""
    data = model.SerializeToString() if isinstance(model, onnx.ModelProto) else model
    path = "-" if isinstance(data, bytes) else str(data)
    run = subprocess.run([TOOL, "dump", *options, path], input=data if isinstance(data, bytes) else None,
                         capture_output=True, timeout=300)
    assert run.returncode == code, run.stderr.decode()
    return run.stdout.decode("utf-8")


# A model as plain values. Presence of empty fields, names of dimensions left open and the field that
# a tensor's numbers lie in are no part of it.


def tensor(t):
    if t.data_type == T.STRING:
        values = list(t.string_data)
    else:
        values = numpy_helper.to_array(t).tobytes()
    return (t.name, t.data_type, list(t.dims), values)


def shape(t):
    return [d.WhichOneof("value") and (d.WhichOneof("value"), getattr(d, d.WhichOneof("value"))) for d in t.shape.dim] \
        if t.HasField("shape") else None


def kind(t):
    which = t.WhichOneof("value")
    if which in ("tensor_type", "sparse_tensor_type"):
        v = getattr(t, which)
        return (which, v.elem_type, shape(v))
    if which in ("sequence_type", "optional_type"):
        return (which, kind(getattr(t, which).elem_type))
    if which == "map_type":
        return (which, t.map_type.key_type, kind(t.map_type.value_type))
    if which == "opaque_type":
        return (which, t.opaque_type.domain, t.opaque_type.name)
    return None


def floats(values):
    return [struct.pack("<f", v) for v in values]


def attribute(a):
    if a.ref_attr_name:
        return (a.name, a.type, "@" + a.ref_attr_name)
    value = {
        A.FLOAT: lambda: floats([a.f]), A.INT: lambda: a.i, A.STRING: lambda: a.s, A.TENSOR: lambda: tensor(a.t),
        A.GRAPH: lambda: graph(a.g), A.TYPE_PROTO: lambda: kind(a.tp), A.FLOATS: lambda: floats(a.floats),
        A.INTS: lambda: list(a.ints), A.STRINGS: lambda: list(a.strings), A.TENSORS: lambda: list(map(tensor, a.tensors)),
        A.GRAPHS: lambda: list(map(graph, a.graphs)), A.TYPE_PROTOS: lambda: list(map(kind, a.type_protos)),
        A.SPARSE_TENSOR: lambda: a.sparse_tensor.SerializeToString(),
        A.SPARSE_TENSORS: lambda: [s.SerializeToString() for s in a.sparse_tensors],
    }[a.type]()
    return (a.name, a.type, value)


def node(n):
    return (n.name, n.domain, n.op_type, n.overload, list(n.input), list(n.output), [attribute(a) for a in n.attribute])


def infos(values):
    return [(v.name, kind(v.type)) for v in values]


def graph(g):
    return (g.name, infos(g.input), infos(g.output), infos(g.value_info), [tensor(t) for t in g.initializer],
            [node(n) for n in g.node])


def pairs(entries):
    return [(e.key, e.value) for e in entries]


def opsets(entries):
    return [(e.domain, e.version) for e in entries]


def function(f):
    return (f.domain, f.name, f.overload, opsets(f.opset_import), f.doc_string, list(f.attribute),
            [attribute(a) for a in f.attribute_proto], list(f.input), list(f.output), infos(f.value_info),
            [node(n) for n in f.node])


def plain(m):
    return (m.ir_version, opsets(m.opset_import), m.producer_name, m.producer_version, m.domain, m.model_version,
            m.doc_string, pairs(m.metadata_props), graph(m.graph), [function(f) for f in m.functions])


def check(model, source=None):
    """Reads back what dump prints of a model that the syntax holds."""
    text = dump(source or model)
    assert not NOT_HELD.findall(text)
    assert plain(parser.parse_model(text)) == plain(model)
    return text


# The models others made


@pytest.fixture(scope="session")
def backend_models():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = {k: loader.load_model_tests(kind=k) for k in KINDS}
    return {k: [(c.name, c.model or onnx.load(pathlib.Path(c.model_dir) / "model.onnx")) for c in cases[k]] for k in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_backend(kind, backend_models):
    models = backend_models[kind]
    assert len(models) >= KINDS[kind]
    for name, model in models if os.environ.get("BACKEND") == "all" else models[::3]:
        try:
            check(model)
        except Exception as e:
            raise AssertionError(f"{name}: {e}") from e


@pytest.mark.parametrize("path", sorted(LIGHT.glob("*.onnx")), ids=lambda p: p.stem)
def test_light(path):
    model = onnx.load(path)
    held = NOT_HELD.findall(dump(path))
    assert not held
    assert plain(parser.parse_model(dump(path))) == plain(model)


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_models(path):
    check(onnx.load(path), path)


@pytest.mark.parametrize("name", COUNTS)
def test_corpus(name, tmp_path):
    model = refill(name)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    short = dump(path, "--elide", "16", "--no-metadata")
    assert short == dump(path, "--elide", "16", "--no-metadata")
    assert short.startswith("# not readable back: ")
    assert len(short) < 2_000_000
    nodes = [line for line in short.splitlines() if re.match(r" +(\[.*\] )?\S.* = [A-Za-z.]+( <.*>)? \(", line)]
    assert len(nodes) == len(model.graph.node)
    with pytest.raises(parser.ParseError):
        parser.parse_model(short)
    if sum(np.prod(t.dims, dtype=int) for t in model.graph.initializer) < 20_000_000:  # the text of the largest would fill 500 MB
        text = dump(path, "--no-metadata")
        assert not NOT_HELD.findall(text)
        assert plain(parser.parse_model(text)) == plain(model)


# Every kind of value


def model_of(nodes=(), inputs=(), outputs=(), functions=(), **fields):
    g = helper.make_graph(list(nodes), "g", list(inputs), list(outputs))
    for f in ("initializer", "value_info"):
        getattr(g, f).extend(fields.pop(f, []))
    m = helper.make_model(g, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("custom", 1)],
                          functions=list(functions), ir_version=10)
    for k, v in fields.items():
        setattr(m, k, v)
    return m


def op(output="y", **attributes):
    n = helper.make_node("Op", ["x"], [output], domain="custom")
    for k, v in attributes.items():
        n.attribute.append(v if isinstance(v, AttributeProto) else helper.make_attribute(k, v))
    return n


FLOATS = [0.0, -0.0, 1.0, -1.5, 0.1, 1 / 3, 3.4028235e38, 1.1754944e-38, 1e-45, 1.4e-45, -7e-42, 16777216.0, 16777217.0,
          1e9, 1e10, 9.999999e22, 1e15, 1e16, 1e-5, 1e-6, 123456790528.0, 0.3, 5e-324, float("inf"), float("-inf")]


def test_floats_read_back_bit_for_bit():
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2**32, 60_000, dtype=np.uint32).view(np.float32)
    usual = rng.normal(0, 0.05, 60_000).astype(np.float32)
    short = rng.integers(-10_000, 10_000, 5000).astype(np.float32) / np.float32(1000)
    single = np.concatenate([np.float32(FLOATS), bits[~np.isnan(bits)], usual, short, np.float32([np.nan, -np.nan])])
    wide = rng.integers(0, 2**64, 20_000, dtype=np.uint64).view(np.float64)
    double = np.concatenate([np.float64(FLOATS), wide[~np.isnan(wide)], rng.normal(size=5000), np.float64([np.nan, -np.nan])])
    m = model_of(initializer=[numpy_helper.from_array(single, "s"), numpy_helper.from_array(double, "d")])
    text = check(m)
    # And as short as can be: Python's and numpy's own shortest text is no shorter.
    for name, values in (("s", single), ("d", double)):
        line = next(x for x in text.splitlines() if f"] {name} = " in x)
        words = line[line.index("{") + 1:line.index("}")].split(", ")
        assert len(words) == len(values)
        digits = [len(re.sub(r"e.*|[-.]", "", w).strip("0")) for w in words]
        for word, count, value in zip(words, digits, values):
            if np.isfinite(value) and value:
                want = np.format_float_scientific(value, unique=True)
                assert count <= len(re.sub(r"e.*|[-.]", "", want).strip("0")), (word, want)


def test_float_attributes():
    special = [float("nan"), float("inf"), float("-inf"), -0.0, 2.0, 1e-45]
    m = model_of([op(**{f"f{i}": helper.make_attribute(f"f{i}", v) for i, v in enumerate(special)}),
                  op("y2", fs=helper.make_attribute("fs", special), none=helper.make_attribute("none", [], attr_type=A.FLOATS))])
    check(m)


NUMBERS = {
    T.FLOAT: [0, 1.5, -2], T.UINT8: [0, 255, 7], T.INT8: [-128, 127, -1], T.UINT16: [0, 65535, 9], T.INT16: [-32768, 32767, -1],
    T.INT32: [-2**31, 2**31 - 1, -1], T.INT64: [-2**63, 2**63 - 1, -1], T.BOOL: [True, False, True],
    T.FLOAT16: [1.5, -0.0, 65504], T.DOUBLE: [1e300, 5e-324, 0.1], T.UINT32: [0, 2**32 - 1, 3], T.UINT64: [0, 2**64 - 1, 3],
    T.COMPLEX64: [1 + 2j, -0.5j, 3], T.COMPLEX128: [1e300 + 2j, -0.5j, 3], T.BFLOAT16: [1.5, -0.0, 3],
    T.FLOAT8E4M3FN: [1, -2, 448], T.FLOAT8E4M3FNUZ: [1, -2, 3], T.FLOAT8E5M2: [1, -2, 3], T.FLOAT8E5M2FNUZ: [1, -2, 3],
    T.UINT4: [0, 15, 3], T.INT4: [-8, 7, -1], T.FLOAT4E2M1: [0.5, -6, 1], T.FLOAT8E8M0: [1, 2, 4], T.UINT2: [0, 3, 1],
    T.INT2: [-2, 1, -1], T.FLOAT6E2M3: [0.5, -1, 2], T.FLOAT6E3M2: [0.5, -1, 2],
}


@pytest.mark.parametrize("raw", [False, True])
def test_every_element_type(raw, tmp_path):
    tensors = []
    for i, (code, values) in enumerate(NUMBERS.items()):
        with np.errstate(invalid="ignore"):
            array = np.array(values).astype(helper.tensor_dtype_to_np_dtype(code))
        t = numpy_helper.from_array(array, f"raw{i}")
        if not raw:
            t = helper.make_tensor(f"typed{i}", code, [len(values)], values)
            assert not t.HasField("raw_data")
        tensors.append(t)
    tensors.append(helper.make_tensor("texts", T.STRING, [2, 2], [b"a", b'"q"', b"\\", "ü".encode()]))
    tensors.append(helper.make_tensor("scalar", T.FLOAT, [], [2.5]))
    tensors.append(helper.make_tensor("empty", T.INT64, [0, 3], []))
    assert set(NUMBERS) | {T.STRING} == set(T.DataType.values()) - {T.UNDEFINED}
    m = model_of([op(**{f"t{i}": t for i, t in enumerate(tensors)})], initializer=tensors)
    check(m)
    path = tmp_path / "m.onnx"
    if raw:
        m.graph.node[0].ClearField("attribute")
        onnx.save(onnx.ModelProto.FromString(m.SerializeToString()), path, save_as_external_data=True, location="m.data", size_threshold=0)
        assert any(t.data_location == T.EXTERNAL for t in onnx.load(path, load_external_data=False).graph.initializer)
        check(m, path)


def info(name, *types):
    return [helper.make_tensor_value_info(f"{name}{i}", t, s) for i, (t, s) in enumerate(types)]


def test_types():
    tensor_type = helper.make_tensor_type_proto
    kinds = [
        tensor_type(T.FLOAT, None), tensor_type(T.FLOAT, []), tensor_type(T.FLOAT, [1, "N", None, "a b", "", -1]),
        helper.make_sequence_type_proto(tensor_type(T.INT4, ["batch_size"])),
        helper.make_optional_type_proto(helper.make_sequence_type_proto(tensor_type(T.STRING, [2]))),
        helper.make_map_type_proto(T.STRING, helper.make_map_type_proto(T.INT64, tensor_type(T.DOUBLE, None))),
        helper.make_sparse_tensor_type_proto(T.FLOAT, [3, "M"]), helper.make_sparse_tensor_type_proto(T.FLOAT, None),
        onnx.TypeProto(opaque_type=onnx.TypeProto.Opaque(domain="a.b", name="C")),
        onnx.TypeProto(opaque_type=onnx.TypeProto.Opaque(name="a.b.C")), onnx.TypeProto(opaque_type=onnx.TypeProto.Opaque()),
    ] + [tensor_type(code, [1]) for code in NUMBERS]
    values = [helper.make_value_info(f"v{i}", k) for i, k in enumerate(kinds)]
    untyped = onnx.ValueInfoProto(name="untyped")
    m = model_of([op(**{f"t{i}": helper.make_attribute(f"t{i}", k) for i, k in enumerate(kinds)})], values, values[::-1],
                 value_info=[*values, untyped])
    check(m)


NAMES = ["plain", "_", "a b", "/layer.0/conv", 'q"uote', "back\\slash", "new\nline", "tab\t", "#comment", "ü", "float", "seq",
         "inf", "nan", "9", "-", ",", "=", "int64", "optional", "a:b", "{", "]"]


def test_names():
    m = model_of([helper.make_node("Op", [a, "", a], ["z" + a, ""], name=a, domain="custom") for a in NAMES] +
                 [helper.make_node("None", [], []), helper.make_node("Trailing", ["a", ""], ["", "b", ""])],
                 [helper.make_tensor_value_info(a, T.FLOAT, [a]) for a in NAMES],
                 [helper.make_tensor_value_info(a, T.FLOAT, None) for a in NAMES],
                 initializer=[helper.make_tensor(a, T.FLOAT, [1], [1.0]) for a in NAMES],
                 value_info=[onnx.ValueInfoProto(name=a) for a in NAMES])
    m.graph.name = 'a "graph"'
    check(m)


def test_head_and_strings():
    m = model_of([op(f"y{i}", s=helper.make_attribute("s", a), l=helper.make_attribute("l", NAMES)) for i, a in enumerate([*NAMES, ""])],
                 producer_name='p"\\', producer_version="1\n2", domain="org.example", model_version=-3, doc_string="doc\n# no comment")
    for a in NAMES:
        m.metadata_props.add(key=a, value=a * 2)
    check(m)
    bare = onnx.ModelProto(graph=onnx.GraphProto())
    check(bare)


def test_bodies():
    def body(name, *nodes):
        return helper.make_graph(list(nodes), name, [], [helper.make_tensor_value_info("r", T.FLOAT, None)],
                                 initializer=[helper.make_tensor("w", T.FLOAT, [2], [1, 2])])

    def inner(output):
        return helper.make_node("If", ["c"], [output], then_branch=body("t", helper.make_node("Id", ["w"], ["r"])),
                                else_branch=body("infinite", helper.make_node("Id", ["w"], ["r"], alpha=0.5)))

    outer = helper.make_node("If", ["c"], ["z"], name="n", then_branch=body("_", inner("r")),
                             else_branch=body("b", inner("q"), inner("r")), k=3)
    check(model_of([outer, op(a=1)]))


def test_functions():
    ref = AttributeProto(name="alpha", type=A.FLOAT, ref_attr_name="alpha")
    refs = AttributeProto(name="axes", type=A.INTS, ref_attr_name="my axes")
    n = helper.make_node("Op", ["x", "float"], ["y"])
    n.attribute.extend([ref, refs])
    f = helper.make_function("custom", "F", ["x", "float"], ["y"], [n], [helper.make_opsetid("", 21)], ["alpha", "my axes"],
                             [helper.make_attribute("beta", 1.0), helper.make_attribute("gamma", [1, 2])], doc_string="d\n",
                             overload="v2", value_info=[helper.make_tensor_value_info("x", T.FLOAT, ["N"])])
    g = helper.make_function("", "G h", [], [], [], [helper.make_opsetid("", 21)])
    call = helper.make_node("F", ["x", "x"], ["y"], domain="custom", overload="v2", alpha=1.0)
    check(model_of([call], functions=[f, g]))


# What the syntax cannot hold is said


def sparse():
    return helper.make_sparse_tensor(helper.make_tensor("sv", T.FLOAT, [2], [1, 2]), helper.make_tensor("si", T.INT64, [2], [0, 5]), [9])


def with_graph(change):
    def make():
        m = model_of([op(a=1)])
        change(m)
        return m
    return make


def doc(part):
    def change(m):
        m.graph.value_info.append(onnx.ValueInfoProto(name="v"))
        m.graph.initializer.append(helper.make_tensor("w", T.FLOAT, [1], [1]))
        target = {"graph": m.graph, "node": m.graph.node[0], "info": m.graph.value_info[0], "tensor": m.graph.initializer[0],
                  "attribute": m.graph.node[0].attribute[0]}[part]
        target.doc_string = "two\nlines"
        if part != "attribute":
            target.metadata_props.add(key="k", value="v")
    return with_graph(change)


NAN = helper.make_tensor("w", T.FLOAT, [2], struct.pack("<II", 0x7fc00001, 0x7fc00000), raw=True)


# name: the model, what must be said, one for each line
LOSSES = {
    "sparse attribute": (lambda: model_of([op(s=sparse())]), ['attribute "s": sparse_tensor[9], values float[2] xxh64']),
    "sparse list": (lambda: model_of([op(s=helper.make_attribute("s", [sparse(), sparse()]))]), ['attribute "s" [0]: sparse', '"s" [1]']),
    "sparse initializer": (with_graph(lambda m: m.graph.sparse_initializer.append(sparse())), ['sparse initializer "sv"']),
    "tensors": (lambda: model_of([op(t=helper.make_attribute("t", [NAN, NAN]))]), ["the bits of 1 NaNs"] * 2 + ["2 entries"]),
    "type list": (lambda: model_of([op(t=helper.make_attribute("t", [onnx.helper.make_tensor_type_proto(T.FLOAT, [])]))]), ["1 entries"]),
    "graph list": (lambda: model_of([op(t=helper.make_attribute("t", [helper.make_graph([], "g", [], [])]))]), ["1 entries"]),
    "name of a body": (lambda: model_of([op(t=helper.make_graph([], "a-b", [], []))]), ['the name of a graph: "a-b"']),
    "name of a body, a type": (lambda: model_of([op(t=helper.make_graph([], "float", [], []))]), ['"float"']),
    "name of a body, a number": (lambda: model_of([op(t=helper.make_graph([], "inf_1", [], []))]), ['"inf_1"']),
    "name of a body, empty": (lambda: model_of([op(t=helper.make_graph([], "", [], []))]), ['the name of a graph: ""']),
    "name of a tensor": (lambda: model_of([op(t=helper.make_tensor("a b", T.FLOAT, [1], [1]))]), ['the name of a tensor: "a b"']),
    "name of an attribute": (lambda: model_of([op(t=helper.make_attribute("a b", 1))]), ['attribute "a b": its name']),
    "NaN": (with_graph(lambda m: m.graph.initializer.append(NAN)), ['the bits of 1 NaNs in tensor "w"']),
    "NaN attribute": (lambda: model_of([op(f=AttributeProto(name="f", type=A.FLOAT, f=struct.unpack("<f", b"\1\0\xc0\x7f")[0]))]), ["a NaN whose bits are 0x7fc00001"]),
    "no text": (lambda: model_of([op(s=b"\xff\0a")]), ["3 bytes, in hex ff0061"]),
    "no text in a tensor": (with_graph(lambda m: m.graph.initializer.append(helper.make_tensor("w", T.STRING, [1], [b"\xfe"]))), ["in hex fe"]),
    "segment": (with_graph(lambda m: m.graph.initializer.append(TensorProto(name="w", data_type=1, dims=[2], segment=TensorProto.Segment(begin=0, end=1)))), ['initializer "w": it is a segment']),
    "element type": (with_graph(lambda m: m.graph.initializer.append(TensorProto(name="w", data_type=99, dims=[0]))), ['initializer "w": its element type']),
    "type": (with_graph(lambda m: m.graph.value_info.append(helper.make_tensor_value_info("v", 99, [1]))), ['the type of value "v"']),
    "empty type": (with_graph(lambda m: m.graph.value_info.append(onnx.ValueInfoProto(name="v", type=onnx.TypeProto()))), ["its type is empty"]),
    "denotation": (with_graph(lambda m: m.graph.value_info.append(onnx.ValueInfoProto(name="v", type=onnx.TypeProto(denotation="IMAGE", tensor_type=onnx.TypeProto.Tensor(elem_type=1, shape=onnx.TensorShapeProto(dim=[onnx.TensorShapeProto.Dimension(denotation="C")])))))), ['dimension 0: "C"', 'of a type: "IMAGE"']),
    "opaque": (with_graph(lambda m: m.graph.value_info.append(onnx.ValueInfoProto(name="v", type=onnx.TypeProto(opaque_type=onnx.TypeProto.Opaque(name="a b"))))), ["opaque"]),
    "quantization": (with_graph(lambda m: m.graph.quantization_annotation.append(onnx.TensorAnnotation(tensor_name="x", quant_parameter_tensor_names=[onnx.StringStringEntryProto(key="SCALE_TENSOR", value="s")]))), ['quantization of "x": "SCALE_TENSOR" is "s"']),
    "training": (with_graph(lambda m: m.training_info.add()), ["training_info: 1"]),
    "device": (with_graph(lambda m: m.configuration.add(name="d")), ['device configuration "d"']),
    "device of a node": (with_graph(lambda m: m.graph.node[0].device_configurations.add(configuration_id="d")), ['a device configuration: "d"']),
    **{f"doc of {p}": (doc(p), ['doc_string of th' if p in ("graph", "node") else "doc_string", 'metadata']) for p in ("graph", "node", "info", "tensor")},
    "doc of attribute": (doc("attribute"), ['doc_string of an attribute: "two\\nlines"']),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_said(name):
    make, said = LOSSES[name]
    model = make()
    text = dump(model)
    notes = NOT_HELD.findall(text)
    assert len(notes) == len(said), notes
    for note, want in zip(notes, said):
        assert want in note
    again = parser.parse_model(text)  # it is a model all the same
    assert [n.op_type for n in again.graph.node] == [n.op_type for n in model.graph.node]
    assert again.SerializeToString() != model.SerializeToString()
    dump(model, "--strict", code=1)
    bare = dump(model, "--no-metadata")
    assert [n for n in notes if not n.startswith(("doc_string", "metadata"))] == NOT_HELD.findall(bare)
    assert parser.parse_model(bare).SerializeToString() == again.SerializeToString()
    dump(model, "--strict", "--no-metadata", code=1)


@pytest.mark.parametrize("field, value", [("op_type", "aten::add"), ("domain", "com-foo"), ("overload", "v 2")])
def test_names_that_cannot_be_written(field, value):
    m = model_of([op(a=1)])
    setattr(m.graph.node[0], field, value)
    text = dump(m)
    assert text.startswith("# not readable back: 1 names of operators, domains or overloads are no identifiers\n")
    with pytest.raises(parser.ParseError):
        parser.parse_model(text)
    dump(m, "--strict", code=1)
