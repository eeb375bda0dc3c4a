"""Moved documents by URL: those of plain Python, wherever the records lie."""

import random
from collections import Counter
from types import SimpleNamespace

import pytest

from corpus.revise import url_differences
from corpus.revise.url_differences import diff_by_url
from corpus.run import open_run
from tests.corpus.revise.test_differences import ends
from tests.corpus.revise.test_what_if import pages
from tests.ledgers import judged, recipe, write_run

OTHER_FORMS = [
    lambda url: url,
    lambda url: url.replace("http:", "HTTPS:"),
    lambda url: url.replace("example/", "Example:80/%2e/"),
    lambda url: f"{url}#top",
]


def cut_anew(outcomes, rng):
    """The same records in another order, under other ids, and their URLs in other forms."""
    outcomes = rng.sample(outcomes, len(outcomes))
    for number, one in enumerate(outcomes):
        one.doc.id, one.doc.url = f"w.warc.gz:{number + 5000}", rng.choice(OTHER_FORMS)(one.doc.url)
    return outcomes


@pytest.fixture
def compare(tmp_path):
    def compared(*sides):
        runs = [
            open_run(write_run(tmp_path / f"{n}", recipe(), side, rows_per_part=83)) for n, side in enumerate(sides)
        ]
        return diff_by_url(*runs)

    return compared


@pytest.mark.parametrize("rows", [7, 100, 1 << 16])
@pytest.mark.parametrize("seed", range(4))
def test_moves_are_those_of_dictionaries(compare, monkeypatch, seed, rows):
    monkeypatch.setattr(url_differences, "_LEDGER_ROWS", rows)
    monkeypatch.setattr(url_differences, "_CORPUS_ROWS", rows)
    rng = random.Random(seed)
    measured = pages(200, seed, failing=0.02)
    sides = [judged(recipe(), measured), judged(recipe(["first.words.min=100", "last.share.below=0.7"]), measured)]
    sides = [[one for one in side if rng.random() < keep] for side, keep in zip(sides, (0.9, 0.8), strict=True)]
    one, other = map(ends, sides)
    moves = Counter((one.get(id, "absent"), other.get(id, "absent")) for id in {*one, *other})
    urls = {(one.get(o.doc.id, "absent"), other.get(o.doc.id, "absent"), o.doc.url) for side in sides for o in side}
    for outcome in sides[1]:
        if outcome.kept and rng.random() < 0.3:
            outcome.doc.text += " changed"
    kept = [{o.doc.id: o.doc.text for o in side if o.kept} for side in sides]
    same = sum(kept[1].get(id) == text for id, text in kept[0].items())
    found = compare(sides[0], cut_anew(sides[1], rng))
    assert found.same == sum(count for (old, new), count in moves.items() if old == new)
    assert {pair: move.documents for pair, move in found.moves.items()} == {
        (old, new): count for (old, new), count in moves.items() if old != new
    }
    assert (found.same_text, found.other_text) == (same, len(kept[0].keys() & kept[1].keys()) - same)
    assert len(found.text_examples) == min(5, found.other_text)
    for (old, new), move in found.moves.items():
        assert len(move.examples) == len(move.ids) == min(5, move.documents)
        assert all((one == "", another == "") == (old == "absent", new == "absent") for one, another in move.ids)
        if old != "absent":
            assert {(old, new, url) for url in move.examples} <= urls


FINE = {"door.label": "en", "door.score": 0.9, "dear.size": 9, "dear.depth": 1, "first.words": 60, "first.ratio": 0.1,
        "first.note": "a", "last.sentences": 9, "last.share": 0.1, "last.count": 1}  # fmt: skip
SHORT = FINE | {"first.words": 3}


def captures(*described):
    """Records of one URL, each with its measures, record id, text and date."""
    outcomes = judged(recipe(), [measures for measures, *_ in described])
    for one, (_, record, text, date) in zip(outcomes, described, strict=True):
        one.doc.url, one.doc.text, one.doc.date = "http://a.example/", text, date
        one.doc.record = SimpleNamespace(record_id=record, note="", metadata=None)
    return outcomes


def test_records_of_one_url_are_paired_by_id_then_text_then_date_then_order(compare):
    first = captures(
        (SHORT, "<1>", "one", "2026-01-01"),
        (FINE, "", "two", "2026-01-02"),
        (FINE, "<3>", "three", "2026-01-03"),
        (SHORT, "", "", ""),
    )
    second = captures(
        (FINE, "", "other", "2026-01-03"),  # by its date it is the third
        (FINE, "<9>", "two", "2026-01-09"),  # by its text it is the second
        (SHORT, "", "", ""),  # the rest
        (FINE, "<1>", "new", "2026-01-02"),  # by its id it is the first, and not the second by its date
    )
    found = compare(first, second)
    assert (found.same, found.same_text, found.other_text) == (3, 1, 1)
    assert {pair: move.documents for pair, move in found.moves.items()} == {("first.words", "kept"): 1}


def test_a_run_and_nothing(compare, tmp_path):
    sides = [judged(recipe(), pages(30, 1)), []]
    assert {new for _, new in compare(*sides).moves} == {"absent"}


def test_nothing_and_a_run(compare):
    assert {old for old, _ in compare([], judged(recipe(), pages(30, 1))).moves} == {"absent"}
