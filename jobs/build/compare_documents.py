"""The comparison of whole documents: its phases (`corpus.dedup.phases`) in order, and its results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from corpus.dedup.contract import DocumentComparison
from corpus.dedup.index_writer import UnitRows, rows_per_part, write_index
from corpus.dedup.layout import Layout, make_layout
from corpus.dedup.unit_verdicts import MOST_SITES
from corpus.dedup.verify import LARGEST
from corpus.storage.commits import Commit
from corpus.storage.task_commits import as_list, put_value
from corpus.tables.verdicts import Verdicts
from jobs.build.compare import Comparison


def compare_documents(work: Comparison) -> Verdicts | None:
    """Return the verdicts on the documents of all units, in (archive, offset) order, or None if the limit is off.

    Raises Stopped, and IntegrityError.
    """
    stage = _stage(work)
    if work.bound.limits[stage.rule].below is None:
        return None
    earlier = [
        (number, index, part.end - part.first)
        for number, one in enumerate(work.against)
        for index, part in enumerate(one.parts)
    ]
    rows = [unit.part(stage.kind).rows for unit in work.units]
    layout, starts = make_layout(rows, stage.bands, [size for _, _, size in earlier], work.memory_bytes)
    own, names = work.groups(starts), work.archives
    work.put("layout", layout.as_dict())
    work.put("archives", names)
    work.put("against", [one.digest for one in work.against])

    past = ["archives", "against"]  # earlier archives are numbered after the archives of this run
    bands = work.phase("bands", own, ["layout"])
    rounds = -(-layout.boxes // layout.boxes_at_once)
    candidates = work.phase("candidates", [{}] * rounds, ["layout", "bands", *past])
    twins = work.phase("twins", [{}] * (1 << layout.text_bits), ["layout", "bands", *past])
    work.forget(bands, "keys", "texts")
    labels = _components(work, layout, candidates, twins)
    checked = [{**group, "files": done.facts["files"]} for group, done in zip(own, bands, strict=True)]
    checked += [{"earlier": number, "part": index} for number, index, _ in earlier]
    members = work.phase("members", checked, ["layout", "bands", "labels", "twins", *past])
    work.forget(labels, "labels")
    work.forget(twins)
    verified = work.phase("verify", [{}] * (1 << layout.verifier_bits), ["layout", "members"])
    work.forget(members, "members")
    verdicts = work.phase("verdicts", own, ["layout", "verify", *past])
    work.forget(verified, "found")
    sites = work.phase("sites", [{}] * (1 << layout.site_bits), ["layout", "bands", "verdicts"])

    removed = [count for done in verdicts for count in done.facts["removed"]]
    compared = [count for done in bands for count in done.facts["compared"]]
    facts = {
        "compared": sum(compared),
        "removed": {"exact": sum(done.facts["exact"] for done in verdicts), "all": sum(removed)},
        "unverified": sum(done.facts["unverified"] for done in verified),
        "largest": _largest(verified, [*names, *(name for one in work.against for name in one.archives)]),
        "archives": _archives(work.units, compared, removed),
        "domains": _domains(sites),
    }
    rules = {stage.rule: sum(removed)} if sum(removed) else {}
    return work.verdicts("verdicts", starts, verdicts, removed, rules, facts)


def make_index(work: Comparison, verdicts: Verdicts) -> str:
    """Write the index of this run and return its digest. Raises Stopped."""
    stage = _stage(work)
    rows = [unit.part(stage.kind).rows for unit in work.units]
    firsts = np.cumsum([0, *rows]).tolist()
    size = rows_per_part(stage)
    archives = {name: number for number, name in enumerate(work.archives)}
    parts: list[dict[str, Any]] = []
    held: list[dict[str, Any]] = []
    """The units of the next part."""
    for number, unit in enumerate(work.units):
        archive = archives[unit.facts["unit"]["warc"]]
        own = UnitRows(unit.part(stage.kind), firsts[number], archive, verdicts.boxes[number], work.removed(number))
        for part in range(firsts[number] // size, -(-firsts[number + 1] // size)):
            if part > len(parts):
                parts.append({"units": put_value(work.execution.store, held)})
                held = []
            held.append(own.as_dict())
    if held:
        parts.append({"units": put_value(work.execution.store, held)})
    layout, _ = make_layout(rows, stage.bands, memory_bytes=work.memory_bytes)
    work.put("layout", layout.as_dict())
    made = work.phase("index", parts, ["layout"])
    return write_index(work.execution.store, stage, firsts[-1], work.archives, made)


def _stage(work: Comparison) -> DocumentComparison:
    assert isinstance(work.stage, DocumentComparison)
    return work.stage


def _components(work: Comparison, layout: Layout, candidates: list[Commit], twins: list[Commit]) -> list[Commit]:
    """Return the labels of all documents, made by one task or by rounds of tasks."""
    work.lists["edges"] = as_list(work.execution.store, [*candidates, *twins])
    if layout.spans == 1:
        found = work.phase("components", [{}], ["layout", "edges"], "labels")
        work.forget(candidates)
        return found
    spans: list[dict[str, Any]] = [{}] * layout.spans
    edges, number = candidates, 0
    while True:
        large = work.phase(f"large-{number}", spans, ["layout", "edges"])
        if not sum(done.facts["unfinished"] for done in large):
            found = work.phase("labels", spans, ["layout", "edges"])
            work.forget([*edges, *large])
            return found
        work.lists["edges"] = work.lists[f"large-{number}"]
        small = work.phase(f"small-{number}", spans, ["layout", "edges"])
        work.forget([*edges, *large])
        work.lists["edges"] = work.lists[f"small-{number}"]
        edges, number = small, number + 1


def _largest(verified: Sequence[Commit], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the largest clusters. Among equal clusters, the first ones are taken."""
    found = sorted((entry for done in verified for entry in done.facts["largest"]), reverse=True)[:LARGEST]
    return [
        {"id": f"{names[archive]}:{offset}" + (f"+{inner}" if inner else ""), "documents": size}
        for size, _, (archive, offset, inner) in found
    ]


def _archives(units: Sequence[Commit], compared: Sequence[int], removed: Sequence[int]) -> list[dict[str, Any]]:
    """Return the losses of each archive."""
    documents, gone = Counter[str](), Counter[str]()
    for unit, of_unit, lost in zip(units, compared, removed, strict=True):
        documents[unit.facts["unit"]["warc"]] += of_unit
        gone[unit.facts["unit"]["warc"]] += lost
    return [{"warc": name, **_rate(count, gone[name])} for name, count in documents.items()]


def _domains(sites: Sequence[Commit]) -> dict[str, Any]:
    """Return the number of domains, and the domains that lost the most documents."""
    found = sorted((tuple(entry) for done in sites for entry in done.facts["sites"]), reverse=True)[:MOST_SITES]
    named = [{"domain": site, **_rate(documents, gone)} for gone, documents, site in found]
    return {"number": sum(done.facts["count"] for done in sites), "most_removed": named}


def _rate(documents: int, removed: int) -> dict[str, Any]:
    return {"compared": documents, "removed": removed, "rate": round(removed / documents, 4) if documents else 0.0}
