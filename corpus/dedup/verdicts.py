"""The last phase before pack: the verdicts of each unit, from those of all verifiers, and what was removed where."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.dedup.bands import SITES_SCHEMA, send_sites
from corpus.dedup.layout import Layout
from corpus.dedup.verify import FOUND_SCHEMA
from corpus.storage.boxes import Outbox, read_boxes
from corpus.storage.commits import Part
from corpus.storage.store import Store
from corpus.tables.verdict_columns import VERDICTS_SCHEMA, record_ids

MOST_SITES = 20


def verdicts(
    store: Store,
    layout: Layout,
    group: int,
    rows: Sequence[int],
    archives: Sequence[str],
    found: Sequence[Part],
) -> tuple[list[Part], dict[str, Any]]:
    """`verdicts`, a box for each of the group's units of so many corpus rows, and `sites`, the removed documents of
    each domain; and how many documents each unit loses. `archives` are the names of all archives."""
    told = read_boxes(store, found, group, FOUND_SCHEMA)
    told = told.take(pa.array(np.argsort(told["doc"].to_numpy())))
    starts = layout.groups[group] + np.cumsum([0, *rows])
    doc = told["doc"].to_numpy()
    removed = doc != told["kept_doc"].to_numpy()
    unit = np.searchsorted(starts[1:], doc, side="right")
    kept = pa.array(~removed)
    names = pa.array(archives, pa.string())
    columns = {
        "corpus_row": pa.array(doc - starts[unit]),
        "id": record_ids(names, told),
        "removed": pa.array(removed),
        "kept_id": record_ids(names, told, "kept_"),
        "kept_doc": told["kept_doc"],
        "similarity": pc.if_else(kept, None, pc.round(told["similarity"], 6)),
        "exact": pc.if_else(kept, None, told["exact"].cast(pa.int64())),
        "preferred": pc.if_else(kept, None, told["preferred"].cast(pa.int64())),
        "cluster_size": told["cluster_size"],
    }
    batch = pa.RecordBatch.from_arrays([columns[name] for name in VERDICTS_SCHEMA.names], schema=VERDICTS_SCHEMA)
    with (
        Outbox(store, "verdicts", len(rows)) as verdicts_out,
        Outbox(store, "sites", 1 << layout.site_bits) as sites_out,
    ):
        verdicts_out.put_sorted(unit, batch)
        send_sites(layout, pa.chunked_array([told["site"].filter(pa.array(removed))]), sites_out)
        parts = [verdicts_out.finish(), sites_out.finish()]
    return parts, {
        "removed": np.bincount(unit[removed], minlength=len(rows)).tolist(),
        "exact": int(np.count_nonzero(told["exact"].to_numpy(zero_copy_only=False) & removed)),
    }


def sites(store: Store, compared: Sequence[Part], removed: Sequence[Part], box: int) -> dict[str, Any]:
    """The domains of one range that lost most: [removed, documents, domain], and how many domains there are."""
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
