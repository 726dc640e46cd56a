"""What fuzzing and the search for dear files (growth.py) found: an answer within the limits, no signal."""
import os
import pathlib
import resource
import subprocess

import pytest

from tests.support.tool import TOOL

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "fuzz" / "regressions"
FILES = sorted(FOLDER.glob("*.onnx"))
PAIRS = sorted(FOLDER.glob("*.pair"))  # tests/fuzz/target.h: PAIR, the size of the first, the first, the second
SANITIZED = "build-test" in str(TOOL)


def bounded():
    resource.setrlimit(resource.RLIMIT_CPU, (40 if SANITIZED else 4,) * 2)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_what_fusing_makes_is_not_different(path, tmp_path):
    out = tmp_path / "out.onnx"
    if subprocess.run([str(TOOL), path, out], stderr=subprocess.DEVNULL, preexec_fn=bounded).returncode == 0:
        p = subprocess.run([str(TOOL), "verify", path, out], capture_output=True, text=True, preexec_fn=bounded)
        assert p.returncode in (0, 2), p.stdout + p.stderr


@pytest.mark.parametrize("command", ["fuse", "info", "dump", "diff", "verify"])
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_found_once(path, command, tmp_path):
    given = {"fuse": [path, tmp_path / "out.onnx"], "diff": ["diff", path, path], "verify": ["verify", path, path]}.get(command, [command, path])
    p = subprocess.Popen([str(TOOL), *map(str, given)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=bounded)
    error = p.stderr.read().decode()
    p.stderr.close()
    _, status, usage = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    assert p.returncode in (0, 2), (p.returncode, error)
    if command != "verify" or p.returncode == 0:  # which tells on standard output that it cannot tell
        assert (p.returncode == 0) == (error == ""), error
    if not SANITIZED:
        assert usage.ru_maxrss * 1024 < 16 * 2 * path.stat().st_size + (64 << 20) + (8 << 20)  # 8 MB: the program itself


@pytest.mark.parametrize("command", ["diff", "verify"])
@pytest.mark.parametrize("path", PAIRS, ids=lambda p: p.stem)
def test_pair_found_once(path, command, tmp_path):
    data = path.read_bytes()
    assert data[:4] == b"PAIR"
    end = 8 + int.from_bytes(data[4:8], "little")
    (tmp_path / "a.onnx").write_bytes(data[8:end])
    (tmp_path / "b.onnx").write_bytes(data[end:])
    p = subprocess.run([str(TOOL), command, tmp_path / "a.onnx", tmp_path / "b.onnx"], capture_output=True, text=True, preexec_fn=bounded)
    assert p.returncode in (0, 1, 2), p.stderr
