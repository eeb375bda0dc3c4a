"""The index phase, which makes an index for later runs from the signatures and verdicts of this run
(`corpus.dedup.index`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.dedup.bands import send_keys
from corpus.dedup.contract import DocumentComparison
from corpus.dedup.index import BITS, INDEX_FILE, ROWS_PER_BOX, TEXTS_SCHEMA, docs_schema
from corpus.dedup.signature_rows import hash_pairs, matrix, present, read_signed
from corpus.dedup.task import ComparisonTask
from corpus.digests import digest
from corpus.storage.boxes import Outbox, one_batch, range_of
from corpus.storage.commits import Commit, Part
from corpus.storage.store import Store
from corpus.storage.task_commits import Made, get_value
from corpus.tables.verdicts import VerdictBox, removed_rows

ROWS_PER_PART = 1 << 20
ROWS_PER_PART_WITH_SHINGLES = 1 << 17


def rows_per_part(stage: DocumentComparison) -> int:
    return ROWS_PER_PART_WITH_SHINGLES if stage.with_shingles else ROWS_PER_PART


@dataclass(frozen=True)
class UnitRows:
    """The documents of one unit: their signatures, the numbers of the first document and of the archive, and the
    verdicts of this comparison and of earlier ones."""

    signatures: Part
    first: int
    archive: int
    verdicts: VerdictBox
    removed: tuple[VerdictBox, ...]

    def as_dict(self) -> dict[str, Any]:
        boxes = {"verdicts": self.verdicts.as_dict(), "removed": [box.as_dict() for box in self.removed]}
        return {"signatures": vars(self.signatures), "first": self.first, "archive": self.archive, **boxes}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> UnitRows:
        verdicts, removed = VerdictBox.from_dict(data["verdicts"]), tuple(map(VerdictBox.from_dict, data["removed"]))
        return cls(Part(**data["signatures"]), data["first"], data["archive"], verdicts, removed)


def index_part(task: ComparisonTask) -> Made:
    """Write one part of the index, from the units that have rows in it."""
    store, stage, number, documents = task.store, task.document_stage, task.number, task.layout.documents
    first = number * rows_per_part(stage)
    end = min(first + rows_per_part(stage), documents)
    texts: list[pa.RecordBatch] = []
    docs: list[pa.RecordBatch] = []
    schema = docs_schema(stage)
    for unit in map(UnitRows.from_dict, get_value(store, task.payload["units"])):
        rows = one_batch(read_signed(store, stage, [unit.signatures])[0], stage.signed_schema())
        doc = unit.first + np.arange(rows.num_rows)
        kept_doc, similarity, exact = doc.copy(), np.ones(len(doc)), np.ones(len(doc), dtype=np.bool_)
        verdicts = unit.verdicts.read(store)
        gone = verdicts.filter(verdicts["removed"])
        at = gone["corpus_row"].to_numpy()
        kept_doc[at], similarity[at] = gone["kept_doc"].to_numpy(), gone["similarity"].to_numpy()
        exact[at] = gone["exact"].to_numpy() > 0
        here = present(rows["text_hash"]) & (doc >= first) & (doc < end)
        here[removed_rows(store, unit.removed)] = False
        # a duplicate of an even earlier run's document is found through that run's index
        named = here & (kept_doc < documents)
        text = [*hash_pairs(rows["text_hash"])[named].T, kept_doc[named], similarity[named], exact[named]]
        texts.append(pa.RecordBatch.from_arrays(text, schema=TEXTS_SCHEMA))
        columns = {name: rows[name] for name in rows.schema.names}
        columns |= {"doc": doc, "archive": np.full(len(doc), unit.archive)}
        docs.append(pa.RecordBatch.from_pydict(columns, schema=schema).filter(pa.array(here & (kept_doc == doc))))
    kept = one_batch(docs, schema)
    hashes = one_batch(texts, TEXTS_SCHEMA)
    signed = np.flatnonzero(present(kept["signature"]))
    with (
        Outbox(store, "keys", stage.bands << BITS, key=f"index/keys-{number:05d}.boxes") as keys_out,
        Outbox(store, "texts", 1 << BITS, key=f"index/texts-{number:05d}.boxes") as texts_out,
        Outbox(store, "docs", -(-(end - first) // ROWS_PER_BOX), key=f"index/docs-{number:05d}.boxes") as docs_out,
    ):
        doc = kept["doc"].to_numpy() - first
        send_keys(BITS, stage.keys(matrix(kept["signature"])[signed]), doc[signed], keys_out)
        texts_out.scatter(range_of(hashes["high"].to_numpy(), BITS), hashes)
        docs_out.put_sorted(doc // ROWS_PER_BOX, kept)
        parts = [out.finish() for out in (keys_out, texts_out, docs_out)]
    return parts, {"first": first, "end": end, "kept": kept.num_rows}


def write_index(
    store: Store, stage: DocumentComparison, documents: int, archives: Sequence[str], made: Sequence[Commit]
) -> str:
    """Write index.json, which turns the files of `made` into an index. Return its digest."""
    content = {
        "stage": stage.name,
        "comparable": stage.comparable(),
        "prefer": stage.params.get("prefer"),
        "documents": documents,
        "archives": list(archives),
        "parts": [{**done.facts, **{part.kind: asdict(part) for part in done.parts}} for done in made],
    }
    store.put_new(INDEX_FILE, json.dumps(content, indent=1).encode() + b"\n")
    return digest(content)
