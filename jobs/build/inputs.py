"""Find the archives or documents that a user names by files, globs, folders, URLs or crawls."""

from __future__ import annotations

import filecmp
import glob
import os
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from corpus.documents.files import JSON_NAME, PAGE_NAME, TABLE_NAME
from corpus.errors import ConfigError, InputError
from corpus.json_data import check_shape, parse_json
from corpus.net.client import Client
from corpus.net.remote import open_source
from corpus.net.transport import CONNECTIONS
from corpus.net.urls import OBJECT_STORES, is_url, is_utf8, object_key, redact, url_folders, url_name
from corpus.sandbox.seen import is_unchanged, must_be_read
from corpus.sandbox.unit import Seen
from corpus.storage.store import Store
from corpus.warc.source import Source, digest_of_ends, digest_of_samples, digest_of_start, input_changed
from jobs.build.crawl import WHOLE_CRAWL, crawl_files, is_crawl
from jobs.runner.terminal import say

ARCHIVE_NAME = re.compile(r"[^.].*\.(w?arc|wet|wat)(\.(gz|gzip|zst|zstd|bz2|xz|lz4|br|zip))?", re.IGNORECASE)
"""The name of an archive, even if the archive must be unpacked first. A folder may also have lists of digests
(.warc.gz.md5), indexes (.cdx.gz), files that are being written (.open, .part) and hidden files. Such files are not
read."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Input:
    """An archive or a file of documents: its logical name, its path or URL, and its size."""

    name: str
    path: str
    size: int = 0
    identity: str = ""
    """The identity of the content, wherever the file is, or "" if it was not looked up yet."""
    tag: str = ""
    """The identity of the file at this path while a run lasts."""


LOOKED_UP = 64
"""The number of archives that the driver looks up before the work starts, to find mistakes before anything is written.

The tasks that divide archives look up the others. On a web server, an archive costs 12 requests, and a process makes
50 a second.
"""


def find_inputs(given: Iterable[str], limit: int | None = None, base: str | None = None,
                sample: int | None = None, seed: int = 0, most: int | None = None, whole: bool = False
                ) -> list[Input]:  # fmt: skip
    """Return the archives that the arguments name, sorted by name.

    `limit` keeps only the first archives, in the order of the arguments. `sample` keeps a random draw of this many
    archives, which `seed` decides. A file that is given twice is read once. If files in different folders have the same
    name, enough folders are put before each name to tell them apart. Crawls are looked up at `base`. A crawl needs
    `limit`, `sample` or `whole`. With `most`, only the first files by name are looked up, and those that share a name.
    Raises InputError if an argument names nothing readable, or if two files of the same name may be the same.
    """
    given = list(given)
    if base is not None and not any(map(is_crawl, given)):
        raise ConfigError("--base is only for crawls, and no input is a crawl.", "Name a crawl: CC-MAIN-2026-43.")
    found: dict[str, dict[str, list[list[Input]]]] = {}  # by name and identity, the places of each archive
    with Client() as client:
        first = WHOLE_CRAWL if sample is not None or (whole and limit is None) else limit
        every = dict.fromkeys(location for argument in given for location in _locations(argument, first, base, client))
        chosen = list(every)[:limit]
        if sample is not None and sample < len(chosen):
            chosen = random.Random(seed).sample(chosen, sample)
        names = {location: _name_of(location) for location in chosen}
        often = Counter(names.values())
        alone = sorted((location for location in chosen if often[names[location]] == 1), key=names.__getitem__)
        later = alone[most:] if most is not None else []
        soon = [*alone[: len(alone) - len(later)], *(at for at in chosen if often[names[at]] > 1)]
        for item in together(lambda location: look_up(Input(names[location], location), client), soon, soon, client):
            alike = found.setdefault(item.name, {}).setdefault(item.identity, [])
            same = next((places for places in alike if _are_same(places[0], item)), None)
            alike.append([item]) if same is None else same.append(item)
    named = (item for alike in found.values() for item in _named(list(chain.from_iterable(alike.values()))))
    known = [*named, *(Input(names[location], location) for location in later)]
    return sorted(known, key=lambda item: item.name)


def _name_of(location: str) -> str:
    if not is_utf8(location):
        raise InputError(f"The path {location!r} is not UTF-8, but names in outputs must be UTF-8.", "Rename it.")
    return url_name(location) if is_url(location) else Path(location).name


def _named(archives: Sequence[list[Input]]) -> list[Input]:
    """Return archives that share a file name, each with a name of its own. Each is read at its first place.

    The names do not depend on the order of the arguments.
    """
    if len(archives) == 1:
        return [archives[0][0]]
    paths = [min(map(_path, places), key=lambda path: path[::-1]) for places in archives]
    names: dict[int, str] = {}
    for length in range(2, max(map(len, paths)) + 1):
        ends = Counter(path[-length:] for path in paths)
        names |= {
            at: "/".join(path[-length:])
            for at, path in enumerate(paths)
            if at not in names and ends[path[-length:]] == 1
        }
    if len(names) < len(archives):
        one, other, *_ = (places[0] for at, places in enumerate(archives) if at not in names)
        raise _not_told_apart(one, other)
    return [replace(places[0], name=names[at]) for at, places in enumerate(archives)]


def _path(item: Input) -> tuple[str, ...]:
    """Return the folders and the name of a file, without the root or the scheme, and without secrets."""
    if is_url(item.path):
        return (*url_folders(item.path), url_name(item.path))
    return Path(os.path.normpath(item.path)).parts[1:]


def _not_told_apart(one: Input, other: Input) -> InputError:
    return InputError(
        f"Two inputs are called {one.name}, and nothing shows that they are the same: "
        f"{redact(one.path)} and {redact(other.path)}.",
        "Give one of them, or rename one.",
    )


def find_in_run(given: Iterable[str], known: Iterable[Mapping[str, Any]]) -> dict[str, Input]:
    """Return the archives that the arguments name, under their names in a run with the inputs `known`.

    Archives are matched by content first and then by path, because archives may have moved. An archive that the run
    does not know keeps its own name.
    """
    by_file: dict[str, list[Mapping[str, Any]]] = {}
    for one in known:
        by_file.setdefault(one["name"].rpartition("/")[2], []).append(one)
    found: dict[str, tuple[bool, Input]] = {}
    for item in find_inputs(given):
        names = by_file.get(item.name.rpartition("/")[2], [])
        if names and all(item.identity != one["identity"] for one in names):
            item = replace(item, identity=_identity_of_kind(item, {one["identity"] for one in names}))
        path = "/".join(("", *_path(item)))
        ranked = ((item.identity == one["identity"], path.endswith("/" + one["name"]), one["name"]) for one in names)
        same, _, name = max(ranked, default=(False, False, item.name))
        if name not in found or same:
            found[name] = same, replace(item, name=name)
    return {name: item for name, (_, item) in found.items()}


def _identity_of_kind(item: Input, known: Set[str]) -> str:
    """Return one of the known identities if the archive has it. Runs gave archives a digest of both ends until 2026-11,
    and give one of the start to those of which they read only chosen pages."""
    with closing(open_source(item.path, item.name, tag=item.tag)) as source:
        others = (digest(source)[:32] for digest in (digest_of_ends, digest_of_start))
        return next((one for one in others if one in known), item.identity)


def _locations(argument: str, limit: int | None, base: str | None, client: Client) -> list[str]:
    """Return the paths or URLs that an argument names."""
    if is_crawl(argument):
        return crawl_files(argument, limit, base, client)
    if is_url(argument):
        return _urls(argument, client)
    try:
        return [str(path.absolute()) for path in _matches(argument)]
    except OSError as error:
        raise _unreadable(error.filename or argument, error) from None


def _matches(argument: str) -> list[Path]:
    path = Path(argument)
    if path.is_dir():
        # in the folder of a run, only the corpus is read
        found = _files_in(path / "corpus" if (path / "run.json").is_file() else path)
        inside = [file for file in _of_one_kind(found, lambda file: file.name) if _is_there(file)]
        if not inside:
            raise InputError(f"The folder {argument} holds no archive and no documents.", _NAMED)
        return inside
    if path.is_file():
        return [path]
    matches = sorted(match for match in map(Path, glob.glob(argument, recursive=True)) if _is_there(match))
    if not matches:
        raise InputError(f"There is no file {argument}.", "Name a file, folder, glob, URL or crawl.")
    return matches


def _files_in(folder: Path) -> list[Path]:
    """Return the visible files below a folder, sorted. Raises OSError if a folder can't be read."""

    def stop(error: OSError) -> None:
        raise error

    found = []
    for inner, folders, files in os.walk(folder, onerror=stop):
        folders[:] = filter(_is_visible, folders)
        found += [Path(inner, name) for name in files]
    return sorted(found)


def _of_one_kind(found: Sequence[T], name_of: Callable[[T], str]) -> list[T]:
    """Return the files of the first kind found by name: archives, then tables, then pages of HTML, then other JSON."""
    kinds = (ARCHIVE_NAME, TABLE_NAME, PAGE_NAME, JSON_NAME)
    return next(filter(None, ([one for one in found if kind.fullmatch(name_of(one))] for kind in kinds)), [])


def _is_visible(name: str) -> bool:
    # lost+found is in the root of each ext4 disk, and only root can read it
    return not name.startswith(".") and name != "lost+found"


def _is_there(path: Path) -> bool:
    """Return True for a file, False for a folder or a device. Raises InputError for a link that leads nowhere."""
    if path.is_symlink() and not path.exists():
        target = os.readlink(path)
        raise InputError(f"{path} is a link to {target}, which is not there.", "Restore that file, or remove the link.")
    return path.is_file()


_NAMED = "Its files must be named *.warc, *.warc.gz, *.arc, *.wet, *.parquet, *.jsonl, *.jsonl.gz, *.html or the like."


def _urls(url: str, client: Client) -> list[str]:
    scheme, _, rest = url.partition("://")
    if scheme not in (*OBJECT_STORES, "http", "https"):
        raise ConfigError(f"{redact(url)} can't be read.", "Give a path, or a URL of https, http, s3, gs or az.")
    if scheme not in OBJECT_STORES:
        path = url.split("?")[0]
        if path.endswith("/") or "*" in path:
            raise ConfigError(f"{redact(url)} names no file, and web servers don't list files.", "Name single files.")
        url_name(url)  # raises if the URL names no file
        return [url]
    object_key(url.rstrip("/"))  # raises if the URL names no bucket
    bucket, _, key = rest.partition("/")
    if not key or key.endswith("/"):
        prefix = f"{scheme}://{bucket}/{key}"
        listed = client.list(prefix)
        if f"{prefix}run.json" in listed:  # in the folder of a run, only the corpus is read
            listed = [found for found in listed if found.startswith(f"{prefix}corpus/")]
        visible = [found for found in listed if all(map(_is_visible, found[len(prefix) :].split("/")))]
        inside = _of_one_kind(visible, lambda found: found.rpartition("/")[2])
        if not inside:
            raise InputError(f"{redact(url)} holds no archive and no documents.", _NAMED)
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
    """Return a pattern that is read as in a shell: `*` and `?` stop at slashes, and `**/` matches any number of
    folders."""
    special = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]/]+\])", pattern)
    for number, part in enumerate(parts):
        other = f"[{part[1:-1].replace('!', '^', 1)}]" if part[:1] == "[" else re.escape(part)
        parts[number] = special.get(part) or other
    return re.compile("".join(parts))


def look_up(item: Input, client: Client, identify: Callable[[Source], str] = digest_of_samples) -> Input:
    """Return an archive with its size, tag and identity. The identity is a digest of some bytes, so it does not depend
    on the location."""
    try:
        with closing(open_source(item.path, item.name, client=client)) as source:
            return replace(item, size=source.size, identity=identify(source)[:32], tag=source.tag)
    except OSError as error:
        raise _unreadable(item.path, error) from None


def _unreadable(location: str, error: OSError) -> InputError:
    return InputError(f"{redact(location)} can't be read: {error.strerror}.", "Check its permissions.")


def _are_same(one: Input, other: Input) -> bool:
    """Return True if two inputs of the same name and identity have the same bytes.

    The identity covers samples alone. So files are compared in full, and URLs of the same server by their strong ETags.
    Raises InputError if a URL would have to be read in full.
    """
    if not is_url(one.path) and not is_url(other.path):
        try:
            return os.path.samefile(one.path, other.path) or filecmp.cmp(one.path, other.path, shallow=False)
        except OSError as error:
            raise _unreadable(error.filename, error) from None
    if is_url(one.path) and is_url(other.path):
        servers = {redact(item.path).split("/")[2] for item in (one, other)}
        if len(servers) == 1 and one.tag == other.tag and one.tag.partition(" ")[2].startswith('"'):
            return True
    raise _not_told_apart(one, other)


def check_unchanged(store: Store, items: Iterable[Input]) -> None:
    """Raise InputChanged if an archive has changed since a finished run read it, even if its identity has not."""
    there = {item.name: item for item in items}
    seen = [(one, there[one["warc"]]) for one in seen_by(store) if one["warc"] in there]
    if any(must_be_read(one, item.path) for one, item in seen):
        say("Some archives have new time stamps since the run read them. These archives are read again and checked.")
    for one, item in seen:
        if not is_unchanged(one, item.path, item.tag):
            raise input_changed(redact(item.path), "since the run read it")


def seen_by(store: Store) -> list[Seen]:
    """Return what the units of a finished run saw of its archives. timings.json has no digest, so the file may be
    missing or hold anything."""
    try:
        found = parse_json(store.get("timings.json") or b"")["seen"]
        check_shape(found, [_SEEN])
        return [Seen(**{name: one[name] for name in _SEEN}) for one in found if one["ends"]]  # type: ignore[typeddict-item]
    except (ValueError, KeyError, TypeError):
        return []


_SEEN = {"warc": str, "start": int, "ends": [int], "location": str, "stamp": str, "sha256": str}


def together(function: Callable[[T], R], items: Sequence[T], locations: Iterable[str], client: Client) -> list[R]:
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
