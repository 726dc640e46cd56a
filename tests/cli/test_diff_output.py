"""onnx-repvgg-fuse diff: how it tells what changed: every format, colour, options, exit codes, git."""
import json
import os
import pty
import re
import select
import shutil
import subprocess
import time

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

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
1 region, 1 attribute, 1 weight
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
    assert lines[3].startswith(f"::notice file={name},title=summary::1 region, 1 attribute, 1 weight, from a.onnx: ops 19 -> 20")
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


# Alike changes, long lists, replacements


def chain(blocks, tail="Relu (t)", moved=0.0, **changes):
    """Convs one after another, each followed by `tail` of its output t; the weight of Conv k is moved by `moved` times k."""
    lines, tensors, last = [], [], "x"
    for k in range(blocks):
        weight = np.full((3, 3, 1, 1), k + 1, np.float32)
        weight[0] += np.float32(moved * k)
        tensors.append(numpy_helper.from_array(weight, f"w{k}"))
        made = "y" if k == blocks - 1 else f"y{k}"
        lines.append(f"t{k} = Conv ({last}, w{k})\n{made} = " + re.sub(r"\bt\b", f"t{k}", tail) + "\n")
        last = made
    text = '<ir_version: 8, opset_import: ["": 17]> g (float[1,3,8,8] x) => (float[1,3,8,8] y) {' + "".join(lines) + "}"
    model = onnx.parser.parse_model(text)
    for node, tensor in zip([n for n in model.graph.node if n.op_type == "Conv"], tensors):
        node.name = "conv " + tensor.name
        for key, value in changes.items():
            node.attribute.append(helper.make_attribute(key, value))
    model.graph.initializer.extend(tensors)
    return model


def save(folder, *models):
    paths = [folder / f"{name}.onnx" for name in "ab"]
    for path, m in zip(paths, models):
        path.write_bytes(m.SerializeToString())
    return paths


def told(paths, *options):
    """The first line of the text, and the lines of changes without the nodes of regions."""
    lines = run(*options, *paths).stdout.splitlines()
    return lines[0], [line for line in lines[3:] if ": " in line and line[0] != " "]


def messages(paths):
    """What GitHub and SARIF are told of changes, which is the same."""
    github = [line.split("::", 2)[2] for line in run("--format", "github", *paths).stdout.splitlines()]
    (one,) = json.loads(run("--format", "sarif", *paths).stdout)["runs"]
    assert [r["message"]["text"] for r in one["results"]] == github[:-1]
    return github


def test_alike_regions_are_one(tmp_path):
    paths = save(tmp_path, chain(5), chain(5, "Sigmoid (t)"))
    sentence = "Relu became Sigmoid, 5 times, first from 't0' to 'y0'"
    assert told(paths) == ("5 regions", [f"region: {sentence}"])
    assert [line[:3] for line in run(*paths).stdout.splitlines()[4:6]] == ["  -", "  +"], "the nodes of the first"
    first, lines = told(paths, "--all")
    assert first == "5 regions" and lines == [f"region: Relu became Sigmoid, from 't{k}' to '{'y' if k == 4 else f'y{k}'}'" for k in range(5)]
    assert messages(paths)[0] == sentence and messages(paths)[1].startswith("5 regions, from ")
    report = json.loads(run("--format", "json", *paths).stdout)
    assert report["summary"] == "5 regions" and [c["group"] for c in report["changes"] if c["counts"]] == [0] * 5
    assert "5 regions" in run("--format", "html", *paths).stdout


def test_alike_attributes_are_one_and_others_are_not(tmp_path):
    a, b = chain(4), chain(4, pads=[1, 1, 1, 1])
    b.graph.node[4].attribute[0].ints[0] = 0
    for m in (a, b):
        del m.graph.output[0].type.tensor_type.shape.dim[:]
    assert told(save(tmp_path, a, b)) == ("4 attributes", [
        "attribute: pads added: [1, 1, 1, 1], 3 times, first Conv 'conv w0'", "attribute: Conv 'conv w2': pads added: [0, 1, 1, 1]"])


def test_weights_by_size_of_change(tmp_path):
    paths = save(tmp_path, chain(30), chain(30, moved=0.5))
    first, lines = told(paths)
    assert first == "29 weights" and len(lines) == 21
    assert [line.split("'")[1] for line in lines[:20]] == [f"w{k}" for k in range(29, 9, -1)]
    assert lines[20] == "weight: 9 more, by at most 4.5 (--all lists them)"
    assert messages(paths)[20] == "9 more, by at most 4.5 (--all lists them)"
    first, lines = told(paths, "--all")
    assert first == "29 weights" and [line.split("'")[1] for line in lines] == [f"w{k}" for k in range(29, 0, -1)]
    report = json.loads(run("--format", "json", *paths).stdout)
    assert len(report["changes"]) == 29, "programs get all"


def test_the_most_frequent_kind_is_first(tmp_path):
    a, b = chain(4), chain(4, moved=1.0)
    b.graph.node[0].attribute.append(helper.make_attribute("dilations", [2, 2]))
    assert told(save(tmp_path, a, b))[0] == "3 weights, 1 attribute"


@pytest.mark.parametrize("far", [False, True])
def test_a_replacement_is_told_as_one(far, tmp_path):
    """A Mul is gone and the weights of the Conv before it made up for it. A weight that is elsewhere is none of it."""
    a, b = chain(3), chain(3)
    scale = numpy_helper.from_array(np.full((3, 1, 1), 3, np.float32), "s")
    a.graph.initializer.append(scale)
    a.graph.node[1].input[0] = "scaled"
    a.graph.node.insert(1, helper.make_node("Mul", ["t0", "s"], ["scaled"], name="mul"))
    changed = b.graph.initializer[2 if far else 0]
    changed.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(changed) * np.float32(3), changed.name))
    paths = save(tmp_path, a, b)
    first, lines = told(paths)
    report = json.loads(run("--format", "json", *paths).stdout)
    weight = next(c for c in report["changes"] if c["kind"] == "weight")
    if far:
        assert first == "1 region, 1 weight" and lines[0] == "region: Mul removed, from 't0' to 'scaled'"
        assert weight["part_of"] is None and weight["group"] == 1
        return
    assert (first, lines) == ("1 region", ["region: Conv + Mul became Conv, from 'x' to 'scaled'"])
    assert "\n  weight: weight 'w0', input 1 of Conv 'conv w0': values 9 of 9 numbers differ" in run(*paths).stdout
    assert weight["part_of"] == 0 and weight["group"] == 0
    assert told(save(tmp_path, b, a)) == ("1 region", ["region: Conv became Conv + Mul, from 'x' to 't0'"])


def test_what_stands_in_its_place_makes_up_for_it(tmp_path):
    """A Mul that became an Add needs no other node: the weight before it changed by itself."""
    a, b = chain(2, "Mul (t, t)"), chain(2, "Add (t, t)")
    changed = b.graph.initializer[0]
    changed.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(changed) * np.float32(3), changed.name))
    assert told(save(tmp_path, a, b))[0] == "2 regions, 1 weight"


def test_who_asks_for_the_shape_is_no_neighbour(tmp_path):
    a, b = chain(2, moved=0.0), chain(2, moved=2.0)
    a.graph.node.append(helper.make_node("Shape", ["t1"], ["shape"]))
    a.graph.node.append(helper.make_node("Reshape", ["y", "shape"], ["z"]))
    a.graph.output[0].name = b.graph.node[-1].output[0] = b.graph.output[0].name = "z"
    assert told(save(tmp_path, a, b))[0] == "1 region, 1 weight"


def test_what_does_not_count_is_counted_in_a_line(tmp_path):
    a, b = chain(2), chain(2, moved=1.0)
    b.graph.doc_string = "words"
    b.opset_import.extend([helper.make_opsetid("ai.onnx.ml", 5), helper.make_opsetid("com.microsoft", 1)])
    first, lines = told(save(tmp_path, a, b))
    assert first == "1 weight" and lines[1:] == ["not counted without --strict: 1 dead, 1 doc"]


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
    (["a.onnx"], "expected two models, A and B"),
    ([], "expected two models, A and B"),
    (["a.onnx", "a.onnx", "a.onnx"], "expected two models, found more"),
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
    for option in ("--strict", "--rtol", "--atol", "--ignore", "--all", "--format", "--color", "--exit-zero", "--quiet", "--help"):
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
