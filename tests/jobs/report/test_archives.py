"""Archives side by side: their counts, which of them are unusual, and what is shown of very many."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from jobs.report.archives import ArchiveCounts

KEPT, SHORT, LONG, DAMAGED = (
    ("kept", "", ""),
    ("dropped", "s", "short"),
    ("dropped", "s", "long"),
    ("failed", "", "damaged"),
)
VERDICTS = [KEPT, SHORT, LONG, DAMAGED]


def counted(archives, batch=1000):
    """The counts of archives, given as {name: [number of each verdict]}, from batches of a ledger."""
    rows = [(name, code) for name, numbers in archives.items() for code, n in enumerate(numbers) for _ in range(n)]
    found = ArchiveCounts()
    for start in range(0, len(rows), batch):
        names, codes = zip(*rows[start : start + batch], strict=True)
        found.add(pa.array(names), np.array(codes), VERDICTS)
    return found


@pytest.mark.parametrize("batch", [1, 3, 1000])
def test_counts_do_not_depend_on_batches(batch):
    archives = {"a": [3, 1, 2, 0], "b": [0, 0, 0, 4], "c": [1, 0, 0, 0]}
    table = counted(archives, batch).table(["b", "empty", "c", "a"])
    assert [(row.name, row.records, row.kept, row.losses) for row in table.rows] == [
        ("a", 6, 3, [("s.long", 2), ("s.short", 1)]),
        ("b", 4, 0, [("failed: damaged", 4)]),
        ("c", 1, 1, []),
        ("empty", 0, 0, []),
    ]
    assert table.widest == 6


def test_only_the_three_largest_losses_are_named():
    verdicts = [("dropped", "s", rule) for rule in "dabc"]
    found = ArchiveCounts()
    found.add(pa.array(["a"] * 7), np.array([0, 0, 1, 2, 2, 3, 3]), verdicts)
    assert found.table(()).rows[0].losses == [("s.b", 2), ("s.c", 2), ("s.d", 2)]


def far(archives):
    return {row.name: row.far for row in counted(archives).table(()).rows if row.far}


def test_shares_far_from_the_median_are_marked():
    usual = {f"a{number}": [200 + number, 800 - number] for number in range(8)}
    assert far({**usual, "low": [20, 980], "high": [500, 500]}) == {"low": "low", "high": "high"}
    assert far(usual) == {}


def test_chance_and_few_archives_are_not_unusual():
    alike = {f"a{number}": [300, 700] for number in range(8)}
    assert far({**alike, "small": [0, 5], "close": [310, 690]}) == {}
    assert far({"a": [300, 700], "b": [300, 700], "c": [900, 100]}) == {}


def test_of_very_many_archives_the_furthest_are_shown():
    archives = {f"a{number:04}": [2 + number % 2, 8 - number % 2] for number in range(300)}
    archives |= {"a0150": [100, 0], "a0299": [0, 100]}
    table = counted(archives).table(["none"])
    names = [row.name for row in table.rows]
    assert len(names) == 200
    assert names == sorted(names)
    assert {"a0150", "a0299", "none"} <= set(names)
    shown = Counter(records=sum(row.records for row in table.rows), kept=sum(row.kept for row in table.rows))
    assert table.others == 101
    assert shown["records"] + table.other_records == sum(map(sum, archives.values()))
    assert shown["kept"] + table.other_kept == sum(numbers[0] for numbers in archives.values())
