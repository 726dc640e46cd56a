"""The evaluator against ONNX Runtime: operators of com.microsoft that its optimizer writes."""
import subprocess

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.interop.test_eval import EVAL_MODEL, array_of, closed

ort = pytest.importorskip("onnxruntime")

RNG = np.random.default_rng(16)


def reals(*dims, low=-2.0, high=2.0):
    return RNG.uniform(low, high, dims).astype(np.float32)


def bytes_of(*dims, kind=np.uint8):
    return RNG.integers(np.iinfo(kind).min, np.iinfo(kind).max + 1, dims).astype(kind)


def seven_bits(*dims):
    """Factors of which ONNX Runtime adds two products in int16 where the processor has nothing better: larger ones overflow."""
    return RNG.integers(-64, 64, dims).astype(np.int8)


def f(*numbers):
    return np.array(numbers if len(numbers) > 1 else numbers[0], np.float32)


def u(number, kind=np.uint8):
    return np.array(number, kind)


IMAGE, KERNEL, BIAS = (2, 3, 7, 6), (4, 3, 3, 2), (4,)
PADS = dict(kernel_shape=[3, 2], pads=[1, 0, 1, 1], strides=[2, 1])
ROWS = (2, 3, 8)

# operator, inputs (None: left out), attributes, number of outputs
CASES = [
    ("FusedConv", [reals(*IMAGE), reals(*KERNEL), reals(*BIAS)], dict(PADS, activation="Relu"), 1),
    ("FusedConv", [reals(*IMAGE), reals(*KERNEL)], dict(PADS, activation="Tanh"), 1),
    ("FusedConv", [reals(*IMAGE), reals(*KERNEL), reals(*BIAS)], dict(PADS, activation="LeakyRelu", activation_params=[0.25]), 1),
    ("FusedConv", [reals(*IMAGE), reals(*KERNEL), reals(*BIAS)], dict(PADS, activation="Clip", activation_params=[-0.5, 2.0]), 1),
    ("FusedConv", [reals(*IMAGE), reals(*KERNEL), reals(*BIAS)], dict(PADS, activation="HardSigmoid", activation_params=[0.25, 0.5]), 1),
    ("FusedConv", [reals(*IMAGE), reals(*KERNEL), reals(*BIAS), reals(2, 4, 4, 6)], dict(PADS, activation="Relu"), 1),
    ("FusedConv", [reals(2, 4, 5, 5), reals(6, 2, 2, 2), None, reals(2, 6, 4, 4)], dict(group=2, activation="Sigmoid"), 1),
    ("FusedGemm", [reals(3, 4), reals(4, 5), reals(5)], dict(activation="Relu", alpha=0.5), 1),
    ("FusedGemm", [reals(4, 3), reals(5, 4), reals(3, 1)], dict(transA=1, transB=1, activation="LeakyRelu", activation_alpha=0.3), 1),
    ("FusedMatMul", [reals(2, 3, 4), reals(2, 4, 5)], dict(alpha=0.25), 1),
    ("FusedMatMul", [reals(2, 4, 3), reals(5, 4)], dict(alpha=2.0, transA=1, transB=1), 1),
    ("FusedMatMul", [reals(3, 2, 4), reals(4, 2, 5)], dict(transBatchA=1, transBatchB=1), 1),
    ("FusedMatMul", [reals(4, 2, 3), reals(5, 2, 4)], dict(transBatchA=1, transBatchB=1, transA=1, transB=1), 1),
    ("FusedMatMul", [reals(4), reals(4, 5)], dict(transA=1), 1),
    ("TransposeMatMul", [reals(2, 4, 3), reals(2, 4, 5)], dict(alpha=0.5, transA=1), 1),
    ("QuickGelu", [reals(*ROWS)], {}, 1),
    ("QuickGelu", [reals(*ROWS)], dict(alpha=-0.5), 1),
    ("Gelu", [reals(*ROWS)], {}, 1),
    ("FastGelu", [reals(*ROWS)], {}, 1),
    ("FastGelu", [reals(*ROWS), reals(8)], {}, 1),
    ("BiasGelu", [reals(*ROWS), reals(8)], {}, 1),
    ("SkipLayerNormalization", [reals(*ROWS), reals(*ROWS), reals(8), reals(8), reals(8)], dict(epsilon=1e-5), 1),
    ("SkipLayerNormalization", [reals(*ROWS), reals(3, 8), reals(8)], {}, 1),
    ("SkipLayerNormalization", [reals(*ROWS), reals(*ROWS), reals(8), reals(8)], {}, (0, 3)),
    ("SkipSimplifiedLayerNormalization", [reals(*ROWS), reals(*ROWS), reals(8)], dict(epsilon=1e-6), (0, 3)),
    ("SkipSimplifiedLayerNormalization", [reals(*ROWS), reals(1, 3, 8), reals(8), reals(8)], {}, 1),
    (":SimplifiedLayerNormalization", [reals(*ROWS), reals(8)], dict(axis=-1, epsilon=1e-5), 1),
    ("EmbedLayerNormalization", [RNG.integers(0, 9, (2, 4)).astype(np.int32), RNG.integers(0, 2, (2, 4)).astype(np.int32), reals(9, 8),
                                 reals(6, 8), reals(2, 8), reals(8), reals(8)], {}, 2),
    ("EmbedLayerNormalization", [RNG.integers(0, 9, (2, 4)).astype(np.int32), None, reals(9, 8), reals(6, 8), None, reals(8), reals(8)],
     dict(epsilon=1e-5), 2),
    ("NhwcMaxPool", [bytes_of(2, 7, 6, 3)], PADS, 1),
    ("NhwcMaxPool", [bytes_of(1, 6, 6, 5, kind=np.int8)], dict(kernel_shape=[2, 3]), 1),
    ("QLinearAdd", [bytes_of(2, 3, 4), f(0.02), u(120), bytes_of(3, 1), f(0.03), u(7), f(0.05), u(99)], {}, 1),
    ("QLinearAdd", [bytes_of(5, kind=np.int8), f(0.02), u(-3, np.int8), bytes_of(5, kind=np.int8), f(0.03), u(7, np.int8), f(0.05),
                    u(9, np.int8)], {}, 1),
    ("QLinearMul", [bytes_of(2, 3, 4), f(0.02), u(120), bytes_of(4), f(0.03), u(7), f(0.05), u(99)], {}, 1),
    ("QLinearConcat", [f(0.05), u(99), bytes_of(2, 3), f(0.02), u(120), bytes_of(2, 2), f(0.07), u(3)], dict(axis=1), 1),
    ("QLinearSigmoid", [bytes_of(3, 5), f(0.05), u(120), f(0.004), u(0)], {}, 1),
    ("QLinearLeakyRelu", [bytes_of(3, 5), f(0.05), u(120), f(0.04), u(30)], dict(alpha=0.125), 1),
    ("QLinearSoftmax", [bytes_of(3, 5), f(0.02), u(120), f(0.004), u(0)], dict(axis=-1, opset=13), 1),
    ("QLinearGlobalAveragePool", [bytes_of(2, 3, 4, 5), f(0.05), u(120), f(0.04), u(30)], {}, 1),
    ("QLinearGlobalAveragePool", [bytes_of(2, 4, 5, 3), f(0.05), u(120), f(0.04), u(30)], dict(channels_last=1), 1),
    ("QLinearAveragePool", [bytes_of(2, 3, 7, 6), f(0.05), u(120), f(0.04), u(30)], PADS, 1),
    ("QLinearAveragePool", [bytes_of(2, 3, 7, 6), f(0.05), u(120), f(0.04), u(30)], dict(PADS, count_include_pad=1), 1),
    ("QLinearAveragePool", [bytes_of(2, 7, 6, 3), f(0.05), u(120), f(0.04), u(30)], dict(PADS, channels_last=1), 1),
    ("DynamicQuantizeMatMul", [reals(2, 3, 4), seven_bits(4, 5), f(0.02)], {}, 1),
    ("DynamicQuantizeMatMul", [reals(3, 4), bytes_of(4, 5), f(*RNG.uniform(0.01, 0.1, 5)), bytes_of(5), reals(5)], {}, 1),
    ("MatMulIntegerToFloat", [bytes_of(3, 4), bytes_of(4, 5), f(0.03), f(0.02), u(120), u(99), reals(5)], {}, 1),
    ("MatMulIntegerToFloat", [bytes_of(2, 3, 4), seven_bits(4, 5), f(0.03), f(*RNG.uniform(0.01, 0.1, 5)), u(3)], {}, 1),
    ("QGemm", [bytes_of(3, 4), f(0.03), u(120), bytes_of(4, 5), f(0.02), u(99), RNG.integers(-999, 999, 5).astype(np.int32), f(0.5), u(7)],
     {}, 1),
    ("QGemm", [bytes_of(3, 4), f(0.03), u(120), seven_bits(5, 4), f(*RNG.uniform(0.01, 0.1, 5)), np.zeros(5, np.int8)],
     dict(transB=1), 1),
    ("DequantizeLinear", [bytes_of(3, 4), f(0.03), u(120)], {}, 1),
    ("DequantizeLinear", [bytes_of(3, 4), f(*RNG.uniform(0.01, 0.1, 4)), bytes_of(4)], dict(axis=1), 1),
    ("QuantizeLinear", [reals(3, 4), f(0.03), u(120)], {}, 1),
]


def build(operator, inputs, attributes, outputs):
    domain, name = ("", operator[1:]) if operator[0] == ":" else ("com.microsoft", operator)
    wanted = range(outputs) if isinstance(outputs, int) else outputs
    names = [f"y{i}" if i in wanted else "" for i in range(max(wanted) + 1)]
    node = helper.make_node(name, [f"x{i}" if x is not None else "" for i, x in enumerate(inputs)], names, domain=domain, **attributes)
    given = [helper.make_tensor_value_info(f"x{i}", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
             for i, x in enumerate(inputs) if x is not None]
    results = [onnx.ValueInfoProto(name=name) for name in names if name]
    graph = helper.make_graph([node], "g", given, results)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].strip(":"))
def test_as_onnx_runtime(case, tmp_path):
    operator, inputs, attributes, outputs = case
    model = build(*case)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    wanted = session.run(None, {f"x{i}": x for i, x in enumerate(inputs) if x is not None})
    source, target = tmp_path / "model.onnx", tmp_path / "out.onnx"
    source.write_bytes(closed(model, [x for x in inputs if x is not None]).SerializeToString())
    run = subprocess.run([EVAL_MODEL, source, target], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    tensors = {t.name: array_of(t) for t in onnx.load(target).graph.initializer}
    for value, want in zip(model.graph.output, wanted):
        got = tensors[value.name]
        assert (got.shape, got.dtype) == (want.shape, want.dtype)
        if want.dtype.kind in "iu":  # where a quotient lies between two integers, the last bit decides
            assert np.abs(got.astype(int) - want.astype(int)).max() <= 1
            assert (got != want).mean() <= 0.1
        else:
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=2e-6)
