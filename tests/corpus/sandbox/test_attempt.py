"""The parts of an attempt: the same bytes however their rows arrived, and none left behind."""

import hashlib

import pyarrow as pa
import pytest

from corpus.sandbox.attempt import ROWS_PER_CHUNK, PartFiles, PartWriter
from corpus.storage.commits import read_commit
from corpus.storage.store import LocalStore


def table(first, end):
    numbers = range(first, end)
    found = {
        "number": pa.array([n if n % 3 else None for n in numbers], pa.int64()),
        "text": pa.array([f"n{n}" for n in numbers], pa.string()),
        "signature": pa.array([bytes([n % 256]) * 8 for n in numbers], pa.binary(8)),
        "lines": pa.array([list(range(n % 4)) for n in numbers], pa.list_(pa.uint64())),
    }
    return pa.table(found)


def written(path, sizes):
    """The sha256 of a file whose rows come in batches of these sizes, and its rows per chunk."""
    writer, first = PartWriter(path), 0
    for size in sizes:
        writer.add(table(first, first + size))
        first += size
    writer.close()
    with pa.ipc.open_file(path) as reader:
        assert reader.read_all().equals(table(0, first))
        chunks = [reader.get_batch(n).num_rows for n in range(reader.num_record_batches)]
    return hashlib.sha256(path.read_bytes()).hexdigest(), chunks


@pytest.mark.parametrize("sizes", [[1000, 24, 0, 1476], [1] * 2500, [1023, 2, 1475], [2048, 452]])
def test_bytes_do_not_depend_on_how_rows_arrive(tmp_path, sizes):
    whole, chunks = written(tmp_path / "whole", [2500])
    assert chunks == [ROWS_PER_CHUNK, ROWS_PER_CHUNK, 452]
    assert written(tmp_path / "parts", sizes) == (whole, chunks)


def test_a_file_for_each_kind_is_moved_into_the_store(tmp_path):
    store = LocalStore(tmp_path)
    with PartFiles(store) as files:
        for kind in ("ledger", "corpus", "ledger"):
            files.add(kind, table(0, 3))
        parts = files.finish()
    assert [(part.kind, part.rows) for part in parts] == [("corpus", 3), ("ledger", 6)]
    assert all(store.size(part.key) == part.bytes for part in parts)
    assert not any(store.scratch().parent.iterdir())
    assert read_commit(store, ".work/commits/pass/x.json") is None


def test_an_exception_leaves_no_file(tmp_path):
    store = LocalStore(tmp_path)
    with pytest.raises(ZeroDivisionError), PartFiles(store) as files:
        files.add("ledger", table(0, 3))
        files.add("corpus", table(0, 3000))
        raise ZeroDivisionError
    assert not any(store.scratch().parent.iterdir())
