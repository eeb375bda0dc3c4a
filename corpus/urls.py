"""URLs of inputs. Their user name, password and query may be secrets: no name, message or output has more of one than
`redact` leaves.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from corpus.errors import ConfigError

OBJECT_STORES = ("s3", "gs", "az")

_HOST = re.compile(r"[\w.-]*(:\d*)?|\[[\da-fA-F:.]*\](:\d*)?")


def is_url(path: str) -> bool:
    return "://" in path


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
    """The key of an object: all that follows the bucket, as it is (it may hold `?`, `#` and `%`)."""
    return url.split("://", 1)[1].partition("/")[2]
