"""Blocks as Keras by tf2onnx and Paddle by paddle2onnx write them come down to the ops that they are."""
import numpy as np
import onnx
import pytest

from tests.support.tool import ROOT, check_tidy, check_valid, count_ops, feeds, fuse, same_interface, session

BLOCKS = ROOT / "tests" / "corpus" / "blocks"

# block: ops now, ops wanted. A block that Keras writes is channels last: two Transposes stay around it.
OPS = {
    "keras_bn_first": (5, {"Transpose": 2, "Conv": 1}),
    "keras_conv1d_bn": (8, {"Transpose": 2, "Conv": 1, "Relu": 1}),
    "keras_conv1d_bn_two": (14, {"Transpose": 2, "Conv": 2, "Relu": 2}),
    "keras_conv1d_repvgg": (16, {"Transpose": 2, "Conv": 1, "Relu": 1}),
    "keras_dense_branches": (21, {"MatMul": 1, "Add": 1, "Relu": 1}),
    "keras_mobileone_depthwise": (26, {"Transpose": 2, "Conv": 1, "Relu": 1}),
    "keras_mobileone_pointwise": (14, {"Transpose": 2, "Conv": 1, "Relu": 1}),
    "keras_repmixer": (19, {"Transpose": 2, "Conv": 1}),
    "keras_repvgg": (10, {"Transpose": 2, "Conv": 1, "Relu": 1}),
    "keras_repvgg_stride": (6, {"Transpose": 2, "Conv": 1, "Relu": 1}),
    "keras_repvgg_two": (17, {"Transpose": 2, "Conv": 2, "Relu": 2}),
    "paddle_bn_first": (6, {"Conv": 1}),
    "paddle_conv1d_bn": (10, {"Conv": 1, "Relu": 1}),
    "paddle_conv1d_bn_two": (20, {"Conv": 2, "Relu": 2}),
    "paddle_conv1d_repvgg": (29, {"Conv": 1, "Relu": 1}),
    "paddle_linear_bn": (5, {"Gemm": 1, "Relu": 1}),
    "paddle_mobileone_depthwise": (27, {"Conv": 1, "Relu": 1}),
    "paddle_repmixer": (21, {"Conv": 1}),
    "paddle_repvgg": (15, {"Conv": 1, "Relu": 1}),
    "paddle_repvgg_stride": (12, {"Conv": 1, "Relu": 1}),
    "paddle_repvgg_two": (30, {"Conv": 2, "Relu": 2}),
}


def test_every_block_has_its_counts():
    assert {p.stem for p in BLOCKS.glob("*.onnx")} == set(OPS)


def difference(a, b, axis):
    """The largest of a channel, relative to its largest number, or a thousandth of the whole's."""
    others = tuple(k for k in range(a.ndim) if k != axis)
    largest = np.abs(a).max(others)
    return float((np.abs(a - b).max(others) / np.maximum(largest, 1e-3 * largest.max())).max())


@pytest.mark.parametrize("name", OPS)
def test_block(name, tmp_path):
    before = onnx.load(BLOCKS / f"{name}.onnx")
    ops, wanted = OPS[name]
    assert sum(count_ops(before).values()) == ops

    result = fuse(before, tmp_path)
    assert result.code == 0, result.stderr
    after = result.model
    assert count_ops(after) == wanted, result.reasons()
    assert result.report["warnings"] == []

    check_valid(after)
    same_interface(before, after)
    check_tidy(after, before)
    old, new = session(before), session(after)
    for seed in range(2):
        for x in feeds(before, seed):
            for a, b in zip(old.run(None, x), new.run(None, x)):
                assert a.shape == b.shape
                assert difference(a, b, a.ndim - 1 if name.startswith("keras") else 1) <= 2e-5

    again = fuse(result.data, tmp_path, stem="again")
    assert again.data == result.data, "the output folds further"
