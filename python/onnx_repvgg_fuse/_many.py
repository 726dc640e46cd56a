"""fuse_many(): a folder of models in parallel."""
from __future__ import annotations

import os
import pathlib
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any, Callable, Iterable, Optional, Union

from . import _arguments
from ._arguments import AnyPath
from ._errors import OnnxFuseError, OptionError
from ._fuse import Result, fuse

__all__ = ["fuse_many"]


def _found(models: Union[AnyPath, Iterable[AnyPath]], folder: pathlib.Path) -> dict[pathlib.Path, pathlib.Path]:
    """Each model, and the path of its result."""
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
    """Fuse many models into a folder, one per thread. A model that fails does not stop the rest.

    - `models`: a path, a folder to search for *.onnx, or several of them. Models below a folder keep their place below
      `folder`.
    - `folder`: the folder for the results; it is created. Earlier results in it are not fused again, unless it is the
      folder to search.
    - `jobs`: number of models at once; 0: one per core.
    - `progress`: a function such as tqdm.tqdm that wraps an iterable and takes `total`.
    - `options`: the options of `fuse`, for each model.

    Returns a dict from each model's path to its `Result`, or to the error that `fuse` raised for it.

    Raises OptionError if two models would have the same result path, and the errors of `fuse` for its options.
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
