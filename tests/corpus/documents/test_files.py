"""Formats by name, units, pages of HTML, and rows that are read again by their places."""

import pytest

from corpus.documents.columns import Columns
from corpus.documents.files import HTML_FILE, LINES, PAGE, ROWS, RowReader, as_stored, format_of, plan_documents
from corpus.errors import InputChanged
from corpus.warc.reader import MAX_BLOCK
from tests.corpus.warc.made import Memory
from tests.documents import KINDS, TEXT, documents, lines, packed, read_documents, texts, write_documents


@pytest.mark.parametrize(
    ("name", "layout", "codec"),
    [
        ("a.parquet", ROWS, "parquet"),
        ("A.PARQUET", ROWS, "parquet"),
        ("a/b.jsonl", LINES, "plain"),
        ("a.ndjson.gz", LINES, "gzip"),
        ("a.json.zst", LINES, "zstd"),
        ("a.json", LINES, "plain"),
        ("a.html", PAGE, "plain"),
        ("a.xhtm", PAGE, "plain"),
    ],
)
def test_formats_by_name(name, layout, codec):
    found = format_of(name)
    assert (found.layout, found.codec) == (layout, codec)


@pytest.mark.parametrize("name", ["a.warc.gz", "a.csv", ".a.jsonl", "a.jsonl.bz2", "parquet", "a.parquet.md5"])
def test_other_names_are_not_those_of_documents(name):
    assert format_of(name) is None


def test_units_of_a_plain_file_begin_where_lines_do():
    data = lines([{"text": "x" * size} for size in (5, 400, 5, 5, 5, 5)])
    plan = plan_documents(Memory(data, "a.jsonl"), format_of("a.jsonl"), TEXT, 40)
    assert len(plan.ranges) > 2
    assert all(one.start == 0 or data[one.start - 1 : one.start] == b"\n" for one in plan.ranges)
    packed_up = Memory(packed(data, "gz"), "a.jsonl.gz")
    assert len(plan_documents(packed_up, format_of("a.jsonl.gz"), TEXT, 10).ranges) == 1


@pytest.mark.parametrize("data", [b"", b"<p>A page", b"<p>" + b"x" * (MAX_BLOCK + 5)], ids=len)
def test_a_file_of_html_is_one_page(data):
    (item,) = read_documents(data, "a.html", HTML_FILE)
    assert (item.id, item.block, item.block_size) == ("a.html:0", data[:MAX_BLOCK], len(data))
    assert (item.content_type, item.is_text, item.judged) == ("text/html", False, True)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_read_again_by_their_places(tmp_path, kind):
    path = write_documents(tmp_path / f"a.{kind}", documents(50))
    columns, data = Columns(text="text", id="id"), path.read_bytes()
    source = Memory(data, path.name)
    form = as_stored(source, format_of(path.name))
    whole = read_documents(data, path.name, columns)
    for some in (whole[::7], whole[15:18], whole[-1:], []):
        reader = RowReader(source, form, [(item.offset, item.inner) for item in some], columns)
        announced, found = [], []
        while (item := next(reader, None)) is not None:
            found.append(item)
            announced.append((reader.offset, reader.inner))
        assert found == some
        assert announced == [*((item.offset, item.inner) for item in some[1:]), *[(len(data), 0)] * bool(some)]
    with pytest.raises(InputChanged, match="no document"):
        list(RowReader(source, form, [(3, 0)], columns))


def test_documents_are_the_same_in_every_format(tmp_path):
    found = {
        kind: [
            (item.text, item.record_id, item.url)
            for item in read_documents(
                write_documents(tmp_path / f"a.{kind}", documents(40)).read_bytes(),
                f"a.{kind}",
                Columns(text="text", id="id", url="url"),
            )
        ]
        for kind in KINDS
    }
    assert len(found["parquet"]) == 40
    assert all(one == found["parquet"] for one in found.values())
    assert texts([]) == []
