"""Samples: the same pages whatever the division of a run, near the limit and far from it, without personal data."""

import random

import numpy as np
import pytest

from corpus.document import Document
from corpus.outcome import DROPPED, FAILED, KEPT, Outcome
from corpus.tables.samples import EXCERPT_CHARS, PER_KEPT, PER_RULE, Sampler, draw, is_near


def dropped(number, value=3, limit=50.0):
    doc = Document(id=f"w.warc.gz:{number}", url=f"http://bob:pw@a.example/{number}", text=f"Text {number} " * 100)
    return Outcome(DROPPED, doc, "words", "count", value, "min", limit, "a detail")


def kept(number):
    return Outcome(KEPT, Document(id=f"w.warc.gz:{number}", url="http://a.example/", text="Text"))


def samples(outcomes, per_batch, redact=str.upper):
    """The samples of one unit, taken batch by batch and drawn as an attempt draws them."""
    sampler, drawn = Sampler(redact), []
    for start in range(0, len(outcomes), per_batch):
        for outcome in outcomes[start : start + per_batch]:
            sampler.offer(outcome)
        drawn = draw([*drawn, *sampler.take().to_pylist()])
    return drawn


def test_the_size_of_a_batch_changes_nothing():
    found = (
        [dropped(n) for n in range(40)] + [dropped(n, 48) for n in range(40, 80)] + [kept(n) for n in range(80, 140)]
    )
    random.Random(3).shuffle(found)
    whole = samples(found, 1000)
    assert [samples(found, size) for size in (1, 7, 50)] == [whole] * 3
    assert sorted({(row["rule"], row["near"]) for row in whole}) == [
        ("kept", False),
        ("words.count", False),
        ("words.count", True),
    ]
    assert len(whole) == PER_KEPT + 2 * PER_RULE


def test_units_in_any_order_give_the_same():
    rows = samples([dropped(n) for n in range(30)], 30) + samples([dropped(n) for n in range(30, 60)], 30)
    again = rows[::-1]
    assert draw(again) == draw(rows)


def test_an_excerpt_is_short_and_redacted_and_its_url_masked():
    (row,) = samples([dropped(1)], 1)
    assert row["excerpt"] == ("TEXT 1 " * 100)[:EXCERPT_CHARS]
    assert row["url"] == "http://<USER>@a.example/1"
    assert (row["value"], row["limit"], row["detail"]) == (3.0, 50.0, "a detail")


def test_nothing_is_quoted_unless_it_is_redacted():
    (row,) = samples([dropped(1)], 1, redact=None)
    assert row["excerpt"] == ""


def test_failed_records_are_no_samples():
    assert samples([Outcome(FAILED, kept(1).doc, rule="crash")], 1) == []


@pytest.mark.parametrize(
    ("value", "limit", "near"),
    [(46, 50.0, True), (44, 50.0, False), (2, 3.0, True), (2.0, 3.0, False), (0.28, 0.3, True), (0.2, 0.3, False)],
)
def test_near_is_a_tenth_of_the_limit_or_one_for_small_counts(value, limit, near):
    (row,) = samples([dropped(1, value, limit)], 1)
    assert row["near"] is near
    values, limits = np.array([value, np.nan], float), np.array([limit, limit])
    assert is_near(values, limits, isinstance(value, int)).tolist() == [near, False]
