"""Samples: short excerpts for people. Each rule has a few near its limit and far from it. Kept pages have a few too.

A hash of the id chooses the pages, so the division of a run changes nothing. Personal data is replaced before an
excerpt leaves the page worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from corpus.document import storable
from corpus.outcome import DROPPED, KEPT, Outcome
from corpus.tables.ledger import ledger_url

PER_RULE = 6
PER_KEPT = 24
EXCERPT_CHARS = 500
_NEAR = 0.1
"""A value is near its limit if it differs from the limit by at most a tenth of the limit.

For limits below 10, a count that differs by 1 is also near.
"""

SAMPLES_SCHEMA = pa.schema(
    [
        pa.field("rule", pa.string(), metadata={"is": "stage.rule, or kept"}),
        pa.field("near", pa.bool_(), metadata={"is": "whether the value is near the limit"}),
        pa.field("draw", pa.uint64(), metadata={"is": "hash of the id; the smallest are chosen"}),
        ("id", pa.string()),
        ("url", pa.string()),
        ("value", pa.float64()),
        ("limit", pa.float64()),
        ("detail", pa.string()),
        ("excerpt", pa.string()),
    ]
)


class Sampler:
    """A collector of the samples of one unit, batch by batch.

    Without `redact` there are no excerpts, because they could contain personal data.
    """

    def __init__(self, redact: Callable[[str], str] | None) -> None:
        self._redact = redact
        self._found: list[dict[str, Any]] = []
        self._texts: dict[str, str] = {}
        self._before: list[dict[str, Any]] = []

    def offer(self, outcome: Outcome) -> None:
        """Add a kept or dropped document. An excerpt is made only if the document is drawn."""
        if outcome.outcome not in (KEPT, DROPPED):
            return
        value = outcome.value if isinstance(outcome.value, int | float) else None
        doc = outcome.doc
        self._texts[doc.id] = doc.text[: 2 * EXCERPT_CHARS]
        row = {
            "rule": KEPT if outcome.kept else f"{outcome.stage}.{outcome.rule}",
            "near": _near(value, outcome.limit),
            "draw": xxhash.xxh3_64_intdigest(doc.id.encode("utf-8", "surrogatepass")),
            "id": doc.id,
            "url": doc.url,
            "value": value,
            "limit": outcome.limit,
            "detail": outcome.detail,
        }
        self._found.append(row)

    def take(self) -> pa.Table:
        """Return the samples among the new documents, drawn from all documents so far."""
        # samples from earlier batches displace most new ones, so fewer and fewer excerpts are made
        self._before = draw([*self._before, *self._found])
        drawn = [dict(row) for row in self._before if row["id"] in self._texts]
        for row in drawn:
            text = self._texts[row["id"]]
            row["excerpt"] = storable(self._redact(text)[:EXCERPT_CHARS]) if self._redact else ""
            row["url"] = ledger_url(row["url"])
            row["detail"] = storable(row["detail"])
        self._found, self._texts = [], {}
        return pa.Table.from_pylist(drawn, schema=SAMPLES_SCHEMA)


def draw(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with the smallest hashes of each rule, near and far. The order depends only on the rows."""
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


def is_near(values: np.ndarray, limits: np.ndarray, whole: bool) -> np.ndarray:
    """Return True for each value near its limit, but never for NaN. `whole` means that the values are counts."""
    reach = np.maximum(np.abs(limits) * _NEAR, np.where(limits < 10, 1.0 if whole else 0.0, 0.0))
    found: np.ndarray = np.abs(values - limits) <= reach
    return found
