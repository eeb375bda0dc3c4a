"""The verdicts of comparisons. A document on which a comparison has a verdict or evidence has one row.

Each comparison stores the verdicts of a unit in one box of a file. A row names its corpus row, counted before any
comparison removes rows. A document without a row is kept and has no evidence.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.storage.boxes import read_boxes
from corpus.storage.commits import Part
from corpus.storage.store import Store
from corpus.text.vocabulary import Ints

_VERDICT = [
    ("corpus_row", pa.int64()),
    ("id", pa.string()),
    ("removed", pa.bool_()),
    pa.field("rule", pa.string(), metadata={"is": "the measure that removes the document; null where it stays"}),
    ("value", pa.float64()),
    ("limit", pa.float64()),
    pa.field("detail", pa.string(), metadata={"is": "the id of the document that is kept instead"}),
]

VERDICT_SCHEMAS = {
    "documents": pa.schema(
        [
            *_VERDICT,
            pa.field("kept_doc", pa.int64(), metadata={"is": "the number of the kept document in this run's order"}),
            ("similarity", pa.float64()),
            ("exact", pa.int64()),
            ("preferred", pa.int64()),
            ("cluster_size", pa.int64()),
        ]
    ),
    "lines": pa.schema(
        [
            *_VERDICT,
            pa.field(
                "cut", pa.list_(pa.uint32()), metadata={"is": "the numbers of the lines that a kept document loses"}
            ),
            ("lines_compared", pa.int64()),
            ("lines_removed", pa.int64()),
            ("removed_ratio", pa.float64()),
            ("chars_left", pa.int64()),
            ("kept_in", pa.string()),
        ]
    ),
}
"""The columns of verdicts, by what is compared. The columns after `detail` are the evidence."""


@dataclass(frozen=True)
class VerdictBox:
    """One box of a file: the verdicts of one comparison on one unit."""

    compares: str
    part: Part
    box: int

    def as_dict(self) -> dict[str, Any]:
        return {"compares": self.compares, "part": vars(self.part), "box": self.box}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> VerdictBox:
        return cls(data["compares"], Part(**data["part"]), data["box"])

    def read(self, store: Store) -> pa.RecordBatch:
        """Return the verdicts, in the order of corpus rows."""
        return read_boxes(store, [self.part], self.box, VERDICT_SCHEMAS[self.compares])


@dataclass(frozen=True)
class GroupBoxes:
    """The boxes of all units, by number of the unit. Each group of units has one file.

    So the driver holds some bytes for each group, and none for each unit.
    """

    compares: str
    parts: Sequence[Part]
    starts: Sequence[int]
    """The first unit of each group, followed by the number of units."""

    def __len__(self) -> int:
        return self.starts[-1]

    def __getitem__(self, unit: int) -> VerdictBox:
        if not 0 <= unit < len(self):
            raise IndexError(unit)
        group = bisect_right(self.starts, unit) - 1
        return VerdictBox(self.compares, self.parts[group], unit - self.starts[group])


@dataclass(frozen=True)
class Compared:
    """A stage whose comparison is finished, with the data that the pack phase needs: its name in the recipe, what it
    compares, the evidence column of each of its measures, and how its texts are split into lines.
    """

    stage: str
    compares: str
    measures: dict[str, str]
    split: str = ""


@dataclass(frozen=True)
class Verdicts:
    """The result of a comparison: a box and the number of removed documents for each unit, the number of documents that
    each rule removed, and the facts for run.json. `digest` is a digest of all verdicts.
    """

    compared: Compared
    boxes: GroupBoxes
    removed: Sequence[int]
    rules: dict[str, int]
    digest: str
    facts: dict[str, Any]


def removed_rows(store: Store, boxes: Iterable[VerdictBox]) -> Ints:
    """Return the corpus rows of a unit that earlier comparisons removed."""
    rows = [np.zeros(0, np.int64)]
    for box in boxes:
        verdicts = box.read(store)
        rows.append(verdicts.filter(verdicts["removed"])["corpus_row"].to_numpy())
    return np.concatenate(rows)


def record_ids(names: pa.Array, places: pa.RecordBatch, prefix: str = "") -> pa.Array:
    """Return the ids of records, as `corpus.warc.record` makes them.

    The input columns are `archive` (an index into `names`), `offset` and `inner`. The names of the columns start with
    `prefix`.
    """
    inner = places[f"{prefix}inner"]
    archives = names.take(places[f"{prefix}archive"])
    ids = pc.binary_join_element_wise(archives, places[f"{prefix}offset"].cast(pa.string()), ":")
    if pc.sum(inner).as_py():
        further = pc.binary_join_element_wise(ids, inner.cast(pa.string()), "+")
        ids = pc.if_else(pc.greater(inner, 0), further, ids)
    return ids
