"""The first half of tokenizing: turn a slice of texts into ids, and put the ids into the boxes of the shuffle.

A document is written as the separator and its ids. Equal texts are in the same split, train or val, for every seed. In
train, a document of a mixture may have several copies, each at another place. In val, it has one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from corpus.digests import digest
from corpus.errors import IntegrityError
from corpus.storage.boxes import Outbox
from corpus.storage.commits import Commit, commit, commit_key, read_commit
from corpus.storage.crash_points import reached
from corpus.storage.store import Store
from corpus.tokens.choice import ChosenRows, Reach, SourceSlice
from corpus.tokens.encoder import Encoder
from corpus.tokens.shuffle import KEY, WEIGHT, boxes_of, keys_of
from corpus.tokens.token_folder import SPLITS
from corpus.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from corpus.tokens.apart import Apart

SCHEMA = pa.schema([KEY, WEIGHT, ("bytes", pa.int64()), ("id", pa.string()), ("tokens", pa.large_binary())])
"""The columns of the rows in boxes.

`weight` is the number of ids, the separator included. `bytes` is the number of bytes of the text. `tokens` holds the
ids in the form of the output files.
"""

CHECKED = 8
"""The number of documents of each slice that HF tokenizers encodes too, as a check."""

COUNTS = ("tokens", "documents", "bytes")

_SPLIT_SEED = 0x7A1


@dataclass(frozen=True)
class Encoding:
    """The data that, together with the texts, decide the ids and their order.

    `tokenizer` is the digest of the tokenizer, `seed` is the seed of the shuffle, `val_share` is the share of val, and
    `bits` is the number of key bits that select a box. `apart` is the digest of the documents that are held apart.
    """

    tokenizer: str
    seed: int
    val_share: float
    bits: int
    apart: str = ""


def encode_slice(
    store: Store, source: SourceSlice, reach: Reach, encoding: Encoding, tokenizer: Tokenizer, encoder: Encoder,
    apart: Apart | None = None,
) -> Commit:  # fmt: skip
    """Encode a slice and commit one file of boxes. The facts are the tokens, documents and bytes of text of each split,
    with and without copies, the tokens of each box, the number of documents that were not chosen, and the library that
    encoded. Documents that are held apart are in no split, unless they are in val."""
    key = commit_key("encode", source.content(), digest([asdict(encoding), asdict(reach)]))
    done = read_commit(store, key)
    if done is not None:
        return done
    reached("encode_begun")
    totals, unique = np.zeros((2, len(SPLITS), len(COUNTS)), dtype=np.int64)
    weights = np.zeros(len(SPLITS) << encoding.bits, dtype=np.int64)  # the boxes of train, then those of val
    chosen: Counter[str] = Counter()
    checked = False
    with Outbox(store, "encoded", len(weights)) as out:
        for found in source.read(chosen, source.part.text_columns if apart else ("text",)):
            taken = found.where(reach.includes(found.ranks, found.places))
            chosen["beyond_budget"] += len(found) - len(taken)
            if apart:
                in_val = _in_val(taken.table["text"].to_pylist(), encoding.val_share)
                held = apart.contains(taken) & (in_val == 0)
                chosen["held_apart"] += int(held.sum())
                taken = taken.where(~held)
            if not len(taken):
                continue
            texts = taken.table["text"].to_pylist()
            if not checked:
                encoder.check(texts[:CHECKED])
                checked = True
            in_val = _in_val(texts, encoding.val_share)
            times = np.where(in_val, 1, reach.times(taken.copies, taken.ranks, taken.places))
            rows = _rows(taken, texts, encoding, tokenizer, encoder)
            counts = np.stack([rows["weight"].to_numpy(), np.ones(len(texts), np.int64), rows["bytes"].to_numpy()], 1)
            np.add.at(unique, in_val, counts)
            np.add.at(totals, in_val, counts * times[:, None])
            rows, at = _repeated(rows, taken.names, times, encoding.seed)
            boxes = boxes_of(rows["key"].to_numpy(), encoding.bits) + (in_val[at] << encoding.bits)
            out.scatter(boxes, rows)
            np.add.at(weights, boxes, rows["weight"].to_numpy())
        part = out.finish()
    filled = np.flatnonzero(weights)
    facts = {
        "splits": _by_split(totals),
        "unique": _by_split(unique),
        "weights": [filled.tolist(), weights[filled].tolist()],
        "chosen": chosen,
        "engine": encoder.engine,
    }
    return commit(store, key, [part], facts)


def _by_split(counts: np.ndarray) -> dict[str, dict[str, int]]:
    return {name: dict(zip(COUNTS, row, strict=True)) for name, row in zip(SPLITS, counts.tolist(), strict=True)}


def _rows(
    taken: ChosenRows, texts: Sequence[str], encoding: Encoding, tokenizer: Tokenizer, encoder: Encoder
) -> pa.RecordBatch:
    """Return the rows of some documents. Raises IntegrityError if the ids of a text do not add up to its bytes."""
    ids, lengths = encoder.encode(texts)
    sizes = pc.binary_length(taken.table["text"]).to_numpy().astype(np.int64)
    firsts = np.cumsum(lengths) - lengths
    if not np.array_equal(np.add.reduceat(tokenizer.token_bytes[ids], firsts), sizes):
        raise IntegrityError(f"{encoder.engine} gave ids that are not the bytes of their text.", "Please report this.")
    weights = lengths + 1
    flat = np.insert(ids.astype(tokenizer.dtype), firsts, tokenizer.bos)
    offsets = np.concatenate([[0], np.cumsum(weights)]) * flat.itemsize
    tokens = pa.Array.from_buffers(pa.large_binary(), len(texts), [None, pa.py_buffer(offsets), pa.py_buffer(flat)])
    keys = pa.array(keys_of(taken.names, encoding.seed))
    columns = [keys, pa.array(weights), pa.array(sizes), taken.ids, tokens]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _repeated(
    rows: pa.RecordBatch, names: Sequence[str], times: np.ndarray, seed: int
) -> tuple[pa.RecordBatch, np.ndarray]:
    """Return each row as often as `times` says, and for each copy the number of its original row. The first copy has
    the key of the document. Every other copy has a key of its own."""
    at = np.repeat(np.arange(len(times)), times)
    if (times == 1).all():
        return rows, at
    nth = np.arange(len(at)) - np.repeat(np.cumsum(times) - times, times)
    copies = [
        names[row] + (f"\0{number}" if number else "") for row, number in zip(at.tolist(), nth.tolist(), strict=True)
    ]
    return rows.take(pa.array(at)).set_column(0, KEY, pa.array(keys_of(copies, seed))), at


def _in_val(texts: Sequence[str], share: float) -> np.ndarray:
    """Return 1 for each text of val and 0 for each of train."""
    return np.fromiter((is_in_val(text, share) for text in texts), np.int64, len(texts))


def is_in_val(text: str, share: float) -> bool:
    """Return True if a text belongs to val. The hash of the text decides, so that `share` of all texts are in val."""
    return xxhash.xxh3_64_intdigest(text.encode(), _SPLIT_SEED) < share * 2**64
