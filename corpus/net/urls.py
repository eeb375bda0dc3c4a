"""URLs of inputs. Their user name, password and query may be secrets: no name, message or output has more of one than
`redact` leaves.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from corpus.errors import ConfigError

OBJECT_STORES = ("s3", "gs", "az")

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_UTF8 = re.compile("[\ud800-\udfff]")  # how Python tells of such bytes
_HOST = re.compile(r"[\w.-]*(:\d*)?|\[[\da-fA-F:.]*\](:\d*)?")


def is_url(path: str) -> bool:
    return "://" in path


def is_utf8(path: str) -> bool:
    """Whether a path can be written down: names on this machine may hold any bytes."""
    return not _NOT_UTF8.search(path)


def redact(path: str) -> str:
    """A URL without what may be secret: user name, password, query and fragment. Anything else as it is."""
    if not is_url(path):
        return path
    scheme, _, rest = path.partition("://")
    authority, slash, way = rest.split("?")[0].split("#")[0].partition("/")
    host = authority.rpartition("@")[2]
    if not _HOST.fullmatch(host):  # a password with a slash in it, say
        return f"{scheme}://…"
    return f"{scheme}://{host}{slash}{way}"


def url_name(url: str) -> str:
    """The logical name of a file: the last part of its URL's path. Raises ConfigError where that says nothing."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigError(f"{redact(url)} is no URL.", "Check its spelling.") from None
    # a key may hold what ends a path elsewhere; %20 is a space on web servers only
    path = url.partition("://")[2].partition("/")[2] if parts.scheme in OBJECT_STORES else unquote(parts.path)
    name = path.rpartition("/")[2]
    if not name or not name.isprintable():
        raise ConfigError(f"{redact(url)} names no file.", "Give the URL of an archive.")
    return name


def object_key(url: str) -> str:
    """The key of an object or a prefix: all that follows the bucket, as it is (it may hold `?`, `#` and `%`). Raises
    ConfigError for one that the library for object stores can't name."""
    bucket, _, key = url.partition("://")[2].partition("/")
    if not bucket:
        raise ConfigError(f"{redact(url)!r} names no bucket.", "Write s3://BUCKET/PREFIX.")
    if _CONTROL.search(key) or not is_utf8(key) or (key and {"", ".", ".."} & set(key.split("/"))):
        raise ConfigError(
            f"{redact(url)!r} can't be named in an object store.", "Leave out empty parts, dots and control characters."
        )
    return key
