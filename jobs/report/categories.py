"""The counts of categories: domains, languages, labels.

There may be too many categories for memory, so DuckDB counts them and uses the disk if necessary.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

_MEMORY = "256MB"


@dataclass(frozen=True)
class Category:
    """A category with the numbers of its kept and dropped documents."""

    name: str
    kept: int
    dropped: int

    @property
    def documents(self) -> int:
        return self.kept + self.dropped


@dataclass(frozen=True)
class TopCategories:
    """The largest categories of a group, with the number of all categories and the totals."""

    rows: list[Category]
    distinct: int
    kept: int
    dropped: int

    @property
    def rest(self) -> Category:
        """All other categories, as one category."""
        kept, dropped = (sum(getattr(row, outcome) for row in self.rows) for outcome in ("kept", "dropped"))
        return Category("", self.kept - kept, self.dropped - dropped)

    @property
    def widest(self) -> int:
        """The number of documents of the largest category, or of the rest if the rest has more."""
        return max(row.documents for row in (*self.rows, self.rest))


class CategoryCounts:
    """The numbers of kept and dropped documents by group and category.

    DuckDB may fill the folder `scratch`. Close the object at the end.
    """

    def __init__(self, scratch: str) -> None:
        self._database = duckdb.connect(config={"memory_limit": _MEMORY, "temp_directory": scratch, "threads": 1})
        self._database.execute("SET autoinstall_known_extensions = false")
        self._database.execute("CREATE TABLE seen (part VARCHAR, name VARCHAR, kept BIGINT, dropped BIGINT)")

    def close(self) -> None:
        self._database.close()

    def add(self, group: str, names: pa.Array, kept: np.ndarray, dropped: np.ndarray) -> None:
        """Count the category of each document, by the masks `kept` and `dropped`. Nulls are not counted."""
        rows = pa.table({"name": names, "kept": kept.astype(np.int64), "dropped": dropped.astype(np.int64)})
        counted = rows.filter(names.is_valid()).group_by("name").aggregate([("kept", "sum"), ("dropped", "sum")])
        self._database.register("counted", counted)
        self._database.execute("INSERT INTO seen SELECT ?, name, kept_sum, dropped_sum FROM counted", [group])
        self._database.unregister("counted")

    def top(self, group: str, most: int, by: str = "kept + dropped") -> TopCategories:
        """Return the `most` categories with the highest `by`. Ties are in the order of the names."""
        sums = "SELECT name, sum(kept) AS kept, sum(dropped) AS dropped FROM seen WHERE part = ? GROUP BY name"
        rows = self._database.execute(
            f"SELECT name, kept::BIGINT, dropped::BIGINT FROM ({sums}) WHERE {by} > 0 ORDER BY {by} DESC, name LIMIT ?",
            [group, most],
        ).fetchall()
        whole = self._database.execute(
            f"SELECT count(*), coalesce(sum(kept), 0)::BIGINT, coalesce(sum(dropped), 0)::BIGINT FROM ({sums}) "
            "WHERE kept + dropped > 0",
            [group],
        ).fetchone()
        assert whole is not None
        return TopCategories([Category(*row) for row in rows], *whole)
