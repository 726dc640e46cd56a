"""The C library, by ctypes: nothing here depends on the version of Python.

ctypes lets go of the GIL for the time of a call, so threads run side by side.
"""
from __future__ import annotations

import ctypes
import importlib.metadata
import os
import pathlib
import shutil
from typing import Optional

DISTRIBUTION = "onnx-repvgg-fuse"

Progress = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_double)


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
    """Where the shared library is. $ONNX_REPVGG_FUSE_LIBRARY stands before the installed one."""
    chosen = os.environ.get("ONNX_REPVGG_FUSE_LIBRARY")
    if chosen:
        return pathlib.Path(chosen)
    beside = pathlib.Path(__file__).parent.parent / ".onnx_repvgg_fuse.mesonpy.libs"
    for path in sorted(beside.glob("libonnx_repvgg_fuse*")):
        return path
    path = _installed("libonnx_repvgg_fuse")
    if path is None:
        raise ImportError("onnx_repvgg_fuse: its shared library is not installed; install the package with pip, "
                          "or let ONNX_REPVGG_FUSE_LIBRARY name the library")
    return path


def command_path() -> pathlib.Path:
    """Where the command onnx-repvgg-fuse is. $ONNX_REPVGG_FUSE stands before the installed one."""
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


def _load() -> ctypes.CDLL:
    path = library_path()
    library = ctypes.CDLL(os.fspath(path))
    pointer, text, report = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p
    size = ctypes.c_size_t
    options = ctypes.POINTER(Options)
    for name, result, arguments in (
        ("onnx_fuse_options_init", None, [options]),
        ("onnx_fuse_file", ctypes.c_int, [text, text, options, ctypes.POINTER(report)]),
        ("onnx_fuse_memory", ctypes.c_int,
         [pointer, size, ctypes.POINTER(pointer), ctypes.POINTER(size), options, ctypes.POINTER(report)]),
        ("onnx_fuse_free", None, [pointer]),
        ("onnx_fuse_report_free", None, [report]),
        ("onnx_fuse_report_error", text, [report]),
        ("onnx_fuse_report_json", text, [report]),
        ("onnx_fuse_report_explanation", text, [report]),
        ("onnx_fuse_report_table", text, [report]),
        ("onnx_fuse_pass_name", text, [size]),
        ("onnx_fuse_pass_purpose", text, [size]),
        ("onnx_fuse_version", text, []),
    ):
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    probe = Options()
    # The library fills in as much as it knows: a larger struct would be written past the end of ours.
    room = (ctypes.c_char * 1024)()
    library.onnx_fuse_options_init(ctypes.cast(room, options))
    ctypes.memmove(ctypes.byref(probe), room, ctypes.sizeof(probe))
    if probe.struct_size != ctypes.sizeof(probe):
        raise ImportError(f"onnx_repvgg_fuse: {path} has options of {probe.struct_size} bytes, expected "
                          f"{ctypes.sizeof(probe)}: library and package are of different versions")
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
