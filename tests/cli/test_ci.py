"""docs/ci.md: the workflow, the GitLab job and the pre-commit hooks, run in repositories of their own."""
import os
import pathlib
import subprocess
import sys

import numpy as np
import onnx
import pytest
import yaml
from onnx import helper, numpy_helper

from tests.support.tool import ROOT, TOOL

BLOCK = ROOT / "models" / "acnet_block.onnx"
GITHUB = yaml.safe_load((ROOT / "docs" / "ci" / "github.yml").read_text())
GITLAB = yaml.safe_load((ROOT / "docs" / "ci" / "gitlab.yml").read_text())


def renamed(model):
    for k, n in enumerate(model.graph.node):
        n.name = f"node_{k}"
    model.producer_version = "9"


def weight_changed(model):
    t = model.graph.initializer[0]
    array = numpy_helper.to_array(t).copy()
    array.flat[0] += 1
    t.CopyFrom(numpy_helper.from_array(array, t.name))


def rewritten(model):
    """Computes the same by another node: x, and x * 1."""
    graph = model.graph
    old = graph.output[0].name
    for n in graph.node:
        n.output[:] = ["inner" if o == old else o for o in n.output]
        n.input[:] = ["inner" if i == old else i for i in n.input]
    graph.initializer.append(numpy_helper.from_array(np.ones((), np.float32), "one"))
    graph.node.append(helper.make_node("Mul", ["inner", "one"], [old]))


class Repository:
    """A repository with a model on main, and a branch on which it may change."""

    def __init__(self, folder):
        self.folder = folder / "repository"
        self.bin = folder / "bin"
        self.temporary = folder / "temporary"
        for made in (self.folder, self.bin, self.temporary):
            made.mkdir()
        os.symlink(TOOL, self.bin / "onnx-repvgg-fuse")
        os.symlink(ROOT / "scripts" / "check-models", self.bin / "check-models")
        for name in ("gh", "curl"):
            stub = self.bin / name
            stub.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>"{folder}/{name}.arguments"\n')
            stub.chmod(0o755)
        self.env = {k: v for k, v in os.environ.items() if k != "ONNX_REPVGG_FUSE"}
        self.env |= {"PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": str(folder), "GIT_CONFIG_GLOBAL": "/dev/null",
                     "GIT_CONFIG_SYSTEM": "/dev/null", "NO_COLOR": "1"}
        for who in ("AUTHOR", "COMMITTER"):
            self.env |= {f"GIT_{who}_NAME": "a", f"GIT_{who}_EMAIL": "a@example.org"}
        self.git("init", "-q", "-b", "main")
        self.path = self.folder / "net.onnx"
        self.path.write_bytes(BLOCK.read_bytes())
        self.commit("one")
        self.git("update-ref", "refs/remotes/origin/main", "HEAD")
        self.git("checkout", "-q", "-b", "change")

    def run(self, *arguments, **more):
        return subprocess.run(arguments, cwd=self.folder, env=self.env | more, capture_output=True, text=True, timeout=120)

    def git(self, *arguments):
        done = self.run("git", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def commit(self, message):
        self.git("add", ".")
        self.git("commit", "-qm", message)

    def change(self, how):
        model = onnx.load(self.path)
        how(model)
        self.path.write_bytes(model.SerializeToString())


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path)


def steps():
    (job,) = GITHUB["jobs"].values()
    return {s["name"]: s for s in job["steps"] if "name" in s}


def run_github(repository, labelled=False):
    """The shell steps after Install, as a runner would: bash -e -o pipefail, outputs by file."""
    shown, outputs = "", {}
    (repository.temporary / "output").write_text("")
    for name, step in steps().items():
        if name == "Install":
            continue
        env = {}
        for key, value in step.get("env", {}).items():
            value = value.replace("${{ steps.compare.outputs.status }}", outputs.get("status", ""))
            value = value.replace("${{ github.token }}", "token").replace("${{ github.event.pull_request.number }}", "7")
            value = value.replace("${{ contains(github.event.pull_request.labels.*.name, 'model-change') }}", str(labelled).lower())
            assert "${{" not in value, f"{name}: {value}"
            env[key] = value
        assert "${{" not in step["run"], "expressions in scripts are how workflows are broken into"
        done = repository.run("bash", "-e", "-o", "pipefail", "-c", step["run"], RUNNER_TEMP=str(repository.temporary),
                              GITHUB_BASE_REF="main", GITHUB_STEP_SUMMARY=str(repository.temporary / "step.md"),
                              GITHUB_OUTPUT=str(repository.temporary / "output"), **env)
        shown += done.stdout + done.stderr
        outputs = dict(line.split("=", 1) for line in (repository.temporary / "output").read_text().splitlines())
        if done.returncode:
            return name, done.returncode, shown
    return "", 0, shown


def test_the_workflow_is_one(repository):
    trigger = GITHUB[True]  # YAML 1.1 reads the key "on" as true
    assert trigger["pull_request"]["paths"] == ["**.onnx"]
    assert GITHUB["permissions"] == {"contents": "read", "pull-requests": "write"}
    (job,) = GITHUB["jobs"].values()
    assert job["steps"][0]["uses"].startswith("actions/checkout@") and job["steps"][0]["with"]["fetch-depth"] == 0
    assert list(steps()) == ["Install", "Compare", "Comment", "Judge"]
    for step in steps().values():
        assert repository.run("bash", "-n", "-c", step["run"]).returncode == 0


@pytest.mark.parametrize("change, code", [(renamed, 0), (weight_changed, 1), (rewritten, 1)], ids=lambda v: getattr(v, "__name__", v))
def test_github(change, code, repository):
    repository.change(change)
    repository.commit("two")
    step, status, shown = run_github(repository)
    assert (step, status) == (("Judge", code) if code else ("", 0)), shown
    summary = (repository.temporary / "step.md").read_text()
    comment = (repository.temporary / "comment.md").read_text()
    assert summary in comment and "net.onnx" in comment
    assert ("```diff" in summary and "::warning file=net.onnx" in shown) == bool(code), shown
    assert (repository.folder.parent / "gh.arguments").read_text().splitlines()[:3] == ["pr", "comment", "7"]
    assert run_github(repository, labelled=True)[:2] == ("", 0)


def test_github_says_when_it_cannot_compare(repository):
    repository.path.write_bytes(b"no model")
    repository.commit("two")
    step, status, shown = run_github(repository, labelled=True)
    assert (step, status) == ("Judge", 2) and "net.onnx" in shown
    assert "cannot be compared" in (repository.temporary / "step.md").read_text()


@pytest.mark.parametrize("change, code", [(renamed, 0), (weight_changed, 1)], ids=lambda v: getattr(v, "__name__", v))
def test_gitlab(change, code, repository):
    repository.change(change)
    repository.commit("two")
    job = GITLAB["models"]
    base = repository.git("rev-parse", "main").strip()
    done = repository.run("bash", "-e", "-o", "pipefail", "-c", "\n".join(job["script"]), CI_MERGE_REQUEST_DIFF_BASE_SHA=base,
                          CI_API_V4_URL="https://example.org/api/v4", CI_PROJECT_ID="1", CI_MERGE_REQUEST_IID="7", MODELS_TOKEN="t")
    assert done.returncode == code, done.stdout + done.stderr
    assert "net.onnx" in (repository.folder / job["artifacts"]["paths"][0]).read_text()
    assert "https://example.org/api/v4/projects/1/merge_requests/7/notes" in (repository.folder.parent / "curl.arguments").read_text()


def hooks_repository(folder):
    """What pre-commit clones: the hooks and their script, as this tree has them."""
    source = folder / "hooks"
    (source / "scripts").mkdir(parents=True)
    for name in (".pre-commit-hooks.yaml", "scripts/check-models"):
        target = source / name
        target.write_bytes((ROOT / name).read_bytes())
        target.chmod((ROOT / name).stat().st_mode)
    return source


@pytest.mark.parametrize("hook, change, code", [
    ("onnx-diff", renamed, 0), ("onnx-diff", weight_changed, 1), ("onnx-diff", rewritten, 1),
    ("onnx-verify", renamed, 0), ("onnx-verify", rewritten, 0), ("onnx-verify", weight_changed, 1),
], ids=lambda v: getattr(v, "__name__", v))
def test_pre_commit(hook, change, code, repository, tmp_path):
    pytest.importorskip("pre_commit")
    source = hooks_repository(tmp_path)
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "hooks"]):
        subprocess.run(["git", *arguments], cwd=source, env=repository.env, check=True)
    rev = subprocess.run(["git", "rev-parse", "HEAD"], cwd=source, capture_output=True, text=True, check=True).stdout.strip()
    config = {"repos": [{"repo": str(source), "rev": rev, "hooks": [{"id": hook}]}]}
    (repository.folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    repository.commit("hooks")
    repository.change(change)
    repository.git("add", ".")
    done = repository.run(sys.executable, "-m", "pre_commit", "run", PRE_COMMIT_HOME=str(tmp_path / "cache"))
    assert done.returncode == code, done.stdout + done.stderr
    assert ("Failed" in done.stdout) == bool(code) and "net.onnx" in done.stdout + "net.onnx" * (code == 0)


def check(repository, *arguments):
    return repository.run(str(repository.bin / "check-models"), *arguments)


def test_new_and_removed_models_are_told(repository):
    (repository.folder / "new model.onnx").write_bytes(BLOCK.read_bytes())
    repository.git("add", ".")
    repository.git("rm", "-q", "net.onnx")
    done = check(repository)
    assert done.returncode == 0, done.stderr
    assert "net.onnx: removed" in done.stdout and "new model.onnx: new" in done.stdout


def test_trouble_of_the_script(repository):
    assert check(repository).stdout == "no model changed\n"
    assert check(repository, "--base", "absent").returncode == 2
    assert check(repository, "--base=HEAD").stdout == "no model changed\n"
    for wrong in (["--unknown"], ["--base"], ["--format", "svg"]):
        done = check(repository, *wrong)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and wrong[0] in done.stderr
    done = check(repository, "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: check-models") and "--base REV" in done.stdout
    (repository.folder / ".git").rename(repository.folder / "not-git")
    done = check(repository)
    assert done.returncode == 2 and "not in a git repository" in done.stderr


def test_the_guide_shows_what_is_tested():
    guide = (ROOT / "docs" / "ci.md").read_text()
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    for name in ("ci/github.yml", "ci/gitlab.yml", *(h["id"] for h in hooks)):
        assert name in guide
    for h in hooks:
        assert (ROOT / pathlib.Path(h["entry"].split()[0])).stat().st_mode & 0o100
