"""What a unit has seen of its archive: enough to tell later if the archive is still the same.

The size, the time of change and samples of a file prove little: a copy has another time, and a change of one page lies
between the samples. So a unit that read a local file leaves a digest of all its bytes, which costs 4 ms for 8 MiB. The
bytes are read again only if the file has another size or time than before. A file behind a URL would have to be fetched
again; there the ETag decides. What this misses: a change behind a URL without a strong ETag, or between two servers,
that touches none of the samples in the identity of the archive.
"""

from __future__ import annotations

from contextlib import closing

from corpus.net.urls import is_url, redact
from corpus.sandbox.unit import Seen, Unit
from corpus.warc.source import LocalSource, digest_of_range


def see(unit: Unit) -> Seen:
    """Return what a unit that was just read has seen. Raises InputChanged if the file is not what was planned."""
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
    """Return True if only the bytes can tell whether a file is unchanged: its size or times are not those seen."""
    return not is_url(path) and seen["sha256"] != "" and seen["stamp"] != LocalSource(path).stamp


def is_unchanged(seen: Seen, path: str, tag: str) -> bool:
    """Return False if the archive at a path or URL, which has this tag now, has other bytes than were seen."""
    if must_be_read(seen, path):
        with closing(LocalSource(path)) as source:
            return digest_of_range(source, seen["start"], min(seen["end"], source.size)) == seen["sha256"]
    etags = [one.partition(" ")[2] for one in (tag, seen["stamp"])]
    strong = all(etag.startswith('"') for etag in etags)
    return not strong or etags[0] == etags[1] or seen["location"] != redact(path)
