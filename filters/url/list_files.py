"""Read published lists of domains, URLs and words: text files, folders and tar archives.

lists = ListFiles.of([Path("ut1/adult"), Path("words/hard_words.txt")])
lists.words["hard_words"], lists.arrays()
"""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from corpus.errors import ConfigError
from corpus.url_identity import MAX_HOST, host_name, list_entry, split_url, url_key

_CHUNK_BYTES = 1 << 22

_DOMAINS, _URLS, _PLAIN = "domains", "urls", "plain"
WORD_KINDS = ("hard_words", "soft_words", "subwords")
_KINDS = {
    "domains": _DOMAINS,
    "domains.txt": _DOMAINS,
    "urls": _URLS,
    "urls.txt": _URLS,
    "hard_words.txt": "hard_words",
    "banned_words.txt": "hard_words",
    "soft_words.txt": "soft_words",
    "soft_banned_words.txt": "soft_words",
    "subwords.txt": "subwords",
    "banned_subwords.txt": "subwords",
}
_HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_PLAIN_HOST_BYTES = b"abcdefghijklmnopqrstuvwxyz0123456789.-_\n"
_NOT_ALNUM = re.compile(r"[^a-zA-Z0-9]+")


def hash_of(entry: str) -> int:
    """Return the hash under which an entry is stored and looked up."""
    return xxh3_64_intdigest(entry.encode("utf-8", "surrogatepass"))


@dataclass(slots=True)
class ListFiles:
    """The entries of lists (hashes of domains and URLs, words), and the lines and files that could not be used."""

    hashes: dict[str, list[NDArray[np.uint64]]] = field(default_factory=lambda: {_DOMAINS: [], _URLS: []})
    words: dict[str, set[str]] = field(default_factory=lambda: {kind: set() for kind in WORD_KINDS})
    sources: list[str] = field(default_factory=list)
    skipped_files: list[str] = field(default_factory=list)
    ignored_lines: int = 0
    ignored_example: str = ""

    @classmethod
    def of(cls, paths: Sequence[Path]) -> ListFiles:
        """Read all lists in these files, folders and archives. Raises ConfigError if they contain no list."""
        lists = cls()
        for path in paths:
            try:
                for name, kind, file in lists._files_of(path.resolve()):
                    lists.sources.append(name)
                    lists._read(name, kind, file)
            except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
                todo = "Check the path, or fetch it again."
                raise ConfigError(f"The list '{path}' can't be read ({error}).", todo) from None
        if not lists.sources:
            what = f"There is no list in {', '.join(map(str, paths)) or 'no file'}."
            raise ConfigError(what, f"Files in a folder or an archive must be named {', '.join(_KINDS)}.")
        return lists

    def _files_of(self, path: Path) -> Iterator[tuple[str, str, IO[bytes]]]:
        """Yield (name, kind, open file) of each list in a file, folder or tar archive."""
        if path.is_dir():
            for file in sorted(file for file in path.rglob("*") if file.is_file()):
                name = f"{path.name}/{file.relative_to(path).as_posix()}"
                if kind := self._kind_of(name):
                    with file.open("rb") as opened:
                        yield name, kind, opened
        elif tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                for member in archive:
                    name = f"{path.name}/{member.name}"
                    if member.isfile() and (kind := self._kind_of(name)) and (content := archive.extractfile(member)):
                        yield name, kind, content
        else:
            with path.open("rb") as opened:
                yield path.name, _KINDS.get(path.name, _PLAIN), opened

    def _kind_of(self, name: str) -> str | None:
        kind = _KINDS.get(name.rpartition("/")[2])
        if kind is None:
            self.skipped_files.append(name)
        return kind

    def _read(self, name: str, kind: str, file: IO[bytes]) -> None:
        """Read one list, a few megabytes at a time."""
        line_number = 1
        while chunk := file.read(_CHUNK_BYTES):
            if b"\0" in chunk:
                raise ConfigError(f"'{name}' is not a text file.", "Give text files, folders or tar archives of them.")
            chunk += file.readline()
            if line_number == 1:
                chunk = chunk.removeprefix(b"\xef\xbb\xbf")
            lines = chunk.removesuffix(b"\n").split(b"\n")
            if kind in (_DOMAINS, _PLAIN) and _all_plain(chunk) and max(map(len, lines)) <= MAX_HOST:
                self._add(_DOMAINS, [xxh3_64_intdigest(line) for line in lines if line])
            else:
                self._parse(name, kind, lines, line_number)
            line_number += len(lines)

    def _add(self, kind: str, hashes: list[int]) -> None:
        self.hashes[kind].append(np.array(hashes, dtype="<u8"))

    def _parse(self, name: str, kind: str, lines: list[bytes], line_number: int) -> None:
        found: dict[str, list[int]] = {_DOMAINS: [], _URLS: []}
        for number, line in enumerate(lines, line_number):
            if not (entry := _entry_of(line)):
                continue
            try:
                to, key = _parsed_word(entry, kind) if kind in WORD_KINDS else _parsed_address(entry, kind)
            except ValueError:
                self.ignored_example = self.ignored_example or f"{name}:{number}: {entry[:80]}"
                self.ignored_lines += 1
                continue
            if to in WORD_KINDS:
                self.words[to].add(key)
            else:
                found[to].append(hash_of(key))
        for to, hashes in found.items():
            self._add(to, hashes)

    @property
    def entries(self) -> int:
        """The number of domains and URLs that were read. Repeated entries count each time."""
        return sum(len(hashes) for chunks in self.hashes.values() for hashes in chunks)

    def arrays(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Return the distinct hashes of the domains and of the URLs, ascending."""
        return _ascending(self.hashes[_DOMAINS]), _ascending(self.hashes[_URLS])


def _ascending(chunks: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    hashes = np.concatenate([np.empty(0, dtype="<u8"), *chunks])
    hashes.sort()
    first = np.ones(len(hashes), dtype=bool)
    first[1:] = hashes[1:] != hashes[:-1]
    return hashes[first]  # numpy's unique() is 10 times slower on 4.6 million hashes


def _all_plain(chunk: bytes) -> bool:
    """Return True if all lines are domains in stored form, as in UT1. Testing line by line is 20 times slower."""
    return not chunk.translate(None, _PLAIN_HOST_BYTES) and not (
        chunk.startswith(b".") or chunk.endswith(b".") or b".." in chunk or b"\n." in chunk or b".\n" in chunk
    )


def _entry_of(line: bytes) -> str:
    """Return a line without its comment. Bytes that are not UTF-8 become U+FFFD, which no entry may contain."""
    return list_entry(line.decode("utf-8", "replace"))


def _parsed_word(entry: str, kind: str) -> tuple[str, str]:
    word = _NOT_ALNUM.sub("", entry).lower()
    if not word:
        raise ValueError
    return kind, word


def _parsed_address(entry: str, kind: str) -> tuple[str, str]:
    """Return the list and stored form of an entry. Raises ValueError if it can't be a domain or URL."""
    if " " in entry or "\ufffd" in entry or not entry.isprintable():  # control and invisible characters
        raise ValueError
    if kind != _URLS and not any(mark in entry for mark in "/?#:@"):
        host = host_name(entry.removeprefix("."))  # squid writes `.a.example` for a domain and its subdomains
        if len(host) > MAX_HOST or not _HOST.fullmatch(host):
            raise ValueError
        return _DOMAINS, host
    head, _, fragment = entry.partition("#")
    if not split_url(head)[0] or fragment:  # with its fragment removed, the entry would block another page
        raise ValueError
    return _URLS, url_key(head)
