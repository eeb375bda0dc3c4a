"""Tables of several files, read by row group, by batch and by row number."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.errors import IntegrityError
from corpus.runs.row_groups import map_row_groups, read_batches, read_rows, row_groups
from corpus.storage.parquet_files import ParquetFile

FILES = [7, 0, 5]


@pytest.fixture
def paths(tmp_path):
    """Files of 7, 0 and 5 rows, three rows in a row group."""
    made, row = [], 0
    for number, rows in enumerate(FILES):
        table = pa.table({"row": pa.array(range(row, row + rows), pa.int64()), "text": ["x"] * rows})
        made.append(tmp_path / f"{number}.parquet")
        pq.write_table(table, made[-1], row_group_size=3)
        row += rows
    return made


def test_row_groups_know_their_place_in_the_table(paths):
    groups = [group for group in row_groups(paths) if group.rows]
    assert [(group.path, group.index, group.first, group.rows) for group in groups] == [
        (paths[0], 0, 0, 3), (paths[0], 1, 3, 3), (paths[0], 2, 6, 1), (paths[2], 0, 7, 3), (paths[2], 1, 10, 2),
    ]  # fmt: skip


def test_results_come_in_the_order_of_the_row_groups(paths):
    found = map_row_groups(lambda group, read: (group.first, read(["row"])["row"].to_pylist()), row_groups(paths), 4)
    assert [row for first, rows in found for row in rows] == list(range(12))


def test_a_column_is_read_once(paths, monkeypatch):
    asked = []
    group = ParquetFile.group
    monkeypatch.setattr(ParquetFile, "group", lambda *given: asked.append(given[2]) or group(*given))
    with row_groups(paths)[0].open() as read:
        assert read(["row", "row"]).column_names == ["row"]
        assert read(["text", "row"]).column_names == ["text", "row"]
    assert asked == [["row"], ["text"]]


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_batches_hold_every_row_in_order(paths, rows):
    batches = list(read_batches(paths, ["row"], rows))
    assert [row for batch in batches for row in batch["row"].to_pylist()] == list(range(12))
    assert max(batch.num_rows for batch in batches) <= rows


@pytest.mark.parametrize(("first", "end"), [(0, 12), (2, 3), (5, 9), (6, 7), (11, 12), (4, 4)])
def test_rows_by_number(paths, first, end):
    assert read_rows(paths, first, end).to_pylist() == [{"row": row, "text": "x"} for row in range(first, end)]


@pytest.mark.parametrize("read", [lambda p: read_rows(p, 0, 12), lambda p: list(read_batches(p, ["row"], 5))])
def test_a_damaged_page_is_found(paths, read):
    pq.write_table(pa.table({"row": range(1000), "text": ["x"] * 1000}), paths[0], write_page_checksum=True,
                   compression="none", use_dictionary=False)  # fmt: skip
    data = bytearray(paths[0].read_bytes())
    data[200] ^= 1
    paths[0].write_bytes(data)
    with pytest.raises(IntegrityError, match=r"0\.parquet is damaged"):
        read(paths)
