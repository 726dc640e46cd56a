#!/usr/bin/env python3
"""Ask `verify` about every model beside what other optimizers make of it, in both orders.

For each model given, the optimizers that this Python has write a model each; ONNX Runtime says whether both compute the
same on random inputs. Counts what verify decides, and what it decides wrongly: a pair that ONNX Runtime tells apart by
more than ten times the tolerance and verify calls equal, or one that it finds alike and verify calls not equal.

usage: referee.py MODEL... [--work FOLDER] [--only PEER,...] [--seconds N]
needs: numpy, onnx, onnxruntime; of onnxsim, onnxslim, onnxoptimizer, onnxscript what is there
"""
import argparse
import collections
import copy
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[1]
TOOL = os.environ.get("ONNX_REPVGG_FUSE", str(ROOT / "build" / "onnx-repvgg-fuse"))
RTOL, RTOL_HALF = 1e-4, 1e-2


def by_onnxsim(source, target):
    import onnxsim
    model, valid = onnxsim.simplify(onnx.load(source))
    assert valid
    onnx.save(model, target)


def by_onnxslim(source, target):
    import onnxslim
    onnx.save(onnxslim.slim(onnx.load(source)), target)


def by_onnxoptimizer(source, target):
    import onnxoptimizer
    onnx.save(onnxoptimizer.optimize(onnx.load(source), onnxoptimizer.get_fuse_and_elimination_passes()), target)


def by_onnxscript(source, target):
    import onnxscript.optimizer
    onnx.save(onnxscript.optimizer.optimize(onnx.load(source)), target)


def by_ort(level):
    def write(source, target):
        options = ort.SessionOptions()
        options.graph_optimization_level = level
        options.optimized_model_filepath = str(target)
        options.log_severity_level = 3
        ort.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    return write


def by_converter(source, target):
    onnx.save(onnx.version_converter.convert_version(onnx.load(source), 21), target)


def by_fuse(source, target):
    subprocess.run([TOOL, source, target], check=True, capture_output=True)


def by_float16(source, target):
    """Weights, constants and values to float16; inputs and outputs stay float behind Casts."""
    model = onnx.load(source)
    half = onnx.TensorProto.FLOAT16

    def convert(tensor):
        if tensor.data_type == onnx.TensorProto.FLOAT:
            array = np.clip(numpy_helper.to_array(tensor), -65504, 65504).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    def walk(graph):
        for tensor in graph.initializer:
            convert(tensor)
        for node in graph.node:
            for a in node.attribute:
                if a.type == onnx.AttributeProto.TENSOR:
                    convert(a.t)
                if node.op_type == "Cast" and a.name == "to" and a.i == onnx.TensorProto.FLOAT:
                    a.i = half
                if a.type == onnx.AttributeProto.GRAPH:
                    walk(a.g)
        del graph.value_info[:]
    graph = model.graph
    walk(graph)
    names = {i.name for i in graph.initializer}
    first, last = [], []
    for value in graph.input:
        if value.name in names or value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
            continue
        inner = value.name + ".half"
        for node in graph.node:
            for k, name in enumerate(node.input):
                if name == value.name:
                    node.input[k] = inner
        first.append(onnx.helper.make_node("Cast", [value.name], [inner], to=half))
    for value in graph.output:
        if value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
            continue
        inner = value.name + ".half"
        for node in graph.node:
            for names in (node.input, node.output):
                for k, name in enumerate(names):
                    if name == value.name:
                        names[k] = inner
        last.append(onnx.helper.make_node("Cast", [inner], [value.name], to=onnx.TensorProto.FLOAT))
    nodes = first + list(graph.node) + last
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, target)


PEERS = {"onnxsim": by_onnxsim, "onnxslim": by_onnxslim, "onnxoptimizer": by_onnxoptimizer, "onnxscript": by_onnxscript,
         "ort-basic": by_ort(ort.GraphOptimizationLevel.ORT_ENABLE_BASIC),
         "ort-extended": by_ort(ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED),
         "converter": by_converter, "fuse": by_fuse, "float16": by_float16}


def session(path):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def truth(source, target):
    """The largest difference of the outputs, relative to the largest element of each; inf where shapes differ."""
    a, b = session(source), session(target)
    rng = np.random.default_rng(0)
    largest = 0.0
    for amplitude in (1.0, 4.0):
        feeds = {}
        for value in a.get_inputs():
            shape = [d if isinstance(d, int) and d > 0 else 2 if k == 0 else 64 for k, d in enumerate(value.shape)]
            feeds[value.name] = (rng.integers(0, 2, shape).astype(bool) if "bool" in value.type else
                                 rng.integers(0, 8, shape).astype(np.int64 if "int64" in value.type else np.int32)
                                 if "int" in value.type else
                                 (rng.standard_normal(shape) * amplitude).astype(np.float32))
        near = {k: v * (1 + 1e-6 * rng.standard_normal(v.shape).astype(v.dtype)) if v.dtype == np.float32 else v
                for k, v in feeds.items()}
        for x, y, z in zip(a.run(None, feeds), b.run(None, feeds), a.run(None, near)):
            if x.shape != y.shape:
                return float("inf")
            if x.size:
                x, y, z = (v.astype(float) for v in (x, y, z))
                difference, noise = np.abs(x - y).max(), np.abs(x - z).max()
                # Where a change of the input's last bit does as much, it says nothing.
                if difference > 8 * noise:
                    largest = max(largest, float(difference / max(1e-30, np.abs(x).max())))
    return largest


def verify(a, b, seconds, *options):
    start = time.perf_counter()
    try:
        done = subprocess.run([TOOL, "verify", *options, a, b], capture_output=True, text=True, timeout=seconds)
        answer, text = done.returncode, (done.stdout + done.stderr).split("\n", 1)
        text = text[0].split(": ", 1)[-1] if answer == 2 else ""
    except subprocess.TimeoutExpired:
        answer, text = 3, f"no answer in {seconds} s"
    return answer, text, time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=pathlib.Path)
    parser.add_argument("--work", type=pathlib.Path, help="where models are kept from one run for the next")
    parser.add_argument("--only", default=",".join(PEERS))
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    work = options.work or pathlib.Path(tempfile.mkdtemp())
    work.mkdir(exist_ok=True)
    counts, wrong, slow = collections.Counter(), 0, 0.0
    for source in options.models:
        for peer in options.only.split(","):
            target = work / f"{source.stem}.{peer}.onnx"
            judged = target.with_suffix(".truth")
            try:
                if not target.exists():
                    PEERS[peer](source, target)
                if not judged.exists():
                    judged.write_text(repr(truth(source, target)))
            except Exception as error:
                first = str(error).strip().split("\n")[0]
                print(f"{source.stem:28} {peer:13} no pair: {type(error).__name__}: {first[:80]}", flush=True)
                continue
            difference = float(judged.read_text())
            half = peer == "float16"
            for order, (a, b) in enumerate(((source, target), (target, source))):
                answer, text, took = verify(a, b, options.seconds, *(("--rtol", str(RTOL_HALF)) if half else ()))
                counts[answer] += 1
                slow = max(slow, took)
                tolerance = RTOL_HALF if half else RTOL
                is_wrong = (answer == 0 and difference > 10 * tolerance) or (answer == 1 and difference < tolerance / 10)
                wrong += is_wrong
                print(f"{source.stem:28} {peer:13} {'AB' if order == 0 else 'BA'} {answer} {took:6.2f} s "
                      f"{difference:8.1e} {'WRONG ' if is_wrong else ''}{text}", flush=True)
    pairs = sum(counts.values())
    decided = counts[0] + counts[1]
    print(f"{pairs} asked, {decided} decided ({100 * decided / max(1, pairs):.1f} %): {counts[0]} equal, {counts[1]} not; "
          f"{counts[2]} cannot tell, {counts[3]} out of time; {wrong} to be looked at; slowest {slow:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
