"""A call of the C library that Ctrl-C can stop."""
from __future__ import annotations

import signal
import threading
from typing import Any, Callable, Optional, Union

from ._errors import error_of
from ._library import Progress

# A class draws a progress bar, see bar().
ProgressFunction = Union[Callable[[str, float], Optional[bool]], type]


def _ignore(number: int, frame: object) -> None:
    """A handler of signals."""


def bar(make: Callable[..., Any]) -> Callable[[str, float], Optional[bool]]:
    """A `progress` function for one call that draws with `make`, such as tqdm.tqdm: `fuse(a, b, progress=bar(tqdm))`.
    A class as `progress` means the same: `progress=tqdm`.

    `make` is called at the first step. Like tqdm, it must return an object with `n`, `refresh()`, `close()` and
    `set_description()`. Raises nothing itself.
    """
    drawn: list[Any] = []

    def show(step: str, fraction: float) -> None:
        if not drawn:
            drawn.append(make(total=1.0, bar_format="{desc:<10} {percentage:3.0f} %|{bar}| {elapsed}"))
        drawn[0].set_description(step, refresh=False)
        drawn[0].n = fraction
        drawn[0].refresh()
        if step == "finishing":
            drawn[0].close()

    return show


class Call:
    """One call: its result, and the way to stop it.

    `callback` goes into the `progress` of the call's options; what C holds of it must not outlive
    this object.
    """

    def __init__(self, progress: Optional[ProgressFunction] = None) -> None:
        self.stop = False
        self.told = bar(progress) if isinstance(progress, type) else progress
        self.error: Optional[BaseException] = None
        self.status = 0
        self.callback = Progress(self.tell)
        self._state = threading.Lock()  # of the two below
        self._entered = False
        self._abandoned = False
        self._done = threading.Event()

    def tell(self, closure: object, step: bytes, fraction: float) -> bool:
        # An exception must not pass through C: store it and stop the run.
        if self.stop:
            return False
        if self.told is not None:
            try:
                self.stop = self.told(step.decode(), fraction) is False
            except BaseException as error:
                self.error = error
                self.stop = True
        return not self.stop

    def run(self, function: Callable[..., int], *arguments: object) -> None:
        """Calls the function and waits for it.

        Python handles Ctrl-C in the main thread and only between two steps of Python. So the main
        thread does not enter the library: it waits for a thread that does, and stops it. The
        arguments' memory belongs to the caller, so this returns or raises only when C is out.
        """
        if threading.current_thread() is not threading.main_thread():
            self.status = function(*arguments)
            return
        try:
            threading.Thread(target=self._enter, args=(function, arguments), name="onnx-repvgg-fuse", daemon=True).start()
            self._done.wait()
        finally:
            self._leave()

    def _enter(self, function: Callable[..., int], arguments: tuple[object, ...]) -> None:
        with self._state:
            if self._abandoned:
                return
            self._entered = True
        try:
            self.status = function(*arguments)
        except BaseException as error:
            self.error = error
        finally:
            self._done.set()

    def _leave(self) -> None:
        """Waits until C returns. The user may press Ctrl-C more than once."""
        if self._done.is_set():
            return
        self.stop = True
        # An exception is already pending. Another would release memory that C still reads.
        handler = signal.getsignal(signal.SIGINT)
        if handler is not None:  # else it is not Python's to change
            signal.signal(signal.SIGINT, _ignore)
        try:
            with self._state:
                self._abandoned = True
                entered = self._entered
            if entered:
                self._done.wait()
        finally:
            if handler is not None:
                signal.signal(signal.SIGINT, handler)

    def check(self, text: Callable[[], Optional[bytes]]) -> None:
        """Raises the exception of the call, if any. text: returns the library's message."""
        if self.error is not None:
            raise self.error
        if self.status != 0:
            said = text() or b"out of memory"
            raise error_of(self.status, said.decode(errors="replace"))
