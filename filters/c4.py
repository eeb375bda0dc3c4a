"""C4's line cleaning and its rules for whole pages (Raffel et al. 2020, arXiv:1910.10683, 2.2)."""

from __future__ import annotations

from collections.abc import Iterator

from corpus.document import Document
from corpus.stage import Limit, Measured, Stage
from corpus.text.vocabulary import Numbers
from corpus.text.words import TextStretches, check_language
from native import kernels


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
        stretches = doc.stretches(self.language)
        counts, cleaned, numbers, waiting = self._clean(doc.text, stretches)
        if waiting:  # stretches that are left where a mark was removed
            stretches.table.split(waiting)
            counts, cleaned, numbers, _ = self._clean(doc.text, stretches)
        yield from counts.items()
        if cleaned is not None:
            doc.shorten(cleaned, TextStretches(stretches.table, numbers))

    def _clean(
        self, text: str, stretches: TextStretches
    ) -> tuple[dict[str, int], str | None, Numbers, list[kernels.Waiting]]:
        """Return the measures, the text if it changes, its stretches, and those of them that have no tokens yet."""
        return kernels.clean_lines(
            stretches.table.kernel,
            text,
            stretches.numbers,
            terminal_punctuation=self.terminal_punctuation,
            javascript_lines=self.javascript_lines,
            policy_lines=self.policy_lines,
            latex=self.latex,
            min_words_per_line=self.min_words_per_line,
            max_word_length=self.max_word_length,
        )
