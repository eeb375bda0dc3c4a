"""What dedup tells of a unit: the columns of its verdicts."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

VERDICTS_SCHEMA = pa.schema(
    [
        pa.field("corpus_row", pa.int64()),
        pa.field("id", pa.string()),
        pa.field("removed", pa.bool_()),
        pa.field("kept_id", pa.string()),
        pa.field("kept_doc", pa.int64(), metadata={"is": "the number of that document in this run's order"}),
        pa.field("similarity", pa.float64()),
        pa.field("exact", pa.int64()),
        pa.field("preferred", pa.int64()),
        pa.field("cluster_size", pa.int64()),
    ]
)
"""What happened to a corpus row of a unit; those that are not told of shared no key with another, and are kept."""

MEASURES = ("similarity", "exact", "preferred", "cluster_size")
"""Of the columns those that are measures of the stage."""

CUTS_SCHEMA = pa.schema(
    [
        pa.field("corpus_row", pa.int64()),
        pa.field("id", pa.string()),
        pa.field("removed", pa.bool_(), metadata={"is": "whether the document is dropped, for it would lose too much"}),
        pa.field("cut", pa.list_(pa.uint32()), metadata={"is": "the numbers of the lines that go from a kept one"}),
        pa.field("rule", pa.string()),
        pa.field("value", pa.float64()),
        pa.field("limit", pa.float64()),
        pa.field("lines_compared", pa.int64()),
        pa.field("lines_removed", pa.int64()),
        pa.field("removed_ratio", pa.float64()),
        pa.field("chars_left", pa.int64()),
        pa.field("kept_in", pa.string()),
    ]
)
"""What dedup by lines tells of the corpus rows of a unit that lose any."""

CUT_MEASURES = {
    "compared": "lines_compared",
    "removed": "lines_removed",
    "removed_ratio": "removed_ratio",
    "chars_left": "chars_left",
    "kept_in": "kept_in",
}
"""The measures of that stage, and their columns there."""


def record_ids(names: pa.Array, told: pa.RecordBatch, prefix: str = "") -> pa.Array:
    """The ids of records by their archive's place in `names`, offset and inner, as `corpus.warc.record` makes them."""
    inner = told[f"{prefix}inner"]
    archives = names.take(told[f"{prefix}archive"])
    ids = pc.binary_join_element_wise(archives, told[f"{prefix}offset"].cast(pa.string()), ":")
    if pc.sum(inner).as_py():
        further = pc.binary_join_element_wise(ids, inner.cast(pa.string()), "+")
        ids = pc.if_else(pc.greater(inner, 0), further, ids)
    return ids
