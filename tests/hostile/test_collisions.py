"""Names and contents chosen so that they collide: nothing takes longer than with others of the same size.

Each generator breaks a hash that this program had: names of one hash, constants of one digest, operators of one key.
The tables are keyed anew in every run since; a hash that a file can steer again makes these models take minutes."""
import functools

import numpy as np
import pytest

from tests.hostile.wire import block, node, number, value_info
from tests.support.cost import SLOWER, cost
from tests.support.tool import TOOL

COUNT = 30_000 // SLOWER
SECONDS = 60
MASK = (1 << 64) - 1
ODD = np.uint64(0x9E3779B97F4A7C15)
PRIME_1, PRIME_2 = np.uint64(0x9E3779B185EBCA87), np.uint64(0xC2B2AE3D27D4EB4F)
INVERSE_2 = np.uint64(pow(int(PRIME_2), -1, 1 << 64))
pytestmark = pytest.mark.filterwarnings("ignore:overflow")


def draw(count, words, seed):
    """Words without a zero byte."""
    return np.random.default_rng(seed).integers(1, 256, (count, words * 8), np.uint8).view(np.uint64)


def no_zeros(rows):
    """Those rows of words that no byte is zero of, as bytes."""
    table = np.ascontiguousarray(rows).view(np.uint8)
    return [row.tobytes() for row in table[(table != 0).all(axis=1)]]


def colliding_names(count, seed=1):
    """16 bytes each: the second word takes back what the first one did to a multiply and shift."""
    first = draw(count * 5 // 4, 1, seed)[:, 0]
    state = ((np.uint64(16) * ODD) ^ first) * ODD
    state ^= state >> np.uint64(32)
    names = no_zeros(np.stack([first, state ^ np.uint64(0x5555555555555555)], axis=1))
    assert len(names) >= count
    return names[:count]


def colliding_lanes(count, start, seed, textual):
    """64 bytes each: in four lanes of multiply, rotate, multiply the second half takes back what the first one did."""
    first = draw(count * (2 if textual else 1), 4, seed)
    state = np.asarray(start, np.uint64) + first * PRIME_2
    state = ((state << np.uint64(31)) | (state >> np.uint64(33))) * PRIME_1
    # Any number that all share will do.
    rows = np.concatenate([first, (np.uint64(0x1234567890ABCDEF) - state) * INVERSE_2], axis=1)
    out = no_zeros(rows) if textual else [row.tobytes() for row in rows]
    assert len(out) >= count
    return out[:count]


def plain(count, size, seed):
    return [b"%0*d" % (size, seed * count + i) for i in range(count)]


def graph(nodes, initializers=()):
    return (number(1, 8) + block(8, block(1, "") + number(2, 17)) + block(8, block(1, "d") + number(2, 1))
            + block(7, b"".join(block(1, n) for n in nodes) + block(2, "g") + b"".join(block(5, t) for t in initializers)
                    + block(11, value_info("x", [2, 3])) + block(12, value_info("y", [2, 3]))))


def chain(names):
    """Relus whose values and nodes have these names."""
    values = [b"x", *names, b"y"]
    return graph([block(1, a) + block(2, b) + block(3, b) + block(4, "Relu") for a, b in zip(values, values[1:])])


def operators(types):
    """A chain of operators that nobody knows."""
    values = [b"x", *(b"v%d" % i for i in range(len(types) - 1)), b"y"]
    return graph([block(1, a) + block(2, b) + block(4, t) + block(7, "d") for a, b, t in zip(values, values[1:], types)])


def constants(contents):
    """A Sum of constants with these bytes."""
    names = [b"c%d" % i for i in range(len(contents))]
    tensors = [number(1, len(c) // 4) + number(2, 1) + block(8, n) + block(9, c) for n, c in zip(names, contents)]
    return graph([node("Relu", ["x"], ["v"]), node("Sum", ["v", *(n.decode() for n in names)], ["y"])], tensors)


def key_start(state_of):
    """Lanes after the first step of a key of an operator: its kind, its domain and its size."""
    seed = 0
    lanes = [seed, seed + int(PRIME_1), seed ^ int(PRIME_2), seed - 0x165667B19E3779F9]
    for i, word in enumerate(state_of):
        x = (lanes[i] + word * int(PRIME_2)) & MASK
        lanes[i] = ((x << 31 | x >> 33) & MASK) * int(PRIME_1) & MASK
    return lanes


def tensor_start():
    """Lanes of a digest after type and dims: one dimension of 16 floats."""
    lanes = [1, 1, int(PRIME_2), 0]
    for i, word in enumerate([16, 0, 0, 0]):
        x = (lanes[i] + word * int(PRIME_2)) & MASK
        lanes[i] = ((x << 31 | x >> 33) & MASK) * int(PRIME_1) & MASK
    return lanes


@functools.lru_cache
def models(kind, chosen):
    if kind == "names":
        made = [chain(colliding_names(COUNT, seed) if chosen else plain(COUNT, 16, seed)) for seed in (1, 2)]
    elif kind == "operators":
        start = key_start([9, 1, ord("d"), 64])
        made = [operators(colliding_lanes(COUNT // 2, start, seed, True) if chosen else plain(COUNT // 2, 64, seed)) for seed in (1, 2)]
    else:
        made = [constants(colliding_lanes(COUNT // 4, tensor_start(), seed, False) if chosen
                          else plain(COUNT // 4, 64, seed)) for seed in (1, 2)]
    return made


def seconds(kind, chosen, command, folder):
    paths = folder / f"{chosen}-a.onnx", folder / f"{chosen}-b.onnx"
    for path, data in zip(paths, models(kind, chosen)):
        path.write_bytes(data)
    arguments = {"fuse": [paths[0], "-o", folder / "out.onnx"], "info": ["info", paths[0]], "dump": ["dump", paths[0]],
                 "diff": ["diff", *paths], "verify": ["verify", *paths]}[command]
    run = cost([TOOL, *arguments], SECONDS)
    assert run.code in (0, 1, 2), run
    return run


@pytest.mark.parametrize("command", ["fuse", "info", "dump", "diff", "verify"])
@pytest.mark.parametrize("kind", ["names", "operators", "constants"])
def test_collisions_cost_nothing(kind, command, tmp_path):
    chosen, others = seconds(kind, True, command, tmp_path), seconds(kind, False, command, tmp_path)
    assert chosen.seconds <= 4 * others.seconds + SLOWER, (chosen, others)
