"""A page is cut into the blocks that a reader sees."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml.html import document_fromstring

from native import kernels


def blocks(html: str) -> list[str]:
    return kernels.Page(html.encode(), "").texts()


CASES = {
    "paragraphs without end tags": ("<p>One<p>Two", ["One", "Two"]),
    "a block within a text": ("One<div>Two</div>three", ["One", "Two", "three"]),
    "formatting is no break": ("A <b>bold</b>ly <i>said</i> word", ["A boldly said word"]),
    "spaces become one": ("a \n\t b&nbsp; c", ["a b c"]),
    "one line break": ("a<br>b", ["a\nb"]),
    "two line breaks": ("a<br> <br/>b", ["a", "b"]),
    "items without end tags": ("<ul><li>a<li>b<ul><li>c</ul><li>d</ul>", ["a", "b", "c", "d"]),
    "cells without end tags": ("<table><tr><td>a<td>b<tr><td>c</table>d", ["a", "b", "c", "d"]),
    "a table in a cell": ("<table><tr><td><table><tr><td>a</td></tr></table>b</td></tr></table>", ["a", "b"]),
    "options": ("<select><option>a<option>b</select>c", ["a", "b", "c"]),
    "descriptions": ("<dl><dt>a<dd>b<dt>c</dl>", ["a", "b", "c"]),
    "a comment": ("a<!-- b > --><!--> c<!---> d<!-- --!> e", ["a c d e"]),
    "a declaration": ("<!DOCTYPE html><?xml version='1.0'?>a", ["a"]),
    "a tag that never ends": ("a <b class='x", ["a"]),
    "a sign that begins no tag": ("1 < 2 <3 </ 4> a", ["1 < 2 <3 a"]),
    "quoted attributes": ("<p title='a > b' class=\"c > d\">text", ["text"]),
    "a script": ("a<script>if (1 < 2) '<p>b</p>'</script>c", ["ac"]),
    "a script in a comment in a script": ("<script><!--<script>x</script>y--></script>c", ["c"]),
    "the end of a script in upper case": ("<script>a</SCRIPT >b", ["b"]),
    "a style": ("<style>p { color: red }</style>a", ["a"]),
    "a title is no block": ("<title>A &amp; B</title><p>c", ["c"]),
    "fields": ("<textarea>a</textarea><iframe>b</iframe>c", ["c"]),
    "a template": ("<template><p>a</p></template>b", ["b"]),
    "drawings": ("<svg><text>a</text></svg>b", ["b"]),
    "a title in a drawing that is left open": ("<svg><title>a<g></g></svg>b<p>c", ["b", "c"]),
    "a title in a drawing that ends itself": ("<svg><title/><text>a</text></svg>b", ["b"]),
    "a style in a drawing": ("<svg><style>a</style><script>b</script></svg>c", ["c"]),
    "a drawing that is left open": ("<svg><g><p>a</p>b", ["a", "b"]),
    "a drawing in a drawing": ("<svg><svg></svg><title>a</svg>b", ["b"]),
    "without scripts": ("<noscript><p>a</p></noscript>b", ["a", "b"]),
    "references": (
        "&lt;b&gt; &amp;amp; &#8217; &#x27; &eacute; &copy 2 &notit; &unknown;",
        ["<b> &amp; ’ ' é © 2 ¬it; &unknown;"],
    ),
    "numbers of windows-1252": ("&#147;a&#148; &#0;&#xD800;&#99999999;", ["“a” \ufffd\ufffd\ufffd"]),
    "signs that nobody sees": ("a\u00adb\u200bc\u202ed\ufeffe", ["abcde"]),
    "joiners stay": ("می\u200cخواهم", ["می\u200cخواهم"]),
    "code keeps its lines": ("<pre>  if x:\n\treturn  1\n</pre>", ["if x:\n\treturn  1"]),
    "a quotation": ("He said <q>yes</q>.", ["He said “yes”."]),
    "a hidden word": ("a <span style='display: none'>b <b>c</b></span><span aria-hidden=true>d</span> e", ["a e"]),
    "a hidden section is judged by its looks": ("<div style='display:none'>a</div>", ["a"]),
    "a formula by its alternative": ("r is <math alttext='{\\displaystyle r}'><mi>x</mi></math>.", ["r is r."]),
    "a formula by its annotation": (
        "is <math><semantics><mi>x</mi><annotation encoding='application/x-tex'>\\pi</annotation></semantics></math>!",
        ["is \\pi!"],
    ),
    "a formula by its characters": ("is <math><mi>π</mi><mi>r</mi></math>.", ["is πr."]),
    "a formula in a hidden element": ("<p>is <span style='display:none'><math alttext='r'></math></span>.", ["is r."]),
    "a formula that never ends": ("<math><mi>x</mi><p>text</p>", ["x", "text"]),
    "a script with a formula": ("is <script type='math/tex'>x^2</script>.", ["is x^2."]),
    "nothing": ("", []),
    "only tags": ("<div><p></p></div>", []),
    "plain text": ("just text", ["just text"]),
}


@pytest.mark.parametrize("case", CASES)
def test_blocks(case):
    html, expected = CASES[case]
    assert blocks(html) == expected


TAGS = [
    "p",
    "div",
    "b",
    "span",
    "li",
    "ul",
    "td",
    "tr",
    "table",
    "h2",
    "br",
    "a",
    "script",
    "pre",
    "math",
    "svg",
    "select",
]
HTML = st.lists(
    st.one_of(
        st.sampled_from([f"<{tag}>" for tag in TAGS] + [f"</{tag}>" for tag in TAGS]),
        st.sampled_from(
            ["<!--", "-->", "<", ">", "&", "&amp", "&#x", "'", '"', "=", "<p class=", "<a href='", "\0", "]]>"]
        ),
        st.text(max_size=8),
    ),
    max_size=40,
).map("".join)


@given(HTML)
def test_any_page(html):
    page = kernels.Page(html.encode("utf-8", "replace"), "https://example.com/a")
    texts = page.texts()
    assert all(text and text.strip() == text.strip("\u200c\u200d").strip() for text in texts)
    assert all(not (set(text) & set(map(chr, [*range(9), 11, 12, 13, *range(14, 32), 127]))) for text in texts)
    features, of_page = page.features(kernels.Lexicon())
    assert len(features) == len(texts)
    assert not texts or len(page.feature_names()) == features.shape[1] + len(of_page)
    assert page.render([True] * len(texts)).count("\n") >= len(texts) - 1 - html.count("<t")


@given(st.binary(max_size=300))
def test_any_bytes(data):
    page = kernels.Page(data, "")
    page.features(kernels.Lexicon())
    page.words()


WORDS = st.text("abcé中", min_size=1, max_size=5)


@given(
    st.recursive(
        WORDS,
        lambda inner: st.tuples(st.sampled_from(["div", "p", "b", "em", "ul"]), st.lists(inner, max_size=4)),
        max_leaves=12,
    )
)
def test_all_text_and_nothing_else(tree):
    def written(node) -> str:
        return node if isinstance(node, str) else f"<{node[0]}>" + " ".join(map(written, node[1])) + f"</{node[0]}>"

    html = f"<body>{written(tree)}</body>"
    assert "".join("".join(blocks(html)).split()) == "".join(document_fromstring(html).text_content().split())


SHAPES = {
    "open elements": "<div>",
    "open paragraphs": "<p>",
    "closed without being open": "</div>",
    "nested lists": "<ul><li>",
    "nested tables": "<table><tr><td>",
    "comments": "<!--",
    "comments that end": "<!---->",
    "scripts": "<script>",
    "scripts in comments": "<script><!--<script>",
    "signs": "<",
    "ampersands": "&",
    "long references": "&CounterClockwiseContourIntegra",
    "attributes": "<p a=",
    "an attribute": "a='",
    "classes": "<p class='a b c d e f g h i j k'>x",
    "equal blocks": "<p>x</p>",
    "formulas": "<math>",
    "annotations": "<math><annotation>",
    "links": "<a href=x>y",
    "breaks": "x<br>",
    "hidden": "<span hidden>x",
    "headings": "<h2>x</h2><p>y</p>",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_time_grows_with_the_size(shape):
    def seconds(size: int) -> float:
        html = (SHAPES[shape] * (size // len(SHAPES[shape]))).encode()
        took = []
        for _ in range(3):
            started = time.process_time()
            page = kernels.Page(html, "")
            page.features(kernels.Lexicon())
            took.append(time.process_time() - started)
        return min(took)

    small = seconds(1 << 17)
    assert seconds(1 << 20) < 8 * 4 * max(small, 0.001)  # quadratic time would be 64 times as much
