"""JSON Lines: what is an item, what is damage, and that neither units nor interruptions nor compression change it."""

import gzip
import json
import tracemalloc
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.documents import json_lines
from corpus.documents.files import as_stored, columns_in, format_of
from corpus.errors import InputError
from corpus.warc.record import Damage
from tests.corpus.warc.made import Memory, gz
from tests.documents import TEXT, check_resumed, lines, packed, read_documents, texts

BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", []),
        (b"\n\r\n \n", []),
        (b'{"text": "a"}', ["a"]),
        (BOM + b'{"text": "a"}\n', ["a"]),
        (b'{"text": "a"}\n' + BOM + b'{"text": "b"}\n', ["a", "json"]),
        (b'{"text": "a"}\r\n\r\n{"text": "b"}\r\n', ["a", "b"]),
        (b'{"text": "a", "n": NaN}\n{"text": NaN}\n', ["a", "type"]),
        (b'{"text": "a", "text": "b"}\n', ["b"]),
        (b'{"text": "\\ud800"}\n', ["\ud800"]),
        (b'{"text": "\xff"}\n{"text": "b"}\n', ["utf-8", "b"]),
        (b'{"text": "a"} {"text": "b"}\n', ["json"]),
        (b'{"text": "a"}\r{"text": "b"}\r', ["json"]),
        (b'[1]\n5\nnull\n"a"\n{"text": "a"}\n', ["json"] * 4 + ["a"]),
        (b'{"text": "a", "n": ' + b"9" * 5000 + b'}\n{"text": "b"}', ["json", "b"]),
        (b'{"text": ' + b"[" * 90_000 + b"]" * 90_000 + b'}\n{"text": "b"}', ["json", "b"]),
        (b'{"other": "a"}\n{"text": null}\n{"text": ""}\n', ["empty", "empty", ""]),
        (bytes(100) + b'\n{"text": "b"}\n', ["json", "b"]),
        ('{"text": "a"}\n'.encode("utf-16"), ["utf-8", "json"]),
    ],
)
def test_lines_are_rows_or_damage(data, found):
    items = read_documents(data, "a.jsonl")
    assert texts(items) == found
    for item in items:  # each has its own place, and says how long it is
        length = item.length if isinstance(item, Damage) else item.block_size
        assert data[item.offset : item.offset + length].endswith((b"\n", data[-1:]))


def test_a_line_that_is_too_long_is_a_damage_and_never_in_memory(monkeypatch):
    monkeypatch.setattr(json_lines, "MAX_TEXT", 1 << 20)
    long = b'{"text": "' + b"x" * (24 << 20) + b'"}\n'
    data = b'{"text": "a"}\n' + long + b'{"text": "b"}\n'
    tracemalloc.start()
    items = read_documents(data, "a.jsonl")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert texts(items) == ["a", "length", "b"]
    assert (items[1].offset, items[1].length) == (14, len(long))
    assert peak < 12 << 20


def test_a_line_of_far_too_many_lists_is_a_damage(monkeypatch):
    monkeypatch.setattr(json_lines, "_LONG_LINE", 100)
    monkeypatch.setattr(json_lines, "_MOST_BRACKETS", 50)
    rows = [{"text": "a", "n": [[]] * 30}, {"text": "b", "n": [[]] * 60}, {"text": "c" * 200}]
    assert texts(read_documents(lines(rows), "a.jsonl")) == ["a", "json", "c" * 200]


A, B = b'{"text": "a"}\n', b'{"text": "b"}\n'


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_members_and_frames_one_behind_the_other(name):
    whole = A + B + A
    for cut in (0, 5, len(A), len(A) + 3):  # also in the middle of a line
        data = packed(whole[:cut], name) + packed(whole[cut:], name)
        assert read_documents(data, name) == read_documents(packed(whole, name), name)
        check_resumed(data, name)


def test_skippable_frames_are_nothing():
    skipped = b"\x53\x2a\x4d\x18\x05\0\0\0hello"
    one = packed(A, "a.zst")
    assert texts(read_documents(skipped + one + skipped + one + skipped, "a.jsonl.zst")) == ["a", "a"]


@pytest.mark.parametrize(
    ("name", "data", "found"),
    [
        ("a.jsonl.gz", packed(A, "gz") + b"garbage", ["a", "gzip"]),
        ("a.jsonl.gz", packed(A, "gz") + bytes(600) + packed(B, "gz"), ["a", "gzip", "b"]),
        ("a.jsonl.gz", gzip.compress(A + B, mtime=0)[:-4], ["a", "b", "truncated"]),
        ("a.jsonl.gz", gzip.compress(A + B, mtime=0)[:-5] + b"\0\0\0\0\0", ["a", "b", "gzip"]),
        ("a.jsonl.zst", packed(A, "zst") + b"garbage", ["a", "truncated"]),
        ("a.jsonl.zst", packed(A, "zst")[:-2] + packed(B, "zst"), ["zstd", "b"]),
    ],
)
def test_damage_of_a_stream_is_one_item_and_reading_goes_on(name, data, found):
    assert texts(read_documents(data, name)) == found
    check_resumed(data, name)


@pytest.mark.parametrize("reach", [20, 30, "all but a trailer"])
def test_a_damaged_member_that_swallows_the_next_one(reach):
    """The length of its stored block is wrong. So it ends inside of the next member, or where this one ends."""
    greedy, after = bytearray(gz(A, 0)), gz(B, 0)
    length = len(A) + 8 + (len(after) - 8 if reach == "all but a trailer" else reach)
    greedy[11:15] = length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little")
    for rest, found in (([], ["b"]), ([gz(A)], ["b", "a"])):
        data = b"".join([bytes(greedy), after, *rest])
        items = read_documents(data, "a.jsonl.gz")
        assert texts(items)[0] == "a"
        assert texts(items)[-len(found) :] == found
        assert any(isinstance(item, Damage) for item in items)
        check_resumed(data, "a.jsonl.gz")


@pytest.mark.parametrize("kind", ["", ".gz", ".zst"])
def test_the_content_decides_about_compression(kind):
    source = Memory(packed(A, kind), "a.jsonl")
    for name in ("a.jsonl", "a.jsonl.gz", "a.jsonl.zst"):
        assert texts(read_documents(source.data, name)) == ["a"]


def test_names_at_the_start_of_a_file():
    rows = [{"id": 1, "meta": {"url": "x", "more": {"deep": 1}}}] * 300 + [{"text": "a", "id": 2}]
    for name in ("a.jsonl", "a.jsonl.gz", "a.jsonl.zst"):
        source = Memory(packed(b"broken\n" * 200 + lines(rows), name), name)
        assert columns_in(source, format_of(name)) == ["id", "meta", "meta.url", "meta.more", "text"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'[{"text": "a"}]', "jq -c"),
        (b'[\n{"text": "a"},\n{"text": "b"}\n]', "jq -c"),
        (b'{\n  "text": "a"\n}\n', "jq -c"),
        ('{"text": "a"}\n'.encode("utf-16"), "iconv"),
        ('{"text": "a"}\n'.encode("utf-16-be"), "iconv"),
        (b"title,text\na,b\n", "no line that is a JSON object"),
    ],
)
def test_a_file_of_another_kind_is_named_with_what_to_do(data, says):
    source = Memory(data, "a.json")
    with pytest.raises(InputError, match=says):
        columns_in(source, as_stored(source, format_of("a.json")))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.sampled_from(["text", "id", "url", "a.b"]) | st.text(max_size=5), json_values, max_size=4)
endings = st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\n \r\n\n"])


@st.composite
def files(draw):
    """The bytes of a file, and where its objects begin and end."""
    pieces, places = [BOM if draw(st.booleans()) else b""], []
    for value in (rows := draw(st.lists(objects, max_size=12))):
        at = sum(map(len, pieces))
        line = json.dumps(value, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
        pieces.append(line + draw(endings))
        places.append(at)
    data = b"".join(pieces)
    return (data[: -len(data[len(data.rstrip()) :]) or None] if draw(st.booleans()) else data), rows, places


@settings(max_examples=150, database=None)
@given(files(), st.lists(st.integers(1, 200), min_size=1, max_size=3), st.sampled_from(["", ".gz", ".zst"]))
def test_objects_are_found_however_a_file_is_divided_and_resumed(made, units, kind):
    data, rows, places = made
    whole = read_documents(data, "a.jsonl")
    assert len(whole) == len(rows)
    for item, row, place in zip(whole, rows, places, strict=True):
        assert item.offset == (place if place > len(BOM) else item.offset)
        if isinstance(row.get("text"), str) and not isinstance(item, Damage):
            assert item.text == row["text"]
        else:
            assert isinstance(item, Damage)
    for unit in units:
        assert read_documents(data, "a.jsonl", unit=unit) == whole
    check_resumed(data, "a.jsonl")
    name = f"a.jsonl{kind}"
    renamed = [(texts([one]), one.offset) for one in read_documents(packed(data, kind), name)]
    assert renamed == [(texts([one]), one.offset) for one in whole]


@settings(max_examples=150, database=None)
@given(st.lists(objects, min_size=1, max_size=8), st.sampled_from(["", ".gz", ".zst"]), st.data())
def test_harmed_bytes_never_raise_and_every_stretch_is_told(rows, kind, data):
    name = f"a.jsonl{kind}"
    harmed = bytearray(packed(lines(rows), kind))
    for place in data.draw(st.lists(st.integers(0, 10**6), min_size=1, max_size=4)):
        harmed[place % len(harmed)] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del harmed[len(harmed) - data.draw(st.integers(0, 10**6)) % len(harmed) :]
    items = read_documents(bytes(harmed), name, unit=data.draw(st.integers(1, 300)))
    assert items == read_documents(bytes(harmed), name)
    check_resumed(bytes(harmed), name)
    if not kind or not bytes(harmed).startswith((b"\x1f\x8b", b"\x28\xb5")):
        lengths = [one.length if isinstance(one, Damage) else one.block_size for one in items]
        between = zip(accumulate([0, *lengths]), items, strict=False)
        assert all(one.offset >= at for at, one in between)  # what lies between is blank
    assert TEXT.content == "text"
