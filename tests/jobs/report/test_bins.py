"""Bins hold every value once, and no bar holds both sides of a bound."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.stage import Limit
from jobs.report.bins import Spread, make_bins, nice_step

BOUNDS = ("min", "max", "above", "below")
FLOATS = st.floats(-1e6, 1e6) | st.floats(0, 1) | st.floats(-1e300, 1e300)
NUMBERS = st.one_of(
    st.tuples(st.just(True), st.lists(st.integers(-50, 50) | st.integers(0, 10**9), min_size=2)),
    st.tuples(st.just(False), st.lists(FLOATS, min_size=2)),
)


def spread(values):
    positive = values[values > 0]
    return Spread(values.min(), values.max(), min(positive.min(initial=np.inf), values.max()), np.sort(values)[::2])


def sides(values, bins, bound):
    """The numbers of values in the bars before the line of a bound, and after it."""
    counts = bins.count(values)
    place = bins.marks[bound]
    return counts[:place].sum(), counts[place:].sum()


@settings(max_examples=60)
@given(NUMBERS, st.dictionaries(st.sampled_from(BOUNDS), FLOATS | st.integers(0, 1000), max_size=2))
def test_every_value_once_and_bounds_between_bars(numbers, bounds):
    whole, given_values = numbers
    values = np.array(given_values, dtype=np.float64)
    if values.min() == values.max():
        return
    bins = make_bins(spread(values), bounds, whole)
    assert (np.diff(bins.edges) > 0).all()
    assert bins.number <= 200
    assert bins.edges[0] <= values.min() and values.max() < bins.edges[-1]
    assert bins.count(values).sum() == len(values)
    for bound, limit in bounds.items():
        outside = sum(Limit(**{bound: limit}).broken_by(value) is not None for value in values)
        if 0 < outside < len(values):
            low, high = sides(values, bins, bound)
            assert (low if bound in ("min", "above") else high) == outside


def test_counts_get_a_bar_each():
    values = np.array([0, 1, 1, 5], dtype=np.float64)
    bins = make_bins(spread(values), {"max": 2}, whole=True)
    assert bins.scale == "unit"
    assert bins.count(values).tolist()[:6] == [1, 2, 0, 0, 0, 1]
    assert bins.edges[bins.marks["max"]] == 3


def test_scale_follows_the_data():
    rng = np.random.default_rng(1)
    lengths = np.round(np.exp(rng.normal(7, 1.5, 5000)))
    assert make_bins(spread(lengths), {"min": 50, "max": 100_000}, whole=True).scale == "log"
    assert make_bins(spread(rng.normal(5, 0.5, 5000)), {"min": 3, "max": 10}, whole=False).scale == "linear"
    small = make_bins(spread(rng.random(5000)), {"max": 0.01}, whole=False)
    assert small.scale == "log" and small.marks["max"] > 5


def test_an_outlier_does_not_flatten_the_rest():
    values = np.append(np.random.default_rng(2).normal(100, 10, 5000), 1e6)
    bins = make_bins(spread(values), {}, whole=False)
    assert (bins.count(values) > 0).sum() > 15


@pytest.mark.parametrize(("step", "nice"), [(0.13, 0.2), (1, 1), (21, 25), (0.0007, 0.001), (26, 50)])
def test_nice_steps(step, nice):
    assert nice_step(step) == pytest.approx(nice)
