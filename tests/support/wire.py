"""Protobuf's wire format, as much of it as it takes to compare messages byte for byte."""


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, payload):
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def unknown(number, text):
    """Fields that no schema of ONNX has: bytes, a varint, a fixed64 and a fixed32."""
    data = text.encode()
    return (field(number, data) + varint((number + 1) << 3) + varint(300 + len(data))
            + varint((number + 2) << 3 | 1) + bytes(range(8)) + varint((number + 3) << 3 | 5) + b"\x01\x02\x03\x04")


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    """A message's fields in file order: (number, whole field, payload); the payload of a varint is its bytes."""
    at, out = 0, []
    while at < len(data):
        start = at
        key, at = read_varint(data, at)
        kind = key & 7
        body = at
        if kind == 0:
            _, at = read_varint(data, at)
        elif kind == 1:
            at += 8
        elif kind == 5:
            at += 4
        else:
            size, body = read_varint(data, at)
            at = body + size
        out.append((key >> 3, data[start:at], data[body:at]))
    return out


def only(data, number):
    return [payload for n, _, payload in fields(data) if n == number]


def without(data, *numbers):
    return [whole for n, whole, _ in fields(data) if n not in numbers]
