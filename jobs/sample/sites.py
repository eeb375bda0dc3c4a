"""Pages of the sample crawl as sites build them: a text amid menus, teasers, scripts, banners and footers.

    site = pick_site(rng, "en", "news")
    html = render(rng, site, article)

The HTML is in sample_data; a site's kind names its template, which goes into frame.html.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from html import escape
from random import Random
from string import Template
from typing import Any

from jobs.sample.phrases import (
    TOPICS_BY_KIND,
    Article,
    load_sites,
    load_topics,
    load_words,
    make_names,
    read_data,
    spin,
    write_article,
)

_NO_SLUG = re.compile(r"[^a-z0-9]+")
_PATHS = {
    "news": "/{year}/{month:02}/{slug}-{number}",
    "blog": "/{year}/{month:02}/{slug}/",
    "forum": "/t/{slug}/{number}",
    "recipe": "/recipes/{slug}-{number}/",
    "shop": "/p/{number}/{slug}",
    "docs": "/manual/{slug}-{number}.html",
}


@dataclass(frozen=True, slots=True)
class Site:
    """Where a page belongs: its host, and what all its pages show."""

    host: str
    name: str
    kind: str
    language: str

    @property
    def words(self) -> dict[str, Any]:
        """Labels of buttons and boxes, months and towns, in the site's language."""
        return load_words(self.language)

    def url(self, rng: Random, title: str) -> str:
        """A new address for a page with this title."""
        year, month, number = rng.randint(2012, 2023), rng.randint(1, 12), rng.randint(10_000, 999_999)
        slug = _slug(title) or f"a{number}"
        return f"https://{self.host}{_PATHS[self.kind].format(slug=slug, year=year, month=month, number=number)}"


def pick_site(rng: Random, language: str = "en", kind: str = "") -> Site:
    """One of the sites in this language, of this kind where it is given."""
    sites = load_sites(language)
    kind = kind or rng.choices(sorted(sites), [len(sites[kind]) for kind in sorted(sites)])[0]
    host, name = rng.choice(sites[kind])
    return Site(host, name, kind, language)


def topic_for(rng: Random, site: Site) -> str:
    """A topic that a site of this kind writes about."""
    return rng.choice(TOPICS_BY_KIND[site.kind] if site.language == "en" else sorted(load_topics(site.language)))


def render(rng: Random, site: Site, article: Article, extra: str = "") -> str:
    """The page of an article on a site; `extra` is HTML that follows the text's first paragraph."""
    words = site.words
    lead, *rest = (f"<p>{escape(p, quote=False)}</p>" for p in article.paragraphs)
    first = [lead, extra] if extra else [lead]
    half = len(rest) // 2
    heads = rng.sample(words.get("heads", ("", "")), 2)
    main = _fill(
        site.kind,
        title=escape(article.title),
        author=escape(article.author),
        date=_date(rng, site),
        number=rng.randint(1, 9999),
        servings=rng.randint(2, 9),
        minutes=rng.randint(24, 90),
        home=escape(words["menu"][0]),
        section=escape(words["menu"][1]),
        text="\n".join([*first, *rest]),
        first="\n".join(first),
        rest="\n".join(rest),
        half="\n".join(rest[:half]),
        other_half="\n".join(rest[half:]),
        head0=heads[0],
        head1=heads[1],
        ingredients=_items(rng.sample(words["pantry"], 7)) if site.kind == "recipe" else "",
        posts=_posts(rng, site, article, extra) if site.kind == "forum" else "",
        share="".join(f'<a class="share-link" href="#">{escape(w)}</a> ' for w in words["share"]),
        related_links=_links(rng, teasers(rng, site, 3)),
        **{key: escape(words[key]) for key in ("by", "published", "comments", "related")},
    )
    return frame(rng, site, article.title, main, linked=True)


def frame(rng: Random, site: Site, title: str, main: str, linked: bool = False) -> str:
    """A whole page around `main`: head, menus, banner, side bar, footer and scripts. `linked`: with JSON-LD."""
    words = site.words
    data = {"@context": "https://schema.org", "@type": "Article", "headline": title, "publisher": site.name}
    linked_data = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    return _fill(
        "frame",
        main=main,
        language=site.language,
        kind=site.kind,
        title=escape(title),
        site=escape(site.name),
        number=rng.randint(1000, 9999),
        year=rng.randint(2008, 2023),
        linked_data=f'<script type="application/ld+json">{linked_data}</script>' if linked else "",
        buttons="".join(f'<button type="button" class="btn">{escape(w)}</button>' for w in words["accept"]),
        menu=_links(rng, words["menu"]),
        footer_links=" | ".join(f'<a href="/{i}/">{escape(w)}</a>' for i, w in enumerate(words["menu"][-2:])),
        popular_links=_links(rng, teasers(rng, site, 4)),
        **{key: escape(words[key]) for key in ("cookies", "search", "popular", "newsletter", "rights")},
    )


def teasers(rng: Random, site: Site, count: int) -> list[str]:
    """Titles of other pages of the site."""
    return [write_article(rng, site.language, topic_for(rng, site), bodies=(0, 0)).title for _ in range(count)]


def home_page(rng: Random, site: Site) -> str:
    """The start page of an English news site or blog: teasers that end in an ellipsis, and links."""
    cards = []
    for topic in rng.sample(TOPICS_BY_KIND[site.kind], 8):
        article = write_article(rng, site.language, topic, bodies=(0, 0))
        cut = " ".join(article.paragraphs[0].split()[: rng.randint(14, 22)]).rstrip(".,;:")
        cards.append(_fill("teaser", number=rng.randint(1, 9999), title=escape(article.title), text=escape(cut)))
    return frame(rng, site, site.name, "\n".join(cards))


def login_page(rng: Random, site: Site) -> str:
    """A form and nothing to read."""
    return frame(rng, site, "Sign in", _fill("login"))


def gallery_page(rng: Random, site: Site) -> str:
    """Pictures with captions of two words."""
    names = make_names(rng)
    caption = "{Harbour|Bridge|Old mill|Square} {at dawn|in snow|, <t1>}"
    figures = "".join(
        f'<figure class="tile"><img src="/g/{i}.jpg"><figcaption>{spin(rng, caption, names)}</figcaption></figure>'
        for i in range(12)
    )
    return frame(rng, site, "Pictures", f'<h1>Pictures</h1><div class="gallery">{figures}</div>')


def _posts(rng: Random, site: Site, article: Article, extra: str) -> str:
    posts = []
    for i, text in enumerate(article.paragraphs):
        user = f"{rng.choice(('lime', 'joist', 'chimney', 'slate', 'mason', 'gable'))}{rng.randint(2, 99)}"
        text = f"<p>{escape(text, quote=False)}</p>" + (extra if i == 0 else "")
        posts.append(_fill("post", number=i, user=user, date=_date(rng, site), text=text))
    return "".join(posts)


def _date(rng: Random, site: Site) -> str:
    return f"{rng.randint(1, 28)} {rng.choice(site.words['months'])} {rng.randint(2012, 2023)}"


def _links(rng: Random, labels: Iterable[str]) -> str:
    return "".join(f'<li><a href="/x/{rng.randint(1, 9999)}">{escape(label)}</a></li>' for label in labels)


def _items(labels: Iterable[str]) -> str:
    return "".join(f"<li>{escape(label)}</li>" for label in labels)


def _slug(title: str) -> str:
    ascii_title = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return "-".join(_NO_SLUG.sub(" ", ascii_title).split()[:8])


def _fill(template: str, **values: object) -> str:
    return _template(template).substitute(values)


@cache
def _template(name: str) -> Template:
    return Template(read_data(f"{name}.html"))
