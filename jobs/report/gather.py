"""Everything that a report shows, gathered from a run's files."""

from __future__ import annotations

import tempfile
from contextlib import closing
from typing import Any

from corpus.outcome import KEPT
from corpus.run import Run
from jobs.report import figures, sections
from jobs.report.categories import CategoryCounts
from jobs.report.excerpts import group_samples, read_samples
from jobs.report.scan import DOMAIN, Tick, scan
from jobs.report.text_sizes import measure_texts

_DOMAINS = 25
_LANGUAGES = 30


def gather(run: Run, tick: Tick = lambda: None) -> dict[str, Any]:
    """Read a run's ledger, texts, samples and run.json, and return what the template shows, by name. `tick` is called
    after each batch of the ledger."""
    info = run.info
    samples = read_samples(run)
    largest = {entry["id"] for entry in info["dedup"]["largest"]} if info["dedup"] else set()
    wanted = largest | {row["id"] for row in samples if row["rule"] == KEPT}
    with tempfile.TemporaryDirectory(prefix="corpus-report-") as folder, closing(CategoryCounts(folder)) as counts:
        found = scan(run, counts, wanted, largest, tick)
        texts = measure_texts(run)
        with figures.plotting():
            cards = sections.cards(info, found, counts)
            lengths = figures.draw_lengths(texts, found.lengths_dropped)
        labels = [f"{table['name']}.label" for table in info["recipe"]["stages"] if table["stage"] == "language"]
        label = next((column for column in labels if column in info["columns"]), None)
        by_rule, kept = group_samples(samples, found.measures, found.rows)
        return {
            "info": info,
            "funnel": sections.funnel(info, found),
            "rules": sections.rules(info, found),
            "cards": cards,
            "texts": texts,
            "lengths": lengths,
            "lengths_dropped": found.lengths_dropped.tolist(),
            "languages": counts.top(label, _LANGUAGES) if label else None,  # None without a language stage
            "domains": counts.top(DOMAIN, _DOMAINS),
            "domains_dropped": counts.top(DOMAIN, _DOMAINS, by="dropped"),
            "stages": sections.stage_tables(info, found),
            "changes": sections.recipe_differences(info["recipe"]),
            "times": sections.read_times(run),
            "clusters": sections.clusters(info, found),
            "samples": by_rule,
            "kept_samples": kept,
            "files": {kind: run.parts(kind) for kind in ("corpus", "ledger", "samples")},
        }
