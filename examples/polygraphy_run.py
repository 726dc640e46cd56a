#!/usr/bin/env python3
"""Compare the original and the fused model with polygraphy.

usage: polygraphy_run.py IN OUT

On the command line:

    onnx-repvgg-fuse model.onnx fused.onnx
    polygraphy run model.onnx --onnxrt --save-inputs inputs.json --save-outputs outputs.json
    polygraphy run fused.onnx --onnxrt --load-inputs inputs.json --load-outputs outputs.json
"""
import sys

from polygraphy.backend.onnxrt import OnnxrtRunner, SessionFromOnnx
from polygraphy.comparator import Comparator, SimpleCompareFunc

import onnx_repvgg_fuse
from onnx_repvgg_fuse import testing


def main(source, target):
    onnx_repvgg_fuse.fuse(source, target)
    runners = [OnnxrtRunner(SessionFromOnnx(str(path)), name=name)
               for path, name in ((source, "before"), (target, "after"))]
    results = Comparator.run(runners, data_loader=[testing.generate_inputs(source)])
    agree = Comparator.compare_accuracy(results, compare_func=SimpleCompareFunc(rtol=1e-4, atol=1e-4))
    print("before and after agree" if agree else "before and after DIFFER")
    return bool(agree)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(not main(*sys.argv[1:]))
