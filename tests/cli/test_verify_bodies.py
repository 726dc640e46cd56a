"""verify evaluates bodies, calls of functions, sequences and texts as they run; what never ran is not taken for equal."""
import onnx
import pytest

from tests.cli.test_verify import verify

IF = """g (float[2,3] x, bool c) => (float[2,3] y) {
    y = If(c) <then_branch = t () => (float[2,3] a) { k = Constant<value_float=2.0>() a = Mul(x, k) },
               else_branch = e () => (float[2,3] b) { b = Neg(x) }> }"""
WHERE = """g (float[2,3] x, bool c) => (float[2,3] y) {
    k = Constant<value_float=2.0>() a = Mul(x, k) b = %s(x) y = Where(c, a, b) }"""
RARELY = """g (float[2,3] x) => (float[2,3] y) {
    big = Constant<value_float=100000.0>() s = ReduceSum<keepdims=0>(x) c = Greater(s, big)
    y = If(c) <then_branch = t () => (float[2,3] a) { k = Constant<value_float=2.0>() a = Mul(x, k) },
               else_branch = e () => (float[2,3] b) { b = Neg(x) }> }"""
LOOP = """g (float[2,3] x) => (float[2,3] y) { n = Constant<value_int=3>()
    y = Loop(n, , x) <body = b (int64 i, bool c, float[2,3] s) => (bool d, float[2,3] t) { d = Identity(c) t = Add(s, x) }> }"""
TRIPS = """g (float[2,3] x, int64 n) => (float[2,3] y) {
    y = Loop(n, , x) <body = b (int64 i, bool c, float[2,3] s) => (bool d, float[2,3] t) { d = Identity(c) t = Add(s, x) }> }"""
TIMES = """g (float[2,3] x, int64 n) => (float[2,3] y) {
    one = Constant<value_int=1>() p = Add(n, one) f = Cast<to=1>(p) y = Mul(x, f) }"""
SCALE = "g (float[2,3] x) => (float[2,3] y) { k = Constant<value_float=%s>() y = Mul(x, k) }"
TWICE = """g (float[2,3] x) => (float[2,3] y) { y = f.scaled<by=2.0>(x) }
    <domain: "f", opset_import: ["" : 17]> scaled<by>(x) => (y) { k = Constant<value_float: float = @by>() y = Mul(x, k) }"""
WIDE = """g (float[1,2,9,9] x, bool c) => (float[1,2,9,9] y) {
    y = If(c) <then_branch = t () => (float[1,2,9,9] a) {
                   w = Constant<value = float[2,1,7,7] {%s}>() a = Conv<pads=[3,3,3,3], group=2>(x, w) },
               else_branch = e () => (float[1,2,9,9] b) { b = Neg(x) }> }"""
INLINE = """g (float[1,2,9,9] x, bool c) => (float[1,2,9,9] y) {
    w = Constant<value = float[2,1,7,7] {%s}>() a = Conv<pads=[3,3,3,3], group=2>(x, w) b = Neg(x) y = Where(c, a, b) }"""
PAIR = "g (float[2,3] x) => (seq(float[2,3]) s) { z = Neg(x) s = SequenceConstruct(x, z) }"
INSERTED = """g (float[2,3] x) => (seq(float[2,3]) s) { k = Constant<value_float=%s>() z = Mul(x, k)
    e = SequenceEmpty() f = SequenceInsert(e, x) s = SequenceInsert(f, z) }"""
TEXT = "g (float[2,3] x) => (string[2,3] y) { y = Cast<to=8>(x) }"
TEXT_TWICE = "g (float[2,3] x) => (string[2,3] y) { a = Neg(x) b = Neg(a) y = Cast<to=8>(b) }"
IS = """g (string[8] x) => (bool[8] y) { k = Constant<value_strings=["%s"]>() y = Equal(x, k) }"""
IS_NOT = """g (string[8] x) => (bool[8] y) { k = Constant<value_strings=["%s"]>() a = Equal(x, k) b = Not(a) y = Not(b) }"""


def taps(last):
    return ",".join(["0"] * 96 + ["1", last])


@pytest.mark.parametrize("a, b, code", [
    (IF, WHERE % "Neg", 0),
    (IF, WHERE % "Identity", 1),
    (RARELY, "g (float[2,3] x) => (float[2,3] y) { y = Neg(x) }", 2),  # the other branch is never taken
    (LOOP, SCALE % "4.0", 0),
    (LOOP, SCALE % "3.0", 1),
    (TRIPS, TIMES, 0),
    (TWICE, SCALE % "2.0", 0),
    (TWICE, SCALE % "2.5", 1),
    (WIDE % taps("1"), INLINE % taps("1"), 0),
    (WIDE % taps("1"), INLINE % taps("0"), 1),  # the last tap of a kernel inside a branch
    (PAIR, INSERTED % "-1.0", 0),
    (PAIR, INSERTED % "-1.5", 1),
    (TEXT, TEXT_TWICE, 0),
    (IS % "dog", IS_NOT % "dog", 0),
    (IS % "dog", IS_NOT % "cat", 1),
])
def test_bodies_sequences_and_texts(a, b, code, tmp_path):
    models = [onnx.parser.parse_model('<ir_version: 8, opset_import: ["" : 17, "f" : 1]>\n' + text) for text in (a, b)]
    for one, other in (models, models[::-1]):
        found, report = verify(one, other, tmp_path)
        assert found == code, report
