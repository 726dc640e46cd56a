#!/usr/bin/env python3
"""Run `verify` on every model and the output of other optimizers, in both orders.

Each optimizer that this Python has writes a model; ONNX Runtime judges on random inputs whether both compute the same. Counts
the decisions of verify, and its errors: it calls a pair equal that differs under ONNX Runtime by more than ten times the
tolerance, or it calls a pair not equal that agrees.

usage: referee.py MODEL... [--work FOLDER] [--only PEER,...] [--seconds N] [--jobs N] [--make]
needs: numpy, onnx, onnxruntime; uses onnxsim, onnxslim, onnxoptimizer, onnxscript if they are installed
"""
import argparse
import collections
import multiprocessing
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile

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


HALF = onnx.TensorProto.FLOAT16
# Inputs that stay float, by operator: no other type is allowed there
ALWAYS_FLOAT = {"Resize": (2,), "Upsample": (1,), "Range": (0, 1, 2)}


def to_half(tensor):
    if tensor.data_type == onnx.TensorProto.FLOAT:
        array = np.clip(numpy_helper.to_array(tensor), -65504, 65504).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def rename(nodes, was, name):
    for node in nodes:
        for names in (node.input, node.output):
            for k, given in enumerate(names):
                if given == was:
                    names[k] = name
        for a in node.attribute:
            rename(a.g.node, was, name)


def body_to_half(graph):
    """Constants and values of a graph, and of the bodies inside it."""
    made = [node for node in graph.node if node.op_type == "Constant"]
    kept = {node.input[k] for node in graph.node for k in ALWAYS_FLOAT.get(node.op_type, ()) if k < len(node.input)}
    for tensor in graph.initializer:
        if tensor.name not in kept:
            to_half(tensor)
    for node in graph.node:
        for a in node.attribute:
            if a.type == onnx.AttributeProto.TENSOR and not (node in made and node.output[0] in kept):
                to_half(a.t)
            if (node.op_type, a.name, a.i) in (("Cast", "to", onnx.TensorProto.FLOAT),
                                               ("EyeLike", "dtype", onnx.TensorProto.FLOAT)):
                a.i = HALF
            if a.type == onnx.AttributeProto.GRAPH:
                body_to_half(a.g)
                for value in (*a.g.input, *a.g.output):
                    if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
                        value.type.tensor_type.elem_type = HALF
    del graph.value_info[:]


def by_float16(source, target):
    """Weights, constants and values to float16; inputs and outputs stay float behind Casts."""
    model = onnx.load(source)
    graph = model.graph
    body_to_half(graph)
    held = {i.name for i in graph.initializer}
    first, last = [], []
    for value in graph.input:
        if value.name in held or value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
            continue
        inner = value.name + ".half"
        rename(graph.node, value.name, inner)
        first.append(onnx.helper.make_node("Cast", [value.name], [inner], to=HALF))
    for value in graph.output:
        if value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
            continue
        inner = value.name + ".half"
        rename(graph.node, value.name, inner)
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


def noise_of(runner, feeds, want, unit, rng, runs=4):
    """What the outputs change by, at most, when inputs are moved by `unit`: what the model makes of rounding."""
    noise = [0.0] * len(want)
    for _ in range(runs):
        near = {k: v * (1 + unit * rng.standard_normal(v.shape).astype(v.dtype)) if v.dtype == np.float32 else v
                for k, v in feeds.items()}
        for k, (x, z) in enumerate(zip(want, runner.run(None, near))):
            if x.size and x.shape == z.shape:
                noise[k] = max(noise[k], float(np.abs(x.astype(float) - z.astype(float)).max()))
    return noise


def truth(source, target, unit):
    """The largest difference of the outputs, relative to the largest element of each; inf where shapes differ. A difference
    of no more than eight times what rounding does to the model says nothing; a softmax of large numbers is chaos."""
    a, b = session(source), session(target)
    rng = np.random.default_rng(2)
    largest = 0.0
    for seed, amplitude in ((0, 1.0), (1, 4.0), (2, 0.25)):
        feeds = feeds_of(a, seed, amplitude)
        want, got = a.run(None, feeds), b.run(None, feeds)
        if apart(want, got) == 0:
            continue
        noise = noise_of(a, feeds, want, unit, rng)
        for x, y, z in zip(want, got, noise):
            if x.shape != y.shape:
                return float("inf")
            if x.size and np.abs(x.astype(float) - y.astype(float)).max() > 8 * z:
                largest = max(largest, apart([x], [y]))
    return largest


def verify(a, b, seconds, *options):
    """The answer, its text, and seconds of CPU: verify has one thread, and other work on the machine does not count."""
    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([TOOL, "verify", *options, a, b], capture_output=True, text=True, preexec_fn=limit)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done.returncode < 0:
        return 3, f"no answer in {seconds} s", took
    text = " | ".join((done.stdout + done.stderr).strip().split("\n"))
    return done.returncode, "" if done.returncode == 0 else text.split(": ", 1)[-1], took


def kind(text):
    """A reason without names and numbers, so that similar ones count as one."""
    return re.sub(r"\d+", "N", re.sub(r"'[^']*'", "'..'", text.split(" | ")[0]))


def make(source, peer, work):
    """The peer's model and what ONNX Runtime says of the pair, from an earlier run where there is one. None: no pair."""
    target = work / f"{source.stem}.{peer}.onnx"
    judged, failed = target.with_suffix(".truth"), target.with_suffix(".failed")
    if failed.exists():
        return target, None
    try:
        if not target.exists():
            PEERS[peer](source, target)
        if not judged.exists():
            judged.write_text(repr(truth(source, target, 5e-4 if peer == "float16" else 1e-6)))
    except Exception as error:
        failed.write_text(f"{type(error).__name__}: " + str(error).strip().split("\n")[0])
        return target, None
    return target, float(judged.read_text())


def kinds_of(path):
    return {tensor.data_type for tensor in onnx.load(path).graph.initializer}


def ask(task):
    """Both orders of one pair: (peer, order, answer, text, seconds, difference, wrong) each."""
    source, peer, options = task
    target, difference = make(source, peer, options.work)
    if difference is None or options.make:
        return source, peer, None, []
    half = peer == "float16"
    tolerance = RTOL_HALF if half or HALF in kinds_of(source) else RTOL
    rows = []
    for order, (a, b) in (("AB", (source, target)), ("BA", (target, source))):
        answer, text, took = verify(a, b, options.seconds, *(("--rtol", str(RTOL_HALF)) if half else ()))
        wrong = (answer == 0 and difference > 10 * tolerance) or (answer == 1 and difference < tolerance / 10)
        rows.append((order, answer, text, took, wrong))
    return source, peer, difference, rows


def feeds_of(runner, seed, amplitude):
    """Numbers for each input; sizes that are left open are 2 for the batch, else 64."""
    rng, feeds = np.random.default_rng(seed), {}
    for value in runner.get_inputs():
        shape = [d if isinstance(d, int) and d > 0 else 2 if k == 0 else 64 for k, d in enumerate(value.shape)]
        if "bool" in value.type:
            feeds[value.name] = rng.integers(0, 2, shape).astype(bool)
        elif "int" in value.type:
            feeds[value.name] = rng.integers(0, 8, shape).astype(np.int64 if "int64" in value.type else np.int32)
        else:
            real = np.float16 if "float16" in value.type else np.float64 if "double" in value.type else np.float32
            feeds[value.name] = (rng.standard_normal(shape) * amplitude).astype(real)
    return feeds


def apart(want, got):
    """The largest difference of two runs, relative to the largest element of each output; inf where shapes differ."""
    largest = 0.0
    for x, y in zip(want, got):
        if x.shape != y.shape:
            return float("inf")
        if x.size:
            x, y = x.astype(float), y.astype(float)
            if (np.isfinite(x) != np.isfinite(y)).any():
                return float("inf")
            difference = np.nan_to_num(np.abs(x - y), nan=0, posinf=0).max()
            largest = max(largest, float(difference / max(1e-30, np.abs(np.where(np.isfinite(x), x, 0)).max())))
    return largest


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=pathlib.Path)
    parser.add_argument("--work", type=pathlib.Path, help="where models are kept from one run for the next")
    parser.add_argument("--only", default=",".join(PEERS))
    parser.add_argument("--seconds", type=int, default=60, help="of CPU for one answer")
    parser.add_argument("--jobs", type=int, default=1, help="pairs at once")
    parser.add_argument("--make", action="store_true", help="make the pairs and judge them, ask nothing")
    options = parser.parse_args()
    options.work = options.work or pathlib.Path(tempfile.mkdtemp())
    options.work.mkdir(exist_ok=True)
    # float16 twins have their own line: another tolerance
    counts, wrong, slow = collections.defaultdict(collections.Counter), collections.Counter(), collections.Counter()
    reasons = collections.Counter()
    tasks = [(source, peer, options) for source in options.models for peer in options.only.split(",")]
    with multiprocessing.Pool(options.jobs) as pool:
        for source, peer, difference, rows in pool.imap(ask, tasks):
            if difference is None:
                failed = options.work / f"{source.stem}.{peer}.failed"
                why = failed.read_text() if failed.exists() else "made"
                print(f"{source.stem:28} {peer:13} {'' if options.make else 'no pair: '}{why[:90]}", flush=True)
            for order, answer, text, took, is_wrong in rows:
                line = "float16" if peer == "float16" else "peers"
                counts[line][answer] += 1
                slow[line] = max(slow[line], took)
                wrong[line] += is_wrong
                if is_wrong or answer > 1:
                    reasons[("WRONG " if is_wrong else "") + kind(text)] += 1
                print(f"{source.stem:28} {peer:13} {order} {answer} {took:6.2f} s "
                      f"{difference:8.1e} {'WRONG ' if is_wrong else ''}{text}", flush=True)
    for reason, n in reasons.most_common():
        print(f"{n:5}  {reason}")
    for line, count in counts.items():
        asked = sum(count.values())
        decided = count[0] + count[1]
        print(f"{line}: {asked} asked, {decided} decided ({100 * decided / asked:.1f} %): {count[0]} equal, {count[1]} not; "
              f"{count[2]} undecided, {count[3]} out of time; {wrong[line]} to be looked at; slowest {slow[line]:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
