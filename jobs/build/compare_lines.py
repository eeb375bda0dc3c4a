"""The part of a build that compares lines: the phases of `corpus.dedup.repeats`, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from corpus.dedup.layout import MEMORY_BYTES
from corpus.dedup.lines import Lines as Stage
from corpus.dedup.repeats import make_line_layout
from corpus.digests import digest
from corpus.stage import BoundStage
from corpus.storage.commits import Commit
from corpus.storage.store import Store
from corpus.storage.task_commits import put_value
from corpus.tables.ledger import add_counts, total
from corpus.tables.pack import Cuts, Verdicts
from jobs.build.compare_documents import ALARM_DOCUMENTS
from jobs.build.dedup_phases import Phases
from jobs.runner.engine import Engine, Stop
from jobs.runner.progress import Progress
from jobs.runner.task_functions import lines_task


@dataclass(frozen=True)
class LinesCompared:
    """What dedup by lines found: the cuts for pack, a digest of them, and what run.json says about them."""

    cuts: Cuts
    digest: str
    info: dict[str, Any]


@dataclass(frozen=True)
class Lines:
    """The dedup by lines of one run."""

    store: Store
    bound: BoundStage
    common: dict[str, Any]
    """What every task's payload holds: store, recipe, factory, modules, depends."""
    engine: Engine
    stop: Stop
    progress: Progress
    memory_bytes: int = MEMORY_BYTES
    costs: dict[str, dict[str, float]] = field(default_factory=dict)

    def compare(self, units: Sequence[Commit], verdicts: Verdicts | None) -> LinesCompared:
        """The cuts in the documents of all units, in (archive, offset) order, but for those that `verdicts` remove.
        Raises Stopped, and IntegrityError."""
        stage = self.bound.stage
        assert isinstance(stage, Stage)
        files = [unit.part("lines") for unit in units]
        layout, starts = make_line_layout(files, self.memory_bytes)
        warcs = [unit.about["unit"]["warc"] for unit in units]
        names = list(dict.fromkeys(warcs))
        number = {name: index for index, name in enumerate(names)}
        gone = [[asdict(part), box] for part, box in verdicts.told] if verdicts and sum(verdicts.removed) else []
        groups = [range(start, end) for start, end in pairwise(starts)]
        own = [
            {
                "units": [asdict(files[unit]) for unit in group],
                "archives": [number[warcs[unit]] for unit in group],
                "told": gone[group.start : group.stop],
            }
            for group in groups
        ]
        where = (self.engine, self.stop, self.progress)
        phases = Phases(self.store, self.bound.name, lines_task, self.common, *where, costs=self.costs)
        phases.lists["layout"] = put_value(self.store, layout.as_dict())
        phases.lists["archives"] = put_value(self.store, names)

        boxes: list[dict[str, Any]] = [{}] * (1 << layout.bits)
        had = phases.run("linekeys", own, ["layout"])
        repeated = phases.run("repeats", boxes, ["layout", "linekeys"])
        phases.forget(had)
        losers = phases.run("losers", own, ["layout", "repeats"])
        reads = ["layout", "archives", "repeats", "losers"]
        if stage.keep == "first":
            kept = phases.run("keepers", boxes, ["layout", "losers"])
            phases.forget(losers, "places")
            cuts = phases.run("cuts", own, [*reads, "keepers"])
            phases.forget(kept)
        else:
            cuts = phases.run("cuts", own, reads)
        phases.forget(repeated)
        phases.forget(losers)

        counts = [unit for done in cuts for unit in done.about["units"]]
        told = [(done.part("cuts"), box) for group, done in zip(groups, cuts, strict=True) for box in range(len(group))]
        found = Cuts([total(unit["dropped"]) for unit in counts], told, self.bound.name, stage.split)
        dropped: dict[str, int] = {}
        for unit in counts:
            add_counts(dropped, unit["dropped"])
        info = {
            "compared": {
                "documents": sum(count for done in had for count in done.about["documents"]),
                "lines": sum(done.about["lines"] for done in had),
                "chars": sum(count for done in had for count in done.about["chars"]),
            },
            "removed": {
                "documents": dict(sorted(dropped.items())),
                "lines": sum(unit["lines"] for unit in counts),
                "chars": sum(unit["chars"] for unit in counts),
                "from_documents": sum(unit["changed"] for unit in counts),
            },
            "archives": _archives(warcs, had, counts),
        }
        return LinesCompared(found, digest([done.sha256 for done in cuts]), info)


def lines_alarm(info: dict[str, Any], rate: float) -> str:
    """One sentence where more characters go than `rate`, of the run or of one archive; else nothing."""
    whole = {"warc": "the run", "documents": info["compared"]["documents"], "chars": info["compared"]["chars"]}
    whole["chars_removed"] = info["removed"]["chars"]
    for entry in (whole, *info["archives"]):
        if entry["documents"] >= ALARM_DOCUMENTS and entry["chars_removed"] > rate * entry["chars"]:
            return (
                f"Dedup by lines would remove {entry['chars_removed']:,} of the {entry['chars']:,} characters of "
                f"{entry['warc']}, more than the {rate:.0%} that raise an alarm"
            )
    return ""


def _archives(warcs: Sequence[str], had: Sequence[Commit], counts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each archive lost."""
    found: dict[str, dict[str, int]] = {}
    documents = [count for done in had for count in done.about["documents"]]
    chars = [count for done in had for count in done.about["chars"]]
    for warc, compared, size, lost in zip(warcs, documents, chars, counts, strict=True):
        own = found.setdefault(warc, {})
        gone = {"dropped": total(lost["dropped"]), "lines": lost["lines"], "chars_removed": lost["chars"]}
        add_counts(own, {"documents": compared, "chars": size, **gone})
    return [{"warc": name, **facts} for name, facts in found.items()]
