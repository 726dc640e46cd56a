"""What a type checker says of users' lines: test_typing.py runs mypy and pyright on this file, as they come.

A line that ends in `# error` must be one, and no other line. mypy knows nothing of protobuf's classes without stubs of them, and
takes a message for anything.
"""
import pathlib

import onnx
import onnx_ir
from typing_extensions import assert_type

import onnx_repvgg_fuse as fuser
from onnx_repvgg_fuse import Result
from onnx_repvgg_fuse.testing import Comparison

proto = onnx.load("model.onnx")
path = pathlib.Path("model.onnx")

assert_type(fuser.fuse(proto), Result[onnx.ModelProto])
assert_type(fuser.fuse(proto).model, onnx.ModelProto)
assert_type(fuser.fuse(path, path), Result[pathlib.Path])
assert_type(fuser.fuse("model.onnx", path).model, pathlib.Path)
assert_type(fuser.fuse(path, "fused.onnx").model, str)
assert_type(fuser.fuse(path, dry_run=True), Result[pathlib.Path])
assert_type(fuser.fuse(b"").model, bytes)
assert_type(fuser.fuse(bytearray(), jobs=1).model, bytes)
assert_type(fuser.fuse(onnx_ir.load("model.onnx")).model, onnx_ir.Model)
assert_type(fuser.verify(path, proto), fuser.Verdict)
assert_type(fuser.verify(path, proto, runtime="onnxruntime"), Comparison)
assert_type(fuser.diff(b"", path).same, bool)
assert_type(fuser.dump(proto), str)
missing: type[FileNotFoundError] = fuser.FileMissing

fuser.fuse(3)  # error
fuser.fuse(proto.graph)  # error of pyright
fuser.fuse(path)  # error
fuser.fuse(proto, "fused.onnx")  # error of pyright
fuser.fuse(proto, jobs="all")  # error
fuser.diff(proto, None)  # error
fuser.info([proto])  # error
fuser.fuse(proto).modell  # error
