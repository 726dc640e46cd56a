"""The C library through ctypes: nothing here depends on the version of Python.

ctypes lets go of the GIL for the time of a call, so threads run side by side.
"""
from __future__ import annotations

import ctypes
import importlib.metadata
import os
import pathlib
import shutil
from typing import Any, Optional

DISTRIBUTION = "onnx-repvgg-fuse"

Progress = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_double)
Allocate = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
TakeText = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class Options(ctypes.Structure):
    """struct onnx_fuse_options of the C header, field by field."""

    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("only", ctypes.POINTER(ctypes.c_char_p)),
        ("skip", ctypes.POINTER(ctypes.c_char_p)),
        ("max_growth", ctypes.c_double),
        ("tolerance", ctypes.c_double),
        ("no_check", ctypes.c_bool),
        ("dry_run", ctypes.c_bool),
        ("jobs", ctypes.c_int),
        ("external_folder", ctypes.c_char_p),
        ("progress", Progress),
        ("closure", ctypes.c_void_p),
        ("external_data", ctypes.c_char_p),
        ("follow_symlinks", ctypes.c_bool),
        ("no_sync", ctypes.c_bool),
        ("no_map", ctypes.c_bool),
        ("html_report", ctypes.c_char_p),
        ("allocate", Allocate),
        ("json_report", ctypes.c_char_p),
        ("freeze", ctypes.POINTER(ctypes.c_char_p)),
        ("outputs", ctypes.POINTER(ctypes.c_char_p)),
        ("input_shapes", ctypes.POINTER(ctypes.c_char_p)),
        ("equalize", ctypes.c_int),
        ("statistics", ctypes.c_char_p),
        ("debug", ctypes.c_char_p),
        ("trace", ctypes.c_void_p),
    ]


class DiffOptions(ctypes.Structure):
    """struct onnx_fuse_diff_options."""

    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("rtol", ctypes.c_double),
        ("atol", ctypes.c_double),
        ("ignore", ctypes.POINTER(ctypes.c_char_p)),
        ("strict", ctypes.c_bool),
        ("colour", ctypes.c_bool),
        ("progress", Progress),
        ("closure", ctypes.c_void_p),
        ("follow_symlinks", ctypes.c_bool),
        ("no_map", ctypes.c_bool),
        ("all", ctypes.c_bool),
        ("name_a", ctypes.c_char_p),
        ("name_b", ctypes.c_char_p),
    ]


class VerifyOptions(ctypes.Structure):
    """struct onnx_fuse_verify_options."""

    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("rtol", ctypes.c_double),
        ("trials", ctypes.c_int),
        ("seed", ctypes.c_uint64),
        ("progress", Progress),
        ("closure", ctypes.c_void_p),
        ("follow_symlinks", ctypes.c_bool),
        ("no_map", ctypes.c_bool),
        ("common_outputs", ctypes.c_bool),
        ("atol", ctypes.c_double),
        ("layers", ctypes.c_bool),
        ("inputs", ctypes.c_char_p),
    ]


class DumpOptions(ctypes.Structure):
    """struct onnx_fuse_dump_options."""

    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("write", TakeText),
        ("closure", ctypes.c_void_p),
        ("elide", ctypes.c_int64),
        ("no_metadata", ctypes.c_bool),
        ("keep_external", ctypes.c_bool),
        ("external_folder", ctypes.c_char_p),
        ("follow_symlinks", ctypes.c_bool),
        ("no_map", ctypes.c_bool),
        ("output", ctypes.c_char_p),
        ("name", ctypes.c_char_p),
    ]


def _installed(accept: str) -> Optional[pathlib.Path]:
    """The file of this distribution whose name begins so and that lies outside the package.

    Wheels put the library beside the package and the command into the folder of scripts; where
    those are is known to the installer, which has written it down.
    """
    try:
        files = importlib.metadata.distribution(DISTRIBUTION).files or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name.startswith(accept):
            path = pathlib.Path(os.fspath(file.locate()))
            if path.is_file():
                return path
    return None


def library_path() -> pathlib.Path:
    """The path of the shared library. $ONNX_REPVGG_FUSE_LIBRARY overrides the installed one."""
    chosen = os.environ.get("ONNX_REPVGG_FUSE_LIBRARY")
    if chosen:
        return pathlib.Path(chosen)
    beside = pathlib.Path(__file__).parent.parent / ".onnx_repvgg_fuse.mesonpy.libs"
    for path in sorted(beside.glob("libonnx_repvgg_fuse*")):
        return path
    found = _installed("libonnx_repvgg_fuse")
    if found is None:
        raise ImportError("onnx_repvgg_fuse: its shared library is not installed; install the package with pip, "
                          "or let ONNX_REPVGG_FUSE_LIBRARY name the library")
    return found


def command_path() -> pathlib.Path:
    """The path of the command onnx-repvgg-fuse. $ONNX_REPVGG_FUSE overrides the installed one."""
    chosen = os.environ.get("ONNX_REPVGG_FUSE")
    if chosen:
        return pathlib.Path(chosen)
    path = _installed("onnx-repvgg-fuse")
    if path is not None:
        return path
    found = shutil.which("onnx-repvgg-fuse")
    if found is None:
        raise FileNotFoundError("onnx-repvgg-fuse: the command is neither installed with the package nor on PATH")
    return pathlib.Path(found)


def _functions() -> dict[str, tuple[Any, list[Any]]]:
    """The functions of the header without their prefix: types of result and arguments."""
    pointer, text, size, status = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int
    handle, to = ctypes.c_void_p, ctypes.POINTER
    return {
        "options_init": (None, [to(Options)]),
        "file": (status, [text, text, to(Options), to(handle)]),
        "memory": (status, [pointer, size, to(pointer), to(size), to(Options), to(handle)]),
        "free": (None, [pointer]),
        "report_free": (None, [handle]),
        "report_error": (text, [handle]),
        "report_json": (text, [handle]),
        "report_explanation": (text, [handle]),
        "report_table": (text, [handle]),
        "report_sentence": (text, [handle]),
        "report_html": (text, [handle]),
        "diff_options_init": (None, [to(DiffOptions)]),
        "verify_options_init": (None, [to(VerifyOptions)]),
        "diff": (status, [text, text, to(DiffOptions), to(handle)]),
        "verify": (status, [text, text, to(VerifyOptions), to(handle)]),
        "comparison_free": (None, [handle]),
        "comparison_verdict": (ctypes.c_int, [handle]),
        "comparison_error": (text, [handle]),
        "comparison_format": (text, [handle, text]),
        "dump_options_init": (None, [to(DumpOptions)]),
        "dump": (status, [text, to(DumpOptions), to(handle)]),
        "dump_memory": (status, [pointer, size, to(DumpOptions), to(handle)]),
        "info": (status, [text, to(Options), to(handle)]),
        "info_memory": (status, [pointer, size, to(Options), to(handle)]),
        "view_free": (None, [handle]),
        "view_error": (text, [handle]),
        "view_not_held": (size, [handle]),
        "view_text": (text, [handle]),
        "view_json": (text, [handle]),
        "view_html": (text, [handle]),
        "pass_name": (text, [size]),
        "pass_purpose": (text, [size]),
        "version": (text, []),
    }


def _load() -> ctypes.CDLL:
    path = library_path()
    library = ctypes.CDLL(os.fspath(path))
    for name, (result, arguments) in _functions().items():
        function = getattr(library, "onnx_fuse_" + name)
        function.restype, function.argtypes = result, arguments
    for initialise, kind in ((library.onnx_fuse_options_init, Options),
                             (library.onnx_fuse_diff_options_init, DiffOptions),
                             (library.onnx_fuse_verify_options_init, VerifyOptions),
                             (library.onnx_fuse_dump_options_init, DumpOptions)):
        # The library fills in its own struct: if that is larger than ours, it would write past the end.
        room = ctypes.create_string_buffer(1024)
        initialise(ctypes.cast(room, ctypes.POINTER(kind)))
        size = kind.from_buffer(room).struct_size
        if size != ctypes.sizeof(kind):
            raise ImportError(f"onnx_repvgg_fuse: {path} has {kind.__name__} of {size} bytes, expected "
                              f"{ctypes.sizeof(kind)}: library and package are of different versions")
    return library


library = _load()


class PyBuffer(ctypes.Structure):
    """Py_buffer of CPython, the same in every version."""

    _fields_ = [
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    ]


class Borrowed:
    """The bytes of an object, in place: address and size, for as long as the context lasts.

    data: bytes, or any C-contiguous buffer (bytearray, memoryview, mmap, array). Nothing is copied,
    except where the interpreter has no C API for buffers (PyPy).
    """

    def __init__(self, data: object) -> None:
        self._data = data
        self._view: Optional[PyBuffer] = None
        self.address: Optional[int] = None
        self.size = 0

    def __enter__(self) -> Borrowed:
        python = getattr(ctypes, "pythonapi", None)
        if python is None:
            self._data = bytes(memoryview(self._data))  # type: ignore[arg-type]
            self.address = ctypes.cast(ctypes.c_char_p(self._data), ctypes.c_void_p).value
            self.size = len(self._data)
            return self
        view = PyBuffer()
        simple = 0  # PyBUF_SIMPLE: contiguous bytes, read-only will do
        python.PyObject_GetBuffer(ctypes.py_object(self._data), ctypes.byref(view), ctypes.c_int(simple))
        self._view, self.address, self.size = view, view.buf, view.len
        return self

    def __exit__(self, *_: object) -> None:
        if self._view is not None:
            ctypes.pythonapi.PyBuffer_Release(ctypes.byref(self._view))
            self._view = None


class Room:
    """A bytes object of the size that C asks for, filled by C in place: the result is not copied.

    `allocate` goes into the options. Where the interpreter has no C API (PyPy), `available` is
    False, and C allocates itself.
    """

    available = hasattr(ctypes, "pythonapi")

    def __init__(self) -> None:
        self.made: Optional[bytes] = None
        self.allocate = Allocate(self._allocate)

    def _allocate(self, closure: object, size: int) -> Optional[int]:
        # No other code has a reference to the object yet, so C may write it.
        try:
            make = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_ssize_t)
            address = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object)
            self.made = make(("PyBytes_FromStringAndSize", ctypes.pythonapi))(None, size)
            found: int = address(("PyBytes_AsString", ctypes.pythonapi))(self.made)
            return found
        except MemoryError:
            return None
