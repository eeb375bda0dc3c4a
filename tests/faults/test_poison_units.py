"""A unit that fails at every try is quarantined, and its record is named. The rest is finished. A later run of the same
command does only that unit, and what depends on it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from corpus.run import open_run
from jobs.build.build import build
from jobs.build.plan import Job
from jobs.runner.engine import Stop
from jobs.runner.local_engine import LocalEngine
from jobs.runner.loop import Task, run
from jobs.runner.progress import Progress
from jobs.runner.retries import POLICIES, by_class
from tests.engines import InProcess
from tests.jobs.build.test_build import tree
from tests.stubs import FACTORY, recipe_from_dict
from tests.warcs import WORDS, page, write_warc

PAGES = 40
CANARY = "canary-of-a-page"
STAGES = [{"stage": "paragraphs"}, {"stage": "minhash"}]


def pages(name: str) -> dict[str, bytes]:
    """Pages, some of which repeat others, in this archive and the other one."""
    rng = random.Random(1)
    texts = [" ".join(rng.sample(WORDS.split(), 90)) for _ in range(PAGES)]
    numbers = [n if n % 10 == 1 else n + (name == "b") * PAGES for n in range(PAGES)]
    return {
        f"http://{name}{n}.example/": page("Town", texts[n] if number < PAGES else texts[n][::-1])
        for n, number in enumerate(numbers)
    }


def make(folder: Path, act: str, stages: Sequence[dict] = STAGES, **poison: object) -> tuple[Job, Path]:
    """A build of two archives with one page in the second that does `act` while the file `flag` is there."""
    flag = folder / "flag"
    given = folder / "in"
    if not given.exists():
        given.mkdir()
        for name in "ab":
            bad = {"http://bad.example/?poison-" + act: page("Bad", f"{CANARY} {'REDACT' * (act == 'no')} {WORDS}")}
            write_warc(given / f"{name}.warc.gz", pages(name) | (bad if name == "b" else {}))
    recipe = recipe_from_dict({"stages": [{"stage": "poison", "flag": str(flag), **poison}, *stages]})
    return Job(recipe, [str(given)], folder / "out", 8_000, factory=FACTORY, keep_work=True), flag


def build_quietly(job, make_engine=lambda: InProcess()):
    return build(job, make_engine, Progress(quiet=True))


def commits(out: Path) -> dict[str, tuple[int, int]]:
    """The commits of the pass: for each name, the file and the time when it was made."""
    found = (out / ".work" / "commits" / "pass").iterdir()
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def files_but(folder: Path, *without: str) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith(without)}


def assert_quarantined(result, job: Job, kind: str, tries: int) -> None:
    """Assert that one unit is quarantined, by that class and with its record, and that all others are in the output."""
    (unit,) = result.info["quarantined"]
    assert result.exit_code == 3
    assert unit["attempts"] == {kind: tries}
    folder = Path(job.inputs[0])
    assert unit["record"] == f"b.warc.gz:{(folder / 'b.warc.gz').read_bytes().rindex(bytes.fromhex('1f8b08'))}"
    assert unit["start"] <= int(unit["record"].rpartition(":")[2]) < unit["end"]
    run = open_run(job.out)
    assert run.info == json.loads((job.out / "run.json").read_text())
    run.verify()
    rows = run.ledger(columns=["warc", "offset"]).to_pylist()
    assert all(row["warc"] == "a.warc.gz" or not unit["start"] <= row["offset"] < unit["end"] for row in rows)
    assert len(rows) >= PAGES + 1
    failed = json.loads((job.out / "timings.json").read_text())["failed_tries"]["run_unit_task"]
    if kind == "out of memory":  # Ray may end another task than that which takes the memory
        assert failed.pop(kind) >= tries
        tries = 0
    assert failed == ({kind: tries} if tries else {})


def taken_up(job: Job, make_engine, tmp_path) -> tuple[int, int]:
    """Run the same command again. Assert that only the missing units are made anew, and that the bytes are those of an
    undisturbed run. Return the number of units made anew, and of all units."""
    before = commits(job.out)
    again = build_quietly(job, make_engine)
    assert again.exit_code == 0
    after = commits(job.out)
    assert {name: after[name] for name in before} == before
    whole = Job(job.recipe, job.inputs, tmp_path / "whole", factory=FACTORY)
    assert build_quietly(whole).exit_code == 0
    here, there = tree(tmp_path / "whole"), tree(job.out)
    assert here == {name: digest for name, digest in there.items() if not name.startswith(".work/")}
    return len(after) - len(before), len(after)


def test_an_error_at_a_record(tmp_path, capfd) -> None:
    job, flag = make(tmp_path, "no", STAGES[:1])
    flag.touch()
    assert_quarantined(build_quietly(job), job, "user error", POLICIES["user error"].attempts)
    kept = files_but(job.out, ".work/parts/", "corpus/", "samples/")
    assert {"run.json", "timings.json"} <= kept.keys()
    assert any(name.startswith(".work/commits/") for name in kept)
    said = capfd.readouterr()
    for text in (*kept.values(), said.out.encode(), said.err.encode()):  # no text of the page
        assert CANARY.encode() not in text
        assert b"REDACT" not in text
    flag.unlink()
    made, units = taken_up(job, lambda: InProcess(), tmp_path)
    assert (made, units > 4) == (1, True)


@pytest.fixture(params=["here", pytest.param("ray", marks=pytest.mark.ray)])
def engine(request):
    """A function that gives an engine, whose tally is empty."""
    if request.param == "here":
        return lambda: LocalEngine(2)
    made = request.getfixturevalue("ray_engine")
    made().tally.clear()  # it serves the whole session
    return made


def where(request) -> str:
    return "Ray" if "ray" in request.node.callspec.id else "without Ray"


@pytest.mark.slow
@pytest.mark.parametrize(("act", "kind"), [("no", "user error"), ("supervisor", "crash"), ("sleep", "deadline")])
def test_poison(tmp_path, engine, request, record_result, act, kind) -> None:
    job, flag = make(tmp_path, act)
    job = Job(**{**vars(job), "unit_seconds": 30.0 if act == "sleep" else None})
    flag.touch()
    assert_quarantined(build_quietly(job, engine), job, kind, POLICIES[kind].attempts)
    flag.unlink()
    made, units = taken_up(job, engine, tmp_path)
    assert made == 1
    what = {"no": "raises", "supervisor": "kills its supervisor", "sleep": "hangs past its deadline"}[act]
    record_result(f"poison unit, {where(request)}: {what}", tried=1, measured=f"1 of {units} units made again")


@pytest.mark.slow
def test_a_supervisor_that_hangs_in_native_code_is_ended(engine, request, monkeypatch, record_result) -> None:
    """The supervisor holds the interpreter's lock, so that no Python code of its process runs any more."""
    monkeypatch.setattr("jobs.runner.loop._GRACE_S", 1.0)
    payloads = [{"seconds": seconds, "wall_s": 30.0} for seconds in (0, 0, 0, 0, 0, 0, 3600)]
    with contextlib.closing(engine()) as made, Stop() as stop:
        done = list(run(made, (Task(hang, payload) for payload in payloads), stop))
    assert [one.payload["seconds"] for one in done if one.result is None] == [3600]
    assert by_class(next(one.failures for one in done if one.result is None)) == {"deadline": 2}
    assert len([one for one in done if one.result == {}]) == 6
    record_result(f"task that hangs in native code, {where(request)}: ended at its deadline", tried=2)


def hang(payload):
    import ctypes

    if payload["seconds"]:
        ctypes.PyDLL(None).sleep(payload["seconds"])
    return {}


OUT_OF_MEMORY = """
import sys
from pathlib import Path
from corpus.sandbox.guard import GuardSettings
from jobs.runner.ray_engine import RayEngine
from jobs.build.plan import Job
from tests.faults.test_poison_units import build_quietly, make
job, flag = make(Path(sys.argv[1]), "memory", gigabytes=int(sys.argv[2]))
guard = GuardSettings(memory_bytes=1 << 40)
sys.exit(build_quietly(Job(**{**vars(job), "guard": guard}), lambda: RayEngine(2)).exit_code)
"""


@pytest.mark.slow
def test_a_unit_that_takes_all_memory_through_ray(tmp_path, record_result) -> None:
    """Ray's own monitor ends a task that makes the machine use 2 GB more than it does now."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    memory = {name.rstrip(":"): int(value) << 10 for name, value, *_ in lines}
    if memory["MemAvailable"] < 6 << 30:
        pytest.skip("6 GB of memory are needed")
    job, flag = make(tmp_path, "memory", gigabytes=4)
    flag.touch()
    limit = 1 - (memory["MemAvailable"] - (2 << 30)) / memory["MemTotal"]
    env = {**os.environ, "RAY_memory_usage_threshold": f"{limit:.4f}", "RAY_memory_monitor_refresh_ms": "100"}
    first = subprocess.run([sys.executable, "-c", OUT_OF_MEMORY, str(tmp_path), "4"], env=env)
    assert first.returncode == 3
    result = type("Result", (), {"exit_code": 3, "info": json.loads((job.out / "run.json").read_text())})
    assert_quarantined(result, job, "out of memory", POLICIES["out of memory"].attempts)
    flag.unlink()
    made, units = taken_up(job, lambda: InProcess(), tmp_path)
    assert made == 1
    record_result("poison unit, Ray: takes all memory", tried=1, measured=f"1 of {units} units made again")


def test_the_command_line_names_what_is_quarantined(tmp_path, capsys) -> None:
    from jobs.verbs.make import _show_quarantined

    unit = {"warc": "b.warc.gz", "start": 0, "end": 9000, "record": "b.warc.gz:17", "reason": "it died\nat line 3"}
    _show_quarantined([{**unit, "attempts": {"crash": 3, "node lost": 1}}])
    said = capsys.readouterr().err
    assert "b.warc.gz, bytes 0 to 9,000 at b.warc.gz:17 (crash 3×, node lost 1×): it died\n" in said
    assert "line 3" not in said


def read_texts(path: Path) -> list[str]:
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()["text"].to_pylist()


KILLED = """
import os, signal, sys
from pathlib import Path
import corpus.storage.store
from tests.faults.test_poison_units import build_quietly, make
job, _ = make(Path(sys.argv[1]), "no")
put_new = corpus.storage.store.LocalStore.put_new
def die(store, key, data):
    if "commits/pass" in key and len(list(store.keys(".work/commits/pass"))) >= 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return put_new(store, key, data)
corpus.storage.store.LocalStore.put_new = die
build_quietly(job)
"""


@pytest.mark.slow
def test_no_text_of_a_page_but_in_parts_after_a_kill(tmp_path) -> None:
    """Texts are in the parts of the pass, compressed or not, and in scratch files, and nowhere else."""
    job, _ = make(tmp_path, "no")
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)]).returncode == -9
    assert len(commits(job.out)) == 3
    texts = [text for path in (job.out / ".work/parts/corpus").iterdir() for text in read_texts(path)]
    assert len(texts) > 10
    for name, content in files_but(job.out, ".work/parts/", ".work/tmp/").items():
        assert not any(text[:40].encode() in content for text in texts), name
    assert build_quietly(job).exit_code == 0
    assert not (job.out / ".work" / "tmp").exists()
