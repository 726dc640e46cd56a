#!/usr/bin/env python3
"""Run the original and the fused file in OpenVINO: compare the numbers and the times.

usage: openvino_run.py IN OUT
"""
import sys
import time

import numpy as np
import openvino

import onnx_repvgg_fuse
from onnx_repvgg_fuse import testing


def run(path, inputs, runs=20):
    """The outputs, and the seconds of the fastest run."""
    core = openvino.Core()
    # OpenVINO may compute in bfloat16 if the machine supports it: compare in float.
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        outputs = compiled(inputs)
        best = min(best, time.perf_counter() - start)
    return [np.array(outputs[i]) for i in range(len(compiled.outputs))], best


def main(source, target):
    result = onnx_repvgg_fuse.fuse(source, target)
    inputs = testing.generate_inputs(source)
    before, slow = run(source, inputs)
    after, fast = run(target, inputs)
    difference = max(np.abs(x - y).max() / np.abs(x).max() for x, y in zip(before, after))
    print(result.report)
    print(f"difference under OpenVINO: {difference:.2g}; time: {1e3 * slow:.2f} ms -> {1e3 * fast:.2f} ms")
    return difference


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
