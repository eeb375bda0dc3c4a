"""`corpus classifier train`: read pages, judge held-out ones, train on all, and write the model's folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from corpus.digests import differences, digest
from corpus.errors import ConfigError, OutputError, did_you_mean
from corpus.json_data import parse_json
from corpus.storage.replacing import replacing, write_whole
from corpus.storage.store import as_json
from filters.classifier.model import FACTS
from filters.fasttext_file import digest_of_model
from filters.pii import Pii
from jobs.classifier.judge import Judged, figures, judged, shown_pages
from jobs.classifier.pages import Page, Pages, Reading, Source, read_pages
from jobs.classifier.telling import telling
from jobs.classifier.train import FILE, Settings, check_pages, folds_of, judge_held_out, train
from jobs.report.figures import draw_curve
from jobs.report.render import render_page
from jobs.runner.derived import register
from jobs.runner.folder import open_folder

REPORT, PAGE = "report.json", "report.html"
_FILES = {FILE, FACTS, REPORT, PAGE, ".work"}
_EXCERPT = 400


@dataclass(frozen=True)
class Task:
    """A training: the sources of pages, the label that scores are for, the settings, and who may read excerpts."""

    sources: tuple[Source, ...]
    wanted: str
    settings: Settings
    share: bool = False


def make_classifier(task: Task, out: Path, how: Reading) -> dict[str, Any]:
    """Train a classifier and write its folder. Return the content of classifier.json, which is written last."""
    store = open_folder(out)
    with store.only_run(task.share):
        plan = _plan(task, how)
        _check_folder(out, plan)
        _register(task, out)
        found = read_pages(task.sources, how)
        counts = check_pages(found.pages, task.settings)
        if task.wanted and task.wanted not in counts:
            raise ConfigError(f"No page has the label '{task.wanted}'.", did_you_mean(task.wanted, counts))
        how.progress.start("folds", task.settings.folds)
        held = judge_held_out(found.pages, task.settings, how.progress.unit_done)
        how.progress.end()
        one = judged(found.pages, held, folds_of(found.pages, task.settings))
        facts, report = _write(task, plan, found, counts, one, out)
        _write_page(out, facts, report, found.pages, one, task.share)
        write_whole(out / FACTS, as_json(facts))
        store.remove(".work")
    return facts


def _plan(task: Task, how: Reading) -> dict[str, Any]:
    sources = [{"label": s.label, "column": s.column, "inputs": list(s.inputs)} for s in task.sources]
    view = {"parts": list(how.view.parts), "chars": how.view.chars}
    return {"view": view, "wanted": task.wanted, "settings": task.settings.as_dict(), "most": how.most,
            "columns": how.columns, "sources": digest(sources)}  # fmt: skip


def _check_folder(out: Path, plan: dict[str, Any]) -> None:
    """Raise OutputError if the folder has other files, or a model of other settings or inputs."""
    if foreign := sorted({path.name for path in out.iterdir()} - _FILES):
        raise OutputError(f"{out} holds other files, such as {foreign[0]}.", "Give an empty folder with -o.")
    if (out / FACTS).exists():
        try:
            before = parse_json((out / FACTS).read_bytes())
            lines = differences({key: before[key] for key in plan}, plan)
        except (ValueError, KeyError, TypeError):
            lines = ["its classifier.json is damaged"]
        if lines:
            raise OutputError(f"{out} has another model: {'; '.join(lines)}.", "Give an empty folder with -o.")


def _register(task: Task, out: Path) -> None:
    for source in task.sources:
        for given in source.inputs:
            folder = Path(given if Path(given).exists() else given.rpartition(":")[0])
            if (folder / "run.json").is_file():
                register(folder, "classifier", out)


def _write(
    task: Task, plan: dict[str, Any], found: Pages, counts: dict[str, int], one: Judged, out: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train on all pages, and write the model and report.json. Return the content of classifier.json and of the
    report."""
    told: dict[str, Any] = {}
    with replacing(out / FILE) as scratch:
        train(
            found.pages, task.settings, scratch, lambda model: told.update(telling(found.pages, model, task.settings))
        )
    judgement = figures(one)
    facts = {
        "labels": one.labels,
        **plan,
        "calibration": {label: [found.a, found.b] for label, found in one.calibration.items()},
        "model": {"file": FILE, "sha256": digest_of_model(out / FILE, "")},
        "pages": counts,
        "sites": len({page.site for page in found.pages}),
        "left_out": found.left_out,
        "inputs": {"files": len(found.inputs), "sha256": digest(found.inputs)},
        "accuracy": judgement["accuracy"],
        "macro_f1": judgement["macro_f1"],
        "versions": {name: metadata.version(name) for name in ("corpus", "fasttext-community")},
    }
    report = {**judgement, "telling": told}
    write_whole(out / REPORT, as_json(report))
    return facts, report


def _write_page(
    out: Path, facts: dict[str, Any], report: dict[str, Any], pages: Sequence[Page], one: Judged, share: bool
) -> None:
    pii = Pii()
    pii.prepare()
    shown = {
        kind: [
            {
                "url": page.url,
                "excerpt": pii.redact(page.excerpt)[:_EXCERPT],
                "label": page.label,
                "said": said,
                "score": score,
            }
            for page, said, score in rows
        ]
        for kind, rows in shown_pages(pages, one).items()
    }
    for row in report["labels"]:
        row["curve"] = draw_curve(
            row["roc"], f"ROC of {row['label']}: area {row['auc']:.3f}", "other pages", "its pages"
        )
        bins = [[point["score"], point["share"]] for point in row["calibration"]["bins"]]
        row["fit"] = draw_curve(bins, f"Calibration of {row['label']}", "score", "share with the label", dots=True)
    html = render_page("classifier.html", name=out.name, facts=facts, report=report, shown=shown)
    write_whole(out / PAGE, html.encode(), private=not share)
