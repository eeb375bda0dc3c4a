"""The pages that a classifier learns from: documents and archives, finished runs, and pages of a run by their outcome.

Documents and archives are read by a build into a folder of its own, with a recipe that makes a line of tokens of each
page. So reading has units, workers, guards and commits like any build, and a stopped command continues.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import xxhash

from corpus.collective import Collective
from corpus.errors import ConfigError, InputError
from corpus.outcome import DROPPED, KEPT
from corpus.plugins import Plugin
from corpus.run import Run, open_run
from corpus.runs.listing import PageQuery, find_pages
from corpus.runs.row_groups import read_tables
from corpus.stage import Stage
from corpus.tables.ledger import ledger_url
from corpus.url_identity import split_url
from filters import load_recipe, registry
from filters.classifier.tokens import View
from filters.url.public_suffixes import registered_domains
from jobs.build.archives import read_again, without_limits
from jobs.build.build import build
from jobs.build.contents import find_columns
from jobs.build.inputs import find_inputs
from jobs.build.plan import Job
from jobs.classifier.token_line import FACTORY, recipe_from_dict, table
from jobs.runner.engine import Engine
from jobs.runner.progress import Progress

_QUERY = re.compile(r"(?P<folder>.+):(?P<key>rule|outcome|url|domain)=(?P<value>.+)", re.DOTALL)


class Page(NamedTuple):
    """A page to learn from. `site` is its registered domain, or its id if it has no URL. `line` has its tokens."""

    id: str
    url: str
    site: str
    label: str
    line: str
    excerpt: str


@dataclass(frozen=True)
class Source:
    """Inputs whose pages have one label, or `column`, which has the label of each page."""

    inputs: tuple[str, ...]
    label: str = ""
    column: str = ""


@dataclass(frozen=True)
class Reading:
    """The way in which pages are read: the scratch folder, the engine, the columns of documents, what the model sees of
    a page, the seed, and the most pages of a label. `moved` has the present places of a run's archives."""

    scratch: Path
    make_engine: Callable[[], Engine]
    progress: Progress
    columns: dict[str, str]
    view: View
    seed: int
    most: int
    moved: tuple[str, ...] = ()
    modules: tuple[Plugin, ...] = ()
    workers: int = 1


@dataclass
class Pages:
    """The pages of all labels in the order of a hash, and the numbers of those that were left out, by reason."""

    pages: list[Page]
    left_out: dict[str, int]
    inputs: list[dict[str, Any]]
    """The files or runs with their identities, by label."""


class StoppedReading(Exception):
    """Raised if a stop signal ended the reading. The same command continues."""

    def __init__(self, exit_code: int) -> None:
        super().__init__()
        self.exit_code = exit_code


def read_pages(sources: Sequence[Source], how: Reading) -> Pages:
    """Read the pages of all sources. Of pages with the same tokens one is kept, or none if their labels differ."""
    found: list[Page] = []
    inputs: list[dict[str, Any]] = []
    for number, source in enumerate(sources):
        asked = [(one, _query(one)) for one in source.inputs]
        files = [one for one, match in asked if match is None]
        queries = [(one, match) for one, match in asked if match is not None]
        if queries and source.column:
            what = f"{queries[0][0]} has no labels."
            raise ConfigError(what, "Give it with --good or --bad, or name labelled files.")
        if files:
            run = _read_files(replace(source, inputs=tuple(files)), how, how.scratch / f"pages-{number}")
            inputs += [{"label": source.label, **one} for one in run.info["inputs"]]
            found += _rows(_corpus(run), source)
        for query, match in queries:
            run = open_run(Path(match["folder"]))
            inputs.append({"label": source.label, "name": query, "identity": run.info["fingerprint"]})
            found += _rows(_answer(run, match["key"], match["value"], how), source)
    return _sifted(found, inputs, how)


def draw(seed: int, text: str) -> int:
    """Return a number for a text that depends on the seed."""
    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"), seed)


def _query(given: str) -> re.Match[str] | None:
    """Return the parts of a query, or None if the input is something else."""
    match = _QUERY.fullmatch(given)
    asks = match is not None and not Path(given).exists() and Path(match["folder"], "run.json").is_file()
    return match if asks else None


def _read_files(source: Source, how: Reading, folder: Path) -> Run:
    keep = (source.column,) if source.column else ()
    columns = find_columns(find_inputs(source.inputs), how.columns, keep)
    default = load_recipe("default").canonical()["stages"]
    pages = columns is None or "page" in columns.gives
    stages = [one for one in default if one["stage"] == "extract"] if pages else []
    recipe = recipe_from_dict({"name": "classifier", "stages": [*stages, table(how.view)]})
    job = Job(
        recipe, list(source.inputs), folder, workers=how.workers, factory=FACTORY, columns=how.columns,
        keep_columns=keep, index=False,
    )  # fmt: skip
    result = build(job, how.make_engine, how.progress)
    if result.info is None:
        raise StoppedReading(result.exit_code)
    for unit in result.info["quarantined"]:
        what = f"{unit['warc']} can't be read to its end: {unit['reason'].splitlines()[0]}"
        raise InputError(what, "Run the same command to try again, or leave the file out.")
    return open_run(folder)


def _corpus(run: Run) -> Iterator[dict[str, Any]]:
    for rows in read_tables(run.paths("corpus")):
        yield from rows.select(
            [name for name in ("id", "url", "text", "metadata") if name in rows.column_names]
        ).to_pylist()


def _answer(run: Run, key: str, value: str, how: Reading) -> Iterator[dict[str, Any]]:
    """Yield the pages of a run that a query names, with their tokens. The pages are read again from their archives."""
    columns = ["id", "url", "outcome", "stage", "rule", "warc", "offset"]
    asked: dict[str, Any] = {key: value}
    rows = [row for rows in find_pages(run, columns, PageQuery(**asked)) for row in rows.to_pylist()]
    rows = [row for row in rows if row["outcome"] in (KEPT, DROPPED)]
    if not rows:
        raise InputError(f"No kept or dropped page of {run.location} has {key}={value}.", "`corpus ls` lists pages.")
    rows = sorted(rows, key=lambda row: draw(how.seed, row["id"]))[: how.most]
    recipe = without_limits(run.info["recipe"])
    known = registry(how.modules)
    single = [one for one in recipe["stages"] if not issubclass(known.get(one["stage"], Stage), Collective)]
    recipe["stages"] = [*single, table(how.view)]
    texts = read_again(run, rows, how.moved, recipe, how.modules, FACTORY)
    yield from ({**row, "text": texts[row["id"]]} for row in rows if row["id"] in texts)


def _rows(rows: Iterable[dict[str, Any]], source: Source) -> Iterator[Page]:
    domain = registered_domains()
    for row in rows:
        label = source.label
        if source.column:
            value = json.loads(row["metadata"] or "{}").get(source.column)
            label = "_".join(str(value).split()) if isinstance(value, str | int) else ""
        line, _, excerpt = row["text"].partition("\n")
        url = row["url"] or ""
        host = split_url(url)[0]
        yield Page(row["id"], ledger_url(url), domain(host) or host or row["id"], label, line, excerpt)


def _sifted(found: list[Page], inputs: list[dict[str, Any]], how: Reading) -> Pages:
    """Leave out pages without text or label, repeated ones, and those above the most pages of a label."""
    left_out = {"without text": 0, "without a label": 0, "repeated": 0, "with two labels": 0, "beyond --most": 0}
    labels: dict[str, set[str]] = {}
    for page in found:
        labels.setdefault(page.line, set()).add(page.label)
    seen: set[str] = set()
    taken: dict[str, int] = {}
    pages = []
    for page in sorted(found, key=lambda page: (draw(how.seed, page.id), page.id, page.label)):
        reason = (
            "without text" if not page.line else "without a label" if not page.label
            else "with two labels" if len(labels[page.line]) > 1 else "repeated" if page.line in seen
            else "beyond --most" if taken.get(page.label, 0) >= how.most else ""
        )  # fmt: skip
        if reason:
            left_out[reason] += 1
            continue
        seen.add(page.line)
        taken[page.label] = taken.get(page.label, 0) + 1
        pages.append(page)
    return Pages(pages, {reason: count for reason, count in left_out.items() if count}, inputs)
