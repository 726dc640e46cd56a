"""Build small ONNX models the way exporters do: name by name, with seeded random weights.

A value is its name. Net keeps the type of every value (ONNX's own shape inference, one node at
a time), so that a layer knows how many channels it gets. Scales of a BatchNormalization are never
near 1 and shifts never near 0: a fold that forgets one of them can't pass by luck.
"""
import ml_dtypes
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

NEWEST = onnx.defs.onnx_opset_version()
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = {
    "float32": np.dtype("float32"),
    "float16": np.dtype("float16"),
    "float64": np.dtype("float64"),
    "bfloat16": BFLOAT16,
}
# Where the numbers of a weight are kept.
STORAGE = ("raw", "typed", "constant", "floats", "external")


def tuple_of(value, rank):
    return [value] * rank if isinstance(value, int) else list(value)


class Net:
    def __init__(self, opset=17, ir=8, dtype="float32", storage="raw", seed=0, parent=None, inferred=True):
        self.opset, self.ir, self.storage, self.inferred = opset, ir, storage, inferred
        self.dtype = DTYPES.get(dtype, dtype)
        self.parent = parent
        self.rng = parent.rng if parent else np.random.default_rng(seed)
        self.counter = parent.counter if parent else {}
        self.opsets = parent.opsets if parent else {"": opset}
        self.functions = parent.functions if parent else []
        self.types, self.data = {}, {}
        self.nodes, self.inputs, self.outputs, self.initializers = [], [], [], []
        self.overridable = []  # initializers that are graph inputs as well

    # Names and types

    def fresh(self, stem):
        n = self.counter[stem] = self.counter.get(stem, -1) + 1
        return f"{stem}_{n}"

    def type_of(self, name):
        net = self
        while net is not None:
            if name in net.types:
                return net.types[name]
            net = net.parent
        raise KeyError(name)

    def data_of(self, name):
        net = self
        while net is not None:
            if name in net.data:
                return net.data[name]
            net = net.parent
        return None

    def shape(self, name):
        """Dims of a value: int, str (symbolic) or None (unknown) each."""
        dims = self.type_of(name).tensor_type.shape.dim
        return [d.dim_value if d.HasField("dim_value") else (d.dim_param or None) for d in dims]

    def channels(self, name):
        return self.shape(name)[1]

    def spatial(self, name):
        return len(self.shape(name)) - 2

    def elem(self, dtype=None):
        return helper.np_dtype_to_tensor_dtype(np.dtype(dtype or self.dtype))

    # Inputs, constants, nodes, outputs

    def input(self, name, shape, dtype=None):
        self.types[name] = helper.make_tensor_type_proto(self.elem(dtype), shape)
        self.inputs.append(helper.make_value_info(name, self.types[name]))
        return name

    def const(self, array, name=None, storage=None, dtype=None, overridable=False):
        array = np.asarray(array)
        if dtype is not None or array.dtype.kind == "f" or array.dtype == BFLOAT16:
            array = array.astype(dtype or self.dtype)
        name = name or self.fresh("c")
        storage = storage or self.storage
        tensor = numpy_helper.from_array(array, name)
        if storage == "typed" and array.size and array.dtype.kind == "f":
            tensor = helper.make_tensor(name, self.elem(array.dtype), array.shape, array.ravel().tolist())
        self.types[name] = helper.make_tensor_type_proto(tensor.data_type, array.shape)
        self.data[name] = tensor
        if storage == "floats" and array.dtype == np.float32:
            if array.ndim == 0:
                self.nodes.append(helper.make_node("Constant", [], [name], value_float=float(array)))
            elif array.ndim == 1:
                self.nodes.append(helper.make_node("Constant", [], [name], value_floats=array.tolist()))
            else:
                flat, dims = name + ".flat", name + ".dims"
                self.nodes.append(helper.make_node("Constant", [], [flat], value_floats=array.ravel().tolist()))
                self.nodes.append(helper.make_node("Constant", [], [dims], value_ints=list(array.shape)))
                self.nodes.append(helper.make_node("Reshape", [flat, dims], [name], name=name + ".reshape"))
        elif storage in ("constant", "floats"):
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        else:
            self.initializers.append(tensor)
            if overridable:
                self.overridable.append(name)
        return name

    def ints(self, *values):
        return self.const(np.array(values, np.int64))

    def scalar(self, value):
        return self.const(np.array(value, np.float64))

    def node(self, op, inputs, n_out=1, domain="", name=None, types=None, **attrs):
        """Add a node; its one output's name, or a tuple of them. types: output types, where inference can't tell."""
        name = name or self.fresh(op.lower())
        outs = [f"{name}.out{i}" if i else f"{name}.out" for i in range(n_out)]
        node = helper.make_node(op, inputs, outs, name=name, domain=domain, **attrs)
        self.nodes.append(node)
        if types is None:
            schema = onnx.defs.get_schema(op, self.opset, domain)
            known = {i: self.type_of(i) for i in inputs if i}
            data = {i: self.data_of(i) for i in inputs if i and self.data_of(i) is not None}
            got = onnx.shape_inference.infer_node_outputs(
                schema, node, known, data,
                opset_imports=[helper.make_opsetid(d, v) for d, v in self.opsets.items()], ir_version=self.ir)
            types = [got.get(o) for o in outs]
        for o, t in zip(outs, types):
            if t is not None:
                self.types[o] = t
        return outs[0] if n_out == 1 else tuple(outs)

    def output(self, *names):
        for name in names:
            self.outputs.append(helper.make_value_info(name, self.type_of(name)))

    # Random numbers

    def normal(self, shape, scale=1.0):
        return self.rng.normal(0, scale, shape)

    def away(self, shape):
        """Random scales, of either sign, none within 0.2 of 1 or of 0."""
        low, high = self.rng.uniform(0.4, 0.8, shape), self.rng.uniform(1.3, 2.5, shape)
        return np.where(self.rng.random(shape) < 0.5, low, high) * self.rng.choice([-1.0, 1.0], shape)

    def shifts(self, shape):
        return self.rng.uniform(0.3, 1.0, shape) * self.rng.choice([-1.0, 1.0], shape)

    # Layers

    def kernel(self, cout, cin_group, k, scale=1.0):
        fan_in = max(1, cin_group * int(np.prod(k)))
        return self.normal((cout, cin_group, *k), scale * fan_in ** -0.5)

    def conv(self, x, cout, k=3, bias=False, stride=1, pads="same", group=1, dil=1, auto_pad=None, weight=None, **attrs):
        """Conv. pads: 'same' ((k-1)*dil/2 each side), an int, or ONNX's list. Defaults are left out of the attributes."""
        rank = self.spatial(x)
        k, s, d = tuple_of(k, rank), tuple_of(stride, rank), tuple_of(dil, rank)
        if pads == "same":
            pads = [(ki - 1) * di // 2 for ki, di in zip(k, d)] * 2
        elif isinstance(pads, int):
            pads = [pads] * (2 * rank)
        if weight is None:
            weight = self.const(self.kernel(cout, self.channels(x) // group, k), self.fresh("conv") + ".weight")
        if auto_pad is not None:
            attrs["auto_pad"] = auto_pad
        elif any(pads):
            attrs["pads"] = pads
        if any(v != 1 for v in s):
            attrs["strides"] = s
        if any(v != 1 for v in d):
            attrs["dilations"] = d
        if group != 1:
            attrs["group"] = group
        inputs = [x, weight]
        if bias is True:
            inputs.append(self.const(self.shifts(cout), weight + ".bias"))
        elif bias:
            inputs.append(bias)
        return self.node("Conv", inputs, kernel_shape=k, **attrs)

    def conv_t(self, x, cout, k=3, bias=False, group=1, **attrs):
        """ConvTranspose: its weight is [Cin, Cout/group, k]."""
        k = tuple_of(k, self.spatial(x))
        cin = self.channels(x)
        w = self.normal((cin, cout // group, *k), (cin // group * np.prod(k)) ** -0.5)
        inputs = [x, self.const(w, self.fresh("convt") + ".weight")]
        if bias:
            inputs.append(self.const(self.shifts(cout)))
        if group != 1:
            attrs["group"] = group
        return self.node("ConvTranspose", inputs, kernel_shape=k, **attrs)

    def bn(self, x, affine=True, shift=True, eps=1e-3, dtype=None, stats=None, n_out=1, **attrs):
        """BatchNormalization in inference; shift=False has beta and mean 0, affine=False gamma 1 and beta 0."""
        c = self.channels(x)
        if stats is None:
            zero = np.zeros(c)
            values = {
                "gamma": self.away(c) if affine else np.ones(c),
                "beta": self.shifts(c) if affine and shift else zero,
                "mean": self.shifts(c) if shift else zero,
                "var": self.rng.uniform(0.3, 2.5, c),
            }
            stem = self.fresh("bn")
            stats = [self.const(v, f"{stem}.{k}", dtype=dtype or self.dtype) for k, v in values.items()]
        if eps is not None:
            attrs["epsilon"] = eps
        return self.node("BatchNormalization", [x, *stats], n_out=n_out, **attrs)

    def convbn(self, x, cout, k=3, bias=False, **attrs):
        return self.bn(self.conv(x, cout, k, bias=bias, **attrs))

    def add(self, *values):
        """A left-leaning tree of Add."""
        total = values[0]
        for v in values[1:]:
            total = self.node("Add", [total, v])
        return total

    def binary(self, op, a, b):
        return self.node(op, [a, b])

    def per_channel(self, x, values=None, flat=False):
        """A constant shaped [1,C,1,1] (or [C,1,1]) that scales or shifts x per channel."""
        c = self.channels(x)
        values = self.away(c) if values is None else np.asarray(values)
        dims = ([] if flat else [1]) + [c] + [1] * self.spatial(x)
        return self.const(values.reshape(dims))

    def relu(self, x):
        return self.node("Relu", [x])

    def identity(self, x):
        return self.node("Identity", [x])

    def cast(self, x, dtype=None):
        return self.node("Cast", [x], to=self.elem(dtype))

    def dropout(self, x):
        if self.opset >= 12:
            return self.node("Dropout", [x, self.const(np.array(0.4, np.float32), dtype=np.float32)])
        return self.node("Dropout", [x], ratio=0.4)

    def pad(self, x, pads, value=0.0, mode="constant", explicit=True):
        """Pad; pads is ONNX's list for the spatial axes only: [begin..., end...]."""
        rank = self.spatial(x)
        full = [0, 0, *pads[:rank], 0, 0, *pads[rank:]]
        attrs = {} if mode == "constant" else {"mode": mode}
        if self.opset < 11:
            if value:
                attrs["value"] = float(value)
            return self.node("Pad", [x], pads=full, **attrs)
        inputs = [x, self.ints(*full)]
        if mode == "constant" and (explicit or value):
            inputs.append(self.scalar(value))
        return self.node("Pad", inputs, **attrs)

    def slice(self, x, starts, ends, axes, steps=None):
        if self.opset < 10:
            return self.node("Slice", [x], starts=starts, ends=ends, axes=axes)
        inputs = [x, self.ints(*starts), self.ints(*ends), self.ints(*axes)]
        if steps:
            inputs.append(self.ints(*steps))
        return self.node("Slice", inputs)

    def avgpool(self, x, k, stride=1, pads=0, include=1, **attrs):
        rank = self.spatial(x)
        if pads:
            attrs["pads"] = [pads] * (2 * rank) if isinstance(pads, int) else pads
            attrs["count_include_pad"] = include
        return self.node("AveragePool", [x], kernel_shape=tuple_of(k, rank), strides=tuple_of(stride, rank), **attrs)

    def unsqueeze(self, x, *axes):
        if self.opset < 13:
            return self.node("Unsqueeze", [x], axes=list(axes))
        return self.node("Unsqueeze", [x, self.ints(*axes)])

    def squeeze(self, x, *axes):
        if self.opset < 13:
            return self.node("Squeeze", [x], axes=list(axes))
        return self.node("Squeeze", [x, self.ints(*axes)])

    def gemm(self, x, cout, bias=True, trans_b=1, alpha=1.0, beta=1.0):
        cin = self.shape(x)[1]
        w = self.normal((cout, cin), cin ** -0.5)
        stem = self.fresh("fc")
        inputs = [x, self.const(w if trans_b else w.T.copy(), stem + ".weight")]
        if bias:
            inputs.append(self.const(self.shifts(cout), stem + ".bias"))
        attrs = {"transB": 1} if trans_b else {}
        if alpha != 1.0:
            attrs["alpha"] = alpha
        if beta != 1.0:
            attrs["beta"] = beta
        return self.node("Gemm", inputs, **attrs)

    def matmul(self, x, cout):
        cin = self.shape(x)[-1]
        return self.node("MatMul", [x, self.const(self.normal((cin, cout), cin ** -0.5), self.fresh("fc") + ".weight")])

    # Subgraphs, functions, the model

    def sub(self):
        return Net(self.opset, self.ir, self.dtype, self.storage, parent=self, inferred=self.inferred)

    def graph(self, name="graph"):
        listed = [t.name for t in self.initializers] if self.ir < 4 and self.parent is None else self.overridable
        inputs = [*self.inputs, *(helper.make_value_info(n, self.types[n]) for n in listed)]
        outer = {v.name for v in [*inputs, *self.outputs]} | {t.name for t in self.initializers}
        info = [helper.make_value_info(n, t) for n, t in self.types.items() if n not in outer] if self.inferred else []
        return helper.make_graph(self.nodes, name, inputs, self.outputs, self.initializers, value_info=info)

    def function(self, domain, name, inputs, build):
        """Add a local function: build(net, *inputs) -> output. inputs: types by name. Weights become Constant nodes."""
        body = Net(self.opset, self.ir, self.dtype, "constant", parent=None)
        body.rng, body.counter = self.rng, self.counter
        body.types.update(inputs)
        out = build(body, *inputs)
        outs = [out] if isinstance(out, str) else list(out)
        proto = helper.make_function(domain, name, list(inputs), outs, body.nodes, [helper.make_opsetid("", self.opset)])
        self.functions.append(proto)
        self.opsets[domain] = 1
        return [body.types[o] for o in outs]

    def model(self):
        ids = [helper.make_opsetid(d, v) for d, v in self.opsets.items()]
        return helper.make_model(
            self.graph(), opset_imports=ids, ir_version=self.ir, functions=self.functions, producer_name="tests")


def newest_opset():
    """The newest operator set that both the onnx package and ONNX Runtime run."""
    for opset in range(NEWEST, 16, -1):
        net = Net(opset, min(onnx.IR_VERSION, 13))
        net.output(net.relu(net.input("x", (1, 2))))
        try:
            onnxruntime.InferenceSession(net.model().SerializeToString(), providers=["CPUExecutionProvider"])
        except Exception:
            continue
        return opset
    raise RuntimeError("ONNX Runtime runs no operator set newer than 16")


def tensor_type(elem, shape):
    return helper.make_tensor_type_proto(elem, shape)


FLOAT, BOOL, INT64 = TensorProto.FLOAT, TensorProto.BOOL, TensorProto.INT64
