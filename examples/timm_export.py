#!/usr/bin/env python3
"""Export a timm model in its training form, without reparameterize_model, and fuse it.

usage: timm_export.py [--from FILE] [NAME [OUT]]

NAME: repvgg_a0 (default), mobileone_s1, fastvit_t8, repvit_m0_9 and similar ones.
Without --from, needs torch and timm.
"""
import argparse
import pathlib

import onnx_repvgg_fuse
from onnx_repvgg_fuse import testing


def export(name, path):
    import timm
    import torch

    model = timm.create_model(name, pretrained=False, exportable=True).eval()
    size = model.pretrained_cfg["input_size"]
    torch.onnx.export(model, (torch.randn(1, *size),), str(path), dynamo=False,
                      input_names=["input"], output_names=["output"])
    return pathlib.Path(path)


def main(arguments=None):
    parser = argparse.ArgumentParser(description="export a model of timm, fuse it, check it")
    parser.add_argument("--from", dest="exported", metavar="FILE", type=pathlib.Path)
    parser.add_argument("name", nargs="?", default="repvgg_a0")
    parser.add_argument("out", nargs="?", type=pathlib.Path)
    options = parser.parse_args(arguments)
    out = options.out or pathlib.Path(f"{options.name}.fused.onnx")
    model = options.exported or export(options.name, out.with_suffix(".train.onnx"))
    result = onnx_repvgg_fuse.fuse(model, out)
    testing.assert_equivalent(model, result.model, runs=1)
    print(result.report)
    return result


if __name__ == "__main__":
    main()
