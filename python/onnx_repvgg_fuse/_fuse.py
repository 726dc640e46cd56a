"""fuse(): one call of the C library, with the conversions that Python callers need."""
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
    """The result of `fuse`.

    `model` has the type of the input; for a path, it is the output's path. `report` describes the run:
    `print(result.report)` prints the table of before and after, and a notebook shows more.
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
    """The passes in the order in which they run, with a one-line description each. Use the names in `only` and `skip`."""
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
    """The options that fuse and info share."""
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
    """The result's bytes, or None if they equal `data`, and the report."""
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


# Without protobuf stubs, a ModelProto is Any to mypy, so it must be first.
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
    """Fuse parallel linear branches (RepVGG and its descendants) and the BatchNormalization and constant
    arithmetic around them, exactly. The input never changes.

    - `model`: a path, bytes (also bytearray, memoryview and mmap; the result is bytes), onnx.ModelProto or
      onnx_ir.Model. For models over 2 GiB, use a path and external data.
    - `output`: where to write, if `model` is a path; may be the same path. A temporary file beside it is renamed
      at the end, so a failed or stopped run leaves it unchanged.
    - `only`, `skip`: names of passes, see `passes()`; one name or several. `only=[]` runs none.
    - `max_growth`: a rewrite may have up to this many times the multiply-adds and parameters of the ops that it
      replaces.
    - `tolerance`: limit of the self-check of each rewrite, relative to its largest output. None: depends on the
      type (1e-5 for float).
    - `check`: False keeps rewrites without evaluating them.
    - `equalize`: "tensor" or "channel": after all fusions, scale channels by powers of two, so that INT8
      quantisation with one step per weight, or per output channel, loses less. The outputs keep every bit.
    - `statistics`: with equalize, a file of measured ranges and moments (JSON or NPZ), for models that are already
      fused (docs/equalize.md).
    - `jobs`: number of threads; 0: one per core. The result does not depend on it.
    - `external_data`: where to store the weights, if `model` is a path. "auto": where they were, or in a new file
      beside the output if the output could not reach them or would exceed 2 GiB. "inline": in the model. Any other
      string: the name of a new file in the output's folder.
    - `external_folder`: the folder of the external data of a model in memory. Fused tensors become inline. None:
      external tensors never fuse. An onnx_ir.Model knows its folder.
    - `follow_symlinks`: follow links to external data wherever they lead, for caches that consist of links (Hugging
      Face hub).
    - `sync`: wait until the disk has the output (fsync), if `model` is a path.
    - `freeze`: names of initializers that are also inputs, so that a caller may override them. They become constants
      and are no longer inputs. "all": every one.
    - `outputs`: names of the outputs to keep. The others are removed, with the ops that only they need.
    - `input_shapes`: shapes of inputs, `{"x": (1, 3, 224, 224)}`. They must agree with the declared shapes; a size
      replaces a declared symbol in every shape.
    - `dry_run`: only plan, check and report; `Result.model` is then the input itself.
    - `progress`: called as progress(step, fraction) from the working thread, with fraction from 0 to 1. If it returns
      False, the run stops with `Cancelled`; if it raises an exception, the run stops and `fuse` raises it. A class such
      as tqdm.tqdm draws a progress bar, see `bar`.

    Names, types and shapes of the model's inputs and outputs stay, apart from the three options above, and so do the
    names of values between fusions. A fused Conv has weights of shape [outputs, inputs / group, kernel...] and a bias
    of shape [outputs]. If nothing folds, the result has equal bytes.

    Raises TypeError for arguments of a wrong type, ModelError (a ValueError) for a bad model, with the offset of the
    error, OptionError (a ValueError), FileError (an OSError), OutOfMemory, Cancelled. All except TypeError are
    OnnxFuseError. Ctrl-C stops the run and leaves no file.

    Several threads may call it at once; it releases the GIL.

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
