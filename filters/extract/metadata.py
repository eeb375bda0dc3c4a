"""What a page says about itself: its title, the day on which it was published, and the article in its scripts."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from native import kernels

MOST_TITLE_CHARS = 500
LEAST_WORDS = 3
"""A heading of at least so many words is the title if the page's title has half of them."""
MOST_BLOCKS = 400
MOST_DAY_CHARS = 90
"""A day is looked for in short texts of the first part of the page, if the page does not state one to programs."""

_SEPARATOR = re.compile(r"\s+[|–—·•»:›-]+\s+|\s*[|»›]\s*|: ")
_SPACES = re.compile(r"\s+")
_DAY = re.compile(r"\s*(\d{4})[-/.]?(\d{2})[-/.]?(\d{2})(?!\d)")
_URL_DAY = re.compile(r"/(\d{4})[/-]?(\d{1,2})[/-]?(\d{1,2})(?:/|-|$)")
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_NAMED_DAY = re.compile(
    rf"\b(?:(?P<iso>\d{{4}}-\d\d-\d\d)"
    rf"|(?P<month>{'|'.join(_MONTHS)})[a-z]*\.? (?P<day>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<year>\d{{4}})"
    rf"|(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?\.? (?P<month2>{'|'.join(_MONTHS)})[a-z]*\.?,? (?P<year2>\d{{4}}))\b",
    re.IGNORECASE,
)
_STATED = (
    "article:published_time", "datepublished", "date.published", "og:published_time", "og:article:published_time",
    "article:published", "publish-date", "publish_date", "published_time", "published-date", "pubdate", "publishdate",
    "parsely-pub-date", "sailthru.date", "dc.date.issued", "dc.date.created", "dcterms.created", "dcterms.issued",
    "dc.date", "dcterms.date", "citation_publication_date", "citation_date", "date", "datecreated", "uploaddate",
    "cludo:date",
    "ms.date", "created", "article.published", "article.created", "release_date", "shareaholic:article_published_time",
)  # fmt: skip
"""The names under which pages state the day, the surest first."""
_CHANGED = ("article:modified_time", "datemodified", "og:updated_time", "last-modified", "dcterms.modified")
"""The names under which pages state the day of their last change, which is often that of publication."""
_LINKED = ("datePublished", "dateCreated", "uploadDate")


class Metadata(NamedTuple):
    title: str | None
    published: str | None
    """YYYY-MM-DD."""


def metadata_of(page: kernels.Page, url: str) -> Metadata:
    """Return what a page says about itself. A part is None if the page does not say it."""
    return Metadata(_title(page) or None, _published(page, url))


def _title(page: kernels.Page) -> str:
    """Return the heading that the page's title has too, or else the title without the name of the site."""
    stated = {name.lower(): text for name, text in reversed(page.statements())}
    title, shared = _plain(page.title()), _plain(stated.get("og:title", "") or stated.get("twitter:title", ""))
    site = _plain(stated.get("og:site_name", ""))
    headings = [_plain(text) for level, text in page.headings() if level == 1]
    known = set(_key(f"{title} {shared}").split())
    for heading in headings:
        words = _key(heading).split()
        if (
            len(words) >= LEAST_WORDS
            and 2 * sum(word in known for word in words) >= len(words)
            and words != _key(site).split()
        ):
            return heading
    for heading in headings:  # a short heading must be a part of the title as it is
        if _key(heading) and _key(heading) in _key(f"{title} {shared}") and _key(heading) != _key(site):
            return heading
    return _without_site(shared or title, site) or next(filter(None, headings), "")


def _plain_line(text: str) -> str:
    return _SPACES.sub(" ", text).strip()


def _plain(text: str) -> str:
    return _plain_line(text)[:MOST_TITLE_CHARS]


def _key(text: str) -> str:
    return re.sub(r"\W+", " ", text.lower()).strip()


def _without_site(text: str, site: str) -> str:
    """Remove the name of the site after the last separator: the part that `site` names, or the shorter end."""
    parts = _SEPARATOR.split(text)
    if len(parts) < 2:
        return text
    marks = list(_SEPARATOR.finditer(text))
    if site and _key(parts[-1]) == _key(site):
        return text[: marks[-1].start()]
    if site and _key(parts[0]) == _key(site):
        return text[marks[0].end() :]
    if marks[-1].group().strip() in (":", "-") and len(parts[-1].split()) > 3:
        return text
    return text[: marks[-1].start()] if len(parts[-1]) < len(text[: marks[-1].start()]) else text


def _published(page: kernels.Page, url: str) -> str | None:
    stated: dict[str, str] = {}
    for name, text in page.statements():
        stated.setdefault(name.lower(), text)
    return next(filter(None, _days(page, stated, url)), None)


def _days(page: kernels.Page, stated: Mapping[str, str], url: str) -> Iterator[str | None]:
    """Yield the days that a page gives, the surest first."""
    yield from (_day(stated[name]) for name in _STATED[:1] if name in stated)
    yield from map(_day, _linked_days(page.linked_data()))
    yield from (_day(stated[name]) for name in _STATED[1:] if name in stated)
    yield from map(_day, page.times()[:1])
    short = (text for text in page.texts()[:MOST_BLOCKS] if len(text) <= MOST_DAY_CHARS)
    yield from (_day(text) for text in short if _NAMED_DAY.search(text))
    if found := _URL_DAY.search(url):
        yield _valid(*map(int, found.groups()))
    yield from (_day(stated[name]) for name in _CHANGED if name in stated)


def article_body(html: bytes) -> str:
    """Return the longest article that the page's JSON-LD holds, or ""."""
    bodies = [body for script in kernels.Page(html, "").linked_data() for body in _values(script, ("articleBody",))]
    body = max((text for _, text in bodies), key=len, default="")
    if "<" in body:  # the article may be HTML itself
        page = kernels.Page(body.encode("utf-8", "replace"), "")
        return page.render([True] * len(page.texts()))
    return "\n".join(filter(None, map(_plain_line, body.split("\n"))))


def _linked_days(scripts: Sequence[str]) -> Iterator[str]:
    """Yield the days that JSON-LD states, those of the first name first."""
    found = [entry for script in scripts for entry in _values(script, _LINKED)]
    for name in _LINKED:
        yield from (text for key, text in found if key == name)


def _values(script: str, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the texts that a script of JSON-LD has under some names, those of outer objects first."""
    try:
        waiting: deque[Any] = deque([json.loads(script, strict=False)])
    except (ValueError, RecursionError):
        return
    while waiting:
        item = waiting.popleft()
        if isinstance(item, dict):
            yield from ((name, item[name]) for name in names if isinstance(item.get(name), str))
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item


def _day(text: str) -> str | None:
    if found := _DAY.match(text):
        return _valid(*map(int, found.groups()))
    if found := _NAMED_DAY.search(text):
        if found["iso"]:
            return _valid(*map(int, found["iso"].split("-")))
        month = found["month"] or found["month2"]
        return _valid(
            int(found["year"] or found["year2"]),
            _MONTHS.index(month[:3].lower()) + 1,
            int(found["day"] or found["day2"]),
        )
    return None


def _valid(year: int, month: int, day: int) -> str | None:
    """Return the day if there was one after the first web page."""
    try:
        return date(year, month, day).isoformat() if year >= 1990 else None
    except ValueError:
        return None
