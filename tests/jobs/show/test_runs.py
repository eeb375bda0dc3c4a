"""The output of `corpus explain` for stages that a page did not reach, and for stages that measured nothing."""

import io

import pytest
from rich.console import Console

from corpus.run import open_run
from jobs.show.runs import show_explanation
from tests.ledgers import judged, recipe, write_run

GOOD = {
    "door.label": "en", "door.score": 0.9, "dear.size": 5, "dear.depth": 3,
    "first.words": 100, "first.ratio": 0.1, "first.note": "one",
    "last.sentences": 7, "last.share": 0.1, "last.count": 1,
}  # fmt: skip
FIRST = {"door": "label", "dear": "size", "first": "words", "last": "sentences"}
"""The first measure of each stage."""


def without(*stages):
    """A good page on which these stages measure nothing."""
    return {name: None if name.split(".")[0] in stages else value for name, value in GOOD.items()}


@pytest.mark.parametrize(
    ("page", "not_reached"),
    [
        (without("last"), []),  # kept
        ({**without("door"), "dear.size": 0}, ["first", "last"]),
        ({**GOOD, "dear.size": "raise"}, ["first", "last"]),
        ({**GOOD, "door.score": 0.1}, ["dear", "first", "last"]),
        ({**without("last"), "first.words": 3}, []),  # dropped, and still measured by the stages after
    ],
)
def test_a_stage_that_measured_nothing_was_reached(page, not_reached, tmp_path):
    run = open_run(write_run(tmp_path / "run", recipe(), judged(recipe(), [page])))
    shown = io.StringIO()
    show_explanation(run.explain("w.warc.gz:0"), Console(file=shown, width=100))
    rows = [line.split() for line in shown.getvalue().splitlines()]
    shown_first = {row[0]: row[1] for row in rows if row and row[0] in FIRST}
    assert shown_first == {stage: "not" if stage in not_reached else measure for stage, measure in FIRST.items()}
