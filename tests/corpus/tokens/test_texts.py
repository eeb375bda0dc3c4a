"""Texts: folders of parquet files, read in slices."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import corpus.tokens.texts
from corpus.errors import InputChanged, InputError, IntegrityError
from corpus.tokens.texts import open_texts, read_sample, read_slice


def write(folder, name, columns, **options):
    (folder / name).parent.mkdir(exist_ok=True, parents=True)
    table = pa.table(columns, names=["text"] * len(columns)) if isinstance(columns, list) else pa.table(columns)
    pq.write_table(table, folder / name, **{"row_group_size": 3, **options})


def read(texts, extra=()):
    return [row for part in texts.slices() for batch in read_slice(part, extra) for row in batch.to_pylist()]


@pytest.mark.parametrize("slice_bytes", [1, 1 << 20])
def test_rows_in_order_with_their_own_ids_or_file_and_row(tmp_path, monkeypatch, slice_bytes):
    monkeypatch.setattr(corpus.tokens.texts, "SLICE_BYTES", slice_bytes)
    write(tmp_path / "t", "b.parquet", {"text": [f"b{n}" for n in range(7)]})
    write(tmp_path / "t", "a.parquet", {"id": ["x", None, "z"], "text": ["one", "", None], "n": [1, 2, 3]})
    (tmp_path / "t" / "notes.txt").write_text("no parquet")
    texts = open_texts(tmp_path / "t")
    assert texts.rows == 10
    assert len(texts.slices()) == (4 if slice_bytes == 1 else 2)
    assert read(texts) == [
        {"id": "x", "text": "one"},
        *({"id": f"b.parquet:{n}", "text": f"b{n}"} for n in range(7)),
    ]
    assert texts.columns == ("text",)


def test_one_file_may_be_named(tmp_path, monkeypatch):
    write(tmp_path / "t", "a.parquet", {"text": ["one"]})
    write(tmp_path / "t", "b.parquet", {"text": ["two"]})
    write(tmp_path / "f.parquet", "a.parquet", {"text": ["in a folder with such a name"]})
    assert read(open_texts(tmp_path / "t" / "b.parquet")) == [{"id": "b.parquet:0", "text": "two"}]
    assert [row["text"] for row in read(open_texts(tmp_path / "f.parquet"))] == ["in a folder with such a name"]
    monkeypatch.chdir(tmp_path / "t")
    assert [row["text"] for row in read(open_texts("a.parquet"))] == ["one"]


def test_a_null_id_is_replaced_by_file_and_row(tmp_path):
    write(tmp_path / "t", "a.parquet", {"id": ["x", None], "text": ["one", "two"], "n": [1, 2]})
    texts = open_texts(tmp_path / "t")
    assert read(texts, ["n"])[1] == {"id": "a.parquet:1", "text": "two", "n": 2}


@pytest.mark.parametrize(
    ("ids", "found"),
    [
        (pa.array([7, None]), ["7", "a.parquet:1"]),
        (pa.array(["x", "y"]).dictionary_encode(), ["x", "y"]),
        (pa.array([{"n": 1}, None]), ["a.parquet:0", "a.parquet:1"]),
        (pa.array([b"\xff", b"x"]), ["a.parquet:0", "a.parquet:1"]),
    ],
)
def test_ids_that_are_neither_string_nor_number_are_none(tmp_path, ids, found):
    write(tmp_path / "t", "a.parquet", {"id": ids, "text": ["one", "two"]})
    assert [row["id"] for row in read(open_texts(tmp_path / "t"))] == found


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
def test_strings_of_any_kind_are_text(tmp_path, kind):
    write(tmp_path / "t", "a.parquet", {"text": pa.array(["one", None, "two"]).cast(kind)})
    assert [row["text"] for row in read(open_texts(tmp_path / "t"))] == ["one", "two"]


def test_files_in_sub_folders_are_found_and_named_by_their_path(tmp_path):
    for folder in ("t", "t/train/new", "t/val"):
        write(tmp_path / folder, "a.parquet", {"text": [folder]})
    assert read(open_texts(tmp_path / "t")) == [
        {"id": "a.parquet:0", "text": "t"},
        {"id": "train/new/a.parquet:0", "text": "t/train/new"},
        {"id": "val/a.parquet:0", "text": "t/val"},
    ]


def test_a_file_whose_texts_are_all_null_is_empty(tmp_path):
    write(tmp_path / "t", "a.parquet", {"text": pa.nulls(2)})
    write(tmp_path / "t", "b.parquet", {"text": ["one"]})
    assert [row["text"] for row in read(open_texts(tmp_path / "t"))] == ["one"]


@pytest.mark.parametrize("name", [".a.parquet", "_a.parquet", ".hidden/a.parquet", "_temporary/0/a.parquet"])
def test_hidden_files_are_not_read(tmp_path, name):
    write(tmp_path / "t", "a.parquet", {"text": ["one"]})
    write(tmp_path / "t", name, {"text": ["hidden"]})
    assert open_texts(tmp_path / "t").rows == 1


def test_sizes_are_of_the_text_and_not_of_a_nested_column_of_its_name(tmp_path):
    nested = pa.array([{"text": None}] * 3, pa.struct([("text", pa.string())]))
    write(tmp_path / "t", "a.parquet", {"meta": nested, "text": [f"{n}" * 1000 for n in range(3)]})
    texts = open_texts(tmp_path / "t")
    assert 3000 < texts.bytes < texts.all_bytes


def test_the_identity_is_of_the_content(tmp_path):
    for folder, text in (("one", "text"), ("two", "text"), ("three", "texT")):
        write(tmp_path / folder, "a.parquet", {"text": [text]})
    one, two, three = (open_texts(tmp_path / folder).identity() for folder in ("one", "two", "three"))
    assert one == two != three


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"words": ["x"]}, "no column `text`.*Rename"),
        ({"text": [1]}, "a column `text` of int64.*as strings"),
        ([["x"], ["y"]], "has two columns `text`"),
        ({"text": pa.array([], pa.string())}, "no text"),
    ],
)
def test_folders_without_text(tmp_path, columns, message):
    write(tmp_path / "t", "a.parquet", columns)
    with pytest.raises(InputError, match=message):
        open_texts(tmp_path / "t")


def test_folders_of_something_else(tmp_path):
    with pytest.raises(InputError, match="neither a finished run nor parquet"):
        open_texts(tmp_path)
    (tmp_path / "a.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(InputError, match="is not a parquet file"):
        open_texts(tmp_path)


def test_a_file_with_text_that_is_not_utf8_is_named(tmp_path):
    raw = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.array([0, 2], pa.int32()).buffers()[1], pa.py_buffer(b"\xff\xfe")]
    )
    write(tmp_path / "t", "a.parquet", {"text": raw})
    with pytest.raises(InputError, match=r"a\.parquet has a text before row .* that is not UTF-8"):
        read(open_texts(tmp_path / "t"))


def test_damage_is_named(tmp_path):
    options = {"write_page_checksum": True, "compression": None, "use_dictionary": False}
    write(tmp_path / "t", "a.parquet", {"text": ["x" * 100_000] * 3}, **options)
    texts = open_texts(tmp_path / "t")
    content = bytearray((tmp_path / "t" / "a.parquet").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "t" / "a.parquet").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"a\.parquet is damaged"):
        read(texts)
    (tmp_path / "t" / "a.parquet").unlink()
    with pytest.raises(InputChanged, match="is gone"):
        read(texts)


def test_a_file_that_is_replaced_ends_the_run(tmp_path):
    write(tmp_path / "t", "a.parquet", {"text": ["old"] * 3})
    texts = open_texts(tmp_path / "t")
    begun = read_slice(texts.slices()[0])
    next(begun)
    write(tmp_path / "t", "a.parquet", {"text": ["new"] * 3})
    for rest in (begun, read_slice(texts.slices()[0])):
        with pytest.raises(InputChanged, match=r"a\.parquet changed while"):
            list(rest)


def test_a_sample_is_a_part_drawn_evenly(tmp_path):
    texts = [f"{n} " + "x" * 100 for n in range(3000)]
    write(tmp_path / "t", "a.parquet", {"text": texts}, row_group_size=500, use_dictionary=False)
    opened = open_texts(tmp_path / "t")
    drawn = [text for batch in read_sample(opened, opened.bytes // 4) for text in batch["text"].to_pylist()]
    assert set(drawn) < set(texts)
    assert 600 < len(drawn) < 900
    assert 0.4 < sum(texts.index(text) < 1500 for text in drawn) / len(drawn) < 0.6
    assert sum(batch.num_rows for batch in read_sample(opened, 1 << 40)) == 3000
