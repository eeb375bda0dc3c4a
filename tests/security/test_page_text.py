"""Text of pages is in the corpus and in the samples, and nowhere else, also if a stage or a phase fails."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.dedup.bands import KEYS_SCHEMA
from corpus.dedup.index import BITS, ROWS_PER_BOX, TEXTS_SCHEMA, docs_schema, open_index
from corpus.run import open_run
from corpus.storage.boxes import read_box
from filters import load_recipe
from tests.documents import write_documents
from tests.warcs import WORDS, page, write_warc

ROOT = Path(__file__).resolve().parents[2]
MARKS = ("quillmarker4711", "federmärker4712", "quill.marker@cage-door.example.com")
"""Two words of the pages, and an address."""
STAGES = [bound.name for bound in load_recipe("default").stages]
SENTENCE = f"Write to {MARKS[2]} about the {MARKS[0]} and the {MARKS[1]}, said the mayor. "
TEXT = SENTENCE + WORDS + SENTENCE
TEXTS = ("corpus/", "samples/", ".work/parts/corpus/", ".work/parts/samples/")
"""Where texts of pages may be."""


BROKEN_LINES = (
    "\n".join(
        [
            f'{{"html": "{MARKS[0]}"',
            f'{{"html": ["{MARKS[0]}"], "url": "http://b.example/"}}',
            f'{{"html": null, "{MARKS[1]}": "{MARKS[2]}"}}',
            f'"{MARKS[0]}"',
            f"{MARKS[1]} {MARKS[2]}",
        ]
    ).encode()
    + f"\n{MARKS[0]}".encode()
    + b"\xff\n"
)
"""Lines that can't be read, each with a text that no message may have."""


class Builds:
    """The command `corpus build` with the plugin that fails, and everything that it leaves."""

    def __init__(self, folder: Path, pages: dict[str, str], kind: str = "archives") -> None:
        """`pages` are the texts of pages, by the query of the URL, in archives or as documents."""
        self.out, self._given, self._here, self._tmp = (folder / name for name in ("out", "in", "here", "tmp"))
        for made in (self._given, self._here, self._tmp):
            made.mkdir()
        ordinary = {"kept": TEXT, "again": TEXT, "short": SENTENCE}
        for name, texts in (("a", ordinary | pages), ("b", {"other": TEXT})):
            bodies = {f"http://{name}.example/?{query}": page(MARKS[0], text) for query, text in texts.items()}
            if kind == "archives":
                write_warc(self._given / f"{name}.warc.gz", bodies)
            else:
                rows = [{"html": body.decode(), "url": url} for url, body in bodies.items()]
                path = write_documents(self._given / f"{name}.{'jsonl' if name == 'a' else 'parquet'}", rows)
                if name == "a":
                    path.write_bytes(path.read_bytes() + BROKEN_LINES)

    def run(self, fault: str = "", *options: str) -> tuple[int, str]:
        """Build, and return the exit code and what was printed. Assert that no text of a page is where none belongs."""
        env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(self._tmp), "CORPUS_FAULT": fault}
        command = [sys.executable, "-m", "jobs.cli", "build", self._given, "-o", self.out, "--keep-work", *options]
        command += ["--allow-module", "tests.security.faulty", "--workers", "1", "--alarm-rate", "1"]
        done = subprocess.run(
            command, env=env | {"CORPUS_TEXT": TEXT}, cwd=self._here, preexec_fn=_allow_core_dumps,
            capture_output=True, text=True,
        )  # fmt: skip
        assert not marks_in([done.stdout, done.stderr]), done.stderr
        assert list(self._here.iterdir()) == []  # no core dump
        assert holders(self._tmp) == {}
        found = holders(self.out)
        assert [name for name in found if not name.startswith(TEXTS)] == []
        assert not any(MARKS[2] in marks for marks in found.values()), found
        return done.returncode, done.stderr

    def told(self) -> str:
        """What the file of a bug says."""
        (file,) = self._tmp.glob("corpus-bug-*")
        return file.read_text()

    def ends(self) -> dict[str, str]:
        """What became of each page, by the query of its URL."""
        rows = open_run(self.out).ledger(columns=["url", "outcome", "stage", "rule", "detail"]).to_pylist()
        columns = ("outcome", "stage", "rule", "detail")
        return {row["url"].partition("?")[2]: " ".join(filter(None, map(row.get, columns))) for row in rows}


def _allow_core_dumps() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def marks_in(texts: list[str]) -> set[str]:
    return {mark for mark in MARKS for text in texts if mark in text.lower()}


def holders(folder: Path) -> dict[str, set[str]]:
    """The files that hold a mark, raw or decoded, with the marks."""
    found = {str(path.relative_to(folder)): marks_in(list(read(path))) for path in folder.rglob("*") if path.is_file()}
    return {name: marks for name, marks in found.items() if marks}


def read(path: Path) -> Iterator[str]:
    """Yield the content of a file, raw and decoded. The files of exchange (`.boxes`) are not compressed."""
    data = path.read_bytes()
    yield data.decode(errors="replace")
    if data.startswith(b"PAR1"):
        yield repr(pq.read_table(path).to_pylist())
    if data.startswith(b"ARROW1"):
        yield repr(pa.ipc.open_file(data).read_all().to_pylist())
    if data.startswith((b"{", b"[")):
        yield repr(json.loads(data))


def index_rows(folder: Path) -> list[dict]:
    """The rows in all boxes of an index."""
    earlier = open_index(folder)
    (stage,) = load_recipe("default").pipeline().collective
    rows = []
    for part in earlier.parts:
        for file, schema, boxes in (
            (part.keys, KEYS_SCHEMA, stage.bands << BITS),
            (part.texts, TEXTS_SCHEMA, 1 << BITS),
            (part.docs, docs_schema(stage), -(-(part.end - part.first) // ROWS_PER_BOX)),
        ):
            batches = [batch for box in range(boxes) for batch in read_box(earlier.store, file, box, schema)]
            assert sum(batch.num_rows for batch in batches) == file.rows > 0
            rows += [row for batch in batches for row in batch.to_pylist()]
    return rows


def assert_texts_are_found(out: Path) -> None:
    """Assert that the search finds texts where they are: in the final files and the parts of the pass."""
    found = holders(out)
    for folder in TEXTS:
        held = set[str]().union(*(marks for name, marks in found.items() if name.startswith(folder)))
        assert held == set(MARKS[:2]), folder


@pytest.mark.parametrize("kind", [pytest.param("archives", marks=pytest.mark.slow), "documents"])
def test_no_page_text_after_faults_in_every_stage(tmp_path, kind: str) -> None:
    """Each stage raises an error with the text of a page, one crashes, and an excerpt can't be made. Lines of documents
    can't be read."""
    acts = [*(f"{stage}-raise" for stage in STAGES), "c4-crash"]
    builds = Builds(tmp_path, dict.fromkeys(acts, TEXT), kind)
    assert builds.run()[0] == 0
    assert open_run(builds.out).counts["failed"].get("damaged", 0) == (0 if kind == "archives" else 6)
    ends = builds.ends()
    assert {act: ends[act] for act in acts} == {
        act: f"failed {act.partition('-')[0]} error ValueError" if act.endswith("raise") else "failed crash"
        for act in acts
    }
    assert "kept" in ends.values()
    assert_texts_are_found(builds.out)
    assert not marks_in([repr(index_rows(builds.out))])


@pytest.mark.slow
def test_no_page_text_after_a_crash_in_every_stage(tmp_path) -> None:
    """Each stage crashes, and two run into the time limit."""
    crashes, loops = [f"{stage}-crash" for stage in STAGES], ["extract-loop", "pii-loop"]
    builds = Builds(tmp_path, dict.fromkeys([*crashes, *loops], TEXT))
    assert builds.run("", "--page-seconds", "0.5", "--unit-seconds", "1000")[0] == 0
    ends = builds.ends()
    assert {ends[act] for act in crashes} == {"failed crash"}
    assert {ends[act] for act in loops} == {"failed timeout"}
    assert_texts_are_found(builds.out)


@pytest.mark.slow
def test_no_page_text_if_an_excerpt_can_not_be_made(tmp_path) -> None:
    """The text of a sample is the last text that a page worker touches. Its unit is quarantined."""
    builds = Builds(tmp_path, {"redact": "REDACT " + SENTENCE})
    code, said = builds.run()
    assert code == 3
    assert "The page worker failed on a.warc.gz with ValueError." in said
    assert builds.ends() == {"other": "kept"}


PHASES = ("bands", "candidates", "twins", "components", "members", "verify", "verify-crash", "verdicts", "sites")
PACKED = ("corpus", "ledger", "samples")
"""In the order of a run: each call does the phases before the one that fails."""


@pytest.mark.parametrize(
    "phases", [("bands", "corpus"), pytest.param((*PHASES, *PACKED, "index"), marks=pytest.mark.slow)]
)
def test_no_page_text_after_faults_in_phases(tmp_path, phases: tuple[str, ...]) -> None:
    """Phases fail one after the other, with the text of a page in the message, and then the driver. At last the run is
    finished."""
    builds = Builds(tmp_path, {})
    for phase in phases:
        code, said = builds.run(phase)
        assert code == 1, said
        assert ("signal 11" if phase.endswith("crash") else "ValueError at") in said
    code, said = builds.run("bug")
    assert (code, "This is a bug in corpus" in said) == (70, True)
    told = builds.told()
    assert (", in fail\n" in told, told.endswith("\nValueError\n")) == (True, True)
    assert builds.run()[0] == 0
    assert_texts_are_found(builds.out)
    assert not marks_in([repr(index_rows(builds.out))])
