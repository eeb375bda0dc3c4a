"""The contract of dedup by lines or paragraphs: what many documents have in common goes, the documents stay.

Each line of a document that passed every stage is signed by a 64-bit hash of its normalised text. After the pass, and
after whole documents were compared, a line that occurs in `documents` of those left is removed from all of them but the
first, or from all. Equal hashes count as equal lines: among n different lines some n² / 2^65 pairs have one by
accident, 3 of 10 billion. The pack step cuts the lines, so a recipe has this stage last: what it signs is the text that
is written. Rounds and phases: `corpus.dedup.repeats`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from corpus.collective import Collective
from corpus.errors import ConfigError
from corpus.stage import Limit

if TYPE_CHECKING:
    from corpus.document import Document
    from corpus.stage import BoundStage

KEEP = ("first", "none")

NOT_COMPARED = 0
"""The hash of a line that is not compared."""

LINES_SCHEMA = pa.schema(
    [
        pa.field("offset", pa.int64()),
        pa.field("inner", pa.int32()),
        pa.field("hashes", pa.binary(), metadata={"is": "of each line a 64-bit integer; null where it was not signed"}),
        pa.field("chars", pa.binary(), metadata={"is": "of each line its length, as 32-bit integers"}),
    ]
)
"""One row per corpus row of a unit."""


@dataclass(frozen=True, slots=True)
class SignedLines:
    """The hashes and the lengths of a document's lines, in order."""

    hashes: bytes
    chars: bytes


_SIDES = {"removed": ("max", "below"), "removed_ratio": ("max", "below"), "chars_left": ("min", "above"), "kept_in": ()}


class Lines(Collective):
    """A stage that compares lines. Its measures are null where a document loses none."""

    kind = "lines"
    compares = "lines"

    compared = Limit(of=int)
    """Lines compared."""
    removed = Limit(of=int)
    """Lines removed."""
    removed_ratio = Limit()
    """Characters in removed lines, as a share of all."""
    chars_left = Limit(of=int)
    """Characters in the other lines."""
    kept_in = Limit(of=str)
    """The id of the document that holds most of them."""

    split: str
    """What a line is: see `SPLITS`."""
    documents: int
    """From how many documents on a line is a repeated one."""
    keep: str
    """Which of them keeps it: see `KEEP`."""

    def sign(self, doc: Document) -> SignedLines:
        raise TypeError(f"{type(self).__name__} has no sign()")

    def signed_schema(self) -> pa.Schema:
        return LINES_SCHEMA

    def signed_row(self, offset: int, inner: int, signed: SignedLines | None) -> dict[str, Any]:
        row: dict[str, Any] = {"offset": offset, "inner": inner}
        return row if signed is None else {**row, "hashes": signed.hashes, "chars": signed.chars}

    def agree(self, stages: Sequence[BoundStage]) -> None:
        """It must come last, and its limits must not turn when a document loses less than it first seemed."""
        mine = next(bound for bound in stages if bound.stage is self)
        if stages[-1] is not mine:
            raise ConfigError(
                f"'{mine.name}' cuts lines from the text that is written, but '{stages[-1].name}' comes after it.",
                "Make it the last stage.",
            )
        for measure, sides in _SIDES.items():
            wrong = set(mine.limits[measure].bounds) - set(sides)
            if wrong:
                raise ConfigError(
                    f"{mine.name}.{measure} can't have the bound '{wrong.pop()}'.",
                    f"It takes {' and '.join(sides) or 'none'}.",
                )
