#!/usr/bin/env python3
"""Write small blocks in train form as Paddle has them and paddle2onnx exports them.

Weights and BatchNormalization statistics are seeded random numbers, the latter as after training: no mean is 0, no
variance 1.

usage: export_paddle.py [NAME...] -o FOLDER
needs: paddlepaddle, paddle2onnx, packaging (written with paddlepaddle 3.3, paddle2onnx 2.1)
"""
import argparse
import pathlib
import tempfile

import numpy as np
import paddle
import paddle2onnx
from paddle import nn

CHANNELS = 8


def conv_bn(kernel, groups=1, stride=1, conv=nn.Conv2D, norm=nn.BatchNorm2D):
    return nn.Sequential(conv(CHANNELS, CHANNELS, kernel, stride, kernel // 2, groups=groups, bias_attr=False), norm(CHANNELS))


class Branches(nn.Layer):
    def __init__(self, *branches, act=True):
        super().__init__()
        self.branches = nn.LayerList(branches)
        self.act = nn.ReLU() if act else nn.Identity()

    def forward(self, x):
        y = 0
        for b in self.branches:
            y = y + b(x)
        return self.act(y)


class RepMixer(nn.Layer):
    """FastViT: x + gamma * (mixer(x) - norm(x)), the mixer a MobileOne block without activation."""

    def __init__(self):
        super().__init__()
        self.mixer = Branches(conv_bn(7, CHANNELS), conv_bn(3, CHANNELS), nn.BatchNorm2D(CHANNELS), act=False)
        self.norm = nn.BatchNorm2D(CHANNELS)
        self.gamma = self.create_parameter((CHANNELS, 1, 1))

    def forward(self, x):
        return x + self.gamma * (self.mixer(x) - self.norm(x))


def repvgg():
    return Branches(conv_bn(3), conv_bn(1), nn.BatchNorm2D(CHANNELS))


def repvgg_stride():
    return Branches(conv_bn(3, stride=2), conv_bn(1, stride=2))


def repvgg_two():
    return nn.Sequential(repvgg(), repvgg())


def mobileone_depthwise():
    return Branches(*(conv_bn(3, CHANNELS) for _ in range(4)), conv_bn(1, CHANNELS), nn.BatchNorm2D(CHANNELS))


def repmixer():
    return RepMixer()


def conv1d_bn():
    return nn.Sequential(conv_bn(3, conv=nn.Conv1D, norm=nn.BatchNorm1D), nn.ReLU())


def conv1d_bn_two():
    return nn.Sequential(conv1d_bn(), conv1d_bn())


def conv1d_repvgg():
    return Branches(conv_bn(3, conv=nn.Conv1D, norm=nn.BatchNorm1D), conv_bn(1, conv=nn.Conv1D, norm=nn.BatchNorm1D), nn.BatchNorm1D(CHANNELS))


def bn_first():
    return nn.Sequential(nn.BatchNorm2D(CHANNELS), nn.Conv2D(CHANNELS, CHANNELS, 3))


def linear_bn():
    return nn.Sequential(nn.Linear(CHANNELS, CHANNELS), nn.BatchNorm1D(CHANNELS), nn.ReLU())


# Block: the sizes of its input behind the batch, which is left open.
IMAGE, SEQUENCE = (CHANNELS, 9, 12), (CHANNELS, 13)
BLOCKS = {
    repvgg: IMAGE,
    repvgg_stride: IMAGE,
    repvgg_two: IMAGE,
    mobileone_depthwise: IMAGE,
    repmixer: IMAGE,
    conv1d_bn: SEQUENCE,
    conv1d_bn_two: SEQUENCE,
    conv1d_repvgg: SEQUENCE,
    bn_first: IMAGE,
    linear_bn: (CHANNELS,),
}


def randomise(model, rng):
    for layer in model.sublayers(include_self=True):
        for name, p in [*layer._parameters.items(), *layer._buffers.items()]:
            if p is None:
                continue
            shape = tuple(p.shape)
            norm = hasattr(layer, "_variance")
            if name == "gamma" or (norm and name == "weight"):
                value = rng.uniform(0.5, 1.5, shape)
            elif name == "_variance":
                value = rng.uniform(0.4, 2.0, shape)
            elif name in ("bias", "_mean"):
                value = rng.normal(0, 0.5, shape)
            else:
                value = rng.normal(0, max(1, np.prod(shape[1:])) ** -0.5, shape)
            p.set_value(paddle.to_tensor(value.astype(np.float32)))


def export(block, shape, out):
    paddle.seed(0)
    model = block()
    randomise(model, np.random.default_rng(len(block.__name__)))
    model.eval()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model"
        paddle.jit.save(model, str(path), [paddle.static.InputSpec((-1, *shape), "float32", "x")])
        # optimize_tool: the exporter's own ops, which Polygraphy would simplify where it is installed.
        paddle2onnx.export(str(path.with_suffix(".json")), str(path.with_suffix(".pdiparams")), str(out), opset_version=17, optimize_tool="None")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", nargs="*", choices=[[], *(b.__name__ for b in BLOCKS)], help="default: every block")
    p.add_argument("-o", dest="folder", type=pathlib.Path, required=True)
    a = p.parse_args()
    a.folder.mkdir(parents=True, exist_ok=True)
    for block, shape in BLOCKS.items():
        if a.name and block.__name__ not in a.name:
            continue
        out = a.folder / f"paddle_{block.__name__}.onnx"
        export(block, shape, out)
        print(out, out.stat().st_size)


if __name__ == "__main__":
    main()
