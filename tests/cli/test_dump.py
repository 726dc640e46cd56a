"""onnx-repvgg-fuse dump: the text itself, hashes, options, exit codes, git."""
import os
import pathlib
import re
import struct
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from tests.support.cost import processor_seconds
from tests.support.tool import ROOT, TOOL

MODELS = sorted((ROOT / "models").glob("*.onnx"))
BLOCK = ROOT / "models" / "qarepvgg_block.onnx"


def run(*arguments, stdin=b"", **keywords):
    return subprocess.run([TOOL, *arguments], input=stdin, capture_output=True, timeout=120, **keywords)


def dump(data, *options):
    result = run("dump", *options, "-", stdin=data)
    assert (result.returncode, result.stderr) == (0, b"")
    return result.stdout.decode()


# XXH64 with seed 0, written from its specification: the test's own.
P1, P2, P3, P4, P5 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
M = 2**64 - 1


def rotate(x, n):
    return (x << n | x >> (64 - n)) & M


def turn(lane, word):
    return rotate((lane + word * P2) & M, 31) * P1 & M


def xxh64(data):
    lanes, at = [(P1 + P2) & M, P2, 0, -P1 & M], 0
    while at + 32 <= len(data):
        lanes = [turn(lane, w) for lane, w in zip(lanes, struct.unpack_from("<4Q", data, at))]
        at += 32
    h = P5
    if len(data) >= 32:
        h = sum(rotate(lane, n) for lane, n in zip(lanes, (1, 7, 12, 18))) & M
        for lane in lanes:
            h = ((h ^ turn(0, lane)) * P1 + P4) & M
    h = (h + len(data)) & M
    while at + 8 <= len(data):
        h = (rotate(h ^ turn(0, struct.unpack_from("<Q", data, at)[0]), 27) * P1 + P4) & M
        at += 8
    if at + 4 <= len(data):
        h = (rotate(h ^ struct.unpack_from("<I", data, at)[0] * P1 & M, 23) * P2 + P3) & M
        at += 4
    for byte in data[at:]:
        h = rotate(h ^ byte * P5 & M, 11) * P1 & M
    h = (h ^ h >> 33) * P2 & M
    h = (h ^ h >> 29) * P3 & M
    return h ^ h >> 32


def test_the_hash_is_the_published_one():
    assert f"{xxh64(b''):016x}" == "ef46db3751d8e999"
    assert f"{xxh64(b'a'):016x}" == "d24ec4f1a98c6e5b"


SMALL = """\
<
   ir_version: 9,
   opset_import: ["": 17, "com.example": 2],
   producer_name: "by \\"hand\\"",
   doc_string: "two
lines",
   metadata_props: [
      "a": "1",
      "b": "\\\\"
   ]
>
main (float[N,3,"h w",?] x, int64 k, seq(string[]) "s.0") => (float[] y)
<
   float[2,2] w = {1, -0.5, 1e-9, 0.1},
   string[1] "a string" = {"#"},
   float[2] middle
>
{
   ["/conv/Conv"] middle = Conv <kernel_shape: ints = [3, 3], alpha: float = 0.5> (x, w, "")
   y, "" = com.example.Op:special <text: string = "hi", value: tensor = int8[2] {-1, 2}> (middle)
   = Sink ("s.0")
   z = If (k) <then_branch: graph = then () => (float r) {
      r = F (middle)
   }, else_branch: graph = otherwise () => (float r)
   <
      float r = {2}
   >
   {
   }>
}
<
   domain: "com.example",
   opset_import: ["": 17]
>
F <bias, "a gain": float = 1> (x) => (y)
{
   y = Add <by: float = @bias> (x, x)
}
"""


def test_golden():
    model = parser.parse_model(SMALL)
    assert dump(model.SerializeToString()) == SMALL


GOLDEN_ELIDED = """\
# not readable back: 2 tensors of more than 2 elements are given by hash
<
   ir_version: 8
>
g () => ()
<
   float[3] a = {... 3 elements, xxh64 %s},
   float[2] b = {1, 2},
   string[3] c = {... 3 elements, xxh64 %s}
>
{
}
"""


def elided_model(raw):
    values = [1.0, 2.0, 3.0]
    tensors = [helper.make_tensor("a", TensorProto.FLOAT, [3], np.float32(values).tobytes() if raw else values, raw=raw),
               helper.make_tensor("b", TensorProto.FLOAT, [2], [1, 2]),
               helper.make_tensor("c", TensorProto.STRING, [3], [b"x", b"", b"yz"])]
    return onnx.ModelProto(ir_version=8, graph=helper.make_graph([], "g", [], [], tensors)).SerializeToString()


def test_elide():
    strings = b"".join(struct.pack("<Q", len(s)) + s for s in (b"x", b"", b"yz"))
    want = GOLDEN_ELIDED % (f"{xxh64(np.float32([1, 2, 3]).tobytes()):016x}", f"{xxh64(strings):016x}")
    assert dump(elided_model(True), "--elide", "2") == want
    assert dump(elided_model(False), "--elide", "2") == want, "where the numbers are stored is no part of the hash"
    with pytest.raises(parser.ParseError):
        parser.parse_model(want)
    full = dump(elided_model(True), "--elide", "3")
    assert full == dump(elided_model(True)) and "elements" not in full
    assert dump(elided_model(True), "--elide", "0").startswith("# not readable back: 3 tensors of more than 0 ")
    assert run("dump", "--elide", "2", "--strict", "-", stdin=elided_model(True)).returncode == 1
    assert run("dump", "--elide", "3", "--strict", "-", stdin=elided_model(True)).returncode == 0


@pytest.mark.parametrize("size", [1, 3, 4, 7, 8, 31, 32, 33, 63, 64, 5000, 16384, 70001])
def test_hash_of_every_size(size):
    array = np.random.default_rng(size).integers(0, 255, size, dtype=np.uint8)
    m = onnx.ModelProto(ir_version=8, graph=helper.make_graph([], "g", [], [], [numpy_helper.from_array(array, "a")]))
    assert f"{size} elements, xxh64 {xxh64(array.tobytes()):016x}" in dump(m.SerializeToString(), "--elide", "0")


def test_hash_of_shared_and_packed_elements():
    int4 = helper.make_tensor("n", TensorProto.INT4, [3], [-8, 7, 1])
    six = helper.make_tensor("m", TensorProto.FLOAT6E2M3, [3], [0.5, -1, 2])
    raw = [numpy_helper.from_array(numpy_helper.to_array(t), t.name) for t in (int4, six)]
    texts = [dump(onnx.ModelProto(ir_version=8, graph=helper.make_graph([], "g", [], [], ts)).SerializeToString(), "--elide", "0")
             for ts in ([int4, six], raw)]
    assert raw[0].HasField("raw_data") and not int4.HasField("raw_data")
    assert texts[0] == texts[1]
    assert f"xxh64 {xxh64(bytes([0x78, 0x01])):016x}" in texts[0]


def test_external_data_is_read(tmp_path):
    model = onnx.load(BLOCK)
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    inline = run("dump", str(BLOCK))
    for options in ([], ["--elide", "16"]):
        assert run("dump", *options, str(tmp_path / "m.onnx")).stdout == run("dump", *options, str(BLOCK)).stdout
    (tmp_path / "w.bin").unlink()
    kept = run("dump", "--keep-external", "--elide", "16", "--strict", str(tmp_path / "m.onnx"))
    assert kept.returncode == 0 and b"not readable" not in kept.stdout
    alone = onnx.load(tmp_path / "m.onnx", load_external_data=False)
    again = parser.parse_model(kept.stdout.decode())
    assert len(alone.graph.initializer) > 3 and all(t.data_location == TensorProto.EXTERNAL for t in alone.graph.initializer)
    for a, b in zip(alone.graph.initializer, again.graph.initializer, strict=True):
        a.ClearField("raw_data")
        assert a == b
    result = run("dump", str(tmp_path / "m.onnx"))
    assert result.returncode == 2 and b"w.bin" in result.stderr and inline.returncode == 0


@pytest.mark.parametrize("name", ["w", "", "a b"])
def test_external_data_of_an_attribute(name):
    t = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    t.external_data.add(key="location", value="none.bin")
    node = helper.make_node("Constant", [], ["y"], value=t)
    data = onnx.ModelProto(ir_version=8, graph=helper.make_graph([node], "g", [], [])).SerializeToString()
    text = dump(data, "--keep-external")
    back = parser.parse_model(text).graph.node[0].attribute[0].t
    assert back.name == (name if name != "a b" else "") and list(back.dims) == [2] and back.external_data[0].value == "none.bin"
    assert ("# not held: the name" in text) == (name == "a b")


def test_help_and_wrong_arguments():
    result = run("dump", "--help")
    assert result.returncode == 0 and result.stdout.startswith(b"usage: onnx-repvgg-fuse dump ")
    for option in ("--elide", "--no-metadata", "--keep-external", "--strict", "--help"):
        assert option.encode() in result.stdout
    for arguments in ([], ["a", "b"], ["--elide", "x", str(BLOCK)], ["--elide", "-1", str(BLOCK)], ["--elide", "", str(BLOCK)],
                      ["--bogus", str(BLOCK)], ["--elide"]):
        result = run("dump", *arguments)
        assert result.returncode == 2 and result.stdout == b"", arguments
        assert result.stderr.startswith(b"onnx-repvgg-fuse: "), result.stderr


def test_commands_are_listed():
    text = run("--help").stdout.decode()
    for name in ("diff", "dump", "info", "verify"):
        assert re.search(rf"^  {name}\b", text, re.M)


@pytest.mark.parametrize("name", ["dump", "info"])
def test_a_model_called_like_a_command(name, tmp_path):
    (tmp_path / name).write_bytes(BLOCK.read_bytes())
    result = run(f"./{name}", "out.onnx", cwd=tmp_path)
    assert result.returncode == 0 and (tmp_path / "out.onnx").exists()
    result = run("dump", name, cwd=tmp_path)
    assert result.returncode == 0 and result.stdout == run("dump", str(BLOCK)).stdout


@pytest.mark.parametrize("data", [b"", b"no model", BLOCK.read_bytes()[:-9], b"\x3a\x80"])
def test_bad_files(data, tmp_path):
    path = tmp_path / "bad.onnx"
    path.write_bytes(data)
    for command in ("dump", "info"):
        result = run(command, str(path))
        assert result.returncode == 2 and result.stdout == b""
        assert result.stderr.startswith(f"onnx-repvgg-fuse: {path}: ".encode()) and result.stderr.count(b"\n") == 1
        result = run(command, str(tmp_path / "none.onnx"))
        assert result.returncode == 2 and result.stderr.count(b"\n") == 1


def test_to_a_file(tmp_path):
    model, text = tmp_path / "m.onnx", tmp_path / "m.txt"
    model.write_bytes(BLOCK.read_bytes())
    assert run("dump", str(model), "-o", str(text)).stdout == b""
    assert text.read_bytes() == run("dump", str(BLOCK)).stdout
    result = run("dump", str(model), "-o", str(model))
    assert result.returncode == 2 and b"is the model itself" in result.stderr and model.read_bytes() == BLOCK.read_bytes()
    (tmp_path / "bad.onnx").write_bytes(BLOCK.read_bytes()[:-9])
    kept = text.read_bytes()
    assert run("dump", str(tmp_path / "bad.onnx"), "-o", str(text)).returncode == 2
    assert text.read_bytes() == kept and sorted(os.listdir(tmp_path)) == ["bad.onnx", "m.onnx", "m.txt"]


def test_full_disk():
    with open("/dev/full", "wb") as full:
        result = subprocess.run([TOOL, "dump", str(BLOCK)], stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert result.returncode == 2
    assert result.stderr == b"onnx-repvgg-fuse: cannot write to standard output\n"


def test_one_node_a_line_and_always_the_same():
    for path in MODELS:
        model, text = onnx.load(path), run("dump", str(path)).stdout.decode()
        assert text == run("dump", "-", stdin=path.read_bytes()).stdout.decode()
        lines = text.splitlines()
        for node in model.graph.node:
            if not any(a.HasField("g") for a in node.attribute):
                assert sum(line.lstrip().startswith(f'["{node.name}"] ') for line in lines) == 1


def test_memory_does_not_grow_with_the_weights(tmp_path):
    """The text of one big tensor comes while it is read."""
    rows, path = 2**24, tmp_path / "m.onnx"
    w = helper.make_tensor("w", TensorProto.FLOAT, [rows], np.random.default_rng(0).normal(size=rows).astype(np.float32).tobytes(), raw=True)
    path.write_bytes(onnx.ModelProto(ir_version=8, graph=helper.make_graph([], "g", [], [], [w])).SerializeToString())
    process = subprocess.Popen([TOOL, "dump", str(path)], stdout=subprocess.PIPE)
    anonymous = [0]
    first = process.stdout.read(1)
    while process.stdout.read(1 << 22):
        try:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        anonymous += [int(n) for n in re.findall(r"RssAnon:\s+(\d+)", status)]
    assert process.wait(timeout=60) == 0 and first == b"<"
    if "ASAN_OPTIONS" not in os.environ:  # a sanitizer's shadow is memory too
        assert 0 < max(anonymous) < 16 << 10, f"{max(anonymous)} KiB for a tensor of 64 MiB"


def test_a_long_list_of_nodes_is_quick():
    nodes = [helper.make_node("Relu", [f"v{i}"], [f"v{i + 1}"], name=f"n{i}") for i in range(100_000)]
    data = onnx.ModelProto(ir_version=8, graph=helper.make_graph(nodes, "g", [], [])).SerializeToString()
    start = processor_seconds()
    assert dump(data).count("\n") == 100_000 + 6
    assert processor_seconds() - start < 20


# git


def git(folder, *arguments):
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(folder)}
    result = subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e@example.org", *arguments], cwd=folder, env=environment,
                            capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_git_textconv(tmp_path):
    git(tmp_path, "init", "-q")
    git(tmp_path, "config", "diff.onnx.textconv", f"{TOOL} dump --elide 16 --no-metadata")
    (tmp_path / ".gitattributes").write_text("*.onnx diff=onnx\n")
    model = onnx.load(BLOCK)
    onnx.save(model, tmp_path / "m.onnx")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "one")
    node = next(n for n in model.graph.node if n.op_type == "BatchNormalization")
    next(a for a in node.attribute if a.name == "epsilon").f = 0.25
    weight = next(t for t in model.graph.initializer if len(t.dims) == 4)
    array = numpy_helper.to_array(weight).copy()
    array.flat[0] += 1
    weight.raw_data = array.tobytes()
    onnx.save(model, tmp_path / "m.onnx")
    text = git(tmp_path, "diff", "--no-color", "-U0")
    changed = [line for line in text.splitlines() if re.match(r"[-+](?![-+])", line)]
    assert len(changed) == 4, text
    assert f'"{weight.name}" = {{... {array.size} elements, xxh64 ' in changed[0] and changed[0][0] == "-"
    assert changed[1][0] == "+" and changed[1][:-20] == "+" + changed[0][1:-20]
    assert "epsilon: float = 0.00001" in changed[2] and "epsilon: float = 0.25" in changed[3]
    assert f'["{node.name}"]' in changed[2] and "Binary" not in text
    git(tmp_path, "commit", "-q", "-a", "-m", "two")
    assert "epsilon: float = 0.25" in git(tmp_path, "log", "-p", "--no-color")
    # A model whose only change is metadata is no change here.
    model.metadata_props.add(key="k", value="v")
    model.graph.node[0].doc_string = "d"
    onnx.save(model, tmp_path / "m.onnx")
    assert "doc_string" not in git(tmp_path, "diff", "--no-color")
