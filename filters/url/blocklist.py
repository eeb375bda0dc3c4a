"""Block lists: domains, URLs and words in one file, which all processes of a node map into memory.

    build_blocklist([Path("ut1/adult"), Path("words")], Path("adult.blocklist"))
    Blocklist.open(Path("adult.blocklist")).has_domain("porn.example")      # True or False

A set of 4.6 million Python strings takes 557 MB in each process. The sorted hashes of these strings take 36.5 MB once
per node. An entry is stored as the xxh3 hash (64 bits) of its UTF-8 form, so a lookup is wrong with probability 4.6e6 /
2^64 = 2.5e-13.

The file has: magic (8 bytes), length of the header (uint64), sha256 of the header (32 bytes), the header (JSON, padded
with spaces to a multiple of 64 bytes), the domain hashes, the URL hashes (uint64, ascending). Integers are
little-endian. The header has the version, the counts, the sha256 of the two arrays, the word lists and the names of
the sources. The same entries give the same bytes, in any order and with any repetition.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.errors import ConfigError, OutputError
from corpus.json_data import parse_json
from corpus.storage.replacing import replacing
from filters.url.list_files import WORD_KINDS, ListFiles, hash_of

_MAGIC = b"BLOCKLST"
_VERSION = 2
"""The version of the format.

In version 2, URLs are in the form of `url_key`, and names of other scripts in that of UTS 46.
"""
_PREFIX_BYTES = len(_MAGIC) + 8 + 32
_ALIGN = 64
_MAX_HEADER_BYTES = 1 << 28
_BUILD = "Build one with `corpus blocklist build FILE`."


@dataclass(frozen=True, slots=True)
class Blocklist:
    """An open block list. `domains` and `urls` are ascending hashes, mapped from a file or in memory.

    `digest` identifies the entries and words, but not the names of sources. It is part of a run's fingerprint.
    """

    domains: Sequence[int]
    urls: Sequence[int]
    hard_words: tuple[str, ...]
    soft_words: tuple[str, ...]
    subwords: tuple[str, ...]
    digest: str

    def has_domain(self, host: str) -> bool:
        """Return True if a name in the form of `host_name` is in the list of domains."""
        return _holds(self.domains, host)

    def has_url(self, key: str) -> bool:
        """Return True if a URL in the form of `url_key` is in the list of URLs."""
        return bool(self.urls) and _holds(self.urls, key)

    @classmethod
    def open(cls, path: Path, *, verify: bool = False) -> Blocklist:
        """Map a built list.

        The header and the size are checked. With `verify`, all of the file is checked (36 MB take some 50 ms).
        """
        try:
            with path.open("rb") as file:
                view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except OSError as error:
            raise ConfigError(f"The block list '{path}' can't be opened ({error.strerror}).", _BUILD) from None
        except ValueError:  # an empty file can't be mapped
            raise ConfigError(f"The block list '{path}' is empty.", _BUILD) from None
        if view[: len(_MAGIC)] != _MAGIC:
            raise ConfigError(f"'{path}' is not a built block list.", _BUILD)
        damaged = ConfigError(f"The block list '{path}' is damaged.", "Build it again, or copy it again.")
        header_bytes = int.from_bytes(view[len(_MAGIC) : len(_MAGIC) + 8], "little")
        start = _PREFIX_BYTES + header_bytes
        if header_bytes > _MAX_HEADER_BYTES or start > len(view):
            raise damaged
        raw_header = bytes(view[_PREFIX_BYTES:start])
        if hashlib.sha256(raw_header).digest() != view[_PREFIX_BYTES - 32 : _PREFIX_BYTES]:
            raise damaged
        header: dict[str, Any] = parse_json(raw_header)
        if header["version"] != _VERSION:
            raise ConfigError(f"The block list '{path}' is in the format of another version of corpus.", _BUILD)
        middle = start + 8 * header["domains"]
        if len(view) != middle + 8 * header["urls"]:
            raise damaged
        if verify and hashlib.sha256(view[start:]).hexdigest() != header["sha256"]:
            raise damaged
        return cls._of(header, view[start:middle].cast("Q"), view[middle:].cast("Q"))

    @classmethod
    def read(cls, paths: Sequence[Path]) -> Blocklist:
        """Build a small list in memory."""
        lists = ListFiles.of(paths)
        domains, urls = lists.arrays()
        return cls._of(_header(lists, domains, urls), domains.data, urls.data)

    @classmethod
    def _of(cls, header: dict[str, Any], domains: Sequence[int], urls: Sequence[int]) -> Blocklist:
        content = {name: value for name, value in header.items() if name != "sources"}
        hard, soft, sub = (tuple(header[kind]) for kind in WORD_KINDS)
        return cls(domains, urls, hard, soft, sub, hashlib.sha256(_json(content)).hexdigest())


@dataclass(frozen=True, slots=True)
class Summary:
    """The contents of a built list, and the lines and files of its sources that could not be used."""

    domains: int
    urls: int
    hard_words: int
    soft_words: int
    subwords: int
    duplicates: int
    ignored_lines: int
    ignored_example: str
    """The first line that is not a domain, URL or word, as `source:line number: text`."""
    sources: tuple[str, ...]
    skipped_files: tuple[str, ...]
    """The files in folders and archives whose names are not those of lists."""
    bytes: int
    digest: str


def build_blocklist(paths: Sequence[Path], out: Path) -> Summary:
    """Compile lists into the file `out`, which appears whole or not at all.

    Each path is a text file with one domain or URL per line, or a folder or tar archive of files named `domains`,
    `urls`, `hard_words.txt` (or `banned_words.txt`), `soft_words.txt` (or `soft_banned_words.txt`), `subwords.txt` (or
    `banned_subwords.txt`). This is the layout of UT1 (`adult/domains`) and of datatrove's assets. `#` starts a
    comment. An entry with a scheme, a port or a path is a URL (`http://a.example` blocks only that page). Other
    entries are domains. `www.` stays as written: it is a host like any other, and `a.example` covers it.
    """
    lists = ListFiles.of(paths)
    domains, urls = lists.arrays()
    raw_header = _json(_header(lists, domains, urls))
    raw_header += b" " * (-(_PREFIX_BYTES + len(raw_header)) % _ALIGN)
    prefix = _MAGIC + len(raw_header).to_bytes(8, "little") + hashlib.sha256(raw_header).digest()
    _write_whole(out, (prefix, raw_header, domains.data, urls.data))
    return Summary(
        domains=len(domains),
        urls=len(urls),
        **{kind: len(words) for kind, words in lists.words.items()},
        duplicates=lists.entries - len(domains) - len(urls),
        ignored_lines=lists.ignored_lines,
        ignored_example=lists.ignored_example,
        sources=tuple(sorted(lists.sources)),
        skipped_files=tuple(sorted(lists.skipped_files)),
        bytes=out.stat().st_size,
        digest=Blocklist.open(out).digest,
    )


def _holds(hashes: Sequence[int], entry: str) -> bool:
    wanted = hash_of(entry)
    at = bisect_left(hashes, wanted)
    return at < len(hashes) and hashes[at] == wanted


def _header(lists: ListFiles, domains: NDArray[np.uint64], urls: NDArray[np.uint64]) -> dict[str, Any]:
    sha256 = hashlib.sha256(domains.data)
    sha256.update(urls.data)
    counts = {"version": _VERSION, "domains": len(domains), "urls": len(urls), "sha256": sha256.hexdigest()}
    words = {kind: sorted(words) for kind, words in lists.words.items()}
    return {**counts, **words, "sources": sorted(lists.sources)}


def _json(header: dict[str, Any]) -> bytes:
    return json.dumps(header, sort_keys=True, separators=(",", ":")).encode()


def _write_whole(out: Path, parts: Sequence[bytes | memoryview]) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as scratch, scratch.open("xb") as file:
            file.writelines(parts)
    except OSError as error:
        raise OutputError(f"The block list '{out}' can't be written ({error.strerror}).", "Give another -o.") from None
