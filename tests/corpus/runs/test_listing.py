"""Pages of a run by rule, outcome and URL."""

import pytest

from corpus.document import Document
from corpus.errors import ConfigError
from corpus.pipeline import Pipeline
from corpus.run import open_run
from corpus.runs.listing import PageQuery, list_pages
from corpus.storage.parquet_files import ParquetFile
from tests.corpus.runs.test_run_files import MEASURES
from tests.ledgers import recipe, write_run

PAGES = [
    ("http://a.example/1", {}),
    ("http://a.example/2?Q=x", {"first.words": 3}),
    ("http://www.b.example/index.html", {"first.ratio": 0.5}),
    ("http://bob:pw@b.example/(4)", {"door.label": "de"}),
    ("https://c.example/ü", {"last.share": "raise"}),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = recipe()
    outcomes = []
    for number, (url, other) in enumerate(PAGES):
        doc = Document(id=f"w.warc.gz:{number}", url=url, text=f"Text {number}")
        doc.page = MEASURES | other
        outcomes.append(Pipeline(made.stages, made.measures).judge(doc))
    folder = write_run(tmp_path_factory.mktemp("listing") / "run", made, outcomes, rows_per_part=2)
    found = open_run(folder)
    found.info["records"]["failed"] = {"error": 1}
    return found


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"outcome": "kept"}, [0]),
        ({"outcome": "failed"}, [4]),
        ({"rule": "first.words"}, [1]),
        ({"rule": "first"}, [1, 2]),
        ({"rule": "door.score"}, []),
        ({"rule": "error"}, [4]),
        ({"rule": "last.error"}, [4]),
        ({"rule": "first", "outcome": "kept"}, []),
        ({"url": "B.example"}, [2, 3]),
        ({"url": "?q=X"}, [1]),
        ({"url": "(4)"}, [3]),
        ({"url": "http://bob:pw@b.example"}, [3]),  # as the ledger has it: masked
        ({"url": "ü"}, [4]),
        ({"url": "*.html"}, [2]),
        ({"url": "a.example/*"}, [0, 1]),
        ({"url": "http://*.example/1"}, [0]),
        ({"url": "example*"}, []),
        ({"domain": "b.example"}, [2, 3]),
        ({"domain": "https://WWW.b.example/"}, [2]),
        ({"domain": "*.example", "outcome": "kept"}, [0]),
        ({"domain": "example/2"}, []),
        ({"domain": "b.exampl"}, []),
        ({"url": "a.example", "rule": "first.words"}, [1]),
    ],
)
def test_chosen_pages(run, query, numbers):
    assert [int(row["id"].rpartition(":")[2]) for row in list_pages(run, PageQuery(**query))] == numbers


def test_a_row(run):
    assert list(list_pages(run, PageQuery("first.words"))) == [
        {"id": "w.warc.gz:1", "url": "http://a.example/2?Q=x", "outcome": "dropped", "rule": "first.words",
         "value": 3.0, "detail": None}
    ]  # fmt: skip
    (dropped,) = list_pages(run, PageQuery("door.label"))
    assert (dropped["value"], dropped["detail"]) == (None, "de")
    (kept,) = list_pages(run, PageQuery(outcome="kept"))
    assert kept["rule"] is None


@pytest.mark.parametrize(
    ("rule", "says"), [("frist", "Did you mean first"), ("first.wrds", "Did you mean first.words")]
)
def test_an_unknown_rule_is_refused(run, rule, says):
    with pytest.raises(ConfigError, match=says):
        list(list_pages(run, PageQuery(rule)))


def test_row_groups_are_read_when_they_are_asked_for(run, monkeypatch):
    read = []
    group = ParquetFile.group
    monkeypatch.setattr(ParquetFile, "group", lambda file, *given: read.append(file) or group(file, *given))
    rows = list_pages(run, PageQuery())
    next(rows)
    first = len(set(read))
    assert len(list(rows)) == 4
    assert (first, len(set(read))) == (1, 3)
