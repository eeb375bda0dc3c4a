"""The pictures: one small histogram per measure, with kept documents above the line and dropped ones below it.

Matplotlib draws them without the user's settings, and leaves no files behind. A picture does not depend on the time or
on the machine's fonts.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
from markupsafe import Markup, escape

from jobs.report.bins import Bins, nice_step
from jobs.report.formatting import tick
from jobs.report.text_sizes import LENGTHS, TextSizes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PLAIN: dict[str, Any] = {"parse_math": False, "clip_on": False}
_BELOW: dict[str, Any] = {"ha": "center", "va": "top", "gid": "x-tick", **_PLAIN}
_BESIDE: dict[str, Any] = {"ha": "right", "va": "center", "gid": "x-count", **_PLAIN}

_NUMBER = re.compile(r"-?\d+\.\d+")
_SPACE = re.compile(r"\s+")
_ANCHOR = re.compile(r"text-anchor:\s*(\w+)")
_SVG = "{http://www.w3.org/2000/svg}"

Grow = Callable[[Any], Any]

_WIDTH, _HEIGHT = 312, 156
_WIDE, _TALL = 760, 220
_FEWEST = 8
"""A picture has room for at least this many bars, so that two bars do not fill it."""

_LOG_COUNTS = 30.0
"""Counts are on a log scale if the longest bar has this many times the documents of the median bar, or of the
shortest one where bars are few."""


@contextmanager
def plotting() -> Iterator[None]:
    """Run matplotlib with its own defaults and with its font list in a temporary folder."""
    before = os.environ.get("MPLCONFIGDIR")
    with tempfile.TemporaryDirectory(prefix="corpus-report-") as folder:
        os.environ["MPLCONFIGDIR"] = folder
        try:
            import matplotlib

            with matplotlib.rc_context():
                matplotlib.rcdefaults()
                matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "corpus", "font.size": 11})
                yield
        finally:
            if before is None:
                del os.environ["MPLCONFIGDIR"]
            else:
                os.environ["MPLCONFIGDIR"] = before


def draw_histogram(
    bins: Bins, kept: np.ndarray, dropped: np.ndarray, bounds: dict[str, str], label: str, *, whole: bool
) -> tuple[Markup, bool]:
    """Draw a measure. Return the picture, and True if its counts are on a log scale.

    `bounds` has the words for the bounds of `bins.marks`. Call this inside `plotting()`.
    """
    axes, figure = _axes(_WIDTH, _HEIGHT, (0.09, 0.16, 0.895, 0.72))
    logarithmic = _wants_log(np.concatenate([kept, dropped]))
    grow = np.log1p if logarithmic else np.asarray
    top = _draw(axes, bins, kept, dropped, whole, grow)
    for start, stop in _outside(bins):
        axes.axvspan(start, stop, gid="x-outside", zorder=0)
    _limit_lines(axes, bins, bounds, top)
    return _drawn(figure, label, "histogram"), logarithmic


def _draw(axes: Axes, bins: Bins, kept: np.ndarray, dropped: np.ndarray, whole: bool, grow: Grow) -> float:
    """Draw bars, lines and labels; return the upper end of the axis."""
    top = max(float(grow(kept.max())), 1e-9)
    bottom = max(float(grow(dropped.max())), 1e-9)
    height = top + bottom
    axes.set_xlim(-0.4, max(bins.number, _FEWEST) + 0.4)
    axes.set_ylim(-bottom - 0.04 * height, top + 0.04 * height)
    _count_lines(axes, top, bottom, grow is np.log1p)
    for name, side, sign in (("kept", kept, 1), ("dropped", dropped, -1)):
        for index, number in enumerate(side.tolist()):
            if number:
                title = f"{_bin_name(bins, index, whole)}: {number:,} {name}"
                axes.bar(index + 0.5, sign * max(float(grow(number)), 0.012 * height), 0.86, gid=f"x-{name}:{title}")
    axes.axhline(0, gid="x-base")
    for position, text in _x_ticks(bins):
        axes.text(position, -0.035, text, transform=axes.get_xaxis_transform(), **_BELOW)
    return top + 0.04 * height


def draw_lengths(texts: TextSizes, dropped: np.ndarray) -> Markup | None:
    """Draw all texts by their bytes, without the empty bins at both ends. Call this inside `plotting()`."""
    if not texts.documents and not dropped.any():
        return None
    used = np.flatnonzero(texts.lengths + dropped)
    first, last = int(used[0]), int(used[-1]) + 1
    part = Bins(LENGTHS.edges[first : last + 1], LENGTHS.scale, {})
    axes, figure = _axes(_WIDE, _TALL, (0.05, 0.12, 0.945, 0.86))
    _draw(axes, part, texts.lengths[first:last], dropped[first:last], True, np.asarray)
    label = (
        f"Lengths of {texts.documents:,} kept texts, {texts.bytes:,} bytes in all, the longest {texts.most:,}, "
        f"and of {int(dropped.sum()):,} dropped ones"
    )
    return _drawn(figure, label, "histogram wide")


def _axes(width: int, height: int, box: tuple[float, float, float, float]) -> tuple[Axes, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72))
    axes = figure.add_axes(box)
    axes.set_axis_off()
    return axes, figure


def _drawn(figure: Any, label: str, kind: str) -> Markup:
    """The SVG of matplotlib without styles, ids and definitions, which the page's security policy forbids.

    Elements have classes instead, and the page's style sheet gives their colors, light and dark. The class comes from
    the artist's gid: `x-class`, or `x-class:title` with a title that shows when the pointer rests on the element.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    out = BytesIO()
    FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    root = ElementTree.fromstring(out.getvalue())  # matplotlib wrote it in this process
    parts: list[str] = []
    for group in root.iter(f"{_SVG}g"):
        name, _, title = group.get("id", "").partition(":")
        if name.startswith("x-"):
            parts += (_element(element, name.removeprefix("x-"), title) for element in group)
    box = escape(root.get("viewBox", ""))
    head = f'<svg class="{escape(kind)}" viewBox="{box}" role="img" aria-label="{escape(label)}">'
    return Markup(head + "".join(parts) + "</svg>")


def _wants_log(counts: np.ndarray) -> bool:
    there = counts[counts > 0]
    if not len(there):
        return False
    usual = np.median(there) if len(there) > _FEWEST else there.min()
    return bool(there.max() > _LOG_COUNTS * usual)


def _count_lines(axes: Axes, top: float, bottom: float, logarithmic: bool) -> None:
    """Draw thin lines with their numbers on both sides of the base line."""
    for sign, reach in ((1, top), (-1, bottom)):
        most = float(np.expm1(reach)) if logarithmic else reach
        if most < 1:
            continue
        if logarithmic:
            marks = [10.0**power for power in range(1, int(np.log10(most)) + 1)][-2:] or [most]
        else:
            step = nice_step(most / 2.2)
            marks = [step * factor for factor in (1, 2) if step * factor <= most * 1.001] or [most]
        for mark in marks:
            height = float(np.log1p(mark)) if logarithmic else mark
            if height < 0.12 * (top + bottom):
                continue
            axes.axhline(sign * height, gid="x-grid", zorder=0.5)
            axes.text(-0.008, sign * height, tick(mark), transform=axes.get_yaxis_transform(), **_BESIDE)


def _outside(bins: Bins) -> Iterator[tuple[float, float]]:
    """The ranges on the axis that a limit rules out."""
    for bound, edge in bins.marks.items():
        low = bound in ("min", "above")
        if 0 < edge < bins.number or (edge == bins.number if low else edge == 0):
            yield (-0.4, edge) if low else (edge, max(bins.number, _FEWEST) + 0.4)


def _limit_lines(axes: Axes, bins: Bins, bounds: dict[str, str], top: float) -> None:
    texts = sorted((edge, bounds[bound]) for bound, edge in bins.marks.items())
    for index, (edge, text) in enumerate(texts):
        axes.axvline(edge, gid="x-limit")
        left = edge < bins.number / 2 if len(texts) == 1 else index == 0
        side, nudge = ("left", 0.012) if left else ("right", -0.012)
        axes.text(edge + nudge * max(bins.number, _FEWEST), top, text, ha=side, va="bottom", gid="x-bound", **_PLAIN)


def _x_ticks(bins: Bins) -> list[tuple[float, str]]:
    """Positions on the axis, counted in bins, with their labels."""
    edges = bins.edges
    if bins.scale == "unit":
        every = max(1, int(nice_step(bins.number / 10)))
        return [(index + 0.5, tick(edges[index])) for index in range(bins.number) if edges[index] % every == 0]
    if bins.scale == "log":
        ticks = [(0.5, "0")] if edges[0] <= 0 else []
        start = int(edges[0] <= 0)
        edges = edges[np.isfinite(edges)]
        low, high = edges[start], edges[-1]
        powers = range(int(np.ceil(np.log10(low) - 1e-9)), int(np.floor(np.log10(high) + 1e-9)) + 1)
        for power in list(powers)[:: max(1, len(powers) // 5)]:
            position = float(np.interp(power, np.log10(edges[start:]), np.arange(start, len(edges))))
            ticks.append((position, tick(10.0**power)))
        return _apart(ticks, bins.number)
    low, high = float(edges[0]), float(edges[-2])
    step = nice_step((high - low) / 5)
    numbers = np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1) * step
    numbers[np.abs(numbers) < step / 2] = 0.0
    positions = np.interp(numbers, edges, np.arange(len(edges)))
    return [(position, tick(number)) for position, number in zip(positions.tolist(), numbers.tolist(), strict=True)]


def _apart(ticks: list[tuple[float, str]], number: int) -> list[tuple[float, str]]:
    """Keep the labels that have room, from the right. The label at zero gives way."""
    shown: list[tuple[float, str]] = []
    for position, text in reversed(ticks):
        if not shown or shown[-1][0] - position > number * 0.075:
            shown.append((position, text))
    return shown[::-1]


def _bin_name(bins: Bins, index: int, whole: bool) -> str:
    low, high = float(bins.edges[index]), float(bins.edges[index + 1])
    if whole:
        if not np.isfinite(high):
            return f"{low:,.0f} or more"
        return f"{low:,.0f}" if high - low <= 1 else f"{low:,.0f} to {high - 1:,.0f}"
    return f"{low:.4g} to {high:.4g}"


def _element(element: ElementTree.Element, name: str, title: str) -> str:
    css = escape(name)
    if element.tag == f"{_SVG}path":
        inner = f"<title>{escape(title)}</title>" if title else ""
        path = _NUMBER.sub(lambda number: _short(number.group()), element.get("d", ""))
        return f'<path class="{css}" d="{escape(_SPACE.sub(" ", path).strip())}">{inner}</path>'
    if element.tag == f"{_SVG}text":
        found = _ANCHOR.search(element.get("style", ""))
        anchor = f' text-anchor="{found.group(1)}"' if found and found.group(1) != "start" else ""
        x, y = (_short(element.get(axis, "0")) for axis in ("x", "y"))
        return f'<text class="{css}" x="{x}" y="{y}"{anchor}>{escape(element.text or "")}</text>'
    return ""


def _short(number: str) -> str:
    return f"{float(number):.1f}".removesuffix(".0")
