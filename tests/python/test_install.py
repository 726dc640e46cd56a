"""From an empty virtual environment: sdist, wheel, the README's Python lines, several Pythons."""
import email
import functools
import glob
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.support.tool import ROOT

SMALL = ROOT / "models" / "repvgg_small.onnx"
# No variable of this run: neither the sanitizers' nor where another library is.
ENVIRONMENT = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PIP_CERT", "SSL_CERT_FILE") if name in os.environ}


def run(*command, **options):
    got = subprocess.run([os.fspath(part) for part in command], capture_output=True, text=True, env=ENVIRONMENT, **options)
    assert got.returncode == 0, f"{command}\n{got.stdout}\n{got.stderr}"
    return got.stdout


@functools.lru_cache
def pythons():
    """Other Pythons of this machine from 3.9 on that work, the first of each version."""
    candidates = sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python3")))
    candidates += sorted(glob.glob("/opt/python/*/bin/python3")) + sorted(glob.glob("/usr/local/bin/python3.*"))
    candidates += [f"/usr/bin/python3.{minor}" for minor in range(9, 20)]
    candidates += filter(None, (shutil.which(f"python3.{minor}") for minor in range(9, 20)))
    candidates += filter(None, (shutil.which(name) for name in ("pypy3", "graalpy")))
    found = {}
    for candidate in candidates:
        ask = "import ctypes, venv, sys; print(*sys.version_info[:3], sys.implementation.name)"
        try:
            said = subprocess.run([candidate, "-c", ask], capture_output=True, text=True, timeout=30, env=ENVIRONMENT)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if said.returncode:
            continue
        *version, implementation = said.stdout.split()
        version = tuple(map(int, version))
        if version >= (3, 9) and (version, implementation) != (tuple(sys.version_info[:3]), sys.implementation.name):
            found.setdefault(version[:2] + (implementation,), candidate)
    # The oldest, the newest and what lies between says little more.
    ordered = [found[key] for key in sorted(found)]
    return ordered if len(ordered) < 3 else [ordered[0], ordered[-1]]


def readme_lines():
    """The first block of Python in the README: needs nothing but the package."""
    return re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S).group(1)


def empty(python, folder):
    """A virtual environment with nothing in it, not even pip; pip of this one installs into it."""
    run(python, "-m", "venv", "--without-pip", folder)
    return folder / "bin" / "python"


def install(python, *what):
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check", *what)


def check_installed(python, folder):
    """The README's lines, the command on PATH, and python -m."""
    folder.mkdir()
    shutil.copy(SMALL, folder / "model.onnx")
    said = run(python, "-I", "-c", readme_lines(), cwd=folder)
    assert re.search(r"Conv +44 -> +22", said) and ": equal" in said
    fused = (folder / "fused.onnx").read_bytes()
    command = python.parent / "onnx-repvgg-fuse"
    run(command, "model.onnx", "by-command.onnx", cwd=folder)
    run(python, "-m", "onnx_repvgg_fuse", "model.onnx", "by-module.onnx", cwd=folder)
    assert (folder / "by-command.onnx").read_bytes() == (folder / "by-module.onnx").read_bytes() == fused
    version = run(python, "-I", "-c", "import onnx_repvgg_fuse as f, importlib.metadata as m; "
                                      "print(f.__version__, m.version('onnx-repvgg-fuse'))").split()
    assert version[0] == version[1] == run(command, "--version").split()[-1]


@pytest.fixture(scope="module")
def wheel():
    """What scripts/wheel made."""
    found = list((ROOT / "dist").glob("*.whl"))
    if len(found) != 1:
        pytest.skip("dist/ has no wheel: run scripts/wheel")
    return found[0]


def test_one_wheel_for_every_python(wheel):
    assert re.fullmatch(r"onnx_repvgg_fuse-[\d.]+-py3-none-manylinux_\d+_\d+_\w+\.whl", wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = next(name for name in names if name.endswith("METADATA"))
        said = email.message_from_bytes(archive.read(metadata))
    assert said["Requires-Python"] == ">=3.9" and not [r for r in said.get_all("Requires-Dist") or [] if "extra ==" not in r]
    assert {"ort", "onnx", "ir", "docs"} <= set(said.get_all("Provides-Extra"))
    assert any(name.endswith("onnx_repvgg_fuse/py.typed") for name in names)
    for part in (ROOT / "python" / "onnx_repvgg_fuse").glob("*.py"):
        assert any(name.endswith(f"onnx_repvgg_fuse/{part.name}") for name in names), f"python/meson.build lacks {part.name}"


def test_auditwheel(wheel):
    """Its policy is met and no library but the C library's own is needed: protobuf-c is inside."""
    path = f"{pathlib.Path(sys.executable).parent}:{ENVIRONMENT['PATH']}"
    got = subprocess.run([sys.executable, "-m", "auditwheel", "show", wheel], capture_output=True, text=True,
                         env={**ENVIRONMENT, "PATH": path})
    assert got.returncode == 0, got.stderr
    said = " ".join(got.stdout.split())
    tag = wheel.name.split("-")[-1].removesuffix(".whl")
    assert f'is consistent with the following platform tag: "{tag}"' in said
    assert "protobuf" not in said


@pytest.mark.parametrize("other", pythons() or [pytest.param("", marks=pytest.mark.skip("no other Python on this machine"))])
def test_another_python(other, wheel, tmp_path):
    python = empty(other, tmp_path / "venv")
    install(python, "--no-index", wheel)
    check_installed(python, tmp_path / "work")


def test_sdist_from_a_clean_environment(tmp_path):
    """`pip install SDIST`, where the build has its own environment made by pip from pyproject.toml."""
    if not (ROOT / ".git").exists():
        pytest.skip("meson makes an sdist of a git clone only")
    clone = tmp_path / "clone"
    run("git", "clone", "--quiet", "--depth", "1", f"file://{ROOT}", clone)
    if (ROOT / "subprojects" / "packagecache").exists():
        shutil.copytree(ROOT / "subprojects" / "packagecache", clone / "subprojects" / "packagecache")
    builder = empty(sys.executable, tmp_path / "builder")
    install(builder, "meson-python")
    run(builder, "-c", "import mesonpy; mesonpy.build_sdist('..')", cwd=clone)
    sdist, = tmp_path.glob("*.tar.gz")
    assert sdist.stat().st_size < 8 << 20
    shutil.rmtree(clone)
    python = empty(sys.executable, tmp_path / "venv")
    install(python, "-Csetup-args=-Doptimization=0", sdist)  # for the time it takes; scripts/wheel builds the real one
    check_installed(python, tmp_path / "work")
