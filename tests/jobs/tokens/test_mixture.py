"""Mixtures to tokens: a simulation by hand, exact budgets, shares and copies that nest, and the same bytes however the
job ran."""

import hashlib
import itertools
import json
import random
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash

import corpus.tokens.count_slice
import corpus.tokens.shuffle
import corpus.tokens.texts
from corpus.errors import ConfigError, InputError, OutputError
from corpus.storage.store import LocalStore
from corpus.tokens.encoder import Encoder
from corpus.tokens.token_folder import open_tokens
from jobs.runner.derived import registered
from jobs.runner.progress import Progress
from jobs.tokens.mixing import dry_run
from jobs.tokens.sources import open_sources
from jobs.tokens.tokenize import TokenizeJob, tokenize
from tests.bpe import TEXTS, small_tokenizer
from tests.engines import InProcess, engine_of

FINEWEB2 = "repeat = { by = 'duplicates', 1 = 1, 2 = 2, 3 = 3, 5 = 5, 100 = 8, 1000 = 1 }"
SEED = 7
VAL = 0.1


def documents(name, count, draw):
    words = " ".join(TEXTS).split(" ")
    sizes = (0, 0, 1, 2, 3, 4, 98, 99, 998, 999, 5000)
    for number in range(count):
        yield {
            "id": f"{name}-{number}",
            "text": " ".join(draw.choices(words, k=draw.randrange(2, 30))),
            "duplicates": draw.choice(sizes),
            "score": draw.choice([None, round(draw.random(), 3)]),
            "language": draw.choice(["en", "de"]),
        }


ROWS = {
    name: list(documents(name, count, random.Random(name)))
    for name, count in dict(web=500, books=300, code=200).items()
}
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("duplicates", pa.int64()),
        ("score", pa.float64()),
        ("language", pa.string()),
    ]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A thousand documents in three sources: two folders and a file."""
    made = tmp_path_factory.mktemp("sources")
    for name, rows in ROWS.items():
        files = {f"{name}.parquet": rows} if name == "code" else {f"{name}/{n}.parquet": rows[n::3] for n in range(3)}
        for key, some in files.items():
            (made / key).parent.mkdir(exist_ok=True)
            pq.write_table(pa.Table.from_pylist(some, SCHEMA), made / key, row_group_size=37)
    return made


def mixture(folder, text, name="m"):
    file = folder / f"{name}.toml"
    file.write_text(text)
    return file


def run(file, out, workers=1, **options):
    options = {"val_share": VAL, "file_tokens": 5000, **options}
    job = TokenizeJob(file, out, small_tokenizer(), **options)
    return tokenize(job, lambda: engine_of(workers), Progress(quiet=True)).info


def written(out, split="train"):
    """How often each document is in a split, by id. The tokens are in parquet."""
    files = sorted(Path(out).glob(f"{split}-*.parquet"))
    return Counter(name for file in files for name in pq.read_table(file)["id"].to_pylist())


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "timings.json"
    }


def tokens_of(row):
    return len(Encoder(small_tokenizer()).encode([row["text"]])[0]) + 1


@pytest.fixture(scope="module")
def sizes():
    encoder = Encoder(small_tokenizer())
    rows = [row for some in ROWS.values() for row in some]
    return dict(
        zip([row["id"] for row in rows], (encoder.encode([row["text"] for row in rows])[1] + 1).tolist(), strict=True)
    )


def hashed(source, row, salt):
    return xxhash.xxh3_64_intdigest(f"{source}\0{row['id']}".encode(), SEED ^ salt)


def in_val(row):
    return xxhash.xxh3_64_intdigest(row["text"].encode(), 0x7A1) < VAL * 2**64


def by_cluster(row):
    """FineWeb-2's repeats, by the size of the cluster: the document and its duplicates."""
    size = row["duplicates"] + 1
    return 1 if size >= 1000 else 8 if size >= 100 else 5 if size >= 5 else 3 if size >= 3 else 2 if size >= 2 else 1


def by_score(source, row):
    score = row["score"]
    wanted = 1 if score is None else 0 if score < 0.3 else 1.5 if score < 0.8 else 3
    return int(wanted) + (hashed(source, row, 0xD4A) / 2**64 < wanted % 1)


def simulate(source, copies, sizes, keep=lambda row: True, share=1.0, budget=None):
    """Return the copies of each document in train, and the documents in val."""
    rows = sorted((row for row in ROWS[source] if keep(row)), key=lambda row: hashed(source, row, 0x4A9))
    rows = [row for row in rows if hashed(source, row, 0x4A9) < share * 2**64 and copies(row)]
    train, val, left = Counter(), set(), budget
    while True:
        for row in rows:
            if in_val(row):
                val.add(row["id"])
                continue
            for _ in range(copies(row)):
                train[row["id"]] += 1
                if left is not None:
                    left -= sizes[row["id"]]
                    if left <= 0:
                        return train, val
        if left is None:
            return train, val


BUDGET = 3000
BY_HAND = f"""
seed = {SEED}
[[sources]]
name = "web"
path = "web"
filter = ["language == 'en'", "duplicates < 4000"]
{FINEWEB2}
[[sources]]
name = "books"
path = "books"
share = 0.6
repeat = {{ by = "score", edges = [0.3, 0.8], repeat = [0, 1.5, 3] }}
[[sources]]
name = "code"
path = "code.parquet"
tokens = {BUDGET}
"""


@pytest.fixture(scope="module")
def reference(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("reference") / "out"
    run(mixture(folder, BY_HAND), out)
    return out


def by_hand(sizes):
    return {
        "web": simulate("web", by_cluster, sizes, lambda row: row["language"] == "en" and row["duplicates"] < 4000),
        "books": simulate("books", lambda row: by_score("books", row), sizes, share=0.6),
        "code": simulate("code", lambda row: 1, sizes, budget=BUDGET),
    }


def test_a_thousand_documents_as_computed_by_hand(folder, sizes, tmp_path):
    info = run(mixture(folder, BY_HAND), tmp_path / "out", layout="parquet")
    expected = by_hand(sizes)
    assert written(tmp_path / "out") == sum((train for train, _ in expected.values()), Counter())
    assert written(tmp_path / "out", "val") == Counter(name for _, val in expected.values() for name in val)
    table = {row["name"]: row for row in info["mixture"]["sources"]}
    for name, (train, val) in expected.items():
        tokens, unique = sum(sizes[one] * times for one, times in train.items()), sum(sizes[one] for one in train)
        assert table[name] | {
            "documents": len(train), "copies": train.total(), "unique_tokens": unique, "tokens": tokens,
            "epochs": round(tokens / unique, 4), "val_documents": len(val), "in": len(ROWS[name]),
            "val_tokens": sum(sizes[one] for one in val),
        } == table[name]  # fmt: skip
    total = info["mixture"]["total"]
    assert total["tokens"] == info["splits"]["train"]["tokens"]
    assert total["copies"] == info["splits"]["train"]["documents"]
    assert table["web"]["filtered"] == sum(row["language"] != "en" or row["duplicates"] >= 4000 for row in ROWS["web"])
    assert max(expected["web"][0].values()) == 8
    assert json.loads((tmp_path / "out" / "tokens.json").read_text())["mixture"] == info["mixture"]


def test_the_order_is_shuffled_over_all_sources_and_copies(folder, tmp_path):
    run(mixture(folder, BY_HAND), tmp_path / "out", layout="parquet", file_tokens=10**6)
    ids = pq.read_table(tmp_path / "out" / "train-00000.parquet")["id"].to_pylist()
    for name in ROWS:
        places = [at / len(ids) for at, one in enumerate(ids) if one.startswith(name)]
        assert 0.4 < sum(places) / len(places) < 0.6
    places = {}
    for at, one in enumerate(ids):
        places.setdefault(one, []).append(at)
    spread = [max(found) - min(found) for found in places.values() if len(found) == 8]
    assert min(spread) > len(ids) / 4  # copies are not side by side


@pytest.mark.parametrize(
    ("workers", "slice_bytes", "box_bytes", "box_rows"),
    [(1, 4000, 2000, 10), (3, 1 << 20, 1 << 27, 1 << 20), pytest.param(2, 1, 500, 100, marks=pytest.mark.slow)],
)
def test_same_bytes_for_any_workers_slices_and_boxes(
    folder, reference, tmp_path, monkeypatch, workers, slice_bytes, box_bytes, box_rows
):
    monkeypatch.setattr(corpus.tokens.texts, "SLICE_BYTES", slice_bytes)
    monkeypatch.setattr(corpus.tokens.shuffle, "BOX_BYTES", box_bytes)
    monkeypatch.setattr(corpus.tokens.count_slice, "_BOX_ROWS", box_rows)
    run(mixture(folder, BY_HAND), tmp_path / "out", workers)
    assert tree(tmp_path / "out") == tree(reference)


def test_a_budget_that_is_counted_in_several_rounds_gives_the_same(folder, reference, tmp_path, monkeypatch):
    """The first guess of the documents that a budget needs is much too low here."""
    seen = []
    count = corpus.tokens.count_slice.count_slice

    def noted(store, source, counting, encoder):
        seen.append((counting.start, counting.stop))
        return count(store, source, counting, encoder)

    monkeypatch.setattr("jobs.tokens.tokenize.count_slice", noted)
    monkeypatch.setattr("jobs.tokens.mixing._BYTES_PER_TOKEN", 0.05)
    run(mixture(folder, BY_HAND), tmp_path / "out")
    ranges = sorted(set(seen))
    assert len(ranges) > 2
    assert all(stop == start for (_, stop), (start, _) in itertools.pairwise(ranges))
    assert tree(tmp_path / "out") == tree(reference)


class Crash(BaseException):
    """No handler of ours catches this."""


@pytest.mark.parametrize("point", ["encode_begun", "count_begun", "write_begun", "before_tokens_json"])
def test_ended_at_a_point_and_run_again(folder, reference, tmp_path, monkeypatch, point):
    file = mixture(folder, BY_HAND)

    def crash(name):
        if name == point:
            raise Crash

    modules = ["corpus.tokens.encode_slice", "corpus.tokens.count_slice", "corpus.tokens.token_files"]
    with monkeypatch.context() as patch, pytest.raises(Crash):
        for module in [*modules, "jobs.tokens.tokenize"]:
            patch.setattr(f"{module}.reached", crash)
        run(file, tmp_path / "out")
    assert not (tmp_path / "out" / "tokens.json").exists()
    run(file, tmp_path / "out")
    assert tree(tmp_path / "out") == tree(reference)


def source(name="books", path="books", *lines):
    return "\n".join(["[[sources]]", f'name = "{name}"', f'path = "{path}"', *lines, ""])


@pytest.mark.parametrize("budget", [1, 500, 9_000, 25_000])
def test_a_budget_is_exact_to_within_one_document(folder, sizes, tmp_path, budget):
    lines = [f"tokens = {budget}", FINEWEB2]
    file = mixture(folder, f"seed = {SEED}\n" + source("books", "books", *lines))
    row = run(file, tmp_path / "out", layout="parquet", val_share=0.0)["mixture"]["sources"][0]
    assert budget <= row["tokens"] < budget + max(sizes[one["id"]] for one in ROWS["books"])
    assert row["budget"] == budget


def test_weights_divide_the_budget(folder, sizes, tmp_path):
    text = f"tokens = 6000\n{source('web', 'web', 'weight = 3')}{source('books', 'books', 'weight = 1')}"
    text += source("code", "code.parquet", "tokens = 2000")
    rows = run(mixture(folder, text), tmp_path / "out")["mixture"]["sources"]
    assert [row["budget"] for row in rows] == [3000, 1000, 2000]
    assert all(0 <= row["tokens"] - row["budget"] < max(sizes.values()) for row in rows)


def taken(folder, tmp_path, *lines):
    out = tmp_path / f"{len(list(tmp_path.iterdir()))}"
    run(mixture(folder, f"seed = {SEED}\n" + source("books", "books", *lines)), out, layout="parquet")
    return written(out)


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        (["share = 0.2"], ["share = 0.5"]),
        (["tokens = 2000"], ["tokens = 4000"]),
        (["tokens = 4000"], ["tokens = 20000"]),
        (["repeat = 1.3"], ["repeat = 1.8"]),
        (["repeat = 0.3"], ["repeat = 2.2"]),
        (["share = 0.4", "tokens = 1500"], ["share = 0.9", "tokens = 3000"]),
    ],
    ids=str,
)
def test_more_contains_less(folder, tmp_path, smaller, larger):
    less, more = taken(folder, tmp_path, *smaller), taken(folder, tmp_path, *larger)
    assert less < more
    assert 0 < less.total() < 0.9 * more.total()


def test_epochs_are_limited(folder, sizes, tmp_path):
    train = sum(sizes[row["id"]] for row in ROWS["books"] if not in_val(row))
    enough = taken(folder, tmp_path, f"tokens = {4 * train}")
    assert set(enough.values()) == {4}
    with pytest.raises(InputError, match=rf"'books' has {train:,} tokens.*{4 * train:,} in 4 epochs.*needs"):
        taken(folder, tmp_path, f"tokens = {4 * train + 1}")
    with pytest.raises(InputError, match="Its `repeat` makes them"):
        taken(folder, tmp_path, "repeat = 5")
    out = tmp_path / "out"
    file = mixture(folder, source("books", "books", "repeat = 5"))
    with pytest.raises(InputError):
        run(file, out)
    row = run(mixture(folder, "epochs = 5\n" + source("books", "books", "repeat = 5")), out)["mixture"]["sources"][0]
    assert row["epochs"] == 5  # the folder was free again


def test_documents_of_val_are_in_no_copy_of_train(folder, tmp_path):
    """Also where another source has the same texts, under other ids."""
    (tmp_path / "twins").mkdir()
    twins = [{**row, "id": f"twin-{row['id']}"} for row in ROWS["books"]]
    pq.write_table(pa.Table.from_pylist(twins, SCHEMA), tmp_path / "twins" / "t.parquet")
    text = source("books", str(folder / "books"), "repeat = 3") + source("twins", "twins", "repeat = 2")
    run(mixture(tmp_path, text), tmp_path / "out", layout="parquet")
    train, val = written(tmp_path / "out"), written(tmp_path / "out", "val")
    texts = {row["id"]: row["text"] for row in [*ROWS["books"], *twins]}
    assert set(val.values()) == {1}
    assert val
    assert not {texts[name] for name in train} & {texts[name] for name in val}


def test_another_mixture_needs_another_folder(folder, reference):
    assert tokenize(
        TokenizeJob(mixture(folder, BY_HAND), reference, small_tokenizer(), val_share=VAL, file_tokens=5000),
        lambda: InProcess(), Progress(quiet=True),
    ).already_done  # fmt: skip
    with pytest.raises(OutputError, match=r"mixture\.sources\.books\.share: 0\.6 → 0\.5"):
        run(mixture(folder, BY_HAND.replace("share = 0.6", "share = 0.5")), reference)


@pytest.mark.parametrize(
    ("lines", "error", "message"),
    [
        (['filter = ["langage == \'en\'"]'], ConfigError, "'books' has no column 'langage'. Did you mean language"),
        (["repeat = { by = 'scores', 1 = 1 }"], ConfigError, "has no column 'scores'. Did you mean score"),
        (["filter = [\"language >= 1\"]"], ConfigError, "holds strings.*numbers"),
        (["filter = [\"score == 'x'\"]"], ConfigError, "holds numbers.*strings"),
        (["repeat = { by = 'language', 1 = 1 }"], ConfigError, "holds strings"),
        (["filter = [\"language == 'EN'\"]"], InputError, "keeps no document of 300: 300 do not meet the filter"),
        (["repeat = 0"], InputError, "300 are taken 0 times"),
        (["share = 1e-9"], InputError, "300 are outside the share"),
    ],
)  # fmt: skip
def test_columns_and_sources_that_give_nothing_are_named_before_any_text_is_read(
    folder, tmp_path, monkeypatch, lines, error, message
):
    monkeypatch.setattr(Encoder, "encode", lambda *args: pytest.fail("a text was encoded"))
    monkeypatch.setattr(Encoder, "check", lambda *args: pytest.fail("a text was encoded"))
    with pytest.raises(error, match=message):
        run(mixture(folder, source("books", "books", *lines)), tmp_path / "out")
    assert not list((tmp_path / "out").glob("*")) or not (tmp_path / "out" / ".work").exists()


def test_a_path_that_leads_nowhere(folder, tmp_path):
    with pytest.raises(InputError, match=r"The source 'books': .*bokks holds neither a finished run nor parquet"):
        run(mixture(folder, source("books", "bokks")), tmp_path / "out")


def test_columns_that_can_not_be_compared(tmp_path):
    (tmp_path / "t").mkdir()
    odd = pa.array([1, 2], pa.timestamp("us"))
    pq.write_table(pa.table({"text": ["one", "two"], "when": odd, "none": pa.nulls(2)}), tmp_path / "t" / "a.parquet")
    with pytest.raises(ConfigError, match=r"holds values of the type timestamp\[us\]"):
        run(mixture(tmp_path, source("t", "t", 'filter = ["when > 1"]')), tmp_path / "out")
    with pytest.raises(InputError, match="2 do not meet the filter"):
        run(mixture(tmp_path, source("t", "t", 'filter = ["none > 1"]')), tmp_path / "out")


def test_documents_with_one_id_are_told_apart_by_their_place(tmp_path, monkeypatch):
    """A budget ends exactly, even if all documents have the same rank."""
    monkeypatch.setattr(corpus.tokens.texts, "SLICE_BYTES", 1)
    (tmp_path / "t").mkdir()
    for name in "ab":
        table = pa.table({"id": ["same"] * 20, "text": [f"{name} {n}" for n in range(20)]})
        pq.write_table(table, tmp_path / "t" / f"{name}.parquet", row_group_size=7)
    info = run(mixture(tmp_path, source("t", "t", "tokens = 60")), tmp_path / "out", val_share=0.0)
    row = info["mixture"]["sources"][0]
    assert 60 <= row["tokens"] < 70
    assert row["copies"] == row["documents"] < 40


def rows_of(folder, kind):
    return [row for file in sorted((folder / kind).glob("*.parquet")) for row in pq.read_table(file).to_pylist()]


def test_measures_of_the_ledger_are_joined(corpus_run, tmp_path, monkeypatch):
    measures = {row["id"]: row["paragraphs.chars"] for row in rows_of(corpus_run, "ledger") if row["outcome"] == "kept"}
    middle = sorted(measures.values())[len(measures) // 2]
    lines = [f'filter = ["paragraphs.chars >= {middle}"]', f"repeat = {{ by = 'paragraphs.chars', {middle + 60} = 2 }}"]
    monkeypatch.setattr(corpus.tokens.texts, "SLICE_BYTES", 5000)
    file = mixture(tmp_path, source("run", str(corpus_run), *lines))
    info = run(file, tmp_path / "out", layout="parquet", val_share=0.0)
    expected = {name: 2 if chars >= middle + 60 else 1 for name, chars in measures.items() if chars >= middle}
    assert 0 < sum(times == 2 for times in expected.values()) < len(expected) < len(measures)
    assert written(tmp_path / "out") == Counter(expected)
    assert info["mixture"]["sources"][0]["filtered"] == len(measures) - len(expected)
    assert {"kind": "tokens", "name": str(tmp_path / "out")} in registered(corpus_run)


def test_repeats_by_duplicates_count_the_cluster(corpus_run, tmp_path):
    duplicates = {row["id"]: row["duplicates"] for row in rows_of(corpus_run, "corpus")}
    assert set(duplicates.values()) == {0, 1}
    file = mixture(tmp_path, source("run", str(corpus_run), FINEWEB2))
    run(file, tmp_path / "out", layout="parquet", val_share=0.0)
    assert written(tmp_path / "out") == Counter({name: others + 1 for name, others in duplicates.items()})


def test_a_dry_run_reads_the_ledger_alone(corpus_run, tmp_path):
    """Its documents, copies and bytes are those of the real run, its tokens are near."""
    file = mixture(tmp_path, source("run", str(corpus_run), 'filter = ["paragraphs.chars >= 500"]', FINEWEB2))
    sources = open_sources(file, 0)
    table, wrong = dry_run(sources, sources.mixture.epochs, small_tokenizer())
    info = run(file, tmp_path / "out", val_share=0.0)
    mine, real = table["sources"][0], info["mixture"]["sources"][0]
    same = ("name", "in", "filtered", "outside_share", "not_repeated", "without_value", "documents", "copies")
    assert {name: mine[name] for name in same} == {name: real[name] for name in same}
    assert wrong is None
    assert mine["bytes"] < info["splits"]["train"]["bytes"]  # each text once
    assert abs(mine["tokens"] / real["tokens"] - 1) < max(4 * mine["error"], 0.02)
    assert mine["epochs"] == pytest.approx(real["epochs"], rel=0.02)


def test_a_dry_run_tells_of_a_budget_that_can_not_be_met(folder):
    file = mixture(folder, source("books", "books", "tokens = 10_000_000"))
    sources = open_sources(file, 0)
    _, wrong = dry_run(sources, 4, small_tokenizer())
    assert "about" in str(wrong)
    assert "needs 10,000,000" in str(wrong)


def test_the_verb_prints_the_table(folder, tmp_path, corpus):
    (tmp_path / "tokenizer.json").write_bytes(small_tokenizer().data)
    file = mixture(folder, source("books", "books", FINEWEB2) + source("code", "code.parquet"))
    given = [str(file), "--tokenizer", str(tmp_path / "tokenizer.json"), "--workers", "1"]
    code, out, err = corpus("tokenize", *given, "--dry-run")
    assert (code, "epochs" in out, "± tokens" in out, "estimated" in err) == (0, True, True, True)
    code, out, err = corpus("tokenize", *given, "-o", str(tmp_path / "out"), "--json")
    table = json.loads(out)["mixture"]
    assert code == 0, err
    assert open_tokens(tmp_path / "out").info["mixture"] == table
    assert [row["name"] for row in table["sources"]] == ["books", "code"]
    assert "documents" in err
    assert corpus("tokenize", *given, "-o", str(tmp_path / "out"), "--seed", "3")[0] == 2
    assert corpus("tokenize", *given)[0] == 2
    code, _, err = corpus("tokenize", str(folder / "books"), *given[1:], "--dry-run")
    assert (code, "--dry-run is for mixtures" in err) == (2, True)


def test_nothing_that_was_counted_is_counted_again(folder, tmp_path, monkeypatch):
    calls = []
    put_new = LocalStore.put_new

    def counted(self, key, data):
        if "/commits/count/" in key:
            calls.append(key)
        if key == "tokens.json" and len(calls) and "again" not in calls:
            calls.append("again")
            raise Crash
        return put_new(self, key, data)

    file = mixture(folder, BY_HAND)
    monkeypatch.setattr(LocalStore, "put_new", counted)
    with pytest.raises(Crash):
        run(file, tmp_path / "out")
    run(file, tmp_path / "out")
    assert calls[-1] == "again"
    assert len(calls) > 1
