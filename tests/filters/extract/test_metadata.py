"""The title, the day of publication and the article that a page states."""

import json

import pytest

from filters.extract import Extract
from filters.extract.metadata import article_body, metadata_of
from native import kernels

URL = "https://site.example/post/1"


def metadata(html: str, url: str = URL):
    return metadata_of(kernels.Page(html.encode(), url), url)


TITLES = {
    "the heading that the title has": ("<title>A fine day | The Site</title><h1>A fine day</h1>", "A fine day"),
    "a heading with half of the title's words": (
        "<title>Ten fine days at sea - Site</title><h1>Ten fine days at sea in May</h1>", "Ten fine days at sea in May",
    ),
    "a heading of the site is none": (
        "<meta property='og:site_name' content='The Site'><title>A day - The Site</title><h1>The Site</h1>", "A day",
    ),
    "og:title": ("<meta property='og:title' content='A &amp; B'><title>A &amp; B at the Site</title>", "A & B"),
    "the title without the site": ("<title>The mill burns down | Site</title>", "The mill burns down"),
    "the site in front": ("<meta property='og:site_name' content='Site'><title>Site: The mill</title>", "The mill"),
    "a title of two parts": ("<title>The mill: how it burned down</title>", "The mill: how it burned down"),
    "only a heading": ("<h1>The  mill</h1>", "The mill"),
    "nothing": ("<p>text", None),
}  # fmt: skip


@pytest.mark.parametrize("case", TITLES)
def test_title(case):
    html, expected = TITLES[case]
    assert metadata(html).title == expected


def linked(**values) -> str:
    return f"<script type='application/ld+json'>{json.dumps(values)}</script>"


DAYS = {
    "article:published_time": ("<meta property='article:published_time' content='2020-03-04T05:06:07Z'>", "2020-03-04"),
    "JSON-LD": (linked(datePublished="2020-03-04"), "2020-03-04"),
    "within a graph": (linked(**{"@graph": [{"@type": "WebPage"}, {"datePublished": "2020-03-04"}]}), "2020-03-04"),
    "another name": ("<meta name='citation_date' content='2020/03/04'>", "2020-03-04"),
    "itemprop": ("<span itemprop='datePublished' content='2020-03-04'>x</span>", "2020-03-04"),
    "time": ("<p><time datetime='2020-03-04'>yesterday</time>", "2020-03-04"),
    "a day in words": ("<p>By me, March 4th, 2020", "2020-03-04"),
    "a day in British words": ("<p>4 Mar 2020", "2020-03-04"),
    "a day in a long text is none": (f"<p>It burned down on 4 March 2020. {'x ' * 50}", None),
    "the last change": ("<meta property='article:modified_time' content='2020-03-04'>", "2020-03-04"),
    "publication before change": (
        "<meta property='article:modified_time' content='2021-01-01'><meta name='date' content='2020-03-04'>",
        "2020-03-04",
    ),
    "no such day": ("<meta name='date' content='2020-02-30'>", None),
    "before the web": ("<meta name='date' content='1789-07-14'>", None),
    "broken JSON-LD": ("<script type='application/ld+json'>{'datePublished': </script>", None),
    "deep JSON-LD": (f"<script type='application/ld+json'>{'[' * 100_000}</script>", None),
    "nothing": ("<p>text", None),
}  # fmt: skip


@pytest.mark.parametrize("case", DAYS)
def test_day_of_publication(case):
    html, expected = DAYS[case]
    assert metadata(html).published == expected


def test_the_day_in_the_address_comes_last():
    url = "https://site.example/2019/08/07/story"
    assert metadata("<p>text", url).published == "2019-08-07"
    assert metadata("<meta name='date' content='2020-03-04'>", url).published == "2020-03-04"


ARTICLE = "The mill burned down in the night. " * 30


def test_an_article_that_only_a_script_holds():
    page = f"<body><div id=app></div>{linked(articleBody=ARTICLE)}<p>Please enable scripts.</body>"
    found = Extract().check(html=page, url=URL)
    assert found.text == ARTICLE.strip()
    assert found.measures["extract.engine_used"] == "linked data"


def test_an_article_that_the_page_shows_is_taken_from_the_page():
    page = f"<body><article><p>{ARTICLE}</article>{linked(articleBody=ARTICLE + 'not shown')}</body>"
    found = Extract().check(html=page, url=URL)
    assert (found.text, found.measures["extract.engine_used"]) == (ARTICLE.strip(), "blocks")


def test_an_article_in_a_script_may_be_html():
    page = linked(articleBody="<p>One &amp; two</p><p>three")
    assert article_body(page.encode()) == "One & two\nthree"


def test_metadata_is_asked_for():
    page = f"<title>The mill burns down | Site</title><meta name='date' content='2020-03-04'><p>{ARTICLE}"
    for metadata, expected in ((True, ("The mill burns down", "2020-03-04")), (False, (None, None))):
        doc = Extract(metadata=metadata).check(html=page, url=URL).doc
        assert (doc.title, doc.published) == expected
