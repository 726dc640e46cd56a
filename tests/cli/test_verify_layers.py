"""onnx-repvgg-fuse verify --layers: how far values of one name are apart; and what files say of values against what they hold."""
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.cli.test_verify import run, stack, verify
from tests.support.tool import paths_of


def changed(model, index, factor=1.001):
    """A copy whose Conv of that number has another weight."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    weight = [n for n in copy.graph.node if n.op_type == "Conv"][index].input[1]
    tensor = next(t for t in copy.graph.initializer if t.name == weight)
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(factor), weight))
    return copy


def made_of(model, conv):
    """The names of all that is computed of a Conv, itself included, in order."""
    names = [[n for n in model.graph.node if n.op_type == "Conv"][conv].output[0]]
    for node in model.graph.node:
        if set(node.input) & set(names):
            names.append(node.output[0])
    return names


@pytest.mark.parametrize("turned", [False, True])
def test_layers(turned, tmp_path):
    model = stack()
    pair = (changed(model, 2), model) if turned else (model, changed(model, 2))
    code, report = verify(*pair, tmp_path, "--layers")
    assert code == 1 and report["layers_reason"] == ""
    assert [layer["b"] for layer in report["layers"]] == made_of(model, 2)
    first = report["layers"][0]
    assert first["op"] == "Conv" and first["ratio"] == pytest.approx(1e-3, rel=0.01)
    assert all(layer["ratio"] == pytest.approx(layer["difference"] / layer["largest"]) for layer in report["layers"])
    assert verify(*pair, tmp_path, "--layers") == (code, report), "another table"
    plain = verify(*pair, tmp_path)[1]
    assert {**report, "layers": 0, "layers_reason": 0} == {**plain, "layers": 0, "layers_reason": 0}, "another verdict with --layers"


def test_layers_as_text(tmp_path):
    model = stack()
    text = run("--layers", *paths_of(tmp_path, model, changed(model, 2))).stdout
    table = text.split("\n\n")[1].splitlines()
    assert table[0].split() == ["of", "the", "largest", "off", "by", "value"]
    assert [line.split("'")[1] for line in table[1:]] == made_of(model, 2)
    assert "no other values share a name" in run("--layers", *paths_of(tmp_path, model, stack())).stdout


def test_layers_of_a_twin_in_float16(tmp_path):
    """The drift grows along the way, and is far below what is one."""
    model = stack(dims=(1, 4, 16, 16))
    twin = onnx.ModelProto.FromString(model.SerializeToString())
    for tensor in twin.graph.initializer:
        rounded = numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(rounded, tensor.name))
    code, report = verify(model, twin, tmp_path, "--rtol", "1e-2", "--layers")
    ratios = [layer["ratio"] for layer in report["layers"]]
    assert code == 0 and len(ratios) > 10 and 0 < max(ratios) < 1e-2


def test_layers_that_cannot_be_evaluated(tmp_path):
    nodes = [helper.make_node("Nobody", ["x"], ["m"], domain="some.where"), helper.make_node("Scale", ["m"], ["y"], domain="some.where", by=1.0)]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in "xy"]
    model = helper.make_model(helper.make_graph(nodes, "g", value[:1], value[1:]),
                              opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("some.where", 1)])
    other = onnx.ModelProto.FromString(model.SerializeToString())
    other.graph.node[1].attribute[0].f = 2
    code, report = verify(model, other, tmp_path, "--layers")
    assert code == 2 and report["layers"] == [] and report["layers_reason"]


# What a file says of its values


def casting(declared):
    """Both branches cast to float16 and back."""
    def body(name):
        nodes = [helper.make_node("Cast", ["x"], [name + "m"], to=TensorProto.FLOAT16),
                 helper.make_node("Cast", [name + "m"], [name + "o"], to=TensorProto.FLOAT)]
        return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(name + "o", TensorProto.FLOAT, [2, 3])],
                                 value_info=[helper.make_tensor_value_info(name + "m", declared, [2, 3])])
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("If", ["c"], ["y"], then_branch=body("a"), else_branch=body("b"))], "g",
                              [value[0], helper.make_tensor_value_info("c", TensorProto.BOOL, [])], value[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_a_stale_type_inside_a_body_is_no_valid_file(tmp_path):
    assert verify(casting(TensorProto.FLOAT16), casting(TensorProto.FLOAT16), tmp_path)[0] == 0
    code, report = verify(casting(TensorProto.FLOAT16), casting(TensorProto.FLOAT), tmp_path)
    assert code == 2 and "Cast" in report["reason"] and "is declared as float, and Cast makes float16" in report["reason"]


def flattening(axis):
    value = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 4, 5]), helper.make_tensor_value_info("y", TensorProto.FLOAT, [24, 5])]
    return helper.make_model(helper.make_graph([helper.make_node("Flatten", ["x"], ["y"], axis=axis)], "g", value[:1], value[1:]),
                             opset_imports=[helper.make_opsetid("", 17)])


def test_a_stale_shape_hides_no_difference(tmp_path):
    assert verify(flattening(3), flattening(-1), tmp_path)[0] == 0
    code, report = verify(flattening(3), flattening(2), tmp_path)
    assert code == 1 and report["departure"]["at"] == "shapes [24, 5] and [6, 20]"


@pytest.mark.parametrize("attribute", ["detect_negative", "detect_positive"])
@pytest.mark.parametrize("dims", [(6,), (1,)])
def test_what_asks_for_infinities_is_given_some(attribute, dims, tmp_path):
    def model(**attributes):
        value = [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims), helper.make_tensor_value_info("y", TensorProto.BOOL, dims)]
        return helper.make_model(helper.make_graph([helper.make_node("IsInf", ["x"], ["y"], **attributes)], "g", value[:1], value[1:]),
                                 opset_imports=[helper.make_opsetid("", 20)])
    assert verify(model(), model(**{attribute: 1}), tmp_path)[0] == 0
    assert verify(model(), model(**{attribute: 0}), tmp_path)[0] == 1


def test_an_order_that_is_none_is_not_the_sorted_one(tmp_path):
    def model(k, **attributes):
        value = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 5]), helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, k])]
        graph = helper.make_graph([helper.make_node("TopK", ["x", "k"], ["y", ""], **attributes)], "g", value[:1], value[1:],
                                  [numpy_helper.from_array(np.array([k], np.int64), "k")])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    assert verify(model(3), model(3, sorted=1), tmp_path)[0] == 0
    assert verify(model(3), model(3, sorted=0), tmp_path)[0] == 1
    assert verify(model(1), model(1, sorted=0), tmp_path)[0] == 0


def test_runs_of_integers_that_are_counted_are_drawn(tmp_path):
    def model(pool):
        value = [helper.make_tensor_value_info("x", TensorProto.INT64, [2, 6]), helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 4])]
        node = helper.make_node("TfIdfVectorizer", ["x"], ["y"], mode="TF", min_gram_length=2, max_gram_length=2, max_skip_count=0,
                                ngram_counts=[0, 0], ngram_indexes=[0, 1, 2, 3], pool_int64s=pool)
        return helper.make_model(helper.make_graph([node], "g", value[:1], value[1:]), opset_imports=[helper.make_opsetid("", 17)])
    pool = [5, 6, 7, 8, 100, 7, 2, 300]
    assert verify(model(pool), model([*pool[:-1], 301]), tmp_path)[0] == 1


def test_texts_that_are_asked_for_come_in_both_cases(tmp_path):
    def model(sensitive):
        value = [helper.make_tensor_value_info(name, TensorProto.STRING, [6] if name == "x" else [None]) for name in "xy"]
        node = helper.make_node("StringNormalizer", ["x"], ["y"], case_change_action="UPPER", stopwords=["monday"], is_case_sensitive=sensitive)
        return helper.make_model(helper.make_graph([node], "g", value[:1], value[1:]), opset_imports=[helper.make_opsetid("", 17)])
    assert verify(model(0), model(1), tmp_path)[0] == 1
