"""The division of a file into units: byte ranges that tile it and can each be read alone.

Only files with one record per gzip member are divided. `corpus.warc.starts` explains how a start is proven.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from corpus.errors import ConfigError
from corpus.warc.detect import Format, detect
from corpus.warc.source import Source, Window
from corpus.warc.starts import MemberStarts

_BLOCK_BYTES = 256 << 10
"""The size of a read. Planning reads one or two blocks at each division: 1% of a file with units of 32 MiB."""


class Range(NamedTuple):
    """The bytes of a file from `start` up to `end`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Plan(Format):
    """The format of a file, and the ranges, in order, that together are all of it."""

    ranges: Sequence[Range]


def plan(source: Source, unit_bytes: int) -> Plan:
    """Plan units of about `unit_bytes` each. In every stretch of this length, a unit starts at the first proven start.

    An empty file has one empty range. A file of long records has fewer units than its size suggests. Planning reads
    little: the first member, and some 256 KiB at each division. Raises InputError if the file is no archive.
    """
    if unit_bytes < 1:
        raise ConfigError(f"A unit of {unit_bytes} bytes is not possible.", "Give a positive number of bytes.")
    window = Window(source, _BLOCK_BYTES)
    found = detect(window)
    divisions = [0]
    if found.layout == "members":
        starts = MemberStarts(window)
        for nominal in range(unit_bytes, source.size, unit_bytes):
            if nominal > divisions[-1]:  # otherwise the last search already passed this position
                divisions.append(starts.next(nominal, proven=True))
    ends = [*(start for start in divisions[1:] if start < source.size), source.size]
    return Plan(found.layout, found.codec, found.flavor, [Range(*pair) for pair in pairwise([0, *ends])])
