"""The files of a Common Crawl crawl, by its name, on Common Crawl's server or on a copy: archives, and the columnar
index."""

from __future__ import annotations

import gzip
import io
import os
import re
import zlib
from itertools import islice
from pathlib import Path

from corpus.errors import ConfigError, InputError, InputUnreachable
from corpus.net.client import Client
from corpus.net.urls import is_url, redact

BASE = "https://data.commoncrawl.org/"

_LIKE_A_NAME = re.compile(r"cc-[a-z]+[\w-]*", re.IGNORECASE)
_NAME = re.compile(r"CC-MAIN-20\d\d-([0-4]\d|5[0-3])")
_LIST_BYTES = 64 << 20
"""The largest list that is read. A list of 100,000 files is about 1 MB."""

_LINE_BYTES = 4096

WHOLE_CRAWL = 1_000_000
"""A limit above the number of files of any crawl."""


def is_crawl(argument: str) -> bool:
    """Return True if an argument looks like the name of a crawl, and no file has that name."""
    return _LIKE_A_NAME.fullmatch(argument) is not None and not Path(argument).exists()


def crawl_files(name: str, limit: int | None, base: str | None, client: Client) -> list[str]:
    """Return the paths or URLs of the first `limit` WARC files in the list of a crawl."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name} is not the name of a crawl.",
            "Names have a year and a week, like CC-MAIN-2026-43: see https://index.commoncrawl.org/collinfo.json.",
        )
    if limit is None:
        raise ConfigError(
            f"{name} has about 90,000 files of 1 GB.",
            "Give --limit N for the first N files, or --sample N for N random files, or choose pages: --languages, "
            "--domains, --urls-like.",
        )
    root = root_of(base)
    return [f"{root}/{path}" for path in _list(name, root, "warc.paths.gz", limit, client)]


def index_files(name: str, base: str | None, client: Client) -> list[str]:
    """Return the paths, below the root, of the files of a crawl's columnar index that list successful captures."""
    listed = _list(name, root_of(base), "cc-index-table.paths.gz", WHOLE_CRAWL, client)
    wanted = [path for path in listed if f"/crawl={name}/subset=warc/" in path and path.endswith(".parquet")]
    if not wanted:
        what = f"The list of the columnar index of {name} names no file of crawl={name}/subset=warc."
        raise InputError(what, "Crawls since 2013 have a columnar index. Check --base.")
    return wanted


def root_of(base: str | None) -> str:
    """Return the folder or URL below which the paths in the lists of a crawl lie."""
    base = (base or BASE).rstrip("/")
    if is_url(base) and redact(base) != base:
        raise ConfigError("A --base URL can't have a user name or a query.", "Set credentials in the environment.")
    return base if is_url(base) else os.path.abspath(base)


def _list(name: str, root: str, file: str, limit: int, client: Client) -> list[str]:
    location = f"{root}/crawl-data/{name}/{file}"
    try:
        packed = client.read(location, 0, _LIST_BYTES)[0] if is_url(location) else Path(location).read_bytes()
    except InputUnreachable as error:
        raise InputError(f"The crawl {name} can't be looked up. {error.what}", error.todo) from None
    except OSError as error:
        reason = f"{location}: {error.strerror}"
        raise InputError(f"The crawl {name} can't be looked up: {reason}.", "Check the name, and --base.") from None
    try:
        with gzip.open(io.BytesIO(packed)) as lines:
            first = list(islice(iter(lambda: lines.readline(_LINE_BYTES), b""), limit))
        paths = [line.decode("ascii").strip() for line in first]
    except (OSError, EOFError, zlib.error, ValueError):
        raise InputError(f"{redact(location)} is damaged.", "Check --base.") from None
    for path in paths:
        if not re.fullmatch(r"[\w.=+-]+(/[\w.=+-]+)*", path) or ".." in path.split("/"):
            raise InputError(f"{redact(location)} lists {path[:100]!r}, which is not a path below it.", "Check --base.")
    return paths
