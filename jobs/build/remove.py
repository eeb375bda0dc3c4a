"""`corpus remove`: take pages down from a finished run, for good.

A new run without these pages is made beside the old one, as a run of its own (`jobs.build.replay_run`). Then it
replaces the old run. Afterwards no file of the folder has their text. The ledger keeps a row for each page, which says
that the page was taken down.
"""

from __future__ import annotations

import codecs
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from corpus.errors import ConfigError, reason_of
from corpus.outcome import REMOVED
from corpus.revise.differences import Returned, returned
from corpus.revise.takedowns import Found, copies_of, find_entries, find_near
from corpus.run import open_run
from corpus.runs.ledger_copy import cache_folder
from corpus.storage.store import LocalStore
from corpus.storage.swap import JOURNAL, finish_swap, fresh_folder, swap
from corpus.tables.takedown import Entry, Takedown, takedown_of
from corpus.url_identity import list_entry
from filters.url.public_suffixes import is_public_suffix, registered_domains
from jobs.build.plan import Job
from jobs.build.replay_run import check_complete, replay
from jobs.runner.derived import registered
from jobs.runner.engine import Engine
from jobs.runner.execution import JobResult
from jobs.runner.progress import Progress

_LIST = "Give a text file in UTF-8 or UTF-16, one entry a line."
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


@dataclass(frozen=True)
class Removal:
    """The result of a takedown."""

    result: JobResult
    found: list[Found]
    """The pages that each entry found, in the order of the lists."""
    pages: list[str]
    """The URLs of the pages that the entries removed now, or their ids."""
    copies: list[dict[str, Any]]
    """The ledger rows of other pages whose text equals that of a removed page."""
    copies_go: bool
    """True if these copies are removed too."""
    returned: list[Returned]
    """The pages that came back because a removed page had displaced them."""
    removed_before: int
    """The number of pages that earlier takedowns had removed."""
    derived: list[dict[str, str]]
    """The outputs that were made from the run, by the names in its register."""

    def as_dict(self) -> dict[str, Any]:
        """Return the removal as plain data."""
        entries = [
            {"entry": one.entry.text, "kind": one.entry.kind, "pages": one.pages, "before": one.before,
             "near": one.near, "stays": one.stays} for one in self.found
        ]  # fmt: skip
        returned = [{"id": one.id, "url": one.url, "lines": one.lines} for one in self.returned]
        copies = [{"id": row["id"], "url": row["url"]} for row in self.copies]
        return {"entries": entries, "removed": self.pages, "copies": copies, "copies_removed": self.copies_go,
                "returned": returned, "derived": self.derived}  # fmt: skip


def read_list(path: Path | None) -> list[str]:
    """Return the entries of a list without empty lines and comments.

    The list has one entry per line. Raises ConfigError.
    """
    if path is None:
        return []
    try:
        data = path.read_bytes()
        text = data.decode(_encoding(data))
    except FileNotFoundError:
        raise ConfigError(f"There is no file {path}.", "Put the entries into a text file, one a line.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} can't be read: {reason_of(error)}.", _LIST) from None
    if "\0" in text:
        raise ConfigError(f"{path} is not a text file.", _LIST)
    return [entry for line in text.splitlines() if (entry := list_entry(line))]


def _encoding(data: bytes) -> str:
    """Return the encoding of a list: UTF-16 if a byte order mark or the positions of zero bytes show it, else UTF-8."""
    for mark, name in _MARKS.items():
        if data.startswith(mark):
            return name
    if b"\0" in data:
        return "utf-16-le" if data[1::2].count(0) > data[::2].count(0) else "utf-16-be"
    return "utf-8"


def check_domains(entries: Sequence[Entry]) -> None:
    """Raise ConfigError if an entry is a public suffix. Such an entry would cover the sites of strangers."""
    broad = [one.text for one in entries if one.kind == "domain" and one.form and is_public_suffix(one.form)]
    if broad:
        others = f" and {len(broad) - 1} more" if len(broad) > 1 else ""
        raise ConfigError(
            f"'{broad[0]}'{others} is a public suffix: the sites of many owners end with it.",
            "Give the domains of the sites, or --yes to take all of them down.",
        )


def removed_pages(info: Mapping[str, Any]) -> int:
    """Return the number of pages that takedowns have removed from a run. `info` is its run.json."""
    return sum(info["records"]["dropped"].get(REMOVED, {}).values())


def remove(folder: Path, entries: Sequence[Entry], make_job: Callable[[dict[str, Any], Path], Job],
           make_engine: Callable[[], Engine], progress: Progress, copies: bool = False,
           hash_urls: bool = False) -> Removal:  # fmt: skip
    """Take the pages of `entries` down from the run in `folder`. With `copies`, also take down all pages with the text
    of one of these pages.

    Earlier takedowns stay. If an entry finds no page, nothing changes. With `hash_urls`, the ledger gets hashes in
    place of the URLs and record ids of all pages that were ever removed. `make_job` makes the job for a recipe and a
    folder. A takedown that was interrupted is finished first.
    """
    store = LocalStore(folder)
    if store.size(JOURNAL) is None:
        open_run(folder)  # if there is no run, this raises an error before anything is written
    with store.only_run(store.shared):
        finish_swap(store)
        run = open_run(folder)
        check_complete(run)  # in an incomplete run, a page may be in a missing unit
        found, going = find_entries(run, entries)
        if any(one.nothing for one in found):
            find_near(run, found, registered_domains())
        pages = [row["url"] or row["id"] for row in going.to_pylist()]
        also = copies_of(run, going) if going.num_rows else []
        copied = [Entry.url(row["url"]) for row in also if copies and row["url"]]
        gone = {row["url"] for row in also} if copies else set()
        for one in (one for one in found if one.stays):
            strangers = one.wider and is_public_suffix(one.wider)  # `www.co.uk` says nothing about other sites
            one.stays = [] if strangers else [url for url in one.stays if url not in gone]
        before = removed_pages(run.info)
        takedown = takedown_of(store) | Takedown.of_entries([*entries, *copied]) | Takedown(hides=hash_urls)
        hides = takedown.hides and not takedown_of(store).hides and REMOVED in run.info["records"]["dropped"]
        if takedown.digest == run.info["removed"]:
            store.remove(".work")  # an earlier takedown may have been interrupted at its very end
        if takedown.digest == run.info["removed"] or not (going.num_rows or hides):
            return Removal(
                JobResult(0, run.info, already_done=True), found, [], [], copies, [], before, registered(folder)
            )
        fresh = fresh_folder(takedown.digest)
        for key in {path.name for path in store.path(".work").glob("takedown-*")} - {Path(fresh).name}:
            store.remove(f".work/{key}")  # left by another takedown that was interrupted
        job = replace(
            make_job(run.info["recipe"], folder / fresh), index=bool(run.parts("signatures")), share=store.shared
        )
        result = replay(run, job, takedown, make_engine, progress)
        back: list[Returned] = []
        if result.info is not None and result.exit_code == 0:
            back = list(returned(run, open_run(folder / fresh)))
            swap(store, fresh)
            store.remove(".work")  # this folder contains texts of the pages
            shutil.rmtree(cache_folder(store.location), ignore_errors=True)  # what `corpus serve` made for this user
        pages = pages if result.exit_code == 0 else []
        return Removal(result, found, pages, also, copies, back, before, registered(folder))
