"""The reading side of a folder of tokens."""

import hashlib
import json

import numpy as np
import pytest

from corpus.errors import InputError, IntegrityError
from corpus.tokens.token_folder import open_tokens


def write_folder(folder, files, dtype="uint16"):
    """A folder of tokens written by hand. `files` maps names to lists of ids."""
    folder.mkdir()
    splits = {}
    for split in ("train", "val"):
        own = {name: ids for name, ids in files.items() if name.startswith(split)}
        entries = [
            {"name": name, "tokens": len(ids), "documents": ids.count(0), "bytes": 9} for name, ids in own.items()
        ]
        sums = {key: sum(entry[key] for entry in entries) for key in ("tokens", "documents", "bytes")}
        splits[split] = {**sums, "files": entries}
        for name, ids in own.items():
            (folder / name).write_bytes(np.array(ids, dtype="<u2" if dtype == "uint16" else "<u4").tobytes())
    (folder / "token_bytes.json").write_text("[0, 1, 1, 3]")
    listed = [
        {"name": path.name, "bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(folder.iterdir())
    ]
    info = {"version": 1, "layout": "flat", "dtype": dtype, "splits": splits, "files": listed}
    info["tokenizer"] = {"vocab_size": 4, "bos": 0}
    (folder / "tokens.json").write_text(json.dumps(info))
    return folder


FILES = {
    "train-00000.bin": [0, 1, 2, 3, 0],
    "train-00001.bin": [],
    "train-00002.bin": [1],
    "train-00003.bin": [0, 3, 3],
    "val-00000.bin": [0, 2],
}
TRAIN = [0, 1, 2, 3, 0, 1, 0, 3, 3]


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_reads_over_the_borders_of_files(tmp_path, dtype):
    tokens = open_tokens(write_folder(tmp_path / "t", FILES, dtype))
    assert (tokens.train.tokens, tokens.train.documents, tokens.val.tokens) == (9, 3, 2)
    assert [path.name for path in tokens.val.files] == ["val-00000.bin"]
    for start in range(10):
        for count in range(10 - start):
            read = tokens.train.read(start, count)
            assert read.tolist() == TRAIN[start : start + count]
            assert read.dtype == dtype
    assert (tokens.vocab_size, tokens.bos) == (4, 0)
    assert tokens.token_bytes.tolist() == [0, 1, 1, 3]
    assert tokens.token_bytes.dtype == np.int32


@pytest.mark.parametrize(("start", "count"), [(-1, 2), (0, 10), (9, 1), (0, -1)])
def test_nothing_is_read_that_is_not_there(tmp_path, start, count):
    tokens = open_tokens(write_folder(tmp_path / "t", FILES))
    with pytest.raises(ValueError, match="of 9"):
        tokens.train.read(start, count)


def test_what_is_read_may_be_changed(tmp_path):
    tokens = open_tokens(write_folder(tmp_path / "t", FILES))
    tokens.train.read(0, 3)[:] = 7
    assert tokens.train.read(0, 3).tolist() == [0, 1, 2]
    tokens.verify()


def test_folders_that_can_not_be_read(tmp_path):
    with pytest.raises(InputError, match="no finished tokens"):
        open_tokens(tmp_path)
    folder = write_folder(tmp_path / "t", FILES)
    info = json.loads((folder / "tokens.json").read_text())
    for key, value, message in (("version", 2, "format 2"), ("layout", "parquet", "as parquet")):
        (folder / "tokens.json").write_text(json.dumps({**info, key: value}))
        with pytest.raises(InputError, match=message):
            open_tokens(folder)
    (folder / "tokens.json").write_text('{"version"')
    with pytest.raises(IntegrityError, match="damaged"):
        open_tokens(folder)


def test_missing_short_and_changed_files(tmp_path):
    folder = write_folder(tmp_path / "t", FILES)
    open_tokens(folder).verify()
    (folder / "val-00000.bin").write_bytes(b"\0\0\1\0")
    with pytest.raises(IntegrityError, match="val-00000"):
        open_tokens(folder).verify()
    (folder / "val-00000.bin").write_bytes(b"\0\0")
    with pytest.raises(IntegrityError, match="val-00000"):
        open_tokens(folder)
    (folder / "val-00000.bin").unlink()
    with pytest.raises(IntegrityError, match="val-00000"):
        open_tokens(folder)
