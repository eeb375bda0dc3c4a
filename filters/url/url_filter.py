"""The URL filter: block lists of domains and URLs, and words that are banned in URLs.

    stage = Url(blocklist="adult.blocklist")   # from `corpus blocklist build`; the default is our own small lists

The rules are those of RefinedWeb, as datatrove 0.10.1 implements them. Decisions differ where datatrove's rules fail:

    url rule       datatrove compares listed URLs without scheme with URLs that have one, so the rule never fires.
                   Here URLs are compared by identity (`corpus/url_identity.py`), without scheme, user info and
                   final slash, and `www.` is optional.
    letter case    datatrove finds hard and soft words in lower case only (`/porn/`, not `/Porn/`), as we do with
                   `case_sensitive_words`. It takes hosts as written. Here they are in lower case, IDN as punycode.
    no suffix      datatrove never finds a host without a known public suffix (an IP address, `a.example`). Here it is
                   tested as a host, and its last two labels are its registered domain, as publicsuffix.org says.
    suffix list    datatrove downloads the public suffix list at run time. Here it is the one in tldextract.

The rest is as in datatrove: of the names above a host only the registered domain is tested; sub-words are found across
separators (`/big-black-dog`); words in percent-encoding are not found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from corpus.stage import Limit, Measured, Stage
from corpus.tables.mask import mask_url
from corpus.url_identity import MAX_HOST, split_url, url_key
from filters.url.blocklist import Blocklist
from filters.url.public_suffixes import registered_domains, suffix_list_digest

if TYPE_CHECKING:
    from corpus.document import Document

_OWN_LISTS = Path(__file__).parents[1] / "lists"
_ALNUM = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_OTHERS = bytes(set(range(256)) - set(_ALNUM))
_OTHERS_TO_SPACE = bytes.maketrans(_OTHERS, b" " * len(_OTHERS))
_TRIE_DEPTH = 16  # a limit for the nesting of the regex; its hits are then counted exactly
_HOSTS_REMEMBERED = 8192  # neighboring pages of a crawl often have the same host; some 2 MB


class Url(Stage):
    """Block lists and banned words for URLs (RefinedWeb: Penedo et al. 2023, arXiv:2306.01116, G.1).

    All measures of a document without a URL are null.
    """

    name = "url"
    source = "RefinedWeb (arXiv:2306.01116, G.1); URLFilter of datatrove 0.10.1"
    reads = ("url",)
    gate = True
    detailed = ("domain", "host", "url", "hard_words", "soft_words", "subwords")

    domain = Limit(max=0, of=int)
    """1 if the registered domain is listed."""
    host = Limit(max=0, of=int)
    """1 if the host itself is listed."""
    url = Limit(max=0, of=int)
    """1 if the URL is listed."""
    hard_words = Limit(max=0, of=int)
    """The number of distinct words of the URL that are banned even alone."""
    soft_words = Limit(max=1, of=int)
    """The number of distinct words of the URL that are banned only together with another banned word."""
    subwords = Limit(max=0, of=int)
    """The number of distinct banned strings in the URL, also inside words or across the signs between words."""

    def __init__(self, *, blocklist: str = "", case_sensitive_words: bool = False) -> None:
        self.blocklist = blocklist
        """The path of a list made by `corpus blocklist build`.

        The list replaces our own domains and words. To keep ours, add `filters/lists` when you build it.
        """
        self.case_sensitive_words = case_sensitive_words
        """If true, banned words are found only in the listed letter case. Sub-words are found in any case."""

    def prepare(self) -> None:
        self.lists_ = self._open()
        self.hard_words_ = frozenset(map(str.encode, self.lists_.hard_words))
        self.soft_words_ = frozenset(map(str.encode, self.lists_.soft_words))
        self.subwords_ = tuple(map(str.encode, self.lists_.subwords))
        self.find_subword_ = _finder(self.subwords_)
        self.registered_domain_ = registered_domains()
        self.judge_host_ = lru_cache(_HOSTS_REMEMBERED)(self._judge_host)

    def resources(self) -> dict[str, str]:
        return {"blocklist": self._open(verify=True).digest, "public_suffix_list": suffix_list_digest()}

    def apply(self, doc: Document) -> Iterator[Measured]:
        url = doc.url
        if not url:
            yield from ((measure, None) for measure in self.limits)
            return
        host = split_url(url)[0]
        registered, has_domain, has_host = self.judge_host_(host) if len(host) <= MAX_HOST else ("", False, False)
        yield ("domain", 1, registered) if has_domain else ("domain", 0)
        yield ("host", 1, host) if has_host else ("host", 0)
        listed = self._listed_url(url)
        yield ("url", 1, mask_url(listed)) if listed else ("url", 0)

        # On bytes these are single passes in C, and `lower` changes only ASCII letters, as the rules require.
        raw = url.encode("utf-8", "surrogatepass")
        lower = raw.lower()
        words = set((raw if self.case_sensitive_words else lower).translate(_OTHERS_TO_SPACE).split())
        yield _count("hard_words", words & self.hard_words_)
        yield _count("soft_words", words & self.soft_words_)
        squeezed = lower.translate(None, _OTHERS)
        found = [word for word in self.subwords_ if word in squeezed] if self.find_subword_(squeezed) else []
        yield _count("subwords", found)

    def _open(self, verify: bool = False) -> Blocklist:
        if self.blocklist:
            return Blocklist.open(Path(self.blocklist), verify=verify)
        return Blocklist.read([_OWN_LISTS])

    def _judge_host(self, host: str) -> tuple[str, bool, bool]:
        """Return the registered domain, whether it is listed, and whether the host itself is listed."""
        registered = self.registered_domain_(host)
        return registered, bool(registered) and self.lists_.has_domain(registered), self.lists_.has_domain(host)

    def _listed_url(self, url: str) -> str:
        """Return the entry of the URL list that matches a URL, or ""."""
        if self.lists_.urls:
            key = url_key(url)
            for name in dict.fromkeys((key, key.removeprefix("www."))):
                if self.lists_.has_url(name):
                    return name
        return ""


def _count(measure: str, found: Iterable[bytes]) -> Measured:
    words = sorted(word.decode() for word in found)
    return (measure, len(words), ", ".join(words)) if words else (measure, 0)


def _finder(words: tuple[bytes, ...]) -> Callable[[bytes], object]:
    """Return a function that finds out whether a text may contain any of the words. The function searches a trie of the
    beginnings of the words.

    The function takes 3.7 µs for 134 sub-words in 61 characters. A plain alternation takes 17 µs, a loop of `in` 30 µs.
    """
    return re.compile(_trie({word[:_TRIE_DEPTH] for word in words}) if words else rb"(?!)").search


def _trie(words: set[bytes]) -> bytes:
    if b"" in words:  # the shorter word matches wherever a longer one would
        return b""
    branches: dict[bytes, set[bytes]] = {}
    for word in words:
        branches.setdefault(word[:1], set()).add(word[1:])
    return b"(?:%s)" % b"|".join(first + _trie(rest) for first, rest in sorted(branches.items()))
