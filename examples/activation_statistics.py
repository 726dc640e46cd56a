#!/usr/bin/env python3
"""Measure what the channels of a model's activations hold, by ONNX Runtime, for `--equalize GRAIN --statistics FILE`.

usage: activation_statistics.py MODEL IMAGES.npy OUT.json [--percentile P]

IMAGES: an array of inputs, a few hundred are enough. Of every float value with channels on axis 1: mean and deviation over
images and positions, and the smallest and largest number (or what lies within P percent).
"""
import argparse
import json

import numpy as np
import onnx
import onnxruntime


def with_all_outputs(model):
    """A copy that gives out every value of its nodes, and their names."""
    copy = onnx.ModelProto()
    copy.CopyFrom(onnx.shape_inference.infer_shapes(model))
    types = {v.name: v.type.tensor_type for v in [*copy.graph.value_info, *copy.graph.output]}
    names = [name for node in copy.graph.node for name in node.output
             if name in types and types[name].elem_type == onnx.TensorProto.FLOAT and len(types[name].shape.dim) >= 2]
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    return copy, names


def statistics(model, images, percentile=100.0):
    """For each value: mean, deviation, low and high, a list of one number for each channel."""
    copy, names = with_all_outputs(model)
    session = onnxruntime.InferenceSession(copy.SerializeToString(), providers=["CPUExecutionProvider"])
    result = {}
    for name in names:  # one at a time: all of them for all images would not fit
        value = session.run([name], {session.get_inputs()[0].name: images})[0]
        rows = np.moveaxis(value, 1, 0).reshape(value.shape[1], -1).astype(np.float64)
        result[name] = {
            "mean": rows.mean(1).tolist(),
            "deviation": rows.std(1).tolist(),
            "low": np.percentile(rows, 100 - percentile, axis=1).tolist(),
            "high": np.percentile(rows, percentile, axis=1).tolist(),
        }
    return result


def main(arguments=None):
    parser = argparse.ArgumentParser(description="measure the channels of a model's activations")
    parser.add_argument("model")
    parser.add_argument("images")
    parser.add_argument("out")
    parser.add_argument("--percentile", type=float, default=100.0)
    options = parser.parse_args(arguments)
    images = np.load(options.images).astype(np.float32)
    with open(options.out, "w") as f:
        json.dump(statistics(onnx.load(options.model), images, options.percentile), f)


if __name__ == "__main__":
    main()
