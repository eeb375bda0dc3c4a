"""What dedup tells of a unit: the columns of its verdicts."""

from __future__ import annotations

import pyarrow as pa

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
"""What happened to a corpus row of a unit; those that are not told of are kept and alone."""

MEASURES = ("similarity", "exact", "preferred", "cluster_size")
"""Of the columns those that are measures of the stage."""
