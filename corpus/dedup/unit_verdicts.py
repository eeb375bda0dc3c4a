"""The last phases of the comparison of documents: the verdicts of each unit, and the removed documents by domain."""

from __future__ import annotations

import heapq

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.dedup.bands import SITES_SCHEMA, send_sites
from corpus.dedup.task import ComparisonTask
from corpus.dedup.verify import FOUND_SCHEMA
from corpus.storage.boxes import Outbox
from corpus.storage.task_commits import Made
from corpus.tables.verdicts import VERDICT_SCHEMAS, record_ids

MOST_SITES = 20


def verdicts(task: ComparisonTask) -> Made:
    """Write `verdicts`, a box for each unit of the group, and `sites`, the number of removed documents of each domain.

    The facts are the number of documents that each unit loses.
    """
    layout, rows = task.layout, task.group.rows
    found = task.rows("verify", "found", task.number, FOUND_SCHEMA)
    found = found.take(pa.array(np.argsort(found["doc"].to_numpy())))
    starts = layout.groups[task.number] + np.cumsum([0, *rows])
    doc = found["doc"].to_numpy()
    unit = np.searchsorted(starts[1:], doc, side="right")
    removed = doc != found["kept_doc"].to_numpy()
    gone, names = pa.array(removed), pa.array(task.archives, pa.string())
    evidence = {
        "rule": pa.scalar(task.document_stage.rule),
        "value": pc.round(found["similarity"], 6),
        "limit": pa.scalar(task.threshold),
        "detail": record_ids(names, found, "kept_"),
        "similarity": pc.round(found["similarity"], 6),
        "exact": found["exact"].cast(pa.int64()),
        "preferred": found["preferred"].cast(pa.int64()),
    }
    columns = {
        "corpus_row": doc - starts[unit],
        "id": record_ids(names, found),
        "removed": gone,
        "kept_doc": found["kept_doc"],
        "cluster_size": found["cluster_size"],
        **{name: pc.if_else(gone, values, pa.scalar(None, values.type)) for name, values in evidence.items()},
    }
    with (
        Outbox(task.store, "verdicts", len(rows)) as verdicts_out,
        Outbox(task.store, "sites", 1 << layout.site_bits) as sites_out,
    ):
        verdicts_out.put_sorted(unit, pa.RecordBatch.from_pydict(columns, schema=VERDICT_SCHEMAS["documents"]))
        send_sites(layout, pa.chunked_array([found["site"].filter(gone)]), sites_out)
        parts = [verdicts_out.finish(), sites_out.finish()]
    return parts, {
        "removed": np.bincount(unit[removed], minlength=len(rows)).tolist(),
        "exact": int(np.count_nonzero(found["exact"].to_numpy(zero_copy_only=False) & removed)),
    }


def sites(task: ComparisonTask) -> Made:
    """Find the domains of one range that lost the most documents, as [removed, documents, domain], and the number of
    domains.
    """
    tables = []
    for phase in ("bands", "verdicts"):
        table = pa.Table.from_batches([task.rows(phase, "sites", task.number, SITES_SCHEMA)])
        tables.append(table.group_by("site", use_threads=False).aggregate([("documents", "sum")]))
    compared, removed = tables
    joined = removed.join(compared, "site", right_suffix="_compared", use_threads=False)
    columns = (joined[name].to_pylist() for name in ("documents_sum", "documents_sum_compared", "site"))
    return [], {"sites": heapq.nlargest(MOST_SITES, zip(*columns, strict=True)), "count": compared.num_rows}
