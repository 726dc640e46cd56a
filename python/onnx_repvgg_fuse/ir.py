"""Fusing as a pass of onnx_ir (onnxscript's rewriter and optimizer work on its models).

    import onnx_ir
    from onnx_repvgg_fuse.ir import FusePass
    result = onnx_ir.passes.Sequential(FusePass(), OtherPass())(model)

Needs `pip install onnx-repvgg-fuse[ir]`.
"""
from __future__ import annotations

from typing import Any, Optional

import onnx_ir

from ._fuse import fuse
from ._report import Report

__all__ = ["FusePass"]


class FusePass(onnx_ir.passes.FunctionalPass):
    """`fuse` as a pass: hands back a new model, the input stays as it was.

    options: those of `fuse`. `report` is that of the last run, None before the first.
    Raises what `fuse` raises, in onnx_ir's PassError when it runs inside a Sequential.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self._options = options
        self.report: Optional[Report] = None

    def call(self, model: onnx_ir.Model) -> onnx_ir.passes.PassResult:
        result = fuse(model, **self._options)
        self.report = result.report
        return onnx_ir.passes.PassResult(result.model, modified=result.report.changed)
