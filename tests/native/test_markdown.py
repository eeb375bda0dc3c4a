"""Markdown of a page means to a Markdown parser what the page says."""

import re
from urllib.parse import urljoin

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from lxml.html import document_fromstring, fromstring
from markdown_it import MarkdownIt

from native import kernels

URL = "https://site.example/a/b.html?q=1"
PARSER = MarkdownIt("commonmark").enable("table")


def markdown(html: str, links: bool = False, url: str = URL) -> str:
    page = kernels.Page(html.encode(), url)
    return page.render([True] * len(page.texts()), True, links)


CASES = {
    "headings": ("<h1>A</h1><h3>B</h3>c", "# A\n\n### B\n\nc"),
    "a heading on two lines": ("<h2>A<br>b #</h2>", "## A b \\#"),
    "paragraphs": ("<p>a<p>b<br>c", "a\n\nb  \nc"),
    "a list": ("<ul><li>a<li>b</ul>c", "- a\n- b\n\nc"),
    "a numbered list": ("<ol><li>a<li>b</ol>", "1. a\n2. b"),
    "a list in a list": ("<ol><li>a<ul><li>b<li>c</ul><li>d</ol>", "1. a\n   - b\n   - c\n2. d"),
    "an item of two paragraphs": ("<ul><li><p>a<p>b</ul>", "- a\n\n  b"),
    "two lists": ("<ul><li>a</ul><ol><li>b</ol>", "- a\n\n1. b"),
    "a quotation": ("<blockquote><p>a<p>b</blockquote>c", "> a\n>\n> b\n\nc"),
    "code": ("<pre>  if x:\n    y\n\n  z</pre>", "```\n  if x:\n    y\n\n  z\n```"),
    "code with a fence": ("<pre>```</pre>", "````\n```\n````"),
    "code in an item": ("<ul><li><pre>a\n b</pre></ul>", "- ```\n  a\n   b\n  ```"),
    "lines of code as elements": ("<pre><div>a</div><div>  b</div></pre>", "```\na\n  b\n```"),
    "code within a text": ("a <code>b_c</code> and <code>d`e</code>", "a `b_c` and ``d`e``"),
    "bold and italic": ("a <b>b</b> <i>c</i> <em><strong>d</strong></em>", "a **b** *c* ***d***"),
    "spaces within bold": ("a<b> b </b>c", "a **b** c"),
    "formats after spaces that code ended with": (
        f"<pre>a<b>b{' ' * 40}</b></pre><p>c <i>d</i> e<p>{'f ' * 20}<i>g</i>",
        f"```\nab\n```\n\nc *d* e\n\n{'f ' * 20}*g*",
    ),
    "bold beside a letter": ("a<b>b</b>c", "a**b**c"),
    "bold punctuation beside a letter is left": ("a<b>(b)</b>c", "a(b)c"),
    "bold across a break of blocks": ("<b>a<p>b</b>", "a\n\nb"),
    "crossing formats": ("<b>a <i>b</b> c</i>", "**a b** c"),
    "a table of data": (
        "<table><tr><th>A<th>B<tr><td>1|2<td><b>c</b></table>",
        "| A | B |\n| --- | --- |\n| 1\\|2 | **c** |",
    ),
    "a table with a short row": (
        "<table><tr><td>a<td>b<td>c<tr><td>d<td>e</table>", "| a | b | c |\n| --- | --- | --- |\n| d | e |  |",
    ),
    "a table that lays out the page": ("<table><tr><td>a<p>b</table>", "a\n\nb"),
    "what would be a list": ("<p>1. a<p>- b<p>+ c<p>* d", "1\\. a\n\n\\- b\n\n\\+ c\n\n\\* d"),
    "what would be no list": ("<p>12) e<p>-5<p>1.5", "12\\) e\n\n-5\n\n1.5"),
    "what would be a heading": ("# a<br>b<br>===<br>---", "\\# a  \nb  \n\\===  \n\\---"),
    "what would be a quotation or HTML": ("&gt; a &lt;b> 1 &lt; 2", "\\> a \\<b> 1 < 2"),
    "what would be emphasis": ("*a* _b_ c_d 2 * 3", "\\*a\\* \\_b\\_ c_d 2 * 3"),
    "what would be a link": ("[a](b) ![c](d)", "\\[a](b) !\\[c](d)"),
    "what would be a reference": ("&amp;lt; &amp; a", "\\&lt; & a"),
    "a backslash": ("\\* \\a", "\\\\\\* \\a"),
    "a backslash before bold": ("a\\\\<b>b</b>", "a\\\\\\\\**b**"),
    "nothing": ("", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_markdown(case):
    html, expected = CASES[case]
    assert markdown(html) == expected


LINKS = {
    "relative": ("c.html", "https://site.example/a/c.html"),
    "up": ("../c", "https://site.example/c"),
    "of the host": ("/c", "https://site.example/c"),
    "of the scheme": ("//x.example/c", "https://x.example/c"),
    "a query": ("?a=1&amp;b=2", "https://site.example/a/b.html?a=1&b=2"),
    "a place in the page": ("#c", "https://site.example/a/b.html?q=1#c"),
    "spaces and brackets": (" c (1).html ", "https://site.example/a/c%20%281%29.html"),
    "mail": ("mailto:a@b.example", "mailto:a@b.example"),
}


@pytest.mark.parametrize("case", LINKS)
def test_links(case):
    href, expected = LINKS[case]
    html = f"<p>See <a href='{href}'>the [page]</a>!<a href='{href}'>x</a>"
    parsed = fromstring(PARSER.render(markdown(html, links=True)))
    assert [link.get("href") for link in parsed.iter("a")] == [expected, expected]
    assert parsed.text_content() == "See the [page]!x"
    assert "](" not in markdown(html)


@pytest.mark.parametrize("href", ["javascript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", ""])
def test_links_that_nobody_can_open_are_text(href):
    assert markdown(f"<p><a href='{href}'>a</a>", links=True) == "a"


def test_links_of_a_page_with_a_base():
    assert (
        markdown("<base href='https://b.example/c/'><p><a href='d'>a</a>", links=True) == "[a](https://b.example/c/d)"
    )


SEGMENTS = st.lists(st.sampled_from(["..", ".", "a", "b"]), max_size=5).map("/".join)


@given(SEGMENTS, st.tuples(st.sampled_from(["", "/"]), SEGMENTS, st.sampled_from(["", "/", "?c", "#d"])).map("".join))
def test_addresses_are_resolved_as_python_does(base, reference):
    assume(not reference.startswith("//"))  # another host
    base = f"https://x.example/{base}"
    parsed = fromstring(PARSER.render(markdown(f"<p><a href='{reference}'>a</a>", links=True, url=base)))
    if reference:
        assert [link.get("href") for link in parsed.iter("a")] == [urljoin(base, reference)]


SIGNS = st.text("ab1 *_`[]()<>#+-=|~\\!&;:.\n'\"é中", min_size=1, max_size=12)
INLINE = st.recursive(
    SIGNS.map(lambda text: text.replace("&", "&amp;").replace("<", "&lt;").replace("\n", "<br>")),
    lambda inner: st.tuples(
        st.sampled_from(["b", "i", "code", "a href=x", "span"]), st.lists(inner, min_size=1, max_size=3)
    ).map(lambda made: f"<{made[0]}>{''.join(made[1])}</{made[0].split()[0]}>"),
    max_leaves=6,
)
BLOCK = st.tuples(st.sampled_from(["p", "h2", "li", "blockquote", "td", "div"]), INLINE).map(
    lambda made: f"<{made[0]}>{made[1]}</{made[0]}>"
)
WRAPPED = st.lists(BLOCK, min_size=1, max_size=4).flatmap(
    lambda blocks: st.sampled_from(
        ["{}", "<ul>{}</ul>", "<ol><li>{}</ol>", "<blockquote>{}</blockquote>", "<table><tr>{}<tr>{}</table>"]
    ).map(lambda frame: frame.replace("{}", "".join(blocks)))
)


def words(text: str) -> str:
    return re.sub(r"\s+", "", text)


@given(WRAPPED, st.booleans())
def test_a_parser_reads_the_text_of_the_page(html, links):
    page = kernels.Page(html.encode(), URL)
    expected = words("".join(page.texts()))
    rendered = PARSER.render(markdown(html, links)).strip()
    assert words(document_fromstring(rendered).text_content() if rendered else "") == expected
