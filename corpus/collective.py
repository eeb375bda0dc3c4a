"""The contract of a stage that compares documents with each other."""

from __future__ import annotations

from typing import Any, ClassVar

import pyarrow as pa

from corpus.document import Document
from corpus.outcome import KEPT, Outcome
from corpus.stage import BoundStage, Stage


class Collective(Stage):
    """A stage that compares documents with each other: it signs each during the pass, for what no stage before it
    dropped, and its measures are filled after the pass."""

    kind: ClassVar[str]
    """Of the parts that hold what it signed."""

    compares: ClassVar[str]
    """"documents" or "lines"."""

    def visit(self, outcome: Outcome, bound: BoundStage, first: bool) -> bool:
        """Sign a document that no stage before dropped: nothing can be measured on one document alone."""
        if outcome.outcome == KEPT:
            outcome.signed[self.kind] = self.sign(outcome.doc)
        return True

    def sign(self, doc: Document) -> Any:
        """What is compared of one document."""
        raise TypeError(f"{type(self).__name__} has no sign()")

    def signed_schema(self) -> pa.Schema:
        """One row per corpus row of a unit: `offset`, `inner`, and columns that are null where it was not signed."""
        raise TypeError(f"{type(self).__name__} has no signed_schema()")

    def signed_row(self, offset: int, inner: int, signed: Any) -> dict[str, Any]:
        """The row of a document, `signed` being None for one that this stage did not see."""
        raise TypeError(f"{type(self).__name__} has no signed_row()")
