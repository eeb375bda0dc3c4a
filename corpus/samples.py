"""Samples for people: per rule a few short excerpts near the limit and far from it, and some of kept pages.

Which pages is decided by a hash of their id, so the same ones are taken however the run was divided. Personal data
is replaced before an excerpt leaves the page worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pyarrow as pa
import xxhash

from corpus.mask import mask_url
from corpus.outcome import DROPPED, KEPT, Outcome

PER_RULE = 6
PER_KEPT = 24
EXCERPT_CHARS = 400
_NEAR = 0.1
"""A value is near its limit within a tenth of it, or within 1 of a limit of less than 10 (counts)."""

SAMPLES_SCHEMA = pa.schema(
    [
        pa.field("rule", pa.string(), metadata={"is": "stage.rule, or kept"}),
        pa.field("near", pa.bool_(), metadata={"is": "whether the value is near the limit"}),
        pa.field("draw", pa.uint64(), metadata={"is": "hash of the id; the least are taken"}),
        pa.field("id", pa.string()),
        pa.field("url", pa.string()),
        pa.field("value", pa.float64()),
        pa.field("limit", pa.float64()),
        pa.field("detail", pa.string()),
        pa.field("excerpt", pa.string()),
    ]
)


class Sampler:
    """Collects the samples of one batch."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self._found: list[tuple[dict[str, Any], str]] = []

    def offer(self, outcome: Outcome) -> None:
        """Take note of a kept or dropped document; its excerpt is made only if it is drawn."""
        if outcome.outcome not in (KEPT, DROPPED):
            return
        value = outcome.value if isinstance(outcome.value, int | float) else None
        row = {
            "rule": KEPT if outcome.kept else f"{outcome.stage}.{outcome.rule}",
            "near": _near(value, outcome.limit),
            "draw": xxhash.xxh3_64_intdigest(outcome.doc.id.encode("utf-8", "surrogatepass")),
            "id": outcome.doc.id,
            "url": outcome.doc.url,
            "value": value,
            "limit": outcome.limit,
            "detail": outcome.detail,
        }
        self._found.append((row, outcome.doc.text[: 2 * EXCERPT_CHARS]))

    def take(self) -> pa.Table:
        """The drawn samples so far, and start anew."""
        texts = {row["id"]: text for row, text in self._found}
        drawn = draw(row for row, _ in self._found)
        self._found = []
        for row in drawn:
            row["excerpt"] = _storable(self._redact(texts[row["id"]])[:EXCERPT_CHARS])
            row["url"] = _storable(mask_url(row["url"]))
            row["detail"] = _storable(row["detail"])
        return pa.Table.from_pylist(drawn, schema=SAMPLES_SCHEMA)


def draw(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The least draws of each rule, near and far; in an order that depends on nothing but the rows."""
    groups: dict[tuple[str, bool], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["rule"], row["near"]), []).append(row)
    drawn = []
    for (rule, _), group in sorted(groups.items()):
        group.sort(key=lambda row: (row["draw"], row["id"]))
        drawn += group[: PER_KEPT if rule == KEPT else PER_RULE]
    return drawn


def _near(value: float | None, limit: float | None) -> bool:
    if value is None or limit is None:
        return False
    return abs(value - limit) <= max(abs(limit) * _NEAR, 1 if isinstance(value, int) and limit < 10 else 0)


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
