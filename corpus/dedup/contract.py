"""The contracts of dedup: sign each document during the pass, compare all signatures after it, one verdict for each.

`Dedup` compares whole documents, `corpus.dedup.lines` compares their lines; both are a `Collective`.

Only documents that passed every stage are compared, so a cluster never loses its last good copy to a later filter.
The place of a dedup in the recipe says which text is signed. The signatures of a unit lie row by row beside its corpus
rows. What happens with them after the pass is a row of phases, each a set of tasks over committed files:

    layout      how documents are numbered and divided, from their count and the memory that a task may take
    bands       signatures → band keys and text hashes, each sent to the task of its range
    candidates  equal keys → edges, equal texts → twins
    components  edges → the component of each document that has any
    members     the signatures of those documents, sent to the task of their component
    verify      components → verdicts with evidence, sent back to where the documents are
    verdicts    the verdicts of each unit, for `corpus.tables.pack`, and what was removed per domain
    index       what a later run needs to compare its documents with these
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa

from corpus.collective import Collective
from corpus.dedup.clusters import Similarity
from corpus.stage import Limit
from corpus.text.shingles import Hashes

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class Signed:
    """What a dedup keeps of a document."""

    text_hash: bytes
    signature: bytes | None
    """None for a text too short to have one."""
    preference: float
    """The keeper rule's value: the least is kept."""
    site: str = ""
    """The domain, for the counts of what was removed where."""
    shingles: bytes | None = None
    """What an exact comparison needs beside the signature."""


class Dedup(Collective):
    """A stage that compares whole documents: one is removed where `similarity` to a kept one is outside its limit."""

    kind = "signatures"
    compares = "documents"

    similarity = Limit(below=0.7)
    """To the kept document that is named in the detail."""
    exact = Limit(of=int)
    """1 where the two texts are equal."""
    cluster_size = Limit(of=int)
    """Documents for which the kept one stands, itself included; 1 says that it shared a key with another, and that
    none repeats it."""
    preferred = Limit(of=int)
    """1 where `keep` would have preferred this one, but the other is of an earlier run."""

    bands: ClassVar[int]
    """How many keys a signature has."""

    def signed_schema(self) -> pa.Schema:
        return signatures_schema(self)

    def signed_row(self, offset: int, inner: int, signed: Signed | None) -> dict[str, Any]:
        return signature_row(offset, inner, signed)

    @property
    def signature_bytes(self) -> int:
        """The length of every signature."""
        raise TypeError(f"{type(self).__name__} has no signature_bytes")

    @property
    def with_shingles(self) -> bool:
        """Whether documents are compared by their shingles."""
        return False

    @property
    def transitive(self) -> bool:
        """Whether all of a component is removed but one."""
        return False

    def comparable(self) -> dict[str, Any]:
        """The parameters that signatures of two runs must share to be compared."""
        return self.params

    def keys(self, signatures: np.ndarray) -> Hashes:
        """The keys (n, bands) of signatures given as bytes (n, signature_bytes); equal ones make a candidate."""
        raise TypeError(f"{type(self).__name__} has no keys()")

    def compared(self, signatures: np.ndarray, shingles: pa.Array | None) -> Similarity:
        """How similar documents are, by their places in `signatures` and `shingles`."""
        raise TypeError(f"{type(self).__name__} has no compared()")


def signatures_schema(dedup: Dedup) -> pa.Schema:
    """One row per corpus row of a unit; all but the place null where the document was not signed."""
    fields = [
        pa.field("offset", pa.int64()),
        pa.field("inner", pa.int32()),
        pa.field("text_hash", pa.binary(16)),
        pa.field("preference", pa.float64(), metadata={"is": "the keeper rule's value; the least is kept"}),
        pa.field("site", pa.string()),
        pa.field("signature", pa.binary(dedup.signature_bytes), metadata={"is": "null for a text too short for one"}),
    ]
    if dedup.with_shingles:
        fields.append(pa.field("shingles", pa.binary()))
    return pa.schema(fields)


def signature_row(offset: int, inner: int, signed: Signed | None) -> dict[str, Any]:
    """The signature row beside a corpus row."""
    row: dict[str, Any] = {"offset": offset, "inner": inner}
    if signed is not None:
        row |= {"text_hash": signed.text_hash, "signature": signed.signature, "preference": signed.preference}
        row |= {"site": signed.site, "shingles": signed.shingles}
    return row
