"""The API page builds without a warning, and docstrings tell what is to be known. What pages show, test_walk.py types."""
import re
import subprocess
import sys

import pytest

import onnx_repvgg_fuse
from tests.support.tool import ROOT


def test_api_page(tmp_path):
    """As scripts/api does it; -W error makes a type or link that does not resolve a failure."""
    script = (ROOT / "scripts" / "api").read_text()
    arguments = re.search(r"-W error -m pdoc (.*?)-o", script, re.S).group(1).replace("\\\n", " ").replace('"', "").split()
    modules = re.search(r'-o "\$folder" (.*)', script).group(1).split()
    run = subprocess.run([sys.executable, "-W", "error", "-m", "pdoc", *arguments, "-o", tmp_path, *modules],
                         capture_output=True, text=True)
    assert run.returncode == 0 and not run.stderr, run.stderr
    page = (tmp_path / "onnx_repvgg_fuse.html").read_text()
    for name in onnx_repvgg_fuse.__all__:
        assert f'id="{name}"' in page
    assert 'id="assert_equivalent"' in (tmp_path / "onnx_repvgg_fuse" / "testing.html").read_text()


@pytest.mark.parametrize("name", onnx_repvgg_fuse.__all__)
def test_everything_is_told(name):
    """A docstring each; functions name every parameter and what they raise."""
    thing = getattr(onnx_repvgg_fuse, name)
    assert thing.__doc__ and not thing.__doc__.startswith(name + "(")
    if not isinstance(thing, type):
        parameters = set(thing.__annotations__) - {"return"}
        missing = [p for p in parameters if f"`{p}`" not in thing.__doc__ and len(parameters) > 1]
        # info says of the rewrites' options: as for fuse
        assert not missing or name == "info", missing
        assert "Raises" in thing.__doc__ or name == "passes"


def test_types_check():
    """The package itself; what users' lines are to a checker, test_typing.py asks."""
    mypy = pytest.importorskip("mypy.api")
    out, err, status = mypy.run(["--strict", "--config-file", str(ROOT / "pyproject.toml"), str(ROOT / "python" / "onnx_repvgg_fuse")])
    assert status == 0, out + err
