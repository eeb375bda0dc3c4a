"""The bins of a histogram. Every bound of the limit is an edge, so no bar holds values from both sides of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_BINS = 36
_FEW = 48
"""If the values are whole numbers that span no more than this, each number gets a bar."""

_LOG_SPREAD = 100.0
_LOG_BOUND = 25.0
_LOG_LOPSIDED = 50.0
"""The scale is logarithmic in one of three cases: nine tenths of the positive values span a factor of 100, a bound
would be in the first twenty-fifth of a linear scale, or half of the values would be in its first fiftieth.
"""

_TINY = 1e7
"""A value that is smaller than the largest value by this factor shares a bar with zero."""


@dataclass(frozen=True)
class Bins:
    """Bin i holds edges[i] <= value < edges[i + 1].

    The first and the last bin extend to the least and the greatest value.
    """

    edges: np.ndarray
    scale: str
    """"unit" (a bar per whole number), "linear" or "log"."""
    marks: dict[str, int]
    """The index of the edge of each bound, for bounds that are on the scale."""

    @property
    def number(self) -> int:
        return len(self.edges) - 1

    def count(self, values: np.ndarray) -> np.ndarray:
        """Count the values in each bin. NaN is in no bin."""
        bins = np.searchsorted(self.edges, values[~np.isnan(values)], side="right") - 1
        return np.bincount(np.clip(bins, 0, self.number - 1), minlength=self.number)


@dataclass
class Spread:
    """The data for choosing bins: exact ends, the least positive value, and a sample of the values."""

    least: float = np.inf
    most: float = -np.inf
    least_positive: float = np.inf
    sample: np.ndarray = field(default_factory=lambda: np.array([]))


def edge_of(bound: str, value: float, whole: bool) -> float:
    """Return the edge between inside and outside.

    Values equal to the bound stay on the side to which the bound assigns them.
    """
    if whole:
        return float(np.floor(value) + 1 if bound in ("max", "above") else np.ceil(value))
    return float(np.nextafter(value, np.inf)) if bound in ("max", "above") else float(value)


def make_bins(spread: Spread, bounds: dict[str, Any], whole: bool) -> Bins:
    """Choose the bins for values of `spread` under a limit."""
    edges = {bound: edge_of(bound, value, whole) for bound, value in bounds.items() if bound != "one_of"}
    least, most = spread.least, spread.most
    if whole and most - least <= _FEW:
        low, high = _reach(least, most + 1, edges.values(), room=6.0)
        return _finish(np.arange(low, high + 1), "unit", edges, least, most, whole)
    seen = spread.sample if len(spread.sample) else np.array([least, most])
    low, high = (float(q) for q in np.quantile(seen, [0.003, 0.997]))
    if most - high < 0.2 * (most - low):
        high = most
    if low - least < 0.2 * (high - least):
        low = least
    if _is_log(seen, least, high, edges.values()):
        return _finish(_log_edges(spread, high, edges, whole), "log", edges, least, most, whole)
    low, high = _reach(low, high, edges.values(), room=0.4 * (high - low))
    return _finish(_linear_edges(low, high, edges, whole), "linear", edges, least, most, whole)


def _reach(low: float, high: float, edges: Iterable[float], room: float) -> tuple[float, float]:
    """Extend a range to edges that are within `room` of it."""
    for edge in edges:
        if low - room <= edge <= high + room:
            low, high = min(low, edge), max(high, edge)
    return low, high


def _is_log(seen: np.ndarray, least: float, high: float, edges: Iterable[float]) -> bool:
    positive = seen[seen > 0]
    if least < 0 or not len(positive):
        return False
    low_end, high_end = np.quantile(positive, [0.05, 0.95])
    near_zero = any(high / _TINY < edge < high / _LOG_BOUND for edge in edges)
    wide = bool(high_end > _LOG_SPREAD * low_end)
    middle = float(np.median(positive))
    lopsided = middle < high / _LOG_LOPSIDED
    return near_zero or (high > 1 and (wide or lopsided)) or (wide and middle < 0.05 * high)


def _linear_edges(low: float, high: float, edges: dict[str, float], whole: bool) -> np.ndarray:
    width = nice_step((high - low) / _BINS)
    if whole:
        width = max(width, 1.0)
    anchor = next((edge for edge in edges.values() if low < edge < high), 0.0)
    first, last = np.floor((low - anchor) / width + 1e-9), np.ceil((high - anchor) / width - 1e-9)
    grid = anchor + np.arange(first, max(last, first + 1) + 1) * width
    return np.unique(np.ceil(grid) if whole else grid)


def _log_edges(spread: Spread, high: float, edges: dict[str, float], whole: bool) -> np.ndarray:
    start = max(min(spread.least_positive, spread.most), high / _TINY)
    high = max(high, *(edge for edge in edges.values() if edge <= 30 * high), start * 1.001)
    decades = np.log10(high / start)
    per_decade = int(np.clip(np.round(_BINS / max(decades, 0.1)), 3, 24))
    anchor = np.log10(next((edge for edge in edges.values() if start / 10 < edge <= high), 1.0))
    first = np.floor((np.log10(start) - anchor) * per_decade + 1e-9)
    last = np.ceil((np.log10(high) - anchor) * per_decade - 1e-9)
    grid = 10.0 ** (anchor + np.arange(first, max(last, first + 1) + 1) / per_decade)
    grid = np.unique(np.ceil(grid)) if whole else grid
    return np.append(0.0, grid[grid > 0]) if spread.least <= 0 else grid


def _finish(grid: np.ndarray, scale: str, edges: dict[str, float], least: float, most: float, whole: bool) -> Bins:
    """Extend the grid to every value, and add the edges of bounds to the grid.

    Added are edges that divide the values, and edges inside the grid.
    """
    end = max(most + 1 if whole else most, float(np.nextafter(most, np.inf)))
    if len(grid) < 2:  # the range is too narrow for a float in between
        grid = np.array([least, end])
    shown = {edge for edge in edges.values() if least < edge < end or grid[0] <= edge <= grid[-1]}
    found = set(grid.tolist())
    for edge in shown - found:
        near = min(found, key=lambda known: (abs(known - edge), known))
        if grid[0] < near < grid[-1] and near not in shown and scale != "unit":
            found.remove(near)  # the bar next to the bound becomes wider or narrower
    found = found | shown
    if min(found) > least:
        found = {edge for edge in found if edge != grid[0] or edge in shown} | {least}
    if max(found) < end:
        found = {edge for edge in found if edge != grid[-1] or edge in shown} | {end}
    if min(found) < 0 <= least:
        found = {edge for edge in found if edge > 0} | {0.0}
        shown &= found
    ordered = sorted(found)
    if scale == "linear" and ordered[-2] < end < ordered[-1] and ordered[-1] not in shown:
        ordered[-1] = end
    marks = {bound: ordered.index(edge) for bound, edge in edges.items() if edge in shown}
    return Bins(np.array(ordered), scale, marks)


def nice_step(step: float) -> float:
    """Round `step` up to 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(step)) if step > 0 else 1.0
    return float(next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= step * (1 - 1e-9)))
