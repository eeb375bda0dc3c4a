"""Exports, read by the rules of other trainers."""

import hashlib
import itertools
import json
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

import corpus.tokens.row_files
import corpus.tokens.shuffle
import corpus.tokens.texts
from corpus.errors import ConfigError, InputError, OutputError
from corpus.storage.store import LocalStore
from jobs.runner.progress import Progress
from jobs.tokens.export import ExportJob, export
from tests.engines import engine_of

ROWS = 300


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    for part in range(3):
        numbers = range(part * 100, part * 100 + 100)
        columns = {
            "id": [f"d{n}" for n in numbers],
            "text": [f"text {n} " + "é" * (n % 7) for n in numbers],
            "n": list(numbers),
        }
        pq.write_table(pa.table(columns), folder / f"{part}.parquet", row_group_size=30)
    return folder


def run(texts, out, target, workers=1, **options):
    return export(ExportJob(texts, out, target, **options), lambda: engine_of(workers), Progress(quiet=True))


def written(folder):
    """The rows of an export, by text."""
    tables = [pq.read_table(path) for path in sorted((folder / "data").iterdir())]
    return {row["text"]: row for table in tables for row in table.to_pylist()}


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def nanochat_batches(folder, split, ranks, rank):
    """The batches that nanochat reads (its dataset.py and dataloader.py): files sorted by name, the last one for val.
    Rank r reads the column `text` of the row groups r, r + ranks, … of each file."""
    files = sorted(path for path in folder.iterdir() if path.name.endswith(".parquet"))
    assert len(files) > 1, "it would wait forever"
    for path in files[:-1] if split == "train" else files[-1:]:
        file = pq.ParquetFile(path)
        for group in range(rank, file.num_row_groups, ranks):
            yield file.read_row_group(group).column("text").to_pylist()


@pytest.mark.parametrize("ranks", [1, 2])
def test_nanochat_reads_every_text_once(texts, tmp_path, ranks):
    run(texts, tmp_path / "out", "nanochat")
    found = {
        split: [batch for rank in range(ranks) for batch in nanochat_batches(tmp_path / "out", split, ranks, rank)]
        for split in ("train", "val")
    }
    wanted = {f"text {n} " + "é" * (n % 7) for n in range(ROWS)}
    together = [text for batches in found.values() for batch in batches for text in batch]
    assert len(together) == ROWS
    assert set(together) == wanted
    group = max(map(len, found["train"]))
    assert {len(batch) for batch in found["train"]} == {group}  # row groups are full
    assert max(map(len, found["val"])) == group
    assert 0.05 < sum(map(len, found["val"])) / ROWS < 0.25
    in_order = [text for batch in found["train"] for text in batch]
    numbers = [int(text.split()[1]) for text in in_order]
    assert sum(a < b for a, b in itertools.pairwise(numbers)) < 0.6 * len(numbers)  # shuffled
    assert (
        0.25 < sum(int(t.split()[1]) < ROWS / 2 for b in found["val"] for t in b) / sum(map(len, found["val"])) < 0.75
    )


def test_nanochat_files_are_written_as_its_own(texts, tmp_path):
    run(texts, tmp_path / "out", "nanochat")
    files = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in files] == ["export.json", "shard_00000.parquet", "shard_00001.parquet"]
    for path in files[1:]:
        column = pq.read_metadata(path).row_group(0).column(0)
        assert (column.path_in_schema, column.compression, column.statistics) == ("text", "ZSTD", None)
        assert not {"PLAIN_DICTIONARY", "RLE_DICTIONARY"} & set(column.encodings)


def test_columns_that_files_have_in_other_ways(tmp_path, capsys):
    """Strings, large strings and dictionaries become one column. A column of two types is named."""
    (tmp_path / "in").mkdir()
    url = pa.schema([pa.field("text", pa.string()), pa.field("url", pa.string(), nullable=False)])
    first = pa.table({"text": ["a", "b"], "url": ["u", "v"]}, schema=url)
    first = first.append_column("n", pa.array([1, 2])).append_column("alone", pa.array([1, 2]))
    second = {"text": pa.array(["c", "d"], pa.large_string()), "url": pa.array([None, "w"]).dictionary_encode()}
    pq.write_table(first, tmp_path / "in" / "0.parquet")
    pq.write_table(pa.table({**second, "n": ["1", "2"]}), tmp_path / "in" / "1.parquet")
    info = run(tmp_path / "in", tmp_path / "out", "datasets").info
    assert {text: row["url"] for text, row in written(tmp_path / "out").items()} == dict(a="u", b="v", c=None, d="w")
    assert info["plan"]["columns"] == ["text", "url"]
    assert info["columns_left_out"] == ["n", "alone"]
    assert "n, alone" in capsys.readouterr().err


@pytest.mark.parametrize(
    "columns",
    [
        {"key": ["x", "y", "z"], "weight": [0.5, None, 2.0], "0": [1, 2, 3]},
        {"id": [None, 2, 3], "language": pa.array(["en", None, "en"]).dictionary_encode()},
        {"id": [{"n": 1}, None, {"n": 3}], "lists": [["a"], [], None]},
        {"id": [b"\xff", None, b"y"], "views": pa.array(["a", None, "c"], pa.string_view())},
    ],
    ids=lambda columns: " ".join(columns),
)
def test_columns_come_out_as_they_went_in(tmp_path, columns):
    (tmp_path / "in").mkdir()
    table = pa.table({**columns, "text": ["one", "two", "three"]})
    pq.write_table(table, tmp_path / "in" / "a.parquet")
    assert run(tmp_path / "in", tmp_path / "out", "datasets").info["columns_left_out"] == []
    assert written(tmp_path / "out") == {row["text"]: row for row in table.to_pylist()}


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[("a", 1)], [], None], pa.map_(pa.string(), pa.int64())),
        pa.array([[1], [], None], pa.list_view(pa.int64())),
        pa.array([b"0" * 16, None, b"1" * 16], pa.binary(16)).cast(pa.uuid()),
        pa.array([None, {"a": [("b", 1)]}, None], pa.struct([("a", pa.map_(pa.string(), pa.int64()))])),
        pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int64(), 2)),
        pa.array([b"ab", None, b"cd"], pa.binary(2)),
        pa.array([None, None, None], pa.null()),
        pa.array([1, None, 2], pa.timestamp("us", "UTC")),
        pa.array([1, None, 2]).cast(pa.decimal128(30, 2)),
    ],
    ids=lambda column: str(column.type),
)
def test_a_column_that_datasets_cannot_open_is_left_out(tmp_path, column):
    import datasets

    try:
        datasets.Features.from_arrow_schema(pa.schema([("odd", column.type)]))
        left_out = []
    except ValueError:
        left_out = ["odd"]
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"text": ["one", "two", "three"], "odd": column}), tmp_path / "in" / "a.parquet")
    assert run(tmp_path / "in", tmp_path / "out", "datasets").info["columns_left_out"] == left_out
    files = {"train": str(tmp_path / "out" / "data" / "train*"), "val": str(tmp_path / "out" / "data" / "val*")}
    loaded = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))
    assert sorted(text for split in loaded.values() for text in split["text"]) == ["one", "three", "two"]


def test_an_export_can_be_exported_again(tmp_path):
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"text": ["one", "two", "three"]}), tmp_path / "in" / "a.parquet")
    run(tmp_path / "in", tmp_path / "out", "datasets")
    run(tmp_path / "out", tmp_path / "again", "datasets")
    assert written(tmp_path / "again").keys() == {"one", "two", "three"}


def test_too_small_to_split(tmp_path):
    pq.write_table(pa.table({"text": ["alone", ""]}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="1 document can't be split"):
        run(tmp_path, tmp_path / "out", "nanochat")
    pq.write_table(pa.table({"text": ["one", "two"]}), tmp_path / "t.parquet")
    run(tmp_path, tmp_path / "out", "nanochat")
    assert [list(nanochat_batches(tmp_path / "out", split, 1, 0)) for split in ("train", "val")] in (
        [[["one"]], [["two"]]],
        [[["two"]], [["one"]]],
    )


@pytest.mark.parametrize(
    ("target", "workers", "slice_bytes", "box_bytes"),
    [*((target, 1, 1, 1000) for target in ("nanochat", "datasets", "jsonl", "parquet")), ("jsonl", 3, 500, 1 << 20)],
)
def test_same_bytes_for_any_workers_slices_and_boxes(
    texts, tmp_path, monkeypatch, target, workers, slice_bytes, box_bytes
):
    run(texts, tmp_path / "one" / "x", target)
    monkeypatch.setattr(corpus.tokens.texts, "SLICE_BYTES", slice_bytes)
    monkeypatch.setattr(corpus.tokens.shuffle, "BOX_BYTES", box_bytes)
    run(texts, tmp_path / "two" / "x", target, workers)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


@pytest.mark.parametrize("target", ["nanochat", "datasets", "jsonl", "parquet"])
def test_another_seed_gives_another_order(texts, tmp_path, target):
    for seed in (0, 1):
        run(texts, tmp_path / str(seed), target, seed=seed)
    one, other = tree(tmp_path / "0"), tree(tmp_path / "1")
    files = [name for name in one if name.endswith((".parquet", ".zst"))]
    assert len(files) > 0
    assert all(one[name] != other[name] for name in files)


LONG = ["x" * 1000 + str(number) for number in range(200)]


@pytest.mark.parametrize(
    ("target", "columns"),
    [
        ("nanochat", {"text": LONG[:1] * 200}),  # parquet keeps equal texts once, in a dictionary
        ("datasets", {"text": ["a"] * 200, "html": LONG}),
    ],
)
def test_boxes_are_of_some_size_whatever_footers_say_of_the_text(tmp_path, monkeypatch, target, columns):
    (tmp_path / "t").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "t" / "a.parquet")
    monkeypatch.setattr(corpus.tokens.shuffle, "BOX_BYTES", 50_000)
    read, sizes = corpus.tokens.shuffle.read_boxes, []

    def measured(*args):
        rows = read(*args)
        sizes.append(rows.nbytes)
        return rows

    monkeypatch.setattr(corpus.tokens.shuffle, "read_boxes", measured)
    assert run(tmp_path / "t", tmp_path / "out", target).info["documents"]["in"] == 200
    assert sum(sizes) > 200_000
    assert max(sizes) < 100_000


def test_a_finished_folder_is_left_and_other_settings_need_another(texts, tmp_path):
    run(texts, tmp_path, "nanochat")
    before = tree(tmp_path)
    assert run(texts, tmp_path, "nanochat").already_done
    with pytest.raises(OutputError, match="target"):
        run(texts, tmp_path, "datasets")
    assert tree(tmp_path) == before


class Crash(BaseException):
    """No handler of ours catches this."""


def test_ended_before_any_visible_file_and_run_again(texts, tmp_path, monkeypatch):
    """The process ends right before, or right after, a file becomes visible."""
    run(texts, tmp_path / "reference" / "x", "datasets")
    monkeypatch.setattr(corpus.tokens.texts, "SLICE_BYTES", 1000)
    publish = LocalStore.adopt
    for at in itertools.count(1):
        left = at

        def crashing(self, scratch, key, after=at % 2 == 0):
            nonlocal left
            left -= 1
            if left or after:
                stored = publish(self, scratch, key)
            if left:
                return stored
            raise Crash(key)

        with monkeypatch.context() as patch:
            patch.setattr(LocalStore, "adopt", crashing)
            try:
                run(texts, tmp_path / f"{at}" / "x", "datasets")
                break  # there is no such file any more
            except Crash:
                pass
        assert run(texts, tmp_path / f"{at}" / "x", "datasets").exit_code == 0
        assert tree(tmp_path / f"{at}") == tree(tmp_path / "reference")
    assert at > 12


def test_ended_before_the_end_and_gone_on_with_under_another_name(texts, tmp_path, monkeypatch):
    put_new = LocalStore.put_new

    def crashing(self, key, data):
        if key == "export.json":
            raise Crash
        return put_new(self, key, data)

    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(LocalStore, "put_new", crashing)
        run(texts, tmp_path / "old", "datasets")
    (tmp_path / "old").rename(tmp_path / "new")
    assert run(texts, tmp_path / "new", "datasets").exit_code == 0
    assert "# new" in (tmp_path / "new" / "README.md").read_text().splitlines()


def test_another_parquet_file_would_be_trained_on(texts, tmp_path):
    (tmp_path / "stats.parquet").write_bytes(b"")
    with pytest.raises(OutputError, match=r"stats\.parquet"):
        run(texts, tmp_path, "nanochat")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_datasets_loads_the_splits_by_the_card(corpus_run, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    from datasets import load_dataset

    run(corpus_run, tmp_path / "out", "datasets")
    loaded = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    rows = [row for split in ("train", "validation") for row in loaded[split]]
    original = [row for path in sorted((corpus_run / "corpus").iterdir()) for row in pq.read_table(path).to_pylist()]
    assert set(loaded) == {"train", "validation"}
    assert sorted(rows, key=lambda row: row["id"]) == sorted(original, key=lambda row: row["id"])
    assert [row["id"] for row in rows] != [row["id"] for row in original]


def test_the_card_says_how_it_was_made(corpus_run, tmp_path):
    info = run(corpus_run, tmp_path / "out", "datasets").info
    card = (tmp_path / "out" / "README.md").read_text()
    records = json.loads((corpus_run / "run.json").read_text())
    assert f"| in | {records['records']['in']} |" in card
    assert f"| dropped by paragraphs | {sum(records['records']['dropped']['paragraphs'].values())} |" in card
    assert f"| kept | {records['records']['kept']} | {records['records']['kept']} |" in card
    assert records["fingerprint"] in card
    assert '"min": 300' in card
    assert f"| train | {info['documents']['train']} |" in card
    assert "belong to their authors" in card
    assert "fishermen" not in card  # no text of a page


def json_lines(folder):
    """The documents of an export, as any reader of JSON Lines finds them."""
    files = sorted((folder / "documents").iterdir())
    assert all(file.name.endswith(".jsonl.zst") for file in files)
    content = b"".join(zstandard.ZstdDecompressor().stream_reader(file.read_bytes()).read() for file in files)
    return [json.loads(line) for line in content.decode().split("\n")[:-1]]


def test_json_lines_have_dolma_s_form(corpus_run, tmp_path):
    run(corpus_run, tmp_path / "out", "jsonl")
    original = [row for path in sorted((corpus_run / "corpus").iterdir()) for row in pq.read_table(path).to_pylist()]
    found = json_lines(tmp_path / "out")
    assert {tuple(document) for document in found} == {("id", "text", "source", "created", "metadata")}
    recipe = json.loads((corpus_run / "run.json").read_text())["recipe"]["name"]
    expected = [
        {"id": row.pop("id"), "text": row.pop("text"), "source": recipe, "created": row.pop("date"), "metadata": row}
        for row in original
    ]
    assert sorted(found, key=lambda row: row["id"]) == sorted(expected, key=lambda row: row["id"])
    assert [row["id"] for row in found] != [row["id"] for row in expected]  # shuffled


def test_json_lines_of_any_parquet(tmp_path):
    """Rows without an id are named by file and row, nothing that JSON lacks is written, and no line is broken."""
    (tmp_path / "in").mkdir()
    columns = {
        "id": [7, None, 9],
        "text": ["a\nb\u2028c", "d\r\n", '"e"\x00'],
        "source": ["books", None, "code"],
        "created": pa.array([0, None, 1], pa.date32()),
        "score": [float("nan"), 0.5, None],
        "tags": [["x"], [], None],
        "raw": [b"\xff", None, b""],
    }
    pq.write_table(pa.table(columns), tmp_path / "in" / "a.parquet")
    info = run(tmp_path / "in", tmp_path / "out", "jsonl").info
    assert info["documents"] == {"in": 3, "train": 3, "val": 0}
    assert sorted(json_lines(tmp_path / "out"), key=lambda row: row["id"]) == [
        {"id": "7", "text": "a\nb\u2028c", "source": "books", "created": "1970-01-01",
         "metadata": {"score": None, "tags": ["x"]}},
        {"id": "9", "text": '"e"\x00', "source": "code", "created": "1970-01-02",
         "metadata": {"score": None, "tags": None}},
        {"id": "a.parquet:1", "text": "d\r\n", "source": "in", "metadata": {"score": 0.5, "tags": []}},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "written"), [(("n",), ["text", "n"]), (("n", "text"), ["n", "text"]), ((), ["text"])]
)
def test_parquet_with_the_columns_of_choice(texts, tmp_path, columns, written):
    run(texts, tmp_path / "out", "parquet", columns=columns)
    (file,) = (tmp_path / "out" / "data").iterdir()
    table = pq.read_table(file)
    assert table.column_names == written
    assert sorted(table["text"].to_pylist()) == sorted(f"text {n} " + "é" * (n % 7) for n in range(ROWS))
    if "n" in written:
        assert all(row["text"].split()[1] == str(row["n"]) for row in table.to_pylist())


def test_a_higher_level_of_zstd_gives_fewer_bytes(texts, tmp_path):
    for target in ("parquet", "jsonl"):
        sizes = []
        for level in (1, 19):
            out = tmp_path / f"{target}-{level}"
            run(texts, out, target, zstd_level=level)
            sizes.append(sum(path.stat().st_size for path in out.rglob("part-*")))
        assert sizes[1] < sizes[0]
    with pytest.raises(OutputError, match="zstd_level: 19 → 3"):
        run(texts, tmp_path / "jsonl-19", "jsonl")


def test_columns_that_are_not_there_or_can_not_be_written(tmp_path):
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"text": ["a"], "url": ["u"], "raw": [b"x"]}), tmp_path / "in" / "a.parquet")
    with pytest.raises(ConfigError, match=r"There is no column 'urls'\. Did you mean url"):
        run(tmp_path / "in", tmp_path / "out", "parquet", columns=("urls",))
    with pytest.raises(ConfigError, match="'raw' can't be written"):
        run(tmp_path / "in", tmp_path / "out", "jsonl", columns=("raw",))
    assert not (tmp_path / "out").exists()
    run(tmp_path / "in", tmp_path / "out", "jsonl", columns=("url",))
    assert json_lines(tmp_path / "out") == [
        {"id": "a.parquet:0", "text": "a", "source": "in", "metadata": {"url": "u"}}
    ]


def test_whole_files_are_of_some_size(texts, tmp_path, monkeypatch):
    monkeypatch.setattr(corpus.tokens.row_files, "FILE_BYTES", 1000)
    monkeypatch.setattr(corpus.tokens.row_files, "GROUP_ROWS", 64)
    run(texts, tmp_path / "out", "parquet")
    files = sorted((tmp_path / "out" / "data").iterdir())
    assert [path.name for path in files] == [f"part-{n:05d}.parquet" for n in range(len(files))]
    assert [pq.read_metadata(path).num_rows for path in files] == [64, 64, 64, 108]


PEER = Path(__file__).parents[3] / "build" / "peer-venv"

DATATROVE = """
import json, sys
from datatrove.pipeline.readers import JsonlReader, ParquetReader
reader = {"jsonl": JsonlReader, "parquet": ParquetReader}[sys.argv[1]]
found = [[one.id, one.text, one.metadata] for one in reader(sys.argv[2])()]
json.dump(found, sys.stdout)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("target", "folder"), [("jsonl", "documents"), ("parquet", "data")])
def test_datatrove_s_own_readers(corpus_run, tmp_path, target, folder):
    """The package itself, if the environment of the benchmarks is there (`make bench-peer`)."""
    if not (PEER / "bin" / "python").exists():
        pytest.skip("no environment with datatrove in build/peer-venv: `make bench-peer` makes it")
    run(corpus_run, tmp_path / "out", target)
    command = [str(PEER / "bin" / "python"), "-c", DATATROVE, target, str(tmp_path / "out" / folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = {name: (text, metadata) for name, text, metadata in json.loads(done.stdout)}
    original = [row for path in sorted((corpus_run / "corpus").iterdir()) for row in pq.read_table(path).to_pylist()]
    assert found.keys() == {row["id"] for row in original}
    for row in original:
        text, metadata = found[row["id"]]
        assert text == row["text"]
        assert metadata["created" if target == "jsonl" else "date"] == row["date"]
        assert {name: metadata[name] for name in ("url", "language", "duplicates", "offset")} == {
            name: row[name] for name in ("url", "language", "duplicates", "offset")
        }
