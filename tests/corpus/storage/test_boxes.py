import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.errors import IntegrityError
from corpus.storage.boxes import Outbox, read_box, read_boxes
from corpus.storage.store import LocalStore

SCHEMA = pa.schema([pa.field("number", pa.int64()), pa.field("name", pa.string())])


def batch(numbers):
    return pa.RecordBatch.from_arrays(
        [pa.array(numbers, pa.int64()), pa.array([f"n{n}" for n in numbers])], schema=SCHEMA
    )


def write(folder, puts, boxes=5, **options):
    with Outbox(LocalStore(folder), "things", boxes, **options) as out:
        for box, numbers in puts:
            out.put(box, batch(numbers))
        return out.finish()


def read(folder, part, box):
    return [n for rows in read_box(LocalStore(folder), part, box, SCHEMA) for n in rows["number"].to_pylist()]


puts_of_5 = st.lists(st.tuples(st.integers(0, 4), st.lists(st.integers(0, 99), max_size=6)), max_size=12)


@given(puts_of_5, st.sampled_from([1, 100, 1 << 20]), st.sampled_from([None, 1, 3]))
def test_every_box_holds_its_rows_in_order(tmp_path_factory, puts, hold, block):
    folder = tmp_path_factory.mktemp("store")
    part = write(folder, puts, hold=hold, block=block)
    for box in range(5):
        assert read(folder, part, box) == [n for where, numbers in puts if where == box for n in numbers]
    assert part.rows == sum(len(numbers) for _, numbers in puts)
    assert not list((folder / ".work" / "tmp").iterdir())


def test_scattered_rows_keep_their_order(tmp_path):
    boxes = np.array([2, 0, 2, 1, 0, 2])
    with Outbox(LocalStore(tmp_path), "things", 3) as out:
        out.scatter(boxes, batch(range(6)))
        part = out.finish()
    assert [read(tmp_path, part, box) for box in range(3)] == [[1, 4], [3], [0, 2, 5]]
    assert read_boxes(LocalStore(tmp_path), [part, part], 2, SCHEMA)["number"].to_pylist() == [0, 2, 5, 0, 2, 5]


def test_the_same_rows_make_the_same_file(tmp_path):
    puts = [(0, [1, 2]), (3, [5])]
    one, two = write(tmp_path, puts), write(tmp_path, puts)
    assert one == two
    assert write(tmp_path, puts[:1]).key != one.key


@pytest.mark.parametrize("place", range(0, 2_000, 37))
def test_a_flipped_bit_in_rows_that_are_read_is_found(tmp_path, place):
    part = write(tmp_path, [(box, range(20 * box, 20 * box + 20)) for box in range(4)])
    path = tmp_path / part.key
    content = bytearray(path.read_bytes())
    place = place % len(content)
    content[place] ^= 4
    path.write_bytes(content)
    for box in range(4):
        try:
            found = read(tmp_path, part, box)
        except IntegrityError:
            continue
        assert found == list(range(20 * box, 20 * box + 20))


@pytest.mark.parametrize("harm", ["missing", "short", "long"])
def test_files_of_another_length(tmp_path, harm):
    part = write(tmp_path, [(1, [1, 2, 3])])
    path = tmp_path / part.key
    content = path.read_bytes()
    path.unlink()
    if harm != "missing":
        path.write_bytes(content[:-1] if harm == "short" else content + b"x")
    with pytest.raises(IntegrityError, match="missing" if harm == "missing" else "damaged"):
        read(tmp_path, part, 1)
