"""The models that bench/ makes are what the benchmarks take them for, and bench.py counts right."""
import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.support.tool import ROOT, TOOL, count_ops, feeds, fuse, session

BENCH = ROOT / "bench"


def make(folder, *arguments, name="model.onnx"):
    path = folder / name
    run = subprocess.run([sys.executable, BENCH / "models.py", *arguments, "-o", path], check=True, capture_output=True, text=True)
    return path, int(run.stdout)


@pytest.mark.parametrize("arguments", [
    ["repvgg", "--bytes", "300K"],
    ["chain", "--nodes", "53"],
    ["chain", "--nodes", "20", "--mix", "plain"],
    ["blocks", "--nodes", "40"],
    ["wide", "--leaves", "13"],
    ["wide", "--leaves", "13", "--shape", "tree"],
    ["wide", "--leaves", "13", "--shape", "sum"],
    ["nested", "--depth", "4"],
], ids=" ".join)
def test_models_are_valid_and_counted(tmp_path, arguments):
    path, ops = make(tmp_path, *arguments)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert ops == sum(count_ops(model).values())
    again = subprocess.run([sys.executable, BENCH / "models.py", "ops", path], check=True, capture_output=True, text=True)
    assert int(again.stdout) == ops
    other, _ = make(tmp_path, *arguments, name="again.onnx")
    assert other.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("groups", ["1", "2"])
def test_three_forms_agree(tmp_path, groups):
    """numpy's deploy form, the tool's output and the train form."""
    arguments = ["repvgg", "--widths", "8,16,24", "--depths", "1,3,2", "--groups", groups]
    train = onnx.load(make(tmp_path, *arguments)[0])
    deploy = onnx.load(make(tmp_path, *arguments, "--deploy", name="deploy.onnx")[0])
    ours = fuse(train, tmp_path, stem="again")
    assert ours.code == 0, ours.stderr
    assert count_ops(ours.model) == count_ops(deploy)
    feed = next(feeds(train))
    want = session(deploy).run(None, feed)[0]
    for model in (train, ours.model):
        np.testing.assert_allclose(session(model).run(None, feed)[0], want, atol=1e-5 * np.abs(want).max())


def test_data_files_hold_the_same_numbers(tmp_path):
    arguments = ["large", "--bytes", "70M", "--share", "0.02"]
    inline, _ = make(tmp_path, *arguments, name="inline.onnx")
    path, _ = make(tmp_path, *arguments, "--data", "w.bin", "--files", "2")
    assert {f.name for f in tmp_path.glob("w.bin*")} == {"w.bin.0", "w.bin.1"}
    onnx.checker.check_model(path)
    entries = [{e.key: e.value for e in t.external_data} for t in onnx.load(path, load_external_data=False).graph.initializer if t.external_data]
    assert entries and all(int(e["offset"]) % 4096 == 0 for e in entries)
    for a, b in zip(onnx.load(inline).graph.initializer, onnx.load(path).graph.initializer, strict=True):
        np.testing.assert_array_equal(numpy_helper.to_array(a), numpy_helper.to_array(b), a.name)


def test_bench_measures_and_counts(tmp_path):
    out = tmp_path / "result.json"
    run = subprocess.run([sys.executable, BENCH / "bench.py", "--tool", TOOL, "--model", "nested,nodes,bytes", "--depth", "3", "--max-nodes", "10000",
                          "--max-bytes", "40M", "--rounds", "1", "--no-peers", "--work", tmp_path, "--json", out, "--svg", tmp_path],
                         capture_output=True, text=True, timeout=300)
    assert run.returncode in (0, 1), run.stderr  # 1: slower than its target, as with sanitizers
    r = json.loads(out.read_text())
    rows = {x["name"]: x for x in r["results"]["nested"]["rows"]}
    assert rows["cp"]["ops"] == 6 * 8 + 3 and rows["fuse --no-sync"]["ops"] < rows["cp"]["ops"] / 2
    assert [p["n"] for p in r["curves"]["bytes"]] == [10, 40]
    assert len(r["verdicts"]) == 3
    svg = (tmp_path / "bench-growth.svg").read_text()
    assert svg.startswith("<svg") and svg.count("<polyline") == 5
