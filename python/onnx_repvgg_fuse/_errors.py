"""The exceptions of the package. All except Python's own TypeError have one base class."""
from __future__ import annotations

__all__ = ["Cancelled", "FileError", "FileMissing", "ModelError", "OnnxFuseError", "OptionError", "OutOfMemory"]


class OnnxFuseError(Exception):
    """The base class of the package's exceptions. The text is the C library's message."""

    __module__ = "onnx_repvgg_fuse"  # the public name, as tracebacks show it

    def __init_subclass__(cls) -> None:
        cls.__module__ = OnnxFuseError.__module__


class ModelError(OnnxFuseError, ValueError):
    """The model cannot be used: it is not ONNX, is damaged, or exceeds a limit."""


class FileError(OnnxFuseError, OSError):
    """A file cannot be opened, read, written or renamed. The output is unchanged."""


class FileMissing(FileError, FileNotFoundError):
    """A file or folder does not exist."""


class OptionError(OnnxFuseError, ValueError):
    """An option that does not exist or is out of range."""


class OutOfMemory(OnnxFuseError, MemoryError):
    """Not enough memory for the run."""


class Cancelled(OnnxFuseError):
    """`progress` returned False. The output is unchanged."""


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
    """The exception for a status and the library's message. That is English, whatever the locale."""
    kind = BY_STATUS.get(status, OnnxFuseError)
    return (FileMissing if kind is FileError and said.endswith("No such file or directory") else kind)(said)
