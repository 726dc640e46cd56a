#!/usr/bin/env python3
"""Quantise a network to int8 with ONNX Runtime in three forms: as trained, fused, and fused and equalised.

usage: quantise.py MODEL DATA.npz [FOLDER]

MODEL: a trained classifier with its BatchNormalizations. DATA: images `c` for calibration, and images `x` with their classes `y`
for the test. Each form is quantised in four ways: weights with one step per tensor or per channel, activations by the largest
value (uint8) or by a percentile (int8, as TensorRT does). A cell of the table is the change of accuracy from the float network, in
points, and the signal-to-noise ratio of the logits, in dB. FOLDER receives the models and report.html, which shows the range of
each channel before and after. The result is meaningless for random weights.
"""
import argparse
import logging
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

import onnx_repvgg_fuse

WAYS = [(grain, activations) for grain in ("tensor", "channel") for activations in ("uint8", "int8")]


def outputs(path, x):
    options = onnxruntime.SessionOptions()
    # Compute as the file specifies: int8 kernels saturate on a processor without VNNI.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: part})[0] for part in np.array_split(x, -(-len(x) // 64))])


class Reader(CalibrationDataReader):
    def __init__(self, name, x):
        self.batches = iter([{name: part} for part in np.array_split(x, -(-len(x) // 32))])

    def get_next(self):
        return next(self.batches, None)


def quantise(source, target, x, grain, activations):
    name = onnx.load(source, load_external_data=False).graph.input[0].name
    symmetric = activations == "int8"
    extra = {"ActivationSymmetric": symmetric, "WeightSymmetric": True, **({"CalibPercentile": 99.99} if symmetric else {})}
    quantize_static(source, target, Reader(name, x), quant_format=QuantFormat.QDQ, per_channel=grain == "channel",
                    weight_type=QuantType.QInt8, activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
                    calibrate_method=CalibrationMethod.Percentile if symmetric else CalibrationMethod.MinMax, extra_options=extra)


def forms(model, folder):
    """The paths of the three forms of the model."""
    paths = {name: folder / f"{name}.onnx" for name in ("trained", "fused", "equalised")}
    paths["trained"].write_bytes(pathlib.Path(model).read_bytes())
    onnx_repvgg_fuse.fuse(model, paths["fused"])
    equalised = onnx_repvgg_fuse.fuse(model, paths["equalised"], equalize="tensor")
    (folder / "report.html").write_text(equalised.report.html(), encoding="utf-8")
    return paths


def main(arguments=None):
    parser = argparse.ArgumentParser(description="quantise a network as it was trained, fused, and fused and equalised")
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("folder", nargs="?", default=".", type=pathlib.Path)
    options = parser.parse_args(arguments)
    logging.getLogger().setLevel(logging.ERROR)
    onnxruntime.set_default_logger_severity(3)

    data = np.load(options.data)
    calibration, x, labels = data["c"].astype(np.float32), data["x"].astype(np.float32), data["y"]
    paths = forms(options.model, options.folder)
    logits = {name: outputs(path, x) for name, path in paths.items()}
    wanted = logits["fused"].astype(np.float64)
    right = (wanted.argmax(1) == labels).mean()
    print(f"float: {right:.1%}; equalising changes {(logits['equalised'] != logits['fused']).sum()} numbers of the logits")
    print(f"{'weights per':10}", *(f"{grain + ', ' + activations:>16}" for grain, activations in WAYS))
    table = {}
    for name, path in paths.items():
        for way in WAYS:
            quantised = options.folder / f"{name}.{'.'.join(way)}.onnx"
            quantise(path, quantised, calibration, *way)
            got = outputs(quantised, x).astype(np.float64)
            points = 100 * ((got.argmax(1) == labels).mean() - right)
            table[name, way] = points, 10 * np.log10((wanted ** 2).sum() / ((wanted - got) ** 2).sum())
        print(f"{name:11}", *(f"{'%+.1f / %.1f dB' % table[name, way]:>16}" for way in WAYS))
    return table


if __name__ == "__main__":
    main()
