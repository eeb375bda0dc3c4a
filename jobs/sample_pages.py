"""Pages of the sample crawl as sites build them: a text amid menus, teasers, scripts, banners and footers.

    site = pick_site(rng, "en", "news")
    html = render(rng, site, article)
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from random import Random
from typing import Any

from jobs.sample_text import TOPICS_BY_KIND, Article, load_sites, load_topics, load_words, spin, write_article

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
    return frame(rng, site, article.title, _MAINS[site.kind](rng, site, article, extra), article)


def frame(rng: Random, site: Site, title: str, main: str, article: Article | None = None) -> str:
    """A whole page around `main`: head, menus, banner, side bar, footer and scripts."""
    words = site.words
    menu = "".join(f'<li class="menu-item"><a href="/{i}/">{escape(w)}</a></li>' for i, w in enumerate(words["menu"]))
    buttons = "".join(f'<button type="button" class="btn">{escape(w)}</button>' for w in words["accept"])
    footer = "".join(f'<a href="/{i}/">{escape(w)}</a> | ' for i, w in enumerate(words["menu"][-2:]))
    return f"""<!DOCTYPE html>
<html lang="{site.language}">
<head>
<meta charset="utf-8">
<title>{escape(title)} | {escape(site.name)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta property="og:site_name" content="{escape(site.name)}">
<meta property="og:title" content="{escape(title)}">
<link rel="stylesheet" href="/assets/site.{rng.randint(1000, 9999)}.css">
<style>body{{margin:0;font:16px/1.5 serif}}.site-nav li{{display:inline-block;padding:0 .6em}}.btn{{border:0}}</style>
<script>window.dataLayer=window.dataLayer||[];function track(){{dataLayer.push(arguments)}}track("page",{rng.randint(1, 9**9)});</script>
{_json_ld(site, title, article)}</head>
<body class="{site.kind} page-{rng.randint(1, 999)}">
<div id="cookie-consent" class="cookie-banner" role="dialog"><p>{escape(words["cookies"])}</p>{buttons}</div>
<header class="site-header"><a class="logo" href="/">{escape(site.name)}</a>
<nav class="site-nav"><ul>{menu}</ul></nav>
<form class="search" action="/search"><input type="search" name="q" placeholder="{escape(words["search"])}"></form>
</header>
<div class="layout">
<main id="content">
{main}
</main>
{_sidebar(rng, site)}
</div>
<footer class="site-footer"><p>{footer}</p><p>&copy; {rng.randint(2008, 2023)} {escape(site.name)}. {escape(words["rights"])}</p></footer>
<script src="/assets/app.js" async></script>
<script>document.addEventListener("DOMContentLoaded",function(){{var b=document.getElementById("cookie-consent");if(b){{b.hidden=false}}}});</script>
</body>
</html>
"""


def paragraphs(article: Article, extra: str = "") -> str:
    """The text of an article as <p> elements."""
    first, *rest = (f"<p>{escape(p, quote=False)}</p>" for p in article.paragraphs)
    return "\n".join([first, *([extra] if extra else []), *rest])


def teasers(rng: Random, site: Site, count: int) -> list[str]:
    """Titles of other pages of the site."""
    return [write_article(rng, site.language, topic_for(rng, site), bodies=(0, 0)).title for _ in range(count)]


def date_line(rng: Random, site: Site) -> str:
    """A date as the site's language writes it, more or less."""
    return f"{rng.randint(1, 28)} {rng.choice(site.words['months'])} {rng.randint(2012, 2023)}"


def _slug(title: str) -> str:
    ascii_title = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return "-".join(_NO_SLUG.sub(" ", ascii_title).split()[:8])


def _json_ld(site: Site, title: str, article: Article | None) -> str:
    if article is None:
        return ""
    data = {"@context": "https://schema.org", "@type": "Article", "headline": title, "publisher": site.name}
    text = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    return f'<script type="application/ld+json">{text}</script>\n'


def _sidebar(rng: Random, site: Site) -> str:
    words = site.words
    links = "".join(f'<li><a href="/x/{rng.randint(1, 9999)}">{escape(t)}</a></li>' for t in teasers(rng, site, 4))
    return f"""<aside class="sidebar"><div class="widget"><h3>{escape(words["popular"])}</h3><ul>{links}</ul></div>
<div class="widget newsletter"><p>{escape(words["newsletter"])}</p><form><input type="email" name="email"></form></div></aside>"""


def _share(site: Site) -> str:
    links = "".join(f'<a class="share-link" href="#">{escape(w)}</a> ' for w in site.words["share"])
    return f'<div class="share-buttons social">{links}</div>'


def _related(rng: Random, site: Site) -> str:
    cards = "".join(f'<li class="card"><a href="/r/{rng.randint(1, 9999)}">{escape(t)}</a></li>' for t in teasers(rng, site, 3))
    return f'<section class="related-posts"><h3>{escape(site.words["related"])}</h3><ul>{cards}</ul></section>'


def _news(rng: Random, site: Site, article: Article, extra: str) -> str:
    words = site.words
    return f"""<article class="story"><nav class="breadcrumb"><a href="/">{escape(words["menu"][0])}</a> &raquo; <a href="/1/">{escape(words["menu"][1])}</a></nav>
<h1 class="headline">{escape(article.title)}</h1>
<div class="byline">{escape(words["by"])} <span class="author">{escape(article.author)}</span>, <time>{date_line(rng, site)}</time></div>
<figure><img src="/img/{rng.randint(1, 9999)}.jpg" alt=""></figure>
<div class="article-body">
{paragraphs(article, extra)}
</div>
{_share(site)}</article>
{_related(rng, site)}"""


def _blog(rng: Random, site: Site, article: Article, extra: str) -> str:
    words = site.words
    return f"""<article class="post hentry"><header class="entry-header"><h1 class="entry-title">{escape(article.title)}</h1>
<p class="entry-meta">{escape(words["published"])} {date_line(rng, site)}</p></header>
<div class="entry-content">
{paragraphs(article, extra)}
</div>
<footer class="entry-footer">{_share(site)}</footer></article>
<div id="comments" class="comments-area"><h2>{escape(words["comments"])} (2)</h2><ol class="comment-list">
<li class="comment"><p>Thanks, lovely post!!</p></li><li class="comment"><p>first</p></li></ol></div>"""


def _forum(rng: Random, site: Site, article: Article, extra: str) -> str:
    rows = []
    for i, post in enumerate(article.paragraphs):
        user = f"{rng.choice(('lime', 'joist', 'chimney', 'slate', 'mason', 'gable'))}{rng.randint(2, 99)}"
        body = f"<p>{escape(post, quote=False)}</p>" + (extra if i == 0 else "")
        rows.append(
            f'<div class="topic-post" id="p{i}"><div class="topic-user"><a href="/u/{user}">{user}</a></div>'
            f'<div class="topic-date">{date_line(rng, site)}</div><div class="topic-body">{body}</div></div>'
        )
    return f'<h1 class="thread-title">{escape(article.title)}</h1>\n<div class="thread">\n' + "\n".join(rows) + "\n</div>"


_PANTRY = (
    "2 onions, chopped", "1 clove of garlic", "3 tablespoons of olive oil", "200 g pearl barley", "1 lemon",
    "a handful of hazelnuts", "salt and black pepper", "4 sprigs of thyme", "1 litre of vegetable stock",
    "800 g of squash or carrots", "2 sticks of celery", "1 teaspoon of cumin", "a splash of cider vinegar",
)  # fmt: skip


def _recipe(rng: Random, site: Site, article: Article, extra: str) -> str:
    things = "".join(f"<li>{thing}</li>" for thing in rng.sample(_PANTRY, 7))
    lead, *steps, last = (f"<p>{escape(p, quote=False)}</p>" for p in article.paragraphs)
    return f"""<article class="recipe"><h1>{escape(article.title)}</h1>
<p class="meta">{rng.randint(2, 6)} servings, {rng.randint(35, 90)} minutes</p>
{lead}
{extra}
<h2>Ingredients</h2><ul class="ingredients">{things}</ul>
<h2>Method</h2>
{"".join(steps)}
{last}
{_share(site)}</article>"""


def _shop(rng: Random, site: Site, article: Article, extra: str) -> str:
    price = f"{rng.randint(19, 149)}.90"
    return f"""<div class="product"><h1 class="product-title">{escape(article.title)}</h1>
<div class="buy-box"><span class="price">&euro; {price}</span><button class="btn add-to-cart">Add to basket</button></div>
<div class="product-description">
{paragraphs(article, extra)}
</div>
<table class="specs"><tr><th>Weight</th><td>{rng.randint(300, 1900)} g</td></tr><tr><th>Colours</th><td>{rng.randint(2, 5)}</td></tr>
<tr><th>Guarantee</th><td>{rng.randint(5, 12)} years</td></tr></table></div>
{_related(rng, site)}"""


def _docs(rng: Random, site: Site, article: Article, extra: str) -> str:
    lead, *rest = (f"<p>{escape(p, quote=False)}</p>" for p in article.paragraphs)
    heads = rng.sample(("Before you begin", "How it works", "Schedule", "Off site copies", "Restoring", "Reports"), 3)
    half = len(rest) // 2
    return f"""<nav class="toc"><ul>{"".join(f'<li><a href="#s{i}">{h}</a></li>' for i, h in enumerate(heads))}</ul></nav>
<article class="doc"><h1>{escape(article.title)}</h1>
{lead}
{extra}
<h2 id="s0">{heads[0]}</h2>
{"".join(rest[:half])}
<pre><code>keepsafe verify --all --since {rng.randint(2, 60)}d</code></pre>
<h2 id="s1">{heads[1]}</h2>
{"".join(rest[half:])}
</article>"""


_MAINS: dict[str, Callable[[Random, Site, Article, str], str]] = {
    "news": _news,
    "blog": _blog,
    "forum": _forum,
    "recipe": _recipe,
    "shop": _shop,
    "docs": _docs,
}


def home_page(rng: Random, site: Site) -> str:
    """The start page of an English news site or blog: teasers that end in an ellipsis, and links."""
    cards = []
    for topic in rng.sample(TOPICS_BY_KIND[site.kind], 8):
        article = write_article(rng, site.language, topic, bodies=(0, 0))
        cut = " ".join(article.paragraphs[0].split()[: rng.randint(14, 22)]).rstrip(".,;:")
        cards.append(f'<div class="teaser"><h2><a href="/{_slug(article.title)}">{escape(article.title)}</a></h2><p>{escape(cut)} …</p></div>')
    return frame(rng, site, site.name, "\n".join(cards))


def login_page(rng: Random, site: Site) -> str:
    """A form and nothing to read."""
    form = """<form class="login" method="post" action="/session"><label>User name <input name="user"></label>
<label>Password <input type="password" name="pass"></label><button>Sign in</button> <a href="/reset">Forgotten?</a></form>"""
    return frame(rng, site, "Sign in", form)


def gallery_page(rng: Random, site: Site) -> str:
    """Pictures with captions of two words."""
    names = {"p1": "", "t1": rng.choice(site.words["towns"])}
    figures = "".join(
        f'<figure class="tile"><img src="/g/{i}.jpg" alt=""><figcaption>{spin(rng, "{Harbour|Bridge|Old mill|Square} {at dawn|in snow|, <t1>}", names)}</figcaption></figure>'
        for i in range(12)
    )
    return frame(rng, site, "Pictures", f'<h1>Pictures</h1><div class="gallery">{figures}</div>')
