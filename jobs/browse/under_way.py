"""A run that is under way, or was interrupted: what its state says."""

from __future__ import annotations

import threading
import time
from typing import Any

from corpus.json_data import check_shape, parse_json
from corpus.runs.funnel import funnel
from corpus.storage.store import Store
from corpus.tables.ledger import no_counts, total
from jobs.runner.folder import PLAN
from jobs.runner.state import STATE

_PLAN = {"recipe": {"name": str, "stages": [{"name": str, "stage": str}]}, "inputs": [{"name": str}]}
_COUNTS = {"in": int, "kept": int, "dropped": {str: {str: int}}, "failed": {str: int}, "skipped": {str: int}}
_STATE = {"phases": {str: [int]}, "records": _COUNTS, "seconds": (int, float)}


class UnderWay:
    """A run that has not ended."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._since: tuple[float, int] | None = None

    def state(self) -> dict[str, Any]:
        """Return the units that are done, the records so far, and the records per second since the first question."""
        plan, state = self._read(PLAN), self._read(STATE)
        check_shape(plan, _PLAN)
        try:
            check_shape(state, _STATE)
        except ValueError:  # no task has ended yet
            state = {"phases": {}, "records": no_counts(), "seconds": 0.0}
        records, phases = state["records"], {name: pair for name, pair in state["phases"].items() if len(pair) == 2}
        done, units = next(iter(phases.values()), (0, 0))  # the first phase has the units
        with self._lock:
            self._since = self._since or (time.monotonic(), records["in"])
            passed, new = time.monotonic() - self._since[0], records["in"] - self._since[1]
        rows = funnel({"records": records, "recipe": plan["recipe"]})
        return {
            "recipe": plan["recipe"]["name"],
            "inputs": len(plan["inputs"]),
            "units": units,
            "done": done,
            "phases": {name: ended for name, (ended, _) in phases.items()},
            "records": records["in"],
            "kept": records["kept"],
            "failed": records["failed"],
            "failures": total(records["failed"]),
            "per_second": new / passed if passed > 1 else None,
            "per_cpu_second": records["in"] / state["seconds"] if state["seconds"] else None,
            "funnel": [{"name": row.name, "records": row.records, "left": row.left} for row in rows],
        }

    def _read(self, key: str) -> Any:
        try:
            return parse_json(self._store.get(key) or b"{}")
        except ValueError:
            return {}
