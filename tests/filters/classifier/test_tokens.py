"""The tokens of a document: no text can forge one, and no text breaks the line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.document import Document
from corpus.documents.row import page_of_html
from filters.classifier.tokens import PARTS, View, line_of

ALL = View(tuple(PARTS))


def tokens(text="", url="", html=None, parts=("words",), chars=5000):
    record = page_of_html(html, url) if html is not None else None
    return line_of(Document(text=text, url=url, record=record), View(parts, chars)).split(" ")


def test_words_are_in_lower_case_with_zeros_for_digits_and_punctuation_alone():
    assert tokens("Don't pay $1,234.50 in_2024!") == [
        "don", "'", "t", "pay", "$", "0", ",", "000", ".", "00", "in", "0000", "!",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("日本語 text", ["日", "本", "語", "text"]),
        ("สวัสดี", list("สวัสดี")),
        ("Привет, мир", ["привет", ",", "мир"]),
    ],
)
def test_scripts_without_spaces_are_split_into_characters(text, expected):
    assert tokens(text) == expected


def test_only_the_beginning_is_seen():
    assert tokens("a b c d", chars=3) == ["a", "b"]


def test_unique_words_count_once_in_their_order():
    assert tokens("b a b a c", parts=("unique",)) == ["b", "a", "c"]


def test_the_host_of_a_url_is_not_seen():
    found = tokens(url="https://shop.example/Products/Red-Socks-12?id=4", parts=("url",))
    assert {"u:products", "u:red", "u:socks", "u:#2", "u:query", "u:2"} <= set(found)
    assert not any("shop" in token or "example" in token for token in found)
    assert tokens(url="https://a.example/x/", parts=("url",)) == tokens(url="http://b.example/x/", parts=("url",))


def test_layout_shows_prices_and_lines():
    shop = set(tokens("Socks\n$5\nShoes\n$50\nHats\n$7", parts=("layout",)))
    prose = set(tokens("A long sentence about nothing at all, which ends with a stop.\n" * 6, parts=("layout",)))
    assert {"l:lines3", "l:short10", "l:repeated0"} <= shop
    assert {"l:lines3", "l:short0", "l:stops10", "l:repeated3"} <= prose
    assert {token for token in shop if token.startswith("l:price")}.isdisjoint(prose)


def test_a_page_shows_what_its_html_says_and_a_text_has_no_page():
    html = """<html><head><title>Red Socks</title><meta property="og:type" content="product"><script type="x">
    {"@type": "Product"}</script></head><body class="single-product post-12 addToCart"><p>Text<p>Text"""
    found = set(tokens("Text", html=html, parts=("page",)))
    assert {"h:og=product", "h:is=product", "h:t=red", "h:c=product", "h:c=cart", "h:p2"} <= found
    assert tokens("Text", parts=("page",)) == [""]


def test_a_part_that_is_named_twice_counts_twice():
    assert tokens("a b", "http://a.example/shop", parts=("words", "url", "words")).count("a") == 2


def test_no_text_gives_the_mark_of_another_part_or_a_name_of_fasttext():
    forged = "u:shop l:price9 h:og=article __label__good </s> <s>"
    found = tokens(forged)
    assert not any(token.startswith(("u:", "l:", "h:", "__label__")) or token == "</s>" for token in found)


@given(st.text(), st.text(), st.text() | st.binary())
def test_any_document_gives_one_line_and_the_same_again(text, url, html):
    doc = Document(text=text, url=url, record=page_of_html(html, url))
    line = line_of(doc, ALL)
    assert "\n" not in line
    assert line == line_of(Document(text=text, url=url, record=page_of_html(html, url)), ALL)
    assert not any(token.startswith("__label__") or token == "</s>" for token in line.split())


@pytest.mark.parametrize("piece", ["<meta ", "<body class=", "<title>", '"@type": "', "<a", 'class="', "> a <"])
def test_hostile_html_takes_linear_time(piece):
    """The guard ends what does not. The page is larger than what is looked at."""
    tokens("Text", html=piece * 200_000, parts=("page",))
