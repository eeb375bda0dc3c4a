"""The contract of a collective stage: a stage that compares documents with each other.

During the pass, the stage signs each document that no earlier stage dropped. After the pass, the stage's comparison
reads all signatures and gives verdicts, with evidence for the stage's measures. `corpus.dedup.contract` has the two
kinds of comparison: of whole documents, and of lines. A recipe may have several collective stages. Each one compares
the documents that the stages before it kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

import pyarrow as pa

from corpus.document import Document
from corpus.errors import ConfigError
from corpus.outcome import KEPT, Outcome
from corpus.stage import BoundStage, Measured, Stage


class Collective(Stage):
    """A stage that compares documents with each other. During the pass, its measures are null."""

    kind: ClassVar[str]
    """The kind of the parts that hold the stage's signatures."""
    compares: ClassVar[str]
    """"documents" or "lines"."""
    evidence: ClassVar[dict[str, str]] = {}
    """The column of the verdicts (`corpus.tables.verdicts`) that fills each measure."""
    bounds: ClassVar[dict[str, tuple[str, ...]]]
    """The bounds that a limit may have, by column of the verdicts.

    A measure that another column fills can't have a limit.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.limits and set(cls.limits) != set(cls.evidence):
            raise TypeError(f"{cls.__name__}.evidence must name a column for each measure: {', '.join(cls.limits)}")

    def apply(self, doc: Document) -> Iterator[Measured]:
        """Yield nothing: no measure can be taken on one document alone."""
        return iter(())

    def visit(self, outcome: Outcome, bound: BoundStage, first: bool, given: object = None) -> bool:
        """Sign a document that no earlier stage dropped."""
        if outcome.outcome == KEPT:
            outcome.signed[self.kind] = self.sign(outcome.doc)
        return True

    def sign(self, doc: Document) -> Any:
        """Return the signature of a document: a dataclass whose fields are columns of `signed_schema`."""
        raise TypeError(f"{type(self).__name__} has no sign()")

    def complete(self, outcome: Outcome) -> None:
        """Add to the signature of a document what only the measures of all stages can tell."""

    def compare(self, bound: BoundStage, outcomes: Sequence[Outcome]) -> None:
        """Compare documents in memory, which passed every stage, and lay the verdicts over their outcomes."""
        raise TypeError(f"{type(self).__name__} has no compare()")

    def signed_schema(self) -> pa.Schema:
        """Return the columns of a signature: `offset`, `inner`, and columns that are null for a document without a
        signature.
        """
        raise TypeError(f"{type(self).__name__} has no signed_schema()")

    def signed_row(self, offset: int, inner: int, signed: Any) -> dict[str, Any]:
        """Return the row of a document. `signed` is its signature, or None if this stage did not sign the document."""
        return {"offset": offset, "inner": inner, **(asdict(signed) if signed else {})}

    def measure_of(self, column: str) -> str:
        """Return the measure that a column of the verdicts fills. Raises KeyError if no measure uses it."""
        return {filled: measure for measure, filled in self.evidence.items()}[column]

    def agree(self, stages: Sequence[BoundStage]) -> None:
        """Raise ConfigError if another stage makes the same signatures, or if a limit has a bound that its measure
        can't have.
        """
        mine = next(bound for bound in stages if bound.stage is self)
        for other in stages:
            if other is not mine and isinstance(other.stage, Collective) and other.stage.kind == self.kind:
                raise ConfigError(f"'{mine.name}' and '{other.name}' both compare {self.kind}.", "Keep one of them.")
        for measure, limit in mine.limits.items():
            allowed = self.bounds.get(self.evidence[measure], ())
            wrong = sorted(set(limit.bounds) - set(allowed))
            if wrong:
                raise ConfigError(
                    f"{mine.name}.{measure} can't have the bound '{wrong[0]}'.",
                    f"It takes {' and '.join(allowed)}." if allowed else "It takes none.",
                )
