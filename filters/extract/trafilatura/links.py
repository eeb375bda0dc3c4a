"""Trafilatura 2.3.1's link density tests, which remove blocks that consist mostly of links."""

from __future__ import annotations

from collections.abc import Iterable

from lxml import etree
from trafilatura.htmlprocessing import is_paragraph_listing, link_density_test_tables
from trafilatura.utils import LINK_FARM_RATIO

from filters.extract.trafilatura.parse import Element, delete, text_length

_ITEMS = frozenset(["item", "td", "th"])


def prune_by_links(tree: Element) -> None:
    """Remove blocks that consist mostly of links, then unwrap the remaining links."""
    links = list(tree.iterdescendants("ref"))
    if links:
        _LinkPruning(tree, links).run()
    else:
        _drop_last_titles(tree)
    etree.strip_tags(tree, "span", "ref")


def _drop_last_titles(tree: Element) -> None:
    while len(tree) > 0 and tree[-1].tag == "head":
        tree.remove(tree[-1])


class _LinkPruning:
    """The link density tests (`delete_by_link_density`) of all blocks with links below an element.

    Trafilatura tests each div, list and p twice. The result depends on the content of the block and on whether another
    element follows. So the second result can differ only if an element in the block or right after it was removed.
    """

    def __init__(self, tree: Element, links: list[Element]) -> None:
        self.blocks: dict[str, list[Element]] = {}
        self.changed: set[Element] = set()
        self.lengths: dict[Element, int] = {}
        self._tree = tree
        seen: set[Element] = set()
        for link in links:
            for block in link.iterancestors():
                if block in seen:
                    break
                seen.add(block)
                self.blocks.setdefault(block.tag, []).append(block)
                if block is tree:
                    break

    def run(self) -> None:
        """Remove blocks, in trafilatura's order of tags."""
        for tag in ("div", "list", "p"):
            self._prune(tag, self.blocks.get(tag, ()))
        for tag in ("div", "list", "p"):
            if self.changed:
                self._prune(tag, [block for block in self.blocks.get(tag, ()) if block in self.changed])
        for table in [table for table in self.blocks.get("table", ()) if link_density_test_tables(table)]:
            parent = table.getparent()
            if parent is not None:
                parent.remove(table)
        _drop_last_titles(self._tree)
        for tag in ("head", "quote"):
            self.lengths.clear()
            self._prune(tag, self.blocks.get(tag, ()))

    def _prune(self, tag: str, blocks: Iterable[Element]) -> None:
        doomed = []
        for block in blocks:
            if self._is_boilerplate(block, tag):
                parent = block.getparent()
                if tag != "p" or parent is None or parent.tag not in _ITEMS:
                    doomed.append(block)
        for block in doomed:
            previous = block.getprevious()
            if previous is not None:
                self.changed.add(previous)
            for ancestor in block.iterancestors():
                self.changed.add(ancestor)
                self.lengths.pop(ancestor, None)
            delete([block])

    def _is_boilerplate(self, block: Element, tag: str) -> bool:
        """Return True for a block that consists mostly of links, and for a short <div> with links
        (`link_density_test`).
        """
        links = list(block.iterdescendants("ref"))
        dense = bool(links) and self._is_dense(block, tag, links)
        return dense and next(block.iterdescendants("graphic"), None) is None

    def _is_dense(self, block: Element, tag: str, links: list[Element]) -> bool:
        length = text_length(block)
        if len(links) == 1:
            link_length = self._length(links[0])
            if link_length > 10 and link_length > length * 0.9:
                return True
        last = block.getnext() is None
        short = length < ((60 if last else 30) if tag == "p" else (300 if last else 100))
        if short and tag == "div" and length < 200 and len(block) >= 1:
            return True
        if not short and len(links) <= 4:
            return False
        lengths = [found for link in links if (found := self._length(link))]
        if short:
            tiny = sum(1 for found in lengths if found < 10)
            return not lengths or sum(lengths) > length * 0.8 or (len(lengths) > 1 and tiny / len(lengths) > 0.8)
        farm = length * LINK_FARM_RATIO < sum(lengths) < 100 * len(lengths)
        return farm and not is_paragraph_listing(links)

    def _length(self, link: Element) -> int:
        """Return the number of characters of a link's text, with blanks collapsed."""
        length = self.lengths.get(link)
        if length is None:
            length = self.lengths[link] = text_length(link)
        return length
