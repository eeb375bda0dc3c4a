"""The pages of a run by rule, outcome or URL, read row group by row group."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.errors import ConfigError, did_you_mean
from corpus.outcome import DROPPED, FAILED, REMOVED, SKIPPED
from corpus.runs.row_groups import Columns, rows_where
from corpus.tables.ledger import ledger_url
from corpus.tables.takedown import Entry, domains_of

if TYPE_CHECKING:
    from corpus.runs.run_files import RunFiles

_SHOWN = ["id", "url", "outcome", "stage", "rule", "value", "detail"]


def list_pages(
    run: RunFiles, rule: str = "", url: str = "", outcome: str = "", domain: str = ""
) -> Iterator[dict[str, Any]]:
    """Yield the ledger rows that `find_pages` finds, in order. Each has id, url, outcome, rule, value and detail."""
    for table in find_pages(run, _SHOWN, rule, url, outcome, domain):
        for row in table.to_pylist():
            ended = ".".join(filter(None, (row["stage"], row["rule"]))) or None
            yield {name: ended if name == "rule" else value for name, value in row.items() if name != "stage"}


def find_pages(
    run: RunFiles, columns: Sequence[str], rule: str = "", url: str = "", outcome: str = "", domain: str = ""
) -> Iterator[pa.Table]:
    """Yield columns of the ledger rows that match a rule, a URL, an outcome and a domain, in order.

    `rule` is `stage.rule`, a whole stage, or a kind of failure. `url` is a part of a URL. With an asterisk, which
    stands for any characters, it is a whole URL, and the scheme may be left out. Letter case does not count in URLs.
    A domain covers its subdomains, as in a takedown. Raises ConfigError for a rule that the run does not have.
    """
    rules = _checked(run, rule)
    pattern = _pattern(url)
    host = Entry.domain(domain).form if domain else ""

    def chosen(read: Columns) -> pa.Array:
        table = read(["outcome", "stage", "rule"])
        found = np.ones(table.num_rows, np.bool_)
        if outcome:
            found &= _equal(table["outcome"], outcome)
        for column, name in rules.items():
            found &= _equal(table[column], name)
        if pattern and found.any():
            found &= pc.match_substring_regex(read(["url"])["url"], pattern).to_numpy()
        if host and found.any():
            rows = np.flatnonzero(found)
            urls = read(["url"])["url"].take(pa.array(rows)).to_pylist()
            found[rows] = [host in domains_of(url or "") for url in urls]
        return pa.array(found)

    yield from rows_where(run.paths("ledger"), chosen, columns)


def cut_archives(run: RunFiles) -> list[str]:
    """Return the names of the archives that end in the middle of a record."""

    def chosen(read: Columns) -> pa.Array:
        damaged = _equal(read(["rule"])["rule"], "damaged")
        if damaged.any():
            damaged &= pc.fill_null(pc.starts_with(read(["detail"])["detail"], "truncated:"), False).to_numpy()
        return pa.array(damaged)

    tables = rows_where(run.paths("ledger"), chosen, ["warc"])
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
