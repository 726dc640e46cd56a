#!/usr/bin/env python3
"""Fuse as a pass of onnx_ir, the basis of onnxscript's optimizer and rewriter.

usage: onnx_ir_pass.py IN OUT
"""
import sys

import onnx_ir
from onnx_ir.passes import common

from onnx_repvgg_fuse.ir import FusePass


def main(source, target):
    fuse = FusePass()
    # FusePass returns a new model, and the others work in place; Sequential accepts both.
    passes = onnx_ir.passes.Sequential(fuse, common.RemoveUnusedNodesPass(), common.TopologicalSortPass())
    result = passes(onnx_ir.load(source))
    onnx_ir.save(result.model, target)
    print(fuse.report)
    return fuse.report


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
