"""One page of the sample crawl: what the server answers, and what should become of it."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from jobs.sample.phrases import Article, write_article
from jobs.sample.sites import Site, pick_site, render, topic_for

HTML = "text/html; charset=utf-8"
KEPT = "kept"


@dataclass(slots=True)
class Page:
    """What a URL answers. `intent` is "kept", "damaged", "skipped", the `stage.measure` that drops it, or
    "duplicate_of:" and a URL.

    `notes` say what is special about it, such as "pii:email" or "charset:windows-1252". `contains` is text that the
    extraction must hold, `absent` what it must not; `secrets` what must not be in the corpus where PII is removed.
    Pages of one `cluster` are duplicates of each other.
    """

    url: str
    intent: str
    body: bytes
    language: str = "en"
    notes: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    cluster: str = ""
    status: str = "200 OK"
    content_type: str = HTML
    media_type: str = "text/html"
    """What the crawler found the payload to be."""
    headers: tuple[tuple[str, str], ...] = ()


def article_page(
    rng: Random, intent: str = KEPT, *, site: Site | None = None, article: Article | None = None, extra: str = "",
    language: str = "en", notes: tuple[str, ...] = (),
) -> Page:  # fmt: skip
    """An ordinary page with an article, from which others are made by changing something."""
    site = site or pick_site(rng, language)
    article = article or write_article(rng, site.language, topic_for(rng, site))
    html = render(rng, site, article, extra)
    absent = (site.words["cookies"], site.words["newsletter"])
    middle = article.paragraphs[len(article.paragraphs) // 2]
    return Page(
        site.url(rng, article.title), intent, html.encode(), site.language, notes, contains=(middle,), absent=absent
    )
