"""The contract of collective stages. From a stage's declarations, one frame compares, decides and explains.

`DocumentComparison` compares whole documents, `LineComparison` compares their lines. A stage declares what it signs,
which signatures are candidates, how similar two signatures are, and which evidence fills its measures. The signatures
of a unit are stored row by row beside its corpus rows. After the pass, phases compare the signatures. Each phase is a
set of tasks over committed files (`corpus.dedup.phases`).

Only documents that passed every stage are compared, so a cluster never loses its last good copy to a later stage. The
position of the stage in the recipe decides which version of the text is signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from corpus.collective import Collective
from corpus.dedup.clusters import Similarity
from corpus.dedup.in_memory import compare_documents, compare_lines
from corpus.document import Document
from corpus.errors import ConfigError
from corpus.outcome import Outcome
from corpus.stage import BoundStage
from corpus.text.shingles import Hashes


@dataclass(frozen=True, slots=True)
class Signed:
    """The signature of a document that is compared as a whole."""

    text_hash: bytes
    """16 bytes, such as a hash of the text. Documents with the same 16 bytes are duplicates."""
    signature: bytes | None = None
    """The signature, or None for a document that is compared by its `text_hash` alone."""
    preference: float = 0.0
    """The keeper of a cluster is the document with the lowest value.

    If several have it, the first in (archive, offset) order is the keeper.
    """
    site: str = ""
    """The domain, for the counts of removed documents by domain."""
    shingles: bytes | None = None
    """Hashes of the shingles, if the stage compares exactly."""


class DocumentComparison(Collective):
    """A stage that compares whole documents and keeps one document of each cluster.

    A document is removed if its similarity to a kept document reaches the limit. The limit is that of the measure that
    `evidence` fills with "similarity". A stage that only sets `Signed.text_hash` needs no method except `sign`.
    """

    compares = "documents"
    bounds: ClassVar[dict[str, tuple[str, ...]]] = {"similarity": ("below",)}
    indexed: ClassVar[bool] = False
    """True if the run writes an index of the signatures, so that later runs can be built `--against` this run."""
    bands: ClassVar[int] = 1
    """The number of keys of a signature."""

    def sign(self, doc: Document) -> Signed:
        """Return the signature of a document."""
        raise TypeError(f"{type(self).__name__} has no sign()")

    @property
    def rule(self) -> str:
        """The measure that removes documents."""
        return self.measure_of("similarity")

    @property
    def signature_bytes(self) -> int:
        """The length of every signature."""
        return 1

    @property
    def with_shingles(self) -> bool:
        """True if documents are compared by their shingles."""
        return False

    @property
    def transitive(self) -> bool:
        """True if only one document of a component is kept, whatever the similarities between the documents."""
        return False

    def comparable(self) -> dict[str, Any]:
        """Return the parameters of the signatures.

        Signatures of two runs can be compared only if these parameters are equal.
        """
        return self.params

    def keys(self, signatures: np.ndarray) -> Hashes:
        """Return the keys (n, bands) of signatures given as bytes (n, signature_bytes). Documents that share a key are
        candidates."""
        return np.zeros((len(signatures), self.bands), np.uint64)

    def compared(self, signatures: np.ndarray, shingles: pa.Array | None) -> Similarity:
        """Return a function that gives the similarity of candidates, by their positions in `signatures`."""
        return lambda docs, keepers: np.zeros(len(docs))

    def compare(self, bound: BoundStage, outcomes: Sequence[Outcome]) -> None:
        compare_documents(self, bound, outcomes)

    def signed_schema(self) -> pa.Schema:
        signature = pa.binary(self.signature_bytes)
        return pa.schema(
            [
                ("offset", pa.int64()),
                ("inner", pa.int32()),
                ("text_hash", pa.binary(16)),
                pa.field(
                    "preference",
                    pa.float64(),
                    metadata={"is": "the value of the keeper rule; the document with the least value is kept"},
                ),
                ("site", pa.string()),
                pa.field("signature", signature, metadata={"is": "null if the text is too short"}),
                *self.shingle_fields(),
            ]
        )

    def shingle_fields(self) -> list[pa.Field]:
        """Return the column of shingles if signatures have shingles, otherwise an empty list."""
        return [pa.field("shingles", pa.binary())] if self.with_shingles else []


KEEP = ("first", "none")

LINES_SCHEMA = pa.schema(
    [
        ("offset", pa.int64()),
        ("inner", pa.int32()),
        pa.field("hashes", pa.binary(), metadata={"is": "one 64-bit integer for each line; null without a signature"}),
        pa.field("chars", pa.binary(), metadata={"is": "the length of each line, as 32-bit integers"}),
    ]
)


@dataclass(frozen=True, slots=True)
class SignedLines:
    """The signature of a document whose lines are compared: the 64-bit hash and the length of each line, in order.

    Lines with equal hashes count as equal. Different lines rarely have equal hashes: among n different lines this
    happens to about n² / 2^65 pairs, which is 3 pairs among 10 billion lines.
    """

    hashes: bytes
    chars: bytes


class LineComparison(Collective):
    """A stage that removes lines which several documents share. The document itself is kept, unless it loses too many
    lines.

    A line that at least `documents` documents have is removed from all of them except the first, or from all of them.
    The pack phase cuts the lines from the text, so this stage must be the last one in a recipe.
    """

    compares = "lines"
    bounds: ClassVar[dict[str, tuple[str, ...]]] = {
        "lines_compared": ("min", "max", "above", "below"),
        "lines_removed": ("max", "below"),
        "removed_ratio": ("max", "below"),
        "chars_left": ("min", "above"),
    }  # a document may lose less in the end than when it was judged, so a smaller loss must not break a limit

    split: str
    """The way in which a text is divided: a name in `corpus.text.lines.SPLITS`."""
    documents: int
    """A line counts as repeated if at least this many documents have it."""
    keep: str
    """"first": a repeated line stays in its first document. "none": it is removed from every document."""

    def sign(self, doc: Document) -> SignedLines:
        """Return the hashes and lengths of a document's lines."""
        raise TypeError(f"{type(self).__name__} has no sign()")

    def compare(self, bound: BoundStage, outcomes: Sequence[Outcome]) -> None:
        compare_lines(self, bound, outcomes)

    def signed_schema(self) -> pa.Schema:
        return LINES_SCHEMA

    def agree(self, stages: Sequence[BoundStage]) -> None:
        mine = next(bound for bound in stages if bound.stage is self)
        if stages[-1] is not mine:
            raise ConfigError(
                f"'{mine.name}' cuts lines from the text that is written, but '{stages[-1].name}' comes after it.",
                "Make it the last stage.",
            )
        super().agree(stages)
