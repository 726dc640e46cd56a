#!/usr/bin/env python3
"""ONNX Runtime's static quantisation to int8: fuse first, and see what that does to accuracy.

usage: quantise.py [--features VALUE] MODEL [FOLDER]

MODEL: a network on images of 3 x 64 x 64, as models/repvgg_small.onnx. The task is made up: stripes
of ten widths and angles, in noise. MODEL is cut at VALUE, and a last layer is fitted to the task,
so that accuracy means something even where the weights are random.
"""
import argparse
import pathlib

import numpy as np
import onnx
import onnx.utils
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

import onnx_repvgg_fuse

CLASSES, SIZE = 10, 64  # SIZE is that of the model's input


def images(count, seed):
    """(images of shape count x 3 x SIZE x SIZE, their classes)"""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, count)
    angle, wave = np.pi * labels / CLASSES, 0.3 + 0.12 * labels
    phase = random.uniform(0, 2 * np.pi, count)
    y, x = np.mgrid[:SIZE, :SIZE]
    across = np.multiply.outer(np.cos(angle) * wave, x) + np.multiply.outer(np.sin(angle) * wave, y)
    stripes = np.sin(across + phase[:, None, None])[:, None]
    noise = 0.7 * random.normal(size=(count, 3, SIZE, SIZE))
    return (stripes + noise).astype(np.float32), labels


def outputs(model, x):
    """Of a path or bytes, in batches."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: part})[0] for part in np.array_split(x, -(-len(x) // 64))])


def accuracy(model, x, labels):
    return float((outputs(str(model), x).argmax(1) == labels).mean())


def classifier(model, features, count=3000):
    """The model up to the value `features`, with a last layer fitted to the task by least squares."""
    extractor = onnx.utils.Extractor(model)
    model = extractor.extract_model([model.graph.input[0].name], [features])
    model.graph.node.append(helper.make_node("GlobalAveragePool", [features], ["pooled"]))
    model.graph.node.append(helper.make_node("Flatten", ["pooled"], ["flat"]))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("flat", TensorProto.FLOAT, None))

    x, labels = images(count, seed=1)
    flat = outputs(model.SerializeToString(), x).astype(np.float64)
    mean, scale = flat.mean(0), flat.std(0) + 1e-6
    standard = (flat - mean) / scale
    ridge = standard.T @ standard + 1e-3 * count * np.eye(standard.shape[1])
    weight = np.linalg.solve(ridge, standard.T @ (np.eye(CLASSES)[labels] - 1 / CLASSES)) / scale[:, None]
    for name, value in (("weight", weight), ("bias", -mean @ weight)):
        model.graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), name))
    model.graph.node.append(helper.make_node("Gemm", ["flat", "weight", "bias"], ["classes"]))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("classes", TensorProto.FLOAT, ["N", CLASSES]))
    return model


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
    parser.add_argument("--features", default="/stage2/3/nonlinearity/Relu_output_0", metavar="VALUE",
                        help="the value the classifier reads (default: that of models/repvgg_small.onnx)")
    parser.add_argument("folder", nargs="?", default=".", type=pathlib.Path)
    options = parser.parse_args(arguments)

    model = classifier(onnx.load(options.model), options.features)
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
