"""Whole builds of real archives: counts balance on archives that crawlers wrote and projects broke, and memory is
bounded."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from corpus.run import open_run
from filters import load_recipe
from jobs.build.archives import read_texts
from jobs.build.build import build
from jobs.build.plan import Job
from jobs.runner.local_engine import LocalEngine
from jobs.runner.progress import Progress
from tests.engines import InProcess
from tests.jobs.build.test_build import job, tree
from tests.other_programs import WRITERS
from tests.processes import children
from tests.stubs import FACTORY, recipe_from_dict


def test_every_wild_file_tiles_and_balances(shared_data, tmp_path):
    """One run over 100 archives of 15 projects. The rows of each file cover it, and its records are those of the
    file."""
    folder = tmp_path / "in"
    folder.mkdir()
    for path in sorted((shared_data / "wild").rglob("*")):
        if path.is_file() and not path.name.endswith((".paths.gz", ".lz4")):
            (folder / f"{path.parent.name}+{path.name}".replace("/", "+")).symlink_to(path)
    recipe = recipe_from_dict({"stages": [{"stage": "url"}, {"stage": "paragraphs"}]})
    made = Job(recipe, [str(folder)], tmp_path / "out", factory=FACTORY)
    result = build(made, lambda: LocalEngine(2), Progress(quiet=True))
    assert result.exit_code == 0
    run = open_run(tmp_path / "out")
    rows = run.verify()
    assert rows["ledger"] == run.info["records"]["in"] > 2000
    assert len(run.info["inputs"]) > 100
    names = set(run.ledger(columns=["warc"])["warc"].to_pylist())
    assert len(names) > 90
    ids = run.ledger(columns=["id"])["id"].to_pylist()
    assert len(set(ids)) == len(ids)


def start(inputs, out, *options):
    command = [
        sys.executable,
        "-m",
        "jobs.cli",
        "build",
        *map(str, inputs),
        "-o",
        str(out),
        "--recipe",
        "fineweb",
        *options,
    ]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": os.getcwd()})


@pytest.fixture(scope="module")
def real(shared_data, tmp_path_factory):
    """The output for one real archive, on one worker without Ray."""
    out = tmp_path_factory.mktemp("real") / "out"
    archive = shared_data / "warc" / "mixed-00001.warc.gz"
    assert start([archive], out).wait() == 0
    return archive, out


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ("--workers", "1"),
        ("--workers", "2", "--unit-mb", "1"),
        ("--ray", "--workers", "2", "--unit-mb", "0.2"),
        ("--workers", "2", "--unit-mb", "1000"),
    ],
)
def test_same_bytes_on_real_pages(real, tmp_path, options):
    archive, reference = real
    assert start([archive], tmp_path / "out", *options).wait() == 0
    assert tree(tmp_path / "out") == tree(reference)


@pytest.mark.slow
def test_memory_of_supervisor_and_page_worker(shared_data, tmp_path):
    """Together they take at most 600 MB of PSS, without mapped files."""
    process = start([shared_data / "warc" / "english-00000.warc.gz"], tmp_path / "out", "--workers", "1")
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(own_pss, [process.pid, *children(process.pid)])))
        time.sleep(0.2)
    assert process.returncode == 0
    print(f"peak {peak >> 20} MB")
    assert peak <= 600 << 20


def own_pss(pid: int) -> int:
    """Proportional set size without file mappings, in bytes."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    values = {line.split(":")[0]: int(line.split()[1]) << 10 for line in rollup.splitlines()[1:]}
    return values["Pss"] - values.get("Pss_File", 0)


def test_the_same_rows_in_another_order_of_inputs(shared_data, tmp_path):
    files = [shared_data / "wild" / "allenai+dolma" / name for name in ("sample-0000.warc.gz", "sample-0001.warc.gz")]
    for name, given in (("a", files), ("b", files[::-1])):
        build(job(given, tmp_path / name), lambda: InProcess(), Progress(quiet=True))
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


VERDICT = ["outcome", "stage", "rule", "value", "limit", "gopher_quality.words", "minhash.cluster_size"]

SAME_TEXT = ["pii=off", "c4=off"]
"""Without the stages that change the text, a run's texts are those that its stages judged."""


@pytest.fixture(scope="module")
def judged(shared_data, tmp_path_factory):
    """The texts of the real pages of an archive, in order, with the verdicts of `default` on them."""
    out = tmp_path_factory.mktemp("judged") / "out"
    archive = shared_data / "warc" / "mixed-00001.warc.gz"
    recipe = load_recipe("default", [*SAME_TEXT, "rights=off"])  # a text can't opt out
    made = Job(recipe, [str(archive)], out, workers=2)
    assert build(made, lambda: LocalEngine(2), Progress(quiet=True)).exit_code == 0
    run = open_run(out)
    rows = [row for row in run.ledger().to_pylist() if row["stage"] not in ("url", "screen", "extract")]
    texts = dict(zip(*(run.corpus()[name].to_pylist() for name in ("id", "text")), strict=True))
    texts |= read_texts(run, rows, [], [])
    return [{"id": row["id"], "text": texts[row["id"]], "verdict": [row[name] for name in VERDICT]} for row in rows]


def write_judged(judged, folder, program, files, group):
    """Write the texts as files of documents by another program, and return the folder."""
    documents = [{"id": one["id"], "text": one["text"]} for one in judged]
    share = -(-len(documents) // files)
    folder.mkdir()
    for number in range(files):
        WRITERS[program](documents[number * share : (number + 1) * share], folder / f"{number:03d}", group)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("program", "files", "group"), [
    ("pandas_parquet", 1, 1000), ("polars_parquet", 3, 7), ("duckdb_parquet", 1, 2048), ("datasets_parquet", 50, 5),
    ("polars_lines", 1, 0), ("datasets_lines", 3, 0), ("pandas_gzip", 3, 0), ("gzip_tool", 50, 4), ("zstd_tool", 1, 0),
])  # fmt: skip
def test_texts_of_real_pages_get_the_verdicts_of_their_archive(judged, tmp_path, program, files, group):
    """The texts, as other programs write them, in any number of files, on one worker or two."""
    given = write_judged(judged, tmp_path / "in", program, files, group)
    for workers, unit_bytes in ((2, 99_999), (1, 1 << 30)):
        out = tmp_path / f"out{workers}"
        made = Job(load_recipe("text", SAME_TEXT), [str(given)], out, workers=workers, unit_bytes=unit_bytes)
        assert build(made, lambda workers=workers: LocalEngine(workers), Progress(quiet=True)).exit_code == 0
    assert tree(tmp_path / "out1") == tree(tmp_path / "out2")
    run = open_run(tmp_path / "out1")
    rows = run.ledger(columns=["record_id", *VERDICT]).to_pylist()
    assert [row["record_id"] for row in rows] == [one["id"] for one in judged]
    assert len(rows) > 300
    different = [(row, one["verdict"]) for row, one in zip(rows, judged, strict=True)
                 if [row[name] for name in VERDICT] != one["verdict"]]  # fmt: skip
    assert different == []
    kept = [one["text"] for one in judged if one["verdict"][0] == "kept"]
    assert run.corpus(columns=["text"])["text"].to_pylist() == kept
