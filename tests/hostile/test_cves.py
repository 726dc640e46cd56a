"""The published holes of onnx and protobuf-c, one recipe each, through every command that reads a model.

A recipe builds its own files in `box/`, beside a secret that no command may read and nobody may change. What it
returns is the model and what the message must say; None: the model is good, and an output without the secret is right."""
import os
import re
import subprocess
import threading

import numpy as np
import pytest
from onnx import SparseTensorProto, TensorProto, helper, numpy_helper

from tests.hostile import wire
from tests.hostile.test_hostile import block_model, data_of, info, model, nested, subgraph, subgraphs
from tests.support.tool import TOOL

SANITIZED = "build-test" in str(TOOL)
SECONDS = 20 if SANITIZED else 2
SECRET = np.full((2, 2, 3, 3), 1234.5, np.float32)  # as large as the weight it would be taken for
MARK = SECRET.tobytes()[:16]
COMMANDS = ["fuse", "info", "dump", "diff", "verify"]


def weight(m, name="w3"):
    return next(t for t in m.graph.initializer if t.name == name)


def outside(tensor, location, **entries):
    """The tensor with its data elsewhere."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        e = tensor.external_data.add()
        e.key, e.value = key, str(value)
    return tensor


def block(location, **entries):
    m = block_model()
    outside(weight(m), location, **entries)
    return data_of(m)


def good_bytes():
    return weight(block_model()).raw_data


# Recipes


def parent(box):
    """CVE-2022-25882: `..` at the front."""
    return block("../secret.bin"), r"'\.\.'"


def parent_in_the_middle(box):
    """CVE-2024-27318: `..` behind a folder that exists."""
    (box / "a").mkdir()
    return block("a/../../secret.bin"), r"'\.\.'"


def absolute(box):
    """CVE-2022-25882 as well: an absolute path."""
    return block(str(box.parent / "secret.bin")), "absolute"


def link(box):
    """CVE-2026-27489: a symbolic link."""
    (box / "w.bin").symlink_to("../secret.bin")
    return block("w.bin"), "symbolic link.*--follow-symlinks"


def link_above(box):
    """CVE-2026-34447: a folder on the way is a symbolic link."""
    (box / "a").symlink_to("..")
    return block("a/secret.bin"), "symbolic link.*--follow-symlinks"


def hard_link(box):
    """CVE-2026-34446: a hard link, which looks like any file."""
    os.link(box.parent / "secret.bin", box / "w.bin")
    return block("w.bin"), "hard link|other names|several names"


def long_texts(box):
    """CVE-2024-27319: an error's text longer than the buffer it was made for."""
    m = block_model()
    for t in m.graph.initializer:
        if t.name == "w3":
            t.raw_data = t.raw_data[:-1]
            t.name = "n" * 2047
    for node in m.graph.node:
        node.name = "o" * 4096
        for i, name in enumerate(node.input):
            node.input[i] = "n" * 2047 if name == "w3" else name
    return data_of(m), "n" * 100


def endless_length(box):
    """CVE-2026-34445: a length that would be allocated before anyone looks at the file."""
    (box / "w.bin").write_bytes(good_bytes())
    return block("w.bin", offset=0, length=9 * 10**15), "9000000000000000"


def endless_dims(box):
    """CVE-2026-34445 by dims: petabytes that are only stated."""
    m = block_model()
    t = weight(m)
    del t.dims[:]
    t.dims.extend([1 << 20, 1 << 20, 1 << 10])
    return data_of(m), "w3"


def own_keys(box):
    """CVE-2026-34445: keys of external data that onnx set as attributes of its object."""
    (box / "w.bin").write_bytes(good_bytes())
    return block("w.bin", __class__="x", __dict__="y", basepath="..", checksum="0" * 100_000), None


def sparse(box):
    """CVE-2022-25882 by the values of a sparse initializer."""
    m = block_model()
    values = outside(numpy_helper.from_array(SECRET.ravel(), "s"), "../secret.bin")
    indices = numpy_helper.from_array(np.arange(SECRET.size, dtype=np.int64), "i")
    m.graph.sparse_initializer.append(SparseTensorProto(values=values, indices=indices, dims=SECRET.shape))
    return data_of(m), False


def attribute(box):
    """CVE-2022-25882 by the tensor of a Constant in a body."""
    inner = outside(numpy_helper.from_array(SECRET, "t"), "../secret.bin")
    body = helper.make_graph([helper.make_node("Constant", [], ["c"], value=inner), helper.make_node("Identity", ["c"], ["o"])], "b", [], [info("o")])
    node = helper.make_node("If", ["f"], ["y"], then_branch=body, else_branch=body)
    return data_of(model([node], [info("f", elem=TensorProto.BOOL)], [info("y")])), r"'\.\.'"


def deep(wrap):
    def make(box):
        levels, data = 0, b""
        while len(data) < 54_000:
            levels += 200
            data = wire.model(nested(levels, b"", wrap))
        return data, "deep|nest"
    make.__doc__ = "Nested subgraphs, 54 KB: protobuf-c's unpack runs out of stack."
    return make


RECIPES = {
    "CVE-2022-25882": parent, "CVE-2022-25882-absolute": absolute, "CVE-2022-25882-sparse": sparse, "CVE-2022-25882-attribute": attribute,
    "CVE-2024-27318": parent_in_the_middle, "CVE-2026-27489": link, "CVE-2026-34447": link_above, "CVE-2026-34446": hard_link,
    "CVE-2024-27319": long_texts, "CVE-2026-34445": endless_length, "CVE-2026-34445-dims": endless_dims, "CVE-2026-34445-keys": own_keys,
    "protobuf-c-stack": deep(subgraph), "protobuf-c-stack-lists": deep(subgraphs),
}


# The bench


def tree(folder):
    """Everything below a folder: kind, mode and content."""
    seen = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        seen[str(path.relative_to(folder))] = (status.st_mode, status.st_nlink, os.readlink(path) if path.is_symlink() else
                                               path.read_bytes() if path.is_file() else None)
    return seen


@pytest.fixture
def box(tmp_path):
    (tmp_path / "secret.bin").write_bytes(SECRET.tobytes())
    (tmp_path / "box").mkdir()
    return tmp_path / "box"


def command_line(command, path, out):
    return {"fuse": [path, out], "diff": ["diff", path, path], "verify": ["verify", path, path]}.get(command, [command, path])


def run(command, path, out, *options):
    return subprocess.run([TOOL, *command_line(command, path, out), *options], capture_output=True, timeout=SECONDS)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", RECIPES)
def test_recipe(name, command, box):
    data, said = RECIPES[name](box)
    path, out = box / "hostile.onnx", box / "out.onnx"
    path.write_bytes(data)
    before = tree(box.parent)
    p = run(command, path, out)
    after = tree(box.parent)
    written = after.pop("box/out.onnx", None)
    assert after == before, "something else was written"
    assert MARK not in p.stdout + p.stderr and b"1234.5" not in p.stdout
    assert not written or MARK not in written[2]
    message = p.stderr.decode()
    if said is None:
        assert p.returncode == 0, message
    elif said is False:  # read or not, as the command needs it
        assert p.returncode in (0, 2), message
    else:
        assert p.returncode == 2 and written is None and p.stdout == b"", (p.returncode, message)
        assert re.fullmatch(r"onnx-repvgg-fuse: [^\n]*hostile\.onnx[^\n]*\n", message), message
        assert re.search(said, message), message


def test_the_recipes_would_fold(box):
    """The control: with its data where it belongs the model is one that fuses and is read by each command."""
    (box / "w.bin").write_bytes(good_bytes())
    path, out = box / "hostile.onnx", box / "out.onnx"
    path.write_bytes(block("w.bin"))
    for command in COMMANDS:
        assert run(command, path, out).returncode == 0, command
    assert out.stat().st_size > 100


@pytest.mark.parametrize("options", [(), ("--external-data", "new.bin"), ("--external-data", "inline")], ids=" ".join)
def test_CVE_2025_51480_saving_overwrites_nothing(box, options):
    """What a model calls its data is no name for a file to be written."""
    (box / "w.bin").write_bytes(good_bytes())
    (box / "hostile.onnx").write_bytes(block("w.bin"))
    elsewhere = box.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "w.bin").write_bytes(b"somebody's")
    before = tree(box.parent)
    p = run("fuse", box / "hostile.onnx", elsewhere / "out.onnx", *options)
    assert p.returncode == 0, p.stderr
    after = tree(box.parent)
    assert {k: after[k] for k in before} == before
    new = set(after) - set(before)
    assert new <= {"elsewhere/out.onnx", "elsewhere/out.onnx.data", "elsewhere/new.bin"} and "elsewhere/out.onnx" in new


@pytest.mark.parametrize("kind", ["file", "link", "dangling link", "hard link"])
def test_CVE_2025_51480_a_data_file_that_exists_stays(box, kind):
    (box / "hostile.onnx").write_bytes(data_of(block_model()))
    new, secret = box / "new.bin", box.parent / "secret.bin"
    {"file": lambda: new.write_bytes(b"somebody's"), "link": lambda: new.symlink_to(secret),
     "dangling link": lambda: new.symlink_to("../made"), "hard link": lambda: os.link(secret, new)}[kind]()
    before = tree(box.parent)
    p = run("fuse", box / "hostile.onnx", box / "out.onnx", "--external-data", "new.bin")
    assert p.returncode == 2 and b"new.bin" in p.stderr
    assert tree(box.parent) == before


class Swapped:
    """A name that is a good file at one moment and a link to another file at the next."""

    def __init__(self, name, good, other):
        self.name, self.good, self.other, self.stop = name, good, other, False
        self.thread = threading.Thread(target=self.swap)

    def swap(self):
        spare = self.name.with_suffix(".spare")
        while not self.stop:
            for make in (lambda: spare.symlink_to(self.other), self.good and (lambda: spare.write_bytes(self.good))):
                if make:
                    make()
                    os.replace(spare, self.name)
                else:
                    self.name.unlink(missing_ok=True)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.stop = True
        self.thread.join()


def test_GHSA_q56x_g2fj_4rj6_what_is_read_is_what_was_checked(box):
    """The data is swapped for a link to the secret all the time: a good model or an error, never the secret."""
    (box / "w.bin").write_bytes(good_bytes())
    path, out = box / "hostile.onnx", box / "out.onnx"
    path.write_bytes(block("w.bin"))
    codes = set()
    with Swapped(box / "w.bin", good_bytes(), "../secret.bin"):
        for _ in range(20 if SANITIZED else 60):
            out.unlink(missing_ok=True)
            p = run("fuse", path, out, "--external-data", "inline", "--no-check")
            codes.add(p.returncode)
            assert p.returncode in (0, 2), p.stderr
            if p.returncode == 0:  # not fused with it either: all its taps would be large
                largest = max(np.abs(numpy_helper.to_array(t)).max() for t in parse(out).graph.initializer)
                assert largest < 1000
            p = run("dump", path, None)
            assert b"1234.5" not in p.stdout
    assert codes, "nothing ran"


def parse(path):
    import onnx
    return onnx.load(path)


def test_GHSA_q56x_g2fj_4rj6_what_is_written_is_what_was_checked(box):
    """The name of the new data file becomes a link to the secret between any check and the opening."""
    (box / "hostile.onnx").write_bytes(data_of(block_model()))
    secret = box.parent / "secret.bin"
    with Swapped(box / "new.bin", None, "../secret.bin"):
        for _ in range(20 if SANITIZED else 60):
            p = run("fuse", box / "hostile.onnx", box / "out.onnx", "--external-data", "new.bin")
            assert p.returncode in (0, 2), p.stderr
            assert secret.read_bytes() == SECRET.tobytes()
