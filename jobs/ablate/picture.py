"""The picture of a validation set: learning curves at the left, the differences at the end at the right.

It is SVG without styles, as the page's security policy demands. Classes give the colors, light and dark.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from jobs.report.bins import nice_step
from jobs.report.formatting import tick

COLORS = 8
"""The number of colors in report.css. Further arms begin with the first one again."""

_WIDTH, _ROW, _TOP, _LEAST = 760, 34, 18, 190
_CURVES, _DIFFERENCES = (48, 380), (500, 745)
"""The left and the right end of each half, in pixels."""

Curve = Sequence[tuple[float, float]]


def draw(curves: Mapping[str, Curve], differences: Mapping[str, Sequence[Mapping[str, Any]]], label: str) -> Markup:
    """Draw the curves of all arms, and the differences of all arms but the baseline, at each learning rate."""
    height = max(_LEAST, _TOP + _ROW * len(differences) + 24)
    colors = {arm: f"a{number % COLORS}" for number, arm in enumerate(curves)}
    shapes = [*_draw_curves(curves, colors, height), *_draw_differences(differences, colors, height)]
    head = f'<svg class="histogram ablation" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(label)}">'
    return Markup(head + "".join(shapes) + "</svg>")


def _draw_curves(curves: Mapping[str, Curve], colors: Mapping[str, str], height: int) -> Iterator[str]:
    values = [bpb for curve in curves.values() for _, bpb in curve]
    last = max(tokens for curve in curves.values() for tokens, _ in curve)
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.01
    low, high, bottom = low - room, high + room, height - 24
    left, right = _CURVES

    def place(tokens: float, bpb: float) -> tuple[float, float]:
        return left + (right - left) * tokens / last, _TOP + (bottom - _TOP) * (high - bpb) / (high - low)

    for mark in _marks(low, high):
        y = place(0, mark)[1]
        yield _line("grid", (left, y), (right, y))
        yield _text("count", left - 5, y + 3, tick(mark), "end")
    for mark in _marks(0, last):
        yield _text("tick", place(mark, low)[0], bottom + 14, f"{mark / 1e6:g} M", "middle")
    yield _text("bound", right, height - 1, "tokens", "end")
    yield _text("bound", left, 10, "bits per byte", "start")
    for arm, curve in curves.items():
        points = [place(*point) for point in curve]
        yield _line(f"curve {colors[arm]}", *points, title=arm)
        for (x, y), (tokens, bpb) in zip(points, curve, strict=True):
            yield _dot(colors[arm], x, y, f"{arm}: {bpb:.4f} bits per byte after {tokens:,.0f} tokens")


def _draw_differences(
    differences: Mapping[str, Sequence[Mapping[str, Any]]], colors: Mapping[str, str], height: int
) -> Iterator[str]:
    reach = 1.05 * max(abs(one["mean"]) + one["half"] for both in differences.values() for one in both) or 1.0
    left, right = _DIFFERENCES
    bottom = height - 24

    def place(difference: float) -> float:
        return left + (right - left) * (difference + reach) / (2 * reach)

    for mark in _marks(-reach, reach):
        yield _line("grid", (place(mark), _TOP), (place(mark), bottom))
        yield _text("tick", place(mark), bottom + 14, tick(mark), "middle")
    yield _line("limit", (place(0), _TOP), (place(0), bottom))
    yield _text("bound", left, 10, "better", "start")
    yield _text("bound", right, 10, "worse", "end")
    for row, (arm, both) in enumerate(differences.items()):
        middle = _TOP + _ROW * (row + 0.5)
        yield _text("bound", left - 8, middle + 3, arm if len(arm) <= 16 else f"{arm[:15]}…", "end")
        for number, one in enumerate(both):
            y = middle - 5 + 10 * number
            title = f"{arm}: {one['mean']:+.4f} ± {one['half']:.4f}" + (" at the small learning rate" * bool(number))
            ends = (place(one["mean"] - one["half"]), y), (place(one["mean"] + one["half"]), y)
            yield _line(f"curve {colors[arm]}{' small' * bool(number)}", *ends, title=title)
            yield _dot(colors[arm], place(one["mean"]), y, title)


def _marks(low: float, high: float) -> list[float]:
    step = nice_step((high - low) / 4)
    first = int(low / step) - 1
    return [round(step * at, 10) for at in range(first, first + 12) if low <= step * at <= high]


def _line(name: str, *points: tuple[float, float], title: str = "") -> str:
    path = " L ".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path class="{name}" d="M {path}"><title>{escape(title)}</title></path>'


def _dot(name: str, x: float, y: float, title: str) -> str:
    return f'<circle class="{name}" cx="{x:.1f}" cy="{y:.1f}" r="2.6"><title>{escape(title)}</title></circle>'


def _text(name: str, x: float, y: float, text: str, anchor: str) -> str:
    return f'<text class="{name}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
