"""The conditions by which pages of a crawl are chosen, as the user gives them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.digests import digest
from corpus.errors import ConfigError
from corpus.url_identity import split_url

SHOWN = 100
"""The most domains that run.json lists. Of more, it has their number and a digest."""

_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_HOST_IN_PATTERN = re.compile(r"(?:[a-z]+|\*)://([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)(?::\d+)?[/?]")

Test = Callable[[pa.Array], np.ndarray]
"""A function that returns True for the texts that meet a condition. A null meets none."""


@dataclass(frozen=True)
class Choice:
    """Conditions on captures. A capture must meet each kind that is given, and may meet any condition of a kind.

    `urls_like` are patterns of the whole URL, in which `*` stands for any characters, and everything else for itself.
    `languages` are ISO 639-3 codes of the main language of a page, which the index names first. `domains` are hosts;
    their subdomains belong to them. Raises ConfigError if a condition can't be met by any page.
    """

    urls_like: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for code in self.languages:
            if not re.fullmatch("[a-z]{3}", code):
                todo = "Give codes of three letters (ISO 639-3), such as eng, deu or zho."
                raise ConfigError(f"'{code}' is not the code of a language in the index of a crawl.", todo)
        for name in self.domains:
            if not _HOST.fullmatch(name):
                raise ConfigError(f"'{name}' is not a domain.", "Give domains, such as example.com.")
        for pattern in self.urls_like:
            if not re.match(r"[a-z]*\*|[a-z]+://", pattern):
                todo = "A pattern is compared with the whole URL: https://example.com/* or *.example.com/news/*."
                raise ConfigError(f"No URL is like '{pattern}'.", todo)
        try:
            self.is_like(pa.array([""]))
        except pa.ArrowInvalid:
            raise ConfigError("The patterns of --urls-like are too long.", "Give fewer patterns.") from None

    @classmethod
    def of(cls, urls_like: Sequence[str], languages: Sequence[str], domains: Sequence[str]) -> Choice | None:
        """Return the choice by what the user wrote, or None if there is no condition."""
        hosts = []
        for text in domains:
            host, _, path = split_url(text)
            if path.strip("/"):
                raise ConfigError(f"'{text}' is a URL, not a domain.", f"Give it as --urls-like '{text}'.")
            hosts.append(host.removeprefix("*").lstrip("."))
        made = cls(*(tuple(sorted({*given})) for given in (urls_like, languages, hosts)))
        return made if made.urls_like or made.languages or made.domains else None

    def as_dict(self) -> dict[str, Any]:
        """Return the conditions as run.json has them."""
        domains: Any = list(self.domains)
        if len(domains) > SHOWN:
            domains = {"number": len(domains), "sha256": digest(domains)}
        return {"urls_like": list(self.urls_like), "languages": list(self.languages), "domains": domains}

    def tests(self) -> dict[str, Test]:
        """Return the test for each column of the index that the conditions need. The smallest columns come first."""
        found: dict[str, Test] = {}
        if self.languages:
            found["content_languages"] = self.is_in_language
        if self.domains:
            found["url_host_name"] = self.is_of_domain
        if self.urls_like:
            found["url"] = self.is_like
        return found

    def is_like(self, urls: pa.Array) -> np.ndarray:
        patterns = "|".join(".*".join(map(re.escape, one.split("*"))) for one in self.urls_like)
        return _true(pc.match_substring_regex(urls, rf"(?s)\A(?:{patterns})\z"))

    def is_in_language(self, languages: pa.Array) -> np.ndarray:
        return _true(pc.match_substring_regex(languages, rf"\A(?:{'|'.join(self.languages)})(?:,|\z)"))

    def is_of_domain(self, hosts: pa.Array) -> np.ndarray:
        encoded = hosts.dictionary_encode()  # the rows of a host are next to each other
        hosts_as_bytes = encoded.dictionary.cast(pa.binary()).to_pylist()
        names = [(host or b"").decode(errors="replace") for host in hosts_as_bytes]
        fine = np.fromiter(map(self._has, names), np.bool_, len(names))
        return _true(pa.array(fine).take(encoded.indices))

    def _has(self, host: str) -> bool:
        labels = host.lower().split(".")
        return any(".".join(labels[first:]) in self._names for first in range(len(labels)))

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self.domains)

    @cached_property
    def key_ranges(self) -> list[tuple[bytes, bytes]] | None:
        """The ranges of `url_surtkey`, disjoint and in order, outside of which no capture meets the conditions on
        domains and URLs. None if these may be anywhere.

        The key of https://www.example.com:8080/a is `com,example:8080)/a`: labels in reverse order, without `www`.
        """
        hosts = [host.lower() for one in self.urls_like if (host := _host_of(one))]
        if len(hosts) < len(self.urls_like):
            hosts = []
        found = [_ranges(given) for given in (self.domains, hosts) if given]
        return min(found, key=len) if found else None


def _host_of(pattern: str) -> str:
    """Return the host of all URLs that are like a pattern, or "" if they have many."""
    found = _HOST_IN_PATTERN.match(pattern)
    return found[1] if found else ""


def _ranges(hosts: Sequence[str]) -> list[tuple[bytes, bytes]]:
    keys = set()
    for host in hosts:
        keys.add(host)  # of an IP address
        for name in (host, re.sub(r"\Awww\d*\.", "", host)):
            keys.add(",".join(reversed(name.split("."))))
    names: list[str] = []
    for key in sorted(keys):
        if not (names and key.startswith(f"{names[-1]},")):  # otherwise it is a subdomain
            names.append(key)
    # after a host comes the path, a subdomain or a port; no other character of a host sorts between the first two
    after = ((b")", b",\xff"), (b":", b":\xff"))
    return sorted((key.encode() + first, key.encode() + last) for key in names for first, last in after)


def _true(found: pa.Array) -> np.ndarray:
    true: np.ndarray = pc.fill_null(found, False).to_numpy(zero_copy_only=False)
    return true
