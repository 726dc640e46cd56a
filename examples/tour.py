#!/usr/bin/env python3
"""All steps in two minutes: export, fuse, verify, time both, write a page with pictures.

usage: tour.py [--from FILE] [FOLDER]

Without --from, torch exports an unfused RepVGG. FOLDER (default: tour) receives the models and
report.html, which draws the fused blocks.
"""
import argparse
import os
import pathlib
import time

import onnxruntime

import onnx_repvgg_fuse
from onnx_repvgg_fuse import testing


def best_time(path, inputs, runs=20):
    """Seconds of the fastest of several runs under ONNX Runtime, with all of its own optimizations."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(4, os.cpu_count() or 1)
    session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    session.run(None, inputs)
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        session.run(None, inputs)
        best = min(best, time.perf_counter() - start)
    return best


def main(arguments=None):
    parser = argparse.ArgumentParser(description="export, fuse, verify, time both, picture")
    parser.add_argument("--from", dest="exported", metavar="FILE", help="an exported model to start from")
    parser.add_argument("folder", nargs="?", default="tour", type=pathlib.Path)
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)

    # 1. Export the training form, with its branches and BatchNormalizations.
    if options.exported:
        model = pathlib.Path(options.exported)
    else:
        import torch_export

        model = torch_export.export(options.folder / "model.onnx", dynamo=False)

    # 2. Fuse.
    result = onnx_repvgg_fuse.fuse(model, options.folder / "fused.onnx")
    print(result.report)

    # 3. Verify: both models on the same random inputs.
    inputs = testing.generate_inputs(model, dims={"batch": 1}, size=64)
    comparison = testing.compare(model, result.model, inputs)
    print(comparison)
    assert comparison, "the fused model does not compute the same"

    # 4. Time both.
    before, after = best_time(model, inputs), best_time(result.model, inputs)
    print(f"time under ONNX Runtime: {1e3 * before:.2f} ms -> {1e3 * after:.2f} ms ({before / after:.2f} times as fast)")

    # 5. Write the page. In a notebook, `result` as the last line of a cell shows the same.
    picture = options.folder / "report.html"
    picture.write_text(result.report.html())
    print(f"picture: {picture}")
    return result


if __name__ == "__main__":
    main()
