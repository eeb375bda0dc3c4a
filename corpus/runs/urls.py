"""The URLs of a run: the rows of one URL, and the URLs and domains that somebody may have meant by a wrong one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import takewhile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.runs.row_groups import read_batches
from corpus.tables.ledger import hidden_url, ledger_identity
from corpus.tables.takedown import domains_of
from corpus.url_identity import MAX_HOST, split_url, url_identity

NEAR = 3
"""The number of suggestions for a URL or domain that the run does not have."""

_ROWS = 1 << 16
_COMPARED = 100  # at most this many wanted URLs of one host are compared with each of its URLs
OTHER_FORMS = r"[^\x00-\x7f]|^[^/]*//[^/]*[%\[]"  # a host in another script, with escapes, or an IP address


def urls_in(paths: Sequence[Path]) -> Iterator[str]:
    """Yield the URLs of a ledger, in order."""
    for batch in read_batches(paths, ["url"], _ROWS):
        yield from batch["url"].to_pylist()


def is_url(urls: pa.ChunkedArray, url: str) -> pa.Array:
    """Return True for the URLs of a ledger that are the same as `url`, and for the hash of `url`."""
    wanted = ledger_identity(url)
    likely = pc.match_substring_regex(urls, f"(?i){re.escape(split_url(wanted)[0])}|{OTHER_FORMS}")
    found = np.zeros(len(urls), np.bool_)
    rows = np.flatnonzero(likely.to_numpy())
    found[rows] = [ledger_identity(one) == wanted for one in urls.take(pa.array(rows)).to_pylist()]
    return pc.or_(pa.array(found), pc.equal(urls, hidden_url(url)).combine_chunks())


def nearest_urls(urls: Iterable[str], wanted: Iterable[str]) -> dict[str, list[str]]:
    """Return, for each wanted URL, the URLs that are most like it, the nearest first.

    A near URL has the same host except for `www.`, or a host that differs in one letter. Its path is the same except
    for the query, or is mostly the same.
    """
    best: dict[str, list[tuple[bool, bool, float, float, str]]] = {one: [] for one in wanted}
    by_host: dict[str, list[str]] = {}
    for one in best:
        by_host.setdefault(_bare_host(one), []).append(one)
    hosts = _NearNames(by_host)
    for url in urls:
        host = _bare_host(url)
        for near in hosts.of(host):
            for one in by_host[near][:_COMPARED]:
                score = (host != near, *_score(url, one), url)
                if score not in best[one]:
                    best[one] = sorted([*best[one], score])[:NEAR]
    return {one: [score[-1] for score in scores] for one, scores in best.items()}


def is_variant(url: str, other: str) -> bool:
    """Return True for URLs that differ only in `www.`, final slashes and the letter case of the path."""
    return variant_key(url) == variant_key(other)


def variant_key(url: str) -> tuple[str, str]:
    """Return what a URL has in common with its variants (see `is_variant`)."""
    return _bare_host(url), _loose_path(url)


def nearest_domains(
    urls: Iterable[str], wanted: Iterable[str], registered_domain: Callable[[str], str]
) -> dict[str, list[str]]:
    """Return, for each wanted domain, the domains of the URLs that are most like it, the nearest first.

    A near domain is the same except for `www.`, lies below the same registered domain, differs in one letter, or has
    another suffix.
    """
    best: dict[str, list[tuple[int, str]]] = {one: [] for one in wanted}
    by_name: dict[tuple[int, str], list[str]] = {}
    registered = {one: registered_domain(one) or one for one in best}
    for one, domain in registered.items():
        for key in ((0, one.removeprefix("www.")), (1, domain), (3, domain.partition(".")[0])):
            by_name.setdefault(key, []).append(one)
    letters = _NearNames(registered.values())

    @lru_cache(1 << 16)
    def add(host: str) -> None:
        for domain in domains_of(f"//{host}"):
            name = domain.partition(".")[0]
            found = [(0, host, one) for one in by_name.get((0, domain), ())]
            found += [(1, host, one) for one in by_name.get((1, domain), ())]
            found += [(2, domain, one) for near in letters.of(domain) for one in by_name[1, near]]
            found += [(3, domain, one) for one in by_name.get((3, name), ()) if len(name) > 3 and name != domain]
            for rank, shown, one in found:
                if shown not in (known for _, known in best[one]):
                    best[one] = sorted([*best[one], (rank, shown)])[:NEAR]

    for url in urls:
        add(split_url(url)[0])
    return {one: [shown for _, shown in found] for one, found in best.items()}


class _NearNames:
    """An index of names that finds names equal to another, or different in one letter: added, missing, replaced, or two
    swapped.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._by_part: dict[str, set[str]] = {}
        for name in names:
            for part in _parts(name):
                self._by_part.setdefault(part, set()).add(name)
        self.of = lru_cache(1 << 13)(self._of)

    def _of(self, name: str) -> list[str]:
        return sorted({near for part in _parts(name) for near in self._by_part.get(part, ())})


def _parts(name: str) -> set[str]:
    """Return a name, and the name without each of its letters."""
    if len(name) > MAX_HOST:
        return {name}
    return {name, *(name[:at] + name[at + 1 :] for at in range(len(name)))}


def _bare_host(url: str) -> str:
    return split_url(url)[0].removeprefix("www.")


def _loose_path(url: str) -> str:
    return url_identity(url).partition("//")[2].partition("/")[2].lower().rstrip("/")


def _score(url: str, wanted: str) -> tuple[bool, float, float]:
    """Return a sort key: whether the paths differ without their queries, and how much the paths and the URLs have in
    common.
    """
    ours, theirs = _loose_path(url), _loose_path(wanted)
    page, other = (path.partition("?")[0].rstrip("/") for path in (ours, theirs))
    return page != other, -_share(ours, theirs), -_share(url_identity(url), url_identity(wanted))


def _share(one: str, other: str) -> float:
    """Return how much of two texts is the same at their beginning and end, as a share."""
    shorter, longer = sorted((len(one), len(other)))
    same = _common(one, other) + _common(reversed(one), reversed(other))
    return min(same, shorter) / max(longer, 1)


def _common(one: Iterable[str], other: Iterable[str]) -> int:
    """Return the number of letters before two texts differ for the first time."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
