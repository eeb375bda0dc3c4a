"""Judgements: the pages that are drawn, the file, and the figures."""

import json
import random
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.errors import ConfigError, InputError
from corpus.run import open_run
from jobs.browse import labels
from jobs.browse.labels import BAD, GOOD, Labels, agreement, draw, interval, rows_of, under
from tests.corpus.revise.test_what_if import pages
from tests.ledgers import judged, recipe, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = recipe()
    folder = write_run(tmp_path_factory.mktemp("labels") / "run", made, judged(made, pages(900, 4)), rows_per_part=200)
    return open_run(folder)


def line(name, label=GOOD, near="", outcome="kept"):
    return {"id": name, "label": label, "near": near, "outcome": outcome, "text": "é\n"}


def test_a_new_label_replaces_an_old_one(tmp_path):
    found = Labels(tmp_path / "l.jsonl")
    for name, label in (("a", GOOD), ("b", BAD), ("a", BAD), ("c", GOOD)):
        found.add(line(name, label))
    again = Labels(tmp_path / "l.jsonl")
    assert {name: one["label"] for name, one in again.lines.items()} == {"b": BAD, "a": BAD, "c": GOOD}
    assert len((tmp_path / "l.jsonl").read_text().splitlines()) == 3
    assert stat.S_IMODE((tmp_path / "l.jsonl").stat().st_mode) == 0o600


def test_labels_that_are_being_read_do_not_change(tmp_path):
    found = Labels(tmp_path / "l.jsonl")
    found.add(line("a"))
    reading = iter(found.lines)
    found.add(line("b"))
    found.add(line("a", BAD))
    assert [*reading] == ["a"]


@pytest.mark.parametrize("text", ["x", "{}", '{"id": "a", "label": "fine", "near": "", "outcome": "kept"}', "[]"])
def test_a_file_of_something_else_is_not_touched(tmp_path, text):
    (tmp_path / "l.jsonl").write_text(json.dumps(line("a")) + "\n" + text + "\n")
    with pytest.raises(InputError, match=r"Line 2 of .* is no label"):
        Labels(tmp_path / "l.jsonl")


def test_pages_near_a_limit_are_the_nearest_of_both_sides(run, monkeypatch):
    monkeypatch.setattr(labels, "DRAWN", 5)
    ledger = run.ledger(["id", "outcome", "stage", "rule", "first.words"]).to_pylist()
    rows = draw(run, "first.words.min", [])
    kept = [row for row in rows if ledger[row]["outcome"] == "kept"]
    dropped = [row for row in rows if (ledger[row]["stage"], ledger[row]["rule"]) == ("first", "words")]
    assert sorted([*kept, *dropped]) == sorted(rows)
    for side, here in ((kept, "kept"), (dropped, "dropped")):
        own = [one for one in ledger if one["outcome"] == here and (here == "kept" or one["rule"] == "words")]
        distances = sorted(abs(one["first.words"] - 50) for one in own if one["first.words"] is not None)
        assert sorted(abs(ledger[row]["first.words"] - 50) for row in side) == distances[:5]
    assert rows == draw(run, "first.words.min", [])
    assert rows != sorted(rows)


def test_judged_pages_are_not_drawn_again(run, monkeypatch):
    monkeypatch.setattr(labels, "DRAWN", 5)
    ids = run.ledger(["id"])["id"].to_pylist()
    first = [ids[row] for row in draw(run, "", [])]
    second = [ids[row] for row in draw(run, "", first)]
    assert len(first) == len(second) == 10
    assert not {*first} & {*second}


@pytest.mark.parametrize("near", ["first.words.below", "first.nothing.min", "x", "door.label.one_of"])
def test_a_limit_that_the_run_does_not_have(run, near):
    with pytest.raises(ConfigError, match="has no limit"):
        draw(run, near, [])


def test_what_a_limit_does_to_judged_pages_is_what_a_run_with_it_does(run):
    rng = random.Random(1)
    ids = rng.sample(run.ledger(["id"])["id"].to_pylist(), 300)
    known = {name: rng.choice([GOOD, BAD]) for name in ids}
    settings = ["first.words.min=80", "last.share.below=0.3"]
    found = under(run, settings, known, rows_of(run, ids))
    fresh = {one.doc.id: one for one in judged(recipe(settings), pages(900, 4))}
    for label in (GOOD, BAD):
        own = [fresh[name] for name in ids if known[name] == label]
        assert found[label] == len(own)
        assert found[f"{label}_kept"] == sum(one.kept for one in own)
        for rule in found["rules"]:
            assert rule[label] == sum(f"{one.stage}.{one.rule}" == rule["rule"] for one in own)
    assert found["judged"] == 300


def test_ids_that_the_run_does_not_have_are_left_out(run):
    assert rows_of(run, ["no such id"]) == {}
    assert under(run, [], {"no such id": GOOD}, {})["judged"] == 0


@given(st.integers(1, 200).flatmap(lambda whole: st.tuples(st.integers(0, whole), st.just(whole))))
def test_an_interval_holds_the_share(pair):
    share, low, high = interval(*pair)
    assert 0 <= low <= share <= high <= 1
    assert high - low < 1


def test_an_interval_of_known_size():
    """95% of 10 of 20 by Wilson: as R's prop.test(10, 20, correct = FALSE) gives it."""
    assert [round(one, 4) for one in interval(10, 20)] == [0.5, 0.2993, 0.7007]
    assert interval(0, 0) is None


def test_recall_weighs_kept_and_dropped_pages_by_their_numbers(run):
    lines = [line(f"k{n}", GOOD if n < 8 else BAD) for n in range(10)]
    lines += [line(f"d{n}", GOOD if n < 2 else BAD, outcome="dropped") for n in range(10)]
    lines += [line(f"n{n}", GOOD, "first.words.min", "dropped") for n in range(3)]
    whole, near = agreement(run, {one["id"]: one for one in lines})
    kept, dropped = (sum(labels.total(run.counts[name]) for name in [one]) for one in ("kept", "dropped"))
    assert whole["precision"][0] == 0.8
    assert whole["recall"][0] == pytest.approx(0.8 * kept / (0.8 * kept + 0.2 * dropped))
    assert whole["recall"][1] < whole["recall"][0] < whole["recall"][2]
    assert (near["near"], near["judged"], near["precision"], near["recall"][0]) == ("first.words.min", 3, None, 0.0)
