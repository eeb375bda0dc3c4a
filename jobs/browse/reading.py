"""Pages of a run, read again from their archives in a page worker that lives as long as the server."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from corpus.errors import CorpusError, InputError
from corpus.json_data import check_shape, parse_json
from corpus.outcome import DROPPED, FAILED, KEPT, REMOVED
from corpus.plugins import read_plugin
from jobs.browse.answers import Answers
from jobs.browse.served_run import ServedRun
from jobs.browse.trace import FACTORY, traced
from jobs.build.archives import PagesAgain

_PATIENCE_S = 3.0
"""The seconds that the end of the server waits for a page."""

_TRACES = 16
"""The number of pages that are kept after they were read again. Each takes up to a few MB."""

_TRACE = {"texts": [[object]], "source": str, "source_chars": int, "shown": str}


@dataclass(frozen=True)
class Trace:
    """The way of a page: its texts with the stage before each, its source, and the page without what could run."""

    texts: list[tuple[str, str]]
    source: str
    source_chars: int
    shown: str

    @property
    def text(self) -> str:
        """The text after the last stage."""
        return self.texts[-1][1] if self.texts else ""


class Reader:
    """Reads one page at a time. `inputs` are the present places of the archives, `modules` those of the run."""

    def __init__(self, run: ServedRun, inputs: tuple[str, ...], modules: tuple[str, ...]) -> None:
        self._run, self._inputs, self._modules = run, inputs, [*map(read_plugin, modules)]
        self._lock = threading.Lock()
        self._traces = Answers(_TRACES)
        self._pages: PagesAgain | None = None

    def text(self, number: int) -> str:
        """Return the text of a page: as kept, or as the stages make it if no limit drops the page. `number` is its row
        in the ledger. Raises InputError if it can't be read."""
        kept = self._run.kept_text(number)
        return str(kept["text"]) if kept else self.trace(number).text

    def trace(self, number: int) -> Trace:
        """Return the way of a page. Raises InputError if it can't be read again."""
        return self._traces.get(number, lambda: self._trace(self._run.row(number)))

    def _trace(self, row: dict[str, Any]) -> Trace:
        if row["stage"] == REMOVED:
            raise InputError("The page was taken down.", "It is never shown.")
        if row["outcome"] not in (KEPT, DROPPED, FAILED) or row["rule"] == "damaged":
            raise InputError("The record is no page that can be read.", "Its ledger row says why.")
        with self._lock:
            try:
                texts = self._reader().texts([row])
                if row["id"] not in texts:
                    raise InputError("The page failed when it was read again.", "Its ledger row says why.")
            except BaseException:
                self._close()  # the worker may still hold a part of the trace
                raise
        told = parse_json(texts[row["id"]])
        check_shape(told, _TRACE)
        return Trace([(stage, text) for stage, text, _ in told["texts"]], told["source"], told["source_chars"],
                     told["shown"])  # fmt: skip

    def _reader(self) -> PagesAgain:
        if self._pages is None:
            documents = self._run.info.get("documents")
            recipe = traced(self._run.info["recipe"], self._modules, not documents or "html" in documents)
            self._pages = PagesAgain(self._run, self._inputs, recipe, self._modules, FACTORY)
        return self._pages

    def close(self) -> None:
        """End the page worker, even while it reads."""
        waited = self._lock.acquire(timeout=_PATIENCE_S)
        self._close()
        if waited:
            self._lock.release()

    def _close(self) -> None:
        if self._pages is not None:
            with suppress(CorpusError, OSError):
                self._pages.close()
            self._pages = None
