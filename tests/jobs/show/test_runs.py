"""The last lines of a build, and the output of `corpus explain`."""

import io

import pytest
from rich.console import Console

from corpus.run import open_run
from jobs.show.runs import remarks, show_explanation
from tests.jobs.build.test_build import build_quietly, job
from tests.ledgers import judged, recipe, write_run
from tests.warcs import page, record, write_warc

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
    ("measures", "not_reached"),
    [
        (without("last"), []),  # kept
        ({**without("door"), "dear.size": 0}, ["first", "last"]),
        ({**GOOD, "dear.size": "raise"}, ["first", "last"]),
        ({**GOOD, "door.score": 0.1}, ["dear", "first", "last"]),
        ({**without("last"), "first.words": 3}, []),  # dropped, and still measured by the stages after
    ],
)
def test_a_stage_that_measured_nothing_was_reached(measures, not_reached, tmp_path):
    run = open_run(write_run(tmp_path / "run", recipe(), judged(recipe(), [measures])))
    shown = io.StringIO()
    show_explanation(run.explain("w.warc.gz:0"), Console(file=shown, width=100))
    rows = [line.split() for line in shown.getvalue().splitlines()]
    shown_first = {row[0]: row[1] for row in rows if row and row[0] in FIRST}
    assert shown_first == {stage: "not" if stage in not_reached else measure for stage, measure in FIRST.items()}


def facts(records, others):
    counts = {"in": 0, "kept": 0, "dropped": {}, "failed": {}, "skipped": {}} | records
    return {"records": counts, "other_records": others, "recipe": {"stages": [{"name": "url"}, {"name": "size"}]}}


@pytest.mark.parametrize(
    ("records", "others", "said"),
    [
        ({"in": 2, "kept": 2}, {}, []),
        ({"in": 2, "kept": 1, "failed": {"damaged": 1}}, {"request": 2}, ["Passed over, by type: request 2."]),
        (
            {"in": 2, "kept": 1, "failed": {"error": 1}},
            {},
            ["Pages on which a stage failed: 1. The class of the error: corpus ls FOLDER --rule error"],
        ),
        ({}, {}, ["Nothing was kept: the archives hold no record."]),
        (
            {},
            {"warcinfo": 1, "resource image/png": 3},
            [
                "Passed over, by type: resource image/png 3, warcinfo 1.",
                "Nothing was kept: the archives hold no page.",
            ],
        ),
        (
            {
                "in": 9,
                "dropped": {"url": {"host": 1}, "size": {"words": 3}},
                "failed": {"damaged": 1},
                "skipped": {"not_http": 4},
            },
            {},
            ["Nothing was kept. Where the records ended: skipped.not_http 4, size.words 3, failed.damaged 1, 1 more."],
        ),
    ],
)
def test_remarks(records, others, said):
    assert remarks(facts(records, others)) == said


def test_many_types_are_cut():
    (said,) = remarks(facts({"in": 1, "kept": 1}, {f"resource image/{n}": 1 for n in range(1000)}))
    assert said.endswith(", 980 more.")
    assert len(said) < 1000


def test_a_run_names_what_it_passed_over(tmp_path):
    """Resources with pages are judged; resources with anything else are named by their content."""
    archive = tmp_path / "w.warc"
    blocks = [(page(), "text/html"), (b"x", "text/plain"), (b"x", "image/png"), (b"x", "image/png")]
    records = (record("resource", f"http://a.example/{n}", block, n, kind) for n, (block, kind) in enumerate(blocks))
    archive.write_bytes(b"".join(records) + record("request", "http://a.example/", b"GET / HTTP/1.1\r\n\r\n"))
    stages = {"stages": [{"stage": "extract"}]}
    done = build_quietly(job([archive], tmp_path / "out", stages))
    assert done.info["records"]["kept"] == 1
    assert remarks(done.info) == ["Passed over, by type: resource image/png 2, request 1, resource text/plain 1."]


def test_a_run_that_keeps_nothing_ends_well_and_says_why(tmp_path):
    archive = write_warc(tmp_path / "w.warc.gz", {"http://a.example/": page(body="short")})
    done = build_quietly(job([archive], tmp_path / "out"))
    assert done.exit_code == 0
    assert remarks(done.info)[-1] == "Nothing was kept. Where the records ended: paragraphs.chars 1."
