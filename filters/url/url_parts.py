"""The parts of a URL by which lists know it: host, port, path.

    url_key(*split_url("HTTP://u:p@Bücher.example:80/a/#top"))      # 'xn--bcher-kva.example/a'

By hand, because `urlsplit` raises on hostile URLs and takes five times as long.
"""

from __future__ import annotations

import re

import idna

MAX_HOST = 253
"""RFC 1035: no longer name can be looked up, so no page was ever fetched from one."""

_URL = re.compile(
    r"(?:(?:[A-Za-z0-9+.\-]+:)?//)?(?:[^/?#]*@)?"  # scheme and user info, both optional
    r"(\[[^\]/?#]*\]|[^/?#:]*)(?::([^/?#]*))?([^#]*)"  # host, port, path with query
)


def split_url(url: str) -> tuple[str, str, str]:
    """(host, port, path with query) of a URL with or without scheme; user info and fragment are left out.

    The host is in the form in which lists hold it: lower case, IDN labels as punycode, no dot at its end.
    The port is "" where absent or usual (80, 443), else ":8080". Never raises, linear in the length of the URL.
    """
    match = _URL.match(url)
    assert match  # every part of the pattern is optional
    host, port, path = match.groups()
    return host_name(host), "" if port in (None, "", "80", "443") else f":{port}", path


def host_name(host: str) -> str:
    """A host in the form in which lists hold it: lower case, IDN labels as punycode, no dot at its end."""
    host = host.strip().lower()
    if host.isascii() or len(host) > MAX_HOST:
        return host.rstrip(".")
    labels = re.split("[.\u3002\uff0e\uff61]", host)  # the full stops that IDNA takes for dots
    return ".".join(label if label.isascii() else _punycode(label) for label in labels).rstrip(".")


def _punycode(label: str) -> str:
    try:
        return idna.encode(label, uts46=True).decode()
    except (UnicodeError, IndexError):
        pass
    try:  # IDNA 2008 refuses emoji and more that registries sold before it
        return f"xn--{label.encode('punycode').decode()}"
    except UnicodeError:
        return label


def url_key(host: str, port: str, path: str) -> str:
    """The form in which lists hold the URL of these parts (see `split_url`): no scheme, no slash at its end."""
    return f"{host}{port}{path}".rstrip("/")
