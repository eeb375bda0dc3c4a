"""The contract of dedup: sign each document during the pass, compare all signatures after it, one verdict per document.

Only documents that passed every stage are compared, so a cluster never loses its last good copy to a later filter.
The place of a dedup in the recipe says which text is signed. The signatures of a unit lie row by row beside its ledger
rows; verdicts are one sparse table over all units, where `unit` and `row` name a ledger row, `corpus_row` a corpus row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from corpus.clusters import Verdicts
from corpus.stage import Limit, Measured, Stage

if TYPE_CHECKING:
    from corpus.document import Document

SIGNATURES_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("kept", pa.bool_(), metadata={"is": "whether it passed every stage"}),
        pa.field("text_hash", pa.binary(16)),
        pa.field("signature", pa.binary(), metadata={"is": "null for a text too short to have one"}),
        pa.field("preference", pa.float64(), metadata={"is": "the keeper rule's value; the least is kept"}),
    ]
)

VERDICTS_SCHEMA = pa.schema(
    [
        pa.field("unit", pa.int32()),
        pa.field("row", pa.int64()),
        pa.field("corpus_row", pa.int64()),
        pa.field("id", pa.string()),
        pa.field("removed", pa.bool_()),
        pa.field("kept_id", pa.string()),
        pa.field("similarity", pa.float64()),
        pa.field("exact", pa.int64()),
        pa.field("cluster_size", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Signed:
    """What a dedup keeps of a document."""

    text_hash: bytes
    signature: bytes | None
    preference: float


class Dedup(Stage):
    """A stage that compares documents. Its measures are filled after the pass: a document is removed where
    `similarity` to a kept one is outside its limit."""

    similarity = Limit(below=0.7)
    exact = Limit(of=int)
    cluster_size = Limit(of=int)

    def apply(self, doc: Document) -> Iterator[Measured]:
        """Nothing can be measured on one document alone."""
        return iter(())

    def sign(self, doc: Document) -> Signed:
        """The signature of one document's text."""
        raise TypeError(f"{type(self).__name__} has no sign()")

    def compare(
        self, hashes: np.ndarray, signatures: np.ndarray, signed: np.ndarray, rank: np.ndarray, limit: Limit
    ) -> Verdicts:
        """The verdicts on n documents: text hashes (n, 2) uint64, signature bytes (n, w) uint8, which rows have a
        signature, and the keeper order."""
        raise TypeError(f"{type(self).__name__} has no compare()")


def signature_row(doc_id: str, kept: bool, signed: Signed | None) -> dict[str, Any]:
    """The signature row beside a ledger row; all null where the document was not signed."""
    if signed is None:
        return {"id": doc_id, "kept": kept}
    return {
        "id": doc_id,
        "kept": kept,
        "text_hash": signed.text_hash,
        "signature": signed.signature,
        "preference": signed.preference,
    }


def judge_all(dedup: Dedup, limit: Limit, units: Sequence[pa.Table]) -> tuple[pa.Table, list[int]]:
    """The verdicts table over the signature tables of all units in (archive, offset) order, and the number of
    documents removed per unit."""
    if limit.below is None:
        return VERDICTS_SCHEMA.empty_table(), [0] * len(units)
    units_of: list[np.ndarray] = []
    rows_of: list[np.ndarray] = []
    corpus_rows_of: list[np.ndarray] = []
    tables: list[pa.Table] = []
    for number, table in enumerate(units):
        kept = table["kept"].to_numpy()
        rows = np.flatnonzero(kept & table["text_hash"].is_valid().to_numpy())
        units_of.append(np.full(len(rows), number, dtype=np.int32))
        rows_of.append(rows)
        corpus_rows_of.append((np.cumsum(kept) - 1)[rows])
        tables.append(table.take(rows))
    if not sum(map(len, rows_of)):
        return VERDICTS_SCHEMA.empty_table(), [0] * len(units)
    unit, row, corpus_row = np.concatenate(units_of), np.concatenate(rows_of), np.concatenate(corpus_rows_of)
    docs = pa.concat_tables(tables).combine_chunks()
    hashes = np.frombuffer(b"".join(docs["text_hash"].to_pylist()), dtype="<u8").reshape(-1, 2)
    signed = docs["signature"].is_valid().to_numpy()
    preference = docs["preference"].to_numpy()
    rank = np.unique(preference, return_inverse=True)[1].astype(np.int64)  # ties: the earlier document
    found = dedup.compare(hashes, _matrix(docs["signature"], signed), signed, rank, limit)

    told = np.flatnonzero((found.kept_doc != np.arange(len(rank))) | (found.cluster_size > 1))
    removed = found.kept_doc[told] != told
    verdicts = pa.table(
        {
            "unit": unit[told],
            "row": row[told],
            "corpus_row": corpus_row[told],
            "id": docs["id"].take(pa.array(told)).combine_chunks(),
            "removed": removed,
            "kept_id": docs["id"].take(pa.array(found.kept_doc[told])).combine_chunks(),
            "similarity": pa.array(np.round(found.similarity[told], 6), mask=~removed),
            "exact": pa.array(found.exact[told].astype(np.int64), mask=~removed),
            "cluster_size": found.cluster_size[found.kept_doc[told]],
        },
        schema=VERDICTS_SCHEMA,
    )
    return verdicts, np.bincount(unit[told][removed], minlength=len(units)).tolist()


def _matrix(signatures: pa.ChunkedArray, signed: np.ndarray) -> np.ndarray:
    """Signatures as rows of bytes; zeros for the documents without one."""
    present = signatures.drop_null().combine_chunks()
    width = len(present[0].as_py()) if len(present) else 8
    matrix = np.zeros((len(signed), width), dtype=np.uint8)
    if len(present):
        matrix[signed] = np.frombuffer(b"".join(present.to_pylist()), dtype=np.uint8).reshape(-1, width)
    return matrix
