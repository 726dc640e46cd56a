"""fuse(): every kind of model, options, the report, errors."""
import copy
import ctypes
import gc
import html
import json
import mmap
import os
import pickle
import re
import resource
import subprocess
import sys

import numpy as np
import onnx
import onnx_ir
import pytest
from onnx import numpy_helper

import onnx_repvgg_fuse
from onnx_repvgg_fuse import _library, fuse
from tests.python.conftest import make_block, ops, save_external


@pytest.fixture
def folder(tmp_path):
    """An empty folder that must hold what is expected and nothing else."""
    path = tmp_path / "folder"
    path.mkdir()
    return path


# Kinds


def test_path(model_path, folder):
    before = model_path.read_bytes()
    result = fuse(model_path, folder / "out.onnx")
    assert result.model == folder / "out.onnx"
    assert result.report.changed and result.report.after.ops < result.report.before.ops
    onnx.checker.check_model(onnx.load(result.model), full_check=True)
    assert model_path.read_bytes() == before
    assert os.listdir(folder) == ["out.onnx"]


def test_every_kind_gives_the_same_bytes(model_path, folder):
    data = model_path.read_bytes()
    fuse(str(model_path), str(folder / "out.onnx"))
    expected = (folder / "out.onnx").read_bytes()
    assert expected != data
    assert fuse(data).model == expected
    assert fuse(bytearray(data)).model == expected
    assert fuse(memoryview(data)).model == expected
    assert fuse(memoryview(b"junk" + data)[4:]).model == expected
    proto = onnx.load(model_path)
    kept = proto.SerializeToString(deterministic=True)
    result = fuse(proto)
    assert type(result.model) is onnx.ModelProto and result.model is not proto
    assert proto.SerializeToString(deterministic=True) == kept
    assert result.model == onnx.load_model_from_string(fuse(kept).model)


def test_string_paths_stay_strings(small, folder):
    assert fuse(str(small), str(folder / "out.onnx")).model == str(folder / "out.onnx")
    assert type(fuse(str(small), dry_run=True).model) is str


def test_mapped_file(small):
    with open(small, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        view = memoryview(mapped)
        assert fuse(view).model == fuse(small.read_bytes()).model
        view.release()  # fails when the buffer was not let go


def test_a_buffer_is_not_copied(small):
    data = small.read_bytes()
    with _library.Borrowed(data) as borrowed:
        assert ctypes.string_at(borrowed.address, 16) == data[:16]
        assert borrowed.address == ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value


def test_the_result_is_not_copied(small, monkeypatch):
    monkeypatch.setattr(ctypes, "string_at", None)
    data = small.read_bytes()
    first, second = fuse(data).model, fuse(data).model
    assert first == second and first is not second and type(first) is bytes
    assert hash(first) == hash(bytes(bytearray(second)))


def test_where_bytes_have_no_c_api(small, monkeypatch):
    """PyPy."""
    expected = fuse(small.read_bytes()).model
    monkeypatch.setattr(_library.Room, "available", False)
    assert fuse(small.read_bytes()).model == expected


def test_a_buffer_is_let_go(small):
    data = bytearray(small.read_bytes())
    fuse(data)
    data.append(0)  # BufferError while someone holds it
    with pytest.raises(onnx_repvgg_fuse.ModelError):
        fuse(bytearray(b"garbage"))


def test_ir(block):
    model = onnx_ir.from_proto(block)
    result = fuse(model)
    assert isinstance(result.model, onnx_ir.Model) and result.model is not model
    assert [node.op_type for node in result.model.graph] == ["Conv", "Relu"]
    assert len(list(model.graph)) == 6
    fused = onnx_ir.to_proto(result.model)
    assert {t.name: numpy_helper.to_array(t).tobytes() for t in fused.graph.initializer} == {
        t.name: numpy_helper.to_array(t).tobytes() for t in fuse(block).model.graph.initializer}


def test_ir_with_external_data(block, tmp_path, monkeypatch):
    expected = fuse(block).model
    path = save_external(block, tmp_path)
    monkeypatch.chdir("/")
    result = fuse(onnx_ir.load(path))
    assert [node.op_type for node in result.model.graph] == ["Conv", "Relu"]
    for name, value in result.model.graph.initializers.items():
        wanted = next(t for t in expected.graph.initializer if t.name == name)
        np.testing.assert_array_equal(value.const_value.numpy(), numpy_helper.to_array(wanted))


def test_proto_with_external_data(block, tmp_path):
    expected = fuse(block).model
    proto = onnx.load(save_external(block, tmp_path), load_external_data=False)
    assert not fuse(proto).report.changed
    result = fuse(proto, external_folder=tmp_path)
    assert ops(result.model) == ["Conv", "Relu"]
    tensors = [numpy_helper.to_array(t).tobytes() for t in result.model.graph.initializer]
    assert tensors == [numpy_helper.to_array(t).tobytes() for t in expected.graph.initializer]


def test_external_data_of_a_path(tmp_path, folder):
    path = save_external(make_block(channels=32), tmp_path)  # small weights stay inline
    fuse(path, folder / "inline.onnx", external_data="inline")
    fuse(path, folder / "apart.onnx", external_data="apart.bin")
    assert sorted(os.listdir(folder)) == ["apart.bin", "apart.onnx", "inline.onnx"]
    assert ops(folder / "apart.onnx") == ops(folder / "inline.onnx") == ["Conv", "Relu"]


def test_in_place(small, folder):
    path = folder / "model.onnx"
    path.write_bytes(small.read_bytes())
    assert fuse(path, path).model == path
    assert path.read_bytes() == fuse(small.read_bytes()).model


def test_a_dash_is_a_file(small, folder, monkeypatch):
    monkeypatch.chdir(folder)
    fuse(small, "-")
    assert os.listdir(folder) == ["-"]
    assert fuse("-", "again").report.before.ops == fuse(small, dry_run=True).report.after.ops


def test_paths_are_bytes_inside(small, folder):
    odd = folder / os.fsdecode(b"m\xc3\xb6\xff d.onnx")
    odd.write_bytes(small.read_bytes())
    assert fuse(odd, odd).report.changed


@pytest.mark.parametrize("kind", ["bytes", "proto", "ir", "path"])
def test_nothing_folds(unfusible, kind, folder):
    data = unfusible.SerializeToString()
    if kind == "bytes":
        result = fuse(data)
        assert result.model == data
    elif kind == "proto":
        result = fuse(unfusible)
        assert result.model is not unfusible and result.model == unfusible
    elif kind == "ir":
        result = fuse(onnx_ir.from_proto(unfusible))
        assert [n.op_type for n in result.model.graph] == ["Relu"]
    else:
        (folder / "in.onnx").write_bytes(data)
        result = fuse(folder / "in.onnx", folder / "out.onnx")
        assert result.model.read_bytes() == data
    assert not result.report.changed and not result.report.fusions


def test_without_onnx(small):
    """Bytes and paths need neither onnx nor numpy."""
    code = ("import sys, onnx_repvgg_fuse as f\n"
            f"f.fuse(open({str(small)!r}, 'rb').read())\n"
            "print(sorted({'onnx', 'numpy', 'onnx_ir', 'onnxruntime'} & set(sys.modules)))")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# Options


def test_passes():
    names = list(onnx_repvgg_fuse.passes())
    assert names[0] == "fold_constants" and "join_branches" in names
    assert all(onnx_repvgg_fuse.passes().values())


def test_only_and_skip(small):
    data = small.read_bytes()
    assert not fuse(data, only=[]).report.changed
    assert not fuse(data, skip=onnx_repvgg_fuse.passes()).report.changed
    one = fuse(data, only="join_branches").report
    assert {f.pass_name for f in one.fusions} == {"join_branches"}
    assert fuse(data, only=("join_branches",)).report.fusions == one.fusions
    assert "join_branches" not in {f.pass_name for f in fuse(data, skip="join_branches").report.fusions}


def test_dry_run(small, folder):
    result = fuse(small, folder / "out.onnx", dry_run=True)
    assert result.model == small and result.report.changed and os.listdir(folder) == []
    proto = onnx.load(small)
    assert fuse(proto, dry_run=True).model is proto


def test_no_check(block):
    checked, unchecked = fuse(block).report.fusions[0], fuse(block, check=False).report.fusions[0]
    assert checked.channels_checked == 4
    assert unchecked.channels_checked == 0 and unchecked.difference is None


def test_jobs_do_not_matter(small):
    data = small.read_bytes()
    assert fuse(data, jobs=1).model == fuse(data, jobs=5).model


def test_tolerance_drops_rewrites(small):
    report = fuse(small.read_bytes(), tolerance=1e-30).report
    assert report.warnings and "self-check" in report.warnings[0].reason


def test_progress(small):
    told = []
    fuse(small.read_bytes(), progress=lambda step, fraction: told.append((step, fraction)))
    assert {step for step, _ in told} >= {"reading", "planning", "writing"} and told[-1][0] == "finishing"
    assert all(0 <= fraction <= 1 for _, fraction in told)


# The report


def test_report(block):
    report = fuse(block).report
    assert report.before.by_type == {"Add": 1, "BatchNormalization": 2, "Conv": 2, "Relu": 1}
    assert report.after.by_type == {"Conv": 1, "Relu": 1}
    assert (report.before.ops, report.after.ops) == (6, 2)
    assert report.after.parameters == 4 * 4 * 9 + 4
    fusion, = report.fusions
    assert fusion.pass_name == "join_branches" and (fusion.source, fusion.output) == ("x", "sum0")
    assert sorted(op.op for op in fusion.replaced) == ["Add", "BatchNormalization", "BatchNormalization", "Conv", "Conv"]
    assert fusion.new == ("Conv",) and 0 <= fusion.difference < 1e-6
    assert report.as_dict()["fusions"][0]["output"] == "sum0"
    assert json.loads(report.json) == report.as_dict()
    assert "join_branches" in report.explanation and "sum0" in report.explanation
    assert report.version == onnx_repvgg_fuse.__version__
    assert pickle.loads(pickle.dumps(report)) == report


def test_refusals(block):
    # A second reader of a branch: joining would not free it.
    block.graph.output.append(onnx.helper.make_tensor_value_info("a0.n", onnx.TensorProto.FLOAT, None))
    report = fuse(block, only="join_branches").report
    assert not report.fusions
    assert report.refusals and report.refusals[0].reason and report.refusals[0].op


def test_print_is_the_table(small, capsys):
    result = fuse(small.read_bytes())
    print(result.report)
    print(result)
    lines = capsys.readouterr().out.splitlines()
    assert lines[: len(lines) // 2] == lines[len(lines) // 2 :]
    assert any(line.split() == ["Conv", "44", "->", "22", "-50.0", "%"] for line in lines)


def test_at_a_prompt(small, block, tmp_path):
    """One line each."""
    result = fuse(small, tmp_path / "o.onnx")
    assert result.report.sentence == "22 blocks fused, 169 -> 47 ops"
    assert repr(result) == f"<Result: 22 blocks fused, 169 -> 47 ops; model: {tmp_path / 'o.onnx'}>"
    assert repr(result.report) == "<Report: 22 blocks fused, 169 -> 47 ops>"
    assert repr(fuse(result.model, dry_run=True).report) == "<Report: nothing to fuse>"
    assert re.fullmatch(r"<Result: 1 block fused, 6 -> 2 ops; model: an onnx\S*\.ModelProto>", repr(fuse(block)))


def test_notebook(block):
    block.graph.node[-2].output[0] = block.graph.node[-1].input[0] = "<sum>&"
    page = fuse(block)._repr_html_()
    assert "&lt;sum&gt;&amp;" in page and "<sum>" not in page
    assert "BatchNormalization" in page and "join_branches" in page
    assert page.count("join_branches") == 1 and len(page) < 3000 and "<iframe" not in page
    assert re.search(r"<p>\d blocks? fused, \d+ -&gt; \d+ ops</p>", page)
    assert "not checked" in fuse(block, check=False)._repr_html_()


def test_html(small, folder):
    """The page outlives the model's bytes, and is that of the command's library call."""
    report = fuse(small, folder / "out.onnx").report
    in_memory = fuse(bytearray(small.read_bytes())).report
    gc.collect()
    assert len(report.html()) > 50_000 and "join_branches" in in_memory.html()
    assert report.html().startswith("<!") and report.html().rstrip().endswith("</html>")
    assert copy.deepcopy(report).html() == pickle.loads(pickle.dumps(report)).html() == report.html()


def test_reports_are_freed(block):
    data = block.SerializeToString()
    for _ in range(50):
        fuse(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(2000):
        fuse(data, jobs=1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB; an arena has 64 and more


# Errors


@pytest.mark.parametrize("thing, name", [
    ([1], "a list"), (None, "None"), (7, "an int"), (object(), "an object"), (np.zeros(3), "a numpy.ndarray"),
    (onnx.GraphProto(), "an onnx.GraphProto")])
def test_other_kinds(thing, name):
    with pytest.raises(TypeError, match=f"^model is {name}, expected a path, bytes, onnx.ModelProto or onnx_ir.Model$"):
        fuse(thing)


@pytest.mark.parametrize("options, message", [
    ({"jobs": "2"}, "jobs is a str"), ({"jobs": True}, "jobs is a bool"), ({"max_growth": "1"}, "max_growth is a str"),
    ({"tolerance": [1]}, "tolerance is a list"), ({"only": [1]}, "only holds an int"), ({"progress": 1}, "progress is an int"),
    ({"freeze": 1}, "freeze is an int"), ({"input_shapes": ["x"]}, "input_shapes is a list"), ({"input_shapes": {"x": 1}}, "to an int"),
    ({"input_shapes": {"x": "13"}}, "to a str"), ({"input_shapes": {"x": [1.5]}}, r"input_shapes\['x'\] is a float"),
    ({"output": "x.onnx"}, "output is for a path to a path"), ({"external_data": 1}, "external_data is an int")])
def test_other_types_of_options(block, options, message):
    with pytest.raises(TypeError, match=message):
        fuse(block, **options)


@pytest.mark.parametrize("options, message", [
    ({"only": "fold_everything"}, "'fold_everything'"), ({"skip": ["x"]}, "there is no pass 'x'"), ({"max_growth": 0}, "max_growth"),
    ({"max_growth": float("nan")}, "max_growth"), ({"tolerance": 0}, "tolerance"), ({"tolerance": float("inf")}, "tolerance"),
    ({"freeze": "nothing"}, "there is no overridable initializer 'nothing'"), ({"outputs": []}, "the list is empty"),
    ({"outputs": "nothing"}, "there is no output 'nothing'"), ({"outputs": "a\0b"}, "NUL"), ({"input_shapes": {"x": [0]}}, "expected 1 to"),
    ({"input_shapes": {"nothing": [1]}}, "there is no input 'nothing'"),
    ({"jobs": -1}, "jobs"), ({"external_data": "inline"}, "external_data")])
def test_bad_options(block, options, message):
    with pytest.raises(onnx_repvgg_fuse.OptionError, match=message) as caught:
        fuse(block, **options)
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, onnx_repvgg_fuse.OnnxFuseError)


def test_inputs_and_outputs_as_wanted(block):
    """A weight that callers may override, a second output, and a symbol."""
    weight = block.graph.initializer[0]
    block.graph.input.append(onnx.helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims))
    block.graph.output.append(onnx.helper.make_tensor_value_info(block.graph.node[0].output[0], weight.data_type, None))
    block.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    sizes = [d.dim_value or 1 for d in block.graph.input[0].type.tensor_type.shape.dim]
    name = block.graph.input[0].name
    result = fuse(block, freeze="all", outputs=[block.graph.output[0].name], input_shapes={name: tuple(sizes)})
    assert [i.name for i in result.model.graph.input] == [name] and len(result.model.graph.output) == 1
    assert [d.dim_value for d in result.model.graph.input[0].type.tensor_type.shape.dim] == sizes
    found = result.report.as_dict()["interface"]
    assert found["frozen"] == [weight.name] and found["input_shapes"] == {name: sizes} and found["symbols"] == {"N": 1}
    assert sum(n.op_type == "Conv" for n in result.model.graph.node) == 1


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_bad_paths(path, folder):
    with pytest.raises(onnx_repvgg_fuse.OptionError):
        fuse(path, folder / "out.onnx")


def test_output_is_missing(small):
    with pytest.raises(onnx_repvgg_fuse.OptionError, match="output is missing"):
        fuse(small)


def test_garbage_says_where(small):
    data = small.read_bytes()
    with pytest.raises(onnx_repvgg_fuse.ModelError, match=r"offset \d+") as caught:
        fuse(data[: len(data) // 2])
    assert isinstance(caught.value, ValueError)
    with pytest.raises(onnx_repvgg_fuse.ModelError):
        fuse(b"")


def test_missing_file(folder):
    with pytest.raises(onnx_repvgg_fuse.FileError, match="absent.onnx") as caught:
        fuse(folder / "absent.onnx", folder / "out.onnx")
    assert isinstance(caught.value, OSError) and os.listdir(folder) == []


def test_failure_keeps_what_was_there(folder, small):
    (folder / "bad.onnx").write_bytes(small.read_bytes()[:1000])
    (folder / "out.onnx").write_bytes(b"kept")
    with pytest.raises(onnx_repvgg_fuse.ModelError):
        fuse(folder / "bad.onnx", folder / "out.onnx")
    assert (folder / "out.onnx").read_bytes() == b"kept" and len(os.listdir(folder)) == 2


def test_more_than_two_gib():
    """What protobuf says of a message too large; a real one takes 5 GB and a minute."""
    from onnx_repvgg_fuse import _models

    class Large:
        def SerializeToString(self):
            raise ValueError("Message onnx.ModelProto exceeds maximum protobuf size of 2GB: 3000000000")

    with pytest.raises(onnx_repvgg_fuse.ModelError, match="save_as_external_data=True.*give the path"):
        _models.proto_bytes(Large())


def test_errors_have_their_public_names():
    for name in onnx_repvgg_fuse.__all__:
        kind = getattr(onnx_repvgg_fuse, name)
        if isinstance(kind, type) and issubclass(kind, Exception):
            assert f"{kind.__module__}.{kind.__qualname__}" == f"onnx_repvgg_fuse.{name}"
            # In a process of its own: tblib, which Dask's tests load, changes how exceptions are unpickled.
            again = f"import pickle, onnx_repvgg_fuse as o; assert type(pickle.loads(pickle.dumps(o.{name}('said')))) is o.{name}"
            subprocess.run([sys.executable, "-c", again], check=True)
    assert {kind for kind in onnx_repvgg_fuse._errors.BY_STATUS.values()} | {onnx_repvgg_fuse.FileMissing} <= {
        getattr(onnx_repvgg_fuse, name) for name in onnx_repvgg_fuse.__all__}
