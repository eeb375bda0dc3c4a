"""Lines of table borders go, and the text around them stays in its paragraphs."""

import pytest

from filters.symbol_lines import SymbolLines


@pytest.mark.parametrize(
    ("text", "removed", "left"),
    [
        ("a\n| | |\n||\nb", 2, "a\n\nb"),
        ("|\na\n|", 2, "a"),
        ("a | b\n  \n\nc|", 0, "a | b\n  \n\nc|"),
        ("| |", 1, ""),
        ("", 0, ""),
    ],
)
def test_lines_of_symbols_are_removed(text, removed, left):
    outcome = SymbolLines().check(text)
    assert (outcome.measures, outcome.doc.text) == ({"symbol_lines.removed": removed}, left)


def test_other_symbols():
    assert SymbolLines(symbols="-+").check("a\n+--+\n| |\nb").doc.text == "a\n\n| |\nb"
