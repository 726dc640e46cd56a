"""What scripts/web built, and where the suite looks for it. Without it the suite is skipped and says why."""
import functools
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

from tests.support.tool import ROOT

WEB = ROOT / "build-web"
NPM = WEB / "npm"
PAGE = WEB / "page" / "index.html"
SMALL = ROOT / "models" / "repvgg_small.onnx"

if not PAGE.exists():
    pytest.skip("build-web is not there; scripts/web builds it, with emscripten", allow_module_level=True)
if not shutil.which("node"):
    pytest.skip("node is not here; it comes with emscripten", allow_module_level=True)


@functools.cache
def model_of(size):
    """A RepVGG of that many bytes, "20M", as bench/ makes it."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="onnx-repvgg-fuse-web-"))
    path = folder / f"repvgg-{size}.onnx"
    subprocess.run([sys.executable, ROOT / "bench" / "models.py", "repvgg", "--bytes", size, "-o", path], check=True, stdout=subprocess.DEVNULL)
    return path
