"""The formats of documents: how a file is read, and its division into units."""

from __future__ import annotations

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import pairwise

from corpus.documents.columns import Columns
from corpus.documents.footers import check_footer
from corpus.documents.json_lines import LineReader, head_lines, names_in
from corpus.documents.parquet_rows import GroupReader, check_columns, group_starts, open_parquet
from corpus.documents.row import ROW, Row
from corpus.errors import InputChanged, InputError, IntegrityError
from corpus.warc.inflate import MAGIC as GZIP
from corpus.warc.plan import FilePlan, Format, Range
from corpus.warc.reader import MAX_BLOCK
from corpus.warc.record import Damage, Place
from corpus.warc.source import Source, Window
from corpus.warc.zstdframes import MAGIC as ZSTD
from corpus.warc.zstdframes import is_skippable

LINES, ROWS, PAGE = "lines", "rows", "page"
"""The layouts of files of documents: JSON Lines, parquet, and a page of HTML."""

TABLE_NAME = re.compile(
    r"[^.].*\.(parquet|(jsonl|ndjson)(\.(gz|gzip|zst|zstd))?|json\.(gz|gzip|zst|zstd))", re.IGNORECASE
)
JSON_NAME = re.compile(r"[^.].*\.json", re.IGNORECASE)
"""The name of a file that may be JSON Lines too. In a folder, such files mostly say something about the others."""

PAGE_NAME = re.compile(r"[^.].*\.x?html?", re.IGNORECASE)

HTML_FILE = Columns(html="file")
"""The columns of a page of HTML: the file is all that there is."""


def format_of(name: str) -> Format | None:
    """Return the format of a file by its name. None if the name is not that of documents."""
    lower = name.lower()
    if PAGE_NAME.fullmatch(lower):
        return Format(PAGE, "plain", "")
    if not TABLE_NAME.fullmatch(lower) and not JSON_NAME.fullmatch(lower):
        return None
    if lower.endswith(".parquet"):
        return Format(ROWS, "parquet", "")
    codec = "gzip" if lower.endswith(("gz", "gzip")) else "zstd" if lower.endswith(("zst", "zstd")) else "plain"
    return Format(LINES, codec, "")


def as_stored(source: Source, form: Format) -> Format:
    """Return the format with the codec that the first bytes of a file show, whatever its name says."""
    if form.layout != LINES:
        return form
    start = source.read(0, 4)
    if start.startswith(GZIP):
        return replace(form, codec="gzip")
    if start == ZSTD or is_skippable(start):
        return replace(form, codec="zstd")
    return replace(form, codec="plain") if start.removeprefix(BOM_UTF8).lstrip()[:1] == b"{" else form


def columns_in(source: Source, form: Format) -> list[str]:
    """Return the names of the columns of a file, with those of fields inside them. Raises InputError if no document can
    be read at its start, and says why."""
    if form.layout == LINES:
        lines = head_lines(source, form.codec)
        found = names_in(lines)
        if reason := _no_lines([line.strip() for line in lines if line.strip()], found):
            raise InputError(f"{source.name} {reason[0]}.", reason[1])
        return found
    try:
        with closing(open_parquet(source)) as file:
            return list(file.names)
    except IntegrityError:
        raise InputError(f"{source.name} is no parquet file, or its footer is damaged.", "Restore it.") from None


def _no_lines(lines: Sequence[bytes], found: Sequence[str]) -> tuple[str, str] | None:
    """Return why the lines at the start of a file are no JSON Lines, and what to do. None if they are, or there are
    none."""
    start = lines[0] if lines else b""
    if start[:2] in (BOM_UTF16_LE, BOM_UTF16_BE, b"{\0", b"\0{"):
        return "is not in UTF-8", "Convert it: `iconv -f UTF-16 -t UTF-8`."
    spread = start[:1] in (b"[", b"{") and len(lines) > 1 and not start.endswith(b"}")
    if start == b"[" or (not found and (start[:1] == b"[" or spread)):
        todo = "Convert it: `jq -c '.[]?' FILE`, or `jq -c . FILE` if it is no list."
        return "is JSON that is spread over lines, or one list, and not JSON Lines", todo
    if lines and not found:
        return "has no line that is a JSON object", "Give JSON Lines, or a parquet file."
    return None


def plan_documents(source: Source, form: Format, columns: Columns, unit_bytes: int) -> FilePlan:
    """Plan units of about `unit_bytes` each: lines of a plain file, or row groups. Other files are one unit.

    A compressed file is one unit, even if it has many gzip members or zstd frames. The place of a line is its offset in
    the stream, so that it is the same however the file was compressed. At the start of a member nothing says how many
    bytes come before it, nor whether a line begins there: to know both, all members before it must be inflated, which
    is most of the work of reading. Who needs more workers gives more files.

    Raises InputError if a parquet file can't be read, and ConfigError if it has no such columns.
    """
    starts = [0]
    if form.layout == ROWS and source.size:
        try:
            check_footer(source)
            with closing(open_parquet(source)) as file:
                if file.metadata.num_rows:
                    check_columns(file, source.name, columns)
                groups = group_starts(file, source.size)
        except IntegrityError as error:
            raise InputError(error.what, error.todo) from None
        for start in groups[1:]:
            if start - starts[-1] >= unit_bytes:
                starts.append(start)
    elif form.layout == LINES and form.codec == "plain":
        window = Window(source)
        for nominal in range(unit_bytes, source.size, unit_bytes):
            if nominal > starts[-1]:
                newline = window.find(b"\n", nominal - 1)
                starts.append(newline + 1 if newline >= 0 else source.size)
    ends = [*(start for start in starts[1:] if start < source.size), source.size]
    return FilePlan(form.layout, form.codec, form.flavor, [Range(*pair) for pair in pairwise([0, *ends])])


class PageReader(Iterator[Row]):
    """The reader of a file that holds one page of HTML."""

    offset = inner = 0

    def __init__(self, source: Source) -> None:
        self.end = source.size
        self._source: Source | None = source

    def __next__(self) -> Row:
        source, self._source = self._source, None
        if source is None:
            raise StopIteration
        self.offset = self.end
        block = source.read(0, MAX_BLOCK)
        return Row(source.name, 0, ROW, {"content-type": "text/html"}, block, source.size)


Reader = LineReader | GroupReader | PageReader


def read_part(source: Source, form: Format, part: Range, columns: Columns, resume: Place | None = None) -> Reader:
    """Return a reader of the documents in a part of a file."""
    if form.layout == ROWS:
        return GroupReader(source, part, columns, resume)
    if form.layout == PAGE:
        return PageReader(source)
    return LineReader(source, form.codec, part, columns, resume)


class RowReader(Iterator[Row]):
    """An iterator over the rows at `places`, which must be in ascending order.

    Before each `next`, (`offset`, `inner`) is the place of the next row. Raises InputChanged if a place has no row.
    """

    def __init__(self, source: Source, form: Format, places: Sequence[Place], columns: Columns) -> None:
        self.end = source.size
        self._places = [*places, (self.end, 0)]
        self.offset, self.inner = self._places[0]
        self._rows = self._read(source, form, columns)

    def __next__(self) -> Row:
        return next(self._rows)

    def _read(self, source: Source, form: Format, columns: Columns) -> Iterator[Row]:
        divided = form.layout == ROWS or (form.layout == LINES and form.codec == "plain")
        items: Iterator[Row | Damage] = iter(read_part(source, form, Range(0, self.end), columns))
        at = None
        for place, following in pairwise(self._places):
            if divided and place[0] != at:
                at = place[0]
                items = iter(read_part(source, form, Range(at, self.end), columns, place))
            found = (item for item in items if isinstance(item, Row) and (item.offset, item.inner) == place)
            row = next(found, None)
            if row is None:
                what = f"{source.name} has no document at {place[0]}, where the run found one."
                raise InputChanged(what, "Give the files that the run read.")
            self.offset, self.inner = following
            yield row
