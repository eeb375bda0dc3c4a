"""Pages of the sample crawl as sites build them: a text amid menus, teasers, scripts, banners and footers.

    page = article_page(rng, site=pick_site(rng, "en", "news"))

The HTML is in templates in `data/`. The template of a site's kind goes into frame.html.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from html import escape
from random import Random
from string import Template

from jobs.sample.phrases import Article, load_toml, load_topics, read_data, write_article
from jobs.sample.sample_page import KEPT, SamplePage

_NO_SLUG = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Site:
    """A host, and what all its pages show."""

    host: str
    name: str
    kind: str
    language: str
    words: dict[str, list[str]]
    """Lists of menu items, buttons and months in the site's language."""
    labels: dict[str, str]
    """Texts of banners and boxes in the site's language."""

    @property
    def topics(self) -> list[str]:
        """The topics that the site writes about."""
        topics: list[str] = load_toml("kinds.toml")["topics"][self.kind]
        return topics if self.language == "en" else sorted(load_topics(self.language))

    def article(self, rng: Random, bodies: tuple[int, int] = (5, 7)) -> Article:
        """Write an article for the site."""
        return write_article(rng, self.language, rng.choice(self.topics), bodies)

    def url(self, rng: Random, title: str) -> str:
        """Make a new address for a page with this title."""
        year, month, number = rng.randint(2012, 2023), rng.randint(1, 12), rng.randint(10_000, 999_999)
        ascii_title = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
        slug = "-".join(_NO_SLUG.sub(" ", ascii_title).split()[:8]) or f"a{number}"
        path = load_toml("kinds.toml")["paths"][self.kind]
        return f"https://{self.host}{path.format(slug=slug, year=year, month=month, number=number)}"


def pick_site(rng: Random, language: str = "en", *kinds: str) -> Site:
    """Pick a site in this language: of one of these kinds, or of any kind if none is given."""
    sites: dict[str, list[list[str]]] = load_toml("sites.toml")[language]
    if kinds:
        kind = rng.choice(kinds) if len(kinds) > 1 else kinds[0]
    else:
        [kind] = rng.choices(sorted(sites), [len(sites[kind]) for kind in sorted(sites)])
    host, name = rng.choice(sites[kind])
    return Site(host, name, kind, language, load_toml("words.toml")[language], load_toml("labels.toml")[language])


def article_page(
    rng: Random, intent: str = KEPT, *, site: Site | None = None, article: Article | None = None, extra: str = "",
    language: str = "en", notes: tuple[str, ...] = (),
) -> SamplePage:  # fmt: skip
    """Make an ordinary page with an article. `extra` is HTML that follows the first paragraph."""
    site = site or pick_site(rng, language)
    article = article or site.article(rng)
    html = frame(rng, site, article.title, _main(rng, site, article, extra), linked=True)
    absent = (site.labels["cookies"], site.labels["newsletter"])
    middle = article.paragraphs[len(article.paragraphs) // 2]
    return SamplePage(site.url(rng, article.title), intent, site.language, notes, (middle,), absent, body=html.encode())


def _main(rng: Random, site: Site, article: Article, extra: str) -> str:
    """The main part of an article's page."""
    words = site.words
    lead, *rest = map(paragraph, article.paragraphs)
    half = len(rest) // 2
    heads = rng.sample(words.get("heads", ["", ""]), 2)
    return fill(
        site.kind,
        site,
        title=escape(article.title),
        author=escape(article.author),
        date=_date(rng, site),
        number=rng.randint(1, 9999),
        servings=rng.randint(2, 9),
        minutes=rng.randint(24, 90),
        home=escape(words["menu"][0]),
        section=escape(words["menu"][1]),
        head0=heads[0],
        head1=heads[1],
        lead=f"{lead}\n{extra}" if extra else lead,
        first_half="\n".join(rest[:half]),
        second_half="\n".join(rest[half:]),
        ingredients="".join(map("<li>{}</li>".format, rng.sample(words["pantry"], 7) if site.kind == "recipe" else ())),
        posts=_posts(rng, site, article, extra) if site.kind == "forum" else "",
        share="".join(f'<a class="share-link" href="#">{escape(w)}</a> ' for w in words["share"]),
        related_links=_links(rng, _teasers(rng, site, 3)),
    )


def frame(rng: Random, site: Site, title: str, main: str, linked: bool = False) -> str:
    """Build a whole page around `main`: head, menus, banner, side bar, footer and scripts. `linked` adds JSON-LD."""
    menu = site.words["menu"]
    data = {"@context": "https://schema.org", "@type": "Article", "headline": title, "publisher": site.name}
    linked_data = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    return fill(
        "frame",
        site,
        main=main,
        language=site.language,
        kind=site.kind,
        title=escape(title),
        site=escape(site.name),
        number=rng.randint(1000, 9999),
        year=rng.randint(2008, 2023),
        linked_data=f'<script type="application/ld+json">{linked_data}</script>' if linked else "",
        buttons="".join(f'<button type="button" class="btn">{escape(w)}</button>' for w in site.words["accept"]),
        menu=_links(rng, menu),
        footer_links=" | ".join(f'<a href="/{i}/">{escape(w)}</a>' for i, w in enumerate(menu[-2:])),
        popular_links=_links(rng, _teasers(rng, site, 4)),
    )


def paragraph(text: str) -> str:
    """Make a <p> of a plain text."""
    return f"<p>{escape(text, quote=False)}</p>"


def _teasers(rng: Random, site: Site, count: int) -> list[str]:
    """Titles of other pages of the site."""
    return [site.article(rng, bodies=(0, 0)).title for _ in range(count)]


def _posts(rng: Random, site: Site, article: Article, extra: str) -> str:
    posts = []
    for i, text in enumerate(article.paragraphs):
        user = f"{rng.choice(('lime', 'joist', 'chimney', 'slate', 'mason', 'gable'))}{rng.randint(2, 99)}"
        text = paragraph(text) + (extra if i == 0 else "")
        posts.append(fill("post", site, number=i, user=user, date=_date(rng, site), text=text))
    return "".join(posts)


def _date(rng: Random, site: Site) -> str:
    return f"{rng.randint(1, 28)} {rng.choice(site.words['months'])} {rng.randint(2012, 2023)}"


def _links(rng: Random, labels: list[str]) -> str:
    return "".join(f'<li><a href="/x/{rng.randint(1, 9999)}">{escape(label)}</a></li>' for label in labels)


def fill(template: str, site: Site, /, **values: object) -> str:
    """Fill a template with the site's labels and these values."""
    labels = {key: escape(label) for key, label in site.labels.items()}
    return Template(read_data(f"{template}.html")).substitute(labels, **values)
