"""Whole builds of documents of any shape: a row for each of them in the ledger, or a sentence."""

import json
import subprocess
import sys
from collections import Counter
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.documents import measured, read_all
from corpus.documents.row import MAX_TEXT
from corpus.errors import ConfigError
from corpus.run import open_run
from tests.documents import TEXT, packed
from tests.jobs.build.test_build import build_quietly, job
from tests.warcs import WORDS

STAGES = {"stages": [{"stage": "paragraphs", "chars": {"min": 30}}]}


def fineweb(number, text):
    """A row of FineWeb."""
    return {
        "text": text, "id": f"<urn:uuid:{number}>", "dump": "CC-MAIN-2013-20", "url": f"http://fine.example/{number}",
        "date": f"2013-05-18T05:48:{number:02}Z", "file_path": "s3://commoncrawl/x.warc.gz", "language": "en",
        "language_score": 0.9 + number / 1000, "token_count": len(text) // 4,
    }  # fmt: skip


def dolma(number, text):
    """A document of Dolma, with nested metadata."""
    place = {"url": f"http://dol.example/{number}", "lang": "en", "nested": {"deep": [{"n": number}, None]}}
    times = {"added": "2024-01-05T00:00:00.000Z", "created": f"2019-12-31T23:59:{number:02}.000Z"}
    return {"id": f"d{number}", "text": text, "source": "made", **times, "metadata": place}


def test_the_shapes_of_fineweb_and_dolma(tmp_path):
    texts = [f"{number} {WORDS}" for number in range(12)]
    pq.write_table(pa.Table.from_pylist(list(map(fineweb, range(12), texts))), tmp_path / "fine.parquet")
    lines = "".join(json.dumps(row) + "\n" for row in map(dolma, range(12), texts)).encode()
    (tmp_path / "dolma.json.gz").write_bytes(packed(lines, "gz"))
    for name, keep, date, given in (
        ("fine.parquet", ("language_score", "token_count"), "2013-05-18T05:48:07Z", fineweb),
        ("dolma.json.gz", ("source", "metadata.nested"), "2019-12-31T23:59:07.000Z", dolma),
    ):
        made = job([tmp_path / name], tmp_path / f"{name}-out", STAGES, keep_columns=keep, unit_bytes=500)
        assert build_quietly(made).exit_code == 0
        run = open_run(tmp_path / f"{name}-out")
        run.verify()
        row, ledger, wanted = run.corpus().to_pylist()[7], run.ledger().to_pylist()[7], given(7, texts[7])
        assert (row["text"], row["date"], ledger["record_id"]) == (wanted["text"], date, wanted["id"])
        inner = {f"metadata.{name}": value for name, value in wanted.get("metadata", {}).items()}
        wanted |= {"url": inner.get("metadata.url", wanted.get("url")), **inner}
        assert row["url"] == ledger["url"] == wanted["url"]
        assert json.loads(row["metadata"]) == {name: wanted[name] for name in keep}
    with pytest.raises(ConfigError, match=r"fine\.parquet has no column 'missing'"):
        build_quietly(job([tmp_path / "fine.parquet"], tmp_path / "out", STAGES, keep_columns=("missing",)))


def test_every_odd_line_has_one_row(tmp_path):
    """A mark, other line ends, numbers that JSON lacks, keys that occur twice, wrong types, a broken last line, and
    empty files beside them."""
    good = json.dumps({"text": WORDS})
    odd = [
        "\ufeff" + good, good + "\r", "", " \t\r", f'{{"text": "x", "n": NaN, "text": "{WORDS}"}}', '{"text": NaN}',
        '{"text": null}', '{"text": 5}', '{"text": ["a"]}', '{"text": {"a": "b"}}', '{"id": "no text"}', "[]", "true",
        '{"text": "\\ud800"}', good[:-1],
    ]  # fmt: skip
    (tmp_path / "odd.jsonl").write_text("\n".join(odd), encoding="utf-8", newline="")
    (tmp_path / "empty.jsonl").write_bytes(b"")
    (tmp_path / "blank.ndjson.gz").write_bytes(packed(b"\r\n\n", "gz"))
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "none.parquet")
    pq.write_table(pa.table({"text": pa.array([None, WORDS, b"\xff", b"short"], pa.binary())}), tmp_path / "p.parquet")
    assert build_quietly(job([tmp_path], tmp_path / "out", STAGES)).exit_code == 0
    run = open_run(tmp_path / "out")
    run.verify()
    rows = run.ledger().to_pylist()
    assert len({row["id"] for row in rows}) == len(rows) == len(odd) - 2 + 4
    found = Counter((row["outcome"], (row["detail"] or "").partition(":")[0]) for row in rows)
    assert found == {
        ("kept", ""): 4, ("dropped", ""): 2, ("failed", "type"): 4, ("failed", "empty"): 3, ("failed", "json"): 3,
        ("failed", "utf-8"): 1,
    }  # fmt: skip


def test_addresses_in_names_are_masked(tmp_path):
    """Kept columns are the user's own choice, and stay as they are."""
    person = "joe.bloggs@people.example"
    row = {"text": WORDS, "id": f"mailto:{person}", "url": f"http://a.example/?mail={person}", "author": person}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    made = job([tmp_path / "a.jsonl"], tmp_path / "out", STAGES, keep_columns=("author",))
    assert build_quietly(made).exit_code == 0
    run = open_run(tmp_path / "out")
    (ledger,), (document,) = run.ledger().to_pylist(), run.corpus().to_pylist()
    assert person not in repr(ledger)
    assert json.loads(document.pop("metadata")) == {"author": person}
    assert person not in repr(document)


def outcomes(path, out):
    """Build a file by the command line, and return the outcomes of its rows."""
    words = [sys.executable, "-m", "jobs.cli", "build", str(path), "-o", str(out), "--recipe", "text", "--workers", "2"]
    subprocess.run(words, stderr=subprocess.DEVNULL, check=True)
    rows = open_run(out).ledger(["outcome", "detail"]).to_pylist()
    return [row["detail"].partition(":")[0] if row["outcome"] == "failed" else row["outcome"] for row in rows]


@pytest.mark.slow
def test_a_line_of_200_megabytes_is_one_row_and_takes_the_memory_of_the_longest_text(tmp_path):
    long = b'{"text": "' + b"word " * 40_000_000 + b'"}\n'
    good = json.dumps({"text": WORDS}).encode() + b"\n"
    for name, content in (("a.jsonl", good + long + good), ("a.jsonl.gz", good + long + good)):
        (tmp_path / name).write_bytes(packed(content, name))
        items, _, grown = measured(partial(read_all, tmp_path / name, TEXT))
        assert (items, grown < 3 * MAX_TEXT >> 20) == (3, True), grown
        found = outcomes(tmp_path / name, tmp_path / f"out-{name}")
        assert found == ["kept", "length", "dropped"]  # the last one is a copy of the first


@pytest.mark.slow
def test_a_million_rows_of_20_characters(tmp_path):
    with open(tmp_path / "rows.jsonl", "w") as file:
        file.writelines(f'{{"text": "text number {number:08d}"}}\n' for number in range(1_000_000))
    items, _, grown = measured(partial(read_all, tmp_path / "rows.jsonl", TEXT))
    assert (items, grown < 64) == (1_000_000, True), grown
    assert Counter(outcomes(tmp_path / "rows.jsonl", tmp_path / "out")) == {"dropped": 1_000_000}
