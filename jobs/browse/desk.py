"""The desk: an open run, perhaps another one beside it, and everything that a server keeps for them."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from starlette.datastructures import QueryParams

from corpus.errors import ConfigError, InputError
from corpus.revise.differences import ABSENT, diff
from corpus.revise.explain import explained
from corpus.revise.url_differences import diff_by_url
from corpus.storage.store import LocalStore, Location, Store, open_store
from jobs.assistant.search import Index
from jobs.assistant.tool import ToolError
from jobs.browse import labels, limits, pages, texts
from jobs.browse.answers import Answers
from jobs.browse.commands import Started, shown
from jobs.browse.reading import Reader
from jobs.browse.served_run import ServedRun
from jobs.browse.trace import MOST_CHARS
from jobs.browse.under_way import UnderWay
from jobs.report.gather import run_name
from jobs.runner.derived import register
from jobs.web.requests import BadRequest

MOST_FOUND = 5_000
"""The most texts that a search by words finds: the first ones."""

MOST_INDEXED = 8 << 30
"""The most bytes of text in the index for words."""

_MOVED = 200
"""The most pages that are listed for each way of moving between two runs."""


@dataclass(frozen=True)
class Given:
    """What the user gave: the runs, where their archives are now, the modules, further options of commands, and the
    file of labels."""

    place: Location
    other: Location | None = None
    inputs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    how: tuple[str, ...] = ()
    labels: Path | None = None

    @property
    def labels_file(self) -> Path:
        """The file of labels: by default beside the run, or in the present folder if the run is in a bucket."""
        beside = self.place if isinstance(self.place, Path) else Path(run_name(str(self.place)))
        return self.labels or beside.absolute().with_name(f"{beside.absolute().name}.labels.jsonl")


@dataclass
class Served:
    """What a server shows: a run that is under way, and the desk as soon as the run has ended."""

    given: Given
    stopping: threading.Event = field(default_factory=threading.Event)
    _desk: Desk | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def store(self) -> Store:
        return open_store(self.given.place)

    @cached_property
    def _under_way(self) -> UnderWay:
        return UnderWay(self.store)

    def state(self) -> dict[str, Any]:
        """Return how far the run is. Raises InputError if there is no run."""
        if self.store.get("run.json") is None and self.store.get(".work/plan.json") is not None:
            return {"ended": False, "name": run_name(self.store.location), **self._under_way.state()}
        self.desk()
        return {"ended": True}

    def desk(self) -> Desk:
        """Return the desk. Raises InputError if the run has not ended, or has changed since it was opened."""
        with self._lock:
            if self._desk is None:
                run = ServedRun.open(self.given.place)
                self._desk = Desk(self.given, run, self.stopping)
                self._desk.start()
        self._desk.check()
        return self._desk

    def close(self) -> None:
        """End what works for the desk. A run that is being written is a process of its own, and goes on."""
        self.stopping.set()
        if self._desk is not None:
            self._desk.close()


@dataclass
class Desk:
    """An open run."""

    given: Given
    run: ServedRun
    stopping: threading.Event = field(default_factory=threading.Event)
    answers: Answers = field(default_factory=Answers)
    writing: Started = field(default_factory=Started)
    indexing: Started = field(default_factory=Started)
    slow: str = ""
    """The reason why the ledger has no copy, if there is one."""

    def __post_init__(self) -> None:
        self.labels = labels.Labels(self.given.labels_file)
        self.reader = Reader(self.run, self.given.inputs, self.given.modules)
        self._labelling = threading.RLock()
        self._rows_of_labels: Mapping[str, int] | None = None
        self.other = ServedRun.open(self.given.other) if self.given.other else None
        self._stamps = self._stamped()

    def start(self) -> None:
        """Copy the ledgers, while questions are answered from the ledgers themselves."""
        threading.Thread(target=self._copy, daemon=True).start()

    def _copy(self) -> None:
        try:
            for run in filter(None, (self.run, self.other)):
                run.copy.make(self.stopping.is_set)
        except OSError as error:  # the ledger itself still answers
            self.slow = f"The ledger can't be copied, so answers take longer: {error.strerror}."

    def close(self) -> None:
        self.reader.close()
        if self.other is not None:
            self._other_reader.close()

    def _stamped(self) -> list[tuple[int, int]]:
        """Return what tells whether the runs on this machine have changed."""
        stores = [run.store for run in (self.run, self.other) if run is not None]
        found = [store.path("run.json").stat() for store in stores if isinstance(store, LocalStore)]
        return [(one.st_ino, one.st_mtime_ns) for one in found]

    def check(self) -> None:
        """Raise InputError if a run has changed since it was opened, as by a takedown."""
        try:
            same = self._stamped() == self._stamps
        except OSError:
            same = False
        if not same:
            raise InputError("The run has changed since it was opened.", "Start `corpus serve` again.")

    # limits

    def overview(self) -> dict[str, Any]:
        copy = self.run.copy
        state = {"groups": len(copy.groups), "missing": copy.missing, "slow": self.slow}
        other = run_name(self.other.location) if self.other else None
        more = {"copy": state, "writing": self.writing.state(), "other": other, "labels": str(self.labels.path)}
        return {**self.answers.get("overview", lambda: limits.overview(self.run)), **more}

    def distribution(self, asked: QueryParams) -> dict[str, Any]:
        column = asked.get("column", "")
        return self.answers.get(("distribution", column), lambda: limits.distribution(self.run, column))

    def decide(self, settings: Sequence[str]) -> dict[str, Any]:
        """Return the run under other limits, and what the labels say about them."""
        decided = self.answers.get(("decide", *settings), lambda: limits.decide(self.run, settings))
        known = {name: line["label"] for name, line in self.labels.lines.items()}
        return {**decided, "judged": labels.under(self.run, settings, known, self._labelled_rows())}

    def recipe(self, settings: Sequence[str], name: str) -> dict[str, Any]:
        """Return the setting as the command that writes it, and as a recipe."""
        words = self._command(settings, name)
        text = self.answers.get(("recipe", name, *settings), lambda: limits.recipe_text(self.run, settings, name))
        return {"command": shown(words), "recipe": text}

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

    # pages

    def pages(self, asked: QueryParams) -> dict[str, Any]:
        """Return the pages that a question is for, from a row on. Words need an index, which is made first."""
        among = self._with_words(asked.get("words", ""))
        if among is None and asked.get("words", "").strip():
            return {"rows": [], "next": None, "indexing": self.indexing.state()}
        return pages.page_rows(self.run, asked, among)

    def count(self, asked: QueryParams) -> dict[str, Any]:
        """Return the number of pages that a question is for, and whether there may be more: a search by words finds the
        first texts of the index."""
        among = self._with_words(asked.get("words", ""))
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
            self._make_index()
            return None
        return self.answers.get(("words", words), lambda: self._found(words))

    def _make_index(self) -> None:
        """Start to make the index, once. Raises InputError if that failed."""
        state = self.indexing.state()
        if state["code"]:
            raise InputError("The index for words could not be made.", " ".join(state["lines"][-1:]))
        if not state["out"]:
            out, most = str(self._index_file), str(MOST_INDEXED)
            try:
                self.run.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise BadRequest(f"{self.run.folder} can't be made: {error.strerror}.", status=507) from None
            self.indexing.start(["index", str(self.given.place), "-o", out, "--most-bytes", most], out)

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

    def row(self, asked: QueryParams, name: str = "row") -> int:
        """Return the row of a page, which is named by its row or its id."""
        return self.run.number_of(asked["id"]) if asked.get("id") else pages.number(asked, name, 0)

    def page(self, asked: QueryParams) -> dict[str, Any]:
        return pages.page(self.run, self.row(asked))

    def text(self, asked: QueryParams) -> dict[str, Any]:
        """Return the text of a page, and whether it is kept."""
        row = self.row(asked)
        return {"row": row, "text": self.reader.text(row)[:MOST_CHARS], "kept": self.run.kept_text(row) is not None}

    def steps(self, asked: QueryParams) -> dict[str, Any]:
        """Return a text with everything that stages cut from it or replaced in it."""
        row = self.row(asked)
        found = [*self.reader.trace(row).texts]
        kept = self.run.kept_text(row)
        if kept:  # lines that other pages have, too, are cut after the pass
            by = [name for name, one in self.run.info["compared"].items() if one["compares"] == "lines"]
            found.append((by[-1] if by else "", kept["text"][:MOST_CHARS]))
        uses = {table["name"]: table["stage"] for table in self.run.info["recipe"]["stages"]}
        return {"pieces": texts.steps(found), "personal": [name for name, use in uses.items() if use == "pii"]}

    def source(self, asked: QueryParams) -> dict[str, Any]:
        """Return the source of a page as it was crawled, decoded."""
        trace = self.reader.trace(self.row(asked))
        return {"source": trace.source, "chars": trace.source_chars}

    def original(self, asked: QueryParams) -> str:
        """Return the page without anything that could run or load."""
        return self.reader.trace(self.row(asked)).shown

    def pair(self, asked: QueryParams) -> dict[str, Any]:
        """Return the texts of two pages with the words that they share."""
        both = [self.reader.text(self.row(asked, name))[:MOST_CHARS] for name in ("one", "other")]
        return dict(zip(("one", "other"), texts.shared(*both), strict=True))

    # two runs

    @cached_property
    def _other_reader(self) -> Reader:
        return Reader(self._second(), self.given.inputs, self.given.modules)

    def _second(self) -> ServedRun:
        if self.other is None:
            raise InputError("There is no second run.", "Start `corpus serve RUN RUN2`.")
        return self.other

    def differences(self) -> dict[str, Any]:
        """Return the pages that moved between the two runs, paired by URL if none is at the same place in both."""
        return self.answers.get("differences", self._differences)

    def _differences(self) -> dict[str, Any]:
        found, by = diff(self.run, self._second(), _MOVED), "place"
        if not found.same and all(ABSENT in move for move in found.moves):
            found, by = diff_by_url(self.run, self._second(), _MOVED), "url"
        data = found.as_dict()
        for move in data["moves"]:
            move["ids"] = found.moves[move["from"], move["to"]].ids
        texts_of = {**data["texts"], "ids": found.text_ids}
        names = [run_name(one.location) for one in (self.run, self._second())]
        return {**data, "texts": texts_of, "names": names, "by": by}

    def both(self, asked: QueryParams) -> dict[str, Any]:
        """Return a page in both runs, named by its two ids: where it ended, and its texts with their differences."""
        one, text, why = _side(self.run, self.reader, asked.get("one", ""))
        other, second, why_not = _side(self._second(), self._other_reader, asked.get("other", ""))
        sides = [{"row": one, "why": why}, {"row": other, "why": why_not}]
        return {"sides": sides, "texts": texts.differences(text, second)}

    # labels

    def _labelled_rows(self) -> Mapping[str, int]:
        with self._labelling:
            if self._rows_of_labels is None:
                self._rows_of_labels = labels.rows_of(self.run, [*self.labels.lines])
            return self._rows_of_labels

    def draw(self, asked: QueryParams) -> dict[str, Any]:
        """Return the rows of pages to judge."""
        return {"rows": labels.draw(self.run, asked.get("near", ""), [*self.labels.lines])}

    def agreement(self) -> dict[str, Any]:
        return {"rows": labels.agreement(self.run, self.labels.lines), "file": str(self.labels.path)}

    def label(self, row: int, label: str, near: str) -> dict[str, Any]:
        """Save a judgement. Raises BadRequest for another label, and InputError if the page can't be read."""
        if label not in (labels.GOOD, labels.BAD):
            raise BadRequest("A page is good or bad.")
        found = self.run.row(row)
        where = {name: found[name] for name in ("id", "url", "outcome", "stage", "rule")}
        line = {**where, "label": label, "near": near, "text": self.reader.text(row)}
        with self._labelling:
            self._rows_of_labels = {**self._labelled_rows(), found["id"]: row}
            first = not self.labels.lines
            try:
                self.labels.add({**line, "run": self.run.info["fingerprint"]})
            except OSError as error:
                raise BadRequest(f"{self.labels.path} can't be written: {error.strerror}.", status=507) from None
            if first:
                register(self.given.place, "labels", self.labels.path)
            return self.agreement()


def _side(run: ServedRun, reader: Reader, record: str) -> tuple[dict[str, Any] | None, str, str]:
    """Return the row of a page in a run, its text, and why there is no row or text."""
    row = None
    try:
        number = run.number_of(record)
        row = explained(run, run.row(number))
        return row, reader.text(number)[:MOST_CHARS], ""
    except InputError as error:
        return row, "", str(error)
