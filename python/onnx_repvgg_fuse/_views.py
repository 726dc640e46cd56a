"""diff, verify, info and dump: models as something to review."""
from __future__ import annotations

import contextlib
import ctypes
import json
import os
import pathlib
import tempfile
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, Iterator, Mapping, Optional, Sequence, Union

from . import _models
from ._call import Call
from ._errors import OptionError
from ._library import Borrowed, DiffOptions, DumpOptions, Options, TakeText, VerifyOptions, library
from .testing import Comparison, compare

__all__ = ["Diff", "Info", "Verdict", "diff", "dump", "info", "verify"]


@dataclass(frozen=True)
class _Text:
    text: str = field(repr=False)
    json: str = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """The JSON, parsed."""
        parsed: dict[str, Any] = json.loads(self.json)
        return parsed

    def __str__(self) -> str:
        return self.text.rstrip("\n")


@dataclass(frozen=True)
class Diff(_Text):
    """What changed. `print` it for lines to read; `github` and `sarif` are the texts for CI."""

    same: bool
    github: str = field(repr=False)
    sarif: str = field(repr=False)


@dataclass(frozen=True)
class Verdict(_Text):
    """Whether two models compute the same: True where they do.

    `equivalent` is True, False, or None where that cannot be told: an operator that is not evaluated.
    """

    equivalent: Optional[bool]

    def __bool__(self) -> bool:
        return self.equivalent is True


@dataclass(frozen=True)
class Info(_Text):
    """What is in a model, and what fusing would make of it. `print` it for lines to read."""


@contextlib.contextmanager
def _as_path(model: Any, name: str) -> Iterator[bytes]:
    """The path of a model; one in memory is written to a temporary folder for the time."""
    kind = _models.kind_of(model)
    if kind == "path":
        yield _models.path_bytes(model, name)
        return
    with tempfile.TemporaryDirectory(prefix="onnx-repvgg-fuse-") as folder:
        path = pathlib.Path(folder) / f"{name}.onnx"
        path.write_bytes(model if kind == "bytes" else _models.to_bytes(model))
        yield os.fsencode(path)


def _compared(call: Call, function: Callable[..., int], a: Any, b: Any, options: Any,
              formats: Sequence[str]) -> tuple[int, list[str]]:
    """The verdict of the library and the texts asked for."""
    handle = ctypes.c_void_p()
    options.progress = call.callback
    try:
        with _as_path(a, "a") as first, _as_path(b, "b") as second:
            call.run(function, first, second, ctypes.byref(options), ctypes.byref(handle))
            call.check(lambda: library.onnx_fuse_comparison_error(handle) if handle else None)
            texts = [library.onnx_fuse_comparison_format(handle, name.encode()) for name in formats]
        if None in texts:
            raise MemoryError("out of memory while reporting")
        return library.onnx_fuse_comparison_verdict(handle), [text.decode(errors="replace") for text in texts]
    finally:
        library.onnx_fuse_comparison_free(handle)


def diff(a: Any, b: Any, *, rtol: float = 0, atol: float = 0, ignore: Iterable[str] = (), strict: bool = False) -> Diff:
    """What changed from model `a` to model `b`.

    a, b: each a path, bytes, onnx.ModelProto or onnx_ir.Model. Nodes are matched by what they compute,
    so renamed values and other orders are no change. rtol, atol: numbers of weights are the same when
    |a - b| <= atol + rtol * |a|. ignore: kinds of change not to count. strict: count names, order, doc
    strings and metadata as well.
    Raises ModelError, FileError, OptionError, OutOfMemory; a change is no error.
    """
    options = DiffOptions()
    library.onnx_fuse_diff_options_init(ctypes.byref(options))
    options.rtol, options.atol, options.strict = rtol, atol, bool(strict)
    kinds = [ignore] if isinstance(ignore, str) else list(ignore)
    options.ignore = (ctypes.c_char_p * (len(kinds) + 1))(*(kind.encode() for kind in kinds), None)
    verdict, texts = _compared(Call(), library.onnx_fuse_diff, a, b, options, ("text", "json", "github", "sarif"))
    text, parsed, github, sarif = texts
    return Diff(text=text, json=parsed, same=verdict == 0, github=github, sarif=sarif)


def verify(a: Any, b: Any, *, runtime: Optional[str] = None, rtol: Optional[float] = None, trials: int = 2, seed: int = 0,
           inputs: Union[Mapping[str, Any], Iterable[Mapping[str, Any]], None] = None) -> Union[Verdict, Comparison]:
    """Whether two models compute the same. The result is true where they do, and `print` says more.

    a, b: each a path, bytes, onnx.ModelProto or onnx_ir.Model; inputs and outputs are paired by name.
    runtime: None decides by structure and by evaluating what differs with the library's own evaluator,
    and gives a `Verdict`; "onnxruntime" runs both whole models and gives a `testing.Comparison`
    (needs numpy and onnxruntime). rtol: largest difference relative to the largest element; None: by
    type. trials: random inputs, of each part that differs or of the whole. seed: of those inputs.
    inputs: for a runtime: what to run on instead, see `testing.compare`.
    Raises ModelError, FileError, OptionError, OutOfMemory; a difference is no error.
    """
    if runtime == "onnxruntime":
        return compare(a, b, inputs, rtol=rtol, runs=trials, seed=seed)
    if runtime is not None:
        raise OptionError(f"runtime is {runtime!r}, expected None or 'onnxruntime'")
    if inputs is not None:
        raise OptionError("inputs are for runtime='onnxruntime'")
    options = VerifyOptions()
    library.onnx_fuse_verify_options_init(ctypes.byref(options))
    if rtol is not None:
        options.rtol = rtol
    options.trials, options.seed = trials, seed
    verdict, (text, parsed) = _compared(Call(), library.onnx_fuse_verify, a, b, options, ("text", "json"))
    return Verdict(text=text, json=parsed, equivalent={0: True, 1: False}.get(verdict))


def _viewed(call: Call, by_path: Callable[..., int], by_memory: Callable[..., int], model: Any, options: Any,
            handle: ctypes.c_void_p) -> None:
    """Calls one of the two functions, by the kind of model; raises its error."""
    kind = _models.kind_of(model)
    if kind == "path":
        call.run(by_path, _models.path_bytes(model, "model"), ctypes.byref(options), ctypes.byref(handle))
    else:
        if kind == "ir":
            folder = _models.external_folder_of(model)
            options.external_folder = None if folder is None else os.fsencode(folder)
        with Borrowed(model if kind == "bytes" else _models.to_bytes(model)) as borrowed:
            call.run(by_memory, borrowed.address, borrowed.size, ctypes.byref(options), ctypes.byref(handle))
    call.check(lambda: library.onnx_fuse_view_error(handle) if handle else None)


def info(model: Any) -> Info:
    """What is in a model, and what fusing would make of it: ops by type, inputs, outputs, parameters,
    multiply-adds, regions, and how far apart the channels of their weights lie before and after.

    model: a path, bytes, onnx.ModelProto or onnx_ir.Model.
    Raises ModelError, FileError, OutOfMemory.
    """
    call, options, handle = Call(), Options(), ctypes.c_void_p()
    library.onnx_fuse_options_init(ctypes.byref(options))
    options.progress = call.callback
    try:
        _viewed(call, library.onnx_fuse_info, library.onnx_fuse_info_memory, model, options, handle)
        return Info(text=library.onnx_fuse_view_text(handle).decode(errors="replace"),
                    json=library.onnx_fuse_view_json(handle).decode(errors="replace"))
    finally:
        library.onnx_fuse_view_free(handle)


def dump(model: Any, *, elide: Optional[int] = None, metadata: bool = True) -> str:
    """A model in ONNX's text syntax, one node a line; the same text for the same model.

    model: a path, bytes, onnx.ModelProto or onnx_ir.Model. elide: tensors of more elements are given
    by type, shape and hash; None: none, and onnx.parser.parse_model reads the text back.
    metadata: doc strings and metadata, which the syntax has no place for, stand in comments.
    Raises ModelError, FileError, OptionError, OutOfMemory.
    """
    if elide is not None and elide < 0:
        raise OptionError(f"elide is {elide}, expected 0 or more")
    call, options, handle = Call(), DumpOptions(), ctypes.c_void_p()
    parts: list[bytes] = []

    def take(closure: object, address: int, size: int) -> bool:
        if not call.stop:
            parts.append(ctypes.string_at(address, size))
        return not call.stop

    library.onnx_fuse_dump_options_init(ctypes.byref(options))
    options.write = TakeText(take)
    options.elide = -1 if elide is None else elide
    options.no_metadata = not metadata
    try:
        _viewed(call, library.onnx_fuse_dump, library.onnx_fuse_dump_memory, model, options, handle)
        return b"".join(parts).decode(errors="replace")
    finally:
        library.onnx_fuse_view_free(handle)
