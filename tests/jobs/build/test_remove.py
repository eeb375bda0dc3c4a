"""`corpus remove`: pages go for good, clusters elect another keeper, and nothing is half done after a kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import pyarrow.dataset as ds
import pytest

import corpus.revise.portion_replay
import corpus.storage.swap
from corpus.errors import ConfigError, IntegrityError, OutputError
from corpus.revise.differences import diff
from corpus.run import open_run
from corpus.storage.store import LocalStore
from corpus.storage.swap import JOURNAL
from corpus.tables.takedown import TAKEDOWN_FILE, Takedown, read_takedown, takedown_of
from jobs.build.plan import Job
from jobs.build.remove import read_list, remove
from jobs.build.replay_run import replay
from jobs.cli import cli
from jobs.report.render import write_report
from jobs.runner.progress import Progress
from tests.engines import InProcess
from tests.jobs.build.test_build import build_quietly, job, tree
from tests.jobs.show.test_steering import STAGES, archives  # noqa: F401
from tests.warcs import WORDS, page, write_warc


@pytest.fixture(scope="module")
def built(archives, tmp_path_factory):  # noqa: F811
    out = tmp_path_factory.mktemp("removed") / "out"
    assert build_quietly(job([archives], out, STAGES)).exit_code == 0
    return out


@pytest.fixture
def folder(built, tmp_path):
    shutil.copytree(built, tmp_path / "out")
    return tmp_path / "out"


def remove_quietly(folder, entries):
    def make_job(recipe, out):
        return job([], out, recipe, workers=1)

    return remove(folder, entries, make_job, lambda: InProcess(), Progress(quiet=True))


def rows(folder, outcome=None):
    found = open_run(folder).ledger.to_table().to_pylist()
    return [row for row in found if outcome is None or row["outcome"] == outcome]


def keeper_of_many(folder):
    """A kept page that stands for others, and those."""
    dropped = [row for row in rows(folder) if row["stage"] == "minhash"]
    kept_id = max({row["detail"] for row in dropped}, key=[row["detail"] for row in dropped].count)
    keeper = next(row for row in rows(folder) if row["id"] == kept_id)
    return keeper, [row for row in dropped if row["detail"] == kept_id]


def test_a_page_is_gone_and_the_ledger_says_why(folder):
    without_places(folder)
    page = next(row for row in rows(folder, "kept") if row["minhash.cluster_size"] is None)
    text = open_run(folder).text_of(page["id"])
    result = remove_quietly(folder, Takedown.of([page["url"]]))
    assert result.exit_code == 0
    run = open_run(folder)
    run.verify()
    write_report(run, folder.parent / "report.html")
    row = run.find(page["url"])[0]
    assert (row["outcome"], row["stage"], row["rule"]) == ("dropped", "removed", "url")
    assert row["gopher_quality.words"] is row["text_bytes"] is row["detail"] is None
    assert run.text_of(page["id"]) is None
    assert text not in run.corpus.to_table()["text"].to_pylist()
    assert run.info["records"]["dropped"]["removed"] == {"url": 1}
    assert page["id"] not in [
        one["id"] for path in run.paths("samples") for one in ds.dataset(path).to_table().to_pylist()
    ]
    assert {path.name for path in folder.iterdir()} == {
        "corpus", "ledger", "samples", "manifest", "index", "run.json", "timings.json", TAKEDOWN_FILE,
    }  # fmt: skip


def test_a_cluster_elects_another_keeper(folder):
    keeper, others = keeper_of_many(folder)
    assert len(others) > 2
    remove_quietly(folder, Takedown.of([keeper["url"], others[0]["url"]]))
    run = open_run(folder)
    run.verify()
    now = {row["id"]: row for row in rows(folder)}
    assert now[others[0]["id"]]["stage"] == "removed"
    assert any(now[one["id"]]["outcome"] == "kept" for one in others[1:])
    for one in others[1:]:
        row = now[one["id"]]
        if row["outcome"] == "kept":
            assert WORDS.split(".")[0] in run.text_of(one["id"])
        else:
            assert row["stage"] == "minhash"
            assert now[row["detail"]]["outcome"] == "kept"


@pytest.mark.slow
def test_domains_cover_their_subdomains(folder):
    before = [row for row in rows(folder) if "site4.example" in row["url"]]
    remove_quietly(folder, Takedown.of(domains=["SITE4.example."]))
    after = [row for row in rows(folder) if "site4.example" in row["url"]]
    assert len(before) == len(after)
    judged = [row for row in after if row["outcome"] != "failed"]
    assert judged
    assert {(row["stage"], row["rule"]) for row in judged} == {("removed", "domain")}
    assert not [row for row in rows(folder, "kept") if "site4." in row["url"]]


def test_it_equals_a_build_with_the_list_and_a_rebuild_keeps_to_it(folder, archives, tmp_path):  # noqa: F811
    keeper, _ = keeper_of_many(folder)
    entries = Takedown.of([keeper["url"]], ["site2.example"])
    remove_quietly(folder, entries)
    removed = tree(folder)
    again = build_quietly(job([archives], folder, STAGES))
    assert again.already_done
    assert tree(folder) == removed
    for path in folder.iterdir():  # all but the list is lost, and built once more
        if path.name != TAKEDOWN_FILE:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert build_quietly(job([archives], folder, STAGES)).exit_code == 0
    assert tree(folder) == removed


def test_lists_add_up_and_are_stored_as_hashes(folder):
    without_places(folder)
    first, second = [row for row in rows(folder, "kept") if row["minhash.cluster_size"] is None][:2]
    remove_quietly(folder, Takedown.of([first["url"]]))
    remove_quietly(folder, Takedown.of([second["url"], "http://never.example/private-name"]))
    assert open_run(folder).info["records"]["dropped"]["removed"] == {"url": 2}
    stored = (folder / TAKEDOWN_FILE).read_text()
    assert "never.example" not in stored
    assert read_takedown(folder / TAKEDOWN_FILE).rule("http://never.example/private-name#top") == "url"
    before = tree(folder)
    assert remove_quietly(folder, Takedown.of([second["url"]])).already_done
    assert tree(folder) == before


def without_places(folder):
    """The run's archives as if they were gone."""
    data = json.loads((folder / "timings.json").read_text())
    (folder / "timings.json").write_text(json.dumps({**data, "inputs": {}}))


def test_it_needs_no_archive_where_no_text_comes_back(folder):
    """Not even for the samples, of which there are fewer then."""
    alone = next(row for row in rows(folder, "kept") if row["minhash.cluster_size"] is None)
    without_places(folder)
    assert remove_quietly(folder, Takedown.of([alone["url"]])).exit_code == 0
    open_run(folder).verify()


def test_a_kill_while_files_are_moved(folder, archives, monkeypatch):  # noqa: F811
    """Reading is refused then; the command, or a build, goes through with it. Every step: test_swap.py."""
    without_places(folder)
    entries = Takedown.of([next(row["url"] for row in rows(folder, "kept") if row["minhash.cluster_size"] is None)])
    whole, other = folder.parent / "whole", folder.parent / "other"
    for copy in (whole, other):
        shutil.copytree(folder, copy)
    remove_quietly(whole, entries)
    for broken, go_on in (
        (folder, lambda: remove_quietly(folder, Takedown.of())),
        (other, lambda: build_quietly(job([archives], other, STAGES))),
    ):
        renames = iter(range(5))

        def killed(*args, renames=renames, rename=os.rename):
            if next(renames, None) is None:
                raise KeyboardInterrupt
            rename(*args)

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(corpus.storage.swap.os, "rename", killed)
            remove_quietly(broken, entries)
        assert (broken / JOURNAL).exists()
        with pytest.raises(IntegrityError, match="was interrupted"):
            open_run(broken)
        assert go_on().already_done
        assert tree(broken) == tree(whole)
        open_run(broken).verify()


def test_a_kill_at_the_very_end(folder, monkeypatch):
    """The same command, which has nothing to do but that, removes what was left of the pages."""
    without_places(folder)
    entries = Takedown.of([next(row["url"] for row in rows(folder, "kept") if row["minhash.cluster_size"] is None)])

    def killed(self, prefix, remove=LocalStore.remove):
        if prefix == ".work":
            raise KeyboardInterrupt
        remove(self, prefix)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(LocalStore, "remove", killed)
        remove_quietly(folder, entries)
    assert (folder / ".work").exists()
    assert remove_quietly(folder, entries).already_done
    assert not (folder / ".work").exists()


def test_two_lists_at_once_are_both_kept(folder, monkeypatch):
    """Another removal comes to its end just before this one takes the folder."""
    without_places(folder)
    one, other = [row["url"] for row in rows(folder, "kept") if row["minhash.cluster_size"] is None][:2]
    waiting = [Takedown.of([other])]

    @contextmanager
    def only_run(self, own=LocalStore.only_run):
        if waiting:
            assert remove_quietly(folder, waiting.pop()).exit_code == 0
        with own(self):
            yield

    monkeypatch.setattr(LocalStore, "only_run", only_run)
    assert remove_quietly(folder, Takedown.of([one])).exit_code == 0
    assert read_takedown(folder / TAKEDOWN_FILE) == Takedown.of([one, other])
    assert {row["url"] for row in rows(folder) if row["stage"] == "removed"} == {one, other}


def test_no_alarm_where_the_run_had_passed_it(tmp_path):
    write_warc(tmp_path / "a.warc.gz", {f"http://site{n}.example/": page("One", WORDS) for n in range(30)})
    stages = {"stages": [{"stage": "extract"}, {"stage": "minhash"}]}
    made = job([tmp_path], tmp_path / "out", stages, alarm_rate=1.0)
    assert build_quietly(replace(made, factory=Job.factory)).exit_code == 0
    (tmp_path / "list").write_text("http://site29.example/")
    with pytest.raises(SystemExit) as ended:
        cli(["remove", str(tmp_path / "out"), "--urls", str(tmp_path / "list")], standalone_mode=False)
    assert ended.value.code == 0
    assert rows(tmp_path / "out", "dropped")[-1]["stage"] == "removed"


@pytest.mark.slow
def test_signatures_stay_where_their_limit_is_off(archives, tmp_path):  # noqa: F811
    """Such a run compares nothing and has no index, but other limits may ask for what documents are compared by."""
    stages = {"stages": [{**one, "similarity": {"below": "off"}} if one["stage"] == "minhash" else one
                         for one in STAGES["stages"]]}  # fmt: skip
    entries = Takedown.of([], ["site2.example"])
    for name in ("removed", "built"):
        (tmp_path / name).mkdir()
    assert build_quietly(job([archives], tmp_path / "removed" / "out", stages)).exit_code == 0
    assert remove_quietly(tmp_path / "removed" / "out", entries).exit_code == 0
    (tmp_path / "built" / "out").mkdir()
    (tmp_path / "built" / "out" / TAKEDOWN_FILE).write_bytes(entries.as_json())
    assert build_quietly(job([archives], tmp_path / "built" / "out", stages)).exit_code == 0
    assert tree(tmp_path / "removed" / "out") == tree(tmp_path / "built" / "out")


SCRIPT = """
import sys
from pathlib import Path
from corpus.tables.takedown import Takedown
from tests.jobs.build.test_remove import remove_quietly
remove_quietly(Path(sys.argv[1]), Takedown.of([], ["site2.example"]))
"""


@pytest.mark.slow
def test_kills_at_any_time(folder, tmp_path):
    whole = folder.parent / "whole"
    shutil.copytree(folder, whole)
    remove_quietly(whole, Takedown.of([], ["site2.example"]))
    before, after = tree(folder), tree(whole)
    for tenths in range(2, 400, 7):
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder)], stderr=subprocess.DEVNULL)
        try:
            assert process.wait(timeout=tenths / 10) == 0
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        if not (folder / JOURNAL).exists():
            seen = {name: digest for name, digest in tree(folder).items() if not name.startswith(".work")}
            assert seen in (before, after)
            open_run(folder).verify()
    assert tree(folder) == after


def test_a_list_is_one_entry_a_line(tmp_path):
    (tmp_path / "list").write_text("# why\n\nhttp://a.example/\n  b.example  \n")
    assert read_list(tmp_path / "list") == ["http://a.example/", "b.example"]


def test_a_run_of_another_version(folder, archives, monkeypatch):  # noqa: F811
    """Everything that reads it works, and a takedown. A build and new limits say why not."""
    monkeypatch.setattr("corpus.version.code_digest", lambda rooms: "other")
    run = open_run(folder)
    url = next(row["url"] for row in rows(folder, "kept") if row["minhash.cluster_size"] is None)
    run.verify()
    write_report(run, folder.parent / "report.html")
    assert run.explain(url)
    assert not diff(run, run).moves
    before = run.info["versions"]
    with pytest.raises(OutputError, match="code: "):
        build_quietly(job([archives], folder, STAGES))
    with pytest.raises(ConfigError, match="made with other code or lists"):
        replay(run, job([archives], folder.parent / "new", STAGES), takedown_of(run.store), lambda: InProcess(),
                Progress(quiet=True))  # fmt: skip
    assert not (folder.parent / "new").exists()
    assert remove_quietly(folder, Takedown.of([url])).exit_code == 0
    run = open_run(folder)
    run.verify()
    assert run.find(url)[0]["stage"] == "removed"
    assert run.info["versions"] == before


@pytest.mark.parametrize(("code", "again"), [("one", False), ("other", True)])
def test_a_takedown_taken_up_by_another_version_makes_its_portions_again(folder, monkeypatch, code, again):
    """The run keeps the versions that made it, so those of the takedown itself must bind what it left unfinished."""
    without_places(folder)
    entries = Takedown.of([next(row["url"] for row in rows(folder, "kept") if row["minhash.cluster_size"] is None)])
    made = []

    def counted(paths, first, end, read=corpus.revise.portion_replay.read_rows):
        made.append(first)
        return read(paths, first, end)

    def killed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("corpus.revise.portion_replay.read_rows", counted)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("corpus.version.code_digest", lambda rooms: "one")
        patched.setattr("jobs.build.build._pack", killed)
        remove_quietly(folder, entries)
    assert made
    made.clear()
    with monkeypatch.context() as patched:
        patched.setattr("corpus.version.code_digest", lambda rooms: code)
        assert remove_quietly(folder, entries).exit_code == 0
    assert bool(made) == again
    open_run(folder).verify()
