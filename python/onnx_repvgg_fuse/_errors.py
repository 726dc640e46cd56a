"""The errors of the package. All but TypeError, which Python itself has, stand under one class."""
from __future__ import annotations

__all__ = ["Cancelled", "FileError", "FileMissing", "ModelError", "OnnxFuseError", "OptionError", "OutOfMemory"]


class OnnxFuseError(Exception):
    """What every error of this package is. Its text is the C library's message."""


class ModelError(OnnxFuseError, ValueError):
    """The model cannot be taken: not ONNX, broken, or beyond a stated limit."""


class FileError(OnnxFuseError, OSError):
    """A file cannot be opened, read, written or renamed. The output is as it was."""


class FileMissing(FileError, FileNotFoundError):
    """A file or a folder is not there."""


class OptionError(OnnxFuseError, ValueError):
    """An option that does not exist or is out of range."""


class OutOfMemory(OnnxFuseError, MemoryError):
    """Not enough memory for the run."""


class Cancelled(OnnxFuseError):
    """`progress` returned False. The output is as it was."""


# enum onnx_fuse_status of the C header.
BY_STATUS: dict[int, type[OnnxFuseError]] = {
    1: OutOfMemory,
    2: FileError,
    3: ModelError,
    4: ModelError,
    5: ModelError,
    6: OptionError,
    7: Cancelled,
}


def error_of(status: int, said: str) -> OnnxFuseError:
    """The exception for a status and the library's message. The C library speaks of files in English, whatever the locale."""
    kind = BY_STATUS.get(status, OnnxFuseError)
    return (FileMissing if kind is FileError and said.endswith("No such file or directory") else kind)(said)
