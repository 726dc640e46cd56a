"""fuse(): one call of the C library, and what a caller of Python needs around it."""
from __future__ import annotations

import ctypes
import math
import mmap
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, Optional, TypeVar, Union, overload

from . import _arguments, _models
from ._arguments import AnyPath, InputShapes, Names, described
from ._call import Call, ProgressFunction
from ._errors import OptionError
from ._library import Borrowed, Options, Room, library
from ._report import Handle, Report

__all__ = ["Result", "fuse", "passes"]

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnx_ir import Model as IrModel

Model = TypeVar("Model")
Path = TypeVar("Path", bound=Union[str, "os.PathLike[str]"])
Message = TypeVar("Message", "ModelProto", "IrModel")


@dataclass(frozen=True, repr=False)
class Result(Generic[Model]):
    """What `fuse` hands back.

    `model` is of the kind that went in; for a path it is the output's path. `report` tells what was
    done: `print(result.report)` gives the before and after table, a notebook shows more.
    """

    model: Model
    report: Report

    def __repr__(self) -> str:
        model = self.model if isinstance(self.model, (str, os.PathLike)) else described(self.model)
        return f"<Result: {self.report.sentence}; model: {model}>"

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


def _pass_names(names: Optional[Names], what: str) -> Any:
    return _arguments.names(names, what, f"names of passes: {', '.join(passes())}")


EQUALIZE = {None: 0, "tensor": 1, "channel": 2}


def _rewrite_options(only: Optional[Names], skip: Optional[Names], max_growth: float, tolerance: Optional[float],
                     check: bool, jobs: int, equalize: Optional[str] = None) -> Options:
    """Options that fuse and info share."""
    options = Options()
    library.onnx_fuse_options_init(ctypes.byref(options))
    options.only = _pass_names(only, "only")
    options.skip = _pass_names(skip, "skip")
    options.max_growth = _arguments.real(max_growth, "max_growth")
    if tolerance is not None:
        options.tolerance = _arguments.real(tolerance, "tolerance")
        if not options.tolerance > 0 or math.isinf(options.tolerance):
            raise OptionError(f"tolerance is {tolerance}, expected a number above 0")
    options.no_check = not check
    options.jobs = _arguments.whole(jobs, "jobs", 0, 1024)
    if equalize is not None and not isinstance(equalize, str):
        raise TypeError(f"equalize is {described(equalize)}, expected \"tensor\", \"channel\" or None")
    if equalize not in EQUALIZE:
        raise OptionError(f"equalize is {equalize!r}, expected \"tensor\", \"channel\" or None")
    options.equalize = EQUALIZE[equalize]
    return options


def _report_of(call: Call, handle: Handle) -> Report:
    """The report, or the error as an exception."""
    call.check(lambda: library.onnx_fuse_report_error(handle.value) if handle.value else None)
    return Report._read(handle)


def _fuse_file(call: Call, options: Options, source: bytes, target: bytes) -> Report:
    handle = Handle()
    call.run(library.onnx_fuse_file, source, target, ctypes.byref(options), ctypes.byref(handle.value))
    return _report_of(call, handle)


def _fuse_memory(call: Call, options: Options, data: object) -> tuple[Optional[bytes], Report]:
    """The result's bytes, None when they are those of `data`, and the report."""
    handle, room, result, size = Handle(), Room(), ctypes.c_void_p(), ctypes.c_size_t()
    if room.available:
        options.allocate = room.allocate
    try:
        with Borrowed(data) as borrowed:
            call.run(library.onnx_fuse_memory, borrowed.address, borrowed.size, ctypes.byref(result),
                     ctypes.byref(size), ctypes.byref(options), ctypes.byref(handle.value))
            report = _report_of(call, handle)
        if not report.changed:
            return None, report
        return room.made if room.available else ctypes.string_at(result, size.value), report
    finally:
        if not room.available:
            library.onnx_fuse_free(result)


# To mypy without stubs of protobuf a ModelProto may be anything, so it stands first.
@overload
def fuse(model: Message, output: None = None, *, only: Optional[Names] = None,
         skip: Optional[Names] = None, max_growth: float = 1, tolerance: Optional[float] = None, check: bool = True,
         equalize: Optional[str] = None, statistics: Optional[AnyPath] = None,
         jobs: int = 0, external_data: str = "auto", external_folder: Optional[AnyPath] = None,
         follow_symlinks: bool = False, sync: bool = True, dry_run: bool = False, freeze: Optional[Names] = None,
         outputs: Optional[Names] = None, input_shapes: Optional[InputShapes] = None,
         progress: Optional[ProgressFunction] = None) -> Result[Message]: ...
@overload
def fuse(model: AnyPath, output: Path, *, only: Optional[Names] = None,
         skip: Optional[Names] = None, max_growth: float = 1, tolerance: Optional[float] = None, check: bool = True,
         equalize: Optional[str] = None, statistics: Optional[AnyPath] = None,
         jobs: int = 0, external_data: str = "auto", external_folder: Optional[AnyPath] = None,
         follow_symlinks: bool = False, sync: bool = True, dry_run: bool = False, freeze: Optional[Names] = None,
         outputs: Optional[Names] = None, input_shapes: Optional[InputShapes] = None,
         progress: Optional[ProgressFunction] = None) -> Result[Path]: ...
@overload
def fuse(model: Path, output: None = None, *, only: Optional[Names] = None,
         skip: Optional[Names] = None, max_growth: float = 1, tolerance: Optional[float] = None, check: bool = True,
         equalize: Optional[str] = None, statistics: Optional[AnyPath] = None,
         jobs: int = 0, external_data: str = "auto", external_folder: Optional[AnyPath] = None,
         follow_symlinks: bool = False, sync: bool = True, dry_run: Literal[True], freeze: Optional[Names] = None,
         outputs: Optional[Names] = None, input_shapes: Optional[InputShapes] = None,
         progress: Optional[ProgressFunction] = None) -> Result[Path]: ...
@overload
def fuse(model: Union[bytes, bytearray, memoryview, mmap.mmap], output: None = None, *, only: Optional[Names] = None,
         skip: Optional[Names] = None, max_growth: float = 1, tolerance: Optional[float] = None, check: bool = True,
         equalize: Optional[str] = None, statistics: Optional[AnyPath] = None,
         jobs: int = 0, external_data: str = "auto", external_folder: Optional[AnyPath] = None,
         follow_symlinks: bool = False, sync: bool = True, dry_run: bool = False, freeze: Optional[Names] = None,
         outputs: Optional[Names] = None, input_shapes: Optional[InputShapes] = None,
         progress: Optional[ProgressFunction] = None) -> Result[bytes]: ...
def fuse(model: Any, output: Optional[AnyPath] = None, *, only: Optional[Names] = None,
         skip: Optional[Names] = None, max_growth: float = 1, tolerance: Optional[float] = None, check: bool = True,
         equalize: Optional[str] = None, statistics: Optional[AnyPath] = None,
         jobs: int = 0, external_data: str = "auto", external_folder: Optional[AnyPath] = None,
         follow_symlinks: bool = False, sync: bool = True, dry_run: bool = False, freeze: Optional[Names] = None,
         outputs: Optional[Names] = None, input_shapes: Optional[InputShapes] = None,
         progress: Optional[ProgressFunction] = None) -> Result[Any]:
    """Fuse parallel linear branches (RepVGG and its descendants) and the BatchNormalization and
    constant arithmetic around them, exactly. The input is never changed.

    - `model`: a path, bytes (bytearray, memoryview and mmap give bytes back), onnx.ModelProto or
      onnx_ir.Model. Paths are the way for models over 2 GiB, with external data.
    - `output`: for a path only: where to write; may be the same path. A temporary file beside it is
      renamed at the end, so a failed or stopped run leaves what was there.
    - `only`, `skip`: names of passes, see `passes()`; one name or several. `only=[]` runs none.
    - `max_growth`: a rewrite may cost up to this many times what it replaces, in multiply-adds and in
      parameters.
    - `tolerance`: of the self-check of each rewrite, relative to its largest output; None: by type
      (1e-5 for float).
    - `check`: False keeps rewrites without evaluating them.
    - `equalize`: "tensor" or "channel": after all fusions, scale channels by powers of two so that an INT8
      quantiser that has one step for each weight, or one for each output channel, loses less. Not one bit of
      an output changes.
    - `statistics`: with equalize: a file of measured ranges and moments (JSON or NPZ), for models that are fused
      already (docs/equalize.md).
    - `jobs`: threads that compute weights; 0: one per core. The bytes do not depend on it.
    - `external_data`: for a path only: where weights go. "auto": as in the input, and to a new file
      beside the output where external data would be out of reach from there or the model would pass
      2 GiB; "inline": all into the model; anything else: the name of a new file in the output's
      folder.
    - `external_folder`: where the external data of a model in memory lies; tensors there that are
      fused come back inline. None: such tensors are left alone and never fused; an onnx_ir.Model
      knows its folder.
    - `follow_symlinks`: follow links to external data wherever they lead, for caches that are made of
      links (Hugging Face hub).
    - `sync`: for a path only: wait until the disk has the output (fsync).
    - `freeze`: names of initializers that are inputs as well, so that a caller may override them: they become
      constants, and are inputs no more. "all": every one.
    - `outputs`: names of the outputs that stay; the others go, and with them the ops that only they needed.
    - `input_shapes`: the sizes of inputs, `{"x": (1, 3, 224, 224)}`. What an input is declared with must agree; a
      symbol that it is declared with becomes the number in every shape.
    - `dry_run`: plan, check and report only; `Result.model` is then the input itself.
    - `progress`: called as progress(step, fraction), fraction from 0 to 1, from the thread that works;
      returning False stops the run with `Cancelled`, an exception stops it and is raised here.

    Names, types and shapes of the model's inputs and outputs stay unless the three options above say otherwise, and so do the names of values
    between fusions. A fused Conv has weights of shape [outputs, inputs / group, kernel...] and a
    bias of shape [outputs]. A model in which nothing folds comes back as equal bytes.

    Raises TypeError for other kinds of arguments, ModelError (a ValueError) for a bad model with the
    offset where it breaks, OptionError (a ValueError), FileError (an OSError), OutOfMemory,
    Cancelled; all but the first are OnnxFuseError. Ctrl-C stops the run and leaves no file.

    May be called from several threads at once; the GIL is not held.

    Source: RepVGG, https://arxiv.org/abs/2101.03697, section 3.3, and the ONNX operator definitions.
    """
    kind = _models.kind_of(model)
    if kind != "path" and output is not None:
        raise TypeError(f"output is for a path to a path; of {described(model)} the result is Result.model")
    if kind == "path" and output is None and not dry_run:
        raise OptionError(f"output is missing: where should the result of {os.fspath(model)!r} go?")
    target = b"/dev/null" if output is None else _arguments.path(output, "output")
    if external_folder is not None:
        _arguments.path(external_folder, "external_folder")
        if kind == "path":
            raise OptionError("external_folder is for models in memory; of a file it is the file's own folder")
    if not isinstance(external_data, str):
        raise TypeError(f"external_data is {described(external_data)}, expected \"auto\", \"inline\" or a file name")
    if kind != "path" and external_data != "auto":
        raise OptionError("external_data is for a path to a path; a model in memory comes back in one piece")
    if "\0" in external_data:
        raise OptionError(f"external_data: the name {external_data!r} holds a NUL")
    _arguments.function(progress, "progress")

    options = _rewrite_options(only, skip, max_growth, tolerance, check, jobs, equalize)
    if statistics is not None:
        options.statistics = _arguments.path(statistics, "statistics")
    options.dry_run = bool(dry_run)
    options.follow_symlinks = bool(follow_symlinks)
    options.no_sync = not sync
    options.external_data = os.fsencode(external_data)
    options.freeze = _arguments.names(freeze, "freeze", "names of initializers, or \"all\"")
    options.outputs = _arguments.names(outputs, "outputs", "names of outputs")
    options.input_shapes = _arguments.shapes(input_shapes, "input_shapes")
    call = Call(progress)
    options.progress = call.callback

    if kind == "path":
        report = _fuse_file(call, options, _arguments.path(model, "model"), target)
        return Result(model if dry_run else output, report)

    folder = _models.folder_of(model, external_folder)
    if folder is not None:
        options.external_folder = _arguments.path(folder, "external_folder")
    data = _models.as_buffer(model)
    fused, report = _fuse_memory(call, options, data)
    if dry_run:
        return Result(model, report)
    if kind == "bytes":
        return Result(bytes(model) if fused is None else fused, report)
    if fused is not None:
        data = fused  # the serialised model is let go before the result takes its room
    del fused
    if kind == "proto":
        return Result(_models.proto_from(data, model), report)
    return Result(_models.ir_from(data, folder), report)
