"""A record of the archive as a unit has seen it, which tells later whether the archive is still the same.

The size, the time of change and samples of a file prove little: a copy has another time, and the samples can miss a
change of one page. So a unit that read a local file stores a digest of all its bytes, which costs 4 ms for 8 MiB. The
bytes are read again only if the size or the time of the file has changed. A file behind a URL would have to be fetched
again, so its ETag decides. One change is not noticed: a change behind a URL without a strong ETag, or between two
servers, that touches none of the samples in the identity of the archive.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from hashlib import sha256
from itertools import pairwise
from typing import Literal

from corpus.net.urls import is_url, redact
from corpus.sandbox.unit import Seen, Unit
from corpus.warc.source import LocalSource, digest_of_range


def see(unit: Unit, ranges: Iterable[tuple[int, int]] | None = None) -> Seen:
    """Return the record of the archive for a unit that was just read. `ranges` are the bytes that it has read, if these
    are not all of its bytes.

    Raises InputChanged if the file is not the planned one.
    """
    found: Seen = {
        "warc": unit.warc,
        "start": unit.start,
        "ends": [unit.end],
        "location": redact(unit.path),
        "stamp": unit.tag,
        "sha256": "",
    }
    if not is_url(unit.path):
        with closing(LocalSource(unit.path, tag=unit.tag)) as source:
            found["stamp"] = source.stamp
            found["sha256"] = _digest_of_ranges(source, ranges or [(unit.start, unit.end)])
            source.check()
    return found


def must_be_read(seen: Seen, path: str) -> bool:
    """Return True if the size or the times of a file have changed, so that only its bytes can tell whether it is the
    same.
    """
    return not is_url(path) and seen["sha256"] != "" and seen["stamp"] != LocalSource(path).stamp


def is_unchanged(seen: Seen, path: str, tag: str, ranges: Iterable[tuple[int, int]] | None = None) -> bool:
    """Return False if the bytes of the archive at a path or URL have changed since. `tag` is its present tag, and
    `ranges` are those that `see` was given."""
    if must_be_read(seen, path):
        with closing(LocalSource(path)) as source:
            read = ranges or pairwise([seen["start"], *seen["ends"]])
            return _digest_of_ranges(source, read) == seen["sha256"]
    etags = [one.partition(" ")[2] for one in (tag, seen["stamp"])]
    strong = all(etag.startswith('"') for etag in etags)
    return not strong or etags[0] == etags[1] or seen["location"] != redact(path)


def _digest_of_ranges(source: LocalSource, ranges: Iterable[tuple[int, int]]) -> str:
    return _digest_of([digest_of_range(source, start, min(end, source.size)) for start, end in ranges])


def seen_together(found: Iterable[Seen]) -> list[Seen]:
    """Return one record for all units in a row that have seen the same file, so that an archive has one record."""
    records: list[Seen] = []
    digests: list[str] = []
    for one in found:
        last = records[-1] if records else None
        if last and last["ends"][-1] == one["start"] and all(last[name] == one[name] for name in _SAME):
            last["ends"] += one["ends"]
            digests.append(one["sha256"])
        else:
            if records:
                records[-1]["sha256"] = _digest_of(digests)
            records.append({**one, "ends": [*one["ends"]]})
            digests = [one["sha256"]]
    if records:
        records[-1]["sha256"] = _digest_of(digests)
    return records


_SAME: tuple[Literal["warc"], Literal["location"], Literal["stamp"]] = ("warc", "location", "stamp")


def _digest_of(digests: Sequence[str]) -> str:
    """Return the digest of a file from those of its parts, or "" for a URL."""
    return digests[0] if len(digests) == 1 or not digests[0] else sha256("".join(digests).encode()).hexdigest()
