"""How a file is divided into units: byte ranges that tile it, each of which can be read alone.

Only files of one record per gzip member are divided; `corpus.warc.starts` tells how a start is proven.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from corpus.errors import ConfigError
from corpus.warc.detect import detect
from corpus.warc.source import Source, Window
from corpus.warc.starts import Starts

_BLOCK_BYTES = 256 << 10
"""Blocks read while planning: one or two at each division, about 1% of a file with units of 32 MiB."""


@dataclass(frozen=True, slots=True)
class Range:
    """The bytes of a file from `start` up to `end`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How to read a file: its format, and the ranges, in order, that together are all of it.

    `format` is "members" or "stream", `codec` "gzip", "zstd" or "plain", `flavour` "warc" or "arc".
    """

    format: str
    codec: str
    flavour: str
    ranges: Sequence[Range] = ()


def plan(source: Source, unit_bytes: int) -> Plan:
    """Plan units of about `unit_bytes` each: one starts at the first proven member start in every stretch that long.

    An empty file has one empty range. A file of about one long record has fewer units than its size suggests. Reads
    little: the first member, and some 256 KiB at each division. Raises InputError for what is no archive.
    """
    if unit_bytes < 1:
        raise ConfigError(f"A unit of {unit_bytes} bytes can't be.", "Give a positive number of bytes.")
    window = Window(source, _BLOCK_BYTES)
    found = detect(window)
    divisions = [0]
    if found.layout == "members":
        starts = Starts(window)
        for nominal in range(unit_bytes, source.size, unit_bytes):
            if nominal > divisions[-1]:  # otherwise the last search already came past here
                divisions.append(starts.next(nominal, proven=True))
    divisions = [*(start for start in divisions if start < source.size), source.size] if source.size else [0, 0]
    ranges = [Range(start, end) for start, end in pairwise(divisions)]
    return Plan(found.layout, found.codec, found.flavour, ranges)
