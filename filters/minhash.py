"""Near-duplicates of whole documents by MinHash, verified before anything is removed.

minhash = MinHash(keep="earliest")
signed = minhash.sign(doc)
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, get_args

import numpy as np

from corpus.clusters import Verdicts, compare
from corpus.dedup import Dedup, Signed
from corpus.errors import ConfigError, did_you_mean
from corpus.minhash import BANDS, ROWS, Scheme, sign, text_hash
from corpus.shingles import joined_shingles, shingles
from corpus.stage import Limit

if TYPE_CHECKING:
    from corpus.document import Document

KEEP = ("longest", "earliest", "best")
CLUSTERS = ("verified", "classic")


class MinHash(Dedup):
    """Near-duplicate documents by MinHash over word 5-grams, 14 bands of 8 (FineWeb: Penedo et al. 2024, E.1).

    Equal texts are found first, by hash. Texts that share a band are candidates; what a candidate group removes is
    decided by `clusters`: "verified" keeps the preferred document, removes those whose estimated Jaccard similarity
    to it is at least the limit, and repeats on the rest, so that no chain of unlike documents is removed; "classic"
    removes all but one of everything that is connected, as datatrove does, and gives the similarity as information.
    `keep` prefers the "longest" text, the "earliest" capture, or the "best" language score; ties go to the first in
    (archive, offset) order. `scheme` is "affine32" (datasketch 2.0's) or "datatrove".
    """

    name = "minhash"
    source = "FineWeb (arXiv:2406.17557, E.1); MinHash of datatrove 0.10.1; affine32 of datasketch 2.0"

    similarity = Limit(below=0.7)

    def __init__(
        self, *, scheme: Scheme = "affine32", keep: str = "longest", clusters: str = "verified", language: str = "en"
    ) -> None:
        for what, value, known in (
            ("scheme", scheme, get_args(Scheme)),
            ("keep", keep, KEEP),
            ("clusters", clusters, CLUSTERS),
        ):
            if value not in known:
                raise ConfigError(f"minhash.{what} = {value!r} is unknown.", did_you_mean(str(value), known))
        self.scheme = scheme
        self.keep = keep
        self.clusters = clusters
        self.language = language

    def sign(self, doc: Document) -> Signed:
        make = joined_shingles if self.scheme == "datatrove" else shingles
        signature = sign(make(doc.text, self.language), BANDS * ROWS, self.scheme)
        return Signed(text_hash(doc.text), None if signature is None else signature.tobytes(), self._preference(doc))

    def compare(
        self, hashes: np.ndarray, signatures: np.ndarray, signed: np.ndarray, rank: np.ndarray, limit: Limit
    ) -> Verdicts:
        kind = np.dtype("<u8" if self.scheme == "datatrove" else "<u4")
        width = BANDS * ROWS * kind.itemsize
        matrix = signatures.view(kind) if signatures.shape[1] == width else np.zeros((len(rank), BANDS * ROWS), kind)
        threshold = None if self.clusters == "classic" else limit.below
        return compare(hashes, matrix, signed=signed, rank=rank, threshold=threshold)

    def _preference(self, doc: Document) -> float:
        if self.keep == "longest":
            return -float(len(doc.text))
        if self.keep == "best":
            return -(doc.language_score or 0.0)
        return _seconds(doc.date)


def _seconds(date: str) -> float:
    """A WARC date as seconds; one that can't be read comes last."""
    try:
        read = datetime.fromisoformat(date)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return float("inf")
