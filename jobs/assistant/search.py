"""Search: an index over the passages of a finished run, in one SQLite file, and the tool that uses the index.

Pages are hostile, and an index file and a query may be hostile too. So the words of a query are quoted, a file is
opened read-only without trust in its schema, a query has a limit of steps, and the result is one line of text.
"""

from __future__ import annotations

import json
import re
import sqlite3
from array import array
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from corpus.errors import InputError, IntegrityError, OutputError
from corpus.storage.replacing import replacing
from corpus.storage.store import Location
from corpus.tokens.texts import open_texts, read_slice
from jobs.assistant.tool import ToolError

MOST_PASSAGE = 300
"""The most characters of a passage.

Such a passage fits a window of 256 tokens, together with question, call and source.
"""
LEAST_PASSAGE = 60
"""Shorter remainders of a text are dropped, because they answer nothing."""
MOST_URL = 100
MOST_WORDS = 24
"""The most words of a query that are searched."""

_APPLICATION = 0x636F7270
"""The id "corp", which SQLite's header has in our files."""
_STEPS = 20_000_000
"""The most steps of SQLite's machine for one query. They take some seconds."""
_END = re.compile(r"(?<=[.!?…])[\"”’)]*\s+|(?<=[。！？])|\n+")
_WORD = re.compile(r"\w+")


def passages(text: str) -> Iterator[str]:
    """Yield the passages of a text, each on one line.

    Texts are cut at the ends of paragraphs and sentences, and longer sentences at a space.
    """
    passage = ""
    for piece in _pieces(text):
        if passage and len(passage) + 1 + len(piece) > MOST_PASSAGE:
            yield passage
            passage = ""
        passage = f"{passage} {piece}".strip()
    if len(passage) >= LEAST_PASSAGE:
        yield passage


def _pieces(text: str) -> Iterator[str]:
    """Yield the sentences of a text, none longer than a passage."""
    start = 0
    for end in [*(found.end() for found in _END.finditer(text)), len(text)]:
        piece = " ".join(text[start:end].split())
        start = end
        while len(piece) > MOST_PASSAGE:
            cut = piece.rfind(" ", 0, MOST_PASSAGE + 1)
            cut = cut if cut > 0 else MOST_PASSAGE
            yield piece[:cut]
            piece = piece[cut:].strip()
        if piece:
            yield piece


def write_index(
    run: Location, file: Path, most_bytes: int | None = None, tick: Callable[[], None] = lambda: None
) -> int:
    """Write the index of a finished run, and return the number of its passages. The same run gives the same bytes.

    With `most_bytes`, only the first texts are in the index, so many that they have about this many bytes. `tick` is
    called after each slice of the texts. Raises InputError if `run` is not a finished run, and OutputError if the file
    can't be written.
    """
    texts = open_texts(run)
    if texts.run is None:
        raise InputError(f"{run} is not a finished run.", "Search shows the URL of a page, so it needs a run.")
    starts = array("q")

    def rows() -> Iterator[tuple[str, str]]:
        count, size = 1, 0
        for part in texts.slices():
            for batch in read_slice(part, ("url",)):
                size += batch["text"].nbytes
                for text, url in zip(batch["text"].to_pylist(), batch["url"].to_pylist(), strict=True):
                    starts.append(count)
                    for passage in passages(text):
                        yield passage, " ".join(url.split())[:MOST_URL]
                        count += 1
            tick()
            if most_bytes is not None and size >= most_bytes:
                return

    try:
        with replacing(file) as scratch, closing(sqlite3.connect(scratch, isolation_level=None)) as base:
            base.execute(f"PRAGMA application_id = {_APPLICATION}")
            base.execute("PRAGMA journal_mode = OFF")  # no journal, because the file is deleted after a failure
            base.execute("CREATE VIRTUAL TABLE passages USING fts5(text, url UNINDEXED)")
            base.execute("CREATE TABLE facts (json TEXT, starts BLOB)")
            base.execute("BEGIN")
            base.executemany("INSERT INTO passages VALUES (?, ?)", rows())
            base.execute("INSERT INTO passages (passages) VALUES ('optimize')")
            (count,) = base.execute("SELECT count(*) FROM passages").fetchone()
            facts = {"format": 2, "fingerprint": texts.run.info["fingerprint"], "passages": count}
            facts |= {"texts": len(starts)}
            base.execute("INSERT INTO facts VALUES (?, ?)", (json.dumps(facts), starts.tobytes()))
            base.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        raise OutputError(f"{file} can't be written: {error}.", "Make room, or name another file with -o.") from None
    return int(count)


class Index:
    """An open index file. Raises InputError if the file is not an index."""

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            self._base = sqlite3.connect(
                f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
            )
            self._base.execute("PRAGMA trusted_schema = OFF")
            ((number,),) = self._base.execute("PRAGMA application_id")
            ((facts,),) = self._base.execute("SELECT json FROM facts") if number == _APPLICATION else ((None,),)
            found = json.loads(facts or "{}")
            self.fingerprint, self.count = str(found["fingerprint"]), int(found["passages"])
            self.texts = int(found.get("texts", 0))
            """The number of texts in the index: the first ones of the run."""
            self.passage(1)
        except (sqlite3.Error, ValueError, TypeError, KeyError):
            raise InputError(f"{file} is missing, damaged, or no index.", "Make it with `corpus index RUN`.") from None

    def passage(self, number: int) -> tuple[str, str] | None:
        """Return the text and the URL of a passage, counted from 1."""
        return self._first("SELECT text, url FROM passages WHERE rowid = ?", number)

    def find(self, query: str) -> tuple[str, str] | None:
        """Return the text and the URL of the best passage: a passage with the words in a row, or else one with most of
        the words.
        """
        words = _WORD.findall(query)[:MOST_WORDS]
        ask = "SELECT text, url FROM passages WHERE passages MATCH ? ORDER BY rank, rowid LIMIT 1"
        # in quotes, words are not operators of FTS5, and \w matches no quotes
        row = self._first(ask, f'"{" ".join(words)}"') if words else None
        return row or (self._first(ask, " OR ".join(f'"{word}"' for word in words)) if len(words) > 1 else None)

    def texts_with(self, query: str, most: int) -> dict[int, str]:
        """Return the first texts that have a passage with all words of a query, by number, with that passage.

        Raises ToolError if there are no words, or if the query takes too long.
        """
        words = _WORD.findall(query)[:MOST_WORDS]
        if not words:
            raise ToolError("There are no words to search.")
        ((starts,),) = self._rows("SELECT starts FROM facts", ())
        first = np.frombuffer(starts, np.int64)
        ask = "SELECT rowid, text FROM passages WHERE passages MATCH ? ORDER BY rowid"
        found: dict[int, str] = {}
        for number, text in self._rows(ask, (" ".join(f'"{word}"' for word in words),)):
            # a text without passages has the start of the next one, so the last of equal starts is meant
            found.setdefault(int(np.searchsorted(first, number, "right")) - 1, _line(text)[:MOST_PASSAGE])
            if len(found) > most:
                found.popitem()
                break
        return found

    def search(self, query: str) -> str:
        """Return the best passage and its source. Raises ToolError if no passage has a word of the query."""
        found = self.find(query)
        if found is None:
            raise ToolError("No passage has these words.")
        return f"{found[0]}\nSource: {found[1]}"

    def _first(self, ask: str, given: Any) -> tuple[str, str] | None:
        """Return the first row of a query, as short lines whatever the file holds. Raises as `_rows` does."""
        row = next(self._rows(ask, (given,)), None)
        return None if row is None else (_line(row[0])[:MOST_PASSAGE], _line(row[1])[:MOST_URL])

    def _rows(self, ask: str, given: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query.

        Raises IntegrityError if the file is damaged, and ToolError if the query takes too long.
        """
        self._base.set_progress_handler(lambda: 1, _STEPS)
        try:
            yield from self._base.execute(ask, given)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
                raise ToolError("The search took too long.") from None
            raise IntegrityError(f"{self.file} is damaged.", "Make it again with `corpus index RUN`.") from None


def _line(value: Any) -> str:
    return " ".join(str(value).split())
