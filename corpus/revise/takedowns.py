"""The pages of a run that a takedown list removes, by entry, and the copies of these pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from xxhash import xxh3_64_intdigest

from corpus.outcome import DROPPED, FAILED, KEPT, REMOVED
from corpus.runs.row_groups import Columns, read_batches, rows_where
from corpus.runs.urls import nearest_domains, nearest_urls, urls_in, variant_key
from corpus.tables.ledger import hidden_url, ledger_identity
from corpus.tables.takedown import Entry, domains_of, takedown_of

if TYPE_CHECKING:
    from corpus.runs.run_files import RunFiles

_ARCHIVE_FAILURES = ("damaged", "not_http")
"""Failures of the archive. No stage causes them."""

_PAGE = ["id", "url", "outcome", "stage", "detail"]
_CORPUS_ROWS = 1 << 10


@dataclass
class Found:
    """An entry of a takedown list, and the pages of a run that it removes."""

    entry: Entry
    pages: int = 0
    """The number of pages that the entry removes now."""
    before: int = 0
    """The number of pages that the entry had already removed."""
    listed: bool = False
    """True for a domain that was already on the list of the run, if its pages can't be counted because their names are
    hashed.
    """
    near: list[str] = field(default_factory=list)
    """If the entry found nothing: URLs or domains of the run that the author of the list may have meant."""
    stays: list[str] = field(default_factory=list)
    """URLs of pages that stay, though the author may have meant them: for `www.a.example` all other pages of
    `a.example`, for a URL those that differ only in `www.`, a final slash or letter case.
    """

    @property
    def nothing(self) -> bool:
        return not self.pages and not self.before and not self.listed

    @property
    def wider(self) -> str:
        """The domain without `www.`, or "" for an entry that is no such domain."""
        return self.entry.form[4:] if self.entry.kind == "domain" and self.entry.form.startswith("www.") else ""


def failed_pages(read: Columns) -> np.ndarray:
    """Return True for the rows of pages that failed in a stage, or in the worker."""
    table = read(["outcome", "rule"])
    of_archive = pc.is_in(table["rule"], value_set=pa.array(_ARCHIVE_FAILURES))
    found: np.ndarray = pc.and_(pc.equal(table["outcome"], FAILED), pc.invert(of_archive)).to_numpy()
    return found


def taken_down(read: Columns) -> np.ndarray:
    """Return True for the rows of pages that were taken down."""
    found: np.ndarray = pc.fill_null(pc.equal(read(["stage"])["stage"], REMOVED), False).to_numpy()
    return found


def judged_pages(read: Columns) -> np.ndarray:
    """Return True for the rows that a takedown may remove: the rows of pages that stages have judged."""
    judged = pc.is_in(read(["outcome"])["outcome"], value_set=pa.array([KEPT, DROPPED])).to_numpy()
    found: np.ndarray = (judged | failed_pages(read)) & ~taken_down(read)
    return found


def find_entries(run: RunFiles, entries: Iterable[Entry]) -> tuple[list[Found], pa.Table]:
    """Return the pages that each entry finds in a run, and the rows of all pages to remove."""
    before = takedown_of(run.store)
    found = [Found(one, listed=before.hides and one.kind == "domain" and before.has(one)) for one in entries]
    by_form: dict[tuple[str, str], list[Found]] = {}
    for one in found:
        by_form.setdefault((one.entry.kind, one.entry.form), []).append(one)
        if one.entry.kind == "url":
            by_form.setdefault(("hash", hidden_url(one.entry.form)), []).append(one)
    domains = any(kind == "domain" for kind, _ in by_form)
    by_likeness: dict[Any, list[Found]] = {}
    for one in found:
        if one.wider or one.entry.kind == "url":
            by_likeness.setdefault(one.wider or variant_key(one.entry.form), []).append(one)
    variants = any(isinstance(key, tuple) for key in by_likeness)
    going = []
    for group in run.groups("ledger"):
        with group.open() as read:
            gone = taken_down(read)
            rows = np.flatnonzero(judged_pages(read) | gone)
            goes = np.zeros(group.rows, np.bool_)
            for row, url in zip(rows.tolist(), read(["url"])["url"].take(pa.array(rows)).to_pylist(), strict=True):
                forms = [("url", ledger_identity(url)), ("hash", url)] if url else []
                forms += [("domain", name) for name in domains_of(url)] if domains else []
                hits = [one for form in forms for one in by_form.get(form, ())]
                for one in hits:
                    one.before += int(gone[row])
                    one.pages += int(not gone[row])
                goes[row] = bool(hits) and not gone[row]
                if url and by_likeness and not hits and not gone[row]:
                    keys = [*domains_of(url), *([variant_key(url)] if variants else [])]
                    for one in (one for key in keys for one in by_likeness.get(key, ())):
                        one.stays.append(url)
            going.append(read(_PAGE).filter(pa.array(goes)))
    return found, pa.concat_tables(going)


def find_near(run: RunFiles, found: Iterable[Found], registered_domain: Callable[[str], str]) -> None:
    """Find, for each entry that found nothing, the URLs or domains that its author may have meant."""
    missing = [one for one in found if one.nothing]
    urls, domains = ([one.entry.form for one in missing if one.entry.kind == kind] for kind in ("url", "domain"))
    paths = run.paths("ledger")
    near = nearest_urls(urls_in(paths), urls) if urls else {}
    near |= nearest_domains(urls_in(paths), domains, registered_domain) if domains else {}
    for one in missing:
        one.near = near[one.entry.form]


def copies_of(run: RunFiles, pages: pa.Table) -> list[dict[str, Any]]:
    """Return the rows of the copies of these pages: other pages with an equal text or in the same cluster."""
    stages = [name for name, one in run.info["compared"].items() if one["compares"] == "documents"]
    known = set(pages["id"].to_pylist())
    cluster = known | _same_texts(run, known)
    copies: list[dict[str, Any]] = []
    new = pages.to_pylist()
    while new:
        cluster |= {row["id"] for row in new} | {row["detail"] for row in new if row["stage"] in stages}
        marked = pa.array(cluster, pa.string())
        found = rows_where(run.groups("ledger"), lambda read: _belongs(read, marked, stages), _PAGE)  # noqa: B023
        new = [row for table in found for row in table.to_pylist() if row["id"] not in known]
        known |= {row["id"] for row in new}
        copies += new
    return copies


def _belongs(read: Columns, cluster: pa.Array, stages: list[str]) -> pa.ChunkedArray:
    """Return True for the pages of a cluster.

    Pages that a comparison removed in favor of a page of the cluster belong to it.
    """
    table = read(["id", "stage", "detail"])
    compared = pc.is_in(table["stage"], value_set=pa.array(stages, pa.string()))
    repeats = pc.and_(compared, pc.is_in(table["detail"], value_set=cluster))
    return pc.or_(repeats, pc.is_in(table["id"], value_set=cluster))


def _same_texts(run: RunFiles, wanted: set[str]) -> set[str]:
    """Return the ids of the kept pages that have the text of one of the wanted pages."""
    hashes, chosen, ids = [np.zeros(0, np.uint64)], [np.zeros(0, np.bool_)], pa.array(wanted, pa.string())
    for batch in read_batches(run.paths("corpus"), ["id", "text"], _CORPUS_ROWS):
        hashes.append(np.array([xxh3_64_intdigest(text.encode()) for text in batch["text"].to_pylist()], np.uint64))
        chosen.append(pc.is_in(batch["id"], value_set=ids).to_numpy(zero_copy_only=False))
    numbers = np.concatenate(hashes)
    same = np.isin(numbers, numbers[np.concatenate(chosen)])
    found: set[str] = set()
    for batch in read_batches(run.paths("corpus"), ["id"], _CORPUS_ROWS):
        here, same = same[: batch.num_rows], same[batch.num_rows :]
        found.update(batch["id"].filter(pa.array(here)).to_pylist())
    return found
