"""Checks arguments of the public functions: TypeError for a wrong type, OptionError for a value out of range."""
from __future__ import annotations

import ctypes
import numbers
import operator
import os
from typing import Any, Callable, Iterable, Mapping, Optional, Sequence, Union

from ._errors import OptionError

Names = Union[str, Iterable[str]]
InputShapes = Mapping[str, Sequence[int]]
AnyPath = Union[str, "os.PathLike[str]"]


def described(thing: object) -> str:
    """A type as a reader knows it: "a list", "a torch.nn.modules.module.Module"."""
    if thing is None:
        return "None"
    kind = type(thing)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}".replace("onnx.onnx_ml_pb2.", "onnx.")
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def real(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{what} is {described(value)}, expected a number")
    return float(value)


def whole(value: object, what: str, least: int, most: int) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{what} is {described(value)}, expected a whole number") from None
    if not least <= number <= most:
        raise OptionError(f"{what} is {number}, expected {least} to {most}")
    return number


def names(value: Optional[Names], what: str, kinds: str) -> Any:
    """A NULL-terminated array of C strings, or NULL. The error message calls the names `kinds`."""
    if value is None:
        return None
    try:
        listed = [value] if isinstance(value, str) else list(value)
    except TypeError:
        raise TypeError(f"{what} is {described(value)}, expected {kinds}") from None
    for name in listed:
        if not isinstance(name, str):
            raise TypeError(f"{what} holds {described(name)}, expected {kinds}")
        if "\0" in name:
            raise OptionError(f"{what}: the name {name!r} holds a NUL")
    encoded = [name.encode(errors="surrogateescape") for name in listed]
    return (ctypes.c_char_p * (len(encoded) + 1))(*encoded, None)


def shapes(value: Optional[InputShapes], what: str) -> Any:
    """The array of "NAME:1,3,224,224" that the C library takes, or NULL."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise TypeError(f"{what} is {described(value)}, expected a mapping of names to sizes")
    listed = []
    for name, sizes in value.items():
        if not isinstance(name, str) or isinstance(sizes, (str, bytes)) or not isinstance(sizes, Iterable):
            raise TypeError(f"{what} maps {described(name)} to {described(sizes)}, expected names and sequences of sizes")
        listed.append(name + ":" + ",".join(str(whole(size, f"{what}[{name!r}]", 1, 2**63 - 1)) for size in sizes))
    return names(listed, what, "names and sizes")


def function(value: Optional[Callable[..., Any]], what: str) -> None:
    if value is not None and not callable(value):
        raise TypeError(f"{what} is {described(value)}, expected a function")


def path(value: object, what: str) -> bytes:
    """A path for the C library. "-" is a file of that name, not a stream."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{what} is {described(value)}, expected a path")
    encoded = os.fsencode(value)
    if not encoded:
        raise OptionError(f"{what}: the path is empty")
    if b"\0" in encoded:
        raise OptionError(f"{what}: the path {os.fspath(value)!r} holds a NUL")
    return b"./-" if encoded == b"-" else encoded
