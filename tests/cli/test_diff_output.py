"""onnx-repvgg-fuse diff: how it tells what changed: every format, colour, options, exit codes, git."""
import json
import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

from tests.support.comparison import KINDS, add_node, change_attribute, change_numbers, copy_of, counted, diff, network, run
from tests.support.net import Net
from tests.support.tool import ROOT, TOOL


@pytest.fixture(scope="module")
def model():
    return network()


# Formats


@pytest.fixture
def pair(model, tmp_path, monkeypatch):
    """a.onnx and b.onnx in the current folder: a changed attribute, a changed weight, a new node."""
    other = copy_of(model)
    change_attribute(other)
    change_numbers(other)
    add_node(other)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    (tmp_path / "b,1:%.onnx").write_bytes(other.SerializeToString())
    return "a.onnx", "b,1:%.onnx"


TEXT = """\
--- a.onnx
+++ b,1:%.onnx
region: Dropout added, from 'flatten_0.out' to 'dropped'
  + Dropout -> 'dropped'
attribute: Conv 'conv_1': pads [1, 1, 1, 1] -> [0, 2, 2, 0]
weight: weight 'conv_0.weight', input 1 of Conv 'conv_1': values 2 of 144 numbers differ, by at most 0.5 (relative 2.73), \
first at [1, 2, 0, 1]: NUMBER -> NUMBER

                                         before                after
  Dropout                                     0                    1
  ops                                        19                   20
"""


def blank_numbers(text):
    text = re.sub(r"(first at \[[^]]*\]): \S+ -> \S+", r"\1: NUMBER -> NUMBER", text)
    return re.sub(r"relative [0-9.e+-]+", "relative 2.73", text)


def test_text(pair):
    result = run(*pair)
    assert (result.returncode, result.stderr) == (1, "")
    assert blank_numbers(result.stdout) == TEXT


def test_github(pair):
    result = run("--format", "github", *pair)
    assert result.returncode == 1
    lines = blank_numbers(result.stdout).splitlines()
    name = "b%2C1%3A%25.onnx"
    assert lines[0] == f"::warning file={name},title=region::Dropout added, from 'flatten_0.out' to 'dropped'"
    assert lines[1] == f"::warning file={name},title=attribute::Conv 'conv_1': pads [1, 1, 1, 1] -> [0, 2, 2, 0]"
    assert lines[2].startswith(f"::warning file={name},title=weight::weight 'conv_0.weight', input 1 of Conv 'conv_1': values 2 of")
    assert lines[3].startswith(f"::notice file={name},title=summary::3 changes from a.onnx: ops 19 -> 20")
    assert len(lines) == 4


def test_sarif(pair):
    result = run("--format", "sarif", *pair)
    assert result.returncode == 1
    log = json.loads(result.stdout)
    assert log["version"] == "2.1.0" and log["$schema"].endswith("sarif-2.1.0.json")
    (one,) = log["runs"]
    driver = one["tool"]["driver"]
    rules = [r["id"] for r in driver["rules"]]
    assert driver["name"] == "onnx-repvgg-fuse" and rules == KINDS
    assert all(r["shortDescription"]["text"] for r in driver["rules"])
    assert [r["ruleId"] for r in one["results"]] == ["region", "attribute", "weight"]
    for r in one["results"]:
        assert rules[r["ruleIndex"]] == r["ruleId"] and r["level"] == "warning" and r["message"]["text"]
        (location,) = r["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"] == "b%2C1%3A%25.onnx"
    assert one["results"][1]["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "main/conv_1"


def test_formats_of_the_same(model, tmp_path):
    path = tmp_path / "a.onnx"
    path.write_bytes(model.SerializeToString())
    assert run("--format", "github", path, path).stdout == ""
    assert json.loads(run("--format", "sarif", path, path).stdout)["runs"][0]["results"] == []


def test_odd_names(tmp_path):
    """Names are any bytes: quotes, line breaks, what a terminal or a workflow command would act on."""
    odd = "a\"b\\c\nd%0A::error::\u00e9\x1b[31m"

    def build(kernel):
        n = Net(seed=1)
        x = n.input("x", (1, 1, 5, 5))
        n.output(n.node("AveragePool", [x], name=odd, kernel_shape=[kernel, kernel]))
        return n.model()

    a, b = build(2), build(3)
    del a.graph.output[0].type.tensor_type.shape.dim[:], b.graph.output[0].type.tensor_type.shape.dim[:]
    _, report = diff(a, b, tmp_path)
    assert counted(report)[0]["a"]["name"] == odd
    github = run("--format", "github", tmp_path / "a.onnx", tmp_path / "b.onnx").stdout
    assert all(line.startswith(("::warning ", "::notice ")) for line in github.split("\n") if line)
    assert "\\nd%250A::error" in github
    plain = run("--color", "never", tmp_path / "a.onnx", tmp_path / "b.onnx").stdout
    assert "\x1b" not in plain and "\nd%0A" not in plain


# Colour, options, exit codes


def on_terminal(*arguments, **environment):
    """What the tool writes to a terminal."""
    leader, follower = pty.openpty()
    env = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | environment
    process = subprocess.Popen([TOOL, "diff", *arguments], stdout=follower, stderr=follower, env=env)
    os.close(follower)
    data, end = b"", time.monotonic() + 30
    while time.monotonic() < end:
        if select.select([leader], [], [], 0.1)[0]:
            try:
                piece = os.read(leader, 65536)
            except OSError:
                break
            if not piece:
                break
            data += piece
        elif process.poll() is not None:
            break
    os.close(leader)
    process.wait(timeout=10)
    return data.decode()


def test_colour(pair):
    assert "\x1b[" in on_terminal(*pair)
    assert "\x1b[" not in on_terminal(*pair, NO_COLOR="1")
    assert "\x1b[" in on_terminal(*pair, NO_COLOR="")  # set and empty does not count: no-color.org
    assert "\x1b[" not in run(*pair).stdout
    assert "\x1b[" in run("--color", "always", *pair).stdout
    assert "\x1b[" not in on_terminal("--color", "never", *pair)


def test_quiet_and_exit_zero(pair):
    assert (run("-q", *pair).returncode, run("-q", *pair).stdout) == (1, "")
    result = run("--exit-zero", *pair)
    assert result.returncode == 0 and "Dropout added" in result.stdout


def test_standard_input(pair):
    a, b = pair
    with open(a, "rb") as f:
        assert run("-", b, stdin=f).returncode == 1
    with open(a, "rb") as f:
        assert run(a, "-", stdin=f).returncode == 0
    result = run("-", "-", stdin=subprocess.DEVNULL)
    assert result.returncode == 2 and "both models are standard input" in result.stderr


@pytest.mark.parametrize("arguments, message", [
    (["a.onnx"], "two models are expected"),
    ([], "two models are expected"),
    (["a.onnx", "a.onnx", "a.onnx"], "more than two models"),
    (["a.onnx", "missing.onnx"], "missing.onnx"),
    (["missing.onnx", "a.onnx"], "missing.onnx"),
    (["a.onnx", "text.onnx"], "text.onnx"),
    (["a.onnx", "empty.onnx"], "empty.onnx"),
    (["a.onnx", "."], "."),
    (["--rtol", "x", "a.onnx", "a.onnx"], "--rtol"),
    (["--atol", "-1", "a.onnx", "a.onnx"], "--atol"),
    (["--rtol", "nan", "a.onnx", "a.onnx"], "--rtol"),
    (["--format", "xml", "a.onnx", "a.onnx"], "--format"),
    (["--color", "red", "a.onnx", "a.onnx"], "--color"),
    (["--ignore", "nothing", "a.onnx", "a.onnx"], "there is no kind 'nothing'"),
    (["--unknown", "a.onnx", "a.onnx"], "unknown"),
])
def test_trouble(arguments, message, pair, tmp_path):
    (tmp_path / "text.onnx").write_text("this is no model")
    (tmp_path / "empty.onnx").write_bytes(b"")
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr and result.stderr.startswith("onnx-repvgg-fuse: ")


def test_a_broken_pipe_is_trouble(pair):
    with open("/dev/full", "w") as full:
        result = subprocess.run([TOOL, "diff", *pair], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert result.returncode == 2 and "standard output" in result.stderr


def test_help_names_every_option_and_kind():
    text = run("--help").stdout
    for option in ("--strict", "--rtol", "--atol", "--ignore", "--format", "--color", "--exit-zero", "--quiet", "--help"):
        assert option in text
    for kind in KINDS:
        assert re.search(rf"\b{kind}\b", text)


# Git


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
@pytest.mark.parametrize("page", ["diff.md", "git.md"])
def test_git(page, model, tmp_path):
    """What the pages tell users to set up."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "HOME": str(tmp_path),
           "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a",
           "GIT_COMMITTER_EMAIL": "a@example.org", "NO_COLOR": "1", "PATH": f"{os.path.dirname(TOOL)}:{os.environ['PATH']}"}

    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)

    guide = (ROOT / "docs" / page).read_text()
    settings = re.findall(r"^git config (\S+) (.+)$", guide, re.M)
    assert len(settings) >= 3, "the settings are documented"
    git("init", "-q")
    (tmp_path / ".gitattributes").write_text("*.onnx diff=onnx\n")
    assert "*.onnx diff=onnx" in guide
    for key, value in settings:
        done = git("config", key, value.strip().strip("'"))
        assert done.returncode == 0, done.stderr
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    git("add", ".")
    assert git("commit", "-qm", "one").returncode == 0
    other = copy_of(model)
    change_attribute(other)
    path.write_bytes(other.SerializeToString())

    shown = git("diff")
    assert shown.returncode == 0, shown.stderr
    assert "onnx-repvgg-fuse diff model.onnx" in shown.stdout
    assert "attribute: Conv 'conv_1': pads [1, 1, 1, 1] -> [0, 2, 2, 0]" in shown.stdout
    git("add", ".")
    assert git("commit", "-qm", "two").returncode == 0
    assert "pads [1, 1, 1, 1]" in git("show", "--ext-diff", "HEAD").stdout
    if "diff.onnx.textconv" in dict(settings):
        assert "pads: ints = [0,2,2,0]" in git("show", "HEAD").stdout.replace(", ", ",")
    git("mv", "model.onnx", "moved.onnx")
    (tmp_path / "new.onnx").write_bytes(model.SerializeToString())
    git("add", ".")
    staged = git("diff", "--cached")
    assert staged.returncode == 0, staged.stderr
    assert "new.onnx is new" in staged.stdout
    git("commit", "-qm", "three")

    tool = git("difftool", "-y", "-t", "onnx", "HEAD~2", "HEAD~1", "--", "model.onnx")
    assert "pads [1, 1, 1, 1] -> [0, 2, 2, 0]" in tool.stdout, tool.stderr
