"""The promises of a store, for a folder and for a bucket of a real S3 server."""

import errno
import os
import threading
from pathlib import Path

import pyarrow as pa
import pytest

from corpus.errors import ConfigError, IntegrityError, NoRoom, OutputError
from corpus.storage.boxes import Outbox, read_box
from corpus.storage.bucket import BLOCK_BYTES
from corpus.storage.commits import add_part, check_part, commit, read_commit
from corpus.storage.store import LOCK, LocalStore, as_json, local_file, open_store
from tests.corpus.storage.conftest import scratch


def test_what_is_stored_comes_back(store, monkeypatch):
    big = os.urandom(2 * BLOCK_BYTES + 1000)
    monkeypatch.setattr("corpus.storage.bucket.FETCH_BYTES", len(big) - 1)
    for key, content in {"a.json": b"1", "empty": b"", ".work/parts/x/big": big, "big": big[:-1]}.items():
        assert store.size(key) is None
        assert store.get(key) is None
        assert store.put_new(key, content)
        assert not store.put_new(key, content + b"more")
        assert store.get(key) == store.local(key).read_bytes() == content
        assert store.size(key) == len(content)
        for offset, length in ((0, 5), (BLOCK_BYTES - 3, 7), (BLOCK_BYTES + 1, BLOCK_BYTES), (len(content) - 2, 9)):
            if offset >= 0:
                assert store.read(key, offset, length) == content[offset : offset + length]
    assert bytes(store.buffer("big")) == big[:-1]


def test_a_file_is_adopted_once(store):
    path = scratch(store, b"rows")
    assert store.adopt(path, "corpus/part-00000.parquet")
    assert not path.exists()
    path = scratch(store, b"other rows")
    assert not store.adopt(path, "corpus/part-00000.parquet")
    assert not path.exists()
    assert store.get("corpus/part-00000.parquet") == b"rows"


def test_keys_that_do_not_exist(store):
    store.put_new("there/x", b"")
    for ask in (store.buffer, store.local, lambda key: store.read(key, 0, 1)):
        with pytest.raises(FileNotFoundError):
            ask("nothing/here")
    store.discard("nothing/here")
    store.remove("nothing")


def test_listing_and_removing(store):
    for key in ("b/2", "b/1", "b/c/3", "bb/4", "run.json"):
        store.put_new(key, b"x")
    assert list(store.keys("b")) == ["b/1", "b/2", "b/c/3"]
    assert store.names() - {".work"} == {"b", "bb", "run.json"}
    store.discard("b/1")
    store.remove("bb")
    assert sorted(key for key in store.keys("") if not key.startswith(".work")) == ["b/2", "b/c/3", "run.json"]


def test_what_is_replaced_is_read_anew(store):
    for content in (b"one", b"two"):
        store.replace("timings.json", content)
        assert store.get("timings.json") == store.local("timings.json").read_bytes() == content


def test_commits_and_boxes(store):
    part = add_part(store, "x", scratch(store, b"rows"), 1)
    made = commit(store, ".work/commits/c.json", [part], {"n": 1})
    assert read_commit(store, ".work/commits/c.json") == made
    assert check_part(store, part).to_pybytes() == b"rows"
    schema = pa.schema([("n", pa.int64())])
    with Outbox(store, "things", 3) as out:
        for box in (2, 0, 2):
            out.put(box, pa.record_batch([pa.array([box, box + 10])], schema=schema))
        filed = out.finish()
    found = [[n for batch in read_box(store, filed, box, schema) for n in batch["n"].to_pylist()] for box in range(3)]
    assert found == [[0, 10], [], [2, 12, 2, 12]]


def test_of_twelve_writers_one_wins(store):
    for number in range(2):
        barrier, won = threading.Barrier(12), []

        def race(writer, number=number, barrier=barrier, won=won):
            barrier.wait()
            if store.put_new(f"c/{number}.json", str(writer).encode()):
                won.append(writer)

        threads = [threading.Thread(target=race, args=(writer,)) for writer in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert store.get(f"c/{number}.json") == str(won[0]).encode()
    if isinstance(store, LocalStore):
        assert not any(store.scratch().parent.iterdir())


def test_a_url_that_is_no_object_stores_is_refused():
    with pytest.raises(ConfigError, match="is no object store"):
        open_store("https://example.com/out")


def test_a_folder_that_can_not_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="can't be written: Not a directory"):
        LocalStore(tmp_path / "file" / "out").prepare()


def test_a_key_that_can_not_be_examined_is_an_error(tmp_path):
    """Such a key does not count as missing, since a run must not write there."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for ask in (LocalStore(tmp_path / "loop").get, LocalStore(tmp_path / "loop").size):
        with pytest.raises(IntegrityError, match="Too many levels"):
            ask("run.json")
    (tmp_path / "corpus").mkdir()
    with pytest.raises(OutputError, match="can't be read: Is a directory"):
        LocalStore(tmp_path).get("corpus")


def test_a_key_below_a_file_does_not_exist(tmp_path):
    store = LocalStore(tmp_path)
    store.put_new("run.json", b"{}")
    assert store.get("run.json/x") is store.size("run.json/x") is None


def test_a_full_disk_is_one_error_however_it_is_met(tmp_path):
    with pytest.raises(NoRoom, match="No space left"), LocalStore(tmp_path).only_run():
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match="Input/output"), LocalStore(tmp_path).only_run():
        raise OSError(errno.EIO, "Input/output error")


def test_one_run_at_a_time_writes_to_a_folder(tmp_path):
    store = LocalStore(tmp_path)
    with store.only_run():
        left = store.scratch()
        left.write_bytes(b"of a failed task")
        with pytest.raises(OutputError, match="Another run is writing"), LocalStore(tmp_path).only_run():
            raise AssertionError
        assert left.exists()
    assert not left.exists()
    assert not (tmp_path / LOCK).parent.exists()  # no work began, so there is no trace


def test_a_location_makes_the_same_store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    LocalStore("out").put_new("a", b"1")
    location = LocalStore("out").location
    monkeypatch.chdir("/")
    assert open_store(location).get("a") == b"1"
    assert local_file(f"{location}/a") == Path(location) / "a"


def test_json_keeps_other_scripts_and_ends_with_a_line_break():
    assert as_json({"a": "ä"}, indent=None) == '{"a": "ä"}\n'.encode()
