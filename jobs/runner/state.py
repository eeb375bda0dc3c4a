"""The state of a running job as one small file, so that it is read in one request however large the job is."""

from __future__ import annotations

import time
from contextlib import suppress

from corpus.errors import CorpusError
from corpus.storage.store import Store, as_json
from corpus.tables.ledger import Counts, no_counts
from jobs.runner.progress import Progress

STATE = ".work/state.json"

_EVERY_S = 5.0


class State:
    """The phases so far, with the finished tasks and all tasks of each, and the records of the pass.

    It is written every five seconds, and at the end of each phase. A state that can't be written is no error.
    """

    def __init__(self, store: Store, progress: Progress) -> None:
        self._store, self._progress = store, progress
        self._phases: dict[str, list[int]] = {}
        self._counts: Counts = no_counts()
        self._seconds = 0.0
        self._written = time.monotonic()
        self._now = [0, 0]

    def start(self, phase: str, units: int) -> None:
        self._now = self._phases[phase] = [0, units]

    def expect(self, units: int) -> None:
        self._now[1] = units

    def done(self, seconds: float, units: int) -> None:
        """Count finished tasks and their seconds. The progress counts their records."""
        self._now[0] += units
        self._seconds += seconds
        if time.monotonic() - self._written > _EVERY_S:
            self.write()

    def write(self) -> None:
        self._written = time.monotonic()
        if self._progress.counts["in"]:  # only the tasks of the pass count records
            self._counts = self._progress.counts
        state = {"phases": self._phases, "records": self._counts, "seconds": round(self._seconds, 3)}
        with suppress(OSError, CorpusError):
            self._store.replace(STATE, as_json(state))
