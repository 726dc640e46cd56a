"""The kinds of models that functions take, and their conversion to bytes and back."""
from __future__ import annotations

import mmap
import os
import sys
from typing import TYPE_CHECKING, Any, Optional, Union

from ._arguments import AnyPath, described
from ._errors import FileError, ModelError

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnx_ir import Model as IrModel

    AnyModel = Union[AnyPath, bytes, bytearray, memoryview, mmap.mmap, ModelProto, IrModel]
else:
    AnyModel = Any  # onnx and onnx_ir may be absent

KINDS = "a path, bytes, onnx.ModelProto or onnx_ir.Model"
TWO_GIB = ("protobuf holds at most 2 GiB: write it with onnx.save(model, path, save_as_external_data=True) "
           "and give the path")


def kind_of(model: object, what: str = "model") -> str:
    """"path", "bytes", "proto" or "ir". The TypeError names any other type.

    onnx and onnx_ir are looked up, not imported: who has such a model has imported them.
    """
    if isinstance(model, (str, os.PathLike)):
        return "path"
    if isinstance(model, memoryview) and not model.c_contiguous:
        raise TypeError(f"{what} is a memoryview with gaps, expected contiguous bytes")
    if isinstance(model, (bytes, bytearray, memoryview, mmap.mmap)):
        return "bytes"
    onnx, ir = sys.modules.get("onnx"), sys.modules.get("onnx_ir")
    if onnx is not None and isinstance(model, onnx.ModelProto):
        return "proto"
    if ir is not None and isinstance(model, ir.Model):
        return "ir"
    raise TypeError(f"{what} is {described(model)}, expected {KINDS}")


def proto_bytes(proto: Any) -> bytes:
    """A ModelProto's encoding. ModelError if it is too large."""
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


def external_folder_of(model: Any) -> Optional[str]:
    """The folder of an onnx_ir.Model's external data. ModelError if there are several."""
    import onnx_ir

    folders = set()
    for graph in model.graphs():
        for value in graph.initializers.values():
            if isinstance(value.const_value, onnx_ir.ExternalTensor):
                folders.add(os.path.abspath(value.const_value.base_dir))
        for node in graph:
            for attribute in node.attributes.values():
                if attribute.type == onnx_ir.AttributeType.TENSOR and isinstance(attribute.value, onnx_ir.ExternalTensor):
                    folders.add(os.path.abspath(attribute.value.base_dir))
    if len(folders) > 1:
        raise ModelError(f"the external data of the onnx_ir.Model lies in several folders: {', '.join(sorted(folders))}; "
                         "load it with onnx_ir.external_data.load_to_model first")
    return folders.pop() if folders else None


def ir_proto(model: Any) -> Any:
    """A new ModelProto of an onnx_ir.Model."""
    import onnx_ir

    try:
        return onnx_ir.to_proto(model)
    except Exception as error:
        raise ModelError(f"the onnx_ir.Model cannot be serialised ({error}); protobuf holds at most 2 GiB: write it "
                         "with onnx_ir.save(model, path, external_data=\"weights.data\") and give the path") from error


def ir_from(data: bytes, folder: Optional[str]) -> Any:
    """A new onnx_ir.Model; its remaining external data is in `folder`."""
    import onnx
    import onnx_ir

    model = onnx_ir.from_proto(proto_from(data, onnx.ModelProto()))
    if folder is not None:
        for graph in model.graphs():
            onnx_ir.external_data.set_base_dir(graph, folder)
    return model


def as_buffer(model: Any) -> Any:
    """Any kind except a path, as an object with a buffer; external data stays where it is."""
    kind = kind_of(model)
    if kind == "bytes":
        return model
    return proto_bytes(model if kind == "proto" else ir_proto(model))


def folder_of(model: Any, given: Optional[AnyPath]) -> Optional[str]:
    """The folder of the external data of a model in memory, if it is known."""
    if given is not None:
        return os.fspath(given)
    return external_folder_of(model) if kind_of(model) == "ir" else None


def hint_of_external(said: str, given: Optional[AnyPath]) -> str:
    """Advice, if an error is about external data of a model in memory."""
    return "; give external_folder, or the model's path" if given is None and "xternal data" in said else ""


def in_one_piece(model: Any, given: Optional[AnyPath], what: str) -> Any:
    """Like as_buffer, but with external data in the model, if its folder is known.

    onnx is needed for that only.
    """
    folder = folder_of(model, given)
    if folder is None:
        return as_buffer(model)
    import onnx

    kind = kind_of(model)
    proto = ir_proto(model) if kind == "ir" else onnx.ModelProto()
    if kind == "proto":
        proto.CopyFrom(model)
    elif kind == "bytes":
        try:
            proto.ParseFromString(bytes(model))
        except Exception:
            return model  # the library says better what is wrong with it, and where
    try:
        onnx.external_data_helper.load_external_data_for_model(proto, folder)
    except Exception as error:
        raise FileError(f"{what}: its external data cannot be read from '{folder}': {error}") from error
    return proto_bytes(proto)
