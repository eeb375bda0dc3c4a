"""The fast path gives trafilatura's results: rule by rule, and on made, real and spoiled pages."""

import random
import re

import pytest
import trafilatura
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from trafilatura import xpaths
from trafilatura.settings import BASIC_CLEAN_XPATH

from corpus.document import Document
from corpus.warc.reader import read_warc
from corpus.warc.record import Record
from filters.extract import precision_mode
from filters.extract.page import page_of
from filters.extract.precision_mode import extract, plain_extract
from filters.extract.structure import SURE_DEPTH
from filters.extract.trafilatura import parse, rules, sequence, tree, values
from native import kernels

SENTENCE = "The quick brown fox jumps over the lazy dog, and then it goes home to sleep with all of the others. "
PARAGRAPHS = "".join(f"<p>Part {i}. {SENTENCE * 2}</p>" for i in range(6))
LINKS = "".join(f'<li><a href="/{i}">A link to page {i}</a></li>' for i in range(12))


def page(body, head="<title>A page</title>"):
    return f"<!doctype html><html><head>{head}</head><body>{body}</body></html>"


def article(more):
    return page(f"<article>{PARAGRAPHS}{more}</article>")


def assert_same(html):
    assert precision_mode.fast_extract() is not None
    assert extract(html) == plain_extract(html)


# rules: each expression of trafilatura selects the same elements

LISTS = {
    "share buttons": (xpaths.RAW_TREE_PRUNE_XPATH[1:], rules.SHARE_BUTTONS),
    "raw comments": (xpaths.REMOVE_COMMENTS_AND_LISTS_XPATH, rules.RAW_COMMENTS),
    "comments": (xpaths.REMOVE_COMMENTS_XPATH, rules.COMMENTS),
    "overall": (xpaths.OVERALL_DISCARD_XPATH, rules.OVERALL),
    "rest": (
        xpaths.DISCARD_IMAGE_ELEMENTS + xpaths.TEASER_DISCARD_XPATH + xpaths.PRECISION_DISCARD_XPATH[1:],
        rules.REST,
    ),
}
BASIC_TAGS = ("aside", "fencedframe", "footer", "script", "style", "svg", "template")
EXPRESSIONS = [
    expression
    for name in ("RAW_TREE_PRUNE_XPATH", "REMOVE_COMMENTS_AND_LISTS_XPATH", "REMOVE_COMMENTS_XPATH", "BODY_XPATH",
                 "OVERALL_DISCARD_XPATH", "TEASER_DISCARD_XPATH", "PRECISION_DISCARD_XPATH", "DISCARD_IMAGE_ELEMENTS")
    for expression in getattr(xpaths, name)
] + [BASIC_CLEAN_XPATH]  # fmt: skip
# the words in the quoted strings of all expressions, without the signs of regular expressions
VALUES = sorted(
    {
        re.sub(r"\(\?!\w+\)|\\s|\(\?:|[\^$()?]|\[-_\]|\{.*?\}", "", re.sub(r"\[(\w)\w\]", r"\1", token))
        for expression in EXPRESSIONS
        for quoted in re.findall(r"'([^']*)'", expression.path)
        for token in quoted.split("|")
    }
)
PATTERNS = sorted(
    {
        alternative
        for expression in EXPRESSIONS
        for quoted in re.findall(r"re:test\([^,]*, '([^']*)'", expression.path)
        for alternative in values.alternatives(quoted)
    }
)
NAMES = ("class", "id", "style", "role", "itemprop", "aria-hidden", "data-component", "data-lp-replacement-content")
TAGS = ("div", "p", "section", "span", "article", "main", "aside", "details", "ol", "ul", "list", "item", "b", "table")


def test_the_values_are_those_of_the_expressions():
    assert len(VALUES) > 150
    assert {"post-body", "comments-title", "cookie", "menu", "display:none", "main-content", "nav"} <= set(VALUES)


def assert_same_elements(root):
    elements = list(root.iterdescendants("*"))
    flags = {element: rules.flags_of(element) for element in elements}
    for name, (expressions, bits) in LISTS.items():
        expected = {element for expression in expressions for element in expression(root)}
        assert {element for element in elements if flags[element] & bits} == expected, name
    expected = set(BASIC_CLEAN_XPATH(root))
    assert {e for e in elements if flags[e] & rules.BASIC or e.tag in BASIC_TAGS} == expected
    expected = set(xpaths.RAW_TREE_PRUNE_XPATH[0](root))
    appended = {e for e in elements if flags[e] & rules.APPENDED and (
        flags[e] & rules.APPENDED_SURE or e.find(".//h1") is None)}  # fmt: skip
    assert appended == expected
    for i, (bits, expression) in enumerate(zip(rules.FRAMES, xpaths.BODY_XPATH, strict=True)):
        first = next(
            (e for e in elements if flags[e] & bits or (i == 1 and e.tag == "article") or (i == 4 and e.tag == "main")),
            None,
        )
        assert first is next(iter(expression(root)), None), i
    every = (1 << len(rules._rules.tags)) - 1
    assert rules.flagged_below(root, every) == [(e, found) for e, found in flags.items() if found]


def tree_of(elements):
    root = etree.fromstring("<html><body/></html>", parse.PARSER)
    parent = root[0]
    for depth, tag, attributes in elements:
        parent = etree.SubElement(parent if depth else root[0], tag)
        for name, value in attributes:
            parent.set(name, value)
    return root


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["{}", "{} x", "x {}", "x-{}", "x {} y", "x{}y", "X{}", "{}s"])
def test_each_value_on_each_tag(name, form):
    texts = [form.format(value) for value in VALUES]
    if form in ("{}", "x {} y"):
        texts += [text.upper() for text in texts]
    for tag in TAGS:
        assert_same_elements(tree_of([(0, tag, [(name, text)]) for text in texts]))


def writable(text):
    """Remove characters that lxml refuses in an attribute."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "", text)


MATCHING = st.sampled_from(PATTERNS).flatmap(
    lambda pattern: st.from_regex(pattern, alphabet=st.characters(codec="ascii"))
)
ATTRIBUTES = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.lists(st.sampled_from(VALUES) | MATCHING | st.text(alphabet="ab-_ İſK\u212a", max_size=4), max_size=3)
        .map(" ".join)
        .map(writable),
    ),
    max_size=4,
    unique_by=lambda item: item[0],
)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from([*TAGS, "h1"]), ATTRIBUTES), min_size=1, max_size=12))
def test_any_attributes_in_any_order(elements):
    assert_same_elements(tree_of(elements))


@pytest.mark.parametrize("pattern", PATTERNS)
@settings(max_examples=10)
@given(data=st.data())
def test_each_alternative_of_each_pattern(pattern, data):
    text = data.draw(st.from_regex(pattern, alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
    assert_same_elements(
        tree_of([(0, tag, [(name, text)]) for name in ("class", "id", "style") for tag in ("div", "ul")])
    )


@pytest.mark.parametrize(
    ("attributes", "selected"),
    [
        ('class="x" id="cookie"', False),
        ('id="cookie" class="x"', True),
        ('id="x" class="reply-1"', False),
        ('class="reply-1" id="x"', True),
        ('id="x" style="hidden"', False),
        ('style="hidden" id="x"', True),
        ('class="x" style="hidden"', True),
    ],
)
def test_of_two_attributes_the_first_in_the_source_counts(attributes, selected):
    root = etree.fromstring(f"<html><body><div {attributes}></div></body></html>", parse.PARSER)
    assert_same_elements(root)
    assert bool(rules.flags_of(root[0][0]) & rules.OVERALL) == selected


# values


@pytest.mark.parametrize(
    ("pattern", "phrases"),
    [
        ("^nav", ["\x02nav"]),
        ("post-?entry|x", ["postentry", "post-entry", "x"]),
        ("(?:entry|art)[-_]content", ["entry-content", "entry_content", "art-content", "art_content"]),
        ("^(?:jp-|dpsp-content)", ["\x02jp-", "\x02dpsp-content"]),
        (r"(^|\s)link", ["\x02link", " link", "\tlink"]),
        (r"a(\s|$)", ["a ", "a\t", "a\x03"]),
        ("ab?c{0,2}", ["a", "ac", "acc", "ab", "abc", "abcc"]),
        (r"display:\ none", ["display: none"]),
    ],
)
def test_phrases(pattern, phrases):
    assert values.phrases_of(pattern) == [(phrase, "") for phrase in phrases]


@pytest.mark.parametrize("pattern", ["^[Cc]omment(?!ary)", "^(?:[Cc]omment(?!ary)|comol)"])
def test_phrases_that_something_must_not_follow(pattern):
    others = [("\x02comol", "")] if "comol" in pattern else []
    assert values.phrases_of(pattern) == [("\x02Comment", "ary"), ("\x02comment", "ary"), *others]


@pytest.mark.parametrize("pattern", ["[0-9]+", "a.", "a*", "[^a]", r"\d", "comment(?!ary)", "a(?=b)", "a(?!b)c"])
def test_a_pattern_of_another_form_is_refused(pattern):
    with pytest.raises(ValueError, match="trafilatura"):
        values.ValueFlags().add_pattern(1, pattern)


def test_values_are_remembered_up_to_a_number_and_a_length():
    (div,) = etree.fromstring("<html><body><div></div></body></html>", parse.PARSER)[0]
    for i in range(60_000):  # the kernel remembers 50,000
        div.set("class", f"{i} {'menu' * (i % 2)}")
        assert bool(rules.flags_of(div) & rules.OVERALL) == i % 2
    for size in (100, 200, 300, 100_000):
        for word in ("menu", "venu"):
            div.set("class", "x" * size + word)
            assert bool(rules.flags_of(div) & rules.OVERALL) == (word == "menu")


# the kernel that walks through trees


def test_only_elements_below_the_root_are_flagged():
    body = etree.fromstring(
        "<html><body class=menu><div class=menu></div><p class=menu>x<b>y</b></p><section class=menu></section></body>",
        parse.PARSER,
    )[0]
    div, p, section = body
    assert [e for e, _ in rules.flagged_below(body, rules.OVERALL)] == [div, p, section]
    assert [e for e, _ in rules.flagged_below(body, rules.OVERALL, ("p", "section"))] == [p, section]
    assert rules.flagged_below(body, rules.OVERALL, ("p",), ("b",)) == [(p, rules.flags_of(p)), (p[0], 0)]
    for empty in (div, p, p[0]):
        assert rules.flagged_below(empty, rules.OVERALL) == []


def test_attributes_of_several_nodes_and_with_namespaces():
    xml = '<!DOCTYPE r [<!ENTITY e "en">]><r xmlns:n="n"><p class="m&e;u"/><p n:class="menu"/><n:p class="menu"/></r>'
    entity, attribute, tag = etree.fromstring(xml, etree.XMLParser(resolve_entities=False))
    assert entity.get("class") == "menu"
    assert rules.flags_of(entity) & rules.OVERALL
    assert rules.flags_of(entity) & rules.UNLIKELY
    assert rules.flags_of(tag) == rules.UNLIKELY  # on any tag
    assert rules.flags_of(attribute) == 0


def test_what_is_no_element_is_refused():
    for other in (etree.Comment("x"), etree.ProcessingInstruction("x"), etree.Entity("x"), "div", None):
        with pytest.raises(TypeError):
            rules.flags_of(other)


XML_LENGTH = etree.XPath("string-length(normalize-space(string()))")
TEXTS = st.text(alphabet="ab \n\t\r\xa0\x85\u2003\u3000é字😀<", max_size=5)


@given(st.lists(st.tuples(st.integers(0, 3), TEXTS, TEXTS), max_size=10))
def test_lengths_of_texts(steps):
    root = element = etree.Element("div")
    for up, text, tail in steps:
        for _ in range(up):
            parent = element.getparent()
            element = element if parent is None else parent
        element.append(etree.Comment("no text"))
        element[-1].tail = tail
        element = etree.SubElement(element, "b")
        element.text, element.tail = text, tail
    if len(root):
        root.append(etree.fromstring("<i><![CDATA[ x  y ]]></i>", etree.XMLParser(strip_cdata=False)))
    for one in root.iter("*"):
        assert parse.text_length(one) == len(" ".join(parse.text_content(one).split()))
        assert parse.xml_text_length(one) == XML_LENGTH(one)


# bytes

UNWRITABLE = re.compile(
    rb"&#0*(?:[1-8]|1[124-9]|2\d|3[01]|6553[45])(?!\d)|&#[xX]0*(?:[1-8bcefBCEF]|1[\da-fA-F]|[fF]{3}[eEfF])(?![\da-fA-F])"
)
PIECES = st.sampled_from(
    [b"&#", b"&#x", b"&#X", b"0", b"1", b"9", b"10", b"31", b"32", b"65534", b"1f", b"B", b"fffe", b"FFFF", b";", b"&",
     b"\xef\xbf\xbe", b"\xef\xbf\xbf", b"\xef\xbf", b"\xef", b"\0", b"\x1f", b"\t", b"\r\n", b" ", b"\x7f", b"\xff"]
)  # fmt: skip


@settings(max_examples=500)
@given(st.lists(PIECES, max_size=8), st.integers(0, 130))
def test_hazards_for_the_parser(pieces, before):
    data = b"x" * before + b"".join(pieces)
    controls = data.translate(None, parse._CONTROLS) != data
    noncharacters = b"\xef\xbf\xbe" in data or b"\xef\xbf\xbf" in data
    assert kernels.parser_hazards(data) == (controls, noncharacters, UNWRITABLE.search(data) is not None)


# made pages, each for one step

ODD = {
    "empty": "",
    "blank": " \n ",
    "text": "only words",
    "one block": "<p>only one block</p>",
    "two blocks": f"<p>{SENTENCE}</p><p>{SENTENCE}</p>",
    "not html": '{"a": 1}',
    "no body": "<html><head><title>x</title></head></html>",
    "frames": "<html><frameset><frame src=x><noframes><p>No frames</p></noframes></frameset></html>",
    "xml": f'<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><body>{PARAGRAPHS}</body></html>',
    "byte order mark": "\ufeff" + page(PARAGRAPHS),
    "blanks beyond ASCII first": "\u2003\x85" + page(PARAGRAPHS),
    "comment first": "<!-- x -->" + PARAGRAPHS,
    "closed root": "<!doctype html>\n<html lang='en' />\n" + PARAGRAPHS,
    "odd doctype": "<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0//EN'/ >" + page(PARAGRAPHS),
    "one line": page(PARAGRAPHS).replace("\n", ""),
    "two roots": f"<html><body><p>{SENTENCE}</p></body></html><html><body>{PARAGRAPHS}</body></html>",
    "controls": page(PARAGRAPHS.replace("fox", "f\0o\x01x\x0b\ufffe\uffff")),
    "controls that can't be written": page(PARAGRAPHS.replace("fox", "f&#1;x")),
    "a control in a reference": page(PARAGRAPHS.replace("fox", "f&#\x011;x")),
    "C1": page(PARAGRAPHS.replace("fox", "\x80\x93f&#150;ox\x94")),
    "noncharacters": page(PARAGRAPHS.replace("fox", "\ufdd0\U0001fffe&#xfffe;")),
    "lone surrogate": page(PARAGRAPHS.replace("fox", "\ud800")),
    "entities": page(PARAGRAPHS.replace("fox", "&lt;b&gt; &notit; &copy; &#x1F600; &nbsp;&amp;amp;")),
    "odd tags": page(PARAGRAPHS.replace("<p>", "<o:p><p a\"b {c} =d '>")),
    "odd tag in a block": page(f"<article><p>{SENTENCE}<o:p>x</o:p><del>y</del></p>{PARAGRAPHS}</article>"),
    "nested asides": page(f"<aside><aside>{SENTENCE}</aside></aside>{PARAGRAPHS}<aside>{PARAGRAPHS}</aside>"),
    "nested svg": page(f"<svg><svg></svg></svg>{PARAGRAPHS}<svg><title/><text>{SENTENCE}</text></svg>"),
    "form around all": page(f"<form>{PARAGRAPHS}<input></form><form><label>q</label>{SENTENCE}</form>"),
    "form with a comment class": page(f'<form class="comment-form">{PARAGRAPHS}</form>'),
    "figure with a table": article(f"<figure class=comments><table><tr><td>{SENTENCE}</table></figure>"),
    "layout table": page(f'<figure><table role="presentation"><tr><td>{PARAGRAPHS}</td></tr></table></figure>'),
    "nested tables": page("<table><tr><td>" * 5 + PARAGRAPHS + "</table>" * 5 + f"<p>{SENTENCE}"),
    "table of links": article(f"<table><tr><td><a href=x>{SENTENCE * 4}</a></table>"),
    "nested lists": article("<ul><li>a<ul><li>b<ol><li>c</ol></ul><li>d</ul>"),
    "definition list of comments": page(f'{PARAGRAPHS}<dl class="comments"><dt>x<dd>{SENTENCE}</dl>'),
    "list with a disqus id": page(f'{PARAGRAPHS}<ul id="disqus_thread"><li>{SENTENCE}</ul>'),
    "math": article('<math><annotation encoding="application/x-tex">x<script>y</script>z</annotation></math>.'),
    "empty sup": article("<p>a<sup></sup>b<sub><a></a></sub>c<sup>2</sup></p>"),
    "questions": page(f'<article><strong class="schema-faq-question">Why?</strong>{PARAGRAPHS}</article>'),
    "code": article("<pre><span>x = {1}</span></pre><pre>a\n    b</pre><div class=w3-code>c</div>"),
    "quotes": article(f"<blockquote><p>{SENTENCE}</p><q>x</q></blockquote>"),
    "details": article(f"<details><summary>Sum</summary>{SENTENCE}</details>"),
    "breaks": page(f"<article><div>{SENTENCE}<br><br>{SENTENCE}<hr>{SENTENCE}</div></article>"),
    "breaks only": page(f"<div class=post>{SENTENCE}<br>{SENTENCE}</div>"),
    "a frame's own text": page(f"<article>{SENTENCE}<p>{SENTENCE}</p><div>{SENTENCE}</div></article>"),
    "no paragraphs": page(f"<article><div>{SENTENCE}<div>{SENTENCE}</div></div><div><div>{SENTENCE}</div></div>"),
    "graphics": article('<graphic src="x.png"></graphic><div><ref>x</ref><graphic/></div>'),
    "appended articles": page(f"{PARAGRAPHS}<div class=infinite-scroll>{PARAGRAPHS}</div><b id=infinitescroll>x</b>"),
    "forum": page(f'<ul class="comments">{LINKS}</ul><div class="comment">{PARAGRAPHS}</div>'
                  '<script type="application/ld+json">{"@type": "DiscussionForumPosting"}</script>'),
    "all boilerplate": page(f'<div class="menu">{PARAGRAPHS}</div>'),
    "mostly boilerplate": page(f'<article><div class="menu">{PARAGRAPHS * 4}</div><p>{SENTENCE}</p></article>'),
    "links": page(f"<ul>{LINKS}</ul><p>{SENTENCE}</p>"),
    "farm": article(f"<div>{LINKS * 4}</div><div><p><a>{SENTENCE}</a></p></div><p><a>x</a> <a>y</a></p>"),
    "farm in sight of the second pass": page(
        f"<article>{PARAGRAPHS}<div><p><a>one two three</a></p><p>four five six <a>seven</a></p></div></article>"
    ),
    "repeated": page(f"<article><p>{SENTENCE}</p><p>{SENTENCE}</p><h2>End</h2></article>"),
    "quote at the end": article(f"<h2>x</h2><blockquote><a href=x>{SENTENCE}</a></blockquote>"),
    "short": page(f"<div><p>{SENTENCE}</p></div><div class=text>{SENTENCE}</div>"),
    "video": page(f'<div>{SENTENCE}<iframe src="https://www.youtube.com/embed/1"></iframe></div>'),
    "raw text": page(f"<div><xmp>{'&<' * 400}</xmp><noembed>&amp;</noembed>{SENTENCE}</div>"),
    "empty title": page(f"<div><title></title>{SENTENCE}</div>", head=""),
    "plaintext": page(f"<div>{SENTENCE}<plaintext>{PARAGRAPHS}</div>"),
    "good for jusText": page(f"<div><span><a>x</a></span><center>{SENTENCE * 4}</center><br><br>{SENTENCE}<br>x</div>"),
    "select": page(f"<my-select><div>{SENTENCE * 4}</div></my-select><p>{SENTENCE * 4} &copy; us</p>"),
    "short ones among good ones": page(
        "".join(f"<center>{t}</center>" for t in (SENTENCE * 4, "x", "Mai Ort Uhr " * 6, "y", "<a>z</a>", SENTENCE * 4))
    ),
    "divs to paragraphs": page(f'<div class="x">{SENTENCE}<br>{SENTENCE}<div>y<span>z</span></div>w</div>'),
    "unlikely": page(f'<div class=sidebar>{PARAGRAPHS}</div><div class="sidebar content"><div>{SENTENCE}</div></div>'),
    "header": page(f"<article><header><h1>{SENTENCE}</h1></header>{PARAGRAPHS}</article>"),
    "deep": page("<div>" * 240 + PARAGRAPHS + "</div>" * 240),
    "many attributes": page(f"<div {' '.join(f'a{i}=b' for i in range(500))} class={'x' * 20_000}>{PARAGRAPHS}</div>"),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_pages(name):
    assert_same(ODD[name])


def test_most_odd_pages_do_not_fall_back():
    unforeseen = set()
    for name, html in ODD.items():
        try:
            sequence.extract(html)
        except Exception:
            unforeseen.add(name)
    assert unforeseen == {
        "controls that can't be written", "a control in a reference", "noncharacters", "lone surrogate",
        "odd tag in a block", "empty", "blank",
    } & unforeseen  # fmt: skip


def test_what_is_taken_out_is_what_trafilatura_takes_out():
    from trafilatura.htmlprocessing import convert_tags, prune_unwanted_nodes, tree_cleaning
    from trafilatura.main_extractor import prune_unwanted_sections
    from trafilatura.settings import TAG_CATALOG, Extractor
    from trafilatura.utils import load_html

    options = Extractor(precision=True, comments=False)
    for name, html in ODD.items():
        try:
            mine = parse.HtmlSource(html).tree()
        except ValueError:
            continue
        other = load_html(html)
        assert (mine is None) == (other is None), name
        if mine is None:
            continue
        other = prune_unwanted_nodes(other, xpaths.RAW_TREE_PRUNE_XPATH + xpaths.REMOVE_COMMENTS_AND_LISTS_XPATH)
        other = convert_tags(tree_cleaning(other.__copy__(), options), options)
        other = prune_unwanted_nodes(other, xpaths.REMOVE_COMMENTS_XPATH)
        found = tree.collect(mine)
        parse.delete(tree.unwanted(mine)[0])
        divs = tree.clean(mine, found)
        tree.convert(mine)
        tree.prune_comments(mine, divs)
        assert etree.tostring(mine) == etree.tostring(other), name
        prune_unwanted_sections(other, {*TAG_CATALOG, "table"}, options)
        tree.prune_sections(mine)
        assert etree.tostring(mine) == etree.tostring(other), name


# when trafilatura itself extracts a page


def test_another_version_is_left_to_itself(monkeypatch):
    monkeypatch.setattr(trafilatura, "__version__", "2.4.0")
    precision_mode.fast_extract.cache_clear()
    try:
        assert precision_mode.fast_extract() is None
        monkeypatch.setattr(precision_mode, "plain_extract", lambda html: "plain")
        assert extract(page(PARAGRAPHS)) == "plain"
    finally:
        precision_mode.fast_extract.cache_clear()


def test_the_unforeseen_is_left_to_trafilatura(monkeypatch):
    def fails(html, utf8):
        raise RecursionError

    monkeypatch.setattr(precision_mode, "fast_extract", lambda: fails)
    assert SENTENCE.strip() in extract(page(PARAGRAPHS))


def test_pages_do_not_change_each_other():
    pages = list(ODD.values())
    before = [extract(html) for html in pages]
    assert [extract(html) for html in reversed(pages)] == before[::-1]


# real pages


def pages_of(folder, every):
    """Yield one in `every` pages of the archives, decoded, if libxml2 can parse it to its end."""
    number = 0
    for path in sorted((folder / "warc").glob("*.warc.gz")):
        for record in read_warc(path):
            if isinstance(record, Record) and record.kind == "response":
                number += 1
                if number % every == 0:
                    found = page_of(Document.of(record))
                    if found.structure.depth <= SURE_DEPTH and found.structure.tags <= 60_000:
                        yield f"{path.name} {record.offset}", found.html


@pytest.mark.parametrize(("step", "least"), [(60, 40), pytest.param(20, 140, marks=pytest.mark.slow)])
def test_real_pages(shared_data, step, least):
    count = 0
    for name, html in pages_of(shared_data, step):
        count += 1
        assert extract(html) == plain_extract(html), name
    assert count > least


def test_spoiled_real_pages(shared_data):
    rng = random.Random(4)
    pages = [html for _, html in pages_of(shared_data, 100) if len(html) < 100_000]
    for html in pages:
        for _ in range(4):
            assert_same(spoiled(html, rng))


def spoiled(html, rng):
    """Cut a page, move pieces of it, rename tags or swap attributes."""
    for _ in range(rng.choice([1, 2, 4])):
        tags = [found.start() for found in re.finditer("<", html)] or [0]
        start, end, place = sorted(rng.choice(tags) for _ in range(3))
        match rng.randrange(6):
            case 0:
                html = html[:end]
            case 1:
                html = html[:start] + html[end:] if end - start < len(html) // 3 else html
            case 2:
                html = html[:place] + html[start : min(end, start + 5_000)] * rng.choice([1, 3]) + html[place:]
            case 3:
                old, new = rng.sample(["div", "p", "ul", "li", "span", "a", "table", "td", "article", "h2", "form"], 2)
                html = re.sub(rf"(</?){old}(?=[\s>])", rf"\g<1>{new}", html)
            case 4:
                html = re.sub(r'(class="[^"]*")\s+(id="[^"]*")', r"\2 \1", html)
            case 5:
                attribute = f'{rng.choice(NAMES)}="{rng.choice(VALUES)}"'
                html = html[:place] + f"<{rng.choice(TAGS)} {attribute}>{SENTENCE}" + html[place:]
    return html


@pytest.mark.slow
def test_all_real_pages(shared_data):
    different = [name for name, html in pages_of(shared_data, 1) if extract(html) != plain_extract(html)]
    assert different == []
