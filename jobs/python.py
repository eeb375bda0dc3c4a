"""`corpus.build` and `Run.report`: the command line's jobs as functions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from corpus.cpus import usable_cpus
from corpus.documents.columns import PARTS
from corpus.errors import AlarmError, ConfigError, did_you_mean
from corpus.net.urls import is_url
from corpus.plugins import read_plugin
from corpus.recipes import Recipe
from corpus.run import Run, open_run
from corpus.settings import Settings
from corpus.storage.replacing import write_whole
from corpus.tables.ledger import Counts, add_counts, no_counts, total
from filters import load_recipe, registry
from jobs.build import build as builder
from jobs.build.choice import Choice
from jobs.build.compare import ALARM_RATE
from jobs.build.plan import Job
from jobs.runner.engine import Engine
from jobs.runner.local_engine import LocalEngine
from jobs.runner.progress import Progress

Location = str | os.PathLike[str]


@dataclass(frozen=True)
class Step:
    """The progress of a build: the units done in a phase and, during the pass, the records so far."""

    phase: str
    done: int
    units: int
    records: Counts = field(default_factory=no_counts)

    def __str__(self) -> str:
        dropped = total(self.records["dropped"])
        records = f", {self.records['kept']:,} kept, {dropped:,} dropped" if self.records["in"] else ""
        return f"{self.phase} {self.done}/{self.units}{records}"


class _Told(Progress):
    """Progress that calls a function after each unit."""

    def __init__(self, tell: Callable[[Step], object]) -> None:
        self._tell, self.counts = tell, no_counts()

    def note(self, text: str) -> None:
        """Do nothing: a caller can ask the run."""

    def start(self, phase: str, units: int, done: int = 0, brief: bool = False) -> None:
        self._phase, self._units, self._done, self.counts = phase, units, done, no_counts()

    def expect(self, units: int) -> None:
        self._units = units

    def unit_done(self, counts: Mapping[str, Any] | None = None, units: int = 1) -> None:
        self._done += units
        add_counts(self.counts, counts or {})
        self._tell(Step(self._phase, self._done, self._units, self.counts))

    def stop(self) -> None:
        """Do nothing: no terminal is used."""

    def end(self) -> None:
        """Do nothing: the last unit was reported."""


def build(
    inputs: Location | Iterable[Location],
    out: Location,
    recipe: str | Mapping[str, Any] | Recipe = "default",
    *,
    set: Settings = (),
    workers: int | None = None,
    columns: Mapping[str, str] | None = None,
    keep_columns: Iterable[str] = (),
    limit: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    urls_like: Iterable[str] = (),
    languages: Iterable[str] = (),
    domains: Iterable[str] = (),
    base: str | None = None,
    against: Iterable[Location] = (),
    modules: Iterable[Location] = (),
    index: bool = True,
    alarm_rate: float = ALARM_RATE,
    ray: bool = False,
    address: str | None = None,
    on_progress: Callable[[Step], object] | None = None,
) -> Run:
    """Build a corpus from archives or documents, as `corpus build` does, and return the run.

    `inputs` are files, folders, globs, URLs or crawls, and `out` is a folder or an s3:// URL. An interrupted build
    continues, and a finished run is returned as it is. `recipe` is a name, a TOML file, a dict or a recipe. `set`
    changes it: {"gopher_quality.words.min": 30}. `columns` names the column of each part of a document: text, html, id,
    url, date, language. `keep_columns` names other columns to copy to the corpus. `urls_like`, `languages` and
    `domains` choose single pages of crawls by their index, as the options of `corpus build` do, and `base` is the place
    of a copy of Common Crawl. `modules` are Python files with stages of your own. `workers` defaults to the usable
    CPUs. `on_progress` is called with a `Step` after each unit.

    `run.info["quarantined"]` lists the units that were given up. Call `build` again to retry these units. Raises
    ConfigError for wrong arguments, AlarmError if deduplication would remove too much, and other CorpusErrors.
    """
    own = tuple(read_plugin(os.fspath(module)) for module in modules)
    given = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    for one in given:
        if not isinstance(one, str | os.PathLike) or "\n" in os.fspath(one):
            raise ConfigError(
                "An input is not a path, URL or crawl.", "To judge texts in memory, call corpus.recipe(…).run(texts)."
            )
    for part in columns or ():
        if part not in PARTS:
            raise ConfigError(f"'{part}' is not a part of a document.", did_you_mean(part, PARTS))
    if workers is not None and (not isinstance(workers, int) or workers < 1):
        raise ConfigError(f"{workers!r} is not a number of workers.", "Give a whole number of at least 1.")
    folder = os.fspath(out)
    at_once = workers or usable_cpus()
    job = Job(
        load_recipe(recipe, set, own),
        [os.fspath(one) for one in given],
        folder if is_url(folder) else Path(folder),
        workers=at_once,
        modules=own,
        limit=limit,
        sample=sample,
        seed=seed,
        choice=Choice.of(*(_listed(given) for given in (urls_like, languages, domains))),
        base=base,
        columns=dict(columns or {}),
        keep_columns=tuple(keep_columns),
        against=tuple(os.fspath(one) for one in against),
        index=index,
        alarm_rate=alarm_rate,
    )
    known = registry(own)
    for bound in job.recipe.stages:
        if bound.stage.name not in known:
            what = f"The processes that judge pages don't know the stage {bound.stage.name or bound.name}."
            raise ConfigError(what, "Put the class into a file, and name the file with modules=[…].")

    def engine() -> Engine:
        if not ray and address is None:
            return LocalEngine(at_once)
        from jobs.runner.ray_engine import RayEngine  # Ray is imported only if it is used

        return RayEngine(workers, address, job.out)

    result = builder.build(job, engine, _Told(on_progress or (lambda step: None)))
    if result.alarm:
        raise AlarmError(f"Stopped: {result.alarm}")
    if result.info is None:
        raise KeyboardInterrupt
    return open_run(job.out)


def _listed(given: str | Iterable[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


class ReportPage:
    """The report of a run. A notebook shows the report, and `save` writes it to a file."""

    def __init__(self, html: str) -> None:
        self.html = html

    def __repr__(self) -> str:
        return f"<ReportPage of {len(self.html):,} characters: save(path) writes it, and a notebook shows it>"

    def save(self, path: Location) -> None:
        """Write the page to a file that only its owner can read, because the page has excerpts of web pages."""
        write_whole(Path(path), self.html.encode(), private=True)

    def _repr_html_(self) -> str:
        # a separate page, so that its style and content can't affect the notebook
        style = "width:100%;height:40em;border:0"
        return f'<iframe sandbox="allow-scripts" style="{style}" srcdoc="{escape(self.html)}"></iframe>'


def report(run: Run) -> ReportPage:
    """Return the report of a run."""
    from jobs.report.gather import gather
    from jobs.report.render import render

    return ReportPage(render(gather(run, lambda: None)))
