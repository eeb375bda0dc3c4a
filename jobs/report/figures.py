"""The pictures: one small histogram per measure, with kept documents above the line and dropped ones below it.

The pictures are SVG without styles, because the page's security policy forbids styles. Elements have classes instead,
and the page's style sheet gives them their colors, light and dark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup, escape

from jobs.report.bins import Bins, nice_step
from jobs.report.formatting import tick
from jobs.report.text_sizes import LENGTHS, TextSizes

_BESIDE, _BELOW, _ABOVE = 2.85742, 8.35742, -2.64258
"""The distance in pixels from the place of a text down to its base line, for a text beside, below or above the
place.
"""

_FEWEST = 8
"""A picture has room for at least this many bars, so that two bars do not fill it."""

_LOG_COUNTS = 30.0
"""Counts are on a log scale if the longest bar has this many times the documents of the median bar.

If there are few bars, the shortest bar is used instead.
"""

Grow = Callable[[Any], Any]


class _Frame(NamedTuple):
    """The size of a picture in pixels, and the place and size of its axes as shares of it."""

    width: int
    height: int
    left: float
    bottom: float
    across: float
    up: float


_SMALL = _Frame(312, 156, 0.09, 0.16, 0.895, 0.72)
_LARGE = _Frame(760, 220, 0.05, 0.12, 0.945, 0.86)


class _Picture:
    """An SVG.

    The x axis counts bins. The y axis counts documents: kept ones up to `top`, dropped ones down to `bottom`.
    """

    def __init__(self, frame: _Frame, bins: int, top: float, bottom: float) -> None:
        self._frame = frame
        self.left, self.right = -0.4, max(bins, _FEWEST) + 0.4
        self.low, self.high = -bottom - 0.04 * (top + bottom), top + 0.04 * (top + bottom)
        self._shapes: list[str] = []
        self._texts: list[str] = []

    def _x(self, x: float) -> float:
        share = (x - self.left) / (self.right - self.left)
        return (self._frame.left + share * self._frame.across) * self._frame.width

    def _y(self, y: float) -> float:
        share = (y - self.low) / (self.high - self.low)
        return (1 - self._frame.bottom - share * self._frame.up) * self._frame.height

    def line(self, name: str, *points: tuple[float, float], title: str = "") -> None:
        """Draw a line between two points, or an area between four points.

        The title shows while the pointer is over it.
        """
        path = " L ".join(f"{_short(self._x(x))} {_short(self._y(y))}" for x, y in points)
        close, inner = " z" * (len(points) > 2), f"<title>{escape(title)}</title>" if title else ""
        self._shapes.append(f'<path class="{name}" d="M {path}{close}">{inner}</path>')

    def box(self, name: str, left: float, right: float, low: float, high: float, title: str = "") -> None:
        self.line(name, (left, low), (right, low), (right, high), (left, high), title=title)

    def text(self, name: str, x: float, y: float, down: float, anchor: str, text: str) -> None:
        place = f'x="{_short(self._x(x))}" y="{_short(self._y(y) + down)}"'
        anchor = f' text-anchor="{anchor}"' if anchor else ""
        self._texts.append(f'<text class="{name}" {place}{anchor}>{escape(text)}</text>')

    def svg(self, kind: str, label: str) -> Markup:
        box = f"0 0 {self._frame.width} {self._frame.height}"
        head = f'<svg class="{kind}" viewBox="{box}" role="img" aria-label="{escape(label)}">'
        return Markup(head + "".join([*self._shapes, *self._texts]) + "</svg>")


def draw_histogram(
    bins: Bins, kept: np.ndarray, dropped: np.ndarray, bounds: dict[str, str], label: str, *, whole: bool
) -> tuple[Markup, bool]:
    """Draw a measure. Return the picture, and True if its counts are on a log scale.

    `bounds` has the words for the bounds of `bins.marks`.
    """
    logarithmic = wants_log(np.concatenate([kept, dropped]))
    grow = np.log1p if logarithmic else np.asarray
    return _draw(_SMALL, bins, kept, dropped, bounds, whole, grow).svg("histogram", label), logarithmic


def draw_curve(points: Sequence[Sequence[float]], label: str, across: str, up: str, dots: bool = False) -> Markup:
    """Draw points between 0 and 1, joined by lines or as dots, above the diagonal of chance or of a true score."""
    picture = _Picture(_SMALL, 10, 10.0, 0.0)
    for tenth in (0, 5, 10):
        picture.line("grid", (0, tenth), (10, tenth))
        picture.text("count", picture.left, tenth, _BESIDE, "end", tick(tenth / 10))
        picture.text("tick", tenth, -0.75, _BELOW, "middle", tick(tenth / 10))
    picture.line("limit", (0, 0), (10, 10))
    scaled = [(10 * x, 10 * y) for x, y in points]
    if dots:
        for x, y in scaled:
            picture.box("kept", x - 0.12, x + 0.12, y - 0.25, y + 0.25, f"{across} {x / 10:.2f}, {up} {y / 10:.2f}")
    else:
        picture.line("kept curve", *scaled, (10, 0), (0, 0))
    picture.text("bound", 10, 10, _ABOVE, "end", up)
    picture.text("bound", 10, 0, _ABOVE, "end", across)
    return picture.svg("histogram", label)


def draw_lengths(texts: TextSizes, dropped: np.ndarray) -> Markup | None:
    """Draw all texts by their bytes, without the empty bins at both ends."""
    if not texts.documents and not dropped.any():
        return None
    used = np.flatnonzero(texts.lengths + dropped)
    first, last = int(used[0]), int(used[-1]) + 1
    part = Bins(LENGTHS.edges[first : last + 1], LENGTHS.scale, {})
    label = (
        f"Lengths of {texts.documents:,} kept texts, {texts.bytes:,} bytes in all, the longest {texts.most:,}, "
        f"and of {int(dropped.sum()):,} dropped ones"
    )
    picture = _draw(_LARGE, part, texts.lengths[first:last], dropped[first:last], {}, True, np.asarray)
    return picture.svg("histogram wide", label)


def _draw(
    frame: _Frame, bins: Bins, kept: np.ndarray, dropped: np.ndarray, bounds: dict[str, str], whole: bool, grow: Grow
) -> _Picture:
    top, bottom = (max(float(grow(side.max())), 1e-9) for side in (kept, dropped))
    picture = _Picture(frame, bins.number, top, bottom)
    for start, stop in _outside(bins):
        picture.box("outside", start, stop, picture.low, picture.high)
    margin = picture.left - 0.008 * (picture.right - picture.left)
    for height, text in _count_marks(top, bottom, grow is np.log1p):
        picture.line("grid", (picture.left, height), (picture.right, height))
        picture.text("count", margin, height, _BESIDE, "end", text)
    for name, side, sign in (("kept", kept, 1), ("dropped", dropped, -1)):
        for index, number in enumerate(side.tolist()):
            if number:
                height = sign * max(float(grow(number)), 0.012 * (top + bottom))
                title = f"{_bin_name(bins, index, whole)}: {number:,} {name}"
                picture.box(name, index + 0.07, index + 0.93, 0, height, title)
    picture.line("base", (picture.left, 0), (picture.right, 0))
    below = picture.low - 0.035 * (picture.high - picture.low)
    for position, text in x_ticks(bins):
        picture.text("tick", position, below, _BELOW, "middle", text)
    limits = sorted((edge, bounds[bound]) for bound, edge in bins.marks.items())
    for index, (edge, text) in enumerate(limits):
        picture.line("limit", (edge, picture.low), (edge, picture.high))
        left = edge < bins.number / 2 if len(limits) == 1 else index == 0
        nudge = (0.012 if left else -0.012) * max(bins.number, _FEWEST)
        picture.text("bound", edge + nudge, picture.high, _ABOVE, "" if left else "end", text)
    return picture


def wants_log(counts: np.ndarray) -> bool:
    """Return True if the counts of a histogram are shown on a log scale."""
    there = counts[counts > 0]
    if not len(there):
        return False
    usual = np.median(there) if len(there) > _FEWEST else there.min()
    return bool(there.max() > _LOG_COUNTS * usual)


def _count_marks(top: float, bottom: float, logarithmic: bool) -> Iterator[tuple[float, str]]:
    """Yield the heights of thin lines on both sides of the base line, each with its number."""
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
            if height >= 0.12 * (top + bottom):
                yield sign * height, tick(mark)


def _outside(bins: Bins) -> Iterator[tuple[float, float]]:
    """Yield the ranges on the axis that a limit excludes."""
    for bound, edge in bins.marks.items():
        low = bound in ("min", "above")
        if 0 < edge < bins.number or (edge == bins.number if low else edge == 0):
            yield (-0.4, edge) if low else (edge, max(bins.number, _FEWEST) + 0.4)


def x_ticks(bins: Bins) -> list[tuple[float, str]]:
    """Return positions on the axis, counted in bins, with their labels."""
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
    """Keep the labels that have room, from the right. The label at zero is dropped first."""
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


def _short(number: float) -> str:
    return f"{round(number, 6):.1f}".removesuffix(".0")
