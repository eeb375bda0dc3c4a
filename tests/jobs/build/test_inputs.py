"""The inputs of a build: files, URLs, buckets and crawls by name. They give the same bytes wherever they are."""

import gzip
import random
import shutil
import subprocess
import sys

import pytest

import jobs.build.units
from corpus.errors import ConfigError, InputChanged, InputError, InputUnreachable
from corpus.run import open_run
from jobs.build.inputs import find_inputs
from jobs.runner.task_functions import run_unit_task
from tests.jobs.build.test_build import build_quietly, job, tree
from tests.servers import serving_s3
from tests.waiting import wait_until
from tests.warcs import WORDS, page, write_warc

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
    (archives / "notes.txt").write_text("no archive")
    return made


@pytest.fixture
def server(folder, monkeypatch):
    with serving_s3(folder, monkeypatch) as made:
        yield made


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
    done = build_quietly(job(urls, tmp_path / "out", unit_bytes=15_000), workers=2)
    assert done.exit_code == 0
    assert tree(tmp_path / "out") == tree(reference)
    assert f"{SEGMENT}/a.warc.gz" in (tmp_path / "out" / "timings.json").read_text()
    assert all(b"SECRET" not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


@pytest.mark.parametrize("place", ["http", "s3", "local"])
@pytest.mark.parametrize(("limit", "names"), [(1, "c"), (2, "ac"), (9, "abc")])
def test_the_first_files_of_a_crawl(base, place, limit, names):
    found = find_inputs([CRAWL], limit, base[place])
    assert [item.name for item in found] == [f"{name}.warc.gz" for name in names]


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


def test_files_of_one_name_that_differ_in_the_middle_alone_are_two(server, base, folder, tmp_path):
    """Their first and last bytes are the same."""
    content = bytearray(random.Random(1).randbytes(200_000))
    for name, middle in (("x", 0), ("y", 1)):
        content[100_000] = middle
        for place in (tmp_path, folder / "bucket"):
            (place / name).mkdir()
            (place / name / "same.gz").write_bytes(content)
    for place in (tmp_path, base["http"]):
        with pytest.raises(InputError, match=r"called same\.gz.*/x/same\.gz and .*/y/same\.gz"):
            find_inputs([f"{place}/x/same.gz", f"{place}/y/same.gz"])


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
        ((["{http}/bucket/"],), ConfigError, "web servers list none"),
        ((["{http}/bucket/*.warc.gz"],), ConfigError, "web servers list none"),
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
