"""Two runs side by side: the same counts as a comparison of all rows in memory, whatever the size of batches."""

import random
from collections import Counter

import pytest

import corpus.revise.differences
from corpus.revise.differences import diff
from corpus.run import open_run
from tests.corpus.revise.test_what_if import pages
from tests.ledgers import judged, recipe, write_run


def ends(outcomes):
    return {
        one.doc.id: one.outcome
        if one.kept
        else f"{one.stage}.{one.rule}"
        if one.outcome == "dropped"
        else f"failed: {one.rule}"
        for one in outcomes
    }


@pytest.mark.parametrize("rows", [1, 7, 64, 100_000])
@pytest.mark.parametrize("seed", range(3))
def test_moves_are_those_of_all_rows_in_memory(tmp_path, monkeypatch, rows, seed):
    monkeypatch.setattr(corpus.revise.differences, "_LEDGER_ROWS", rows)
    monkeypatch.setattr(corpus.revise.differences, "_CORPUS_ROWS", rows)
    rng = random.Random(seed)
    measured = pages(200, seed, failing=0.02)
    sides = [judged(recipe(), measured), judged(recipe(["first.words.min=100", "last.share.below=0.7"]), measured)]
    sides = [[one for one in side if rng.random() < keep] for side, keep in zip(sides, (0.9, 0.8), strict=True)]
    runs = [open_run(write_run(tmp_path / f"{n}", recipe(), side, rows_per_part=83)) for n, side in enumerate(sides)]
    found = diff(*runs)
    one, other = map(ends, sides)
    moves = Counter((one.get(id, "absent"), other.get(id, "absent")) for id in {*one, *other})
    same = sum(count for (old, new), count in moves.items() if old == new)
    assert found.same == same
    assert {pair: move.documents for pair, move in found.moves.items()} == {
        (old, new): count for (old, new), count in moves.items() if old != new
    }
    assert found.documents == (len(one), len(other))
    assert found.kept == tuple(sum(end == "kept" for end in side.values()) for side in (one, other))
    texts = [{o.doc.id: o.doc.text for o in side if o.kept} for side in sides]
    both = texts[0].keys() & texts[1].keys()
    assert (found.same_text, found.other_text) == (len(both), 0)
    for (old, new), move in found.moves.items():
        urls = {
            o.doc.url
            for side in sides
            for o in side
            if (one.get(o.doc.id, "absent"), other.get(o.doc.id, "absent")) == (old, new)
        }
        assert 0 < len(move.examples) <= 5
        assert set(move.examples) <= urls


def test_other_texts_are_counted(tmp_path):
    measured = [dict(page, **{"last.share": 0.1}) for page in pages(60, 2)]
    sides = [judged(recipe(), measured) for _ in range(2)]
    kept = [one for one in sides[1] if one.kept]
    for one in kept[::3]:
        one.doc.text += " changed"
    runs = [open_run(write_run(tmp_path / f"{n}", recipe(), side)) for n, side in enumerate(sides)]
    found = diff(*runs)
    assert (found.same_text, found.other_text) == (len(kept) - len(kept[::3]), len(kept[::3]))
    assert set(found.text_examples) <= {one.doc.url for one in kept[::3]}
    assert not found.moves


def test_a_run_and_nothing(tmp_path):
    sides = [judged(recipe(), pages(30, 1)), []]
    runs = [open_run(write_run(tmp_path / f"{n}", recipe(), side)) for n, side in enumerate(sides)]
    assert {new for _, new in diff(*runs).moves} == {"absent"}
    assert {old for old, _ in diff(*reversed(runs)).moves} == {"absent"}


def test_what_differs_between_the_recipes_is_said(tmp_path):
    runs = [
        open_run(write_run(tmp_path / name, recipe(settings), judged(recipe(settings), pages(30, 1))))
        for name, settings in (("a", []), ("b", ["first.words.min=60"]))
    ]
    assert diff(*runs).recipe == ["first.words.min: 50 → 60"]
