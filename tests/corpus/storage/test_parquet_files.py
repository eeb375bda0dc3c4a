"""Parquet files that ask for far more memory than their size."""

import resource

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.errors import IntegrityError
from corpus.storage import parquet_files
from corpus.storage.parquet_files import ParquetFile

MB = 1 << 20


def repeated(path, rows, size=MB, **options):
    """A file with one text of `size` bytes, in `rows` rows."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * size]))
    schema = pa.schema([("text", pa.dictionary(pa.int32(), pa.string()))])
    options = {"compression": "zstd", "dictionary_pagesize_limit": 64 * MB, "write_statistics": False, **options}
    pq.write_table(pa.table([text], schema=schema), path, store_schema=False, row_group_size=rows, **options)


@pytest.fixture(params=["a repeated text", "a text that shares its start", "a billion numbers"])
def bomb(request, tmp_path):
    """A file of some kB that would take 17 GB."""
    path = tmp_path / "bomb.parquet"
    if request.param == "a repeated text":
        repeated(path, 17_000)
    elif request.param == "a text that shares its start":
        texts = pa.table({"text": ["x" * MB] * 100})
        encoding = {"text": "DELTA_BYTE_ARRAY"}
        pq.write_table(texts, path, use_dictionary=False, column_encoding=encoding, compression="zstd")
    else:
        numbers = pa.DictionaryArray.from_arrays(pa.array([0] * (4 * MB), pa.int32()), pa.array([7]))
        pq.write_table(pa.table({"text": numbers}), path, row_group_size=4 * MB)
    assert path.stat().st_size < 20_000
    return path


READS = [
    lambda file: file.group(0),
    lambda file: file.group(0, ["text"]),
    lambda file: list(file.batches()),
    lambda file: list(file.batches(1024, ["text"], [0])),
]


@pytest.mark.parametrize("read", READS)
def test_a_bomb_is_damage(bomb, read, monkeypatch):
    monkeypatch.setattr(parquet_files, "_LEAST", 8 * MB)  # 8 MB instead of a GiB, so that the test is a small one, too
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(IntegrityError, match="more memory than its size allows"), ParquetFile(bomb) as file:
        read(file)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200 << 10, f"{grown / 1024:.0f} MB"


def test_a_footer_that_lies_about_the_number_of_values_is_damage(tmp_path):
    """The library would make room for as many values as the footer says, before it reads one."""
    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table({"n": pa.array([1, 2, 3])}), path, use_dictionary=False, write_statistics=False,
                   store_schema=False, compression="none", data_page_version="1.0")  # fmt: skip
    data = path.read_bytes()
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    three, most = b"\x06", b"\xfe\xff\xff\xff\xff\x01"  # 3 and 17 billion, as thrift writes them
    footer = data[start:-8].replace(b"\x16" + three, b"\x16" + most)
    path.write_bytes(data[:start] + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    for read in (lambda file: file.check(), READS[0], READS[2]):
        with pytest.raises(IntegrityError, match="more memory than its size allows"), ParquetFile(path) as file:
            read(file)


def test_a_text_that_repeats_is_no_damage(tmp_path):
    path = tmp_path / "same.parquet"
    repeated(path, 800, size=MB)
    with ParquetFile(path) as file:
        assert sum(batch.num_rows for batch in file.batches(1024, ["text"])) == 800
    repeated(path, 30, size=MB)
    with ParquetFile(path) as file:
        assert file.group(0)["text"].to_pylist() == ["x" * MB] * 30


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b"x" * 100])
def test_what_is_no_parquet_is_damage(tmp_path, content):
    (tmp_path / "x.parquet").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"x\.parquet is damaged"):
        ParquetFile(tmp_path / "x.parquet")


def test_a_column_that_is_missing_is_named(tmp_path):
    pq.write_table(pa.table({"a.b": [1], "a.c": ["x"]}), tmp_path / "x.parquet")
    with ParquetFile(tmp_path / "x.parquet") as file:
        assert file.group(0, ["a.c"]).to_pydict() == {"a.c": ["x"]}
        with pytest.raises(IntegrityError, match="has no column `a`"):
            file.group(0, ["a"])
