"""What is different on Windows: paths, wildcards, streams, files that are replaced, links. scripts/platforms runs it under Wine."""
import os
import pathlib
import resource
import shutil
import signal
import subprocess

import onnx
import pytest

from tests.support.tool import ROOT, TOOL

# scripts/platforms names folders after the machine.
pytestmark = pytest.mark.skipif("-windows-" not in pathlib.Path(TOOL).parent.name, reason="tests a command that was built for Windows")

SMALL = ROOT / "models" / "repvgg_small.onnx"
BLOCK = ROOT / "models" / "dbb_block.onnx"
LATIN = {**os.environ, "LC_ALL": "C.UTF-8"}  # else Wine does not pass on what is no ASCII


def run(*arguments, **keywords):
    return subprocess.run([TOOL, *map(str, arguments)], capture_output=True, timeout=300, env=LATIN, **keywords)


def backslashed(path):
    """As Windows calls it: Wine's drive Z: is the root."""
    return "Z:" + str(path).replace("/", "\\")


def good(result):
    assert result.returncode == 0, result.stderr.decode()
    return result.stderr.decode()


def bad(result, *words):
    """Status 2, and one line that says all of these."""
    text = result.stderr.decode()
    assert result.returncode == 2 and text.count("\n") == 1, text
    for word in words:
        assert word in text, text
    return text


@pytest.fixture(scope="module")
def fused(tmp_path_factory):
    path = tmp_path_factory.mktemp("fused") / "out.onnx"
    good(run(SMALL, path))
    return path.read_bytes()


# Paths


@pytest.mark.parametrize("name", ["plain.onnx", "with space.onnx", "Gewächshaus.onnx", "сеть.onnx", "网络.onnx", "🦆.onnx", "100%.onnx"])
def test_any_name(tmp_path, name, fused):
    folder = tmp_path / ("in " + name[:-5])
    folder.mkdir()
    shutil.copy(SMALL, folder / name)
    told = good(run(backslashed(folder / name), "-o", backslashed(folder / ("out " + name))))
    assert (folder / ("out " + name)).read_bytes() == fused
    assert backslashed(folder / ("out " + name)) in told
    assert sorted(os.listdir(folder)) == sorted([name, "out " + name])


@pytest.mark.parametrize("output", ["out.onnx", ".\\out.onnx", "..\\work\\out.onnx", "sub\\..\\out.onnx", "sub/../out.onnx", "\\WORK\\out.onnx"])
def test_every_way_there(tmp_path, output, fused):
    work = tmp_path / "work"
    (work / "sub").mkdir(parents=True)
    output = output.replace("\\WORK", str(work).replace("/", "\\"))
    shutil.copy(SMALL, work / "in.onnx")
    good(run(".\\in.onnx", output, cwd=work))
    assert (work / "out.onnx").read_bytes() == fused
    assert sorted(os.listdir(work)) == ["in.onnx", "out.onnx", "sub"]


def test_a_long_path(tmp_path, fused):
    """More than the 260 letters that Windows takes as they are. Wine tells the place of no longer folder."""
    folder = tmp_path / "a-folder-with-a-name-of-some-length"
    folder.mkdir()
    name = "x" * 230
    shutil.copy(SMALL, folder / f"{name}.onnx")
    good(run(backslashed(folder / f"{name}.onnx"), backslashed(folder / f"{name}.out")))
    good(run("--batch", "out", f"{name}.onnx", cwd=folder))
    assert (folder / f"{name}.out").read_bytes() == fused == (folder / "out" / f"{name}.onnx").read_bytes()


def test_words_of_the_system(tmp_path):
    bad(run(tmp_path / "gone.onnx", tmp_path / "out.onnx"), "gone.onnx: cannot open: The system cannot find the file specified")
    bad(run(SMALL, tmp_path / "gone" / "out.onnx"), "cannot open its folder: The system cannot find the file specified")
    bad(run(SMALL, tmp_path / "a?b.onnx"), "The filename, directory name, or volume label syntax is incorrect")
    bad(run(SMALL, backslashed(tmp_path)), "is a folder, expected a file name")
    bad(run(backslashed(tmp_path), "out.onnx", cwd=tmp_path), "is a folder, expected an ONNX file")
    assert os.listdir(tmp_path) == []


def test_no_stream_of_another_file(tmp_path):
    (tmp_path / "kept.txt").write_text("kept")
    bad(run(SMALL, "kept.txt:out.onnx", cwd=tmp_path))
    assert os.listdir(tmp_path) == ["kept.txt"] and (tmp_path / "kept.txt").read_text() == "kept"


# Wildcards, which the shells of Windows leave to programs


def test_wildcards(tmp_path):
    for name in "b.onnx", "a.onnx", "ü.onnx":
        shutil.copy(BLOCK, tmp_path / name)
    (tmp_path / "notes.txt").write_text("no model")
    result = run("--batch", "out", backslashed(tmp_path / "*.onnx"), cwd=tmp_path)
    good(result)
    assert sorted(os.listdir(tmp_path / "out")) == ["a.onnx", "b.onnx", "ü.onnx"]
    lines = result.stdout.decode().splitlines()
    assert [line.split(": ")[0] for line in lines] == [backslashed(tmp_path / name) for name in ("a.onnx", "b.onnx", "ü.onnx")]
    bad(run("*.none", "out.onnx", cwd=tmp_path), "*.none: cannot open")


def test_the_second_model_of_a_wildcard_is_not_replaced(tmp_path):
    shutil.copy(SMALL, tmp_path / "in.onnx")
    shutil.copy(BLOCK, tmp_path / "net.onnx")
    bad(run("*.onnx", cwd=tmp_path), "holds another model", "--batch")
    bad(run(".\\in.onnx", ".\\net.onnx", cwd=tmp_path), "holds another model", "--batch")
    assert (tmp_path / "net.onnx").read_bytes() == BLOCK.read_bytes()


# In place, whole or not at all


@pytest.mark.parametrize("output", ["model.onnx", "MODEL.ONNX", ".\\model.onnx"])
def test_in_place(tmp_path, output, fused):
    shutil.copy(SMALL, tmp_path / "model.onnx")
    good(run("model.onnx", output, cwd=tmp_path))
    assert os.listdir(tmp_path) == ["model.onnx"]
    assert (tmp_path / "model.onnx").read_bytes() == fused


def test_in_place_with_data(tmp_path):
    onnx.save(onnx.load(SMALL), tmp_path / "model.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    data = (tmp_path / "w.bin").read_bytes()
    good(run("model.onnx", "model.onnx", cwd=tmp_path))
    assert (tmp_path / "w.bin").read_bytes() == data and sorted(os.listdir(tmp_path)) == ["model.onnx", "w.bin"]
    good(run("verify", "model.onnx", SMALL, cwd=tmp_path))
    bad(run("model.onnx", "W.BIN", cwd=tmp_path), "holds data of the model")
    assert (tmp_path / "w.bin").read_bytes() == data


def limited():
    """What grows beyond 64 KiB fails, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, 64 << 10))


def test_a_failed_write_leaves_what_was_there(tmp_path):
    (tmp_path / "out.onnx").write_bytes(b"what was there")
    bad(run(SMALL, "out.onnx", cwd=tmp_path, preexec_fn=limited), "out.onnx: cannot write")
    assert os.listdir(tmp_path) == ["out.onnx"] and (tmp_path / "out.onnx").read_bytes() == b"what was there"


def test_a_file_that_may_not_be_replaced(tmp_path):
    (tmp_path / "out.onnx").write_bytes(b"what was there")
    (tmp_path / "out.onnx").chmod(0o444)  # the attribute that Windows calls read-only
    result = run(SMALL, "out.onnx", cwd=tmp_path)
    if result.returncode:
        bad(result, "cannot give the finished file its name: Access is denied")
        assert (tmp_path / "out.onnx").read_bytes() == b"what was there"
    assert os.listdir(tmp_path) == ["out.onnx"]


def test_what_a_killed_run_left_goes(tmp_path, fused):
    (tmp_path / "out.onnx.onnx-repvgg-fuse-0.tmp").write_bytes(b"half")
    (tmp_path / "other.onnx.onnx-repvgg-fuse-0.tmp").write_bytes(b"half")
    good(run(SMALL, "out.onnx", cwd=tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["other.onnx.onnx-repvgg-fuse-0.tmp", "out.onnx"]
    assert (tmp_path / "out.onnx").read_bytes() == fused


# Streams


def test_streams_carry_bytes(tmp_path, fused):
    """A model has every byte in it, also those that end a text for Windows or make two of one."""
    assert b"\x1a" in fused and b"\n" in fused.replace(b"\r\n", b"")
    result = run("-", "-", input=SMALL.read_bytes())
    good(result)
    assert result.stdout == fused
    result = run("--json", "report.json", "--report", "page.html", "--explain", SMALL, "NUL", cwd=tmp_path)
    good(result)
    assert sorted(os.listdir(tmp_path)) == ["page.html", "report.json"]
    for text in result.stdout, (tmp_path / "report.json").read_bytes(), (tmp_path / "page.html").read_bytes():
        assert text and b"\r" not in text


# External data


def with_data(folder, location):
    """A model whose one weight lies at a location, and 16 bytes at w.bin beside it and outside."""
    (folder / "in" / "sub").mkdir(parents=True)
    for place in folder / "in", folder / "in" / "sub", folder:
        (place / "w.bin").write_bytes(bytes(16))
    weight = onnx.TensorProto(name="w", dims=[4], data_type=1, data_location=1)
    for key, value in ("location", location), ("length", "16"):
        weight.external_data.add(key=key, value=value)
    value = [onnx.helper.make_tensor_value_info(name, 1, [4]) for name in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Add", ["x", "w"], ["y"])], "g", value[:1], value[1:], [weight])
    path = folder / "in" / "model.onnx"
    path.write_bytes(onnx.helper.make_model(graph).SerializeToString())
    return path


@pytest.mark.parametrize("location", ["w.bin", "./w.bin", "sub/w.bin", "sub//./w.bin", "W.BIN"])
def test_data_inside(tmp_path, location):
    good(run(with_data(tmp_path, location), tmp_path / "out.onnx"))


@pytest.mark.parametrize("location", [
    "../w.bin", "sub/../../w.bin", "..\\w.bin", "sub\\..\\..\\w.bin", "OUTSIDE/w.bin", "OUTSIDE\\w.bin", "Z:OUTSIDE/w.bin", "Z:w.bin",
    "\\\\?\\Z:OUTSIDE\\w.bin", "//localhost/share/w.bin", "w.bin:stream", "w.bin::$DATA", "NUL", "CON", "COM1", "nul.bin", "sub/NUL",
    ".. /w.bin", "... /w.bin", "sub", "sub/", "w.bin/x", "w*.bin", "w.bin ", "w.bin."])
def test_data_outside(tmp_path, location):
    path = with_data(tmp_path, location.replace("OUTSIDE", str(tmp_path)))
    bad(run(path, tmp_path / "out.onnx"), "external data", "w")
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize("link,location", [("in/link.bin", "link.bin"), ("in/folder", "folder/w.bin"), ("in/hard.bin", "hard.bin")])
def test_data_behind_a_link(tmp_path, link, location, follow):
    path = with_data(tmp_path, location)
    if "hard" in link:
        os.link(tmp_path / "w.bin", tmp_path / link)
    else:
        (tmp_path / link).symlink_to(tmp_path / "w.bin" if "link" in link else tmp_path)
    result = run(*["--follow-symlinks"] * follow, path, tmp_path / "out.onnx")
    if follow and "hard" not in link:
        good(result)
    else:
        bad(result, "hard links" if "hard" in link else "through a link")


# Many models


def test_batch(tmp_path):
    deep = tmp_path / "models" / "größer" / "deep"
    deep.mkdir(parents=True)
    shutil.copy(SMALL, deep / "a.onnx")
    shutil.copy(BLOCK, tmp_path / "models" / "b.onnx")
    result = run("--batch", backslashed(tmp_path / "out"), backslashed(tmp_path / "models"))
    assert "2 models: 2 fused" in good(result)
    assert sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.onnx")) == ["b.onnx", "größer/deep/a.onnx"]
    for source, name in (SMALL, "größer/deep/a.onnx"), (BLOCK, "b.onnx"):
        good(run(source, tmp_path / "alone.onnx"))
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "alone.onnx").read_bytes()


def test_batch_refuses_what_would_be_one_file(tmp_path):
    for folder in "x", "y":
        (tmp_path / folder).mkdir()
    shutil.copy(SMALL, tmp_path / "x" / "net.onnx")
    shutil.copy(BLOCK, tmp_path / "y" / "NET.onnx")
    result = run("--batch", "out", "x\\net.onnx", "y\\NET.onnx", cwd=tmp_path)
    assert result.returncode == 2 and "another model goes to out/NET.onnx as well" in result.stderr.decode()
    assert len(os.listdir(tmp_path / "out")) == 1


def test_batch_never_writes_over_a_model_of_its_own(tmp_path):
    (tmp_path / "out").mkdir()
    shutil.copy(SMALL, tmp_path / "a.onnx")
    shutil.copy(BLOCK, tmp_path / "out" / "a.onnx")
    result = run("--batch", "out", "a.onnx", "OUT\\A.onnx", cwd=tmp_path)
    assert result.returncode == 2 and "itself a model of this batch" in result.stderr.decode(), result.stderr.decode()
