"""The last lines of a build, and the output of `corpus explain`."""

import io

import pytest
from rich.console import Console

from corpus.run import open_run
from jobs.show.runs import remarks, show_explanation
from tests.jobs.build.test_build import build_quietly, job
from tests.ledgers import judged, recipe, write_run
from tests.warcs import WORDS, page, record, write_warc

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


def told(row, with_text=True):
    shown = io.StringIO()
    nothing = {"url": "http://a.example/", "id": "w.warc.gz:0", "detail": None, "text": None, "text_bytes": None}
    show_explanation([{**nothing, "stages": [], **row}], Console(file=shown, width=100), with_text)
    return shown.getvalue().splitlines()[1:]


@pytest.mark.parametrize(
    ("value", "limit", "says"),
    [
        (0.75, {"max": 3.0, "min": 0.8}, "0.75 is below min 0.8"),
        (7, {"max": 3, "min": 1}, "7 is above max 3"),
        (0.5, {"above": 0.5}, "0.5 is not above 0.5"),
        (0.9, {"below": 0.7}, "0.9 is not below 0.7"),
        ("de", {"one_of": ["en", "fr"]}, "de is not one of en, fr"),
    ],
)
def test_the_second_line_says_which_bound_was_broken(value, limit, says):
    broken = {"measure": "m", "value": value, "limit": limit, "ended_here": True}
    other = {"measure": "n", "value": None, "limit": {"max": 1}, "ended_here": False}
    stages = [{"stage": "s", "measures": [broken, other], "compared": False}]
    verdict, *table = told({"outcome": "dropped", "stage": "s", "rule": "m", "stages": stages}, False)
    assert verdict == f"w.warc.gz:0  dropped at s.m: {says}"
    assert any(line.strip() == "–  not measured" for line in table)


@pytest.mark.parametrize(
    ("row", "verdict", "why"),
    [
        ({"outcome": "dropped", "stage": "removed", "rule": "url"}, "dropped at removed.url", "was taken down"),
        ({"outcome": "failed", "stage": None, "rule": "damaged"}, "failed: damaged", "record is damaged"),
        ({"outcome": "skipped", "stage": None, "rule": "not_http"}, "skipped: not_http", "not a page"),
        ({"outcome": "failed", "stage": None, "rule": "timeout"}, "failed: timeout", r"page failed (timeout)"),
    ],
)
def test_a_page_that_reached_no_stage_has_no_table(row, verdict, why):
    stages = [{"stage": "s", "compared": False, "measures": [
        {"measure": "m", "value": None, "limit": {"min": 1}, "ended_here": False}]}]  # fmt: skip
    first, second, *rest = told({**row, "stages": stages})
    assert first == f"w.warc.gz:0  {verdict}"
    assert second.startswith("No text: ")
    assert why in second
    assert rest == [""]


def facts(records, others):
    counts = {"in": 0, "kept": 0, "dropped": {}, "failed": {}, "skipped": {}} | records
    return {
        "records": counts,
        "other_records": others,
        "inputs": [],
        "recipe": {"stages": [{"name": "url"}, {"name": "size"}]},
    }


@pytest.mark.parametrize(
    ("records", "others", "said"),
    [
        ({"in": 2, "kept": 2}, {}, []),
        (
            {"in": 2, "kept": 1, "failed": {"damaged": 1}},
            {"request": 2},
            ["Other records, only counted: request 2."],
        ),
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
                "Other records, only counted: resource image/png 3, warcinfo 1.",
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


def test_archives_that_are_cut_or_empty_are_named(tmp_path, corpus):
    """An archive with other damage, and a whole one, are not named."""
    pages = {f"http://a.example/{n}": page(body=f"{WORDS} {n}") for n in range(3)}
    (tmp_path / "in").mkdir()
    for name in ("cut.warc.gz", "cut.warc", "hurt.warc.gz", "whole.warc.gz"):
        path = write_warc(tmp_path / "in" / name, pages, compressed=name.endswith(".gz"))
        data = path.read_bytes()
        if name.startswith("cut"):
            path.write_bytes(data[:-40])
        elif name.startswith("hurt"):
            path.write_bytes(data[: len(data) // 2] + bytes(20) + data[len(data) // 2 + 20 :])
    for n in range(7):
        (tmp_path / "in" / f"none{n}.warc").touch()
    code, _, err = corpus("build", tmp_path / "in", "-o", tmp_path / "out", "--workers", 1)
    assert code == 0
    cut = [line for line in err.splitlines() if "ends in the middle of a record. Is the download complete?" in line]
    assert sorted(line.split()[0] for line in cut) == ["cut.warc", "cut.warc.gz"]
    assert [line for line in err.splitlines() if line.endswith("is empty.")] == [
        f"none{n}.warc is empty." for n in range(5)
    ]
    assert "The same is true of 2 more archives." in err
    assert "corpus report" in err


def test_an_empty_archive_has_no_funnel(tmp_path, corpus):
    (tmp_path / "none.warc").touch()
    code, _, err = corpus("build", tmp_path / "none.warc", "-o", tmp_path / "out", "--workers", 1)
    assert code == 0
    assert "none.warc is empty.\n" in err
    assert "gopher_quality" not in err
    assert "corpus report" not in err


def test_a_run_names_what_it_passed_over(tmp_path):
    """Resources with pages are judged; resources with anything else are named by their content."""
    archive = tmp_path / "w.warc"
    blocks = [(page(), "text/html"), (b"x", "text/plain"), (b"x", "image/png"), (b"x", "image/png")]
    records = (record("resource", f"http://a.example/{n}", block, n, kind) for n, (block, kind) in enumerate(blocks))
    archive.write_bytes(b"".join(records) + record("request", "http://a.example/", b"GET / HTTP/1.1\r\n\r\n"))
    stages = {"stages": [{"stage": "extract"}]}
    done = build_quietly(job([archive], tmp_path / "out", stages))
    assert done.info["records"]["kept"] == 1
    assert remarks(done.info) == [
        "Other records, only counted: resource image/png 2, request 1, resource text/plain 1."
    ]


def test_a_run_that_keeps_nothing_ends_well_and_says_why(tmp_path):
    archive = write_warc(tmp_path / "w.warc.gz", {"http://a.example/": page(body="short")})
    done = build_quietly(job([archive], tmp_path / "out"))
    assert done.exit_code == 0
    assert remarks(done.info)[-1] == "Nothing was kept. Where the records ended: paragraphs.chars 1."
