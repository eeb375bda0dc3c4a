"""Frames, batches and the board, without a process on the other side."""

import os
import tempfile

import pyarrow as pa
import pytest

from corpus.sandbox.protocol import BATCH, ERROR, TABLE, BatchReader, Board, FrameReader, send_batch, write_frame
from corpus.sandbox.unit import Batch


def sent(write):
    """The bytes that `write` writes to a file descriptor."""
    with tempfile.TemporaryFile() as file:
        write(file.fileno())
        file.seek(0)
        return file.read()


@pytest.mark.parametrize("size", [1, 2, 9, 10, 1000])
def test_frames_come_out_however_their_bytes_arrive(size):
    data = sent(lambda fd: [write_frame(fd, kind, payload) for kind, payload in FRAMES])
    reader, found = FrameReader(), []
    for start in range(0, len(data), size):
        found += reader.feed(data[start : start + size])
    assert found == FRAMES


FRAMES = [(BATCH, b"{}"), (TABLE, b""), (ERROR, bytes(range(256)) * 2)]


def test_a_frame_that_is_not_whole_is_not_given():
    data = sent(lambda fd: write_frame(fd, BATCH, b"12345"))
    assert FrameReader().feed(data[:-1]) == []


def test_the_other_side_is_gone():
    read, write = os.pipe()
    os.close(read)
    with pytest.raises(BrokenPipeError):
        write_frame(write, BATCH, b"{}")
    os.close(write)


def batch(number, **fields):
    tables = {"ledger": pa.table({"id": [f"{number}"]}), "corpus": pa.table({"text": pa.array([], pa.string())})}
    counts = {"in": 1, "kept": 0, "dropped": {"url": {"list": 1}}, "failed": {}, "skipped": {}}
    return Batch(tables, counts, {"request": 2}, [{"id": "w:1", "stopped_by": "memory"}], {"url": 0.25}, **fields)


def test_batches_come_out_as_they_were_sent():
    sent_batches = [batch(1, next=(2**40, 3)), batch(2, next=(2**41, 0), done=True)]
    frames = FrameReader().feed(sent(lambda fd: [send_batch(fd, one) for one in sent_batches]))
    reader = BatchReader()
    found = [reader.take(kind, payload) for kind, payload in frames]
    assert found == [None, None, sent_batches[0], None, None, sent_batches[1]]
    assert isinstance(found[2].next, tuple)  # a place is compared with others


@pytest.fixture
def boards():
    """The two sides of a board."""
    with tempfile.TemporaryFile() as file:
        reader = Board(file.fileno())
        writer = Board(file.fileno())
        yield reader, writer
        reader.close()
        writer.close()


def test_the_board_shows_the_last_place(boards):
    reader, writer = boards
    assert reader.read() is None
    assert not reader.used
    writer.waiting()  # before any record there is nothing to wait for
    assert reader.read() is None
    writer.announce((5, 0))
    writer.announce((7, 2))
    assert reader.read().place == (7, 2)
    assert reader.used


def test_a_slow_input_restarts_only_the_wall_clock(boards):
    reader, writer = boards
    writer.announce((5, 0))
    before = reader.read()
    writer.waiting()
    after = reader.read()
    assert (after.place, after.cpu) == (before.place, before.cpu)
    assert after.wall >= before.wall


def test_a_place_that_is_being_written_is_not_read(boards):
    reader, writer = boards
    writer.announce((5, 0))
    Board._FORM.pack_into(writer._map, 0, writer._turn + 1, 7, 0, 0.0, 0.0)  # as if killed in the middle
    assert reader.read() is None
    assert reader.used
