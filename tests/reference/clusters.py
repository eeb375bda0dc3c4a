"""All steps of `corpus.dedup.clusters` on one machine. The phases of a comparison must give the same in any
division."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from corpus.dedup.clusters import (
    ROUNDS,
    Floats,
    candidate_edges,
    connect,
    leaders,
    roots,
    signature_similarity,
    transitive,
    verify,
)
from corpus.dedup.signatures import BANDS, ROWS, Signature, band_keys
from corpus.text.vocabulary import Flags, Hashes, Ints

THRESHOLD = 0.7
_SIGNATURES_PER_BLOCK = 1 << 16


@dataclass(frozen=True)
class ReferenceVerdicts:
    """One entry per document in every array.

    `kept_doc` is the keeper of the document, itself if it is kept. `similarity` is the similarity to the keeper (1 for
    itself). `exact` is True if the document was removed and the texts are equal. `cluster_size` counts the documents of
    its cluster.
    """

    kept_doc: Ints
    similarity: Floats
    exact: Flags
    unverified: int

    @property
    def removed(self) -> Ints:
        """The numbers of the removed documents."""
        return np.flatnonzero(self.kept_doc != np.arange(len(self.kept_doc)))

    @property
    def cluster_size(self) -> Ints:
        return np.bincount(self.kept_doc, minlength=1)[self.kept_doc]


def compare(
    text_hashes: Hashes,
    signatures: Signature,
    *,
    signed: Flags | None = None,
    rank: Ints | None = None,
    bands: int = BANDS,
    rows: int = ROWS,
    threshold: float | None = THRESHOLD,
    rounds: int = ROUNDS,
) -> ReferenceVerdicts:
    """Return the verdicts on n documents, all of them compared with each other.

    `text_hashes` has shape (n, 2): 16 bytes per document as two integers. `signatures` has shape (n, bands × rows) and
    may be a memory map. `signed` says which rows count (all, if None): a text without shingles is compared by its hash
    only. `rank` is the keeper order. A `threshold` of None is the classic, transitive way.
    """
    count = len(text_hashes)
    rank = np.zeros(count, dtype=np.int64) if rank is None else rank
    leader = leaders(text_hashes, rank)
    compared = leader == np.arange(count)
    if signed is not None:
        compared &= signed
    docs = np.flatnonzero(compared)
    keys = np.empty((bands, len(docs)), dtype=np.uint64)
    for start in range(0, len(docs), _SIGNATURES_PER_BLOCK):
        block = docs[start : start + _SIGNATURES_PER_BLOCK]
        keys[:, start : start + len(block)] = band_keys(signatures[block], bands, rows).T
    component = components(count, (candidate_edges(band, docs) for band in keys))
    similarity = signature_similarity(signatures)
    if threshold is None:
        verdicts = transitive(component, rank, similarity)
    else:
        verdicts = verify(component, rank, similarity, threshold, rounds)
    twin = leader != np.arange(count)
    exact = twin & (verdicts.kept_doc[leader] == leader)
    return ReferenceVerdicts(verdicts.kept_doc[leader], verdicts.similarity[leader], exact, verdicts.unverified)


def components(count: int, edges: Iterable[tuple[Ints, Ints]]) -> Ints:
    """Return, for each of `count` documents, the lowest document that edges connect it with, which may be itself.

    Edges come as batches of two arrays. The result is again a set of edges with the same components, at most one per
    document, by which the components of many batches or tasks can be joined. A batch of m edges between k components
    takes at most 2 log2(k) rounds over its remaining edges.
    """
    parent = np.arange(count)
    for left, right in edges:
        connect(parent, left, right)
    return roots(parent, parent)
