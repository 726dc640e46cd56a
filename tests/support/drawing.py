"""What the generators of random models share: dice, weights, and the command line that runs seeds and names those that fail."""
import argparse
import collections
import functools
import multiprocessing
import pathlib
import tempfile
import time

import numpy as np

from tests.support.tool import graphs_of


class Impossible(Exception):
    """What was drawn doesn't fit the shapes at hand."""


class Failure(Exception):
    """A seed whose fused model is wrong, and in which way."""

    def __init__(self, kind, text):
        super().__init__(text)
        self.kind = kind

    def __reduce__(self):
        return Failure, (self.kind, str(self))


class GraphDrawer:
    """Draws into the net `n`, which is a subgraph's while one is drawn and `plain` otherwise; `pool` holds the values of `plain`."""

    WAYS = ("turn", "shape", "scale", "join", "part", "part", "pass")  # to compute a weight

    def __init__(self, rng, net):
        self.rng, self.n, self.plain = rng, net, net
        self.pool = []
        self.weights = collections.defaultdict(list)

    # Dice

    def chance(self, p):
        return self.rng.random() < p

    def among(self, *options):
        return options[int(self.rng.integers(len(options)))]

    def int(self, low, high):
        return int(self.rng.integers(low, high + 1))

    # Weights

    def const(self, array):
        return self.n.const(array, storage=self.among("raw", "raw", "raw", "typed", "constant"))

    def weight(self, shape, fan_in):
        """A random weight, now and then one that another op has already."""
        if self.n is self.plain and self.weights[shape] and self.chance(0.15):
            return self.among(*self.weights[shape])
        array = self.n.normal(shape, fan_in ** -0.5)
        w = self.computed(array) if self.chance(0.1) else self.const(array)
        if self.n is self.plain:
            self.weights[shape].append(w)
        return w

    def computed(self, array):
        """A weight that ops make of constants: the numbers of the array."""
        n, axis, kind = self.n, self.int(0, min(1, array.ndim - 1)), self.among(*self.WAYS)
        if kind == "turn":
            order = [int(i) for i in self.rng.permutation(array.ndim)]
            return n.node("Transpose", [self.const(array.transpose(np.argsort(order)))], perm=order)
        if kind == "shape":
            return n.node("Reshape", [self.const(array.reshape(-1)), n.ints(*array.shape)])
        if kind == "scale":
            scale = n.away((array.shape[0], *[1] * (array.ndim - 1)))
            return n.node("Mul", [self.const(array / scale), self.const(scale)])
        if kind == "join" and array.shape[axis] > 1:
            at = self.int(1, array.shape[axis] - 1)
            return n.node("Concat", [self.const(a) for a in np.split(array, [at], axis)], axis=axis)
        if kind == "part":  # the rest may be a weight too, or data, or an output of the graph
            more = n.normal(array.shape, 0.3)
            whole, sizes = self.const(np.concatenate([array, more], axis)), [array.shape[axis]] * 2
            if n.opset < 13:
                part, rest = n.node("Split", [whole], 2, axis=axis, split=sizes)
            else:
                part, rest = n.node("Split", [whole, n.ints(*sizes)], 2, axis=axis)
            if n is self.plain and self.chance(0.5):
                self.pool.insert(0, rest)
            elif n is self.plain:
                self.weights[array.shape].append(rest)
            return part
        return self.passive(self.const(array))

    # Ops that change little

    def passive(self, y):
        n = self.n
        return self.among(n.identity, n.dropout, self.masked, n.cast, lambda v: n.node("Neg", [v]))(y)

    def masked(self, y):
        """A Dropout whose mask somebody reads."""
        n = self.n
        if n.opset < 12:
            return n.dropout(y)
        y, mask = n.node("Dropout", [y], 2)
        if n is self.plain and self.chance(0.5):
            self.pool.insert(0, n.cast(mask))
        return y

    def spy(self, y):
        """Now and then a value between gets another reader."""
        if self.n is self.plain and self.chance(0.05):
            self.pool.insert(0, y)
        return y


def forget_sizes(model, rng):
    """Make sizes of the inputs symbolic, and drop what was inferred from them."""
    keep_space = rng.random() < 0.5
    for v in model.graph.input:
        if v.name not in {t.name for t in model.graph.initializer}:
            for k, d in enumerate(v.type.tensor_type.shape.dim):
                if k == 0 or (k > 1 and not keep_space):
                    d.dim_param = f"{v.name}_{k}"
    for g in graphs_of(model.graph):
        del g.value_info[:]
    for v in model.graph.output:
        for k, d in enumerate(v.type.tensor_type.shape.dim):
            d.dim_param = f"{v.name}_{k}"
    return model


def run_seeds(description, try_seed, kinds=()):
    """The command line of a generator. try_seed(seed, folder) gives the passes that fused something, or raises Failure.
    kinds: what --kind may be, given to try_seed as its third argument."""
    p = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seeds", "--count", type=int, default=2000)
    p.add_argument("--first-seed", type=int, default=0)
    p.add_argument("--jobs", type=int, default=1, help="processes")
    p.add_argument("--save", type=pathlib.Path, default=None, help="where failing models go (default: a new folder)")
    p.add_argument("--kind", choices=kinds, help=argparse.SUPPRESS if not kinds else "only of this kind")
    a = p.parse_args()
    if a.kind:
        try_seed = functools.partial(try_seed, kind=a.kind)
    folder = a.save or pathlib.Path(tempfile.mkdtemp(prefix="random_graphs."))
    folder.mkdir(parents=True, exist_ok=True)
    failed, kinds, passes, folded = [], collections.Counter(), collections.Counter(), 0
    start = time.time()
    with multiprocessing.get_context("spawn").Pool(a.jobs) as pool:
        work = ((try_seed, seed, folder) for seed in range(a.first_seed, a.first_seed + a.seeds))
        for seed, fused, failure in pool.imap(attempt, work, 8):
            if failure:
                failed.append(seed)
                kinds[failure.kind] += 1
                print(failure, flush=True)
            else:
                folded += bool(fused)
                passes.update(fused)
    print(f"{a.seeds} seeds from {a.first_seed}: {len(failed)} failed, {folded} folded something "
          f"({', '.join(f'{k} {v}' for k, v in sorted(passes.items()))}), {time.time() - start:.0f} s")
    if failed:
        print("failed:", *failed, f"(models in {folder})")
        print("kinds:", ", ".join(f"{k} {v}" for k, v in kinds.most_common()))
    return 1 if failed else 0


def attempt(work):
    try_seed, seed, folder = work
    try:
        return seed, try_seed(seed, folder), None
    except Failure as e:
        return seed, [], e
    except Exception as e:
        return seed, [], Failure("the generator's own", f"seed {seed}: the generator's own: {type(e).__name__}: {e}")
