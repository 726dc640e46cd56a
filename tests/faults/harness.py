"""Runs the tool under shim.c and judges what is there afterwards."""
import errno
import json
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.support.tool import ROOT, TOOL

HERE = pathlib.Path(__file__).parent
EVERYTHING = os.environ.get("FAULTS") == "all"
LINE = re.compile(r"onnx-repvgg-fuse: [^\n]+\n")
# How a good run ends, unless it was the write of this line that failed; other subcommands say nothing.
SENTENCE = re.compile(r"(?:[^\n]+(?: ops, wrote |; | unchanged, )[^\n]*\n)?")
TEMPORARY = ".onnx-repvgg-fuse-"
OLD = b"the file that was here"
MODE = 0o640

EINTR, SHORT = str(errno.EINTR), "short"
FULL, BROKEN = str(errno.ENOSPC), str(errno.EIO)
KINDS = {
    "open": [str(errno.EMFILE), BROKEN, FULL, EINTR],
    "read": [BROKEN, EINTR, SHORT],
    "write": [FULL, BROKEN, EINTR, SHORT],
    "pwrite": [FULL, BROKEN, EINTR, SHORT, str(errno.EDQUOT)],
    "copy_file_range": [FULL, BROKEN, EINTR, SHORT, str(errno.EXDEV)],
    "mmap": [str(errno.ENOMEM), str(errno.ENODEV)],
    "fallocate": [FULL, str(errno.EOPNOTSUPP), str(errno.EPERM), EINTR, str(errno.EFBIG)],
    "sync_file_range": [BROKEN],
    "ftruncate": [FULL, str(errno.EFBIG), EINTR],
    "fsync": [BROKEN, FULL, EINTR, str(errno.EINVAL)],
    "rename": [BROKEN, FULL, str(errno.EACCES)],
    "linkat": [BROKEN, FULL, str(errno.EPERM)],
    "close": [BROKEN, EINTR],
    "stat": [BROKEN],
    "fchmod": [BROKEN, str(errno.EPERM)],
    "flock": [BROKEN],
    "mkdir": [FULL, str(errno.EACCES)],
}
HARMLESS = {(c, EINTR) for c in ("open", "read", "write", "pwrite", "copy_file_range", "fallocate", "ftruncate", "fsync", "close")}
HARMLESS |= {(c, SHORT) for c in KINDS} | {("fsync", str(errno.EINVAL)), ("copy_file_range", str(errno.EXDEV)), ("sync_file_range", BROKEN)}
HARMLESS |= {("fallocate", str(errno.EOPNOTSUPP)), ("fallocate", str(errno.EPERM))}


def build_shim(folder):
    shim = folder / "shim.so"
    subprocess.run([*os.environ.get("CC", "cc").split(), "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-fPIC", "-shared", "-U_FORTIFY_SOURCE", "-o", shim,
                    HERE / "shim.c", "-ldl"], check=True)
    return shim


def big_model():
    """Blocks that fold, and a weight that stays. Both are large enough for what is done with large ones: room that is set
    aside, writing to the disk that starts early, copies in the kernel."""
    model = onnx.load(ROOT / "models" / "qarepvgg_block.onnx")
    random = np.random.default_rng(7)

    def weight(name, *shape):
        model.graph.initializer.append(numpy_helper.from_array(random.standard_normal(shape).astype(np.float32), name))
        return name

    image = [1, 64, 5, 5]
    model.graph.input.append(helper.make_tensor_value_info("image", TensorProto.FLOAT, image))
    model.graph.output.append(helper.make_tensor_value_info("seen", TensorProto.FLOAT, image))
    model.graph.node.extend([
        helper.make_node("Conv", ["image", weight("wide", 64, 64, 3, 3)], ["one"], name="one", pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["image", weight("narrow", 64, 64, 1, 1)], ["two"], name="two"),
        helper.make_node("Add", ["one", "two"], ["seen"], name="sum")])
    weight("stays", 128, 130)
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1, 128]))
    model.graph.output.append(helper.make_tensor_value_info("much", TensorProto.FLOAT, [1, 130]))
    model.graph.node.append(helper.make_node("MatMul", ["more", "stays"], ["product"], name="product"))
    model.graph.node.append(helper.make_node("Relu", ["product"], ["much"], name="stop"))
    return model


class Scene:
    """What is there before a run, the command, and what is there after a good one."""

    def __init__(self, name, arguments, outputs, external=False, old=(), always="", options=("--jobs", "1")):
        self.name, self.arguments, self.outputs, self.external = name, arguments, outputs, external
        self.old, self.always, self.options = set(old), always, options
        self.new = {}

    def prepare(self, folder):
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "in").mkdir(parents=True)
        (folder / "out").mkdir()
        source = folder / "in" / "m.onnx"
        if self.external:
            onnx.save(big_model(), source, save_as_external_data=True, location="m.data", size_threshold=0)
        else:
            source.write_bytes(big_model().SerializeToString())
        if "--batch" in self.arguments:
            shutil.copy(ROOT / "models" / "if_body.onnx", folder / "in" / "n.onnx")
        for name in self.old:
            if not (folder / name).exists():
                (folder / name).write_bytes(OLD)
            (folder / name).chmod(MODE)
        self.before = state(folder)

    def learn(self, folder, shim):
        """A run without a fault."""
        self.prepare(folder)
        result, _ = self.run(folder, shim, "none", 0, "0")
        assert result.returncode == 0, result.stderr
        assert SENTENCE.fullmatch(result.stderr), result.stderr
        after = state(folder)
        self.new = {name: after[name] for name in self.outputs}
        self.stdout = result.stdout
        assert set(after) == set(self.before) | set(self.outputs)

    def run(self, folder, shim, call, at, kind, file=None):
        read, write = os.pipe()
        opened = os.open(file, os.O_RDWR) if file else None
        environment = {**os.environ, "LD_PRELOAD": str(shim), "FAULT_CALL": call, "FAULT_AT": str(at), "FAULT_KIND": kind,
                       "FAULT_FD": str(write), "FAULT_ALWAYS": self.always, "FAULT_FILE": str(opened if file else -1)}
        # The leak check opens files too, and may get the failure that was meant for the tool.
        environment["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0:detect_leaks=0"
        try:
            given = (folder / "in" / "m.onnx").read_bytes() if "-" in self.arguments else b""
            result = subprocess.run([TOOL, *self.options, *self.arguments], cwd=folder, env=environment, capture_output=True, input=given,
                                    pass_fds=[write] + ([opened] if file else []), timeout=int(os.environ.get("FAULT_TIMEOUT", "60")))
        finally:
            os.close(write)
            if file:
                os.close(opened)
        struck = os.read(read, 16) != b""
        os.close(read)
        result.stderr = result.stderr.decode("utf-8", "replace")
        return result, struck

    def judge(self, folder, result, what, must_work=False):
        """Each output is the old one or the whole new one; nothing else is there; message and exit status fit."""
        after = state(folder)
        message = f"{self.name}, {what}: exit {result.returncode}, {result.stderr!r}"
        assert result.returncode in (0, 2), message
        assert "Sanitizer" not in result.stderr and "runtime error" not in result.stderr, message
        assert not must_work or result.returncode == 0, message
        written = result.returncode == 0 or "is written" in result.stderr
        if result.returncode == 0:
            assert SENTENCE.fullmatch(result.stderr), message
            assert result.stdout == self.stdout, message
        else:
            lines = result.stderr.splitlines(keepends=True)
            assert lines and all(LINE.fullmatch(line) or SENTENCE.fullmatch(line) for line in lines), message
            assert "--batch" in self.arguments or len(lines) == 1, message
        assert set(after) <= set(self.before) | set(self.outputs), f"{message}: left behind {set(after) - set(self.before)}"
        assert set(self.before) <= set(after), message
        for name in set(after) - set(self.outputs):
            assert after[name] == self.before[name], f"{message}: {name} was touched"
        for name in self.outputs:
            is_new, is_old = after.get(name) == self.new[name], after.get(name) == self.before.get(name)
            if written and "--batch" not in self.arguments:
                assert is_new, f"{message}: {name} is not the new file"
            elif "--batch" in self.arguments:
                assert is_new or is_old, f"{message}: {name} is neither old nor new"
            else:
                assert is_old, f"{message}: {name} is not the old file"
            if result.returncode == 0:
                assert is_new, message


def state(folder):
    """Contents and modes of all files below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found[str(path.relative_to(folder))] = (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
    return found


def fuse_scenes():
    data = ("out/o.onnx", "out/o.onnx.data")
    scenes = [
        Scene("new", ["in/m.onnx", "out/o.onnx"], ["out/o.onnx"]),
        Scene("replace", ["in/m.onnx", "out/o.onnx"], ["out/o.onnx"], old=["out/o.onnx"]),
        Scene("in place", ["in/m.onnx", "in/m.onnx"], ["in/m.onnx"], old=["in/m.onnx"]),
        Scene("external data", ["in/m.onnx", "out/o.onnx"], data, external=True, old=["out/o.onnx"]),
        Scene("external data, with names and walks", ["in/m.onnx", "out/o.onnx"], data, external=True, old=["out/o.onnx"],
              always="nameless,openat2,copy_file_range,landlock,renameat2"),
        Scene("no room set aside", ["in/m.onnx", "out/o.onnx"], ["out/o.onnx"], always="fallocate"),
        Scene("replace, with names", ["in/m.onnx", "out/o.onnx"], ["out/o.onnx"], old=["out/o.onnx"], always="nameless"),
        Scene("streams", ["-", "-"], []),
        Scene("batch", ["--batch", "out", "-q", "in"], ["out/m.onnx", "out/n.onnx"], old=["out/n.onnx"]),
    ]
    return scenes


def save_counts(kind, counts):
    """For docs/security.md: FAULTS_COUNTS is a file of JSON lines."""
    target = os.environ.get("FAULTS_COUNTS")
    if target:
        with open(target, "a", encoding="utf-8") as f:
            f.write(json.dumps({"kind": kind, **counts}) + "\n")


def was_killed(result):
    return result.returncode == -signal.SIGKILL
