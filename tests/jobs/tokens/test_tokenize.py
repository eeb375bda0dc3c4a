"""Texts to a folder of tokens: every document once, the same bytes however the job ran, and files that others read."""

import hashlib
import json
import random
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import corpus.tokens.shuffle
import corpus.tokens.texts
from corpus.errors import ConfigError, InputError, IntegrityError, OutputError
from corpus.storage.store import LocalStore
from corpus.tokens.encoder import Encoder
from corpus.tokens.shuffle import keys_of
from corpus.tokens.token_folder import open_tokens
from jobs.runner.progress import Progress
from jobs.tokens import tokenize as job_module
from jobs.tokens.tokenize import TokenizeJob, tokenize, val_share_for
from tests.bpe import TEXTS, small_tokenizer
from tests.engines import engine_of

DOCUMENTS = 230


def documents():
    """Ids and texts, some of them equal, empty or null."""
    rng = random.Random(3)
    words = " ".join(TEXTS).split(" ")
    rows = [(f"doc-{n}", " ".join(rng.choices(words, k=rng.randrange(2, 60)))) for n in range(DOCUMENTS)]
    rows += [(f"twin-{n}", rows[n][1]) for n in range(20)]
    return [*rows, ("empty", ""), ("null", None), ("forger", "<|bos|><|im_end|> <|endoftext|>")]


def write_texts(folder, sizes, group=16):
    """The documents in files of these sizes."""
    folder.mkdir()
    rows = documents()
    for number, size in enumerate([*sizes, len(rows)]):
        some, rows = rows[:size], rows[size:]
        table = pa.table({"id": [name for name, _ in some], "text": pa.array([text for _, text in some], pa.string())})
        pq.write_table(table, folder / f"part-{number:05d}.parquet", row_group_size=group)
    return folder


def tree(folder):
    """The sha256 of every promised file."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "timings.json"
    }


def run(texts, out, workers=1, **options):
    options = {"val_share": 0.1, "file_tokens": 3000, **options}
    made = TokenizeJob(texts, out, options.pop("tokenizer", small_tokenizer()), **options)
    return tokenize(made, lambda: engine_of(workers), Progress(quiet=True))


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return write_texts(tmp_path_factory.mktemp("texts") / "t", [100, 70])


@pytest.fixture(scope="module")
def reference(texts, tmp_path_factory):
    out = tmp_path_factory.mktemp("reference") / "out"
    assert run(texts, out).exit_code == 0
    return out


def stored(split):
    """The documents of a split, as lists of ids: its files, divided by its index."""
    found = []
    for path in split.files:
        ids = np.memmap(path, dtype=split.dtype, mode="r")
        ends = np.fromfile(f"{path}.index", dtype="<u8")
        found += [part.tolist() for part in np.split(ids, ends.astype(int)[:-1])]
        assert ends[-1] == len(ids)
    return found


def test_every_document_is_there_once_in_the_order_of_the_shuffle(reference):
    tokens, tokenizer = open_tokens(reference), small_tokenizer()
    encoder = Encoder(tokenizer)
    known = [(name, text) for name, text in documents() if text]
    order = [known[at] for at in np.argsort(keys_of([name for name, _ in known], 0), kind="stable")]
    left = {"train": iter(stored(tokens.train)), "val": iter(stored(tokens.val))}
    in_val = {tuple(found) for found in stored(tokens.val)}
    for _, text in order:
        expected = [tokens.bos, *encoder.encode([text])[0].tolist()]
        assert next(left["val" if tuple(expected) in in_val else "train"]) == expected
    assert [next(rest, None) for rest in left.values()] == [None, None]
    assert tokens.info["documents"] == {
        "in": DOCUMENTS + 23,
        "tokenized": len(known),
        "empty": DOCUMENTS + 23 - len(known),
    }
    assert len(tokens.train.files) > 2
    tokens.verify()


def test_tokens_add_up_to_bytes(reference):
    tokens = open_tokens(reference)
    total = 0
    for split in (tokens.train, tokens.val):
        ids = split.read(0, split.tokens)
        assert tokens.token_bytes[ids].sum() == split.info["bytes"]
        assert (ids == tokens.bos).sum() == split.documents
        assert not set(ids.tolist()) & (set(small_tokenizer().specials.values()) - {tokens.bos})
        total += split.info["bytes"]
    assert total == sum(len(text.encode()) for _, text in documents() if text)


def test_equal_texts_are_on_one_side_whatever_the_seed(texts, reference, tmp_path):
    run(texts, tmp_path / "other", seed=1)
    sides = [
        [{tuple(found) for found in stored(split)} for split in (t.train, t.val)]
        for t in map(open_tokens, (reference, tmp_path / "other"))
    ]
    assert not sides[0][0] & sides[0][1]
    assert sides[0] == sides[1]
    assert stored(open_tokens(reference).train) != stored(open_tokens(tmp_path / "other").train)


@pytest.mark.parametrize(
    ("workers", "slice_bytes", "box_bytes"),
    [(1, 1, 1 << 27), (3, 1, 500), pytest.param(2, 5000, 200, marks=pytest.mark.slow)],
)
def test_same_bytes_for_any_workers_slices_and_boxes(
    texts, reference, tmp_path, monkeypatch, workers, slice_bytes, box_bytes
):
    monkeypatch.setattr(corpus.tokens.texts, "SLICE_BYTES", slice_bytes)
    monkeypatch.setattr(corpus.tokens.shuffle, "BOX_BYTES", box_bytes)
    run(texts, tmp_path / "out", workers)
    assert tree(tmp_path / "out") == tree(reference)


@pytest.mark.parametrize("sizes", [[], [1, 2, 200]])
def test_same_tokens_for_any_size_of_the_parts(reference, tmp_path, sizes):
    run(write_texts(tmp_path / "t", sizes, group=64), tmp_path / "out")
    mine, theirs = tree(tmp_path / "out"), tree(reference)
    assert {name: mine[name] for name in mine if name != "tokens.json"} == {
        name: theirs[name] for name in theirs if name != "tokens.json"
    }


@pytest.mark.slow
@pytest.mark.ray
def test_same_bytes_on_ray(texts, reference, tmp_path, ray_engine):
    made = TokenizeJob(texts, tmp_path / "out", small_tokenizer(), val_share=0.1, file_tokens=3000)
    assert tokenize(made, ray_engine, Progress(quiet=True)).exit_code == 0
    assert tree(tmp_path / "out") == tree(reference)


class Crash(BaseException):
    """No handler of ours catches this."""


@pytest.mark.slow
def test_ended_before_any_visible_file_and_run_again(texts, reference, tmp_path, monkeypatch):
    """The process ends right before, or right after, a file becomes visible."""
    monkeypatch.setattr(corpus.tokens.texts, "SLICE_BYTES", 9000)
    publish = LocalStore.adopt

    def crashing(at, after):
        count = 0

        def instead(self, scratch, key):
            nonlocal count
            count += 1
            if count != at:
                return publish(self, scratch, key)
            if after:
                publish(self, scratch, key)
            raise Crash(key)

        return instead

    at = 0
    while True:
        at += 1
        out = tmp_path / f"out-{at}"
        with monkeypatch.context() as patch:
            patch.setattr(LocalStore, "adopt", crashing(at, after=at % 2 == 0))
            try:
                run(texts, out)
                break  # there is no such file any more
            except Crash as crash:
                assert not (out / "tokens.json").exists() or crash.args == ("tokens.json",)
        assert run(texts, out).exit_code == 0
        assert tree(out) == tree(reference)
    assert at > 15


def test_committed_slices_are_not_encoded_again(texts, reference, tmp_path, monkeypatch):
    monkeypatch.setattr(corpus.tokens.texts, "SLICE_BYTES", 1)
    calls = []
    right = Encoder.encode

    def counted(self, batch):
        calls.append(batch)
        return right(self, batch)

    def no_files(payload):
        raise IntegrityError("no room")

    monkeypatch.setattr(Encoder, "encode", counted)
    with monkeypatch.context() as patch:
        patch.setattr(job_module, "write_task", no_files)
        with pytest.raises(IntegrityError, match=r"write failed: no room.*same command again"):
            run(texts, tmp_path / "out")
    assert calls
    calls.clear()
    assert run(texts, tmp_path / "out").exit_code == 0
    assert calls == []
    assert tree(tmp_path / "out") == tree(reference)


def test_a_finished_folder_is_left_as_it_is(texts, reference):
    before = tree(reference)
    result = run(texts, reference)
    assert result.already_done
    assert tree(reference) == before


@pytest.mark.parametrize("option", [{"seed": 1}, {"val_share": 0.2}, {"layout": "megatron"}, {"file_tokens": 99}])
def test_other_settings_need_another_folder(texts, reference, option):
    with pytest.raises(OutputError, match=next(iter(option))):
        run(texts, reference, **option)


def test_a_folder_of_something_else_and_a_locked_one(texts, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        run(texts, tmp_path)
    (tmp_path / "out").mkdir()
    with LocalStore(tmp_path / "out").only_run(), pytest.raises(OutputError, match="Another run is writing"):
        run(texts, tmp_path / "out")


def test_an_empty_split_says_so_and_leaves_the_folder_free(texts, tmp_path):
    with pytest.raises(InputError, match=r"None of the .* documents is in val.*--val-share"):
        run(texts, tmp_path / "out", val_share=1e-9)
    assert run(texts, tmp_path / "out", val_share=0.2).exit_code == 0


def test_no_validation_when_none_is_wanted(texts, tmp_path):
    run(texts, tmp_path / "out", val_share=0.0)
    tokens = open_tokens(tmp_path / "out")
    assert (tokens.val.tokens, tokens.val.files, tokens.train.documents) == (0, [], DOCUMENTS + 21)


@pytest.mark.parametrize(
    ("documents", "share"), [(1, 0.1), (400, 0.1), (5_000, 0.02), (50_000, 0.01), (10**7, 0.005), (10**12, 1e-6)]
)
def test_the_share_of_validation(documents, share):
    assert val_share_for(documents) == share


def test_wide_ids_for_a_large_vocabulary(texts, tmp_path):
    content = json.loads(small_tokenizer().data)
    content["model"]["vocab"]["☃"] = 70_000
    wide = type(small_tokenizer())("wide", json.dumps(content).encode())
    run(texts, tmp_path / "out", tokenizer=wide)
    tokens = open_tokens(tmp_path / "out")
    assert tokens.train.read(0, 1).dtype == np.uint32
    assert (tokens.vocab_size, len(tokens.token_bytes)) == (70_001, 70_001)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(added_tokens=[]),
        lambda c: c["pre_tokenizer"]["pretokenizers"].insert(0, {"type": "WhitespaceSplit"}),
    ],
    ids=["no separator", "drops blanks"],
)
def test_a_tokenizer_that_will_not_do_binds_no_folder(texts, tmp_path, change):
    content = json.loads(small_tokenizer().data)
    change(content)
    with pytest.raises(ConfigError):
        run(texts, tmp_path / "out", tokenizer=type(small_tokenizer())("other", json.dumps(content).encode()))
    assert not (tmp_path / "out").exists()


def megatron_documents(prefix, dtypes={8: np.uint16, 4: np.int32}):  # noqa: B006
    """Read documents by Megatron-LM's rules (core/datasets/indexed_dataset.py)."""
    with open(f"{prefix}.idx", "rb") as file:
        assert file.read(9) == b"MMIDIDX\x00\x00"
        version, code, sequences, borders = struct.unpack("<QBQQ", file.read(25))
        assert version == 1
        lengths = np.fromfile(file, np.int32, sequences)
        pointers = np.fromfile(file, np.int64, sequences)
        document_indices = np.fromfile(file, np.int64, borders)
        assert not file.read()
    data = Path(f"{prefix}.bin").read_bytes()
    assert document_indices.tolist() == list(range(sequences + 1))
    return [
        np.frombuffer(data, dtypes[code], count=length, offset=pointer).tolist()
        for length, pointer in zip(lengths, pointers, strict=True)
    ]


def test_megatron_reads_its_layout(texts, reference, tmp_path):
    run(texts, tmp_path / "out", layout="megatron")
    tokens = open_tokens(tmp_path / "out")
    found = [one for path in tokens.train.files for one in megatron_documents(path.with_suffix(""))]
    assert found == stored(open_tokens(reference).train)


def test_parquet_holds_ids_and_tokens(texts, reference, tmp_path):
    run(texts, tmp_path / "out", layout="parquet")
    files = sorted((tmp_path / "out").glob("train-*.parquet"))
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    assert [row["tokens"] for row in rows] == stored(open_tokens(reference).train)
    wanted = dict(documents())
    assert all(small_tokenizer().decode(row["tokens"]) == wanted[row["id"]].encode() for row in rows)
    with pytest.raises(InputError, match="as parquet"):
        open_tokens(tmp_path / "out")


def test_nanogpt_and_datatrove_read_the_files(reference):
    """nanoGPT: `np.memmap(…, dtype=np.uint16)` and windows of it. datatrove 0.10.1 (DatatroveFileDataset): windows of
    seq_len + 1, and the ends of documents from `<file>.index`, uint64."""
    tokens = open_tokens(reference)
    path, window = tokens.train.files[0], 64
    data = np.memmap(path, dtype=np.uint16, mode="r")
    assert data[100 : 100 + window].tolist() == tokens.train.read(100, window).tolist()
    ends = np.frombuffer((path.parent / f"{path.name}.index").read_bytes(), np.uint64).astype(int).tolist()
    for item in range(len(data) // (window + 1)):
        first = item * (window + 1)
        ids = np.frombuffer(path.read_bytes(), np.uint16, count=window + 1, offset=first * 2)
        inside = [end - first for end in ends if first < end < first + window + 1]
        assert inside == [at for at in range(1, window + 1) if ids[at] == tokens.bos]


def test_text_that_is_no_utf8_stops_the_run_and_is_named(tmp_path):
    (tmp_path / "t").mkdir()
    offsets = pa.array([0, 2], pa.int32()).buffers()[1]
    raw = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"\xc3(")])
    pq.write_table(pa.table({"text": raw}), tmp_path / "t" / "bad.parquet")
    with pytest.raises(IntegrityError, match=r"bad\.parquet has a text before row .* that is not UTF-8"):
        run(tmp_path / "t", tmp_path / "out")


def test_two_files_of_one_content_are_two_files(tmp_path):
    (tmp_path / "t").mkdir()
    for name in "ab":
        pq.write_table(pa.table({"text": [f"text {n}" for n in range(50)]}), tmp_path / "t" / f"{name}.parquet")
    run(tmp_path / "t", tmp_path / "out", val_share=0.3)
    found = stored(open_tokens(tmp_path / "out").train)
    assert sorted(found) == sorted(2 * [list(one) for one in {tuple(one) for one in found}])
    assert any(one != other for one, other in zip(found[::2], found[1::2], strict=True))  # equal texts are apart


def test_ids_that_do_not_add_up_stop_the_run(texts, tmp_path, monkeypatch):
    right = Encoder.encode

    def lossy(self, batch):
        ids, counts = right(self, batch)
        ids = ids.copy()
        if len(ids):
            ids[-1] = 299
        return ids, counts

    monkeypatch.setattr(Encoder, "encode", lossy)
    monkeypatch.setattr(Encoder, "check", lambda self, batch: True)
    with pytest.raises(IntegrityError, match="not the bytes of their text"):
        run(texts, tmp_path / "out")
    assert not (tmp_path / "out" / "tokens.json").exists()


PEER = Path(__file__).parents[3] / "build" / "peer-venv"

DATATROVE = """
import json, sys
from datatrove.utils.dataset import DatatroveFolderDataset
options = {"filename_pattern": "train-*.bin", "token_size": 2, "return_positions": True}
found = DatatroveFolderDataset(sys.argv[1], seq_len=63, **options)
json.dump([{key: value.tolist() for key, value in item.items()} for item in found], sys.stdout)
"""


@pytest.mark.slow
def test_datatrove_s_own_reader(reference):
    """The package itself, if the environment of the benchmarks is there (`make bench-peer`)."""
    packages = list(PEER.glob("lib/python3*/site-packages"))
    if not packages:
        pytest.skip("no environment with datatrove")
    pytest.importorskip("torch")
    script = f"import sys; sys.path.append({str(packages[0])!r})\n{DATATROVE}"
    done = subprocess.run([sys.executable, "-c", script, str(reference)], capture_output=True, text=True, check=True)
    windows = iter(json.loads(done.stdout))
    tokens = open_tokens(reference)
    start = 0
    for path, entry in zip(tokens.train.files, tokens.train.info["files"], strict=True):
        for inner in range(0, entry["tokens"] - 63, 64):
            ids = tokens.train.read(start + inner, 64).tolist()
            places = [0]
            for number in ids[1:]:
                places.append(0 if number == tokens.bos else places[-1] + 1)
            assert next(windows) == {"input_ids": ids, "positions": places}, path
        start += entry["tokens"]
    assert next(windows, None) is None
