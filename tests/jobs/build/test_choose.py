"""Pages of a crawl that are chosen by its columnar index: the right ones, each with one row, the same bytes however the
build runs, and a cost that is told before."""

import json
import random
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from markupsafe import escape

import jobs.build.units
from corpus.errors import ConfigError, InputChanged, InputError, IntegrityError, OutputError
from corpus.run import open_run
from corpus.runs.choice_line import choice_line
from corpus.tables.takedown import Takedown
from jobs.build.audit import audit
from jobs.build.choice import Choice
from jobs.build.choose import VolumeCaptures, choose
from jobs.build.cost import cost_of
from jobs.build.plan import make_plan
from jobs.build.replay_run import replay
from jobs.card.card import write_card
from jobs.report.gather import gather
from jobs.report.render import render
from jobs.runner.engine import Stop
from jobs.runner.execution import executing
from jobs.runner.folder import open_folder
from jobs.runner.progress import Progress
from jobs.runner.task_functions import run_unit_task
from tests.commands import run_command
from tests.crawls import CRAWL, Listed, index_path, table_of, write_archive, write_index, write_lists
from tests.engines import InProcess
from tests.jobs.build.test_build import build_quietly, job, tree
from tests.jobs.build.test_remove import take_down
from tests.servers import serving
from tests.warcs import WORDS, page

HOSTS = ["a.example", "www.a.example", "b.example", "deep.sub.b.example", "xa.example", "a-b.example", "c.test"]
LANGUAGES = ["eng", "deu", "deu,eng", "eng,deu", None]
GERMAN = Choice(languages=("deu",))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A copy of a crawl of three archives, and what its index lists."""
    base, rng, listed = tmp_path_factory.mktemp("crawl"), random.Random(3), []
    for name in "cab":
        pages = {}
        for n in range(60):
            url = f"https://{rng.choice(HOSTS)}/{name}/{rng.choice(['news', 'a_b%20c'])}/{n}?q=1"
            pages[url] = page(f"Page {n}", " ".join(rng.choices(WORDS.split(), k=60 + n))), rng.choice(LANGUAGES)
        listed += write_archive(base, f"{name}.warc.gz", pages)
    write_copy(base, listed)
    return base, listed


def write_copy(base, listed, table=None, **options):
    """Write the index and the lists of a copy that has the archives."""
    files = write_index(base, table_of(listed) if table is None else table, files=3, **options)
    write_lists(base, dict.fromkeys(one.archive for one in listed), [index_path(0, "crawldiagnostics"), *files])


@pytest.fixture
def copy(made, tmp_path):
    """A copy that a test may change, and what its index lists."""
    shutil.copytree(made[0], tmp_path / "copy")
    return tmp_path / "copy", list(made[1])


def chosen_job(base, out, choice=GERMAN, **options):
    return replace(job([], out, **options), inputs=[CRAWL], choice=choice, base=str(base))


@pytest.fixture(scope="module")
def reference(made, tmp_path_factory):
    out = tmp_path_factory.mktemp("reference") / "out"
    assert build_quietly(chosen_job(made[0], out, unit_bytes=3_000)).exit_code == 0
    return out


def in_german(listed):
    return [one for one in listed if (one.languages or "").split(",")[0] == "deu"]


def rows_of(out):
    return open_run(out).ledger().to_pylist()


def places_of(listed):
    return sorted((one.archive.rpartition("/")[2], one.offset) for one in listed)


def chosen_places(tmp_path, base, choice, **options):
    """The places that tasks choose, without reading any page."""
    made = chosen_job(base, tmp_path / "out", choice, **options)
    plan, places = make_plan(made), []
    with Stop() as stop, executing(open_folder(tmp_path / "work"), InProcess, stop, Progress(quiet=True)) as execution:
        chosen = choose(execution, choice, plan.index, plan.inputs, made.base, 1)
        for number in chosen.volumes:
            for piece in VolumeCaptures(execution.store, chosen.list, number).pieces(1_000):
                places += [(plan.inputs[number].name, offset) for offset in piece["offset"].to_pylist()]
    return sorted(places)


def cost(base, out, choice=GERMAN, **options):
    made = chosen_job(base, out, choice, **options)
    return cost_of(made, make_plan(made), InProcess, Progress(quiet=True)).as_dict()


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        (GERMAN, lambda url, languages: languages[:3] == "deu"),
        (Choice(languages=("deu", "eng")), lambda url, languages: languages != ""),
        (Choice(domains=("a.example",)), lambda url, languages: ".a.example/" in url or "//a.example/" in url),
        (Choice(domains=("www.a.example",)), lambda url, languages: "//www.a.example/" in url),
        (Choice(domains=("sub.b.example", "c.test")), lambda url, languages: "deep" in url or "c.test" in url),
        (Choice(domains=("test",)), lambda url, languages: "c.test" in url),
        (Choice(urls_like=("https://b.example/*",)), lambda url, languages: "//b.example/" in url),
        (Choice(urls_like=("*/news/*",)), lambda url, languages: "/news/" in url),
        (Choice(urls_like=("*/a_b%20c/7?q=1", "*/8?q=1")), lambda url, languages: "c/7?" in url or "/8?" in url),
        (Choice(("*/news/*",), ("eng",), ("example",)),
         lambda url, languages: "/news/" in url and languages[:3] == "eng" and "example" in url),
    ],
)  # fmt: skip
def test_each_condition_chooses_its_pages(made, tmp_path, choice, wanted):
    base, listed = made
    expected = places_of(one for one in listed if wanted(one.url, one.languages or ""))
    assert 0 < len(expected) < len(listed)
    assert chosen_places(tmp_path, base, choice) == expected


def test_patterns_have_one_special_character_and_stand_for_the_whole_url(made, tmp_path):
    for pattern in ("https://b.example/", "https://?.example/*", "*/n_ws/*", "*/a.b%20c/*", "https://b.example.*"):
        with pytest.raises(InputError, match="No page of the archives meets the conditions"):
            chosen_places(tmp_path / str(len(pattern)), made[0], Choice(urls_like=(pattern,)))


def test_chosen_pages_have_one_row_each_and_run_json_says_how_they_were_chosen(made, reference):
    wanted = in_german(made[1])
    assert [(row["warc"], row["offset"]) for row in rows_of(reference)] == places_of(wanted)
    assert {row["url"] for row in rows_of(reference)} == {one.url for one in wanted}
    info = open_run(reference).info
    assert info["records"]["in"] == info["chosen"]["captures"] == len(wanted)
    assert info["records"]["kept"] > 0
    assert info["records"]["failed"] == info["other_records"] == {}
    assert info["choice"].items() >= {"crawls": [CRAWL], "languages": ["deu"], "domains": [], "urls_like": []}.items()
    assert info["chosen"].items() >= {"archives": 3, "elsewhere": 0, "repeated": 0}.items()
    assert info["chosen"]["index"].items() >= {"files": 3, "rows": len(made[1])}.items()


def test_cards_and_reports_tell_the_choice(made, reference, tmp_path):
    run = open_run(reference)
    write_card(run, tmp_path / "card", {})
    counts = f"{len(in_german(made[1])):,} of the {len(made[1]):,} captures in the index were chosen."
    told = f"Only chosen pages were read, by the index of {CRAWL}: their main language is `deu`. {counts}"
    for name in ("README.md", "training_content.md"):
        assert told in (tmp_path / "card" / name).read_text()
    assert escape(told.replace("`", '"')) in render(gather(run))


def test_the_line_about_a_choice_is_short_and_has_no_markup():
    choice = Choice(("https://*.example/`#\n",), (), tuple(f"d{number}.example" for number in range(40)))
    chosen = {"captures": 3, "index": {"rows": 2_000}}
    line = choice_line({"choice": {"crawls": [CRAWL], **choice.as_dict()}, "chosen": chosen})
    assert "`https://*.example/\ufffd#\ufffd`" in line and line.count("`") == 2 * 21
    assert "and their URL is like" in line and " or 20 more" in line and "3 of the 2,000" in line
    many = Choice(domains=tuple(f"d{number}.example" for number in range(500)))
    line = choice_line({"choice": {"crawls": [CRAWL], **many.as_dict()}, "chosen": chosen})
    assert "their domain is one of 500 (SHA-256 of the list: " in line
    assert choice_line({"records": {}}) == ""


@pytest.mark.parametrize(
    ("volumes", "in_unit", "workers", "unit_bytes"),
    [(1, 256, 1, None), (2, 7, 1, 900), pytest.param(9, 7, 2, 3_000, marks=pytest.mark.slow)],  # starts processes
)
def test_the_same_bytes_however_pages_are_divided(
    made, reference, tmp_path, monkeypatch, volumes, in_unit, workers, unit_bytes
):
    monkeypatch.setattr("jobs.build.volumes.MOST_CHOSEN", volumes)
    monkeypatch.setattr("jobs.build.choose.CAPTURES_IN_UNIT", in_unit)
    again = chosen_job(made[0], tmp_path / "out", unit_bytes=unit_bytes, workers=workers)
    assert build_quietly(again, workers).exit_code == 0
    assert tree(tmp_path / "out") == tree(reference)
    assert build_quietly(again).already_done


def test_archives_without_chosen_pages_are_no_inputs(made, tmp_path):
    one = made[1][0]
    assert build_quietly(chosen_job(made[0], tmp_path / "out", Choice(urls_like=(one.url,)))).exit_code == 0
    assert [item["name"] for item in open_run(tmp_path / "out").info["inputs"]] == ["c.warc.gz"]
    assert [row["url"] for row in rows_of(tmp_path / "out")] == [one.url]


def test_limit_and_sample_say_in_which_archives(made, tmp_path):
    base, listed = made
    first = [one for one in in_german(listed) if one.archive.endswith("/c.warc.gz")]
    assert chosen_places(tmp_path / "limit", base, GERMAN, limit=1) == places_of(first)
    found = cost(base, tmp_path / "out", sample=2, seed=1)
    assert found["captures"] + found["elsewhere"] == len(in_german(listed))
    assert found["archives"] == 2


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """An index of 15,000 captures of 300 hosts, with and without statistics. The archives are not there."""
    rng, listed = random.Random(5), []
    for n in range(15_000):
        url = f"https://h{n % 300}.example/{rng.randbytes(24).hex()}"
        archive = f"crawl-data/{CRAWL}/segments/1.1/warc/{n % 7}.warc.gz"
        listed.append(Listed(url, rng.choice(LANGUAGES), archive, rng.randrange(1 << 30), rng.randrange(1, 40_000)))
    bases = {statistics: tmp_path_factory.mktemp("large") for statistics in (True, False)}
    for statistics, base in bases.items():
        write_copy(base, listed, rows=500, write_statistics=statistics)
    return bases, listed


ENDS = 3 * 2 * (64 << 10)
"""The bytes that are always read of its files: both ends, and with them the footer."""


@pytest.fixture
def small_ends(monkeypatch):
    monkeypatch.setattr("jobs.build.crawl_index._END_BYTES", 64 << 10)


@pytest.mark.parametrize(
    "choice",
    [
        Choice(domains=("h7.example",)),
        Choice(domains=("h7.example",), languages=("deu",)),
        Choice(urls_like=("https://h7.example/*",)),
    ],
)
@pytest.mark.usefixtures("small_ends")
def test_row_groups_without_chosen_pages_are_not_read(large, tmp_path, choice):
    bases, _ = large
    pruned, whole = (cost(bases[known], tmp_path / "out", choice) for known in (True, False))
    assert pruned["captures"] == whole["captures"] > 0
    # one with the host, and one where it would be with a port
    assert (pruned["index"]["row_groups"], whole["index"]["row_groups"]) == (2, 30)
    assert pruned["index"]["requests"] <= 3 * 2 + 2 * 4 < whole["index"]["requests"]
    assert pruned["index"]["read"] < whole["index"]["read"]


@pytest.mark.usefixtures("small_ends")
def test_only_columns_that_are_needed_are_read(large, tmp_path):
    base, read, requests = large[0][True], 0, 0
    for number in range(3):
        path = base / index_path(number)
        metadata, end = pq.read_metadata(path), path.stat().st_size - (64 << 10)
        for group in map(metadata.row_group, range(metadata.num_row_groups)):
            columns = {group.column(at).path_in_schema: group.column(at) for at in range(group.num_columns)}
            for first, last in (("content_languages",) * 2, ("url", "url"), ("warc_filename", "warc_record_length")):
                start = columns[first].dictionary_page_offset or columns[first].data_page_offset
                after = columns[last].dictionary_page_offset or columns[last].data_page_offset
                after += columns[last].total_compressed_size
                if start < end and after > 64 << 10:  # otherwise it is read with one of the ends
                    requests, read = requests + 1, read + after - start
    index = cost(base, tmp_path / "out")["index"]
    assert (index["requests"], index["read"]) == (requests + 3 * 2, read + ENDS)


def test_a_server_is_asked_for_what_the_dry_run_told(tmp_path):
    """Requests and bytes, for the index and for pages. Near pages are asked for together."""
    base, listed = tmp_path / "copy", []
    for name in "ab":
        pages = {f"https://{name}.example/{n}": (page(f"Page {n}", WORDS[n:]), LANGUAGES[n % 3]) for n in range(12)}
        listed += write_archive(base, f"{name}.warc.gz", pages, {f"https://{name}.example/{n}" for n in (2, 5)})
    write_copy(base, listed)
    with serving(base) as server:

        def asked(kind):
            found = [length for path, _, length in server.asked if kind in path and "paths" not in path]
            return len(found), sum(found)

        told = cost(server.url, tmp_path / "out")
        opened = (base / index_path(0)).stat().st_size  # one request finds out that it is an index
        assert asked("parquet") == (told["index"]["requests"] + 1, told["index"]["read"] + opened)
        server.asked.clear()
        assert build_quietly(chosen_job(server.url, tmp_path / "out")).exit_code == 0
        assert asked("warc.gz") == (told["pages"]["requests"], told["pages"]["bytes"])
        assert told["pages"]["requests"] == 2 * (1 + 3)  # the start, and the pages before, between and after two gaps
        assert told["pages"]["bytes"] < sum(path.stat().st_size for path in base.rglob("*.warc.gz"))
    assert build_quietly(chosen_job(base, tmp_path / "local")).exit_code == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "local")


def test_an_index_that_leads_to_no_such_page_gives_a_failed_row(copy, tmp_path):
    base, listed = copy
    german = sorted(in_german(listed), key=lambda one: (one.archive, one.offset))
    fine, wrong = german[:-6], german[-6:]
    path = base / wrong[0].archive
    changed = [
        replace(wrong[0], offset=wrong[0].offset + 1),  # inside a member
        replace(wrong[1], url="https://a.example/another"),
        replace(wrong[2], length=wrong[2].length - 9),
        replace(wrong[3], offset=10 * path.stat().st_size),
        replace(wrong[4], offset=0, length=400),  # the record of the archive itself
        replace(wrong[5], length=path.stat().st_size),  # the file ends before the length, but after the page
    ]
    others = [one for one in listed if one not in wrong]
    write_copy(base, [*others, *changed, fine[0]])  # one is listed twice
    assert build_quietly(chosen_job(base, tmp_path / "out", unit_bytes=2_000)).exit_code == 0
    info = open_run(tmp_path / "out").info
    assert info["records"]["in"] == info["chosen"]["captures"] == len(german)
    assert info["chosen"]["repeated"] == 1
    assert info["records"]["failed"] == {"damaged": 5}
    assert info["other_records"] == {}
    rows = rows_of(tmp_path / "out")
    assert [(row["warc"], row["offset"]) for row in rows] == places_of([*fine, *changed])
    kinds = {row["offset"]: row["detail"].partition(":")[0] for row in rows if row["rule"] == "damaged"}
    assert kinds == {one.offset: "truncated" if one is changed[3] else "index" for one in changed[:5]}
    assert not {row["url"] for row in rows if row["rule"] == "damaged"} - {"", None}


def test_an_archive_that_was_cut_gives_a_row_for_each_chosen_page(copy, tmp_path):
    base, listed = copy
    last = max(in_german(listed), key=lambda one: (one.archive, one.offset))
    path = base / last.archive
    path.write_bytes(path.read_bytes()[: last.offset + last.length - 5])
    assert build_quietly(chosen_job(base, tmp_path / "out")).exit_code == 0
    info = open_run(tmp_path / "out").info
    assert info["records"]["in"] == len(in_german(listed))
    assert info["records"]["failed"] == {"damaged": 1}


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda table: table.drop_columns(["warc_record_offset"]), "has no column 'warc_record_offset'"),
        (lambda table: table.drop_columns(["content_languages"]), "has no column 'content_languages'"),
        (lambda table: table.set_column(*as_text(table, "warc_record_length")), "has string, not whole numbers"),
        (lambda table: table.set_column(*as_null(table, "warc_record_offset")), "a capture without a place"),
        (lambda table: table.set_column(*as_null(table, "url")), "a capture without a place or a URL"),
    ],
)
def test_an_index_of_another_form_is_refused(copy, tmp_path, harm, message):
    base, listed = copy
    write_copy(base, listed, harm(table_of(listed)))
    with pytest.raises((InputError, IntegrityError), match=message):
        build_quietly(chosen_job(base, tmp_path / "out"))
    assert not (tmp_path / "out" / "run.json").exists()


def as_text(table, name):
    return table.schema.get_field_index(name), name, table[name].cast(pa.string())


def as_null(table, name):
    return table.schema.get_field_index(name), name, pa.nulls(len(table), table[name].type)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("harm", [lambda data: data[:-30], lambda data: b"no parquet", lambda data: None])
def test_a_damaged_file_of_the_index_is_named(copy, tmp_path, harm, number):
    base, _ = copy
    path = base / index_path(number)
    data = harm(path.read_bytes())
    path.unlink() if data is None else path.write_bytes(data)
    with pytest.raises((InputError, IntegrityError), match=rf"part-0000{number}.*(is damaged|can't be read)"):
        build_quietly(chosen_job(base, tmp_path / "out"))
    assert (tmp_path / "out").exists() == (number > 0)  # the first file is tried before anything is written


def test_harm_inside_a_file_of_the_index_is_an_error(copy, tmp_path):
    base, _ = copy
    path = base / index_path(2)
    column = pq.read_metadata(path).row_group(1).column(9)
    data = bytearray(path.read_bytes())
    start = column.dictionary_page_offset
    data[start : start + column.total_compressed_size] = bytes(column.total_compressed_size)
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"part-00002.*is damaged"):
        build_quietly(chosen_job(base, tmp_path / "out"))


@pytest.mark.parametrize(
    "path", ["../secret.parquet", "/etc/passwd", f"cc-index/crawl={CRAWL}/subset=warc/../a.parquet"]
)
def test_a_list_that_leaves_the_copy_is_refused(copy, tmp_path, path):
    base, listed = copy
    write_lists(base, [listed[0].archive], [path])
    with pytest.raises(InputError, match="which is not a path below it"):
        build_quietly(chosen_job(base, tmp_path / "out"))


def test_an_archive_that_the_crawl_does_not_list_is_never_opened(copy, tmp_path):
    base, listed = copy
    outside = write_archive(tmp_path, "outside.warc.gz", {"https://a.example/out": (page(), "deu")})[0]
    leads_out = replace(outside, archive=f"../{outside.archive}")
    write_index(base, table_of([*listed, leads_out]), files=3)
    found = cost(base, tmp_path / "out")
    assert (found["captures"], found["elsewhere"]) == (len(in_german(listed)), 1)


def test_a_crawl_without_an_index_and_a_choice_without_a_crawl_are_refused(copy, tmp_path):
    base, listed = copy
    write_lists(base, [listed[0].archive], [index_path(0, "crawldiagnostics")])
    with pytest.raises(InputError, match=f"names no file of crawl={CRAWL}/subset=warc"):
        build_quietly(chosen_job(base, tmp_path / "out"))
    (base / "crawl-data" / CRAWL / "cc-index-table.paths.gz").unlink()
    with pytest.raises(InputError, match="can't be looked up"):
        build_quietly(chosen_job(base, tmp_path / "out"))
    archive = base / listed[0].archive
    with pytest.raises(ConfigError, match="is no crawl"):
        build_quietly(replace(chosen_job(base, tmp_path / "out"), inputs=[CRAWL, str(archive)]))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (((), ["de"], ()), "'de' is not the code of a language"),
        (((), (), ["a.example/path"]), "is a URL, not a domain"),
        (((), (), ["a b.example"]), "is not a domain"),
        ((["a.example/*"], (), ()), "No URL is like 'a.example/"),
    ],
)
def test_conditions_that_no_page_can_meet_are_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        Choice.of(*given)


def test_conditions_in_any_order_and_form_are_one_choice():
    one = Choice.of(["*/b", "*/a"], ["eng", "deu"], ["*.B.example", "https://a.example/", "b.example"])
    assert one == Choice(("*/a", "*/b"), ("deu", "eng"), ("a.example", "b.example"))
    assert Choice.of((), (), ()) is None
    assert Choice(domains=tuple(f"a{n}.example" for n in range(101))).as_dict()["domains"]["number"] == 101


def half_done(base, out, monkeypatch):
    """A run of which the units of an archive failed."""

    def fail(payload):
        if payload["unit"]["warc"] == "b.warc.gz":
            raise RuntimeError("not now")
        return run_unit_task(payload)

    with monkeypatch.context() as patched:
        patched.setattr(jobs.build.units, "run_unit_task", fail)
        assert build_quietly(chosen_job(base, out, unit_bytes=3_000)).exit_code == 3
    return open_run(out).info


def test_a_run_with_failed_units_is_completed(made, reference, tmp_path, monkeypatch):
    info = half_done(made[0], tmp_path / "out", monkeypatch)
    assert {unit["warc"] for unit in info["quarantined"]} == {"b.warc.gz"}
    assert build_quietly(chosen_job(made[0], tmp_path / "out", unit_bytes=3_000)).exit_code == 0
    assert tree(tmp_path / "out") == tree(reference)


@pytest.mark.parametrize("choice", [GERMAN, Choice(urls_like=("*/b/*",))])
def test_of_a_volume_only_the_archive_that_can_not_be_looked_up_is_left_out(copy, tmp_path, monkeypatch, choice):
    """With the second choice, the other archives have no page that is read."""
    base, listed = copy
    made = chosen_job(base, tmp_path / "out", choice, unit_bytes=3_000)
    whole = chosen_job(base, tmp_path / "whole", choice, unit_bytes=3_000)
    assert build_quietly(whole).exit_code == 0
    monkeypatch.setattr("jobs.build.volumes.MOST_CHOSEN", 1)
    (lost,) = {base / one.archive for one in listed if one.archive.endswith("b.warc.gz")}
    lost.rename(tmp_path / "lost")
    first = build_quietly(made)
    assert first.exit_code == 3
    assert [(unit["warc"], unit["start"]) for unit in first.info["quarantined"]] == [("b.warc.gz", 0)]
    read = [row for row in rows_of(tmp_path / "whole") if row["warc"] != "b.warc.gz"]
    assert rows_of(tmp_path / "out") == read
    (tmp_path / "lost").rename(lost)
    assert build_quietly(made).exit_code == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_another_choice_and_another_index_are_refused(copy, tmp_path, monkeypatch):
    base, listed = copy
    half_done(base, tmp_path / "out", monkeypatch)
    with pytest.raises(OutputError, match=r'choice.languages: \["deu"\] → \["eng"\]'):
        build_quietly(chosen_job(base, tmp_path / "out", Choice(languages=("eng",)), unit_bytes=3_000))
    with pytest.raises(OutputError, match=r"choice\.archives"):
        build_quietly(chosen_job(base, tmp_path / "out", unit_bytes=3_000, limit=1))
    write_copy(base, listed[1:])
    with pytest.raises(InputChanged, match=r"part-.*changed since the run read it"):
        build_quietly(chosen_job(base, tmp_path / "out", unit_bytes=3_000))


def changed_page(base, listed):
    """Change a chosen page in its archive, not its size."""
    one = in_german(listed)[-1]
    path = base / one.archive
    data = bytearray(path.read_bytes())
    data[one.offset + one.length // 2] ^= 1
    path.write_bytes(data)


def test_an_archive_that_changes_while_a_run_is_stopped_is_noticed(copy, tmp_path, monkeypatch):
    base, listed = copy
    half_done(base, tmp_path / "out", monkeypatch)
    changed_page(base, [one for one in listed if not one.archive.endswith("b.warc.gz")])
    with pytest.raises((InputChanged, IntegrityError), match="changed since the run read it"):
        build_quietly(chosen_job(base, tmp_path / "out", unit_bytes=3_000))


def test_a_finished_run_knows_its_index_and_its_archives(copy, reference, tmp_path):
    base, listed = copy
    out = tmp_path / "out"
    shutil.copytree(reference, out)
    again = chosen_job(base, out, unit_bytes=3_000)
    assert build_quietly(again).already_done
    write_copy(base, listed[1:])
    with pytest.raises(InputChanged, match="index of the crawl changed"):
        build_quietly(again)
    write_copy(base, listed)
    path = base / listed[0].archive
    path.write_bytes(b"\0" + path.read_bytes()[1:])
    with pytest.raises(InputChanged, match=r"c\.warc\.gz changed"):
        build_quietly(again)


def test_another_reader_counts_the_chosen_pages(made, reference):
    found = audit(open_run(reference), [str(made[0])])
    assert sum(one.counted for one in found) == len(in_german(made[1]))
    assert all(one.counted == one.in_ledger and not one.ended for one in found)


def test_other_limits_give_the_run_that_a_build_would_give(made, reference, tmp_path):
    limits = {"stages": [{"stage": "url"}, {"stage": "paragraphs", "chars": {"min": 420, "max": 900}}]}
    tuned = job([made[0]], tmp_path / "tuned", limits)
    assert replay(open_run(reference), tuned, Takedown(), InProcess, Progress(quiet=True)).exit_code == 0
    assert build_quietly(replace(chosen_job(made[0], tmp_path / "built"), recipe=tuned.recipe)).exit_code == 0
    assert tree(tmp_path / "tuned") == tree(tmp_path / "built") != tree(reference)


def test_chosen_pages_are_removed(made, reference, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(reference, out)
    assert take_down(out, domains=["b.example"]).result.exit_code == 0
    info = open_run(out).info
    assert info["records"]["in"] == len(in_german(made[1]))
    assert sum(info["records"]["dropped"]["removed"].values()) == sum(
        "//b.example/" in one.url or ".b.example/" in one.url for one in in_german(made[1])
    )
    assert build_quietly(chosen_job(made[0], out)).already_done
    assert build_quietly(chosen_job(made[0], tmp_path / "other")).exit_code == 0


def test_on_the_command_line(made, tmp_path, capsys):
    base, listed = made
    (tmp_path / "domains.txt").write_text("# mine\nb.example\n\nc.test\n")
    out = tmp_path / "out"
    command = [
        "build",
        CRAWL,
        "--base",
        base,
        "--domains",
        tmp_path / "domains.txt",
        "--languages",
        "eng,deu",
        "-o",
        out,
    ]
    assert run_command(*command, "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    wanted = [one for one in listed if one.languages and re.search(r"[/.]b\.example/|c\.test/", one.url)]
    assert (told["captures"], told["archives"]) == (len(wanted), 3)
    assert run_command(*command, "--dry-run") == 0
    assert f"Chosen: {len(wanted)} pages in 3 of 3 archives." in capsys.readouterr().err
    assert not out.exists()
    assert run_command("build", base / listed[0].archive, "--languages", "deu", "-o", out) == 2
    assert "is no crawl" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("--languages", ","), ("--domains", " , "), ("--domains", "FILE")])
def test_an_option_that_names_nothing_does_not_choose_everything(words, tmp_path):
    empty = tmp_path / "domains.txt"
    empty.write_text("# none yet\n\n")
    given = ("build", CRAWL, "-o", tmp_path / "out", words[0], words[1].replace("FILE", str(empty)))
    done = subprocess.run([sys.executable, "-m", "jobs.cli", *map(str, given)], capture_output=True, text=True)
    assert done.returncode == 2
    assert "names none" in done.stderr
    assert not (tmp_path / "out").exists()
