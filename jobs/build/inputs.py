"""Find the archives or documents that a user names by files, globs, folders, URLs or crawls, and divide them into
units."""

from __future__ import annotations

import filecmp
import glob
import json
import os
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from corpus.documents.columns import Columns, choose_columns
from corpus.documents.files import (
    HTML_FILE,
    JSON_NAME,
    PAGE,
    PAGE_NAME,
    TABLE_NAME,
    as_stored,
    columns_in,
    format_of,
    plan_documents,
)
from corpus.errors import ConfigError, InputChanged, InputError, InputUnreachable
from corpus.json_data import parse_json
from corpus.net.client import Client
from corpus.net.remote import open_source
from corpus.net.transport import CONNECTIONS
from corpus.net.urls import OBJECT_STORES, is_url, is_utf8, object_key, redact, url_folders, url_name
from corpus.sandbox.seen import is_unchanged, must_be_read
from corpus.sandbox.unit import JUNK, Seen, Unit
from corpus.storage.store import Store
from corpus.warc.plan import FilePlan, Format, plan
from corpus.warc.source import digest_of_ends, digest_of_samples, input_changed
from jobs.build.crawl import WHOLE_CRAWL, crawl_files, is_crawl
from jobs.runner.terminal import say

_ARCHIVE_NAME = re.compile(r"[^.].*\.(w?arc|wet|wat)(\.(gz|gzip|zst|zstd|bz2|xz|lz4|br|zip))?", re.IGNORECASE)
"""The name of an archive, also of one that must be unpacked first. In a folder, nothing else is read: neither lists of
digests (.warc.gz.md5), indexes (.cdx.gz) and files that are being written (.open, .part), nor hidden files."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Input:
    """An archive or a file of documents: its logical name, its path or URL, and its size."""

    name: str
    path: str
    size: int
    identity: str
    """The identity of the content, wherever the file is."""
    tag: str = ""
    """The identity of the file at this path while a run lasts."""


def find_inputs(given: Iterable[str], limit: int | None = None, base: str | None = None,
                sample: int | None = None, seed: int = 0) -> list[Input]:  # fmt: skip
    """Return the archives that the arguments name, sorted by name.

    At most `limit` archives are used, the first ones in the order of the arguments, or at most `sample` archives, which
    `seed` draws from all. A file that is given twice is read once. Files with the same name in different folders are
    named by the shortest end of their paths that differs. Crawls are looked up at `base`. Raises InputError if an
    argument names nothing readable, or if two files of the same name may be the same.
    """
    given = list(given)
    if base is not None and not any(map(is_crawl, given)):
        raise ConfigError("--base is only for crawls, and no input is a crawl.", "Name a crawl: CC-MAIN-2026-43.")
    found: dict[str, dict[str, list[list[Input]]]] = {}  # by name and identity, the places of each archive
    with Client() as client:
        most = limit if sample is None else WHOLE_CRAWL
        every = dict.fromkeys(location for argument in given for location in _locations(argument, most, base, client))
        chosen = list(every)[:limit]
        if sample is not None and sample < len(chosen):
            chosen = random.Random(seed).sample(chosen, sample)
        for item in _together(lambda location: _identify(location, client), chosen, chosen, client):
            alike = found.setdefault(item.name, {}).setdefault(item.identity, [])
            same = next((places for places in alike if _are_same(places[0], item)), None)
            alike.append([item]) if same is None else same.append(item)
    named = (item for alike in found.values() for item in _named(list(chain.from_iterable(alike.values()))))
    return sorted(named, key=lambda item: item.name)


def _named(archives: Sequence[list[Input]]) -> list[Input]:
    """Return the archives of one file name, each from the first of its places, under names that differ.

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
    """Return the archives that the arguments name, by the names that they have in a run with the inputs `known`.

    The content decides, then the path, since archives may have moved. An archive that the run does not know keeps its
    own name.
    """
    by_file: dict[str, list[Mapping[str, Any]]] = {}
    for one in known:
        by_file.setdefault(one["name"].rpartition("/")[2], []).append(one)
    found: dict[str, tuple[bool, Input]] = {}
    for item in find_inputs(given):
        names = by_file.get(item.name.rpartition("/")[2], [])
        if names and all(item.identity != one["identity"] for one in names):
            item = replace(item, identity=_former_identity(item))
        path = "/".join(("", *_path(item)))
        ranked = ((item.identity == one["identity"], path.endswith("/" + one["name"]), one["name"]) for one in names)
        same, _, name = max(ranked, default=(False, False, item.name))
        if name not in found or same:
            found[name] = same, replace(item, name=name)
    return {name: item for name, (_, item) in found.items()}


def _former_identity(item: Input) -> str:
    """Return the identity that runs gave to an archive until 2026-11: a digest of both ends."""
    with closing(open_source(item.path, item.name, tag=item.tag)) as source:
        return digest_of_ends(source)[:32]


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
        # of a run, the corpus is read
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
    """Return the files of the first kind that is there, by their names: archives, tables, pages of HTML, other JSON."""
    kinds = (_ARCHIVE_NAME, TABLE_NAME, PAGE_NAME, JSON_NAME)
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
            raise ConfigError(f"{redact(url)} names no file, and web servers list none.", "Name single files.")
        url_name(url)  # raises if there is none
        return [url]
    object_key(url.rstrip("/"))  # raises if there is none
    bucket, _, key = rest.partition("/")
    if not key or key.endswith("/"):
        prefix = f"{scheme}://{bucket}/{key}"
        listed = client.list(prefix)
        if f"{prefix}run.json" in listed:  # of a run, the corpus is read
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


def _identify(location: str, client: Client) -> Input:
    """Look an archive up. Its identity is a digest of samples, which is the same wherever the file is."""
    if not is_utf8(location):
        raise InputError(f"The path {location!r} is not UTF-8, and names in outputs must be.", "Rename it.")
    try:
        name = url_name(location) if is_url(location) else Path(location).name
        with closing(open_source(location, name, client=client)) as source:
            return Input(name, location, source.size, digest_of_samples(source)[:32], source.tag)
    except OSError as error:
        raise _unreadable(location, error) from None


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
    """Raise InputChanged if an archive is not what a finished run read, though its identity is the same."""
    there = {item.name: item for item in items}
    seen = [(one, there[one["warc"]]) for one in seen_by(store) if one["warc"] in there]
    if any(must_be_read(one, item.path) for one, item in seen):
        say("Some archives have other times than when the run read them. They are read again, to see if they changed.")
    for one, item in seen:
        if not is_unchanged(one, item.path, item.tag):
            raise input_changed(redact(item.path), "since the run read it")


def seen_by(store: Store) -> list[Seen]:
    """Return what the units of a finished run saw of its archives. Nothing vouches for timings.json, so it may be
    missing or hold anything."""
    kinds = get_type_hints(Seen)
    try:
        found = parse_json(store.get("timings.json") or b"")["seen"]
        return [one for one in found if {name: type(value) for name, value in one.items()} == kinds]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def find_columns(items: Sequence[Input], asked: Mapping[str, str], keep: Sequence[str] = ()) -> Columns | None:
    """Return the columns of documents, None for archives. The first table that can be read has the names; `asked` and
    `keep` are the user's own.

    Raises ConfigError if archives and documents are mixed, or a column is missing, and InputError if no file has any.
    """
    forms = [format_of(item.name) for item in items]
    kinds = {form.layout == PAGE if form else None: item.name for form, item in zip(forms, items, strict=True)}
    if len(kinds) > 1:
        names = " and ".join(sorted(kinds.values()))
        raise ConfigError(f"A run reads archives, tables or pages of HTML, but not {names} together.", "Make two runs.")
    if None in kinds or True in kinds:
        if asked or keep:
            part = min(asked, default="keep-columns")
            raise ConfigError(f"--{part} names a column, and {min(kinds.values())} has none.", f"Leave out --{part}.")
        strange = next((item for item in items if None in kinds and not _ARCHIVE_NAME.fullmatch(item.name)), None)
        if strange is not None:
            _plan(strange, 1 << 60, None, None)  # raises unless it is an archive all the same
        return HTML_FILE if True in kinds else None
    unread: InputError | None = None
    for item, form in zip(items, forms, strict=True):
        assert form is not None
        with closing(open_source(item.path, item.name, tag=item.tag)) as source:
            try:
                if source.size and (there := columns_in(source, as_stored(source, form))):
                    return choose_columns(there, asked, item.name, keep)
            except (InputChanged, InputUnreachable):
                raise
            except InputError as error:  # a damaged file among others costs a row
                unread = unread or error
    raise unread or InputError(
        "No input holds a document.", "Give files of parquet or JSON Lines with at least one row."
    )


def plan_all(items: Sequence[Input], unit_bytes: int, columns: Columns | None = None) -> list[Unit]:
    """Return the units of all inputs, in order. `columns` are those of documents.

    Raises InputError if none of the files is an archive, or a file does not hold documents.
    """
    with Client() as client:
        paths = [item.path for item in items]
        planned = _together(lambda item: plan_units(item, unit_bytes, columns, client), items, paths, client)
        units = list(chain.from_iterable(planned))
        if units and columns is None and all(unit.layout == JUNK for unit in units):
            _plan(items[0], unit_bytes, None, client)  # raises, and says what the file is instead
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


def plan_units(
    item: Input, unit_bytes: int, columns: Columns | None = None, client: Client | None = None
) -> list[Unit]:
    """Return the units of an archive, or of a file of documents.

    A file that is no archive is refused, unless its name is that of one. Then it is a unit with one damaged stretch.
    """
    try:
        planned = _plan(item, unit_bytes, columns, client)
    except (InputChanged, InputUnreachable):
        raise
    except InputError:
        if columns is None and not _ARCHIVE_NAME.fullmatch(item.name):
            raise
        return [_unit(item, Format(JUNK, "plain", "warc"), 0, item.size, columns)]
    return [_unit(item, planned, span.start, span.end, columns) for span in planned.ranges]


def _plan(item: Input, unit_bytes: int, columns: Columns | None, client: Client | None) -> FilePlan:
    form = format_of(item.name) if columns is not None else None
    with closing(open_source(item.path, item.name, tag=item.tag, client=client)) as source:
        if columns is not None and form is not None:
            return plan_documents(source, as_stored(source, form), columns, unit_bytes)
        return plan(source, unit_bytes)


def _unit(item: Input, form: Format, start: int, end: int, columns: Columns | None) -> Unit:
    named = json.dumps(columns.as_dict()) if columns is not None else ""
    return Unit(item.name, item.path, item.identity, form.layout, form.codec, form.flavor, start, end, item.tag, named)
