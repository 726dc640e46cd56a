"""--freeze, --outputs, --input-shape: inputs and outputs as the caller wants them, before anything is rewritten."""
import json
import subprocess

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from tests.support.schema import validate
from tests.support.tool import ROOT, TOOL, count_ops, fuse

SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text())
NO_PASS = ("--only", "remove_dead")

# Two heads that share a trunk; w and k may be overridden, and u may not.
HEADS = """<ir_version: 8, opset_import: ["": 17, "example": 1]>
g (float[N,3,H,W] x, float[4,3,1,1] w, float[N,3] other, float[4] k) => (float[N,4,a,b] y, float[N,4,a,b] aux, float[M,3] o)
<float[N,4,a,b] trunk, float[N,4,a,b] side>
{
    c = Conv (x, w)
    trunk = Mul (c, s)
    y = Relu (trunk)
    side = Conv (trunk, u)
    n = BatchNormalization (side, k, k, k, k)
    aux = Sigmoid (n)
    o = Relu (other)
}"""
SIZES = {"w": (4, 3, 1, 1), "s": (4, 1, 1), "u": (4, 4, 1, 1), "k": (4,)}


def parsed(text, sizes=SIZES, **constants):
    model = parser.parse_model(text)
    random = np.random.default_rng(0)
    for name, shape in sizes.items():
        constants[name] = np.abs(random.standard_normal(shape)).astype(np.float32) + np.float32(0.5)
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in constants.items())
    return model


@pytest.fixture
def heads():
    return parsed(HEADS)


def named(infos):
    return [info.name for info in infos]


def shape(info):
    return [d.dim_param or d.dim_value for d in info.type.tensor_type.shape.dim]


def done(model, folder, *options):
    result = fuse(model, folder, *options)
    assert result.code == 0, result.stderr
    validate(result.report, SCHEMA)
    onnx.checker.check_model(result.model)
    return result


def run(model, names, **inputs):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    wanted = {i.name for i in session.get_inputs()}
    return session.run(names, {name: value for name, value in inputs.items() if name in wanted})


def inputs_of(n=2, h=5, w=7):
    random = np.random.default_rng(1)
    return {"x": random.standard_normal((n, 3, h, w)).astype(np.float32), "other": random.standard_normal((n, 3)).astype(np.float32)}


def alike(a, b, names, **inputs):
    for x, y in zip(run(a, names, **inputs), run(b, names, **inputs)):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)


def refused(model, folder, *options):
    """Trouble, nothing written; what was said."""
    result = fuse(model, folder, *options)
    assert result.code == 2 and result.data is None, options
    return result.stderr


# Freeze


def test_freeze_all(heads, tmp_path):
    assert count_ops(done(heads, tmp_path).model) == count_ops(heads), "callers may override them"
    result = done(heads, tmp_path, "--freeze", "all", "--explain")
    assert named(result.model.graph.input) == ["x", "other"]
    assert count_ops(result.model) == {"Conv": 2, "Relu": 2, "Sigmoid": 1}
    assert result.report["interface"]["frozen"] == ["w", "k"]
    assert "frozen, no longer inputs: 'w', 'k'\n" in result.stdout
    alike(heads, result.model, ["y", "aux", "o"], **inputs_of())


def test_freeze_one_and_keep_the_bytes_of_the_rest(heads, tmp_path):
    result = done(heads, tmp_path, "--freeze", "k", *NO_PASS)
    del heads.graph.input[3]
    assert result.model == heads
    line = heads.SerializeToString()
    assert result.data == line


def test_freeze_what_nobody_can_override(heads, tmp_path):
    """Below IR 4 each initializer is an input and none can be overridden; others are none of the inputs."""
    assert done(heads, tmp_path, "--freeze", "u", *NO_PASS).data == heads.SerializeToString()
    heads.ir_version = 3
    heads.graph.input.extend(helper.make_tensor_value_info(n, TensorProto.FLOAT, SIZES[n]) for n in "su")
    result = done(heads, tmp_path, "--freeze", "all", *NO_PASS)
    assert result.data == heads.SerializeToString() and result.report["interface"]["frozen"] == []


def test_an_initializer_called_all(tmp_path):
    model = parsed('<ir_version: 8, opset_import: ["": 17]> g (float[3] x, float[3] all, float[3] b) => (float[3] y) { t = Add (x, all) y = Mul (t, b) }',
                   {"all": (3,), "b": (3,)})
    assert named(done(model, tmp_path, "--freeze", "all,all").model.graph.input) == ["x", "b"], "two names are names"


# Outputs


def test_outputs(heads, tmp_path):
    result = done(heads, tmp_path, "--outputs", "y", "--explain")
    assert named(result.model.graph.output) == ["y"] and named(result.model.graph.input) == named(heads.graph.input)
    assert count_ops(result.model) == {"Conv": 1, "Mul": 1, "Relu": 1}
    assert "u" not in named(result.model.graph.initializer) and "side" not in named(result.model.graph.value_info)
    assert result.report["interface"]["outputs_removed"] == ["aux", "o"] and result.report["interface"]["ops_removed"] == 4
    assert "outputs removed, and 4 ops that only they needed: 'aux', 'o'\n" in result.stdout
    assert result.report["before"]["ops"] == 7 and result.report["after"]["ops"] == 3
    alike(heads, result.model, ["y"], **inputs_of())


def test_outputs_go_whatever_the_passes(heads, tmp_path):
    """What others did not need before stays: only remove_dead takes that away."""
    heads.graph.node.append(helper.make_node("Relu", ["x"], ["unread"]))
    result = done(heads, tmp_path, "--outputs", "o,y", "--skip", "remove_dead", "--skip", "fold_after")
    assert named(result.model.graph.output) == ["y", "o"], "in the model's order"
    assert count_ops(result.model) == {"Conv": 1, "Mul": 1, "Relu": 3}


def test_a_head_of_unknown_ops_and_bodies_goes(tmp_path):
    model = parsed(HEADS.replace("aux = Sigmoid (n)", """m = example.Unknown (n)
    aux = If (t) <then_branch = a () => (float[N,4,a,b] p) { q = Conv (m, u) p = Relu (q) },
                  else_branch = b () => (float[N,4,a,b] r) { r = Identity (trunk) }>"""), t=np.array(True))
    whole = fuse(model, tmp_path)
    assert whole.code == 0
    result = done(model, tmp_path, "--outputs", "y")
    assert count_ops(result.model) == {"Conv": 1, "Mul": 1, "Relu": 1}
    assert not any(f["graph"] != "main" for f in result.report["fusions"] + result.report["refusals"])


def test_an_output_that_a_body_gives_out_stays_a_value(tmp_path):
    """The trunk is an output of the graph and of a body that is kept."""
    model = parsed(HEADS.replace("=> (", "=> (float[N,4,a,b] trunk, ").replace("float[N,4,a,b] trunk, float[N,4,a,b] side", "float[N,4,a,b] side").replace(
        "y = Relu (trunk)", """y = If (t) <then_branch = a () => (float[N,4,a,b] trunk) { z = Relu (x) },
                  else_branch = b () => (float[N,4,a,b] r) { r = Relu (trunk) }>"""), t=np.array(True))
    result = fuse(model, tmp_path, "--outputs", "y", "--freeze", "all")
    assert result.code == 0 and named(result.model.graph.output) == ["y"]
    alike_body = [n for n in result.model.graph.node if n.op_type == "If"]
    assert len(alike_body) == 1 and "trunk" in {o for n in result.model.graph.node for o in n.output}


def test_outputs_in_another_order_are_the_same_bytes(heads, tmp_path):
    assert done(heads, tmp_path, "--outputs", "o", "--outputs", "aux,y", *NO_PASS).data == heads.SerializeToString()


# Sizes


def test_input_shape(heads, tmp_path):
    result = done(heads, tmp_path, "--input-shape", "x:2,3,5,7", "--freeze", "all", "--explain")
    graph = result.model.graph
    assert [shape(i) for i in graph.input] == [[2, 3, 5, 7], [2, 3]], "N is one symbol"
    assert [shape(o) for o in graph.output] == [[2, 4, 5, 7], [2, 4, 5, 7], [2, 3]], "what follows is declared"
    assert [shape(v) for v in graph.value_info] == [[2, 4, 5, 7]] * len(graph.value_info) and len(graph.value_info)
    assert result.report["interface"]["input_shapes"] == {"x": [2, 3, 5, 7]}
    assert result.report["interface"]["symbols"] == {"N": 2, "H": 5, "W": 7}
    assert "sizes of input 'x': 2, 3, 5, 7\n'N' is 2 in every shape\n" in result.stdout
    assert result.report["after"]["multiply_adds"] == 2 * 5 * 7 * (12 + 16)
    onnx.shape_inference.infer_shapes(result.model, check_type=True, strict_mode=True)
    alike(heads, result.model, ["y", "aux", "o"], **inputs_of())


def test_symbols_inside_bodies_and_types(tmp_path):
    model = parser.parse_model("""<ir_version: 8, opset_import: ["": 17]>
g (float[N,3] x, bool c, seq(float[N,K]) list) => (float[N,3] y, seq(float[N,K]) out)
{
    y = If (c) <then_branch = a () => (float[N,3] p) { q = Relu (x) p = Exp (q) }, else_branch = b () => (float[N,3] r) { r = Neg (x) }>
    out = Identity (list)
}""")
    model.graph.node[0].attribute[0].g.value_info.append(helper.make_tensor_value_info("q", TensorProto.FLOAT, ["N", "other"]))
    result = done(model, tmp_path, "--input-shape", "x:4,3")
    text = onnx.printer.to_text(result.model)
    assert "N" not in text.split("g (", 1)[1].replace("Neg", "") and "float[4,3] p" in text and "seq(float[4,K])" in text
    body = result.model.graph.node[0].attribute[0].g
    assert shape(body.value_info[0]) == [4, "other"] or shape(body.value_info[0]) == [4, 3]


def test_a_shape_that_was_not_declared(tmp_path):
    model = parser.parse_model('<ir_version: 8, opset_import: ["": 17]> g (float[] x, float s) => (float[A,B] y) { y = Add (x, s) }')
    result = fuse(model, tmp_path, "--input-shape", "x:2,5")
    assert shape(result.model.graph.input[0]) == [2, 5] and shape(result.model.graph.output[0]) == [2, 5]


def test_a_name_with_colons(tmp_path):
    model = parser.parse_model('<ir_version: 8, opset_import: ["": 17]> g (float[N,3] x) => (float[N,3] y) { y = Relu (x) }')
    model.graph.input[0].name = model.graph.node[0].input[0] = "image:0"
    assert shape(done(model, tmp_path, "--input-shape", "image:0:2,3").model.graph.output[0]) == [2, 3]
    assert "no input 'image'; the nearest is 'image:0'" in refused(model, tmp_path, "--input-shape", "image:1,3")


def test_what_is_declared_already_is_the_same_bytes(tmp_path):
    model = parser.parse_model('<ir_version: 8, opset_import: ["": 17]> g (float[2,3] x) => (float[2,3] y) { y = Relu (x) }')
    assert done(model, tmp_path, "--input-shape", "x:2,3").data == model.SerializeToString()


def test_sizes_that_contradict_what_the_file_says_of_computed_values(heads, tmp_path):
    """The file keeps the sizes that it was traced with."""
    heads.graph.value_info[0].type.tensor_type.shape.dim[3].dim_value = 9
    message = refused(heads, tmp_path, "--input-shape", "x:2,3,5,7")
    assert "'trunk' is declared with size 9 on axis 3, and 7 follows" in message
    assert done(heads, tmp_path, "--input-shape", "x:2,3,5,9").code == 0


# Refusals


@pytest.mark.parametrize("options, said", [
    (["--freeze", "ww"], "freeze: there is no overridable initializer 'ww'; the nearest is 'w'"),
    (["--freeze", "trunk"], "freeze: there is no overridable initializer 'trunk'; the nearest is"),
    (["--freeze", "w,all"], "freeze: there is no overridable initializer 'all'"),
    (["--freeze", "x"], "freeze: input 'x' has no initializer"),
    (["--freeze", ","], "--freeze: ',' holds no name of an initializer"),
    (["--outputs", "auxx"], "outputs: there is no output 'auxx'; the nearest is 'aux'"),
    (["--outputs", "y,trunk"], "outputs: there is no output 'trunk'"),
    (["--outputs", ""], "--outputs: '' holds no name of an output"),
    (["--input-shape", "xx:1"], "input_shapes: there is no input 'xx'; the nearest is 'x'"),
    (["--input-shape", "x:2,3,4"], "input_shapes: input 'x' is declared float [N, 3, H, W], and [2, 3, 4] contradicts that"),
    (["--input-shape", "x:2,4,5,5"], "input_shapes: input 'x' is declared float [N, 3, H, W], and [2, 4, 5, 5] contradicts that"),
    (["--input-shape", "x:2,3,5,5", "--input-shape", "other:1,3"], "'other' gives 1 for the symbol 'N', which is 2 elsewhere"),
    (["--input-shape", "w:4,3,1,1"], "input_shapes: input 'w' has an initializer"),
    *[(["--input-shape", text], f"'{text}' is not NAME:SIZE,SIZE,...") for text in ("x", "x:0,3,5,5", "x:2,3,5,", "x:,", "x:2,-1", "x:2 ,3", "x:99999999999999999999")],
])
def test_refusals(options, said, heads, tmp_path):
    assert said in refused(heads, tmp_path, *options)


def test_a_model_without_any(tmp_path):
    model = parser.parse_model('<ir_version: 8, opset_import: ["": 17]> g (float[3] x) => (float[3] y) { y = Relu (x) }')
    assert "no overridable initializer 'w'; the model has none" in refused(model, tmp_path, "--freeze", "w")
    assert done(model, tmp_path, "--freeze", "all").data == model.SerializeToString()


# What else they meet


def test_a_rewrite_that_is_dropped_leaves_them(heads, tmp_path):
    """The index is built anew for the second plan."""
    result = done(heads, tmp_path, "--freeze", "all", "--outputs", "y", "--input-shape", "x:2,3,5,7", "--tolerance", "1e-30")
    assert len(result.report["warnings"]) == 1 and not result.report["fusions"]
    graph = result.model.graph
    assert named(graph.input) == ["x", "other"] and named(graph.output) == ["y"] and shape(graph.output[0]) == [2, 4, 5, 7]
    assert result.report["interface"]["frozen"] == ["w", "k"]


def test_batch(heads, tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.onnx").write_bytes(heads.SerializeToString())
    options = ["--freeze", "all", "--outputs", "y", "--input-shape", "x:2,3,5,7"]
    subprocess.run([TOOL, *options, "--batch", tmp_path / "out", tmp_path / "a.onnx", tmp_path / "b.onnx"], check=True, capture_output=True)
    one = done(heads, tmp_path, *options).data
    assert (tmp_path / "out" / "a.onnx").read_bytes() == (tmp_path / "out" / "b.onnx").read_bytes() == one


def test_external_data_stays(heads, tmp_path):
    result = fuse(heads, tmp_path, "--freeze", "w,k", "--outputs", "y", "--input-shape", "x:2,3,5,7", external=True)
    assert result.code == 0 and count_ops(onnx.load(result.path)) == {"Conv": 1, "Relu": 1}


@pytest.mark.parametrize("options, code", [(["--freeze", "all"], 1), (["--outputs", "y"], 1), (["--input-shape", "x:2,3,5,7"], 0)])
def test_what_diff_and_verify_say(options, code, heads, tmp_path):
    """docs/diff.md and docs/verify.md: an input or output less is another interface, sizes are a case of what was declared."""
    result = done(heads, tmp_path, *options, *NO_PASS)
    (tmp_path / "a.onnx").write_bytes(heads.SerializeToString())
    differ = subprocess.run([TOOL, "diff", tmp_path / "a.onnx", result.path], capture_output=True, text=True, check=False)
    assert differ.returncode == 1 and any(kind in differ.stdout.splitlines()[0] for kind in ("input", "output"))
    assert subprocess.run([TOOL, "verify", tmp_path / "a.onnx", result.path], capture_output=True, check=False).returncode == code


# Models that were opened up come out as those they were made of


def opened(model):
    """The same with every initializer overridable, every value an output, and a symbol for each size of the input."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph, sizes = model.graph, {}
    for dim in graph.input[0].type.tensor_type.shape.dim:
        sizes[f"S{len(sizes)}"] = dim.dim_value
        dim.dim_param = f"S{len(sizes) - 1}"
    listed = set(named(graph.input)) | set(named(graph.output))
    graph.input.extend(helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in graph.initializer if t.name not in listed)
    graph.output.extend(helper.make_empty_tensor_value_info(o) for n in graph.node for o in n.output if o and o not in listed)
    return model, sizes


@pytest.mark.parametrize("path", sorted((ROOT / "models").glob("*.onnx")), ids=lambda path: path.stem)
def test_what_was_opened_is_closed_again(path, tmp_path):
    model = onnx.load(path)
    first = model.graph.input[0]
    model.ir_version = max(4, model.ir_version)
    if not all(d.dim_value for d in first.type.tensor_type.shape.dim):
        for d, size in zip(first.type.tensor_type.shape.dim, (2, 3, 32, 32)):
            d.dim_value = d.dim_value or size
    wide, sizes = opened(model)
    result = fuse(wide, tmp_path, "--freeze", "all", "--outputs", ",".join(named(model.graph.output)),
                  "--input-shape", f"{first.name}:{','.join(map(str, sizes.values()))}", stem="wide")
    wanted = fuse(model, tmp_path)
    assert result.code == wanted.code == 0, result.stderr
    a, b = result.model.graph, wanted.model.graph
    assert named(a.input) == named(b.input) and shape(a.input[0]) == list(sizes.values()) and named(a.output) == named(b.output)
    assert list(a.node) == list(b.node) and list(a.initializer) == list(b.initializer)
    assert result.report["interface"]["symbols"] == sizes
