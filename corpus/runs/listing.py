"""The pages of a run by rule, outcome or URL, read row group by row group."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.errors import ConfigError, did_you_mean
from corpus.outcome import DROPPED, FAILED, REMOVED, SKIPPED
from corpus.runs.row_groups import Columns, rows_where
from corpus.runs.run_json import language_label
from corpus.runs.urls import OTHER_FORMS
from corpus.tables.ledger import ledger_url
from corpus.tables.takedown import Entry, domains_of

if TYPE_CHECKING:
    from corpus.runs.run_files import RunFiles

_SHOWN = ["id", "url", "outcome", "stage", "rule", "value", "detail"]


@dataclass(frozen=True)
class PageQuery:
    """A question for the pages of a run. Parts that are empty or None match every page."""

    rule: str = ""
    """`stage.rule`, a whole stage, or a kind of failure."""
    url: str = ""
    """A part of a URL. With an asterisk, which stands for any characters, it is a whole URL, and the scheme may be left
    out. Letter case does not count."""
    outcome: str = ""
    domain: str = ""
    """A domain, which covers its subdomains, as in a takedown."""
    language: str = ""
    measure: str = ""
    """The ledger column of a measure with numbers. Its value must be known, and lie between `least` and `most`."""
    least: float | None = None
    most: float | None = None
    cluster: str = ""
    """The id of a keeper: the keeper itself, and the documents that repeat it."""


def list_pages(run: RunFiles, query: PageQuery) -> Iterator[dict[str, Any]]:
    """Yield the ledger rows of a query, in order. Each has id, url, outcome, rule, value and detail."""
    for table in find_pages(run, _SHOWN, query):
        for row in table.to_pylist():
            yield {name: ended_at(row) if name == "rule" else value for name, value in row.items() if name != "stage"}


def ended_at(row: dict[str, Any]) -> str | None:
    """Return where a ledger row ended: `stage.rule`, or the kind of a failure or skip, or None for a kept page."""
    return ".".join(filter(None, (row["stage"], row["rule"]))) or None


def find_pages(run: RunFiles, columns: Sequence[str], query: PageQuery) -> Iterator[pa.Table]:
    """Yield columns of the ledger rows of a query, in order.

    Raises ConfigError for a rule or a measure that the run does not have.
    """
    choose = chooser(run, query)
    yield from rows_where(run.groups("ledger"), lambda read: pa.array(choose(read)), columns)


def chooser(run: RunFiles, query: PageQuery) -> Callable[[Columns], np.ndarray]:
    """Return a function that marks the ledger rows of a query.

    Raises ConfigError for a rule or a measure that the run does not have.
    """
    equal = _checked(run, query.rule) | ({"outcome": query.outcome} if query.outcome else {})
    if query.language:
        equal[language_label(run.info) or _none("language of pages")] = query.language
    if query.measure and run.info["columns"].get(query.measure, "str") == "str":
        numbers = [name for name, kind in run.info["columns"].items() if kind != "str"]
        raise ConfigError(f"The run has no numbers '{query.measure}'.", did_you_mean(query.measure, numbers))
    pattern = _pattern(query.url)
    host = Entry.domain(query.domain).form if query.domain else ""

    def choose(read: Columns) -> np.ndarray:
        found = np.ones(read(["outcome"]).num_rows, np.bool_)
        for column, name in equal.items():
            found &= _equal(read([column])[column], name)
        if query.measure and found.any():
            values = pc.cast(read([query.measure])[query.measure], pa.float64()).to_numpy()
            found &= ~np.isnan(values)
            found &= ~(values < query.least) if query.least is not None else True
            found &= ~(values > query.most) if query.most is not None else True
        if query.cluster and found.any():
            found &= _equal(read(["detail"])["detail"], query.cluster) | _equal(read(["id"])["id"], query.cluster)
        if pattern and found.any():
            rows = np.flatnonzero(found)
            urls = read(["url"])["url"].take(pa.array(rows))
            found[rows] = pc.match_substring_regex(urls, pattern).to_numpy()
        if host and found.any():
            urls = read(["url"])["url"]
            likely = pc.match_substring_regex(urls, f"(?i){re.escape(host)}|{OTHER_FORMS}")
            rows = np.flatnonzero(found & pc.fill_null(likely, False).to_numpy())
            found[:] = False
            found[rows] = [host in domains_of(url or "") for url in urls.take(pa.array(rows)).to_pylist()]
        return found

    return choose


def _none(what: str) -> str:
    raise ConfigError(f"The run does not say the {what}.", "Leave that part of the question out.")


def cut_archives(run: RunFiles) -> list[str]:
    """Return the names of the archives that end in the middle of a record."""

    def chosen(read: Columns) -> pa.Array:
        damaged = _equal(read(["rule"])["rule"], "damaged")
        if damaged.any():
            damaged &= pc.fill_null(pc.starts_with(read(["detail"])["detail"], "truncated:"), False).to_numpy()
        return pa.array(damaged)

    tables = rows_where(run.groups("ledger"), chosen, ["warc"])
    return list(dict.fromkeys(name for table in tables for name in table["warc"].to_pylist()))


def _equal(column: pa.ChunkedArray, value: str) -> np.ndarray:
    found: np.ndarray = pc.fill_null(pc.equal(column, value), False).to_numpy()
    return found


def _checked(run: RunFiles, rule: str) -> dict[str, str]:
    """Return the values of `stage` and `rule` that a row must have.

    Raises ConfigError for a rule that the run does not have.
    """
    if not rule:
        return {}
    counts = run.info["records"]
    kinds = {kind for outcome in (FAILED, SKIPPED) for kind in counts.get(outcome, {})}
    stages = {REMOVED, *(stage["name"] for stage in run.info["recipe"]["stages"])}
    rules = {*run.info["columns"], *(f"{REMOVED}.{kind}" for kind in ("url", "domain"))}
    rules |= {f"{stage}.{name}" for stage, names in counts.get(DROPPED, {}).items() for name in names}
    rules |= {f"{stage}.{kind}" for stage in stages for kind in kinds}
    if rule not in rules | stages | kinds:
        raise ConfigError(f"The run has no rule '{rule}'.", did_you_mean(rule, rules | stages | kinds))
    stage, _, measure = rule.partition(".")
    return {"stage": stage, "rule": measure} if measure else {"stage": rule} if rule in stages else {"rule": rule}


def _pattern(url: str) -> str:
    """Return the regular expression for a part of a URL, or for a whole URL if it has an asterisk."""
    parts = ".*".join(map(re.escape, ledger_url(url).split("*")))
    scheme = "" if "//" in url else "([a-z]+://)?"
    return "" if not url else f"(?is)^{scheme}{parts}$" if "*" in url else f"(?i){parts}"
