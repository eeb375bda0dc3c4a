"""Some records of an archive, by their places: a seek for each where members can be read alone, else one walk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from corpus.errors import InputChanged
from corpus.warc.plan import Plan
from corpus.warc.reader import MAX_BLOCK, read_range
from corpus.warc.record import Damage, Record
from corpus.warc.source import Source

Place = tuple[int, int]


class Picked:
    """An iterator over the records at `places`, which are in ascending order, with the announcements of a `Walk`:
    before each `next`, (`offset`, `inner`) is where the next one is.

    Raises InputChanged where no record is.
    """

    def __init__(self, source: Source, plan: Plan, places: Sequence[Place], max_block: int = MAX_BLOCK) -> None:
        self._source = source
        self._plan = plan
        self._places = list(places)
        self._max_block = max_block
        self.end = source.size
        self.offset, self.inner = self._places[0] if self._places else (self.end, 0)
        self._items = self._alone() if plan.format == "members" else self._along()

    def __iter__(self) -> Iterator[Record | Damage]:
        return self

    def __next__(self) -> Record | Damage:
        return next(self._items)

    def _alone(self) -> Iterator[Record]:
        for number, place in enumerate(self._places):
            walk = read_range(
                self._source, self._plan, place[0], self._source.size, resume=place, max_block=self._max_block
            )
            yield self._found(next(walk, None), number)

    def _along(self) -> Iterator[Record]:
        walk = read_range(self._source, self._plan, 0, self._source.size, max_block=self._max_block)
        number = 0
        for item in walk if self._places else ():
            if isinstance(item, Record) and (item.offset, item.inner) == self._places[number]:
                yield self._found(item, number)
                number += 1
                if number == len(self._places):
                    return
        if self._places:
            self._found(None, number)

    def _found(self, item: Record | Damage | None, number: int) -> Record:
        """The item, if it is the record looked for; the next one is then announced."""
        place = self._places[number]
        if not isinstance(item, Record) or (item.offset, item.inner) != place:
            raise InputChanged(
                f"{self._source.name} has no record at {place[0]}, where the run found one.", "Give the same archives."
            )
        self.offset, self.inner = self._places[number + 1] if number + 1 < len(self._places) else (self.end, 0)
        return item
