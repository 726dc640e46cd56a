"""examples/dask_store.py on a cluster of this machine."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from tests.support.tool import ROOT, TOOL

pytest.importorskip("distributed")

SCRIPT = ROOT / "examples" / "dask_store.py"
MODELS = ROOT / "models"


def store_of(folder):
    store = folder / "store"
    (store / "deep" / "er").mkdir(parents=True)
    shutil.copy(MODELS / "acnet_block.onnx", store / "acnet.onnx")
    shutil.copy(MODELS / "dbb_block.onnx", store / "deep" / "er" / "dbb.onnx")
    shutil.copy(MODELS / "conv1d_stack.onnx", store / "deep" / "conv1d.onnx")
    return store


def run(*arguments, tool=TOOL):
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "ONNX_REPVGG_FUSE": str(pathlib.Path(tool).resolve())})


def test_store_with_a_broken_model(tmp_path):
    store, out, summary = store_of(tmp_path), tmp_path / "out", tmp_path / "summary.json"
    (store / "deep" / "broken.onnx").write_bytes(b"\xff" * 100)
    r = run(store, out, "--summary", summary, "--retries", "1")
    assert r.returncode == 2, r.stderr
    assert "4 models: 3 fused, 0 unchanged, 1 failed" in r.stdout
    results = json.loads(summary.read_text())
    assert set(results) == {"acnet.onnx", "deep/broken.onnx", "deep/conv1d.onnx", "deep/er/dbb.onnx"}
    assert "broken.onnx" in results["deep/broken.onnx"]["error"]
    assert not (out / "deep" / "broken.onnx").exists()
    for name in ("acnet.onnx", "deep/conv1d.onnx", "deep/er/dbb.onnx"):
        alone = tmp_path / "alone.onnx"
        subprocess.run([TOOL, "--quiet", store / name, alone], check=True)
        assert (out / name).read_bytes() == alone.read_bytes(), name
        assert results[name]["ops"][1] < results[name]["ops"][0]


def test_a_failure_that_passes_is_tried_again(tmp_path):
    """A command that fails the first time it sees a model, by status or by signal."""
    store, out, seen = store_of(tmp_path), tmp_path / "out", tmp_path / "seen"
    seen.mkdir()
    flaky = tmp_path / "flaky"
    flaky.write_text('#!/bin/sh\nfor last; do :; done\nmark="' + str(seen) + '/$(basename "$last")"\n'
                     'if [ ! -e "$mark" ]; then\n  : >"$mark"\n  [ "$(basename "$last")" = dbb.onnx ] && kill -9 $$\n'
                     '  echo "the disk was away" >&2\n  exit 2\nfi\n'
                     f'exec "{pathlib.Path(TOOL).resolve()}" "$@"\n')
    flaky.chmod(0o755)
    r = run(store, out, tool=flaky)
    assert r.returncode == 0, r.stdout + r.stderr
    assert "3 models: 3 fused, 0 unchanged, 0 failed" in r.stdout
    assert len(list(seen.iterdir())) == 3

    shutil.rmtree(seen)
    seen.mkdir()
    r = run(store, tmp_path / "once", "--retries", "0", tool=flaky)
    assert r.returncode == 2
    assert "acnet.onnx: FAILED: the disk was away" in r.stdout
    assert "3 models: 0 fused, 0 unchanged, 3 failed" in r.stdout


def test_options_reach_the_command(tmp_path):
    store, out = store_of(tmp_path), tmp_path / "out"
    r = run(store, out, "--", "--only", "remove_dead")
    assert r.returncode == 0, r.stderr
    assert "3 models: 0 fused, 3 unchanged, 0 failed" in r.stdout
    assert (out / "acnet.onnx").read_bytes() == (store / "acnet.onnx").read_bytes()


def test_an_empty_store(tmp_path):
    r = run(tmp_path, tmp_path / "out")
    assert r.returncode == 2
    assert "no *.onnx under" in r.stderr
