"""Tables that lay out a page become blocks; tables of data stay."""

import pytest
from lxml import etree, html

from corpus.document import Document
from corpus.warc.record import Record
from filters.extract import Extract
from filters.extract.layout_tables import open_layout_tables

LONG = "The river that runs through the old town has been the reason for most of its bridges. " * 4
SHORT = "<tr><td>Bread</td><td>2.40</td></tr>" * 3


def opened(body):
    """Return the tags of the page's tables, in order: "table", or "div" where a table was opened."""
    tree = html.fromstring(f"<html><body>{body}</body></html>")
    tables = list(tree.iter("table"))
    open_layout_tables(tree)
    for table in tables:
        below = {element.tag for element in table.iter() if next(element.iterancestors("table"), table) is table}
        assert below.isdisjoint({"tr", "td"}) or table.tag == "table"
    return [table.tag for table in tables]


@pytest.mark.parametrize(
    ("body", "tags"),
    [
        (f"<table><tr><td>Menu</td><td>{LONG}</td></tr></table>", ["div"]),
        (f"<table>{SHORT}</table>", ["table"]),
        (f"<table><tr><td>{LONG[:200]}</td></tr></table>", ["table"]),  # 200 characters are a note
        (f"<table><tr><td>{LONG}</td></tr></table><p>{LONG * 10}</p>", ["table"]),  # less than a tenth of the page
        (f"<table><tr><th>Note</th></tr><tr><td>{LONG}</td></tr></table>", ["table"]),
        (f"<table><caption>Notes</caption><tr><td>{LONG}</td></tr></table>", ["table"]),
        (f"<table><thead></thead><tr><td>{LONG}</td></tr></table>", ["table"]),
        (f"<table role=grid><tr><td>{LONG}</td></tr></table>", ["table"]),
        (f"<table role=presentation>{SHORT}</table>", ["div"]),
        (f"<table><tr><td><table>{SHORT}</table>{LONG}</td></tr></table>", ["div", "table"]),
        (f"<table><tr><th>Home</th></tr><tr><td><table>{SHORT}</table>{LONG}</td></tr></table>", ["div", "table"]),
        (f"<table><tr><td><table><tr><td>{LONG}</td></tr></table></td></tr></table>", ["div", "div"]),
        ("<p>No table.</p>", []),
    ],
)
def test_which_tables_lay_out_a_page(body, tags):
    assert opened(body) == tags


def test_line_ends_become_blanks_except_in_code():
    tree = html.fromstring(
        f"<table><tr><td>one\n  two<b>\nthree</b>\nfour<pre>a\n  <i>b\nc</i>\nd</pre>{LONG}</td></tr></table>"
    )
    open_layout_tables(tree)
    assert "".join(tree.itertext()).startswith("one two three foura\n  b\nc\nd")


def test_tables_nested_too_deeply_stay():
    """If the text of each cell were read, 5,000 nested tables with a megabyte of text would take minutes."""
    tree = cell = etree.Element("body")
    for tag in ("table", "tr", "td") * 5_000:
        cell = etree.SubElement(cell, tag)
    cell.text = LONG * 3_000
    open_layout_tables(tree)
    tables = list(tree.iter("table"))
    assert tables and len(list(tables[0].iterancestors("div"))) == 3 * 32


def pages(layout_tables):
    menu = "".join(f"<a href='/{name}'>{name}</a><br>" for name in ("Home", "Archive", "Contact"))
    texts = [f"{LONG[:85]} It is the {number}th of its kind in the whole valley." for number in range(4, 14)]
    for paragraphs in ("".join(f"<p>{text}</p>" for text in texts), "<br><br>".join(texts)):
        body = f"<html><body><table><tr><td>{menu}</td><td><h1>A walk</h1>{paragraphs}</td></tr></table></body></html>"
        block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body.encode()
        headers = {"warc-target-uri": "http://a.example/", "content-type": "application/http; msgtype=response"}
        for engine in ("trafilatura", "rescue"):
            doc = Document.of(Record("w", 0, "response", headers, block, len(block)))
            for _ in Extract(engine=engine, layout_tables=layout_tables).apply(doc):
                pass
            yield texts, doc.text


def test_an_article_in_a_table_is_lines_of_text():
    for texts, found in pages(layout_tables=True):
        assert [line for line in found.split("\n") if "valley" in line] == texts
        assert "Archive" not in found
    assert all(found.startswith("| ") for _, found in pages(layout_tables=False))
