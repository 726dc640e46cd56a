"""Nothing that a run writes takes the place of what it reads, or of something else that it writes."""
import os
import shutil
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.support.tool import ROOT, TOOL

BLOCK = ROOT / "models" / "mobileone_stack.onnx"
OTHER = ROOT / "models" / "if_body.onnx"


def run(*arguments, cwd):
    return subprocess.run([TOOL, *map(str, arguments)], cwd=cwd, capture_output=True, timeout=60)


def with_data(path, location, offset=0):
    """A Conv and a BatchNormalization, the weight of which lies in another file (or in its own)."""
    rng = np.random.default_rng(1)
    weight = TensorProto(name="w", data_type=1, dims=[16, 16, 3, 3], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(16 * 16 * 9 * 4))):
        weight.external_data.add(key=key, value=value)
    stats = [numpy_helper.from_array(rng.uniform(0.5, 1.5, 16).astype(np.float32), n) for n in "sbmv"]
    nodes = [helper.make_node("Conv", ["x", "w"], ["a"], "conv"), helper.make_node("BatchNormalization", ["a", *"sbmv"], ["y"], "norm")]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", 1, [1, 16, 8, 8])],
                              [helper.make_tensor_value_info("y", 1, None)], [weight, *stats])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


@pytest.fixture
def place(tmp_path):
    (tmp_path / "w.bin").write_bytes(np.random.default_rng(2).normal(size=16 * 16 * 9).astype(np.float32).tobytes())
    with_data(tmp_path / "m.onnx", "w.bin")
    shutil.copy(BLOCK, tmp_path / "in.onnx")
    return tmp_path


def files(place):
    return {p.name: p.read_bytes() for p in place.iterdir() if p.is_file()}


REFUSED = {
    "new data of OUT's own name": (["in.onnx", "o.onnx", "--external-data", "o.onnx"], "the name of the output itself"),
    "OUT on the data": (["m.onnx", "w.bin"], "holds data of the model"),
    "OUT on the data by another way": (["m.onnx", "./sub/../w.bin"], "holds data of the model"),
    "JSON on the data": (["m.onnx", "o.onnx", "--json", "w.bin"], "holds data of the model"),
    "a page on the data": (["m.onnx", "o.onnx", "--report", "w.bin"], "holds data of the model"),
    "a page and JSON on one file": (["in.onnx", "o.onnx", "--json", "r", "--report", "./r"], "both reports"),
    "JSON on IN": (["in.onnx", "o.onnx", "--json", "in.onnx"], "the model itself"),
    "JSON on OUT": (["in.onnx", "o.onnx", "--json", "o.onnx"], "another file for the report"),
    "JSON on OUT by a link to nothing": (["in.onnx", "o.onnx", "--json", "link"], "link"),
    "OUT and JSON on one stream": (["in.onnx", "/dev/stdout", "--json", "-"], "standard output"),
    "OUT and JSON on one stream, the other way": (["in.onnx", "-", "--json", "/dev/fd/1"], "standard output"),
    "OUT and a page on one stream": (["in.onnx", "-", "--report", "/dev/stdout"], "standard output"),
    "a page and JSON on one stream": (["in.onnx", "o.onnx", "--json", "-", "--report", "/dev/stdout"], "cannot both"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, place):
    arguments, message = REFUSED[name]
    (place / "sub").mkdir()
    os.symlink("o.onnx", place / "link")
    before = files(place)
    result = run(*arguments, cwd=place)
    assert result.returncode == 2 and result.stdout == b"" and message in result.stderr.decode(), result
    assert result.stderr.count(b"\n") == 1
    assert files(place) == before


@pytest.mark.parametrize("name", [n for n in REFUSED if n.startswith("OUT on the data")])
def test_a_dry_run_refuses_it_too(name, place):
    (place / "sub").mkdir()
    before = files(place)
    result = run(*REFUSED[name][0], "--dry-run", cwd=place)
    assert result.returncode == 2 and b"holds data of the model" in result.stderr
    assert run("m.onnx", "o.onnx", "--dry-run", cwd=place).returncode == 0
    assert files(place) == before


def test_a_model_whose_data_is_itself(place):
    """In place, its weight would be other bytes afterwards."""
    with_data(place / "self.onnx", "self.onnx", 16)
    with open(place / "self.onnx", "ab") as f:
        f.write(b"\x82\x7d\x80\x50" + bytes(10240))  # an unknown field, so that there are as many bytes
    before = files(place)
    result = run("self.onnx", "self.onnx", cwd=place)
    assert result.returncode == 2 and b"holds data of the model" in result.stderr
    assert files(place) == before


@pytest.mark.parametrize("stream", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_a_stream_holds_one_thing(stream, place):
    result = run("in.onnx", stream, "--explain", cwd=place)
    assert result.returncode == 0 and b"fused" in result.stderr
    onnx.checker.check_model(onnx.load_from_string(result.stdout))
    result = run("in.onnx", "o.onnx", "--explain", "--json", stream, cwd=place)
    assert result.stdout.startswith(b"{") and result.stdout.rstrip().endswith(b"}") and b"fused" in result.stderr


def test_what_is_read_is_never_swept(place):
    name = "o.onnx.onnx-repvgg-fuse-0.tmp"
    shutil.copy(BLOCK, place / name)
    assert run(name, "o.onnx", cwd=place).returncode == 0
    assert (place / name).read_bytes() == BLOCK.read_bytes()
    data = "m.onnx.onnx-repvgg-fuse-0.tmp"
    os.rename(place / "w.bin", place / data)
    with_data(place / "m.onnx", data)
    assert run("m.onnx", "m.onnx", cwd=place).returncode == 0
    assert (place / data).exists()


def test_a_batch_keeps_models_that_it_does_not_fuse(place):
    folder = place / "d"
    (folder / "sub").mkdir(parents=True)
    shutil.copy(BLOCK, folder / "x.onnx")
    shutil.copy(OTHER, folder / "sub" / "x.onnx")
    dry = run("--batch", "d", "d/sub", "d", "--dry-run", cwd=place)
    result = run("--batch", "d", "d/sub", "d", cwd=place)
    assert result.returncode == 2 and (dry.returncode, dry.stderr) == (2, result.stderr)
    assert (folder / "x.onnx").read_bytes() == BLOCK.read_bytes(), "d/sub/x.onnx took its place"
    assert b"is itself a model of this batch" in result.stderr
    (place / "out").mkdir()
    (place / "out" / "a.onnx").write_bytes(b"old")
    os.symlink("a.onnx", place / "out" / "b.onnx")
    for name in ("a.onnx", "b.onnx"):
        shutil.copy(BLOCK, place / name)
    result = run("--batch", "out", "a.onnx", "b.onnx", cwd=place)
    assert result.returncode == 2 and b"b.onnx: another model goes to out/b.onnx as well" in result.stderr
    assert run("--batch", "", "a.onnx", cwd=place).returncode == 2


def test_a_batch_in_place(place):
    folder = place / "d"
    folder.mkdir()
    for name in ("a.onnx", "b.onnx"):
        shutil.copy(BLOCK, folder / name)
    assert run("--batch", "d", "d", cwd=place).returncode == 0
    assert (folder / "a.onnx").stat().st_size < BLOCK.stat().st_size


def test_a_model_names_no_file_that_is_not_utf8(place):
    result = run("in.onnx", "o.onnx", "--external-data", os.fsdecode(b"bad\xffname"), cwd=place)
    assert result.returncode == 2 and b"not UTF-8" in result.stderr and not (place / "o.onnx").exists()
    (place / "other").mkdir()
    out = place / "other" / os.fsdecode(b"bad\xff.onnx")
    assert run("--only", "remove_dead", "m.onnx", out, cwd=place).returncode == 0
    assert "model.data" in os.listdir(place / "other")
    onnx.load(out)
