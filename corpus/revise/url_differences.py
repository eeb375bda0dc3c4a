"""The documents that moved between two runs whose archives were cut anew, so that records are at other places.

Records with the same URL (`corpus/url_identity.py`) are paired. First come records with the same record id, then kept
records with the same text, then kept records with the same date, and then the remaining records in the order of their
rows. The memory is some 60 bytes per record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from xxhash import xxh3_64_intdigest

from corpus.digests import differences
from corpus.outcome import KEPT
from corpus.revise.differences import ABSENT, EXAMPLES, Diff, Move, verdicts_of
from corpus.runs.row_groups import read_batches
from corpus.tables.ledger import ledger_identity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from corpus.runs.run_files import RunFiles

_LEDGER_ROWS = 1 << 16
_CORPUS_ROWS = 1 << 10  # these rows and their texts take about 5 MB
_STEP = np.uint64(0x9E3779B97F4A7C15)  # 2^64 by the golden ratio: its multiples lie far apart


@dataclass
class _Side:
    """The records of a run, in order. Each array has a value per ledger row."""

    run: RunFiles
    urls: np.ndarray
    """Hashes of the identities of URLs."""
    verdicts: np.ndarray
    """Indices into the list of verdicts. The index of `kept` is 0."""
    keys: dict[str, np.ndarray]
    """Hashes that distinguish the records of one URL: of record ids, texts and dates. A missing value is 0."""

    @classmethod
    def of(cls, run: RunFiles, verdicts: dict[str, int]) -> _Side:
        """Read a run. `verdicts` numbers the verdicts. New verdicts are added to it."""
        urls: list[int] = []
        codes: list[int] = []
        keys: dict[str, list[int]] = {"record": [], "text": [], "date": []}
        for batch in read_batches(run.paths("ledger"), ["url", "record_id", "outcome", "stage", "rule"], _LEDGER_ROWS):
            urls += [_hash(ledger_identity(url)) for url in batch["url"].to_pylist()]
            keys["record"] += map(_hash, batch["record_id"].to_pylist())
            names = verdicts_of(pa.Table.from_batches([batch])).to_pylist()
            codes += [verdicts.setdefault(name, len(verdicts)) for name in names]
        for batch in read_batches(run.paths("corpus"), ["text", "date"], _CORPUS_ROWS):
            for name in ("text", "date"):
                keys[name] += map(_hash, batch[name].to_pylist())
        side = cls(run, np.array(urls, np.uint64), np.array(codes, np.int64), {})
        for name, hashes in keys.items():
            side.keys[name] = np.zeros_like(side.urls)
            # the corpus has a row for each kept row of the ledger, in the same order
            side.keys[name][side.kept if name != "record" else slice(None)] = hashes
        return side

    @property
    def kept(self) -> np.ndarray:
        found: np.ndarray = self.verdicts == 0
        return found

    def examples(self, rows: Iterable[int]) -> dict[int, tuple[str, str]]:
        """Return the URLs of some rows, or the ids of rows without a URL, and the ids."""
        wanted = np.unique(np.fromiter(rows, np.int64))
        found: dict[int, tuple[str, str]] = {}
        first = 0
        for batch in read_batches(self.run.paths("ledger"), ["url", "id"], _LEDGER_ROWS):
            here = wanted[(wanted >= first) & (wanted < first + batch.num_rows)]
            for row, one in zip(here.tolist(), batch.take(pa.array(here - first)).to_pylist(), strict=True):
                found[row] = one["url"] or one["id"], one["id"]
            first += batch.num_rows
        return found


def diff_by_url(first: RunFiles, second: RunFiles, examples: int = EXAMPLES) -> Diff:
    """Compare two finished runs, record by record, even if records have moved. `examples` is the most examples per
    move."""
    codes = {KEPT: 0}
    one, other = _Side.of(first, codes), _Side.of(second, codes)
    left, right = _pairs(one, other)
    old, new = one.verdicts[left], other.verdicts[right]
    both = one.kept[left] & other.kept[right]
    changed = both & (one.keys["text"][left] != other.keys["text"][right])
    found = Diff(differences(first.info["recipe"], second.info["recipe"]))
    found.documents = (len(one.urls), len(other.urls))
    found.kept = (int(one.kept.sum()), int(other.kept.sum()))
    found.same = int((old == new).sum())
    found.same_text, found.other_text = int((both & ~changed).sum()), int(changed.sum())
    moved = old != new
    gone, added = (np.setdiff1d(np.arange(len(side.urls)), rows) for side, rows in ((one, left), (other, right)))
    absent = len(codes)
    names = [*codes, ABSENT]
    moves = _moves(left[moved], old[moved], new[moved])
    moves |= _moves(gone, one.verdicts[gone], np.full(len(gone), absent))
    more = _moves(added, np.full(len(added), absent), other.verdicts[added])
    chosen = {(names[was], names[now]): rows[:examples].tolist() for (was, now), rows in moves.items()}
    only_new = {(names[was], names[now]): rows[:examples].tolist() for (was, now), rows in more.items()}
    texts = left[changed][:examples].tolist()
    partners = dict(zip(left.tolist(), right.tolist(), strict=True))
    shown = one.examples([*texts, *(row for rows in chosen.values() for row in rows)])
    new_rows = [row for rows in only_new.values() for row in rows]
    others = other.examples([*new_rows, *(partners[row] for row in shown if row in partners)])

    def ids(row: int) -> tuple[str, str]:
        return shown[row][1], others[partners[row]][1] if row in partners else ""

    found.text_examples, found.text_ids = [shown[row][0] for row in texts], [ids(row) for row in texts]
    for (was, now), rows in moves.items():
        own = chosen[names[was], names[now]]
        found.moves[names[was], names[now]] = Move(len(rows), [shown[row][0] for row in own], [ids(row) for row in own])
    for (was, now), rows in more.items():
        own = [others[row] for row in only_new[names[was], names[now]]]
        found.moves[names[was], names[now]] = Move(len(rows), [url for url, _ in own], [("", name) for _, name in own])
    return found


def _hash(text: str | None) -> int:
    return xxh3_64_intdigest(text.encode()) if text else 0


def _pairs(one: _Side, other: _Side) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the records that are in both runs, pair by pair."""
    pairs = []
    rest = [np.arange(len(side.urls)) for side in (one, other)]
    for name in ("record", "text", "date", ""):
        rows, keys = [], []
        for side, left in zip((one, other), rest, strict=True):
            own = side.keys[name][left] if name else np.ones(len(left), np.uint64)
            rows.append(left[own != 0])
            keys.append(_numbered(side.urls[rows[-1]] ^ own[own != 0] * _STEP))
        _, *at = np.intersect1d(keys[0], keys[1], assume_unique=True, return_indices=True)
        found = [some[here] for some, here in zip(rows, at, strict=True)]
        pairs.append(found)
        rest = [np.setdiff1d(left, some) for left, some in zip(rest, found, strict=True)]
    left, right = (np.concatenate(some) for some in zip(*pairs, strict=True))
    order = np.argsort(left)
    return left[order], right[order]


def _numbered(keys: np.ndarray) -> np.ndarray:
    """Return keys without duplicates. The n-th of several equal keys gets a new value, the same in both runs."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(keys)])
    lengths = np.diff(np.append(starts, len(keys)))
    found = np.empty_like(keys)
    found[order] = ordered + (np.arange(len(keys)) - np.repeat(starts, lengths)).astype(np.uint64) * _STEP
    return found


def _moves(rows: np.ndarray, old: np.ndarray, new: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    """Return the rows of each move, in order, by its verdicts."""
    pairs = np.stack([old, new], axis=1)
    return {(was, now): rows[(old == was) & (new == now)] for was, now in np.unique(pairs, axis=0).tolist()}
