"""typing_lines.py under mypy and pyright without any setting, as a user's editor has them."""
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

LINES = pathlib.Path(__file__).with_name("typing_lines.py")


def wrong(checker):
    """Numbers of the lines that are errors."""
    ends = ("# error", f"# error of {checker}")
    return {number for number, line in enumerate(LINES.read_text().splitlines(), 1) if line.endswith(ends)}


def run(folder, *command):
    environment = {name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", "ASAN_OPTIONS", "UBSAN_OPTIONS")}
    return subprocess.run([sys.executable, "-m", *map(str, command)], cwd=folder, env=environment, capture_output=True, text=True)


def test_mypy(tmp_path):
    pytest.importorskip("mypy")
    said = run(tmp_path, "mypy", "--cache-dir", tmp_path / "cache", "--no-error-summary", LINES).stdout
    found = {int(number) for number in re.findall(r"typing_lines\.py:(\d+): error", said)}
    assert found == wrong("mypy"), said


def test_pyright(tmp_path):
    pytest.importorskip("pyright")
    done = run(tmp_path, "pyright", "--outputjson", "--pythonpath", sys.executable, LINES)
    said = json.loads(done.stdout)["generalDiagnostics"]
    found = {message["range"]["start"]["line"] + 1 for message in said if message["severity"] == "error"}
    assert found == wrong("pyright"), said
