"""Find the archives that a user names by files, globs, folders, URLs or crawls, and divide them into units."""

from __future__ import annotations

import filecmp
import glob
import os
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeVar

from corpus.errors import ConfigError, InputChanged, InputError, InputUnreachable
from corpus.net.client import Client
from corpus.net.remote import open_source
from corpus.net.transport import CONNECTIONS
from corpus.net.urls import OBJECT_STORES, is_url, is_utf8, object_key, redact, url_name
from corpus.sandbox.unit import JUNK, Unit
from corpus.warc.plan import FilePlan, Format, plan
from corpus.warc.source import digest_of_ends
from jobs.build.crawl import crawl_files, is_crawl

_ARCHIVE_NAME = re.compile(r"\.w?arc(\.|$)|\.(wet|wat)(\.|$)", re.IGNORECASE)

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Input:
    """An archive: its logical name, its path or URL, and its size."""

    name: str
    path: str
    size: int
    identity: str
    """Identifies the content, wherever the file is."""
    tag: str = ""
    """Identifies the file at this path while a run lasts."""


def find_inputs(given: Iterable[str], limit: int | None = None, base: str | None = None) -> list[Input]:
    """Return the archives that the arguments name, sorted by name.

    At most `limit` archives are used: the first ones in the order of the arguments. A file that is given twice is read
    once. Crawls are looked up at `base`. Raises InputError if an argument names nothing readable, or if two files of
    the same name may differ.
    """
    given = list(given)
    if base is not None and not any(map(is_crawl, given)):
        raise ConfigError("--base is only for crawls, and no input is a crawl.", "Name a crawl: CC-MAIN-2026-43.")
    found: dict[str, Input] = {}
    with Client() as client:
        locations = [location for argument in given for location in _locations(argument, limit, base, client)]
        first = list(dict.fromkeys(locations))[:limit]
        for item in _together(lambda location: _identify(location, client), first, first, client):
            same = found.setdefault(item.name, item)
            if same is not item and not _are_same(same, item):
                raise InputError(
                    f"Two inputs are called {item.name}, and nothing shows that they are the same: "
                    f"{redact(same.path)} and {redact(item.path)}.",
                    "Give one of them, or rename one: outputs name records by file name and offset.",
                )
    return [found[name] for name in sorted(found)]


def _locations(argument: str, limit: int | None, base: str | None, client: Client) -> list[str]:
    """Return the paths or URLs that an argument names."""
    if is_crawl(argument):
        return crawl_files(argument, limit, base, client)
    if is_url(argument):
        return _urls(argument, client)
    try:
        return [str(path.absolute()) for path in _matches(argument)]
    except OSError as error:
        raise _unreadable(argument, error) from None


def _matches(argument: str) -> list[Path]:
    path = Path(argument)
    if path.is_dir():
        os.scandir(path).close()  # raises if the folder can't be listed; rglob would find it empty
        inside = sorted(p for p in path.rglob("*") if p.is_file() and _ARCHIVE_NAME.search(p.name))
        if not inside:
            raise InputError(f"The folder {argument} holds no archive.", _NAMED)
        return inside
    if path.is_file():
        return [path]
    matches = sorted(Path(match) for match in glob.glob(argument, recursive=True) if Path(match).is_file())
    if not matches:
        raise InputError(f"There is no file {argument}.", "Name a file, folder, glob of archives, URL or crawl.")
    return matches


_NAMED = "Its files must be named *.warc, *.warc.gz, *.warc.zst, *.arc, *.wet or the like."


def _urls(url: str, client: Client) -> list[str]:
    scheme, _, rest = url.partition("://")
    if scheme not in (*OBJECT_STORES, "http", "https"):
        raise ConfigError(f"{redact(url)} can't be read.", "Give a path, or a URL of https, http, s3, gs or az.")
    if scheme not in OBJECT_STORES:
        path = url.split("?")[0]
        if path.endswith("/") or "*" in path:
            raise ConfigError(f"{redact(url)} names no file, and web servers list none.", "Name single files.")
        url_name(url)  # raises if there is none
        return [url]
    object_key(url.rstrip("/"))  # raises if there is none
    bucket, _, key = rest.partition("/")
    if not key or key.endswith("/"):
        inside = [found for found in client.list(f"{scheme}://{bucket}/{key}") if _ARCHIVE_NAME.search(found)]
        if not inside:
            raise InputError(f"{redact(url)} holds no archive.", _NAMED)
        return inside
    if not re.search(r"[*?\[]", key):
        return [url]
    fixed = re.split(r"[^/]*[*?\[]", key, maxsplit=1)[0]
    pattern = _glob(url)
    matches = [found for found in client.list(f"{scheme}://{bucket}/{fixed}") if pattern.fullmatch(found)]
    if not matches:
        raise InputError(f"There is no object {redact(url)}.", "Check the bucket and the pattern.")
    return matches


def _glob(pattern: str) -> re.Pattern[str]:
    """A pattern as in a shell: `*` and `?` stop at slashes, and `**/` matches any number of folders."""
    special = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]/]+\])", pattern)
    for number, part in enumerate(parts):
        other = f"[{part[1:-1].replace('!', '^', 1)}]" if part[:1] == "[" else re.escape(part)
        parts[number] = special.get(part) or other
    return re.compile("".join(parts))


def _identify(location: str, client: Client) -> Input:
    """Look an archive up. Its identity is a digest of both ends, which is the same wherever the file is."""
    if not is_utf8(location):
        raise InputError(f"The path {location!r} is not UTF-8, as names in outputs are.", "Rename it.")
    try:
        name = url_name(location) if is_url(location) else Path(location).name
        with closing(open_source(location, name, client=client)) as source:
            return Input(name, location, source.size, digest_of_ends(source)[:32], source.tag)
    except OSError as error:
        raise _unreadable(location, error) from None


def _unreadable(location: str, error: OSError) -> InputError:
    return InputError(f"{redact(location)} can't be read: {error.strerror}.", "Check its permissions.")


def _are_same(one: Input, other: Input) -> bool:
    """Return True if two inputs of the same name are known to have the same bytes.

    The identity covers both ends alone. So files are compared in full, and URLs of the same server by their strong
    ETags. A file and a URL never count as the same, as the URL would have to be read in full.
    """
    if one.identity != other.identity or is_url(one.path) != is_url(other.path):
        return False
    if is_url(one.path):
        servers = {redact(item.path).split("/")[2] for item in (one, other)}
        return len(servers) == 1 and one.tag == other.tag and one.tag.partition(" ")[2].startswith('"')
    try:
        return os.path.samefile(one.path, other.path) or filecmp.cmp(one.path, other.path, shallow=False)
    except OSError as error:
        raise _unreadable(error.filename, error) from None


def plan_all(items: Sequence[Input], unit_bytes: int) -> list[Unit]:
    """Return the units of all archives, in order. Raises InputError if none of the files is an archive."""
    with Client() as client:
        paths = [item.path for item in items]
        planned = _together(lambda item: plan_units(item, unit_bytes, client), items, paths, client)
        units = list(chain.from_iterable(planned))
        if units and all(unit.layout == JUNK for unit in units):
            _plan(items[0], unit_bytes, client)  # raises, and says what the file is instead
    return units


def _together(function: Callable[[T], R], items: Sequence[T], locations: Iterable[str], client: Client) -> list[R]:
    """Call a function on each item: one at a time for files, several at the same time if servers must answer."""
    if not any(map(is_url, locations)):
        return [function(item) for item in items]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        try:
            return list(pool.map(function, items))
        except BaseException:
            client.close()  # abandons running requests
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def plan_units(item: Input, unit_bytes: int, client: Client | None = None) -> list[Unit]:
    """Return the units of an archive.

    A file that is no archive is refused, unless its name is that of one. Then it is a unit with one damaged stretch.
    """
    try:
        planned = _plan(item, unit_bytes, client)
    except (InputChanged, InputUnreachable):
        raise
    except InputError:
        if not _ARCHIVE_NAME.search(item.name):
            raise
        return [_unit(item, Format(JUNK, "plain", "warc"), 0, item.size)]
    return [_unit(item, planned, span.start, span.end) for span in planned.ranges]


def _plan(item: Input, unit_bytes: int, client: Client | None) -> FilePlan:
    with closing(open_source(item.path, item.name, tag=item.tag, client=client)) as source:
        return plan(source, unit_bytes)


def _unit(item: Input, form: Format, start: int, end: int) -> Unit:
    return Unit(item.name, item.path, item.identity, form.layout, form.codec, form.flavor, start, end, item.tag)
