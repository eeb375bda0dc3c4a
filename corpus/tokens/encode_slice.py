"""The first half of tokenizing: turn a slice of texts into ids, and put them into the boxes of the shuffle.

A document becomes the separator and its ids. Equal texts are in the same split, train or val, for every seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

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
from corpus.tokens.encoder import Encoder
from corpus.tokens.shuffle import KEY, WEIGHT, boxes_of, keys_of
from corpus.tokens.texts import TextSlice, read_slice
from corpus.tokens.token_folder import SPLITS
from corpus.tokens.tokenizer import Tokenizer

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
    `bits` is the number of key bits that select a box.
    """

    tokenizer: str
    seed: int
    val_share: float
    bits: int


def encode_slice(store: Store, source: TextSlice, encoding: Encoding, tokenizer: Tokenizer, encoder: Encoder) -> Commit:
    """Encode a slice and commit one file of boxes.

    The facts are the tokens, documents and bytes of text of each split, the tokens of each box, and the name of the
    library that encoded.
    """
    key = commit_key("encode", source.content(), digest(asdict(encoding)))
    done = read_commit(store, key)
    if done is not None:
        return done
    reached("encode_begun")
    totals = np.zeros((len(SPLITS), 3), dtype=np.int64)
    weights = np.zeros(len(SPLITS) << encoding.bits, dtype=np.int64)  # first the boxes of train, then the boxes of val
    with Outbox(store, "encoded", len(weights)) as out:
        for number, batch in enumerate(filter(len, read_slice(source))):
            texts = batch["text"].to_pylist()
            if not number:
                encoder.check(texts[:CHECKED])
            rows = _rows(batch, texts, encoding, tokenizer, encoder)
            in_val = _in_val(texts, encoding.val_share)
            boxes = boxes_of(rows["key"].to_numpy(), encoding.bits) + (in_val << encoding.bits)
            out.scatter(boxes, rows)
            np.add.at(weights, boxes, rows["weight"].to_numpy())
            counts = np.stack([rows["weight"].to_numpy(), np.ones(len(texts), np.int64), rows["bytes"].to_numpy()], 1)
            np.add.at(totals, in_val, counts)
        part = out.finish()
    filled = np.flatnonzero(weights)
    splits = {name: dict(zip(COUNTS, total, strict=True)) for name, total in zip(SPLITS, totals.tolist(), strict=True)}
    by_box = [filled.tolist(), weights[filled].tolist()]
    return commit(store, key, [part], {"splits": splits, "weights": by_box, "engine": encoder.engine})


def _rows(
    batch: pa.RecordBatch, texts: Sequence[str], encoding: Encoding, tokenizer: Tokenizer, encoder: Encoder
) -> pa.RecordBatch:
    """Return the rows of some documents. Raises IntegrityError if the ids of a text do not add up to its bytes."""
    ids, lengths = encoder.encode(texts)
    sizes = pc.binary_length(batch["text"]).to_numpy().astype(np.int64)
    firsts = np.cumsum(lengths) - lengths
    if not np.array_equal(np.add.reduceat(tokenizer.token_bytes[ids], firsts), sizes):
        raise IntegrityError(f"{encoder.engine} gave ids that are not the bytes of their text.", "Please report this.")
    weights = lengths + 1
    flat = np.insert(ids.astype(tokenizer.dtype), firsts, tokenizer.bos)
    offsets = np.concatenate([[0], np.cumsum(weights)]) * flat.itemsize
    tokens = pa.Array.from_buffers(pa.large_binary(), len(texts), [None, pa.py_buffer(offsets), pa.py_buffer(flat)])
    keys = pa.array(keys_of(batch["id"].to_pylist(), encoding.seed))
    columns = [keys, pa.array(weights), pa.array(sizes), batch["id"], tokens]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _in_val(texts: Sequence[str], share: float) -> np.ndarray:
    """Return 1 for each text of val and 0 for each of train."""
    return np.fromiter((is_in_val(text, share) for text in texts), np.int64, len(texts))


def is_in_val(text: str, share: float) -> bool:
    """Return True if a text belongs to val. The hash of the text decides, so that `share` of all texts are in val."""
    return xxhash.xxh3_64_intdigest(text.encode(), _SPLIT_SEED) < share * 2**64
