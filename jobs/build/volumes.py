"""The volumes of a pass: consecutive inputs, which one task divides into units, and whose commits are gathered in one.

Only the units of volumes in work are in memory. There are at most 10,000 volumes, so that a continued run finds out
with a few requests which of them are done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from corpus.digests import digest
from corpus.errors import IntegrityError
from corpus.sandbox.unit import Unit
from corpus.storage.gathered import FOLDER, digest_of_marks
from jobs.build.inputs import Input
from jobs.runner.retries import Failure

MOST = 10_000

MOST_CHOSEN = 1_000
"""The number of volumes if pages are chosen by an index. Each file of captures then has a box for each volume, so that
the task that divides a volume reads a few pieces of each file."""


@dataclass
class Volume:
    """Some consecutive inputs, the state of their units, and the key of the gathered commit."""

    number: int
    inputs: Sequence[Input]
    """The inputs. Once they are divided, they are looked up, and only those that are read are left."""
    key: str
    done: bool = False
    """True if its commits are gathered under the key."""
    divided: dict[int, tuple[list[Input], list[Unit]]] = field(default_factory=dict)
    """The inputs and units of each division, by the number of its first input."""
    units: list[Unit] = field(default_factory=list)
    lines: dict[Unit, bytes] = field(default_factory=dict)
    """The commits of its units, as lines of the gathered commit."""
    marks: dict[Unit, str] = field(default_factory=dict)
    """The keys and the digests of the parts of these commits (`mark_of`)."""
    reached: dict[Unit, int] = field(default_factory=dict)
    """The offsets at which the units ended."""
    given_up: dict[Unit, tuple[Failure, ...]] = field(default_factory=dict)
    left: int = 0
    """The units, and the divisions of single inputs, that have no answer yet."""
    size: int = 0
    """The number of gathered commits."""
    digest: str = ""
    """The digest of their keys and parts."""

    def take(self, first: int, inputs: list[Input], units: list[Unit]) -> None:
        """Take the inputs and units of a division. `first` is the number of its first input."""
        self.divided[first] = inputs, units
        divisions = [self.divided[number] for number in sorted(self.divided)]
        self.inputs = [one for inputs, _ in divisions for one in inputs]
        self.units = [one for _, units in divisions for one in units]

    def untiled(self) -> list[Unit]:
        """Join false starts to the units before them, and return the units that must be read for it."""
        false_starts = untiled(self.units, self.reached)
        if not false_starts:
            return []
        before, self.units = set(self.units), merge(self.units, false_starts)
        return [unit for unit in self.units if unit not in before]

    def close(self) -> tuple[str, list[bytes]]:
        """Return the key for the gathered commit, and its lines. A volume that lacks units has a key of its own."""
        there = [unit for unit in self.units if unit in self.lines]
        lines = [self.lines[unit] for unit in there]
        self.size, self.digest = len(lines), digest_of_marks(self.marks[unit] for unit in there)
        if self.given_up:
            lacking = digest([unit.content() for unit in self.given_up])[:16]
            self.key = self.key.replace(".json", f"-without-{lacking}.json")
        self.lines, self.marks, self.reached, self.units, self.divided = {}, {}, {}, [], {}
        return self.key, lines


def volume_size(inputs: Sequence[Input], chosen: bool) -> int:
    """Return the number of inputs in a volume. If `chosen`, only some pages of the inputs are read."""
    return -(-len(inputs) // (MOST_CHOSEN if chosen else MOST)) or 1


def volumes_of(inputs: Sequence[Input], depends: str, size: int) -> list[Volume]:
    """Return the volumes of `size` inputs, in order."""
    volumes = []
    for number, first in enumerate(range(0, len(inputs), size)):
        own = inputs[first : first + size]
        key = f"{FOLDER}/{digest([[item.name for item in own], depends])[:32]}.json.zst"
        volumes.append(Volume(number, own, key))
    return volumes


def untiled(units: Sequence[Unit], ended: Mapping[Unit, int]) -> set[Unit]:
    """Return the units that do not start where the unit before them ended. Their start is inside a member.

    `ended` has the offset at which each unit ended. Raises IntegrityError if the last unit of an archive did not reach
    the archive's end.
    """
    wrong = set()
    for unit, after in zip(units, [*units[1:], None], strict=True):
        if unit not in ended or unit.chosen:
            continue
        if after is not None and after.warc == unit.warc:
            if ended[unit] != after.start:
                wrong.add(after)
        elif unit.layout == "members" and ended[unit] != unit.end:
            short = f"{unit.warc} was read up to byte {ended[unit]} of {unit.end}."
            raise IntegrityError(short, "Please report this file.")
    return wrong


def merge(units: Sequence[Unit], false_starts: set[Unit]) -> list[Unit]:
    """Return the units with each false start joined to the unit before it."""
    merged: list[Unit] = []
    for unit in units:
        if unit in false_starts:
            merged[-1] = replace(merged[-1], end=unit.end)
        else:
            merged.append(unit)
    return merged
