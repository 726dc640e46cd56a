"""README.md and docs/python.md from nothing, in order: each line that a reader would type works, each answer shown is the answer."""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.support.tool import ROOT, TOOL

SMALL = ROOT / "models" / "repvgg_small.onnx"
# Other tests and CI run these whole; here they are there and know --help, or are named by pyproject.toml.
SCRIPTS = {"scripts/demo", "scripts/test", "scripts/wheel", "scripts/api", "scripts/web"}


def blocks(page):
    """(kind, lines) in order: Python, and what stands indented or in sh fences."""
    text = (ROOT / page).read_text()
    for fence, body, indented in re.findall(r"^```(\w*)\n(.*?)^```|((?:^    [^\n]*\n|^\n(?=    ))+)", text, re.M | re.S):
        if fence == "python":
            yield "python", body
        elif fence in ("", "sh") and (body or indented).strip():
            yield "shell", body or "".join(line[4:] for line in indented.splitlines(keepends=True))


class Reader:
    """Types the lines of a page into one folder."""

    def __init__(self, folder):
        self.folder, self.names, self.said = folder, {}, ""
        for name in ("model.onnx", "A", "IN"):
            shutil.copy(SMALL, folder / name)
        (folder / "bin").mkdir()
        (folder / "bin" / "onnx-repvgg-fuse").symlink_to(TOOL)
        self.environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}

    def run(self, *words):
        done = subprocess.run(words, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120)
        assert done.returncode in (0, 1), f"{words}: {done.stderr}"
        self.said = done.stdout + done.stderr

    def script(self, words):
        script = ROOT / words[0]
        assert words[0] in SCRIPTS and os.access(script, os.X_OK)
        if words == ["scripts/demo"]:  # without its build
            shown = re.search(r"model=(\S+)\n *out=(\S+)", script.read_text())
            (self.folder / "out").mkdir()
            shutil.copytree(ROOT / "models", self.folder / "models")
            self.run("onnx-repvgg-fuse", "--explain", *shown.groups())

    def install(self, words):
        """Installing is tested by test_install.py and, of a build, here; of pip's extras, that they are there."""
        if words[:2] == ["meson", "setup"]:
            build, place = pathlib.Path(TOOL).parent, self.folder / "installed"
            self.run("meson", "install", "--no-rebuild", "--quiet", "-C", build, "--destdir", place)
            found = {path.name for path in place.rglob("*")}
            assert {"onnx-repvgg-fuse", "onnx-repvgg-fuse.1", "onnx_repvgg_fuse.h", "libonnx_repvgg_fuse.so"} <= found
            return
        extras = set("".join(re.findall(r"\[(.*?)\]", words[2])).split(",")) - {""}
        offered = set(re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text().split("[project.optional-dependencies]")[1], re.M))
        assert extras <= offered

    def shell(self, body):
        for line in filter(str.strip, body.splitlines()):
            words = shlex.split(line.replace("[OPTIONS] ", ""), comments=True)
            if self.said and line.strip() in [said.strip() for said in self.said.splitlines()]:
                continue  # what the last command answered
            if words[0] in SCRIPTS:
                self.script(words)
            elif words[0] in ("meson", "pip"):
                self.install(words)
            elif words[0] == "onnx-repvgg-fuse":
                self.run(*words)
                if (self.folder / "OUT").exists():
                    (self.folder / "OUT").replace(self.folder / "B")
            else:
                pytest.fail(f"neither a command that this test knows nor what the last one answered: {line!r}")

    def python(self, page, body):
        exec(compile(body, page, "exec"), self.names)


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_each_line_works(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    reader, kinds = Reader(tmp_path), []
    for kind, body in blocks(page):
        kinds.append(kind)
        if kind == "python":
            reader.python(page, body)
        else:
            reader.shell(body)
    assert kinds.count("python") >= 2 and kinds.count("shell") >= 2
    assert re.search(r"Conv +44 -> +22", capsys.readouterr().out) and (tmp_path / "fused.onnx").exists()


def test_extras_of_the_readme():
    """All that its Python imports comes with the one pip line above it."""
    text = (ROOT / "README.md").read_text().split("## From Python")[1]
    extras = set(re.search(r'pip install "\.\[(.*?)\]"', text).group(1).split(","))
    imported = set(re.findall(r"^(?:import|from) (\w+)", "".join(re.findall(r"```python\n(.*?)```", text, re.S)), re.M))
    assert imported - {"onnx_repvgg_fuse"} <= extras, "[onnx] for onnx"
    assert "testing" not in text or "ort" in extras
