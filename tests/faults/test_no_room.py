"""A full disk: one sentence, no half-written file, and once there is room the same command ends with the same bytes."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import corpus.storage.store
from corpus.errors import NoRoom
from corpus.run import open_run
from corpus.storage.commits import check_part, read_commit
from corpus.storage.gathered import FOLDER, gathered
from corpus.storage.store import LocalStore
from jobs.build.build import build
from jobs.build.plan import Job
from jobs.runner.progress import Progress
from jobs.sample.crawl import write_sample
from tests.engines import InProcess
from tests.faults.test_poison_units import STAGES, pages
from tests.jobs.build.test_build import tree
from tests.stubs import FACTORY, recipe_from_dict
from tests.warcs import write_warc

ROOT = Path(__file__).resolve().parents[2]
AFTER = "exit 1, then the same bytes"
PLACES = (
    ".work/plan.json", ".work/units.json", ".work/commits/divided/", ".work/parts/ledger/", ".work/commits/pass/",
    ".work/commits/gathered/", ".work/compared", ".work/parts/lists/", ".work/parts/keys/",
    ".work/commits/dedup/bands/", ".work/parts/verdicts/", ".work/packed", "samples/part-", "corpus/part-",
    ".work/commits/pack/", "index/", "manifest/corpus-", "manifest/seal.json", "timings.json", "run.json",
)  # fmt: skip
"""The starts of the keys that a build writes, in order."""


def full_at(monkeypatch, root: Path, start: str) -> list[str]:
    """Make the disk full for keys with this start. Return the list of keys that found it full."""
    asked: list[str] = []

    def refuse(final: Path) -> None:
        key = final.relative_to(root).as_posix()
        if key.startswith(start):
            asked.append(key)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    publish, replace = corpus.storage.store.publish, os.replace

    def full_publish(scratch: Path, final: Path, lock: Path) -> bool:
        refuse(final)
        return publish(scratch, final, lock)

    def full_replace(source: Path, target: Path) -> None:
        refuse(Path(target))
        replace(source, target)

    monkeypatch.setattr("corpus.storage.store.publish", full_publish)
    monkeypatch.setattr("os.replace", full_replace)
    return asked


def assert_nothing_half_written(out: Path) -> None:
    """Assert that every file that a commit names is whole, and that no scratch file is left."""
    store = LocalStore(out)
    for key in store.keys(".work/commits"):
        done = gathered(store, key) if key.startswith(FOLDER) else [read_commit(store, key)]
        for part in (part for one in done for part in one.parts):
            if store.path(part.key).exists() and not part.key.endswith(".boxes"):
                check_part(store, part)
    assert not (out / ".work" / "tmp").exists()
    assert not (out / "run.json").exists()


def full_in_turn(tmp_path: Path, monkeypatch, stages: list[dict], places: tuple[str, ...]) -> None:
    """Run one build that is stopped wherever it writes, each time with room for a little more."""
    given = tmp_path / "in"
    given.mkdir()
    write_warc(given / "a.warc.gz", pages("a"))
    recipe = recipe_from_dict({"stages": stages})

    def into(out: Path):
        job = Job(recipe, [str(given)], out, factory=FACTORY)
        return build(job, lambda: InProcess(), Progress(quiet=True))

    out = tmp_path / "out"
    for place in places:
        with monkeypatch.context() as patch:
            asked = full_at(patch, out, place)
            with pytest.raises(NoRoom, match=r"^\S*out accepts no more data: No space left on device\. Make room"):
                into(out)
        assert asked, place
        assert_nothing_half_written(out)
    assert into(out).exit_code == 0
    assert into(tmp_path / "whole").exit_code == 0
    assert tree(out) == tree(tmp_path / "whole")
    open_run(out).verify()


def test_full_at_three_places(tmp_path, monkeypatch) -> None:
    full_in_turn(tmp_path, monkeypatch, STAGES[:1], (".work/commits/pass/", "corpus/part-", "run.json"))


def test_a_full_disk_in_any_verb_is_no_bug(monkeypatch, capsys) -> None:
    from jobs.cli import main

    def full(**how: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/report.html")

    monkeypatch.setattr("jobs.cli.cli", full)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith(
        "Error: /data/report.html accepts no more data: No space left on device. Make"
    )


@pytest.mark.slow
def test_full_at_every_place(tmp_path, monkeypatch, record_result) -> None:
    full_in_turn(tmp_path, monkeypatch, STAGES, PLACES)
    record_result("full disk (ENOSPC) at each place where a build writes", tried=len(PLACES), measured=AFTER)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "jobs.cli", *map(str, arguments)]


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    """A folder with an archive, and what undisturbed jobs make of it."""
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder / "s.warc.gz", pages=150)
    subprocess.run(command("build", folder / "s.warc.gz", "-o", folder / "built"), check=True)
    urls = open_run(folder / "built").corpus(columns=["url"])["url"].to_pylist()[::7]
    (folder / "urls.txt").write_text("\n".join(urls))
    train = command("tokenizer", "train", folder / "built", "-o", folder / "tok", "--vocab-size", 400)
    subprocess.run(train, check=True)
    for verb in ("tokenize", "export", "remove"):
        subprocess.run(prepared(verb, folder, folder), check=True)
    return folder


VERBS = {"build": "built", "tokenize": "tokens", "export": "exported", "remove": "taken"}
"""The folder that each verb leaves."""


def prepared(verb: str, sample: Path, where: Path) -> list[str]:
    """The command of a verb that leaves its folder in `where`."""
    out = where / VERBS[verb]
    if verb == "remove":
        shutil.copytree(sample / "built", out)
    return {
        "build": command("build", sample / "s.warc.gz", "-o", out, "--unit-mb", "0.05"),
        "tokenize": command("tokenize", sample / "built", "-o", out, "--tokenizer", sample / "tok"),
        "export": command("export", sample / "built", "-o", out, "--for", "datasets"),
        "remove": command("remove", out, "--urls", sample / "urls.txt"),
    }[verb]


def assert_one_sentence(done: subprocess.CompletedProcess[str], what: str) -> None:
    assert done.returncode == 1, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: ")
    assert what in last
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_files_that_may_not_grow(sample, tmp_path, record_result, verb) -> None:
    """The size of files is limited, so that writing fails in the middle of one. The limit is raised by a fifth each
    time."""
    line, out = prepared(verb, sample, tmp_path), tmp_path / VERBS[verb]
    limit, failed = 3000, 0
    while True:
        done = subprocess.run(
            line, capture_output=True, text=True,
            preexec_fn=lambda most=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
        )  # fmt: skip
        if done.returncode == 0:
            break
        assert_one_sentence(done, "accepts no more data: File too large")
        if verb == "remove":
            open_run(out).verify()  # what it was before
        elif out.exists():
            assert_nothing_half_written(out)
        failed += 1
        limit = limit * 6 // 5
    assert tree(out) == tree(sample / VERBS[verb])
    assert failed >= 3
    record_result(f"files that may not grow (RLIMIT_FSIZE), {verb}", tried=failed, measured=AFTER)


SMALL_DISK = """
mount -t tmpfs -o size=${SIZE}k,nr_inodes=100k tmpfs "$DISK" || exit 77
n=0
while :; do
    "$@" 2> "$SAID/$n"
    code=$?
    [ $code = 0 ] && break
    echo $code >> "$SAID/codes"
    find "$DISK" -path '*/.work/tmp/*' -type f > "$SAID/left-$n"
    n=$((n + 1))
    SIZE=$((SIZE + STEP))
    mount -o remount,size=${SIZE}k "$DISK" || exit 78
done
rm -rf "$COPY"
cp -a "$DISK" "$COPY"
"""


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "size", "step"), [("build", 60, 40), ("tokenize", 40, 12), ("export", 40, 12)])
def test_a_small_disk_that_grows(sample, tmp_path, record_result, verb, size, step) -> None:
    """The disk is a file system in memory, in a namespace that ends with its processes."""
    disk, said, copy = (tmp_path / part for part in ("disk", "said", "copy"))
    for folder in (disk, said, copy):
        folder.mkdir()
    env = {**os.environ, "SIZE": str(size), "STEP": str(step), "DISK": str(disk), "SAID": str(said), "COPY": str(copy)}
    run = ["unshare", "--mount", "sh", "-c", SMALL_DISK, "sh", *prepared(verb, sample, disk)]
    done = subprocess.run(run, env=env, capture_output=True, text=True)
    if done.returncode == 77 or "unshare:" in done.stderr:
        pytest.skip("this user may not mount a file system")
    assert done.returncode == 0, done.stderr
    codes = (said / "codes").read_text().split()
    assert set(codes) == {"1"}
    assert len(codes) >= 3
    for number in range(len(codes)):
        text = (said / str(number)).read_text()
        assert "No space left on device" in text.strip().splitlines()[-1], text
        assert "Traceback" not in text
        assert (said / f"left-{number}").read_text() == ""
    assert tree(copy / VERBS[verb]) == tree(sample / VERBS[verb])
    record_result(f"full disk (tmpfs), {verb}", tried=len(codes), measured=AFTER)
