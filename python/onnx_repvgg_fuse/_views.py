"""diff, verify, info and dump: review models."""
from __future__ import annotations

import contextlib
import ctypes
import html
import json
import os
import pathlib
import tempfile
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Iterator, Literal, Mapping, Optional, Sequence, Union, overload

from . import _arguments, _models
from ._arguments import AnyPath, Names
from ._call import Call, ProgressFunction
from ._errors import OptionError
from ._fuse import _rewrite_options
from ._library import Borrowed, DiffOptions, DumpOptions, TakeText, VerifyOptions, library
from ._models import AnyModel
from .testing import Comparison, Inputs, compare

__all__ = ["Diff", "Info", "Verdict", "diff", "dump", "info", "verify"]


@dataclass(frozen=True, repr=False)
class _Text:
    text: str
    """The text that `print` prints."""
    json: str
    """The same as JSON; docs/ has the schema."""

    def as_dict(self) -> dict[str, Any]:
        """The JSON, parsed."""
        parsed: dict[str, Any] = json.loads(self.json)
        return parsed

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {str(self).partition(chr(10))[0]}>"

    def __str__(self) -> str:
        return self.text.rstrip("\n")

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


@dataclass(frozen=True, repr=False)
class Diff(_Text):
    """What changed between two models. It is true if no change counts, so you can `assert diff(a, b)`; likewise, a
    `Verdict` is true if both models compute the same. `print` it for the text.

    `github` and `sarif` are the texts for CI: workflow commands and SARIF 2.1.0. `html` is a self-contained page that
    draws the changes side by side. There are also `text`, `json` and `as_dict()`.
    """

    same: bool
    github: str
    sarif: str
    html: str

    @property
    def changes(self) -> list[dict[str, Any]]:
        """All changes, including those that do not count: "kind", "counts", "text" and more, see
        docs/diff.schema.json."""
        listed: list[dict[str, Any]] = self.as_dict()["changes"]
        return listed

    def __bool__(self) -> bool:
        return self.same

    def __str__(self) -> str:
        return super().__str__() or "no change"


@dataclass(frozen=True, repr=False)
class Verdict(_Text):
    """Whether two models compute the same. It is true if they do; likewise, a `Diff` is true if no change counts.

    `equivalent` is True, False, or None if verify cannot decide, for instance because of an unknown operator.
    `html` is a self-contained page.
    """

    equivalent: Optional[bool]
    html: str

    def __bool__(self) -> bool:
        return self.equivalent is True

    @property
    def largest_difference(self) -> Optional[float]:
        """The largest difference of all evaluations, relative to the largest element. None if it is not a number."""
        found = self.as_dict()
        number: Optional[float] = found["largest_difference"]
        apart = found["departure"] or {}
        if number is not None and apart.get("difference") and apart.get("largest"):
            number = max(number, apart["difference"] / apart["largest"])
        return number


@dataclass(frozen=True, repr=False)
class Info(_Text):
    """What a model contains, and what fusing would change. `print` it for the text; docs/info.schema.json describes
    `as_dict()`. `html` is a self-contained page that draws what would be fused. At a prompt, it shows its text."""

    html: str

    def __repr__(self) -> str:
        return str(self)


@contextlib.contextmanager
def _as_path(model: Any, name: str, folder: Optional[AnyPath]) -> Iterator[bytes]:
    """The path of a model. A model in memory is written to a temporary folder while the context lasts."""
    if _models.kind_of(model, name) == "path":
        yield _arguments.path(model, name)
        return
    data = _models.in_one_piece(model, folder, name)
    with tempfile.TemporaryDirectory(prefix="onnx-repvgg-fuse-") as temporary:
        path = pathlib.Path(temporary) / f"{name}.onnx"
        with open(path, "wb", buffering=0) as file:
            rest = memoryview(data).cast("B")
            while rest:
                rest = rest[file.write(rest):]
            rest.release()
        del data, rest
        yield os.fsencode(path)


def _compared(call: Call, function: Callable[..., int], models: tuple[Any, Any], folder: Optional[AnyPath], options: Any,
              formats: Sequence[str]) -> tuple[int, list[str]]:
    """The verdict of the library, and the requested texts."""
    for name, model in zip("ab", models):
        _models.kind_of(model, name)
    if folder is not None:
        _arguments.path(folder, "external_folder")
    handle = ctypes.c_void_p()
    options.progress = call.callback
    with _as_path(models[0], "a", folder) as a, _as_path(models[1], "b", folder) as b:
        temporary = [(os.fsdecode(path), name) for path, model, name in ((a, models[0], "a"), (b, models[1], "b"))
                     if _models.kind_of(model) != "path"]

        def told(text: bytes) -> str:
            """The text without the names of temporary files."""
            said = text.decode(errors="replace")
            for path, name in temporary:
                said = said.replace(path, f"model {name}").replace(os.path.dirname(path), "(in memory)")
            return said

        def error() -> Optional[bytes]:
            if not handle:
                return None
            said = told(library.onnx_fuse_comparison_error(handle))
            return (said + (_models.hint_of_external(said, folder) if temporary else "")).encode()

        try:
            call.run(function, a, b, ctypes.byref(options), ctypes.byref(handle))
            call.check(error)
            texts = [library.onnx_fuse_comparison_format(handle, name.encode()) for name in formats]
            if None in texts:
                raise MemoryError("out of memory while reporting")
            return library.onnx_fuse_comparison_verdict(handle), [told(text) for text in texts]
        finally:
            library.onnx_fuse_comparison_free(handle)


def diff(a: AnyModel, b: AnyModel, *, rtol: float = 0, atol: float = 0, ignore: Names = (), strict: bool = False,
         all: bool = False, external_folder: Optional[AnyPath] = None,
         follow_symlinks: bool = False, progress: Optional[ProgressFunction] = None) -> Diff:
    """What changed from model `a` to model `b`.

    - `a`, `b`: each a path, bytes, onnx.ModelProto or onnx_ir.Model. Nodes are matched by what they compute, so
      renaming values or reordering nodes does not count as a change.
    - `rtol`, `atol`: numbers of weights count as equal if |a - b| <= atol + rtol * |a|.
    - `ignore`: one or several kinds of change to ignore; docs/diff.md lists them.
    - `strict`: also count names, order, doc strings and metadata.
    - `all`: list each change separately. By default, similar changes share a line, and only the weights that changed
      most are listed. `changes` always lists all.
    - `external_folder`: the folder of the external data of models in memory.
    - `follow_symlinks`: follow links to external data wherever they lead.
    - `progress`: as for `fuse`.

    Raises TypeError, ModelError, FileError, OptionError, OutOfMemory, Cancelled. A change is not an error.
    """
    options = DiffOptions()
    library.onnx_fuse_diff_options_init(ctypes.byref(options))
    options.rtol, options.atol = _arguments.real(rtol, "rtol"), _arguments.real(atol, "atol")
    options.strict, options.all = bool(strict), bool(all)
    options.follow_symlinks = bool(follow_symlinks)
    options.ignore = _arguments.names(ignore, "ignore", "names of kinds of change")
    _arguments.function(progress, "progress")
    verdict, texts = _compared(Call(progress), library.onnx_fuse_diff, (a, b), external_folder, options,
                               ("text", "json", "github", "sarif", "html"))
    text, parsed, github, sarif, page = texts
    return Diff(text=text, json=parsed, same=verdict == 0, github=github, sarif=sarif, html=page)


def _save(path: str, inputs: Any) -> None:
    if not isinstance(inputs, Mapping):
        raise TypeError(f"inputs is {type(inputs).__name__}, expected a dict of arrays by name, or a path")
    import numpy as np

    np.savez(path, **{name: np.asarray(array) for name, array in inputs.items()})


@overload
def verify(a: AnyModel, b: AnyModel, *, runtime: None = None, rtol: Optional[float] = None, trials: int = 2, seed: int = 0,
           inputs: Union[Inputs, AnyPath, None] = None, layers: bool = False, external_folder: Optional[AnyPath] = None,
           follow_symlinks: bool = False, progress: Optional[ProgressFunction] = None) -> Verdict: ...
@overload
def verify(a: AnyModel, b: AnyModel, *, runtime: Literal["onnxruntime"], rtol: Optional[float] = None, trials: int = 2, seed: int = 0,
           inputs: Union[Inputs, Iterable[Inputs], None] = None,
           external_folder: Optional[AnyPath] = None) -> Comparison: ...
def verify(a: AnyModel, b: AnyModel, *, runtime: Optional[str] = None, rtol: Optional[float] = None, trials: int = 2, seed: int = 0,
           inputs: Union[Inputs, Iterable[Inputs], AnyPath, None] = None, layers: bool = False,
           external_folder: Optional[AnyPath] = None, follow_symlinks: bool = False,
           progress: Optional[ProgressFunction] = None) -> Union[Verdict, Comparison]:
    """Check whether two models compute the same. The result is true if they do; `print` it for details.

    - `a`, `b`: each a path, bytes, onnx.ModelProto or onnx_ir.Model. Inputs and outputs are paired by name.
    - `runtime`: None compares structure, evaluates differing parts with the library's own evaluator, and returns a
      `Verdict`. "onnxruntime" runs both whole models and returns an `onnx_repvgg_fuse.testing.Comparison` (needs numpy
      and onnxruntime).
    - `rtol`: accepted difference, relative to the largest element. None: depends on the type.
    - `trials`: number of random inputs for each differing part, or for the whole models. `seed`: their seed.
    - `layers`: list the differences of values with the same name, in `text` and in `json["layers"]`; only without a
      runtime.
    - `inputs`: inputs to use besides random ones: arrays by input name, or the path of a file from numpy.savez. With a
      runtime, they replace the random ones, see `onnx_repvgg_fuse.testing.compare`.
    - `external_folder`: the folder of the external data of models in memory.
    - `follow_symlinks`: follow links to external data wherever they lead.
    - `progress`: as for `fuse`; only without a runtime.

    Raises TypeError, ModelError, FileError, OptionError, OutOfMemory, Cancelled. A difference is not an error.
    """
    if rtol is not None:
        rtol = _arguments.real(rtol, "rtol")
    trials = _arguments.whole(trials, "trials", 1, 1000)
    seed = _arguments.whole(seed, "seed", 0, 2**64 - 1)
    _arguments.function(progress, "progress")
    if runtime == "onnxruntime":
        if progress is not None:
            raise OptionError("progress needs runtime=None: ONNX Runtime reports none")
        if layers:
            raise OptionError("layers needs runtime=None: ONNX Runtime returns only outputs")
        if isinstance(inputs, (str, os.PathLike)):
            raise TypeError("inputs is a path, but ONNX Runtime needs arrays by name: read the file with numpy.load")
        return compare(a, b, inputs, rtol=rtol, runs=trials, seed=seed, external_folder=external_folder)
    if runtime is not None:
        raise OptionError(f"runtime is {runtime!r}, expected None or 'onnxruntime'")
    if inputs is not None and not isinstance(inputs, (str, bytes, os.PathLike)):
        with tempfile.TemporaryDirectory(prefix="onnx_repvgg_fuse.") as folder:
            given = os.path.join(folder, "inputs.npz")
            _save(given, inputs)
            return verify(a, b, rtol=rtol, trials=trials, seed=seed, inputs=given, layers=layers,
                          external_folder=external_folder, follow_symlinks=follow_symlinks, progress=progress)
    options = VerifyOptions()
    library.onnx_fuse_verify_options_init(ctypes.byref(options))
    options.inputs = None if inputs is None else _arguments.path(inputs, "inputs")
    if rtol is not None:
        options.rtol = rtol
    options.trials, options.seed = trials, seed
    options.layers = bool(layers)
    options.follow_symlinks = bool(follow_symlinks)
    verdict, (text, parsed, page) = _compared(Call(progress), library.onnx_fuse_verify, (a, b), external_folder, options,
                                              ("text", "json", "html"))
    return Verdict(text=text, json=parsed, html=page, equivalent={0: True, 1: False}.get(verdict))


def _viewed(call: Call, by_path: Callable[..., int], by_memory: Callable[..., int], model: Any,
            folder: Optional[AnyPath], options: Any, handle: ctypes.c_void_p) -> None:
    """Calls the function for this kind of model, and raises its error."""
    if folder is not None:
        _arguments.path(folder, "external_folder")
    if _models.kind_of(model) == "path":
        if folder is not None:
            raise OptionError("external_folder is for models in memory; for a file, it is the file's own folder")
        call.run(by_path, _arguments.path(model, "model"), ctypes.byref(options), ctypes.byref(handle))
    else:
        folder = _models.folder_of(model, folder)
        options.external_folder = None if folder is None else _arguments.path(folder, "external_folder")
        with Borrowed(_models.as_buffer(model)) as borrowed:
            call.run(by_memory, borrowed.address, borrowed.size, ctypes.byref(options), ctypes.byref(handle))
    call.check(lambda: library.onnx_fuse_view_error(handle) if handle else None)


def info(model: AnyModel, *, only: Optional[Names] = None, skip: Optional[Names] = None, max_growth: float = 1,
         tolerance: Optional[float] = None, check: bool = True, external_folder: Optional[AnyPath] = None,
         follow_symlinks: bool = False, progress: Optional[ProgressFunction] = None) -> Info:
    """Summarise a model and what fusing would change: ops by type, inputs, outputs, parameters, multiply-adds, regions,
    and how much the channels of their weights differ in range before and after.

    - `model`: a path, bytes, onnx.ModelProto or onnx_ir.Model.
    - the other arguments are those of `fuse`.

    Raises TypeError, ModelError, FileError, OptionError, OutOfMemory, Cancelled.
    """
    _arguments.function(progress, "progress")
    call, handle = Call(progress), ctypes.c_void_p()
    options = _rewrite_options(only, skip, max_growth, tolerance, check, 0)
    options.follow_symlinks = bool(follow_symlinks)
    options.progress = call.callback
    try:
        _viewed(call, library.onnx_fuse_info, library.onnx_fuse_info_memory, model, external_folder, options, handle)
        return Info(text=library.onnx_fuse_view_text(handle).decode(errors="replace"),
                    json=library.onnx_fuse_view_json(handle).decode(errors="replace"),
                    html=library.onnx_fuse_view_html(handle).decode(errors="replace"))
    finally:
        library.onnx_fuse_view_free(handle)


def dump(model: AnyModel, *, elide: Optional[int] = None, metadata: bool = True,
         external_folder: Optional[AnyPath] = None, follow_symlinks: bool = False) -> str:
    """A model in ONNX's text syntax, one node per line. The same model gives the same text.

    - `model`: a path, bytes, onnx.ModelProto or onnx_ir.Model.
    - `elide`: print only type, shape and hash of tensors with more elements. None: print all numbers, so that
      onnx.parser.parse_model reads the text back.
    - `metadata`: print doc strings and metadata as comments, because the syntax does not have them.
    - `external_folder`: the folder of the external data of a model in memory. None: the text has the location of the
      data. An onnx_ir.Model knows its folder.
    - `follow_symlinks`: follow links to external data wherever they lead.

    Raises TypeError, ModelError, FileError, OptionError, OutOfMemory.
    """
    if elide is not None:
        elide = _arguments.whole(elide, "elide", 0, 2**63 - 1)
    call, options, handle = Call(), DumpOptions(), ctypes.c_void_p()
    parts: list[bytes] = []

    def take(closure: object, address: int, size: int) -> bool:
        if not call.stop:
            try:
                parts.append(ctypes.string_at(address, size))
            except BaseException as error:  # must not pass through C
                call.error, call.stop = error, True
        return not call.stop

    library.onnx_fuse_dump_options_init(ctypes.byref(options))
    options.write = TakeText(take)
    options.elide = -1 if elide is None else elide
    options.no_metadata = not metadata
    options.follow_symlinks = bool(follow_symlinks)
    try:
        _viewed(call, library.onnx_fuse_dump, library.onnx_fuse_dump_memory, model, external_folder, options, handle)
        return b"".join(parts).decode(errors="replace")
    finally:
        library.onnx_fuse_view_free(handle)
