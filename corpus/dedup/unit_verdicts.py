"""The last phase of the comparison of documents: the verdicts of each unit, and the removed documents by domain."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.dedup.bands import SITES_SCHEMA, send_sites
from corpus.dedup.layout import Group, Layout
from corpus.dedup.verify import FOUND_SCHEMA
from corpus.storage.boxes import Outbox, read_boxes
from corpus.storage.commits import Part
from corpus.storage.store import Store
from corpus.storage.task_commits import Made
from corpus.tables.verdicts import VERDICT_SCHEMAS, record_ids

MOST_SITES = 20


def verdicts(
    store: Store,
    layout: Layout,
    number: int,
    group: Group,
    archives: Sequence[str],
    files: Sequence[Part],
    limit: tuple[str, float],
) -> Made:
    """Write `verdicts`, a box for each unit of the group, and `sites`, the removed documents of each domain. The facts
    are how many documents each unit loses. `archives` are the names of all archives, `limit` is the rule and its
    threshold."""
    found = read_boxes(store, files, number, FOUND_SCHEMA)
    found = found.take(pa.array(np.argsort(found["doc"].to_numpy())))
    rows = group.rows
    starts = layout.groups[number] + np.cumsum([0, *rows])
    doc = found["doc"].to_numpy()
    removed = doc != found["kept_doc"].to_numpy()
    unit = np.searchsorted(starts[1:], doc, side="right")
    kept = pa.array(~removed)
    names = pa.array(archives, pa.string())
    columns = {
        "corpus_row": pa.array(doc - starts[unit]),
        "id": record_ids(names, found),
        "removed": pa.array(removed),
        "rule": _where(removed, pa.scalar(limit[0])),
        "value": pc.if_else(kept, None, pc.round(found["similarity"], 6)),
        "limit": _where(removed, pa.scalar(limit[1])),
        "detail": pc.if_else(kept, None, record_ids(names, found, "kept_")),
        "kept_doc": found["kept_doc"],
        "similarity": pc.if_else(kept, None, pc.round(found["similarity"], 6)),
        "exact": pc.if_else(kept, None, found["exact"].cast(pa.int64())),
        "preferred": pc.if_else(kept, None, found["preferred"].cast(pa.int64())),
        "cluster_size": found["cluster_size"],
    }
    schema = VERDICT_SCHEMAS["documents"]
    batch = pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
    with (
        Outbox(store, "verdicts", len(rows)) as verdicts_out,
        Outbox(store, "sites", 1 << layout.site_bits) as sites_out,
    ):
        verdicts_out.put_sorted(unit, batch)
        send_sites(layout, pa.chunked_array([found["site"].filter(pa.array(removed))]), sites_out)
        parts = [verdicts_out.finish(), sites_out.finish()]
    return parts, {
        "removed": np.bincount(unit[removed], minlength=len(rows)).tolist(),
        "exact": int(np.count_nonzero(found["exact"].to_numpy(zero_copy_only=False) & removed)),
    }


def _where(here: np.ndarray, value: pa.Scalar) -> pa.Array:
    return pc.if_else(pa.array(here), value, pa.scalar(None, value.type))


def sites(store: Store, compared: Sequence[Part], removed: Sequence[Part], box: int) -> dict[str, Any]:
    """Return the domains of one range that lost most, as [removed, documents, domain], and the number of domains."""
    tables = []
    for files in (compared, removed):
        table = pa.Table.from_batches([read_boxes(store, files, box, SITES_SCHEMA)])
        tables.append(table.group_by("site", use_threads=False).aggregate([("documents", "sum")]))
    all_, lost = tables
    joined = lost.join(all_, "site", right_suffix="_all", use_threads=False)
    named = zip(
        joined["documents_sum"].to_pylist(),
        joined["documents_sum_all"].to_pylist(),
        joined["site"].to_pylist(),
        strict=True,
    )
    return {"sites": heapq.nlargest(MOST_SITES, named), "count": all_.num_rows}
