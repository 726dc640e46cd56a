"""diff, verify, info, dump: every kind of model, options, errors."""
import json
import pathlib
import subprocess

import numpy as np
import onnx
import onnx_ir
import pytest
from onnx import numpy_helper

import onnx_repvgg_fuse
from onnx_repvgg_fuse import diff, dump, fuse, info, verify
from tests.python.conftest import make_block, save_external
from tests.support.tool import TOOL


def kinds(block, folder):
    """The block as every kind of model."""
    path = folder / "block.onnx"
    path.write_bytes(block.SerializeToString())
    data = path.read_bytes()
    return {"path": path, "string": str(path), "bytes": data, "bytearray": bytearray(data), "memoryview": memoryview(data),
            "proto": block, "ir": onnx_ir.from_proto(block)}


KINDS = ("path", "string", "bytes", "bytearray", "memoryview", "proto", "ir")


@pytest.fixture
def changed(block):
    """The block with one number of one weight changed: another model."""
    other = onnx.ModelProto()
    other.CopyFrom(block)
    weight = next(t for t in other.graph.initializer if t.name == "a0.w")
    numbers = numpy_helper.to_array(weight).copy()
    numbers[1, 2, 0, 1] += 0.5
    weight.CopyFrom(numpy_helper.from_array(numbers, weight.name))
    return other


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(kind, block, changed, tmp_path):
    model = kinds(block, tmp_path)[kind]
    fused = fuse(block).model
    assert diff(model, block).same and diff(block, model).same
    found = diff(model, changed)
    assert not found.same and [c["kind"] for c in found.changes if c["counts"]] == ["weight"]
    assert verify(model, fused) and verify(fused, model)
    assert not verify(model, changed)
    assert info(model).as_dict()["regions"][0]["new"]
    assert dump(model) == dump(onnx_ir.to_proto(model) if kind == "ir" else block)
    assert model is block or not isinstance(model, onnx.ModelProto) or model == block


def test_diff(block, changed):
    found = diff(block, changed)
    assert not found and diff(block, block), "true where nothing changed, as a Verdict"
    assert repr(found) == "<Diff: 1 weight>" and repr(diff(block, block)) == "<Diff: no change>"
    assert repr(verify(block, block)).startswith("<Verdict: ") and repr(info(block)) == str(info(block))
    assert "a0.w" in str(found) and found.text.rstrip("\n") == str(found)
    assert json.loads(found.json) == found.as_dict()
    assert found.github.startswith("::") and json.loads(found.sarif)["version"] == "2.1.0"
    assert "tmp" not in found.json and "model a" in found.json and "model b" in found.text
    assert str(diff(block, block)) == "no change"
    assert "<pre>" in found._repr_html_()


def test_options_of_diff(block, changed):
    assert diff(block, changed, atol=0.6).same
    assert not diff(block, changed, atol=0.4).same
    assert diff(block, changed, rtol=1e6).same
    assert diff(block, changed, ignore="weight").same and diff(block, changed, ignore=["weight", "edge"]).same
    changed.CopyFrom(block)
    changed.producer_name = "somebody"
    assert diff(block, changed).same and not diff(block, changed, strict=True).same
    for node in changed.graph.node:
        if node.op_type == "Conv":
            node.attribute.append(onnx.helper.make_attribute("dilations", [2, 2]))
    assert "2 times" in diff(block, changed).text and "times" not in diff(block, changed, all=True).text
    assert len(diff(block, changed, ignore="metadata").changes) == 2


def test_verify(block, changed):
    fused = fuse(block).model
    good, bad = verify(block, fused), verify(block, changed)
    assert good.equivalent is True and 0 < good.largest_difference < 1e-5
    assert bad.equivalent is False and bad.largest_difference > 1e-3
    assert str(bad) and bad.as_dict()["verdict"] == "different"
    assert verify(block, changed, rtol=100.0)
    assert verify(block, fused, trials=1).as_dict()["regions"][0]["trials"] == 1
    seeds = {verify(block, fused, seed=seed).largest_difference for seed in range(4)}
    assert len(seeds) > 1


def test_verify_what_cannot_be_told(block):
    other = onnx.ModelProto()
    other.CopyFrom(block)
    for model, op in ((block, "Mystery"), (other, "Riddle")):
        model.graph.node[-1].op_type, model.graph.node[-1].domain = op, "some.where"
        model.opset_import.append(onnx.helper.make_opsetid("some.where", 1))
    verdict = verify(block, other)
    assert verdict.equivalent is not True and not verdict


def test_verify_on_given_inputs(block, changed, tmp_path):
    x = np.ones((1, 4, 9, 9), np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    for inputs in ({"x": x}, tmp_path / "x.npz"):
        good = verify(block, fuse(block).model, inputs=inputs)
        assert good and "they agree on the given inputs" in str(good)
        assert not verify(block, changed, inputs=inputs)
    with pytest.raises(onnx_repvgg_fuse.OptionError, match="'x' is double"):
        verify(block, fuse(block).model, inputs={"x": x.astype(np.float64)})


def test_verify_under_onnxruntime(block, changed):
    good, bad = verify(block, fuse(block).model, runtime="onnxruntime"), verify(block, changed, runtime="onnxruntime")
    assert good and good.runs == 2 and good.largest_difference < 1e-5
    assert not bad and "DIFFERENT: output 'y0'" in str(bad)
    x = np.ones((1, 4, 9, 9), np.float32)
    assert verify(block, block, runtime="onnxruntime", inputs={"x": x}).runs == 1
    with pytest.raises(TypeError, match="inputs is int, expected a dict of arrays by name, or a path"):
        verify(block, block, inputs=3)
    with pytest.raises(onnx_repvgg_fuse.OptionError, match="runtime is 'tensorflow', expected None or 'onnxruntime'"):
        verify(block, block, runtime="tensorflow")


def test_info(block, tmp_path):
    found = info(block)
    assert "join_branches" in str(found) and json.loads(found.json) == found.as_dict()
    assert found.as_dict()["after"]["by_type"] == {"Conv": 1, "Relu": 1}
    assert not info(block, skip="join_branches", max_growth=1.5).as_dict()["after"]["by_type"].get("Conv") == 1


def test_pages(block, changed, tmp_path):
    """Each is the page that the command writes."""
    onnx.save(block, tmp_path / "a.onnx")
    onnx.save(changed, tmp_path / "b.onnx")
    a, b = tmp_path / "a.onnx", tmp_path / "b.onnx"
    def command(*arguments):
        return subprocess.run([TOOL, *arguments], capture_output=True).stdout.decode()
    assert verify(a, b).html == command("verify", "--format", "html", a, b)
    assert diff(a, b).html == command("diff", "--format", "html", a, b)
    command("info", "--report", tmp_path / "page.html", a)
    assert info(a).html == (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "join_branches" in info(block).html and info(block).html.rstrip().endswith("</html>")


def test_dump(block):
    text = dump(block)
    for t, read in zip(block.graph.initializer, onnx.parser.parse_model(text).graph.initializer):
        np.testing.assert_array_equal(numpy_helper.to_array(read), numpy_helper.to_array(t))
    block.doc_string = block.graph.node[0].doc_string = "told"
    assert dump(block).count("told") == 2 and dump(block, metadata=False).count("told") < 2
    assert dump(block, elide=16).startswith("# not readable back") and "xxh64" in dump(block, elide=16)


def test_external_data(block, changed, tmp_path, monkeypatch):
    path = save_external(block, tmp_path)
    monkeypatch.chdir("/")
    proto = onnx.load(path, load_external_data=False)
    kept = proto.SerializeToString(deterministic=True)
    for model, options in ((proto, {"external_folder": tmp_path}), (proto.SerializeToString(), {"external_folder": str(tmp_path)}),
                           (onnx_ir.load(path), {})):
        assert diff(model, block, **options).same and not diff(changed, model, **options).same
        assert verify(model, path, **options) and not verify(model, changed, **options)
        assert verify(model, path, runtime="onnxruntime", **options)
        assert not verify(changed, model, runtime="onnxruntime", **options)
        text = dump(model, **options)
        assert all(line in text for line in dump(block).splitlines() if "{0." in line)
        assert info(model, **options).as_dict()["after"]["by_type"] == {"Conv": 1, "Relu": 1}
    assert proto.SerializeToString(deterministic=True) == kept
    with pytest.raises(onnx_repvgg_fuse.FileError, match="^model a: .*give external_folder, or the model's path"):
        diff(proto, block)
    with pytest.raises(onnx_repvgg_fuse.ModelError, match="give external_folder, or the model's path"):
        verify(proto, block, runtime="onnxruntime")
    with pytest.raises(onnx_repvgg_fuse.FileError, match="^b: its external data cannot be read from '/nowhere'"):
        diff(path, proto, external_folder="/nowhere")
    assert '"location": "weights.bin"' in dump(proto)


@pytest.mark.parametrize("call, name", [
    (lambda m: diff([1], m), "a is a list"), (lambda m: diff(m, None), "b is None"), (lambda m: verify(m, 3), "b is an int"),
    (lambda m: verify(1.5, m, runtime="onnxruntime"), "a is a float"), (lambda m: info({}), "model is a dict"),
    (lambda m: dump(m.graph), "model is an onnx.*GraphProto"), (lambda m: diff(m, m, rtol="1"), "rtol is a str"),
    (lambda m: diff(m, m, atol=None), "atol is None"), (lambda m: diff(m, m, ignore=3), "ignore is an int"),
    (lambda m: diff(m, m, ignore=[3]), "ignore holds an int"), (lambda m: verify(m, m, trials=2.5), "trials is a float"),
    (lambda m: verify(m, m, seed="0"), "seed is a str"), (lambda m: verify(m, m, rtol=[]), "rtol is a list"),
    (lambda m: verify(m, m, progress=3), "progress is an int"), (lambda m: dump(m, elide="3"), "elide is a str"),
    (lambda m: info(m, only=3), "only is an int"), (lambda m: diff(m, m, external_folder=3), "external_folder is an int"),
    (lambda m: verify(m, m, runtime="onnxruntime", inputs=3), "inputs is an int"),
    (lambda m: verify(m, m, runtime="onnxruntime", inputs=[3]), "inputs holds an int")])
def test_other_types(call, name, block):
    with pytest.raises(TypeError, match=name):
        call(block)


@pytest.mark.parametrize("call, what", [
    (lambda m: diff(m, m, rtol=-1), "rtol"), (lambda m: diff(m, m, atol=float("nan")), "atol"),
    (lambda m: diff(m, m, ignore="everything"), "no kind 'everything'"), (lambda m: verify(m, m, trials=0), "trials is 0"),
    (lambda m: verify(m, m, seed=-1), "seed is -1"), (lambda m: verify(m, m, rtol=-1.0), "rtol"),
    (lambda m: verify(m, m, rtol=-1.0, runtime="onnxruntime"), "rtol"), (lambda m: dump(m, elide=-1), "elide is -1"),
    (lambda m: dump(m, elide=2**70), "elide"), (lambda m: info(m, max_growth=0), "max_growth"),
    (lambda m: info("x.onnx", external_folder="y"), "external_folder is for models in memory")])
def test_bad_options(call, what, block):
    with pytest.raises(onnx_repvgg_fuse.OptionError, match=what):
        call(block)


@pytest.mark.parametrize("call", [lambda m: diff(m, b"junk"), lambda m: verify(b"junk", m), lambda m: info(b"junk"), lambda m: dump(b"junk"),
                                  lambda m: verify(m, b"junk", runtime="onnxruntime")])
def test_garbage(call, block):
    with pytest.raises(onnx_repvgg_fuse.ModelError) as caught:
        call(block)
    assert "/tmp" not in str(caught.value)


@pytest.mark.parametrize("call", [lambda p: diff(p, p), lambda p: verify(p, p), lambda p: info(p), lambda p: dump(p),
                                  lambda p: verify(p, p, runtime="onnxruntime")])
def test_missing_files(call, tmp_path):
    for kind in (onnx_repvgg_fuse.FileError, FileNotFoundError):
        with pytest.raises(kind, match="absent.onnx.*No such file"):
            call(tmp_path / "absent.onnx")


def test_nothing_is_left_behind(block, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    diff(block, make_block(seed=1))
    with pytest.raises(onnx_repvgg_fuse.ModelError):
        verify(block, b"junk")
    with pytest.raises(onnx_repvgg_fuse.Cancelled):
        verify(block, fuse(block).model, progress=lambda step, fraction: False)
    assert list(pathlib.Path(tmp_path).iterdir()) == []
