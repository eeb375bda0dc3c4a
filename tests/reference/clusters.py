"""All steps of `corpus.dedup.clusters` on one machine: what the phases of dedup must give, however they are divided."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from corpus.dedup.clusters import (
    ROUNDS,
    ClusterVerdicts,
    Ints,
    _counted,
    candidate_edges,
    connect,
    exact_keepers,
    roots,
    signature_similarity,
    transitive,
    verify,
)
from corpus.dedup.signatures import BANDS, ROWS, Signature, band_keys
from corpus.text.shingles import Hashes

THRESHOLD = 0.7
_SIGNATURES_PER_BLOCK = 1 << 16


def compare(
    text_hashes: Hashes,
    signatures: Signature,
    *,
    signed: NDArray[np.bool_] | None = None,
    rank: Ints | None = None,
    bands: int = BANDS,
    rows: int = ROWS,
    threshold: float | None = THRESHOLD,
    rounds: int = ROUNDS,
) -> ClusterVerdicts:
    """Return the verdicts on n documents, all of them compared with each other.

    `text_hashes` has shape (n, 2): 16 bytes per document as two integers. `signatures` has shape (n, bands × rows) and
    may be a memory map. `signed` says which rows count (all, if None): a text without shingles is compared by its hash
    only. `rank` is the keeper order. A `threshold` of None is the classic, transitive way.
    """
    count = len(text_hashes)
    rank = np.zeros(count, dtype=np.int64) if rank is None else rank
    twins = exact_keepers(text_hashes, rank)
    compared = twins == np.arange(count)
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
    return with_twins(verdicts, twins)


def components(count: int, edges: Iterable[tuple[Ints, Ints]]) -> Ints:
    """Return, for each of `count` documents, the lowest document that edges connect it with, which may be itself.

    Edges come as batches of two arrays. The result is again a set of edges with the same components, at most one per
    document, by which the components of many batches or tasks can be joined. A batch of m edges between k components
    takes at most 2 log2(k) rounds over its remaining edges.
    """
    parent = np.arange(count)
    for ours, theirs in edges:
        connect(parent, ours, theirs)
    return roots(parent, parent)


def with_twins(verdicts: ClusterVerdicts, twins: Ints) -> ClusterVerdicts:
    """Return the verdicts with those of the documents that `exact_keepers` set aside: each has the verdict of its
    keeper, and is an exact duplicate if that is kept."""
    docs = np.flatnonzero(twins != np.arange(len(twins)))
    equals = twins[docs]
    for array in (verdicts.kept_doc, verdicts.similarity, verdicts.round):
        array[docs] = array[equals]
    verdicts.exact[docs] = verdicts.kept_doc[docs] == equals
    return _counted(verdicts, verdicts.unverified)
