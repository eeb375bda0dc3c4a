"""The inputs of a build: files, URLs, buckets and crawls by name. They give the same bytes wherever they are."""

import gzip
import json
import os
import random
import shutil
import subprocess
import sys
from contextlib import closing

import pytest

import jobs.build.units
from corpus.errors import ConfigError, InputChanged, InputError, InputUnreachable
from corpus.run import open_run
from corpus.tables.takedown import Takedown, takedown_of
from corpus.warc.source import LocalSource, digest_of_ends
from jobs.build.audit import audit
from jobs.build.contents import find_columns
from jobs.build.inputs import Input, _named, find_in_run, find_inputs
from jobs.build.replay_run import replay
from jobs.runner.progress import Progress
from jobs.runner.task_functions import run_unit_task
from tests.documents import KINDS, documents, write_documents
from tests.engines import InProcess
from tests.jobs.build.test_build import STAGES, build_quietly, job, tree
from tests.servers import read_from, serving, serving_s3
from tests.waiting import wait_until
from tests.warcs import WORDS, http, page, record, write_warc

CRAWL = "CC-MAIN-2026-43"
SEGMENT = f"crawl-data/{CRAWL}/segments/1.1/warc"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a copy of a crawl of three archives. The server shows it as a bucket, too."""
    made = tmp_path_factory.mktemp("www")
    rng = random.Random(7)
    archives = made / "bucket" / SEGMENT
    archives.mkdir(parents=True)
    for name in "cab":
        pages = {
            f"http://{name}{number}.example/": page(
                f"Page {number}", " ".join(rng.choices(WORDS.split(), k=40 + number))
            )
            for number in range(60)
        }
        write_warc(archives / f"{name}.warc.gz", pages)
    paths = "".join(f"{SEGMENT}/{name}.warc.gz\n" for name in "cab")
    (made / "bucket" / "crawl-data" / CRAWL / "warc.paths.gz").write_bytes(gzip.compress(paths.encode()))
    return made


@pytest.fixture(scope="module")
def www(folder):
    with serving(folder) as made:
        yield made


@pytest.fixture
def server(www, monkeypatch):
    """The same server for all tests, since page workers are kept only as long as the address is the same."""
    read_from(www, monkeypatch)
    yield www
    www.etags, www.before = True, lambda path: None


@pytest.fixture
def base(server, folder):
    """The location of the copy of the crawl, by kind."""
    return {"http": f"{server.url}/bucket", "s3": "s3://bucket", "local": f"{folder}/bucket"}


@pytest.fixture(scope="module")
def reference(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("reference") / "out"
    assert build_quietly(job([folder], out)).exit_code == 0
    return out


@pytest.mark.parametrize("place", ["http", "s3"])
def test_the_same_bytes_from_everywhere(base, reference, tmp_path, monkeypatch, place):
    """Corpus, ledger, samples, manifest and run.json are the same, and none of them has a secret of the URL."""
    urls = [f"{base[place]}/{SEGMENT}/{name}.warc.gz" for name in "abc"]
    if place == "http":
        urls = [url.replace("//", "//me:SECRET@") + "?sig=SECRET" for url in urls]
    monkeypatch.setattr(sys, "argv", ["corpus", "build", *urls])
    done = build_quietly(job(urls, tmp_path / "out", unit_bytes=15_000))
    assert done.exit_code == 0
    assert tree(tmp_path / "out") == tree(reference)
    assert f"{SEGMENT}/a.warc.gz" in (tmp_path / "out" / "timings.json").read_text()
    assert all(b"SECRET" not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


@pytest.mark.parametrize("place", ["http", "s3"])
def test_documents_give_the_same_bytes_from_everywhere(base, folder, tmp_path, place):
    names = [f"{name}.{kind}" for name, kind in zip("abcd", KINDS, strict=True)]
    there = folder / "bucket" / "documents"
    if not there.exists():
        there.mkdir()
        (there / "info.json").write_text('{"text": "no document"}')
        for number, name in enumerate(names):
            write_documents(there / name, documents(60, number))
        assert build_quietly(job([there], folder / "documents-run", keep_columns=())).exit_code == 0
    given = [f"{base[place]}/documents/{name}" for name in names] if place == "http" else ["s3://bucket/documents/"]
    assert build_quietly(job(given, tmp_path / "out", unit_bytes=4_000, keep_columns=())).exit_code == 0
    assert tree(tmp_path / "out") == tree(folder / "documents-run")
    assert open_run(tmp_path / "out").info["records"]["in"] == 240


def test_of_a_run_the_corpus_is_read_also_in_a_bucket(base, folder):
    run = folder / "bucket" / "of-a-run"
    for name in ("run.json", "corpus/part-00000.parquet", "ledger/part-00000.parquet", "derived/x.json"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(name)
    for place in (str(run), "s3://bucket/of-a-run/"):
        assert [item.path.partition("of-a-run/")[2] for item in find_inputs([place])] == ["corpus/part-00000.parquet"]


def test_of_a_folder_the_files_of_one_kind_are_read(tmp_path):
    names = ["x.json", "p.html", "b.jsonl.gz", "a.parquet", "w.warc.gz", ".h.warc", "c.jsonl.md5"]
    for name in names:
        (tmp_path / name).write_text("x")
    for gone, found in (
        (".h.warc", "w"),
        ("w.warc.gz", "ab"),
        ("a.parquet", "b"),
        ("b.jsonl.gz", "p"),
        ("p.html", "x"),
    ):
        (tmp_path / gone).unlink()
        assert "".join(item.name[0] for item in find_inputs([str(tmp_path)])) == found


@pytest.mark.parametrize(
    ("files", "asked", "error", "says"),
    [
        ({"a.jsonl": b'{"text": "t"}', "b.html": b""}, {}, ConfigError, "archives, tables or pages of HTML"),
        ({"b.html": b"<p>"}, {"text": "t"}, ConfigError, "--text names a column, but b.html has none"),
        ({"a.jsonl": b"", "b.jsonl": b"\n"}, {}, InputError, "No input holds a document"),
        ({"a.jsonl": b"[1]"}, {}, InputError, "not JSON Lines"),
        ({"a.csv": b"text"}, {}, InputError, "a.csv is not an archive"),
        ({"a.parq": b"PAR1"}, {}, InputError, "must end with .parquet"),
    ],
)
def test_inputs_without_columns_are_refused(tmp_path, files, asked, error, says):
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    items = find_inputs([str(tmp_path / name) for name in files])
    with pytest.raises(error, match=says):
        find_columns(items, asked)


def test_the_first_file_that_can_be_read_has_the_columns_and_others_have_damage(tmp_path):
    """A damaged file costs a row. A file with another schema is refused, since its user can mend that."""
    write_documents(tmp_path / "b.parquet", documents(3))
    for name, data in (("a.parquet", b"PAR1" * 9), ("c.jsonl", b'{"body": "x"}\n'), ("d.jsonl", b"")):
        (tmp_path / name).write_bytes(data)
    stages = {"stages": [{"stage": "paragraphs"}]}
    result = build_quietly(job([tmp_path], tmp_path / "out", stages, keep_columns=()))
    assert result.info["documents"] == {"text": "text", "id": "id", "url": "url"}
    assert result.info["records"] == {"in": 5, "kept": 3, "dropped": {}, "failed": {"damaged": 2}, "skipped": {}}
    write_documents(tmp_path / "e.parquet", [{"body": "x"}])
    with pytest.raises(ConfigError, match=r"e\.parquet has no column 'text'"):
        build_quietly(job([tmp_path / name for name in ("b.parquet", "e.parquet")], tmp_path / "other", stages))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("place", ["http", "s3", "local"])
@pytest.mark.parametrize(("limit", "names"), [(1, "c"), (2, "ac"), (9, "abc")])
def test_the_first_files_of_a_crawl(base, place, limit, names):
    found = find_inputs([CRAWL], limit, base[place])
    assert [item.name for item in found] == [f"{name}.warc.gz" for name in names]


def test_a_sample_of_a_crawl_is_drawn_from_all_its_files(base):
    def drawn(sample, seed, place="local"):
        return "".join(item.name[0] for item in find_inputs([CRAWL, CRAWL], None, base[place], sample, seed))

    assert {drawn(1, seed) for seed in range(30)} == {"a", "b", "c"}
    assert {drawn(2, seed) for seed in range(30)} == {"ab", "ac", "bc"}
    for place in base:
        assert [drawn(2, seed, place) for seed in (1, 2, 7)] == [drawn(2, seed) for seed in (1, 2, 7)]
        assert drawn(9, 7, place) == "abc"


def test_a_sample_is_for_any_inputs(folder):
    archives = folder / "bucket" / SEGMENT
    found = {tuple(item.name[0] for item in find_inputs([str(archives)], sample=2, seed=seed)) for seed in range(30)}
    assert found == {("a", "b"), ("a", "c"), ("b", "c")}


def test_a_crawl_is_the_same_wherever_it_lies(base):
    local, http, s3 = ({(i.name, i.size, i.identity) for i in find_inputs([CRAWL], 3, base[p])} for p in base)
    assert local == http == s3


def test_what_lies_in_a_bucket(base):
    def names(*urls, limit=None):
        return "".join(item.name[0] for item in find_inputs(urls, limit))

    assert names("s3://bucket/") == "abc"
    assert names("s3://bucket") == "abc"
    assert names(f"s3://bucket/{SEGMENT}/") == "abc"
    assert names(f"s3://bucket/{SEGMENT}/*.warc.gz") == "abc"
    assert names(f"s3://bucket/{SEGMENT}/[!a].warc.*") == "bc"
    assert names("s3://bucket/**/?.warc.gz", limit=2) == "ab"
    assert names("s3://bucket/crawl-data/*/segments/*/warc/b.*") == "b"
    assert names(f"s3://bucket/{SEGMENT}/c.warc.gz", "s3://bucket/**/a.warc.gz", limit=1) == "c"


def test_a_limit_is_for_any_inputs(folder):
    archives = folder / "bucket" / SEGMENT
    assert [item.name for item in find_inputs([str(archives)], 2)] == ["a.warc.gz", "b.warc.gz"]
    given = [str(archives / name) for name in ("b.warc.gz", "b.warc.gz", "a.warc.gz", "c.warc.gz")]
    assert [item.name for item in find_inputs(given, 2)] == ["a.warc.gz", "b.warc.gz"]


def test_one_file_in_two_places_is_read_once(server, base, folder, tmp_path):
    archive, copy = folder / "bucket" / SEGMENT / "a.warc.gz", tmp_path / "a.warc.gz"
    shutil.copy(archive, copy)
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "a.warc.gz").symlink_to(archive)
    found = find_inputs([str(archive), str(copy), str(tmp_path / "link")])
    assert [item.path for item in found] == [str(archive)]
    url = f"{base['http']}/{SEGMENT}/a.warc.gz"
    assert [item.path for item in find_inputs([url, url + "?again"])] == [url]
    for places in ([str(archive), url], [url, f"s3://bucket/{SEGMENT}/a.warc.gz"]):
        with pytest.raises(InputError, match=r"nothing shows that they are the same: \S+ and \S+\."):
            find_inputs(places)
    server.etags = False  # the time of change alone proves too little
    with pytest.raises(InputError, match="nothing shows"):
        find_inputs([url, url + "?again"])


def tell_apart(folder, paths):
    """Different files at these paths below a folder, and the names that they get, by path."""
    for number, path in enumerate(paths):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        write_warc(folder / path, {f"http://{number}.example/": page(str(number))})
    found = find_inputs([str(folder / path) for path in paths])
    assert sorted(found, key=lambda item: item.name) == find_inputs([str(folder)])
    assert find_inputs([str(folder / path) for path in reversed(paths)]) == found
    names = {item.path: item.name for item in found}
    return [names[str(folder / path)] for path in paths]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["1/w.warc.gz"], ["w.warc.gz"]),
        (["1/w.warc.gz", "2/v.warc.gz"], ["w.warc.gz", "v.warc.gz"]),
        (["1/w.warc.gz", "2/w.warc.gz", "2/v.warc.gz"], ["1/w.warc.gz", "2/w.warc.gz", "v.warc.gz"]),
        (["1/in/w.warc.gz", "2/in/w.warc.gz"], ["1/in/w.warc.gz", "2/in/w.warc.gz"]),
        (["a/1/w.warc.gz", "a/2/w.warc.gz", "b/2/w.warc.gz"], ["1/w.warc.gz", "a/2/w.warc.gz", "b/2/w.warc.gz"]),
        (["w.warc.gz/w.warc.gz", "x/w.warc.gz"], ["w.warc.gz/w.warc.gz", "x/w.warc.gz"]),
    ],
)
def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path, paths, names):
    assert tell_apart(tmp_path, paths) == names


def test_a_path_that_is_the_end_of_another_is_a_name_too():
    places = [[Input("w.gz", path, 1, path)] for path in ("/s/w.gz", "/a/s/w.gz", "s3://a/b/s/w.gz")]
    assert [item.name for item in _named(places)] == ["s/w.gz", "a/s/w.gz", "b/s/w.gz"]


def test_an_archive_in_two_places_does_not_change_the_names_of_others(tmp_path):
    """Whichever of its places is given first."""
    assert tell_apart(tmp_path, ["1/w.warc.gz", "2/w.warc.gz"]) == ["1/w.warc.gz", "2/w.warc.gz"]
    (tmp_path / "0").mkdir()
    shutil.copy(tmp_path / "2" / "w.warc.gz", tmp_path / "0")
    for order in ("012", "210", "201"):
        found = find_inputs([str(tmp_path / name) for name in order])
        assert [item.name for item in found] == ["0/w.warc.gz", "1/w.warc.gz"]


def test_files_of_one_name_that_differ_in_the_middle_alone_are_two(server, base, folder, tmp_path):
    content = bytearray(random.Random(1).randbytes(200_000))
    for name, middle in (("x", 0), ("y", 1)):
        content[100_000] = middle
        for place in (tmp_path, folder / "bucket"):
            (place / name).mkdir()
            (place / name / "same.gz").write_bytes(content)
    for place in (tmp_path, base["http"], base["s3"]):
        found = find_inputs([f"{place}/x/same.gz", f"{place}/y/same.gz"])
        assert [item.name for item in found] == ["x/same.gz", "y/same.gz"]
    found = find_inputs([f"{base['http']}/x/same.gz", f"{tmp_path}/y/same.gz"])
    assert [item.name for item in found] == ["x/same.gz", "y/same.gz"]


def test_no_secret_of_a_url_gets_into_a_name():
    places = [
        "https://me:SECRET@a.example/1/w.gz?SECRET",
        "https://b.example:8/1/w.gz#SECRET",
        "https://b.example/%31/w.gz",
    ]
    places += ["https://me:SEC/RET@a.example/2%2F1/w.gz", "s3://me:SECRET@b/1/w.gz", "s3://b/..x/a?b/w.gz"]
    found = _named([[Input("w.gz", place, 1, place)] for place in places])
    assert [item.name for item in found] == [
        "a.example/1/w.gz", "b.example:8/1/w.gz", "b.example/1/w.gz", "…/w.gz", "b/1/w.gz", "a?b/w.gz",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """Two archives of one name, and a run on them that drops some pages of each as too long."""
    made = tmp_path_factory.mktemp("twins")
    for year in ("2023", "2024"):
        (made / year).mkdir()
        pages = {f"http://{year}.example/{n}": page(f"{year} {n}", WORDS[: 5 * n]) for n in range(60, 160, 10)}
        write_warc(made / year / "w.warc.gz", pages)
    assert build_quietly(job([made / "2023", made / "2024"], made / "out")).exit_code == 0
    return made


def test_a_run_names_two_archives_of_one_name_by_their_folders(twins, tmp_path):
    """In all that it writes; no absolute path is in it. The order of the inputs makes no difference."""
    run = open_run(twins / "out")
    assert [one["name"] for one in run.info["inputs"]] == ["2023/w.warc.gz", "2024/w.warc.gz"]
    ids = run.corpus()["id"].to_pylist()
    kept = [name.rpartition(":")[0] for name in ids]
    assert kept == sorted(kept)
    assert set(kept) == {"2023/w.warc.gz", "2024/w.warc.gz"}
    assert run.info["records"]["dropped"] == {"paragraphs": {"chars": 20 - len(kept)}}
    assert run.verify()["ledger"] == 20
    others = job([twins / "2024" / "w.warc.gz", twins / "2023"], tmp_path / "out", unit_bytes=1000)
    assert build_quietly(others).exit_code == 0
    assert tree(tmp_path / "out") == tree(twins / "out")
    assert all(str(twins).encode() not in (tmp_path / "out" / name).read_bytes() for name in tree(tmp_path / "out"))


def test_pages_of_two_archives_of_one_name_are_read_again(twins, tmp_path):
    stages = {"stages": [STAGES["stages"][0], STAGES["stages"][1] | {"chars": {"min": 300, "max": 900}}]}
    assert build_quietly(job([twins / "2023", twins / "2024"], tmp_path / "fresh", stages)).exit_code == 0
    run = open_run(twins / "out")
    for inputs in ([], [twins / "2024", twins / "2023"]):
        out = tmp_path / f"replayed {len(inputs)}"
        replay(run, job(inputs, out, stages), Takedown(), lambda: InProcess(), Progress(quiet=True))
        assert tree(out) == tree(tmp_path / "fresh")


def test_the_archives_of_a_run_are_known_where_they_are_now(twins, tmp_path):
    known = open_run(twins / "out").info["inputs"]
    shutil.copytree(twins / "2024", tmp_path / "moved")
    assert list(find_in_run([str(twins / "2024")], known)) == ["2024/w.warc.gz"]
    assert list(find_in_run([str(tmp_path / "moved")], known)) == ["2024/w.warc.gz"]
    changed = tmp_path / "2023" / "w.warc.gz"
    changed.parent.mkdir()
    write_warc(changed, {"http://a.example/": page()})
    assert find_in_run([str(changed)], known)["2023/w.warc.gz"].path == str(changed)
    both = find_in_run([str(twins / "2023"), str(changed)], known)
    assert both["2023/w.warc.gz"].path == str(twins / "2023" / "w.warc.gz")
    write_warc(tmp_path / "new.warc.gz", {"http://a.example/": page()})
    assert list(find_in_run([str(tmp_path / "new.warc.gz")], known)) == ["new.warc.gz"]
    counted = audit(open_run(twins / "out"), [str(tmp_path / "moved")])
    assert [(one.warc, one.in_ledger, one.counted) for one in counted] == [("2024/w.warc.gz", 10, 10)]


NO_ARCHIVES = [
    "w.warc.gz.md5", "w.warc.gz.sha256", "w.cdx", "w.warc.os.cdx.gz", "w.warc.gz.part", "w.warc.gz.open", "w.warc.gz~",
    "w.warc.gz.crdownload", "._w.warc.gz", ".w.warc.gz", ".w.warc.gz.Xy12Za", ".snapshot/w.warc.gz",
    "lost+found/w.warc.gz", "data.warc.d/readme.txt", "data.warc.gz/notes.md", "warc.paths.gz", "w.warcs.txt",
]  # fmt: skip
ARCHIVES = [
    "a.warc", "b.warc.gz", "c.WARC.GZ", "d.arc", "e.ARC.gz", "f.warc.wet.gz", "g.warc.wat.gz", "h.warc.zst", "i.wet",
    "data.warc.d/j.warc.gz", "k.arc/k.warc.gz", "l.warc.bz2", "deep/er/m.warc.gz",
]  # fmt: skip


def test_of_a_folder_or_a_prefix_only_archives_are_read(tmp_path, monkeypatch):
    archive = write_warc(tmp_path / "one", {"http://a.example/": page()}).read_bytes()
    crawl = tmp_path / "www" / "bucket" / "crawl.warc.d"
    for number, name in enumerate([*ARCHIVES, *NO_ARCHIVES]):
        (crawl / name).parent.mkdir(parents=True, exist_ok=True)
        (crawl / name).write_bytes(archive + bytes(number))
    names = sorted(name.rpartition("/")[2] for name in ARCHIVES)
    assert [item.name for item in find_inputs([str(crawl)])] == names
    monkeypatch.chdir(crawl)
    assert [item.name for item in find_inputs(["."])] == names
    with serving_s3(tmp_path / "www", monkeypatch):
        assert [item.name for item in find_inputs(["s3://bucket/crawl.warc.d/"])] == names
        assert [item.name for item in find_inputs(["s3://bucket/crawl.warc.d/data.warc.d/"])] == ["j.warc.gz"]
        assert [item.name for item in find_inputs(["s3://bucket"])] == names
        with pytest.raises(InputError, match=r"data\.warc\.gz/ holds no archive"):
            find_inputs(["s3://bucket/crawl.warc.d/data.warc.gz/"])
        # what is hidden above the prefix was named
        assert [item.name for item in find_inputs(["s3://bucket/crawl.warc.d/.snapshot/"])] == ["w.warc.gz"]
    assert [item.name for item in find_inputs([str(crawl / ".snapshot")])] == ["w.warc.gz"]
    assert [item.name for item in find_inputs([str(crawl / ".w.warc.gz")])] == [".w.warc.gz"]


@pytest.mark.parametrize("argument", ["crawl", "crawl/x.warc.gz", "crawl/*.gz"])
@pytest.mark.parametrize("target", ["gone.warc.gz", "x.warc.gz"])
def test_a_link_that_leads_nowhere_is_named(tmp_path, argument, target):
    """Nowhere, or to itself."""
    crawl = tmp_path / "crawl"
    crawl.mkdir()
    write_warc(crawl / "a.warc.gz", {"http://a.example/": page()})
    (crawl / "notes.txt").symlink_to("gone.txt")
    (crawl / "x.warc.gz").symlink_to(target)
    with pytest.raises(InputError, match=rf"crawl/x\.warc\.gz is a link to {target}, which is not there"):
        find_inputs([str(tmp_path / argument)])
    (crawl / "x.warc.gz").unlink()
    assert [item.name for item in find_inputs([str(crawl)])] == ["a.warc.gz"]


def test_links_to_archives_are_read(tmp_path):
    (tmp_path / "crawl").mkdir()
    (tmp_path / "crawl" / "x.warc.gz").symlink_to(write_warc(tmp_path / "a", {"http://a.example/": page()}))
    assert [item.name for item in find_inputs([str(tmp_path / "crawl")])] == ["x.warc.gz"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_that_can_not_be_read_is_named(tmp_path):
    write_warc(tmp_path / "a.warc.gz", {"http://a.example/": page()})
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(InputError, match=r"closed can't be read: Permission denied"):
        find_inputs([str(tmp_path)])


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (([CRAWL],), ConfigError, "--limit"),
        ((["CC-MAIN-2026-99"], 1), ConfigError, "year and a week"),
        ((["cc-main-2026-43"], 1), ConfigError, "year and a week"),
        ((["CC-NEWS-2026"], 1), ConfigError, "year and a week"),
        ((["CC-MAIN-20260101-0001.warc.gz"],), InputError, "There is no file"),
        ((["CC-MAIN-2026-44"], 1, "{http}"), InputError, "CC-MAIN-2026-44 can't be looked up.*404"),
        ((["CC-MAIN-2026-44"], 1, "{s3}"), InputError, "CC-MAIN-2026-44 can't be looked up.*404"),
        ((["CC-MAIN-2026-44"], 1, "{local}"), InputError, "CC-MAIN-2026-44 can't be looked up.*No such file"),
        ((["CC-MAIN-2026-44"], 1, "http://me:pw@127.0.0.1/"), ConfigError, "user name"),
        ((["CC-MAIN-2013-20"], 1, "{local}"), InputError, "damaged"),
        ((["CC-MAIN-2013-48"], 1, "{local}"), InputError, "not a path below"),
        ((["x.warc.gz"], None, "{http}"), ConfigError, "--base"),
        ((["{http}/bucket/"],), ConfigError, "web servers don't list files"),
        ((["{http}/bucket/*.warc.gz"],), ConfigError, "web servers don't list files"),
        (
            (["{http}/none.warc.gz?sig=SECRET"],),
            InputUnreachable,
            r"none.warc.gz can't be read: there is nothing \(404\)",
        ),
        ((["{http}/" + SEGMENT + "/a.warc.gz", "{http}/none.warc.gz"],), InputUnreachable, "nothing"),
        ((["ftp://host/x.warc.gz"],), ConfigError, "https"),
        ((["https://[::bad/x.warc.gz"],), ConfigError, "not a valid URL"),
        ((["s3://me:SECRET@bucket/nothing/"],), InputError, "no archive"),
        ((["s3://me:SECRET@bucket/*.warc.gz"],), InputError, "no object"),
        ((["s3://"],), ConfigError, "no bucket"),
        ((["s3://bucket/a//x.warc.gz"],), ConfigError, "empty parts"),
        ((["x" * 300],), InputError, "can't be read: File name too long"),
        ((["s3://bucket/none.warc.gz"],), InputUnreachable, "nothing"),
    ],
)
def test_what_is_wrong_is_said_before_work_starts(base, folder, arguments, error, says):
    for name, content in (("2013-20", b"junk"), ("2013-48", gzip.compress(b"../../etc/passwd\n"))):
        (folder / "bucket" / "crawl-data" / f"CC-MAIN-{name}").mkdir(exist_ok=True)
        (folder / "bucket" / "crawl-data" / f"CC-MAIN-{name}" / "warc.paths.gz").write_bytes(content)
    given, *rest = arguments
    rest = [value.format(**base) if isinstance(value, str) else value for value in rest]
    with pytest.raises(error, match=says) as caught:
        find_inputs([argument.format(**base) for argument in given], *rest)
    assert "SECRET" not in str(caught.value)


def test_a_name_that_no_output_could_hold_is_refused(folder, tmp_path):
    file = tmp_path / "a\udcff.warc.gz"
    shutil.copy(folder / "bucket" / SEGMENT / "a.warc.gz", file)
    with pytest.raises(InputError, match=r"a\\udcff\.warc\.gz' is not UTF-8"):
        find_inputs([str(tmp_path)])


@pytest.mark.parametrize("place", ["http", "local"])
def test_an_input_that_changes_in_mid_run_stops_it(base, folder, tmp_path, monkeypatch, place):
    file = folder / "bucket" / "changes.warc.gz"
    shutil.copy(folder / "bucket" / SEGMENT / "a.warc.gz", file)
    tasks = []

    def change(payload):
        tasks.append(payload)
        if len(tasks) == 2:  # the same size, and the same first and last bytes
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 1
            file.write_bytes(content)
        return run_unit_task(payload)

    monkeypatch.setattr(jobs.build.units, "run_unit_task", change)
    made = job([f"{base[place]}/changes.warc.gz"], tmp_path / "out", unit_bytes=1000)
    try:
        with pytest.raises(InputChanged, match=r"changes\.warc\.gz changed while the run was reading it"):
            build_quietly(made)
    finally:
        file.unlink()
    assert len(tasks) <= 3  # one task may have begun when the other ended
    assert not (tmp_path / "out" / "run.json").exists()


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """An archive of 2 MB, of which a third is in the samples of its identity, and a finished run on it."""
    made = tmp_path_factory.mktemp("large")
    rng = random.Random(3)
    with open(made / "large.warc.gz", "wb") as out:
        for number in range(100):
            block = http(page(str(number), " ".join(rng.choices(WORDS.split(), k=3_000))))
            out.write(gzip.compress(record("response", f"http://{number}.example/", block, number), 0, mtime=0))
    assert build_quietly(job([made / "large.warc.gz"], made / "out", unit_bytes=500_000)).exit_code == 0
    return made


def change_middle(path, keep_time=False):
    """Change a byte of the second of four units that no sample holds."""
    before, times = find_inputs([str(path)])[0].identity, os.stat(path)
    for at in range(700_000, 900_000, 10_000):
        content = bytearray(path.read_bytes())
        content[at] ^= 1
        path.write_bytes(content)
        if find_inputs([str(path)])[0].identity == before:
            break
        content[at] ^= 1
        path.write_bytes(content)
    else:
        raise AssertionError("every place is in a sample")
    if keep_time:
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.fixture
def own(large, tmp_path):
    """A copy of the archive, and of its run."""
    shutil.copytree(large, tmp_path / "own")
    return tmp_path / "own"


SINCE = r"large\.warc\.gz changed since the run read it"


@pytest.mark.parametrize("keep_time", [False, True])
def test_a_finished_run_notices_a_change_in_the_middle(own, keep_time):
    made = job([own / "large.warc.gz"], own / "out")
    assert build_quietly(made).already_done
    before = tree(own / "out")
    change_middle(own / "large.warc.gz", keep_time)
    with pytest.raises(InputChanged, match=SINCE):
        build_quietly(made)
    assert tree(own / "out") == before


def test_a_finished_run_minds_no_other_times_or_places_of_equal_bytes(own, tmp_path, capsys):
    archive = own / "large.warc.gz"
    os.utime(archive)
    assert build_quietly(job([archive], own / "out")).already_done
    assert "are read again" in capsys.readouterr().err
    shutil.move(archive, tmp_path / "large.warc.gz")
    assert build_quietly(job([tmp_path / "large.warc.gz"], own / "out")).already_done
    timings = json.loads((own / "out" / "timings.json").read_text())
    for told in ("no JSON", "[]", "{}", '{"seen": [1]}', '{"seen": [{"warc": "large.warc.gz", "start": "x"}]}'):
        (own / "out" / "timings.json").write_text(told)
        assert build_quietly(job([tmp_path / "large.warc.gz"], own / "out")).already_done
    timings["seen"][-1]["ends"][-1] = 1 << 60  # reading ends with the file
    (own / "out" / "timings.json").write_text(json.dumps(timings))
    assert build_quietly(job([tmp_path / "large.warc.gz"], own / "out")).already_done


def test_archives_whose_times_are_as_they_were_are_not_read_again(large, monkeypatch):
    monkeypatch.setattr("corpus.sandbox.seen.digest_of_range", None)
    assert build_quietly(job([large / "large.warc.gz"], large / "out")).already_done


def half_done(archive, out, monkeypatch):
    """A run of which the last two of four units failed."""

    def fail(payload):
        if payload["unit"]["start"] > 900_000:
            raise RuntimeError("not now")
        return run_unit_task(payload)

    with monkeypatch.context() as patched:
        patched.setattr(jobs.build.units, "run_unit_task", fail)
        assert build_quietly(job([archive], out, unit_bytes=500_000)).exit_code == 3


@pytest.mark.parametrize("keep_time", [False, True])
def test_a_half_done_run_notices_a_change_in_the_middle(own, tmp_path, monkeypatch, keep_time):
    half_done(own / "large.warc.gz", tmp_path / "out", monkeypatch)
    change_middle(own / "large.warc.gz", keep_time)
    with pytest.raises(InputChanged, match=SINCE):
        build_quietly(job([own / "large.warc.gz"], tmp_path / "out", unit_bytes=500_000))


def test_a_half_done_run_goes_on_with_a_copy(own, tmp_path, monkeypatch):
    half_done(own / "large.warc.gz", tmp_path / "out", monkeypatch)
    copy = tmp_path / "large.warc.gz"
    shutil.copyfile(own / "large.warc.gz", copy)
    assert build_quietly(job([copy], tmp_path / "out", unit_bytes=500_000)).exit_code == 0
    assert tree(tmp_path / "out") == tree(own / "out")


def test_a_replay_notices_a_change_in_the_middle(own, tmp_path):
    """Also a replay of a replay, whose units were none of the archive's."""
    stages = {"stages": [STAGES["stages"][0], STAGES["stages"][1] | {"chars": {"min": 300, "max": 90_000}}]}
    archive, made = own / "large.warc.gz", [open_run(own / "out")]
    how = lambda: InProcess(), Progress(quiet=True)
    replay(made[0], job([], tmp_path / "first"), Takedown.of(["http://1.example/"]), *how)
    made.append(open_run(tmp_path / "first"))
    change_middle(archive)
    for number, old in enumerate(made):
        with pytest.raises(InputChanged, match=SINCE):
            replay(old, job([archive], tmp_path / str(number), stages), takedown_of(old.store), *how)


@pytest.mark.parametrize("place", ["http", "s3"])
def test_an_etag_tells_of_a_change_in_the_middle(base, folder, large, tmp_path, server, place):
    file = folder / "bucket" / "large.warc.gz"
    shutil.copy(large / "large.warc.gz", file)
    made = job([f"{base[place]}/large.warc.gz"], tmp_path / "out", unit_bytes=500_000)
    try:
        assert build_quietly(made).exit_code == 0
        assert tree(tmp_path / "out") == tree(large / "out")
        assert build_quietly(made).already_done
        assert build_quietly(job([large / "large.warc.gz"], tmp_path / "out")).already_done
        change_middle(file)
        with pytest.raises(InputChanged, match=SINCE):
            build_quietly(made)
        server.etags = False  # the samples are all that is left
        if place == "http":
            assert build_quietly(made).already_done
    finally:
        file.unlink()


def test_a_run_of_the_former_form_is_known_by_both_ends(large, tmp_path):
    """As runs had it until 2026-11: another identity, and nothing that its units have seen."""
    shutil.copytree(large / "out", tmp_path / "out")
    (tmp_path / "out" / "timings.json").unlink()
    with closing(LocalSource(large / "large.warc.gz")) as source:
        ends = digest_of_ends(source)[:32]
    known = [{"name": "large.warc.gz", "identity": ends}]
    found = find_in_run([str(large / "large.warc.gz")], known)
    assert found["large.warc.gz"].identity == ends
    assert build_quietly(job([large / "large.warc.gz"], tmp_path / "out")).already_done


def test_inputs_that_no_server_gives_any_more_stop_a_run(base, folder, tmp_path, monkeypatch):
    file = folder / "bucket" / "goes.warc.gz"
    shutil.copy(folder / "bucket" / SEGMENT / "a.warc.gz", file)
    tasks = []

    def remove(payload):
        tasks.append(payload)
        file.unlink(missing_ok=True)
        return run_unit_task(payload)

    monkeypatch.setattr(jobs.build.units, "run_unit_task", remove)
    monkeypatch.setattr(jobs.build.units, "LOST_IN_A_ROW", 2)
    with pytest.raises(InputUnreachable, match="404"):
        build_quietly(job([f"{base['http']}/goes.warc.gz"], tmp_path / "out", unit_bytes=1000))
    assert len(tasks) <= 3


def test_a_lost_file_is_given_up_and_taken_up_from_elsewhere(base, folder, reference, tmp_path, monkeypatch):
    """One archive of three vanishes, and the others are done. The same command, now with local files, does the rest."""
    file = folder / "bucket" / SEGMENT / "b.warc.gz"
    local = tmp_path / "local"
    shutil.copytree(folder / "bucket" / SEGMENT, local)
    places = [f"{base['http']}/{SEGMENT}/{name}.warc.gz" for name in "abc"]

    def remove(payload):
        file.unlink(missing_ok=True)
        return run_unit_task(payload)

    monkeypatch.setattr(jobs.build.units, "run_unit_task", remove)
    try:
        done = build_quietly(job([place + "?sig=SECRET" for place in places], tmp_path / "out"))
    finally:
        shutil.copy(local / "b.warc.gz", file)
    assert done.exit_code == 3
    assert {unit["warc"] for unit in done.info["quarantined"]} == {"b.warc.gz"}
    assert all(b"SECRET" not in f.read_bytes() for f in (tmp_path / "out").rglob("*") if f.is_file())
    monkeypatch.undo()
    assert build_quietly(job([local], tmp_path / "out")).exit_code == 0
    assert tree(tmp_path / "out") == tree(reference)


@pytest.mark.slow
def test_killed_over_http_and_run_again(base, server, reference, tmp_path):
    """The build is killed while the server holds back an answer, once something is committed. Then the same command
    runs again."""
    out, at = tmp_path / "out", f"{base['http']}/{SEGMENT}/{{}}.warc.gz"

    def begin():
        script = "import sys\nfrom pathlib import Path\nfrom tests.jobs.build.test_build import build_quietly, job\n"
        script += "sys.exit(build_quietly(job(sys.argv[2:], Path(sys.argv[1]), unit_bytes=15_000)).exit_code)"
        return subprocess.Popen([sys.executable, "-c", script, str(out), *(at.format(name) for name in "abc")])

    def hold(path):
        if list(out.glob(".work/commits/pass/*")):
            held.append(path)
            process.wait()

    held = []
    server.before = hold
    process = begin()
    wait_until(lambda: held or process.poll() is not None)
    process.kill()
    process.wait()
    assert held
    assert not (out / "run.json").exists()
    server.before = lambda path: None
    assert begin().wait() == 0
    assert tree(out) == tree(reference)
    assert open_run(out).verify()["ledger"] == 180
