"""The comparison of lines: its phases (`corpus.dedup.phases`) in order, and its results."""

from __future__ import annotations

from array import array
from typing import Any

from corpus.dedup.contract import LineComparison
from corpus.dedup.layout import make_line_layout
from corpus.tables.ledger import add_counts
from corpus.tables.verdicts import Verdicts
from jobs.build.compare import Comparison, sums_of


def compare_lines(work: Comparison) -> Verdicts:
    """Return the verdicts and cut lines of all units, in (archive, offset) order. Raises Stopped and IntegrityError."""
    stage = work.stage
    assert isinstance(stage, LineComparison)
    layout, starts = make_line_layout(*work.units.sizes(stage.kind), work.memory_bytes)
    own, groups, ranges = work.groups(starts), len(layout.groups) - 1, 1 << layout.bits
    work.put("layout", layout.as_dict())
    work.put("archives", work.units.archives)

    boxes: list[dict[str, Any]] = [{}] * ranges
    had = work.phase("linekeys", own, ["layout"], readers={"had": ranges})
    work.phase("repeats", boxes, ["layout", "linekeys"], readers={"repeated": groups})
    work.forget("linekeys")
    work.phase("losers", own, ["layout", "repeats"], readers={"places": ranges})
    reads = ["layout", "archives", "repeats", "losers"]
    if stage.keep == "first":
        work.phase("keepers", boxes, ["layout", "losers"], readers={"keepers": groups})
        work.forget("losers", "places")
        cuts = work.phase("cuts", own, [*reads, "keepers"])
        work.forget("keepers")
    else:
        cuts = work.phase("cuts", own, reads)
    work.forget("repeats")
    work.forget("losers")

    rules: dict[str, int] = {}
    for done in cuts:
        add_counts(rules, done.facts["rules"])
    rules = dict(sorted(rules.items()))
    documents, chars = (sums_of(work.units, had, fact).tolist() for fact in ("documents", "chars"))
    dropped, lines, lost = (sums_of(work.units, cuts, fact).tolist() for fact in ("dropped", "lines", "chars"))
    facts = {
        "compared": {
            "documents": sum(documents), "lines": sum(done.facts["lines"] for done in had), "chars": sum(chars)
        },
        "removed": {
            "documents": rules, "lines": sum(lines), "chars": sum(lost),
            "from_documents": sum(done.facts["changed"] for done in cuts),
        },
        "archives": [
            dict(zip(("warc", "documents", "chars", "dropped", "lines", "chars_removed"), row, strict=True))
            for row in zip(work.units.archives, documents, chars, dropped, lines, lost, strict=True)
        ],
    }  # fmt: skip
    removed = array("q", (count for done in cuts for count in done.facts["removed"]))
    return work.verdicts("cuts", starts, cuts, removed, rules, facts)
