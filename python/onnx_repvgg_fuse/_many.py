"""fuse_many(): a folder of models, side by side; bar(): progress for tqdm and its like."""
from __future__ import annotations

import os
import pathlib
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any, Callable, Iterable, Optional, Union

from . import _arguments
from ._arguments import AnyPath
from ._call import ProgressFunction
from ._errors import OnnxFuseError, OptionError
from ._fuse import Result, fuse

__all__ = ["bar", "fuse_many"]


def bar(make: Callable[..., Any]) -> ProgressFunction:
    """A `progress` for one call that draws with `make`, such as tqdm.tqdm: `fuse(a, b, progress=bar(tqdm))`.

    `make` is called at the first step and must give an object as tqdm does: `n`, `refresh()`, `close()` and
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


def _found(models: Union[AnyPath, Iterable[AnyPath]], folder: pathlib.Path) -> dict[pathlib.Path, pathlib.Path]:
    """Each model, and where its result goes."""
    targets: dict[pathlib.Path, pathlib.Path] = {}
    results = folder.resolve()
    for given in [models] if isinstance(models, (str, os.PathLike)) else models:
        path = pathlib.Path(given)
        if not path.is_dir():
            targets[path] = folder / path.name
            continue
        searched = path.resolve()
        for model in sorted(path.rglob("*.onnx")):
            if model.is_file() and (searched == results or results not in model.resolve().parents):
                targets[model] = folder / model.relative_to(path)
    sources = {source.resolve(): source for source in targets}
    taken: dict[pathlib.Path, pathlib.Path] = {}
    for source, target in targets.items():
        if taken.setdefault(target, source) != source:
            raise OptionError(f"{taken[target]} and {source} would both become {target}")
        if sources.get(target.resolve(), source) != source:
            raise OptionError(f"{source} would become {target}, which is one of the models itself")
    return targets


def fuse_many(models: Union[AnyPath, Iterable[AnyPath]], folder: AnyPath, *, jobs: int = 0,
              progress: Optional[Callable[..., Iterable[Any]]] = None,
              **options: Any) -> dict[pathlib.Path, Union[Result[pathlib.Path], OnnxFuseError]]:
    """Fuse many models into a folder, one a thread. A model that fails does not stop the rest.

    - `models`: a folder, which is searched for *.onnx, a path, or several of both. What lies below a folder keeps its place
      below `folder`.
    - `folder`: where the results go; it is made. Earlier results in it are no models, unless it is what is searched.
    - `jobs`: models at once; 0: one per core.
    - `progress`: wraps an iterable, and is given `total`: tqdm.tqdm does.
    - `options`: those of `fuse`, for each model.

    Gives a dict from each model's path to its `Result`, or to the error that `fuse` raised for it.

    Raises OptionError where two models would become one file, and what `fuse` raises for options.
    """
    jobs = _arguments.whole(jobs, "jobs", 0, 1024)
    target_of = _found(models, pathlib.Path(folder))

    def one(source: pathlib.Path) -> Result[pathlib.Path]:
        target_of[source].parent.mkdir(parents=True, exist_ok=True)
        return fuse(source, target_of[source], jobs=1, **options)

    done: dict[pathlib.Path, Union[Result[pathlib.Path], OnnxFuseError]] = {}
    with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        waiting: dict[Future[Result[pathlib.Path]], pathlib.Path] = {pool.submit(one, source): source for source in target_of}
        finished = as_completed(waiting)
        try:
            for future in progress(finished, total=len(waiting)) if progress else finished:
                try:
                    done[waiting[future]] = future.result()
                except OptionError:
                    raise
                except OnnxFuseError as error:
                    done[waiting[future]] = error
        except BaseException:
            for future in waiting:
                future.cancel()
            raise
    return {source: done[source] for source in target_of}
