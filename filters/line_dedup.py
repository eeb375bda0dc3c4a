"""Lines or paragraphs that many documents share, removed as CCNet does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import xxhash

from corpus.dedup.contract import KEEP, LineComparison, SignedLines
from corpus.dedup.lines import NOT_COMPARED
from corpus.errors import ConfigError, did_you_mean
from corpus.stage import Limit
from corpus.text.lines import SPLITS, split_lines
from corpus.text.punctuation import PUNCTUATION

if TYPE_CHECKING:
    from corpus.document import Document

_DIGIT = re.compile(r"\d")
_NO_PUNCTUATION = str.maketrans(dict.fromkeys(PUNCTUATION, ""))


class LineDedup(LineComparison):
    """Lines that several documents share, removed across the whole run (CCNet: Wenzek et al. 2020, 3.2).

    Lines are equal if they are the same after normalization: lower case, each digit a 0, no punctuation, and one space
    for each run of whitespace. With `normalise = false`, only whitespace around a line is ignored. Lines with fewer
    than `min_chars` characters after normalization are not compared, for example headings. A line is repeated if at
    least `documents` documents have it. `keep = "first"` keeps a repeated line in the first of these documents, in
    (archive, offset) order. `keep = "none"` removes it everywhere, which suits boilerplate, with a higher value of
    `documents`. The rules on repetition handle repeats within one document.

    This stage must come last, because it compares only documents that passed every stage and that no comparison
    removed. A document that would lose too much is dropped, and its lines stay in the next document that has them. So
    no kept document loses a line that no other kept document has, except with `keep = "none"`. The measures are null if
    nothing is removed.
    """

    name = "lines"
    source = "CCNet (arXiv:1911.00359, 3.2; cc_net's normalize_for_dedup); limits our own"
    reads = ("text",)

    kind = "lines"

    compared = Limit(of=int)
    """The number of lines compared."""
    removed = Limit(of=int)
    """The number of lines removed."""
    removed_ratio = Limit(max=0.8, share=True)
    """The share of characters that are in removed lines."""
    chars_left = Limit(min=200, of=int)
    """The number of characters in the lines that are kept."""
    kept_in = Limit(of=str)
    """The id of the document that keeps most of the removed lines."""

    evidence: ClassVar[dict[str, str]] = {
        "compared": "lines_compared",
        "removed": "lines_removed",
        "removed_ratio": "removed_ratio",
        "chars_left": "chars_left",
        "kept_in": "kept_in",
    }

    def __init__(
        self,
        *,
        split: str = "lines",
        documents: int = 2,
        keep: str = "first",
        min_chars: int = 1,
        normalise: bool = True,
    ) -> None:
        for what, value, known in (("split", split, tuple(SPLITS)), ("keep", keep, KEEP)):
            if value not in known:
                raise ConfigError(f"lines.{what} = {value!r} is unknown.", did_you_mean(str(value), known))
        for what, number, least in (("documents", documents, 2), ("min_chars", min_chars, 1)):
            if not isinstance(number, int) or isinstance(number, bool) or number < least:
                raise ConfigError(f"lines.{what} = {number!r} is not allowed.", f"Give a whole number >= {least}.")
        self.split = split
        """The pieces that are compared: "lines", or "paragraphs", which blank lines separate."""
        self.documents = documents
        """A line counts as repeated if at least this many documents have it."""
        self.keep = keep
        """"first": a repeated line stays in the first document that has it. "none": it is removed everywhere."""
        self.min_chars = min_chars
        """Lines that are shorter after normalization are not compared."""
        self.normalise = normalise
        """If true, letter case, the values of digits, punctuation and whitespace are ignored when lines are
        compared.
        """

    def sign(self, doc: Document) -> SignedLines:
        lines = split_lines(doc.text, self.split)
        hashes = np.fromiter(map(self._hash, lines), "<u8", len(lines))
        return SignedLines(hashes.tobytes(), np.fromiter(map(len, lines), "<u4", len(lines)).tobytes())

    def _hash(self, line: str) -> int:
        text = line.strip()
        if self.normalise:
            text = " ".join(_DIGIT.sub("0", text.lower()).translate(_NO_PUNCTUATION).split())
        if len(text) < self.min_chars:
            return NOT_COMPARED
        return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass")) or NOT_COMPARED + 1
