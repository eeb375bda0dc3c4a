"""The table of results: a row for each fault, and a document that shows the rows."""

from __future__ import annotations

from tests.faults.results import DOCUMENT, FIGURES, load, markdown, published, save


def row(fault: str, tried: str) -> dict[str, str]:
    return {"fault": fault, "tried": tried, "survived": tried, "lost": "0", "measured": "a | b", "limit": ""}


def test_rows_replace_those_of_the_same_fault(tmp_path) -> None:
    file = tmp_path / "build" / "x.json"
    save([row("b", "1"), row("a", "2")], file)
    assert save([row("b", "3")], file) == load(file) == [row("a", "2"), row("b", "3")]
    assert markdown(load(file)).splitlines()[-1] == "| b | 3 | 3 | 0 | a / b |  |"


def test_the_document_shows_the_figures() -> None:
    assert published(DOCUMENT.read_text(encoding="utf-8")) == markdown(load(FIGURES)), "publish the results"
    assert all(one["survived"] == one["tried"] for one in load(FIGURES))
