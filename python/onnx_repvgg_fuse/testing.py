"""Compare whole models under ONNX Runtime, for tests and in case of doubt.

Needs `pip install onnx-repvgg-fuse[ort]` (numpy and onnxruntime).
"""
from __future__ import annotations

import html
import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Iterable, Mapping, Optional, Sequence, Union

from . import _arguments, _models
from ._arguments import AnyPath
from ._errors import FileMissing, ModelError, OptionError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
else:
    Array = Any

Inputs = Mapping[str, Array]

__all__ = ["Comparison", "OutputDifference", "assert_equivalent", "compare", "generate_inputs"]

# Relative to the largest output magnitude. Each layer adds rounding, so these are wider than the tolerances of the
# self-check, which covers one rewrite.
TOLERANCE = {"float64": 1e-10, "float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}

# Sizes to try, in this order, for open axes.
SIZES = (32, 64, 224, 640, 16, 8, 1)

NUMPY_TYPES = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16",
    "tensor(int8)": "int8", "tensor(int16)": "int16", "tensor(int32)": "int32", "tensor(int64)": "int64",
    "tensor(uint8)": "uint8", "tensor(uint16)": "uint16", "tensor(uint32)": "uint32", "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
}


@dataclass(frozen=True)
class OutputDifference:
    """One output over all inputs: its largest difference, relative to its largest magnitude."""

    name: str
    difference: float
    tolerance: float
    reason: str = ""
    """Why the outputs cannot be compared ("" if they can): shapes, types, NaN in only one of them."""

    @property
    def equivalent(self) -> bool:
        """Whether the difference is within the tolerance."""
        return not self.reason and self.difference <= self.tolerance


@dataclass(frozen=True)
class Comparison:
    """The comparison of two models. It is true if all outputs agree; `print` it for a line per output.

    `interface`: how inputs and outputs differ, one line each. If they differ, the models were not run.
    """

    outputs: tuple[OutputDifference, ...]
    runs: int
    interface: tuple[str, ...] = ()

    @property
    def equivalent(self) -> bool:
        """Whether all outputs agree."""
        return not self.interface and all(output.equivalent for output in self.outputs)

    def __bool__(self) -> bool:
        return self.equivalent

    @property
    def largest_difference(self) -> float:
        """The largest difference of all outputs, each relative to its largest magnitude."""
        return max((output.difference for output in self.outputs), default=0.0)

    def __str__(self) -> str:
        lines = [f"DIFFERENT: {line}" for line in self.interface]
        for output in self.outputs:
            mark = "same" if output.equivalent else "DIFFERENT"
            said = output.reason or f"difference {output.difference:.2g}, tolerance {output.tolerance:.2g}"
            lines.append(f"{mark}: output '{output.name}': {said}")
        return "\n".join([*lines, f"{self.runs} run{'' if self.runs == 1 else 's'}"])

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def _needed() -> tuple[Any, Any]:
    try:
        import numpy
        import onnxruntime
    except ImportError as error:
        raise ImportError(f"comparing under ONNX Runtime needs {error.name}: pip install onnx-repvgg-fuse[ort]") from error
    return numpy, onnxruntime


def _session(model: Any, providers: Sequence[Any], what: str, folder: Optional[AnyPath]) -> Any:
    is_path = _models.kind_of(model, what) == "path"
    _, onnxruntime = _needed()
    options = onnxruntime.SessionOptions()
    # Compare the models themselves, not ONNX Runtime's optimized versions.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    loaded: Any = os.fsdecode(model) if is_path else bytes(_models.in_one_piece(model, folder, what))
    try:
        return onnxruntime.InferenceSession(loaded, options, providers=list(providers))
    except Exception as error:  # ONNX Runtime's errors share no base class
        if is_path and not os.path.exists(loaded):
            raise FileMissing(f"{loaded}: cannot open: No such file or directory") from error
        hint = "" if is_path else _models.hint_of_external(str(error), folder)
        raise ModelError(f"ONNX Runtime does not load {what}: {error}{hint}") from error


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
    # Small numbers, so that an index stays in range.
    return random.integers(0, 2, shape).astype(kind)


def generate_inputs(model: Any, *, seed: int = 0, dims: Optional[Mapping[str, int]] = None,
                    size: int = SIZES[0], external_folder: Optional[AnyPath] = None) -> dict[str, Any]:
    """Random inputs by name: numpy arrays with the shapes and types that the model declares.

    - `model`: a path, bytes, onnx.ModelProto or onnx_ir.Model.
    - `dims`: sizes of named axes, such as {"height": 224}. `size`: the size of other open axes. An open first axis is 2.
    - `external_folder`: the folder of the external data of a model in memory.

    Floats are standard normal, integers and booleans are 0 or 1. The same seed gives the same numbers.
    Raises OptionError for inputs that are not tensors of numbers.
    """
    session = _session(model, ["CPUExecutionProvider"], "model", external_folder)
    return _generate(session, seed, dims or {}, size)


def _generate(session: Any, seed: int, dims: Mapping[str, int], size: int) -> dict[str, Any]:
    return {a.name: _random(a, _shape(a.shape, dims, size), seed) for a in session.get_inputs()}


def _size_that_runs(session: Any, dims: Mapping[str, int]) -> int:
    """The first of SIZES at which the model runs."""
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
    """(largest difference, tolerance by type, why the outputs cannot be compared)"""
    numpy, _ = _needed()
    if isinstance(a, list) and isinstance(b, list):  # a sequence
        if len(a) != len(b):
            return 0.0, 0.0, f"sequence of {len(a)} became one of {len(b)}"
        parts = [_difference(x, y) for x, y in zip(a, b)]
        return max(parts, key=lambda part: (bool(part[2]), part[0]), default=(0.0, 0.0, ""))
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


def _interface(first: Any, second: Any) -> tuple[str, ...]:
    """How the inputs and outputs of two sessions differ, apart from their order."""
    lines = []
    for what, x, y in (("input", first.get_inputs(), second.get_inputs()),
                       ("output", first.get_outputs(), second.get_outputs())):
        a, b = {v.name: v.type for v in x}, {v.name: v.type for v in y}
        lines += [f"{what} '{name}' is in the first model only" for name in a if name not in b]
        lines += [f"{what} '{name}' is in the second model only" for name in b if name not in a]
        lines += [f"{what} '{name}': {a[name]} became {b[name]}" for name in a if name in b and a[name] != b[name]]
    return tuple(lines)


def _given(inputs: Union[Inputs, Iterable[Inputs]], session: Any) -> list[dict[str, Any]]:
    """Inputs as a list of mappings that name every input of the session."""
    kinds = "a mapping of names to numpy arrays, or several"
    try:
        listed: list[Any] = [inputs] if isinstance(inputs, Mapping) else list(inputs)
    except TypeError:
        raise TypeError(f"inputs is {_arguments.described(inputs)}, expected {kinds}") from None
    if not listed:
        raise OptionError("inputs is empty")
    names = [argument.name for argument in session.get_inputs()]
    for one in listed:
        if not isinstance(one, Mapping):
            raise TypeError(f"inputs holds {_arguments.described(one)}, expected {kinds}")
        if set(one) != set(names):
            raise OptionError(f"inputs has {sorted(one)}, expected {sorted(names)}")
    return [dict(one) for one in listed]


def compare(a: Any, b: Any, inputs: Union[Inputs, Iterable[Inputs], None] = None, *, rtol: Optional[float] = None,
            runs: int = 2, seed: int = 0, dims: Optional[Mapping[str, int]] = None,
            providers: Sequence[Any] = ("CPUExecutionProvider",),
            external_folder: Optional[AnyPath] = None) -> Comparison:
    """Run both models on the same inputs under ONNX Runtime, with its graph optimizations off.

    - `a`, `b`: each a path, bytes, onnx.ModelProto or onnx_ir.Model. Inputs and outputs are paired by name.
    - `inputs`: one or several mappings of names to numpy arrays. None: `runs` random ones, with seeds from `seed` on, see
      `generate_inputs`.
    - `rtol`: accepted difference, relative to the largest magnitude of the output. None: depends on its type (1e-4 for
      float). Integers and booleans must be equal.
    - `dims`: sizes of named axes of random inputs.
    - `providers`: execution providers of ONNX Runtime.
    - `external_folder`: the folder of the external data of models in memory.

    Raises ModelError if ONNX Runtime does not load or run a model, and OptionError or TypeError for bad arguments. A
    difference is not an error; the Comparison contains it.
    """
    if rtol is not None and not _arguments.real(rtol, "rtol") >= 0:
        raise OptionError(f"rtol is {rtol}, expected a number that is not negative")
    _arguments.whole(runs, "runs", 1, 10**6)
    _arguments.whole(seed, "seed", 0, 2**64 - 1)
    for name, model in (("a", a), ("b", b)):
        _models.kind_of(model, name)
    first, second = _session(a, providers, "a", external_folder), _session(b, providers, "b", external_folder)
    interface = _interface(first, second)
    if interface:
        return Comparison((), 0, interface)

    sizes: Mapping[str, int] = dims or {}
    if inputs is None:
        size = _size_that_runs(first, sizes)
        given = [_generate(first, seed + run, sizes, size) for run in range(runs)]
    else:
        given = _given(inputs, first)

    names = [output.name for output in first.get_outputs()]
    worst: dict[str, OutputDifference] = {}
    for one in given:
        try:
            results = zip(names, first.run(names, one), second.run(names, one))
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
    """Raise AssertionError, with a line per output, if the two models do not compute the same under ONNX Runtime.

    The arguments are those of `compare`, and so are its errors for models that do not run.
    """
    found = compare(a, b, inputs, rtol=rtol, **options)
    if not found:
        raise AssertionError(f"the models are not equivalent:\n{found}")
