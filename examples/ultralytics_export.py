#!/usr/bin/env python3
"""ultralytics' own export, then fuse: its exporter fuses the branches it knows, this the rest.

usage: ultralytics_export.py [--from FILE] [WEIGHTS [OUT]]

WEIGHTS: what YOLO() takes (default: yolov9t.yaml, untrained). Without --from, needs ultralytics.
"""
import argparse
import pathlib

import onnx_repvgg_fuse
from onnx_repvgg_fuse import testing


def export(weights):
    from ultralytics import YOLO

    return pathlib.Path(YOLO(weights).export(format="onnx", imgsz=320, simplify=False))


def main(arguments=None):
    parser = argparse.ArgumentParser(description="export a model of ultralytics, fuse it, check it")
    parser.add_argument("--from", dest="exported", metavar="FILE", type=pathlib.Path)
    parser.add_argument("weights", nargs="?", default="yolov9t.yaml")
    parser.add_argument("out", nargs="?", type=pathlib.Path, default=pathlib.Path("yolo.fused.onnx"))
    options = parser.parse_args(arguments)
    model = options.exported or export(options.weights)
    result = onnx_repvgg_fuse.fuse(model, options.out)
    testing.assert_equivalent(model, result.model, runs=1)
    print(result.report)
    return result


if __name__ == "__main__":
    main()
