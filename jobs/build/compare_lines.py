"""The comparison of lines: its phases (`corpus.dedup.phases`) in order, and its results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corpus.dedup.contract import LineComparison
from corpus.dedup.layout import make_line_layout
from corpus.tables.ledger import add_counts, total
from corpus.tables.verdicts import Verdicts
from jobs.build.compare import Comparison


def compare_lines(work: Comparison) -> Verdicts:
    """Return the verdicts and cut lines of all units, in (archive, offset) order. Raises Stopped and IntegrityError."""
    stage = work.stage
    assert isinstance(stage, LineComparison)
    sizes = [(part.rows, part.bytes) for part in (unit.part(stage.kind) for unit in work.units)]
    layout, starts = make_line_layout(sizes, work.memory_bytes)
    own = work.groups(starts)
    work.put("layout", layout.as_dict())
    work.put("archives", work.archives)

    boxes: list[dict[str, Any]] = [{}] * (1 << layout.bits)
    had = work.phase("linekeys", own, ["layout"])
    repeated = work.phase("repeats", boxes, ["layout", "linekeys"])
    work.forget(had)
    losers = work.phase("losers", own, ["layout", "repeats"])
    reads = ["layout", "archives", "repeats", "losers"]
    if stage.keep == "first":
        kept = work.phase("keepers", boxes, ["layout", "losers"])
        work.forget(losers, "places")
        cuts = work.phase("cuts", own, [*reads, "keepers"])
        work.forget(kept)
    else:
        cuts = work.phase("cuts", own, reads)
    work.forget([*repeated, *losers])

    counts = [unit for done in cuts for unit in done.facts["units"]]
    rules: dict[str, int] = {}
    for unit in counts:
        add_counts(rules, unit["dropped"])
    rules = dict(sorted(rules.items()))
    documents = [count for done in had for count in done.facts["documents"]]
    chars = [count for done in had for count in done.facts["chars"]]
    lines = sum(done.facts["lines"] for done in had)
    facts = {
        "compared": {"documents": sum(documents), "lines": lines, "chars": sum(chars)},
        "removed": {
            "documents": rules,
            "lines": sum(unit["lines"] for unit in counts),
            "chars": sum(unit["chars"] for unit in counts),
            "from_documents": sum(unit["changed"] for unit in counts),
        },
        "archives": _archives([unit.facts["unit"]["warc"] for unit in work.units], documents, chars, counts),
    }
    removed = [total(unit["dropped"]) for unit in counts]
    return work.verdicts("cuts", starts, cuts, removed, rules, facts)


def _archives(
    warcs: Sequence[str], documents: Sequence[int], chars: Sequence[int], counts: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return what each archive lost."""
    found: dict[str, dict[str, int]] = {}
    for warc, compared, size, lost in zip(warcs, documents, chars, counts, strict=True):
        own = found.setdefault(warc, {})
        gone = {"dropped": total(lost["dropped"]), "lines": lost["lines"], "chars_removed": lost["chars"]}
        add_counts(own, {"documents": compared, "chars": size, **gone})
    return [{"warc": name, **facts} for name, facts in found.items()]
