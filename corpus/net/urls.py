"""The URLs of inputs and outputs.

Their user name, password and query may be secrets, so names, messages and output files show only the result of
`redact`.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from corpus.errors import ConfigError

OBJECT_STORES = ("s3", "gs", "az")

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_UTF8 = re.compile("[\ud800-\udfff]")  # Python puts these in a path for bytes that are not UTF-8
_HOST = re.compile(r"[\w.-]*(:\d*)?|\[[\da-fA-F:.]*\](:\d*)?")


def is_url(path: str) -> bool:
    return "://" in path


def is_utf8(path: str) -> bool:
    """Return True if a path can be written as text. A file name on this machine may hold any bytes."""
    return not _NOT_UTF8.search(path)


def redact(path: str) -> str:
    """Return a URL without user name, password, query and fragment, which may be secret. Return a path as it is."""
    if not is_url(path):
        return path
    scheme, _, rest = path.partition("://")
    authority, slash, way = rest.split("?")[0].split("#")[0].partition("/")
    host = authority.rpartition("@")[2]
    if not _HOST.fullmatch(host):  # for example, a password with a slash in it
        return f"{scheme}://…"
    return f"{scheme}://{host}{slash}{way}"


def url_name(url: str) -> str:
    """Return the logical name of a file: the last part of its URL's path. Raises ConfigError if there is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigError(f"{redact(url)} is not a valid URL.", "Check its spelling.") from None
    # A key may hold ? and #, which end a path elsewhere. %20 is a space only on web servers.
    path = url.partition("://")[2].partition("/")[2] if parts.scheme in OBJECT_STORES else unquote(parts.path)
    name = path.rpartition("/")[2]
    if not name or not name.isprintable():
        raise ConfigError(f"{redact(url)} names no file.", "Give the URL of an archive.")
    return name


def url_folders(url: str) -> list[str]:
    """Return the parts of a URL before the name of the file, without secrets: host or bucket, then folders."""
    scheme, _, rest = (url if url.partition("://")[0] in OBJECT_STORES else redact(url)).partition("://")
    authority, _, path = rest.partition("/")
    folders = path.split("/")[:-1]
    if scheme not in OBJECT_STORES:
        folders = [part if (part := unquote(raw)).isprintable() and "/" not in part else raw for raw in folders]
    return [part for part in (authority.rpartition("@")[2], *folders) if part not in ("", ".", "..")]


def object_key(url: str) -> str:
    """Return the key of an object or prefix: everything after the bucket, unchanged. A key may hold `?`, `#` and `%`.

    Raises ConfigError if the library for object stores can't name the key.
    """
    bucket, _, key = url.partition("://")[2].partition("/")
    if not bucket:
        raise ConfigError(f"{redact(url)!r} names no bucket.", "Write s3://BUCKET/PREFIX.")
    if _CONTROL.search(key) or not is_utf8(key) or (key and {"", ".", ".."} & set(key.split("/"))):
        todo = "Leave out empty parts, dots and control characters."
        raise ConfigError(f"{redact(url)!r} is not valid in an object store.", todo)
    return key
