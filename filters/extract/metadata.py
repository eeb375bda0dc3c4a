"""What a page says about itself: its title and the day on which it was published."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, NamedTuple

from native import kernels

MOST_TITLE_CHARS = 500
MOST_BLOCKS = 150
MOST_DAY_CHARS = 90
"""A day is looked for in short texts of the first part of the page, if the page does not state one to programs."""
_SEPARATOR = re.compile(r"\s+[|–—·•»:›-]+\s+|\s*[|»›]\s*|: ")
_SPACES = re.compile(r"\s+")
_DAY = re.compile(r"\s*(\d{4})[-/.]?(\d{2})[-/.]?(\d{2})(?!\d)")
_URL_DAY = re.compile(r"/(\d{4})[/-]?(\d{1,2})[/-]?(\d{1,2})(?:/|-|$)")
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_NAMED_DAY = re.compile(
    rf"\b(?:(?P<month>{'|'.join(_MONTHS)})[a-z]*\.? (?P<day>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<year>\d{{4}})"
    rf"|(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?\.? (?P<month2>{'|'.join(_MONTHS)})[a-z]*\.?,? (?P<year2>\d{{4}}))\b",
    re.IGNORECASE,
)
_STATED = (
    "article:published_time", "datepublished", "date.published", "og:published_time", "og:article:published_time",
    "article:published", "publish-date", "publish_date", "published_time", "published-date", "pubdate", "publishdate",
    "parsely-pub-date", "sailthru.date", "dc.date.issued", "dc.date.created", "dcterms.created", "dcterms.issued", "dc.date",
    "dcterms.date", "citation_publication_date", "citation_date", "date", "datecreated", "uploaddate", "cludo:date",
    "created", "article.published", "article.created", "release_date", "shareaholic:article_published_time",
)  # fmt: skip
"""The names under which pages state the day, the surest first."""
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
    headings = [text for level, text in page.headings() if level == 1]
    site = _plain(stated.get("og:site_name", ""))
    known = f"{_key(title)} {_key(shared)}"
    for heading in map(_plain, headings):
        if heading and _key(heading) and _key(heading) in known and _key(heading) != _key(site):
            return heading
    shared = _without_site(shared, site, shared if title == shared else title)
    return shared or _without_site(title, site, title) or (_plain(headings[0]) if headings else "")


def _plain(text: str) -> str:
    return _SPACES.sub(" ", text).strip()[:MOST_TITLE_CHARS]


def _key(text: str) -> str:
    return re.sub(r"\W+", " ", text.lower()).strip()


def _without_site(text: str, site: str, title: str) -> str:
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
    days: list[str | None] = [_day(stated[name]) for name in _STATED[:1] if name in stated]
    days += [_day(text) for text in _linked_days(page.linked_data())]
    days += [_day(stated[name]) for name in _STATED if name in stated]
    days += [_day(text) for text in page.times()[:1]]
    days += [_day(text) for text in page.texts()[:MOST_BLOCKS] if len(text) <= MOST_DAY_CHARS and _NAMED_DAY.search(text)]
    if found := _URL_DAY.search(url):
        days.append(_valid(*map(int, found.groups())))
    return next(filter(None, days), None)


def _linked_days(scripts: Sequence[str]) -> Iterator[str]:
    """Yield the days that JSON-LD states, those of the first name first."""
    found: dict[str, list[str]] = {name: [] for name in _LINKED}
    for script in scripts:
        try:
            waiting: list[Any] = [json.loads(script, strict=False)]
        except (ValueError, RecursionError):
            for name in _LINKED:
                found[name] += re.findall(rf'"{name}"\s*:\s*"([^"]{{8,40}})"', script)
            continue
        while waiting:
            item = waiting.pop(0)
            if isinstance(item, dict):
                for name in _LINKED:
                    if isinstance(item.get(name), str):
                        found[name].append(item[name])
                waiting += item.values()
            elif isinstance(item, list):
                waiting += item
    for name in _LINKED:
        yield from found[name]


def _day(text: str) -> str | None:
    if found := _DAY.match(text):
        return _valid(*map(int, found.groups()))
    if found := _NAMED_DAY.search(text):
        month = found["month"] or found["month2"]
        return _valid(int(found["year"] or found["year2"]), _MONTHS.index(month[:3].lower()) + 1, int(found["day"] or found["day2"]))
    return None


def _valid(year: int, month: int, day: int) -> str | None:
    """Return the day if there was one after the first web page."""
    try:
        return date(year, month, day).isoformat() if year >= 1990 else None
    except ValueError:
        return None
