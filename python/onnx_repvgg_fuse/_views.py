"""diff, verify, info and dump: models as something to review."""
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
    """Lines to read, what `print` gives."""
    json: str
    """The same for programs; its schema is in docs/."""

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
    """What changed between two models. True where nothing that counts did, as a `Verdict` is true where both compute the
    same: `assert diff(a, b)`. `print` it for lines to read.

    `github` and `sarif` are the texts for CI: workflow commands, and SARIF 2.1.0. `html` is a page
    with the changed places drawn side by side, that needs nothing else. The texts also come as
    `text`, `json` and `as_dict()`.
    """

    same: bool
    github: str
    sarif: str
    html: str

    @property
    def changes(self) -> list[dict[str, Any]]:
        """The changes one by one, those that do not count too: "kind", "counts", "text" and more,
        see docs/diff.schema.json."""
        listed: list[dict[str, Any]] = self.as_dict()["changes"]
        return listed

    def __bool__(self) -> bool:
        return self.same

    def __str__(self) -> str:
        return super().__str__() or "no change"


@dataclass(frozen=True, repr=False)
class Verdict(_Text):
    """Whether two models compute the same: true where they do, as a `Diff` is true where nothing that counts changed.

    `equivalent` is True, False, or None where that cannot be told: an operator that is not evaluated.
    `html` is a page that needs nothing else.
    """

    equivalent: Optional[bool]
    html: str

    def __bool__(self) -> bool:
        return self.equivalent is True

    @property
    def largest_difference(self) -> Optional[float]:
        """Of what was evaluated, relative to the largest element; None where that is not a number."""
        found = self.as_dict()
        number: Optional[float] = found["largest_difference"]
        apart = found["departure"] or {}
        if number is not None and apart.get("difference") and apart.get("largest"):
            number = max(number, apart["difference"] / apart["largest"])
        return number


@dataclass(frozen=True, repr=False)
class Info(_Text):
    """What is in a model, and what fusing would make of it. `print` it for lines to read;
    `as_dict()` is described by docs/info.schema.json. `html` is a page that needs nothing else: what would be fused, drawn.
    At a prompt it prints itself."""

    html: str

    def __repr__(self) -> str:
        return str(self)


@contextlib.contextmanager
def _as_path(model: Any, name: str, folder: Optional[AnyPath]) -> Iterator[bytes]:
    """The path of a model; one in memory is written to a temporary folder for the time."""
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
    """The verdict of the library and the texts asked for."""
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
            """A text without the names of temporary files."""
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

    - `a`, `b`: each a path, bytes, onnx.ModelProto or onnx_ir.Model. Nodes are matched by what they
      compute, so renamed values and other orders are no change.
    - `rtol`, `atol`: numbers of weights are the same when |a - b| <= atol + rtol * |a|.
    - `ignore`: kinds of change not to count, one or several; docs/diff.md lists them.
    - `strict`: count names, order, doc strings and metadata as well.
    - `all`: tell each change by itself; by default alike ones are one line, and the weights that changed most
      stand for the rest. `changes` lists all either way.
    - `external_folder`: where external data of models in memory lies.
    - `follow_symlinks`: follow links to external data wherever they lead.
    - `progress`: as for `fuse`.

    Raises TypeError, ModelError, FileError, OptionError, OutOfMemory, Cancelled; a change is no error.
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
    """Whether two models compute the same. The result is true where they do, and `print` says more.

    - `a`, `b`: each a path, bytes, onnx.ModelProto or onnx_ir.Model; inputs and outputs are paired by
      name.
    - `runtime`: None decides by structure and by evaluating what differs with the library's own
      evaluator, and gives a `Verdict`; "onnxruntime" runs both whole models and gives a
      `onnx_repvgg_fuse.testing.Comparison` (needs numpy and onnxruntime).
    - `rtol`: largest difference relative to the largest element; None: by type.
    - `trials`: how many random inputs, of each part that differs or of the whole; `seed`: of those.
    - `layers`: tell how far values of one name are apart, in `text` and in `json["layers"]`; not for a runtime.
    - `inputs`: what to try beside random inputs: arrays by the names of inputs, or the path of a file in which numpy.savez
      has written them. For a runtime: what to run on instead, see `onnx_repvgg_fuse.testing.compare`.
    - `external_folder`: where external data of models in memory lies.
    - `follow_symlinks`: follow links to external data wherever they lead.
    - `progress`: as for `fuse`; not for a runtime.

    Raises TypeError, ModelError, FileError, OptionError, OutOfMemory, Cancelled; a difference is no
    error.
    """
    if rtol is not None:
        rtol = _arguments.real(rtol, "rtol")
    trials = _arguments.whole(trials, "trials", 1, 1000)
    seed = _arguments.whole(seed, "seed", 0, 2**64 - 1)
    _arguments.function(progress, "progress")
    if runtime == "onnxruntime":
        if progress is not None:
            raise OptionError("progress is for runtime=None: ONNX Runtime tells none")
        if layers:
            raise OptionError("layers are for runtime=None: ONNX Runtime tells outputs alone")
        if isinstance(inputs, (str, os.PathLike)):
            raise TypeError("inputs is a path, and ONNX Runtime takes arrays by name: numpy.load reads them")
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
    """Calls one of the two functions, by the kind of model; raises its error."""
    if folder is not None:
        _arguments.path(folder, "external_folder")
    if _models.kind_of(model) == "path":
        if folder is not None:
            raise OptionError("external_folder is for models in memory; of a file it is the file's own folder")
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
    """What is in a model, and what fusing would make of it: ops by type, inputs, outputs, parameters,
    multiply-adds, regions, and how far apart the channels of their weights lie before and after.

    - `model`: a path, bytes, onnx.ModelProto or onnx_ir.Model.
    - the others: as for `fuse`.

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
    """A model in ONNX's text syntax, one node a line; the same text for the same model.

    - `model`: a path, bytes, onnx.ModelProto or onnx_ir.Model.
    - `elide`: tensors of more elements are given by type, shape and hash; None: none, and
      onnx.parser.parse_model reads the text back.
    - `metadata`: doc strings and metadata, which the syntax has no place for, stand in comments.
    - `external_folder`: where external data of a model in memory lies; None: the text says where, an
      onnx_ir.Model knows its folder.
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
