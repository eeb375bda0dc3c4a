"""Opt-outs and licences on pages as browsers and servers write them, and on pages that only look like it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.document import Document
from corpus.warc.record import Record
from filters import load_recipe
from filters.extract import Extract
from filters.rights import Rights
from tests.warcs import WORDS, http

NOAI = '<meta name="robots" content="noai, noimageai">'


def html(head="", body=""):
    return f"<!DOCTYPE html><html><head><title>A town</title>{head}</head><body><p>{WORDS}</p>{body}</body></html>"


def measured(block, **params):
    """The measures of an HTTP message."""
    headers = {"warc-target-uri": "http://a.example/x", "content-type": "application/http; msgtype=response"}
    stage = Rights(**params)
    stage.prepare()
    doc = Document.of(Record("w", 0, "response", headers, block, len(block)))
    return {name: value for name, value, *_ in stage.apply(doc)} | {"doc": doc.license}


def of_page(page, extra="", **params):
    return measured(http(page if isinstance(page, bytes) else page.encode(), extra=extra), **params)


OPT_OUTS = {
    "plain": html(NOAI),
    "upper case": html('<META NAME="ROBOTS" CONTENT="NOAI">'),
    "mixed case": html('<mEtA Name="Robots" conTent="NoAI">'),
    "single quotes": html("<meta name='robots' content='noai'>"),
    "no quotes": html("<meta name=robots content=noai>"),
    "content first": html('<meta content="noai" name="robots">'),
    "blanks and line breaks": html('<meta\n  name = "robots"\n  content = "\n noai ,\tnoimageai "\n/>'),
    "among others": html('<meta name="robots" content="index,follow,noai,max-snippet:-1">'),
    "divided by blanks": html('<meta name="robots" content="noai noimageai">'),
    "divided by semicolons": html('<meta name="robots" content="noimageai;noai">'),
    "second of two tags": html('<meta name="robots" content="index, follow">' + NOAI),
    "first of two tags": html(NOAI + '<meta name="robots" content="index, follow">'),
    "for a robot": html('<meta name="GPTBot" content="noai">'),
    "http-equiv": html('<meta http-equiv="X-Robots-Tag" content="noai">'),
    "property": html('<meta property="robots" content="noai">'),
    "numbers for letters": html('<meta name="robots" content="no&#97;i">'),
    "hexadecimal numbers": html('<meta name="rob&#x6F;ts" content="&#x6E;o&#x41;I">'),
    "noscript": html(f"<noscript>{NOAI}</noscript>"),
    "body": html(body=NOAI),
    "without a head": NOAI + WORDS,
    "the last tag of a cut page": html() + "<meta name=robots content=noai>",
    "after a comment": html(f"<!-- a > b -->{NOAI}"),
    "after a short comment": html(f"<!-->{NOAI}"),
    "after a script": html(f"<script>if (a < b) document.write('<!--');</script>{NOAI}"),
    "after a large head": html("<style>" + "a { color: red }\n" * 70_000 + "</style>" + NOAI),
    "noml": html('<meta name="robots" content="noml">'),
    "UTF-16 with a mark": html(NOAI).encode("utf-16"),
    "UTF-16 without a mark": html(NOAI).encode("utf-16-be"),
    "UTF-8 with a mark": html(NOAI).encode("utf-8-sig"),
    "windows-1252": html(NOAI, "\u20ac caf\u00e9").encode("cp1252"),
}
NO_OPT_OUTS = {
    "nothing": html(),
    "index": html('<meta name="robots" content="index, follow">'),
    "comment": html(f"<!-- {NOAI} -->"),
    "comment over several lines": html(f"<!--\n{NOAI}\n<p>--\n-->"),
    "open comment": html(body=f"<!-- {NOAI}"),
    "script": html(f"<script>var a = '{NOAI}';</script>"),
    "style": html(f"<style>{NOAI}</style>"),
    "title": f"<html><head><title>{NOAI}</title></head><body>{WORDS}",
    "template": html(f"<template>{NOAI}</template>"),
    "textarea": html(body=f"<textarea>{NOAI}</textarea>"),
    "escaped": html(body=NOAI.replace("<", "&lt;")),
    "in an attribute": html(body=f"<a title='{NOAI}'>x</a>"),
    "in the text": html(body="noai, noimageai and tdm-reservation: 1"),
    "another name": html('<meta name="description" content="noai">'),
    "a description that names robots": html('<meta name="description" content="robots and noai">'),
    "part of a word": html('<meta name="robots" content="noaide, piano-ai, no ai">'),
    "for a robot that is not ours": html('<meta name="examplebot" content="noai">'),
    "noindex": html('<meta name="robots" content="noindex, nofollow">'),
    "a name like robots": html('<meta name="robots-policy" content="noai">'),
}


@pytest.mark.parametrize("page", OPT_OUTS.values(), ids=OPT_OUTS)
def test_an_opt_out_is_found_however_it_is_written(page):
    assert of_page(page)["noai"] == 1


@pytest.mark.parametrize("page", NO_OPT_OUTS.values(), ids=NO_OPT_OUTS)
def test_what_is_no_opt_out_does_not_count(page):
    assert of_page(page)["noai"] == 0


@given(st.text("noaindexml,; \t:'\"", max_size=12))
def test_only_whole_words_count(content):
    words = content.replace('"', "").replace("'", " ").replace(",", " ").replace(";", " ").split()
    page = html(f'<meta name=robots content="{content.replace(chr(34), "")}">')
    assert of_page(page)["noai"] == int("noai" in words or "noml" in words)


@pytest.mark.parametrize(
    ("extra", "found"),
    [
        ("X-Robots-Tag: noai\r\n", ("noai",)),
        ("x-robots-tag:NOAI,noindex\r\n", ("noai", "noindex")),
        ("X-Robots-Tag: index, follow\r\nX-Robots-Tag: noimageai\r\n", ("noimageai",)),
        ("X-Robots-Tag: gptbot: noai\r\n", ("noai",)),
        ("X-Robots-Tag: gptbot:noai\r\n", ("noai",)),
        ("X-Robots-Tag: examplebot: noindex, noai\r\n", ()),
        ("X-Robots-Tag: examplebot: noindex, ccbot: noai\r\n", ("noai",)),
        # the robot of one header does not apply to the next
        ("X-Robots-Tag: examplebot: nofollow\r\nX-Robots-Tag: noai\r\n", ("noai",)),
        ("X-Robots-Tag: unavailable_after: 25 Jun 2030 15:00:00 PST, noai\r\n", ("noai",)),
        ("X-Robots-Tag: max-snippet: 20, noai\r\n", ("noai",)),
        ("X-Robots-Tag: none\r\n", ("noindex",)),
        ("X-Robots-Tag: noaix\r\nX-Robots: noai\r\n", ()),
        ("X-Robots-Tag: noindex,\r\n noai\r\n", ("noai", "noindex")),
    ],
)
def test_x_robots_tag(extra, found):
    measures = of_page(html(), extra)
    assert tuple(name for name in ("noai", "noimageai", "noindex") if measures[name]) == found


def test_the_robots_that_count_can_be_chosen():
    page = html('<meta name="anthropic-ai" content="noai"><meta name="ccbot" content="noindex">')
    assert (of_page(page)["noai"], of_page(page)["noindex"]) == (0, 1)
    own = of_page(page, agents=["anthropic-ai"])
    assert (own["noai"], own["noindex"], own["declared"]) == (1, 0, "meta anthropic-ai: noai")


def meta(value):
    return f'<meta name="tdm-reservation" content="{value}">'


@pytest.mark.parametrize(
    ("head", "extra", "reserved"),
    [
        ("", "", None),
        (meta(1), "", 1),
        (meta(0), "", 0),
        ('<META CONTENT="1" NAME="TDM-Reservation">', "", 1),
        ("", "tdm-reservation: 1\r\n", 1),
        ("", "TDM-Reservation:  0\r\n", 0),
        (meta(0), "tdm-reservation: 1\r\n", 0),  # the tag is nearer to the page than the header
        (meta(1), "tdm-reservation: 0\r\n", 1),
        (meta(0) + meta(1), "", 1),
        ("", "tdm-reservation: 0\r\ntdm-reservation: 1\r\n", 1),
        (meta("yes"), "tdm-reservation: 1\r\n", 1),  # other values count as none
        (meta(2), "", None),
        ('<meta name="tdm-policy" content="https://a.example/policy.json">', "", None),
        (f"<!-- {meta(1)} -->", "", None),
    ],
)
def test_reservations_of_text_and_data_mining(head, extra, reserved):
    assert of_page(html(head), extra)["tdm_reservation"] == reserved


def test_the_declarations_are_shown_without_text_of_the_page():
    page = html(NOAI + meta("1 <b>") + '<meta name="gptbot" content="noindex, secret words">')
    found = of_page(page, "X-Robots-Tag: noai\r\ntdm-reservation: 0\r\n")["declared"]
    assert found == (
        "header *: noai; meta *: noai; meta *: noimageai; meta gptbot: noindex; "
        "header tdm-reservation: 0; meta tdm-reservation: 1"
    )


def test_headers_count_for_every_media_type_and_tags_only_for_html():
    block = http(html(NOAI).encode(), "application/pdf", extra="X-Robots-Tag: noindex\r\n")
    block = block.replace(b"<!DOCTYPE html><html>", b"%PDF-1.4 ")
    assert {name: measured(block)[name] for name in ("noai", "noindex")} == {"noai": 0, "noindex": 1}


def test_nothing_is_known_about_a_text():
    record = Record("w", 0, "conversion", {"content-type": "text/plain"}, NOAI.encode(), 9)
    for doc in (Document(text=NOAI), Document.of(record)):
        assert {value for _, value in Rights().apply(doc)} == {None}


@pytest.mark.parametrize(
    "rest",
    ["<i>" * 70_000, "<p>" + "<div>" * 2_000, "<p " + " ".join(f"a{number}=1" for number in range(200_000)) + ">"],
    ids=["tags", "depth", "attributes"],
)
def test_a_page_that_the_extraction_drops_is_not_parsed(rest):
    """A parser may need minutes for it."""
    page = html(NOAI + '<a rel="license" href="/x">x</a>' + rest)
    found = of_page(page)
    assert (found["noai"], found["noindex"], found["license"]) == (None, None, None)
    assert of_page(page, "X-Robots-Tag: noai\r\n")["noai"] == 1
    assert of_page(html(rest))["noai"] == 0
    assert Extract().check(html=page).rule in ("tags", "depth", "attributes")


def test_a_page_without_headers_is_read_too():
    outcome = Rights().check(html=html(NOAI))
    assert outcome.reason == "rights.noai: 1 > max 0"


def test_explicit_opt_outs_drop_a_page_in_the_recipes_that_have_the_stage():
    for name in ("default", "multilingual"):
        (bound,) = (bound for bound in load_recipe(name).stages if bound.name == "rights")
        assert {name for name, limit in bound.limits.items() if limit.bounds} == {"noai", "tdm_reservation"}
    for name in ("fineweb", "text"):
        assert all(bound.name != "rights" for bound in load_recipe(name).stages)


def test_the_licence_of_a_page_goes_into_the_corpus():
    found = of_page(html('<link rel="license" href="https://creativecommons.org/licenses/by/4.0/">'))
    assert (found["license"], found["license_source"], found["doc"]) == ("CC-BY-4.0", "rel", "CC-BY-4.0")
    assert of_page(html())["doc"] is None
