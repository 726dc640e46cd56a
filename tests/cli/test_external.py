"""Where the weights go: --external-data, and what happens to external data of the input."""
import os
import subprocess

import onnx
import pytest

from tests.support.tool import ROOT, TOOL, assert_equal_under_ort

MODEL = ROOT / "models" / "mobileone_stack.onnx"


def run(*arguments):
    return subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=120)


@pytest.fixture
def external(tmp_path):
    """A model whose weights all lie beside it."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    path = tmp_path / "in" / "model.onnx"
    onnx.save(onnx.load(MODEL), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


def same(before, after):
    onnx.checker.check_model(str(after))
    assert_equal_under_ort(onnx.load(before), onnx.load(after))


def is_external(path):
    return [t for t in onnx.load(path, load_external_data=False).graph.initializer if t.data_location == 1]


def entries(tensor):
    return {e.key: e.value for e in tensor.external_data}


def test_same_folder_keeps_references(external):
    out = external.parent / "fused.onnx"
    data = external.parent / "weights.bin"
    old = data.read_bytes()
    result = run(external, out)
    assert result.returncode == 0, result.stderr
    assert sorted(os.listdir(external.parent)) == ["fused.onnx", "model.onnx", "weights.bin"]
    assert data.read_bytes() == old
    same(external, out)


def test_in_place_leaves_the_old_data_whole(external):
    data = external.parent / "weights.bin"
    reference = onnx.load(external)
    old = data.read_bytes()
    assert run(external, external).returncode == 0
    assert data.read_bytes() == old
    assert_equal_under_ort(reference, onnx.load(external))


def test_another_folder_gets_a_data_file_of_its_own(external, tmp_path):
    out = tmp_path / "out" / "fused.onnx"
    assert run(external, out).returncode == 0
    assert sorted(os.listdir(out.parent)) == ["fused.onnx", "fused.onnx.data"]
    same(external, out)
    for tensor in is_external(out):
        entry = entries(tensor)
        assert entry["location"] == "fused.onnx.data"
        assert int(entry["offset"]) % 4096 == 0


def test_data_that_no_op_can_read_moves_too(tmp_path):
    """A constant without a name, and lists of tensors in attributes of an unknown operator, in a body and in a function."""
    def tensor(name, offset):
        t = onnx.TensorProto(name=name, dims=[4], data_type=1, data_location=1)
        for key, value in ("location", "w.bin"), ("offset", str(offset)), ("length", "16"):
            t.external_data.add(key=key, value=value)
        return t

    def node(offset, *names):
        node = onnx.helper.make_node("Foo", *names, domain="d")
        node.attribute.add(name="several", type=onnx.AttributeProto.TENSORS, tensors=[tensor("p", offset), tensor("", offset + 16)])
        return node

    data = os.urandom(128)
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "w.bin").write_bytes(data)
    body = onnx.helper.make_graph([node(0, [], ["o"])], "b", [], [onnx.ValueInfoProto(name="o")], [tensor("", 32)])
    nodes = [onnx.helper.make_node("If", ["c"], ["z"], then_branch=body, else_branch=body), node(48, ["x"], ["y"]),
             onnx.helper.make_node("F", ["y"], ["w"], domain="l")]
    function = onnx.helper.make_function("l", "F", ["a"], ["b"], [node(80, ["a"], ["b"])], [onnx.helper.make_opsetid("d", 1)])
    graph = onnx.helper.make_graph(
        nodes, "g", [onnx.helper.make_tensor_value_info("x", 1, [4]), onnx.helper.make_tensor_value_info("c", 9, [])],
        [onnx.ValueInfoProto(name=n) for n in "yzw"], [tensor("", 112), tensor("named", 0)])
    model = onnx.helper.make_model(graph, functions=[function], ir_version=8,
                                   opset_imports=[onnx.helper.make_opsetid(d, 17 if d == "" else 1) for d in ("", "d", "l")])
    (tmp_path / "in" / "model.onnx").write_bytes(model.SerializeToString())
    for how in [], ["--external-data", "inline"]:
        out = tmp_path / "out" / f"fused{len(how)}.onnx"
        assert run(tmp_path / "in" / "model.onnx", out, *how).returncode == 0
        assert run("verify", tmp_path / "in" / "model.onnx", out).returncode == 0
        left = onnx.ModelProto.FromString(out.read_bytes())
        assert "w.bin" not in str(left)
        assert [left.graph.initializer[0].raw_data, left.graph.node[1].attribute[0].tensors[1].raw_data,
                left.functions[0].node[0].attribute[0].tensors[0].raw_data,
                left.graph.node[0].attribute[0].g.initializer[0].raw_data] == [data[112:], data[64:80], data[80:96], data[32:48]]


@pytest.mark.parametrize("kind, count, size", [(22, 3, 2), (25, 5, 2), (1, 3, 12)], ids=["int4", "uint2", "float"])
def test_no_more_of_the_file_moves_than_a_tensor_has(tmp_path, kind, count, size):
    tensor = onnx.TensorProto(name="t", dims=[count], data_type=kind, data_location=1)
    tensor.external_data.add(key="location", value="w.bin")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["t"], ["y"])], "g", [], [onnx.ValueInfoProto(name="y")], [tensor])
    (tmp_path / "out").mkdir()
    data = os.urandom(40)
    (tmp_path / "w.bin").write_bytes(data)
    (tmp_path / "m.onnx").write_bytes(onnx.helper.make_model(graph, ir_version=13).SerializeToString())
    assert run(tmp_path / "m.onnx", tmp_path / "out" / "m.onnx").returncode == 0
    assert onnx.load(tmp_path / "out" / "m.onnx").graph.initializer[0].raw_data == data[:size]
    assert run("verify", tmp_path / "m.onnx", tmp_path / "out" / "m.onnx").returncode == 0


def test_old_data_is_never_written_over(external, tmp_path):
    out = tmp_path / "out" / "fused.onnx"
    assert run(external, out).returncode == 0
    first = (out.parent / "fused.onnx.data").read_bytes()
    assert run(external, out).returncode == 0
    assert (out.parent / "fused.onnx.data").read_bytes() == first
    same(external, out)


def test_nothing_to_fold_moves_whole_all_the_same(external, tmp_path):
    out = tmp_path / "out" / "fused.onnx"
    skip = "fold_constants,share_duplicates,remove_neutral,cancel_pairs,unwrap_matmul,unwrap_conv,move_shapes,join_branches,fold_after,fold_before,compose_chains,group_convs,merge_pads,merge_gemm"
    assert run("--skip", skip, external, out).returncode == 0
    same(external, out)


def test_inline(external, tmp_path):
    out = tmp_path / "out" / "fused.onnx"
    assert run("--external-data", "inline", external, out).returncode == 0
    assert os.listdir(out.parent) == ["fused.onnx"]
    assert not is_external(out)
    same(external, out)


def test_named_file(tmp_path):
    out = tmp_path / "fused.onnx"
    assert run("--external-data", "w.bin", MODEL, out).returncode == 0
    assert sorted(os.listdir(tmp_path)) == ["fused.onnx", "w.bin"]
    assert is_external(out)
    same(MODEL, out)


def test_jobs_do_not_change_the_bytes(external, tmp_path):
    seen = set()
    for jobs in (1, 2, 7):
        folder = tmp_path / str(jobs)
        folder.mkdir()
        assert run("--jobs", jobs, external, folder / "m.onnx").returncode == 0
        seen.add((folder / "m.onnx").read_bytes() + (folder / "m.onnx.data").read_bytes())
    assert len(seen) == 1


@pytest.mark.parametrize("where, reason", [
    ("w.bin", "exists"), ("a/w.bin", "file name"), ("..", "file name"), ("/tmp/w.bin", "file name")])
def test_bad_names(tmp_path, where, reason):
    (tmp_path / "w.bin").write_bytes(b"mine")
    result = run("--external-data", where, MODEL, tmp_path / "out.onnx")
    assert result.returncode == 2
    assert reason in result.stderr
    assert os.listdir(tmp_path) == ["w.bin"]
    assert (tmp_path / "w.bin").read_bytes() == b"mine"


def test_standard_output_has_no_folder(external):
    result = run("--external-data", "w.bin", external, "-")
    assert result.returncode == 2 and "file" in result.stderr
    whole = subprocess.run([TOOL, external, "-"], capture_output=True, timeout=120)
    assert whole.returncode == 0
    model = onnx.load_model_from_string(whole.stdout)
    assert not [t for t in model.graph.initializer if t.data_location == 1]
    assert_equal_under_ort(onnx.load(external), model)


def test_a_failure_leaves_nothing_behind(external, tmp_path):
    data = external.parent / "weights.bin"
    with open(data, "r+b") as f:
        f.truncate(100)
    result = run(external, tmp_path / "out" / "fused.onnx")
    assert result.returncode == 2
    assert os.listdir(tmp_path / "out") == []
