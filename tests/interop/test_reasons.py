"""Each reason for which an op is no linear map that is known, by the smallest model that has it: the file stays as it is.

Models are ONNX's text. `none` stands for an input that is left out. Many of these no checker takes: the reasons guard against
attributes and constants that do not fit, so they are given here as files may have them.
"""
import onnx
import onnx.parser
import pytest

from tests.support.tool import assert_equal_under_ort, count_ops, fuse

WEIGHTS = {"w": "float[4,4,1,1]", "v": "float[4,1,1]", "s": "float[4]", "m": "float[4,4]"}


def numbers(count):
    return ", ".join(str(0.5 + k % 7 / 4) for k in range(count))


def size(spelled):
    dims = spelled[spelled.index("[") + 1:-1]
    product = 1
    for dim in dims.split(","):
        product *= int(dim) if dim else 1
    return product


def ints(name, *values):
    return f"int64[{len(values)}] {name} = {{{', '.join(map(str, values))}}}"


def build(body, opset=17, x="float[2,4,9,9]", data=(), inputs=(), y="float[]", ir=8):
    constants = [f"{spelled} {name} = {{{numbers(size(spelled))}}}" for name, spelled in WEIGHTS.items()]
    arguments = ", ".join([f"{x} x", *inputs])
    text = (f'<ir_version: {ir}, opset_import: ["" : {opset}]>\ngraph ({arguments}) => ({y} y)\n'
            f'<{", ".join([*constants, *data])}>\n{{\n{body}\n}}')
    model = onnx.parser.parse_model(text)
    for node in model.graph.node:
        for k, name in enumerate(node.input):
            if name == "none":
                node.input[k] = ""
    used = {name for node in model.graph.node for name in node.input}
    for tensor in [t for t in model.graph.initializer if t.name not in used]:
        model.graph.initializer.remove(tensor)
    return model


CASES = []


JOINED = "\nb = Conv (x, w)\ny = Add (a, b)"


def case(reason, body, **how):
    """An op makes `a`; a Conv reads it, unless the body makes y itself."""
    CASES.append((reason, body if "y =" in body else body + "\ny = Conv (a, w)", how))


MISSING = "its input is missing"
ANY = {"x": "float[]"}  # the rank is not known
NAMED = {"x": "float[N,4,H,W]"}

# AveragePool

POOL = "its kernel_shape is missing or has too many axes"
case(POOL, "a = AveragePool (x)")
case(POOL, f"a = AveragePool <kernel_shape = {[2] * 9}> (x)", **ANY)
case(MISSING, "a = AveragePool <kernel_shape = [1, 1]> (none)")
case("does not count its padding", "a = AveragePool <kernel_shape = [2, 2], pads = [1, 0, 0, 0]> (x)")
case("does not count its padding", "a = AveragePool <kernel_shape = [2, 2], pads = [0, 0, 0, 1]> (x)")
case("window is larger than its input", "a = AveragePool <kernel_shape = [99, 1]> (x)")
CEILED = "a = AveragePool <kernel_shape = [2, 2], strides = [2, 2], ceil_mode = 1> (x)"
case("rounds its output size up (ceil_mode), and its input size is not known", CEILED, **ANY)
case("rounds its output size up (ceil_mode), and its input size is not known", CEILED, **NAMED)
case("last window reaches past the end", CEILED)
case("size", "a = AveragePool <kernel_shape = [2, 2], strides = [2, 2], auto_pad = \"SAME_UPPER\"> (x)", **NAMED)

# Pad

case("copies values of its input", 'a = Pad <mode = "edge"> (x, p)', data=[ints("p", 0, 0, 1, 1, 0, 0, 1, 1)])
case(MISSING, "a = Pad (none, p)", data=[ints("p", 0, 0, 1, 1, 0, 0, 1, 1)])
case("its pads are missing", "a = Pad (x)")
case("its pads are missing", "a = Pad (x)", opset=10)
case("its pads are missing", f"a = Pad <pads = {[0] * 22}> (x)", opset=10)
case("its pads is not constant", "a = Pad (x, p)", inputs=["int64[8] p"])
case("its pads cannot be read", "a = Pad (x, s)")
case("its pads cannot be read", "a = Pad (x, p)", data=[ints("p", *[0] * 22)])
RANK = "the rank of the value is not known or does not fit"
case(RANK, "a = Pad (x, p)", data=[ints("p", 1, 1)], **ANY)
case(RANK, "a = Pad (x, p)", data=[ints("p", 0, 0, 1, 0, 0, 1)])
case(RANK, "a = Pad (x, p, none, axes)", opset=18, data=[ints("p", 1, 1), ints("axes", 2)], **ANY)
case(RANK, "a = Pad (x, p, none, axes)", opset=18, data=[ints("p", 1, 1), ints("axes", 2)], x="float[1,1,1,1,1,1,1,1,1,1,1]")
AXES = "its axes are outside the value or repeated"
case(AXES, "a = Pad (x, p, none, axes)", opset=18, data=[ints("p", 1, 1), ints("axes", 4)])
case(AXES, "a = Pad (x, p, none, axes)", opset=18, data=[ints("p", 1, 1), ints("axes", -5)])
case(AXES, "a = Pad (x, p, none, axes)", opset=18, data=[ints("p", 1, 1, 1, 1), ints("axes", 2, -2)])
case("its axes is not constant", "a = Pad (x, p, none, axes)", opset=18, data=[ints("p", 1, 1)], inputs=["int64[1] axes"])
case("its pads do not fit its axes", "a = Pad (x, p, none, axes)", opset=18, data=[ints("p", 1, 1, 1), ints("axes", 2)])
VALUE = "fills with a value that is not constant"
P = ints("p", 0, 0, 1, 1, 0, 0, 1, 1)
case(VALUE, "a = Pad (x, p, c)", data=[P], inputs=["float c"])
case("fills with more than one number", "a = Pad (x, p, s)", data=[P])
case("Pad takes one type for both", "a = Pad (x, p, c)", data=[P, 'string[1] c = {"0"}'])
case("fills with 2, but a Conv pads with 0", "a = Pad (x, p, c)", data=[P, "float c = {2.0}"])
case("fills with 2, but a Conv pads with 0", "a = Pad <pads = [0,0,1,1,0,0,1,1], value = 2.0> (x)", opset=10)
for k in (0, 4):
    case("Pad pads the batch", "a = Pad (x, p)", data=[ints("p", *[int(i == k) for i in range(8)])])
case("the value has no spatial axis", "b = Conv (x, w)\na = Pad (b, p)\ny = Conv (a, w)", data=[ints("p", 1, 0, 0, 0)], x="float[4,4]")

# Slice


def sliced(starts, ends, axes=None, steps=None):
    data = [ints("b", *starts), ints("e", *ends)]
    inputs = ["x", "b", "e"]
    for name, values in (("k", axes), ("t", steps)):
        if values is not None:
            data.append(ints(name, *values))
        inputs.append(name if values is not None else "none")
    while inputs[-1] == "none":
        inputs.pop()
    return {"body": f"a = Slice ({', '.join(inputs)})", "data": data}


case(MISSING, "a = Slice (none, b, e)", data=[ints("b", 0), ints("e", 4)])
case(RANK, **sliced([1], [4], [2]), **ANY)
case(RANK, **sliced([1], [4], [1]), x="float[4,4]")
case(RANK, **sliced([1], [4], [2]), x="float[1,1,1,1,1,1,1,1,1,1,1]")
FIT = "its starts, ends and axes do not fit"
case(FIT, "a = Slice <ends = [4]> (x)", opset=9)
case(FIT, "a = Slice <starts = [4]> (x)", opset=9)
case(FIT, "a = Slice <starts = [1, 1], ends = [4]> (x)", opset=9)
case(FIT, "a = Slice <starts = [1], ends = [4], axes = [2, 3]> (x)", opset=9)
case(FIT, f"a = Slice <starts = {[1] * 11}, ends = {[4] * 11}> (x)", opset=9)
case("its axes are outside the value", "a = Slice <starts = [1], ends = [4], axes = [4]> (x)", opset=9)
case("its axes are outside the value", "a = Slice <starts = [1], ends = [4], axes = [-5]> (x)", opset=9)
case("its starts or ends are missing", "a = Slice (x, none, e)", data=[ints("e", 4)])
case("its starts or ends are missing", "a = Slice (x, b, none)", data=[ints("b", 4)])
for k, name in enumerate(("starts", "ends", "axes", "steps")):
    names = [("b", "e", "k", "t")[i] if i != k else "given" for i in range(4)]
    case(f"its {name} is not constant", f"a = Slice (x, {', '.join(names)})", inputs=["int64[1] given"],
         data=[ints(n, v) for n, v in zip("bekt", (1, 4, 2, 1)) if n in names])
FIT = "its starts, ends, axes and steps do not fit"
case(FIT, **sliced([1], [4, 4], [2]))
case(FIT, **sliced([1], [4], [2, 3]))
case(FIT, **sliced([1], [4], [2], [1, 1]))
case("step that is not 1", **sliced([4], [1], [2], [-1]))
UNKNOWN = "counts from a size that is not known"
case(UNKNOWN, **sliced([-3], [2**31], [2]), **NAMED)
case(UNKNOWN, **sliced([1], [4], [2]), **NAMED)
NOTHING = "Slice gives an empty value"
case(NOTHING, **sliced([0], [-(2**63)], [2]), **NAMED)
case(NOTHING, **sliced([4], [4], [2]))
case(NOTHING, **sliced([20], [30], [2]))
case(NOTHING, **sliced([0], [-20], [2]))
case("Slice changes the batch", **sliced([1], [2**31], [0]))
case("Slice changes the batch", **sliced([0], [1], [0]))

# Gather, Tile, Expand, SpaceToDepth

case("other axes apart than the channels", "a = Gather <axis = 2> (x, i)" + JOINED, data=[ints("i", 0, 1)])
case("its indices are not a constant row", "a = Gather <axis = 1> (x, i)" + JOINED, inputs=["int64[4] i"])
case("it repeats other axes than the channels", "a = Tile (x, r)" + JOINED, data=[ints("r", 1, 1, 2, 1)])
case("what it repeats depends on the size of a value", "a = Tile (x, r)" + JOINED, data=[ints("r", 1, 1)])
case("it repeats other axes than the channels", "a = Expand (x, r)" + JOINED, x="float[2,4,1,9]", data=[ints("r", 9, 1)])
case("an input is missing", "a = Tile (x)" + JOINED)
case("the size of what SpaceToDepth takes apart is not known", "a = SpaceToDepth <blocksize = 2> (x)" + JOINED, x="float[2,1,H,8]")
case("a value that is not an image", "a = SpaceToDepth <blocksize = 2> (x)" + JOINED, x="float[2,1,8]")

# Constants per channel

HIGHER = "the constant has a higher rank than the value, and broadcasts it"
case(HIGHER, "b = Conv (x, w)\na = Mul (b, c)", data=["float[1,1,1,1,1] c = {2.0}"])
case(HIGHER, "b = Conv (x, w)\na = Mul (b, c)", data=[f"float[1,1,4,1,1] c = {{{numbers(4)}}}"])
case(HIGHER, "b = ConvTranspose (x, m)\ny = Mul (b, c)", data=["float[1,1,1,1] c = {2.0}"])
case("the rank of the value is not known", "b = ConvTranspose (x, m)\ny = Mul (b, v)")
case("the constant is not per channel", "b = Conv (x, w)\na = Mul (b, c)", data=["float[0,1,1] c = {}"])
case("the constant broadcasts the value to more channels", "b = Conv (x, w)\na = Mul (b, c)\ny = Relu (a)", data=["float[2,4,1,1] r = {0}"][:0] + [
    f"float[3,1,1] c = {{{numbers(3)}}}"])
case("it varies along another axis", "b = Conv (x, w)\na = Mul (b, c)", data=[f"float[9] c = {{{numbers(9)}}}"])
case("the number of channels is not known", "b = ConvTranspose <group = 0> (x, w)\ny = Mul (b, v)")
case("an operand is missing", "b = Conv (x, w)\na = Mul (b)")
case("an operand is missing", "b = Conv (x, w)\na = Mul (none, b)")
case("an operand is missing", "b = Conv (x, w)\na = Add (b)")
case("an operand is missing", "b = Conv (x, w)\na = Sum (b, none)\ny = Sum (a, b)")
case("it divides by 0", "b = Conv (x, w)\na = Div (b, c)", data=["float c = {0.0}"])
case("a constant divided by a value", "b = Conv (x, w)\na = Div (v, b)")
case("x * x is not linear", "b = Conv (x, w)\na = Mul (b, b)")
case("it sums constants and values in one op", "b = Conv (x, w)\na = Sum (b, v)\ny = Add (a, b)")

# BatchNormalization

case("training mode", "b = Conv (x, w)\na = BatchNormalization <training_mode = 1> (b, s, s, s, s)")
case("(spatial = 0)", "b = Conv (x, w)\na = BatchNormalization <spatial = 0> (b, s, s, s, s)", opset=8)
case("an input is missing", "a = BatchNormalization (none, s, s, s, s)")
case("an input is missing", "b = Conv (x, w)\na = BatchNormalization (b, none, s, s, s)")
case("its var is missing", "b = Conv (x, w)\na = BatchNormalization (b, s, s, s)")
case("its mean has 4 numbers, expected 3", "b = Conv (x, w)\na = BatchNormalization (b, t, t, s, t)", data=[f"float[3] t = {{{numbers(3)}}}"])
case("has no spatial axis", "a = BatchNormalization (x, s, s, s, s)", x="float[2,4]")
case("expected more than 0", "b = Conv (x, w)\na = BatchNormalization (b, s, s, s, n)", data=["float[4] n = {1, -1, 1, 1}"])

# Dropout, Identity, Cast

TRAINING = "Dropout may be in training mode"
case(TRAINING, "a = Dropout (x, none, t)" + JOINED, inputs=["bool t"])
case(TRAINING, "a = Dropout (x, none, t)" + JOINED, data=["bool[1] t = {1}"])
case(TRAINING, "a = Dropout (x, none, s)" + JOINED)
case(TRAINING, "a = Dropout (x, none, t)" + JOINED, data=["float t = {0.0}"])
case(MISSING, "a = Identity (none)" + JOINED)
case("takes one type for both", "a = Cast <to = 11> (x)" + JOINED)
case("it casts from int32 to int64", "a = Cast <to = 7> (x)\nb = Neg (a)\ny = Add (a, b)", x="int32[2,4,9,9]", y="int64")

# Conv, Gemm, MatMul

case("its weight 'k' is computed by Bernoulli -> 'k', which is not evaluated", "k = Bernoulli (w)\nb = Conv (x, k)\ny = Mul (b, v)")
case("its weight 'k' is computed by RandomNormalLike -> 'n', which is not evaluated",
     "n = RandomNormalLike (w)\nk = Div (w, n)\nb = Conv (x, k)\ny = Mul (b, v)")
case("its weight 'k' is computed from 'q', which is not constant: it is a graph input",
     "r = Sign (q)\nk = Mul (r, w)\nb = Conv (x, k)\ny = Mul (b, v)", inputs=["float[4,4,1,1] q"])
case("its weight 'k' is computed by Pow -> 'p', which is not evaluated: an integer to a negative power",
     "p = Pow (i, j)\nk = Cast <to = 1> (p)\nb = Conv (x, k)\ny = Mul (b, v)",
     data=[f"int64[4,4,1,1] i = {{{', '.join(['1'] * 16)}}}", "int64 j = {-1}"])
case("its bias 'e' is computed from 'q', which is not constant: it is a graph input",
     "e = Neg (q)\nb = Conv (x, w, e)\ny = Mul (b, v)", inputs=["float[4] q"])
case("its pads is computed by Multinomial -> 'h', which is not evaluated",
     "h = Multinomial <dtype = 7> (s)\ng = Reshape (h, t)\na = Pad (x, g)", data=[ints("t", 8)])
case("its weight is missing", "b = Conv (x)\ny = Mul (b, v)")
case("its weight has rank 2", "b = Conv (x, m)\ny = Mul (b, v)")
case("its weight has rank 4", "b = Conv (x, k)\ny = Mul (b, v)", data=["float[0,4,1,1] k = {}"])
case("its group does not fit", "b = Conv <group = 0> (x, w)\ny = Mul (b, v)")
case(MISSING, "d = Conv (none, w)\ny = Conv (d, w)")
case("its bias has 16 numbers, expected 4", "b = Conv (x, w, m)\ny = Mul (b, v)")
MATRIX = {"x": "float[2,4]"}
case("it transposes its input", "b = Gemm <transA = 1> (x, m)\ny = Mul (b, s)", x="float[4,2]")
case("its weight has rank 1", "b = MatMul (x, s)\ny = Mul (b, s)", **MATRIX)
case("its weight has rank 2", "b = MatMul (x, k)\ny = Mul (b, s)", data=["float[4,0] k = {}"], **MATRIX)
case("its input is a vector", "b = MatMul (x, m)\ny = Mul (b, s)", x="float[4]")
case("its operand C: its operand 'c' is not constant", "b = Gemm (x, m, c)\ny = Mul (b, s)", inputs=["float[4] c"], **MATRIX)

# A border written by ScatterND: 2 x 2 padded to 4 x 4, its 12 places written with 0.5

FRAME = [(0, 0, r, c) for r in range(4) for c in range(4) if r in (0, 3) or c in (0, 3)]


def tensor(spelled, values):
    return f"{spelled} = {{{', '.join(map(str, values))}}}"


def frame(indices=FRAME, updates=None, pads=(0, 0, 1, 1, 0, 0, 1, 1), x="float[1,1,2,2]", scatter="ScatterND (q, i, u)", data=(), inputs=(),
          pad="Pad (x, p)"):
    """y is a Conv without padding of the framed value, and a Conv of x: they join where the frame is understood."""
    flat = [k for place in indices for k in place]
    held = [ints("p", *pads), tensor(f"int64[{len(indices)},{len(indices[0])}] i", flat),
            updates or tensor(f"float[{len(indices)}] u", [0.5] * len(indices)),
            tensor("float[1,1,3,3] f", range(1, 10)), tensor("float[1,1,1,1] g", [2])]
    held = [d for d in held if not any(d.split()[1] == other.split()[1] for other in data)]
    return {"body": f"q = {pad}\nc = {scatter}\nd = Conv (c, f)\ne = Conv (x, g)\ny = Add (d, e)", "x": x, "data": [*held, *data],
            "inputs": inputs}


SCATTER = "ScatterND is not a linear op"
case("an input of ScatterND is missing", **frame(scatter="ScatterND (q, none, u)"))
case("an input of ScatterND is missing", **frame(scatter="ScatterND (q, i)"))
case("ScatterND writes, or where, is not constant", **frame(scatter="ScatterND (q, i, z)", inputs=["float[12] z"]))
case("ScatterND writes, or where, is not constant", **frame(scatter="ScatterND (q, z, u)", inputs=["int64[12,4] z"]))
case("indices or updates cannot be read", **frame(data=["int64 i = {0}"]))
case("ScatterND takes one type for both", **frame(updates=tensor("int64[12] u", [1] * 12)))
case("ScatterND takes one type for both", **frame(updates=tensor("string[12] u", ['"a"'] * 12)))
case("indices cannot be read", **frame(data=[tensor("float[12,4] i", [0] * 48)]))
case("indices do not fit", **frame(data=["int64[12,0] i = {}"]))
case("indices do not fit", **frame(indices=[(*place, 0) for place in FRAME]))
case("updates do not fit", **frame(updates=tensor("float[11] u", [1] * 11)))
case("updates do not fit", **frame(indices=[place[:3] for place in FRAME]))
case("an index of ScatterND is out of range", **frame(indices=[*FRAME[:-1], (0, 0, 3, 4)]))
case("an index of ScatterND is out of range", **frame(indices=[*FRAME[:-1], (0, 0, -5, 3)]))
case("writes inside the padding, on", **frame(indices=[(0, 0)], updates=tensor("float[1,4,4] u", [1] * 16)))
case("leaves some of the padding at 0", **frame(indices=FRAME[:-1]))
case("one channel holds different values", **frame(updates=tensor("float[12] u", [1] * 11 + [2])))
case("copies values of its input", **frame(pad='Pad <mode = "reflect"> (x, p)'))
case("Pad fills with 0.25, but a Conv pads with 0", **frame(pad="Pad (x, p, z)", data=["float z = {0.25}"]))
case("the size under ScatterND is not known", **frame(x="float[]"))
case("the size under ScatterND is not known", **frame(x="float[1,1,H,2]"))
case("or Pad crops", **frame(pads=(0, 0, -1, 1, 0, 0, 1, 1)))
case("or Pad crops", **frame(pads=(0, 0, 1, 1, 0, 0, 1, -1)))
case("or Pad crops", **frame(pads=(1, 0, 1, 1, 0, 0, 1, 1)))
case("or Pad crops", **frame(pads=(0, 0, 1, 1, 0, 1, 1, 1)))
case("writes inside the padding, on", **frame(x="float[1,1,9000,9000]"))
case("too large to follow", **frame(x="float[64,64,9000,9000]"))
case("too large to follow", **frame(x="float[1,2000000000,9000,9000000]"))
case(SCATTER, **frame(scatter="ScatterND (none, i, u)"))
case(SCATTER, **frame(pad="Relu (x)"))

# What is lowered

case("Conv is not a linear op", "b = other.Conv (x, w)\nd = Mul (x, v)\ny = Add (b, d)")
case("the data is int32, not a float type", "a = Neg (x)\ny = Add (a, x)", x="int32[2,4,9,9]", y="int32")
case("Conv takes one type for both", "b = Conv (x, w)\ny = Mul (b, v)", x="double[2,4,9,9]", y="double")
case("the source has 5 channels, but the ops take 4", "b = Conv (x, w)\ny = Mul (b, v)", x="float[2,5,9,9]")
case("the rank of the source does not fit the kernel", "b = Conv (x, w)\ny = Mul (b, c)", x="float[2,4,9]", data=["float c = {2.0}"])
case("not finite in float", "b = Conv (x, w, big)\ny = Mul (b, c)", data=["float[4] big = {1e38, 1, 1, 1}", "float c = {1e10}"])

# ConvTranspose

TURNED = "b = ConvTranspose {} (x, {})\ny = Mul (b, {})"
C = "float c = {2.0}"
case("its weight 'q' is not constant", TURNED.format("", "q", "c"), inputs=["float[4,4,1,1] q"], data=[C])
case("its weight is missing", "b = ConvTranspose (x)\ny = Mul (b, c)", data=[C])
case("its weight has no spatial axis", TURNED.format("", "m", "c"), data=[C])
case("its weight has no spatial axis", TURNED.format("", "k", "c"), data=["float[4,0,1,1] k = {}", C])
for group in (0, 3):
    case("its group does not fit", TURNED.format(f"<group = {group}>", "w", "c"), data=[C])
case("its bias does not fit", TURNED.format("", "w, m", "c"), data=[C])
case("its bias does not fit", TURNED.format("", "w, k", "c"), data=["float[3] k = {1, 2, 3}", C])
case("its bias 'q' is not constant", TURNED.format("", "w, q", "c"), inputs=["float[4] q"], data=[C])
case("broadcasts the value to more channels", TURNED.format("", "w", "k"), data=[f"float[8,1,1] k = {{{numbers(8)}}}"], x="float[2,4,9,9]")
case("the fused bias is", "b = ConvTranspose (x, w, big)\ny = Mul (b, c)", data=["float[4] big = {1e38, 1, 1, 1}", "float c = {1e10}"])


TO_CONV = "\ny = Conv (a, w)"
FOLDS = {
    "pool of one column, rounded up without a stride": ("Conv", "a = AveragePool <kernel_shape = [2, 1], ceil_mode = 1> (x)" + TO_CONV, {}),
    "pool whose last window ends at the end": (
        "Conv", "a = AveragePool <kernel_shape = [2, 2], strides = [2, 2], ceil_mode = 1> (x)" + TO_CONV, {"x": "float[2,4,8,6]"}),
    "pad with axes from the end": (
        "Conv", "a = Pad (x, p, none, axes)" + TO_CONV, {"opset": 18, "data": [ints("p", 1, 2, 3, 0), ints("axes", -1, 2)]}),
    "pad whose value is given as 0": ("Conv", "a = Pad (x, p, c)" + TO_CONV, {"data": [P, "float c = {0.0}"]}),
    "slice of opset 9": ("Conv", "a = Slice <starts = [1, 2], ends = [8, 9], axes = [-1, 2]> (x)" + TO_CONV, {"opset": 9}),
    "slice of opset 9 without axes": ("Conv", "a = Slice <starts = [0, 0, 1], ends = [2, 4, 8]> (x)" + TO_CONV, {"opset": 9}),
    "gemm with one number as C": ("Gemm", "b = Gemm <beta = 3.0> (x, m, c)\ny = Mul (b, s)", {"x": "float[2,4]", "data": ["float c = {0.5}"]}),
    "dropout that is off": ("Conv", "b = Conv (x, w)\na = Dropout (b, none, t)\ny = Mul (a, v)", {"data": ["bool t = {0}"]}),
    "an op of the domain's other name": ("Conv", "b = ai.onnx.Conv (x, w)\ny = ai.onnx.Mul (b, v)", {}),
    "transposed convolution with a bias": ("ConvTranspose", "b = ConvTranspose (x, w, s)\ny = Add (b, v)", {}),
}
SLICES = {
    "ends beyond the end": (sliced([1], [99], [2]), {}),
    "from the end": (sliced([-8, 0], [-1, 9], [2, -1]), {}),
    "begins before the start": (sliced([-99], [5], [3]), {}),
    "a step of 1": (sliced([1], [5], [3], [1]), {}),
    "all axes": (sliced([0, 0, 1, 1], [2, 4, 8, 9]), {}),
    "to the end of an unknown size": (sliced([2], [2**40], [2]), NAMED),
}
for name, (how, more) in SLICES.items():
    FOLDS["slice, " + name] = ("Conv", how["body"] + TO_CONV, {"data": how["data"], **more})
# The frame holds 0.5, and so does what a Conv with a bias of 0.5 makes of 0.
FRAMED = frame(indices=[(0, 0, r - 4, c) for _, _, r, c in FRAME], data=["float[1] n = {0.5}"])
FOLDS["a frame that holds what the bias makes of 0"] = (
    "Conv", FRAMED["body"].replace("q =", "h = Conv (x, g, n)\nq =").replace("Pad (x", "Pad (h"), {k: FRAMED[k] for k in ("x", "data")})


@pytest.mark.parametrize("name", FOLDS)
def test_folds_beside(name, tmp_path):
    """What lies just on this side of a reason folds to one op, and is equal."""
    expected, body, how = FOLDS[name]
    before = build(body, **how)
    result = fuse(before, tmp_path, "--max-growth", "20")
    assert result.code == 0, result.stderr
    after = result.model
    assert count_ops(after) == {expected: 1}, result.reasons()
    assert_equal_under_ort(before, after)


@pytest.mark.parametrize("reason, body, how", CASES, ids=[f"{k}-{c[0][:40]}" for k, c in enumerate(CASES)])
def test_reason(reason, body, how, tmp_path):
    before = build(body, **how)
    result = fuse(before, tmp_path)
    assert result.code == 0, result.stderr
    assert any(reason in r for r in result.reasons()), result.reasons()
    assert result.data == before.SerializeToString(), [f["pass"] for f in result.report["fusions"]]


def test_small_frame_of_a_large_value(tmp_path):
    """What is followed is the frame, however large the value in it is: here two rows of 40,000,002."""
    rows = 40_000_000
    how = frame(indices=[(0, 0, 0), (0, 0, rows + 1)], updates=tensor("float[2,2] u", [0] * 4), pads=(0, 0, 1, 0, 0, 0, 1, 0),
                x=f"float[1,1,{rows},2]", data=[tensor("float[1,1,3,1] f", [1, 2, 3])])
    result = fuse(build(**how), tmp_path, "--no-check")  # it would evaluate all rows
    assert result.code == 0, result.stderr
    assert [f["pass"] for f in result.report["fusions"]] and count_ops(result.model).get("ScatterND", 0) == 0, result.reasons()
