"""Everything a report says, gathered from a run's folder."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from corpus.outcome import KEPT
from corpus.run import Run
from jobs.report import facts, figures, sections
from jobs.report.contrasts import RuleSamples, group_samples, read_samples
from jobs.report.scan import DOMAIN, Tick, scan
from jobs.report.text_sizes import LENGTHS, Texts, measure_texts
from jobs.report.top_counts import Tally, Top

DOMAINS = 25
LANGUAGES = 30


@dataclass(frozen=True)
class Report:
    """What the template shows."""

    info: dict[str, Any]
    funnel: list[sections.Step]
    rules: list[sections.StageRules]
    cards: dict[str, list[sections.Card]]
    texts: Texts
    lengths: Markup | None
    lengths_dropped: list[int]
    languages: Top | None
    """By the measure of a language stage; None where the recipe has none."""
    domains: Top
    domains_dropped: Top
    stages: list[facts.StageFacts]
    changes: list[str] | None
    times: facts.Times | None
    clusters: list[facts.Cluster]
    samples: list[RuleSamples]
    kept_samples: list[dict[str, Any]]
    files: dict[str, tuple[int, int]]
    """By kind, how many committed files there are and their bytes."""


def gather(run: Run, tick: Tick = lambda: None) -> Report:
    """Read a run's ledger, texts, samples and facts. `tick` is called after each batch of the ledger."""
    info = run.info
    samples = read_samples(run)
    largest = {entry["id"] for entry in info["dedup"]["largest"]} if info["dedup"] else set()
    wanted = largest | {row["id"] for row in samples if row["rule"] == KEPT}
    with tempfile.TemporaryDirectory(prefix="corpus-report-") as scratch, Tally(Path(scratch)) as tally:
        found = scan(run, tally, wanted, largest, tick)
        texts = measure_texts(run)
        with figures.plotting():
            cards = sections.cards(info, found, tally)
            lengths = _lengths(texts, found.lengths_dropped)
        label = _language_column(info)
        by_rule, kept = group_samples(samples, found.measures, found.rows)
        return Report(
            info=info,
            funnel=sections.funnel(info, found),
            rules=sections.rules(info, found),
            cards=cards,
            texts=texts,
            lengths=lengths,
            lengths_dropped=found.lengths_dropped.tolist(),
            languages=tally.top(label, LANGUAGES) if label else None,
            domains=tally.top(DOMAIN, DOMAINS),
            domains_dropped=tally.top(DOMAIN, DOMAINS, by="dropped"),
            stages=facts.stage_facts(info),
            changes=facts.recipe_differences(info["recipe"]),
            times=facts.read_times(run),
            clusters=facts.clusters(info, found.rows, found.repeats),
            samples=by_rule,
            kept_samples=kept,
            files=_files(run),
        )


def _lengths(texts: Texts, dropped: np.ndarray) -> Markup | None:
    """The picture of all texts by their bytes."""
    if not texts.documents and not dropped.any():
        return None
    label = (
        f"Lengths of {texts.documents:,} kept texts, {texts.bytes:,} bytes in all, the longest {texts.most:,}, "
        f"and of {int(dropped.sum()):,} dropped ones"
    )
    return figures.lengths(LENGTHS, texts.lengths, dropped, label)


def _language_column(info: dict[str, Any]) -> str | None:
    """The ledger column of the label that a language stage gave."""
    columns = (f"{table['name']}.label" for table in info["recipe"]["stages"] if table["stage"] == "language")
    return next((column for column in columns if column in info["columns"]), None)


def _files(run: Run) -> dict[str, tuple[int, int]]:
    parts = {kind: run.parts(kind) for kind in ("corpus", "ledger", "samples")}
    return {kind: (len(found), sum(part.bytes for part in found)) for kind, found in parts.items()}
