"""Signatures of any number of made documents, as the pass leaves them, with a realistic distribution of clusters.

45% of the documents are in clusters. The sizes of clusters follow a power law: half of them are pairs, and the largest,
pages of one template, hold up to a hundredth of all documents. A third of the clustered documents have the text of
another one; the others agree with the middle of their cluster in 50 to 100% of the values, most of them in more than
85%. Members lie anywhere in the collection, as the pages of a crawl do. All values are hashes of numbers, so that a
unit can be made on its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.dedup_runs import write_unit
from corpus.dedup.contract import DocumentComparison
from corpus.dedup.signature_rows import binary_column
from corpus.storage.commits import Commit
from corpus.storage.store import LocalStore
from filters.minhash import VALUE

VALUES = 112
CLUSTERED = 0.45
EQUAL_TEXT = 1 / 3
EXPONENT = 2.5

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def cluster_of(count: int, seed: int) -> np.ndarray:
    """The cluster of each document. A document that is alone has a number from `count` on."""
    rng = np.random.default_rng(seed)
    wanted, most = int(CLUSTERED * count), max(count // 100, 2)
    sizes: list[np.ndarray] = []
    got = 0
    while got < wanted:
        some = np.minimum(rng.pareto(EXPONENT - 1, 1 << 16) * 2 + 2, most).astype(np.int64)
        sizes.append(some)
        got += int(some.sum())
    size = np.concatenate(sizes)
    size = size[np.cumsum(size) <= wanted]
    clusters = np.arange(count, 2 * count, dtype=np.int64)
    members = np.repeat(np.arange(len(size)), size)
    clusters[rng.permutation(count)[: len(members)]] = members
    return clusters


def mixed(numbers: np.ndarray) -> np.ndarray:
    """A hash of each 64-bit number."""
    numbers = numbers * _GOLDEN
    numbers ^= numbers >> np.uint64(32)
    numbers *= np.uint64(0xD6E8FEB86659FD93)
    numbers ^= numbers >> np.uint64(32)
    return numbers


def documents(
    clusters: np.ndarray, first: int, seed: int, kind: np.dtype = VALUE
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Text hashes (n, 2), signatures (n, 112) and lengths of the documents from `first` on."""
    count = len(clusters)
    cluster = clusters.astype(np.uint64) + np.uint64(seed << 40)
    number = np.arange(first, first + count, dtype=np.uint64) + np.uint64((seed << 40) + (1 << 36))
    draws = mixed(number + np.uint64(1 << 60))
    alone = clusters >= 1 << 62
    equal = (draws % np.uint64(1000) < np.uint64(int(1000 * EQUAL_TEXT))) & ~alone
    # the values of documents with equal texts follow from their cluster alone
    own = np.where(equal, cluster + np.uint64(1 << 59), number)
    share = 1 - 0.5 * ((mixed(own + np.uint64(1 << 61)) >> np.uint64(11)) / float(1 << 53)) ** 2
    columns = np.arange(VALUES, dtype=np.uint64)
    ours = mixed(own[:, None] * np.uint64(VALUES) + columns)
    cluster = np.where(alone, number, cluster)
    theirs = mixed(cluster[:, None] * np.uint64(VALUES) + columns + np.uint64(1 << 58))
    alike = (ours >> np.uint64(40)) < (share[:, None] * (1 << 24)).astype(np.uint64)
    signatures = np.where(alike, theirs, ours).astype(kind)
    texts = np.stack((mixed(own), mixed(own + np.uint64(1 << 57))), axis=1)
    lengths = (mixed(own + np.uint64(1 << 56)) % np.uint64(20_000)).astype(np.float64)
    return texts, signatures, lengths


def write_units(
    folder: Path,
    dedup: DocumentComparison,
    count: int,
    *,
    rows: int = 1000,
    per_archive: int = 20_000,
    seed: int = 1,
    later: int = 0,
) -> Iterator[Commit]:
    """Write the signature files of `count` documents, `rows` to a unit; yield the units' commits. Those of another
    crawl (`later`) are other members of the same clusters, or pages of their own."""
    store = LocalStore(folder)
    schema = dedup.signed_schema()
    clusters = cluster_of(count, seed)
    clusters[clusters >= count] += 1 << 62
    for start in range(0, count, 16 * rows):
        texts, signatures, lengths = documents(clusters[start : start + 16 * rows], start + (later << 34), seed)
        for at in range(0, len(texts), rows):
            here = slice(at, at + rows)
            size = len(texts[here])
            first = start + at
            columns = {
                "offset": pa.array(np.arange(first, first + size) % per_archive * 27_000),
                "inner": pa.array(np.zeros(size, np.int32)),
                "text_hash": binary_column(texts[here].view(np.uint8)),
                "preference": pa.array(-lengths[here]),
                "site": pa.array([f"site{n}.example" for n in (texts[here, 0] % np.uint64(count // 20 + 1)).tolist()]),
                "signature": binary_column(signatures[here].view(np.uint8)),
            }
            batch = pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
            warc = f"CC-MAIN-2026100{later}000000-20261001030000-{first // per_archive:05d}.warc.gz"
            yield write_unit(store, batch, warc, str(first))
