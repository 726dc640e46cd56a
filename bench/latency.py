#!/usr/bin/env python3
"""ONNX Runtime's time on CPU of train forms, of what onnx-repvgg-fuse makes of them, and of deploy forms.

For each shape: the train form, the output of the tool, and where one exists the deploy form that
numpy made of the same weights. ONNX Runtime's own optimizations are on (all of them). The three
run in turn, and the medians are compared: 'ours/train' under 1 is faster. 'off' is the largest
difference of outputs, relative to the largest output.

usage: latency.py [MODEL.onnx...] [--only NAME,...] [--rounds N] [--threads N] [--tool PROGRAM]
needs: numpy, onnxruntime
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy as np
import onnxruntime

from models import Model, repvgg

ROOT = pathlib.Path(__file__).resolve().parents[1]


def stack(channels, size, depth=3, deploy=False, cin=None, **block):
    """`depth` blocks one after another. size: the extent of each spatial axis."""
    m = Model(1, deploy)
    x = m.input("x", [1, channels, *size])
    for i in range(depth):
        x = m.block(x, channels, channels, f"block{i}", **block)
    m.output(x, [1, channels, *size])
    return m


def mobileone(deploy=False):
    m = Model(1, deploy)
    x, c = m.input("x", [1, 96, 28, 28]), 96
    for i in range(2):
        x = m.block(x, c, c, f"depthwise{i}", kernels=((3, 3),) * 4 + ((1, 1),), groups=c)
        x = m.block(x, c, c, f"pointwise{i}", kernels=((1, 1),) * 4)
    m.output(x, [1, c, 28, 28])
    return m


def shortcut(channels, size, depth, extra=0):
    """x + BN(x), and Relu: becomes a depthwise 1x1 Conv if it is fused."""
    m = Model(1)
    x = m.input("x", [1, channels, *size])
    for i in range(depth):
        y = m.norm(x, channels, f"bn{i}")
        for k in range(extra):
            y = m.op("Add", [y, m.norm(x, channels, f"bn{i}.{k}")], f"more{i}.{k}")
        x = m.op("Relu", [m.op("Add", [x, y], f"add{i}")], f"relu{i}")
    m.output(x, [1, channels, *size])
    return m


def repmixer(channels=64, size=(32, 32), depth=3):
    """x + g * (BN(dwconv(x)) - BN(x))"""
    m = Model(1)
    x = m.input("x", [1, channels, *size])
    for i in range(depth):
        mix = m.norm(m.conv(x, [channels, 1, 3, 3], f"mix{i}", groups=channels), channels, f"mixbn{i}")
        d = m.op("Sub", [mix, m.norm(x, channels, f"bn{i}")], f"sub{i}")
        g = m.op("Mul", [d, m.tensor(f"g{i}", [channels, 1, 1], "scale")], f"mul{i}")
        x = m.op("Relu", [m.op("Add", [x, g], f"add{i}")], f"relu{i}")
    m.output(x, [1, channels, *size])
    return m


def chain(channels, size, kernels, depth=3, norm_between=False, groups=(1, 1)):
    """Unpadded Convs without bias one after another, then BN and Relu: composed where that costs no more."""
    m = Model(1)
    x, left = m.input("x", [1, channels, *size]), np.array(size)
    for i in range(depth):
        for j, (k, g) in enumerate(zip(kernels, groups)):
            x = m.conv(x, [channels, channels // g, *k], f"conv{i}.{j}", groups=g, pads=[0] * 2 * len(k))
            left = left - np.array(k) + 1
        x = m.op("Relu", [m.norm(x, channels, f"bn{i}")], f"relu{i}")
    m.output(x, [1, channels, *map(int, left)])
    return m


def preact(channels, size, kernel, depth=3, groups=1):
    """BN before an unpadded Conv, then Relu (fold_before)."""
    m = Model(1)
    x, left = m.input("x", [1, channels, *size]), np.array(size)
    for i in range(depth):
        x = m.conv(m.norm(x, channels, f"bn{i}"), [channels, channels // groups, *kernel], f"conv{i}", groups=groups, pads=[0] * 2 * len(kernel))
        left = left - np.array(kernel) + 1
        x = m.op("Relu", [x], f"relu{i}")
    m.output(x, [1, channels, *map(int, left)])
    return m


def affine(channels, size, depth=4):
    """Per-channel Mul, Add, Mul, Add, then Relu."""
    m = Model(1)
    x = m.input("x", [1, channels, *size])
    for i in range(depth):
        for j in range(2):
            x = m.op("Mul", [x, m.tensor(f"m{i}.{j}", [channels, 1, 1], "scale")], f"mul{i}.{j}")
            x = m.op("Add", [x, m.tensor(f"a{i}.{j}", [channels, 1, 1], "shift")], f"add{i}.{j}")
        x = m.op("Relu", [x], f"relu{i}")
    m.output(x, [1, channels, *size])
    return m


def summed(channels, size, left, right, depth=3, groups=(1, 1), dilations=(1, 1)):
    """Two Convs with BN that differ in kernel, groups or dilation."""
    m = Model(1)
    x = m.input("x", [1, channels, *size])
    for i in range(depth):
        leaves = [m.norm(m.conv(x, [channels, channels // g, *k], f"conv{i}.{j}", groups=g, dilation=d), channels, f"bn{i}.{j}")
                  for j, (k, g, d) in enumerate(zip((left, right), groups, dilations))]
        x = m.op("Relu", [m.op("Add", leaves, f"add{i}")], f"relu{i}")
    m.output(x, [1, channels, *size])
    return m


def shifted(channels, size, depth=3, groups=1):
    """3x3 and 3x3 a column to the right: their union is 3x4."""
    m = Model(1)
    x = m.input("x", [1, channels, *size])
    for i in range(depth):
        leaves = [m.norm(m.conv(x, [channels, channels // groups, 3, 3], f"conv{i}.{j}", groups=groups, pads=p), channels, f"bn{i}.{j}")
                  for j, p in enumerate(([1, 1, 1, 1], [1, 0, 1, 2]))]
        x = m.op("Relu", [m.op("Add", leaves, f"add{i}")], f"relu{i}")
    m.output(x, [1, channels, *size])
    return m


def strided(cin, channels, size, deploy=False):
    m = Model(1, deploy)
    m.output(m.block(m.input("x", [1, cin, *size]), cin, channels, "block", stride=2), [1, channels, *(s // 2 for s in size)])
    return m


def gemm(width, rows, branches=2, depth=3):
    m = Model(1)
    x = m.input("x", [rows, width])
    for i in range(depth):
        leaves = [m.op("Gemm", [x, m.tensor(f"w{i}.{j}", [width, width], "matmul"), m.tensor(f"b{i}.{j}", [width], "shift")], f"gemm{i}.{j}")
                  for j in range(branches)]
        y = leaves[0] if branches == 1 else m.op("Add", leaves, f"add{i}")
        x = m.op("Relu", [m.norm(y, width, f"bn{i}")], f"relu{i}")
    m.output(x, [rows, width])
    return m


K3, K1 = (3, 3), (1, 1)
# name: (maker, whether it has a deploy form, options of the tool)
CASES = {
    "dense 3x3, 64 at 56x56": (lambda d: stack(64, (56, 56), deploy=d), True),
    "dense 3x3, 192 at 28x28": (lambda d: stack(192, (28, 28), deploy=d), True),
    "dense 3x3, 512 at 7x7": (lambda d: stack(512, (7, 7), 2, deploy=d), True),
    "dense 3x3, 4 at 112x112": (lambda d: stack(4, (112, 112), 4, deploy=d), True),
    "dense 3x3, 8 at 14x14": (lambda d: stack(8, (14, 14), 6, deploy=d), True),
    "RepVGG-A0 at 224x224": (lambda d: repvgg((48, 48, 96, 192, 1280), (1, 2, 4, 14, 1), seed=1, deploy=d), True),
    "dense 3x3, 20 at 28x28": (lambda d: stack(20, (28, 28), 4, deploy=d), True),
    "stride 2, 3 to 48 at 224x224": (lambda d: strided(3, 48, (224, 224), d), True),
    "stride 2, 96 to 192 at 28x28": (lambda d: strided(96, 192, (28, 28), d), True),
    "grouped by 4, 128 at 28x28": (lambda d: stack(128, (28, 28), groups=4, deploy=d), True),
    "grouped by 32, 128 at 28x28": (lambda d: stack(128, (28, 28), groups=32, deploy=d), True),
    "depthwise 3x3, 128 at 28x28": (lambda d: stack(128, (28, 28), 4, groups=128, deploy=d), True),
    "depthwise 3x3, 32 at 112x112": (lambda d: stack(32, (112, 112), 4, groups=32, deploy=d), True),
    "depthwise 3x3, 20 at 28x28": (lambda d: stack(20, (28, 28), 4, groups=20, deploy=d), True),
    "depthwise 5x5+3x3, 96 at 28x28": (lambda d: stack(96, (28, 28), 4, groups=96, kernels=((5, 5), K3), deploy=d), True),
    "depthwise 7x7+3x3, 96 at 28x28": (lambda d: stack(96, (28, 28), 4, groups=96, kernels=((7, 7), K3), deploy=d), True),
    "depthwise 31x31+5x5, 64 at 32x32": (lambda d: stack(64, (32, 32), 2, groups=64, kernels=((31, 31), (5, 5)), deploy=d), True),
    "depthwise 13x13+dilated, 64 at 32x32": (lambda d: stack(64, (32, 32), 2, groups=64, kernels=((13, 13), (5, 5), (7, 7), K3, K3, K3),
                                                          dilations=(1, 1, 2, 3, 4, 5), deploy=d), True),
    "1x1 sums, 128 at 28x28": (lambda d: stack(128, (28, 28), kernels=(K1, K1), deploy=d), True),
    "MobileOne, 96 at 28x28": (mobileone, True),
    "ACNet 3x3+1x3+3x1, 64 at 56x56": (lambda d: stack(64, (56, 56), kernels=(K3, (1, 3), (3, 1)), identity=False, deploy=d), True),
    "ACNet depthwise, 64 at 56x56": (lambda d: stack(64, (56, 56), kernels=(K3, (1, 3), (3, 1)), identity=False, groups=64, deploy=d), True),
    "5x3+3x5, 64 at 28x28": (lambda d: summed(64, (28, 28), (5, 3), (3, 5)), False),
    "1x3+3x1, 64 at 56x56": (lambda d: summed(64, (56, 56), (1, 3), (3, 1)), False),
    "1x3+3x1, --max-growth 2": (lambda d: summed(64, (56, 56), (1, 3), (3, 1)), False, "--max-growth", "2"),
    "1x3+3x1 depthwise, --max-growth 2": (lambda d: summed(64, (56, 56), (1, 3), (3, 1), groups=(64, 64)), False, "--max-growth", "2"),
    "3x3+3x3, both dilated by 2, 64 at 28x28": (lambda d: summed(64, (28, 28), K3, (3, 3), dilations=(2, 2)), False),
    "the same, depthwise, 64 at 56x56": (lambda d: summed(64, (56, 56), K3, K3, groups=(64, 64), dilations=(2, 2)), False),
    "3x3 + shifted 3x3, 64 at 28x28": (lambda d: shifted(64, (28, 28)), False),
    "3x3 + shifted 3x3 depthwise, 64 at 28x28": (lambda d: shifted(64, (28, 28), groups=64), False),
    "3x3 + shifted 3x3 depthwise, 20 at 28x28": (lambda d: shifted(20, (28, 28), groups=20), False),
    "groups 2 and 8, 64 at 28x28": (lambda d: summed(64, (28, 28), K3, K3, groups=(2, 8)), False),
    "groups 1 and 64, 64 at 28x28": (lambda d: summed(64, (28, 28), K3, K3, groups=(1, 64)), False),
    "Conv1d 3+1, 64 at 512": (lambda d: stack(64, (512,), kernels=((3,), (1,)), deploy=d), True),
    "Conv1d 3+1 depthwise, 64 at 512": (lambda d: stack(64, (512,), kernels=((3,), (1,)), groups=64, deploy=d), True),
    "Conv1d 7+3, 128 at 128": (lambda d: stack(128, (128,), kernels=((7,), (3,)), deploy=d), True),
    "RepMixer, 64 at 32x32": (lambda d: repmixer(), False),
    "x + BN(x), 64 at 56x56": (lambda d: shortcut(64, (56, 56), 4), False),
    "x + BN(x), 3 at 224x224": (lambda d: shortcut(3, (224, 224), 4), False),
    "x + BN(x), 20 at 28x28": (lambda d: shortcut(20, (28, 28), 4), False),
    "x + BN(x), 512 at 7x7": (lambda d: shortcut(512, (7, 7), 4), False),
    "x + BN(x), 511 at 7x7": (lambda d: shortcut(511, (7, 7), 4), False),
    "x + BN(x), 511 at 7x7, --max-growth 2": (lambda d: shortcut(511, (7, 7), 4), False, "--max-growth", "2"),
    "x + BN(x) + BN(x), 64 at 56x56": (lambda d: shortcut(64, (56, 56), 4, 1), False),
    "x + BN(x), 64 at 512": (lambda d: shortcut(64, (512,), 4), False),
    "Mul Add Mul Add, 64 at 56x56": (lambda d: affine(64, (56, 56)), False),
    "1x1 then 3x3, 64 at 58x58": (lambda d: chain(64, (58, 58), (K1, K3)), False),
    "3x3 then 1x1, 64 at 58x58": (lambda d: chain(64, (58, 58), (K3, K1)), False),
    "1x1 then 1x1, 128 at 28x28": (lambda d: chain(128, (28, 28), (K1, K1)), False),
    "1x1 then 3x3 depthwise, 64 at 58x58": (lambda d: chain(64, (58, 58), (K1, K3), groups=(64, 64)), False),
    "3x3 depthwise then 3x3 depthwise, 64 at 58x58": (lambda d: chain(64, (58, 58), (K3, K3), groups=(64, 64)), False, "--max-growth", "2"),
    "1x3 then 3x1, 64 at 58x58, --max-growth 2": (lambda d: chain(64, (58, 58), ((1, 3), (3, 1))), False, "--max-growth", "2"),
    "BN then 1x1, 64 at 56x56": (lambda d: preact(64, (56, 56), K1), False),
    "BN then 3x3, 64 at 56x56": (lambda d: preact(64, (56, 56), K3), False),
    "BN then depthwise 3x3, 64 at 56x56": (lambda d: preact(64, (56, 56), K3, groups=64), False),
    "Gemm + BN, 512 at 64 rows": (lambda d: gemm(512, 64, 1), False),
    "Gemm + Gemm + BN, 512 at 64 rows": (lambda d: gemm(512, 64), False),
}


def session(path, threads):
    o = onnxruntime.SessionOptions()
    o.intra_op_num_threads, o.inter_op_num_threads = threads, 1
    o.log_severity_level = 3
    # The threads of the session that ran last would spin on the cores that the next one needs.
    o.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(str(path), o, providers=["CPUExecutionProvider"])


def feeds(s):
    rng = np.random.default_rng(7)
    kinds = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64, "tensor(bool)": bool,
             "tensor(int64)": np.int64}
    out = {}
    for i in s.get_inputs():
        n = len(i.shape)
        shape = [d if isinstance(d, int) else 1 if k == 0 else 224 if n == 4 else 64 for k, d in enumerate(i.shape)]
        dtype = kinds[i.type]
        out[i.name] = np.ones(shape, dtype) if dtype in (bool, np.int64) else rng.standard_normal(shape).astype(dtype)
    return out


def compare(name, paths, a):
    """Time the forms of one model in turn; prints a line and hands back its numbers."""
    sessions = {k: session(p, a.threads) for k, p in paths.items()}
    feed = feeds(sessions["train"])
    results = {k: s.run(None, feed) for k, s in sessions.items()}
    off = {k: max((float(np.abs(np.subtract(x, y, dtype=np.float64)).max(initial=0) / max(np.abs(x).max(initial=0), 1e-30))
                   for x, y in zip(results["train"], r)), default=0.0) for k, r in results.items() if k != "train"}
    clock = time.thread_time if a.cpu else time.perf_counter
    times = {k: [] for k in sessions}
    start = time.perf_counter()
    while len(times["train"]) < a.rounds or (time.perf_counter() - start < a.seconds and len(times["train"]) < 100 * a.rounds):
        turn = list(sessions)
        first = len(times["train"]) % len(turn)  # each form follows each other one as often
        for k in turn[first:] + turn[:first]:
            s = sessions[k]
            t = clock()
            s.run(None, feed)
            times[k].append(clock() - t)
    median = {k: (min if a.cpu else statistics.median)(v) * 1000 for k, v in times.items()}
    return {"name": name, "ms": median, "ratio": median["ours"] / median["train"],
            "reference": median["ours"] / median["deploy"] if "deploy" in median else None, "off": off["ours"]}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", nargs="*", type=pathlib.Path, help="measure these instead of the built-in shapes")
    p.add_argument("--only", type=lambda v: v.split(","), help="shapes whose name holds one of these")
    p.add_argument("--rounds", type=int, default=30, help="the least number of runs of each form (default: 30)")
    p.add_argument("--seconds", type=float, default=2, help="go on for this long (default: 2)")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--cpu", action="store_true", help="for a busy machine: one thread, its CPU time, the least of the runs")
    p.add_argument("--tool", default=os.environ.get("ONNX_REPVGG_FUSE", str(ROOT / "build" / "onnx-repvgg-fuse")))
    p.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write every number there")
    a = p.parse_args()
    if not os.access(a.tool, os.X_OK):
        p.error(f"{a.tool} cannot be run: build it first, or name it with --tool")

    if a.cpu:
        a.threads = 1
    what = "CPU time of one thread, least of" if a.cpu else f"{a.threads} threads, median of"
    print(f"ONNX Runtime {onnxruntime.__version__}, {what} interleaved runs")
    print(f"| {'shape':<44} | {'ops':>9} | {'train ms':>8} | {'ours ms':>8} | {'deploy ms':>9} | {'ours/train':>10} | {'ours/deploy':>11} | {'off':>7} |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    rows = []
    with tempfile.TemporaryDirectory(prefix="latency-") as name:
        folder = pathlib.Path(name)
        work = [(m.name, m, None, ()) for m in a.model] or [(k, None, c[:2], c[2:]) for k, c in CASES.items()]
        for title, path, case, options in work:
            if a.only and not any(o in title for o in a.only):
                continue
            paths = {"train": path or folder / "train.onnx", "ours": folder / "ours.onnx"}
            if case:
                case[0](False).write(paths["train"])
                if case[1]:
                    paths["deploy"] = folder / "deploy.onnx"
                    case[0](True).write(paths["deploy"])
            subprocess.run([a.tool, "--quiet", *options, "--json", folder / "report", paths["train"], paths["ours"]], check=True)
            report = json.loads((folder / "report").read_text())
            r = compare(title, paths, a)
            r["ops"] = [report["before"]["ops"], report["after"]["ops"]]
            rows.append(r)
            deploy, reference = (f"{r['ms']['deploy']:.3f}", f"{r['reference']:.2f}") if r["reference"] else ("", "")
            print(f"| {title:<44} | {'{}->{}'.format(*r['ops']):>9} | {r['ms']['train']:>8.3f} | {r['ms']['ours']:>8.3f} | {deploy:>9} | {r['ratio']:>10.2f} "
                  f"| {reference:>11} | {r['off']:>7.0e} |", flush=True)
    if a.json:
        a.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
