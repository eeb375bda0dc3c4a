"""Licences that pages declare, and mentions of licences that are no declarations."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.rights import Rights
from filters.rights.licenses import license_name

BY = "https://creativecommons.org/licenses/by/4.0/"


def found(page):
    measures = Rights().check(html=page, url="http://a.example/").measures
    return measures["rights.license"], measures["rights.license_source"]


def json_ld(data):
    return f'<script type="application/ld+json">{json.dumps(data)}</script>'


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (BY, "CC-BY-4.0"),
        ("http://creativecommons.org/licenses/by-nc-sa/3.0/de/", "CC-BY-NC-SA-3.0-DE"),
        ("//creativecommons.org/licenses/by-sa/4.0/deed.de", "CC-BY-SA-4.0"),
        ("HTTPS://CreativeCommons.org/Licenses/BY-ND/2.5/legalcode", "CC-BY-ND-2.5"),
        ("http://creativecommons.org/licenses/by-nd-nc/1.0/", "CC-BY-NC-ND-1.0"),
        ("http://creativecommons.org/licenses/by-nc/2.5/scotland/", "CC-BY-NC-2.5-SCOTLAND"),
        ("https://creativecommons.org/licenses/by/", "CC-BY"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "CC-PDM-1.0"),
        ("http://creativecommons.org/licenses/publicdomain/", "CC-PDDC"),
        ("http://creativecommons.org/licenses/sampling+/1.0/", "CC-Sampling+"),
        ("https://creativecommons.org/licenses/", "other"),
        ("CC BY-SA 3.0", "CC-BY-SA-3.0"),
        ("cc-by", "CC-BY"),
        ("Creative Commons Attribution 4.0 International", "CC-BY-4.0"),
        ("Creative Commons Attribution-NonCommercial-NoDerivatives", "CC-BY-NC-ND"),
        (
            "//en.wikipedia.org/wiki/Wikipedia:Text_of_the_Creative_Commons_Attribution-ShareAlike_3.0_Unported_License",
            "CC-BY-SA-3.0",
        ),
        ("CC0", "CC0-1.0"),
        ("http://www.gnu.org/copyleft/fdl.html", "GFDL"),
        ("https://opensource.org/licenses/MIT", "MIT"),
        ("https://www.nationalarchives.gov.uk/doc/open-government-licence/version/3/", "OGL-UK-3.0"),
        ("/terms", "other"),
        ("", "other"),
    ],
)
def test_names_of_licences(text, name):
    assert license_name(text) == name


@given(st.text(max_size=60))
def test_a_name_never_holds_text_of_a_page(text):
    name = license_name("https://creativecommons.org/licenses/" + text)
    assert name == "other" or set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZaglmnoping+-.0123456789")


@pytest.mark.parametrize(
    ("page", "name", "how"),
    [
        (f'<a rel="license" href="{BY}">x</a>', "CC-BY-4.0", "rel"),
        (f"<a href={BY} rel='nofollow LICENSE'>x</a>", "CC-BY-4.0", "rel"),
        (f'<link href="{BY}" rel=license>', "CC-BY-4.0", "rel"),
        ('<a rel="license" href="/terms">x</a>', "other", "rel"),
        (f'<meta name="dcterms.license" content="{BY}">', "CC-BY-4.0", "meta"),
        ('<meta name="DC.Rights.License" content="CC BY 4.0">', "CC-BY-4.0", "meta"),
        (json_ld({"@type": "Article", "license": BY}), "CC-BY-4.0", "schema"),
        (json_ld({"@graph": [{"@type": "WebPage", "license": {"@id": BY}}]}), "CC-BY-4.0", "schema"),
        (json_ld([{"license": [BY, {"url": "http://a.example/l"}]}]), "CC-BY-4.0 AND other", "schema"),
        (f'<div itemscope itemtype="https://schema.org/Article"><a itemprop="license" href="{BY}">x</a></div>',
         "CC-BY-4.0", "schema"),
        (f'<span property="dct:license" content="{BY}"></span>', "CC-BY-4.0", "schema"),
        (f'<a href="{BY}">CC BY</a>', "CC-BY-4.0", "link"),
        (f'<a rel="license" href="{BY}">x</a>{json_ld({"license": BY})}', "CC-BY-4.0", "rel+schema"),
        # several licences: all of them, in one order
        (f'<a rel="license" href="{BY}">x</a><a rel="license" href="{BY.replace("by", "by-nd")}">x</a>',
         "CC-BY-4.0 AND CC-BY-ND-4.0", "rel"),
        # a link says less than a declaration
        (f'<a href="{BY.replace("by", "by-nc")}">x</a><a rel="license" href="{BY}">x</a>', "CC-BY-4.0", "rel"),
    ],
)  # fmt: skip
def test_declared_licences(page, name, how):
    assert found(f"<html><body>{page}</body></html>") == (name, how)


@pytest.mark.parametrize(
    "page",
    [
        "<p>This text has a license: CC BY 4.0.</p>",
        f"<p>{BY}</p>",
        f'<!-- <a rel="license" href="{BY}">x</a> -->',
        f'<script>var a = \'<a rel="license" href="{BY}">\';</script>',
        f'<template><a rel="license" href="{BY}">x</a></template>',
        json_ld({"@type": "ImageObject", "license": BY}),
        json_ld({"@type": "Article", "image": {"@type": ["ImageObject"], "license": BY}}),
        f'<div itemscope itemtype="http://schema.org/ImageObject"><link itemprop="license" href="{BY}"></div>',
        '<script type="application/ld+json">{"license": "' + BY + '"</script>',
        '<script type="application/ld+json">' + '{"a":' * 100_000 + '"license": "x"</script>',
        '<meta name="dc.rights" content="Copyright A. License on request.">',
        '<a rel="item-license" href="/x">x</a>',
        '<a href="https://creativecommons.org/licenses/">Licenses</a>',
    ],
)
def test_mentions_that_declare_nothing(page):
    assert found(f"<html><body>{page}</body></html>") == (None, None)
