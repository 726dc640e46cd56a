"""The command under node: the bytes, messages, streams and exit statuses of the native one."""
import json
import os
import pathlib
import re
import resource
import signal
import subprocess

import onnx
import pytest

from tests.interop.test_corpus import refill
from tests.support.tool import ROOT, TOOL
from tests.web.built import NPM, SMALL

NODE = ["node", NPM / "command.cjs"]
MODELS = sorted((ROOT / "models").glob("*.onnx"))


def both(folder, arguments, **options):
    """The command with these arguments, native and under node, each in a folder of its own: what it says, and what it leaves."""
    results = []
    for program, name in (([TOOL], "native"), (NODE, "node")):
        place = folder / name
        place.mkdir(exist_ok=True)
        run = subprocess.run([*program, *arguments], cwd=place, capture_output=True, timeout=300, **options)
        files = {str(p.relative_to(place)): p.read_bytes() for p in sorted(place.rglob("*")) if p.is_file()}
        for path, data in files.items():
            if path.endswith(".json"):
                files[path] = {**json.loads(data), "seconds": 0}
        results.append((run.returncode, re.sub(rb"[0-9.]+ s$", b"", run.stdout, flags=re.MULTILINE), run.stderr, files))
    return results


@pytest.mark.parametrize("options", [[], ["--equalize", "tensor"]], ids=["plain", "equalize"])
@pytest.mark.parametrize("model", MODELS, ids=lambda p: p.stem)
def test_the_same_bytes(model, options, tmp_path):
    native, node = both(tmp_path, [*options, "--json", "report.json", "--report", "page.html", model, "out.onnx"])
    assert native == node
    assert native[0] == 0 and set(native[3]) == {"out.onnx", "report.json", "page.html"}


@pytest.mark.parametrize("name", ["repvgg_a0.ts", "fastvit_t8.dyn", "ghostnetv3_050.tsp"])
def test_networks(name, tmp_path):
    onnx.save(refill(name), tmp_path / "in.onnx")
    native, node = both(tmp_path, ["--equalize", "channel", "--json", "report.json", tmp_path / "in.onnx", "out.onnx"])
    assert native == node and native[0] == 0


@pytest.mark.parametrize("arguments", [
    [], ["--help"], ["--list-passes"], ["missing.onnx", "out.onnx"], ["BROKEN", "out.onnx"], ["FOLDER", "out.onnx"],
    ["SMALL", "none/out.onnx"], ["SMALL", "FOLDER"], ["SMALL", "/dev/full"], ["--max-growth", "0", "SMALL", "out.onnx"],
    ["--freeze", "nix", "SMALL", "out.onnx"], ["--outputs", "nix", "SMALL", "out.onnx"], ["--dry-run", "SMALL"],
    ["--strict", "--tolerance", "1e-12", "SMALL", "out.onnx"], ["--skip", "join_branches", "--max-growth", "2", "SMALL", "out.onnx"],
    ["--batch", "all", "SMALL", "BROKEN"], ["info", "SMALL"], ["info", "--format", "json", "SMALL"], ["dump", "SMALL"],
    ["diff", "SMALL", "BLOCK"], ["diff", "SMALL", "SMALL"], ["diff", "SMALL", "BROKEN"], ["verify", "SMALL", "SMALL"], ["verify", "SMALL", "BLOCK"],
], ids=lambda words: "-".join(words) or "nothing")
def test_the_same_words(arguments, tmp_path):
    (tmp_path / "broken.onnx").write_bytes(SMALL.read_bytes()[:100000])
    places = {"SMALL": SMALL, "BROKEN": tmp_path / "broken.onnx", "FOLDER": tmp_path, "BLOCK": ROOT / "models" / "dbb_block.onnx"}
    native, node = both(tmp_path, [places.get(word, word) for word in arguments])
    assert native == node


def test_streams(tmp_path):
    native, node = both(tmp_path, ["-", "-"], input=SMALL.read_bytes())
    assert native == node and len(native[1]) > 1000000


def test_a_pipe_that_does_not_block(tmp_path):
    into, out = os.pipe()
    os.set_blocking(into, False)
    process = subprocess.Popen([*NODE, "-q", "-", tmp_path / "out.onnx"], stdin=into)
    data = SMALL.read_bytes()
    while data:
        data = data[os.write(out, data):]
    os.close(out)
    os.close(into)
    assert process.wait(60) == 0
    subprocess.run([TOOL, "-q", SMALL, tmp_path / "native.onnx"], check=True)
    assert (tmp_path / "out.onnx").read_bytes() == (tmp_path / "native.onnx").read_bytes()


def test_pipes_with_names(tmp_path):
    for name in ("in", "out"):
        os.mkfifo(tmp_path / name)
    writer = subprocess.Popen(["cp", SMALL, tmp_path / "in"])
    reader = subprocess.Popen(["cp", tmp_path / "out", tmp_path / "copy.onnx"])
    run = subprocess.run([*NODE, "-q", tmp_path / "in", tmp_path / "out"], timeout=60)
    subprocess.run([TOOL, "-q", SMALL, tmp_path / "native.onnx"], check=True)
    assert run.returncode == 0 and reader.wait(60) == writer.wait(60) == 0
    assert (tmp_path / "copy.onnx").read_bytes() == (tmp_path / "native.onnx").read_bytes() and (tmp_path / "out").is_fifo()


def test_external_data(tmp_path):
    for name in ("native", "node"):
        (tmp_path / name).mkdir()
        onnx.save_model(onnx.load(SMALL), tmp_path / name / "in.onnx", save_as_external_data=True, location="in.data", size_threshold=0)
    for options in ([], ["--external-data", "inline"], ["--external-data", "new.data"]):
        native, node = both(tmp_path, [*options, "in.onnx", "-o", "out.onnx"])
        assert native == node and native[0] == 0


def test_in_place(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(SMALL.read_bytes())
    path.chmod(0o640)
    subprocess.run([*NODE, "-q", path, path], check=True, timeout=60)
    subprocess.run([TOOL, "-q", SMALL, tmp_path / "native.onnx"], check=True)
    assert path.read_bytes() == (tmp_path / "native.onnx").read_bytes()
    assert path.stat().st_mode & 0o777 == 0o640
    assert {p.name for p in tmp_path.iterdir()} == {"model.onnx", "native.onnx"}


def test_a_disk_that_is_full(tmp_path):
    """A write that fails: OUT is as it was, and nothing is beside it."""
    def limits():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300000, 300000))

    out = tmp_path / "out.onnx"
    out.write_bytes(b"as it was")
    run = subprocess.run([*NODE, SMALL, out], preexec_fn=limits, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2 and run.stderr == f"onnx-repvgg-fuse: {out}: cannot write: File too large\n"
    assert out.read_bytes() == b"as it was" and list(tmp_path.iterdir()) == [out]


def watched(folder, *arguments):
    """What is asked of the disk, in order."""
    hook, log = folder / "hook.cjs", folder / "log"
    hook.write_text("""const fs = require('fs');
        for (const name of ['fsyncSync', 'renameSync']) {
          const real = fs[name];
          fs[name] = (...words) => { fs.appendFileSync(process.env.LOG, name + '\\n'); return real(...words); };
        }""")
    pathlib.Path(log).unlink(missing_ok=True)
    subprocess.run(["node", "--require", hook, *NODE[1:], "-q", *arguments], check=True, timeout=60, env={**os.environ, "LOG": str(log)})
    return log.read_text().split()


def test_it_reaches_the_disk(tmp_path):
    """The file before it has its name, its folder after."""
    assert watched(tmp_path, SMALL, tmp_path / "out.onnx") == ["fsyncSync", "renameSync", "fsyncSync"]
    assert watched(tmp_path, "--no-sync", SMALL, tmp_path / "out.onnx") == ["renameSync"]


def test_killed_runs(tmp_path):
    """As many as leave a file under every name of a native run: the next run works, and removes what they left. The files of
    runs that go on stay, and those of other outputs."""
    hook, out = tmp_path / "hook.cjs", tmp_path / "out.onnx"
    hook.write_text("require('fs').renameSync = () => process.kill(process.pid, 'SIGKILL');")
    for count in range(9):
        run = subprocess.run(["node", "--require", hook, *NODE[1:], "-q", SMALL, out], timeout=60)
        assert run.returncode == -signal.SIGKILL and not out.exists()
    assert len(list(tmp_path.glob("out.onnx.onnx-repvgg-fuse-*.tmp"))) > 0
    others = [f"out.onnx.onnx-repvgg-fuse-{os.getpid()}-1-0.tmp", "other.onnx.onnx-repvgg-fuse-99999999-1-0.tmp"]
    for name in others:
        (tmp_path / name).write_bytes(b"half")
    subprocess.run([*NODE, "-q", SMALL, out], check=True, timeout=60)
    assert sorted(os.listdir(tmp_path)) == sorted(["hook.cjs", "out.onnx", *others])
    subprocess.run([TOOL, "-q", SMALL, tmp_path / "native.onnx"], check=True)
    assert out.read_bytes() == (tmp_path / "native.onnx").read_bytes()


def test_a_run_of_another_container(tmp_path):
    """Its process has the id of this one, but not its time: taken for killed, and its run must not put this one's file in place."""
    hook, out = tmp_path / "hook.cjs", tmp_path / "out.onnx"
    hook.write_text("require('fs').writeFileSync(`${process.env.OUT}.onnx-repvgg-fuse-${process.pid}-1-0.tmp`, 'half');")
    subprocess.run(["node", "--require", hook, *NODE[1:], "-q", SMALL, out], check=True, timeout=60, env={**os.environ, "OUT": str(out)})
    assert sorted(os.listdir(tmp_path)) == ["hook.cjs", "out.onnx"]


def test_out_of_memory(tmp_path):
    """Memory that does not grow: an error that says so, and OUT as it was."""
    hook = tmp_path / "hook.cjs"
    hook.write_text("WebAssembly.Memory.prototype.grow = () => { throw new RangeError('no'); };")
    out = tmp_path / "out.onnx"
    out.write_bytes(b"as it was")
    (tmp_path / "large.onnx").write_bytes(b"\x08\x08" + b"\x12\x00" * (20 << 20))
    run = subprocess.run(["node", "--require", hook, *NODE[1:], tmp_path / "large.onnx", out], capture_output=True, text=True, timeout=60)
    assert run.returncode == 2 and "large.onnx: out of memory" in run.stderr
    assert out.read_bytes() == b"as it was"
