"""A relay changes nothing of what a reader finds, whatever the numbers of writers and readers."""

from itertools import pairwise
from math import sqrt

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.errors import IntegrityError
from corpus.storage.boxes import Outbox
from corpus.storage.exchange import Files, Grid, relay
from corpus.storage.store import LocalStore

SCHEMA = pa.schema([("number", pa.int64())])


class Counting(LocalStore):
    """A store that counts the openings of files: the index of a file ends with a trailer of 16 bytes."""

    opened = 0

    def read(self, key, offset, length):
        self.opened += length == 17
        return super().read(key, offset, length)


def written(store, writer, readers, rows, hold):
    with Outbox(store, "things", readers, hold=hold) as out:
        for n in range(rows):
            out.put((n * n + writer) % readers, pa.RecordBatch.from_pydict({"number": [1000 * writer + n]}, SCHEMA))
        return out.finish()


def relayed(store, parts, grid, memory=1 << 20):
    made = []
    for task in grid.tasks():
        made.append(relay(store, "relayed", parts[slice(*task["writers"])], range(*task["readers"]), memory))
    return Files.from_dict(Files(tuple(made), grid).as_dict())


def found(store, files, reader):
    """The blocks of one reader, by writer."""
    return [[batch.to_pylist() for batch in box.batches(SCHEMA)] for box in files.boxes(store, reader)]


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=11),
    st.integers(1, 13),
    st.sampled_from([1, 100, 1 << 20]),
    st.sampled_from([1, 700, 1 << 20]),
)
def test_readers_find_the_same_blocks(tmp_path_factory, rows, readers, hold, memory):
    store = LocalStore(tmp_path_factory.mktemp("store"))
    parts = [written(store, writer, readers, count, hold) for writer, count in enumerate(rows)]
    files = relayed(store, parts, Grid(len(parts), readers), memory)
    direct = Files(tuple(parts))
    for reader in range(readers):
        assert found(store, files, reader) == found(store, direct, reader)
    assert sum(part.rows for part in files.parts) == sum(rows)
    assert {part.key for part in files.parts}.isdisjoint(part.key for part in parts)


@given(st.integers(1, 6_000), st.integers(1, 6_000))
def test_a_relay_opens_few_files(writers, readers):
    grid = Grid(writers, readers)
    tasks = grid.tasks()
    batches, slices = -(-writers // grid.batch), -(-readers // grid.slice)
    assert len(tasks) == batches * slices <= (sqrt(writers) + 1) * (sqrt(readers) + 1)
    assert writers * slices + readers * batches <= writers * (sqrt(readers) + 1) + readers * (sqrt(writers) + 1)
    for name, count in (("writers", writers), ("readers", readers)):
        ranges = sorted({tuple(task[name]) for task in tasks})
        assert (ranges[0][0], ranges[-1][1]) == (0, count)
        assert all(one[1] == other[0] for one, other in pairwise(ranges))


def test_a_reader_opens_one_file_of_each_batch(tmp_path):
    store = Counting(tmp_path)
    parts = [written(store, writer, 9, 40, 1 << 20) for writer in range(16)]
    files = relayed(store, parts, Grid(16, 9))
    assert store.opened == 16 * 3
    store.opened = 0
    assert len(found(store, files, 4)) == 16
    assert store.opened == 4


def test_a_relay_finds_damage(tmp_path):
    store = LocalStore(tmp_path)
    part = written(store, 0, 2, 40, 1 << 20)
    path = store.path(part.key)
    content = bytearray(path.read_bytes())
    content[200] ^= 4
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="is damaged"):
        relayed(store, [part], Grid(1, 2))
