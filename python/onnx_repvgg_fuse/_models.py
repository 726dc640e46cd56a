"""The kinds of models that functions take, and the way of each to bytes and back."""
from __future__ import annotations

import os
import sys
from typing import Any, Optional, Union

from ._errors import ModelError, OptionError

KINDS = "a path, bytes, onnx.ModelProto or onnx_ir.Model"
TWO_GIB = ("protobuf holds at most 2 GiB: write it with onnx.save(model, path, save_as_external_data=True) "
           "and give the path")


def kind_of(model: object) -> str:
    """"path", "bytes", "proto" or "ir". TypeError names what else it is.

    onnx and onnx_ir are looked up, not imported: who has such a model has imported them.
    """
    if isinstance(model, (str, os.PathLike)):
        return "path"
    if isinstance(model, (bytes, bytearray, memoryview)):
        return "bytes"
    onnx, ir = sys.modules.get("onnx"), sys.modules.get("onnx_ir")
    if onnx is not None and isinstance(model, onnx.ModelProto):
        return "proto"
    if ir is not None and isinstance(model, ir.Model):
        return "ir"
    raise TypeError(f"model is {described(model)}, expected {KINDS}")


def described(thing: object) -> str:
    """A type as a reader knows it: "a list", "a torch.nn.modules.module.Module"."""
    if thing is None:
        return "None"
    kind = type(thing)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def path_bytes(path: Union[str, os.PathLike[Any]], what: str) -> bytes:
    """A path for the C library. "-" is a file of that name, not a stream."""
    encoded = os.fsencode(path)
    if not encoded:
        raise OptionError(f"{what}: the path is empty")
    if b"\0" in encoded:
        raise OptionError(f"{what}: the path {os.fspath(path)!r} holds a NUL")
    return b"./-" if encoded == b"-" else encoded


def proto_bytes(proto: Any) -> bytes:
    """A ModelProto's encoding. ModelError when it is too large to have one."""
    try:
        data: bytes = proto.SerializeToString()
    except Exception as error:
        raise ModelError(f"the ModelProto cannot be serialised ({error}); {TWO_GIB}") from error
    return data


def proto_from(data: bytes, like: Any) -> Any:
    """A new message of the type of `like`."""
    proto = type(like)()
    try:
        proto.ParseFromString(data)
    except Exception as error:
        raise ModelError(f"the result cannot be parsed ({error}); {TWO_GIB}") from error
    return proto


def external_tensors(model: Any) -> list[Any]:
    """The tensors of an onnx_ir.Model that lie in files, each once."""
    import onnx_ir

    found: dict[int, Any] = {}
    for graph in model.graphs():
        for value in graph.initializers.values():
            tensor = value.const_value
            if isinstance(tensor, onnx_ir.ExternalTensor):
                found[id(tensor)] = tensor
        for node in graph:
            for attribute in node.attributes.values():
                if attribute.type == onnx_ir.AttributeType.TENSOR and isinstance(attribute.value, onnx_ir.ExternalTensor):
                    found[id(attribute.value)] = attribute.value
    return list(found.values())


def external_folder_of(model: Any) -> Optional[str]:
    """Where an onnx_ir.Model keeps its external data. ModelError when that is more than one folder."""
    folders = {os.path.abspath(tensor.base_dir) for tensor in external_tensors(model)}
    if len(folders) > 1:
        raise ModelError(f"the external data of the onnx_ir.Model lies in several folders: {', '.join(sorted(folders))}; "
                         "load it with onnx_ir.external_data.load_to_model first")
    return folders.pop() if folders else None


def ir_bytes(model: Any) -> bytes:
    """An onnx_ir.Model's encoding."""
    import onnx_ir

    return proto_bytes(onnx_ir.to_proto(model))


def ir_from(data: bytes, folder: Optional[str]) -> Any:
    """A new onnx_ir.Model; what external data it still has lies in `folder`."""
    import onnx
    import onnx_ir

    model = onnx_ir.from_proto(proto_from(data, onnx.ModelProto()))
    if folder is not None:
        for graph in model.graphs():
            onnx_ir.external_data.set_base_dir(graph, folder)
    return model


def to_bytes(model: Any) -> bytes:
    """Any kind but a path, as bytes."""
    kind = kind_of(model)
    if kind == "proto":
        return proto_bytes(model)
    if kind == "ir":
        return ir_bytes(model)
    return bytes(model)
