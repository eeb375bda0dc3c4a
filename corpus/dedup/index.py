"""The index of a run: what later runs need to compare their documents with its kept ones, without reading its text.

    index/index.json      what made the signatures, how many documents there are, and the parts
    index/keys-00000      the band keys of kept documents, a box for each band and range
    index/texts-00000     the text hashes of all compared documents, each with the kept one that stands for it
    index/docs-00000      where the kept documents are, the keeper rule's values, signatures; a box for each stretch

Part k covers documents kN … (k+1)N, as the run numbered them before it removed any, so that the files do not depend on
how it was divided. A later run reads all keys once, and of the rest only the boxes in which it found candidates.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.clusters import Ints
from corpus.commits import Part
from corpus.dedup import Dedup, signatures_schema
from corpus.dedup.bands import KEYS_SCHEMA, send_keys
from corpus.dedup.exchange import Outbox, one_batch, read_box, read_boxes
from corpus.dedup.layout import range_of
from corpus.dedup.signed import hash_pairs, matrix, present, read_signed
from corpus.dedup.told import VERDICTS_SCHEMA
from corpus.errors import ConfigError, InputError, IntegrityError
from corpus.recipe import digest
from corpus.shingles import Hashes
from corpus.store import LocalStore

BITS = 6
"""Halvings of the keys of a band, and of text hashes: a later run of some hundred million documents reads a box only
once, and a box of a part still holds 16,000 keys."""

ROWS_PER_PART = 1 << 20
ROWS_PER_PART_WITH_SHINGLES = 1 << 17
ROWS_PER_BOX = 1 << 12

MOST_PER_KEY = 64
"""Earlier documents that a key leads to: as many as a component has rounds for."""

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


def docs_schema(dedup: Dedup) -> pa.Schema:
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


def rows_per_part(dedup: Dedup) -> int:
    return ROWS_PER_PART_WITH_SHINGLES if dedup.with_shingles else ROWS_PER_PART


@dataclass(frozen=True)
class Stretch:
    """Rows of one unit: its signatures, the number of its first document, its archive, and what dedup said of it."""

    signatures: Part
    first: int
    archive: int
    told: Part
    box: int


def index_part(
    store: LocalStore, dedup: Dedup, number: int, documents: int, stretches: Sequence[Stretch]
) -> tuple[list[Part], dict[str, Any]]:
    """Write one part of the index of a run of so many documents, from the units that have rows in it."""
    first = number * rows_per_part(dedup)
    end = min(first + rows_per_part(dedup), documents)
    texts: list[pa.RecordBatch] = []
    docs: list[pa.RecordBatch] = []
    for stretch in stretches:
        rows = one_batch(read_signed(store, dedup, [stretch.signatures])[0], signatures_schema(dedup))
        doc = stretch.first + np.arange(rows.num_rows)
        kept_doc, similarity, exact = doc.copy(), np.ones(len(doc)), np.ones(len(doc), dtype=np.bool_)
        told = read_boxes(store, [stretch.told], stretch.box, VERDICTS_SCHEMA)
        gone = told.filter(told["removed"])
        kept_doc[gone["corpus_row"].to_numpy()] = gone["kept_doc"].to_numpy()
        similarity[gone["corpus_row"].to_numpy()] = gone["similarity"].to_numpy()
        exact[gone["corpus_row"].to_numpy()] = gone["exact"].to_numpy() > 0
        here = present(rows["text_hash"]) & (doc >= first) & (doc < end)
        # what repeats a document of a still earlier run is found where that one is
        named = here & (kept_doc < documents)
        pairs = hash_pairs(rows["text_hash"])[named]
        columns = [pairs[:, 0], pairs[:, 1], kept_doc[named], similarity[named], exact[named]]
        texts.append(pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=TEXTS_SCHEMA))
        stays = pa.array(here & (kept_doc == doc))
        made = {"doc": pa.array(doc), "archive": pa.array(np.full(len(doc), stretch.archive, np.int32))}
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
    store: LocalStore, dedup: Dedup, documents: int, archives: Sequence[str], parts: Sequence[dict[str, Any]]
) -> str:
    """Make the parts an index; its digest."""
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
class EarlierPart:
    """Some documents of an earlier run: the number of the first and of the one after the last, as it gave them."""

    first: int
    end: int
    keys: Part
    texts: Part
    docs: Part


@dataclass(frozen=True)
class Earlier:
    """The index of an earlier run. `shift` is what this run adds to its numbers, `archive` to those of its archives."""

    store: LocalStore
    digest: str
    content: dict[str, Any]
    parts: tuple[EarlierPart, ...]
    shift: int = 0
    archive: int = 0

    @property
    def documents(self) -> int:
        return int(self.content["documents"])

    @property
    def archives(self) -> list[str]:
        return list(self.content["archives"])


def open_index(folder: str | Path) -> Earlier:
    """The index in the folder of a run. Raises InputError where there is none."""
    store = LocalStore(folder)
    data = store.get(_FILE)
    if data is None:
        raise InputError(
            f"{folder} has no index.", "Give the folder of a finished run whose recipe compares documents."
        )
    try:
        content = json.loads(data)
        parts = tuple(
            EarlierPart(entry["first"], entry["end"], *(Part(**entry[kind]) for kind in ("keys", "texts", "docs")))
            for entry in content["parts"]
        )
    except (ValueError, KeyError, TypeError):
        raise IntegrityError(f"{store.path(_FILE)} is damaged.", "Restore it, or build that run again.") from None
    return Earlier(store, digest(content), content, parts)


def check_comparable(dedup: Dedup, earlier: Earlier) -> None:
    """Raise ConfigError where the signatures of an earlier run were made in another way."""
    theirs, ours = earlier.content["comparable"], dedup.comparable()
    if earlier.content["stage"] != dedup.name or any(theirs.get(name) != value for name, value in ours.items()):
        raise ConfigError(
            f"The index of {earlier.store.root} was made with {theirs}, this recipe compares with {ours}.",
            "Use the recipe of that run.",
        )


def shifted(found: Sequence[Earlier], documents: int, archives: int) -> list[Earlier]:
    """Earlier runs with the numbers that their documents and archives have in a run of so many of its own."""
    placed = []
    for one in found:
        placed.append(Earlier(one.store, one.digest, one.content, one.parts, documents, archives))
        documents += one.documents
        archives += len(one.archives)
    return placed


def earlier_with_keys(
    earlier: Sequence[Earlier], band: int, bits: int, box: int, keys: Hashes
) -> Iterator[tuple[Ints, Ints]]:
    """(place in `keys`, earlier document) for documents that have one of them: distinct keys of one range of a band,
    sorted. Of each key the first few count."""
    known = _Known(keys)
    counts = np.zeros(len(keys), dtype=np.int64)
    for one in earlier:
        for part in one.parts:
            for number in _boxes(bits, box):
                for batch in read_box(one.store, part.keys, (band << BITS) + number, KEYS_SCHEMA):
                    rows, places = known.find(batch["key"].to_numpy())
                    places, rows = _first_few(places, rows, counts)
                    yield places, batch["doc"].to_numpy()[rows].astype(np.int64) + (part.first + one.shift)


def earlier_with_texts(
    earlier: Sequence[Earlier], bits: int, box: int, hashes: Hashes
) -> Iterator[tuple[Ints, Ints, np.ndarray, np.ndarray]]:
    """(row of `hashes`, earlier document, similarity to it, whether their texts are equal) for texts of one range of
    hashes (n, 2) that earlier runs had, the first run that had one first."""
    order = np.argsort(hashes[:, 0], kind="stable")
    high = hashes[order, 0]
    known = _Known(np.unique(high))
    for one in earlier:
        for part in one.parts:
            for number in _boxes(bits, box):
                for batch in read_box(one.store, part.texts, number, TEXTS_SCHEMA):
                    rows, _ = known.find(batch["high"].to_numpy())
                    theirs = batch.take(pa.array(rows))
                    value = theirs["high"].to_numpy()
                    starts, ends = np.searchsorted(high, value), np.searchsorted(high, value, side="right")
                    which = np.repeat(np.arange(len(value)), ends - starts)
                    within = np.arange(len(which)) - np.repeat(
                        np.cumsum(ends - starts) - (ends - starts), ends - starts
                    )
                    ours = order[starts[which] + within]
                    same = hashes[ours, 1] == theirs["low"].to_numpy()[which]
                    ours, which = ours[same], which[same]
                    theirs = theirs.take(pa.array(which))
                    exact = theirs["exact"].to_numpy(zero_copy_only=False)
                    yield ours, theirs["doc"].to_numpy() + one.shift, theirs["similarity"].to_numpy(), exact


def earlier_rows(dedup: Dedup, one: Earlier, part: EarlierPart, docs: Ints) -> pa.RecordBatch:
    """The rows of earlier documents, by their sorted numbers in this run."""
    at = docs - (one.shift + part.first)
    found = []
    for box in np.unique(at // ROWS_PER_BOX).tolist():
        batch = one_batch(list(read_box(one.store, part.docs, box, docs_schema(dedup))), docs_schema(dedup))
        wanted = at[at // ROWS_PER_BOX == box]
        rows = np.searchsorted(batch["doc"].to_numpy(), wanted + part.first)
        found.append(batch.take(pa.array(rows)))
    return one_batch(found, docs_schema(dedup))


class _Known:
    """Sorted distinct keys, and a table over their low bits by which most others are passed over at once."""

    def __init__(self, keys: Hashes) -> None:
        self._keys = keys
        self._mask = np.uint64((1 << (8 * len(keys)).bit_length()) - 1)
        self._table = np.zeros(int(self._mask) + 1, dtype=np.bool_)
        self._table[keys & self._mask] = True

    def find(self, keys: Hashes) -> tuple[Ints, Ints]:
        """The places of those that are known, and which ones they are."""
        rows = np.flatnonzero(self._table[keys & self._mask])
        if not len(self._keys):
            return rows[:0], rows[:0]
        places = np.minimum(np.searchsorted(self._keys, keys[rows]), len(self._keys) - 1)
        same = self._keys[places] == keys[rows]
        return rows[same], places[same]


def _first_few(places: Ints, rows: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """Those of `places` that did not come too often yet; `counts` goes on from call to call."""
    order = np.argsort(places, kind="stable")
    places, rows = places[order], rows[order]
    starts = np.flatnonzero(np.append(True, places[1:] != places[:-1])[: len(places)])
    sizes = np.diff(starts, append=len(places))
    nth = np.arange(len(places)) - np.repeat(starts, sizes)
    few = counts[places] + nth < MOST_PER_KEY
    counts[places[starts]] += sizes
    return places[few], rows[few]


def _boxes(bits: int, box: int) -> range:
    """The boxes of an index that hold what a range of 2^bits does, or the one that holds more."""
    if bits > BITS:
        return range(box >> (bits - BITS), (box >> (bits - BITS)) + 1)
    return range(box << (BITS - bits), (box + 1) << (BITS - bits))


def parts_of(entry: dict[str, Any]) -> list[Part]:
    """The files of one part of index.json."""
    return [Part(**entry[kind]) for kind in ("keys", "texts", "docs")]


def index_entry(parts: Sequence[Part], about: dict[str, Any]) -> dict[str, Any]:
    return {**about, **{part.kind: asdict(part) for part in parts}}
