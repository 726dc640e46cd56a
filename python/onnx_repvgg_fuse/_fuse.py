"""fuse(): one call of the C library, and what a caller of Python needs around it."""
from __future__ import annotations

import ctypes
import math
import os
from dataclasses import dataclass
from typing import Any, Generic, Iterable, Optional, TypeVar, Union, overload

from . import _models
from ._call import Call, ProgressFunction
from ._errors import OptionError
from ._library import Borrowed, Options, library
from ._report import Report

__all__ = ["Result", "fuse", "passes"]

Model = TypeVar("Model")
Path = TypeVar("Path", str, "os.PathLike[str]")
Names = Union[str, Iterable[str]]


@dataclass(frozen=True)
class Result(Generic[Model]):
    """What `fuse` hands back.

    `model` is of the kind that went in; for a path it is the output's path. `report` tells what was
    done: `print(result.report)` gives the before and after table, a notebook shows more.
    """

    model: Model
    report: Report

    def __str__(self) -> str:
        return str(self.report)

    def _repr_html_(self) -> str:
        return self.report._repr_html_()


def passes() -> dict[str, str]:
    """The passes in the order they run: name to one-line purpose. Names are for `only` and `skip`."""
    found: dict[str, str] = {}
    while True:
        name = library.onnx_fuse_pass_name(len(found))
        if name is None:
            return found
        found[name.decode()] = library.onnx_fuse_pass_purpose(len(found)).decode()


def _names(names: Optional[Names], what: str) -> Any:
    """A NULL-terminated array of C strings, or NULL."""
    if names is None:
        return None
    listed = [names] if isinstance(names, str) else list(names)
    for name in listed:
        if not isinstance(name, str):
            raise TypeError(f"{what} holds {_models.described(name)}, expected names of passes: {', '.join(passes())}")
    encoded = [name.encode() for name in listed]
    return (ctypes.c_char_p * (len(encoded) + 1))(*encoded, None)


def _real(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{what} is {_models.described(value)}, expected a number")
    return float(value)


def _report_of(call: Call, handle: ctypes.c_void_p) -> Report:
    """The report, or the error as an exception."""
    call.check(lambda: library.onnx_fuse_report_error(handle) if handle else None)
    texts = [function(handle).decode(errors="replace") for function in
             (library.onnx_fuse_report_json, library.onnx_fuse_report_table, library.onnx_fuse_report_explanation)]
    return Report._read(*texts)


def _fuse_file(call: Call, options: Options, source: bytes, target: bytes) -> Report:
    handle = ctypes.c_void_p()
    try:
        call.run(library.onnx_fuse_file, source, target, ctypes.byref(options), ctypes.byref(handle))
        return _report_of(call, handle)
    finally:
        library.onnx_fuse_report_free(handle)


def _fuse_memory(call: Call, options: Options, data: object) -> tuple[Optional[bytes], Report]:
    """The result's bytes, None when they are those of `data`, and the report."""
    handle, result, size = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_size_t()
    try:
        # The report reads the model when its texts are made: they are, before the buffer is let go.
        with Borrowed(data) as borrowed:
            call.run(library.onnx_fuse_memory, borrowed.address, borrowed.size, ctypes.byref(result),
                     ctypes.byref(size), ctypes.byref(options), ctypes.byref(handle))
            report = _report_of(call, handle)
        copied = ctypes.string_at(result, size.value) if result and report.changed else None
        return copied, report
    finally:
        library.onnx_fuse_free(result)
        library.onnx_fuse_report_free(handle)


@overload
def fuse(model: Path, output: Union[str, os.PathLike[str], None] = None, *, only: Optional[Names] = None,
         skip: Optional[Names] = None, max_growth: float = 1, tolerance: Optional[float] = None, check: bool = True,
         jobs: int = 0, external_data: str = "auto", external_folder: Union[str, os.PathLike[str], None] = None,
         dry_run: bool = False, progress: Optional[ProgressFunction] = None) -> Result[Path]: ...
@overload
def fuse(model: Union[bytearray, memoryview], output: None = None, *, only: Optional[Names] = None,
         skip: Optional[Names] = None, max_growth: float = 1, tolerance: Optional[float] = None, check: bool = True,
         jobs: int = 0, external_data: str = "auto", external_folder: Union[str, os.PathLike[str], None] = None,
         dry_run: bool = False, progress: Optional[ProgressFunction] = None) -> Result[bytes]: ...
@overload
def fuse(model: Model, output: None = None, *, only: Optional[Names] = None,
         skip: Optional[Names] = None, max_growth: float = 1, tolerance: Optional[float] = None, check: bool = True,
         jobs: int = 0, external_data: str = "auto", external_folder: Union[str, os.PathLike[str], None] = None,
         dry_run: bool = False, progress: Optional[ProgressFunction] = None) -> Result[Model]: ...
def fuse(model: Any, output: Union[str, os.PathLike[str], None] = None, *, only: Optional[Names] = None,
         skip: Optional[Names] = None, max_growth: float = 1, tolerance: Optional[float] = None, check: bool = True,
         jobs: int = 0, external_data: str = "auto", external_folder: Union[str, os.PathLike[str], None] = None,
         dry_run: bool = False, progress: Optional[ProgressFunction] = None) -> Result[Any]:
    """Fuse parallel linear branches (RepVGG and its descendants) and the BatchNormalization and
    constant arithmetic around them, exactly. The input is never changed.

    model: a path, bytes (bytearray and memoryview give bytes back), onnx.ModelProto or onnx_ir.Model.
        Paths are the way for models over 2 GiB, with external data.
    output: for a path only: where to write; may be the same path. A temporary file beside it is
        renamed at the end, so a failed or stopped run leaves what was there.
    only, skip: names of passes, see `passes()`; one name or several. `only=[]` runs none.
    max_growth: a rewrite may cost up to this many times what it replaces, in multiply-adds and in
        parameters.
    tolerance: of the self-check of each rewrite, relative to its largest output; None: by type
        (1e-5 for float).
    check: False keeps rewrites without evaluating them.
    jobs: threads that compute weights; 0: one per core. The bytes do not depend on it.
    external_data: for a path only: where weights go. "auto": as in the input, and to a new file beside
        the output where external data would be out of reach from there or the model would pass
        2 GiB; "inline": all into the model; anything else: the name of a new file in the output's
        folder.
    external_folder: where the external data of a model in memory lies; tensors there come back
        inline. None: such tensors are left alone and never fused; an onnx_ir.Model knows its folder.
    dry_run: plan, check and report only; `Result.model` is then the input itself.
    progress: called as progress(step, fraction), fraction from 0 to 1, from the thread that works;
        returning False stops the run with `Cancelled`, an exception stops it and is raised here.

    Shapes of inputs and outputs, their names and the names of values between fusions stay. A model in
    which nothing folds comes back as equal bytes.

    Raises TypeError for other kinds of arguments, ModelError (a ValueError) for a bad model with the
    offset where it breaks, OptionError (a ValueError), FileError (an OSError), OutOfMemory,
    Cancelled; all but the first are OnnxFuseError. Ctrl-C stops the run and leaves no file.

    May be called from several threads at once; the GIL is not held.

    Source: RepVGG, https://arxiv.org/abs/2101.03697, section 3.3, and the ONNX operator definitions.
    """
    kind = _models.kind_of(model)
    if kind != "path" and output is not None:
        raise TypeError(f"output is for a path to a path; of {_models.described(model)} the result is Result.model")
    if output is not None and not isinstance(output, (str, os.PathLike)):
        raise TypeError(f"output is {_models.described(output)}, expected a path")
    if kind == "path" and output is None and not dry_run:
        raise OptionError(f"output is missing: where should the result of {os.fspath(model)!r} go?")
    if kind == "path" and external_folder is not None:
        raise OptionError("external_folder is for models in memory; of a file it is the file's own folder")
    if not isinstance(external_data, str):
        raise TypeError(f"external_data is {_models.described(external_data)}, expected \"auto\", \"inline\" or a file name")
    if kind != "path" and external_data != "auto":
        raise OptionError("external_data is for a path to a path; a model in memory comes back in one piece")
    if isinstance(jobs, bool) or not isinstance(jobs, int):
        raise TypeError(f"jobs is {_models.described(jobs)}, expected a whole number")
    if not 0 <= jobs <= 1024:
        raise OptionError(f"jobs is {jobs}, expected 0 to 1024")
    if progress is not None and not callable(progress):
        raise TypeError(f"progress is {_models.described(progress)}, expected a function")

    options = Options()
    library.onnx_fuse_options_init(ctypes.byref(options))
    only_names, skip_names = _names(only, "only"), _names(skip, "skip")
    options.only = only_names
    options.skip = skip_names
    options.max_growth = _real(max_growth, "max_growth")
    if tolerance is not None:
        options.tolerance = _real(tolerance, "tolerance")
        if not options.tolerance > 0 or math.isinf(options.tolerance):
            raise OptionError(f"tolerance is {tolerance}, expected a number above 0")
    options.no_check = not check
    options.dry_run = bool(dry_run)
    options.jobs = jobs
    options.external_data = os.fsencode(external_data)

    call = Call(progress)
    options.progress = call.callback

    if kind == "path":
        target = b"/dev/null" if output is None else _models.path_bytes(output, "output")
        report = _fuse_file(call, options, _models.path_bytes(model, "model"), target)
        return Result(model if dry_run else output, report)

    folder = None if external_folder is None else os.fspath(external_folder)
    if kind == "ir" and folder is None:
        folder = _models.external_folder_of(model)
    if folder is not None:
        options.external_folder = _models.path_bytes(folder, "external_folder")
    data: Any = model
    if kind == "proto":
        data = _models.proto_bytes(model)
    elif kind == "ir":
        data = _models.ir_bytes(model)
    fused, report = _fuse_memory(call, options, data)
    if dry_run:
        return Result(model, report)
    if kind == "bytes":
        return Result(bytes(model) if fused is None else fused, report)
    if kind == "proto":
        return Result(_models.proto_from(data if fused is None else fused, model), report)
    return Result(_models.ir_from(data if fused is None else fused, folder), report)
