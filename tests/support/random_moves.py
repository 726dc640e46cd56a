#!/usr/bin/env python3
"""Draw small models of ops that move numbers about, between Convs, norms and sums, fuse them with options drawn as well, and compare.

What other exporters write: blocks with the channels last and Transposes around each Conv, Convs that see an axis more than there
is, Pads in front of Transposes, parts of the channels that are taken, repeated and put together again.

usage: python -m tests.support.random_moves [--first-seed N] [--count N] [--jobs N] [--save FOLDER]
"""
import sys

import numpy as np
from onnx import TensorProto

from tests.support.drawing import Impossible, run_seeds
from tests.support.judge import Settings, judge_saved, run_with
from tests.support.net import Net
from tests.support.tool import check_valid

TO_FRONT, TO_END = [0, 3, 1, 2], [0, 2, 3, 1]
LARGEST = 4000  # numbers of a value


class Drawer:
    def __init__(self, rng):
        self.rng = rng
        self.n = Net(opset=int(rng.choice([11, 13, 17, 18])), seed=int(rng.integers(1 << 30)))
        self.pool = []

    def among(self, *options):
        return options[int(self.rng.integers(len(options)))]

    def chance(self, p):
        return self.rng.random() < p

    def shape(self, x):
        dims = self.n.shape(x)
        if any(not isinstance(d, int) for d in dims[1:]) or 0 in dims or np.prod(dims[1:]) > LARGEST:
            raise Impossible
        return dims

    def op(self, kind, inputs, **attributes):
        y = self.n.node(kind, inputs, **attributes)
        self.pool.append(y)
        return y

    def axes(self, kind, x, axis):
        if self.n.opset < 13:
            return self.op(kind, [x], axes=[axis])
        return self.op(kind, [x, self.n.ints(axis)])

    # One op

    def scale(self, x):
        """Along axis 1 or the last: scales, of any sign or of one, or shifts."""
        dims = self.shape(x)
        axis = self.among(1, len(dims) - 1)
        numbers = self.n.away(dims[axis])
        numbers = np.abs(numbers) if self.chance(0.4) else numbers
        constant = self.n.const(numbers.reshape([-1] + [1] * (len(dims) - 1 - axis)))
        return self.op(self.among("Mul", "Add", "Sub", "Div"), [x, constant])

    def turn(self, x):
        rank = len(self.shape(x))
        return self.op("Transpose", [x], perm=self.among(TO_FRONT, TO_END, TO_FRONT, TO_END, [0, 1, 3, 2]) if rank == 4 else [0, 2, 1])

    def conv(self, x):
        dims = self.shape(x)
        channels = dims[1]
        group = self.among(*(g for g in (1, 2, channels) if channels % g == 0))
        kernel = [self.among(1, 1, min(2, d), min(3, d)) for d in dims[2:]]
        pads = [self.among(0, (k - 1) // 2) for k in kernel]
        y = self.n.conv(x, self.among(channels, channels, group, 2 * group), kernel, bias=self.chance(0.4), group=group, pads=pads * 2,
                        stride=[self.among(1, 1, 1, 2) for _ in kernel])
        self.pool.append(y)
        return y

    def norm(self, x):
        self.pool.append(self.n.bn(x))

    def act(self, x):
        self.op(self.among("Relu", "Relu", "Abs", "Sigmoid"), [x])

    def sum(self, x):
        other = self.among(*(v for v in self.pool if self.n.shape(v) == self.n.shape(x)))
        self.op(self.among("Add", "Add", "Sub"), [x, other])

    def pad(self, x):
        dims = self.shape(x)
        axis, pads = int(self.rng.integers(1, len(dims))), [0] * (2 * len(dims))
        pads[axis], pads[len(dims) + axis] = self.among((0, 1), (1, 0), (1, 2), (0, 2), (1, -1) if dims[axis] > 2 else (1, 1))
        y = self.op("Pad", [x, self.n.ints(*pads)])
        if self.chance(0.4) and len(dims) == 4:
            self.conv(self.op("Transpose", [y], perm=TO_FRONT))

    def gather(self, x):
        dims = self.shape(x)
        axis = int(self.rng.integers(1, len(dims)))
        count = int(self.rng.integers(1, dims[axis] + 1))
        order = self.rng.permutation(dims[axis])[:count] if self.chance(0.7) else self.rng.integers(-dims[axis], dims[axis], count)
        self.op("Gather", [x, self.n.ints(*order)], axis=axis)

    def slice(self, x):
        dims = self.shape(x)
        axis = int(self.rng.integers(1, len(dims)))
        first = int(self.rng.integers(0, dims[axis]))
        end = self.among(dims[axis], int(self.rng.integers(first + 1, dims[axis] + 1)), (1 << 63) - 1)
        first = first - dims[axis] if self.chance(0.3) else first
        self.op("Slice", [x, *map(self.n.ints, (first, end, axis, self.among(1, 1, 2)))])

    def tile(self, x):
        repeats = [1] * len(self.shape(x))
        repeats[int(self.rng.integers(1, len(repeats)))] = 2
        self.op("Tile", [x, self.n.ints(*repeats)])

    def depth(self, x):
        dims = self.shape(x)
        if len(dims) != 4:
            raise Impossible
        if dims[1] % 4 == 0 and self.chance(0.6):
            self.op("DepthToSpace", [x], blocksize=2, mode=self.among("DCR", "CRD"))
        elif dims[2] % 2 == 0 and dims[3] % 2 == 0:
            self.op("SpaceToDepth", [x], blocksize=2)

    # Several

    def wrapped(self, x):
        """A Conv, or two, with an axis more than there is; also with the channels turned to the front behind it."""
        if len(self.shape(x)) != 3:
            raise Impossible
        if self.chance(0.4):
            axis, y = 2, self.op("Transpose", [self.axes("Unsqueeze", x, 1)], perm=TO_FRONT)
        else:
            axis = self.among(2, 3)
            y = self.axes("Unsqueeze", x, axis)
        for _ in range(self.among(1, 1, 2)):
            z = self.conv(y)
            if self.n.shape(z)[axis] == 1:
                self.axes("Squeeze", z, axis)

    def group(self, x):
        """Convs of the halves of the channels."""
        dims = self.shape(x)
        if dims[1] % 2 or len(dims) < 3:
            raise Impossible
        half = dims[1] // 2
        kernel, parts = [self.among(1, min(3, d)) for d in dims[2:]], []
        group = self.among(1, half)
        for part in self.n.node("Split", [x], n_out=2, axis=1, **({"num_outputs": 2} if self.n.opset >= 18 else {})):
            y = self.n.conv(part, half, kernel, bias=self.chance(0.5), group=group)
            parts.append(self.n.bn(y) if self.chance(0.3) else y)
        self.op("Concat", parts if self.chance(0.8) else parts[::-1], axis=1)

    def focus(self, x):
        if self.shape(x)[2] % 2:
            raise Impossible
        parts = [self.op("Slice", [x, *map(self.n.ints, (first, (1 << 63) - 1, 2, 2))]) for first in (0, 1)]
        self.conv(self.op("Concat", parts, axis=1))

    def take(self, x, axis):
        """Takes, repeats, permutes or places along one axis, by any op that does."""
        dims = self.shape(x)
        size, rank = dims[axis], len(dims)
        kind = self.among("Gather", "Gather", "Slice", "Tile", "Pad", "Split", "Expand" if size == 1 else "Gather")
        if kind == "Gather":
            order = self.rng.permutation(size) if self.chance(0.6) else self.rng.integers(-size, size, int(self.rng.integers(1, 2 * size + 1)))
            return self.op("Gather", [x, self.n.ints(*order)], axis=self.among(axis, axis - rank))
        if kind == "Slice":
            first = int(self.rng.integers(0, size))
            return self.op("Slice", [x, *map(self.n.ints, (first, self.among(size, first + 1, (1 << 63) - 1), axis, self.among(1, 1, 2)))])
        if kind in ("Tile", "Expand"):
            counts = [1] * rank
            counts[axis] = self.among(2, 2, 3)
            return self.op(kind, [x, self.n.ints(*counts)])
        if kind == "Pad":
            pads = [0] * (2 * rank)
            pads[axis], pads[rank + axis] = self.among((0, 1), (2, 1), (1, 0))
            return self.op("Pad", [x, self.n.ints(*pads)])
        if size % 2:
            raise Impossible
        parts = self.n.node("Split", [x], n_out=2, axis=axis, **({"num_outputs": 2} if self.n.opset >= 18 else {}))
        self.pool.extend(parts)
        return self.among(*parts)

    def product(self, x, size):
        """A Conv to so many channels, or a MatMul along the last axis."""
        dims = self.shape(x)
        if self.chance(0.3):
            return self.op("MatMul", [x, self.n.const(self.n.away((dims[-1], size)))])
        group = self.among(1, 1, 1, 2 if dims[1] % 2 == 0 and size % 2 == 0 else 1, size if dims[1] == size else 1)
        y = self.n.conv(x, size, [self.among(1, min(3, d)) for d in dims[2:]], bias=self.chance(0.4), group=group)
        self.pool.append(y)
        return y

    def taken(self, x):
        """Channels taken in front of a weight, behind one, or both, with scales between."""
        axis = self.among(1, 1, len(self.shape(x)) - 1)
        y = x
        for _ in range(self.among(2, 3, 4)):
            step = self.among("take", "take", "product", "scale", "norm", "turned")
            if step == "take":
                y = self.take(y, axis)
            elif step == "product":
                y = self.product(y, self.among(2, 4, self.shape(y)[1]))
            elif step == "turned" and len(self.shape(y)) == 4:
                y = self.n.conv_t(y, self.among(2, 4), self.among(1, 2), bias=self.chance(0.4))
                self.pool.append(y)
            else:
                y = self.scale(y) if step == "scale" else self.op("Identity", [self.n.bn(y)])
        self.product(y, 4)

    def beside(self, x):
        """Channels taken beside a weight: the sum is one."""
        axis = self.among(1, 1, 1, len(self.shape(x)) - 1)
        y = self.take(self.scale(x) if self.chance(0.3) else x, axis)
        y = self.take(y, axis) if self.chance(0.3) else y
        size = self.shape(y)[axis]
        if axis == 1:
            z = self.n.conv(x, size, [self.among(1, min(3, d)) for d in self.shape(x)[2:]], bias=self.chance(0.4))
        else:
            z = self.n.node("MatMul", [x, self.n.const(self.n.away((self.shape(x)[-1], size)))])
        self.op(self.among("Add", "Sub"), [z, y] if self.chance(0.5) else [y, z])

    def block(self, x):
        """A Conv beside a norm, the channels last: the sum is made in either order of axes."""
        if len(self.shape(x)) != 4:
            raise Impossible
        y = self.n.conv(self.op("Transpose", [x], perm=TO_FRONT), self.shape(x)[3], 3)
        norm = self.scale(self.scale(x)) if self.chance(0.7) else self.scale(x)
        pair = [y, self.op("Transpose", [norm], perm=TO_FRONT)] if self.chance(0.5) else [self.op("Transpose", [y], perm=TO_END), norm]
        self.op("Add", pair)

    def draw(self):
        dims = self.among((2, 4, 6, 8), (1, 6, 4, 4))[:self.among(3, 4, 4)]
        open_batch = self.chance(0.5)
        self.pool.append(self.n.input("x", ["N", *dims[1:]] if open_batch else list(dims)))
        kinds = (self.scale, self.scale, self.turn, self.turn, self.conv, self.conv, self.wrapped, self.sum, self.sum, self.pad, self.gather,
                 self.slice, self.tile, self.depth, self.act, self.norm, self.group, self.focus, self.block, self.block,
                 self.taken, self.taken, self.beside, self.beside)
        for _ in range(int(self.rng.integers(4, 14))):
            near = self.pool[-6:] if self.chance(0.7) else self.pool
            try:
                self.among(*kinds)(self.among(*near))
            except (Impossible, ValueError, IndexError):
                continue
        read = {i for node in self.n.nodes for i in node.input}
        ends = [v for v in self.pool[1:] if v not in read]
        if not ends:
            raise Impossible
        if self.chance(0.15):
            ends.append(self.among(*self.pool[1:]))
        self.n.output(*dict.fromkeys(ends))
        return self.n.model(), dims


def generate(seed):
    """A valid model that ONNX Runtime runs, inputs for it, and the settings of a run."""
    rng = np.random.default_rng(seed)
    while True:
        try:
            model, dims = Drawer(rng).draw()
            settings = Settings(rng)
            check_valid(model)
            run = run_with(model, TensorProto.FLOAT)
            batches = (dims[0], dims[0] if model.graph.input[0].type.tensor_type.shape.dim[0].dim_value else 3)
            inputs = [{"x": rng.normal(0, 1, (batch, *dims[1:])).astype(np.float32)} for batch in batches]
            results = [run(x) for x in inputs]
        except Exception:
            continue  # not a model that both accept
        if all(np.isfinite(v).all() and np.abs(v).max(initial=0) < 1e6 for r in results for v in r):
            return model, inputs, settings


def try_seed(seed, folder):
    """Draw, fuse, compare. Returns the passes that fused something; raises Failure, the model left in the folder."""
    return judge_saved(f"seed{seed}", *generate(seed), folder)


if __name__ == "__main__":
    sys.exit(run_seeds(__doc__, try_seed))
