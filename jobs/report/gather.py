"""Everything that a report shows, gathered from a run's files."""

from __future__ import annotations

import tempfile
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from corpus.outcome import KEPT
from corpus.run import Run
from corpus.storage.commits import Part
from jobs.report import sections
from jobs.report.categories import CategoryCounts, TopCategories
from jobs.report.excerpts import RuleSamples, group_samples, read_samples
from jobs.report.figures import draw_lengths
from jobs.report.scan import DOMAIN, Tick, scan
from jobs.report.text_sizes import TextSizes, measure_texts

_DOMAINS = 25
_LANGUAGES = 30


@dataclass(frozen=True)
class Report:
    """The data of the template."""

    info: dict[str, Any]
    funnel: list[sections.FunnelStep]
    rules: list[sections.StageRules]
    cards: dict[str, list[sections.MeasureCard]]
    texts: TextSizes
    lengths: Markup | None
    lengths_dropped: list[int]
    languages: TopCategories | None
    """Labels of the language stage; None if the recipe has no such stage."""
    domains: TopCategories
    domains_dropped: TopCategories
    stages: list[sections.StageTable]
    changes: list[str] | None
    times: sections.Times | None
    clusters: list[sections.Cluster]
    samples: list[RuleSamples]
    kept_samples: list[dict[str, Any]]
    files: dict[str, list[Part]]


def gather(run: Run, tick: Tick = lambda: None) -> Report:
    """Read a run's ledger, texts, samples and run.json. `tick` is called after each batch of the ledger."""
    info = run.info
    samples = read_samples(run)
    largest = {entry["id"] for entry in info["dedup"]["largest"]} if info["dedup"] else set()
    wanted = largest | {row["id"] for row in samples if row["rule"] == KEPT}
    with tempfile.TemporaryDirectory(prefix="corpus-report-") as folder, closing(CategoryCounts(folder)) as counts:
        found = scan(run, counts, wanted, largest, tick)
        texts = measure_texts(run)
        labels = [f"{table['name']}.label" for table in info["recipe"]["stages"] if table["stage"] == "language"]
        label = next((column for column in labels if column in info["columns"]), None)
        by_rule, kept = group_samples(samples, found.measures, found.rows)
        return Report(
            info=info,
            funnel=sections.funnel(info, found),
            rules=sections.rules(info, found),
            cards=sections.cards(info, found, counts),
            texts=texts,
            lengths=draw_lengths(texts, found.lengths_dropped),
            lengths_dropped=found.lengths_dropped.tolist(),
            languages=counts.top(label, _LANGUAGES) if label else None,
            domains=counts.top(DOMAIN, _DOMAINS),
            domains_dropped=counts.top(DOMAIN, _DOMAINS, by="dropped"),
            stages=sections.stage_tables(info, found),
            changes=sections.recipe_differences(info["recipe"]),
            times=sections.read_times(run),
            clusters=sections.clusters(info, found),
            samples=by_rule,
            kept_samples=kept,
            files={kind: run.parts(kind) for kind in ("corpus", "ledger", "samples")},
        )
