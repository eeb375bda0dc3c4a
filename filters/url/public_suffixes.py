"""The public suffix list in the package tldextract. The list is used without network and without cache files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from corpus.imports import without_heavy

if TYPE_CHECKING:
    from tldextract import TLDExtract


def suffix_list_digest() -> str:
    """Return the sha256 of the list. The list affects results, so its digest belongs to the fingerprint."""
    return hashlib.sha256((resources.files("tldextract") / ".tld_set_snapshot").read_bytes()).hexdigest()


@cache
def domain_parser() -> TLDExtract:
    """Return a parser of hosts that has already read the list, which takes 0.05 s, so that no page waits for it."""
    with without_heavy("requests", "requests_file", "filelock"):  # they take .1 s, and no list is fetched
        from tldextract import TLDExtract

    parser = TLDExtract(cache_dir=None, suffix_list_urls=())
    parser.extract_str("a.example")
    return parser


def is_public_suffix(host: str) -> bool:
    """Return True if strangers own the domains below a name: `com`, `co.uk`, `github.io`, any name without a dot."""
    if host.startswith("["):
        return False
    suffix: str = domain_parser().extract_str(host, include_psl_private_domains=True).suffix
    return suffix == host or "." not in host


def registered_domains() -> Callable[[str], str]:
    """Return the function from a host to its registered domain, or "" for an IP address, bare name or public suffix."""
    parser = domain_parser()

    def registered_domain(host: str) -> str:
        parts = parser.extract_str(host)
        if parts.suffix:
            return parts.top_domain_under_public_suffix
        labels = host.split(".")
        is_name = len(labels) > 1 and all(labels[-2:]) and not labels[-1].isdigit() and host[0] != "["
        return ".".join(labels[-2:]) if is_name else ""

    return registered_domain
