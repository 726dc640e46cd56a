"""Time and peak memory of what small files and large ones make the command take, by the kernel's count.

The command of the wheel is asked where the other is built with a sanitizer, under which memory says nothing. Each
family of growth.py is one model of about 100 KB; docs/security.md has the bound."""
import importlib.metadata
import json
import os
import subprocess

import numpy as np
import pytest
from onnx import numpy_helper

from tests.hostile import growth
from tests.support.cost import SLOWER, bound, cost
from tests.support.tool import TOOL

LARGEST = 100_000 // SLOWER
SECONDS = 6  # of processor: 2 are promised, and a machine that runs other tests may be slow


large = pytest.mark.skipif(SLOWER > 1, reason="megabytes of model: memory and time are all that it asks about")


@pytest.fixture(scope="module")
def command():
    if "build-test" not in str(TOOL):
        return TOOL
    files = importlib.metadata.distribution("onnx-repvgg-fuse").files or []
    return next(str(f.locate()) for f in files if f.name == "onnx-repvgg-fuse" and os.access(f.locate(), os.X_OK))


def model_of(name):
    """The largest model of a family that LARGEST allows."""
    n = 64 if SLOWER == 1 else 4
    while n < 1 << 12 and len(growth.FAMILIES[name](2 * n).SerializeToString()) <= LARGEST:
        n *= 2
    return growth.FAMILIES[name](n).SerializeToString()


def held(arguments, *files, codes=(0, 1, 2)):
    run = cost(arguments, SECONDS)
    assert run.code in codes, run
    assert SLOWER > 1 or run.memory <= bound(*files), f"{arguments}: {run.memory / 2**20:.1f} MB, {bound(*files) / 2**20:.1f} allowed; {run.error}"
    return run


def alone(command, path, out, codes=(0, 2)):
    for arguments in ([path, "-o", out], [path, "-o", out, "--max-growth", "1e9"], [path, "-o", out, "--equalize", "tensor"],
                      ["info", path], ["dump", path]):
        held([command, *arguments], path, codes=codes)


@pytest.mark.parametrize("name", growth.FAMILIES)
def test_family(name, command, tmp_path):
    a, b = tmp_path / "a.onnx", tmp_path / "b.onnx"
    a.write_bytes(model_of(name))
    b.write_bytes(growth.changed(a.read_bytes()))
    alone(command, a, tmp_path / "out.onnx")
    for what in "diff", "verify":
        held([command, what, a, b], a, b)


@large
def test_thin_kernels_whose_product_is_wide(command, tmp_path):
    """1 MB, of which one product on the way would have 15,000 by 15,000 numbers: it took 1.7 GB and 9 s."""
    a = tmp_path / "a.onnx"
    wide, thin = 15_000, 8
    nodes = [growth.node("Conv", ["x", "a"], ["p"]), growth.node("Conv", ["p", "b"], ["q"]), growth.node("Conv", ["q", "c"], ["y"])]
    a.write_bytes(growth.model(nodes, [growth.floats("a", thin, wide, 1, 1), growth.floats("b", wide, thin, 1, 1), growth.floats("c", 2, wide, 1, 1)],
                               shape=(1, wide, 5, 5)).SerializeToString())
    alone(command, a, tmp_path / "out.onnx", codes=(0,))


@large
def test_a_weight_that_a_thousand_ops_share(command, tmp_path):
    """Each would get its own: 0.4 MB became 260 MB. None is worth that, and each says so; where growth is allowed, the rewrites
    that fit are made, the others are refused."""
    a, out, report = tmp_path / "a.onnx", tmp_path / "out.onnx", tmp_path / "report.json"
    ops = [growth.conv(), growth.bn(), lambda x, y: [growth.node("Relu", [x], [y])]]
    stats = [growth.floats("g", 256), growth.floats("s", 256, value=1)]
    a.write_bytes(growth.model(growth.chain(ops, 3000), [growth.floats("w", 256, 256, 1, 1), *stats], shape=(1, 256, 5, 5)).SerializeToString())
    held([command, a, "-o", out, "--json", report], a, codes=(0,))
    assert out.stat().st_size <= a.stat().st_size
    told = json.loads(report.read_text())
    refused = [r["reason"] for r in told["refusals"] if r["pass"] == "fold_after"]
    assert len(refused) == 1000 and all(r.startswith("cost: bytes of constants would grow") for r in refused)
    held([command, a, "-o", out, "--json", report, "--max-growth", "1e9"], a, codes=(0,))
    assert out.stat().st_size < (32 << 20) + 9 * a.stat().st_size
    told = json.loads(report.read_text())
    assert told["fusions"] and any(r["reason"].startswith("limit: the new weights together") for r in told["refusals"])


@large
def test_what_does_not_fit_is_written_without(command, tmp_path):
    """More rewrites than memory allows: some are made, and a warning says that others were not."""
    a, out, report = tmp_path / "a.onnx", tmp_path / "out.onnx", tmp_path / "report.json"
    a.write_bytes(growth.FAMILIES["convs"](30_000).SerializeToString())
    run = held([command, a, "-o", out, "--json", report], a, codes=(0,))
    told = json.loads(report.read_text())
    assert told["fusions"] and ["memory limit" in w["reason"] for w in told["warnings"]] == [True]
    assert "--explain lists them" in run.error
    assert cost([command, "--strict", a, "-o", out], SECONDS).code == 1


def depthwise(channels, *between):
    """Conv, BatchNormalization and Relu, ops between, and what reads them; ranges of channels lie far apart."""
    rng = np.random.default_rng(0)
    weights = {"w": rng.normal(size=(channels, 1, 1, 1)), "g": rng.lognormal(0, 2, channels), "b": rng.normal(size=channels),
               "m": np.zeros(channels), "v": np.ones(channels)}
    nodes = [growth.node("Conv", ["x", "w"], ["c"], group=channels), growth.node("BatchNormalization", ["c", "g", "b", "m", "v"], ["n"]),
             growth.node("Relu", ["n"], ["r"]), *between]
    return nodes, {name: a.astype(np.float32) for name, a in weights.items()}


def write(path, nodes, weights, shape):
    path.write_bytes(growth.model(nodes, [numpy_helper.from_array(a, name) for name, a in weights.items()], shape=shape).SerializeToString())


@large
@pytest.mark.parametrize("grain", ["tensor", "channel"])
def test_what_cannot_be_equalised_in_memory_is_fused(grain, command, tmp_path):
    """It came out with no rewrite at all."""
    a, out, report = tmp_path / "a.onnx", tmp_path / "out.onnx", tmp_path / "report.json"
    channels = 1 << 16
    nodes, weights = depthwise(channels, growth.node("Conv", ["r", "w2"], ["y"], group=channels))
    write(a, nodes, {**weights, "w2": weights["w"][::-1].copy()}, (1, channels, 2, 2))
    held([command, a, "-o", out, "--json", report, "--equalize", grain], a, codes=(0,))
    told = json.loads(report.read_text())
    assert told["fusions"] and [(w["pass"], w["reason"].split(":")[0]) for w in told["warnings"]] == [("equalize", "memory limit")]
    plain = tmp_path / "plain.onnx"
    held([command, a, "-o", plain], a, codes=(0,))
    assert out.read_bytes() == plain.read_bytes()
    held([command, "info", a], a, codes=(0,))
    assert "1 regions would be fused" in subprocess.run([command, "info", a], capture_output=True, text=True, check=True).stdout


@large
@pytest.mark.parametrize("grain", ["tensor", "channel"])
def test_a_head_that_reads_each_pixel_is_equalised(grain, command, tmp_path):
    """Its Gemm has 247,808 inputs, of 8 channels. Each input was noted by itself, which took more memory than allowed."""
    a, report = tmp_path / "a.onnx", tmp_path / "report.json"
    nodes, weights = depthwise(8, growth.node("Flatten", ["r"], ["f"]), growth.node("Gemm", ["f", "head"], ["y"], transB=1))
    head = np.random.default_rng(1).normal(0, 1e-3, (5, 8, 176 * 176)) / weights["g"][:, None]
    write(a, nodes, {**weights, "head": head.reshape(5, -1).astype(np.float32)}, (1, 8, 176, 176))
    held([command, a, "-o", tmp_path / "out.onnx", "--json", report, "--equalize", grain], a, codes=(0,))
    told = json.loads(report.read_text())
    assert told["warnings"] == [] and sum(group["scaled"] for group in told["equalized"]) > 0


@large
def test_diff_of_two_large_models(command, tmp_path):
    """200 MB, of which one number differs: neither file is held."""
    a, b = tmp_path / "a.onnx", tmp_path / "b.onnx"
    rng = np.random.default_rng(1)
    weights = [rng.random((1250, 2000), np.float32) for _ in range(10)]
    nodes = [growth.node("MatMul", ["x", f"w{i}"], [f"v{i}"]) for i in range(10)]

    def write(path):
        inits = [numpy_helper.from_array(w, f"w{i}") for i, w in enumerate(weights)]
        path.write_bytes(growth.model(nodes, inits, shape=(3, 1250), outputs=[f"v{i}" for i in range(10)]).SerializeToString())

    write(a)
    weights[7][11, 13] += 1
    write(b)
    run = cost([command, "diff", a, b], 60)
    assert run.code == 1, run
    assert run.memory < 80 << 20, run
    assert cost([command, "diff", a, a], 60).memory < 80 << 20
    a.unlink()
    b.unlink()
