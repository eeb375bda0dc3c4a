"""FineWeb's own quality rules (Penedo et al. 2024, arXiv:2406.17557, 3.6)."""

from __future__ import annotations

from collections.abc import Iterator

from corpus.document import Document
from corpus.stage import Limit, Measured, Stage, ratio
from corpus.text.punctuation import TERMINAL_PUNCTUATION
from corpus.text.words import check_language


class FineWebQuality(Stage):
    """Lists, menus and repeated lines: pages whose lines are not sentences.

    FineWeb's Table 2, the share of tokens that each rule removes, and the rules of datatrove 0.10.1, used here:

                                                 dropped in paper  dropped in datatrove, here
        lines that end in a punctuation mark     <= 0.12  10.14%   < 0.12
        characters in repeated lines             >= 0.01  12.47%   > 0.01 (the paper's running text says 0.1)
        lines of at most 30 characters           >= 0.67   3.73%   > 0.67
        newlines per word                        –                 > 0.3

    Lines are separated by "\\n", and blank lines don't count. 159 marks end a sentence in some script. Quotation marks
    are not among them. FineWeb's original code also counted blank lines, used . ' " ! ? as marks, and dropped pages
    exactly at the limit, as the paper says. A repeated line equals an earlier one in every character. Its characters
    are divided by those of the whole text without "\\n". Words are spaCy's tokens. A blank text breaks no limit here.
    datatrove drops it.
    """

    name = "fineweb"
    source = "arXiv:2406.17557 3.6, Table 2; datatrove 0.10.1 fineweb_quality_filter.py"
    reads = ("text",)

    line_punct_ratio = Limit(min=0.12, share=True)
    """The share of the lines that end in a punctuation mark."""
    short_line_ratio = Limit(max=0.67, share=True)
    """The share of the lines with at most `short_line_length` characters."""
    char_dup_ratio = Limit(max=0.01, share=True)
    """Characters in lines that repeat an earlier line, per character of the text."""
    newline_ratio = Limit(max=0.3)
    """The number of newlines per word."""

    def __init__(self, *, short_line_length: int = 30, language: str = "en") -> None:
        self.short_line_length = short_line_length
        """The length of the longest short line, in characters."""
        self.language = language
        """The ISO 639 code of the language whose rules split words, or "page" for the language of each page."""

    def prepare(self) -> None:
        check_language(self.language)

    def apply(self, doc: Document) -> Iterator[Measured]:
        text = doc.text
        lines = [line for line in text.split("\n") if line and not line.isspace()]
        newlines = text.count("\n")
        repeated_chars = sum(map(len, lines)) - sum(map(len, set(lines)))
        short = self.short_line_length
        yield "line_punct_ratio", ratio(sum(line[-1] in TERMINAL_PUNCTUATION for line in lines), len(lines))
        yield "short_line_ratio", ratio(sum(len(line) <= short for line in lines), len(lines))
        yield "char_dup_ratio", ratio(repeated_chars, len(text) - newlines) if lines else None
        yield "newline_ratio", ratio(newlines, len(doc.words(self.language)))
