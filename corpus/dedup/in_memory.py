"""Comparisons of documents that are all in memory. They find what the phases of a build find for the same documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from corpus.dedup.clusters import connect, leaders, roots, run_starts, transitive, verify
from corpus.dedup.lines import FACTS, GroupLines, best_kept, evidence_of, losing
from corpus.outcome import DROPPED, Outcome, Value
from corpus.text.lines import without_lines
from corpus.text.vocabulary import Hashes, Ints, runs

if TYPE_CHECKING:
    from corpus.dedup.contract import DocumentComparison, LineComparison, Signed, SignedLines
    from corpus.stage import BoundStage


def compare_documents(stage: DocumentComparison, bound: BoundStage, outcomes: Sequence[Outcome]) -> None:
    """Drop the documents that repeat another one, and fill the measures of all that were compared.

    Of equals, the first outcome counts as the first document.
    """
    threshold = bound.limits[stage.rule].below
    signed: list[Signed] = [outcome.signed[stage.kind] for outcome in outcomes]
    if threshold is None or not signed:
        return
    texts = np.frombuffer(b"".join(one.text_hash for one in signed), "<u8").reshape(-1, 2)
    preference = np.array([one.preference for one in signed])
    leader = leaders(texts, preference)
    at = np.flatnonzero(leader == np.arange(len(signed)))
    width = stage.signature_bytes
    rows = np.frombuffer(b"".join(signed[i].signature or bytes(width) for i in at), np.uint8).reshape(-1, width)
    shingles = pa.array([signed[i].shingles or b"" for i in at], pa.binary()) if stage.with_shingles else None
    has_keys = np.array([signed[i].signature is not None for i in at])
    component = _components(stage.keys(rows), has_keys)
    compared = component, preference[at], stage.compared(rows, shingles)
    found = transitive(*compared) if stage.transitive else verify(*compared, threshold)
    place = np.searchsorted(at, leader)  # twins follow their leader
    kept = at[found.kept_doc[place]]
    similarity = np.where(kept == leader, 1.0, found.similarity[place])
    sizes = np.bincount(kept, minlength=len(signed))
    in_cluster = (np.bincount(component, minlength=len(at))[component] > 1)[place]
    in_cluster |= np.bincount(leader, minlength=len(signed))[leader] > 1
    for doc in np.flatnonzero(in_cluster).tolist():
        keeper = int(kept[doc])
        evidence: dict[str, Value] = {"cluster_size": int(sizes[keeper])}
        if keeper != doc:
            evidence["similarity"] = value = round(float(similarity[doc]), 6)
            evidence["exact"] = int(keeper == leader[doc])
            evidence["preferred"] = int(preference[doc] < preference[keeper])
            _drop(outcomes[doc], bound, stage.rule, value, threshold, outcomes[keeper].doc.id)
        _measure(outcomes[doc], bound, stage.evidence, evidence)


def _components(keys: Hashes, has_keys: np.ndarray) -> Ints:
    """Return the component of each document: documents that share a key are connected."""
    from datasketch import MinHash, MinHashLSH  # it imports scipy, which page workers must not load

    parent = np.arange(len(keys))
    index = MinHashLSH(num_perm=keys.shape[1], params=(keys.shape[1], 1))
    low, high = [], []
    for doc in np.flatnonzero(has_keys).tolist():
        hashes = MinHash(num_perm=keys.shape[1], hashvalues=keys[doc], scheme="affine64")
        others = index.query(hashes)
        low += others
        high += [doc] * len(others)
        index.insert(doc, hashes, check_duplication=False)
    connect(parent, np.array(low, np.int64), np.array(high, np.int64))
    return roots(parent, np.arange(len(keys)))


def compare_lines(stage: LineComparison, bound: BoundStage, outcomes: Sequence[Outcome]) -> None:
    """Cut the lines that enough documents share, and drop the documents that would lose too much."""
    lines = _lines([outcome.signed[stage.kind] for outcome in outcomes])
    hashes = lines.had()
    starts = run_starts(hashes)
    known = hashes[starts][np.diff(starts, append=len(hashes)) >= stage.documents]
    at = lines.find(known)
    removed = at >= 0
    if stage.keep == "first":
        removed &= lines.doc != np.append(lines.first_of(at, len(known)), -1)[at]
    lost = losing(lines, removed, bound, stage.evidence)
    dropped = np.zeros(len(outcomes), np.bool_)
    dropped[lost["doc"].to_numpy()] = True
    keeper = np.full(len(at), -1)
    if stage.keep == "first":
        keeper = np.append(lines.first_of(np.where(dropped[lines.doc], -1, at), len(known)), -1)[at]
    removed = (at >= 0) & (keeper != lines.doc)
    losses = lines.losses(removed)
    for name in FACTS:
        losses[name][lost["doc"].to_numpy()] = lost[name].to_numpy()
    kept_in: dict[int, str] = {}
    if len(held := np.flatnonzero(removed & (keeper >= 0))):
        for line in held[best_kept(lines.doc[held], keeper[held], lines.chars[held])].tolist():
            kept_in[int(lines.doc[line])] = outcomes[int(keeper[line])].doc.id
    evidence = evidence_of(losses)
    rules = {row["doc"]: row for row in lost.to_pylist()}
    for doc in np.flatnonzero(dropped | (losses["removed"] > 0)).tolist():
        outcome, values = outcomes[doc], {name: column[doc].item() for name, column in evidence.items()}
        _measure(outcome, bound, stage.evidence, {**values, "kept_in": kept_in.get(doc)})
        if row := rules.get(doc):
            _drop(outcome, bound, row["rule"], row["value"], row["limit"], kept_in.get(doc, ""))
        else:
            cut = lines.line[removed & (lines.doc == doc)].tolist()
            outcome.doc.text = without_lines(outcome.doc.text, cut, stage.split)


def _lines(signed: Sequence[SignedLines]) -> GroupLines:
    hashes = [np.frombuffer(one.hashes, "<u8") for one in signed]
    counts = np.array([len(one) for one in hashes], np.int64)
    none, every = np.zeros(len(signed), np.int64), np.arange(len(signed))
    return GroupLines(
        first=0,
        ends=np.array([len(signed)]),
        alive=np.ones(len(signed), np.bool_),
        archive=none,
        offset=every,
        inner=none,
        hash=np.concatenate([np.zeros(0, np.uint64), *hashes]),
        chars=np.concatenate([none[:0], *(np.frombuffer(one.chars, "<u4").astype(np.int64) for one in signed)]),
        doc=np.repeat(every, counts),
        line=runs(np.zeros_like(counts), counts),
    )


def _measure(outcome: Outcome, bound: BoundStage, columns: dict[str, str], evidence: dict[str, Any]) -> None:
    for measure, column in columns.items():
        outcome.measures[bound.columns[measure]] = evidence.get(column)


def _drop(outcome: Outcome, bound: BoundStage, rule: str, value: Any, limit: float, detail: str) -> None:
    broken = bound.limits[rule].broken_by(value)
    outcome.outcome, outcome.stage, outcome.rule, outcome.value = DROPPED, bound.name, rule, value
    outcome.limit, outcome.detail = limit, detail
    outcome.bound = broken[0] if broken is not None else "below"  # the classic way removes below the limit too
