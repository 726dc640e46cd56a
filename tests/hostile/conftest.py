"""A bench to run the tool on a bad file: what is there afterwards must be what was there before."""
import re
import subprocess

import pytest

from tests.support.tool import TOOL

SECONDS = 10
KEEP = b"the file that was here"


class Bench:
    def __init__(self, folder):
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self.source = folder / "hostile.onnx"
        self.target = folder / "target.onnx"
        self.target.write_bytes(KEEP)

    def names(self):
        return sorted(p.name for p in self.folder.iterdir())

    def run(self, data, *options):
        """Run on data; exit 0 or 2, in time, with nothing left behind, and OUT untouched unless it is 0."""
        self.source.write_bytes(data)
        if self.target.read_bytes() != KEEP:
            self.target.write_bytes(KEEP)
        before = self.names()
        try:
            r = subprocess.run([TOOL, *options, self.source, self.target], capture_output=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {SECONDS} seconds", pytrace=False)
        stderr = r.stderr.decode("utf-8", "replace")
        assert r.returncode in (0, 2), f"exit {r.returncode}\n{stderr[-4000:]}"
        assert self.names() == before, "files left behind"
        assert self.source.read_bytes() == data
        if r.returncode == 2:
            assert self.target.read_bytes() == KEEP, "OUT was touched"
            assert r.stdout == b""
            assert re.fullmatch(r"onnx-repvgg-fuse: [^\n]*hostile\.onnx[^\n]*\n", stderr), repr(stderr)
        return r.returncode, stderr

    def refused(self, data, *patterns):
        """Exit 2, with a message that says each of the patterns."""
        code, message = self.run(data)
        assert code == 2, "accepted"
        said = message.split("hostile.onnx", 1)[1]
        for pattern in patterns:
            assert re.search(pattern, said, re.IGNORECASE), f"{pattern!r} not in {said!r}"

    def accepted(self, data, *options):
        """Exit 0; the bytes of OUT."""
        code, message = self.run(data, *options)
        assert code == 0, message
        return self.target.read_bytes()

    def untouched(self, data):
        """Exit 0, and OUT is IN byte for byte."""
        assert self.accepted(data) == data, "the model was changed"


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path / "bench")
