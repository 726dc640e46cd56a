import os
import pathlib
import shutil
import tempfile

import pytest

from tests.faults import harness


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    return harness.build_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def folder():
    """In memory where that can be: a run syncs, and a disk may take long over that."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = pathlib.Path(tempfile.mkdtemp(prefix="onnx-repvgg-fuse-faults-", dir=memory))
    yield folder / "scene"
    shutil.rmtree(folder)
