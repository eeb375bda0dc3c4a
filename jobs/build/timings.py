"""The costs of a pass, for timings.json."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import Any

from corpus.sandbox.seen import seen_together
from corpus.sandbox.unit import Seen
from corpus.storage.commits import Commit
from corpus.tables.ledger import add_counts

SLOWEST = 100
"""The number of units that timings.json names."""


def costs_of(commits: Iterable[Commit]) -> dict[str, Any]:
    """Return what the pass took: sums over all units, the slowest units, and what units have seen of each archive."""
    sums: dict[str, Any] = {"units": 0, "seconds": 0.0, "stages": {}, "read": 0}
    slowest: list[tuple[float, int, dict[str, Any]]] = []

    def seen() -> Iterator[Seen]:
        for number, commit in enumerate(commits):
            facts, unit = commit.facts, commit.facts["unit"]
            own = {key: facts[key] for key in ("seconds", "stages", "read") if key in facts}
            add_counts(sums, own | {"units": 1})
            entry = unit | own | {key: facts[key] for key in ("failed_tries",) if key in facts}
            heapq.heappush(slowest, (facts["seconds"], -number, entry))
            if len(slowest) > SLOWEST:
                heapq.heappop(slowest)
            if "seen" in facts:  # of chosen pages, nobody knows later which bytes the digest covers
                yield facts["seen"] if not unit.get("chosen") else facts["seen"] | {"sha256": ""}

    together = seen_together(seen())
    units = [entry for _, _, entry in sorted(slowest, key=lambda one: one[:2], reverse=True)]
    sums["seconds"] = round(sums["seconds"], 3)
    sums["stages"] = {stage: round(seconds, 3) for stage, seconds in sums["stages"].items()}
    return {"pass": sums, "slowest": units, "seen": together}
