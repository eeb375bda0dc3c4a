"""The arms of an ablation, and the sets that its models are judged by."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.digests import digest
from corpus.documents.columns import choose_columns
from corpus.documents.files import LINES, as_stored, columns_in, format_of, read_part
from corpus.documents.row import Row
from corpus.errors import ConfigError, CorpusError, InputError
from corpus.net.urls import is_url, redact
from corpus.storage.commits import sha256_of
from corpus.storage.replacing import replacing
from corpus.storage.store import Location
from corpus.warc.plan import Range
from corpus.warc.source import LocalSource
from jobs.tokens.sources import Sources, open_sources

NULL = "null"
"""The name of the null arm."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")
_ENDING = re.compile(r"\.(toml|parquet|jsonl?|ndjson)(\.(gz|zst))?$", re.IGNORECASE)
_ROWS = 1024


@dataclass(frozen=True)
class Arm:
    """A named location: an arm, or texts that no arm is trained on."""

    name: str
    location: Location

    @classmethod
    def parse(cls, given: str) -> Arm:
        """Read `NAME=LOCATION`, or a location, which is named after its last part. Raises ConfigError."""
        name, sign, location = given.partition("=")
        if not sign or "/" in name:
            location, name = given, _ENDING.sub("", PurePosixPath(given).name)
        if not location or not _NAME.fullmatch(name):
            what = f"'{name}' is not a name for an arm or a set." if location else f"'{given}' names no location."
            raise ConfigError(what, "Write NAME=LOCATION, with at most 60 letters, digits, dots, dashes, underscores.")
        if name == NULL:
            raise ConfigError(f"The name '{NULL}' belongs to the baseline on other documents.", "Use another name.")
        return cls(name, location if is_url(location) else Path(location))

    @property
    def is_rows(self) -> bool:
        """True for a file of JSON Lines."""
        form = format_of(PurePosixPath(str(self.location)).name)
        return form is not None and form.layout == LINES

    def readable(self, folder: Path) -> Arm:
        """Return the texts as parquet. JSON Lines are written to `folder`. Raises CorpusError with the name."""
        return replace(self, location=self._as_parquet(folder)) if self.is_rows else self

    def open(self) -> Sources:
        """Open the texts of parquet, of a run or of a mixture. Raises CorpusError with the name."""
        try:
            return open_sources(self.location, 0)
        except CorpusError as error:
            raise type(error)(f"'{self.name}': {error.what}", error.todo) from None

    def identity(self) -> dict[str, Any]:
        """Return what identifies the texts. The location is not a part of it."""
        if not self.is_rows:
            return self.open().plan()
        if is_url(str(self.location)) or not Path(self.location).is_file():
            raise InputError(f"'{self.name}': there is no file {redact(str(self.location))}.", "Name another file.")
        return {"rows": sha256_of(Path(self.location))}

    def _as_parquet(self, folder: Path) -> Path:
        """Write the texts of a file of JSON Lines, with their URLs, and return the new file."""
        source, made = Path(self.location), folder / f"{self.name}.parquet"
        form = format_of(source.name)
        assert form
        folder.mkdir(parents=True, exist_ok=True)
        schema = pa.schema([("text", pa.string()), ("url", pa.string())])
        with closing(LocalSource(source)) as opened, replacing(made) as scratch:
            stored = as_stored(opened, form)
            columns = choose_columns(columns_in(opened, stored), {}, source.name)
            rows: list[dict[str, str | None]] = []
            with pq.ParquetWriter(scratch, schema) as writer:
                for item in read_part(opened, stored, Range(0, opened.size), columns):
                    if isinstance(item, Row) and item.text:
                        text = item.text.encode("utf-8", "replace").decode()  # JSON may have lone surrogates
                        rows.append({"text": text, "url": item.headers.get("warc-target-uri")})
                    if len(rows) == _ROWS:
                        writer.write_table(pa.Table.from_pylist(rows, schema))
                        rows = []
                writer.write_table(pa.Table.from_pylist(rows, schema))
        return made


def check_arms(arms: Sequence[Arm], held_out: Sequence[Arm]) -> dict[str, Any]:
    """Return the identities of all texts by name. Raises ConfigError for fewer than two arms, and for names or texts
    that occur twice."""
    if len(arms) < 2:
        raise ConfigError("One arm can't be compared with anything.", "Give at least two. The first is the baseline.")
    names = [one.name for one in (*arms, *held_out)]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"Two arms or sets have the name '{min(twice)}'.", "Write NAME=LOCATION to rename one.")
    identities = {one.name: one.identity() for one in (*arms, *held_out)}
    digests = [digest(identities[name]) for name in names]
    for name, own in zip(names, digests, strict=True):
        if digests.count(own) > 1:
            other = next(one for one, found in zip(names, digests, strict=True) if found == own and one != name)
            raise ConfigError(f"'{name}' and '{other}' are the same texts.", "Leave one of them out.")
    return identities
