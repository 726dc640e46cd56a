"""Fuse as a pass of onnx_ir, the basis of onnxscript's rewriter and optimizer.

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
    """`fuse` as a pass: it returns a new model and does not change its input.

    options: the options of `fuse`. `report` is the report of the last run, None before the first.
    Raises the errors of `fuse`; inside a Sequential, onnx_ir wraps them in a PassError.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self._options = options
        self.report: Optional[Report] = None

    def call(self, model: onnx_ir.Model) -> onnx_ir.passes.PassResult:
        result = fuse(model, **self._options)
        self.report = result.report
        return onnx_ir.passes.PassResult(result.model, modified=result.report.changed)
