"""Protobuf by hand, for files that no library would write."""


def varint(n):
    out = bytearray()
    n &= (1 << 64) - 1
    while True:
        n, low = n >> 7, n & 127
        out.append(low | (128 if n else 0))
        if not n:
            return bytes(out)


def tag(field, kind):
    return varint(field << 3 | kind)


def number(field, value):
    return tag(field, 0) + varint(value)


def block(field, data, length=None):
    data = data.encode() if isinstance(data, str) else bytes(data)
    return tag(field, 2) + varint(len(data) if length is None else length) + data


def model(graph, opset=17, ir=8, extra=b""):
    """ModelProto around the bytes of a GraphProto."""
    return number(1, ir) + block(7, graph) + block(8, block(1, "") + number(2, opset)) + extra


def value_info(name, dims, elem=1):
    shape = b"".join(block(1, number(1, d)) for d in dims)
    return block(1, name) + block(2, block(1, number(1, elem) + block(2, shape)))


def node(op, inputs, outputs, *attributes, name="node"):
    return (b"".join(block(1, i) for i in inputs) + b"".join(block(2, o) for o in outputs) + block(3, name)
            + block(4, op) + b"".join(block(5, a) for a in attributes))


def relu_graph(extra=b""):
    """x -> Relu -> y, and whatever else is asked for."""
    return (block(1, node("Relu", ["x"], ["y"])) + block(2, "plain") + extra + block(11, value_info("x", [2, 3]))
            + block(12, value_info("y", [2, 3])))
