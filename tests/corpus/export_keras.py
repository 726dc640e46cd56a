#!/usr/bin/env python3
"""Write small blocks in train form as Keras has them and tf2onnx exports them.

Channels last, so Transposes stand around each Conv. Weights and BatchNormalization statistics are seeded random numbers,
the latter as after training: no mean is 0, no variance 1.

usage: export_keras.py [NAME...] -o FOLDER
needs: keras with tensorflow, tf2onnx (written with keras 3.15, tensorflow 2.21, tf2onnx 1.17)
"""
import argparse
import os
import pathlib

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from keras import layers

CHANNELS = 8


class Scale(layers.Layer):
    """One factor a channel, as FastViT's layer scale."""

    def build(self, shape):
        self.gamma = self.add_weight(shape=(shape[-1],), name="gamma")

    def call(self, x):
        return x * self.gamma


def conv_bn(x, kernel, bias=False, **options):
    x = layers.Conv2D(CHANNELS, kernel, padding="same", use_bias=bias, **options)(x)
    return layers.BatchNormalization()(x)


def depthwise_bn(x, kernel, **options):
    x = layers.DepthwiseConv2D(kernel, padding="same", use_bias=False, **options)(x)
    return layers.BatchNormalization()(x)


def repvgg(x):
    return layers.ReLU()(layers.Add()([conv_bn(x, 3), conv_bn(x, 1), layers.BatchNormalization()(x)]))


def repvgg_stride(x):
    return layers.ReLU()(layers.Add()([conv_bn(x, 3, strides=2), conv_bn(x, 1, strides=2)]))


def repvgg_two(x):
    return repvgg(repvgg(x))


def mobileone_depthwise(x):
    branches = [depthwise_bn(x, 3) for _ in range(4)] + [depthwise_bn(x, 1), layers.BatchNormalization()(x)]
    return layers.ReLU()(layers.Add()(branches))


def mobileone_pointwise(x):
    branches = [conv_bn(x, 1) for _ in range(4)] + [layers.BatchNormalization()(x)]
    return layers.ReLU()(layers.Add()(branches))


def repmixer(x):
    """FastViT: x + gamma * (mixer(x) - norm(x)), the mixer a MobileOne block without activation."""
    mixer = layers.Add()([depthwise_bn(x, 7), depthwise_bn(x, 3), layers.BatchNormalization()(x)])
    return layers.Add()([x, Scale()(layers.Subtract()([mixer, layers.BatchNormalization()(x)]))])


def conv1d_bn(x):
    x = layers.Conv1D(CHANNELS, 3, padding="same", use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization()(x))


def conv1d_bn_two(x):
    return conv1d_bn(conv1d_bn(x))


def conv1d_repvgg(x):
    def branch(kernel):
        return layers.BatchNormalization()(layers.Conv1D(CHANNELS, kernel, padding="same", use_bias=False)(x))
    return layers.ReLU()(layers.Add()([branch(3), branch(1), layers.BatchNormalization()(x)]))


def bn_first(x):
    return layers.Conv2D(CHANNELS, 3, padding="valid")(layers.BatchNormalization()(x))


def dense_branches(x):
    """Dense of three axes becomes Reshape, MatMul, Reshape, the second to sizes that are computed."""
    branches = [layers.BatchNormalization()(layers.Dense(CHANNELS)(x)) for _ in range(2)]
    return layers.ReLU()(layers.Add()([*branches, layers.BatchNormalization()(x)]))


# Block: the sizes of its input, the batch left open.
BLOCKS = {
    repvgg: (9, 12, CHANNELS),
    repvgg_stride: (9, 12, CHANNELS),
    repvgg_two: (9, 12, CHANNELS),
    mobileone_depthwise: (9, 12, CHANNELS),
    mobileone_pointwise: (9, 12, CHANNELS),
    repmixer: (9, 12, CHANNELS),
    conv1d_bn: (13, CHANNELS),
    conv1d_bn_two: (13, CHANNELS),
    conv1d_repvgg: (13, CHANNELS),
    bn_first: (9, 12, CHANNELS),
    dense_branches: (13, CHANNELS),
}


def randomise(model, rng):
    for v in model.weights:
        shape = tuple(v.shape)
        if v.path.endswith("/gamma"):
            value = rng.uniform(0.5, 1.5, shape)
        elif v.path.endswith("/moving_variance"):
            value = rng.uniform(0.4, 2.0, shape)
        elif v.path.endswith(("/beta", "/moving_mean", "/bias")):
            value = rng.normal(0, 0.5, shape)
        else:
            value = rng.normal(0, np.prod(shape[:-1]) ** -0.5, shape)
        v.assign(value.astype(np.float32))


def export(block, shape):
    keras.utils.clear_session()
    x = keras.Input(shape, name="x")
    model = keras.Model(x, block(x), name=block.__name__)
    randomise(model, np.random.default_rng(len(block.__name__)))
    signature = [tf.TensorSpec((None, *shape), tf.float32, name="x")]
    run = tf.function(lambda x: model(x, training=False), input_signature=signature)
    proto, _ = tf2onnx.convert.from_function(run, input_signature=signature, opset=17)
    return proto


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", nargs="*", choices=[[], *(b.__name__ for b in BLOCKS)], help="default: every block")
    p.add_argument("-o", dest="folder", type=pathlib.Path, required=True)
    a = p.parse_args()
    a.folder.mkdir(parents=True, exist_ok=True)
    for block, shape in BLOCKS.items():
        if a.name and block.__name__ not in a.name:
            continue
        out = a.folder / f"keras_{block.__name__}.onnx"
        onnx.save(export(block, shape), out)
        print(out, out.stat().st_size)


if __name__ == "__main__":
    main()
