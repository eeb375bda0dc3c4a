"""The comparison of whole documents: its phases (`corpus.dedup.phases`) in order, and its results."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from corpus.dedup.contract import DocumentComparison
from corpus.dedup.index_writer import UnitRows, rows_per_part, write_index
from corpus.dedup.layout import Layout, make_layout
from corpus.dedup.unit_verdicts import MOST_SITES
from corpus.dedup.verify import LARGEST
from corpus.storage.commits import Commit
from corpus.storage.gathered import without_facts
from corpus.storage.task_commits import put_value
from corpus.tables.verdicts import Verdicts
from jobs.build.compare import Comparison, sums_of


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
    rows, _ = work.units.sizes(stage.kind)
    layout, starts = make_layout(rows, stage.bands, [size for _, _, size in earlier], work.memory_bytes)
    own, names = work.groups(starts), work.units.archives
    work.put("layout", layout.as_dict())
    work.put("archives", names)
    work.put("against", [one.digest for one in work.against])

    past = ["archives", "against"]  # earlier archives are numbered after the archives of this run
    groups, by_site = len(layout.groups) - 1, {"sites": 1 << layout.site_bits}
    readers = {"keys": layout.boxes, "texts": 1 << layout.text_bits, **by_site}
    bands = work.phase("bands", own, ["layout"], readers=readers)
    rounds = -(-layout.boxes // layout.boxes_at_once)
    work.phase("candidates", [{}] * rounds, ["layout", "bands", *past], readers={"edges": layout.spans})
    readers = {"twins": groups, "edges-twins": layout.spans}
    work.phase("twins", [{}] * (1 << layout.text_bits), ["layout", "bands", *past], readers=readers)
    work.forget("bands", "keys", "texts")
    _components(work, layout)
    checked = [{**group, "files": done.facts["files"]} for group, done in zip(own, bands, strict=True)]
    checked += [{"earlier": number, "part": index} for number, index, _ in earlier]
    readers = {"members": 1 << layout.verifier_bits}
    work.phase("members", checked, ["layout", "bands", "labels", "twins", *past], readers=readers)
    work.forget("labels")
    work.forget("twins")
    verified = work.phase(
        "verify", [{}] * (1 << layout.verifier_bits), ["layout", "members"], readers={"found": groups}
    )
    work.forget("members")
    verdicts = work.phase("verdicts", own, ["layout", "verify", *past], readers=by_site)
    work.forget("verify")
    sites = work.phase("sites", [{}] * (1 << layout.site_bits), ["layout", "bands", "verdicts"])

    removed = array("q", (count for done in verdicts for count in done.facts["removed"]))
    compared = sums_of(work.units, bands, "compared")
    facts = {
        "compared": int(compared.sum()),
        "removed": {"exact": sum(done.facts["exact"] for done in verdicts), "all": sum(removed)},
        "unverified": sum(done.facts["unverified"] for done in verified),
        "largest": _largest(verified, [*names, *(name for one in work.against for name in one.archives)]),
        "archives": [
            {"warc": name, **_rate(*counts)}
            for name, *counts in zip(names, compared.tolist(), work.units.by_archive(removed).tolist(), strict=True)
        ],
        "domains": _domains(sites),
    }
    rules = {stage.rule: sum(removed)} if sum(removed) else {}
    return work.verdicts("verdicts", starts, verdicts, removed, rules, facts)


def make_index(work: Comparison, verdicts: Verdicts) -> str:
    """Write the index of this run and return its digest. Raises Stopped."""
    stage = _stage(work)
    (rows, _), size, first = work.units.sizes(stage.kind), rows_per_part(stage), 0
    parts: list[dict[str, Any]] = []
    held: list[dict[str, Any]] = []
    """The units of the next part."""
    units = zip(without_facts(work.units.commits), work.units.archive, strict=True)
    for number, (unit, archive) in enumerate(units):
        own = UnitRows(unit.part(stage.kind), first, archive, verdicts.boxes[number], work.removed(number)).as_dict()
        end = first + rows[number]
        for part in range(first // size, -(-end // size)):
            if part > len(parts):
                parts.append({"units": put_value(work.execution.store, held)})
                held = []
            held.append(own)
        first = end
    if held:
        parts.append({"units": put_value(work.execution.store, held)})
    layout, _ = make_layout(rows, stage.bands, memory_bytes=work.memory_bytes)
    work.put("layout", layout.as_dict())
    made = work.phase("index", parts, ["layout"])
    return write_index(work.execution.store, stage, first, work.units.archives, made)


def _stage(work: Comparison) -> DocumentComparison:
    assert isinstance(work.stage, DocumentComparison)
    return work.stage


def _components(work: Comparison, layout: Layout) -> None:
    """Find the labels of all documents, by one task or by rounds of tasks."""
    found = [["candidates", "edges"], ["twins", "edges-twins"]]
    """The phases and the kinds of the files that have the edges."""
    readers = {"labels": len(layout.groups) - 1}

    def run(phase: str, name: str = "", readers: dict[str, int] | None = None) -> list[Commit]:
        own: list[dict[str, Any]] = [{"edges": found}] * layout.spans
        return work.phase(phase, own, ["layout", *(phase for phase, _ in found)], name, readers)

    if layout.spans == 1:
        run("components", "labels", readers)
        work.forget("candidates")
        return
    number = 0
    while True:
        large, small = f"large-{number}", f"small-{number}"
        done = run(large, readers={large: layout.spans})
        if not sum(one.facts["unfinished"] for one in done):
            run("labels", readers=readers)
            _forget_edges(work, found)
            work.forget(large)
            return
        before, found = found, [[large, large]]
        run(small, readers={small: layout.spans})
        _forget_edges(work, [*before, *found])
        found = [[small, small]]
        number += 1


def _forget_edges(work: Comparison, files: list[list[str]]) -> None:
    for phase, kind in files:
        work.forget(phase, kind)


def _largest(verified: Sequence[Commit], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the largest clusters. Among equal clusters, the first ones are taken."""
    found = sorted((entry for done in verified for entry in done.facts["largest"]), reverse=True)[:LARGEST]
    return [
        {"id": f"{names[archive]}:{offset}" + (f"+{inner}" if inner else ""), "documents": size}
        for size, _, (archive, offset, inner) in found
    ]


def _domains(sites: Sequence[Commit]) -> dict[str, Any]:
    """Return the number of domains, and the domains that lost the most documents."""
    found = sorted((tuple(entry) for done in sites for entry in done.facts["sites"]), reverse=True)[:MOST_SITES]
    named = [{"domain": site, **_rate(documents, gone)} for gone, documents, site in found]
    return {"number": sum(done.facts["count"] for done in sites), "most_removed": named}


def _rate(documents: int, removed: int) -> dict[str, Any]:
    return {"compared": documents, "removed": removed, "rate": round(removed / documents, 4) if documents else 0.0}
