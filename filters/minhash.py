"""Near-duplicates of whole documents by MinHash, verified before one is removed.

minhash = MinHash(prefer="earliest")
signed = minhash.sign(doc)
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, get_args

import numpy as np
import pyarrow as pa
import xxhash

from corpus.collective import Collective
from corpus.dedup.clusters import Similarity, signature_similarity
from corpus.dedup.contract import DocumentComparison, Signed
from corpus.dedup.signatures import BANDS, ROWS, Scheme, band_keys, sign, text_hash
from corpus.errors import ConfigError, did_you_mean
from corpus.stage import Limit
from corpus.text.shingles import Hashes, joined_shingles, shingle_similarity, shingles_of
from corpus.text.words import PAGE, check_language
from corpus.url_identity import MAX_HOST, split_url
from filters.url.public_suffixes import registered_domains

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corpus.document import Document
    from corpus.outcome import Outcome
    from corpus.stage import BoundStage

PREFER = ("longest", "earliest", "newest", "first")
CLUSTERS = ("verified", "classic")
VERIFY = ("signature", "jaccard", "containment")

VALUE = np.dtype("<u2")
"""The lower 16 bits of each value of a signature are kept (b-bit minwise hashing: Li & König 2010). Keeping 16 bits
halves the data to store, move and compare.

Unequal values agree in these bits once in 65,536 times. So one in 600 pairs of unlike documents has one more equal
value among 112. This adds .009 to the estimate, a fifth of its standard error.
"""

_HOSTS_REMEMBERED = 1 << 16


class MinHash(DocumentComparison):
    """Near-duplicate documents by MinHash over word 5-grams, 14 bands of 8 (FineWeb: Penedo et al. 2024, E.1).

    Equal texts are found first, by hash. Texts that share a band are candidates, and candidates are connected.
    `clusters` decides which connected documents are removed. "verified" keeps the preferred document, removes the
    documents whose similarity to it is at least the limit, and repeats this on the rest. So no document is removed
    through a chain of unlike documents. "classic" keeps one of all connected documents, as datatrove does, and reports
    the similarity only as information. `verify` decides how similarity is measured. "signature" estimates Jaccard
    similarity from the signatures (standard error .043 at .7). "jaccard" computes it from the sets of shingles.
    "containment" is the share of the document's shingles that the kept document has. "jaccard" and "containment" store
    the shingles of every document until the run is complete, some 2.5 KB per document.
    """

    name = "minhash"
    source = "FineWeb (arXiv:2406.17557, E.1); MinHash of datatrove 0.10.1; affine32 of datasketch 2.0"
    reads = ("text",)
    kind = "signatures"
    indexed = True
    bands = BANDS

    similarity = Limit(below=0.7, share=True)
    """The similarity to the kept document. The detail is that document's id."""
    exact = Limit(of=int)
    """1 if the text equals that of the kept document."""
    cluster_size = Limit(of=int)
    """The number of documents in the cluster, the kept document included.

    1 means that the document shared a key with another document, but has no duplicate.
    """
    preferred = Limit(of=int)
    """1 if `prefer` prefers this document to the kept document, which is in an earlier run.

    Null if that run has another `prefer`.
    """

    evidence: ClassVar[dict[str, str]] = {name: name for name in ("similarity", "exact", "cluster_size", "preferred")}

    def __init__(
        self,
        *,
        scheme: Scheme = "affine32",
        prefer: str = "longest",
        clusters: str = "verified",
        verify: str = "signature",
        language: str = "en",
        numbers: bool = False,
    ) -> None:
        for what, value, known in (
            ("scheme", scheme, get_args(Scheme)),
            ("clusters", clusters, CLUSTERS),
            ("verify", verify, VERIFY),
        ):
            if value not in known:
                raise ConfigError(f"minhash.{what} = {value!r} is unknown.", did_you_mean(str(value), known))
        if prefer not in PREFER and "." not in prefer:
            todo = f"{did_you_mean(prefer, PREFER)} A measure has the form STAGE.MEASURE, such as language.score."
            raise ConfigError(f"minhash.prefer = {prefer!r} is unknown.", todo)
        self.scheme = scheme
        """The hash functions: "affine32" (from datasketch 2.0) or "datatrove"."""
        self.prefer = prefer
        """The rule for the preferred document: the "longest" text, the "earliest" or "newest" date, the "first"
        document in (archive, offset) order, or the highest value of a measure, such as "language.score". A document
        without a value comes last. Ties go to the first document.
        """
        self.clusters = clusters
        """The way in which connected documents are clustered: "verified" or "classic"."""
        self.verify = verify
        """The measure of similarity: "signature", "jaccard" or "containment"."""
        self.language = language
        """The ISO 639 code of the language whose rules split words, or "page" for the language of each page. With
        "page", documents of different languages are never compared."""
        self.numbers = numbers
        """If true, different numbers are different words.

        If false, all numbers are equal, as in datatrove, so pages that differ only in numbers are duplicates.
        """

    def prepare(self) -> None:
        check_language(self.language)
        self.site_of_ = lru_cache(_HOSTS_REMEMBERED)(registered_domains())

    def sign(self, doc: Document) -> Signed:
        if self.scheme == "datatrove":
            hashes = joined_shingles(doc.text, doc.rules(self.language), numbers=self.numbers)
        else:
            hashes = shingles_of(doc.stretches(self.language), numbers=self.numbers)
        text = doc.text
        if self.language == PAGE:  # other hashes for each language, so that no two of its documents meet another's
            text = f"{doc.language}\n{text}"
            hashes = hashes ^ np.uint64(xxhash.xxh3_64_intdigest((doc.language or "").encode()))
        values = sign(hashes, BANDS * ROWS, self.scheme)
        return Signed(
            text_hash(text),
            None if values is None else values.astype(VALUE).tobytes(),
            self._preference(doc),
            self._site(doc.url),
            np.unique(hashes.astype("<u4")).tobytes() if self.with_shingles else None,
        )

    def complete(self, outcome: Outcome) -> None:
        """Set the preference by a measure. The measure may be that of a later stage."""
        if "." in self.prefer and self.kind in outcome.signed:
            value = outcome.measures.get(self.prefer)
            preference = float("inf") if value is None else -float(value)
            outcome.signed[self.kind] = replace(outcome.signed[self.kind], preference=preference)

    def agree(self, stages: Sequence[BoundStage]) -> None:
        super().agree(stages)
        single = [bound for bound in stages if not isinstance(bound.stage, Collective)]
        names = [bound.columns[name] for bound in single for name, limit in bound.limits.items() if limit.of is not str]
        if "." in self.prefer and self.prefer not in names:
            what = f"minhash.prefer = {self.prefer!r} names no measure of this recipe whose values are numbers."
            raise ConfigError(what, did_you_mean(self.prefer, [*PREFER, *names]))

    @property
    def signature_bytes(self) -> int:
        return BANDS * ROWS * VALUE.itemsize

    @property
    def with_shingles(self) -> bool:
        return self.verify != "signature"

    @property
    def transitive(self) -> bool:
        return self.clusters == "classic"

    def comparable(self) -> dict[str, Any]:
        names = ("scheme", "language", "numbers") + (("verify",) if self.with_shingles else ())
        return {name: getattr(self, name) for name in names}

    def keys(self, signatures: np.ndarray) -> Hashes:
        return band_keys(signatures.view(VALUE), BANDS, ROWS)

    def compared(self, signatures: np.ndarray, shingles: pa.Array | None) -> Similarity:
        if shingles is None:
            return signature_similarity(signatures.view(VALUE))
        return shingle_similarity(shingles, contained=self.verify == "containment")

    def _site(self, url: str) -> str:
        host = split_url(url)[0]
        if not hasattr(self, "site_of_"):
            self.prepare()
        site = self.site_of_(host) if len(host) <= MAX_HOST else ""
        return site if site.isascii() else site.encode("utf-8", "replace").decode()

    def _preference(self, doc: Document) -> float:
        if self.prefer == "longest":
            return -float(len(doc.text))
        if self.prefer in ("earliest", "newest"):
            return _seconds(doc.date, newest=self.prefer == "newest")
        return 0.0


def _seconds(date: str, newest: bool) -> float:
    """Return a date in ISO 8601 as seconds, negative if the newest is preferred. An unreadable date comes last."""
    try:
        read = datetime.fromisoformat(date)
        seconds = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
        return -seconds if newest else seconds
    except (ValueError, OverflowError):
        return float("inf")
