"""From band keys to verdicts: which documents repeat which kept one, and how much. Pure functions on arrays.

    verdicts = compare(text_hashes, signatures, signed=…, rank=…)
    verdicts.removed, verdicts.kept_doc, verdicts.similarity

Documents are numbers from 0; where one is preferred is its `rank` (the lowest is kept), ties go to the lower number.
The steps work on any subset of the documents (a range of keys, a set of components), so that many tasks can share
them; `compare` is their composition on one machine:

1. `exact_keepers`: of equal texts only the preferred one is compared; the others follow it.
2. `candidate_edges`: documents with an equal key, each joined to the first of them: n - 1 edges for n documents,
   also where n is a million.
3. `components`: of those edges; what can't be reached can't be a duplicate.
4. `verify`: in each component the preferred document is kept, those at least as similar to *it* as the threshold are
   removed, and the rest starts over. No document is removed because of a chain of unlike ones; or `transitive`, the
   classic way, in which all of a component is removed but one.

Components are found here and not by scipy, which needs all edges at once, is no faster (1 million documents with 1.7
million edges: .22 s against .10 s) and would serve nothing else in the project.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corpus.dedup.minhash import BANDS, ROWS, Signature, band_keys, estimated_jaccard
from corpus.text.shingles import Hashes

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Similarity = Callable[[Ints, Ints], Floats]
"""How similar each of some documents is to its keeper: (documents, keepers) → values of 0 to 1."""

THRESHOLD = 0.7
ROUNDS = 64
"""Rounds that a component may take: one of up to `rounds` + 1 documents always ends before. Of 300,000 made documents
with clusters of up to 3,000, 64 rounds miss .05% of the removals and 256 rounds .02%."""

_PAIRS_PER_BLOCK = 1024  # two signatures of 448 bytes each: a block stays in a core's cache
_SIGNATURES_PER_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class ClusterVerdicts:
    """One entry per document in every array.

    `kept_doc` is the kept document that stands for it, itself where it is kept; `similarity` how similar it is to
    that (1 for itself); `exact` whether it was removed and the texts are equal; `cluster_size` the number of
    documents for which that one stands, itself included; `round` the round of `verify` that removed it, 0 where
    none did. `unverified` counts the kept documents that were not compared with every keeper before them in their
    component, because the rounds were used up.
    """

    kept_doc: Ints
    similarity: Floats
    cluster_size: Ints
    exact: NDArray[np.bool_]
    round: NDArray[np.int32]
    unverified: int

    @property
    def removed(self) -> Ints:
        """The numbers of the removed documents."""
        return np.flatnonzero(self.kept_doc != np.arange(len(self.kept_doc)))


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
    """The verdict on each of n documents, all of them compared with each other.

    `text_hashes` has shape (n, 2): 16 bytes per document as two integers. `signatures` has shape (n, bands × rows)
    and may be a memory map; `signed` says which rows count (all, if None): a text without shingles is compared by
    its hash only. `rank` is the keeper order. `threshold` of None is the classic, transitive way.
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


def exact_keepers(text_hashes: Hashes, rank: Ints) -> Ints:
    """For each document, the preferred one of those with its text: itself where it is that or alone.

    `text_hashes` has shape (n, 2).
    """
    keepers = np.arange(len(text_hashes))
    docs = np.sort(_repeated(text_hashes[:, 0])[0])
    if len(docs):
        high, low = text_hashes[docs, 0], text_hashes[docs, 1]
        order = np.lexsort((rank[docs], low, high))
        docs, high, low = docs[order], high[order], low[order]
        starts = np.flatnonzero(np.append(True, (high[1:] != high[:-1]) | (low[1:] != low[:-1])))
        keepers[docs] = np.repeat(docs[starts], _sizes(starts, len(docs)))
    return keepers


def candidate_edges(keys: Hashes, docs: Ints) -> tuple[Ints, Ints]:
    """For pairs of key and document, in any order: edges (first, other) from the lowest document of each key."""
    places, starts = _repeated(keys)
    if not len(places):
        return places, places
    others = docs[places]
    firsts = np.repeat(np.minimum.reduceat(others, starts), _sizes(starts, len(others)))
    edge = firsts != others
    return firsts[edge], others[edge]


def components(count: int, edges: Iterable[tuple[Ints, Ints]]) -> Ints:
    """For each of `count` documents, the lowest document that edges connect it with, itself where there is none.

    Edges come as batches of two arrays. The result is again a set of edges with the same components, at most one
    per document, by which the components of many batches or tasks can be joined. A batch of m edges between k
    components takes at most 2 log2(k) rounds over what is left of it.
    """
    parent = np.arange(count)
    for ours, theirs in edges:
        connect(parent, ours, theirs)
    return roots(parent, parent)


def connect(parent: Ints, ours: Ints, theirs: Ints) -> None:
    """Join what a batch of edges connects: `parent` names for each document one of its component that is no higher,
    itself at first, and keeps doing so; `roots` follows it to the lowest."""
    # Of two roots that an edge connects, the higher one is hooked to the lowest that it has an edge with. A root
    # that survives two rounds has swallowed a neighbour of its own: in the first, all its neighbours are higher; were
    # they all hooked elsewhere, lower, then it has a lower neighbour in the second and is hooked itself.
    while len(ours):
        ours, theirs = roots(parent, ours), roots(parent, theirs)
        apart = ours != theirs
        ours, theirs = ours[apart], theirs[apart]
        high = np.maximum(ours, theirs)
        np.minimum.at(parent, high, np.minimum(ours, theirs))
        while not np.array_equal(above := parent[parent[high]], parent[high]):
            parent[high] = above


def roots(parent: Ints, docs: Ints) -> Ints:
    """The lowest document of each one's component, as far as `parent` knows."""
    docs = parent[docs]
    while not np.array_equal(above := parent[docs], docs):
        docs = above
    return docs


def verify(
    component: Ints,
    rank: Ints,
    similarity: Similarity,
    threshold: float = THRESHOLD,
    rounds: int = ROUNDS,
    stays: NDArray[np.bool_] | None = None,
) -> ClusterVerdicts:
    """Keep the preferred document of each component, remove those that are at least `threshold` similar to it, and
    start over with the rest, `rounds` times at most; what is left then is kept and counted.

    `component` holds a number below n for each of n documents, equal where they belong together. Documents of which
    `stays` is true are not removed.
    """
    verdicts = _all_kept(len(component))
    rest = _members(component, rank)
    for number in range(1, rounds + 1):
        if not len(rest):
            break
        keepers = _first_of_each(component[rest], rest)
        others = rest != keepers
        rest, keepers = rest[others], keepers[others]
        values = similarity(rest, keepers)
        same = values >= threshold if stays is None else (values >= threshold) & ~stays[rest]
        verdicts.kept_doc[rest[same]] = keepers[same]
        verdicts.similarity[rest[same]] = values[same]
        verdicts.round[rest[same]] = number
        rest = rest[~same]
        rest = rest[_has_company(component[rest])]  # one that is left alone was compared with all keepers
    return _counted(verdicts, len(rest) - len(np.unique(component[rest])))


def transitive(
    component: Ints, rank: Ints, similarity: Similarity, stays: NDArray[np.bool_] | None = None
) -> ClusterVerdicts:
    """Keep the preferred document of each component and remove all others but those that stay, as datatrove does
    (there the keeper is arbitrary). The similarity to the keeper is information: it can be low, at the other end of a
    chain."""
    verdicts = _all_kept(len(component))
    docs = _members(component, rank)
    keepers = _first_of_each(component[docs], docs)
    others = docs != keepers if stays is None else (docs != keepers) & ~stays[docs]
    docs, keepers = docs[others], keepers[others]
    verdicts.kept_doc[docs] = keepers
    verdicts.similarity[docs] = similarity(docs, keepers)
    verdicts.round[docs] = 1
    return _counted(verdicts, 0)


def with_twins(verdicts: ClusterVerdicts, twins: Ints) -> ClusterVerdicts:
    """The verdicts, changed for those documents that `exact_keepers` set aside: each has the fate of its equal, and
    where that is kept, repeats it exactly."""
    docs = np.flatnonzero(twins != np.arange(len(twins)))
    equals = twins[docs]
    for array in (verdicts.kept_doc, verdicts.similarity, verdicts.round):
        array[docs] = array[equals]
    verdicts.exact[docs] = verdicts.kept_doc[docs] == equals
    return _counted(verdicts, verdicts.unverified)


def signature_similarity(signatures: Signature) -> Similarity:
    """Jaccard similarity as two rows of `signatures` estimate it."""

    def similarity(docs: Ints, keepers: Ints) -> Floats:
        values = np.empty(len(docs))
        for start in range(0, len(docs), _PAIRS_PER_BLOCK):
            block = slice(start, start + _PAIRS_PER_BLOCK)
            values[block] = estimated_jaccard(signatures[docs[block]], signatures[keepers[block]])
        return values

    return similarity


def _repeated(keys: Hashes) -> tuple[Ints, Ints]:
    """The places of the keys that occur more than once, equal ones together, and where each run of them starts.

    Most keys occur once. They are left out before anything is sorted with its place, which takes six times as long
    as sorting bare keys: a table over the low bits (keys of one task can have equal high bits) says which may
    repeat.
    """
    ordered = np.sort(keys)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    mask = np.uint64((1 << (8 * len(repeated)).bit_length()) - 1)
    table = np.zeros(int(mask) + 1, dtype=np.bool_)
    table[repeated & mask] = True
    places = np.flatnonzero(table[keys & mask])
    places = places[np.argsort(keys[places])]
    ordered = keys[places]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])
    sizes = _sizes(starts, len(places))
    several = sizes > 1
    starts = np.cumsum(sizes[several]) - sizes[several]
    return places[np.repeat(several, sizes)], starts


def _sizes(starts: Ints, end: int) -> Ints:
    """The lengths of consecutive runs that begin at `starts`, the last one up to `end`."""
    return np.diff(starts, append=end)


def _members(component: Ints, rank: Ints) -> Ints:
    """The documents of components of several, by component and in keeper order within."""
    sizes = np.bincount(component, minlength=1)
    docs = np.flatnonzero(sizes[component] > 1)
    return docs[np.lexsort((rank[docs], component[docs]))]


def _first_of_each(component: Ints, docs: Ints) -> Ints:
    """For each of `docs`, sorted by component, the first one of its component."""
    starts = np.flatnonzero(np.append(True, component[1:] != component[:-1])[: len(component)])
    return np.repeat(docs[starts], _sizes(starts, len(docs)))


def _has_company(component: Ints) -> NDArray[np.bool_]:
    """Of sorted components, which entries have a neighbour in the same one."""
    company = np.zeros(len(component), dtype=np.bool_)
    same = component[1:] == component[:-1]
    company[1:] |= same
    company[:-1] |= same
    return company


def _all_kept(count: int) -> ClusterVerdicts:
    return ClusterVerdicts(
        kept_doc=np.arange(count),
        similarity=np.ones(count),
        cluster_size=np.ones(count, dtype=np.int64),
        exact=np.zeros(count, dtype=np.bool_),
        round=np.zeros(count, dtype=np.int32),
        unverified=0,
    )


def _counted(verdicts: ClusterVerdicts, unverified: int) -> ClusterVerdicts:
    sizes = np.bincount(verdicts.kept_doc, minlength=1)[verdicts.kept_doc]
    return ClusterVerdicts(verdicts.kept_doc, verdicts.similarity, sizes, verdicts.exact, verdicts.round, unverified)
