"""--batch: many models, one line each."""
import os
import shutil
import subprocess

from tests.support.tool import ROOT, TOOL

MODELS = ROOT / "models"


def batch(*arguments):
    return subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=120)


def test_a_folder_keeps_its_shape(tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    shutil.copy(MODELS / "acnet_block.onnx", tmp_path / "in" / "a.onnx")
    shutil.copy(MODELS / "conv1d_stack.onnx", tmp_path / "in" / "deep" / "b.onnx")
    (tmp_path / "in" / "notes.txt").write_text("not a model")
    (tmp_path / "in" / "deep" / "loop").symlink_to(tmp_path / "in")
    out = tmp_path / "out"
    result = batch("--batch", out, tmp_path / "in")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line.split(":")[0] for line in lines[:2]] == [
        str(tmp_path / "in" / "a.onnx"), str(tmp_path / "in" / "deep" / "b.onnx")]
    assert len(lines) == 2
    assert result.stderr == "2 models: 2 fused, 0 unchanged, 0 failed, 0 with warnings\n"
    assert sorted(os.listdir(out)) == ["a.onnx", "deep"] and os.listdir(out / "deep") == ["b.onnx"]


def test_same_bytes_as_one_by_one(tmp_path):
    assert batch("--batch", tmp_path / "all", "--jobs", 3, MODELS).returncode == 0
    for model in sorted(MODELS.glob("*.onnx")):
        one = tmp_path / model.name
        assert batch(model, one).returncode == 0
        assert one.read_bytes() == (tmp_path / "all" / model.name).read_bytes()


def test_a_broken_model_does_not_stop_the_rest(tmp_path):
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"\x07nonsense")
    result = batch("--batch", tmp_path / "out", bad, MODELS / "acnet_block.onnx", tmp_path / "missing.onnx")
    assert result.returncode == 2
    assert os.listdir(tmp_path / "out") == ["acnet_block.onnx"]
    assert "bad.onnx" in result.stderr and "missing.onnx" in result.stderr
    assert "3 models: 1 fused, 0 unchanged, 2 failed" in result.stderr


def test_two_models_of_one_name(tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        shutil.copy(MODELS / "acnet_block.onnx", tmp_path / folder / "m.onnx")
    result = batch("--batch", tmp_path / "out", tmp_path / "x" / "m.onnx", tmp_path / "y" / "m.onnx")
    assert result.returncode == 2
    assert "another model goes to" in result.stderr
    assert os.listdir(tmp_path / "out") == ["m.onnx"]


def test_nothing_to_do(tmp_path):
    (tmp_path / "empty").mkdir()
    result = batch("--batch", tmp_path / "out", tmp_path / "empty")
    assert result.returncode == 2 and "no model" in result.stderr
    assert batch("--batch", tmp_path / "out").returncode == 2
    assert batch("--batch", tmp_path / "out", "--json", "x", MODELS).returncode == 2


def test_a_folder_that_cannot_be_searched_is_trouble(tmp_path):
    """65 folders inside each other; what is in the last one would otherwise be left out in silence."""
    deep = tmp_path / "in" / "/".join(["d"] * 64)
    deep.mkdir(parents=True)
    shutil.copy(MODELS / "acnet_block.onnx", tmp_path / "in" / "a.onnx")
    shutil.copy(MODELS / "acnet_block.onnx", deep / "b.onnx")
    result = batch("--batch", tmp_path / "out", tmp_path / "in")
    assert result.returncode == 2 and "cannot search the folder" in result.stderr
    assert os.listdir(tmp_path / "out") == ["a.onnx"]


def test_what_is_fused_already_is_unchanged(tmp_path):
    assert batch("--batch", tmp_path / "once", MODELS / "acnet_block.onnx").returncode == 0
    shutil.copy(MODELS / "if_body.onnx", tmp_path / "once" / "b.onnx")
    result = batch("--batch", tmp_path / "twice", tmp_path / "once")
    assert "nothing to fuse" in result.stdout.splitlines()[0] and " blocks fused, 13 -> 6 ops" in result.stdout
    assert result.stderr == "2 models: 1 fused, 1 unchanged, 0 failed, 0 with warnings\n"
    assert batch("--quiet", "--batch", tmp_path / "third", tmp_path / "once").stderr == ""


def test_twice_does_the_same_as_once(tmp_path):
    """Results that lie below the folder that is searched are no models of the next run."""
    shutil.copy(MODELS / "acnet_block.onnx", tmp_path / "a.onnx")
    said = []
    for _ in range(2):
        result = subprocess.run([TOOL, "--batch", "out", "."], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        said.append((result.returncode, result.stderr, sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))))
    assert said[0] == said[1] == (0, "1 model: 1 fused, 0 unchanged, 0 failed, 0 with warnings\n", ["a.onnx", "out", "out/a.onnx"])
    assert batch("--batch", tmp_path / "out", tmp_path / "out").stderr.startswith("1 model: 0 fused, 1 unchanged")
