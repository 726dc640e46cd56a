"""What the wheel brings is hardened as a build of the project is: tests/unit/check_hardening.sh, of both files."""
import importlib.metadata
import shutil
import subprocess

from tests.support.tool import ROOT


def installed(name):
    files = importlib.metadata.distribution("onnx-repvgg-fuse").files or []
    return next(str(f.locate()) for f in files if f.name.startswith(name) and f.locate().is_file() and ".py" not in f.name)


def test_the_wheel_is_hardened():
    readelf = shutil.which("readelf")
    assert readelf, "readelf is missing: scripts/test installs binutils"
    run = subprocess.run(["sh", ROOT / "tests" / "unit" / "check_hardening.sh", readelf, installed("onnx-repvgg-fuse"),
                          installed("libonnx_repvgg_fuse"), "", "yes"], capture_output=True, text=True)
    assert run.returncode == 0 and run.stdout.count("\nok ") >= 15, run.stdout + run.stderr
