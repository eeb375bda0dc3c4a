"""From what the user names (files, globs, folders) to archives and units."""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from corpus.errors import InputError
from corpus.unit import Unit
from corpus.warc.plan import Plan, plan
from corpus.warc.source import LocalSource

_ARCHIVE_NAME = re.compile(r"\.w?arc(\.|$)|\.(wet|wat)(\.|$)", re.IGNORECASE)
_SAMPLED = 1 << 16


@dataclass(frozen=True)
class Input:
    """One archive: its logical name, where it is, its size, and what its content is known by."""

    name: str
    path: str
    size: int
    identity: str


def find_inputs(given: Iterable[str]) -> list[Input]:
    """The archives that the arguments name, sorted by name. The same file given twice is read once.

    Raises InputError where an argument names nothing, or two different files have one name.
    """
    found: dict[str, Input] = {}
    for argument in given:
        for path in _paths(argument):
            item = _identify(path)
            same = found.get(item.name)
            if same is not None and same.identity != item.identity:
                raise InputError(
                    f"Two different inputs are called {item.name}: {same.path} and {item.path}.",
                    "Rename one: outputs name records by file name and offset.",
                )
            found.setdefault(item.name, item)
    return [found[name] for name in sorted(found)]


def _paths(argument: str) -> list[Path]:
    path = Path(argument)
    if path.is_dir():
        inside = sorted(p for p in path.rglob("*") if p.is_file() and _ARCHIVE_NAME.search(p.name))
        if not inside:
            raise InputError(
                f"The folder {argument} holds no archive.",
                "Its files must be named *.warc, *.warc.gz, *.warc.zst, *.arc, *.wet or the like.",
            )
        return inside
    if path.is_file():
        return [path]
    matches = sorted(Path(match) for match in glob.glob(argument, recursive=True) if Path(match).is_file())
    if not matches:
        raise InputError(f"There is no file {argument}.", "Name a file, a folder or a glob of archives.")
    return matches


def _identify(path: Path) -> Input:
    """Name, size and a fingerprint of the file: change time, and the content of both ends."""
    try:
        stat = path.stat()
        with open(path, "rb") as file:
            ends = file.read(_SAMPLED)
            file.seek(max(0, stat.st_size - _SAMPLED))
            ends += file.read(_SAMPLED)
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}.", "Check its permissions.") from None
    identity = hashlib.sha256(ends + f"{stat.st_size}".encode()).hexdigest()[:32]
    return Input(path.name, str(path.resolve()), stat.st_size, identity)


def plan_units(item: Input, unit_bytes: int) -> list[Unit]:
    """The units of an archive. A file that looks like none is refused, unless its name says that it is one:
    then it is one unit with one damaged stretch."""
    try:
        planned = plan(LocalSource(item.path, item.name), unit_bytes)
    except InputError:
        if not _ARCHIVE_NAME.search(item.name):
            raise
        return [_unit(item, Plan("junk", "plain", "warc"), 0, item.size)]
    return [_unit(item, planned, piece.start, piece.end) for piece in planned.ranges]


def _unit(item: Input, planned: Plan, start: int, end: int) -> Unit:
    form, codec, flavour = planned.format, planned.codec, planned.flavour
    return Unit(item.name, item.path, item.identity, form, codec, flavour, start, end)
