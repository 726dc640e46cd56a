"""Judge a fused model: every option of the command, and outputs compared channel by channel, in double where it matters."""
import functools
import json
import pathlib
import shutil
import subprocess
import tempfile

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from tests.support.drawing import Failure
from tests.support.net import BFLOAT16
from tests.support.tool import PASSES, TOOL, check_tidy, check_valid, count_ops, elem_types, overridable, retyped, same_interface, scopes, session

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
PRECISION = {TensorProto.BFLOAT16: 2.0**-7, TensorProto.FLOAT16: 2.0**-10, TensorProto.FLOAT: 2.0**-23, TensorProto.DOUBLE: 2.0**-52}
# Of the change that rounding every number of the model once makes: a fused weight is rounded once.
ROUNDINGS = 16


# Running models


class Mean(OpRun):
    """The reference's own does not broadcast."""

    def _run(self, *values):
        return (sum(values) / np.array(len(values), values[0].dtype),)


class BatchNormalization(OpRun):
    """The reference's own of opset 9 takes the statistics of the batch."""

    def _run(self, x, scale, shift, mean, variance, epsilon=1e-5, **_):
        dims = [1, -1] + [1] * (x.ndim - 2)
        scale, shift, mean, variance = (v.reshape(dims) for v in (scale, shift, mean, variance))
        return (((x - mean) / np.sqrt(variance + (epsilon or 1e-5)) * scale + shift).astype(x.dtype),)


class ConvTranspose(OpRun):
    """The reference's own takes no groups that give several channels. Of what is drawn: no output_padding, output_shape or auto_pad."""

    def _run(self, x, w, b=None, dilations=None, group=None, pads=None, strides=None, **_):
        size, k, group = x.shape[2:], w.shape[2:], group or 1
        s, d, p = strides or [1] * len(k), dilations or [1] * len(k), pads or [0] * (2 * len(k))
        full = [(a - 1) * b + (c - 1) * e + 1 for a, b, c, e in zip(size, s, k, d)]
        y = np.zeros((x.shape[0], group, w.shape[1], *full), x.dtype)
        x = x.reshape(x.shape[0], group, -1, *size)
        w = w.reshape(group, -1, *w.shape[1:])
        for tap in np.ndindex(*k):
            window = tuple(slice(t * e, t * e + (a - 1) * b + 1, b) for t, e, a, b in zip(tap, d, size, s))
            y[(..., *window)] += np.einsum("ngi...,gio->ngo...", x, w[(..., *tap)])
        y = y.reshape(y.shape[0], -1, *full)
        y = y[(..., *(slice(a, n - z) for n, a, z in zip(full, p, p[len(k):])))]
        return (y if b is None else y + b.reshape(1, -1, *[1] * len(k)),)


class Pad(OpRun):
    """The reference's own takes nothing away."""

    def _run(self, x, pads=None, fill=None, axes=None, mode=None, value=None):
        axes = range(x.ndim) if axes is None else axes
        width = [(0, 0)] * x.ndim
        for i, axis in enumerate(axes):
            width[axis] = (int(pads[i]), int(pads[len(axes) + i]))
        x = x[tuple(slice(max(0, -a), n + min(0, z)) for n, (a, z) in zip(x.shape, width))]
        width = [(max(0, a), max(0, z)) for a, z in width]
        if mode not in (None, "constant"):
            return (np.pad(x, width, mode=mode),)
        number = value if fill is None else np.asarray(fill).ravel()[0]
        return (np.pad(x, width, constant_values=0 if number is None else number).astype(x.dtype),)


def run_with(model, elem):
    """A function from inputs to outputs, with every float of the model as this type: ONNX Runtime for float, the reference for double."""
    model = retyped(model, FLOATS, elem)
    dtype = helper.tensor_dtype_to_np_dtype(elem)

    def typed(x):
        return {k: v.astype(dtype) if v.dtype.kind in "fV" or v.dtype == BFLOAT16 else v for k, v in x.items()}

    if elem == TensorProto.FLOAT:
        s = session(model)
        return lambda x: s.run(None, typed(x))
    r = ReferenceEvaluator(model, new_ops=[Mean, BatchNormalization, ConvTranspose, Pad])
    return lambda x: r.run(None, typed(x))


def per_channel(array):
    """Of each element, the smaller of the largest magnitudes along its slice of axis 1 and of the last axis."""
    array = np.abs(array)
    if array.ndim == 0:
        return array
    bounds = [array.max(tuple(k for k in range(array.ndim) if k != axis), keepdims=True, initial=0)
              for axis in {min(1, array.ndim - 1), array.ndim - 1}]
    return np.broadcast_to(functools.reduce(np.minimum, bounds), array.shape)


def departs(want, got, allowed):
    """What is wrong with the outputs, given what each element may be off by; None when nothing is."""
    for i, (a, b, limit) in enumerate(zip(want, got, allowed)):
        if a.shape != b.shape:
            return f"output {i} has shape {b.shape}, not {a.shape}"
        if a.dtype.kind == "b":
            gap, limit = (a != b).astype(float), 0.5
        else:
            with np.errstate(invalid="ignore"):
                gap = np.where(a == b, 0, np.abs(a.astype(np.float64) - b.astype(np.float64)))
        excess = gap - limit
        if not (excess <= 0).all():
            at = np.unravel_index(np.nanargmax(np.where(np.isnan(excess), np.inf, excess)), gap.shape)
            return f"output {i} is {b[at]:.6g}, not {a[at]:.6g}, at {[int(v) for v in at]}; {np.broadcast_to(limit, gap.shape)[at]:.2g} is allowed"
    return None


def perturbed(model, x, rng, step):
    """Every number of a double model and of its input moved by a rounding error."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())

    def move(array):
        return array * (1 + step * rng.choice([-1.0, 1.0], array.shape))

    for owner, nodes in scopes(copy):
        tensors = [*getattr(owner, "initializer", []), *(a.t for n in nodes for a in n.attribute if a.type == AttributeProto.TENSOR)]
        for t in tensors:
            if t.data_type == TensorProto.DOUBLE:
                t.CopyFrom(numpy_helper.from_array(move(numpy_helper.to_array(t)), t.name))
    return copy, {k: move(v.astype(np.float64)) if v.dtype.kind in "fV" else v for k, v in x.items()}


def decide(before, after, x, step):
    """Compare in double: what rounding the model's numbers changes, channel by channel, is what a fused weight may be off by."""
    double = retyped(before, FLOATS, TensorProto.DOUBLE)
    want, got = run_with(before, TensorProto.DOUBLE)(x), run_with(after, TensorProto.DOUBLE)(x)
    rng = np.random.default_rng(0)
    # Of double models, evaluation rounds as much as the models: what is added and taken away again leaves that.
    summed = max((float(np.abs(v).max(initial=0)) for v in x.values() if v.dtype == np.float64), default=0.0)
    noise = [step * np.maximum(np.abs(v), summed) if v.dtype.kind != "b" else 0 for v in want]
    step = max(step, 2.0**-40)  # so that evaluation in double does not hide the change; it is linear in the step
    scale = min(1.0, noise_step(before) / step)
    for _ in range(4):
        moved, y = perturbed(double, x, rng, step)
        for i, v in enumerate(run_with(moved, TensorProto.DOUBLE)(y)):
            if v.dtype.kind != "b":
                noise[i] = np.maximum(noise[i], scale * np.abs(v - want[i]))
    return departs(want, got, [ROUNDINGS * per_channel(n) if isinstance(n, np.ndarray) else n for n in noise])


def noise_step(model):
    return max(PRECISION[t] for t in elem_types(model) if t in PRECISION)


# Options


class Settings:
    """The options of a run, and how the model comes in and goes out."""

    def __init__(self, rng):
        def chance(p):
            return rng.random() < p

        self.options = []
        self.growth = chance(0.06)
        if self.growth:
            self.options += ["--max-growth", str(rng.choice(["1.5", "4", "100"]))]
        if chance(0.5):
            self.options.append("--no-check")
        elif chance(0.15):
            self.options += ["--tolerance", "0.1"]
        passes = set(PASSES)
        if chance(0.06):
            left_out = str(rng.choice(PASSES))
            self.options += ["--skip", left_out]
            passes -= {left_out}
        elif chance(0.06):
            passes = {str(p) for p in rng.choice(PASSES, 2, replace=False)}
            self.options += ["--only", ",".join(sorted(passes))]
        self.tidy = "remove_dead" in passes  # else what was replaced stays in the file
        self.stores = "fold_constants" in passes
        self.external_in = chance(0.06)
        self.how = str(rng.choice(["files", "files", "option", "in place", "batch"] if self.external_in else
                                  ["files", "files", "option", "in place", "stdin", "stdout", "pipes", "batch"]))
        self.where = str(rng.choice(["auto", "inline", "weights.bin"])) if chance(0.12) and self.how in ("files", "option") else None
        if self.where:
            self.options += ["--external-data", self.where]
        self.jobs = [int(j) for j in rng.permutation([1, 2, 3, 4])[:2]]
        self.talk = [o for o in ("--explain", "--strict", "--no-sandbox", "--follow-symlinks", "-q") if chance(0.25)]
        if chance(0.8):  # waiting for the disk is most of a run's time
            self.talk.append("--no-sync")
        self.report = chance(0.15)
        self.forget = chance(0.3)

    def __str__(self):
        return " ".join([*self.options, *self.talk, "--jobs", str(self.jobs[0]), f"({self.how}{', external data' if self.external_in else ''})"])


def call(arguments, stdin=None):
    r = subprocess.run([TOOL, *map(str, arguments)], input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
                       capture_output=True, timeout=120, close_fds=False)
    return r.returncode, r.stdout, r.stderr.decode(errors="replace").strip()


def contents(path, where=None):
    """The bytes of a model, with those of the file of weights that the run was told to write."""
    data = path.parent / where if where and where not in ("auto", "inline") else None
    return path.read_bytes() + (data.read_bytes() if data and data.exists() else b"")


def first_run(settings, source, target):
    """Fuse as the settings say; the exit code, what went to standard error, and the JSON report, where there is one."""
    json_file = target.with_suffix(".json")
    talk = [o for o in settings.talk if settings.how != "batch" or o != "--explain"]
    extra = [*talk, *([] if settings.how == "batch" else ["--json", json_file]),
             *(["--report", target.with_suffix(".html")] if settings.report and settings.how != "batch" else [])]
    stdin = source.read_bytes() if settings.how in ("stdin", "pipes") else None
    into = "-" if stdin is not None else source
    out = "-" if settings.how in ("stdout", "pipes") else target
    if settings.how == "in place":
        shutil.copy(source, target)
        into = target
    base = [*extra, *settings.options, "--jobs", settings.jobs[0]]
    if settings.how == "batch":
        code, stdout, stderr = call([*base, "--batch", target.parent, source])
        made = target.parent / source.name
        if made.exists():
            made.rename(target)
    elif settings.how == "option":
        code, stdout, stderr = call([*base, into, "-o", out])
    else:
        code, stdout, stderr = call([*base, into, out], stdin)
    if out == "-":
        target.write_bytes(stdout)
    return code, stderr, json.loads(json_file.read_text()) if json_file.exists() else None


# A fused model


def same_overridable(before, after):
    """What a caller may give at will stays what it is, its default too."""
    if before.ir_version < 4:
        return
    def listed(m):
        names = overridable(m.graph)
        return [(i.SerializeToString(), next(numpy_helper.to_array(t).tobytes() for t in m.graph.initializer if t.name == i.name))
                for i in m.graph.input if i.name in names]

    assert listed(before) == listed(after), "the initializers that a caller may override changed"


def judge(model, inputs, settings, folder):
    """Fuse the model in the folder as the settings say. Returns the passes that fused something, or raises Failure."""
    folder = pathlib.Path(folder)
    source, made = folder / "in" / "model.onnx", folder / "out"
    for place in (source.parent, made):
        place.mkdir(exist_ok=True)
    target = made / "fused.onnx"
    if settings.external_in:
        if settings.where in (None, "auto"):
            made = source.parent  # references stay in reach
            target = made / "fused.onnx"
        copy = onnx.ModelProto.FromString(model.SerializeToString())
        onnx.save_model(copy, source, save_as_external_data=True, location="model.data", size_threshold=0)
    else:
        source.write_bytes(model.SerializeToString())

    def fail(kind, text):
        raise Failure(kind, f"{kind}: {text}\n  options: {settings}")

    if settings.external_in and settings.how == "batch":
        target = folder / "out" / "fused.onnx"
    code, stderr, report = first_run(settings, source, target)
    if code != 0:
        fail("dropped" if code == 1 else "trouble", f"exit {code}: {stderr}")
    if report and report["warnings"]:
        fail("dropped", report["warnings"])
    data = target.read_bytes()
    fused = [f["pass"] for f in report["fusions"]] if report else []
    if not settings.external_in and not settings.where and data == source.read_bytes():
        return fused

    try:
        after = onnx.load(target)
    except Exception as e:
        fail("invalid", f"{type(e).__name__}: {e}")
    for kind, check in (("invalid", lambda: check_valid(after)), ("interface", lambda: same_interface(model, after)),
                        ("interface", lambda: same_overridable(model, after))):
        try:
            check()
        except Exception as e:
            fail(kind, f"{type(e).__name__}: {e}")
    if settings.tidy:
        try:
            check_tidy(after, model)
        except AssertionError as e:
            fail("untidy", e)
    try:
        new = run_with(after, TensorProto.FLOAT)
        if elem_types(model) & {TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE} and loads(model):
            session(after)
    except Exception as e:
        fail("not loaded", f"{type(e).__name__}: {e}")

    old = run_with(model, TensorProto.FLOAT)
    step = noise_step(model)
    for x in inputs:
        want = old(x)
        try:
            got = new(x)
        except Exception as e:
            fail("does not run", f"{type(e).__name__}: {e}")
        problem = departs(want, got, [max(4 * step, 1e-5) * per_channel(v) if v.dtype.kind != "b" else 0 for v in want])
        if problem or step < 1e-12:
            try:
                problem = decide(model, after, x, step)
            except Exception as e:
                if problem:  # the reference does not run every op: then ONNX Runtime in float has said that they agree
                    fail("undecided", f"{type(e).__name__}: {e}; {problem}")
        if problem:
            fail("wrong", problem)

    ops = [sum(count_ops(m).values()) for m in (model, after)]
    if ops[1] > ops[0]:
        fail("more ops", f"{ops[0]} -> {ops[1]}")
    if not settings.external_in and settings.where in (None, "inline", "auto") and settings.tidy and not settings.growth:
        sizes = source.stat().st_size, len(data)
        # What fold_constants stores for an op may take 4 KiB more than what the op read.
        stored = 4096 if settings.stores else 0
        if sizes[1] > 1.02 * sizes[0] + 512 + stored:
            fail("more bytes", f"{sizes[0]} -> {sizes[1]}")

    elsewhere = settings.where == "weights.bin"
    place = folder / "again" if elsewhere else target.parent
    place.mkdir(exist_ok=True)
    if not (settings.external_in and settings.how == "batch"):
        jobs = place / "jobs.onnx"
        code, _, stderr = call([*settings.options, "--no-sync", "--jobs", settings.jobs[1], source, jobs])
        if code != 0:
            fail("trouble", f"with other jobs, exit {code}: {stderr}")
        if contents(jobs, settings.where) != contents(target, settings.where):
            fail("other bytes", "another run with other --jobs gives other bytes")
    if elsewhere:
        (place / "weights.bin").unlink(missing_ok=True)
    if not settings.growth and not (settings.external_in and settings.how == "batch"):
        again = place / "again.onnx"
        code, _, stderr = call([*settings.options, "--no-sync", "--jobs", settings.jobs[1], target, again])
        if code != 0:
            fail("trouble", f"second run, exit {code}: {stderr}")
        if contents(again, settings.where) != contents(target, settings.where):
            fail("second run", f"changes {describe(after, onnx.load(again))}")
    code, stdout, stderr = call(["verify", source, target])
    if code not in (0, 2):
        fail("verify", f"exit {code}: {stdout.decode()} {stderr}")
    return fused


def judge_saved(name, model, inputs, settings, folder):
    """Judges in a folder of its own. A model that fails is left in the folder given."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        try:
            return judge(model, inputs, settings, place)
        except Failure as e:
            saved = pathlib.Path(folder) / f"{name}.onnx"
            saved.write_bytes(model.SerializeToString())
            raise Failure(e.kind, f"{name}: {e}\n  model: {saved}") from e


def describe(before, after):
    a, b = count_ops(before, everything=True), count_ops(after, everything=True)
    return ", ".join(f"{op} {a.get(op, 0)} -> {b.get(op, 0)}" for op in sorted(a.keys() | b.keys()) if a.get(op) != b.get(op)) or "no counts of ops"


def loads(model):
    try:
        session(model)
    except Exception:
        return False
    return True
