"""What is known before a model runs: constants computed from constants and shapes, and sizes that ops pass on, told by what folds."""
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.interop.test_reasons import build, ints, numbers
from tests.support.tool import fuse

K = "float[4,4,1,2] k = {" + numbers(32) + "}"  # its shape is what most cases ask for


def flat(count):
    return f"float[{count}] f = {{{numbers(count)}}}"


def reshaped(target, count, data=(), **how):
    """w is made of `count` numbers, in the shape that is computed as t."""
    return build(f"{target}\nw1 = Reshape (f, t)\nb = Conv (x, w1)\ny = Mul (b, c)", data=[K, flat(count), "float c = {2.0}", *data], **how)


SHAPES = {
    "all of it": ("t = Shape (k)", 32, [4, 4, 1, 2]),
    "to an end": ("t = Shape <end = 2> (k)", 16, [4, 4]),
    "to an end from the end": ("t = Shape <end = -1> (k)", 16, [4, 4, 1]),
    "from a start": ("t = Shape <start = 1> (k)", 8, [4, 1, 2]),
    "from the end": ("t = Shape <start = -2> (k)", 2, [1, 2]),
    "before the start": ("t = Shape <start = -9, end = 1> (k)", 4, [4]),
    "beyond the end": ("t = Shape <start = 3, end = 9> (k)", 2, [2]),
    "nothing, since it starts beyond": ("t = Shape <start = 9> (k)", 1, []),
    "nothing, since it ends before it starts": ("t = Shape <start = 3, end = 1> (k)", 1, []),
    "nothing, since it ends before the first": ("t = Shape <end = -9> (k)", 1, []),
    "the number of elements": ("n = Size (k)\nt = Reshape (n, one)", 32, [32]),
    "one of its numbers": ("h = Shape (k)\nt = Gather (h, one)", 4, [4]),
    "one of its numbers from the end": ("h = Shape (k)\nt = Gather (h, last)", 2, [2]),
    "two of its numbers": ("h = Shape (k)\nt = Gather (h, both)", 16, [4, 4]),
    "with an axis": ("h = Shape (k)\nt = Gather <axis = 0> (h, last)", 2, [2]),
    "of what is not a shape": ("t = Gather (four, zero)", 4, [4]),
    "a constant that is a list": ("t = Constant <value_ints = [2, 3]> ()", 6, [2, 3]),
    "a constant that is a number": ("n = Constant <value_int = 6> ()\nt = Reshape (n, one)", 6, [6]),
}
GIVEN = [ints("one", 1), ints("last", -1), ints("both", 0, 1), ints("zero", 0), ints("four", 4)]


@pytest.mark.parametrize("name", SHAPES)
def test_shape_of_a_constant(name, tmp_path):
    """Holds always, so a weight of that shape is stored."""
    target, count, dims = SHAPES[name]
    result = fuse(reshaped(target, count, GIVEN), tmp_path, "--only", "fold_constants", "--max-growth", "2")
    assert result.code == 0, result.stderr
    stored = {t.name: t for t in result.model.graph.initializer}
    assert "w1" in stored, result.reasons()
    assert list(stored["w1"].dims) == dims
    np.testing.assert_array_equal(numpy_helper.to_array(stored["w1"]).ravel(), [0.5 + k % 7 / 4 for k in range(count)])


UNKNOWN = {
    "no rank": (
        "is computed by Shape -> 't', which is not evaluated: a shape is not known",
        "t = Shape (x)", 16, {"x": "float[]"}),
    "nothing to look at": (
        "is computed by Shape -> 't', which is not evaluated: a shape is not known",
        "t = Shape (none)", 16, {}),
    "no size": (
        "is computed by Shape -> 't', which is not evaluated: a dimension is not known",
        "t = Shape (x)", 16, {"x": "float[2,4,H,W]"}),
    "no rank for a size": (
        "is computed by Size -> 'n', which is not evaluated: a shape is not known",
        "n = Size (x)\nt = Reshape (n, one)", 16, {"x": "float[]"}),
    "a size that is disputed": (
        "is computed by Shape -> 't', which is not evaluated: a dimension is not known",
        "p = MaxPool <kernel_shape = [1, 1], strides = [2, 2], ceil_mode = 1> (x)\nt = Shape (p)", 16, {}),
    "one number of no rank": (
        "is computed by Shape -> 'h', which is not evaluated: a shape is not known",
        "h = Shape (x)\nt = Gather (h, one)", 16, {"x": "float[]"}),
    "one number outside": (
        "is computed by Shape -> 'h', which is not evaluated: a dimension is not known",
        "h = Shape (x)\nt = Gather (h, four)", 16, {"x": "float[2,4,H,W]"}),
    "one number before the start": (
        "is computed by Shape -> 'h', which is not evaluated: a dimension is not known",
        "h = Shape (x)\nt = Gather (h, before)", 16, {"x": "float[2,4,H,W]"}),
    "an index that is not known": (
        "is computed by Shape -> 'h', which is not evaluated: a dimension is not known",
        "h = Shape (x)\nt = Gather (h, i)", 16, {"x": "float[2,4,H,W]", "inputs": ["int64[1] i"]}),
    "an index that is no integer": (
        "is computed by Shape -> 'h', which is not evaluated: a dimension is not known",
        "h = Shape (x)\nt = Gather (h, c)", 16, {"x": "float[2,4,H,W]"}),
    "a Gather without an index": (
        "is computed by Shape -> 'h', which is not evaluated: a dimension is not known",
        "h = Shape (x)\nt = Gather (h)", 16, {"x": "float[2,4,H,W]"}),
    "an operator that is not folded": (
        "is computed by Multinomial -> 't', which is not evaluated",
        "t = Multinomial <dtype = 7> (f)", 16, {}),
    "a constant that is text": (
        "is a Constant of an unsupported kind",
        't = Constant <value_string = "4"> ()', 16, {}),
    "text": (
        "is computed from 'text', which is string, not a type that is read",
        "t = Cast <to = 7> (text)", 16, {}),
    "what comes of an input": (
        "is computed from 'i', which is not constant: it is a graph input",
        "t = Abs (i)", 16, {"inputs": ["int64[1] i"]}),
}
MORE = [*GIVEN, ints("before", -5), ints("pair", 1, 2), 'string[1] text = {"4"}']


@pytest.mark.parametrize("name", UNKNOWN)
def test_shape_that_is_not_known(name, tmp_path):
    reason, target, count, how = UNKNOWN[name]
    before = reshaped(target, count, MORE, **how)
    result = fuse(before, tmp_path)
    assert result.code == 0, result.stderr
    assert [f"its weight 'w1' {reason}"] == result.reasons()
    assert result.data == before.SerializeToString()


LEFT = {
    "one number": ("h = Shape (x)\nt = Gather (h, last)", "float[2,4,H,W]", [-1]),
    "one of two numbers": ("h = Shape (x)\nt = Gather (h, pair)", "float[2,4,H,W]", [4, -1]),
    "a number that is too large": ("n = Size (x)\nt = Reshape (n, one)", "float[4000000000,4,4000000000,2]", [-1]),
}


@pytest.mark.parametrize("name", LEFT)
def test_size_that_is_left(name, tmp_path):
    """Whatever it is: it follows from the others."""
    target, x, wanted = LEFT[name]
    result = fuse(reshaped(target, 16, MORE, x=x), tmp_path, "--only", "fold_constants")
    assert result.code == 0, result.stderr
    stored = {t.name: numpy_helper.to_array(t) for t in result.model.graph.initializer}
    if "t" in stored:
        assert stored["t"].tolist() == wanted
    else:  # the target was a constant then, and so was what is made of both
        assert list(stored["w1"].shape) == [16 // 4] * (len(wanted) - 1) + [16 // 4 ** (len(wanted) - 1)]


def test_one_number_of_a_shape_that_is_known(tmp_path):
    """It holds for the declared shape: it is stored, or no weight is made of it."""
    before = reshaped("h = Shape (x)\nt = Gather (h, one)", 4, GIVEN, x="float[N,4,H,W]")
    result = fuse(before, tmp_path, "--skip", "fold_constants,remove_neutral")
    assert result.code == 0, result.stderr
    assert any("depends on the shape of a value" in r for r in result.reasons()), result.reasons()
    assert result.data == before.SerializeToString()
    result = fuse(before, tmp_path, "--only", "fold_constants", "--only", "remove_dead")
    assert [n.op_type for n in result.model.graph.node] == ["Conv", "Mul"], result.reasons()


@pytest.mark.parametrize("length", [199, 210, 1000])
def test_long_chain_of_constants(length, tmp_path):
    chain = "\n".join(f"w{k + 1} = Identity (w{k})" for k in range(length))
    before = build(f"{chain}\nb = Conv (x, w{length})\ny = Mul (b, c)".replace("(w0)", "(w)"), data=["float c = {2.0}"])
    result = fuse(before, tmp_path)
    assert result.code == 0, result.stderr
    assert [n.op_type for n in result.model.graph.node] == ["Conv"], result.reasons()


# A pool that rounds up and has windows of 2 x 2 asks for the size in front of it: an even one folds, an odd one hangs over.
HANGS, ASKS = "last window reaches past the end", "its input size is not known"
POOL = "\na = AveragePool <kernel_shape = [2, 2], strides = [2, 2], ceil_mode = 1> (q)\ny = Conv (a, w)"
SIZES = {
    "Concat": ("q = Concat <axis = 2> (x, z)", HANGS, {"inputs": ["float[2,4,8,9] z"]}),
    "Concat that is even": ("q = Concat <axis = -2> (x, z)", None, {"x": "float[2,4,9,8]", "inputs": ["float[2,4,9,8] z"]}),
    "Concat of an unknown size": ("q = Concat <axis = 2> (x, z)", ASKS, {"x": "float[2,4,9,8]", "inputs": ["float[2,4,H,8] z"]}),
    "Concat after an unknown size": ("q = Concat <axis = 2> (x, z)", ASKS, {"x": "float[2,4,H,8]", "inputs": ["float[2,4,9,8] z"]}),
    "Concat of no rank": ("q = Concat <axis = 2> (x, z)", ASKS, {"inputs": ["float[] z"]}),
    "Concat after no rank": ("q = Concat <axis = 2> (x, z)", ASKS, {"x": "float[]", "inputs": ["float[2,4,9,8] z"]}),
    "Concat of another rank": ("q = Concat <axis = 2> (x, z)", ASKS, {"inputs": ["float[2,4,9] z"]}),
    "Concat of a number": ("q = Concat <axis = 0> (x, z)", ASKS, {"x": "float", "inputs": ["float z"]}),
    "Concat of nothing": ("q = Concat <axis = 2> (none, x)", ASKS, {}),
    "Concat with nothing": ("q = Concat <axis = 2> (x, none)", ASKS, {}),
    "Concat beyond the last axis": ("q = Concat <axis = 4> (x, x)", ASKS, {}),
    "Concat before the first axis": ("q = Concat <axis = -5> (x, x)", ASKS, {}),
    "Concat of sizes without a sum": ("q = Concat <axis = 2> (x, x, x)", ASKS, {"x": f"float[2,4,{2**62},8]"}),
    "Pad": ("q = Pad (x, p)", None, {"data": [ints("p", 0, 0, 1, 0, 0, 0, 0, 1)]}),
    "Pad of opset 10": ("q = Pad <pads = [0, 0, 1, 0, 0, 0, 0, 1]> (x)", None, {"opset": 10}),
    "Pad of too few amounts": ("q = Pad <pads = [0, 0, 1, 0, 0, 1]> (x)", ASKS, {"opset": 10}),
    "Pad by too much": ("q = Pad (x, p)", ASKS, {"data": [ints("p", 0, 0, 2**62, 0, 0, 0, 0, 1)]}),
    "Pad by too much at the end": ("q = Pad (x, p)", ASKS, {"data": [ints("p", 0, 0, 1, 0, 0, 0, 2**62, 1)]}),
    "crop by too much": ("q = Pad (x, p)", ASKS, {"data": [ints("p", 0, 0, -2**62, 0, 0, 0, 0, 1)]}),
    "crop by too much at the end": ("q = Pad (x, p)", ASKS, {"data": [ints("p", 0, 0, 1, 0, 0, 0, -2**62, 1)]}),
    "crop of all": ("q = Pad (x, p)", ASKS, {"data": [ints("p", 0, 0, -9, 0, 0, 0, 0, 1)]}),
    "Pad of an absurd size": ("q = Pad (x, p)", ASKS, {"x": f"float[2,4,{2**40},9]", "data": [ints("p", 0, 0, 1, 0, 0, 0, 0, 1)]}),
    "Pad with axes": ("q = Pad (x, p, none, k)", HANGS, {"opset": 18, "data": [ints("p", 1, 1), ints("k", 2)]}),
    "GlobalAveragePool": ("r = GlobalAveragePool (x)\nq = Concat <axis = 2> (r, r)", HANGS, {}),
    "Conv": ("r = Conv (x, w)\nq = Relu (r)", HANGS, {}),
    "Conv with a stride": ("r = Conv <strides = [2, 2], pads = [0, 0, 1, 1]> (x, w)\nq = Relu (r)", HANGS, {"x": "float[2,4,8,8]"}),
    "Conv with an even result": ("r = Conv <pads = [0, 0, 1, 1]> (x, w)\nq = Relu (r)", None, {}),
    "Conv of an absurd size": ("r = Conv (x, w)\nq = Relu (r)", ASKS, {"x": f"float[2,4,{2**40},9]"}),
    "Conv that leaves nothing": ("r = Conv <dilations = [2, 2]> (x, l)\nq = Relu (r)", ASKS, {"data": [f"float[4,4,9,9] l = {{{numbers(1296)}}}"]}),
    "MaxPool": ("q = MaxPool <kernel_shape = [2, 2]> (x)", None, {}),
    "MaxPool that rounds up": ("q = MaxPool <kernel_shape = [2, 2], ceil_mode = 1> (x)", ASKS, {}),
    "Add of two sizes": ("q = Add (x, z)", None, {"x": "float[2,4,H,8]", "inputs": ["float[2,4,8,1] z"]}),
    "Add of an unknown size": ("q = Add (x, z)", ASKS, {"x": "float[2,4,H,8]", "inputs": ["float[2,4,1,8] z"]}),
    "Add of no rank": ("q = Add (x, z)", ASKS, {"inputs": ["float[] z"]}),
    "Add of nothing": ("q = Add (x, none)", ASKS, {}),
    "Relu": ("q = Relu (x)", HANGS, {}),
    "ConvTranspose": ("q = ConvTranspose (x, w)", HANGS, {}),
    "Reshape": ("q = Reshape (x, p)", HANGS, {"data": [ints("p", 2, 4, 9, 9)]}),
    "Reshape to what is left": ("q = Reshape (x, p)", None, {"x": "float[2,4,8,8]", "data": [ints("p", 2, 0, -1, 4)]}),
    "Reshape to what is left of an unknown size": ("q = Reshape (x, p)", ASKS, {"x": "float[2,4,H,8]", "data": [ints("p", 2, 4, -1, 4)]}),
    "Reshape to an unknown size": ("q = Reshape (x, p)", ASKS, {"x": "float[2,4,H,8]", "data": [ints("p", 2, 4, 0, 8)]}),
    "Reshape to sizes that do not divide it": ("q = Reshape (x, p)", ASKS, {"data": [ints("p", 5, 4, -1, 8)]}),
    "Slice": ("q = Slice (x, from, to, axes)", None, {"data": [ints("from", 1, -8), ints("to", 9, 2**62), ints("axes", 2, -1)]}),
    "Slice of the first axes": ("q = Slice (x, from, to)", None, {"data": [ints("from", 0, 0, 1, 1), ints("to", 9, 9, 9, 9)]}),
    "Slice of opset 9": ("q = Slice <axes = [2, 3], starts = [1, 1], ends = [9, 9]> (x)", None, {"opset": 9}),
    "Slice by what is not known": ("q = Slice (x, from, to)", ASKS, {"inputs": ["int64[2] from", "int64[2] to"]}),
    "Slice by what is not known, of known axes": ("q = Slice (x, from, to, axes)", ASKS, {"inputs": ["int64[1] from", "int64[1] to"], "data": [ints("axes", 2)]}),
    "Slice by what is not known, of other axes": ("q = Slice (x, from, to, axes)", HANGS, {"inputs": ["int64[1] from", "int64[1] to"], "data": [ints("axes", 0)]}),
    "Slice with a step": ("q = Slice (x, from, to, axes, by)", HANGS, {"data": [ints("from", 0, 0), ints("to", 9, 9), ints("axes", 2, 3), ints("by", 2, 2)]}),
    "Slice with a step to an even size": ("q = Slice (x, from, to, axes, by)", None, {"x": "float[2,4,8,7]", "data": [ints("from", 0, 0), ints("to", 7, 7), ints("axes", 2, 3), ints("by", 2, 2)]}),
    "Slice backwards": ("q = Slice (x, from, to, axes, by)", ASKS, {"data": [ints("from", -1), ints("to", 0), ints("axes", 2), ints("by", -1)]}),
    "Slice to nothing": ("q = Slice (x, from, to, axes)", ASKS, {"data": [ints("from", 5), ints("to", 5), ints("axes", 2)]}),
    "Slice of too few numbers": ("q = Slice (x, from, to, axes)", ASKS, {"data": [ints("from", 1, 1), ints("to", 9), ints("axes", 2, 3)]}),
    "Squeeze": ("q = Squeeze (x, k)", HANGS, {"x": "float[2,4,1,9,9]", "data": [ints("k", -3)]}),
    "Unsqueeze": ("q = Unsqueeze (x, k)", HANGS, {"x": "float[4,9,9]", "data": [ints("k", 0)]}),
    "Unsqueeze twice at one place": ("q = Unsqueeze (x, k)", ASKS, {"x": "float[9,9]", "data": [ints("k", 0, 0)]}),
    "Gather": ("q = Gather <axis = 1> (x, i)", HANGS, {"x": "float[2,5,9,9]", "data": [ints("i", 0, 1, 2, 3)]}),
    "ReduceMean": ("q = ReduceMean <axes = [4], keepdims = 0> (x)", HANGS, {"x": "float[2,4,9,9,3]"}),
    "ReduceMean that keeps the axis": ("q = ReduceMean <axes = [2]> (x)", HANGS, {}),
    "Round": ("q = Round (x)", HANGS, {}),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes(name, tmp_path):
    op, reason, how = SIZES[name]
    pool = POOL.replace(", ceil_mode = 1", "") if how.get("opset", 17) < 10 else POOL  # the attribute came with opset 10
    before = build(op + pool, **how)
    result = fuse(before, tmp_path, "--max-growth", "9", "--skip", "join_branches")
    assert result.code == 0, result.stderr
    if reason is None:
        assert "AveragePool" not in [n.op_type for n in result.model.graph.node], result.reasons()
    else:
        assert "AveragePool" in [n.op_type for n in result.model.graph.node]
        assert any(reason in r for r in result.reasons()), result.reasons()


ATTRIBUTES = {
    "strides = [1]": "", "dilations = [1, 1, 1]": "", "pads = [0, 0]": "", "kernel_shape = [1]": "", "strides = [0, 1]": "", "dilations = [1, 0]": "",
    f"strides = [{2**40}, 1]": "", f"dilations = [1, {2**40}]": "", "pads = [0, 0, -1, 0]": "padding", f"pads = [0, 0, 0, {2**40}]": "padding",
    "pads = [-1, 0, 0, 0]": "padding", f"pads = [{2**40}, 0, 0, 0]": "padding", 'auto_pad = "NEARLY"': "auto_pad", "kernel_shape = [2, 2]": "",
}


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_windows_that_do_not_fit(attribute, tmp_path):
    before = build(f"b = Conv <{attribute}> (x, w)\ny = Mul (b, c)", data=["float c = {2.0}"])
    result = fuse(before, tmp_path)
    assert result.code == 0, result.stderr
    assert result.reasons() and any(ATTRIBUTES[attribute] in r for r in result.reasons()), result.reasons()
    assert result.data == before.SerializeToString()


# Ops that give four channels: a scale for each of them is a branch of what they give.
FOUR_CHANNELS = {
    "Tile": ("a = Tile (x, r)", {"x": "float[2,2,3,5]", "data": [ints("r", 1, 2, 1, 1)]}),
    "Expand": ("a = Expand (x, r)", {"x": "float[2,1,3,5]", "data": [ints("r", 4, 1, 1)]}),
    "ConstantOfShape": ("d = ConstantOfShape (r)\na = Pow (x, d)", {"x": "float[2,1,3,5]", "data": [ints("r", 1, 4, 1, 1)]}),
    "Where": ("a = Where (c, x, x)", {"x": "float[2,1,3,5]", "inputs": ["bool[4,1,1] c"]}),
    "Split in equal parts": ("a, d = Split <axis = 1> (x)", {"x": "float[2,8,3,5]"}),
    "Split by sizes": ("a, d = Split <axis = 1> (x, r)", {"x": "float[2,9,3,5]", "data": [ints("r", 4, 5)]}),
    "MatMul of stacks": ("a = MatMul (x, z)", {"x": "float[1,4,3,5]", "inputs": ["float[2,1,5,5] z"]}),
    "Reshape that copies": ("a = Reshape (x, r)", {"x": "float[N,2,6,5]", "data": [ints("r", 0, -1, 3, 5)]}),
}


@pytest.mark.parametrize("name", FOUR_CHANNELS)
def test_four_channels(name, tmp_path):
    body, how = FOUR_CHANNELS[name]
    before = build(body + "\np = Mul (a, v)\nq = Neg (a)\ny = Add (p, q)", **how)
    result = fuse(before, tmp_path)
    assert result.code == 0, result.stderr
    ops = [n.op_type for n in result.model.graph.node]
    assert "Add" not in ops and "Conv" in ops, result.reasons()
