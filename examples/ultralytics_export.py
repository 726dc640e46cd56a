#!/usr/bin/env python3
"""Fuse a network after ultralytics' own export, which joins only the branches that it knows.

usage: ultralytics_export.py [--from FILE] [--as-trained] [WEIGHTS [OUT]]

WEIGHTS: the argument of YOLO() (default: yolov9t.yaml, untrained). For YOLOv9, the exporter joins all branches,
and nothing is left to fuse; --as-trained exports the network without that step.
Without --from, needs ultralytics.
"""
import argparse
import pathlib

import onnx_repvgg_fuse
from onnx_repvgg_fuse import testing


def export(weights):
    from ultralytics import YOLO

    return pathlib.Path(YOLO(weights).export(format="onnx", imgsz=320, simplify=False))


def export_as_trained(weights):
    import torch
    from ultralytics import YOLO

    model = YOLO(weights).model.eval()
    model.model[-1].export, model.model[-1].format = True, "onnx"  # the head gives one tensor
    path = pathlib.Path(weights).with_suffix(".train.onnx").name
    torch.onnx.export(model, (torch.rand(1, 3, 320, 320),), path, dynamo=False, input_names=["images"], output_names=["output0"])
    return pathlib.Path(path)


def main(arguments=None):
    parser = argparse.ArgumentParser(description="export a model of ultralytics, fuse it, check it")
    parser.add_argument("--from", dest="exported", metavar="FILE", type=pathlib.Path)
    parser.add_argument("--as-trained", action="store_true")
    parser.add_argument("weights", nargs="?", default="yolov9t.yaml")
    parser.add_argument("out", nargs="?", type=pathlib.Path, default=pathlib.Path("yolo.fused.onnx"))
    options = parser.parse_args(arguments)
    model = options.exported or (export_as_trained if options.as_trained else export)(options.weights)
    result = onnx_repvgg_fuse.fuse(model, options.out)
    testing.assert_equivalent(model, result.model, runs=1)
    print(result.report)
    return result


if __name__ == "__main__":
    main()
