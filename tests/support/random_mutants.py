#!/usr/bin/env python3
"""Draw mutants of networks, of what they are fused to, and of onnx's own cases of every operator, and ask verify.

ONNX Runtime is the referee, onnx's own evaluator where it has no kernel: what it tells apart by more than the tolerance on some
input, verify has to call not equal (1). What it calls equal (0) is a miss. What it cannot decide (2) may be 2 % of all.

usage: python -m tests.support.random_mutants [MODEL...] [--first-seed N] [--count N] [--jobs N] [--save FOLDER]
"""
import argparse
import collections
import functools
import multiprocessing
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test import loader
from onnx.reference import ReferenceEvaluator

from tests.support.mutants import ATTRIBUTES, MUTATIONS, integer_constant
from tests.support.tool import ROOT, TOOL, fuse, graphs_of, scopes, session

NETWORKS = sorted(p for p in (ROOT / "models").glob("*.onnx") if "fp16" not in p.stem)
KINDS = [*MUTATIONS, *ATTRIBUTES, integer_constant]
# Twice what verify grants by itself, by the coarsest type
TOLERANCE = {TensorProto.BFLOAT16: 0.12, TensorProto.FLOAT16: 2e-2, TensorProto.FLOAT: 2e-5}
NO_CASE = re.compile("training_dropout|bernoulli|random|multinomial|image_decoder|ai_onnx_ml|adagrad|adam|momentum|flexattention|"
                     "string|regex|sequence|optional|cast_|castlike|dft|stft|loop|scan|reversesequence")
SECONDS = 60  # of CPU for one answer
Mutant = collections.namedtuple("Mutant", "seed base what")


def answer_of(a, b):
    """0, 1, 2, or 3 where it takes too long; what it says; and seconds of CPU."""
    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([TOOL, "verify", a, b], capture_output=True, text=True, preexec_fn=limit)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.returncode if done.returncode >= 0 else 3, (done.stdout + done.stderr).strip(), took


# Bases


def is_tensor(value):
    return value.type.WhichOneof("value") == "tensor_type"


@functools.cache
def cases():
    """onnx's cases of deterministic operators that take tensors."""
    found = []
    for case in loader.load_model_tests(kind="node"):
        if case.model is None or case.data_sets is None or NO_CASE.search(case.name):
            continue
        graph = case.model.graph
        if all(map(is_tensor, (*graph.input, *graph.output))) and all(d is not None for d in case.data_sets[0][0]):
            found.append(case)
    return found


def array_of(value):
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def of_case(case):
    """A case as networks have it: sizes, places and other integers, scales and bounds are constants. And the inputs left."""
    model, inputs = onnx.ModelProto.FromString(case.model.SerializeToString()), {}
    given = [(value, array_of(v)) for value, v in zip(model.graph.input, case.data_sets[0][0])]
    reals = [value.name for value, array in given if array.dtype.kind in "fV" or "float" in array.dtype.name]
    for value, array in given:
        is_data = not reals or value.name == reals[0] or array.dtype == bool or (value.name in reals and array.ndim > 1)
        if is_data:
            inputs[value.name] = array
        else:
            model.graph.initializer.append(numpy_helper.from_array(array, value.name))
            model.graph.input.remove(next(i for i in model.graph.input if i.name == value.name))
    return model, inputs


def drawn(inputs, rng):
    """The inputs of a case, and others of their shapes and kinds."""
    yield inputs
    for amplitude in (1, 4, 0.25, 1):
        other = {}
        for name, array in inputs.items():
            if array.dtype == bool:
                other[name] = rng.integers(0, 2, array.shape).astype(bool)
            elif array.dtype.kind in "iu":
                low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
                other[name] = rng.integers(low, high + 1, array.shape).astype(array.dtype)
            else:
                other[name] = (rng.standard_normal(array.shape) * amplitude).astype(array.dtype)
        yield other


def network_inputs(model, rng):
    held = {t.name for t in model.graph.initializer}
    sizes, inputs = {}, {}
    for value in model.graph.input:
        if value.name in held:
            continue
        kind = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        shape = [d.dim_value or sizes.setdefault(d.dim_param or (value.name, k), 2 if k == 0 else 64)
                 for k, d in enumerate(value.type.tensor_type.shape.dim)]
        inputs[value.name] = (np.ones(shape, bool) if kind == bool else rng.integers(0, 8, shape).astype(kind)
                              if np.dtype(kind).kind in "iu" else rng.standard_normal(shape).astype(kind))
    return inputs


@functools.cache
def network(path):
    """The model, its bytes and those of what it is fused to."""
    with tempfile.TemporaryDirectory() as folder:
        data = path.read_bytes()
        return onnx.load_from_string(data), data, fuse(data, folder).data


def draw_base(seed, rng, paths):
    """Name, the model as bytes, what to alter as bytes, the first inputs, the kinds of mutants."""
    if seed % 2:
        case = cases()[int(rng.integers(len(cases())))]
        model, inputs = of_case(case)
        data = model.SerializeToString()
        return case.name, data, data, inputs, ATTRIBUTES
    path = paths[int(rng.integers(len(paths)))]
    model, data, fused = network(path)
    return path.stem, data, fused if rng.random() < 0.7 else data, network_inputs(model, rng), KINDS


# The referee


def runtime(data):
    return functools.partial(session(data).run, None)


def reference(data):
    return functools.partial(ReferenceEvaluator(onnx.ModelProto.FromString(data)).run, None)


def tolerance_of(data):
    model = onnx.ModelProto.FromString(data)
    kinds = {t.data_type for g in graphs_of(model.graph) for t in g.initializer}
    kinds |= {a.i for _, nodes in scopes(model) for n in nodes if n.op_type == "Cast" for a in n.attribute if a.name == "to"}
    kinds |= {v.type.tensor_type.elem_type for v in (*model.graph.input, *model.graph.output)}
    return next((t for kind, t in TOLERANCE.items() if kind in kinds), 1e-9)


def apart(want, got, tolerance):
    """True where outputs differ by more than the tolerance, beside the largest element; texts and integers by anything."""
    for x, y in zip(want, got):
        x, y = np.asarray(x), np.asarray(y)
        if x.shape != y.shape:
            return True
        if x.dtype.kind in "iubOSU" and "float" not in x.dtype.name:
            if (x != y).any():
                return True
            continue
        x, y = x.astype(np.float64), y.astype(np.float64)
        finite = np.isfinite(x) & np.isfinite(y)
        if (np.isfinite(x) != np.isfinite(y)).any():
            return True
        if np.abs(np.where(finite, x - y, 0)).max(initial=0) > tolerance * np.abs(np.where(finite, x, 0)).max(initial=0):
            return True
    return False


def judge(data, mutant, inputs, rng):
    """"changed", "unchanged", or "refused" where the one that runs the model does not take the mutant. None: no one runs it."""
    for run in (runtime, reference):
        try:
            old = run(data)
            sets = [(x, old(x)) for x in drawn(inputs, rng)]
        except Exception:  # no kernel, or numbers that it does not take, in one of many ways
            continue
        try:
            new, tolerance = run(mutant), max(tolerance_of(data), tolerance_of(mutant))
            return "changed" if any(apart(want, new(x), tolerance) for x, want in sets) else "unchanged"
        except Exception:
            return "refused"
    return None


def guarded(function, *arguments):
    """What a function that gives a text gives, or "refused": a runtime may end the process that asks it."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writes, (function(*arguments) or "").encode())
        finally:
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as stream:
        text = stream.read()
    status = os.waitpid(child, 0)[1]
    return "refused" if status else text or None


def try_seed(seed, folder, paths=NETWORKS):
    """What was altered, how the referee judges it, what verify answers and says, and seconds. Or None: the seed has no mutant."""
    rng = np.random.default_rng(seed)
    for _ in range(20):
        name, data, base, inputs, kinds = draw_base(seed, rng, paths)
        mutant = onnx.ModelProto.FromString(base)
        try:
            what = kinds[int(rng.integers(len(kinds)))](mutant, rng)
            altered = mutant.SerializeToString()
        except Exception:  # a kind that does not fit the model
            continue
        state = guarded(judge, data, altered, inputs, rng) if what else None
        if state is None:
            continue
        pair = pathlib.Path(folder, f"{seed}.onnx"), pathlib.Path(folder, f"{seed}.mutant.onnx")
        for path, content in zip(pair, (data, altered)):
            path.write_bytes(content)
        answer, text, took = answer_of(*pair)
        if (state, answer) in (("changed", 1), ("unchanged", 0), ("refused", 2), ("refused", 1)):
            for path in pair:
                path.unlink()
        return Mutant(seed, name, what), state, answer, text, took
    return None


def attempt(work):
    return try_seed(*work)


def tell(results, told=print):
    """Prints what is to be looked at and the count. Returns the misses, and how many of those told apart are not decided."""
    counts, misses, slowest = collections.Counter(), [], 0.0
    for result in results:
        if result is None:
            continue
        mutant, state, answer, text, took = result
        counts[state, answer] += 1
        slowest = max(slowest, took)
        if (state, answer) == ("changed", 0):
            misses.append(mutant)
        if (state, answer) not in (("changed", 1), ("unchanged", 0), ("refused", 2), ("refused", 1)):
            told(f"{state}, verify {answer}: seed {mutant.seed}: {mutant.base}: {mutant.what}: {' | '.join(text.splitlines())[:300]}")
    for state in ("changed", "unchanged", "refused"):
        told(f"{sum(n for (s, _), n in counts.items() if s == state):5} {state:9}: {counts[state, 1]} not equal, {counts[state, 0]} equal, "
             f"{counts[state, 2]} undecided, {counts[state, 3]} out of time")
    told(f"slowest {slowest:.1f} s")
    changed = sum(n for (s, _), n in counts.items() if s == "changed")
    return misses, (counts["changed", 2] + counts["changed", 3]) / max(1, changed)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("models", nargs="*", type=pathlib.Path, default=NETWORKS, help="networks (default: those of models/)")
    p.add_argument("--count", type=int, default=2000)
    p.add_argument("--first-seed", type=int, default=0)
    p.add_argument("--jobs", type=int, default=1, help="processes")
    p.add_argument("--save", type=pathlib.Path, help="where pairs go that are to be looked at (default: a new folder)")
    a = p.parse_args()
    folder = a.save or pathlib.Path(tempfile.mkdtemp(prefix="mutants."))
    folder.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(a.jobs) as pool:
        work = ((seed, folder, a.models) for seed in range(a.first_seed, a.first_seed + a.count))
        misses, unknown = tell(pool.imap(attempt, work, 8), functools.partial(print, flush=True))
    print(f"{len(misses)} missed, {100 * unknown:.1f} % of those told apart not decided (pairs in {folder})")
    return 1 if misses or unknown > 0.02 else 0


if __name__ == "__main__":
    sys.exit(main())
