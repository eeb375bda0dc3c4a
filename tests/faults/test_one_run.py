"""Two runs into one folder at once: the second one is refused with a sentence, whatever verb it is and however it
runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from corpus.errors import OutputError
from corpus.storage.store import LocalStore
from jobs.build.build import build
from jobs.build.plan import Job
from jobs.cli import cli
from jobs.runner.progress import Progress
from tests.corpus.storage.test_put_if_absent import missing, without
from tests.engines import InProcess
from tests.faults.test_poison_units import STAGES, pages
from tests.jobs.build.test_build import tree
from tests.stubs import FACTORY, recipe_from_dict
from tests.warcs import write_warc


def built(folder: Path, archive: Path, stages: list[dict]) -> Path:
    job = Job(recipe_from_dict({"stages": stages}), [str(archive)], folder, factory=FACTORY)
    assert build(job, lambda: InProcess(), Progress(quiet=True)).exit_code == 0
    return folder


def test_who_is_about_to_be_refused_is_not_in_the_way(tmp_path) -> None:
    """The second run checks the folder before it asks for the lock, while the first one is about to open a file."""
    store = LocalStore(tmp_path)
    with store.only_run():
        scratch = store.scratch()
        LocalStore(tmp_path).prepare()
        scratch.write_bytes(b"")
    assert list(tmp_path.iterdir()) == []


def test_no_other_run_begins_while_the_work_of_this_one_is_removed(tmp_path, monkeypatch) -> None:
    """Otherwise, this run would remove the work of the other one."""
    store, remove = LocalStore(tmp_path), shutil.rmtree
    refused = []

    def removing(path, **options):
        remove(path, **options)
        with pytest.raises(OutputError, match="Another run is writing"), LocalStore(tmp_path).only_run():
            pass
        refused.append(Path(path).name)

    with store.only_run():
        for name in ("a/x", "b/x", "plan.json"):
            store.put_new(f".work/{name}", b"")
        monkeypatch.setattr("corpus.storage.store.shutil.rmtree", removing)
        store.remove(".work")
        monkeypatch.undo()
        assert {"a", "b"} <= {*refused}
        assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    return write_warc(tmp_path_factory.mktemp("in") / "a.warc.gz", pages("a"))


@pytest.fixture(scope="module")
def finished(archive, tmp_path_factory) -> Path:
    return built(tmp_path_factory.mktemp("finished") / "out", archive, STAGES[:1])


@pytest.mark.parametrize(
    "verb",
    [
        "build {archive} -o {free}",
        "build {archive} -o {free} --ray",
        "build {archive} -o {free} --address 127.0.0.1:1",
        "tokenizer train {out} -o {free} --vocab-size 300",
        "tokenize {out} -o {free} --tokenizer {tok}",
        "tokenize {out} -o {free} --tokenizer {tok} --ray",
        "export {out} -o {free} --for datasets",
        "export {out} -o {free} --for datasets --ray",
        "remove {out} --urls {urls}",
        "remove {out} --urls {urls} --ray",
    ],
)
def test_the_second_is_refused_before_it_starts_anything(verb, archive, finished, tmp_path) -> None:
    from tests.bpe import small_tokenizer

    names = {"archive": archive, "out": finished, "free": tmp_path / "free", "tok": tmp_path / "tok"}
    names["urls"] = tmp_path / "urls"
    names["urls"].write_text("http://a1.example/\n")
    names["tok"].mkdir()
    (names["tok"] / "tokenizer.json").write_bytes(small_tokenizer().data)
    held = finished if "remove" in verb else names["free"]
    held.mkdir(exist_ok=True)
    before = tree(finished)
    with LocalStore(held).only_run(), pytest.raises(OutputError, match=f"Another run is writing to {held}"):
        cli.main([part.format(**names) for part in verb.split()], standalone_mode=False)
    assert tree(finished) == before
    assert not (held / ".work").exists()


def test_a_folder_of_somebody_else_is_left_without_a_trace(archive, tmp_path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(OutputError, match=r"thesis\.txt"):
        built(tmp_path, archive, STAGES[:1])
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


RUSH = """
import os, sys
from pathlib import Path
from corpus.errors import OutputError
from jobs.runner.folder import open_folder
out, rounds, runs = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
gate, go = os.pipe()
for run in range(runs):
    if os.fork() == 0:
        os.close(go)
        os.read(gate, 1)  # until all are there
        held = 0
        for _ in range(rounds):
            try:
                with open_folder(out).only_run():
                    os.close(os.open(out / "alone", os.O_CREAT | os.O_EXCL))
                    held += 1
                    (out / "alone").unlink()
            except OutputError as error:
                if "Another run is writing" not in str(error):
                    print(error)
                    os._exit(2)
            except FileExistsError:
                print("two at once")
                os._exit(3)
        print(held, flush=True)
        os._exit(0)
os.close(go)
sys.exit(max(os.wait()[1] for _ in range(runs)))
"""


@pytest.mark.slow
def test_a_lock_that_comes_and_goes_is_held_by_one(tmp_path, record_result) -> None:
    """A process that leaves nothing in the folder removes it with the lock, while others try to take the lock."""
    done = subprocess.run([sys.executable, "-c", RUSH, str(tmp_path), "500", "6"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    held = sum(map(int, done.stdout.split()))
    assert held >= 6
    assert list(tmp_path.iterdir()) == []
    record_result(
        "6 processes take and leave one folder", tried=3000, measured=f"held {held:,} times, by one each time"
    )


@pytest.mark.slow
@pytest.mark.parametrize("how", [[], ["--ray", "--workers", "1"]], ids=["here", "ray"])
def test_four_at_once_leave_one_run(archive, tmp_path, record_result, how) -> None:
    command = [sys.executable, "-m", "jobs.cli", "build", str(archive), "--unit-mb", "0.01"]
    at_once = [
        subprocess.Popen([*command, "-o", str(tmp_path / "out"), *how], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [process.communicate()[1] for process in at_once]
    codes = [process.returncode for process in at_once]
    assert 0 in codes
    for code, text in zip(codes, said, strict=True):
        assert code == 0 or (code == 1 and f"Error: Another run is writing to {tmp_path / 'out'}." in text), text
    subprocess.run([*command, "-o", str(tmp_path / "whole")], check=True, stderr=subprocess.DEVNULL)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
    record_result(
        f"four builds into one folder at once, {'on Ray' if how else 'without Ray'}",
        tried=3,
        measured=f"{codes.count(1)} refused, {codes.count(0) - 1} found it complete",
    )


@pytest.mark.slow
@pytest.mark.parametrize("way", ["rename", "lock"])
def test_same_bytes_without_hard_links(archive, tmp_path, monkeypatch, record_result, way) -> None:
    built(tmp_path / "whole", archive, STAGES)
    without(monkeypatch, *missing(way))
    built(tmp_path / "out", archive, STAGES)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
    record_result(f"build without hard links, by {'renameat2' if way == 'rename' else 'flock'}", tried=1)
