"""A finished run as it is opened for reading."""

import json

import pytest

from corpus.document import Document
from corpus.errors import InputError, IntegrityError
from corpus.pipeline import Pipeline
from corpus.runs.run_files import RunFiles
from corpus.runs.run_json import check_run_json
from corpus.storage.manifest import SEAL, write_manifest
from corpus.storage.store import LocalStore, as_json
from corpus.storage.swap import JOURNAL
from tests.ledgers import recipe, write_run

MEASURES = {
    "door.label": "en", "door.score": 0.9, "dear.size": 5, "dear.depth": 3, "first.words": 60, "first.ratio": 0.1,
    "first.note": "one", "last.sentences": 9, "last.share": 0.1, "last.count": 4,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A run of three pages, of which the second is dropped."""
    made = recipe()
    outcomes = []
    for number, words in enumerate((60, 3, 70)):
        doc = Document(id=f"w.warc.gz:{number}", url=f"http://bob:pw@a.example/{number}", text=f"Text {number}")
        doc.page = MEASURES | {"first.words": words}
        outcomes.append(Pipeline(made.stages, made.measures).judge(doc))
    return write_run(tmp_path / "run", made, outcomes, rows_per_part=2)


def test_rows_are_found_by_url_or_id(folder):
    run = RunFiles.open(folder)
    (row,) = run.find("w.warc.gz:1")
    assert row["outcome"] == "dropped"
    assert run.find("http://bob:pw@a.example/1") == run.find("http://<USER>@a.example/1") == [row]
    assert run.find("HTTPS://joe@A.example:443/./%31#top") == [row]
    assert run.find("http://a.example/1") == run.find("http://<USER>@a.example/1/") == []
    assert run.text_of("w.warc.gz:2") == "Text 2"
    assert run.text_of("w.warc.gz:1") is None


def test_files_are_in_order(folder):
    run = RunFiles.open(str(folder))
    assert [path.name for path in run.paths("ledger")] == ["part-00000.parquet", "part-00001.parquet"]
    assert [part.rows for part in run.parts("ledger")] == [2, 1]
    assert run.parts("samples") == []
    assert run.corpus().num_rows == 2


def test_a_missing_part_is_named(folder):
    (folder / "ledger" / "part-00001.parquet").unlink()
    with pytest.raises(IntegrityError, match=r"part-00001\.parquet is missing"):
        RunFiles.open(folder).ledger()


def test_a_folder_without_run_json_is_no_run(tmp_path):
    with pytest.raises(InputError, match="no finished run"):
        RunFiles.open(tmp_path)


def test_an_interrupted_run_is_finished_first(tmp_path):
    LocalStore(tmp_path).put_new(".work/plan.json", b"{}")
    with pytest.raises(InputError, match=r"has not ended\. If it was interrupted, run the same `corpus build` again"):
        RunFiles.open(tmp_path)


@pytest.mark.parametrize("content", [b"[]", b'"x"', b'{"name": "package"}', b'{"compared": 7}'])
def test_another_programs_file_is_no_run(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(InputError, match="was not written by corpus"):
        RunFiles.open(tmp_path)


def test_a_damaged_run_json_is_named(folder):
    (folder / "run.json").write_bytes(b"{")
    with pytest.raises(IntegrityError, match=r"run\.json is damaged"):
        RunFiles.open(folder)


def test_a_run_json_that_is_not_the_sealed_one_is_refused(folder):
    data = (folder / "run.json").read_bytes()
    (folder / "run.json").write_bytes(data.replace(b"w.warc", b"v.warc") + b" ")
    with pytest.raises(IntegrityError, match="not what the run wrote"):
        RunFiles.open(folder)
    (folder / SEAL).unlink()  # `corpus verify` reports that
    RunFiles.open(folder)


def test_an_interrupted_takedown_is_finished_first(folder):
    LocalStore(folder).put_new(JOURNAL, b"{}")
    with pytest.raises(IntegrityError, match="was interrupted"):
        RunFiles.open(folder)


def test_archives_are_where_the_run_read_them(folder):
    run = RunFiles.open(folder)
    assert run.locations() == {}
    run.store.replace("timings.json", as_json({"inputs": {"w.warc.gz": "/data/w.warc.gz"}}))
    assert run.locations() == {"w.warc.gz": "/data/w.warc.gz"}


def test_a_run_of_the_former_form_is_read(folder):
    store = LocalStore(folder)
    info = RunFiles.open(folder).info
    data = as_json({**info, "compared": {"first": "signatures", "last": "lines"}})
    parts = RunFiles.open(folder).parts("ledger")
    store.remove("manifest")
    store.replace("run.json", data)
    write_manifest(store, parts, data)
    compared = RunFiles.open(folder).info["compared"]
    assert compared["first"]["compares"] == "documents"
    assert compared["last"] == {"compares": "lines", "kind": "lines", "measures": {}}


@pytest.mark.parametrize("kind", ["ledger", "corpus"])
def test_a_manifest_without_a_table_is_damage(folder, kind):
    for path in (folder / "manifest").glob(f"{kind}-*.json"):
        path.unlink()
    with pytest.raises(IntegrityError, match=f"the manifest lists no {kind}"):
        RunFiles(LocalStore(folder), {"columns": {}}).paths(kind)


@pytest.mark.parametrize(
    "change",
    [
        lambda info: info.pop("language"),
        lambda info: info.update(language="first.words"),
        lambda info: info.update(language="no.column"),
        lambda info: info["recipe"]["stages"][2].update(by_language={"de": 3}),
        lambda info: info["recipe"]["stages"][2].update(by_language={"de": {"words": 3}}),
    ],
)
def test_limits_by_language_from_a_stranger_are_checked(tmp_path, change):
    folder = write_run(tmp_path / "run", recipe(by_language=True), [])
    info = json.loads((folder / "run.json").read_text())
    check_run_json(info)
    change(info)
    with pytest.raises(ValueError, match="language"):
        check_run_json(info)
