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
import pyarrow.parquet as pq
import pytest

import corpus.revise.portion_replay
import corpus.storage.swap
from corpus.errors import ConfigError, IntegrityError, OutputError
from corpus.revise.differences import diff
from corpus.run import open_run
from corpus.storage.store import LocalStore
from corpus.storage.swap import JOURNAL
from corpus.tables.takedown import TAKEDOWN_FILE, Entry, Takedown, read_takedown, takedown_of
from jobs.build.archives import read_texts
from jobs.build.plan import Job, _differences
from jobs.build.remove import read_list, remove, removed_pages
from jobs.build.replay_run import replay
from jobs.cli import cli
from jobs.report.render import write_report
from jobs.runner.progress import Progress
from tests.documents import EVERY_INPUT
from tests.engines import InProcess
from tests.jobs.build.test_build import build_quietly, job, tree
from tests.jobs.show.test_steering import STAGES, archives  # noqa: F401
from tests.reports import seal
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


def take_down(folder, urls=(), domains=(), copies=False, hash_urls=False):
    def make_job(recipe, out):
        return job([], out, recipe, workers=1)

    entries = [*map(Entry.url, urls), *map(Entry.domain, domains)]
    return remove(folder, entries, make_job, lambda: InProcess(), Progress(quiet=True), copies, hash_urls)


def remove_quietly(folder, urls=(), domains=()):
    return take_down(folder, urls, domains).result


def rows(folder, outcome=None):
    found = open_run(folder).ledger().to_pylist()
    return [row for row in found if outcome is None or row["outcome"] == outcome]


def keeper_of_many(folder):
    """Return a kept page with duplicates, and the duplicates."""
    dropped = [row for row in rows(folder) if row["stage"] == "minhash"]
    kept_id = max({row["detail"] for row in dropped}, key=[row["detail"] for row in dropped].count)
    keeper = next(row for row in rows(folder) if row["id"] == kept_id)
    return keeper, [row for row in dropped if row["detail"] == kept_id]


def test_a_page_is_gone_and_the_ledger_says_why(folder):
    without_places(folder)
    page = next(row for row in rows(folder, "kept") if row["minhash.cluster_size"] is None)
    text = open_run(folder).text_of(page["id"])
    result = remove_quietly(folder, [page["url"]])
    assert result.exit_code == 0
    run = open_run(folder)
    run.verify()
    write_report(run, folder.parent / "report.html")
    row = run.find(page["url"])[0]
    assert (row["outcome"], row["stage"], row["rule"]) == ("dropped", "removed", "url")
    assert row["gopher_quality.words"] is row["text_bytes"] is row["detail"] is None
    assert run.text_of(page["id"]) is None
    assert text not in run.corpus()["text"].to_pylist()
    assert run.info["records"]["dropped"]["removed"] == {"url": 1}
    assert page["id"] not in [
        one["id"] for path in run.paths("samples") for one in ds.dataset(path).to_table().to_pylist()
    ]
    assert {path.name for path in folder.iterdir()} == {
        "corpus", "ledger", "samples", "manifest", "index", "run.json", "timings.json", TAKEDOWN_FILE,
    }  # fmt: skip


def test_a_run_from_before_a_measure_was_added(folder):
    """The measure is null where a page is not read again."""
    column = "gopher_quality.alpha_ratio"
    info = open_run(folder).info
    del info["columns"][column]
    next(table for table in info["recipe"]["stages"] if table["name"] == "gopher_quality").pop("alpha_ratio")
    for path in (folder / "ledger").iterdir():
        pq.write_table(pq.read_table(path).drop_columns([column]), path, write_page_checksum=True)
    seal(folder, info)
    keeper, repeats = keeper_of_many(folder)
    assert remove_quietly(folder, [keeper["url"]]).exit_code == 0
    found = {row["id"]: row for row in rows(folder)}
    assert found[keeper["id"]]["outcome"] == "dropped"
    assert any(found[row["id"]]["outcome"] == "kept" for row in repeats)
    assert any(row["gopher_quality.words"] is not None and row[column] is None for row in found.values())
    open_run(folder).verify()


def test_a_run_from_before_a_column_was_added(folder):
    """The column of the corpus is null where a page is not read again."""
    for path in (folder / "corpus").iterdir():
        pq.write_table(pq.read_table(path).drop_columns(["license"]), path, write_page_checksum=True)
    seal(folder, open_run(folder).info)
    kept = rows(folder, "kept")
    assert remove_quietly(folder, [kept[0]["url"]]).exit_code == 0
    assert open_run(folder).corpus(["license"])["license"].null_count == len(rows(folder, "kept"))
    open_run(folder).verify()


def test_a_cluster_elects_another_keeper(folder):
    keeper, others = keeper_of_many(folder)
    assert len(others) > 2
    remove_quietly(folder, [keeper["url"], others[0]["url"]])
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
    remove_quietly(folder, domains=["SITE4.example."])
    after = [row for row in rows(folder) if "site4.example" in row["url"]]
    assert len(before) == len(after)
    judged = [row for row in after if row["outcome"] != "failed"]
    assert judged
    assert {(row["stage"], row["rule"]) for row in judged} == {("removed", "domain")}
    assert not [row for row in rows(folder, "kept") if "site4." in row["url"]]


@EVERY_INPUT
def test_it_equals_a_build_with_the_list_and_a_rebuild_keeps_to_it(folder, archives, tmp_path):  # noqa: F811
    keeper, _ = keeper_of_many(folder)
    remove_quietly(folder, [keeper["url"]], ["site2.example"])
    removed = tree(folder)
    again = build_quietly(job([archives], folder, STAGES))
    assert again.already_done
    assert tree(folder) == removed
    for path in folder.iterdir():  # all files except the list are lost, and built once more
        if path.name != TAKEDOWN_FILE:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert build_quietly(job([archives], folder, STAGES)).exit_code == 0
    assert tree(folder) == removed


def test_lists_add_up_and_are_stored_as_hashes(folder):
    without_places(folder)
    first, second = [row for row in rows(folder, "kept") if row["minhash.cluster_size"] is None][:2]
    remove_quietly(folder, [first["url"]])
    remove_quietly(folder, [second["url"], "http://never.example/private-name"])
    assert open_run(folder).info["records"]["dropped"]["removed"] == {"url": 2}
    stored = (folder / TAKEDOWN_FILE).read_text()
    assert "never.example" not in stored
    assert read_takedown(folder / TAKEDOWN_FILE).rule("http://never.example/private-name#top") == "url"
    before = tree(folder)
    assert remove_quietly(folder, [second["url"]]).already_done
    assert tree(folder) == before


def test_hashes_take_the_place_of_names(folder, archives, tmp_path, capsys):  # noqa: F811
    first, second, third = (row for row in rows(folder, "kept")[:3])
    assert remove_quietly(folder, [first["url"]]).exit_code == 0
    assert "removed_urls" not in open_run(folder).info
    assert take_down(folder, [second["url"]], hash_urls=True).result.exit_code == 0
    run = open_run(folder)
    run.verify()
    assert run.info["removed_urls"] == "sha256"
    files = "".join(path.read_text() for path in folder.rglob("*.json"))
    names = {row["url"] for row in rows(folder)}
    for gone in (first, second):
        assert gone["url"] not in names
        assert f'"{gone["url"]}"' not in files
        (row,) = run.explain(gone["url"].replace("http://", "HTTPS://"))
        assert (row["id"], row["stage"]) == (gone["id"], "removed")
        assert {row["url"][:7], row["record_id"][:7]} == {"sha256:"}
    cli(["explain", str(folder), first["url"]], standalone_mode=False)
    assert "nearest" not in capsys.readouterr().err
    again = take_down(folder, [first["url"]], [second["url"].split("/")[2]])
    assert [one.nothing for one in again.found] == [False, False]
    assert again.found[0].before == 1
    assert remove_quietly(folder, [third["url"]]).exit_code == 0
    assert open_run(folder).info["removed_urls"] == "sha256"
    assert third["url"] not in {row["url"] for row in rows(folder)}
    open_run(folder).verify()
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    shutil.copy(folder / TAKEDOWN_FILE, fresh)
    assert build_quietly(job([archives], fresh, STAGES)).exit_code == 0
    assert tree(fresh) == tree(folder)


def test_pages_that_were_removed_before_are_hashed_without_a_list(folder):
    page = rows(folder, "kept")[0]
    remove_quietly(folder, [page["url"]])
    domain = page["url"].split("/")[2]
    assert take_down(folder, hash_urls=True).result.exit_code == 0
    assert page["url"] not in {row["url"] for row in rows(folder)}
    assert take_down(folder, hash_urls=True).result.already_done
    assert domain not in repr(rows(folder, "dropped")[0]["url"])


def test_hashes_where_nothing_was_removed_change_nothing(folder):
    before = tree(folder)
    assert take_down(folder, hash_urls=True).result.already_done
    assert tree(folder) == before


def without_places(folder):
    """Let the run's archives be as if they were gone."""
    data = json.loads((folder / "timings.json").read_text())
    (folder / "timings.json").write_text(json.dumps({**data, "inputs": {}}))


def test_it_needs_no_archive_where_no_text_comes_back(folder):
    """Samples need no archive either: there are fewer of them then."""
    alone = next(row for row in rows(folder, "kept") if row["minhash.cluster_size"] is None)
    without_places(folder)
    assert remove_quietly(folder, [alone["url"]]).exit_code == 0
    open_run(folder).verify()


def test_a_kill_while_files_are_moved(folder, archives, monkeypatch):  # noqa: F811
    """The run can't be read then. The command, or a build, finishes the takedown. test_swap.py kills at every step."""
    without_places(folder)
    urls = [next(row["url"] for row in rows(folder, "kept") if row["minhash.cluster_size"] is None)]
    whole, other = folder.parent / "whole", folder.parent / "other"
    for copy in (whole, other):
        shutil.copytree(folder, copy)
    remove_quietly(whole, urls)
    for broken, go_on in (
        (folder, lambda: remove_quietly(folder)),
        (other, lambda: build_quietly(job([archives], other, STAGES))),
    ):
        renames = iter(range(5))

        def killed(*args, renames=renames, rename=os.rename):
            if next(renames, None) is None:
                raise KeyboardInterrupt
            rename(*args)

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(corpus.storage.swap.os, "rename", killed)
            remove_quietly(broken, urls)
        assert (broken / JOURNAL).exists()
        with pytest.raises(IntegrityError, match="was interrupted"):
            open_run(broken)
        assert go_on().already_done
        assert tree(broken) == tree(whole)
        open_run(broken).verify()


def test_a_kill_at_the_very_end(folder, monkeypatch):
    """The same command has nothing else to do, and removes what is left of the pages."""
    without_places(folder)
    urls = [next(row["url"] for row in rows(folder, "kept") if row["minhash.cluster_size"] is None)]

    def killed(self, prefix, remove=LocalStore.remove):
        if prefix == ".work":
            raise KeyboardInterrupt
        remove(self, prefix)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(LocalStore, "remove", killed)
        remove_quietly(folder, urls)
    assert (folder / ".work").exists()
    assert remove_quietly(folder, urls).already_done
    assert not (folder / ".work").exists()


def test_two_lists_at_once_are_both_kept(folder, monkeypatch):
    """Another takedown ends just before this one takes the folder."""
    without_places(folder)
    one, other = [row["url"] for row in rows(folder, "kept") if row["minhash.cluster_size"] is None][:2]
    waiting = [[other]]

    @contextmanager
    def only_run(self, share=False, own=LocalStore.only_run):
        if waiting:
            assert remove_quietly(folder, waiting.pop()).exit_code == 0
        with own(self, share):
            yield

    monkeypatch.setattr(LocalStore, "only_run", only_run)
    assert remove_quietly(folder, [one]).exit_code == 0
    assert read_takedown(folder / TAKEDOWN_FILE) == Takedown.of([one, other])
    assert {row["url"] for row in rows(folder) if row["stage"] == "removed"} == {one, other}


def test_what_each_entry_finds(folder):
    """One that found nothing is named with what may be meant; the others do their work."""
    without_places(folder)
    first, second = [row["url"] for row in rows(folder, "kept") if row["minhash.cluster_size"] is None][:2]
    removal = take_down(folder, [f"HTTPS{first[4:]}#top", first.replace("www.", "")], ["sites3.example"])
    assert [(one.pages, one.before, one.near[:1]) for one in removal.found] == [
        (1, 0, []), (0, 0, [first]), (0, 0, ["site3.example"]),
    ]  # fmt: skip
    assert [row["url"] for row in rows(folder) if row["stage"] == "removed"] == [first]
    removal = take_down(folder, [first, second])
    assert [(one.pages, one.before) for one in removal.found] == [(0, 1), (1, 0)]
    assert removal.as_dict()["entries"][1] == {
        "entry": second, "kind": "url", "pages": 1, "before": 0, "near": [], "stays": [],
    }  # fmt: skip
    assert removal.pages == [second]
    assert (removal.removed_before, removed_pages(removal.result.info)) == (1, 2)


@pytest.mark.parametrize(
    ("kind", "entry", "stays"),
    [
        ("domain", "www.a.example", ["http://a.example/x", "http://m.a.example/x"]),
        ("domain", "https://www.a.example/", ["http://a.example/x", "http://m.a.example/x"]),
        ("domain", "a.example", []),
        ("domain", "www.github.io", []),  # a public suffix, whose sites belong to strangers
        ("url", "http://a.example/x", ["http://www.a.example/X/", "http://www.a.example/x"]),
        ("url", "http://www.a.example/X", []),  # finds nothing, so these pages are near it
    ],
)
def test_pages_that_an_entry_may_mean_and_that_stay_are_shown(tmp_path, corpus, kind, entry, stays):
    places = "www.a.example/x www.a.example/X/ a.example/x m.a.example/x b.example/x www.github.io/x my.github.io/x"
    pages = {f"http://{place}": page(place, f"{WORDS} {place}") for place in places.split()}
    archive = write_warc(tmp_path / "a.warc.gz", pages)
    made = job([archive], tmp_path / "out", {"stages": [{"stage": "extract"}]})
    assert build_quietly(replace(made, factory=Job.factory)).exit_code == 0
    (tmp_path / "list.txt").write_text(entry)
    code, shown, err = corpus("remove", tmp_path / "out", f"--{kind}s", tmp_path / "list.txt", "--json")
    (found,) = json.loads(shown)["entries"]
    if not found["pages"]:
        assert (code, "matches no page" in err) == (3, True)
        return
    assert sorted(found["stays"]) == stays
    assert all(f"  {url}\n" in err for url in stays)
    assert ("a.example has 2 more pages; list a.example to remove them too:" in err) == (
        kind == "domain" and bool(stays)
    )
    assert all(f"  {url}\n" in err for url in json.loads(shown)["removed"])
    assert f"1 entry, and it matches {found['pages']} page" in err
    _, _, again = corpus("remove", tmp_path / "out", f"--{kind}s", tmp_path / "list.txt")
    assert "Nothing changes" in again
    assert f"0 pages removed now, {found['pages']} in all." in again
    assert "skipped" not in again  # no funnel


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (Takedown.of(["http://a.example/"]), Takedown(), ["pages were removed from this folder with `corpus remove`"]),
        (Takedown(), Takedown.of([], ["a.example"]), ["pages were removed from the other run with `corpus remove`"]),
        (Takedown.of([], ["b.example"]), Takedown.of([], ["a.example"]), ["other pages were removed from the other run "
                                                                         "with `corpus remove`"]),
        (Takedown.of([], ["b.example"]), Takedown.of([], ["b.example"]), []),
    ],
)  # fmt: skip
def test_a_takedown_between_two_commands_is_named_in_words(old, new, says):
    plan = {"recipe": {}, "resources": {}, "versions": {}, "inputs": [], "against": []}
    assert _differences({**plan, "removed": old.digest}, {**plan, "removed": new.digest}) == says


def test_where_no_entry_finds_a_page_nothing_changes(folder):
    before = tree(folder)
    removal = take_down(folder, ["http://never.example/"], ["never.example"])
    assert removal.result.already_done
    assert all(one.nothing for one in removal.found)
    assert tree(folder) == before


def test_pages_that_come_in_are_listed(folder):
    keeper, others = keeper_of_many(folder)
    before = {row["id"] for row in rows(folder, "kept")}
    removal = take_down(folder, [keeper["url"]])
    after = {row["id"]: row["url"] for row in rows(folder, "kept")}
    assert {one.id: one.url for one in removal.returned} == {id: after[id] for id in after.keys() - before}
    assert removal.returned
    assert {one.id for one in removal.returned} <= {row["id"] for row in others}
    assert {row["id"] for row in removal.copies} == {row["id"] for row in others}  # they stay


@pytest.mark.parametrize("named", ["keeper", "repeat"])
def test_copies_go_too(folder, named):
    """All of its cluster, whichever of them is named, and so a build with the list leaves them out."""
    without_places(folder)
    keeper, others = keeper_of_many(folder)
    cluster = {row["id"]: row["url"] for row in (keeper, *others)}
    chosen = keeper if named == "keeper" else others[-1]
    removal = take_down(folder, [chosen["url"]], copies=True)
    assert {row["id"] for row in removal.copies} == cluster.keys() - {chosen["id"]}
    assert removal.returned == []
    assert {row["id"] for row in rows(folder) if row["stage"] == "removed"} == cluster.keys()
    assert all(read_takedown(folder / TAKEDOWN_FILE).rule(url) == "url" for url in cluster.values())


LINES = {"stages": [{"stage": "paragraphs"}, {"stage": "lines", "removed_ratio": {"max": "off"}}]}


def test_without_clusters_copies_are_pages_of_the_same_text(tmp_path):
    pages = {f"http://site{n}.example/": page("One", WORDS + "x" * (n == 2)) for n in range(4)}
    write_warc(tmp_path / "a.warc.gz", pages)
    assert build_quietly(job([tmp_path], tmp_path / "out", {"stages": [{"stage": "paragraphs"}]})).exit_code == 0
    removal = take_down(tmp_path / "out", ["http://site3.example"], copies=True)
    assert [row["url"] for row in removal.copies] == ["http://site0.example/", "http://site1.example/"]
    assert [row["url"] for row in rows(tmp_path / "out", "kept")] == ["http://site2.example/"]


def test_lines_that_come_back_are_listed(tmp_path):
    own = [f"{WORDS} Of page {word}." for word in ("one", "two", "three")]
    shared = "This line is in two of them, and it is a long one. " * 3
    bodies = [own[0], f"{own[1]}\n{shared}\n", f"{own[2]}\n{shared}\n"]
    pages = {f"http://site{n}.example/": page(f"Title {n}", body) for n, body in enumerate(bodies)}
    write_warc(tmp_path / "a.warc.gz", pages)
    assert build_quietly(job([tmp_path], tmp_path / "out", LINES, alarm_rate=1.0)).exit_code == 0
    removal = take_down(tmp_path / "out", ["http://site1.example/"])
    assert [(one.url, one.lines) for one in removal.returned] == [
        ("http://site2.example/", 2)
    ]  # one has the closing tags


@pytest.fixture(scope="module")
def copied_pages(tmp_path_factory):
    """A run of 30 pages with the same text."""
    folder = tmp_path_factory.mktemp("copied")
    write_warc(folder / "a.warc.gz", {f"http://site{n}.example/": page("One", WORDS) for n in range(30)})
    stages = {"stages": [{"stage": "extract"}, {"stage": "minhash"}]}
    made = job([folder], folder / "out", stages, alarm_rate=1.0)
    assert build_quietly(replace(made, factory=Job.factory)).exit_code == 0
    return folder / "out"


@pytest.fixture
def corpus_remove(copied_pages, tmp_path, capsys, monkeypatch):
    """Run the command on a copy of that run: (exit code, folder, JSON, text for people)."""
    shutil.copytree(copied_pages, tmp_path / "out")
    monkeypatch.setattr("jobs.verbs.options.LocalEngine", InProcess)

    def run(*options, **lists):
        for name, content in lists.items():
            (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
            options = (*options, f"--{name}", str(tmp_path / name))
        with pytest.raises((SystemExit, ConfigError)) as ended:
            cli(["remove", str(tmp_path / "out"), "--json", *options], standalone_mode=False)
        shown = capsys.readouterr()
        if isinstance(ended.value, ConfigError):
            return 2, tmp_path / "out", None, str(ended.value)
        return ended.value.code, tmp_path / "out", json.loads(shown.out), shown.err

    return run


def test_no_alarm_where_the_run_had_passed_it(corpus_remove):
    code, folder, _, _ = corpus_remove(urls="http://site29.example/")
    assert code == 0
    assert rows(folder, "dropped")[-1]["stage"] == "removed"


def test_the_command_names_what_found_nothing(corpus_remove):
    code, folder, shown, err = corpus_remove(urls="http://site2.example/\nhttp://www.site3.example/\n")
    assert code == 3
    assert "http://www.site3.example/ matches no page. Near it:\n  http://site3.example/\n" in err
    assert [(one["pages"], one["near"][:1]) for one in shown["entries"]] == [(1, []), (0, ["http://site3.example/"])]
    assert shown["records"]["dropped"]["removed"] == {"url": 1}
    assert corpus_remove(urls="http://site2.example/")[0] == 0  # it was removed before
    assert corpus_remove(urls="http://www.site3.example/")[0] == 3
    assert [row["url"] for row in rows(folder) if row["stage"] == "removed"] == ["http://site2.example/"]


def test_the_text_of_a_removed_page_is_not_read_again(corpus_remove):
    _, folder, _, _ = corpus_remove(urls="http://site2.example/")
    run = open_run(folder)
    (row,) = run.find("http://site2.example/")
    assert read_texts(run, [row, {**row, "stage": "minhash"}], [], []) == {}
    (other,) = run.find("http://site3.example/")
    assert "three fishermen" in read_texts(run, [other], [], [])[other["id"]]


def test_the_command_lists_what_comes_in_and_takes_copies(corpus_remove):
    _, folder, shown, err = corpus_remove(urls="http://site0.example/")
    (back,) = shown["returned"]
    assert (len(shown["copies"]), shown["copies_removed"]) == (29, False)
    assert back["url"] == rows(folder, "kept")[0]["url"]
    assert back["url"] in err
    _, folder, shown, _ = corpus_remove("--copies", urls=back["url"])
    assert (len(shown["copies"]), shown["copies_removed"]) == (28, True)
    assert rows(folder, "kept") == []


@pytest.mark.parametrize("domain", ["example", "co.uk", "*.com", "github.io", "https://example/"])
def test_a_public_suffix_needs_yes(corpus_remove, domain):
    code, folder, _, said = corpus_remove(domains=f"site1.example\n{domain}")
    assert code == 2
    assert f"'{domain}' is a public suffix" in said
    assert not (folder / TAKEDOWN_FILE).exists()


def test_a_list_without_entries_is_refused(corpus_remove):
    code, _, _, said = corpus_remove(urls="# none yet\n\n")
    assert (code, "The lists are empty" in said) == (2, True)


def test_with_yes_all_under_a_public_suffix_goes(corpus_remove):
    code, folder, shown, _ = corpus_remove("--yes", domains="example")
    assert (code, shown["entries"][0]["pages"]) == (0, 30)
    assert {row["stage"] for row in rows(folder)} == {"removed"}


def test_entries_among_domains_in_any_form(corpus_remove):
    listed = "*.site1.example\nhttps://site2.example\nhttp://site3.example/x\nSITE4.example:443 # why\n"
    code, _, shown, _ = corpus_remove(domains=listed)
    assert code == 3
    assert [(one["kind"], one["pages"]) for one in shown["entries"]] == [
        ("domain", 1), ("domain", 1), ("url", 0), ("domain", 1),
    ]  # fmt: skip


@pytest.mark.slow
def test_signatures_stay_where_their_limit_is_off(archives, tmp_path):  # noqa: F811
    """Such a run compares nothing and has no index, but its signatures may be needed under other limits."""
    stages = {"stages": [{**one, "similarity": {"below": "off"}} if one["stage"] == "minhash" else one
                         for one in STAGES["stages"]]}  # fmt: skip
    domains = ["site2.example"]
    for name in ("removed", "built"):
        (tmp_path / name).mkdir()
    assert build_quietly(job([archives], tmp_path / "removed" / "out", stages)).exit_code == 0
    assert remove_quietly(tmp_path / "removed" / "out", domains=domains).exit_code == 0
    (tmp_path / "built" / "out").mkdir()
    (tmp_path / "built" / "out" / TAKEDOWN_FILE).write_bytes(Takedown.of(domains=domains).as_json())
    assert build_quietly(job([archives], tmp_path / "built" / "out", stages)).exit_code == 0
    assert tree(tmp_path / "removed" / "out") == tree(tmp_path / "built" / "out")


SCRIPT = """
import sys
from pathlib import Path
from tests.jobs.build.test_remove import remove_quietly
remove_quietly(Path(sys.argv[1]), domains=["site2.example"])
"""


@pytest.mark.slow
def test_kills_at_any_time(folder, tmp_path):
    whole = folder.parent / "whole"
    shutil.copytree(folder, whole)
    remove_quietly(whole, domains=["site2.example"])
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
    remove_quietly(folder, domains=["site2.example"])  # a busy machine may have ended no process in its time
    assert tree(folder) == after


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_list_is_one_entry_a_line(tmp_path, encoding, end):
    lines = ["# why", "", "http://a.example/", "  bücher.example  # not nice", '"http://a.example/x"']
    (tmp_path / "list").write_bytes(end.join(lines).encode(encoding))
    assert read_list(tmp_path / "list") == ["http://a.example/", "bücher.example", "http://a.example/x"]


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"http://b\xfccher.example/", b"a\0\0\0b\0\0\0"])
def test_a_list_that_is_no_text_is_refused(tmp_path, data):
    (tmp_path / "list").write_bytes(data)
    with pytest.raises(ConfigError, match="Give a text file"):
        read_list(tmp_path / "list")


def test_a_run_of_another_version(folder, archives, monkeypatch):  # noqa: F811
    """Verbs that read the run work, also `tune`, and so does a takedown. A build, and a replay under other limits, say
    why they can't."""
    monkeypatch.setattr("corpus.version.code_digest", lambda rooms: "other")
    run = open_run(folder)
    url = next(row["url"] for row in rows(folder, "kept") if row["minhash.cluster_size"] is None)
    run.verify()
    write_report(run, folder.parent / "report.html")
    assert run.explain(url)
    assert not diff(run, run).moves
    assert run.tune({"gopher_quality.words.min": 30}).before == run.info["records"]["kept"]
    before = run.info["versions"]
    with pytest.raises(OutputError, match="code: "):
        build_quietly(job([archives], folder, STAGES))
    with pytest.raises(ConfigError, match="made with other code or lists"):
        replay(run, job([archives], folder.parent / "new", STAGES), takedown_of(run.store), lambda: InProcess(),
                Progress(quiet=True))  # fmt: skip
    assert not (folder.parent / "new").exists()
    assert remove_quietly(folder, [url]).exit_code == 0
    run = open_run(folder)
    run.verify()
    assert run.find(url)[0]["stage"] == "removed"
    assert run.info["versions"] == before


@pytest.mark.parametrize(("code", "again"), [("one", False), ("other", True)])
def test_a_takedown_taken_up_by_another_version_makes_its_portions_again(folder, monkeypatch, code, again):
    """The run keeps the versions that made it. So unfinished work of a takedown is bound to the versions of the
    takedown."""
    without_places(folder)
    urls = [next(row["url"] for row in rows(folder, "kept") if row["minhash.cluster_size"] is None)]
    made = []

    def counted(paths, first, end, read=corpus.revise.portion_replay.read_rows):
        made.append(first)
        return read(paths, first, end)

    def killed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("corpus.revise.portion_replay.read_rows", counted)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("corpus.version.code_digest", lambda rooms: "one")
        patched.setattr("jobs.build.build.pack", killed)
        remove_quietly(folder, urls)
    assert made
    made.clear()
    with monkeypatch.context() as patched:
        patched.setattr("corpus.version.code_digest", lambda rooms: code)
        assert remove_quietly(folder, urls).exit_code == 0
    assert bool(made) == again
    open_run(folder).verify()
