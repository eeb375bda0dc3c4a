"""What became of one record: kept, dropped by a rule, failed, or skipped, with every value measured on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from corpus.document import Document

Value = float | int | str | None
"""The value of a measure; None where there is nothing to measure."""

KEPT, DROPPED, FAILED, SKIPPED = "kept", "dropped", "failed", "skipped"
REMOVED = "removed"
"""The stage of what was taken down: no stage of a recipe may have this name."""


@dataclass(slots=True)
class Outcome:
    """One ledger row in memory. `rule` is the measure that broke its limit, or the kind of failure or skip.

    `measures` maps "stage.measure" to its value, for the measures that were reached.
    """

    outcome: str
    doc: Document
    stage: str = ""
    rule: str = ""
    value: Value = None
    bound: str = ""
    limit: float | None = None
    detail: str = ""
    measures: dict[str, Value] = field(default_factory=dict)
    finished: bool = False
    """Whether every stage is done with the document, kept or not: its text is then what a corpus would hold."""
    signed: dict[str, Any] = field(default_factory=dict)
    """What the stages that compare documents signed of it, by their kind, where it passed the stages before them."""

    @property
    def kept(self) -> bool:
        return self.outcome == KEPT

    @property
    def text(self) -> str:
        """The text where kept, else an empty one."""
        return self.doc.text if self.kept else ""

    @property
    def reason(self) -> str:
        """One line: where it ended and why, such as `gopher_quality.words: 31 < min 50`; empty where kept."""
        if self.outcome == KEPT:
            return ""
        if self.outcome != DROPPED:
            return f"{self.outcome}: {self.rule}" + (f" ({self.detail})" if self.detail else "")
        sign = {"min": "<", "max": ">", "above": "<=", "below": ">=", "one_of": "not"}[self.bound]
        limit = "" if self.limit is None else f" {self.limit:g}"
        value = f"{self.value:.6g}" if isinstance(self.value, float) else self.value
        return f"{self.stage}.{self.rule}: {value} {sign} {self.bound}{limit}" + (
            f" ({self.detail})" if self.detail else ""
        )
