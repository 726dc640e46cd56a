#!/usr/bin/env python3
"""How fast runtimes are on a CPU with training forms, with what onnx-repvgg-fuse makes of them, and with deploy forms.

`latency.py` measures the networks of tests/corpus, or given models, under ONNX Runtime, OpenVINO, MNN and ncnn, those of them that
are installed, with all of their own optimizations on. It prints two tables in Markdown: of one inference, and of making a
session. The forms of a model take turns, a block of runs each, behind one run that is not timed; a form's ratio is the median of its
blocks' ratios to the training form's block of the same turn. The training form runs twice: the ratio of the two is the noise.
A deploy form is what timm's reparameterize_model makes of the same network, where timm and torch are installed.

`latency.py --shapes` measures single blocks of many shapes under ONNX Runtime, beside deploy forms that numpy made of the same weights.

usage: latency.py [MODEL.onnx...] [--only NAME,...] [--runtimes NAME,...] [--rounds N] [--threads N] [--cpu] [--tool PROGRAM] [--json FILE]
needs: numpy, and of onnxruntime, openvino, MNN, ncnn with pnnx those to be measured; for the corpus onnx, for deploy forms timm
"""
import argparse
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

import runtimes
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


# The networks of the corpus by timm's names, and the size of their inputs; those whose deploy form has fewer branches.
DEPLOY = {"repvgg_a0": 224, "repvgg_b1g4": 224, "mobileone_s1": 224, "fastvit_t8": 256, "repvit_m0_9": 224, "ghostnetv3_050": 224,
          "levit_128s": 224, "shvit_s1": 224, "efficientvit_m0": 224}


def deploy_form(name, path, given):
    """Write the deploy form of a network of the corpus, with random weights and the given name of its input: False where there is none."""
    if name not in DEPLOY:
        return False
    try:
        import timm
        import torch
    except ImportError:
        return False
    model = timm.utils.reparameterize_model(timm.create_model(name, pretrained=False).eval())
    torch.onnx.export(model, torch.zeros(1, 3, DEPLOY[name], DEPLOY[name]), str(path), input_names=[given], dynamo=False, opset_version=17)
    return True


def corpus(folder):
    """Write the models of tests/corpus into a folder: {name: path}."""
    skeletons = sorted((ROOT / "tests" / "corpus").glob("*.onnx.gz"))
    subprocess.run([sys.executable, ROOT / "tests" / "corpus" / "refill.py", *skeletons, "-o", folder], check=True, stdout=subprocess.DEVNULL)
    return {path.name.removesuffix(".train.onnx"): path for path in sorted(pathlib.Path(folder).glob("*.onnx"))}


def feeds(tool, path):
    """Arrays for the inputs of a model, with the types and shapes from `info`."""
    info = json.loads(subprocess.run([tool, "info", "--format", "json", path], check=True, capture_output=True).stdout)
    rng = np.random.default_rng(7)
    kinds = {"float": np.float32, "float16": np.float16, "double": np.float64, "bool": bool, "int64": np.int64}
    out = {}
    for i in info["inputs"]:
        n = len(i["shape"])
        shape = [d if isinstance(d, int) else 1 if k == 0 else 224 if n == 4 else 64 for k, d in enumerate(i["shape"])]
        dtype = kinds[i["type"]]
        out[i["name"]] = np.ones(shape, dtype) if dtype in (bool, np.int64) else rng.standard_normal(shape).astype(dtype)
    return out


def turns(forms, count):
    """In each turn every form once; each follows each other one as often."""
    for turn in range(count):
        first = turn % len(forms)
        yield forms[first:] + forms[:first]


def compare(kind, paths, feed, a):
    """Measure the forms of one model under one runtime: milliseconds of one inference and of making a session, the ratios of both to the
    training form's, and how far outputs are from the training form's, relative to the largest."""
    clock = time.process_time if a.cpu else time.perf_counter
    runtime = kind()
    forms = [*paths, "control"]
    with tempfile.TemporaryDirectory(prefix="latency-") as name:
        ready = {}
        for form, path in paths.items():
            (pathlib.Path(name) / form).mkdir()
            ready[form] = runtime.prepare(path, feed, pathlib.Path(name) / form)
        ready["control"] = ready["train"]
        opened, opening = {}, {form: [] for form in forms}
        for turn in turns(forms, a.sessions + 1):
            for form in turn:
                opened.pop(form, None)
                start = clock()
                opened[form] = runtime.open(ready[form], feed, a.threads)
                opening[form].append(clock() - start)
        results = {form: run() for form, run in opened.items()}
        start = time.perf_counter()
        opened["train"]()
        runs = max(1, min(50, round(a.block / (time.perf_counter() - start))))
        blocks = {form: [] for form in forms}
        for turn in turns(forms, a.rounds):
            for form in turn:
                opened[form]()
                times = []
                for _ in range(runs):
                    start = clock()
                    opened[form]()
                    times.append(clock() - start)
                blocks[form].append(min(times))

    def told(times):
        ratio = {form: statistics.median(x / y for x, y in zip(times[form], times["train"])) for form in forms}
        return {"ms": {form: 1000 * statistics.median(times[form]) for form in forms}, "ratio": ratio}

    off = max((float(np.abs(np.subtract(x, y, dtype=np.float64)).max(initial=0) / max(np.abs(x).max(initial=0), 1e-30))
               for x, y in zip(results["train"], results["ours"])), default=0.0)
    # The first session of a process pays for what all of them share.
    return {"run": told(blocks), "session": told({form: times[1:] for form, times in opening.items()}), "off": off}


def quiet():
    """Discards what libraries print."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def apart(function, *arguments):
    """Calls the function in its own process, so that only that process ends if a runtime crashes. Returns an error as text."""
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=quiet) as pool:
        try:
            return pool.submit(function, *arguments).result()
        except Exception as error:  # of whatever library
            return f"{type(error).__name__}: {error}"


def version_of(kind):
    return (kind().version,)


def installed(names):
    """The runtimes of these names, of all where there are none, with their versions; a line on standard error for each that is missing."""
    found = {}
    for kind in runtimes.ALL:
        if names and kind.name not in names:
            continue
        version = apart(version_of, kind)
        if isinstance(version, str):
            print(f"{kind.name}: not measured; pip install {' '.join(kind.packages)} ({version})", file=sys.stderr)
        else:
            found[kind] = version[0]
    if not found:
        sys.exit("latency.py: no runtime to measure")
    return found


def cell(result, what):
    if isinstance(result, str):
        return " | "
    found = result[what]
    deploy = f" ({found['ratio']['deploy']:.2f})" if "deploy" in found["ratio"] else ""
    return f"{found['ms']['train']:.{1 if found['ms']['train'] >= 10 else 2}f} | {found['ratio']['ours']:.2f}{deploy}"


def table(rows, kinds, what):
    """One table in Markdown, ended by the range of the control's ratios."""
    print(f"| network | ops | {' | '.join(f'{k.name} ms | fused' for k in kinds)} |")
    print(f"|---|---:|{'---:|' * 2 * len(kinds)}")
    for row in rows:
        print(f"| {row['name']} | {row['ops'][0]} to {row['ops'][1]} | {' | '.join(cell(row[k.name], what) for k in kinds)} |")
    noise = [[row[k.name][what]["ratio"]["control"] for row in rows if not isinstance(row[k.name], str)] for k in kinds]
    print(f"| the training form again | | {' | '.join(f' | {min(n):.2f} to {max(n):.2f}' if n else ' | ' for n in noise)} |")


def fuse(a, options, train, ours, folder):
    """Fuse a model; the counts of its ops before and after."""
    subprocess.run([a.tool, "--quiet", *options, "--json", folder / "report", train, ours], check=True)
    report = json.loads((folder / "report").read_text())
    return [report["before"]["ops"], report["after"]["ops"]]


def measure_networks(a, folder):
    kinds = installed(a.runtimes)
    rows = []
    for name, path in ({m.stem: m for m in a.model} or corpus(folder / "corpus")).items():
        if a.only and not any(o in name for o in a.only):
            continue
        paths = {"train": path, "ours": folder / "ours.onnx", "deploy": folder / "deploy.onnx"}
        ops = fuse(a, (), path, paths["ours"], folder)
        feed = feeds(a.tool, path)
        if apart(deploy_form, name.split(".")[0], paths["deploy"], next(iter(feed))) is not True:
            del paths["deploy"]
        row = {"name": name, "ops": ops}
        for kind in kinds:
            row[kind.name] = result = apart(compare, kind, paths, feed, a)
            told = result if isinstance(result, str) else f"fused/train {result['run']['ratio']['ours']:.2f}, train/train {result['run']['ratio']['control']:.2f}, off by {result['off']:.0e}"
            print(f"{name}, {kind.name}: {told}", file=sys.stderr, flush=True)
        rows.append(row)
    clock = "processor time of one thread" if a.cpu else f"time with {a.threads} threads"
    versions = ", ".join(f"{kind.name} {version}" for kind, version in kinds.items())
    print(f"{versions}; {clock}. Milliseconds of the training form, and the fused form's part of it; in brackets the deploy form's.\n\nOne inference:\n")
    table(rows, kinds, "run")
    print("\nMaking a session:\n")
    table(rows, kinds, "session")
    return rows


def measure_shapes(a, folder):
    (kind, version), = installed([runtimes.OnnxRuntime.name]).items()
    print(f"ONNX Runtime {version}, {'processor time of one thread' if a.cpu else f'{a.threads} threads'}")
    print("| shape | ops | train ms | ours ms | ours/train | ours/deploy | train/train | off |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    rows = []
    for name, (make, has_deploy, *options) in CASES.items():
        if a.only and not any(o in name for o in a.only):
            continue
        paths = {form: folder / f"{form}.onnx" for form in ("train", "ours", *["deploy"] * has_deploy)}
        make(False).write(paths["train"])
        if has_deploy:
            make(True).write(paths["deploy"])
        row = {"name": name, "ops": fuse(a, options, paths["train"], paths["ours"], folder)}
        row.update(compare(kind, paths, feeds(a.tool, paths["train"]), a))
        ms, ratio = row["run"]["ms"], row["run"]["ratio"]
        deploy = f"{ratio['ours'] / ratio['deploy']:.2f}" if has_deploy else ""
        print(f"| {name} | {row['ops'][0]} to {row['ops'][1]} | {ms['train']:.3f} | {ms['ours']:.3f} | {ratio['ours']:.2f} | {deploy} "
              f"| {ratio['control']:.2f} | {row['off']:.0e} |", flush=True)
        rows.append(row)
    return rows


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", nargs="*", type=pathlib.Path, help="measure these instead of the corpus")
    p.add_argument("--shapes", action="store_true", help="measure single blocks of many shapes under ONNX Runtime")
    p.add_argument("--only", type=lambda v: v.split(","), help="models or shapes whose name holds one of these")
    p.add_argument("--runtimes", type=lambda v: v.split(","), help="these only: " + ", ".join(k.name for k in runtimes.ALL))
    p.add_argument("--rounds", type=int, default=10, help="blocks of each form (default: 10)")
    p.add_argument("--block", type=float, default=0.1, metavar="SECONDS", help="how long a block is about (default: 0.1)")
    p.add_argument("--sessions", type=int, default=5, help="how often a session is made of each form (default: 5)")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--cpu", action="store_true", help="for a busy machine: one thread, and its processor time")
    p.add_argument("--tool", default=os.environ.get("ONNX_REPVGG_FUSE", str(ROOT / "build" / "onnx-repvgg-fuse")))
    p.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write every number there")
    a = p.parse_args()
    if not os.access(a.tool, os.X_OK):
        p.error(f"{a.tool} cannot be run: build it first, or name it with --tool")
    if a.cpu:
        a.threads = 1
    with tempfile.TemporaryDirectory(prefix="latency-") as name:
        rows = (measure_shapes if a.shapes else measure_networks)(a, pathlib.Path(name))
    if a.json:
        a.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
