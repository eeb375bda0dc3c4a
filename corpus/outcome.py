"""The outcome of one record: kept, dropped by a rule, failed or skipped, with all values that were measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from corpus.document import Document, storable
from corpus.notebook import outcome_html

Value = float | int | str | None
"""The value of a measure, or None if there is nothing to measure."""

KEPT, DROPPED, FAILED, SKIPPED = "kept", "dropped", "failed", "skipped"
REMOVED = "removed"
"""The stage that the ledger names for pages of a takedown. No stage of a recipe may have this name."""


@dataclass(slots=True, repr=False)
class Outcome:
    """One ledger row in memory. `rule` is the measure that broke its limit, or the kind of failure or skip.

    `measures` maps "stage.measure" to the value of each measure that was reached.
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
    """True if every stage is done with the document, whether it is kept or not.

    The text of a finished document is the text that a corpus would hold.
    """
    signed: dict[str, Any] = field(default_factory=dict)
    """The signatures of the collective stages, by kind.

    A stage signs only documents that passed the stages before it.
    """
    traceback: str = ""
    """Where a stage of the user failed, and why. It may quote the text, so nothing writes it to a file."""
    allowed: tuple[str, ...] = ()
    """The categories that the broken limit allows, if the limit is a set of categories."""

    @property
    def kept(self) -> bool:
        return self.outcome == KEPT

    @property
    def text(self) -> str:
        """The text of a kept document. For other documents, an empty text."""
        return storable(self.doc.text) if self.kept else ""

    def __repr__(self) -> str:
        name = self.doc.url or self.doc.id
        return f"<Outcome{name and f' of {name}'}: {self.reason or self.outcome}>"

    def _repr_html_(self) -> str:
        return outcome_html(self)

    @property
    def reason(self) -> str:
        """The stage, rule, value and limit that ended the document: `gopher_quality.words: 31 < min 50`.

        Empty if it was kept.
        """
        if self.outcome == KEPT:
            return ""
        detail = f" ({self.detail})" if self.detail and self.detail != self.value else ""
        if self.outcome != DROPPED:
            return f"{self.outcome}: {self.rule}{detail}"
        if self.bound == "one_of":
            return f"{self.stage}.{self.rule}: {self.value} is not {' or '.join(self.allowed)}{detail}"
        sign = {"min": "<", "max": ">", "above": "<=", "below": ">="}[self.bound]
        limit = "" if self.limit is None else f" {self.limit:g}"
        value = f"{self.value:.6g}" if isinstance(self.value, float) else self.value
        return f"{self.stage}.{self.rule}: {value} {sign} {self.bound}{limit}{detail}"
