"""What is written around a rewrite: the parts of a model that nobody touched, in every place where a rewrite may stand."""
import copy
import subprocess

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from tests.support.tool import TOOL, assert_equal_under_ort, check_valid, count_ops, fuse

SHAPE = [2, 4, 9, 9]


def weights(name, shape, seed=1):
    return numpy_helper.from_array(np.random.default_rng(seed).normal(0, 0.5, shape).astype(np.float32), name)


def value(name, shape=SHAPE, elem=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, elem, shape)


def constant(name, shape, seed=1):
    return helper.make_node("Constant", [], [name], value=weights(name + ".t", shape, seed))


def block(source, target, stem, constants=False):
    """A 1x1 Conv and a scale that folds into it: nodes, and their constants as tensors or nodes before them."""
    names = [f"{stem}.w", f"{stem}.s"]
    shapes = [[4, 4, 1, 1], [4, 1, 1]]
    nodes = [helper.make_node("Conv", [source, names[0]], [f"{stem}.c"], name=f"{stem}.conv"),
             helper.make_node("Mul", [f"{stem}.c", names[1]], [target], name=f"{stem}.mul")]
    if constants:
        return [constant(n, s) for n, s in zip(names, shapes)] + nodes, []
    return nodes, [weights(n, s) for n, s in zip(names, shapes)]


def model(nodes, tensors=(), inputs=(), outputs=None, opset=17, ir=8, **more):
    graph = helper.make_graph(nodes, "main", [value("x"), *inputs], outputs or [value("y")], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("other", 1)], ir_version=ir, **more)


def run(before, folder, *options, **how):
    result = fuse(before, folder, *options, **how)
    assert result.code == 0, result.stderr
    return result.model


def test_parts_of_a_graph_that_nobody_touched(tmp_path):
    nodes, tensors = block("x", "y", "a")
    sparse = [helper.make_sparse_tensor(weights(name, [2]), helper.make_tensor("", TensorProto.INT64, [2], [1, 3]), [5])
              for name in ("thin", "thinner")]
    nameless = helper.make_sparse_tensor(weights("", [2]), helper.make_tensor("", TensorProto.INT64, [2], [1, 3]), [5])
    nodes.append(helper.make_node("Sparse", ["thin", "thinner"], ["z"], domain="other", holder=sparse[0], holders=sparse))
    before = model(nodes, tensors, outputs=[value("y"), value("z", [5])])
    graph = before.graph
    graph.sparse_initializer.extend([*sparse, nameless])
    graph.value_info.extend([value("a.c"), value("nobody")])
    graph.doc_string = "said of the graph"
    note = graph.quantization_annotation.add(tensor_name="z")
    note.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="thin")
    graph.metadata_props.add(key="k", value="v")
    before.metadata_props.add(key="of", value="the model")
    after = run(before, tmp_path)
    assert [n.op_type for n in after.graph.node] == ["Conv", "Sparse"]
    assert after.graph.node[1] == graph.node[2]
    assert list(after.graph.sparse_initializer) == list(graph.sparse_initializer)
    assert [v.name for v in after.graph.value_info] == ["nobody"]  # that of the value that went is gone
    for part in ("doc_string", "quantization_annotation", "metadata_props", "input", "output"):
        assert getattr(after.graph, part) == getattr(graph, part), part
    assert after.metadata_props == before.metadata_props


def test_bodies_of_one_attribute(tmp_path):
    """An attribute may hold many graphs; those in which something folds are written anew, the others as they were."""
    nodes, tensors = block("x", "inner", "b")
    folds = helper.make_graph(nodes, "folds", [], [value("inner")], tensors)
    plain = helper.make_graph([helper.make_node("Relu", ["x"], ["r"])], "plain", [], [value("r")])
    outer = helper.make_node("Many", ["x"], ["y"], domain="other", bodies=[plain, folds, plain], single=copy.deepcopy(plain), number=7)
    tensor = outer.attribute.add(name="held", type=AttributeProto.TENSOR)
    tensor.t.CopyFrom(weights("held", [3]))
    before = model([outer])
    after = run(before, tmp_path)
    attributes = {a.name: a for a in after.graph.node[0].attribute}
    old = {a.name: a for a in outer.attribute}
    assert [n.op_type for n in attributes["bodies"].graphs[1].node] == ["Conv"]
    assert attributes["bodies"].graphs[0] == plain and attributes["bodies"].graphs[2] == plain
    for name in ("single", "number", "held"):
        assert attributes[name] == old[name], name


@pytest.mark.parametrize("folds", [True, False])
@pytest.mark.parametrize("where", ["another folder", "inline", "w.bin"])
def test_external_data_of_attributes_and_bodies(where, folds, tmp_path):
    """Data of Constant nodes, in the graph and in a body, goes where that of the initializers goes, also where nothing folds."""
    nodes, tensors = block("x", "n", "a")
    nodes.insert(0, constant("k", [4, 1, 1], 5))
    nodes.append(helper.make_node("Add", ["n", "k"], ["m"]))
    inner, _ = block("m", "yes", "b", constants=True)
    for node in [] if folds else [nodes[1], inner[-2]]:
        node.op_type = node.domain = "other"
    plain = [constant("q", SHAPE, 6), helper.make_node("Add", ["m", "q"], ["no"])]
    bodies = [helper.make_graph(inner, "yes", [], [value("yes")]), helper.make_graph(plain, "no", [], [value("no")])]
    nodes.append(helper.make_node("If", ["flag"], ["y"], then_branch=bodies[0], else_branch=bodies[1]))
    before = model(nodes, tensors, inputs=[value("flag", [], TensorProto.BOOL)])
    source, target = tmp_path / "in", tmp_path / ("out" if where == "another folder" else "in")
    source.mkdir()
    target.mkdir(exist_ok=True)
    onnx.save(copy.deepcopy(before), source / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0, convert_attribute=True)
    options = [] if where == "another folder" else ["--external-data", where]
    done = subprocess.run([TOOL, *options, source / "m.onnx", target / "o.onnx"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    after = onnx.load(target / "o.onnx", load_external_data=False)
    graphs = [after.graph, *[a.g for a in after.graph.node[-1].attribute]]
    tensors = [t for g in graphs for t in g.initializer] + [a.t for g in graphs for n in g.node for a in n.attribute if a.name == "value"]
    files = {e.value for t in tensors for e in t.external_data if e.key == "location"}
    assert files == {"another folder": {"o.onnx.data"}, "inline": set(), "w.bin": {"w.bin"}}[where]
    whole = onnx.load(target / "o.onnx")
    if folds:
        assert count_ops(whole) == {"Conv": 2, "If": 1, "Add": 1}
        assert_equal_under_ort(before, whole)
    else:
        for t in [t for g in [whole.graph, *[a.g for a in whole.graph.node[-1].attribute]]
                  for t in [*g.initializer, *[a.t for n in g.node for a in n.attribute if a.name == "value"]]]:
            t.ClearField("data_location")
        assert whole.graph == before.graph


def test_numbers_in_fields_of_their_own_stay(tmp_path):
    """Only raw bytes move to a data file, and only where there are enough of them."""
    numbers = helper.make_tensor("typed", TensorProto.FLOAT, [2000], np.arange(2000.0).tolist())
    integers = helper.make_tensor("integers", TensorProto.INT64, [600], range(600))
    raw, small = weights("raw", [2000]), weights("small", [3])
    nodes, tensors = block("x", "y", "a")
    held = [numbers, integers, raw, small]
    nodes += [helper.make_node("Identity", [t.name], [f"{t.name}.out"]) for t in held]
    outputs = [value("y"), *[value(f"{t.name}.out", list(t.dims), t.data_type) for t in held]]
    after = run(model(nodes, tensors + held, outputs=outputs), tmp_path, "--external-data", "w.bin")
    found = {t.name: t for t in onnx.load(tmp_path / "model.fused.onnx", load_external_data=False).graph.initializer}
    assert [n for n, t in found.items() if t.data_location == TensorProto.EXTERNAL] == ["raw"]
    assert found["typed"] == numbers and found["integers"] == integers and found["small"] == small
    np.testing.assert_array_equal(numpy_helper.to_array(next(t for t in after.graph.initializer if t.name == "raw"), str(tmp_path)),
                                  numpy_helper.to_array(raw))


def test_value_info_of_functions(tmp_path):
    nodes, _ = block("u", "v", "f", constants=True)
    function = helper.make_function("local", "F", ["u"], ["v"], nodes, [helper.make_opsetid("", 17)])
    function.value_info.extend([value("f.c"), value("nobody")])
    quiet = helper.make_function("local", "G", ["u"], ["v"], [helper.make_node("Relu", ["u"], ["v"])], [helper.make_opsetid("", 17)])
    before = model([helper.make_node("F", ["x"], ["m"], domain="local"), helper.make_node("G", ["m"], ["y"], domain="local")],
                   ir=10, functions=[quiet, function])
    before.opset_import.append(helper.make_opsetid("local", 1))
    after = run(before, tmp_path)
    check_valid(after)
    assert after.functions[0] == before.functions[0]
    assert [n.op_type for n in after.functions[1].node if n.op_type != "Constant"] == ["Conv"]
    assert [v.name for v in after.functions[1].value_info] == ["nobody"]
    assert_equal_under_ort(before, after)


def test_body_of_an_old_file_gets_constants(tmp_path):
    """Below IR 4 the graph of a body holds no initializers."""
    inner, _ = block("x", "yes", "b", constants=True)
    bodies = [helper.make_graph(inner, "yes", [], [value("yes")]),
              helper.make_graph([helper.make_node("Relu", ["x"], ["no"])], "no", [], [value("no")])]
    before = model([helper.make_node("If", ["flag"], ["y"], then_branch=bodies[0], else_branch=bodies[1])],
                   inputs=[value("flag", [], TensorProto.BOOL)], opset=11, ir=3)
    after = run(before, tmp_path)
    check_valid(after)
    body = next(a.g for a in after.graph.node[0].attribute if a.name == "then_branch")
    assert [n.op_type for n in body.node] == ["Constant", "Conv"] and not body.initializer
    assert_equal_under_ort(before, after)


@pytest.mark.parametrize("ir", [3, 8])
def test_computed_weight_is_stored(ir, tmp_path):
    """In a body and in a function what is computed from constants becomes a constant of that scope."""
    nodes = [constant("p", [4, 4, 1, 1]), constant("q", [4, 4, 1, 1], 2), helper.make_node("Mul", ["p", "q"], ["w"]),
             helper.make_node("Conv", ["x", "w"], ["yes"])]
    bodies = [helper.make_graph(nodes, "yes", [], [value("yes")]),
              helper.make_graph([helper.make_node("Relu", ["x"], ["no"])], "no", [], [value("no")])]
    before = model([helper.make_node("If", ["flag"], ["y"], then_branch=bodies[0], else_branch=bodies[1])],
                   inputs=[value("flag", [], TensorProto.BOOL)], opset=11, ir=ir)
    after = run(before, tmp_path)
    body = next(a.g for a in after.graph.node[0].attribute if a.name == "then_branch")
    assert [n.op_type for n in body.node] == (["Constant", "Conv"] if ir == 3 else ["Conv"])
    assert [t.name for t in body.initializer] == ([] if ir == 3 else ["w"])
    assert_equal_under_ort(before, after)


def test_dead_ops_go(tmp_path):
    """Beside a rewrite. Also one of whose outputs only the second has a name; not one that holds a graph, which no Relu does."""
    held = helper.make_graph([helper.make_node("Abs", ["x"], ["inner"])], "body", [], [value("inner")])
    nodes = [helper.make_node("Relu", ["x"], ["idle"], body=held), helper.make_node("Dropout", ["x"], ["", "mask"]),
             helper.make_node("Neg", ["x"], ["n"]), helper.make_node("Abs", ["n"], ["m"])]
    folds, tensors = block("x", "y", "a")
    after = run(model(nodes + folds, tensors), tmp_path)
    assert after.graph.node[0] == nodes[0]
    assert [n.op_type for n in after.graph.node[1:]] == ["Conv"]


def test_names_that_are_taken(tmp_path):
    """A new value or node takes no name that another scope uses."""
    names = ["y.weight", "y.bias", "y.weight_1"]
    before = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 9]> main (float[2,3,4] x) => (float[2,3,4] y, float[2,3,4] z)
        <float[4,4] m = {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7}, float[4] s = {1,2,3,4}>
        { a = MatMul (x, m)
          b = Mul (a, s)
          y = Add (b, s)
          c = Exp (x)
          d = Exp (c)
          e = Exp (d)
          z = Exp (e) }""")
    for node, name in zip(before.graph.node[3:], names):
        for k, old in enumerate(node.output):
            node.output[k] = name
        following = before.graph.node[list(before.graph.node).index(node) + 1]
        following.input[0] = name
    before.graph.node[0].name, before.graph.node[3].name, before.graph.node[4].name = "mat", "mat.bias", "mat.bias_1"
    after = run(before, tmp_path)
    check_valid(after)
    assert [n.op_type for n in after.graph.node] == ["MatMul", "Add", "Exp", "Exp", "Exp", "Exp"]
    assert after.graph.node[0].name == "mat" and after.graph.node[1].name == "mat.bias_2"
    assert sorted(t.name for t in after.graph.initializer) == ["y.bias_1", "y.weight_2"]
    assert_equal_under_ort(before, after)


@pytest.mark.parametrize("jobs", ["1", "4"])
def test_weights_that_have_no_place_in_their_type(jobs, tmp_path):
    """The weights of some ops are too large for float16 once they are scaled: those stay, the first one is named, others fold."""
    rng = np.random.default_rng(3)
    nodes, tensors, source = [], [], "x"
    for k in range(6):
        kernel = rng.normal(0, 0.1, (64, 64, 3, 3)).astype(np.float16)
        if k % 2:
            kernel[60, 5, 1, 1] = kernel[9, 8, 2, 2] = 60000
        tensors += [numpy_helper.from_array(kernel, f"w{k}"), numpy_helper.from_array(np.full((64, 1, 1), 2, np.float16), f"s{k}")]
        target = f"v{k}" if k < 5 else "y"
        nodes += [helper.make_node("Conv", [source, f"w{k}"], [f"c{k}"], kernel_shape=[3, 3], pads=[1] * 4),
                  helper.make_node("Mul", [f"c{k}", f"s{k}"], [f"m{k}"]), helper.make_node("Tanh", [f"m{k}"], [target])]
        source = target
    # Large enough for threads.
    tensors.append(numpy_helper.from_array(rng.normal(size=(2300, 1024)).astype(np.float32), "stays"))
    nodes.append(helper.make_node("Relu", ["stays"], ["z"]))
    shape = [1, 64, 9, 9]
    graph = helper.make_graph(nodes, "g", [value("x", shape, TensorProto.FLOAT16)],
                              [value("y", shape, TensorProto.FLOAT16), value("z", [2300, 1024])], tensors)
    before = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    result = fuse(before, tmp_path, "--jobs", jobs, "--no-check", "--skip", "fold_constants")
    assert result.code == 0, result.stderr
    after = result.model
    assert count_ops(after)["Mul"] == 3 and count_ops(after)["Conv"] == 6
    said = [r["reason"] for r in result.report["refusals"] if r["pass"] == "fold_after" and "not finite" in r["reason"]]
    assert len(said) == 3 and all("120000" in r or "1.2e+05" in r for r in said), result.reasons()
    assert next(t for t in after.graph.initializer if t.name == "stays") == before.graph.initializer[-1]


def test_matmul_of_unknown_rank(tmp_path):
    """A fused matrix is stored as MatMul wants it, [inputs, outputs], whatever its size."""
    rng = np.random.default_rng(5)
    a, b, s = (rng.normal(0, 0.3, shape).astype(np.float32) for shape in ((300, 40), (40, 500), (500,)))
    nodes = [helper.make_node("MatMul", ["x", "a"], ["p"]), helper.make_node("MatMul", ["p", "b"], ["q"]), helper.make_node("Mul", ["q", "s"], ["y"])]
    graph = helper.make_graph(nodes, "g", [value("x", ["N", "M", 300])], [value("y", ["N", "M", 500])],
                              [numpy_helper.from_array(v, n) for n, v in (("a", a), ("b", b), ("s", s))])
    before = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    after = run(before, tmp_path, "--max-growth", "10")
    assert count_ops(after) == {"MatMul": 1}
    assert list(after.graph.initializer[0].dims) == [300, 500]
    np.testing.assert_allclose(numpy_helper.to_array(after.graph.initializer[0]), (a.astype(np.float64) @ b) * s, rtol=1e-5, atol=1e-5)


# Fields of the numbers that nodes, initializers, inputs and the like have, but holding a number where those hold a message: no version of
# ONNX says so, and a reader of protobuf takes them for fields it does not know.

GRAPH_FIELDS = {"node": 1, "initializer": 5, "input": 11, "value_info": 13, "sparse_initializer": 15, "name of nothing": 99}


def field(number, content=None):
    """A varint 5, or a message."""
    key = bytes([*_varint(number << 3 | (0 if content is None else 2))])
    return key + b"\x05" if content is None else key + bytes([*_varint(len(content))]) + content


def _varint(value):
    while value > 127:
        yield value & 127 | 128
        value >>= 7
    yield value


@pytest.mark.parametrize("name", GRAPH_FIELDS)
@pytest.mark.parametrize("first", [True, False])
def test_fields_of_another_kind_stay(name, first, tmp_path):
    nodes, tensors = block("x", "y", "a")
    before = model(nodes, tensors)
    graph, odd = before.graph.SerializeToString(), field(GRAPH_FIELDS[name])
    before.ClearField("graph")
    data = before.SerializeToString() + field(7, odd + graph if first else graph + odd)
    result = fuse(data, tmp_path)
    assert result.code == 0, result.stderr
    assert count_ops(result.model) == {"Conv": 1}
    plain = fuse(before.SerializeToString() + field(7, graph), tmp_path, stem="plain").data
    start = len(before.SerializeToString())
    assert len(result.data) == len(plain) + len(odd)
    assert odd in result.data[start:start + 12] if first else result.data.endswith(odd)
