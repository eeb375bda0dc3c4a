"""Rows of parquet: types, columns, damage, and that neither row groups nor units nor interruptions change them."""

import datetime
import decimal
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.documents import footers
from corpus.documents.columns import Columns
from corpus.documents.files import columns_in, format_of, plan_documents, read_part
from corpus.errors import ConfigError, CorpusError, InputChanged, InputUnreachable
from corpus.warc.plan import Range
from corpus.warc.record import Damage
from tests.corpus.warc.made import Memory
from tests.documents import TEXT, check_resumed, documents, parquet, read_documents, texts

FORM = format_of("a.parquet")
PARTS = Columns(text="text", id="id", url="url", date="date", language="language")


def read(table, columns=TEXT, **options):
    return read_documents(parquet(table, **options), "a.parquet", columns)


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(3),
     pa.dictionary(pa.int32(), pa.string())],
    ids=str,
)  # fmt: skip
def test_columns_of_text_of_any_kind(kind):
    assert texts(read(pa.table({"text": pa.array(["abc", "déf"[:3]]).cast(pa.binary()).cast(pa.string())}))) == [
        "abc", "déf",
    ]  # fmt: skip
    words = ["abc", "def"]
    if pa.types.is_dictionary(kind):
        made = pa.array(words).dictionary_encode()
    else:
        made = pa.array([word.encode() for word in words] if "binary" in str(kind) else words, kind)
    assert texts(read(pa.table({"text": made}))) == words


def test_json_and_uuids_are_read_as_what_they_hold():
    one = uuid.UUID(int=7)
    ids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([one.bytes, None], pa.binary(16)))
    made = pa.ExtensionArray.from_storage(pa.json_(), pa.array(["a", "b"]))
    found = read(pa.table({"text": made, "id": ids}), PARTS)
    assert [(item.text, item.record_id) for item in found] == [("a", str(one)), ("b", "")]


@pytest.mark.parametrize(
    ("value", "read_as"),
    [
        (5, "5"),
        (decimal.Decimal("1.50"), "1.50"),
        (datetime.datetime(2020, 1, 2, 3, 4, 5), "2020-01-02T03:04:05.000000"),
        (datetime.date(2020, 1, 2), "2020-01-02"),
        (b"abc", "abc"),
        (None, ""),
        (["a"], ""),
        ({"a": 1}, ""),
    ],
)
def test_names_and_dates_of_other_types(value, read_as):
    found = read(pa.table({"text": ["t"], "id": [value], "date": [value]}), PARTS)[0]
    assert (found.record_id, found.date) == (read_as, read_as)


def test_a_time_in_an_unknown_zone_is_left_out():
    found = read(pa.table({"text": ["t"], "date": pa.array([1], pa.timestamp("ns", "No/Where"))}), PARTS)
    assert [(item.text, item.date) for item in found] == [("t", "")]


def test_fields_of_columns_and_columns_with_dots():
    nested = pa.table({"a": [{"b": "x", "c": {"d": "http://u/"}}, None]})
    assert texts(read(nested, Columns(text="a.b"))) == ["x", "empty"]
    assert read(nested, Columns(text="a.b", url="a.c.d"))[0].url == "http://u/"
    assert texts(read(pa.table({"a.b": ["y"], "a": [{"b": "x"}]}), Columns(text="a.b"))) == ["y"]


@pytest.mark.parametrize("name", ["q\"uo'te", "new\nline", "\x1b[31m", "\u202e", "`", "a..b", ".", " "])
def test_columns_with_any_name(name):
    assert texts(read(pa.table({name: ["x"]}), Columns(text=name))) == ["x"]


def test_kept_columns_keep_their_types():
    values = {
        "text": "t",
        "n": 5,
        "f": 1.5,
        "b": True,
        "l": [["a"], None, []],
        "s": {"x": None, "y": ["z"]},
        "null": None,
    }
    table = pa.Table.from_pylist([values, {"text": "u"}])
    table = table.append_column("map", pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())))
    keep = tuple(name for name in table.column_names if name != "text")
    one, other = read(table, Columns(text="text", keep=keep))
    assert one.metadata == (
        '{"n": 5, "f": 1.5, "b": true, "l": [["a"], null, []], "s": {"x": null, "y": ["z"]}, "null": null, '
        '"map": [{"key": "k", "value": 1}]}'
    )
    assert other.metadata == "{" + ", ".join(f'"{name}": null' for name in keep) + "}"


def test_rows_that_are_no_text_are_one_damage_each():
    table = pa.table({"text": pa.array([b"a", None, b"\xff", b""]), "url": ["http://a/"] * 4})
    found = read(table, Columns(text="text", url="url"))
    assert texts(found) == ["a", "empty", "utf-8", ""]
    assert [item.url for item in found] == ["http://a/"] * 4
    assert [item.inner for item in found] == [0, 1, 2, 3]
    assert texts(read(pa.table({"text": pa.nulls(2)}))) == ["empty", "empty"]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (pa.table({"text": [1.5]}), "column 'text' of a.parquet is of type double"),
        (pa.table({"text": [["x"]]}), "is of type list"),
        (pa.table({"text": [{"a": "x"}]}), "is of type struct"),
        (pa.table({"body": ["x"]}), "has no column 'text', which is read in the other files"),
        (pa.table([["a"], ["b"]], names=["text", "text"]), "has 2 columns 'text'. Rename"),
    ],
)
def test_columns_that_can_not_be_read_are_refused_before_work(table, says):
    source = Memory(parquet(table), "a.parquet")
    with pytest.raises(ConfigError, match=says):
        plan_documents(source, FORM, TEXT, 100)


def test_files_without_rows_or_row_groups():
    assert read(pa.table({}), TEXT) == read(pa.table({"x": [1]}).slice(1), TEXT) == []
    schema = pa.schema([("text", pa.string()), ("id", pa.int64())])
    for writes in ([], [0], [1, 0, 2], [0, 0]):
        sink = pa.BufferOutputStream()
        with pq.ParquetWriter(sink, schema) as writer:
            for count in writes:
                writer.write_table(pa.table({"text": ["a"] * count, "id": [1] * count}, schema=schema))
        data = bytes(sink.getvalue())
        assert columns_in(Memory(data, "a.parquet"), FORM) == ["text", "id"]
        assert texts(read_documents(data, "a.parquet", unit=1)) == ["a"] * sum(writes)


def test_the_other_parts_may_be_missing_in_a_file():
    assert texts(read(pa.table({"text": ["a", "b"]}), PARTS)) == ["a", "b"]


def harmed(place, **options):
    """A file with three row groups, of which a byte is changed in the middle of the second."""
    rows = [{"text": f"text {number} " * 20} for number in range(60)]
    data = bytearray(
        parquet(pa.Table.from_pylist(rows), row_group_size=20, use_dictionary=False, compression=None, **options)
    )
    starts = [item.offset for item in read_documents(bytes(data), "a.parquet")][::20]
    data[(starts[1] + starts[2]) // 2 + place] ^= 0x55
    return bytes(data), starts


def test_damage_of_a_row_group_is_one_item_and_the_others_are_read():
    data, starts = harmed(0, write_page_checksum=True)
    found = read_documents(data, "a.parquet")
    damage = next(item for item in found if isinstance(item, Damage))
    assert (damage.kind, damage.offset, damage.length) == ("parquet", starts[1], starts[2] - starts[1])
    assert len(found) == 41
    assert read_documents(data, "a.parquet", unit=1) == found
    check_resumed(data, "a.parquet")


def test_a_row_group_with_fewer_rows_than_the_footer_says_is_damage():
    """As after some changes of the number of values in the header of a page."""
    data = bytearray(parquet(pa.table({"text": ["a", "b", "c"]}), use_dictionary=False, compression=None))
    silent = []
    for place in range(4, 40):
        for value in (*range(16), *range(16, 256, 16)):
            data[place], was = value, data[place]
            found = texts(read_documents(bytes(data), "a.parquet"))
            if len(found) < 3 and "parquet" not in found:
                silent.append((place, value))
            data[place] = was
    assert silent == []


class Failing(Memory):
    """A source that fails at the fourth read."""

    def __init__(self, data, error):
        super().__init__(data, "a.parquet")
        self.error, self.left = error, 3

    def read(self, offset, length):
        self.left -= 1
        if self.left < 0:
            raise self.error
        return super().read(offset, length)


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (InputUnreachable("gone"), InputUnreachable),
        (InputChanged("changed"), InputChanged),
        (OSError(5, "Input/output error"), InputUnreachable),
    ],
)
def test_what_storage_says_is_no_damage_of_the_file(error, becomes):
    table = pa.table({"text": [f"{number}" * 3000 for number in range(3_000)]})
    data = parquet(table, use_dictionary=False, compression=None, row_group_size=500)
    with pytest.raises(becomes):
        list(read_part(Failing(data, error), FORM, Range(0, len(data)), TEXT))


rows = st.lists(
    st.fixed_dictionaries({"text": st.none() | st.text(max_size=30), "id": st.integers(0, 99)}), min_size=1, max_size=25
)


@settings(max_examples=60, database=None)
@given(rows, st.lists(st.integers(1, 30), min_size=2, max_size=2), st.integers(1, 2000), st.booleans())
def test_rows_are_the_same_for_any_row_group_and_unit(made, groups, unit, dictionary):
    schema = pa.schema([("text", pa.string()), ("id", pa.int64())])
    columns = Columns(text="text", id="id")
    want = ["empty" if row["text"] is None else row["text"] for row in made]
    for group in groups:
        table = pa.Table.from_pylist(made, schema)
        data = parquet(table, row_group_size=group, use_dictionary=dictionary)
        whole = read_documents(data, "a.parquet", columns)
        assert texts(whole) == want
        assert read_documents(data, "a.parquet", columns, unit) == whole
        check_resumed(data, "a.parquet", columns)


MADE = [
    parquet(pa.Table.from_pylist(documents(30)), row_group_size=10, use_dictionary=dictionary, compression=compression)
    for dictionary in (True, False)
    for compression in (None, "zstd")
]


@settings(max_examples=150, database=None)
@given(st.sampled_from(MADE), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_harmed_pages_never_raise_and_every_row_group_is_told(data, changes):
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    changed = bytearray(data)
    for where, value in changes:
        changed[4 + int(where * (footer - 5))] = value
    found = read_documents(bytes(changed), "a.parquet", PARTS, unit=1)
    assert found == read_documents(bytes(changed), "a.parquet", PARTS)
    for start in {item.offset for item in read_documents(data, "a.parquet")}:
        here = [item for item in found if item.offset == start]
        assert len(here) == 10 or any(isinstance(item, Damage) and item.kind == "parquet" for item in here)


@pytest.mark.parametrize(
    "data", [b"", b"PAR1", b"PAR1" * 3, b"x" * 999, MADE[0][:-1], MADE[0][:-8] + b"\xff\xff\xff\x7fPAR1"]
)
def test_what_is_no_parquet_file(data):
    with pytest.raises(CorpusError, match="no parquet file"):
        columns_in(Memory(data, "a.parquet"), FORM)


def test_a_footer_that_ends_the_process_that_looks_at_it_is_a_damaged_file(monkeypatch):
    """As of pyarrow 26, a wrong number of levels in a column's statistics is an abort: after some changes of a bit."""
    ends = []
    monkeypatch.setattr(footers, "end", lambda end=footers.end: ends.append(end()))
    data = MADE[0]
    for place in range(len(data) - 8 - int.from_bytes(data[-8:-4], "little"), len(data) - 8):
        changed = bytearray(data)
        changed[place] ^= 1
        before = len(ends)
        try:
            read_documents(bytes(changed), "a.parquet", PARTS)
            refused = None
        except CorpusError as error:
            refused = error
        assert refused is not None or len(ends) == before
        if len(ends) == 2:
            break
    assert len(ends) == 2
    assert texts(read_documents(data, "a.parquet")) == texts(read_documents(MADE[1], "a.parquet"))
