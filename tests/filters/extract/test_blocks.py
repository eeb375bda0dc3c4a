"""The engine `blocks`: what it takes, how it writes it, and that no page does more than give a row."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.document import Document
from corpus.errors import ConfigError
from corpus.warc.record import Record
from filters.extract import Extract
from filters.extract.blocks import MODEL, load_model
from native import kernels

SENTENCES = (
    "The mill stood by the river for two hundred years. ", "Nobody knows who lit the fire in the night. ",
    "It was built again by the people of the valley. ", "Today it grinds flour for three bakers of the town. ",
)  # fmt: skip
PARAGRAPHS = [SENTENCES[i % 4] + SENTENCES[(i + 1) % 4] + SENTENCES[(i * 3 + 2) % 4] for i in range(8)]
MENU = "<nav><ul>" + "".join(f"<li><a href='/{i}'>Item {i}</a>" for i in range(9)) + "</ul></nav>"
FOOTER = "<footer><p>© 2020 The Mill. All rights reserved.</p><a href='/imprint'>Imprint</a></footer>"
COMMENTS = (
    "<div id=comments class=comment-list><h3>3 comments</h3>"
    + "".join(
        f"<div class=comment><b>Reader {i}</b><p>I saw the fire with my own eyes that night, number {i}.</div>"
        for i in range(3)
    )
    + "</div>"
)


def page(body: str, head: str = "") -> str:
    return f"<!doctype html><html><head><title>The mill</title>{head}</head><body>{MENU}{body}{FOOTER}</body></html>"


ARTICLE = page(
    "<main><article><h1>The mill</h1>" + "".join(f"<p>{text}" for text in PARAGRAPHS) + f"</article>{COMMENTS}</main>"
)


def text_of(html: str | bytes, **settings) -> str:
    found = Extract(**settings).check(html=html, url="https://site.example/mill")
    assert found.outcome == "kept" or found.rule == "chars"
    return found.text


def test_the_article_without_menu_and_footer():
    lines = text_of(ARTICLE).split("\n")
    assert [line.strip() for line in PARAGRAPHS] == [
        line for line in lines if line.startswith(SENTENCES[0][:9]) or len(line) > 80
    ]
    assert not any("Item" in line or "rights" in line for line in lines)


def test_comments():
    texts = {comments: text_of(ARTICLE, comments=comments) for comments in ("auto", "keep", "drop")}
    assert "Reader" not in texts["drop"] and "own eyes" not in texts["drop"]
    assert texts["keep"].count("own eyes") == 3
    assert all(paragraph.strip() in text for paragraph in PARAGRAPHS for text in texts.values())


CONSENT = "<p>Wir verwenden auf unserer Webseite Cookies. Einige von ihnen sind unbedingt notwendig, andere helfen uns."


def test_a_text_that_asks_for_consent():
    box = f"<div id=cookie-box>{CONSENT * 3}</div>"
    assert "Cookies" not in text_of(page(box + "<main>" + "".join(f"<p>{text}" for text in PARAGRAPHS) + "</main>"))
    assert "Cookies" in text_of(page(f"<main class=cookie-recipes>{CONSENT * 9}</main>"))  # it is the page's content
    about = f"<section id=cookies>{''.join(f'<p>Cookies {i}: {text}' for i, text in enumerate(PARAGRAPHS))}</section>"
    assert "Cookies 3: " in text_of(page(f"<main>{''.join(f'<p>{text}' for text in PARAGRAPHS * 2)}{about}</main>"))


def test_formats():
    assert text_of(ARTICLE, format="markdown", comments="drop").startswith("# The mill\n\nThe mill stood")
    blocks = [json.loads(line) for line in text_of(ARTICLE, format="blocks").split("\n")]
    assert [block[0] for block in blocks] == kernels.Page(ARTICLE.encode(), "").texts()
    assert {(tag, taken) for text, tag, _, taken in blocks if text.startswith("The mill stood")} == {("p", True)}
    assert all(0 <= chance <= 4096 for _, _, chance, _ in blocks)


@pytest.mark.parametrize("comments", ["auto", "keep", "drop"])
def test_blocks_are_shown_as_they_were_taken(comments):
    blocks = [json.loads(line) for line in text_of(ARTICLE, format="blocks", comments=comments).split("\n")]
    taken = [text for text, _, _, is_taken in blocks if is_taken]
    assert [line.removeprefix("- ") for line in text_of(ARTICLE, comments=comments).split("\n")] == taken


def test_measures_of_the_choice():
    html = page("".join(f"<p>{text}" for text in PARAGRAPHS), "<meta property='og:type' content='article'>")
    found = Extract().check(html=html, url="https://site.example/mill").measures
    assert 0.8 < found["extract.taken"] < 1
    assert found["extract.page_type"] == "article"
    empty = Extract().check(html="<p></p>", url="").measures
    assert (empty["extract.taken"], empty["extract.page_type"]) == (None, None)


TYPES = {
    "DiscussionForumPosting": "forum",
    "QAPage": "forum",
    "Product": "product",
    "BlogPosting": "article",
    "Recipe": "recipe",
    "ItemList": "collection",
    "TechArticle": "documentation",
    "WebSite": None,
}


@pytest.mark.parametrize("kind", TYPES)
def test_page_type(kind):
    html = f"<script type='application/ld+json'>{json.dumps({'@type': [kind]})}</script><p>text"
    assert Extract().check(html=html, url="").measures["extract.page_type"] == TYPES[kind]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"engine": "block"}, "extract.engine = 'block' is unknown."),
        ({"comments": "none"}, "extract.comments = 'none' is unknown."),
        ({"format": "md"}, "extract.format = 'md' is unknown."),
        ({"engine": "trafilatura", "format": "markdown"}, "trafilatura does not know"),
        ({"engine": "rescue", "metadata": True}, "rescue does not know"),
    ],
)
def test_settings_that_make_no_sense(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Extract(**settings)


UNUSUAL = {
    "empty": b"",
    "no body": b"<html><head><title>x</title></head></html>",
    "frames": b"<frameset><frame src=a><noframes><body>Your browser has no frames.</body></noframes></frameset>",
    "XHTML": b"<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><p>The mill &amp; us.</p></html>",
    "right to left": "<html dir=rtl><body><p>الطاحونة على ضفة النهر منذ مئتي عام.</p></body></html>".encode(),
    "templates": b"<template><p>no</p></template><div>{{ item.name }}</div><p>The mill stood by the river.</p>",
    "an application": b"<div id=root></div><script src=app.js></script><noscript>Enable JavaScript.</noscript>",
    "one line of 5 MB": b"<p>" + b"x" * 5_000_000,
    "a deep page": b"<div>" * 900 + b"text",
    "bytes that are no text": b"<p>" + bytes(range(256)),
}


@pytest.mark.parametrize("case", UNUSUAL)
def test_unusual_pages_give_a_row(case):
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + UNUSUAL[case]
    doc = Document.of(Record("x.warc", 0, "response", {"content-type": "application/http"}, block, len(block)))
    stage = Extract()
    stage.prepare()
    measured = dict(entry[:2] for entry in stage.apply(doc))
    assert measured["chars"] == len(doc.text)
    assert "no</p>" not in doc.text


def test_the_model_is_the_one_that_recipes_are_bound_to():
    assert set(Extract().resources()) == {"blocks.npz"}
    assert Extract(engine="trafilatura").resources() == {}
    assert MODEL.read_bytes()[:2] == b"PK"  # arrays of NumPy, no pickle
    assert 0 < len(MODEL.read_bytes()) <= 1_000_000


def arrays() -> dict[str, np.ndarray]:
    with MODEL.open("rb") as file, np.load(file) as model:
        return dict(model)


@pytest.mark.parametrize(
    "change",
    [
        {"nodes": np.array([[0, 0, 0, 0]])},  # a node that leads to itself
        {"nodes": np.array([[0, 10_000, -1, -1]])},
        {"nodes": np.array([[0, 0, -1]])},
        {"roots": np.array([70_000])},
        {"chances": np.array([], np.uint16)},
        {"step": np.array(0)},
        {"features": np.array([0, 5])},
        {"words0": np.array([1, 2], np.uint32)},
        {"nodes": None},
    ],
)
def test_a_broken_model_is_one_sentence(tmp_path, change):
    model = {name: array for name, array in (arrays() | change).items() if array is not None}
    np.savez(tmp_path / "model.npz", **model)
    with pytest.raises(ConfigError, match="can't be read"):
        load_model(Path(tmp_path / "model.npz"))


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "model.npz").write_bytes(b"PK no model")
    with pytest.raises(ConfigError, match="can't be read"):
        load_model(tmp_path / "model.npz")


def score_by_one(nodes, leaves, roots, row) -> int:
    """Walk the trees one by one, as the model defines them."""
    total = 0
    for place in roots:
        while place >= 0:
            threshold, feature, left, right = nodes[place]
            place = left if row[feature] <= threshold else right
        total += leaves[~place]
    return total


def items(count: int) -> str:
    return "<p>One text, and no more." + "".join(f"<li>{i} items<p class=c{i}>{'A word. ' * i}" for i in range(count))


@pytest.mark.parametrize(
    ("html", "different"),
    # rows go through the trees in groups of 4, 64 and 256
    [(ARTICLE, 6), (items(0), 1), (items(1), 1), (items(2), 1), (items(40), 6), (ARTICLE + items(300), 6)],
)
def test_scores_are_those_of_the_trees_one_by_one(html, different):
    html = html.encode()
    model = arrays()
    lexicon = kernels.Lexicon()
    for kind in range(5):
        lexicon.fill(kind, model[f"words{kind}"].tolist(), model[f"values{kind}"].tolist())
    blocks, shared = kernels.Page(html, "https://site.example/mill").features(lexicon)
    nodes, leaves, roots = (model[name].tolist() for name in ("nodes", "leaves", "roots"))
    step, table = int(model["step"]), model["chances"]
    expected = []
    for row in blocks:
        total = score_by_one(nodes, leaves, roots, [*row.tolist(), *shared.tolist()])
        expected.append(int(table[min(max((total + len(table) // 2 * step) // step, 0), len(table) - 1)]))
    found = load_model().blocks(html, "https://site.example/mill")
    assert [chance for _, _, chance, _ in found] == expected
    assert len(set(expected)) >= different


def expected_f1(chances, words, taken) -> float:
    right = sum(c * n for c, n, take in zip(chances, words, taken, strict=True) if take) / 4096
    size = (
        sum(n for n, take in zip(words, taken, strict=True) if take)
        + sum(c * n for c, n in zip(chances, words, strict=True)) / 4096
    )
    return 2 * right / size if size else 0.0


@given(st.lists(st.tuples(st.integers(0, 4096), st.integers(0, 50)), max_size=8))
def test_no_other_choice_has_a_higher_expected_f1(blocks):
    chances, words = [chance for chance, _ in blocks], [count for _, count in blocks]
    best = expected_f1(chances, words, kernels.choose(chances, words))
    others = [[bool(bits >> i & 1) for i in range(len(blocks))] for bits in range(1 << len(blocks))]
    assert best >= max(expected_f1(chances, words, other) for other in others) - 1e-9
