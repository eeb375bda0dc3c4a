"""Verdicts under other limits, from the ledger alone: those of a pass with these limits, or open if the ledger can't
tell."""

import random

import numpy as np
import pytest

from corpus.errors import ConfigError
from corpus.outcome import DROPPED, FAILED, KEPT
from corpus.revise.judge import LedgerJudge
from corpus.revise.limits import with_limits
from corpus.run import open_run
from corpus.runs.row_groups import row_groups
from tests.ledgers import judged, recipe, write_run

SETTINGS = [
    "first.words.min=30",
    "first.words.min=80",
    "first.words.max=300",
    "first.words.min=off",
    "first.ratio.max=0.6",
    "first.ratio.max=0.1",
    'first.note.one_of=["a", "b"]',
    "last.sentences.min=2",
    "last.sentences.max=20",
    "last.share.below=0.4",
    "last.share.below=off",
    "last.count.max=3",
    "door.score.above=0.3",
    "door.score.above=0.9",
    'door.label.one_of=["en", "de"]',
    'door.label.one_of=["de"]',
    "door.label.one_of=off",
    "dear.size.max=200",
    "dear.size.min=20",
    "dear.depth.max=5",
]


OF_LANGUAGES = [
    "first.de.words.min=30",
    "first.de.words.min=150",
    "first.de.words.max=300",
    "first.fr.words=off",
    "first.words.min=120",
    'first.de.note.one_of=["a", "b"]',
    "first.en.words.min=399",
    "last.fr.share.max=0.2",
    "last.fr.share=off",
    "last.de.sentences.min=20",
    "door.de.score.above=0.7",
    "door.de.score.above=0.1",
    'door.label.one_of=["en", "de"]',
    "dear.de.size.max=120",
    "dear.fr.depth.max=2",
]


def pages(count, seed, failing=0.0):
    """Measures around their limits, null ones among them, and some where the stage fails."""
    rng = random.Random(seed)

    def some(value):
        return None if rng.random() < 0.1 else "raise" if rng.random() < failing else value

    return [
        {
            "door.label": some(rng.choice(["en", "en", "en", "de", "fr"])),
            "door.score": some(rng.choice([rng.random(), 0.65, 0.3, 1.0])),
            "dear.size": some(rng.choice([rng.randint(0, 240), 1, 100])),
            "dear.depth": some(rng.randint(0, 12)),
            "first.words": some(rng.choice([rng.randint(0, 400), 50, 30, 1000])),
            "first.ratio": some(rng.choice([rng.random() / 2, 0.3, 0.0])),
            "first.note": some(rng.choice(["a", "b", "c"])),
            "last.sentences": some(rng.randint(0, 30)),
            "last.share": some(rng.choice([rng.random(), 0.5, 0.4])),
            "last.count": some(rng.randint(0, 5)),
        }
        for _ in range(count)
    ]


def verdicts_of(outcomes, judge):
    """The verdicts of a pass, as `VerdictCodes`."""
    codes = judge.codes
    rules = {(rule.stage, rule.name): index for index, rule in enumerate(codes.rules)}
    by_outcome = {KEPT: lambda one: codes.kept, FAILED: lambda one: codes.fixed}
    return [rules[one.stage, one.rule] if one.outcome == DROPPED else by_outcome[one.outcome](one) for one in outcomes]


@pytest.mark.parametrize("by_language", [False, True])
@pytest.mark.parametrize("measures", ["all", "first"])
@pytest.mark.parametrize("seed", range(10))
def test_verdicts_are_those_of_a_pass_with_the_new_limits(tmp_path, measures, seed, by_language):
    rng = random.Random(seed)
    settings = rng.sample(OF_LANGUAGES if by_language else SETTINGS, rng.choice([1, 1, 2, 4]))
    old = recipe(measures=measures, by_language=by_language)
    measured = pages(500, seed, failing=0.01)
    run = open_run(write_run(tmp_path / "run", old, judged(old, measured)))
    judge = LedgerJudge(run.info, with_limits(run.info, settings))
    with row_groups(run.paths("ledger"))[0].open() as read:
        before, found = judge.verdicts(read)
    fresh = judged(recipe(settings, by_language, measures=measures), measured)
    assert before.tolist() == verdicts_of(judged(old, measured), judge)
    expected = np.array(verdicts_of(fresh, judge))
    known = found != judge.codes.open
    # a stage that failed after a verdict leaves no trace in the ledger, but then no later stage ran either
    assert found[known].tolist() == expected[known].tolist()
    # open documents are those that went no further in the old run
    assert all(not one.finished for one, is_known in zip(judged(old, measured), known, strict=True) if not is_known)


@pytest.mark.parametrize("settings", [OF_LANGUAGES[:4], OF_LANGUAGES[4:9], OF_LANGUAGES[9:]])
def test_a_tuned_recipe_is_the_recipe_with_the_settings(tmp_path, settings):
    old = recipe(by_language=True)
    run = open_run(write_run(tmp_path / "run", old, judged(old, pages(5, 1))))
    assert with_limits(run.info, settings) == recipe(settings, by_language=True).canonical()


def test_open_is_only_what_was_not_measured(tmp_path):
    """The verdict of a text stage does not stop later stages, so a looser limit leaves no document open."""
    old = recipe()
    measured = pages(500, 3)
    run = open_run(write_run(tmp_path / "run", old, judged(old, measured)))
    certain, most = run.tune(["first.words.min=10", "last.sentences=off"]).passing
    assert certain == most
    certain, most = run.tune(["door.score.above=0.1"]).passing
    assert certain < most


def test_open_is_what_a_stage_without_limits_may_have_failed_on(tmp_path):
    """The row of a page that broke a rule does not say whether a later stage failed on it."""
    old = recipe()
    fine = {"door.label": "en", "door.score": 0.9, "dear.size": 9, "dear.depth": 1, "first.words": 40}
    fine |= {"first.ratio": 0.1, "first.note": "a", "last.sentences": 9, "last.share": 0.1, "last.count": 1}
    run = open_run(write_run(tmp_path / "run", old, judged(old, [fine, {**fine, "last.count": "raise"}])))
    assert run.tune(["first.words.min=30"]).passing == (1, 2)


@pytest.mark.parametrize("setting", ["lines.removed.max=0", "first.words.min=80"])
def test_other_lines_can_take_every_page(tmp_path, setting):
    """A page may lose lines that many pages have, and a page that comes back may take lines from many."""
    old = recipe()
    run = open_run(write_run(tmp_path / "run", old, judged(old, pages(300, 4))))
    run.info["recipe"]["stages"].append({"name": "lines", "stage": "lines", "removed": {"max": "off"}})
    run.info["columns"]["lines.removed"] = "int"
    run.info["compared"] = {"lines": {"compares": "lines", "kind": "lines", "measures": {"removed": "lines_removed"}}}
    assert run.tune([]).exact
    assert run.tune([setting]).kept[0] == 0


def test_counts_bytes_and_examples(tmp_path):
    old = recipe()
    measured = pages(1000, 5)
    before = judged(old, measured)
    run = open_run(write_run(tmp_path / "run", old, before, rows_per_part=700))
    settings = ["first.words.min=30", "last.share.below=0.3"]
    after = judged(recipe(settings), measured)
    found = run.tune(settings)
    lost = [new for was, new in zip(before, after, strict=True) if was.kept and not new.kept]
    gained = [(was, new) for was, new in zip(before, after, strict=True) if new.kept and not was.kept]
    assert lost
    assert gained
    assert found.exact
    assert found.before == sum(one.kept for one in before)
    assert found.kept == (sum(one.kept for one in after),) * 2
    rows = {row["rule"]: row for row in found.rules.to_pylist()}
    assert set(rows) == {"first.words", "last.share"}
    assert rows["last.share"]["lost"] == len(lost)
    assert rows["last.share"]["lost_bytes"] == sum(len(one.doc.text.encode()) for one in lost)
    assert rows["first.words"]["gained"] == sum(was.rule == "words" for was, _ in gained)
    assert rows["first.words"]["gained_bytes"] == sum(len(new.text.encode()) for _, new in gained)
    held = [
        new for was, new in zip(before, after, strict=True) if was.rule == "words" and new.rule not in ("", "words")
    ]
    assert rows["first.words"]["held_by_others"] == len(held)
    urls = {one.doc.url for one in lost}
    shown = [row for row in found.examples.to_pylist() if row["kind"] == "lost"]
    assert 0 < len(shown) <= 5
    assert {row["url"] for row in shown} <= urls


def test_rules_that_are_broken_together(tmp_path):
    old = recipe()
    measured = pages(1000, 6)
    run = open_run(write_run(tmp_path / "run", old, judged(old, measured)))
    found = run.tune({"first.words.min": 120, "last.sentences.min": 15})
    together = {tuple(row["rules"]): row["documents"] for row in found.together.to_pylist() if row["kind"] == "lost"}
    kept = [one.measures for one in judged(old, measured) if one.kept]
    few = [m["first.words"] is not None and m["first.words"] < 120 for m in kept]
    short = [m["last.sentences"] is not None and m["last.sentences"] < 15 for m in kept]
    assert together == {
        ("first.words",): sum(a and not b for a, b in zip(few, short, strict=True)),
        ("last.sentences",): sum(b and not a for a, b in zip(few, short, strict=True)),
        ("first.words", "last.sentences"): sum(a and b for a, b in zip(few, short, strict=True)),
    }


def test_the_limits_of_the_run_change_nothing(tmp_path):
    old = recipe()
    run = open_run(write_run(tmp_path / "run", old, judged(old, pages(300, 1))))
    found = run.tune(["first.words.min=50"])
    assert found.changes == []
    assert found.exact
    assert found.moves.num_rows == found.rules.num_rows == 0


def test_an_empty_ledger(tmp_path):
    run = open_run(write_run(tmp_path / "run", recipe(), []))
    assert run.tune(["first.words.min=30"]).kept == (0, 0)


@pytest.mark.parametrize(
    "settings", [["first.words=off"], {"first.words": None}, {"first.words": {"min": None, "max": "off"}}]
)
def test_ways_to_switch_a_rule_off(tmp_path, settings):
    run = open_run(write_run(tmp_path / "run", recipe(), judged(recipe(), pages(50, 1))))
    changed = with_limits(run.info, settings)
    assert changed["stages"][2]["words"] == {"max": "off", "min": "off"}
    assert recipe(["first.words.min=off", "first.words.max=off"]).canonical()["stages"] == changed["stages"]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("frist.words.min=3", "Did you mean first"),
        ("first.wrds.min=3", "Did you mean words"),
        ("first.words.mim=3", "Did you mean min"),
        ("first.words.min=abc", "must be a number"),
        ("first.words=3", "names no bound"),
        ("first.languages=3", "no measure 'languages'"),
        ("first.stage=3", "is a parameter, not a limit"),
        ("measures=first", "is not a limit"),
        ("output.rows_per_part=3", "Only limits can be judged"),
        ("door.label.min=3", "has no bound 'min'"),
        ("first.words.min", "is not a setting"),
        ("first.en.words.min=3", "the run has no limits by language"),
        ("first.de.words.min=3", "'de' is no language of the recipe"),
        ("first.de.wrds.min=3", "no measure 'de'"),
    ],
)
def test_what_is_no_limit_is_refused(tmp_path, setting, says):
    run = open_run(write_run(tmp_path / "run", recipe(), []))
    with pytest.raises(ConfigError, match=says):
        run.tune([setting])
