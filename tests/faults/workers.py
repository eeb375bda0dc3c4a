"""A page worker with the default recipe, as a build runs it, and the CPU time and memory that a page costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus.sandbox.guard import Guard, GuardSettings, _cpu_seconds
from corpus.sandbox.unit import Batch, Unit
from corpus.tables.ledger import add_counts, balances, no_counts
from filters import load_recipe
from tests.stubs import FACTORY, recipe_from_dict
from tests.warcs import WORDS, http, page, record


@dataclass
class Cost:
    """The CPU seconds and the peak of resident memory in bytes. `restarted` is True if the measured worker has
    ended."""

    cpu: float
    peak: int
    restarted: bool


class PageWorker:
    """Runs units of one hostile page between two good ones, all under the same guard."""

    def __init__(self, folder: Path, settings: GuardSettings | None = None) -> None:
        data = load_recipe("default").canonical()
        data["stages"].insert(0, {"stage": "hostile"})
        self.settings = settings or GuardSettings()
        self.guard = Guard(recipe_from_dict(data).canonical(), FACTORY, self.settings)
        self._path = folder / "w.warc"
        self.rows: list[dict[str, Any]] = []
        self.texts: dict[str, str] = {}
        self.counts = no_counts()
        self.good: list[dict[str, Any]] | None = None

    def run(self, block: bytes, url: str = "http://hostile.example/") -> tuple[dict[str, Any], Cost]:
        """Return the ledger row of a page, and its cost. Assert that the pages before and after it have their usual
        rows."""
        blocks = [
            ("http://before.example/", http(page())),
            (url, block),
            ("http://after.example/", http(page("B", TEXT))),
        ]
        self._path.write_bytes(b"".join(record("response", url, block, i) for i, (url, block) in enumerate(blocks)))
        self.rows, self.texts, self.counts = [], {}, no_counts()
        before = self._pid()
        _forget_peak(before)
        started = _cpu_seconds(before) if before else None
        size = self._path.stat().st_size
        self.guard.run(Unit("w.warc", str(self._path), "x", "stream", "plain", "warc", 0, size), self._take)
        assert [row["url"] for row in self.rows] == [url for url, _ in blocks]
        assert balances(self.counts)
        first, hostile, last = self.rows
        good = [{key: value for key, value in row.items() if key not in ("offset", "id")} for row in (first, last)]
        self.good = self.good or good
        assert good == self.good
        pid = self._pid()
        used = _cpu_seconds(pid) if pid else None
        if pid != before or started is None or used is None:
            return hostile, Cost(0.0, 0, True)
        return hostile, Cost(used - started, _peak(pid), False)

    def _take(self, batch: Batch) -> None:
        self.rows += batch.tables["ledger"].to_pylist()
        self.texts |= {row["url"]: row["text"] for row in batch.tables["corpus"].to_pylist()}
        add_counts(self.counts, batch.counts)

    def _pid(self) -> int:
        worker = self.guard._worker
        return worker.process.popen.pid if worker else 0

    def close(self) -> None:
        self.guard.close()


TEXT = WORDS[200:] + WORDS[:200]


def fate(row: dict[str, Any]) -> str:
    """`kept`, `failed`, or the rule that dropped a page as "stage.rule"."""
    return f"{row['stage']}.{row['rule']}" if row["outcome"] == "dropped" else row["outcome"]


def _forget_peak(pid: int) -> None:
    if pid:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def _peak(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM"))
