"""onnx-repvgg-fuse verify: equal, not equal, undecided; what it names; options, JSON, exit codes."""
import json
import re
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.cli.test_diff import (
    attributes_reversed, branching, calling, chain, constants_as_nodes, copy_of, network, noted, operands_swapped, renamed,
    reserialised, spelled, typed, with_unused, without_shapes)
from tests.interop.test_corpus import COUNTS, refill
from tests.interop.test_fold import table
from tests.support.cost import processor_seconds
from tests.support.net import BFLOAT16, Net
from tests.support.schema import validate
from tests.support.tool import ROOT, TOOL, fuse, paths_of, reordered

SCHEMA = json.loads((ROOT / "docs" / "verify.schema.json").read_text())


def run(*arguments, **keywords):
    return subprocess.run([TOOL, "verify", *arguments], capture_output=True, text=True, timeout=300, **keywords)


def verify(a, b, folder, *options):
    result = run("--format", "json", *options, *paths_of(folder, a, b))
    assert result.stderr == "", result.stderr
    report = json.loads(result.stdout)
    validate(report, SCHEMA)
    assert ["equal", "different", "unknown"].index(report["verdict"]) == result.returncode
    assert (report["reason"] == "") == (result.returncode == 0)
    return result.returncode, report


def block(n, x, cout=4):
    return n.relu(n.add(n.convbn(x, cout, 3), n.convbn(x, cout, 1), n.bn(x)))


def stack(dims=(1, 4, 9, 11), blocks=3, seed=7, **keywords):
    n = Net(seed=seed, **keywords)
    x = n.input("x", dims)
    for _ in range(blocks):
        x = block(n, x)
    n.output(x)
    return n.model()


# Equal


@pytest.mark.parametrize("name", COUNTS)
def test_the_corpus_is_equal_before_and_after(name, tmp_path):
    result = fuse(refill(name), tmp_path)
    start = processor_seconds()
    code, report = verify(tmp_path / "model.onnx", result.path, tmp_path)
    assert (code, report["departure"]) == (0, None)
    assert report["largest_difference"] <= 1e-6
    # An op that only goes, such as Dropout, is told by structure.
    assert len(report["regions"]) == len([f for f in result.report["fusions"] if f["pass"] != "remove_neutral"])
    assert processor_seconds() - start < 100


@table.parametrize()
def test_every_fold_is_equal(case, tmp_path):
    result = fuse(case.net().model(), tmp_path, external=case.external)
    code, report = verify(tmp_path / "model.onnx", result.path, tmp_path)
    assert code == 0, report["reason"]
    code, report = verify(result.path, tmp_path / "model.onnx", tmp_path)
    assert code == 0, report["reason"]


@pytest.mark.parametrize("twin", [attributes_reversed, constants_as_nodes, noted, operands_swapped, renamed, reordered, reserialised,
                                  spelled, typed, with_unused, without_shapes], ids=lambda f: f.__name__)
def test_twins_are_equal_by_structure(twin, tmp_path):
    model = network()
    code, report = verify(model, twin(model), tmp_path)
    assert code == 0 and report["regions"] == [] and report["equal_by_structure"] >= 18


def test_names_of_temporaries_do_not_matter(tmp_path):
    """Renamed and reordered on top of a fusion; and with names that belong to other values."""
    model = stack()
    fused = fuse(model, tmp_path).model
    other = renamed(fused)
    code, report = verify(model, other, tmp_path)
    assert code == 0 and len(report["regions"]) == 3
    # Every temporary of the fused model gets the name of another value of the original.
    names = [o for n in model.graph.node for o in n.output if o not in {v.name for v in model.graph.output}]
    lies = {}
    for n in fused.graph.node:
        for o in n.output:
            if o not in {v.name for v in fused.graph.output}:
                lies[o] = names[len(lies)]
    for n in fused.graph.node:
        n.input[:] = [lies.get(i, i) for i in n.input]
        n.output[:] = [lies.get(o, o) for o in n.output]
    del fused.graph.value_info[:]
    assert verify(model, fused, tmp_path)[0] == 0


def test_a_lie_in_the_names_is_found(tmp_path):
    """The output has its name, and a weight that differs by a little in one place."""
    model = stack()
    fused = fuse(model, tmp_path).model
    t = next(t for t in fused.graph.initializer if len(t.dims) == 4)
    array = numpy_helper.to_array(t).copy()
    array[2, 1, 0, 0] += 0.01
    t.CopyFrom(numpy_helper.from_array(array, t.name))
    code, report = verify(model, fused, tmp_path)
    assert code == 1
    assert report["departure"]["at"].startswith("[0, 2, ") or report["departure"]["at"].startswith("[1, 2, ")


def test_other_ways_to_write_the_same(tmp_path):
    """Not what this tool writes: Sum for Add, a bias as an Add, MatMul for Gemm, weights computed from constants."""
    def plain():
        n = Net(seed=1)
        x = n.input("x", (2, 6))
        w, b = n.normal((6, 5)), n.normal(5)
        n.output(n.relu(n.node("Gemm", [x, n.const(w), n.const(b)])))
        return n.model()

    def other():
        n = Net(seed=1)
        x = n.input("x", (2, 6))
        w, b = n.normal((6, 5)), n.normal(5)
        w = n.node("Transpose", [n.const(w.T.copy())], perm=[1, 0])
        n.output(n.relu(n.node("Sum", [n.const(b), n.node("MatMul", [x, w])])))
        model = n.model()
        for node in model.graph.node:
            node.name += "?"
        names = {n.graph.output[0].name for n in (plain(), model)}
        assert len(names) == 1
        return model

    assert verify(plain(), other(), tmp_path)[0] == 0
    assert verify(other(), plain(), tmp_path)[0] == 0


def test_bodies_and_functions(tmp_path):
    assert verify(branching(), branching(), tmp_path)[0] == 0
    code, report = verify(branching(), branching(2.0), tmp_path)
    assert code == 1 and report["departure"]["graph"].endswith(".else_branch")
    assert verify(calling(), calling(), tmp_path)[0] == 0
    code, report = verify(calling(), calling(2.0), tmp_path)
    assert code == 1 and report["departure"]["graph"] == "main" and report["departure"]["b"] == "first.out"


@pytest.mark.parametrize("dtype, rtol", [("float16", 1e-2), ("float64", 1e-12), ("float32", 1e-5)])
def test_tolerance_by_type(dtype, rtol, tmp_path):
    model = stack(dtype=dtype)
    fused = fuse(model, tmp_path)
    code, report = verify(model, fused.path, tmp_path)
    assert code == 0 and report["tolerance"] == rtol and 0 < report["largest_difference"] <= rtol
    assert verify(model, fused.path, tmp_path, "--rtol", str(report["largest_difference"] / 4))[0] == 1


# Not equal


def test_it_names_the_first_value_that_departs(tmp_path):
    model = stack()
    other = copy_of(model)
    second = [n for n in other.graph.node if n.op_type == "Add"][2]
    conv = [n for n in other.graph.node if n.op_type == "Conv"][2]
    t = next(t for t in other.graph.initializer if t.name == conv.input[1])
    t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(t) * np.float32(1.5), t.name))
    code, report = verify(model, other, tmp_path)
    departure = report["departure"]
    assert code == 1 and departure["b"] == departure["a"] == conv.output[0] and departure["op"] == "Conv"
    assert departure["difference"] > 1e-3 * departure["largest"] > 0
    assert departure["difference"] == pytest.approx(abs(departure["a_number"] - departure["b_number"]))
    assert re.fullmatch(r"\[\d+(, \d+){3}\] of \[\d+(, \d+){3}\]", departure["at"])
    text = run(tmp_path / "a.onnx", tmp_path / "b.onnx").stdout
    assert "not equal: they compute different values" in text and f"first difference: '{conv.output[0]}' (Conv, graph main)" in text
    assert second


@pytest.mark.parametrize("change, reason", [
    (lambda m: m.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1])), "the interfaces differ: only the second model has the input 'more'"),
    (lambda m: m.graph.output.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 9, 11])),
     "the interfaces differ: only the second model has the output 'x'"),
    (lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", TensorProto.DOUBLE), "the interfaces differ: the input 'x' has different element types: float and double"),
])
def test_another_interface_is_not_equal(change, reason, tmp_path):
    model = stack()
    other = copy_of(model)
    change(other)
    code, report = verify(model, other, tmp_path)
    assert (code, report["reason"]) == (1, reason)


def test_an_input_that_can_be_overridden_is_no_constant(tmp_path):
    model = stack(blocks=1)
    other = copy_of(model)
    weight = next(n for n in model.graph.node if n.op_type == "Conv").input[1]
    t = next(t for t in other.graph.initializer if t.name == weight)
    other.graph.input.append(helper.make_tensor_value_info(weight, t.data_type, t.dims))
    assert verify(other, other, tmp_path)[0] == 0
    code, report = verify(model, other, tmp_path)
    assert code == 1 and weight in report["reason"]
    fused = fuse(other, tmp_path).path
    assert verify(other, fused, tmp_path)[0] == 0


def test_a_pad_of_another_value_departs_at_the_border(tmp_path):
    def build(value):
        n = Net(seed=2)
        x = n.input("x", (1, 3, 8, 8))
        n.output(n.conv(n.pad(x, [1, 1, 1, 1], value), 3, 3, pads=0))
        return n.model()

    assert verify(build(0.5), build(0.5), tmp_path)[0] == 0
    code, report = verify(build(0.0), build(0.5), tmp_path)
    assert code == 1
    at = [int(v) for v in re.findall(r"\d+", report["departure"]["at"])]
    row, column, height, width = *at[2:4], *at[6:8]
    assert row in (0, height - 1) or column in (0, width - 1)


def same_lower(length, padding):
    """Kernels of 2 and 4 at a stride of 2 summed, or the one kernel of 4 with this padding, on images of this length."""
    rng = np.random.default_rng(3)
    small, large = rng.standard_normal((5, 1, 2)).astype(np.float32), rng.standard_normal((5, 1, 4)).astype(np.float32)
    joined = large.copy()
    joined[:, :, 1:3] += small
    if padding:
        nodes = [helper.make_node("Conv", ["x", "j"], ["y"], pads=padding, strides=[2])]
    else:
        nodes = [helper.make_node("Conv", ["x", w], [v], auto_pad="SAME_LOWER", strides=[2]) for w, v in (("s", "a"), ("l", "b"))]
        nodes.append(helper.make_node("Add", ["a", "b"], ["y"]))
    used = {i for n in nodes for i in n.input}
    weights = [numpy_helper.from_array(w, name) for name, w in (("s", small), ("l", large), ("j", joined)) if name in used]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1, length])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_what_holds_for_the_declared_length_only(tmp_path):
    """The batch may be open all the same. With an open length both are told apart, and so is a wrong padding."""
    assert verify(same_lower(3, None), same_lower(3, [2, 1]), tmp_path)[0] == 0
    assert verify(same_lower("length", None), same_lower("length", [2, 1]), tmp_path)[0] == 1
    assert verify(same_lower(3, None), same_lower(3, [1, 2]), tmp_path)[0] == 1
    fused = fuse(same_lower(3, None), tmp_path)
    assert [n.op_type for n in fused.model.graph.node] == ["Conv"]
    assert verify(same_lower(3, None), fused.path, tmp_path)[0] == 0


def test_swapped_branches_of_if(tmp_path):
    model = branching(2.0)
    other = copy_of(model)
    for a in other.graph.node[0].attribute:
        a.name = {"then_branch": "else_branch", "else_branch": "then_branch"}[a.name]
    assert verify(model, other, tmp_path)[0] == 1


def test_versions_of_an_operator(tmp_path):
    """Softmax of opset 12 takes all axes from 1 on for one, that of opset 13 the last."""
    def build(opset, dims):
        node = helper.make_node("Softmax", ["x"], ["y"], axis=1)
        graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
                                  [helper.make_tensor_value_info("y", TensorProto.FLOAT, dims)])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)

    assert verify(build(12, [2, 3]), build(13, [2, 3]), tmp_path)[0] == 0
    assert verify(build(12, [2, 3, 4]), build(13, [2, 3, 4]), tmp_path)[0] == 1
    assert verify(build(13, [2, 3, 4]), build(13, [2, 3, 4]), tmp_path)[0] == 0


def test_random_numbers_are_drawn_anew(tmp_path):
    def build(shared):
        nodes = [helper.make_node("RandomNormal", [], [v], shape=[2]) for v in ("a" if shared else "ab")]
        nodes.append(helper.make_node("Sub", ["a", "a" if shared else "b"], ["y"]))
        graph = helper.make_graph(nodes, "g", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    assert verify(build(False), build(False), tmp_path)[0] == 0
    assert verify(build(True), build(False), tmp_path)[0] in (1, 2)


# Cannot tell


def unknown_after(change):
    """A block, then an operator nobody evaluates."""
    n = Net(seed=8)
    x = n.input("x", (1, 4, 9, 9))
    y = n.node("LRN", [block(n, x)], size=3, name="norm")
    n.output(n.relu(y))
    model = n.model()
    next(node for node in model.graph.node if node.name == "norm").domain = "other"
    model.opset_import.add(domain="other", version=1)
    if change:
        t = next(t for t in model.graph.initializer if len(t.dims) == 4)
        t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(t) * np.float32(2), t.name))
    return model


ALIKE = {  # pairs that compute the same, since what is read is never below 0, or within 0 and 1
    "relu of relu": ("z = Relu (x) y = Relu (z)", "z = Relu (x) y = Identity (z)"),
    "relu twice": ("y = Relu (x)", "z = Relu (x) y = Relu (z)"),
    "abs of relu": ("z = Relu (x) y = Abs (z)", "z = Relu (x) y = Identity (z)"),
    "clip of sigmoid": ("y = Sigmoid (x)", "z = Sigmoid (x) a = Constant <value_float = 0.0> () b = Constant <value_float = 1.0> () y = Clip (z, a, b)"),
    "relu of what is above 1": ("z = Relu (x) o = Constant <value_float = 1.0> () w = Add (z, o) y = Relu (w)",
                                "z = Relu (x) o = Constant <value_float = 1.0> () w = Add (z, o) y = Identity (w)"),
    "relu of a square": ("r = Mul (x, x) y = Relu (r)", "r = Mul (x, x) y = Identity (r)"),
    "clip of clip": ("l = Constant <value_float = -0.5> () h = Constant <value_float = 0.5> () y = Clip (x, l, h)",
                     "l = Constant <value_float = -0.5> () h = Constant <value_float = 0.5> () z = Clip (x, l, h) y = Clip (z, l, h)"),
}


def of(body):
    return onnx.parser.parse_model('<ir_version: 8, opset_import: ["": 17]> g (float[1,2,3,4] x) => (float[1,2,3,4] y) { ' + body + " }")


@pytest.mark.parametrize("name", ALIKE)
def test_numbers_that_a_value_never_has_show_no_difference(name, tmp_path):
    a, b = (of(body) for body in ALIKE[name])
    assert verify(a, b, tmp_path)[0] == 0 and verify(b, a, tmp_path)[0] == 0
    changed = of(ALIKE[name][1].replace("y = ", "v = ") + " y = Neg (v)")
    assert verify(a, changed, tmp_path)[0] == 1


def with_weights(body, opset=17, shape="float[1,4,7,6]", **weights):
    """A model with the input x and the output y, whose other inputs are initializers."""
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": {opset}, "o": 1]> g ({shape} x) => ({shape} y) {{ {body} }}')
    model.graph.initializer.extend(numpy_helper.from_array(w, n) for n, w in weights.items())
    return model


KERNEL = np.random.default_rng(3).standard_normal((4, 4, 1, 1)).astype(np.float32)
CANCELS = {  # pairs of sums of which little or nothing is left but rounding
    "nothing": ("c = Conv (x, w) s = Add (c, x) d = Sub (s, x) y = Sub (d, c)", "y = Sub (x, x)"),
    "a branch that goes": ("c = Conv (x, w) s = Add (c, x) y = Sub (s, x)", "y = Conv (x, w)"),
    "the same inside": ("c = Conv (x, w) s = Add (c, x) y = Sub (s, x)", "c = Conv (x, w) y = Identity (c)"),
}


@pytest.mark.parametrize("name", CANCELS)
def test_rounding_of_what_cancels_is_no_difference(name, tmp_path):
    a, b = (with_weights(body, w=KERNEL) for body in CANCELS[name])
    assert verify(a, b, tmp_path)[0] == 0 and verify(b, a, tmp_path)[0] == 0
    fused = fuse(a, tmp_path)
    assert not fused.report["fusions"] or verify(a, fused.path, tmp_path)[0] == 0
    # A thousandth of what was added up is more than rounding.
    off = KERNEL.copy()
    off[1, 2] += 1e-3
    wrong = with_weights(CANCELS[name][0].replace("Conv (x, w)", "Conv (x, v)", 1) if name != "nothing" else
                         "c = Conv (x, w) s = Add (c, x) d = Sub (s, x) e = Conv (x, v) y = Sub (d, e)", w=KERNEL, v=off)
    assert verify(a, wrong, tmp_path)[0] == 1 and verify(wrong, b, tmp_path)[0] == 1


def test_what_is_nearly_equal_on_the_way_is_not_taken_for_it(tmp_path):
    """x * 2 and x * 2.03 agree within what bfloat16 is compared with; where z cancels them, they do not."""
    def of_bfloat16(body, **weights):
        model = onnx.parser.parse_model('<ir_version: 10, opset_import: ["": 22]> g (bfloat16[1,4] x, bfloat16[1,4] z) => '
                                        f"(bfloat16[1,4] y) {{ {body} y = Relu (h) }}")
        model.graph.initializer.extend(numpy_helper.from_array(np.array([w]).astype(BFLOAT16), n) for n, w in weights.items())
        return model

    a = of_bfloat16("p = Mul (x, v) q = Mul (x, w) s = Add (p, q) h = Sub (s, z)", v=2.0, w=0.0313)
    b = of_bfloat16("p = Mul (x, v) h = Sub (p, z)", v=2.0313)
    assert verify(a, b, tmp_path)[0] == 0 and verify(b, a, tmp_path)[0] == 0
    assert verify(a, of_bfloat16("p = Mul (x, v) h = Sub (p, z)", v=2.5), tmp_path)[0] == 1


def test_what_is_far_below_the_numbers_that_cancelled_is_still_seen(tmp_path):
    big = np.float32(1000)
    a, b, wrong = (with_weights("s = Add (x, b) t = Sub (s, b) y = Mul (t, k)", b=big, k=np.float32(k)) for k in (1, 1, 1.01))
    assert verify(a, b, tmp_path)[0] == 0 and verify(a, wrong, tmp_path)[0] == 1
    plain = with_weights("y = Identity (x)")
    assert verify(a, plain, tmp_path)[0] == 0 and verify(wrong, plain, tmp_path)[0] == 1


@pytest.mark.parametrize("one, two", [
    ("s = Sub (x, a) y = Sqrt (s)", "s = Sub (x, b) y = Sqrt (s)"),
    ("s = Sub (x, a) y = Relu (s)", "s = Sub (x, b) y = Relu (s)"),
    ("s = Sub (x, a) t = Sqrt (s) y = Neg (t)", "s = Sub (x, b) t = Sqrt (s) y = Neg (t)"),
], ids=["not a number", "zero", "not a number behind"])
def test_outputs_that_say_nothing_prove_nothing(one, two, tmp_path):
    a, b = (with_weights(body, a=np.float32(1000), b=np.float32(1001)) for body in (one, two))
    assert verify(a, b, tmp_path)[0] == 2 and verify(b, a, tmp_path)[0] == 2


def test_a_clip_far_out(tmp_path):
    a = with_weights("y = Clip (x, l, h)", l=np.float32(-100), h=np.float32(100))
    for body in ("y = Identity (x)", "y = Clip (x, l, g)"):
        b = with_weights(body, l=np.float32(-100), h=np.float32(100), g=np.float32(101))
        assert verify(a, b, tmp_path)[0] == 1 and verify(b, a, tmp_path)[0] == 1


def integers(body, kind="int64", shape="[2,3]", **weights):
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> g ({kind}{shape} x) => ({kind}{shape} y) {{ {body} }}')
    model.graph.initializer.extend(numpy_helper.from_array(w, n) for n, w in weights.items())
    return model


@pytest.mark.parametrize("kind", ["int64", "int32", "int8", "uint8"])
@pytest.mark.parametrize("one, two", [
    ("y = Mul (x, x)", "y = Identity (x)"),
    ("y = Div (x, two)", "y = Div (x, three)"),
    ("y = Mod (x, three)", "y = Identity (x)"),
    ("y = Max (x, zero)", "y = Identity (x)"),
], ids=["square", "divisor", "modulus", "maximum"])
def test_integers_are_more_than_0_and_1(one, two, kind, tmp_path):
    dtype = getattr(np, kind)
    a, b = (integers(body, kind, zero=dtype(0), two=dtype(2), three=dtype(3)) for body in (one, two))
    expected = (0,) if "Max" in one and kind == "uint8" else (1,)  # nothing is below 0
    assert verify(a, b, tmp_path)[0] in expected and verify(b, a, tmp_path)[0] in expected
    assert verify(a, a, tmp_path)[0] == 0


def test_integers_are_compared_exactly(tmp_path):
    a, b = (integers("y = Add (x, c)", c=np.int64(c)) for c in (9007199254740993, 9007199254740992))
    code, report = verify(a, b, tmp_path)
    assert code == 1 and report["departure"]["difference"] >= 1
    assert verify(a, a, tmp_path)[0] == 0
    one = integers("t = Add (x, c) y = Add (t, d)", c=np.int64(5), d=np.int64(-3))
    assert verify(one, integers("y = Add (x, c)", c=np.int64(2)), tmp_path)[0] == 0
    assert verify(one, integers("y = Add (x, c)", c=np.int64(3)), tmp_path)[0] == 1
    large = [integers("t = Mul (x, c) y = Add (t, d)", c=np.int64(1), d=np.int64(d)) for d in (10 ** 9, 10 ** 9 + 1)]
    assert verify(*large, tmp_path)[0] == 1
    assert verify(*large, tmp_path, "--rtol", "1e-3")[0] == 0  # who asks for it


@pytest.mark.parametrize("body, one, two", [
    ("e = Equal (x, k) y = Cast <to = 7> (e)", 50256, 50257),
    ("e = Equal (x, k) y = Where (e, z, x)", 50256, 50257),
    ("e = Equal (x, k) y = Where (e, z, x)", -100, -101),
], ids=["mask", "replaced", "ignored"])
def test_integers_that_the_models_compare_with_are_drawn(body, one, two, tmp_path):
    a, b = (integers(body, k=np.int64(k), z=np.int64(-1)) for k in (one, two))
    assert verify(a, b, tmp_path)[0] == 1 and verify(a, a, tmp_path)[0] == 0


def line(body, **weights):
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> g (float[1,1,n] x) => (float[a,b,c] y) {{ {body} }}')
    model.graph.initializer.extend(numpy_helper.from_array(w, n) for n, w in weights.items())
    return model


@pytest.mark.parametrize("where", [0, 200, 400])
@pytest.mark.parametrize("body, taps", [("y = Conv <pads = [200, 200]> (x, w)", 401),
                                        ("y = Conv <dilations = [200], pads = [200, 200]> (x, w)", 3)], ids=["long", "dilated"])
def test_every_tap_of_a_long_window_is_reached(body, taps, where, tmp_path):
    kernel = np.random.default_rng(4).standard_normal((2, 1, taps)).astype(np.float32)
    other = kernel.copy()
    other[0, 0, where * taps // 401] += 2
    a, b = line(body, w=kernel), line(body, w=other)
    assert verify(a, b, tmp_path)[0] == 1 and verify(a, a, tmp_path)[0] == 0
    doubled = line(body.replace("y =", "t =") + " y = Mul (t, two)", w=kernel, two=np.float32(2))
    assert verify(line(body, w=kernel * 2), doubled, tmp_path)[0] == 0


def test_windows_that_are_longer_than_is_evaluated(tmp_path):
    a, b = (line("y = Conv (x, w)", w=np.ones((1, 1, 20000), np.float32) * np.float32(k)) for k in (1, 1))
    double = line("t = Conv (x, w) y = Mul (t, two)", w=np.ones((1, 1, 20000), np.float32) / 2, two=np.float32(2))
    assert verify(a, b, tmp_path)[0] == 0 and verify(a, double, tmp_path)[0] == 2


def test_a_slice_far_out(tmp_path):
    weights = {"s": np.array([0]), "e": np.array([100]), "f": np.array([50]), "g": np.array([-100]), "ax": np.array([2])}
    a, b, c = (line(f"y = Slice (x, s, {end}, ax)", **weights) for end in "efg")
    assert verify(a, b, tmp_path)[0] == 1 and verify(a, c, tmp_path)[0] == 1 and verify(a, a, tmp_path)[0] == 0


def test_a_channel_beside_a_larger_one(tmp_path):
    large = np.array([1e6, 0, 0, 0], np.float32).reshape(4, 1, 1)
    body = "t = Add (x, c) s = Add (t, b) y = Sub (s, c)"
    a, b, same = (with_weights(body, c=large, b=np.array([0, k, -k, k], np.float32).reshape(4, 1, 1)) for k in (0, 0.1, 0))
    assert verify(a, b, tmp_path)[0] == 1 and verify(b, a, tmp_path)[0] == 1 and verify(a, same, tmp_path)[0] == 0


def embedding(table, scale=None, clip=False, ids="[2,3]"):
    body = "i = Identity (x) " if not clip else "i = Mod (x, n) "
    body += "e = Gather (t, i) " + ("y = Mul (e, s)" if scale is not None else "y = Identity (e)")
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> g (int64{ids} x) => (float[a,b,8] y) {{ {body} }}')
    weights = {"t": table, "n": np.int64(len(table))} | ({"s": np.float32(scale)} if scale is not None else {})
    model.graph.initializer.extend(numpy_helper.from_array(w, n) for n, w in weights.items())
    return model


@pytest.mark.parametrize("ids", ["[2,3]", "[a,b]"])
@pytest.mark.parametrize("row", [0, 1, 77, 499])
def test_every_row_of_a_table_counts(row, ids, tmp_path):
    table = np.random.default_rng(5).standard_normal((500, 8)).astype(np.float32)
    other = table.copy()
    other[row, 3] *= 1.5
    a = embedding(table, 2.0, ids=ids)
    assert verify(a, embedding(table * 2, ids=ids), tmp_path)[0] == 0
    assert verify(embedding(table * 2, ids=ids), a, tmp_path)[0] == 0
    assert verify(a, embedding(other * 2, ids=ids), tmp_path)[0] == 1
    assert verify(embedding(other * 2, ids=ids), a, tmp_path)[0] == 1
    assert verify(embedding(table, ids=ids), embedding(other, ids=ids), tmp_path)[0] == 1
    assert verify(embedding(table, clip=True, ids=ids), embedding(table, ids=ids), tmp_path)[0] != 1


def test_what_a_value_holds_behind_ops_that_hand_it_on(tmp_path):
    """Behind an operator that nobody evaluates, what Relu made stays above 0 through a pool, a slice and a new shape."""
    head = "u = o.Unknown (x) r = Relu (u) m = MaxPool <kernel_shape = [1, 1]> (r) t = Transpose <perm = [0, 1, 3, 2]> (m) "
    one, two = (with_weights(head + tail) for tail in ("y = Transpose <perm = [0, 1, 3, 2]> (t)",
                                                       "v = Transpose <perm = [0, 1, 3, 2]> (t) y = Relu (v)"))
    for m in (one, two):
        m.graph.value_info.append(helper.make_tensor_value_info("t", TensorProto.FLOAT, [1, 4, 6, 7]))
    assert verify(one, two, tmp_path)[0] == 0 and verify(two, one, tmp_path)[0] == 0


def test_channels_are_found_behind_other_ops(tmp_path):
    """Nothing is known of the shape that an unknown operator makes but what the Conv behind two more takes."""
    head = "u = o.Unknown (x) r = Relu (u) b = Add (r, one) "
    weights = {"w": KERNEL, "one": np.float32(1), "half": np.float32(0.5), "v": KERNEL / 2}
    a = with_weights(head + "c = Conv (b, w) y = Mul (c, half)", **weights)
    b = with_weights("u = o.Unknown (x) r = Relu (u) d = Sub (r, m) y = Conv (d, v)", m=np.float32(-1), **weights)
    assert verify(a, b, tmp_path)[0] == 0 and verify(b, a, tmp_path)[0] == 0
    wrong = with_weights("u = o.Unknown (x) r = Relu (u) d = Sub (r, m) y = Conv (d, v)", m=np.float32(-2), **weights)
    assert verify(a, wrong, tmp_path)[0] != 0 and verify(wrong, a, tmp_path)[0] != 0


def test_a_mask_is_read_as_0_or_1(tmp_path):
    """Drawn in another way it saturates the softmax, which then hides what is before it."""
    def attention(k, kind):
        text = f"""<ir_version: 8, opset_import: ["": 17]> g (float[1,4,8] x, {kind}[1,1,4] m) => (float[1,4,8] y)
        {{ f = Cast <to = 1> (m) i = Sub (one, f) b = Mul (i, far) t = Transpose <perm = [0, 2, 1]> (x) r = MatMul (x, t) s = Mul (r, k)
           a = Add (s, b) p = Softmax <axis = -1> (a) y = MatMul (p, x) }}"""
        model = onnx.parser.parse_model(text)
        for name, value in (("one", 1), ("far", -1e4), ("k", k)):
            model.graph.initializer.append(numpy_helper.from_array(np.float32(value), name))
        return model

    for kind in ("int64", "float", "bool"):
        assert verify(attention(0.3, kind), attention(0.35, kind), tmp_path)[0] == 1
        assert verify(attention(0.3, kind), attention(0.3, kind), tmp_path)[0] == 0


@pytest.mark.parametrize("one, two", [("y = Sqrt (x)", "t = Sqrt (x) y = Mul (t, two)"),
                                      ("l = Log (x) y = Conv (l, w)", "l = Log (x) c = Conv (l, w) y = Mul (c, two)")], ids=["sqrt", "log"])
def test_what_is_no_number_proves_nothing(one, two, tmp_path):
    a, b = (with_weights(body, w=KERNEL, two=np.float32(2)) for body in (one, two))
    assert verify(a, b, tmp_path)[0] != 0 and verify(b, a, tmp_path)[0] != 0


def test_the_default_of_an_attribute_of_a_function(tmp_path):
    def build(default, given=""):
        return onnx.parser.parse_model(
            '<ir_version: 9, opset_import: ["": 17, "f": 1]> g (float[2,3] x) => (float[2,3] y) { y = f.f ' + given + " (x) } "
            f'<domain: "f", opset_import: ["": 17]> f <alpha: float = {default}> (a) => (b) {{ b = LeakyRelu <alpha: float = @alpha> (a) }}')

    assert verify(build(0.1), build(0.5), tmp_path)[0] != 0
    assert verify(build(0.1), build(0.1), tmp_path)[0] == 0
    result = subprocess.run([TOOL, "diff", *paths_of(tmp_path, build(0.1), build(0.5))], capture_output=True, text=True, timeout=60)
    assert result.returncode == 1 and "default of alpha 0.1" in result.stdout


def test_an_output_of_a_branch_that_nobody_reads(tmp_path):
    def build(k):
        model = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["": 17]> g (bool c, float[2] x) => (float[2] y) {
            y, z = If (c) <then_branch = t () => (float[2] p, float[2] q) { p = Relu (x) q = Mul (x, k) },
                           else_branch = e () => (float[2] r, float[2] s) { r = Neg (x) s = Neg (x) }> }""")
        model.graph.initializer.append(numpy_helper.from_array(np.float32(k), "k"))
        return model

    assert verify(build(1), build(2), tmp_path)[0] == 0
    read = build(2)
    read.graph.node.append(helper.make_node("Neg", ["z"], ["w"]))
    other = copy_of(read)
    for m in (read, other):
        m.graph.output.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [2]))
    other.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.float32(3), "k"))
    assert verify(read, other, tmp_path)[0] != 0


NONNEGATIVE = ["u = o.Unknown (x) r = Sqrt (u)", "u = o.Unknown (x) r = Mul (u, u)", "u = o.Unknown (x) r = Pow (u, two)",
               "u = o.Unknown (x) s = Relu (u) r = Add (s, s)", "u = o.Unknown (x) s = Abs (u) r = AveragePool <kernel_shape = [1, 1]> (s)"]


@pytest.mark.parametrize("head", NONNEGATIVE)
def test_what_is_never_below_0_is_not_drawn_so(head, tmp_path):
    one, two = (with_weights(head + tail, two=np.float32(2)) for tail in (" y = Identity (r)", " y = Relu (r)"))
    for m in (one, two):
        m.graph.value_info.append(helper.make_tensor_value_info("r", TensorProto.FLOAT, [1, 4, 7, 6]))
    assert verify(one, two, tmp_path)[0] == 0 and verify(two, one, tmp_path)[0] == 0


@pytest.mark.parametrize("op, low, high", [("Sigmoid", 0.3, 1), ("Sigmoid", 0, 0.7), ("Exp", 0.9, 1e9), ("Softplus", 0.5, 1e9), ("Relu", 0.01, 1e9)])
def test_all_of_a_range_is_drawn(op, low, high, tmp_path):
    """What is never below 0 may be near it all the same."""
    head = f"u = o.Unknown (x) r = {op} (u)"
    one, two = (with_weights(head + tail, l=np.float32(low), h=np.float32(high)) for tail in (" y = Identity (r)", " y = Clip (r, l, h)"))
    for m in (one, two):
        m.graph.value_info.append(helper.make_tensor_value_info("r", TensorProto.FLOAT, [1, 4, 7, 6]))
    assert verify(one, two, tmp_path)[0] == 1 and verify(two, one, tmp_path)[0] == 1


def text_model(body, x="float[1] x", y="float[1] y"):
    return onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": 17]> g ({x}) => ({y}) {{ {body} }}')


FEW = [("float[1]", "y = Add (x, x)", "a = Abs (x) y = Add (a, a)"), ("float", "y = Add (x, x)", "a = Abs (x) y = Add (a, a)"),
       ("int64[1]", "k = Constant <value_int = 2> () y = Sub (x, k)", "k = Constant <value_int = 2> () y = Mod (x, k)"),
       ("int64", "k = Constant <value_int = 2> () y = Sub (x, k)", "k = Constant <value_int = 2> () y = Mod (x, k)"),
       ("float[64]", "k = Constant <value_ints = [0]> () y = ReduceSum <keepdims = 0> (x, k)",
        "k = Constant <value_ints = [0]> () a = ReduceSum <keepdims = 0> (x, k) y = Abs (a)")]


@pytest.mark.parametrize("x, one, two", FEW)
@pytest.mark.parametrize("seed", range(6))
def test_a_few_numbers_agree_by_chance(x, one, two, seed, tmp_path):
    type_of = x.split("[")[0]
    models = [text_model(body, f"{x} x", f"{type_of} y" if "Reduce" in body else f"{x} y") for body in (one, two)]
    assert verify(*models, tmp_path, "--seed", str(seed))[0] == 1 and verify(*reversed(models), tmp_path, "--seed", str(seed))[0] == 1


@pytest.mark.parametrize("one, two", [
    ("y = Identity (x)", "a = Cast <to = 3> (x) y = Cast <to = 7> (a)"), ("y = Identity (x)", "a = Cast <to = 6> (x) y = Cast <to = 7> (a)"),
    ("y = Identity (x)", "a = Cast <to = 10> (x) y = Cast <to = 7> (a)"), ("y = Identity (x)", "a = Cast <to = 5> (x) y = Cast <to = 7> (a)")])
def test_casts_keep_the_lowest_bits(one, two, tmp_path):
    models = [text_model(body, "int64[N] x", "int64[N] y") for body in (one, two)]
    assert verify(*models, tmp_path)[0] == 1 and verify(*reversed(models), tmp_path)[0] == 1


@pytest.mark.parametrize("x, y, one, two", [
    ("float[1, 2, 8, 8]", "float[1, 2, 4, 4]", "y = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2]> (x)",
     "m = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2]> (x) y = Relu (m)"),
    ("float[1, 1, 9, 9]", "float[1, 1, 7, 7]", "y = MaxPool <kernel_shape = [3, 3]> (x)", "m = MaxPool <kernel_shape = [3, 3]> (x) y = Abs (m)"),
    ("float[1, 1, 9, 9]", "float[1, 1, 7, 7]", "n = Neg (x) m = MaxPool <kernel_shape = [3, 3]> (n) y = Neg (m)",
     "n = Neg (x) m = MaxPool <kernel_shape = [3, 3]> (n) r = Relu (m) y = Neg (r)")])
def test_the_largest_of_many_may_be_below_0(x, y, one, two, tmp_path):
    models = [text_model(body, f"{x} x", f"{y} y") for body in (one, two)]
    assert verify(*models, tmp_path)[0] == 1 and verify(*reversed(models), tmp_path)[0] == 1


NOTHING = ["k = Constant <value_float = %s> () t = Expand (k, x) y = Identity (t)",
           "z = Constant <value_int = 0> () o = Constant <value_int = 1> () s = Squeeze (x) r = Range (z, s, o) f = Cast <to = 1> (r) k = Constant <value_float = %s> () y = Mul (f, k)",
           "w = Constant <value_floats = [1.0, 2.0, 3.0, 4.0]> () b = Constant <value_ints = [3]> () e = Slice (w, b, x) k = Constant <value_float = %s> () y = Mul (e, k)"]


@pytest.mark.parametrize("body", NOTHING)
def test_no_numbers_say_nothing(body, tmp_path):
    models = [text_model(body % k, "int64[1] x", "float[N] y") for k in ("1.0", "2.0")]
    assert verify(*models, tmp_path)[0] == 1 and verify(models[0], models[0], tmp_path)[0] == 0


def test_outputs_of_another_type(tmp_path):
    code, report = verify(text_model("y = Relu (x)"), text_model("a = Relu (x) y = Cast <to = 11> (a)", y="double[1] y"), tmp_path)
    assert code == 1 and "'y' has different element types" in report["reason"]


@pytest.mark.parametrize("size", ["H, W", "37, 38", "38, 37"])
@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize("kernel, stride, pad", [(2, 4, 0), (3, 2, 0), (3, 2, 1), (3, 5, 1), (5, 3, 2), (5, 4, 1), (7, 5, 0)])
def test_what_steps_leave_of_a_size(kernel, stride, pad, axis, size, tmp_path):
    """One more row of padding at the end counts where another window fits, and nowhere else."""
    def build(pads):
        weight = numpy_helper.from_array(np.random.default_rng(0).standard_normal((2, 2, kernel, kernel)).astype(np.float32), "w")
        model = text_model(f"y = Conv <kernel_shape = [{kernel}, {kernel}], strides = [{stride}, {stride}], pads = {pads}> (x, w)",
                           f"float[N, 2, {size}] x, float[2, 2, {kernel}, {kernel}] w", "float[N, 2, h, v] y")
        del model.graph.input[1]
        model.graph.initializer.append(weight)
        return model

    more = [pad] * 4
    more[axis] += 1
    fits = "H" in size or (int(size.split(", ")[axis - 2]) + 2 * pad + 1 - kernel) % stride == 0
    models = build([pad] * 4), build(more)
    assert verify(*models, tmp_path)[0] == fits and verify(*reversed(models), tmp_path)[0] == fits


@pytest.mark.parametrize("seed", range(5))
def test_one_number_of_each_of_many_channels(seed, tmp_path):
    """By luck rounding changes one of a thousand numbers much more than it was seen to change it."""
    rng = np.random.default_rng(seed)
    model = text_model("n = BatchNormalization (x, g, b, m, v) y = Gemm (n, w, c)", "float[1, 8] x", "float[1, 2000] y")
    weights = {"g": rng.uniform(0.5, 2, 8), "b": rng.standard_normal(8), "m": rng.standard_normal(8), "v": rng.uniform(0.5, 2, 8),
               "w": rng.standard_normal((8, 2000)), "c": rng.standard_normal(2000)}
    model.graph.initializer.extend(numpy_helper.from_array(w.astype(np.float32), n) for n, w in weights.items())
    fused = fuse(model, tmp_path)
    assert len(fused.model.graph.node) == 1
    for k in range(4):
        assert verify(model, fused.path, tmp_path, "--seed", str(k))[0] == 0
    altered = fused.model
    weight = next(t for t in altered.graph.initializer if len(t.dims) == 2)
    numbers = numpy_helper.to_array(weight).copy()
    numbers[tuple(np.array(numbers.shape) // 2)] += 1e-3  # of one channel
    weight.CopyFrom(numpy_helper.from_array(numbers, weight.name))
    assert verify(model, altered, tmp_path)[0] == 1


def test_calls_in_calls(tmp_path):
    """Each function calls the one before twice: what came of a pair is kept."""
    def build(k):
        bodies = [f'<domain: "f", opset_import: ["": 17, "f": 1]> f{i} (a) => (b) {{ c = f.f{i - 1} (a) b = f.f{i - 1} (c) }}' for i in range(1, 14)]
        leaf = f'<domain: "f", opset_import: ["": 17]> f0 (a) => (b) {{ k = Constant <value_float = {k}> () b = Mul (a, k) }}'
        return onnx.parser.parse_model('<ir_version: 9, opset_import: ["": 17, "f": 1]> g (float[2] x) => (float[2] y) { y = f.f13 (x) } '
                                       + leaf + " ".join(bodies))

    start = processor_seconds()
    assert verify(build(0.5), build(0.25), tmp_path)[0] in (1, 2) and verify(build(0.5), build(0.5), tmp_path)[0] == 0
    assert processor_seconds() - start < 10


@pytest.mark.parametrize("calls", [
    "y = f.f (x)", "a = f.f (x) y = f.f (a)", "a = Relu (x) b = f.f (a) y = f.g (b)", "a = Relu (x) y = f.g (a)",
    "a = Transpose <perm = [1, 0]> (x) b = f.f (a) c = Transpose <perm = [1, 0]> (b) y = f.f (c)",
    "a = f.f (x) b = ReduceSum <keepdims = 0> (x) c = f.f (b) y = Add (a, c)",
    "a = Neg (x) b = Relu (x) c = f.g (a) d = f.f (b) y = Add (c, d)"])
def test_a_function_is_what_its_calls_make_of_it(calls, tmp_path):
    def build(first, second):
        graph = f'<ir_version: 9, opset_import: ["": 17, "f": 1]> n (float[2, 3] x) => (float[?, ?] y) {{ {calls} }}'
        f = '<domain: "f", opset_import: ["": 17]> f (p) => (q) { k = Constant <value_float = %s> () l = Constant <value_float = %s> () m = Mul (p, k) q = Mul (m, l) }'
        g = '<domain: "f", opset_import: ["": 17, "f": 1]> g (r) => (s) { t = Relu (r) s = f.f (t) }'
        return onnx.parser.parse_model(graph + f % (first, second) + g)

    assert [verify(build(2.0, 3.0), other, tmp_path)[0] for other in (build(3.0, 2.0), build(2.0, 3.5))] == [0, 1]


FUNCTIONS = {  # name: body and functions of two models, whether they are equal
    "an op moved into it": (("v = f.f (x) y = Relu (v)", "f (a) => (o) { o = Neg (a) }"), ("y = f.f (x)", "f (a) => (o) { q = Neg (a) o = Relu (q) }"), 0),
    "an op moved into it, and another": (("v = f.f (x) y = Relu (v)", "f (a) => (o) { o = Neg (a) }"), ("y = f.f (x)", "f (a) => (o) { q = Neg (a) o = Abs (q) }"), 1),
    "it differs for what no call gives": (("v = Abs (x) y = f.f (v)", "f (a) => (o) { o = Relu (a) }"), ("v = Abs (x) y = f.f (v)", "f (a) => (o) { o = Abs (a) }"), 0),
    "it differs where no call reads": (("y, z = f.f (x)", "f (a) => (o, p) { o = Relu (a) p = Neg (a) }"), ("y, z = f.f (x)", "f (a) => (o, p) { o = Relu (a) p = Abs (a) }"), 0),
    "no function at all": (("y = f.f (x)", "f (a) => (o) { b = Neg (a) o = Exp (b) }"), ("b = Neg (x) y = Exp (b)", "f (a) => (o) { o = Relu (a) }"), 0),
    "an input handed on": (("v = Neg (x) y = f.f (v)", "f (a) => (a) { b = Relu (a) }"), ("y = Neg (x)", "f (a) => (a) { b = Relu (a) }"), 0),
    "attributes given, left out, and by default": (
        ("a = f.f <s = 0.5> (x) y = f.f (a)", "f <s: float = 0.25> (a) => (o) { o = LeakyRelu <alpha: float = @s> (a) }"),
        ("a = LeakyRelu <alpha = 0.5> (x) y = LeakyRelu <alpha = 0.25> (a)", "f <s> (a) => (o) { o = LeakyRelu <alpha: float = @s> (a) }"), 0),
    "an attribute that nobody gives": (("y = f.f (x)", "f <s> (a) => (o) { o = LeakyRelu <alpha: float = @s> (a) }"),
                                       ("y = LeakyRelu (x)", "f <s> (a) => (o) { o = LeakyRelu <alpha: float = @s> (a) }"), 0),
    "names that are taken": (("b = f.f (x) y = f.f (b)", "f (b) => (y) { x = Neg (b) y = Exp (x) }"), ("t = Neg (x) u = Exp (t) v = Neg (u) y = Exp (v)", "f (b) => (y) { y = Neg (b) }"), 0),
    "a body in it": (("y = f.f (x)", "f (a) => (o) { c = Constant <value_int = 1> () t = Cast <to = 9> (c) o = If (t) <then_branch = p () => (u) { u = Neg (a) }, "
                      "else_branch = q () => (v) { v = Abs (a) }> }"),
                     ("c = Constant <value_int = 1> () t = Cast <to = 9> (c) y = If (t) <then_branch = p () => (float[2,3] u) { u = Neg (x) }, "
                      "else_branch = q () => (float[2,3] v) { v = Abs (x) }>", "f (a) => (o) { o = Neg (a) }"), 0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_counts_of_a_function(name, tmp_path):
    """What its calls give it and read of it."""
    one, two, code = FUNCTIONS[name]
    models = [parsed(body, "float[2,3] x", "float[2,3] y", functions='<domain: "f", opset_import: ["": 17]> ' + f) for body, f in (one, two)]
    assert both_ways(*models, tmp_path) == {code}


def test_a_function_that_calls_itself(tmp_path):
    model = parsed("y = f.f (x)", "float[2] x", "float[2] y", functions='<domain: "f", opset_import: ["": 17, "f": 1]> f (a) => (b) { c = f.f (a) b = Neg (c) }')
    other = copy_of(model)
    other.functions[0].node[1].op_type = "Abs"
    assert verify(model, other, tmp_path)[0] != 0


def test_a_function_that_draws_draws_anew_in_every_call(tmp_path):
    head, function = '<ir_version: 8, opset_import: ["": 17, "f": 1]> g (float[2] x) => (float[2] y) ', \
        '<domain: "f", opset_import: ["": 17]> f (x) => (y) { y = RandomNormalLike (x) }'
    one, two = (onnx.parser.parse_model(head + body + function) for body in
                ("{ a = f.f (x) y = Sub (a, a) }", "{ a = f.f (x) b = f.f (x) y = Sub (a, b) }"))
    assert verify(one, two, tmp_path)[0] == 2 and verify(two, one, tmp_path)[0] == 2
    assert verify(one, one, tmp_path)[0] == 0 and verify(two, two, tmp_path)[0] == 0


def test_an_operator_that_is_not_evaluated(tmp_path):
    model = unknown_after(False)
    fused = fuse(model, tmp_path)
    code, report = verify(model, fused.path, tmp_path)
    assert code == 0 and len(report["regions"]) == 1  # alike on both sides: nobody needs to evaluate it
    code, report = verify(model, unknown_after(True), tmp_path)
    assert code == 2 and "LRN 'norm'" in report["reason"] and "is not evaluated" in report["reason"]
    assert report["departure"]["op"] == "Conv"
    text = run(tmp_path / "a.onnx", tmp_path / "b.onnx")
    assert text.returncode == 2 and "undecided: LRN 'norm'" in text.stdout


def test_an_operator_of_another_domain(tmp_path):
    def build(op):
        node = helper.make_node(op, ["x"], ["y"], domain="example.org")
        graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
                                  [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("example.org", 1)],
                                 ir_version=8)

    assert verify(build("One"), build("One"), tmp_path)[0] == 0
    code, report = verify(build("One"), build("Two"), tmp_path)
    assert code == 2 and "Two" in report["reason"]


def test_an_input_that_only_one_of_them_reads(tmp_path):
    def build(first):
        return onnx.parser.parse_model(f"""<ir_version: 8, opset_import: ["": 17]>
g (float[2,3] signal, float[2,3] mask) => (float[2,3] y) {{ y = Add ({first}, mask) }}""")

    code, report = verify(build("signal"), build("mask"), tmp_path)
    assert code == 1 and report["departure"]["b"] == "y"


# Activations: evaluated between parts that differ, so right and wrong rewrites of them are told apart


def activation(nodes, opset=17, constants=()):
    graph = helper.make_graph([helper.make_node(op, i, o, **a) for op, i, o, a in nodes], "g",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 4])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(np.float32(v), k) for k, v in constants])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


EQUAL = {
    "swish": ([("Sigmoid", ["x"], ["s"], {}), ("Mul", ["x", "s"], ["y"], {})], [("Swish", ["x"], ["y"], {})], 24),
    "hardswish": ([("HardSwish", ["x"], ["y"], {})],
                  [("HardSigmoid", ["x"], ["s"], {"alpha": 1 / 6}), ("Mul", ["x", "s"], ["y"], {})], 17),
    "mish": ([("Mish", ["x"], ["y"], {})],
             [("Softplus", ["x"], ["p"], {}), ("Tanh", ["p"], ["t"], {}), ("Mul", ["x", "t"], ["y"], {})], 18),
    "relu as clip": ([("Relu", ["x"], ["y"], {})], [("Clip", ["x", "zero"], ["y"], {})], 17),
    "leaky": ([("LeakyRelu", ["x"], ["y"], {"alpha": 0.25})], [("PRelu", ["x", "quarter"], ["y"], {})], 17),
    "gelu": ([("Gelu", ["x"], ["y"], {})],
             [("Mul", ["x", "root"], ["r"], {}), ("Erf", ["r"], ["e"], {}), ("Add", ["e", "one"], ["f"], {}),
              ("Mul", ["x", "f"], ["g"], {}), ("Mul", ["g", "half"], ["y"], {})], 20),
    "softsign": ([("Softsign", ["x"], ["y"], {})],
                 [("Abs", ["x"], ["a"], {}), ("Add", ["a", "one"], ["b"], {}), ("Div", ["x", "b"], ["y"], {})], 17),
    "softmax": ([("Softmax", ["x"], ["y"], {"axis": -1})],
                [("Exp", ["x"], ["e"], {}), ("ReduceSum", ["e", "last"], ["s"], {}), ("Div", ["e", "s"], ["y"], {})], 17),
    "split": ([("Split", ["x"], ["p", "q"], {"axis": 1}), ("Concat", ["p", "q"], ["y"], {"axis": 1})],
              [("Identity", ["x"], ["y"], {})], 17),
}
CONSTANTS = [("zero", 0), ("quarter", 0.25), ("root", 0.5 ** 0.5), ("one", 1), ("half", 0.5)]


@pytest.mark.parametrize("name", EQUAL)
def test_activations(name, tmp_path):
    one, two, opset = EQUAL[name]
    models = [activation(nodes, opset, CONSTANTS) for nodes in (one, two)]
    for m in models:
        m.graph.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), "last"))
    assert verify(*models, tmp_path)[0] == 0
    assert verify(models[1], models[0], tmp_path)[0] == 0


@pytest.mark.parametrize("one, two", [
    ([("Elu", ["x"], ["y"], {})], [("Selu", ["x"], ["y"], {})]),
    ([("HardSwish", ["x"], ["y"], {})], [("Relu", ["x"], ["y"], {})]),
    ([("Clip", ["x", "zero"], ["y"], {})], [("Clip", ["x", "zero", "one"], ["y"], {})]),
    ([("Sigmoid", ["x"], ["y"], {})], [("HardSigmoid", ["x"], ["y"], {})]),
    ([("Elu", ["x"], ["y"], {"alpha": 1.0})], [("Elu", ["x"], ["y"], {"alpha": 1.01})]),
    ([("Softmax", ["x"], ["y"], {"axis": 0})], [("Softmax", ["x"], ["y"], {"axis": 1})]),
], ids=lambda nodes: nodes[0][0])
def test_activations_that_differ(one, two, tmp_path):
    assert verify(activation(one, 17, CONSTANTS), activation(two, 17, CONSTANTS), tmp_path)[0] == 1


def test_max_pool(tmp_path):
    """Two 2x2 windows in a row see what one 3x3 window sees; a 2x2 window does not."""
    def build(*kernels):
        n = Net(seed=1)
        x = n.input("x", (1, 2, 9, 9))
        for k in kernels:
            x = n.node("MaxPool", [x], kernel_shape=[k, k])
        model_output = n.node("Identity", [x], name="end")
        n.output(model_output)
        return n.model()

    assert verify(build(3), build(2, 2), tmp_path)[0] == 0
    assert verify(build(3), build(3, 1), tmp_path)[0] == 0
    assert verify(build(3), build(2), tmp_path)[0] == 1


# Options, errors, size


def test_text_and_quiet(tmp_path):
    model = stack()
    fused = fuse(model, tmp_path)
    result = run(tmp_path / "model.onnx", fused.path)
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"{tmp_path / 'model.onnx'} and {fused.path}: equal"
    assert re.fullmatch(r"3 values equal by structure, 3 by evaluation, largest relative difference \S+ of 1e-05", lines[1])
    assert run("-q", tmp_path / "model.onnx", fused.path).stdout == ""


def test_it_is_repeatable(tmp_path):
    model = stack()
    fused = fuse(model, tmp_path)
    first = run("--format", "json", tmp_path / "model.onnx", fused.path).stdout
    assert run("--format", "json", tmp_path / "model.onnx", fused.path).stdout == first
    other = run("--format", "json", "--seed", "5", "--trials", "4", tmp_path / "model.onnx", fused.path)
    assert other.returncode == 0 and other.stdout != first
    assert all(r["trials"] == 4 for r in json.loads(other.stdout)["regions"])


@pytest.mark.parametrize("arguments, message", [
    (["a.onnx"], "expected two models, A and B"),
    (["a.onnx", "a.onnx", "a.onnx"], "expected two models, found more"),
    (["a.onnx", "missing.onnx"], "missing.onnx"),
    (["text.onnx", "a.onnx"], "text.onnx"),
    (["--rtol", "0", "a.onnx", "a.onnx"], "--rtol"),
    (["--trials", "0", "a.onnx", "a.onnx"], "--trials"),
    (["--seed", "-1", "a.onnx", "a.onnx"], "--seed"),
    (["--format", "sarif", "a.onnx", "a.onnx"], "--format"),
    (["--unknown", "a.onnx", "a.onnx"], "unknown"),
    (["-", "-"], "both models are standard input"),
])
def test_trouble(arguments, message, tmp_path):
    (tmp_path / "a.onnx").write_bytes(stack(blocks=1).SerializeToString())
    (tmp_path / "text.onnx").write_text("this is no model")
    result = run(*arguments, cwd=tmp_path, stdin=subprocess.DEVNULL)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr and result.stderr.startswith("onnx-repvgg-fuse: ")


def test_help_names_every_option():
    text = run("--help").stdout
    for option in ("--rtol", "--trials", "--seed", "--format", "--quiet", "--help"):
        assert option in text


def test_a_chain_of_twenty_thousand_nodes(tmp_path):
    code, report = verify(chain(20_000), chain(20_000), tmp_path)
    assert code == 0 and report["equal_by_structure"] == 20_000
    start = processor_seconds()
    # LeakyRelu keeps a difference; Sigmoid would forget it within forty nodes.
    code, report = verify(chain(20_000, last="LeakyRelu"), chain(20_000, 10_000, last="LeakyRelu"), tmp_path)
    assert code in (1, 2) and report["departure"]["b"] == "v10001"
    assert processor_seconds() - start < 40


# Sizes: what either model reads far out has to show


def parsed(body, x, y, opset=17, functions="", **weights):
    model = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": {opset}, "f": 1]> g ({x}) => ({y}) {{ {body} }} {functions}')
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(w), name) for name, w in weights.items())
    return model


def both_ways(one, two, folder):
    return {verify(one, two, folder)[0], verify(two, one, folder)[0]}


def whole(*numbers):
    return np.array(numbers, np.int64)


IMAGE, ROWS = ("float[N,3,H,W] x", "float[?,?,?,?] y"), ("float[N,8] x", "float[?,?] y")
WINDOW = np.random.default_rng(3).standard_normal((2, 3, 9, 9)).astype(np.float32)
POINT = np.where(np.arange(81).reshape(9, 9) == 40, WINDOW, 0).astype(np.float32)
SQUARE = WINDOW[0, 0, :8, :5].copy()
CROP = "y = Slice (x, s, e, a)"
CUT = "l = Shape <start = 1, end = 2> (x) p = Slice (t, z, l, o) y = Add (x, p)"
LINES = WINDOW.reshape(-1)[:384].reshape(1, 64, 6)
OTHER_LINES = np.where(np.arange(64).reshape(1, 64, 1) == 50, 2 * LINES, LINES)
FAR = {  # name: inputs and outputs, the two models, whether they are equal
    "far taps": (IMAGE, ("y = Conv <dilations = [8, 8], pads = [8, 8, 8, 8]> (x, w)", {"w": WINDOW[:, :, :3, :3]}),
                 ("y = Conv (x, w)", {"w": WINDOW[:, :, 1:2, 1:2]}), 1),
    "a kernel and its centre": (IMAGE, ("y = Conv <pads = [4, 4, 4, 4]> (x, w)", {"w": WINDOW}), ("y = Conv (x, w)", {"w": WINDOW[:, :, 4:5, 4:5]}), 1),
    "a kernel of 0 but for its centre": (IMAGE, ("y = Conv <pads = [4, 4, 4, 4]> (x, w)", {"w": POINT}),
                                         ("y = Conv (x, w)", {"w": WINDOW[:, :, 4:5, 4:5]}), 0),
    "a crop of rows": (IMAGE, (CROP, {"s": whole(0), "e": whole(40), "a": whole(2)}), ("y = Identity (x)", {}), 1),
    "a crop of channels": (("float[N,C,H,W] x", IMAGE[1]), (CROP, {"s": whole(0), "e": whole(20), "a": whole(1)}), ("y = Identity (x)", {}), 1),
    "a crop of the batch": (IMAGE, (CROP, {"s": whole(0), "e": whole(20), "a": whole(0)}), ("y = Identity (x)", {}), 1),
    "crops from the end": (IMAGE, (CROP, {"s": whole(0), "e": whole(-20), "a": whole(-4)}), (CROP, {"s": whole(0), "e": whole(-21), "a": whole(-4)}), 1),
    "a crop after a pool": (IMAGE, ("t = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (x) y = Slice (t, s, e, a)",
                                    {"s": whole(0), "e": whole(20), "a": whole(2)}),
                            ("y = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (x)", {}), 1),
    "a crop of what was transposed": (("float[N,M] x", ROWS[1]), ("t = Transpose <perm = [1, 0]> (x) u = Slice (t, s, e, a) y = Transpose <perm = [1, 0]> (u)",
                                                                  {"s": whole(0), "e": whole(30), "a": whole(0)}), ("y = Identity (x)", {}), 1),
    "a Pad that takes away": (IMAGE, ("y = Pad (x, p)", {"p": whole(0, 0, 0, 0, 0, 0, -5, 0)}), ("y = Identity (x)", {}), 1),
    "long steps": (("float[N] x", "float[?] y"), *(("y = Slice (x, s, e, a, t)", {"s": whole(0), "e": whole(1 << 62), "a": whole(0), "t": whole(step)})
                                                   for step in (30, 31)), 1),
    "rows of a matrix": (ROWS, ("t = MatMul (x, w) y = Slice (t, s, e, a)", {"w": SQUARE, "s": whole(0), "e": whole(10), "a": whole(0)}),
                         ("y = MatMul (x, w)", {"w": SQUARE}), 1),
    "rows that are gathered": (ROWS, ("y = Gather (x, i)", {"i": whole(0, 1, 20)}), ("y = Gather (x, i)", {"i": whole(0, 1, 21)}), 1),
    "a declared batch": (("float[4,3,8,8] x", IMAGE[1]), ("t = Relu (x) y = Slice (t, s, e, a)", {"s": whole(0), "e": whole(2), "a": whole(0)}),
                         ("y = Relu (x)", {}), 1),
    "a declared batch of images": (("float[4,3,H,W] x", IMAGE[1]),
                                   ("t = Conv (x, w) u = Slice (t, s, e, a) y = Concat <axis = 0> (u, u)",
                                    {"w": WINDOW[:, :, :1, :1], "s": whole(0), "e": whole(2), "a": whole(0)}),
                                   ("y = Conv (x, w)", {"w": WINDOW[:, :, :1, :1]}), 1),
    "a constant for each of a batch": (ROWS, ("y = Add (x, c)", {"c": WINDOW[0, 0, :4, :8]}),
                                       ("y = Add (x, c)", {"c": np.concatenate([WINDOW[0, 0, :2, :8]] * 2)}), 1),
    "a constant of the rows": (ROWS, ("y = Add (x, c)", {"c": WINDOW[0, 0, :4, :8]}), ("t = Mul (x, o) y = Add (t, c)", {"c": WINDOW[0, 0, :4, :8], "o": np.float32(1)}), 0),
    "a table cut to a length": (("float[N,L,6] x", "float[?,?,?] y"), *((CUT, {"t": t, "z": whole(0), "o": whole(1)}) for t in (LINES, OTHER_LINES)), 1),
    "one table cut to a length": (("float[N,L,6] x", "float[?,?,?] y"), (CUT, {"t": LINES, "z": whole(0), "o": whole(1)}),
                                  (CUT.replace("y = Add (x, p)", "q = Add (p, x) y = Identity (q)"), {"t": LINES, "z": whole(0), "o": whole(1)}), 0),
    "a table cut to the declared length": (("float[N,10,6] x", "float[?,?,?] y"), *((CUT, {"t": t, "z": whole(0), "o": whole(1)})
                                                                                     for t in (LINES, OTHER_LINES)), 0),
}


@pytest.mark.parametrize("name", FAR)
def test_what_either_model_reads_far_out(name, tmp_path):
    (x, y), (one, weights), (two, others), code = FAR[name]
    assert both_ways(parsed(one, x, y, **weights), parsed(two, x, y, **others), tmp_path) == {code}


@pytest.mark.parametrize("kind", [10, 16])
def test_types_between_casts_count(kind, tmp_path):
    """The coarsest type that takes part, of computed values too. What is off by more is still seen."""
    def build(cast, factor=1.0):
        body = f"c = Cast <to = {kind}> (x) r = Relu (c) z = Cast <to = 1> (r) y = Mul (z, k)" if cast else "z = Relu (x) y = Mul (z, k)"
        return parsed(body, "float[2,16] x", "float[2,16] y", k=np.float32(factor))

    assert both_ways(build(True), build(False), tmp_path) == {0}
    assert both_ways(build(True, 1.2), build(False), tmp_path) == {1}
    assert both_ways(build(False, 1.001), build(False), tmp_path) == {1}


def test_one_file_twice(tmp_path):
    """Whatever its operators are; and one structure."""
    model = parsed("a = LRN <size = 3> (x) y, i = f.Unknown (a)", "float[1,3,999,999] x", "float[?,?,?,?] y")
    other = copy_of(model)
    other.graph.node[0].output[0] = other.graph.node[1].input[0] = "another"
    assert verify(model, model, tmp_path)[0] == 0 and verify(model, other, tmp_path)[0] == 0


def test_operator_sets_of_a_function_are_its_own(tmp_path):
    """A foreign operator goes by the version that the function imports, not the model."""
    def build(version):
        return parsed("y = f.f (x)", "float[2] x", "float[2] y", functions=f'<domain: "f", opset_import: ["": 17, "other": {version}]> f (a) => (b) '
                      "{ b = other.Op (a) }")

    assert verify(build(1), build(1), tmp_path)[0] == 0 and verify(build(1), build(2), tmp_path)[0] == 2


# Files that no runtime loads


BROKEN = {
    "float types mixed": ("float[3] x", "y = Mul (x, k)", 17, {"k": np.float64(2)}, "Mul '' -> 'y' (graph main): input 0 ('x') is of type float, and input 1 ('k') of type double"),
    "a Conv of two types": ("float[1,2,5,5] x", "y = Conv (x, k)", 17, {"k": np.ones((1, 2, 1, 1))}, "input 1 ('k') of type double: Conv takes one type for both"),
    "in a body": ("bool c, float[3] x", "y = If (c) <then_branch = t () => (float[3] u) { u = Mul (x, k) }, else_branch = e () => (float[3] v) { v = Relu (x) }>",
                  17, {"k": np.float64(2)}, ".then_branch): input 0"),
    "in a function": ("float[3] x", "y = f.g (x, k)", 17, {"k": np.float64(2)}, "Mul '' -> 'y' (graph main): input 0"),
    "an operator of a later opset": ("float[3] x", "y = Gelu (x)", 14, {}, "Gelu is an operator of opset 20 and later, and opset 14 is imported"),
    "an operator of earlier opsets": ("float[1,1,3,3] x", "y = Upsample (x, k)", 11, {"k": np.ones(4, np.float32)}, "Upsample is not an operator since opset 10"),
    "an attribute of a later opset": ("float[3] x", "y = Cast <to = 1, saturate = 1> (x)", 17, {}, "Cast of opset 17 has no attribute 'saturate'"),
    "an attribute of earlier opsets": ("float[3] x", "y = Clip <max = 6.0> (x)", 11, {}, "Clip of opset 11 has no attribute 'max'"),
    "an operator that there is not": ("float[3] x", "y = Fancy (x)", 17, {}, "ai.onnx has no operator Fancy"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_no_runtime_loads_is_not_equal(name, tmp_path):
    """Whatever it would compute, and on both sides too, unless it is one file."""
    x, body, opset, weights, rule = BROKEN[name]
    function = '<domain: "f", opset_import: ["": 17]> g (a, b) => (c) { c = Mul (a, b) }' if "f.g" in body else ""
    broken = parsed(body, x, "float[?] y", opset, function, **weights)
    other = copy_of(broken)
    other.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "other"
    good = parsed("y = Relu (x)", x, "float[?] y", opset)
    for one, two, side in (good, broken, "second"), (broken, good, "first"), (broken, other, "second"):
        code, report = verify(one, two, tmp_path)
        assert code == 2 and f"the {side} model is not valid ONNX: " in report["reason"] and rule in report["reason"]
    assert verify(broken, broken, tmp_path)[0] == 0


def test_a_local_function_may_have_a_later_operators_name(tmp_path):
    one, two = (parsed(body, "float[3] x", "float[3] y", 14, '<domain: "", opset_import: ["": 14]> Gelu (a) => (b) { b = Relu (a) }')
                for body in ("t = Gelu (x) y = Identity (t)", "y = Gelu (x)"))
    assert "not valid" not in verify(one, two, tmp_path)[1]["reason"]


# Versions and outputs that change nothing


@pytest.mark.parametrize("one, two, code", [
    ((17, "y = LSTM <hidden_size = 4> (x, w, r)"), (18, "y = LSTM <hidden_size = 4> (x, w, r)"), 0),
    ((7, "y = LSTM <hidden_size = 4> (x, w, r)"), (22, "y, h, c = LSTM <hidden_size = 4> (x, w, r, , , , )"), 0),
    ((17, "y = LSTM <hidden_size = 4> (x, w, r)"), (17, "a, b, y = LSTM <hidden_size = 4> (x, w, r)"), 1),
])
def test_versions_and_outputs_that_change_nothing(one, two, code, tmp_path):
    weights = {"w": WINDOW.reshape(-1)[:48].reshape(1, 16, 3), "r": WINDOW.reshape(-1)[:64].reshape(1, 16, 4)}
    models = [parsed(body, "float[t,1,3] x", "float[?,?,?,?] y" if "a, b" not in body else "float[?,?,?] y", opset, **weights) for opset, body in (one, two)]
    assert both_ways(*models, tmp_path) == {code}


# What is the same in another place


def versions(one, two, x="float[N, 4] x", y="float[N, M] y"):
    """Two bodies, each with the opset it is written in."""
    return [onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": {opset}]> g ({x}) => ({y}) {{ {body} }}') for opset, body in (one, two)]


def ints(name, *numbers):
    return f"{name} = Constant <value_ints = [{', '.join(map(str, numbers))}]> () "


MOVED = {
    "clip": ((10, "y = Clip <min = 0.0, max = 6.0> (x)"),
             (17, "l = Constant <value_float = 0.0> () h = Constant <value_float = 6.0> () y = Clip (x, l, h)")),
    "clip above": ((10, "y = Clip <max = 6.0> (x)"), (17, "h = Constant <value_float = 6.0> () y = Clip (x, , h)")),
    "pad": ((10, "y = Pad <pads = [0, 1, 0, 2]> (x)"), (18, ints("p", 0, 1, 0, 2) + "y = Pad (x, p)")),
    "reduce": ((13, "y = ReduceMean <axes = [1]> (x)"), (18, ints("a", 1) + "y = ReduceMean (x, a)")),
    "slice": ((9, "y = Slice <axes = [1], starts = [1], ends = [3]> (x)"),
              (17, ints("s", 1) + ints("e", 3) + ints("a", 1) + "y = Slice (x, s, e, a)")),
    "split": ((11, "a, b = Split <axis = 1, split = [1, 3]> (x) y = Concat <axis = 1> (b, a)"),
              (17, ints("s", 1, 3) + "a, b = Split <axis = 1> (x, s) y = Concat <axis = 1> (b, a)")),
    "topk": ((9, "y, i = TopK <k = 2> (x)"), (17, ints("k", 2) + "y, i = TopK (x, k)")),
    "unsqueeze": ((11, "a = Unsqueeze <axes = [1]> (x) y = Squeeze <axes = [1]> (a)"),
                  (17, ints("a", 1) + "b = Unsqueeze (x, a) y = Squeeze (b, a)")),
}


@pytest.mark.parametrize("name", MOVED)
def test_attributes_that_became_inputs_are_the_same(name, tmp_path):
    models = versions(*MOVED[name])
    for a, b in (models, models[::-1]):
        code, report = verify(a, b, tmp_path)
        assert code == 0 and report["regions"] == [] and report["whole_inputs"] == 0


@pytest.mark.parametrize("name, other", [("clip", "max = 6.0"), ("pad", "0, 2]"), ("reduce", "axes = [1]"), ("slice", "ends = [3]"), ("topk", "k = 2")])
def test_and_told_apart_where_they_say_something_else(name, other, tmp_path):
    (opset, body), two = MOVED[name]
    changed = other.replace("6.0", "7.0").replace("2]", "1]").replace("axes = [1]", "axes = [0]").replace("[3]", "[2]").replace("k = 2", "k = 1")
    assert other in body
    code, _ = verify(*versions((opset, body.replace(other, changed)), two), tmp_path)
    assert code == 1


NEUTRAL = ["a = Identity (x) y = Tanh (a)", "a = Cast <to = 1> (x) y = Tanh (a)", "k = Constant <value_float = 0.0> () a = Add (k, x) y = Tanh (a)",
           "k = Constant <value_float = 1.0> () a = Mul (x, k) b = Div (a, k) c = Pow (b, k) y = Tanh (c)",
           "k = Constant <value = float[1, 4] {0, 0, 0, 0}> () a = Sub (x, k) y = Tanh (a)",
           "a = Transpose <perm = [1, 0]> (x) b = Transpose (a) y = Tanh (b)", "a = Sum (x) b = Max (a) c = Concat <axis = 0> (b) y = Tanh (c)",
           ints("s", -1, 4) + "a = Reshape (x, s) y = Tanh (a)", ints("s", 2, 2, -1) + ints("t", -1, 4) + "a = Reshape (x, s) b = Reshape (a, t) y = Tanh (b)",
           "a = Dropout (x) y = Tanh (a)", "a = Clip (x) y = Tanh (a)", ints("p", 0, 0, 0, 0) + "a = Pad (x, p) y = Tanh (a)",
           ints("r", 1, 1) + "a = Tile (x, r) y = Tanh (a)",
           ints("s", 0) + ints("e", 9223372036854775807) + "a = Slice (x, s, e) y = Tanh (a)"]
NOT_NEUTRAL = ["k = Constant <value_float = 0.0> () a = Sub (k, x) y = Tanh (a)", "k = Constant <value_float = 1.0> () a = Div (k, x) y = Tanh (a)",
               "k = Constant <value = float[1, 1, 4] {0, 0, 0, 0}> () a = Add (x, k) y = Tanh (a)", "a = Transpose (x) y = Tanh (a)",
               ints("s", 0) + ints("e", 3) + "a = Slice (x, s, e) y = Tanh (a)", ints("p", 0, 0, 1, 0) + "a = Pad (x, p) y = Tanh (a)",
               ints("s", 4, -1) + "a = Reshape (x, s) y = Tanh (a)", "a = Cast <to = 6> (x) b = Cast <to = 1> (a) y = Tanh (b)",
               ints("a", 0) + "b = Unsqueeze (x, a) y = Tanh (b)"]


@pytest.mark.parametrize("body", NEUTRAL)
def test_what_changes_nothing_is_looked_through(body, tmp_path):
    models = versions((17, "y = Tanh (x)"), (17, body))
    for a, b in (models, models[::-1]):
        code, report = verify(a, b, tmp_path)
        assert code == 0 and report["regions"] == [] and report["whole_inputs"] == 0


@pytest.mark.parametrize("body", NOT_NEUTRAL)
def test_what_changes_something_is_not(body, tmp_path):
    # of another rank perhaps, so the output's is not declared
    models = versions((17, "y = Tanh (x)"), (17, body), y="float y")
    for model in models:
        model.graph.output[0].type.tensor_type.ClearField("shape")
    for a, b in (models, models[::-1]):
        assert verify(a, b, tmp_path)[0] == 1


# The interface


def test_other_names_pair_by_position(tmp_path):
    a = text_model("y = Sub (p, q)", "float[N, 4] p, float[N, 4] q", "float[N, 4] y")
    b = text_model("r = Sub (u, v)", "float[N, 4] u, float[N, 4] v", "float[N, 4] r")
    swapped = text_model("r = Sub (v, u)", "float[N, 4] u, float[N, 4] v", "float[N, 4] r")
    code, report = verify(a, b, tmp_path)
    assert code == 0 and report["note"] == "input 'u' is paired with 'p', input 'v' is paired with 'q', output 'r' is paired with 'y'"
    assert verify(a, swapped, tmp_path)[0] == 1


def test_names_go_before_positions(tmp_path):
    a = text_model("y = Sub (p, q)", "float[N, 4] p, float[N, 4] q", "float[N, 4] y")
    b = text_model("y = Sub (p, r)", "float[N, 4] r, float[N, 4] p", "float[N, 4] y")
    code, report = verify(a, b, tmp_path)
    assert code == 0 and report["note"] == "input 'r' is paired with 'q'"


def test_outputs_that_only_the_second_has(tmp_path):
    a = text_model("y = Sin (x)", "float[N] x", "float[N] y")
    b = text_model("y = Sin (x) z = Cos (x)", "float[N] x", "float[N] z, float[N] y")
    assert verify(a, b, tmp_path)[1]["reason"] == "the interfaces differ: only the second model has the output 'z'"
    assert verify(a, b, tmp_path, "--outputs", "common")[0] == 0
    assert verify(b, a, tmp_path, "--outputs", "common")[1]["reason"] == "the interfaces differ: only the first model has the output 'z'"


def test_shapes_that_no_input_has_both_of(tmp_path):
    a, b = (text_model("y = Relu (x)", f"float[{x}] x", "float[A, B, C, D] y") for x in ("N, 3, 64, 64", "1, 6, 9, 11"))
    code, report = verify(a, b, tmp_path)
    assert (code, report["reason"]) == (1, "the interfaces differ: the input 'x' has different shapes: [N, 3, 64, 64] and [1, 6, 9, 11]")
    c = text_model("y = Relu (x)", "float[1, 3, 64, 64] x", "float[A, B, C, D] y")
    assert verify(a, c, tmp_path)[0] == 0


# Both whole models


def perceptron(layers, seed=0, order=None, names="", last=0.0):
    """`order`: hidden channels stand in this order, which changes nothing that comes out."""
    rng = np.random.default_rng(seed)
    order = np.arange(4) if order is None else np.array(order)
    nodes, tensors, value = [], [], "x"
    for i in range(layers):
        weight, bias = rng.uniform(-1, 1, (4, 4)).astype(np.float32), rng.uniform(-1, 1, 4).astype(np.float32)
        weight = weight if i == 0 else weight[order]
        if i + 1 < layers:
            weight, bias = weight[:, order], bias[order]
        else:
            bias = bias + np.float32(last)
        tensors += [numpy_helper.from_array(weight, f"{names}w{i}"), numpy_helper.from_array(bias, f"{names}b{i}")]
        nodes += [helper.make_node("MatMul", [value, f"{names}w{i}"], [f"{names}m{i}"]), helper.make_node("Add", [f"{names}m{i}", f"{names}b{i}"], [f"{names}a{i}"])]
        value = f"{names}a{i}"
        if i + 1 < layers:
            nodes.append(helper.make_node("Tanh", [value], [f"{names}t{i}"]))
            value = f"{names}t{i}"
    nodes.append(helper.make_node("Identity", [value], ["y"]))
    shapes = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 4]) for n in "xy"]
    return helper.make_model(helper.make_graph(nodes, "g", shapes[:1], shapes[1:], tensors), opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def test_whole_models_have_the_last_word(tmp_path):
    # No value between is equal, and there are more than one region may hold.
    a = perceptron(1500)
    code, report = verify(a, perceptron(1500, order=[2, 0, 3, 1], names="p"), tmp_path)
    assert code == 0 and report["whole_inputs"] >= 2, report["reason"]
    code, report = verify(a, perceptron(1500, order=[2, 0, 3, 1], names="p", last=0.01), tmp_path)
    assert code == 1 and report["departure"]["b"] == "y"
    # Where names are the same, the first that departs is told.
    code, report = verify(a, perceptron(1500, last=0.01), tmp_path)
    assert code == 1 and report["departure"]["b"] == "a1499"


def test_an_absolute_difference_that_is_allowed(tmp_path):
    a, b = (text_model(f"k = Constant <value_float = {k}> () y = Add (x, k)", "float[N, 4] x", "float[N, 4] y") for k in ("1.0", "1.01"))
    assert verify(a, b, tmp_path)[0] == 1
    assert verify(a, b, tmp_path, "--atol", "0.02")[0] == 0
    assert verify(a, b, tmp_path, "--atol", "0.005")[0] == 1


FUSED = {
    "QuickGelu": ("<alpha = 1.0> (x)", "s = Sigmoid (x) y = Mul (x, s)"),
    "Gelu": ("(x)", "y = Gelu (x)"),
    "FastGelu": ("(x)", "y = Gelu <approximate = \"tanh\"> (x)"),
    "FusedMatMul": ("<alpha = 0.5, transA = 1> (x, w)", "t = Transpose <perm = [0, 2, 1]> (x) m = MatMul (t, w) h = Constant <value_float = 0.5> () y = Mul (m, h)"),
    "FusedConv": ("<activation = \"Relu\"> (x, c)", "t = Conv (x, c) y = Relu (t)"),
    "FusedGemm": ("<activation = \"Tanh\", transB = 1> (v, w)", "t = Gemm <transB = 1> (v, w) y = Tanh (t)"),
    "SkipLayerNormalization": ("<epsilon = 0.001> (x, x, g)", "t = Add (x, x) y = LayerNormalization <epsilon = 0.001> (t, g)"),
}


@pytest.mark.parametrize("op", FUSED)
def test_operators_of_onnx_runtime(op, tmp_path):
    def model(body):
        return onnx.parser.parse_model(f"""<ir_version: 9, opset_import: ["": 20, "com.microsoft": 1]> g (float[2, 4, 4] x, float[3, 4] v) => (float y)
            <float[4, 4] w = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 8}}, float[1, 4, 1] c = {{1, -2, 3, -4}}, float[4] g = {{1, 2, -1, 3}}> {{ {body} }}""")
    tail, plain = FUSED[op]
    models = [model(f"y = com.microsoft.{op} {tail}"), model(plain)]
    for m in models:
        m.graph.output[0].type.tensor_type.ClearField("shape")
    wrong = copy_of(models[1])
    wrong.graph.node[-1].output[0] = "z"
    wrong.graph.node.append(helper.make_node("Abs", ["z"], ["y"]) if op != "FusedConv" else helper.make_node("Neg", ["z"], ["y"]))
    for a, b in (models, models[::-1]):
        assert verify(a, b, tmp_path)[0] == 0
    assert verify(models[0], wrong, tmp_path)[0] == 1


def float16_sum(fused):
    """x1 times two constants and a default that a caller may override, which moves beside it; or the same in one product."""
    body = ("m = MatMul (x, w) t = Sub (u, m) y = Sub (t, c)" if fused else
            "a = Mul (x, p) b = Mul (x, q) s = Sum (c, b) d = Sub (u, a) y = Sub (d, s)")
    model = onnx.parser.parse_model(f"""<ir_version: 6, opset_import: ["": 10]> g (float[N, 1] x, float[M, 1, K] u, float[1, 1, 1] c) => (float[O, P, K] y)
        <float[1, 1] p = {{0.5}}, float q = {{-0.75}}, float[1, 1] w = {{-0.25}}> {{ {body} }}""")
    model.graph.initializer.append(numpy_helper.from_array(np.full((1, 1, 1), -0.5, np.float32), "c"))
    return model


def test_a_default_is_one_input_of_both(tmp_path):
    for order in (False, True), (True, False):
        code, report = verify(*map(float16_sum, order), tmp_path)
        assert code == 0, report["reason"]


def bfloat16_model(body, **constants):
    shapes = [helper.make_tensor_value_info(n, TensorProto.BFLOAT16, dims) for n, dims in (("x", [1, 1]), ("v", [2, 24, 2]))]
    graph = onnx.parser.parse_graph(f"g (bfloat16[1, 1] x, bfloat16[2, 24, 2] v) => (bfloat16 y) {{ {body} }}")
    graph.ClearField("input")
    graph.input.extend(shapes)
    graph.output[0].type.tensor_type.ClearField("shape")
    graph.initializer.extend(numpy_helper.from_array(np.array(c, BFLOAT16), n) for n, c in constants.items())
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)


def test_channels_of_one_number_that_cancel(tmp_path):
    weight, scale = [[-0.5546875, -0.462890625, 0.1318359375]], -0.73046875 * 0.5703125
    split = bfloat16_model("a = BatchNormalization <epsilon = 0.1> (x, s, b, m, d) p = MatMul (a, u) q = MatMul (p, w) y = Mul (q, h)",
                           s=[-0.68359375], b=[0.56640625], m=[0.98046875], d=[1.2890625], u=[[-0.73046875]], w=weight, h=0.5703125)
    factor = -0.68359375 / np.sqrt(1.2890625 + 0.1)
    fused = {"w": factor * scale * np.array(weight), "c": (0.56640625 - 0.98046875 * factor) * scale * np.array(weight[0])}
    assert verify(split, bfloat16_model("y = Gemm (x, w, c)", **fused), tmp_path)[0] == 0
    fused["c"][2] *= 1.25
    assert verify(split, bfloat16_model("y = Gemm (x, w, c)", **fused), tmp_path)[0] == 1


def test_what_is_alike_within_a_wide_tolerance_is_not_the_same(tmp_path):
    # Beside the large column, v * w and v * w + v look alike; what is added to both is not.
    weight = np.array([[6.03125, -44.75], [-0.00634765625, -0.0025177001953125]])
    apart = bfloat16_model("m = MatMul (v, w) t = Tanh (v) y = Sum (m, t, v)", w=weight)
    joined = bfloat16_model("m = MatMul (v, w) t = Tanh (v) y = Add (m, t)", w=weight + np.eye(2))
    assert verify(apart, joined, tmp_path)[0] == 0
    assert verify(apart, bfloat16_model("m = MatMul (v, w) t = Tanh (v) y = Add (m, t)", w=weight + 6 * np.eye(2)), tmp_path)[0] == 1
