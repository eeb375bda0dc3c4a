"""The size and depth of a page's markup, estimated from its bytes before a parser sees them.

HTML parsers are fast on ordinary pages and quadratic on others: libxml2 needs 27 s for one tag with 40,000 attributes.
"""

from __future__ import annotations

from typing import NamedTuple

from lxml import etree

from native import kernels

SURE_DEPTH = 80
"""Up to this estimate, elements nest no deeper than 250. A nested table is three elements and counts as one."""


class Structure(NamedTuple):
    """Estimates of the size and depth of a page's markup."""

    tags: int
    """The number of "<"."""
    attributes: int
    """The most attributes in one tag of 1,000 bytes or more, or 0 without such a tag."""
    depth: int
    """The greatest depth to which elements nest. Elements that do not count as nesting are ignored."""


def scan(body: bytes) -> Structure:
    """Measure a page in an ASCII-compatible charset."""
    return Structure(*kernels.structure_of(body, SURE_DEPTH))


def tree_depth(tree: etree._Element) -> int:
    """Return how deep the elements of a parsed page nest."""
    depth = deepest = 0
    for event, _ in etree.iterwalk(tree, events=("start", "end")):
        depth += 1 if event == "start" else -1
        deepest = max(deepest, depth)
    return deepest
