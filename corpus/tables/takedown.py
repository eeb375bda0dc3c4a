"""The takedown list of a run: URLs and domains that later builds of its folder must not bring back.

Entries are stored as hashes. With `--hash-urls`, the ledger has hashes of the removed pages, too. Hashes hide URLs from
readers who do not already know them, but they do not protect against guessing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from corpus.digests import digest
from corpus.errors import IntegrityError
from corpus.json_data import Maybe, check_shape, parse_json
from corpus.storage.store import Store
from corpus.tables.ledger import ledger_identity
from corpus.tables.mask import mask_url
from corpus.url_identity import split_url

TAKEDOWN_FILE = "removed.json"
"""The name of the list in the folder of a run."""

_SITE = re.compile(r"\A([A-Za-z][A-Za-z0-9+.\-]*+)://([^/?#]*+)")


@dataclass(frozen=True)
class Entry:
    """An entry of a list: the text that its author wrote, and the page or domain that it means."""

    text: str
    kind: str
    """ "url" or "domain"."""
    form: str
    """The identity of the URL in its ledger form, or the host."""

    @classmethod
    def url(cls, text: str) -> Entry:
        return cls(text, "url", ledger_identity(text))

    @classmethod
    def domain(cls, text: str) -> Entry:
        """Return an entry from a list of domains.

        `*.a.example` and `https://a.example/` mean `a.example`. A URL with a path means only that page.
        """
        host, _, path = split_url(text)
        if path.strip("/"):
            return cls.url(text)
        return cls(text, "domain", host.removeprefix("*").lstrip("."))


@dataclass(frozen=True)
class Takedown:
    """The hashes of URLs, and of domains with all their subdomains. URLs are compared by `ledger_identity`."""

    urls: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    hides: bool = False
    """If True, the ledger has hashes in place of the URLs of removed pages."""

    @classmethod
    def of(cls, urls: Iterable[str] = (), domains: Iterable[str] = ()) -> Takedown:
        """Return the takedown of domains and of URLs. The URLs may have their form in the crawl or in the ledger."""
        return cls.of_entries([*map(Entry.url, urls), *map(Entry.domain, domains)])

    @classmethod
    def of_entries(cls, entries: Iterable[Entry]) -> Takedown:
        hashes: dict[str, set[str]] = {"url": set(), "domain": set()}
        for entry in entries:
            hashes[entry.kind].add(_hash(entry.form))
        return cls(frozenset(hashes["url"]), frozenset(hashes["domain"]))

    def rule(self, url: str) -> str:
        """Return the reason why a page is removed: "url" or "domain". Return "" if the page is not removed."""
        if url and self.urls and not self.urls.isdisjoint(map(_hash, (ledger_identity(url), _former_identity(url)))):
            return "url"
        if self.domains and any(_hash(name) in self.domains for name in domains_of(url)):
            return "domain"
        return ""

    def __or__(self, other: Takedown) -> Takedown:
        return Takedown(self.urls | other.urls, self.domains | other.domains, self.hides or other.hides)

    def has(self, entry: Entry) -> bool:
        """Return True if an entry is on the list."""
        return _hash(entry.form) in {"url": self.urls, "domain": self.domains}[entry.kind]

    def __bool__(self) -> bool:
        return bool(self.urls or self.domains)

    @property
    def digest(self) -> str:
        return digest([sorted(self.urls), sorted(self.domains), *(["hides"] if self.hides else [])])

    def as_json(self) -> bytes:
        hides = {"hides": True} if self.hides else {}
        lists = {"urls": sorted(self.urls), "domains": sorted(self.domains)}
        return (json.dumps({**lists, **hides}, indent=1) + "\n").encode()


@lru_cache(2)
def _read(path: str, changed: int) -> Takedown:
    try:
        data = parse_json(Path(path).read_bytes())
        check_shape(data, {"urls": [str], "domains": [str], "hides": Maybe(bool)})
        return Takedown(frozenset(data["urls"]), frozenset(data["domains"]), data.get("hides") is True)
    except ValueError:
        raise IntegrityError(f"{path} is damaged.", "Restore it: it lists the pages that were removed.") from None


def read_takedown(path: str | Path) -> Takedown:
    """Return the takedown in a file, or an empty one if there is no file."""
    file = Path(path)
    return _read(str(file), file.stat().st_mtime_ns) if file.exists() else Takedown()


def takedown_of(store: Store) -> Takedown:
    """Return the takedown of the run in a store."""
    return read_takedown(store.local(TAKEDOWN_FILE)) if store.size(TAKEDOWN_FILE) is not None else Takedown()


def domains_of(url: str) -> list[str]:
    """Return the host of a URL and the domains above it, or nothing if the URL has no host."""
    labels = split_url(url.strip())[0].split(".")
    return [".".join(labels[start:]) for start in range(len(labels))] if any(labels) else []


def _former_identity(url: str) -> str:
    """Return the form of a URL that lists hashed before 2026-12."""
    url = mask_url(url.strip()).partition("#")[0]
    match = _SITE.match(url)
    if match is None:
        return url
    user, at, host = match[2].rpartition("@")
    rest = url[match.end() :]
    return f"{match[1].lower()}://{user}{at}{host.lower()}{rest or '/'}"


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
