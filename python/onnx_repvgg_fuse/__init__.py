"""Fuse re-parameterisation branches of ONNX models (RepVGG and its descendants), exactly.

    import onnx_repvgg_fuse
    result = onnx_repvgg_fuse.fuse("model.onnx", "fused.onnx")
    print(result.report)

`fuse` takes a path, bytes, an onnx.ModelProto or an onnx_ir.Model, and returns the same kind. `diff` shows what
changed between two models, `verify` checks whether they compute the same, `info` summarises a model, and `dump`
prints it. `onnx_repvgg_fuse.testing.assert_equivalent` compares two models under ONNX Runtime, and
`onnx_repvgg_fuse.ir.FusePass` is a pass of onnx_ir. onnx, onnx_ir and onnxruntime are optional, and imported only
when they are needed.
"""
from __future__ import annotations

from ._call import bar
from ._errors import Cancelled, FileError, FileMissing, ModelError, OnnxFuseError, OptionError, OutOfMemory
from ._fuse import Result, fuse, passes
from ._library import library as _c
from ._many import fuse_many
from ._report import Counts, Fusion, Op, Refusal, Report
from ._views import Diff, Info, Verdict, diff, dump, info, verify

__all__ = [
    "fuse", "fuse_many", "diff", "verify", "info", "dump", "passes", "bar",
    "Result", "Report", "Fusion", "Refusal", "Op", "Counts", "Diff", "Verdict", "Info",
    "OnnxFuseError", "ModelError", "FileError", "FileMissing", "OptionError", "OutOfMemory", "Cancelled",
]

__version__: str = _c.onnx_fuse_version().decode()
