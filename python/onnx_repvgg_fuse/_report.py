"""The report of a run, as frozen dataclasses read from the C library's JSON report."""
from __future__ import annotations

import ctypes
import html
import json
import threading
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Sequence

from ._library import library

__all__ = ["Counts", "Fusion", "Op", "Refusal", "Report"]


@dataclass(frozen=True)
class Op:
    """One operation of a model: its type ("Conv") and the name of its node ("" if it has none)."""

    op: str
    node: str


@dataclass(frozen=True)
class Fusion:
    """One rewrite: the replaced ops and the new ones.

    Costs are per position of the output. `difference` is the largest difference in the self-check, relative to the
    largest output, over `channels_checked` output channels. It is None, with 0 channels, if the check did not run.
    """

    pass_name: str
    graph: str
    node: str
    output: str
    source: str
    replaced: tuple[Op, ...]
    new: tuple[str, ...]
    multiply_adds_before: int
    multiply_adds_after: int
    parameters_before: int
    parameters_after: int
    difference: Optional[float]
    channels_checked: int


@dataclass(frozen=True)
class Refusal:
    """A rewrite that a pass refused, or one that its check dropped.

    `pass_name` and `op` are "" if the library does not name them.
    """

    pass_name: str
    graph: str
    node: str
    op: str
    output: str
    reason: str
    counts: bool = True
    """False if the network is not linear there or nothing would be saved, so that no user could want it folded."""


@dataclass(frozen=True)
class Counts:
    """A model in numbers. `multiply_adds` is None if shapes are unknown."""

    ops: int
    by_type: Mapping[str, int]
    parameters: int
    multiply_adds: Optional[int]
    bytes: int


def _fusion(raw: Mapping[str, Any]) -> Fusion:
    names = ("graph", "node", "output", "source", "multiply_adds_before", "multiply_adds_after",
             "parameters_before", "parameters_after", "difference", "channels_checked")
    return Fusion(
        pass_name=raw["pass"],
        replaced=tuple(Op(op["op"], op["node"]) for op in raw["replaced"]),
        new=tuple(raw["new"]),
        **{name: raw[name] for name in names},
    )


def _refusal(raw: Mapping[str, Any]) -> Refusal:
    names = ("graph", "node", "op", "output", "reason")
    return Refusal(pass_name=raw.get("pass", ""), counts=raw.get("counts", True), **{name: raw.get(name, "") for name in names})


def _counts(raw: Mapping[str, Any]) -> Counts:
    names = ("ops", "by_type", "parameters", "multiply_adds", "bytes")
    return Counts(**{name: raw[name] for name in names})


class Handle:
    """A report of the C library, freed with this object. Its page takes a moment, so it is made on request;
    it does not need the model's bytes."""

    def __init__(self, page: Optional[str] = None) -> None:
        self.value = ctypes.c_void_p()
        self._page = page
        self._lock = threading.Lock()
        self._free = library.onnx_fuse_report_free  # modules may be gone before this is

    def page(self) -> str:
        with self._lock:
            if self._page is None:
                self._page = library.onnx_fuse_report_html(self.value).decode(errors="replace")
            return self._page

    def __del__(self) -> None:
        self._free(self.value)

    def __reduce__(self) -> tuple[type[Handle], tuple[str]]:
        return Handle, (self.page(),)

    def __deepcopy__(self, memo: object) -> Handle:
        return self


@dataclass(frozen=True, repr=False)
class Report:
    """The report of one run: `print` it for the table of before and after; `sentence` is one line.

    `fusions` are the rewrites, `refusals` the refused ones with reasons, and `warnings` those that the self-check
    dropped because they exceeded the tolerance. `before` and `after` count the model. `largest_difference` is that of
    the self-check, or None if nothing was checked. `table` and `explanation` are the texts of the command and of its
    --explain.
    """

    changed: bool
    fusions: tuple[Fusion, ...]
    refusals: tuple[Refusal, ...]
    warnings: tuple[Refusal, ...]
    before: Counts
    after: Counts
    largest_difference: Optional[float]
    seconds: float
    version: str
    sentence: str
    table: str
    explanation: str
    json: str
    """The JSON report of the C library; `docs/report.md` describes the schema."""
    _handle: Handle = field(compare=False)

    @classmethod
    def _read(cls, handle: Handle) -> Report:
        text, sentence, table, explanation = (
            make(handle.value).decode(errors="replace") for make in
            (library.onnx_fuse_report_json, library.onnx_fuse_report_sentence, library.onnx_fuse_report_table,
             library.onnx_fuse_report_explanation))
        raw = json.loads(text)
        return cls(
            changed=raw["changed"],
            fusions=tuple(_fusion(f) for f in raw["fusions"]),
            refusals=tuple(_refusal(r) for r in raw["refusals"]),
            warnings=tuple(_refusal(w) for w in raw["warnings"]),
            before=_counts(raw["before"]),
            after=_counts(raw["after"]),
            largest_difference=raw["largest_difference"],
            seconds=raw["seconds"],
            version=raw["version"],
            sentence=sentence,
            table=table,
            explanation=explanation,
            json=text,
            _handle=handle,
        )

    def html(self) -> str:
        """The report as one self-contained HTML page: every fused block before and after, refusals by reason, and
        the table."""
        return self._handle.page()

    def as_dict(self) -> dict[str, Any]:
        """The JSON report, parsed."""
        parsed: dict[str, Any] = json.loads(self.json)
        return parsed

    def __repr__(self) -> str:
        return f"<Report: {self.sentence}>"

    def __str__(self) -> str:
        return self.table.rstrip("\n")

    def _repr_html_(self) -> str:
        return _page(self)


def _number(value: Optional[int]) -> str:
    return "unknown" if value is None else f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _small(value: Optional[float]) -> str:
    return "not checked" if value is None else f"{value:.2g}"


def _row(cells: tuple[str, ...], tag: str = "td") -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _details(title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    body = "".join(_row(row) for row in rows)
    return f"<details><summary>{len(rows)} {title}</summary><table>{_row(head, 'th')}{body}</table></details>"


def _page(report: Report) -> str:
    """For notebooks: the sentence, the table, and lists of fusions and refusals that open on a click. html() has pictures."""
    before, after = report.before, report.after
    rows = []
    for op in sorted(set(before.by_type) | set(after.by_type)):
        was, now = before.by_type.get(op, 0), after.by_type.get(op, 0)
        if was != now:
            rows.append((op, _number(was), _number(now)))
    for name in ("ops", "parameters", "multiply_adds", "bytes"):
        rows.append((name.replace("_", "-"), _number(getattr(before, name)), _number(getattr(after, name))))
    fusions = [(f.output, f.pass_name, " + ".join(op.op for op in f.replaced), " + ".join(f.new), _small(f.difference))
               for f in report.fusions]
    return (
        f"<div><p>{html.escape(report.sentence)}</p><table>" + _row(("", "before", "after"), "th") + "".join(_row(row) for row in rows) + "</table>"
        f"<p>largest relative difference of the self-check: {_small(report.largest_difference)}; "
        f"{report.seconds:.3f} s</p>"
        + _details("fusions", ("output", "pass", "replaced", "new", "difference"), fusions)
        + _details("refusals", ("output", "op", "reason"), [(r.output, r.op, r.reason) for r in report.refusals])
        + _details("warnings", ("output", "reason"), [(w.output, w.reason) for w in report.warnings])
        + "</div>"
    )
