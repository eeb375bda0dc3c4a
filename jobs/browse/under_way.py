"""A run that is under way, or was interrupted: what its commits say."""

from __future__ import annotations

import threading
import time
from typing import Any

from corpus.errors import CorpusError
from corpus.json_data import check_shape, parse_json
from corpus.runs.funnel import funnel
from corpus.storage.commits import read_commit
from corpus.storage.store import Store
from corpus.tables.ledger import Counts, add_counts, no_counts, total

_PLAN = {"recipe": {"name": str, "stages": [{"name": str, "stage": str}]}, "inputs": [{"name": str, "bytes": int}]}
_COUNTS = {"in": int, "kept": int, "dropped": {str: {str: int}}, "failed": {str: int}, "skipped": {str: int}}
_FACTS = {"counts": _COUNTS, "seconds": (int, float)}


class UnderWay:
    """A run that has not ended. Each commit is read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        self._counts: Counts = no_counts()
        self._seconds = 0.0
        self._phases: dict[str, int] = {}
        self._since: tuple[float, int] | None = None

    def state(self) -> dict[str, Any]:
        """Return the units that are done, the records so far, and the records per second since the first question."""
        with self._lock:
            plan, units = self._read(".work/plan.json"), self._read(".work/units.json")
            check_shape(plan, _PLAN)
            for key in self._store.keys(".work/commits"):
                if key not in self._seen:
                    self._add(key)
            self._since = self._since or (time.monotonic(), self._counts["in"])
            passed, new = time.monotonic() - self._since[0], self._counts["in"] - self._since[1]
            rows = funnel({"records": self._counts, "recipe": plan["recipe"]})
            return {
                "recipe": plan["recipe"]["name"],
                "inputs": len(plan["inputs"]),
                "units": len(units) if isinstance(units, list) else 0,
                "done": self._phases.get("pass", 0) + self._phases.get("rewrite", 0),
                "phases": self._phases,
                "records": self._counts["in"],
                "kept": self._counts["kept"],
                "failed": self._counts["failed"],
                "failures": total(self._counts["failed"]),
                "per_second": new / passed if passed > 1 else None,
                "per_cpu_second": self._counts["in"] / self._seconds if self._seconds else None,
                "funnel": [{"name": row.name, "records": row.records, "left": row.left} for row in rows],
            }

    def _read(self, key: str) -> Any:
        try:
            return parse_json(self._store.get(key) or b"{}")
        except ValueError:
            return {}

    def _add(self, key: str) -> None:
        phase = key.removeprefix(".work/commits/").partition("/")[0]
        try:
            commit = read_commit(self._store, key)
            facts = commit.facts if commit else {}
            if phase in ("pass", "rewrite"):
                check_shape(facts, _FACTS)
                add_counts(self._counts, facts["counts"])
                self._seconds += facts["seconds"]
        except (ValueError, CorpusError):
            return
        self._seen.add(key)
        self._phases[phase] = self._phases.get(phase, 0) + 1
