"""A record of the archive as a unit has seen it, which tells later whether the archive is still the same.

The size, the time of change and samples of a file prove little: a copy has another time, and the samples can miss a
change of one page. So a unit that read a local file stores a digest of all its bytes, which costs 4 ms for 8 MiB. The
bytes are read again only if the size or the time of the file has changed. A file behind a URL would have to be fetched
again, so its ETag decides. One change is not noticed: a change behind a URL without a strong ETag, or between two
servers, that touches none of the samples in the identity of the archive.
"""

from __future__ import annotations

from contextlib import closing

from corpus.net.urls import is_url, redact
from corpus.sandbox.unit import Seen, Unit
from corpus.warc.source import LocalSource, digest_of_range


def see(unit: Unit) -> Seen:
    """Return the record of the archive for a unit that was just read.

    Raises InputChanged if the file is not the planned one.
    """
    found: Seen = {
        "warc": unit.warc,
        "start": unit.start,
        "end": unit.end,
        "location": redact(unit.path),
        "stamp": unit.tag,
        "sha256": "",
    }
    if not is_url(unit.path):
        with closing(LocalSource(unit.path, tag=unit.tag)) as source:
            found["stamp"] = source.stamp
            found["sha256"] = digest_of_range(source, unit.start, unit.end)
            source.check()
    return found


def must_be_read(seen: Seen, path: str) -> bool:
    """Return True if the size or the times of a file have changed, so that only its bytes can tell whether it is the
    same.
    """
    return not is_url(path) and seen["sha256"] != "" and seen["stamp"] != LocalSource(path).stamp


def is_unchanged(seen: Seen, path: str, tag: str) -> bool:
    """Return False if the bytes of the archive at a path or URL have changed since. `tag` is its present tag."""
    if must_be_read(seen, path):
        with closing(LocalSource(path)) as source:
            return digest_of_range(source, seen["start"], min(seen["end"], source.size)) == seen["sha256"]
    etags = [one.partition(" ")[2] for one in (tag, seen["stamp"])]
    strong = all(etag.startswith('"') for etag in etags)
    return not strong or etags[0] == etags[1] or seen["location"] != redact(path)
