"""The rows of ledger and corpus, and the counts of records.

The ledger has one row per judged record or damage, and never page text. The corpus has one row per kept page. In both,
user names and e-mail addresses in URLs are masked.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, TypedDict, cast

import pyarrow as pa

from corpus.document import storable
from corpus.outcome import DROPPED, KEPT, REMOVED, Outcome, Value
from corpus.tables.mask import mask_url
from corpus.url_identity import url_identity

SCHEMA_VERSION = "1"
_HIDDEN = re.compile("sha256:[0-9a-f]{64}")
MEASURE_TYPES = {"int": pa.int64(), "float": pa.float64(), "str": pa.string()}
"""The type of a measure's column by the name that run.json gives it."""

_FIXED = [
    pa.field("id", pa.string(), metadata={"is": "warc:offset, +n for the n-th further record of one gzip member"}),
    pa.field(
        "url",
        pa.string(),
        metadata={"is": "target URI; user names and e-mail addresses masked; or a hash"},
    ),
    pa.field("warc", pa.string(), metadata={"is": "file name of the archive"}),
    pa.field("offset", pa.int64(), metadata={"is": "start of the gzip member, or position in the decompressed stream"}),
    pa.field("length", pa.int64(), metadata={"is": "number of damaged bytes, else null"}),
    pa.field("record_id", pa.string(), metadata={"is": "WARC-Record-ID as the crawler wrote it; masked as URLs are"}),
    pa.field("outcome", pa.string(), metadata={"is": "kept, dropped, failed or skipped"}),
    pa.field("stage", pa.string(), metadata={"is": "the stage that dropped the page, or in which it failed"}),
    pa.field("rule", pa.string(), metadata={"is": "the measure outside its limit, or the kind of failure or skip"}),
    pa.field("value", pa.float64(), metadata={"is": "the measured value; null for categories"}),
    pa.field("limit", pa.float64(), metadata={"is": "the bound that the value is outside of"}),
    pa.field("detail", pa.string(), metadata={"is": "category, list entry, kind of damage, or problem of a record"}),
    pa.field(
        "text_bytes",
        pa.int64(),
        metadata={"is": "size of the text after the last stage, before `lines` cuts it; null if a stage did not run"},
    ),
]

CORPUS_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("url", pa.string()),
        ("date", pa.string()),
        ("language", pa.string()),
        ("language_score", pa.float64()),
        ("license", pa.string()),
        ("title", pa.string()),
        ("published", pa.string()),
        ("text", pa.string()),
        ("duplicates", pa.int64()),
        ("warc", pa.string()),
        ("offset", pa.int64()),
    ],
    metadata={"corpus.schema": SCHEMA_VERSION},
)


def corpus_schema(documents: Mapping[str, Any] | None) -> pa.Schema:
    """Return the schema of a corpus: one column more, `metadata`, if columns of the documents were kept. `documents`
    are their columns, as in run.json."""
    return CORPUS_SCHEMA.append(pa.field("metadata", pa.string())) if (documents or {}).get("keep") else CORPUS_SCHEMA


def ledger_schema(columns: Mapping[str, type]) -> pa.Schema:
    """Return the schema: the fixed columns, then one per measure. A measure is null if it was not reached."""
    measures = [pa.field(name, MEASURE_TYPES[kind.__name__]) for name, kind in columns.items()]
    return pa.schema([*_FIXED, *measures], metadata={"corpus.schema": SCHEMA_VERSION})


def ledger_row(outcome: Outcome, warc: str, offset: int, length: int | None, hide: bool = False) -> dict[str, Value]:
    """Return a ledger row without the measures that were not reached.

    With `hide`, the row of a removed page does not say which page it was.
    """
    doc = outcome.doc
    url, record_id = ledger_url(doc.url), ledger_url(doc.record.record_id) if doc.record else None
    if hide and outcome.stage == REMOVED:
        url, record_id = hidden_names(url, record_id)
    value = outcome.value
    # for removed pages, report only that they were removed
    note = doc.record.note if doc.record and outcome.stage != REMOVED else ""
    return {
        "id": doc.id,
        "url": url,
        "warc": warc,
        "offset": offset,
        "length": length,
        "record_id": record_id,
        "outcome": outcome.outcome,
        "stage": outcome.stage or None,
        "rule": outcome.rule or None,
        "value": float(value) if isinstance(value, int | float) else None,
        "limit": outcome.limit,
        "detail": storable(outcome.detail or note) or None,
        "text_bytes": _utf8_bytes(doc.text) if outcome.finished else None,
        **outcome.measures,
    }


def corpus_row(outcome: Outcome, warc: str, offset: int) -> dict[str, Value]:
    """Return the corpus row of a kept document, and its metadata, which only some corpora have."""
    doc = outcome.doc
    return {
        "id": doc.id,
        "url": ledger_url(doc.url),
        "date": storable(doc.date),
        "language": doc.language,
        "language_score": doc.language_score,
        "license": doc.license,
        "title": None if doc.title is None else storable(doc.title),
        "published": doc.published,
        "text": storable(doc.text),
        "duplicates": 0,
        "warc": warc,
        "offset": offset,
        "metadata": doc.record.metadata if doc.record else None,
    }


Counts = TypedDict(
    "Counts",
    {
        "in": int,
        "kept": int,
        "dropped": dict[str, dict[str, int]],
        "failed": dict[str, int],
        "skipped": dict[str, int],
    },
)
"""The number of records by outcome, as in run.json: dropped records by stage and rule, failed and skipped records by
kind.
"""


def no_counts() -> Counts:
    return {"in": 0, "kept": 0, "dropped": {}, "failed": {}, "skipped": {}}


def add_counts(into: Counts | dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add nested counts."""
    _add(cast(dict[str, Any], into), more)


def _add(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict):  # a check for Mapping takes longer than all the rest
            _add(into.setdefault(key, {}), value)
        else:
            into[key] = into.get(key, 0) + value


def add_outcome(counts: Counts, outcome: str, stage: str, rule: str, number: int = 1) -> None:
    """Count records that ended in the same way."""
    ended = {KEPT: number, DROPPED: {stage: {rule: number}}}.get(outcome, {rule: number})
    add_counts(counts, {"in": number, outcome: ended})


def total(counts: int | Mapping[str, Any]) -> int:
    """Return the sum of nested counts."""
    return counts if isinstance(counts, int) else sum(total(inner) for inner in counts.values())


def balances(counts: Counts) -> bool:
    """Return True if records in = kept + dropped + failed + skipped."""
    return counts["in"] == total({outcome: number for outcome, number in counts.items() if outcome != "in"})


def _utf8_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def ledger_url(url: str) -> str:
    """Return the masked form of a URL, which ledger, corpus and samples contain.

    A WARC-Record-ID is a URI too, and is masked in the same way.
    """
    return storable(mask_url(url))


def ledger_identity(url: str) -> str:
    """Return the identity of a URL. The forms of a URL in the crawl and in the ledger have the same identity.

    So URLs that differ only in a masked address count as one.
    """
    # masked again: after url_identity decodes escapes, another part may be an address
    return mask_url(url_identity(ledger_url(url.strip())))


def hidden_names(url: str, record_id: str | None) -> tuple[str, str | None]:
    """Return the values that replace the URL and the record id of a page that was taken down with `--hash-urls`.

    Existing hashes stay unchanged.
    """
    return hidden_url(url), _hidden(record_id)


def hidden_url(url: str) -> str:
    """Return the hash of a URL, the same for all ways of writing it. Anyone who knows the URL can find its row."""
    return url if _HIDDEN.fullmatch(url) else _hidden(ledger_identity(url)) or ""


def is_row_of(ledger_url: str, url: str) -> bool:
    """Return True if `ledger_url` is the same URL as `url`, or its hash."""
    return ledger_identity(ledger_url) == ledger_identity(url) or ledger_url == hidden_url(url)


def _hidden(text: str | None) -> str | None:
    if not text or _HIDDEN.fullmatch(text):
        return text
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()}"
