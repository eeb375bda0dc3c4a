"""What a notebook shows of a run, a recipe and an outcome: short tables, in which everything is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corpus.outcome import Outcome

_MOST = 300
"""Characters of a text that are shown."""


def run_html(title: str, lines: Iterable[tuple[str, int, int, Mapping[str, int]]]) -> str:
    """Return the funnel of a run: for each line its name, the records that end there, those left, and the rules."""
    rows = []
    for name, records, left, rules in lines:
        named = sorted(rules.items(), key=lambda rule: -rule[1])
        rows.append((name, -records, left, ", ".join(f"{rule} {number:,}" for rule, number in named)))
    return _titled(title, _table(("", "records", "left", "rules"), rows))


def recipe_html(name: str, description: str, stages: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """Return the stages of a recipe, each with its name and the limits that are on."""
    rows = [
        (
            stage,
            ", ".join(f"{measure} {bound} {value}" for measure, on in limits.items() for bound, value in on.items()),
        )
        for stage, limits in stages
    ]
    return _titled(f"{name}: {description}", _table(("stage", "limits"), rows))


def outcome_html(outcome: Outcome) -> str:
    """Return where a document ended, what was measured, and the beginning of its text."""
    doc = outcome.doc
    text = doc.text[:_MOST] + ("…" if len(doc.text) > _MOST else "")
    measured = [(name, _short(value)) for name, value in outcome.measures.items() if value is not None]
    told = _titled(
        f"{doc.url or doc.id} {outcome.reason or outcome.outcome}".strip(), _table(("measure", "value"), measured)
    )
    return f"{told}<pre style='white-space:pre-wrap'>{escape(text)}</pre>"


def _short(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value


def _titled(title: str, body: str = "") -> str:
    return f"<p><b>{escape(title)}</b></p>{body}"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    def line(cells: Iterable[object], tag: str) -> str:
        shown = (f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells)
        return "<tr>" + "".join(f"<{tag} style='text-align:left'>{escape(cell)}</{tag}>" for cell in shown) + "</tr>"

    return "<table>" + line(head, "th") + "".join(line(row, "td") for row in rows) + "</table>"
