"""The desk: an open run, perhaps another one beside it, and everything that a server keeps for them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from starlette.datastructures import QueryParams

from corpus.errors import ConfigError, InputError
from corpus.storage.store import Location
from jobs.assistant.search import Index
from jobs.assistant.tool import ToolError
from jobs.browse import limits, pages, texts
from jobs.browse.commands import Started, shown
from jobs.browse.reading import Reader, Trace
from jobs.browse.served_run import ServedRun
from jobs.browse.trace import MOST_CHARS
from jobs.runner.derived import register
from jobs.web.requests import BadRequest

T = TypeVar("T")
_KEPT_ANSWERS = 64
MOST_FOUND = 5_000
"""The most texts that a search by words finds: the first ones."""

MOST_INDEXED = 8 << 30
"""The most bytes of text in the index for words."""


@dataclass(frozen=True)
class Given:
    """What the user gave: the runs, where their archives are now, the modules, and further options of commands."""

    place: Location
    other: Location | None = None
    inputs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    how: tuple[str, ...] = ()
    labels: Path | None = None


def open_desk(given: Given) -> Desk:
    """Open a run. Raises InputError if there is none."""
    return Desk(given, ServedRun.open(given.place))


class Answers:
    """The newest answers to questions. A question that is asked twice at the same time is answered once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: OrderedDict[Hashable, Any] = OrderedDict()
        self._asked: dict[Hashable, threading.Lock] = {}

    def get(self, question: Hashable, answer: Callable[[], T]) -> T:
        with self._lock:
            asked = self._asked.setdefault(question, threading.Lock())
        with asked:
            if question not in self._found:
                found = answer()
                with self._lock:
                    self._found[question] = found
                    while len(self._found) > _KEPT_ANSWERS:
                        self._asked.pop(self._found.popitem(last=False)[0], None)
            return self._found[question]


@dataclass
class Desk:
    """An open run."""

    given: Given
    run: ServedRun
    answers: Answers = field(default_factory=Answers)
    writing: Started = field(default_factory=Started)
    indexing: Started = field(default_factory=Started)
    stopping: threading.Event = field(default_factory=threading.Event)
    slow: str = ""
    """The reason why the ledger has no copy, if there is one."""

    def start(self) -> None:
        """Copy the ledger, while questions are answered from the ledger itself."""
        threading.Thread(target=self._copy, daemon=True).start()

    def _copy(self) -> None:
        try:
            self.run.copy.make(self.stopping.is_set)
        except OSError as error:  # the ledger itself still answers
            self.slow = f"The ledger can't be copied, so answers take longer: {error.strerror}."

    def close(self) -> None:
        """End what works for this desk. A run that is being written is a process of its own, and goes on."""
        self.stopping.set()
        self.reader.close()

    @cached_property
    def reader(self) -> Reader:
        return Reader(self.run, self.given.inputs, self.given.modules)

    def overview(self) -> dict[str, Any]:
        copy = self.run.copy
        state = {"groups": len(copy.groups), "missing": copy.missing, "slow": self.slow}
        return {**limits.overview(self.run), "copy": state, "writing": self.writing.state()}

    def distribution(self, column: str) -> dict[str, Any]:
        return self.answers.get(("distribution", column), lambda: limits.distribution(self.run, column))

    def decide(self, settings: Sequence[str]) -> dict[str, Any]:
        return self.answers.get(("decide", *settings), lambda: limits.decide(self.run, settings))

    def recipe(self, settings: Sequence[str], name: str) -> dict[str, Any]:
        """Return the setting as the command that writes it, and as a recipe."""
        words = self._command(settings, name)
        return {"command": shown(words), "recipe": limits.recipe_text(self.run, settings, name)}

    def write(self, settings: Sequence[str], out: str) -> dict[str, Any]:
        """Start to write the run with these limits. Raises ConfigError for settings that are none."""
        if not out.strip() or out.startswith("-"):
            raise ConfigError("There is no name for the new run.", "Give the folder to write.")
        self.decide(settings)
        self.writing.start(self._command(settings, out), out)
        return self.writing.state()

    def _command(self, settings: Sequence[str], out: str) -> list[str]:
        given = [word for setting in settings for word in ("--set", setting)]
        modules = [word for module in self.given.modules for word in ("--allow-module", module)]
        inputs = [word for one in self.given.inputs for word in ("--inputs", one)]
        return ["tune", str(self.given.place), *given, "--write", out, *inputs, *modules, *self.given.how]

    def pages(self, asked: QueryParams) -> dict[str, Any]:
        """Return the pages that a question is for, from a row on. Words need an index, which is made first."""
        among = self._with_words(asked.get("words", ""))
        if among is None and asked.get("words", "").strip():
            return {"rows": [], "next": None, "indexing": self.indexing.state()}
        return pages.page_rows(self.run, asked, among)

    def count(self, asked: QueryParams) -> dict[str, Any]:
        """Return the number of pages that a question is for, and whether the index has only the first texts."""
        words = asked.get("words", "")
        among = self._with_words(words)
        more = among is not None and (len(among) >= MOST_FOUND or self._index().texts < self.run.counts["kept"])
        return {"count": pages.count(self.run, asked, among), "more": more}

    def _with_words(self, words: str) -> dict[int, str] | None:
        """Return the rows of texts with some words, each with a passage. Without words, or while there is no index,
        return None."""
        if not words.strip():
            return None
        try:
            self._index()
        except InputError:
            if self.indexing.state()["code"]:
                raise InputError("The index could not be made.", self.indexing.state()["lines"][-1]) from None
            if self.indexing.state()["code"] is None and not self.indexing.state()["out"]:
                out = str(self._index_file)
                words_of = ["index", str(self.given.place), "-o", out, "--most-bytes", str(MOST_INDEXED)]
                self.indexing.start(words_of, out)
            return None
        return self.answers.get(("words", words), lambda: self._found(words))

    def _found(self, words: str) -> dict[int, str]:
        try:
            found = self._index().texts_with(words, MOST_FOUND)
        except ToolError as error:
            raise BadRequest(str(error)) from None
        return dict(zip(self.run.rows_of([*found]), found.values(), strict=True))

    @property
    def _index_file(self) -> Path:
        return self.run.folder / "passages.sqlite"

    def _index(self) -> Index:
        """Open the index. Raises InputError if there is none of this run."""
        index = Index(self._index_file)
        if index.fingerprint != self.run.info["fingerprint"]:
            raise InputError("The index is of another run.", "It is made anew.")
        return index

    def page(self, asked: QueryParams) -> dict[str, Any]:
        """Return a page, named by its row or its id."""
        return pages.page(self.run, self.row(asked))

    def row(self, asked: QueryParams, name: str = "row") -> int:
        if asked.get("id"):
            return self.run.number_of(asked["id"])
        return pages.number(asked, name, 0)

    def text(self, asked: QueryParams) -> dict[str, Any]:
        """Return the text of a page: as kept, or as the stages make it if no limit drops the page."""
        row = self.row(asked)
        return {"row": row, "text": self._text(row)[:MOST_CHARS], "kept": self.run.kept_text(row) is not None}

    def _text(self, row: int) -> str:
        kept = self.run.kept_text(row)
        return str(kept["text"]) if kept else self.trace(row).text

    def trace(self, row: int) -> Trace:
        return self.answers.get(("trace", row), lambda: self.reader.trace(self.run.row(row)))

    def steps(self, asked: QueryParams) -> dict[str, Any]:
        """Return a text with everything that stages cut from it or replaced in it."""
        row = self.row(asked)
        found = [*self.trace(row).texts]
        kept = self.run.kept_text(row)
        if kept:  # lines that other pages have, too, are cut after the pass
            by = [name for name, one in self.run.info["compared"].items() if one["compares"] == "lines"]
            found.append((by[-1] if by else "", kept["text"][:MOST_CHARS]))
        uses = {table["name"]: table["stage"] for table in self.run.info["recipe"]["stages"]}
        return {"pieces": texts.steps(found), "personal": [name for name, use in uses.items() if use == "pii"]}

    def source(self, asked: QueryParams) -> dict[str, Any]:
        """Return the source of a page as it was crawled, decoded."""
        trace = self.trace(self.row(asked))
        return {"source": trace.source, "chars": trace.source_chars}

    def pair(self, asked: QueryParams) -> dict[str, Any]:
        """Return the texts of two pages with the words that they share."""
        both = [self._text(self.row(asked, name))[:MOST_CHARS] for name in ("one", "other")]
        return dict(zip(("one", "other"), texts.shared(*both), strict=True))

    def registered(self, kind: str, name: str) -> None:
        """Note in the run's folder that something was made from it, so that a takedown names it."""
        register(self.given.place, kind, name)
