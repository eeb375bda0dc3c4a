"""The rules for which URLs are the same, for takedowns, block lists, `explain` and `diff --by url`.

    url_identity("HTTPS://Bücher.example:443/%7Ea/./b#top")      # '//xn--bcher-kva.example/~a/b'

RFC 3986 (6.2.2) lists differences that do not make another URL: letter case of scheme and host, escapes of letters,
digits and `-._~`, dot segments, an empty path. Host names are compared as browsers look them up (UTS 46,
non-transitional). Beyond that, http and https count as one, and so do their ports 80 and 443. `www.` and a final slash
make another URL.

`urlsplit` is no replacement: it raises on hostile URLs and takes five times as long.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from urllib.parse import quote, unquote

import idna

MAX_HOST = 253
"""RFC 1035. Longer names can't be looked up, so no page comes from one."""

_URL = re.compile(
    r"(?:([A-Za-z0-9+.\-]+:)?//)?(?:([^/?#]*)@)?\s*"  # scheme and user info, both optional
    r"(\[[^\]/?#]*\]|[^/?#:]*)(?::([^/?#]*))?([^#]*)"  # host, port, path with query
)
_WITHOUT_HOST = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:(?!//|\d*(?:[/?#]|$))")
"""The start of a URL such as `dns:a.example` or `urn:a:b`. A text that begins with `a.example:80/` has no scheme."""

_DOTS = re.compile("[.\u3002\uff0e\uff61]")
"""The full stops that count as dots in host names."""
_ENDS = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f ."
"""Blanks and dots at the end of a host name."""
_NO_NAME = re.compile(r"[\x00-\x20\x7f#%/:<>?@\[\\\]^|]")
"""The characters that no host name contains (the forbidden host code points of the URL standard)."""

_BLANKS = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u200b\u200e\u200f\u2028\u2029\u202f\u2060\u3000\ufeff"
"""Blanks and invisible characters around an entry of a list, the byte order mark among them."""
_NOTE = re.compile(r"\s#.*")
_QUOTED = re.compile(r"""["'`<“‘«](.*)["'`>”’»][,;]?""")

_ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})|[^!-~]|[%\"\\^`{|}]")
_AS_THEY_ARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~<>")
"""The characters that are never escaped: the unreserved ones, and the brackets of `<EMAIL>` in a masked URL."""


def url_identity(url: str) -> str:
    """Return the form that all ways of writing a URL have in common.

    The form is `//host:port/path?query`, or with the scheme if the scheme is not http or https. A URL without a scheme
    counts as http. The fragment is left out. Never raises. The identity of an identity is itself.
    """
    url = url.strip()
    if _WITHOUT_HOST.match(url):
        scheme, _, rest = url.partition(":")
        return f"{scheme.lower()}:{_escaped(rest.partition('#')[0])}"
    scheme, user, host, port, path = _parts(url)
    scheme = "" if scheme.lower() in ("http:", "https:") else scheme.lower()
    user = f"{_escaped(user)}@" if user else ""
    return f"{scheme}//{user}{host}{port}{_normal_path(path)}"


def url_key(url: str) -> str:
    """Return a URL as block lists store it: its identity without scheme, user info and final slashes."""
    _, _, host, port, path = _parts(url.strip())
    return f"{host}{port}{_normal_path(path)}".rstrip("/")


def split_url(url: str) -> tuple[str, str, str]:
    """Return (host, port, path with query) of a URL with or without scheme, without user info and fragment.

    The host is in the form of `host_name`. The port is "" if it is absent or usual (80, 443), else like ":8080". The
    path is as written. A URL such as `dns:a.example` has no host. Never raises. The time is linear in the length of
    the URL.
    """
    return ("", "", url) if _WITHOUT_HOST.match(url) else _parts(url)[2:]


def host_name(host: str) -> str:
    """Return a host in the form for comparisons: lower case, names of other scripts as browsers look them up, no final
    dot.
    """
    host = host.strip()
    if "%" in host:
        host = _unescaped(host)
    host = host.rstrip(_ENDS)
    if host.startswith("["):
        return _address(host)
    if host.isascii() or len(host) > MAX_HOST:
        return host.lower()
    try:
        mapped = idna.uts46_remap(host, std3_rules=False)
    except UnicodeError:
        mapped = host.lower()
    if _NO_NAME.search(mapped):
        return host.lower()
    return ".".join(label if label.isascii() else _punycode(label) for label in _DOTS.split(mapped)).rstrip(".")


def list_entry(line: str) -> str:
    """Return the entry in a line of a list of URLs or domains, without blanks, quotes and comment, or "" if the line
    has none.

    `#` may be part of a URL, so it begins a comment only at the start of a line or after a blank.
    """
    entry = line.strip(_BLANKS)
    if entry.startswith("#"):
        return ""
    entry = _NOTE.sub("", entry)
    quoted = _QUOTED.fullmatch(entry)
    return (quoted[1] if quoted else entry).strip(_BLANKS)


def _parts(url: str) -> tuple[str, str, str, str, str]:
    """Return scheme, user info, host, port, and path with query.

    Host and port are normalized, the other parts are as written.
    """
    match = _URL.match(url)
    assert match  # every part of the pattern is optional
    scheme, user, host, port, path = match.groups()
    if port and port.isdecimal() and port.isascii():
        port = port.lstrip("0")
    port = "" if port in (None, "", "80", "443") else f":{port}"
    return scheme or "", user or "", host_name(host), port, path


def _unescaped(host: str) -> str:
    """Return a host without escapes. If the result is not a host name, return the host unchanged."""
    try:
        found = unquote(host, errors="strict")
    except UnicodeDecodeError:
        return host
    return host if _NO_NAME.search(found) else found


def _address(host: str) -> str:
    try:
        return f"[{IPv6Address(host[1:-1])}]"
    except ValueError:
        return host.lower()


def _punycode(label: str) -> str:
    try:
        return idna.encode(label).decode()
    except (UnicodeError, IndexError):
        pass
    try:  # IDNA 2008 rejects emoji and other characters of domains that were registered before it
        return f"xn--{label.encode('punycode').decode()}"
    except UnicodeError:
        return label


def _normal_path(written: str) -> str:
    path, mark, query = _escaped(written).partition("?")
    if "/." in path and path[0] == "/":
        path = _without_dots(path)
    return f"{path or '/'}{mark}{query}"


def _without_dots(path: str) -> str:
    """Return a path without the segments `.` and `..` (RFC 3986, 5.2.4)."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def _escaped(text: str) -> str:
    """Return a text with the escapes that it needs and no others, in upper case."""
    return _ESCAPED.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    if match[1]:
        char = chr(int(match[1], 16))
        return char if char in _AS_THEY_ARE else match[0].upper()
    return quote(match[0], safe="", errors="replace")
