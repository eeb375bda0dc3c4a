"""The measures of a run as run.json describes them: names, types, limits, and which values a limit rules out.

Nothing here knows a stage by its name, so a stage from a plugin is shown like ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.stage import BREAKS

SIGNS = {"min": "<", "max": ">", "above": "≤", "below": "≥", "one_of": "not"}
"""The sign between a value outside a bound and the bound."""

_HUGE = 1e300


@dataclass(frozen=True)
class Measure:
    """One ledger column of a stage: its type ("int", "float" or "str") and its active bounds."""

    stage: str
    name: str
    kind: str
    bounds: dict[str, Any]
    collective: bool = False
    """True if the stage compares documents. Only documents that passed all other stages have a value then."""

    @property
    def column(self) -> str:
        return f"{self.stage}.{self.name}"

    def outside(self, values: pa.Array) -> np.ndarray:
        """The mask of values outside the limit. A null is never outside."""
        if self.kind == "str":
            if "one_of" not in self.bounds:
                return np.zeros(len(values), dtype=bool)
            allowed = pa.array(self.bounds["one_of"], pa.string())
            known = pc.or_(pc.is_in(values, value_set=allowed), pc.is_null(values))
            return ~np.asarray(known.to_numpy(zero_copy_only=False), dtype=bool)
        numbers = as_numbers(values)
        found = np.zeros(len(numbers), dtype=bool)
        with np.errstate(invalid="ignore"):
            for bound, breaks in BREAKS.items():
                if bound in self.bounds:
                    found |= breaks(numbers, self.bounds[bound])
        return found

    def bound_of(self, limit: float | None) -> str:
        """Find the bound with this value. The ledger stores only the value."""
        if limit is None:
            return "one_of" if "one_of" in self.bounds else ""
        return next((bound for bound in BREAKS if self.bounds.get(bound) == limit), "")


def measures_of(info: dict[str, Any]) -> list[Measure]:
    """The measures of a run, in the order of its ledger columns. This is the order of the rules."""
    tables = {table["name"]: table for table in info["recipe"]["stages"]}
    found = []
    for column, kind in info["columns"].items():
        stage, _, name = column.partition(".")
        found.append(Measure(stage, name, kind, active_bounds(tables[stage].get(name)), stage in info["compared"]))
    return found


def active_bounds(limit: Any) -> dict[str, Any]:
    """The bounds of a recipe's limit that are not switched off."""
    bounds = limit if isinstance(limit, dict) else {}
    return {bound: bounds[bound] for bound in SIGNS if bounds.get(bound, "off") != "off"}


def as_numbers(values: pa.Array) -> np.ndarray:
    """A numeric column as float64. Nulls become NaN, infinities become numbers that can still be added."""
    numbers = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.clip(np.asarray(numbers, dtype=np.float64), -_HUGE, _HUGE)
