"""The measures of a run as run.json describes them: names and limits.

Nothing here knows a stage by its name, so a stage from a plugin is shown like ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.revise.limits import limit_of
from corpus.stage import Limit

SIGNS = {"min": "<", "max": ">", "above": "≤", "below": "≥", "one_of": "not"}
"""The sign between a value outside a bound and the bound."""

_HUGE = 1e300


@dataclass(frozen=True)
class Measure:
    """One ledger column of a stage, with its limit."""

    stage: str
    name: str
    limit: Limit
    collective: bool
    """True if the stage compares documents. Only documents that passed all other stages have a value then."""

    @property
    def column(self) -> str:
        return f"{self.stage}.{self.name}"

    @property
    def bounds(self) -> dict[str, Any]:
        return self.limit.bounds

    def bound_of(self, number: float | None) -> str:
        """Find the bound with this value. The ledger stores only the value, or null for a category."""
        if number is None:
            return "" if self.limit.one_of is None else "one_of"
        return next((bound for bound, given in self.bounds.items() if given == number), "")


def measures_of(info: dict[str, Any]) -> list[Measure]:
    """The measures of a run, in the order of its ledger columns. This is the order of the rules."""
    tables = {table["name"]: table for table in info["recipe"]["stages"]}
    found = []
    for column, kind in info["columns"].items():
        stage, _, name = column.partition(".")
        found.append(Measure(stage, name, limit_of(kind, tables[stage][name]), stage in info["compared"]))
    return found


def as_numbers(values: pa.Array) -> np.ndarray:
    """A numeric column as float64. Nulls become NaN, infinities become numbers that can still be added."""
    numbers = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.clip(np.asarray(numbers, dtype=np.float64), -_HUGE, _HUGE)
