"""The verbs tune, diff and remove on the command line, and the example script."""

import json
import re
import runpy
from pathlib import Path

import pytest

from tests.corpus.revise.test_what_if import pages
from tests.ledgers import judged, recipe, write_run

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with stages that no registry knows, like a user's own."""
    return write_run(tmp_path_factory.mktemp("steer") / "run", recipe(), judged(recipe(), pages(400, 9)))


def test_tune_answers_without_the_code_of_the_stages(corpus, run):
    code, out, _ = corpus("tune", run, "--set", "first.words.min=30", "--set", "last.share=off", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["exact"]
    assert {row["rule"] for row in found["rules"]} == {"first.words", "last.share"}
    code, out, _ = corpus("tune", run, "--set", "first.words.min=30", "--set", "door.score.above=0.2")
    assert code == 0
    assert "first.words" in out
    assert re.search(r"kept \d+ → \d+ to \d+\.", out)
    assert "their later measures are unknown" in out
    shown = " ".join(corpus("tune", run, "--set", "first.words.min=30", "--set", "last.share=off")[1].split())
    assert "first.words.min: 50 → 30 " in shown
    assert 'last.share.below: 0.5 → "off" ' in shown


def test_tune_writes_only_with_the_code_of_the_stages(corpus, run, tmp_path):
    code, _, err = corpus("tune", run, "--set", "first.words.min=30", "--write", tmp_path / "new")
    assert code == 2
    assert "no stage 'door'" in err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("frist.words.min=30", "Did you mean first"),
        ("first.wrds.min=30", "Did you mean words"),
        ("first.words.mni=30", "Did you mean min"),
        ("measures=first", "Only limits can be judged from a ledger"),
    ],
)
def test_tune_refuses_what_is_no_limit(corpus, run, setting, says):
    code, out, err = corpus("tune", run, "--set", setting)
    assert (code, out) == (2, "")
    assert says in err


def test_diff(corpus, run, tmp_path):
    other = recipe(["first.words.min=100"])
    write_run(tmp_path / "other", other, judged(other, pages(400, 9)))
    code, out, _ = corpus("diff", run, tmp_path / "other", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["recipe"] == ["first.words.min: 50 → 100"]
    assert {move["to"] for move in found["moves"]} == {"first.words"}
    code, out, _ = corpus("diff", run, tmp_path / "other")
    assert code == 0
    assert f"kept {found['kept'][0]:,} → {found['kept'][1]:,}" in out


def test_what_a_terminal_would_obey_is_not_shown(corpus, tmp_path):
    made = judged(recipe(), pages(200, 4))
    for one in made:
        one.doc.url += "\x1b[31m\u202e"
    write_run(tmp_path / "run", recipe(), made)
    for arguments in (
        ("tune", tmp_path / "run", "--set", "first.words.min=200"),
        ("diff", tmp_path / "run", tmp_path / "run"),
    ):
        code, out, _ = corpus(*arguments)
        assert code == 0
        assert "\x1b" not in out
        assert "\u202e" not in out


def test_remove_needs_a_list_that_can_be_read(corpus, run, tmp_path):
    code, _, err = corpus("remove", run, "--urls", tmp_path / "none.txt")
    assert code == 2
    assert "There is no file" in err


def test_the_example_script_runs(run, capsys):
    script = runpy.run_path(str(ROOT / "examples" / "tune.py"))
    script["main"](str(run), "first.words.min=30")
    said = capsys.readouterr().out
    assert "pages are kept; with the new limits" in said
    assert "first.words: min 50 max 1000 -> min 30 max 1000" in said
    assert "text_bytes" in said
