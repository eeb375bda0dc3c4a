"""Tables that lay out an old page, as opposed to tables of data.

Trafilatura writes a table as lines of cells. If the article of a page is in a cell, the article becomes one line "| …
|", which the rules on lines drop. Among 3,010 real pages, such pages hold a fifth of the good text.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from lxml import etree

Element: TypeAlias = etree._Element

_HEADERS = ("caption", "th", "thead", "tfoot", "col", "colgroup")
_PARTS = (*_HEADERS, "tr", "td", "tbody")
_LONG = 300
"""A cell with at least this many characters of text may be a column of the page."""
_SHARE = 0.1
"""The least share of the page's text in a column of the page. A smaller cell is a note or a caption."""
_MOST_NESTED = 32
"""Tables that are nested more deeply are not changed, because the text of a cell is read once for each table around
it.
"""
_VERBATIM = ("pre", "code", "textarea", "script", "style")

_text = etree.XPath("string()", smart_strings=False)
_LINE_END = re.compile(r"\s*\n\s*")


def open_layout_tables(tree: Element) -> None:
    """Turn the tables that lay out a page into blocks: the tables, their rows and their cells become <div>.

    Then turn line ends in the page's texts into blanks, as browsers do.
    """
    parts: dict[Element, list[Element]] = {}
    depths: dict[Element | None, int] = {None: 0}
    holders = set()
    for element in tree.iter("table", *_PARTS):
        table = next(element.iterancestors("table"), None)
        if element.tag == "table":
            parts[element] = []
            depths[element] = depths[table] + 1
            holders.add(table)
        elif table is not None:
            parts[table].append(element)
    opened = False
    whole: int | None = None
    for table, found in parts.items():
        role = (table.get("role") or "").lower()
        if role in ("grid", "table", "treegrid") or depths[table] > _MOST_NESTED:
            continue
        lays_out = role in ("presentation", "none")
        if not lays_out and (table in holders or not any(part.tag in _HEADERS for part in found)):
            longest = max((_length(part) for part in found if part.tag in ("td", "th")), default=0)
            if longest > _LONG:
                whole = _length(tree) if whole is None else whole
                lays_out = longest > _SHARE * whole
        if lays_out:
            opened = True
            for element in (table, *found):
                element.tag = "div"
    if opened:
        _join_lines(tree)


def _length(element: Element) -> int:
    """Count the characters of a text, with blanks collapsed."""
    return len(" ".join(_text(element).split()))


def _join_lines(tree: Element) -> None:
    for element in tree.iter():
        text, tail = element.text, element.tail
        if (text and "\n" in text) or (tail and "\n" in tail):
            verbatim = next(element.iterancestors(*_VERBATIM), None) is not None
            if text and not verbatim and element.tag not in _VERBATIM:
                element.text = _LINE_END.sub(" ", text)
            if tail and not verbatim:
                element.tail = _LINE_END.sub(" ", tail)
