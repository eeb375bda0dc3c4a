"""Gopher's rules for repetition and document quality (Rae et al. 2021, arXiv:2112.11446, A1.1 and Table A1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from corpus.document import Document
from corpus.stage import Limit, Measured, Stage, ratio
from corpus.text.ngrams import duplicate_ngram_chars, top_ngram_chars
from corpus.text.words import check_language

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")


class GopherRepetition(Stage):
    """Repeated lines, paragraphs and n-grams: signs of boilerplate and of machine-made text.

    The measures are the fractions of the paper's Table A1, with its limits and in datatrove's order: duplicate
    paragraphs and lines, the characters in these, in the most frequent n-gram, and in duplicate n-grams.

    The paper does not define a word, the divisor of the characters, or whether the first of several equal lines is a
    duplicate. As in datatrove 0.10.1, words are spaCy's, the divisor is the length of the whole text with whitespace,
    and the first line does not count. A top n-gram is measured with its spaces, a duplicate n-gram without, and
    duplicates don't overlap. An empty text breaks no limit here. datatrove drops it.
    """

    name = "gopher_repetition"
    source = "arXiv:2112.11446 Table A1; datatrove 0.10.1 gopher_repetition_filter.py"
    reads = ("text",)

    dup_para_frac = Limit(max=0.30, share=True)
    """The share of the paragraphs that repeat an earlier paragraph."""
    dup_para_char_frac = Limit(max=0.20, share=True)
    """Characters in repeated paragraphs, per character of the text."""
    dup_line_frac = Limit(max=0.30, share=True)
    """The share of the lines that repeat an earlier line."""
    dup_line_char_frac = Limit(max=0.20, share=True)
    """Characters in repeated lines, per character of the text."""
    top_2_gram = Limit(max=0.20)
    """Characters in the most frequent sequence of two words, per character of the text."""
    top_3_gram = Limit(max=0.18)
    """Characters in the most frequent sequence of three words, per character of the text."""
    top_4_gram = Limit(max=0.16)
    """Characters in the most frequent sequence of four words, per character of the text."""
    dup_5_gram = Limit(max=0.15)
    """Characters in repeated sequences of five words, per character of the text."""
    dup_6_gram = Limit(max=0.14)
    """Characters in repeated sequences of six words, per character of the text."""
    dup_7_gram = Limit(max=0.13)
    """Characters in repeated sequences of seven words, per character of the text."""
    dup_8_gram = Limit(max=0.12)
    """Characters in repeated sequences of eight words, per character of the text."""
    dup_9_gram = Limit(max=0.11)
    """Characters in repeated sequences of nine words, per character of the text."""
    dup_10_gram = Limit(max=0.10)
    """Characters in repeated sequences of ten words, per character of the text."""

    def __init__(self, *, language: str = "en") -> None:
        self.language = language
        """The ISO 639 code of the language whose rules split words, or "page" for the language of each page."""

    def prepare(self) -> None:
        check_language(self.language)

    def apply(self, doc: Document) -> Iterator[Measured]:
        size = len(doc.text)
        for name, parts in (("dup_para", doc.paragraphs), ("dup_line", doc.lines)):
            distinct = set(parts)
            repeated_chars = sum(map(len, parts)) - sum(map(len, distinct))
            yield f"{name}_frac", ratio(len(parts) - len(distinct), len(parts))
            yield f"{name}_char_frac", ratio(repeated_chars, size)
        words = doc.words(self.language)
        for n, chars in top_ngram_chars(words, (2, 3, 4)).items():
            yield f"top_{n}_gram", ratio(chars, size)
        for n, chars in duplicate_ngram_chars(words, (5, 6, 7, 8, 9, 10)).items():
            yield f"dup_{n}_gram", ratio(chars, size)


class GopherQuality(Stage):
    """Length, symbols, line shapes and stop words: signs that a text is running language.

    The paper, A1.1, keeps documents with

        between 50 and 100,000 words
        a mean word length between 3 and 10 characters
        a symbol-to-word ratio of at most 0.1, for the hash symbol and for the ellipsis
        at most 90% of lines starting with a bullet point, at most 30% ending with an ellipsis
        at least 80% of words with an alphabetic character
        at least two of: the, be, to, of, and, that, have, with

    As in datatrove 0.10.1, `words` and `mean_word_length` count words that are not all punctuation. Every other ratio
    counts all of spaCy's tokens, with punctuation, so `alpha_ratio` is stricter than it sounds. An ellipsis is "..." or
    "…", a bullet is "•" or "-". Each stop word counts once, and only in this letter case. The published FineWeb counted
    every occurrence.
    """

    name = "gopher_quality"
    source = "arXiv:2112.11446 A1.1; datatrove 0.10.1 gopher_quality_filter.py"
    reads = ("text",)

    words = Limit(min=50, max=100_000, of=int)
    """The number of words, without words that are all punctuation."""
    mean_word_length = Limit(min=3, max=10)
    """The mean length of the words counted by `words`, in characters."""
    hash_ratio = Limit(max=0.1)
    """The number of "#" per word."""
    ellipsis_ratio = Limit(max=0.1)
    """The number of "..." and "…" per word."""
    bullet_line_ratio = Limit(max=0.9, share=True)
    """The share of the lines that begin with "•" or "-"."""
    ellipsis_line_ratio = Limit(max=0.3, share=True)
    """The share of the lines that end in "..." or "…"."""
    alpha_ratio = Limit(min=0.8, share=True)
    """The share of the words that have a letter. Punctuation marks are words here."""
    stop_words = Limit(min=2, of=int)
    """The number of different words of `stop_list` in the text."""

    def __init__(self, *, language: str = "en", stop_list: Sequence[str] = STOP_WORDS) -> None:
        self.language = language
        """The ISO 639 code of the language whose rules split words, or "page" for the language of each page."""
        self.stop_list = stop_list
        """The words that `stop_words` counts."""

    def prepare(self) -> None:
        check_language(self.language)

    def apply(self, doc: Document) -> Iterator[Measured]:
        text, words = doc.text, doc.words(self.language)
        lines = text.splitlines()
        count, chars, letters = words.table.count_words(words.numbers)
        yield "words", count
        yield "mean_word_length", ratio(chars, count)
        yield "hash_ratio", ratio(text.count("#"), len(words))
        yield "ellipsis_ratio", ratio(text.count("...") + text.count("…"), len(words))
        yield "bullet_line_ratio", ratio(sum(line.lstrip().startswith(("•", "-")) for line in lines), len(lines))
        yield "ellipsis_line_ratio", ratio(sum(line.rstrip().endswith(("...", "…")) for line in lines), len(lines))
        yield "alpha_ratio", ratio(letters, len(words))
        yield "stop_words", sum(word in words for word in dict.fromkeys(self.stop_list))
