"""What fuzzing and the search for dear files (growth.py) found: an answer within the limits, no signal."""
import pathlib

import pytest

from tests.support.cost import bound, cost
from tests.support.tool import TOOL

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "fuzz" / "regressions"
FILES = sorted(FOLDER.glob("*.onnx"))
PAIRS = sorted(FOLDER.glob("*.pair"))  # tests/fuzz/target.h: PAIR, the size of the first, the first, the second
SANITIZED = "build-test" in str(TOOL)
SECONDS = 40 if SANITIZED else 4


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_what_fusing_makes_is_not_different(path, tmp_path):
    out = tmp_path / "out.onnx"
    if cost([TOOL, path, out], SECONDS).code == 0:
        run = cost([TOOL, "verify", path, out], SECONDS)
        assert run.code in (0, 2), run


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_model_is_the_same_as_itself(path):
    run = cost([TOOL, "diff", "--strict", path, path], SECONDS)
    assert run.code in (0, 2), run


@pytest.mark.parametrize("command", ["fuse", "info", "dump", "diff", "verify"])
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_found_once(path, command, tmp_path):
    given = {"fuse": [path, tmp_path / "out.onnx"], "diff": ["diff", path, path], "verify": ["verify", path, path]}.get(command, [command, path])
    run = cost([TOOL, *given], SECONDS)
    assert run.code in (0, 2), run
    failed = run.error.startswith("onnx-repvgg-fuse: ") and "warnings" not in run.error  # fuse says at the end what it did
    if command != "verify" or run.code == 0:  # which says on standard output that it is undecided
        assert (run.code == 0) == (not failed), run
    if not SANITIZED:
        assert run.memory < bound(*given[-2:] if command in ("diff", "verify") else [path]), run


@pytest.mark.parametrize("command", ["diff", "verify"])
@pytest.mark.parametrize("path", PAIRS, ids=lambda p: p.stem)
def test_pair_found_once(path, command, tmp_path):
    data = path.read_bytes()
    assert data[:4] == b"PAIR"
    end = 8 + int.from_bytes(data[4:8], "little")
    (tmp_path / "a.onnx").write_bytes(data[8:end])
    (tmp_path / "b.onnx").write_bytes(data[end:])
    run = cost([TOOL, command, tmp_path / "a.onnx", tmp_path / "b.onnx"], SECONDS)
    assert run.code in (0, 1, 2), run
