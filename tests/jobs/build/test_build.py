"""Whole builds of made archives: counts that balance, the same bytes however a build ran, continued runs, refusals."""

import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading

import pyarrow.parquet as pq
import pytest

import jobs.runner.task_functions
from corpus.errors import InputError, IntegrityError, OutputError
from corpus.run import open_run
from corpus.storage.store import LocalStore
from jobs.build.build import build
from jobs.build.plan import Job, make_plan
from jobs.runner.engine import AtOnce
from jobs.runner.local_engine import LocalEngine
from jobs.runner.progress import Progress
from tests.documents import EVERY_INPUT, kept_columns, write_inputs
from tests.engines import engine_of
from tests.processes import command_line, descendants, state
from tests.stubs import FACTORY, recipe_from_dict
from tests.waiting import wait_until
from tests.warcs import WORDS, page, write_warc

STAGES = {"stages": [{"stage": "url"}, {"stage": "paragraphs", "chars": {"min": 300, "max": 800}}]}


def job(inputs, out, stages=None, **options):
    recipe = recipe_from_dict(stages or STAGES)
    options = {**(kept_columns(inputs[0]) if inputs else {}), **options}
    return Job(recipe, [str(path) for path in inputs], out, factory=FACTORY, **options)


def build_quietly(made, workers=1):
    return build(made, lambda: engine_of(workers), Progress(quiet=True))


def tree(folder):
    """The sha256 of every promised file, without the register of what was made of the run later."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in files.items()
        if path.name != "timings.json" and not name.startswith("derived/")
    }


@pytest.fixture(scope="module")
def archives(request, tmp_path_factory):
    """Two archives of 150 pages, with short, long and blocked pages among them, and damage in one. Or these pages as
    documents."""
    rng = random.Random(7)
    inputs = {"a.warc.gz": {}, "b.warc.gz": {}}
    for name in ("b.warc.gz", "a.warc.gz"):
        pages = inputs[name]
        for number in range(150):
            host = "xxx-videos.example" if number % 10 == 3 else f"site{number}.example"
            words = "short" if number % 10 == 4 else " ".join(rng.choices(WORDS.split(), k=40 + number))
            pages[f"http://{host}/{name[0]}{number}"] = page(f"Page {number}", words)
    return write_inputs(tmp_path_factory.mktemp("archives"), inputs, getattr(request, "param", "archives"))


@pytest.fixture(scope="module")
def reference(archives, tmp_path_factory):
    out = tmp_path_factory.mktemp("reference") / "out"
    result = build_quietly(job([archives], out))
    assert result.exit_code == 0
    return out


def test_books_balance(reference):
    run = open_run(reference)
    records = run.info["records"]
    others = sum(run.info["other_records"].values())
    assert records["in"] + others == 600  # 300 requests and responses, one of them a damaged stretch
    assert records["failed"] == {"damaged": 1}
    assert records["dropped"]["url"] == {"domain": 30} or sum(records["dropped"]["url"].values()) == 30
    assert records["dropped"]["paragraphs"]["chars"] > 0
    assert run.verify() == {"corpus": records["kept"], "ledger": records["in"], "samples": run.parts("samples")[0].rows}


@EVERY_INPUT
def test_rows_are_in_archive_order(reference):
    rows = open_run(reference).ledger(columns=["warc", "offset"]).to_pylist()
    places = [(row["warc"], row["offset"]) for row in rows]
    assert len(places) >= 250
    assert places == sorted(places)
    assert open_run(reference).info["records"]["failed"]["damaged"] > 0


def test_what_a_run_leaves(reference):
    left = {path.name for path in reference.iterdir()}
    assert left == {"corpus", "ledger", "samples", "manifest", "run.json", "timings.json"}


@EVERY_INPUT
@pytest.mark.parametrize(("workers", "unit_bytes"), [(1, 4_000), (2, 20_000), (2, 1 << 30)])
def test_same_bytes_for_any_workers_and_unit_size(archives, reference, tmp_path, workers, unit_bytes):
    build_quietly(job([archives], tmp_path / "out", unit_bytes=unit_bytes), workers)
    assert tree(tmp_path / "out") == tree(reference)


@pytest.mark.ray
@pytest.mark.parametrize("archives", ["archives", pytest.param("documents", marks=pytest.mark.slow)], indirect=True)
def test_same_bytes_on_ray(archives, reference, tmp_path, ray_engine):
    result = build(job([archives], tmp_path / "out", unit_bytes=9_000), ray_engine, Progress(quiet=True))
    assert result.exit_code == 0
    assert tree(tmp_path / "out") == tree(reference)


def test_same_bytes_for_any_order_of_input(archives, reference, tmp_path):
    given = [archives / "b.warc.gz", archives / "a.warc.gz", archives / "b.warc.gz"]
    build_quietly(job(given, tmp_path / "out"))
    assert tree(tmp_path / "out") == tree(reference)


def test_files_and_row_groups_are_full(archives, tmp_path):
    stages = {**STAGES, "output": {"rows_per_part": 50}}
    build_quietly(job([archives], tmp_path / "out", stages, unit_bytes=10_000))
    parts = sorted((tmp_path / "out" / "corpus").iterdir())
    rows = [pq.read_metadata(part).num_rows for part in parts]
    assert rows[:-1] == [50] * (len(rows) - 1)
    assert sum(rows) == open_run(tmp_path / "out").info["records"]["kept"]


@EVERY_INPUT
def test_a_finished_run_is_left_alone(reference, archives):
    before = tree(reference)
    result = build_quietly(job([archives], reference))
    assert result.already_done
    assert tree(reference) == before


def test_another_recipe_is_refused_and_the_difference_shown(reference, archives):
    stages = {"stages": [{"stage": "url"}, {"stage": "paragraphs", "chars": {"min": 301, "max": 800}}]}
    with pytest.raises(OutputError, match=r"paragraphs\.chars\.min: 300 → 301"):
        build_quietly(job([archives], reference, stages))


def test_another_input_is_refused(reference, archives):
    with pytest.raises(OutputError, match=r"input b\.warc\.gz"):
        build_quietly(job([archives / "a.warc.gz"], reference))


def test_a_folder_with_other_files_is_refused(archives, tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(OutputError, match=r"thesis\.txt"):
        build_quietly(job([archives], tmp_path))


def test_an_output_that_cannot_be_written(archives, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="can't be written"):
        build_quietly(job([archives], tmp_path / "file" / "out"))


def test_two_runs_into_one_folder(archives, tmp_path):
    with LocalStore(tmp_path).only_run(), pytest.raises(OutputError, match="Another run"):
        build_quietly(job([archives], tmp_path))


def test_inputs_that_are_none(tmp_path):
    with pytest.raises(InputError, match="no archive"):
        make_plan(job([tmp_path], tmp_path / "out"))
    with pytest.raises(InputError, match="no file"):
        make_plan(job([tmp_path / "nothing*.warc.gz"], tmp_path / "out"))
    (tmp_path / "README.md").write_text("hello")
    with pytest.raises(InputError, match=r"README\.md"):
        build_quietly(job([tmp_path / "README.md"], tmp_path / "out"))
    assert not (tmp_path / "out").exists()


NO_ARCHIVE = [b"not an archive at all\n" * 50, bytes(5000), b"\x04\x22\x4d\x18 packed by lz4"]


@pytest.mark.parametrize("content", [b"", *NO_ARCHIVE])
def test_a_file_that_is_an_archive_by_name_only_is_a_damaged_stretch(tmp_path, content):
    (tmp_path / "w.warc.gz").write_bytes(content)
    write_warc(tmp_path / "x.warc.gz", {"http://a.example/": page()})
    result = build_quietly(job([tmp_path], tmp_path / "out"))
    assert result.exit_code == 0
    assert result.info["records"]["failed"] == ({"damaged": 1} if content else {})
    rows = open_run(tmp_path / "out").ledger(columns=["warc", "offset", "length"]).to_pylist()
    junk = [{"warc": "w.warc.gz", "offset": 0, "length": len(content)}] if content else []
    assert [row for row in rows if row["warc"] == "w.warc.gz"] == junk


@pytest.mark.parametrize("content", NO_ARCHIVE)
def test_inputs_of_which_none_is_an_archive_are_refused(tmp_path, content):
    for name in ("v.warc.gz", "w.warc.gz"):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"v\.warc\.gz is not an archive|v\.warc\.gz has the format lz4"):
        build_quietly(job([tmp_path], tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_unit_that_fails_is_quarantined_and_taken_up_later(archives, reference, tmp_path, monkeypatch):
    import jobs.build.plan
    import jobs.build.units
    from jobs.runner.task_functions import run_unit_task

    broken = job([archives], tmp_path / "out", unit_bytes=15_000)

    def poison(payload):
        if payload["unit"]["warc"] == "b.warc.gz" and payload["unit"]["start"] > 0:
            raise RuntimeError("out of luck")
        return run_unit_task(payload)

    monkeypatch.setattr(jobs.build.units, "run_unit_task", poison)
    result = build_quietly(broken)
    assert result.exit_code == 3
    assert {unit["warc"] for unit in result.info["quarantined"]} == {"b.warc.gz"}
    assert not result.info["complete"]
    monkeypatch.undo()
    assert build_quietly(broken).exit_code == 0
    assert tree(tmp_path / "out") == tree(reference)


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["flip", "delete"])
def test_work_that_is_harmed_at_rest_is_done_again_as_the_error_says(archives, reference, tmp_path, monkeypatch, harm):
    """The harm is found in the middle of the pack phase, when some files already have their final names."""
    out = tmp_path / "out"
    pack = jobs.runner.task_functions.pack_part

    def crash_at_the_ledger(store, task, *more):
        if task.kind == "ledger":
            raise SystemExit
        return pack(store, task, *more)

    monkeypatch.setattr(jobs.runner.task_functions, "pack_part", crash_at_the_ledger)
    with pytest.raises(SystemExit):
        build_quietly(job([archives], out))
    monkeypatch.undo()
    assert (out / "corpus" / "part-00000.parquet").exists()
    part = next(iter((out / ".work" / "parts" / "ledger").iterdir()))
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content) if harm == "flip" else part.unlink()
    with pytest.raises(IntegrityError, match=part.name) as error:
        build_quietly(job([archives], out))
    for folder in re.findall(r"Remove (\S+) and (\S+), and run the same command again", str(error.value))[0]:
        shutil.rmtree(folder)
    assert build_quietly(job([archives], out)).exit_code == 0
    assert tree(out) == tree(reference)


@pytest.mark.parametrize("harm", ["flip", "cut", "delete", "swap", "add", "books"])
def test_verify_finds_harm(reference, tmp_path, harm):
    out = shutil.copytree(reference, tmp_path / "out")
    part = out / "ledger" / "part-00000.parquet"
    content = bytearray(part.read_bytes())
    if harm == "flip":
        content[len(content) // 2] ^= 1
        part.write_bytes(content)
    elif harm == "cut":
        part.write_bytes(content[:-10])
    elif harm == "delete":
        part.unlink()
    elif harm == "swap":
        part.write_bytes((out / "corpus" / "part-00000.parquet").read_bytes())
    elif harm == "add":
        (out / "ledger" / "part-00001.parquet").write_bytes(content)
    else:
        info = json.loads((out / "run.json").read_text())
        info["records"]["kept"] -= 1
        (out / "run.json").write_text(json.dumps(info))
    with pytest.raises(IntegrityError, match=r"run\.json" if harm == "books" else r"part-0000"):
        open_run(out).verify()


CRASHES = """
import os, sys
from pathlib import Path
import corpus.storage.crash_points
from tests.jobs.build.test_build import build_quietly, job
for point in sys.argv[3:]:
    child = os.fork()  # importing takes longer than the build
    if not child:
        code = 70
        try:
            corpus.storage.crash_points._crash = corpus.storage.crash_points.Crash({"CORPUS_CRASH_AT": point})
            code = build_quietly(job([Path(sys.argv[1])], Path(sys.argv[2]), unit_bytes=15_000)).exit_code
        finally:
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_killed_at_named_points_and_run_again(archives, reference, tmp_path):
    """A sample of tests/faults/test_kill_loop.py: kills in the pass, in the pack phase, and right before the end."""
    out = tmp_path / "out"
    points = ("part_stored:4", "pack_written:2", "before_run_json", "none")
    command = [sys.executable, "-c", CRASHES, str(archives), str(out), *points]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.split() == ["-9", "-9", "-9", "0"], done.stderr
    assert tree(out) == tree(reference)


SCRIPT = """
import sys
from pathlib import Path
from jobs.runner.local_engine import LocalEngine
from tests.jobs.build.test_build import Progress, build, job
made = job([Path(sys.argv[1])], Path(sys.argv[2]), unit_bytes=15_000)
sys.exit(build(made, lambda: LocalEngine(1), Progress(quiet=True)).exit_code)
"""


def test_sigterm_finishes_units_under_way(archives, reference, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-c", SCRIPT, str(archives), str(out)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_until(lambda: list(out.glob(".work/commits/pass/*")) or process.poll() is not None)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    assert not (out / "run.json").exists()
    assert build_quietly(job([archives], out, unit_bytes=15_000)).exit_code == 0
    assert tree(out) == tree(reference)


@pytest.mark.slow
def test_a_second_signal_does_not_wait_for_what_is_under_way(archives, reference, tmp_path):
    """A page worker that stands still is ended, and no other one is started. Committed units count."""
    made = job([archives], tmp_path / "out", unit_bytes=15_000)

    def all_workers():
        return {pid for pid in descendants(os.getpid()) if "corpus.sandbox.page_worker" in command_line(pid)}

    left = all_workers()  # of earlier builds of this process

    def workers():
        return [*(all_workers() - left)]

    halted = []

    def stop_twice():
        wait_until(workers)
        halted.append(workers()[0])
        os.kill(halted[0], signal.SIGSTOP)
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)

    signals = threading.Thread(target=stop_twice)
    signals.start()
    with pytest.raises(AtOnce) as ended:
        build(made, lambda: LocalEngine(1), Progress(quiet=True))
    assert ended.value.code == 143
    signals.join()
    wait_until(lambda: not workers())  # the system ends them with their supervisors
    with contextlib.suppress(ProcessLookupError):  # or it was halted before it had asked the system for that
        os.kill(halted[0], signal.SIGCONT)
    wait_until(lambda: state(halted[0]) in ("", "Z"))
    assert build_quietly(made).exit_code == 0
    assert tree(tmp_path / "out") == tree(reference)


def test_a_hostile_page_costs_one_row_of_a_build(tmp_path):
    path = write_warc(
        tmp_path / "w.warc.gz", {f"http://{n}.example/?{act}": page(act) for n, act in enumerate(["a", "exit", "b"])}
    )
    stages = {"stages": [{"stage": "hostile"}, {"stage": "paragraphs"}]}
    result = build_quietly(job([path], tmp_path / "out", stages))
    assert result.info["records"] == {"in": 3, "kept": 2, "dropped": {}, "failed": {"crash": 1}, "skipped": {}}


def test_a_run_keeps_to_the_units_it_began_with(archives, tmp_path, monkeypatch):
    """A run that chose its units itself does no committed unit again, even if it continues with other workers."""
    import jobs.build.plan
    import jobs.build.units

    monkeypatch.setattr(jobs.build.plan, "SMALL_UNIT_BYTES", 8_000)
    first = job([archives], tmp_path / "out", workers=4)
    taken = []

    from jobs.runner.task_functions import run_unit_task

    def some(payload):
        taken.append((payload["unit"]["warc"], payload["unit"]["start"]))
        if len(taken) > 3:
            raise RuntimeError("not now")
        return run_unit_task(payload)

    monkeypatch.setattr(jobs.build.units, "run_unit_task", some)
    assert build_quietly(first).exit_code == 3
    before = {path.name for path in (tmp_path / "out" / ".work" / "commits" / "pass").iterdir()}
    monkeypatch.setattr(jobs.build.units, "run_unit_task", run_unit_task)
    again = job([archives], tmp_path / "out", workers=1, keep_work=True)
    assert build_quietly(again).exit_code == 0
    after = {path.name for path in (tmp_path / "out" / ".work" / "commits" / "pass").iterdir()}
    assert len(before) == 3
    assert before < after
