"""C4's line cleaning and its rules for whole pages (Raffel et al. 2020, arXiv:1910.10683, 2.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from corpus.document import Document
from corpus.stage import Limit, Measured, Stage
from corpus.text.sentences import count_sentences, roles_of
from corpus.text.words import TextStretches, check_language

_CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
END_MARKS = (".", "?", "!", '"', "'")
_ELLIPSIS = "..."
_BRACKET = re.compile(
    r"(?P<latex>\\[A-Za-z]{2,}\*?(?:\[[^\[\]{}]{0,40}])?\{|[\^_\\]\{|\{(?=[^{}]{0,40}\\[A-Za-z]{2}))|}?\{|}"
)
r"""A curly bracket.

In LaTeX, a curly bracket follows a command (`\frac{`), "^", "_" or a backslash, or it contains a command
(`{\displaystyle`).
"""
_POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")


class C4(Stage):
    """Cleans a text line by line, then judges the page by the remaining text.

    The first of these rules that applies removes a line:

        It has a word of more than 1,000 characters.                          line_long_word
        It does not end in . ? ! " ' or it ends in "...".                     line_no_end_mark
        It has fewer than 3 words.                                            line_few_words
        It mentions javascript.                                               line_javascript
        It mentions terms of use, a privacy policy, or the use of cookies.    line_policy

    Wikipedia's marks ("[12]", "[edit]", "[citation needed]") are cut out. The measures count lines and marks. A page
    is dropped if it has the words "lorem ipsum", a curly bracket, or fewer than 5 sentences. "lorem ipsum" counts in
    lines that reach the javascript rule, a curly bracket in lines that pass it. So a "{" in a line that is too short
    or mentions javascript does no harm. Sentences are counted in the lines that stay. These lines become the text.

    The order is that of C4's own code and of datatrove 0.10.1. As in datatrove, words are separated by whitespace and
    counted before marks are cut out (C4's code: after), and sentences are those of spaCy's sentencizer (C4's code:
    NLTK's punkt). The rules for long words, policies, ellipses and citations come from the code; the paper does not
    mention them. With `latex`, brackets of formulas are no sign of code. FineWeb uses `terminal_punctuation = false`,
    because that rule alone removes 30% of all tokens (arXiv:2406.17557, 3.5). A page with both "lorem ipsum" and a
    curly bracket is always dropped for "lorem ipsum". In datatrove the one that comes first in the text decides.

    Not included: C4's list of bad words, and its removal of repeated three-sentence spans.
    """

    name = "c4"
    source = "arXiv:1910.10683 2.2; datatrove 0.10.1 c4_filters.py"
    reads = ("text",)

    lorem_ipsum = Limit(max=0, of=int)
    """The number of lines with "lorem ipsum"."""
    curly_bracket = Limit(max=0, of=int)
    """The number of lines with "{"."""
    sentences = Limit(min=5, of=int)
    """The number of sentences in the lines that are kept."""
    line_long_word = Limit(of=int)
    """The number of lines removed because of a word with more than `max_word_length` characters."""
    line_no_end_mark = Limit(of=int)
    """The number of lines removed because they do not end in a terminal punctuation mark."""
    line_few_words = Limit(of=int)
    """The number of lines removed because they have fewer than `min_words_per_line` words."""
    line_javascript = Limit(of=int)
    """The number of lines removed because they mention javascript."""
    line_policy = Limit(of=int)
    """The number of lines removed because they mention terms of use, a privacy policy or the use of cookies."""
    citations = Limit(of=int)
    """The number of marks such as "[12]" and "[edit]" that were removed."""

    def __init__(
        self,
        *,
        terminal_punctuation: bool = True,
        min_words_per_line: int = 3,
        max_word_length: int = 1000,
        javascript_lines: bool = False,
        policy_lines: bool = False,
        latex: bool = False,
        language: str = "en",
    ) -> None:
        self.terminal_punctuation = terminal_punctuation
        """If true, lines must end in a terminal punctuation mark."""
        self.min_words_per_line = min_words_per_line
        """Lines with fewer words are removed."""
        self.max_word_length = max_word_length
        """Lines with a longer word are removed."""
        self.javascript_lines = javascript_lines
        """If true, lines that mention javascript are kept."""
        self.policy_lines = policy_lines
        """If true, lines that mention policies and cookies are kept."""
        self.latex = latex
        """If true, the curly brackets of LaTeX formulas don't count."""
        self.language = language
        """The ISO 639 code of the language whose rules split words, to count sentences, or "page" for the language of
        each page."""

    def prepare(self) -> None:
        check_language(self.language)

    def apply(self, doc: Document) -> Iterator[Measured]:
        kept: list[str] = []
        stretches = doc.stretches(self.language)
        table, numbers, roles = stretches.table, stretches.numbers, roles_of(stretches)
        kept_numbers = []
        end = 0
        counts = dict.fromkeys(self.limits, 0)
        for raw in doc.text.splitlines():
            line = raw.strip()
            words = line.split()
            start, end = end, end + len(words)  # a stretch never crosses the end of a line
            if len(line) > self.max_word_length and any(len(word) > self.max_word_length for word in words):
                counts["line_long_word"] += 1
                continue
            found = 0
            if "[" in line:
                line, found = _CITATION.subn("", line)
                counts["citations"] += found
            if self.terminal_punctuation and (not line.endswith(END_MARKS) or line.endswith(_ELLIPSIS)):
                counts["line_no_end_mark"] += 1
                continue
            if len(words) < self.min_words_per_line:
                counts["line_few_words"] += 1
                continue
            lower = line.lower()
            counts["lorem_ipsum"] += "lorem ipsum" in lower
            if not self.javascript_lines and "javascript" in lower:
                counts["line_javascript"] += 1
                continue
            counts["curly_bracket"] += "{" in line and not (self.latex and _is_latex(line))
            if not self.policy_lines and _mentions_policy(lower):
                counts["line_policy"] += 1
                continue
            line_numbers, line_roles = numbers[start:end], roles[start:end]
            if found:
                line_numbers = table.numbers(line.split())
                line_roles = roles_of(TextStretches(table, line_numbers))
            # stripped, because a removed citation may leave a space at an end, and the space is not a sentence
            counts["sentences"] += count_sentences(line.strip(), table.language, line_roles)
            kept.append(line)
            kept_numbers.append(line_numbers)
        yield from counts.items()
        cleaned = "\n".join(kept).strip()
        if cleaned != doc.text:
            doc.shorten(cleaned, TextStretches(table, np.concatenate(kept_numbers or [numbers[:0]])))


def _is_latex(line: str) -> bool:
    """Return True if every curly bracket of a line is in a LaTeX formula."""
    depth = 0
    for bracket in _BRACKET.finditer(line):
        if bracket.group() == "}":
            depth = max(depth - 1, 0)
        elif depth or bracket.lastgroup == "latex":
            depth += bracket.group() != "}{"  # "}{" ends one argument and begins another
        else:
            return False
    return True


def _mentions_policy(lower: str) -> bool:
    if "cookie" in lower:
        return any(phrase in lower for phrase in _POLICY)
    return "terms of use" in lower or "privacy policy" in lower
