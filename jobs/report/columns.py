"""The measures of a run, from what run.json says of its recipe: names, types and limits, and what a limit rules out.

Nothing here knows a stage by its name, so that a stage of the user's own is shown like ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Mask = np.ndarray
BOUNDS = ("min", "max", "above", "below", "one_of")
SIGNS = {"min": "<", "max": ">", "above": "≤", "below": "≥", "one_of": "not"}
"""How a value stands to a bound that it is outside of."""


@dataclass(frozen=True)
class Measure:
    """One ledger column of a stage: its type ("int", "float", "str") and the bounds that are on."""

    stage: str
    name: str
    kind: str
    bounds: dict[str, Any]
    compares: bool = False
    """Whether the stage compares documents: its values are there only for those that passed all others."""

    @property
    def column(self) -> str:
        return f"{self.stage}.{self.name}"

    def outside(self, values: pa.Array) -> Mask:
        """Which values are outside the limit; a null never is."""
        if self.kind == "str":
            if "one_of" not in self.bounds:
                return np.zeros(len(values), dtype=bool)
            allowed = pa.array(self.bounds["one_of"], pa.string())
            known = pc.or_(pc.is_in(values, value_set=allowed), pc.is_null(values))
            return ~np.asarray(known.to_numpy(zero_copy_only=False), dtype=bool)
        numbers = as_numbers(values)
        found = np.zeros(len(numbers), dtype=bool)
        with np.errstate(invalid="ignore"):
            for bound, compare in _OUTSIDE.items():
                if bound in self.bounds:
                    found |= compare(numbers, self.bounds[bound])
        return found

    def bound_of(self, limit: float | None) -> str:
        """Which bound a limit of the ledger is: the ledger has its number only."""
        if limit is None:
            return "one_of" if "one_of" in self.bounds else ""
        return next((bound for bound in BOUNDS[:4] if self.bounds.get(bound) == limit), "")


_HUGE = 1e300

_OUTSIDE = {"min": np.less, "max": np.greater, "above": np.less_equal, "below": np.greater_equal}


def measures_of(info: dict[str, Any]) -> list[Measure]:
    """The measures of a run in the order of its ledger columns, which is the order of the rules."""
    tables = {table["name"]: table for table in info["recipe"]["stages"]}
    found = []
    for column, kind in info["columns"].items():
        stage, _, name = column.partition(".")
        table = tables[stage]
        limit = table.get(name)
        on = {bound: value for bound, value in limit.items() if value != "off"} if isinstance(limit, dict) else {}
        bounds = {bound: on[bound] for bound in BOUNDS if bound in on}
        found.append(Measure(stage, name, kind, bounds, stage in info["compared"]))
    return found


def as_numbers(values: pa.Array) -> np.ndarray:
    """A numeric column as float64, nulls as NaN, the infinite as a number that one can still add to."""
    numbers = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.clip(np.asarray(numbers, dtype=np.float64), -_HUGE, _HUGE)
