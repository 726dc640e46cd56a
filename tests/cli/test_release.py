"""What a release says of itself: one version everywhere, the hashes of what is fetched, and the GitHub action."""
import hashlib
import re

import pytest
import yaml

from tests.cli.test_ci import Repository, renamed, rewritten, weight_changed
from tests.support.tool import ROOT, TOOL

ACTION = yaml.safe_load((ROOT / "action.yml").read_text())


def first(pattern, path):
    return re.search(pattern, (ROOT / path).read_text(), re.M)[1]


@pytest.mark.parametrize("path, pattern", [
    ("CHANGELOG.md", r"^## \[([0-9.]+)\]"),
    ("debian/changelog", r"^onnx-repvgg-fuse \(([0-9.]+)\)"),
    ("docs/report.md", r'"version": "([0-9.]+)"'),
])
def test_one_version(path, pattern):
    assert first(pattern, path) == first(r"version: '([0-9.]+)'", "meson.build")


def test_the_header_says_it():
    header = (ROOT / "src" / "onnx_repvgg_fuse.h").read_text()
    parts = re.findall(r"^#define ONNX_FUSE_VERSION_(MAJOR|MINOR|PATCH) (\d+)$", header, re.M)
    assert [name for name, _ in parts] == ["MAJOR", "MINOR", "PATCH"]
    assert ".".join(number for _, number in parts) == first(r"version: '([0-9.]+)'", "meson.build")


def test_what_is_fetched():
    """By hash, and Homebrew's formula fetches the same. Archives that meson has fetched are those."""
    formula = (ROOT / "packaging" / "homebrew" / "onnx-repvgg-fuse.rb").read_text()
    wraps = sorted((ROOT / "subprojects").glob("*.wrap"))
    assert [wrap.stem for wrap in wraps] == ["dagre", "protobuf-c"]
    for wrap in wraps:
        name, digest = first("^source_filename = (.+)$", wrap), first("^source_hash = ([0-9a-f]{64})$", wrap)
        archive = ROOT / "subprojects" / "packagecache" / name
        if archive.exists():
            assert hashlib.sha256(archive.read_bytes()).hexdigest() == digest
        if wrap.stem == "dagre":
            assert digest in formula and first("^source_url = (.+)$", wrap) in formula


def run_action(repository, **inputs):
    """Its steps as a runner would: bash -e -o pipefail, what they add to PATH by file. apt-get and the compiler are stubs."""
    for name, body in {"sudo": "", "meson": 'mkdir -p "$6"', "ninja": f'ln -sf {TOOL} "$2/onnx-repvgg-fuse"'}.items():
        stub = repository.bin / name
        stub.write_text(f"#!/bin/sh\n{body}\n")
        stub.chmod(0o755)
    (repository.bin / "onnx-repvgg-fuse").unlink(missing_ok=True)  # Install puts it there
    given = {name: str(inputs.get(name, value["default"])) for name, value in ACTION["inputs"].items()}
    added, shown = repository.temporary / "path", ""
    added.write_text("")
    for step in ACTION["runs"]["steps"]:
        env = {}
        for key, value in step["env"].items():
            for name, text in given.items():
                value = value.replace("${{ inputs." + name + " }}", text)
            env[key] = value.replace("${{ github.action_path }}", str(ROOT))
            assert "${{" not in env[key], f"{step['name']}: {value}"
        assert "${{" not in step["run"] and step["shell"] == "bash"
        path = ":".join([*added.read_text().split(), repository.env["PATH"]])
        done = repository.run("bash", "-e", "-o", "pipefail", "-c", step["run"], RUNNER_TEMP=str(repository.temporary), GITHUB_BASE_REF="main",
                              GITHUB_STEP_SUMMARY=str(repository.temporary / "step.md"), GITHUB_PATH=str(added), PATH=path, **env)
        shown += done.stdout + done.stderr
        if done.returncode:
            return step["name"], done.returncode, shown
    return "", 0, shown


@pytest.mark.parametrize("change, inputs, code", [
    (renamed, {}, 0), (weight_changed, {}, 1), (rewritten, {}, 1), (rewritten, {"verify": "true"}, 0), (weight_changed, {"base": "HEAD"}, 0),
], ids=["renamed", "weight", "rewritten", "verify", "base"])
def test_action(change, inputs, code, tmp_path):
    repository = Repository(tmp_path)
    repository.change(change)
    repository.commit("two")
    step, status, shown = run_action(repository, **inputs)
    assert (step, status) == (("Compare", code) if code else ("", 0)), shown
    summary = (repository.temporary / "step.md").read_text()
    assert ("::warning file=net.onnx" in shown) == bool(code), shown
    assert "net.onnx" in summary or inputs.get("base") == "HEAD" and "No model changed" in summary
