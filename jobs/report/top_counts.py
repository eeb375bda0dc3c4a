"""Counts of texts (domains, languages, categories) that may be too many for memory: DuckDB adds them up, on disk
where it has to.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import duckdb
import numpy as np
import pyarrow as pa

_MEMORY = "256MB"


@dataclass(frozen=True)
class Row:
    """A text with the kept and dropped documents that have it."""

    text: str
    kept: int
    dropped: int

    @property
    def documents(self) -> int:
        return self.kept + self.dropped


@dataclass(frozen=True)
class Top:
    """The most frequent texts of a group, how many texts there are, and the sums over all of them."""

    rows: list[Row]
    distinct: int
    kept: int
    dropped: int

    @property
    def rest(self) -> Row:
        """All texts that are not among the rows, as one."""
        return Row(
            "", self.kept - sum(row.kept for row in self.rows), self.dropped - sum(row.dropped for row in self.rows)
        )


class Tally:
    """Kept and dropped documents by group and text. Use as a context; `scratch` is a folder that it may fill."""

    def __init__(self, scratch: Path) -> None:
        self._database = duckdb.connect(config={"memory_limit": _MEMORY, "temp_directory": str(scratch), "threads": 1})
        self._database.execute("SET autoinstall_known_extensions = false")
        self._database.execute("CREATE TABLE seen (part VARCHAR, text VARCHAR, kept BIGINT, dropped BIGINT)")

    def __enter__(self) -> Tally:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._database.close()

    def add(self, group: str, texts: pa.Array, kept: np.ndarray, dropped: np.ndarray) -> None:
        """Count texts, null ones left out, once each where `kept` and where `dropped`."""
        rows = pa.table({"text": texts, "kept": kept.astype(np.int64), "dropped": dropped.astype(np.int64)})
        counted = rows.filter(texts.is_valid()).group_by("text").aggregate([("kept", "sum"), ("dropped", "sum")])
        self._database.register("counted", counted)
        self._database.execute("INSERT INTO seen SELECT ?, text, kept_sum, dropped_sum FROM counted", [group])
        self._database.unregister("counted")

    def top(self, group: str, most: int, by: str = "kept + dropped") -> Top:
        """The `most` texts with the highest `by`, ties in the order of the texts; those with none are left out."""
        per_text = "SELECT text, sum(kept) AS kept, sum(dropped) AS dropped FROM seen WHERE part = ? GROUP BY text"
        rows = self._database.execute(
            f"SELECT text, kept::BIGINT, dropped::BIGINT FROM ({per_text}) WHERE {by} > 0 "
            f"ORDER BY {by} DESC, text LIMIT ?",
            [group, most],
        ).fetchall()
        whole = self._database.execute(
            f"SELECT count(*), coalesce(sum(kept), 0)::BIGINT, coalesce(sum(dropped), 0)::BIGINT FROM ({per_text}) "
            "WHERE kept + dropped > 0",
            [group],
        ).fetchone()
        assert whole is not None
        return Top([Row(*row) for row in rows], *whole)
