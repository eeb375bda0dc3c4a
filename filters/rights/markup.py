"""The tags of a page that may speak about rights.

Few pages have such tags, so bytes are searched first, and only a page that may say something is parsed. The parser is
that of browsers without scripts. So a tag in a comment, a script, a title or a template does not count, and a tag in
`noscript` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from resiliparse.parse.html import HTMLTree

from filters.extract.extraction import Extract
from filters.extract.page import Page
from native import kernels

if TYPE_CHECKING:
    from resiliparse.parse.html import ElementNode

_MOST = {name: Extract.limits[name].max or 0 for name in ("tags", "attributes", "depth")}
_OPT_OUTS = ",".join(
    [f'meta[content*="{word}" i]' for word in ("noai", "noml", "noimageai", "noindex", "none")]
    + [f'meta[{name}*="tdm-" i]' for name in ("name", "http-equiv", "property")]
)


def is_parsable(page: Page) -> bool:
    """Return False for a page whose markup is so large that the extraction drops it, since parsers can be slow on it:
    200,000 attributes in one tag take minutes."""
    return all(getattr(page.structure, name) <= most for name, most in _MOST.items())


def opt_out_metas(tree: HTMLTree) -> Iterator[tuple[str, str]]:
    """Yield the name, in lower case, and the content of each meta tag that may opt out."""
    for tag in select(tree, _OPT_OUTS):
        for attribute in ("name", "http-equiv", "property"):
            if name := attribute_of(tag, attribute):
                yield name.strip().lower(), attribute_of(tag, "content")


def select(tree: HTMLTree, css: str) -> Iterator[ElementNode]:
    """Yield the elements that a selector finds."""
    if tree.document is not None:
        yield from tree.document.query_selector_all(css)


def attribute_of(tag: ElementNode, name: str) -> str:
    """Return the value of an attribute, or ""."""
    return tag.getattr(name) or ""


def may_opt_out(page: Page, names: Sequence[bytes]) -> bool:
    """Return False if no meta tag can be an opt-out. `names` has a part of each name that such a tag may have."""
    return kernels.may_opt_out(page.markup, names)


def may_license(page: Page) -> bool:
    """Return False if no tag can declare a licence."""
    return kernels.may_license(page.markup)
