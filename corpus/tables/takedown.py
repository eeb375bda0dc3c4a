"""The takedown list of a run: URLs and domains that no later build of its folder brings back.

Entries are stored as hashes. The ledger shows the removed pages of the run anyway. The hashes hide the other entries
from readers who do not know them already, but they do not protect against guessing.
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
from corpus.storage.store import Store
from corpus.tables.mask import mask_url

TAKEDOWN_FILE = "removed.json"
"""The name of the list in the folder of a run."""

_SITE = re.compile(r"\A([A-Za-z][A-Za-z0-9+.\-]*+)://([^/?#]*+)")


@dataclass(frozen=True)
class Takedown:
    """Hashes of URLs, and of domains with all their subdomains.

    A URL is compared in its form in the ledger, with user names and e-mail addresses masked, and without its fragment.
    So URLs that differ only in an address count as one.
    """

    urls: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()

    @classmethod
    def of(cls, urls: Iterable[str] = (), domains: Iterable[str] = ()) -> Takedown:
        """Return the takedown of domains and of URLs, in their form in the crawl or in the ledger."""
        return cls(
            frozenset(_hash(url_form(url)) for url in urls), frozenset(_hash(domain_form(name)) for name in domains)
        )

    def rule(self, url: str) -> str:
        """Return why a page is removed: "url" or "domain", or "" if it stays."""
        if self.urls and _hash(url_form(url)) in self.urls:
            return "url"
        host = host_of(url) if self.domains else ""
        labels = host.split(".") if host else []
        if any(_hash(".".join(labels[start:])) in self.domains for start in range(len(labels))):
            return "domain"
        return ""

    def __or__(self, other: Takedown) -> Takedown:
        return Takedown(self.urls | other.urls, self.domains | other.domains)

    def __bool__(self) -> bool:
        return bool(self.urls or self.domains)

    @property
    def digest(self) -> str:
        return digest([sorted(self.urls), sorted(self.domains)])

    def as_json(self) -> bytes:
        return (json.dumps({"urls": sorted(self.urls), "domains": sorted(self.domains)}, indent=1) + "\n").encode()


@lru_cache(2)
def _read(path: str, changed: int) -> Takedown:
    try:
        data = json.loads(Path(path).read_bytes())
        return Takedown(frozenset(data["urls"]), frozenset(data["domains"]))
    except (ValueError, KeyError, TypeError):
        raise IntegrityError(f"{path} is damaged.", "Restore it: it lists the pages that were removed.") from None


def read_takedown(path: str | Path) -> Takedown:
    """Return the takedown in a file, or an empty one if there is no file."""
    file = Path(path)
    return _read(str(file), file.stat().st_mtime_ns) if file.exists() else Takedown()


def takedown_of(store: Store) -> Takedown:
    """Return the takedown of the run in a store."""
    return read_takedown(store.local(TAKEDOWN_FILE)) if store.size(TAKEDOWN_FILE) is not None else Takedown()


def url_form(url: str) -> str:
    """Return the form in which URLs are compared."""
    url = mask_url(url.strip()).partition("#")[0]
    match = _SITE.match(url)
    if match is None:
        return url
    user, at, host = match[2].rpartition("@")
    rest = url[match.end() :]
    return f"{match[1].lower()}://{user}{at}{host.lower()}{rest or '/'}"


def host_of(url: str) -> str:
    """Return the host of a URL in the form in which domains are compared, or "" if it has none."""
    match = _SITE.match(url.strip())
    if match is None:
        return ""
    host = match[2].rpartition("@")[2]
    return domain_form(host if host.startswith("[") else host.partition(":")[0])


def domain_form(name: str) -> str:
    """Return the form in which domains are compared: lower case, no dots at the ends, other scripts as IDNA."""
    name = name.strip().strip(".").lower()
    try:
        return name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        return name


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
