"""Everything that a report shows, gathered from a run's files."""

from __future__ import annotations

import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

from markupsafe import Markup

from corpus.net.urls import is_url
from corpus.outcome import KEPT
from corpus.run import Run
from corpus.runs.choice_line import choice_line
from corpus.storage.commits import Part
from jobs.report import sections
from jobs.report.archives import ArchiveTable
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

    name: str
    """The name of the run's folder."""
    info: dict[str, Any]
    choice: str
    """What is said of the choice of pages, or "" if whole archives were read."""
    funnel: list[sections.FunnelStep]
    rules: list[sections.StageRules]
    cards: dict[str, list[sections.MeasureCard]]
    texts: TextSizes
    lengths: Markup | None
    lengths_dropped: list[int]
    languages: TopCategories | None
    """The labels of the language stage, or None if the recipe has no such stage."""
    screened: TopCategories | None
    """The labels of the language screen, or None if the recipe has no screen."""
    archives: ArchiveTable
    domains: TopCategories
    domains_dropped: TopCategories
    stages: list[sections.StageTable]
    changes: list[str] | None
    times: sections.Times | None
    clusters: list[sections.Cluster]
    samples: list[RuleSamples]
    kept_samples: list[dict[str, Any]]
    files: dict[str, list[Part]]

    @property
    def widest_rule(self) -> int:
        """The largest number of documents outside a limit. It is the scale for the bars of all rules."""
        return max((rule.counts.outside for stage in self.rules for rule in stage.rules), default=0)

    @property
    def widest_category(self) -> int:
        """The number of documents of the largest category. It is the scale for the bars of all categories."""
        tables = [card.categories for cards in self.cards.values() for card in cards if card.categories]
        return max((table.widest for table in tables), default=0)


def gather(run: Run, tick: Tick = lambda: None) -> Report:
    """Read a run's ledger, texts, samples and run.json. `tick` is called after each batch of the ledger."""
    run.check_counts()
    info = run.info
    samples = read_samples(run)
    largest = {entry["id"] for entry in info["dedup"]["largest"]} if info["dedup"] else set()
    wanted = largest | {row["id"] for row in samples if row["rule"] == KEPT}
    with tempfile.TemporaryDirectory(prefix="corpus-report-") as folder, closing(CategoryCounts(folder)) as counts:
        found = scan(run, counts, wanted, largest, tick)
        texts = measure_texts(run)
        by_rule, kept = group_samples(samples, found.measures, found.rows)
        return Report(
            name=run_name(run.location) or info["recipe"]["name"],
            info=info,
            choice=choice_line(info, mark='"'),
            funnel=sections.funnel(info, found),
            rules=sections.rules(info, found),
            cards=sections.cards(info, found, counts),
            texts=texts,
            lengths=draw_lengths(texts, found.lengths_dropped),
            lengths_dropped=found.lengths_dropped.tolist(),
            languages=_languages(info, counts, "language"),
            screened=_languages(info, counts, "screen"),
            archives=found.archives.table(item["name"] for item in info["inputs"]),
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


def run_name(location: str) -> str:
    """Return the last part of a path or URL: the name of a folder or bucket. The root of a disk has no name."""
    if not is_url(location):
        return PurePath(location).name
    parts = urlsplit(location)
    return parts.path.rstrip("/").rpartition("/")[2] or parts.netloc.rpartition("@")[2]


def _languages(info: dict[str, Any], counts: CategoryCounts, stage: str) -> TopCategories | None:
    """Return the labels that a stage gave, or None if the recipe does not have it."""
    labels = [f"{table['name']}.label" for table in info["recipe"]["stages"] if table["stage"] == stage]
    label = next((column for column in labels if column in info["columns"]), None)
    return counts.top(label, _LANGUAGES) if label else None
