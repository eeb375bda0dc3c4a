"""The licence that a page declares for its text, by the names of SPDX (https://spdx.org/licenses).

A page declares a licence by rel=license, by a meta tag (`dcterms.license`), or by schema.org's `license` in JSON-LD or
in attributes. If it declares none, links to the deeds of Creative Commons count. A page may declare several licences,
one for the text and one for a picture, and markup rarely says which is which. So all of them are returned, joined by
" AND ": whoever wants only one licence can compare the whole name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from resiliparse.parse.html import HTMLTree

from corpus.json_data import parse_json
from filters.rights.markup import attribute_of, select

if TYPE_CHECKING:
    from resiliparse.parse.html import ElementNode

OTHER = "other"
"""The name of a licence that is declared by a URL or text that we do not know."""

_MOST_URL, _MOST_JSON = 500, 1 << 20

_CC = re.compile(
    r"creativecommons\.org/(?:licenses|licences|publicdomain|choose)/([a-z+-]+)(?:/(\d\.\d))?(?:/([a-z]{2,3}|scotland)(?![a-z]))?"
)
_CC_NAME = re.compile(r"\bcc[\s_-]*(by(?:[\s_-]+(?:nc|nd|sa))*)(?:[\s_-]+(\d\.\d))?\b")
_CC_LONG_NAME = re.compile(
    r"creative[\s_-]*commons[\s_-]+attribution((?:[\s_-]+(?:non-?commercial|share-?alike|no-?deriv[a-z]*))*)(?:[\s_-]+(\d\.\d))?"
)
"""The name in words, as in the address of Wikipedia's copy of its licence."""
_CC_ZERO = re.compile(r"\bcc[\s_-]*(?:0|zero)\b")
_PARTS = ("by", "nc", "nd", "sa")
_KNOWN = [
    (re.compile(pattern), name)
    for pattern, name in (
        (r"gnu\.org/(?:licenses|copyleft)/(?:old-licenses/)?fdl", "GFDL"),
        (r"gnu\.org/(?:licenses|copyleft)/(?:old-licenses/)?gpl", "GPL"),
        (r"apache\.org/licenses/license-2\.0", "Apache-2.0"),
        (r"opensource\.org/licenses?/mit\b", "MIT"),
        (r"opensource\.org/licenses?/apache-2\.0", "Apache-2.0"),
        (r"opendatacommons\.org/licenses/odbl", "ODbL-1.0"),
        (r"opendatacommons\.org/licenses/by\b", "ODC-By-1.0"),
        (r"opendatacommons\.org/licenses/pddl", "PDDL-1.0"),
        (r"nationalarchives\.gov\.uk/doc/open-government-licence/version/1", "OGL-UK-1.0"),
        (r"nationalarchives\.gov\.uk/doc/open-government-licence/version/2", "OGL-UK-2.0"),
        (r"nationalarchives\.gov\.uk/doc/open-government-licence/version/3", "OGL-UK-3.0"),
        (r"govdata\.de/dl-de/by-2-0", "DL-DE-BY-2.0"),
        (r"^mit$|^mit license$", "MIT"),
        (r"^apache[ -]2\.0$", "Apache-2.0"),
    )
]

_TAGS = ", ".join(
    [
        *(f'[{name}*="license" i]' for name in ("rel", "itemprop", "property")),
        *(f'meta[name*="{word}" i]' for word in ("license", "rights")),
        'script[type="application/ld+json" i]',
        'a[href*="creativecommons.org/" i]',
    ]
)
"""The tags that may declare a licence. One search for all of them is several times as fast as a search for each."""
_METAS = {"dcterms.license", "dc.license", "dc.rights.license", "dc:license", "dcterms:license", "license"}
_RIGHTS_METAS = {"dcterms.rights", "dc.rights"}
"""Meta tags that may name a licence, but mostly name an owner. They count only for a licence that we know."""
_PROPERTIES = {"license", "dc:license", "dct:license", "dcterms:license", "cc:license", "schema:license"}
_MEDIA = re.compile(r"(?:image|video|audio|media|music|sound|photo|software|dataset|3dmodel)", re.IGNORECASE)
"""The types of schema.org whose licence is not that of the page's text."""


def license_of(tree: HTMLTree) -> tuple[str, str]:
    """Return the licences of a page and how they are declared (rel, meta, schema or link), or two empty texts."""
    found: dict[str, dict[str, None]] = {"rel": {}, "meta": {}, "schema": {}, "link": {}}
    for tag in select(tree, _TAGS):
        if "license" in attribute_of(tag, "rel").lower().split():
            found["rel"][license_name(attribute_of(tag, "href"))] = None
        else:
            found["meta"] |= dict.fromkeys(_in_meta(tag))
            found["schema"] |= dict.fromkeys(_in_schema(tag))
            found["link"] |= dict.fromkeys(_in_link(tag))
    declared = {how: names for how, names in found.items() if names and how != "link"} or {"link": found["link"]}
    names = set().union(*declared.values())
    return " AND ".join(sorted(names)), "+".join(sorted(declared)) if names else ""


def license_name(text: str) -> str:
    """Return the name of a licence from its URL or name, or `other`."""
    text = unquote(text[:_MOST_URL]).strip().lower()
    if found := _CC.search(text):
        return _cc_name(found[1], found[2] or "", found[3] or "")
    for pattern, name in _KNOWN:
        if pattern.search(text):
            return name
    if found := _CC_NAME.search(text):
        return _cc_name(re.sub(r"[\s_]+", "-", found[1]), found[2] or "", "")
    if found := _CC_LONG_NAME.search(text):
        parts = [part for word, part in (("commercial", "nc"), ("deriv", "nd"), ("alike", "sa")) if word in found[1]]
        return _cc_name("-".join(["by", *parts]), found[2] or "", "")
    return "CC0-1.0" if _CC_ZERO.search(text) else OTHER


def _cc_name(kind: str, version: str, place: str) -> str:
    """Return the name of a licence of Creative Commons, with the version and place that its URL has."""
    if kind in ("zero", "mark", "publicdomain"):
        return {"zero": "CC0-1.0", "mark": "CC-PDM-1.0"}.get(kind, "CC-PDDC")
    parts = [part for part in kind.split("-") if part]
    if not parts or not set(parts) <= set(_PARTS):
        return f"CC-{kind.strip('-').capitalize()}" if kind.strip("-") in ("sampling", "sampling+") else OTHER
    # version 1.0 also wrote by-nd-nc; SPDX has one order
    names = [*sorted(set(parts), key=_PARTS.index), version, place]
    return "-".join(["CC", *(name.upper() for name in names if name)])


def _in_meta(tag: ElementNode) -> Iterator[str]:
    name, content = attribute_of(tag, "name").strip().lower(), attribute_of(tag, "content")
    if content.strip() and name in _METAS | _RIGHTS_METAS:
        found = license_name(content)
        if name in _METAS or found != OTHER:
            yield found


def _in_schema(tag: ElementNode) -> Iterator[str]:
    if tag.tag == "script":
        yield from _in_json(tag.text or "")
        return
    properties = f"{attribute_of(tag, 'itemprop')} {attribute_of(tag, 'property')}".lower().split()
    if not _PROPERTIES.isdisjoint(properties) and not _in_media(tag):
        value = attribute_of(tag, "href") or attribute_of(tag, "content") or tag.text or ""
        if value.strip():
            yield license_name(value)


def _in_link(tag: ElementNode) -> Iterator[str]:
    if tag.tag == "a" and (name := license_name(attribute_of(tag, "href"))) != OTHER:
        yield name


def _in_media(tag: Any) -> bool:
    """Return True if a tag describes a picture or the like, and not the page."""
    while hasattr(tag, "getattr"):  # the document above all elements has no attributes
        if kind := attribute_of(tag, "itemtype") or attribute_of(tag, "typeof"):
            return bool(_MEDIA.search(kind))
        tag = tag.parent
    return False


def _in_json(text: str) -> Iterator[str]:
    if '"license"' not in text or len(text) > _MOST_JSON:
        return
    try:
        waiting = [parse_json(text)]
    except ValueError:
        return
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict) and not _MEDIA.search(str(one.get("@type", ""))):
            yield from map(license_name, _texts(one.get("license")))
            waiting += [inner for name, inner in one.items() if name != "license"]


def _texts(value: Any) -> Iterable[str]:
    """Return the texts of a value of JSON-LD: a text, an object with a URL or name, or a list of these."""
    values = value if isinstance(value, list) else [value]
    named = [one.get("url") or one.get("@id") or one.get("name") if isinstance(one, dict) else one for one in values]
    return (one for one in named if isinstance(one, str) and one.strip())
