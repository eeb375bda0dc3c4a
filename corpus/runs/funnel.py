"""The funnel of a run: the number of records that each stage removed, and the number of records left after the
stage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from corpus.outcome import DROPPED, FAILED, REMOVED, SKIPPED


@dataclass(frozen=True)
class FunnelRow:
    """One line of the funnel: records that were skipped, that failed, or that a stage dropped."""

    name: str
    """"skipped", "failed", or the name of the stage."""
    outcome: str
    rules: dict[str, int]
    """The number of records by rule, or by kind of failure or skip."""
    records: int
    left: int
    """The number of records left after this line. After the last line, these are the kept records."""


def funnel(info: dict[str, Any]) -> list[FunnelRow]:
    """Turn run.json into the lines of the funnel. Pages that were taken down come before the stages."""
    records = info["records"]
    stages = [table["name"] for table in info["recipe"]["stages"]]
    if REMOVED in records[DROPPED]:
        stages.insert(0, REMOVED)
    ended = [(outcome, outcome, records[outcome]) for outcome in (SKIPPED, FAILED)]
    ended += [(stage, DROPPED, records[DROPPED].get(stage, {})) for stage in stages]
    left = records["in"]
    rows = []
    for name, outcome, rules in ended:
        count = sum(rules.values())
        left -= count
        rows.append(FunnelRow(name, outcome, rules, count, left))
    return rows
