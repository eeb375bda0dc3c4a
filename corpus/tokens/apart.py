"""Documents that training must not see, because they are in a validation set, or are another version of such a page.

A document is named by two hashes: of its text, and of the identity of its URL if there is a column `url`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import xxhash

from corpus.digests import digest
from corpus.errors import IntegrityError
from corpus.storage.commits import Commit, add_part, check_part, commit, commit_key, read_commit
from corpus.storage.crash_points import reached
from corpus.storage.store import Store, scratch_file
from corpus.tokens.choice import ChosenRows, SourceSlice
from corpus.tokens.encode_slice import is_in_val
from corpus.url_identity import url_identity

_TEXT_SEED, _URL_SEED = 0xA9A, 0xA9B


@dataclass(frozen=True)
class Apart:
    """The sorted hashes of documents that are held apart from training."""

    hashes: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))

    @classmethod
    def of_commits(cls, store: Store, made: Iterable[Commit]) -> Apart:
        """Join the hashes of several slices."""
        parts = [np.frombuffer(check_part(store, done.parts[0]), "<u8") for done in made]
        return cls(np.unique(np.concatenate([np.empty(0, np.uint64), *parts])))

    @classmethod
    def from_bytes(cls, data: bytes | None, sha256: str) -> Apart:
        """Raises IntegrityError unless the data has this digest."""
        if hashlib.sha256(data or b"").hexdigest() != sha256:
            raise IntegrityError("The list of documents held apart is missing or damaged.", "Begin in another folder.")
        return cls(np.frombuffer(data or b"", "<u8"))

    @property
    def data(self) -> bytes:
        return self.hashes.astype("<u8").tobytes()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    def contains(self, found: ChosenRows) -> np.ndarray:
        """Return True for each document whose text or URL is held apart."""
        held = self._has(text_hashes(found.table["text"].to_pylist()))
        if "url" in found.table.schema.names:
            there, hashes = url_hashes(found.table["url"])
            held[there] |= self._has(hashes)
        return held

    def _has(self, hashes: np.ndarray) -> np.ndarray:
        at = np.searchsorted(self.hashes, hashes)
        inside = at < len(self.hashes)
        inside[inside] = self.hashes[at[inside]] == hashes[inside]
        return inside


def text_hashes(texts: Sequence[str]) -> np.ndarray:
    return np.fromiter((xxhash.xxh3_64_intdigest(text.encode(), _TEXT_SEED) for text in texts), np.uint64, len(texts))


def url_hashes(urls: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the rows that have a URL, and the hash of each of these URLs."""
    given = enumerate(urls.cast(pa.large_binary()).to_pylist())  # a file of a stranger may have URLs that are not UTF-8
    there = [(row, url_identity(url.decode("utf-8", "replace"))) for row, url in given if url]
    hashes = (xxhash.xxh3_64_intdigest(url.encode(), _URL_SEED) for _, url in there)
    return np.array([row for row, _ in there], np.int64), np.fromiter(hashes, np.uint64, len(there))


def hash_slice(store: Store, source: SourceSlice, val_share: float) -> Commit:
    """Commit the hashes of the validation documents of a slice. With a share of 1, these are all of its documents."""
    key = commit_key("apart", source.content(), digest([val_share, source.part.has_url]))
    done = read_commit(store, key)
    if done is not None:
        return done
    reached("apart_begun")
    hashes = [np.empty(0, np.uint64)]
    for found in source.read(Counter(), source.part.text_columns):
        in_val = [is_in_val(text, val_share) for text in found.table["text"].to_pylist()]
        held = found.where(np.array(in_val, dtype=bool))
        hashes.append(text_hashes(held.table["text"].to_pylist()))
        if source.part.has_url:
            hashes.append(url_hashes(held.table["url"])[1])
    with scratch_file(store) as scratch:
        scratch.write_bytes(np.concatenate(hashes).astype("<u8").tobytes())
        part = add_part(store, "apart", scratch, sum(map(len, hashes)), suffix=".bin")
    return commit(store, key, [part], {})
