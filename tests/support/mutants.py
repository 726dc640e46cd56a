"""Kinds of mutants: each takes a model and a random generator, alters the model and says what it did, or returns None."""
import collections
import functools

import numpy as np
import onnx
from onnx import AttributeProto, helper, numpy_helper
from onnx.backend.test import loader

from tests.support.tool import graphs_of, scopes

def float_tensors(model):
    for g in graphs_of(model.graph):
        yield from (t for t in g.initializer if t.data_type == onnx.TensorProto.FLOAT and np.prod(t.dims) > 0)
    for _, nodes in scopes(model):
        for n in nodes:
            for a in n.attribute:
                if n.op_type == "Constant" and a.type == AttributeProto.TENSOR and a.t.data_type == onnx.TensorProto.FLOAT:
                    yield a.t


def pick(rng, items):
    items = list(items)
    return items[rng.integers(len(items))] if items else None


def numbers(change):
    def mutate(model, rng):
        tensor = pick(rng, float_tensors(model))
        if tensor is None:
            return None
        before = numpy_helper.to_array(tensor)
        after = change(before.copy(), rng)
        if after is None:
            return None
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(after, np.float32), name))
        return f"{change.__name__} of '{name}'"
    mutate.__name__ = change.__name__
    return mutate


def one(array, rng):
    return tuple(rng.integers(d) for d in array.shape)


def nudge_one(array, rng):
    array[one(array, rng)] *= 1 + 10.0 ** rng.uniform(-4, -1)
    return array


def shift_one(array, rng):
    array[one(array, rng)] += 10.0 ** rng.uniform(-3, 0)
    return array


def flip_one(array, rng):
    array[one(array, rng)] *= -1
    return array


def zero_one(array, rng):
    array[one(array, rng)] = 0
    return array


def scale_channel(array, rng):
    if array.ndim == 0:
        return None
    array[rng.integers(len(array))] *= 1 + 10.0 ** rng.uniform(-3, 0)
    return array


def swap_channels(array, rng):
    if array.ndim == 0 or len(array) < 2:
        return None
    i, k = rng.choice(len(array), 2, replace=False)
    array[[i, k]] = array[[k, i]]
    return array


def swap_inputs(array, rng):
    if array.ndim < 2 or array.shape[1] < 2:
        return None
    i, k = rng.choice(array.shape[1], 2, replace=False)
    array[:, [i, k]] = array[:, [k, i]]
    return array


def mirror_kernel(array, rng):
    return array[..., ::-1] if array.ndim > 2 and array.shape[-1] > 1 else None


def transpose_kernel(array, rng):
    return np.swapaxes(array, -1, -2) if array.ndim == 4 and array.shape[-1] == array.shape[-2] > 1 else None


def roll_kernel(array, rng):
    return np.roll(array, 1, -1) if array.ndim > 2 and array.shape[-1] > 1 else None


def all_nodes(model):
    return [(o, nodes, n) for o, nodes in scopes(model) for n in nodes]


def set_attribute(node, name, value):
    for a in list(node.attribute):
        if a.name == name:
            node.attribute.remove(a)
    if value is not None:
        node.attribute.append(helper.make_attribute(name, value))


def attribute(node, name, otherwise):
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), otherwise)


def convs(model):
    return [n for _, _, n in all_nodes(model) if n.op_type in ("Conv", "ConvTranspose")]


def drop_bias(model, rng):
    node = pick(rng, [n for n in convs(model) if len(n.input) > 2])
    if node is None:
        return None
    del node.input[2]
    return f"bias of {node.name} dropped"


def swap_bias(model, rng):
    node = pick(rng, [n for n in convs(model) if len(n.input) > 2])
    other = pick(rng, [n for n in convs(model) if len(n.input) > 2 and n is not node])
    if other is None:
        return None
    node.input[2], other.input[2] = other.input[2], node.input[2]
    return f"biases of {node.name} and {other.name} swapped"


def swap_weights(model, rng):
    found = convs(model)
    if len(found) < 2:
        return None
    i, k = rng.choice(len(found), 2, replace=False)
    found[i].input[1], found[k].input[1] = found[k].input[1], found[i].input[1]
    return f"weights of {found[i].name} and {found[k].name} swapped"


def shift_pads(model, rng):
    node = pick(rng, [n for n in convs(model) if any(attribute(n, "pads", [0]))])
    if node is None:
        return None
    pads = list(attribute(node, "pads", None))
    rank = len(pads) // 2
    axis = rng.integers(rank)
    step = 1 if pads[axis] else -1  # the window moves, the size stays
    if pads[axis] - step < 0 or pads[rank + axis] + step < 0:
        return None
    pads[axis] -= step
    pads[rank + axis] += step
    set_attribute(node, "pads", pads)
    return f"pads of {node.name} moved"


def grow_pads(model, rng):
    node = pick(rng, [n for n in convs(model) if attribute(n, "pads", None)])
    if node is None:
        return None
    pads = list(attribute(node, "pads", None))
    pads[rng.integers(len(pads))] += 1
    set_attribute(node, "pads", pads)
    return f"a pad of {node.name} grown"


def dilate(model, rng):
    node = pick(rng, [n for n in convs(model) if max(attribute(n, "kernel_shape", [1])) > 1])
    if node is None:
        return None
    rank = len(attribute(node, "kernel_shape", None))
    set_attribute(node, "dilations", [2] * rank)
    pads = list(attribute(node, "pads", [0] * (2 * rank)))
    kernel = list(attribute(node, "kernel_shape", None)) * 2
    set_attribute(node, "pads", [p + (k - 1) // 2 for p, k in zip(pads, kernel)])
    return f"{node.name} dilated"


def stride(model, rng):
    node = pick(rng, convs(model))
    if node is None:
        return None
    rank = len(attribute(node, "kernel_shape", [1, 1]))
    strides = list(attribute(node, "strides", [1] * rank))
    strides[rng.integers(rank)] += 1
    set_attribute(node, "strides", strides)
    return f"strides of {node.name} changed"


def number_attribute(model, rng):
    found = [(n, a) for _, _, n in all_nodes(model) for a in n.attribute if a.type == AttributeProto.FLOAT]
    if not found:
        return None
    node, a = pick(rng, found)
    a.f = a.f * 1.5 + 0.01
    return f"{a.name} of {node.name} changed"


def other_operator(model, rng):
    table = {"Relu": ["Sigmoid", "LeakyRelu", "Abs", "Identity", "Tanh"], "Add": ["Sub", "Mul"], "Sub": ["Add"], "Mul": ["Add"],
             "Sigmoid": ["Tanh", "Relu"], "Neg": ["Identity"]}
    node = pick(rng, [n for _, _, n in all_nodes(model) if n.op_type in table])
    if node is None:
        return None
    was, node.op_type = node.op_type, pick(rng, table[node.op_type])
    return f"{was} {node.name} became {node.op_type}"


def rewire(model, rng):
    """One input of one node reads another value made before it."""
    owner, nodes = pick(rng, [(o, ns) for o, ns in scopes(model) if len(ns)])
    at = int(rng.integers(len(nodes)))
    node = nodes[at]
    known = [i.name if hasattr(i, "name") else i for i in owner.input]
    known += [o for n in nodes[:at] for o in n.output]
    held = {t.name for t in getattr(owner, "initializer", [])}
    slots = [i for i, name in enumerate(node.input) if name and name not in held]
    if not slots or not known:
        return None
    slot, name = pick(rng, slots), pick(rng, known)
    if node.input[slot] == name:
        return None
    was, node.input[slot] = node.input[slot], name
    return f"{node.name} reads '{name}', not '{was}'"


def swap_operands(model, rng):
    node = pick(rng, [n for _, _, n in all_nodes(model) if n.op_type in ("Sub", "Div", "Concat", "MatMul") and len(n.input) > 1])
    if node is None:
        return None
    node.input[0], node.input[1] = node.input[1], node.input[0]
    return f"operands of {node.name} swapped"


def bypass(model, rng):
    """A node is taken out: its readers read its input."""
    owner, nodes = pick(rng, [(o, ns) for o, ns in scopes(model) if len(ns)])
    outputs = {o.name if hasattr(o, "name") else o for o in owner.output}
    node = pick(rng, [n for n in nodes if len(n.input) and n.input[0] and n.output[0] not in outputs])
    if node is None:
        return None
    for n in nodes:
        for i, name in enumerate(n.input):
            if name == node.output[0]:
                n.input[i] = node.input[0]
    nodes.remove(node)
    return f"{node.op_type} {node.name} taken out"


def swap_branches(model, rng):
    node = pick(rng, [n for _, _, n in all_nodes(model) if n.op_type == "If"])
    if node is None:
        return None
    for a in node.attribute:
        a.name = {"then_branch": "else_branch", "else_branch": "then_branch"}[a.name]
    return "branches of If swapped"


MUTATIONS = [
    *map(numbers, (nudge_one, shift_one, flip_one, zero_one, scale_channel, swap_channels, swap_inputs, mirror_kernel,
                   transpose_kernel, roll_kernel)),
    drop_bias, swap_bias, swap_weights, shift_pads, grow_pads, dilate, stride, number_attribute, other_operator, rewire,
    swap_operands, bypass, swap_branches,
]


# Attributes of any operator


def schema_of(model, node):
    version = next((o.version for o in model.opset_import if o.domain == node.domain), 1)
    try:
        return onnx.defs.get_schema(node.op_type, version, node.domain)
    except onnx.defs.SchemaError:
        return None


@functools.cache
def known():
    """The values that onnx's own cases give each attribute of each operator."""
    found = collections.defaultdict(set)
    for case in loader.load_model_tests(kind="node"):
        for node in case.model.graph.node if case.model else ():
            for a in node.attribute:
                if a.type in (AttributeProto.STRING, AttributeProto.INT):
                    found[node.op_type, a.name].add(helper.get_attribute_value(a))
    return found


def moved(model, node, name, number):
    """Another integer: of a flag, the other one."""
    schema = schema_of(model, node)
    told = schema.attributes[name].default_value if schema and name in schema.attributes else None
    seen = known()[node.op_type, name] | ({told.i} if told and told.type == AttributeProto.INT else set())
    return 1 - number if seen and seen <= {0, 1} and number in (0, 1) else None


def integer_attribute(model, rng):
    found = [(n, a) for _, _, n in all_nodes(model) for a in n.attribute
             if a.type == AttributeProto.INT or (a.type == AttributeProto.INTS and a.ints)]
    if not found:
        return None
    node, a = pick(rng, found)
    step = 1 if rng.integers(2) else -1
    if a.type == AttributeProto.INT:
        flag = moved(model, node, a.name, a.i)
        a.i = a.i + step if flag is None else flag
        return f"{a.name} of {node.op_type} {node.name} became {a.i}"
    a.ints[int(rng.integers(len(a.ints)))] += step
    return f"{a.name} of {node.op_type} {node.name} moved by {step}"


def integer_constant(model, rng):
    tensors = [t for g in graphs_of(model.graph) for t in g.initializer]
    tensors += [a.t for _, _, n in all_nodes(model) for a in n.attribute if n.op_type == "Constant" and a.name == "value"]
    tensor = pick(rng, [t for t in tensors if t.data_type == onnx.TensorProto.INT64 and np.prod(t.dims) > 0])
    if tensor is None:
        return None
    array = numpy_helper.to_array(tensor).copy()
    array[one(array, rng)] += 1 if rng.integers(2) else -1
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return f"integers of '{tensor.name}'"


def spell_default(model, rng):
    """A number that an operator takes when none is given becomes another one."""
    found = []
    for _, _, node in all_nodes(model):
        schema, given = schema_of(model, node), {a.name for a in node.attribute}
        for name, told in (schema.attributes if schema else {}).items():
            if name not in given and told.default_value.type in (AttributeProto.INT, AttributeProto.FLOAT):
                found.append((node, told.default_value))
    if not found:
        return None
    node, told = pick(rng, found)
    a = node.attribute.add()
    a.CopyFrom(told)
    if a.type == AttributeProto.INT:
        flag = moved(model, node, a.name, a.i)
        a.i = a.i + 1 if flag is None else flag
    else:
        a.f = a.f * 1.5 + 0.01
    return f"{a.name} of {node.op_type} {node.name} set to {helper.get_attribute_value(a)}"


def other_word(model, rng):
    """A mode becomes another one."""
    found = []
    for _, _, node in all_nodes(model):
        schema = schema_of(model, node)
        for name in schema.attributes if schema else ():
            words = {w for w in known()[node.op_type, name] if isinstance(w, bytes)} - {attribute(node, name, None)}
            found += [(node, name, word) for word in sorted(words) if name != "equation"]
    if not found:
        return None
    node, name, word = pick(rng, found)
    if name == "auto_pad":  # in its place
        set_attribute(node, "pads", None)
    set_attribute(node, name, word)
    return f"{name} of {node.op_type} {node.name} became {word.decode()}"


ATTRIBUTES = [integer_attribute, integer_attribute, number_attribute, spell_default, other_word]
