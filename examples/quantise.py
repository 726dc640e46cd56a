#!/usr/bin/env python3
"""ONNX Runtime's static quantisation to int8: fuse first, and see what that does to accuracy.

usage: quantise.py MODEL [FOLDER]

MODEL: a classifier of images whose last layer is a Gemm, as models/repvgg_small.onnx. The task is
made up: ten patterns in noise. The last layer is fitted to it, so that accuracy means something.
"""
import argparse
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

import onnx_repvgg_fuse

CLASSES, SIZE = 10, 64  # SIZE is that of the model's input


def images(count, seed):
    """(images of shape count x 3 x SIZE x SIZE, their classes)"""
    patterns = np.random.default_rng(0).normal(size=(CLASSES, 3, SIZE, SIZE))
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, count)
    noise = random.normal(size=(count, 3, SIZE, SIZE))
    return (0.12 * patterns[labels] + noise).astype(np.float32), labels


def outputs(model, x):
    """Of a path or bytes, in batches."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: part})[0] for part in np.array_split(x, -(-len(x) // 64))])


def accuracy(model, x, labels):
    return float((outputs(str(model), x)[:, :CLASSES].argmax(1) == labels).mean())


def fit_last_layer(model, count=3000):
    """Least squares from the features before the last Gemm to the classes."""
    gemm = next(node for node in reversed(model.graph.node) if node.op_type == "Gemm")
    tensors = {t.name: t for t in model.graph.initializer}
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    probe.graph.output.append(onnx.helper.make_tensor_value_info(gemm.input[0], onnx.TensorProto.FLOAT, None))
    x, labels = images(count, seed=1)
    features = outputs(probe.SerializeToString(), x).astype(np.float64)
    mean, scale = features.mean(0), features.std(0) + 1e-6
    standard = (features - mean) / scale
    ridge = standard.T @ standard + 0.01 * count * np.eye(standard.shape[1])
    weight = np.linalg.solve(ridge, standard.T @ (np.eye(CLASSES)[labels] - 1 / CLASSES)) / scale[:, None]
    shape = numpy_helper.to_array(tensors[gemm.input[1]]).shape
    turned = any(a.name == "transB" and a.i for a in gemm.attribute)
    outs = shape[0] if turned else shape[1]
    full, bias = np.zeros((weight.shape[0], outs)), np.full(outs, -1e3)
    full[:, :CLASSES], bias[:CLASSES] = weight, -mean @ weight
    for name, value in ((gemm.input[1], full.T if turned else full), (gemm.input[2], bias)):
        tensors[name].CopyFrom(numpy_helper.from_array(value.astype(np.float32), name))


class Reader(CalibrationDataReader):
    def __init__(self, name, x):
        self.batches = iter([{name: part} for part in np.array_split(x, 8)])

    def get_next(self):
        return next(self.batches, None)


def quantise(source, target):
    name = onnx.load(source, load_external_data=False).graph.input[0].name
    quantize_static(source, target, Reader(name, images(256, seed=2)[0]), quant_format=QuantFormat.QDQ,
                    per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)


def main(arguments=None):
    parser = argparse.ArgumentParser(description="quantise a model as it was trained, and fused")
    parser.add_argument("model")
    parser.add_argument("folder", nargs="?", default=".", type=pathlib.Path)
    options = parser.parse_args(arguments)

    model = onnx.load(options.model)
    fit_last_layer(model)
    result = onnx_repvgg_fuse.fuse(model)
    x, labels = images(2000, seed=3)
    accuracies = {}
    for name, proto in (("unfused", model), ("fused", result.model)):
        path = options.folder / f"{name}.onnx"
        quantised = options.folder / f"{name}.int8.onnx"
        onnx.save(proto, path)
        quantise(path, quantised)
        accuracies[name] = accuracy(path, x, labels)
        accuracies[f"{name}, int8"] = accuracy(quantised, x, labels)
        ops = len([n for n in onnx.load(quantised).graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")])
        print(f"{name:8} float {accuracies[name]:.1%}, int8 {accuracies[name + ', int8']:.1%}; "
              f"{ops} QuantizeLinear and DequantizeLinear")
    return accuracies


if __name__ == "__main__":
    main()
