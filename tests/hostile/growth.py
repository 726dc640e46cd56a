#!/usr/bin/env python3
"""Search for small files that cost much: families of models, each at three sizes, through every subcommand.

usage: python -m tests.hostile.growth [--binary PATH] [--only WORD] [--seconds N] [--largest BYTES]
Prints, for each family and subcommand, seconds of processor and MB at the largest size, and the growth from half of it.
Exits with 1 when a run takes more than --seconds, more memory than 16 times its files and 64 MB, or ends by a signal.
"""
import argparse
import os
import pathlib
import sys
import tempfile

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, helper, numpy_helper

from tests.support.cost import cost

FAMILIES = {}


def family(f):
    FAMILIES[f.__name__] = f
    return f


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs, outputs, **attributes)


def floats(name, *shape, value=None):
    n = int(np.prod(shape))
    a = np.resize(np.array([0.5, -0.25, 1, 0.125], np.float32), n).reshape(shape) if value is None else np.full(shape, value, np.float32)
    return numpy_helper.from_array(np.asarray(a, np.float32), name)


def ints(name, values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def model(nodes, initializers=(), shape=(1, 2, 5, 5), outputs=("y",), functions=(), inputs=("x",), ir=8, opset=17):
    graph = GraphProto(name="g", node=nodes, initializer=initializers)
    graph.input.extend(helper.make_tensor_value_info(i, 1, shape) for i in inputs)
    graph.output.extend(helper.make_tensor_value_info(o, 1, None) for o in outputs)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("f", 1)]
    return helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=ir)


def chain(ops, n, last="y"):
    """ops: functions from (input, output) to nodes, one after another."""
    nodes, at = [], "x"
    for i in range(n):
        to = last if i == n - 1 else f"v{i}"
        nodes += ops[i % len(ops)](at, to)
        at = to
    return nodes


def conv(w="w", **attributes):
    return lambda a, b: [node("Conv", [a, w], [b], **attributes)]


def bn():
    return lambda a, b: [node("BatchNormalization", [a, "g", "g", "g", "s"], [b])]


STATS = [floats("g", 2), floats("s", 2, value=1)]
ONE = floats("w", 2, 2, 1, 1)
THREE = floats("w3", 2, 2, 3, 3)


# Many of one thing

@family
def readers(n):
    return model([node("Relu", ["x"], [f"v{i}"]) for i in range(n)] + [node("Sum", [f"v{i}" for i in range(n)], ["y"])])


@family
def relus(n):
    return model(chain([lambda a, b: [node("Relu", [a], [b])]], n))


@family
def identities(n):
    return model(chain([lambda a, b: [node("Identity", [a], [b])]], n))


@family
def one_leaf_many_times(n):
    return model([node("Sum", ["x"] * n, ["y"])])


@family
def adds_of_the_source(n):
    return model(chain([lambda a, b: [node("Add", [a, "x"], [b])]], n))


@family
def doubling(n):
    return model(chain([lambda a, b: [node("Add", [a, a], [b])]], n))


@family
def doubling_by_convs(n):
    return model(chain([lambda a, b: [node("Conv", [a, "w"], [b + "p"]), node("Conv", [a, "w"], [b + "q"]),
                                      node("Add", [b + "p", b + "q"], [b])]], n), [ONE])


@family
def doubling_by_norms(n):
    return model(chain([lambda a, b: [*bn()(a, b + "p"), *bn()(a, b + "q"), node("Add", [b + "p", b + "q"], [b])]], n), STATS)


@family
def fibonacci(n):
    nodes, a, b = [], "x", "x"
    for i in range(n):
        to = "y" if i == n - 1 else f"v{i}"
        nodes.append(node("Add", [a, b], [to]))
        a, b = b, to
    return model(nodes)


@family
def sums_of_the_two_before(n):
    """Of a norm and the source: forms, not ops, double with every step."""
    nodes = [*bn()("x", "f0"), node("Identity", ["x"], ["f1"])]
    nodes += [node("Add", [f"f{i - 1}", f"f{i - 2}"], [f"f{i}"]) for i in range(2, n)]
    nodes.append(node("Identity", [f"f{n - 1}"], ["y"]))
    return model(nodes, STATS)


@family
def sums_of_all_before(n):
    nodes, before = [], ["x"]
    for i in range(n):
        nodes += [node("Sum", list(before), [f"y{i}"]), *bn()(f"y{i}", f"a{i}")]
        before.append(f"a{i}")
    nodes.append(node("Sum", list(before), ["y"]))
    return model(nodes, STATS)


@family
def sums_of_many_sums(n):
    """What is never below 0 is sought through all of them."""
    nodes = [node("Unknown", ["x"], ["u"], domain="f"), node("Relu", ["u"], ["s0"])]
    side = max(2, int(n ** 0.5))
    nodes += [node("Sum", [f"s{i}"] * side, [f"s{i + 1}"]) for i in range(side)]
    nodes.append(node("Sqrt", [f"s{side}"], ["y"]))
    return model(nodes)


@family
def leaves_convs(n):
    return model([node("Conv", ["x", "w"], [f"v{i}"]) for i in range(n)] + [node("Sum", [f"v{i}" for i in range(n)], ["y"])], [ONE])


@family
def leaves_of_many_sources(n):
    nodes = [node("Relu", ["x"], [f"r{i}"]) for i in range(n)]
    nodes += [node("Conv", [f"r{i // 2}", "w"], [f"v{i}"]) for i in range(n)]
    return model(nodes + [node("Sum", [f"v{i}" for i in range(n)], ["y"])], [ONE])


@family
def leaves_of_a_deep_source(n):
    nodes = chain([conv(), bn()], n // 2, "d")
    nodes += [node("Conv", [f"v{i}" if i < n // 2 - 1 else "d", "w"], [f"l{i}"]) for i in range(n // 2)]
    return model(nodes + [node("Sum", [f"l{i}" for i in range(n // 2)], ["y"])], [ONE, *STATS])


@family
def convs(n):
    return model(chain([conv()], n), [ONE])


@family
def convs_padded(n):
    return model(chain([conv("w3", pads=[1, 1, 1, 1])], n), [THREE])


@family
def convs_without_padding(n):
    return model(chain([conv("w3")], n), [THREE], shape=(1, 2, 4000, 4000))


@family
def norms(n):
    return model(chain([bn()], n), STATS)


@family
def norms_after_a_pool(n):
    return model(chain([lambda a, b: [node("MaxPool", [a], [b + "m"], kernel_shape=[1, 1])] + bn()(b + "m", b)], n), STATS)


@family
def refused_muls(n):
    return model(chain([lambda a, b: [node("Mul", [a, a], [b + "m"])] + conv()(b + "m", b)], n), [ONE])


@family
def checks_that_fail(n):
    """Weights that overflow float: every rewrite is dropped in its turn."""
    big = floats("w", 2, 2, 1, 1, value=3e38)
    stats = [floats("g", 2, value=3e38), floats("s", 2, value=1e-30)]
    return model(chain([conv(), bn(), lambda a, b: [node("Relu", [a], [b])]], n), [big, *stats])


@family
def checks_that_fail_each_with_its_weight(n):
    nodes, inits = [], [floats("g", 2), floats("s", 2, value=1)]
    at = "x"
    for i in range(n):
        inits.append(floats(f"w{i}", 2, 2, 1, 1, value=3e38 if i % 2 else 1e-38))
        nodes += [node("Conv", [at, f"w{i}"], [f"c{i}"]), *bn()(f"c{i}", f"b{i}"), node("Relu", [f"b{i}"], [f"r{i}"])]
        at = f"r{i}"
    return model(nodes + [node("Identity", [at], ["y"])], inits)


@family
def pads(n):
    return model(chain([lambda a, b: [node("Pad", [a, "p"], [b])]], n), [ints("p", [0, 0, 1, 1, 0, 0, 1, 1])])


@family
def pools(n):
    return model(chain([lambda a, b: [node("AveragePool", [a], [b], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)]], n))


@family
def pool_branches(n):
    nodes = [node("AveragePool", ["x"], [f"v{i}"], kernel_shape=[2 * (i % 9) + 1] * 2, pads=[i % 9] * 4, count_include_pad=1) for i in range(n)]
    return model(nodes + [node("Sum", [f"v{i}" for i in range(n)], ["y"])])


# Names

@family
def taken_names(n):
    nodes = [*conv()("x", "a"), *bn()("a", "y")]
    taken = [floats("y.weight", 1), floats("y.bias", 1)]
    taken += [floats(f"y.weight.{i}", 1) for i in range(n)] + [floats(f"y.weight{i}", 1) for i in range(n)] + [floats(f"y.weight_{i}", 1) for i in range(n)]
    return model(nodes, [ONE, *STATS, *taken])


@family
def taken_names_of_many(n):
    nodes, at = [], "x"
    for i in range(n):
        nodes += [*conv()(at, f"a{i}"), *bn()(f"a{i}", "y" + ".weight" * (i % 9) + f".{i}"), node("Relu", ["y" + ".weight" * (i % 9) + f".{i}"], [f"r{i}"])]
        at = f"r{i}"
    return model(nodes + [node("Identity", [at], ["y"])], [ONE, *STATS])


@family
def one_long_name(n):
    long = "n" * (n * 10)
    return model([node("Relu", ["x"], [long]), node("Conv", [long, "w"], ["a"]), *bn()("a", "y")], [ONE, *STATS])


@family
def long_names(n):
    nodes = chain([lambda a, b: [node("Relu", [a], [b])]], max(2, int(n ** 0.5)))
    for k in nodes:
        for names in k.input, k.output:
            for i, name in enumerate(names):
                if name not in "xy":
                    names[i] = "p" * int(10 * n ** 0.5) + name
    return model(nodes)


@family
def names_of_quotes(n):
    m = model([node("Relu", ["x"], ["y"], name="\"\\\n\x01" * n)])
    m.doc_string = "\x01\"\\" * n
    return m


# Scopes

@family
def functions_in_a_row(n):
    made = [helper.make_function("f", f"F{i}", ["a"], ["b"], [node("Relu", ["a"], ["b"])], [helper.make_opsetid("", 17)]) for i in range(n)]
    return model(chain([lambda a, b: [NodeProto(op_type=f"F{len(b) + len(a)}", domain="f", input=[a], output=[b])]], n), functions=made)


@family
def functions_that_double(n):
    """Each calls the one before twice."""
    n = max(2, n // 10)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    made = [helper.make_function("f", "F0", ["a"], ["b"], [node("Relu", ["a"], ["b"])], opsets)]
    for i in range(1, n):
        body = [NodeProto(op_type=f"F{i - 1}", domain="f", input=["a"], output=["c"]), NodeProto(op_type=f"F{i - 1}", domain="f", input=["c"], output=["b"])]
        made.append(helper.make_function("f", f"F{i}", ["a"], ["b"], body, opsets))
    return model([NodeProto(op_type=f"F{n - 1}", domain="f", input=["x"], output=["y"])], functions=made)


def body(nodes, output):
    return GraphProto(name="b", node=nodes, output=[onnx.ValueInfoProto(name=output)])


@family
def ifs(n):
    def one(a, b):
        return [node("If", ["t"], [b], then_branch=body([node("Relu", [a], [b + "t"])], b + "t"), else_branch=body([node("Identity", [a], [b + "e"])], b + "e"))]
    return model(chain([one], n), [numpy_helper.from_array(np.array(True), "t")])


@family
def ifs_side_by_side(n):
    nodes = [node("If", ["t"], [f"v{i}"], then_branch=body([node("Relu", ["x"], [f"t{i}"])], f"t{i}"),
                  else_branch=body([node("Conv", ["x", "w"], [f"e{i}"])], f"e{i}")) for i in range(n)]
    return model(nodes + [node("Sum", [f"v{i}" for i in range(n)], ["y"])], [numpy_helper.from_array(np.array(True), "t"), ONE])


@family
def ifs_nested(n):
    inner, name = [node("Relu", ["x"], ["i0"])], "i0"
    for i in range(1, min(24, max(2, n // 8))):
        inner, name = [node("If", ["t"], [f"i{i}"], then_branch=body(inner, name), else_branch=body([node("Identity", ["x"], [f"e{i}"])], f"e{i}"))], f"i{i}"
    return model(inner + [node("Identity", [name], ["y"])], [numpy_helper.from_array(np.array(True), "t")])


@family
def ifs_nested_twice(n):
    """Both branches hold two more, as deep as the size allows."""
    def tree(depth, name):
        if depth == 0:
            return [node("Relu", ["x"], [name])]
        return [node("If", ["t"], [name], then_branch=body(tree(depth - 1, name + "t"), name + "t"), else_branch=body(tree(depth - 1, name + "e"), name + "e"))]
    return model(tree(max(1, int(np.log2(n + 1)) - 1), "y"), [numpy_helper.from_array(np.array(True), "t")])


# Lists

@family
def attributes(n):
    m = model([*conv()("x", "a"), *bn()("a", "y")], [ONE, *STATS])
    m.graph.node[0].attribute.extend(AttributeProto(name=f"a{i}", type=AttributeProto.INT, i=i) for i in range(n))
    return m


@family
def attributes_of_many(n):
    m = model(chain([conv(), bn()], int(n ** 0.5)), [ONE, *STATS])
    for k in m.graph.node:
        k.attribute.extend(AttributeProto(name=f"a{i}", type=AttributeProto.INT, i=i) for i in range(int(n ** 0.5)))
    return m


@family
def outputs(n):
    return model([node("Relu", ["x"], [f"v{i}"]) for i in range(n)], outputs=[f"v{i}" for i in range(n)])


@family
def one_output_many_times(n):
    return model([node("Relu", ["x"], ["y"])], outputs=["y"] * n)


@family
def inputs(n):
    return model([node("Sum", [f"x{i}" for i in range(n)], ["y"])], inputs=[f"x{i}" for i in range(n)])


@family
def initializers(n):
    return model([node("Relu", ["x"], ["y"])], [floats(f"w{i}", 1) for i in range(n)])


@family
def constants(n):
    nodes = [node("Constant", [], [f"w{i}"], value_floats=[0.5, 0.25]) for i in range(n)]
    return model(nodes + [node("Sum", ["x"] + [f"w{i}" for i in range(n)], ["y"])], shape=(1, 2))


@family
def constants_in_a_chain(n):
    nodes = [node("Constant", [], ["c0"], value_floats=[0.5, 0.25])]
    nodes += [node("Add", [f"c{i}", f"c{i}"], [f"c{i + 1}"]) for i in range(n)]
    return model(nodes + [node("Add", ["x", f"c{n}"], ["y"])], shape=(1, 2))


@family
def value_infos(n):
    m = model([node("Relu", ["x"], ["y"])])
    m.graph.value_info.extend(helper.make_tensor_value_info(f"v{i}", 1, [1, 2]) for i in range(n))
    return m


@family
def one_value_info_many_times(n):
    m = model([node("Relu", ["x"], ["v"]), node("Relu", ["v"], ["y"])])
    m.graph.value_info.extend(helper.make_tensor_value_info("v", 1, [1, 2, 5, 5]) for i in range(n))
    return m


@family
def opsets(n):
    m = model(chain([lambda a, b: [node("Relu", [a], [b])]], n // 2))
    m.opset_import.extend(helper.make_opsetid(f"d{i}", 1) for i in range(n // 2))
    return m


@family
def metadata(n):
    m = model([node("Relu", ["x"], ["y"])])
    m.metadata_props.extend(onnx.StringStringEntryProto(key=f"k{i}", value="v") for i in range(n))
    return m


@family
def annotations(n):
    m = model(chain([conv(), bn()], n // 4), [ONE, *STATS])
    m.graph.quantization_annotation.extend(onnx.TensorAnnotation(tensor_name=f"v{i}") for i in range(n // 4))
    return m


@family
def dims(n):
    return model([node("Mul", ["x", "w"], ["y"])], [TensorProto(name="w", data_type=1, dims=[1] * n, raw_data=b"\0\0\0?")])


@family
def strings(n):
    t = TensorProto(name="w", data_type=TensorProto.STRING, dims=[n], string_data=[b"s"] * n)
    return model([node("Relu", ["x"], ["y"])], [t])


@family
def empty_nodes(n):
    m = model([node("Relu", ["x"], ["y"])])
    m.graph.node.extend(NodeProto() for _ in range(10 * n))
    return m


@family
def empty_tensors(n):
    m = model([node("Relu", ["x"], ["y"])])
    m.graph.initializer.extend(TensorProto(name="") for _ in range(5 * n))
    return m


@family
def empty_attributes(n):
    m = model([node("Relu", ["x"], ["y"])])
    m.graph.node[0].attribute.extend(AttributeProto() for _ in range(10 * n))
    return m


@family
def empty_types(n):
    m = model([node("Relu", ["x"], ["y"])])
    m.graph.input[0].type.tensor_type.shape.dim.extend(onnx.TensorShapeProto.Dimension() for _ in range(10 * n))
    return m


@family
def splits(n):
    return model([node("Split", ["x"], [f"v{i}" for i in range(n)], axis=1), node("Concat", [f"v{i}" for i in range(n)], ["y"], axis=1)], shape=(1, n, 2, 2))


@family
def slices(n):
    return model(chain([lambda a, b: [node("Slice", [a, "o", "m", "q"], [b])]], n), [ints("o", [0]), ints("m", [-1]), ints("q", [2])], shape=(1, 2, 4000, 5))


@family
def gemms(n):
    return model(chain([lambda a, b: [node("Gemm", [a, "w"], [b])]], n), [floats("w", 8, 8)], shape=(3, 8))


@family
def matmul_branches(n):
    nodes = [node("MatMul", ["x", "w"], [f"v{i}"]) for i in range(n)]
    return model(nodes + [node("Sum", [f"v{i}" for i in range(n)], ["y"])], [floats("w", 8, 8)], shape=(3, 8))


@family
def transposed_convs(n):
    return model(chain([lambda a, b: [node("ConvTranspose", [a, "w"], [b + "t"], strides=[2, 2])] + bn()(b + "t", b)], n), [ONE, *STATS])


# Kinds of content

@family
def sparse_initializers(n):
    m = model([node("Relu", ["x"], ["y"])])
    for i in range(n // 4):
        m.graph.sparse_initializer.append(onnx.SparseTensorProto(values=floats(f"s{i}", 1), indices=ints("", [i]), dims=[1 << 40]))
    return m


@family
def external_claims(n):
    """Many tensors of petabytes in a file that is not there."""
    m = model([node("Relu", ["x"], ["y"])])
    for i in range(n // 4):
        t = TensorProto(name=f"w{i}", data_type=1, dims=[1 << 50], data_location=TensorProto.EXTERNAL)
        t.external_data.add(key="location", value="w.bin")
        t.external_data.add(key="length", value=str(1 << 52))
        m.graph.initializer.append(t)
    return m


@family
def string_attributes(n):
    m = model([node("Relu", ["x"], ["y"])])
    m.graph.node[0].attribute.append(AttributeProto(name="s", type=AttributeProto.STRINGS, strings=[b""] * (5 * n)))
    return m


@family
def tensor_attributes(n):
    m = model([node("Relu", ["x"], ["y"])])
    m.graph.node[0].attribute.append(AttributeProto(name="t", type=AttributeProto.TENSORS, tensors=[TensorProto(data_type=1, dims=[0])] * n))
    return m


@family
def graph_attributes(n):
    m = model([node("Relu", ["x"], ["y"])])
    m.graph.node[0].attribute.append(AttributeProto(name="g", type=AttributeProto.GRAPHS, graphs=[GraphProto() for _ in range(n)]))
    return m


@family
def backwards(n):
    m = model(chain([conv(), bn(), lambda a, b: [node("Relu", [a], [b])]], n), [ONE, *STATS])
    nodes = list(m.graph.node)
    del m.graph.node[:]
    m.graph.node.extend(reversed(nodes))
    return m


@family
def empty_functions(n):
    m = model([node("Relu", ["x"], ["y"])])
    m.functions.extend(onnx.FunctionProto(name=f"{i}") for i in range(2 * n))
    return m


@family
def sums_of_constants(n):
    nodes = [node("Add", ["x" if i == 0 else f"v{i - 1}", "g" if i % 2 else "s"], [f"v{i}" if i < n - 1 else "y"]) for i in range(n)]
    return model(nodes, STATS, shape=(1, 5, 5, 2))


@family
def thin_kernels(n):
    """A product of each two is as large as the square of what they hold."""
    wide = n * 4
    nodes = [node("Conv", ["x", "a"], ["p0"])]
    for i in range(6):
        nodes += [node("Conv", [f"p{i}", "b"], [f"q{i}"]), node("Conv", [f"q{i}", "a"], [f"p{i + 1}"])]
    return model(nodes + [node("Conv", ["p6", "b"], ["y"])], [floats("a", 2, wide, 1, 1), floats("b", wide, 2, 1, 1)], shape=(1, wide, 5, 5))


@family
def thin_matrices_summed(n):
    wide = n * 4
    nodes = []
    for i in range(6):
        nodes += [node("MatMul", ["x", "a"], [f"p{i}"]), node("MatMul", [f"p{i}", "b"], [f"q{i}"])]
    return model(nodes + [node("Sum", [f"q{i}" for i in range(6)], ["y"])], [floats("a", wide, 2), floats("b", 2, wide)], shape=(3, wide))


@family
def a_shared_weight(n):
    ops = [conv("ww"), lambda a, b: [node("BatchNormalization", [a, "gg", "gg", "gg", "ss"], [b])], lambda a, b: [node("Relu", [a], [b])]]
    return model(chain(ops, n), [floats("ww", 128, 128, 1, 1), floats("gg", 128), floats("ss", 128, value=1)], shape=(1, 128, 5, 5))


@family
def outputs_of_a_chain(n):
    """Each value is an output of the graph, and each departs in the other model."""
    return model(chain([lambda a, b: [node("Relu", [a], [b])]], n), outputs=[f"v{i}" for i in range(n - 1)] + ["y"])


@family
def a_constant_of_many_that_many_read(n):
    """Each Conv was checked and counted with all that its weight is made of."""
    many = max(2, n // 4)
    nodes = [node("Concat", ["one"] * n, ["c"], axis=0), node("ReduceSum", ["c", "zero"], ["r"]), node("Expand", ["r", "shape"], ["k"])]
    for i in range(many):
        nodes += [node("Conv", ["x", "k"], [f"a{i}"]), node("Mul", [f"a{i}", "g"], [f"o{i}"])]
    return model(nodes, [floats("one", 1, 2, 1, 1), ints("zero", [0]), ints("shape", [2, 2, 1, 1]), floats("g", 2, 1, 1)],
                 outputs=["k", *(f"o{i}" for i in range(many))])


@family
def ifs_on_one_condition(n):
    """Each differs from all in the other model."""
    bodies = [{f"{b}_branch": helper.make_graph([node("Mul", ["x", "k"], ["o"])], b, [], [helper.make_tensor_value_info("o", 1, None)],
                                                [floats("k", value=i + j)]) for j, b in enumerate(("then", "else"))} for i in range(n)]
    nodes = [node("If", ["c"], [f"v{i}"], **b) for i, b in enumerate(bodies)]
    return model([*nodes, node("Sum", [f"v{i}" for i in range(n)], ["y"])], [numpy_helper.from_array(np.array(True), "c")])


@family
def functions_of_one_op(n):
    m = model([node("f0", ["x"], ["y"], domain="f")])
    m.functions.extend(helper.make_function("f", f"f{i}", ["p"], ["q"], [node("Relu", ["p"], ["q"])], [helper.make_opsetid("", 17)]) for i in range(n))
    return m


# Sizes that are only stated

@family
def a_large_constant_summed_again_and_again(n):
    return model([node("ConstantOfShape", ["s"], ["c"]), node("Sum", ["c"] * (n + 1), ["d"]), node("Add", ["x", "d"], ["y"])],
                 [ints("s", [1000, 1900])])


@family
def reductions_of_a_large_constant(n):
    nodes = [node("ConstantOfShape", ["s"], ["c"])]
    nodes += [node(("ReduceSum", "ReduceMean", "ReduceProd")[i % 3], ["c"], [f"r{i}"], keepdims=0) for i in range(n)]
    return model([*nodes, node("Sum", ["x", *(f"r{i}" for i in range(n))], ["y"])], [ints("s", [2000, 1900])])


@family
def reductions_of_a_large_value(n):
    nodes = [node("Relu", ["x"], ["a"]), *(node("ReduceMean", ["a"], [f"r{i}"], keepdims=0) for i in range(n))]
    return model([*nodes, node("Sum", [f"r{i}" for i in range(n)], ["y"])] if n else nodes, shape=(1, 2, 1000, 900), outputs=("y",))


@family
def sums_of_the_same_in_every_order(n):
    k = max(2, int(n ** 0.5))
    nodes = [node("Relu", ["x"], [f"r{i}"]) for i in range(k)]
    nodes += [node("Sum", [f"r{(i + j) % k}" for i in range(k)], [f"o{j}"]) for j in range(k)]
    return model([*nodes, node("Sum", [f"o{j}" for j in range(k)], ["y"])])


@family
def bodies_that_sum_what_is_around_them(n):
    k = max(2, int(n ** 0.5))
    nodes = [node("Relu", ["x"], [f"r{i}"]) for i in range(k)]
    for j in range(k):
        bodies = {f"{b}_branch": helper.make_graph([node(op, [f"r{(i + j) % k}" for i in range(k)] if op == "Sum" else ["x"], ["o"])], b, [],
                                                   [helper.make_tensor_value_info("o", 1, None)])
                  for b, op in (("then", "Sum"), ("else", "Neg"))}
        nodes.append(node("If", ["c"], [f"o{j}"], **bodies))
    return model(nodes, [numpy_helper.from_array(np.array(True), "c")], outputs=[f"o{j}" for j in range(k)])


def stated(name, nodes, inits, **keywords):
    def make(n):
        return model([*nodes(n)], inits(n), **keywords)
    make.__name__ = name
    family(make)


def whole(n):
    return max(1, int(n) * 100)


stated("pool_of_a_large_window", lambda n: [node("AveragePool", ["x"], ["y"], kernel_shape=[whole(n), whole(n)], pads=[whole(n) // 2] * 4, count_include_pad=1)], lambda n: [])
stated("pool_and_norm", lambda n: [node("AveragePool", ["x"], ["a"], kernel_shape=[n, n], pads=[n // 2] * 4, count_include_pad=1), *bn()("a", "y")], lambda n: STATS)
stated("pool_and_conv", lambda n: [node("AveragePool", ["x"], ["a"], kernel_shape=[n, n], pads=[n // 2] * 4, count_include_pad=1), *conv()("a", "y")], lambda n: [ONE])
stated("pools_summed", lambda n: [node("AveragePool", ["x"], ["a"], kernel_shape=[2 * n + 1] * 2, pads=[n] * 4, count_include_pad=1), node("Add", ["a", "x"], ["y"])], lambda n: [])
stated("dilated_and_pointwise", lambda n: [node("Conv", ["x", "w3"], ["a"], dilations=[n, n], pads=[n] * 4), node("Conv", ["x", "w"], ["b"]), node("Add", ["a", "b"], ["y"])], lambda n: [ONE, THREE])
stated("dilated_twice", lambda n: [node("Conv", ["x", "w3"], ["a"], dilations=[n, n], pads=[n] * 4), node("Conv", ["x", "w3"], ["b"], dilations=[n + 1, n + 1], pads=[n + 1] * 4), node("Add", ["a", "b"], ["y"])], lambda n: [THREE])
stated("pad_of_much", lambda n: [node("Pad", ["x", "p"], ["a"]), node("Conv", ["a", "w"], ["y"])], lambda n: [ints("p", [0, 0, whole(n), whole(n), 0, 0, whole(n), whole(n)]), ONE])
stated("stride_of_much", lambda n: [node("Conv", ["x", "w3"], ["a"], strides=[whole(n)] * 2, pads=[1] * 4), *bn()("a", "y")], lambda n: [THREE, *STATS])
stated("fill", lambda n: [node("ConstantOfShape", ["s"], ["c"]), node("Add", ["x", "c"], ["y"])], lambda n: [ints("s", [whole(n), whole(n)])])
stated("fill_a_weight", lambda n: [node("ConstantOfShape", ["s"], ["c"]), node("Conv", ["x", "c"], ["a"]), *bn()("a", "y")], lambda n: [ints("s", [2, 2, n, n]), *STATS])
stated("fill_a_wide_weight", lambda n: [node("ConstantOfShape", ["s"], ["c"]), node("Conv", ["x", "c"], ["a"]), node("ConstantOfShape", ["s1"], ["g"]), node("BatchNormalization", ["a", "g", "g", "g", "g"], ["y"])],
       lambda n: [ints("s", [whole(n), 2, 1, 1]), ints("s1", [whole(n)])])
stated("expand", lambda n: [node("Expand", ["w", "s"], ["c"]), node("Add", ["x", "c"], ["y"])], lambda n: [floats("w", 1), ints("s", [whole(n), whole(n)])])
stated("tile", lambda n: [node("Tile", ["w", "s"], ["c"]), node("Add", ["x", "c"], ["y"])], lambda n: [floats("w", 1, 1), ints("s", [whole(n), whole(n)])])
stated("range", lambda n: [node("Range", ["a", "b", "d"], ["c"]), node("Add", ["x", "c"], ["y"])], lambda n: [floats("a", value=0), floats("b", value=whole(n) ** 2), floats("d", value=1)])
stated("pad_a_constant", lambda n: [node("Pad", ["w", "p"], ["c"]), node("Add", ["x", "c"], ["y"])], lambda n: [ONE, ints("p", [0, 0, whole(n), whole(n), 0, 0, whole(n), whole(n)])])
stated("multiply_fills", lambda n: [node("ConstantOfShape", ["s"], ["c"]), *[node("MatMul", [f"c{i - 1}" if i else "c", "c"], [f"c{i}"]) for i in range(20)], node("Add", ["x", "c19"], ["y"])], lambda n: [ints("s", [n, n])])
stated("einsum_of_fills", lambda n: [node("ConstantOfShape", ["s"], ["c"]), node("Einsum", ["c", "c", "c"], ["d"], equation="ij,jk,kl->il"), node("Add", ["x", "d"], ["y"])], lambda n: [ints("s", [n, n])])
stated("convolve_fills", lambda n: [node("ConstantOfShape", ["s"], ["c"]), node("ConstantOfShape", ["t"], ["v"]), node("Conv", ["c", "v"], ["d"], pads=[n] * 4), node("Add", ["x", "d"], ["y"])],
       lambda n: [ints("s", [1, 1, n, n]), ints("t", [1, 1, n, n])])
stated("fills", lambda n: [node("ConstantOfShape", ["s"], [f"c{i}"]) for i in range(200)] + [node("Sum", ["x"] + [f"c{i}" for i in range(200)], ["y"])], lambda n: [ints("s", [n, n, 100])])
stated("gather_of_fill", lambda n: [node("ConstantOfShape", ["s"], ["c"]), node("ConstantOfShape", ["s"], ["i"], value=ints("", [0])), node("Gather", ["c", "i"], ["d"]), node("Add", ["x", "d"], ["y"])], lambda n: [ints("s", [n, 10])])
stated("reduce_of_fill", lambda n: [node("ConstantOfShape", ["s"], ["c"]), node("ReduceMean", ["c"], ["d"]), node("Add", ["x", "d"], ["y"])], lambda n: [ints("s", [n, n, 100])])
stated("conv_of_a_large_image", lambda n: [*conv()("x", "a"), *bn()("a", "y")], lambda n: [ONE, *STATS], shape=(1, 2, 1 << 30, 1 << 30))
stated("conv_of_a_large_batch", lambda n: [*conv()("x", "a"), *bn()("a", "y")], lambda n: [ONE, *STATS], shape=(1 << 40, 2, 5, 5))
stated("sized_by_auto_pad", lambda n: [node("Conv", ["x", "w3"], ["a"], auto_pad="SAME_UPPER", strides=[2, 2]), *bn()("a", "y")], lambda n: [THREE, *STATS], shape=(1, 2, 3001, 3001))
stated("sized_in_a_row", lambda n: chain([conv("w3", auto_pad="SAME_UPPER", strides=[2, 2]), bn()], 20), lambda n: [THREE, *STATS], shape=(1, 2, 1001, 1001))
stated("many_groups", lambda n: [node("Conv", ["x", "w"], ["a"], group=n), node("Add", ["a", "x"], ["y"])], lambda n: [floats("w", n, 1, 1, 1)], shape=(1, 0, 5, 5))
stated("upsampled", lambda n: [node("ConvTranspose", ["x", "w"], ["a"], strides=[whole(n)] * 2), *bn()("a", "y")], lambda n: [ONE, *STATS])
stated("scatter", lambda n: [node("ConstantOfShape", ["s"], ["i"], value=ints("", [0])), node("ScatterND", ["x", "i", "x"], ["y"])], lambda n: [ints("s", [n, n, 4])])
stated("depthwise_widened", lambda n: [node("Conv", ["x", "w"], ["a"], group=n), node("Conv", ["x", "v"], ["b"], group=max(1, n // 2)), node("Add", ["a", "b"], ["y"])],
       lambda n: [floats("w", n, 1, 1, 1), floats("v", n // 2 * 2, 2, 1, 1)])


# ---- running ----

def fit(make, largest):
    """The largest model of a family below a size, and one of half of it."""
    n = 64
    while n < 1 << 20 and len(make(n).SerializeToString()) * 2 <= largest:
        n *= 2
    return [(k, make(k).SerializeToString()) for k in (n // 2, n)]


def commands(binary, path, other, out):
    yield "fuse", [binary, path, "-o", out]
    yield "fuse --max-growth 1e9", [binary, path, "-o", out, "--max-growth", "1e9"]
    yield "info", [binary, "info", path]
    yield "dump", [binary, "dump", path]
    yield "diff", [binary, "diff", path, other]
    yield "verify", [binary, "verify", path, other]
    yield "verify fused", [binary, "verify", path, out]


def changed(data):
    """The same with other attributes and ops, so that much of it finds no partner."""
    m = onnx.ModelProto.FromString(data)
    for i, k in enumerate(m.graph.node):
        k.name = f"other{i}"
        if k.op_type == "Relu":
            k.op_type = "Sigmoid"
        elif k.op_type == "Add":
            k.op_type = "Sub"
        elif k.op_type == "BatchNormalization":
            k.attribute.append(AttributeProto(name="epsilon", type=AttributeProto.FLOAT, f=0.25))
    return m.SerializeToString()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary", default=os.environ.get("ONNX_REPVGG_FUSE", "build/onnx-repvgg-fuse"))
    p.add_argument("--only", default="")
    p.add_argument("--seconds", type=float, default=2)
    p.add_argument("--largest", type=int, default=100_000)
    p.add_argument("--all", action="store_true", help="print every run, not only the dear ones")
    a = p.parse_args()
    bad = runs = 0
    worst = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, make in FAMILIES.items():
            if a.only not in name:
                continue
            half = {}
            for n, data in fit(make, a.largest):
                path, other, out = folder / "a.onnx", folder / "b.onnx", folder / "out.onnx"
                path.write_bytes(data)
                other.write_bytes(changed(data))
                for what, arguments in commands(a.binary, path, other, out):
                    if what == "verify fused" and not out.exists():
                        continue
                    seconds, memory, code, error = cost(arguments, max(20, int(a.seconds * 10)))
                    runs += 1
                    size = len(data) * (2 if what in ("diff", "verify", "verify fused") else 1)
                    over = memory > 16 * size + (64 << 20) or seconds > a.seconds or code < 0
                    steep = what in half and seconds > 0.3 and seconds > 2.8 * half[what]
                    if a.all or over or steep:
                        growth = f", x{seconds / max(half[what], 1e-3):.1f}" if what in half else ""
                        print(f"{'BAD ' if over else 'steep ' if steep else ''}{name} n={n} {size} bytes, {what}: {seconds:.2f} s{growth}, "
                              f"{memory / 2**20:.0f} MB, exit {code} {error.strip()[:150]}", flush=True)
                    bad += bool(over)
                    half[what] = seconds
                    worst[what] = max(worst.get(what, (0, "")), (seconds, name))
                for f in folder.iterdir():
                    f.unlink()
    print(f"{runs} runs of {len(FAMILIES)} families, {bad} beyond the limits")
    for what, (seconds, name) in worst.items():
        print(f"  {what}: at most {seconds:.2f} s ({name})")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
