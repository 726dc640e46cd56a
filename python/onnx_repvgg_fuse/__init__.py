"""Fuse re-parameterisation branches of ONNX models (RepVGG and its descendants), exactly.

    import onnx_repvgg_fuse
    result = onnx_repvgg_fuse.fuse("model.onnx", "fused.onnx")
    print(result.report)

`fuse` takes a path, bytes, an onnx.ModelProto or an onnx_ir.Model and gives the same kind back.
`verify` compares two models by running both, `testing.assert_equivalent` is the same for tests,
`ir.FusePass` is a pass of onnx_ir. onnx, onnx_ir and onnxruntime are optional: nothing is imported
before it is needed.
"""
from __future__ import annotations

from ._errors import Cancelled, FileError, ModelError, OnnxFuseError, OptionError, OutOfMemory
from ._fuse import Result, fuse, passes
from ._library import library as _c
from ._report import Counts, Fusion, Op, Refusal, Report

__all__ = [
    "Cancelled", "Counts", "FileError", "Fusion", "ModelError", "OnnxFuseError", "Op", "OptionError", "OutOfMemory",
    "Refusal", "Report", "Result", "fuse", "passes",
]

__version__: str = _c.onnx_fuse_version().decode()
