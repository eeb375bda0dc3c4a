"""The index of a run: what later runs need to compare their documents with its kept ones, without reading its text.

    index/index.json      what made the signatures, how many documents there are, and the parts
    index/keys-00000      the band keys of kept documents, a box for each band and range
    index/texts-00000     the text hashes of all compared documents, each with its keeper
    index/docs-00000      places, keeper rule's values and signatures of kept documents, a box for each 4,096 numbers

Part k covers documents kN … (k+1)N, as the run numbered them before it removed any, so the files do not depend on how
the run was divided. A later run reads all keys once. Of the rest it reads only the boxes in which it found candidates.
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
from corpus.dedup.signature_rows import hash_pairs, matrix, present, read_signed
from corpus.digests import digest
from corpus.errors import ConfigError, InputError, IntegrityError
from corpus.storage.boxes import Outbox, one_batch, range_of
from corpus.storage.commits import Part
from corpus.storage.store import Location, Store, open_store
from corpus.tables.verdicts import VerdictBox, removed_rows

BITS = 6
"""Halvings of the keys of a band, and of text hashes. So a later run of some hundred million documents reads a box only
once, and a box of a part still has 16,000 keys."""

ROWS_PER_PART = 1 << 20
ROWS_PER_PART_WITH_SHINGLES = 1 << 17
ROWS_PER_BOX = 1 << 12

TEXTS_SCHEMA = pa.schema(
    [
        pa.field("high", pa.uint64()),
        pa.field("low", pa.uint64()),
        pa.field("doc", pa.int64(), metadata={"is": "the kept document"}),
        pa.field("similarity", pa.float64(), metadata={"is": "how similar the text is to that of the kept document"}),
        pa.field("exact", pa.bool_()),
    ]
)

_FILE = "index/index.json"


def docs_schema(dedup: DocumentComparison) -> pa.Schema:
    fields = [
        pa.field("doc", pa.int64()),
        pa.field("archive", pa.int32()),
        pa.field("offset", pa.int64()),
        pa.field("inner", pa.int32()),
        pa.field("preference", pa.float64()),
        pa.field("signature", pa.binary(dedup.signature_bytes)),
    ]
    if dedup.with_shingles:
        fields.append(pa.field("shingles", pa.binary()))
    return pa.schema(fields)


def rows_per_part(dedup: DocumentComparison) -> int:
    return ROWS_PER_PART_WITH_SHINGLES if dedup.with_shingles else ROWS_PER_PART


@dataclass(frozen=True)
class UnitRows:
    """The documents of one unit: their signatures, the number of the first document, that of their archive, and the
    verdicts of the comparison and of earlier ones."""

    signatures: Part
    first: int
    archive: int
    verdicts: VerdictBox
    removed: tuple[VerdictBox, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> UnitRows:
        verdicts, removed = VerdictBox.from_dict(data["verdicts"]), tuple(map(VerdictBox.from_dict, data["removed"]))
        return cls(Part(**data["signatures"]), data["first"], data["archive"], verdicts, removed)


def index_part(
    store: Store, dedup: DocumentComparison, number: int, documents: int, units: Sequence[UnitRows]
) -> tuple[list[Part], dict[str, Any]]:
    """Write one part of the index of a run of so many documents, from the units that have rows in it."""
    first = number * rows_per_part(dedup)
    end = min(first + rows_per_part(dedup), documents)
    texts: list[pa.RecordBatch] = []
    docs: list[pa.RecordBatch] = []
    for unit in units:
        rows = one_batch(read_signed(store, dedup, [unit.signatures])[0], dedup.signed_schema())
        doc = unit.first + np.arange(rows.num_rows)
        kept_doc, similarity, exact = doc.copy(), np.ones(len(doc)), np.ones(len(doc), dtype=np.bool_)
        verdicts = unit.verdicts.read(store)
        gone = verdicts.filter(verdicts["removed"])
        kept_doc[gone["corpus_row"].to_numpy()] = gone["kept_doc"].to_numpy()
        similarity[gone["corpus_row"].to_numpy()] = gone["similarity"].to_numpy()
        exact[gone["corpus_row"].to_numpy()] = gone["exact"].to_numpy() > 0
        here = present(rows["text_hash"]) & (doc >= first) & (doc < end)
        here[removed_rows(store, unit.removed)] = False
        # a duplicate of a still earlier run's document is found in that run's index
        named = here & (kept_doc < documents)
        pairs = hash_pairs(rows["text_hash"])[named]
        columns = [pairs[:, 0], pairs[:, 1], kept_doc[named], similarity[named], exact[named]]
        texts.append(pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=TEXTS_SCHEMA))
        stays = pa.array(here & (kept_doc == doc))
        made = {"doc": pa.array(doc), "archive": pa.array(np.full(len(doc), unit.archive, np.int32))}
        made |= {name: rows[name] for name in docs_schema(dedup).names if name not in made}
        columns_of_docs = [made[name] for name in docs_schema(dedup).names]
        docs.append(pa.RecordBatch.from_arrays(columns_of_docs, schema=docs_schema(dedup)).filter(stays))
    kept = one_batch(docs, docs_schema(dedup))
    hashes = one_batch(texts, TEXTS_SCHEMA)
    signed = np.flatnonzero(present(kept["signature"]))
    at = (kept["doc"].to_numpy()[signed] - first).astype(np.uint32)
    with (
        Outbox(store, "keys", dedup.bands << BITS, key=f"index/keys-{number:05d}.boxes") as keys_out,
        Outbox(store, "texts", 1 << BITS, key=f"index/texts-{number:05d}.boxes") as texts_out,
        Outbox(store, "docs", -(-(end - first) // ROWS_PER_BOX), key=f"index/docs-{number:05d}.boxes") as docs_out,
    ):
        send_keys(BITS, dedup.keys(matrix(kept["signature"])[signed]), at, keys_out)
        texts_out.scatter(range_of(hashes["high"].to_numpy(), BITS), hashes)
        docs_out.put_sorted((kept["doc"].to_numpy() - first) // ROWS_PER_BOX, kept)
        parts = [out.finish() for out in (keys_out, texts_out, docs_out)]
    return parts, {"first": first, "end": end, "kept": kept.num_rows}


def write_index(
    store: Store, dedup: DocumentComparison, documents: int, archives: Sequence[str], parts: Sequence[dict[str, Any]]
) -> str:
    """Write index.json, which makes the parts an index, and return its digest."""
    content = {
        "stage": dedup.name,
        "comparable": dedup.comparable(),
        "keep": dedup.params.get("keep"),
        "documents": documents,
        "archives": list(archives),
        "parts": list(parts),
    }
    store.put_new(_FILE, json.dumps(content, indent=1).encode() + b"\n")
    return digest(content)


@dataclass(frozen=True)
class IndexPart:
    """Some documents of an earlier run: its own numbers for the first document and for the end."""

    first: int
    end: int
    keys: Part
    texts: Part
    docs: Part


@dataclass(frozen=True)
class EarlierRun:
    """The index of an earlier run. This run adds `shift` to the numbers of its documents, and `archive` to those of its
    archives."""

    store: Store
    digest: str
    content: dict[str, Any]
    parts: tuple[IndexPart, ...]
    shift: int = 0
    archive: int = 0

    @property
    def documents(self) -> int:
        return int(self.content["documents"])

    @property
    def archives(self) -> list[str]:
        return list(self.content["archives"])


def open_index(folder: Location) -> EarlierRun:
    """Open the index in the folder of a run. Raises InputError if there is none."""
    store = open_store(folder)
    data = store.get(_FILE)
    if data is None:
        raise InputError(
            f"{folder} has no index.", "Give the folder of a finished run whose recipe compares documents."
        )
    try:
        content = json.loads(data)
        parts = tuple(
            IndexPart(entry["first"], entry["end"], *(Part(**entry[kind]) for kind in ("keys", "texts", "docs")))
            for entry in content["parts"]
        )
    except (ValueError, KeyError, TypeError):
        raise IntegrityError(f"{store.where(_FILE)} is damaged.", "Restore it, or build that run again.") from None
    return EarlierRun(store, digest(content), content, parts)


def check_comparable(dedup: DocumentComparison, earlier: EarlierRun) -> None:
    """Raise ConfigError if the signatures of an earlier run were made in another way."""
    theirs, ours = earlier.content["comparable"], dedup.comparable()
    if earlier.content["stage"] != dedup.name or any(theirs.get(name) != value for name, value in ours.items()):
        raise ConfigError(
            f"The index of {earlier.store.where()} was made with {theirs}, this recipe compares with {ours}.",
            "Use the recipe of that run.",
        )


def shifted(found: Sequence[EarlierRun], documents: int, archives: int) -> list[EarlierRun]:
    """Return earlier runs with the numbers that their documents and archives have in a run with so many of its own."""
    placed = []
    for one in found:
        placed.append(EarlierRun(one.store, one.digest, one.content, one.parts, documents, archives))
        documents += one.documents
        archives += len(one.archives)
    return placed


def index_entry(parts: Sequence[Part], facts: dict[str, Any]) -> dict[str, Any]:
    return {**facts, **{part.kind: asdict(part) for part in parts}}
