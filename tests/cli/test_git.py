"""git diff, git log and git show of models: names, broken files, changes of names alone, colour."""
import os
import re
import shutil
import subprocess

import onnx
import pytest
from onnx import numpy_helper

from tests.support.tool import ROOT, TOOL

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")

MODEL = ROOT / "models" / "acnet_block.onnx"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%d\nsize 15549\n"


@pytest.fixture
def git(tmp_path):
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(tmp_path)}
    environment.pop("NO_COLOR", None)

    def run(*arguments, **more):
        done = subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e@example.org", *arguments], cwd=tmp_path,
                              env={**environment, **more}, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("init", "-q")
    run("config", "diff.onnx.textconv", f"{TOOL} dump --git --elide 16 --no-metadata")
    (tmp_path / ".gitattributes").write_text("*.onnx diff=onnx\n")
    (tmp_path / "nets").mkdir()
    for name in ("broken", "lfs", "names", "weight"):
        shutil.copy(MODEL, tmp_path / "nets" / f"{name}.onnx")
    run("add", ".")
    run("commit", "-qm", "one")
    (tmp_path / "nets" / "broken.onnx").write_bytes(MODEL.read_bytes()[:-20])
    (tmp_path / "nets" / "lfs.onnx").write_bytes(POINTER % 1)
    model = onnx.load(MODEL)
    for node in model.graph.node:
        node.name += ".renamed"
    onnx.save(model, tmp_path / "nets" / "names.onnx")
    model = onnx.load(MODEL)
    weight = model.graph.initializer[0]
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * 2, weight.name))
    onnx.save(model, tmp_path / "nets" / "weight.onnx")
    return run


def test_external_diff_goes_on(git):
    git("config", "diff.onnx.command", f"{TOOL} diff")
    said = git("diff")
    assert "b/nets/broken.onnx: offset " in said and "cut short" in said
    assert "b/nets/lfs.onnx: not an ONNX model but a Git LFS pointer" in said
    assert re.search(r"^onnx-repvgg-fuse diff nets/names.onnx\nno change in what the model computes, only \d+ names\n", said, re.M)
    assert "--- a/nets/weight.onnx\n+++ b/nets/weight.onnx\nweight: " in said, "what stands behind the broken ones"
    assert "/tmp" not in said and "\x1b" not in said
    git("mv", "nets/weight.onnx", "moved.onnx")
    git("add", ".")
    assert "--- a/nets/weight.onnx\n+++ b/moved.onnx\n" in git("diff", "--cached", "-M1%")


def test_textconv_goes_on(git, tmp_path):
    said = git("diff")
    assert "\n+# broken.onnx: offset " in said and "\n+# lfs.onnx: not an ONNX model but a Git LFS pointer" in said
    assert said.count("xxh64") > 2 and "diff --git a/nets/weight.onnx" in said
    git("commit", "-qam", "two")
    (tmp_path / "nets" / "lfs.onnx").write_bytes(POINTER % 2)
    changed = [line for line in git("diff").splitlines() if line.startswith(("-# lfs.onnx", "+# lfs.onnx"))]
    assert len(changed) == 2 and changed[0][1:] != changed[1][1:], "another pointer is a change"
    git("commit", "-qam", "three")
    assert "/tmp" not in git("log", "-p")


def test_colour_reaches_the_pager(git):
    git("config", "diff.onnx.command", f"{TOOL} diff")
    assert "\x1b[32m+++ b/nets/weight.onnx" in git("diff", GIT_PAGER_IN_USE="true")
    assert "\x1b" not in git("diff", GIT_PAGER_IN_USE="true", NO_COLOR="1")


def test_trouble_is_trouble_outside_git(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(POINTER % 1)
    for arguments in (["dump", "bad.onnx"], ["diff", "bad.onnx", MODEL]):
        assert subprocess.run([TOOL, *arguments], cwd=tmp_path, capture_output=True).returncode == 2
    done = subprocess.run([TOOL, "dump", "--git", "bad.onnx"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("\n") == 1 and not done.stderr
