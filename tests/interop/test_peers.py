"""What other optimisers get wrong."""
import re

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.support import wire
from tests.support.net import FLOAT, Net, newest_opset, tensor_type
from tests.support.tool import (
    assert_equal_under_ort, check_tidy, check_valid, count_ops, feeds, fuse, graphs_of, same_interface, session)

X = (2, 6, 11, 14)
NEWEST = newest_opset()


def run(net, folder, expect, *options):
    """Fuse, expect these counts (None: not a byte may change), judge the result."""
    before = net.model()
    check_valid(before)
    result = fuse(before, folder, *options)
    assert result.code == 0, result.stderr
    if expect is None:
        assert result.data == before.SerializeToString()
        return before, before, result
    after = result.model
    assert count_ops(after) == expect, result.reasons()
    check_valid(after)
    same_interface(before, after)
    check_tidy(after, before)
    assert_equal_under_ort(before, after)
    return before, after, result


def refusal(result, pattern):
    assert any(re.search(pattern, r, re.IGNORECASE) for r in result.reasons()), result.reasons()


# Types


@pytest.mark.parametrize("opset", [15, 17, NEWEST])
@pytest.mark.parametrize("block", [False, True])
def test_float16_conv_with_float32_bn(opset, block, tmp_path):
    """The result has the Conv's type throughout, or nothing changes: never a mixture that runtimes reject."""
    n = Net(opset, 8 if opset < 20 else 10, "float16", seed=3)
    x = n.input("x", X)
    y = n.bn(n.conv(x, 6, 3), dtype=np.float32)
    n.output(n.add(y, n.bn(x, dtype=np.float32)) if block else y)
    before = n.model()
    check_valid(before)
    result = fuse(before, tmp_path)
    assert result.code == 0, result.stderr
    if result.data == before.SerializeToString():
        refusal(result, r"type|float16|mixed")
        return
    after = result.model
    check_valid(after)
    session(after)
    assert_equal_under_ort(before, after)
    kinds = {t.name: t.data_type for t in after.graph.initializer}
    for node in after.graph.node:
        if node.op_type == "Conv":
            assert {kinds[i] for i in node.input[1:]} == {onnx.TensorProto.FLOAT16}


@pytest.mark.parametrize("opset", [15, NEWEST])
def test_float32_conv_with_float16_statistics(opset, tmp_path):
    n = Net(opset, 8 if opset < 20 else 10, seed=3)
    n.output(n.bn(n.conv(n.input("x", X), 6, 3), dtype=np.float16))
    before = n.model()
    check_valid(before)
    result = fuse(before, tmp_path)
    assert result.code == 0, result.stderr
    after = result.model
    check_valid(after)
    for node in after.graph.node:
        if node.op_type == "Conv":
            kinds = {t.data_type for t in after.graph.initializer if t.name in node.input}
            assert kinds == {FLOAT}


def big_float16(n, x, what):
    """Each is finite in float16; what they fold to is not."""
    w = n.kernel(6, 6, (3, 3))
    one = np.ones(6)
    if what == "weight":
        w[2, 1, 0, 2] = 300.0
        return n.bn(n.conv(x, 6, 3, weight=n.const(w)), stats=[n.const(v) for v in (one * 250, one * 0, one * 0, one)], eps=0.0)
    if what == "bias":
        return n.bn(n.conv(x, 6, 3, weight=n.const(w)), stats=[n.const(v) for v in (one * 300, one * 0, one * 300, one)], eps=0.0)
    if what == "join":
        a, b = w.copy(), w.copy()
        a[0, 0, 1, 1], b[0, 0, 1, 1] = 40000.0, 39968.0  # of one weight, the Convs would be one
        return n.add(n.conv(x, 6, 3, weight=n.const(a)), n.conv(x, 6, 3, weight=n.const(b)))
    raise ValueError(what)


@pytest.mark.parametrize("what", ["weight", "bias", "join"])
def test_fold_that_overflows_float16(what, tmp_path):
    n = Net(17, 8, "float16", seed=5)
    n.output(big_float16(n, n.input("x", X), what))
    _, _, result = run(n, tmp_path, None)
    refusal(result, r"finite|overflow|range|inf")
    assert result.report["changed"] is False


@pytest.mark.parametrize("what", ["weight", "bias", "join"])
def test_the_same_fold_fits_float32(what, tmp_path):
    n = Net(17, 8, seed=5)
    n.output(big_float16(n, n.input("x", X), what))
    run(n, tmp_path, {"Conv": 1})


# BatchNormalization in training


@pytest.mark.parametrize("opset", [14, 15, NEWEST])
def test_bn_in_training_with_three_outputs(opset, tmp_path):
    n = Net(opset, 8 if opset < 20 else 10, seed=7)
    x = n.input("x", X)
    y, mean, var = n.bn(n.conv(x, 6, 3), n_out=3, training_mode=1)
    n.output(n.relu(y), mean, var)
    _, _, result = run(n, tmp_path, None)
    refusal(result, r"training")


def test_bn_with_training_mode_0_folds(tmp_path):
    n = Net(15, 8, seed=7)
    n.output(n.bn(n.conv(n.input("x", X), 6, 3), training_mode=0, momentum=0.7))
    run(n, tmp_path, {"Conv": 1})


# Initializers that are inputs


def blocks(n, x):
    return n.relu(n.add(n.convbn(x, 6, 3), n.convbn(x, 6, 1), n.bn(x)))


@pytest.mark.parametrize("ir", [4, 8, 10])
def test_every_initializer_overridable(ir, tmp_path):
    n = Net(13, ir, seed=11)
    n.output(blocks(n, n.input("x", X)))
    n.overridable = [t.name for t in n.initializers]
    _, _, result = run(n, tmp_path, None)
    refusal(result, r"overrid|input|constant")


def test_a_caller_can_still_override(tmp_path):
    """One overridable weight: the rest folds, and the override has its effect on the result."""
    n = Net(17, 8, seed=11)
    x = n.input("x", X)
    w = n.const(n.kernel(6, 6, (3, 3)), "override.me", overridable=True)
    n.output(n.add(n.conv(x, 6, 3, weight=w), n.convbn(x, 6, 1), n.bn(x)))
    before, after, _ = run(n, tmp_path, {"Conv": 2, "Add": 1})
    inputs = next(feeds(before))
    inputs["override.me"] = np.random.default_rng(1).normal(0, 0.2, (6, 6, 3, 3)).astype(np.float32)
    a, b = session(before).run(None, inputs)[0], session(after).run(None, inputs)[0]
    assert np.abs(a - b).max() <= 2e-5 * np.abs(a).max()


@pytest.mark.parametrize("opset", [7, 8])
def test_below_ir_4_initializers_are_inputs_and_constant(opset, tmp_path):
    n = Net(opset, 3, seed=11)
    n.output(blocks(n, n.input("x", X)))
    before, after, _ = run(n, tmp_path, {"Conv": 1, "Relu": 1})
    listed = {i.name: i for i in after.graph.input}
    assert set(listed) == {"x"} | {t.name for t in after.graph.initializer}, "what is gone is no input any more"
    for t in after.graph.initializer:
        kind = listed[t.name].type.tensor_type
        assert kind.elem_type == t.data_type
        assert [d.dim_value for d in kind.shape.dim] == list(t.dims)


# Broadcasts and sharing


@pytest.mark.parametrize("op", ["Mul", "Add", "Sub", "Div"])
def test_constant_along_w_where_w_is_c(op, tmp_path):
    n = Net(17, 8, seed=13)
    y = n.convbn(n.input("x", (2, 5, 7, 7)), 7, 3)
    n.output(n.binary(op, y, n.const(n.away(7))))
    run(n, tmp_path, {"Conv": 1, op: 1})


def test_shared_weight_under_different_bns(tmp_path):
    n = Net(17, 8, seed=17)
    inputs = [n.input(f"x{k}", X) for k in range(3)]  # of one input, the Convs would be one
    w = n.const(n.kernel(6, 6, (1, 1)), "shared")  # small: copies are paid for by what goes
    n.output(*(n.relu(n.bn(n.conv(x, 6, 1, weight=w))) for x in inputs))
    run(n, tmp_path, {"Conv": 3, "Relu": 3})


def test_shared_weight_under_different_bns_in_one_block(tmp_path):
    n = Net(17, 8, seed=17)
    x = n.input("x", X)
    w = n.const(n.kernel(6, 6, (3, 3)), "shared")
    n.output(n.add(n.bn(n.conv(x, 6, 3, weight=w)), n.bn(n.conv(x, 6, 3, weight=w)), n.bn(x)))
    run(n, tmp_path, {"Conv": 1})


def test_shared_statistics(tmp_path):
    n = Net(17, 8, seed=17)
    x = n.input("x", X)
    stats = [n.const(v) for v in (n.away(6), n.shifts(6), n.shifts(6), n.rng.uniform(0.3, 2.5, 6))]
    y = n.relu(n.add(n.bn(n.conv(x, 6, 3), stats=stats), n.bn(x, stats=stats)))
    n.output(n.add(n.bn(n.conv(y, 6, 1), stats=stats), n.node("Sigmoid", [y])))
    run(n, tmp_path, {"Conv": 2, "Relu": 1, "Sigmoid": 1, "Add": 1})


@pytest.mark.parametrize("group", [2, 4])
def test_grouped_identity(group, tmp_path):
    n = Net(17, 8, seed=19)
    x = n.input("x", (2, 12, 11, 9))
    n.output(n.add(n.convbn(x, 12, 3, group=group), n.convbn(x, 12, 1, group=group), n.bn(x)))
    run(n, tmp_path, {"Conv": 1})


@pytest.mark.parametrize("group", [1, 2, 3])
def test_grouped_conv_transpose_and_bn(group, tmp_path):
    n = Net(17, 8, seed=23)
    y = n.conv_t(n.input("x", (2, 6, 5, 8)), 12, (3, 2), group=group, strides=[2, 2], dilations=[2, 1])
    n.output(n.bn(y))
    run(n, tmp_path, {"ConvTranspose": 1})


# What a rewrite doesn't touch


def decorated():
    """A block that folds between ops that don't, every message with fields, docs and metadata of its own."""
    n = Net(17, 10, seed=29)
    x = n.input("x", X)
    y = n.node("HardSwish", [x])
    other = n.const(n.normal((1, 1, 11, 14)), "other")
    z = blocks(n, n.binary("Mul", y, other))
    n.output(n.node("Softmax", [z], axis=1), n.conv(n.node("Sigmoid", [z]), 5, 3, bias=True))
    m = n.model()
    m.doc_string, m.producer_version, m.domain, m.model_version = "model doc", "1.2-rc", "tests", 77
    m.graph.doc_string = "graph doc"
    for holder, key in ((m, "model"), (m.graph, "graph")):
        holder.metadata_props.add(key=key + ".key", value="\u00e9t\u00e9")
    for k, node in enumerate(m.graph.node):
        node.doc_string = f"doc {k}"
        node.metadata_props.add(key="pkg.torch.onnx.class_hierarchy", value=f"['block.{k}']")
        node.MergeFromString(wire.unknown(900, f"node {k}"))
    for t in m.graph.initializer:
        t.doc_string = "doc of " + t.name
        t.metadata_props.add(key="origin", value=t.name)
        t.MergeFromString(wire.unknown(910, t.name))
    for v in [*m.graph.value_info, *m.graph.input, *m.graph.output]:
        v.doc_string = "doc of " + v.name
        v.metadata_props.add(key="origin", value=v.name)
        v.MergeFromString(wire.unknown(920, v.name))
    for name in (y, z, "other"):
        q = m.graph.quantization_annotation.add(tensor_name=name)
        q.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="other")
    m.graph.MergeFromString(wire.unknown(930, "graph"))
    m.opset_import[0].MergeFromString(wire.unknown(940, "opset"))
    m.opset_import.add(domain="com.example", version=3)
    m.MergeFromString(wire.unknown(950, "model"))
    return m


GRAPH, NODE, INITIALIZER, VALUE_INFO = 7, 1, 5, 13


def test_untouched_messages_keep_their_bytes(tmp_path):
    m = decorated()
    check_valid(m)
    old = m.SerializeToString()
    result = fuse(old, tmp_path)
    assert result.code == 0, result.stderr
    new, after = result.data, result.model
    assert count_ops(after) == {"HardSwish": 1, "Mul": 1, "Conv": 2, "Relu": 1, "Softmax": 1, "Sigmoid": 1}
    check_valid(after)
    assert_equal_under_ort(m, after)

    assert wire.without(old, GRAPH) == wire.without(new, GRAPH), "fields of the model"
    g, h = wire.only(old, GRAPH)[0], wire.only(new, GRAPH)[0]
    rest = (NODE, INITIALIZER, VALUE_INFO)
    assert wire.without(g, *rest) == wire.without(h, *rest), "fields of the graph"

    kept_ops = ("HardSwish", "Mul", "Relu", "Softmax", "Sigmoid")

    def kept_nodes(data, model):
        last = model.graph.node[-1].output[0]
        return [p for p in wire.only(data, NODE)
                if onnx.NodeProto.FromString(p).op_type in kept_ops or onnx.NodeProto.FromString(p).output[0] == last]

    assert kept_nodes(g, m) == kept_nodes(h, after) and len(kept_nodes(h, after)) == 6
    # Values and weights that are still there, in the order they had.
    names = {t.name for t in after.graph.initializer}
    old_tensors = [p for p in wire.only(g, INITIALIZER) if onnx.TensorProto.FromString(p).name in names]
    new_tensors = [p for p in wire.only(h, INITIALIZER) if p in old_tensors]
    assert old_tensors == new_tensors and len(old_tensors) == 3
    values = {v.name for v in after.graph.value_info}
    assert {n.output[0] for n in after.graph.node} - {o.name for o in after.graph.output} == values
    old_values = [p for p in wire.only(g, VALUE_INFO) if onnx.ValueInfoProto.FromString(p).name in values]
    assert old_values == wire.only(h, VALUE_INFO)


def test_fields_in_any_order_and_nothing_to_fold(tmp_path):
    """A file that no library would write like this, yet right: it comes out byte for byte."""
    n = Net(17, 8, seed=31)
    n.output(n.relu(n.conv(n.input("x", X), 6, 3, bias=True)))
    m = n.model()
    m.MergeFromString(wire.unknown(950, "model"))
    rng = np.random.default_rng(0)
    parts = [whole for _, whole, _ in wire.fields(m.SerializeToString())]
    for _ in range(5):
        order = rng.permutation(len(parts))
        data = b"".join(parts[k] for k in order)
        # ir_version a second time, with a varint longer than it need be: the last one wins
        data += b"\x08\x88\x80\x00"
        result = fuse(data, tmp_path)
        assert result.code == 0 and result.data == data


def test_fields_in_any_order_fold_all_the_same(tmp_path):
    n = Net(17, 8, seed=31)
    n.output(blocks(n, n.input("x", X)))
    m = n.model()
    parts = [whole for _, whole, _ in wire.fields(m.SerializeToString())]
    result = fuse(b"".join(reversed(parts)), tmp_path)
    assert result.code == 0, result.stderr
    assert count_ops(result.model) == {"Conv": 1, "Relu": 1}
    check_valid(result.model)
    assert_equal_under_ort(m, result.model)


def test_nodes_keep_their_names(tmp_path):
    m = decorated()
    result = fuse(m, tmp_path)
    old = {n.output[0]: n.name for n in m.graph.node}
    names = [n.name for n in result.model.graph.node]
    assert len(names) == len(set(names))
    for node in result.model.graph.node:
        if node.op_type != "Conv":
            assert node.name == old[node.output[0]]


def new_names(before, after):
    def names(m):
        return {t.name for g in graphs_of(m.graph) for t in g.initializer} | {
            o for g in graphs_of(m.graph) for n in g.node for o in n.output}
    return sorted(names(after) - names(before))


@pytest.mark.parametrize("taken_by", ["initializer", "input", "value", "subgraph", "input_list", "node"])
def test_made_up_names_do_not_collide(taken_by, tmp_path):
    """Whatever names the tool makes up, give them to something else and run again."""
    def build(taken):
        n = Net(17, 8, seed=37)
        x, flag = n.input("x", X), n.input("flag", (), dtype=bool)
        y = blocks(n, x)
        for k, name in enumerate(taken):
            if taken_by == "initializer":
                y = n.binary("Mul", n.const(n.away((1, 1, 11, 14)), name), y)
            elif taken_by == "input":
                y = n.add(y, n.input(name, X))
            elif taken_by == "input_list":
                y = n.binary("Mul", y, n.const(n.away((1, 1, 11, 14)), name, overridable=True))
            elif taken_by == "value":
                n.nodes.append(helper.make_node("Sigmoid", [y], [name]))
                n.types[name] = n.type_of(y)
                y = name
            elif taken_by == "node":
                out = f"sigmoid_named_{k}"
                n.nodes.append(helper.make_node("Sigmoid", [y], [out], name=name))
                n.types[out] = n.type_of(y)
                y = out
            else:
                s = n.sub()
                s.nodes.append(helper.make_node("Sigmoid", [y], [name]))
                s.types[name] = n.type_of(y)
                s.output(s.relu(name))
                t = n.sub()
                t.output(t.binary("Mul", t.const(t.away((1, 1, 11, 14)), name), y))
                y = n.node("If", [flag], then_branch=s.graph(f"then{k}"), else_branch=t.graph(f"else{k}"),
                           types=[tensor_type(FLOAT, X)])
        n.output(y)
        return n

    plain = build([]).model()
    result = fuse(plain, tmp_path)
    made = new_names(plain, result.model)
    if taken_by == "node":
        old = {n.name for n in plain.graph.node}
        made = [f"{n.name}.bias" for n in result.model.graph.node] + [
            n.name for n in result.model.graph.node if n.name not in old]
    assert made, "nothing new was made"
    net = build(made)
    before = net.model()
    check_valid(before)
    second = fuse(before, tmp_path, stem="second")
    assert second.code == 0, second.stderr
    after = second.model
    assert count_ops(after)["Conv"] == 1
    check_valid(after)
    assert_equal_under_ort(before, after)
    everything = [o for g in graphs_of(after.graph) for n in g.node for o in n.output]
    everything += [t.name for g in graphs_of(after.graph) for t in g.initializer]
    for name in set(new_names(before, after)):
        assert everything.count(name) == 1
    assert taken_by != "node" or len({n.name for n in after.graph.node}) == len(after.graph.node)


def test_numbers_of_an_untouched_weight_are_its_bytes(tmp_path):
    """NaN payloads and negative zeros of a weight that nothing folds come through."""
    n = Net(17, 8, seed=41)
    x = n.input("x", X)
    odd = np.array([0x7FC12345, 0x80000000, 0xFF800001, 0x00000001], np.uint32).view(np.float32)
    w = n.const(np.resize(odd, (1, 1, 11, 14)), "odd")
    n.output(blocks(n, x), n.binary("Mul", n.node("Tanh", [x]), w))
    before = n.model()
    result = fuse(before, tmp_path)
    assert result.code == 0 and count_ops(result.model)["Conv"] == 1
    kept = {t.name: t for t in result.model.graph.initializer}["odd"]
    assert kept.SerializeToString() == {t.name: t for t in before.graph.initializer}["odd"].SerializeToString()
    assert numpy_helper.to_array(kept).tobytes() == np.resize(odd, 154).tobytes()
