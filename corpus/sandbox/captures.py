"""The captures of units, in the store. A volume of chosen captures has one file of them, with a box for each unit."""

from __future__ import annotations

import json

import pyarrow as pa

from corpus.sandbox.seen import is_unchanged, must_be_read
from corpus.sandbox.unit import Seen
from corpus.storage.boxes import read_box
from corpus.storage.commits import Part
from corpus.storage.store import Store
from corpus.warc.chosen import Capture
from corpus.warc.plan import Range

CAPTURES_SCHEMA = pa.schema([("offset", pa.uint64()), ("length", pa.uint64()), ("url", pa.uint64())])
"""The fields of `Capture`."""


def name_of_captures(part: Part, box: int) -> str:
    """Return the name of the captures in a box, for `Unit.chosen`. It has the digest of the file."""
    return json.dumps([part.kind, part.key, part.rows, part.bytes, part.sha256, box])


def read_captures(store: Store, name: str) -> list[Capture]:
    """Return the captures with a name, in order. Raises IntegrityError if they are missing or damaged."""
    *fields, box = json.loads(name)
    batches = read_box(store, Part(*fields), box, CAPTURES_SCHEMA)
    return [Capture(*row) for batch in batches for row in zip(*(column.to_pylist() for column in batch), strict=True)]


def ranges_of(captures: list[Capture]) -> list[Range]:
    """Return the bytes of captures."""
    return [Range(one.offset, one.offset + one.length) for one in captures]


def is_same(store: Store, chosen: str, seen: Seen, path: str, tag: str) -> bool:
    """Return False if the bytes that a unit with this `chosen` has read of its archive have changed since."""
    ranges = ranges_of(read_captures(store, chosen)) if chosen and must_be_read(seen, path) else None
    return is_unchanged(seen, path, tag, ranges)
