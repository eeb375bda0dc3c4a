import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from corpus.errors import IntegrityError
from corpus.storage import boxes
from corpus.storage.boxes import Outbox, read_box, read_boxes
from corpus.storage.commits import Part
from corpus.storage.store import LocalStore

SCHEMA = pa.schema([pa.field("number", pa.int64()), pa.field("name", pa.string())])


def batch(numbers):
    return pa.RecordBatch.from_arrays(
        [pa.array(numbers, pa.int64()), pa.array([f"n{n}" for n in numbers])], schema=SCHEMA
    )


def write(folder, puts, **options):
    with Outbox(LocalStore(folder), "things", 5, **options) as out:
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
    numbers = np.array([2, 0, 2, 1, 0, 2])
    with Outbox(LocalStore(tmp_path), "things", 3) as out:
        out.scatter(numbers, batch(range(6)))
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


def by_hand(folder, block, rows):
    """A file of one box with one block, whose hash is right, as a stranger would write it."""
    entry = np.array([(0, rows, 0, len(block), xxhash.xxh3_64_intdigest(block))], boxes._ENTRY)
    starts, trailer = np.array([0, 1], "<u8"), np.array([(1, 1)], boxes._TRAILER)
    content = block + entry.tobytes() + starts.tobytes() + trailer.tobytes()
    (folder / "things").write_bytes(content)
    return Part("things", "things", rows, len(content), "")


@pytest.mark.parametrize("harm", ["none", "other rows", "an offset beyond the block", "no UTF-8", "compressed", "cut"])
def test_a_block_that_a_stranger_wrote(tmp_path, harm):
    texts = pa.array([f"text {n} " + "z" * 100_000 for n in range(3)])
    if harm in ("an offset beyond the block", "no UTF-8"):
        _, offsets, data = texts.buffers()
        starts = np.frombuffer(offsets, np.int32).copy()
        starts[1] = 1 << 30 if harm.startswith("an") else starts[1]
        data = data if harm.startswith("an") else pa.py_buffer(b"\xff" * data.size)
        texts = pa.Array.from_buffers(pa.string(), 3, [None, pa.py_buffer(starts), data])
    rows = pa.RecordBatch.from_arrays([pa.array([1, 2, 3]), texts], schema=SCHEMA)
    options = pa.ipc.IpcWriteOptions(compression="zstd" if harm == "compressed" else None)
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, SCHEMA, options=options) as writer:
        writer.write_batch(rows)
    messages = pa.ipc.MessageReader.open_stream(stream.getvalue())
    messages.read_next_message()  # the schema
    block = messages.read_next_message().serialize().to_pybytes()
    part = by_hand(tmp_path, block[: -len(block) // 2] if harm == "cut" else block, 4 if harm == "other rows" else 3)
    if harm == "none":
        assert read(tmp_path, part, 0) == [1, 2, 3]
    else:
        with pytest.raises(IntegrityError, match="is damaged"):
            read(tmp_path, part, 0)
