"""Whole-model comparison under ONNX Runtime, for tests and for doubt.

Needs `pip install onnx-repvgg-fuse[ort]` (numpy and onnxruntime).
"""
from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Iterable, Mapping, Optional, Sequence, Union

from . import _models
from ._errors import ModelError, OnnxFuseError, OptionError

if TYPE_CHECKING:
    import numpy as np

    Inputs = Mapping[str, np.ndarray[Any, Any]]

__all__ = ["Comparison", "OutputDifference", "assert_equivalent", "compare", "generate_inputs"]

# Of the largest output magnitude. Every layer rounds once more, so these are wider than those of the
# self-check, which sees one rewrite.
TOLERANCE = {"float64": 1e-10, "float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}

# Tried in this order for axes whose size the model leaves open.
SIZES = (32, 64, 224, 640, 16, 8, 1)

NUMPY_TYPES = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16",
    "tensor(int8)": "int8", "tensor(int16)": "int16", "tensor(int32)": "int32", "tensor(int64)": "int64",
    "tensor(uint8)": "uint8", "tensor(uint16)": "uint16", "tensor(uint32)": "uint32", "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
}


@dataclass(frozen=True)
class OutputDifference:
    """One output over all inputs tried: largest difference relative to its largest magnitude."""

    name: str
    difference: float
    tolerance: float
    reason: str = ""
    """Why the two cannot be compared ("" when they can): shapes, types, NaN in one of them only."""

    @property
    def equivalent(self) -> bool:
        return not self.reason and self.difference <= self.tolerance


@dataclass(frozen=True)
class Comparison:
    """Two models side by side. True where all outputs agree; `print` it for a line per output."""

    outputs: tuple[OutputDifference, ...]
    runs: int

    @property
    def equivalent(self) -> bool:
        return all(output.equivalent for output in self.outputs)

    def __bool__(self) -> bool:
        return self.equivalent

    @property
    def largest_difference(self) -> float:
        return max((output.difference for output in self.outputs), default=0.0)

    def __str__(self) -> str:
        lines = []
        for output in self.outputs:
            mark = "same" if output.equivalent else "DIFFERENT"
            said = output.reason or f"difference {output.difference:.2g}, tolerance {output.tolerance:.2g}"
            lines.append(f"{mark}: output '{output.name}': {said}")
        return "\n".join([*lines, f"{self.runs} runs"])


def _needed() -> tuple[Any, Any]:
    try:
        import numpy
        import onnxruntime
    except ImportError as error:
        raise ImportError(f"comparing under ONNX Runtime needs {error.name}: pip install onnx-repvgg-fuse[ort]") from error
    return numpy, onnxruntime


def _session(model: Any, providers: Sequence[Any]) -> Any:
    _, onnxruntime = _needed()
    options = onnxruntime.SessionOptions()
    # The models are compared, not what ONNX Runtime makes of them.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    is_path = _models.kind_of(model) == "path"
    try:
        return onnxruntime.InferenceSession(os.fspath(model) if is_path else _models.to_bytes(model), options,
                                            providers=list(providers))
    except OnnxFuseError:
        raise
    except Exception as error:
        raise ModelError(f"ONNX Runtime does not load the model: {error}") from error


def _shape(declared: Sequence[Union[int, str, None]], dims: Mapping[str, int], size: int) -> list[int]:
    """A shape to try: open batch axes are 2, other open axes `size`; equal names, equal sizes."""
    shape = []
    for axis, dim in enumerate(declared):
        if isinstance(dim, str) and dim in dims:
            shape.append(dims[dim])
        elif isinstance(dim, int):
            shape.append(dim)
        else:
            shape.append(2 if axis == 0 else size)
    return shape


def _random(argument: Any, shape: Sequence[int], seed: int) -> Any:
    numpy, _ = _needed()
    kind = NUMPY_TYPES.get(argument.type)
    if kind is None:
        raise OptionError(f"input '{argument.name}' is a {argument.type}, for which none is generated: give inputs")
    random = numpy.random.default_rng([seed, zlib.crc32(argument.name.encode())])
    if kind.startswith("float"):
        return random.standard_normal(shape).astype(kind)
    # Small, so that an index stays in range.
    return random.integers(0, 2, shape).astype(kind)


def generate_inputs(model: Any, *, seed: int = 0, dims: Optional[Mapping[str, int]] = None,
                    size: int = SIZES[0]) -> dict[str, Any]:
    """Random inputs by name, numpy arrays of the shapes and types the model declares.

    model: a path, bytes, onnx.ModelProto or onnx_ir.Model. dims: sizes of named axes, as
    {"height": 224}. size: of other open axes; an open first axis is 2.
    Floats are standard normal, integers and booleans 0 or 1. The same seed gives the same numbers.
    Raises OptionError for inputs that are no tensors of numbers.
    """
    session = _session(model, ["CPUExecutionProvider"])
    return _generate(session, seed, dims or {}, size)


def _generate(session: Any, seed: int, dims: Mapping[str, int], size: int) -> dict[str, Any]:
    return {a.name: _random(a, _shape(a.shape, dims, size), seed) for a in session.get_inputs()}


def _size_that_runs(session: Any, dims: Mapping[str, int]) -> int:
    """The first of SIZES with which the model runs."""
    if all(isinstance(dim, int) or dim in dims for a in session.get_inputs() for dim in a.shape[1:]):
        return SIZES[0]
    last: Optional[Exception] = None
    for size in SIZES:
        inputs = _generate(session, 0, dims, size)
        try:
            session.run(None, inputs)
            return size
        except Exception as error:  # ONNX Runtime's errors share no base class
            last = error
    raise ModelError(f"the model runs with none of the sizes {SIZES} for its open axes; give dims or inputs: {last}")


def _difference(a: Any, b: Any) -> tuple[float, float, str]:
    """(largest difference, tolerance by type, why they cannot be compared)"""
    numpy, _ = _needed()
    a, b = numpy.asarray(a), numpy.asarray(b)
    if a.dtype != b.dtype:
        return 0.0, 0.0, f"type {a.dtype} became {b.dtype}"
    if a.shape != b.shape:
        return 0.0, 0.0, f"shape {list(a.shape)} became {list(b.shape)}"
    tolerance = TOLERANCE.get(str(a.dtype), 0.0)
    if str(a.dtype) not in TOLERANCE:
        equal = bool(numpy.array_equal(a, b))
        return (0.0 if equal else 1.0), 0.0, "" if equal else "values differ"
    x, y = a.astype("float64"), b.astype("float64")
    odd = ~numpy.isfinite(x) | ~numpy.isfinite(y)
    if not numpy.array_equal(x[odd], y[odd], equal_nan=True):
        return 0.0, tolerance, "NaN or infinity in one of them only"
    x, y = x[~odd], y[~odd]
    largest = float(numpy.abs(x).max(initial=0))
    apart = float(numpy.abs(x - y).max(initial=0))
    return (0.0 if apart == 0 else apart / largest if largest > 0 else float("inf")), tolerance, ""


def compare(a: Any, b: Any, inputs: Union[Inputs, Iterable[Inputs], None] = None, *, rtol: Optional[float] = None,
            runs: int = 2, seed: int = 0, dims: Optional[Mapping[str, int]] = None,
            providers: Sequence[Any] = ("CPUExecutionProvider",)) -> Comparison:
    """Runs both models on the same inputs under ONNX Runtime, its graph optimisations off.

    a, b: each a path, bytes, onnx.ModelProto or onnx_ir.Model. inputs: one mapping of names to numpy
    arrays, or several; None: `runs` random ones from `seed` on, see `generate_inputs`. rtol: largest difference
    relative to the largest magnitude of the output; None: by its type (1e-4 for float). Integers and
    booleans must be equal.
    Raises ModelError when ONNX Runtime does not load or run a model, OptionError for bad options;
    a difference is no error, it is in the Comparison.
    """
    if rtol is not None and not rtol >= 0:
        raise OptionError(f"rtol is {rtol}, expected a number that is not negative")
    if runs < 1:
        raise OptionError(f"runs is {runs}, expected 1 or more")
    first, second = _session(a, providers), _session(b, providers)
    for what, x, y in (("inputs", first.get_inputs(), second.get_inputs()),
                       ("outputs", first.get_outputs(), second.get_outputs())):
        names, others = [v.name for v in x], [v.name for v in y]
        if names != others:
            raise ModelError(f"the {what} differ: {names} became {others}")

    sizes: Mapping[str, int] = dims or {}
    given: list[Any] = []
    if inputs is None:
        size = _size_that_runs(first, sizes)
        given = [_generate(first, seed + run, sizes, size) for run in range(runs)]
    else:
        given = [inputs] if isinstance(inputs, Mapping) else list(inputs)
        if not given:
            raise OptionError("inputs is empty")

    names = [output.name for output in first.get_outputs()]
    worst: dict[str, OutputDifference] = {}
    for one in given:
        try:
            results = zip(names, first.run(None, dict(one)), second.run(None, dict(one)))
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise ModelError(f"ONNX Runtime does not run the model: {error}") from error
        for name, x, y in results:
            difference, tolerance, reason = _difference(x, y)
            tolerance = tolerance if rtol is None or tolerance == 0 else rtol
            found = OutputDifference(name, difference, tolerance, reason)
            old = worst.get(name)
            if old is None or (old.equivalent and not found.equivalent) or (
                    not old.reason and difference > old.difference):
                worst[name] = found
    return Comparison(tuple(worst[name] for name in names), len(given))


def assert_equivalent(a: Any, b: Any, inputs: Union[Inputs, Iterable[Inputs], None] = None, *,
                      rtol: Optional[float] = None, **options: Any) -> None:
    """Raises AssertionError, a line per output, when the two models do not compute the same.

    The arguments are those of `compare`, and so are the errors for models that do not run.
    """
    found = compare(a, b, inputs, rtol=rtol, **options)
    if not found:
        raise AssertionError(f"the models are not equivalent:\n{found}")
