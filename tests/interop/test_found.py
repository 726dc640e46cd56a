"""Faults that were found by looking for them: one model each, as text, that is fused and compared under ONNX Runtime."""
import numpy as np
import onnx
import pytest
from onnx import parser
from onnx.reference import ReferenceEvaluator

from tests.support.tool import assert_equal_under_ort, check_valid, count_ops, fuse

HEAD = '<ir_version: 8, opset_import: ["": 17]>\n'
LOCAL = '<ir_version: 8, opset_import: ["": 17, "f": 1]>\n'
BODY = '<domain: "f", opset_import: ["": 17]>\n'
EIGHT = ", ".join(str(k / 4 - 0.9) for k in range(8))

# name: the model, and counts of ops in what comes out (of its function, where it has one); {}: it stays; None: left open
MODELS = {
    "Floor of a product that float rounds up to a whole number": (HEAD + """
g (float[1,1,2,2] x) => (float[1,1,2,2] y) <float s = {0.7}, float t = {10.0}, float[1,1,1,1] one = {1}>
{ m = Mul (s, t)  f = Floor (m)  w = Mul (one, f)  y = Conv (x, w) }""", {"Conv": 1, "Floor": 0}),
    "the same as an integer": (HEAD + """
g (float[1,1,2,2] x) => (float[1,1,2,2] y) <float s = {0.7}, float t = {10.0}, float[1,1,1,1] one = {1}>
{ m = Mul (s, t)  i = Cast <to = 7> (m)  f = Cast <to = 1> (i)  w = Mul (one, f)  y = Conv (x, w) }""", {"Conv": 1, "Cast": 0}),
    "an amount of a Pad from the same": (HEAD + """
g (float[1,1,4,4] x) => (float[1,1,6,6] y)
<float s = {0.7}, float t = {10.0}, int64[1] six = {6}, int64[1] none = {0}, int64[1] one = {1}, float[1,1,1,1] w = {2}, float[1,1,1,1] v = {3}>
{ m = Mul (s, t)  i = Cast <to = 7> (m)  p = Sub (i, six)
  pads = Concat <axis = 0> (none, none, p, p, none, none, one, one)
  a = Pad (x, pads)  b = Conv (a, w)  y = Conv (b, v) }""", None),
    "a sum that float rounds away": (HEAD + """
g (float[1,1,2,2] x) => (float[1,1,2,2] y) <float[1,1,1,1] s = {100000000.0}, float[1,1,1,1] t = {1.5}>
{ m = Add (s, t)  w = Sub (m, s)  y = Conv (x, w) }""", {"Conv": 1, "Sub": 0}),
    "a source whose name means another value in the body": (HEAD + """
g (float[1,1,2,2] x, float[1,1,2,2] z) => (float[1,1,2,2] y) <float[1,1,1,1] p = {2}, float[1,1,1,1] q = {3}, int64 n = {1}>
{ a = Mul (x, p)  b = Mul (x, q)
  y = Loop (n, , z) <body = l (int64 i, bool c, float[1,1,2,2] x) => (bool d, float[1,1,2,2] o)
   { d = Identity (c)  u = Conv (a, p)  v = Conv (b, q)  o = Add (u, v) }> }""", None),
    "a constant that widens a value of unknown width": (LOCAL + """
g (float[3,1] x) => (float[3,4] y) { y = f.f (x) }
""" + BODY + """
f (x) => (y) { c = Constant <value_floats = [1.0, 2.0]> ()  m = Mul (x, c)
  w = Constant <value = float[2,4] {""" + EIGHT + """}> ()  y = MatMul (m, w) }""", {}),
    "a constant that adds an axis to a value of unknown rank": (LOCAL + """
g (float[2,3] x) => (float[1,2,3] y) { y = f.f (x) }
""" + BODY + """
f (x) => (y) { c = Constant <value = float[1,1,1] {2.0}> ()  m = Mul (x, c)
  w = Constant <value = float[2,2,1] {1, 2, 3, 4}> ()  y = Conv (m, w) }""", {}),
    "a product that tells the rank and the width": (LOCAL + """
g (float[3,2] x) => (float[3,4] y) { y = f.f (x) }
""" + BODY + """
f (x) => (y) { w = Constant <value = float[2,4] {""" + EIGHT + """}> ()  m = MatMul (x, w)
  c = Constant <value_floats = [1.0, 2.0, 3.0, 4.0]> ()  n = Mul (m, c)  d = Constant <value_floats = [2.0]> ()  y = Mul (n, d) }""",
                                                    {"Gemm": 1, "MatMul": 0, "Mul": 0}),  # the call knows that it has two axes
    "a Squeeze of an empty list, on which runtimes disagree": ("""<ir_version: 8, opset_import: ["": 17]>
g (float[1,4,6,4] x) => (float[1,4,6,4] y) <float[4,4,1,1] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7}, float[4,1,1] s = {1, 2, 3, 4}, int64[0] none = {}>
{ a = Conv (x, w)  q = Squeeze (s, none)  y = Mul (a, q) }""", {}),
    "a weight that is computed and has no numbers": ("""<ir_version: 4, opset_import: ["": 8]>
g (float[1,3,6,6] x) => (float[1,2,6,2] y) <float[2,3,1,5] w = {""" + ", ".join(["1"] * 30) + """}>
{ e = Slice <axes = [2], starts = [1], ends = [1]> (w)  y = Conv <kernel_shape = [1, 5]> (x, e) }""", "stays"),
    "double: a sum that has no Conv": ('<ir_version: 8, opset_import: ["": 15]>' + """
g (double[1,2,3,3] x) => (double[1,2,3,3] y) <double[2,1,1] s = {2, 3}, double[2] b = {1, 1}, double[2] m = {0, 1}, double[2] v = {1, 4}>
{ a = Mul (x, s)  n = BatchNormalization (x, b, b, m, v)  c = Add (a, n)  y = Add (c, x) }""", {"Conv": 0}),
    "a weight that is turned, and nobody says its shape": (HEAD + """
g (float[1,2,3,3] x) => (float[1,4,3,3] y) <float[2,4,1,1] w0 = {""" + EIGHT + """}, float[4,1,1] s = {2, 3, 4, 5}>
{ w = Transpose <perm = [1, 0, 2, 3]> (w0)  a = Conv (x, w)  y = Mul (a, s) }""", {"Conv": 1, "Mul": 0}),
    "a Dropout whose mask is an output": (HEAD + """
g (float[1,2,5] x) => (float[1,2,3] y, bool[1,2,3] mask)
<float[2,2,3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, float[2] s = {2, 3}, float[2] b = {1, 1}, float[2] m = {0, 0}, float[2] v = {1, 4}>
{ a = Conv (x, w)  n = BatchNormalization (a, s, b, m, v)  y, mask = Dropout (n) }""", {"Conv": 1, "BatchNormalization": 0, "Dropout": 1}),
}


@pytest.mark.parametrize("name", MODELS)
def test_found(name, tmp_path):
    text, counts = MODELS[name]
    model = parser.parse_model(text)
    if counts != "stays":  # what only some take for a model
        check_valid(model)
    result = fuse(model, tmp_path)
    assert result.code == 0, result.stderr
    assert not result.report["warnings"], result.report["warnings"]
    if counts in ({}, "stays"):
        assert result.data == model.SerializeToString(), "it must stay as it is"
        return
    check_valid(result.model)
    assert_equal_under_ort(model, result.model)
    ops = [n.op_type for n in (result.model.functions[0] if result.model.functions else result.model.graph).node]
    assert {op: ops.count(op) for op in counts or {}} == (counts or {})


def test_a_new_name_avoids_what_is_described_only(tmp_path):
    """Optimizers leave value_info behind; it would give a new value another type."""
    model = parser.parse_model(HEAD + """
g (float[1,2,4] x, float[1,2,4] z) => (float[1,2,4] y) <float[2,2,1] w = {1, 2, 3, 4}, float[2,2,1] v = {1, 2, 3, 5}>
{ a = Conv (x, w)  b = Conv (x, v)  r = Relu (z)  c = Add (a, r)  y = Add (c, b) }""")
    for name in ("a.fused", "y.sum", "a.fused.weight"):
        model.graph.value_info.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, [1]))
    result = fuse(model, tmp_path)
    assert result.report["fusions"]
    new = {o for n in result.model.graph.node for o in n.output} | {t.name for t in result.model.graph.initializer}
    assert not new & {"a.fused", "y.sum", "a.fused.weight"}
    assert_equal_under_ort(model, result.model)


def test_bfloat16_makes_no_conv_where_conv_takes_none(tmp_path):
    """Conv takes bfloat16 from opset 22 on, Mul and Neg from 13."""
    for opset, convs in ((16, 0), (22, 1)):
        model = parser.parse_model(f'<ir_version: 10, opset_import: ["": {opset}]>' + """
g (bfloat16[3,2,5,5] x) => (bfloat16[3,2,5,5] y) <bfloat16[2,1,1] c = {2, 3}>
{ a = Mul (x, c)  b = Neg (x)  d = Add (a, b)  e = Add (d, x)  y = Sub (e, c) }""")
        result = fuse(model, tmp_path)
        check_valid(result.model)
        assert count_ops(result.model).get("Conv", 0) == convs, opset
        if convs:
            x = {"x": np.ones((3, 2, 5, 5), onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.BFLOAT16))}
            for a, b in zip(ReferenceEvaluator(model).run(None, x), ReferenceEvaluator(result.model).run(None, x)):
                assert np.allclose(np.asarray(a, np.float32), np.asarray(b, np.float32), rtol=0.05)


# What a second run would fold, or nobody would: the body, the weights' shapes, the ops that come of it.
FOUR = "g (float[N,8,9,9] x) => (float[a,b,c,d] y) "
ROWS = "g (float[B,S,8] x) => (float[a,b,c] y) "
ONE_RUN = {
    "two linear layers": (ROWS + "{ a = MatMul (x, w) c = Add (a, b) d = MatMul (c, v) y = Add (d, t) }",
                          {"w": (8, 8), "b": (8,), "v": (8, 4), "t": (4,)}, {"MatMul": 1, "Add": 1}),
    "linear branches, then a linear layer": (ROWS + "{ a = MatMul (x, w) c = Add (a, b) d = MatMul (x, u) e = Add (d, b) f = Add (c, e) h = MatMul (f, v) y = Add (h, t) }",
                                             {"w": (8, 2), "u": (8, 2), "b": (2,), "v": (2, 8), "t": (8,)}, {"MatMul": 2, "Add": 1}),
    "a bias that a sum of channels takes up": ("g (float[1,5,6] x) => (float[a,b,c] y) { a = MatMul (x, w) b = Sub (a, s) c = Mul (b, m) d = MatMul (c, v) "
                                               "e = Sub (d, t) f = Add (e, d) y = Sub (f, k) }",
                                               {"w": (6, 6), "s": (6,), "m": (6,), "v": (6, 1), "t": (5, 1), "k": (5, 1)}, {"MatMul": 1, "Conv": 1}),
    "a linear layer, a shortcut, a scale": (ROWS + "{ a = MatMul (x, w) c = Add (a, b) d = Add (c, x) y = Mul (d, b) }",
                                            {"w": (8, 8), "b": (8,)}, {"MatMul": 1, "Add": 1}),
    "a sign before two": (ROWS + "{ r = Relu (x) n = Neg (r) a = MatMul (n, w) c = Add (a, b) d = MatMul (n, v) y = Add (c, d) }",
                          {"w": (8, 8), "b": (8,), "v": (8, 8)}, {"Relu": 1, "MatMul": 1, "Add": 1}),
    "branches, cropped and scaled": (FOUR + "{ a = Conv <pads = [1, 1, 1, 1]> (x, w) c = Conv <pads = [1, 1, 1, 1]> (x, v) "
                                     "b = Slice (c, one, last, two) d = Mul (b, s) y = Add (a, d) }",
                                     {"w": (8, 8, 3, 3), "v": (8, 8, 1, 3), "s": (1, 8, 1, 1), "one": [1], "last": [-1], "two": [2]}, {"Conv": 1}),
    "padding of two axes": (FOUR + '{ a = Pad (x, p, "", axes) b = Mul (a, s) y = Conv (b, w) }',
                            {"w": (8, 8, 3, 3), "s": (1, 8, 1, 1), "p": [1, 1, 1, 1], "axes": [2, 3]}, {"Conv": 1}),
    "a scale that is computed": (FOUR + "{ a = Conv (x, w) u = Unsqueeze (s, two) b = Mul (a, u) y = Add (b, t) }",
                                 {"w": (8, 8, 3, 3), "s": (8, 1), "t": (1, 8, 1, 1), "two": [2]}, {"Conv": 1}),
    "a shortcut of an image made larger": (FOUR + '{ r = Resize <mode = "nearest"> (x, "", k) b = BatchNormalization (r, g, g, g, g) y = Add (r, b) }',
                                           {"k": [1.0, 1.0, 2.0, 2.0], "g": (8,)}, {"Resize": 1, "Conv": 1}),
    "a shortcut of a part": (FOUR + "{ r, q = Split <axis = 1> (x, k) b = BatchNormalization (r, g, g, g, g) c = Add (r, b) y = Concat <axis = 1> (c, q) }",
                             {"k": [4, 4], "g": (4,)}, {"Split": 1, "Conv": 1, "Concat": 1}),
    "an activation that was trained away": (
        FOUR + "{ a = Conv (x, w) r = LeakyRelu <alpha = 1.0> (a) y = Conv (r, v) }", {"w": (8, 8, 3, 3), "v": (8, 8, 1, 1)}, {"Conv": 1}),
    "an activation that is being trained away": (
        FOUR + "{ a = Conv (x, w) r = LeakyRelu <alpha = 0.999> (a) y = Conv (r, v) }", {"w": (8, 8, 3, 3), "v": (8, 8, 1, 1)}, {"Conv": 2, "LeakyRelu": 1}),
    "a bias like the data in type": (
        FOUR + "{ s = Shape <end = 1> (w) k = CastLike (z, x) b = Expand (k, s) a = Conv <pads = [1, 1, 1, 1]> (x, w, b) n = BatchNormalization (a, g, g, g, g) "
        "d = CastLike (z, n) e = Expand (d, s) c = Conv (x, v, e) m = BatchNormalization (c, g, g, g, g) y = Add (n, m) }",
        {"w": (8, 8, 3, 3), "v": (8, 8, 1, 1), "g": (8,), "z": (1,)}, {"Conv": 1}),
    "a value whose rank and type the ops behind it tell": (
        "g (float[2,4,5,5] x, int64 n, bool c) => (float[a,b,d,e] y) { r = Loop <body = l (int64 i, bool t, s) => (bool u, v) { u = Identity (t) v = Neg (s) }> (n, c, x) "
        "a = BatchNormalization (r, g, g, g, g) b = Conv (a, w) k = Mul (r, m) y = Add (b, k) }",
        {"g": (4,), "w": (4, 4, 1, 1), "m": (1, 4, 1, 1)}, {"Loop": 1, "Identity": 1, "Neg": 1, "Conv": 1}),
    "a shortcut of what was turned": (FOUR + "{ r = Transpose <perm = [0, 1, 3, 2]> (x) b = BatchNormalization (r, g, g, g, g) y = Add (r, b) }",
                                      {"g": (8,)}, {"Transpose": 1, "Conv": 1}),
    "a shift that a Conv reads, and a product that was joined before": (
        "g (float[2,1,2] x) => (float[2,1,2] y) { m = Mul (x, c) a = Add (m, s) d = Add (t, a) p = MatMul (d, w) n = Neg (d) e = Conv (d, k, b) "
        "q = Add (n, p) u = Sub (d, v) r = Sub (u, e) z = Add (q, r) y = Add (d, z) }",
        {"c": (2, 1, 2), "s": (1, 1, 1), "t": (2,), "v": (1, 2), "w": (2, 2), "k": (1, 1, 1), "b": (1,)}, {"Mul": 1, "Add": 3, "Conv": 1, "MatMul": 1}),
    "a sum between two Transposes that becomes a product": (
        "g (float[1,6,4,4] x) => (float[1,4,4,1] y, float[1,4,4,6] r) { t = Transpose <perm = [0, 2, 3, 1]> (x) g = Gather <axis = -1> (t, k) "
        "p = MatMul (t, w) s = Add (p, g) f = Transpose <perm = [0, 3, 1, 2]> (s) c = Conv <pads = [1, 1, 1, 1]> (f, d) n = Mul (s, e) "
        "o = Transpose <perm = [0, 2, 3, 1]> (c) y = Add (o, n) r = Relu (t) }",
        {"w": (6, 1), "k": [-1], "d": (1, 1, 3, 3), "e": (1,)}, {"Transpose": 2, "Relu": 1, "Conv": 2}),
    "a product before a Transpose that others read": (
        "g (float[2,4,6,8] x) => (float[2,12,6,8] y, float[2,12,6,8] f, float[2,6,6,12] z) { t = Transpose <perm = [0, 2, 3, 1]> (x) g = Tile (t, k) "
        "[product] p = MatMul (t, w) s = Add (p, g) h = Transpose <perm = [0, 3, 1, 2]> (s) i = Conv <pads = [1, 1, 1, 1]> (h, d) m = Mul (s, c) "
        "f = Transpose <perm = [0, 3, 1, 2]> (m) y = Add (i, f) e = Conv <pads = [1, 1, 1, 1]> (m, v) z = Relu (e) }",
        {"w": (4, 12), "c": (12,), "k": [1, 1, 1, 3], "d": (12, 12, 3, 3), "v": (6, 6, 3, 3)}, {"Transpose": 2, "MatMul": 1, "Conv": 2, "Relu": 1}),
}


@pytest.mark.parametrize("name", ONE_RUN)
def test_one_run_is_enough(name, tmp_path):
    body, weights, expect = ONE_RUN[name]
    model = parser.parse_model('<ir_version: 8, opset_import: ["": 18]> ' + body)
    rng = np.random.default_rng(3)
    for weight, shape in weights.items():
        value = np.array(shape, np.float32 if isinstance(shape[0], float) else np.int64) if isinstance(shape, list) else \
            rng.uniform(0.5, 1, shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, weight))
    result = fuse(model, tmp_path)
    assert count_ops(result.model) == expect, result.reasons()
    assert_equal_under_ort(model, result.model)
    (tmp_path / "again").mkdir()
    assert fuse(result.model, tmp_path / "again").data == result.data
