#!/usr/bin/env python3
"""Export an unfused RepVGG with both exporters of torch.onnx.export, and fuse the files.

usage: torch_export.py [--from FILE...] [FOLDER]

Without --from, needs torch (and onnxscript, for the dynamo exporter).
"""
import argparse
import pathlib

import onnx_repvgg_fuse
from onnx_repvgg_fuse import testing


def repvgg(widths=(16, 32, 64), blocks=3):
    """A RepVGG in training form: 3x3, 1x1 and identity branch, each with a BatchNormalization."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.dense = nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs))
            self.point = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, 0, bias=False), nn.BatchNorm2d(outputs))
            self.identity = nn.BatchNorm2d(inputs) if inputs == outputs and stride == 1 else None

        def forward(self, x):
            y = self.dense(x) + self.point(x)
            return torch.relu(y if self.identity is None else y + self.identity(x))

    layers, inputs = [], 3
    for width in widths:
        for i in range(blocks):
            layers.append(Block(inputs, width, 2 if i == 0 else 1))
            inputs = width
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # what training would have left there
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.1, 0.1)
    return model.eval()


def export(path, dynamo):
    import torch

    torch.manual_seed(0)
    torch.onnx.export(repvgg(), (torch.randn(1, 3, 64, 64),), str(path), dynamo=dynamo,
                      input_names=["input"], output_names=["output"])
    return pathlib.Path(path)


def main(arguments=None):
    parser = argparse.ArgumentParser(description="export a RepVGG, fuse it, check it")
    parser.add_argument("--from", dest="exported", metavar="FILE", nargs="+", type=pathlib.Path,
                        help="exported models to start from")
    parser.add_argument("folder", nargs="?", default=".", type=pathlib.Path)
    options = parser.parse_args(arguments)
    models = options.exported or [export(options.folder / f"repvgg_{name}.onnx", dynamo)
                                  for name, dynamo in (("torchscript", False), ("dynamo", True))]
    results = []
    for model in models:
        result = onnx_repvgg_fuse.fuse(model, options.folder / f"{model.stem}.fused.onnx")
        testing.assert_equivalent(model, result.model)
        print(f"{model.name}\n{result.report}")
        results.append(result)
    return results


if __name__ == "__main__":
    main()
