#!/usr/bin/env python3
"""Measure the channels of a model's activations under ONNX Runtime, for `--equalize GRAIN --statistics FILE`.

usage: activation_statistics.py MODEL IMAGES OUT [--percentile P] [--batch N]

IMAGES: an array of inputs for the model (.npy, or the first array of an .npz). A few hundred are enough, but use more than the
quantiser calibrates with: ranges that fit exactly the images that it sees leave no room for others.
OUT: JSON, or a NumPy archive if the name ends with .npz. It has, for every float value with channels on axis 1, the mean and
deviation over images and positions, and the smallest and largest number (or percentiles, with --percentile P).
"""
import argparse
import json

import numpy as np
import onnx
import onnxruntime

FLOATS = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}


def with_all_outputs(model):
    """A copy of the model with every value as an output, and the names of the values."""
    copy = onnx.ModelProto()
    copy.CopyFrom(onnx.shape_inference.infer_shapes(model))
    types = {v.name: v.type.tensor_type for v in [*copy.graph.value_info, *copy.graph.output]}
    names = [name for node in copy.graph.node for name in node.output
             if name in types and types[name].elem_type in FLOATS and len(types[name].shape.dim) >= 2]
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    return copy, names


def values(session, name, images, batch):
    """The value with this name for all images, as channels by numbers."""
    feed = session.get_inputs()[0].name
    parts = [session.run([name], {feed: images[i : i + batch]})[0] for i in range(0, len(images), batch)]
    return np.concatenate([np.moveaxis(p, 1, 0).reshape(p.shape[1], -1) for p in parts], axis=1).astype(np.float64)


def statistics(model, images, percentile=100.0, batch=32):
    """For each value: mean, deviation, low and high, each a list with one number per channel."""
    copy, names = with_all_outputs(model)
    session = onnxruntime.InferenceSession(copy.SerializeToString(), providers=["CPUExecutionProvider"])
    fixed = session.get_inputs()[0].shape[0]
    result = {}
    for name in names:  # one at a time: all of them would not fit
        rows = values(session, name, images, fixed if isinstance(fixed, int) else batch)
        result[name] = {
            "mean": rows.mean(1).tolist(),
            "deviation": rows.std(1).tolist(),
            "low": np.percentile(rows, 100 - percentile, axis=1).tolist(),
            "high": np.percentile(rows, percentile, axis=1).tolist(),
        }
    return result


def save(path, found):
    if str(path).endswith(".npz"):
        np.savez(path, **{name: np.array([v["mean"], v["deviation"], v["low"], v["high"]]) for name, v in found.items()})
    else:
        with open(path, "w", encoding="utf-8") as f:
            json.dump(found, f)


def load(path, dtype=np.float32):
    data = np.load(path)
    return (data[data.files[0]] if hasattr(data, "files") else data).astype(dtype)


def main(arguments=None):
    parser = argparse.ArgumentParser(description="measure the channels of a model's activations")
    parser.add_argument("model")
    parser.add_argument("images")
    parser.add_argument("out")
    parser.add_argument("--percentile", type=float, default=100.0)
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args(arguments)
    model = onnx.load(options.model)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(model.graph.input[0].type.tensor_type.elem_type)
    save(options.out, statistics(model, load(options.images, dtype), options.percentile, options.batch))


if __name__ == "__main__":
    main()
