#!/usr/bin/env python3
"""Compare the cost of fusing an onnx.ModelProto with that of fusing the same model from file to file.

fuse(ModelProto) should take at most its serialisation plus 2 times the file-to-file run. Both run
in turn, so that other load affects both. Prints medians. The exit status is 1 if the limit is
exceeded.

usage: python_cost.py [--size MIB] [--runs N]
needs: onnx, numpy, onnx_repvgg_fuse (scripts/wheel; pip install dist/*.whl)
"""
import argparse
import pathlib
import statistics
import sys
import tempfile
import time

import numpy as np
import onnx
from onnx import TensorProto, helper

import onnx_repvgg_fuse


def repvgg(mib, channels=256):
    """RepVGG blocks of 3x3, 1x1 and identity, each with BatchNormalization, until the weights reach mib."""
    random = np.random.default_rng(0)
    nodes, tensors, last, size, block = [], [], "x", 0, 0

    def add(name, value):
        nonlocal size
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=value.shape, raw_data=value.astype(np.float32).tobytes())
        tensors.append(tensor)
        size += value.size * 4
        return name

    def normal(value, out):
        names = [add(f"{out}.{part}", random.uniform(0.5, 1.5, channels)) for part in ("scale", "bias", "mean", "var")]
        nodes.append(helper.make_node("BatchNormalization", [value, *names], [out]))

    while size < mib << 20:
        for kernel in (3, 1):
            out = f"b{block}.k{kernel}"
            weight = random.standard_normal((channels, channels, kernel, kernel)) * (channels * kernel**2) ** -0.5
            nodes.append(helper.make_node("Conv", [last, add(out + ".w", weight)], [out], kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4))
            normal(out, out + ".n")
        normal(last, f"b{block}.id")
        nodes.append(helper.make_node("Add", [f"b{block}.k3.n", f"b{block}.k1.n"], [f"b{block}.s"]))
        nodes.append(helper.make_node("Add", [f"b{block}.s", f"b{block}.id"], [f"b{block}.sum"]))
        nodes.append(helper.make_node("Relu", [f"b{block}.sum"], [f"b{block}.y"]))
        last, block = f"b{block}.y", block + 1
    shape = [1, channels, 14, 14]
    graph = helper.make_graph(nodes, "repvgg", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
                              [helper.make_tensor_value_info(last, TensorProto.FLOAT, shape)], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def seconds(call):
    """(wall clock, CPU time of all threads)"""
    wall, cpu = time.perf_counter(), time.process_time()
    kept = call()
    took = time.perf_counter() - wall, time.process_time() - cpu
    del kept
    return took


def main():
    parser = argparse.ArgumentParser(description="cost of fusing a ModelProto beside a run from file to file")
    parser.add_argument("--size", type=int, default=100, metavar="MIB")
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()

    model = repvgg(options.size)
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder) / "in.onnx", pathlib.Path(folder) / "out.onnx"
        data = model.SerializeToString()
        source.write_bytes(data)
        rows = {
            "file to file": lambda: onnx_repvgg_fuse.fuse(source, target),
            "bytes to bytes": lambda: onnx_repvgg_fuse.fuse(data),
            "serialisation": model.SerializeToString,
            "ModelProto to ModelProto": lambda: onnx_repvgg_fuse.fuse(model),
        }
        times = {name: [] for name in rows}
        for run in range(options.runs + 1):
            for name, call in rows.items():
                took = seconds(call)
                if run:  # the first warms up
                    times[name].append(took)
    print(f"{len(data) / 2**20:.1f} MiB, median of {options.runs} runs: time, CPU time of all threads")
    holds = []
    medians = {name: [statistics.median(part) for part in zip(*took)] for name, took in times.items()}
    for name, (wall, cpu) in medians.items():
        print(f"{name:26} {1e3 * wall:7.1f} ms {1e3 * cpu:7.1f} ms")
    for which, what in enumerate(("time", "CPU time")):
        allowed = medians["serialisation"][which] + 2 * medians["file to file"][which]
        cost = medians["ModelProto to ModelProto"][which]
        holds.append(cost <= allowed)
        print(f"{what}: allowed {1e3 * allowed:.1f} ms: {'holds' if cost <= allowed else 'DOES NOT HOLD'}, {cost / allowed:.0%} of it")
    # On a busy machine the clock says how busy it is.
    return not all(holds)


if __name__ == "__main__":
    sys.exit(main())
