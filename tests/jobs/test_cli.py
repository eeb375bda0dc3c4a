"""The command line: exit codes, one-sentence errors, help with examples, JSON on stdout and text for people on
stderr."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from jobs.cli import cli, main
from jobs.runner.progress import Progress
from tests.commands import run_command
from tests.jobs.build.test_build import tree
from tests.warcs import http, page, record

ROOT = Path(__file__).parents[2]
EVERY_BUILT = pytest.mark.parametrize("built", ["archives", "documents"], indirect=True)


def commands(group=cli, path=()):
    """Every command, by its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize(
    ("words", "environment", "own_process", "early"),
    [
        (["build", "no.warc.gz", "-o", "out"], {}, True, True),
        (["build", "no.warc.gz", "-o", "out", "--dry-run"], {}, True, False),
        (["build", "no.warc.gz", "-o", "out", "--ray"], {}, True, False),
        (["build", "no.warc.gz", "--address=auto", "--out=out"], {}, True, False),
        (["build", "no.warc.gz", "-o", "out"], {"RAY_ADDRESS": "here:1"}, True, False),
        (["build", "CC-MAIN-20260101000000-20260101030000-00000.warc.gz", "-o", "out"], {}, True, True),
        (["build", "http://127.0.0.1:1/no.warc.gz", "-o", "out"], {}, True, False),
        (["build", "CC-MAIN-2026-04", "--base=no", "-o", "out"], {}, True, False),
        (["build", "no.warc.gz", "-o", "out", "--help"], {}, True, False),
        (["build", "no.warc.gz"], {}, True, False),
        (["verify", "-o", "out"], {}, True, False),
        (["build", "no.warc.gz", "-o", "out"], {}, False, False),
    ],
)
def test_only_a_build_by_processes_of_this_machine_starts_one_early(
    words, environment, own_process, early, tmp_path, monkeypatch
):
    started = []
    monkeypatch.setattr("jobs.runner.local_process.start_early", started.append)
    monkeypatch.setattr(sys, "argv", ["corpus", *words])
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("RAY_")]:  # Ray leaves some in its process
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("jobs.verbs.options.leave_out_unused", lambda: None)
    with contextlib.suppress(SystemExit):
        main(own_process)
    assert started == (["filters:recipe_from_dict"] if early else [])


@pytest.mark.parametrize("verb", [words for words, _ in commands()], ids=" ".join)
def test_every_verb_has_help_with_an_example(corpus, verb):
    code, out, _ = corpus(*verb, "--help")
    assert code == 0
    assert f"Example: corpus {' '.join(verb)}" in out


@pytest.mark.parametrize("group", [(), ("blocklist",), ("recipes",), ("robots",), ("tokenizer",)])
def test_the_list_of_verbs_cuts_no_description(group):
    command = cli
    for name in group:
        command = command.get_command(click.Context(command), name)
    assert "..." not in click.Context(command, terminal_width=78).get_help().partition("Commands:")[2]


FIRST_WORDS = """
import sys
from jobs.cli import _VERBS, main
assert not {"numpy", "pyarrow", "rich", "corpus"} & sys.modules.keys()  # they take half a second and more
for place in _VERBS.values():
    sys.modules[f"jobs.verbs.{place.partition(':')[0]}"] = None
main()
"""


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        (["build", "in", "-o", "out"], "Planning…\n"),
        (["tune", "run", "--set", "x.y=1"], "Reading the run…\n"),
        (["tokenize", "run", "-o", "out"], "Reading the texts…\n"),
        (["train", "tokens", "-o", "out"], "Reading the tokens…\n"),
        (["build", "--help"], ""),
        (["sample"], ""),
        (["build", "in"], ""),
        (["tune", "run"], ""),
        (["train", "tokens", "--out=out"], "Reading the tokens…\n"),
    ],
)
def test_a_verb_that_works_for_long_says_something_before_its_files_are_imported(verb, words):
    said = subprocess.run([sys.executable, "-c", FIRST_WORDS, *verb], capture_output=True, text=True).stderr
    assert said.startswith(words + "This is a bug")  # as the files can't be imported
    Path(said.split()[-1]).unlink()


def test_build_prints_json_on_stdout_and_the_funnel_on_stderr(built):
    _, _, done = built
    assert json.loads(done.stdout)["records"]["in"] == 3
    assert "kept" in done.stderr
    assert "xxx-videos" not in done.stderr


def test_explain_shows_each_value_beside_its_limit(corpus, built):
    _, out, _ = built
    code, shown, _ = corpus("explain", out, "http://xxx-videos.example/b")
    assert code == 0
    assert "dropped at url.domain: 1 is above max 0 (xxx-videos.example)\n" in shown
    assert re.search(r" domain +1 ◀ +max 0\n", shown)
    assert "min 50, max 100000\n" in corpus("explain", out, "http://good.example/a")[1]
    assert "not reached" in shown


@EVERY_BUILT
def test_explain_gives_the_text_of_a_kept_page(corpus, built):
    _, out, _ = built
    code, shown, _ = corpus("explain", out, "http://good.example/a", "--json")
    row = json.loads(shown)[0]
    assert code == 0
    assert row["outcome"] == "kept"
    assert "three fishermen" in row["text"]
    stage = next(stage for stage in row["stages"] if stage["stage"] == "gopher_quality")
    words = next(measure for measure in stage["measures"] if measure["measure"] == "words")
    assert words["limit"] == {"max": 100000, "min": 50}
    assert words["value"] > 50


def test_explain_finds_a_url_however_it_is_written(corpus, built):
    _, out, _ = built
    code, shown, err = corpus("explain", out, "HTTPS://Good.example:443/%61#top", "--json")
    assert (code, err, json.loads(shown)[0]["url"]) == (0, "", "http://good.example/a")


def test_explain_finds_the_nearest_url(corpus, built):
    _, out, _ = built
    code, shown, err = corpus("explain", out, "http://www.good.example/a/", "--json")
    assert (code, json.loads(shown)[0]["url"]) == (0, "http://good.example/a")
    assert err == "There is no record of http://www.good.example/a/. The nearest URL:\n"
    code, shown, err = corpus("explain", out, "http://good.example/b")
    assert (code, shown) == (1, "")
    assert "Did you mean http://good.example/a or http://good.example/c?" in err


def test_explain_says_that_a_page_was_compared(corpus, built):
    _, out, _ = built
    assert "compared, no duplicate" in corpus("explain", out, "http://good.example/a")[1]
    assert "compared" not in corpus("explain", out, "http://good.example/c")[1]


@EVERY_BUILT
def test_explain_shows_the_text_of_a_dropped_page(corpus, built):
    _, out, _ = built
    code, shown, _ = corpus("explain", out, "http://xxx-videos.example/b", "--text")
    assert code == 0
    assert "three fishermen" in shown
    assert json.loads(corpus("explain", out, "http://xxx-videos.example/b", "--text", "--json")[1])[0]["text"] in shown
    assert "three fishermen" not in corpus("explain", out, "http://xxx-videos.example/b")[1]
    kept, again = (corpus("explain", out, "http://good.example/a", *more, "--json")[1] for more in ([], ["--text"]))
    assert kept == again
    assert "No text was found in the page." in corpus("explain", out, "http://good.example/c", "--text")[1]


@EVERY_BUILT
def test_explain_shows_the_blocks_of_a_page(corpus, built):
    _, out, _ = built
    code, shown, _ = corpus("explain", out, "http://good.example/a", "--blocks")
    text = json.loads(corpus("explain", out, "http://good.example/a", "--json")[1])[0]["text"]
    blocks = json.loads(corpus("explain", out, "http://good.example/a", "--blocks", "--json")[1])[0]["blocks"]
    assert (code, "chance" in shown) == (0, True)
    assert text in "\n".join(block["text"] for block in blocks if block["taken"])  # c4 cut the heading
    assert {tuple(block) for block in blocks} == {("text", "tag", "chance", "taken")}


def test_only_texts_that_were_chosen_by_blocks_have_blocks(corpus, built, tmp_path):
    corpus("build", built[0], "-o", tmp_path / "out", "--set", "extract.engine=resiliparse")
    code, _, err = corpus("explain", tmp_path / "out", "http://good.example/a", "--blocks")
    assert (code, 'extract.engine = "blocks"' in err) == (2, True)


def test_explain_needs_the_archive_for_the_text_of_a_dropped_page(corpus, built, tmp_path):
    archive, out, _ = built
    there = archive.rename(tmp_path / archive.name)
    try:
        code, _, err = corpus("explain", out, "http://xxx-videos.example/b", "--text")
        assert (code, "w.warc.gz" in err) == (1, True)
        _, shown, _ = corpus("explain", out, "http://xxx-videos.example/b", "--text", "--inputs", there, "--json")
        assert "three fishermen" in json.loads(shown)[0]["text"]
    finally:
        there.rename(archive)


@EVERY_BUILT
def test_explain_by_id(corpus, built):
    _, out, _ = built
    _, shown, _ = corpus("explain", out, "http://good.example/c", "--json")
    row = json.loads(shown)[0]
    assert row["rule"] == "body_bytes"
    for own in (row["id"], row["record_id"]):
        code, shown, err = corpus("explain", out, own, "--json")
        assert (code, err, json.loads(shown)[0]["url"]) == (0, "", row["url"])


@EVERY_BUILT
def test_ls_lists_pages(corpus, built):
    _, out, _ = built
    code, shown, err = corpus("ls", out, "--outcome", "dropped")
    assert code == 0
    assert [line.split() for line in shown.splitlines()] == [
        ["dropped", "url.domain", "1", "http://xxx-videos.example/b"],
        ["dropped", "extract.body_bytes", "0", "http://good.example/c"],
    ]
    assert err == "2 pages\n"
    assert corpus("ls", out, "--outcome", "kept")[2] == "1 page\n"
    assert corpus("ls", out, "--limit", 2)[2] == "The first 2 pages. More pages match.\n"
    assert corpus("ls", out, "--limit", 3)[2] == "3 pages\n"
    rows = json.loads(corpus("ls", out, "--limit", 2, "--json")[1])
    assert [(row["url"], row["rule"]) for row in rows] == [
        ("http://good.example/a", None), ("http://xxx-videos.example/b", "url.domain"),
    ]  # fmt: skip
    assert json.loads(corpus("ls", out, "--url", "never", "--json")[1]) == []


def test_verify(corpus, built):
    _, out, _ = built
    assert corpus("verify", out)[0] == 0


@EVERY_BUILT
def test_verify_counts_the_inputs_once_more(corpus, built):
    archive, out, _ = built
    code, _, err = corpus("verify", out, "--inputs", archive)
    assert code == 0
    by = "warcio" if archive.suffix == ".gz" else "the footer"
    assert f"{archive.name}: 3 records, 3 by {by}" in err


def test_verify_counts_the_resources_that_are_judged(corpus, tmp_path):
    records = [
        record("resource", "http://a.example/", page(), 1, "text/html"),
        record("resource", "http://a.example/x.png", b"", 2, "image/png"),
    ]
    (tmp_path / "w.warc").write_bytes(b"".join(records))
    corpus("build", tmp_path / "w.warc", "-o", tmp_path / "out")
    code, _, err = corpus("verify", tmp_path / "out", "--inputs", tmp_path / "w.warc")
    assert code == 0
    assert "w.warc: 1 records, 1 by warcio" in err


def test_verify_finds_a_record_that_the_ledger_has_not(corpus, built, tmp_path):
    archive, out, _ = built
    more = tmp_path / archive.name
    more.write_bytes(archive.read_bytes() + archive.read_bytes())
    code, _, err = corpus("verify", out, "--inputs", more)
    assert code == 1
    assert "holds 6 records by warcio's count, but the ledger has 3" in err


def test_dry_run_writes_nothing(corpus, built, tmp_path):
    archive, _, _ = built
    code, out, _ = corpus("build", archive, "-o", tmp_path / "new", "--dry-run", "--json")
    plan = json.loads(out)
    assert code == 0
    assert plan["inputs"] == 1
    assert plan["bytes"] == archive.stat().st_size
    assert plan["plan"][0]["end"] == archive.stat().st_size
    assert not (tmp_path / "new").exists()
    assert "url → rights → extract → language" in corpus("build", archive, "-o", tmp_path / "new", "--dry-run")[2]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["build", "{in}", "-o", "{new}", "--set", "gopher_qualty.words.min=3"], 2, "Did you mean gopher_quality"),
        (["build", "{in}", "-o", "{new}", "--set", "gopher_quality.wrds.min=3"], 2, "Did you mean words"),
        (["build", "{in}", "-o", "{new}", "--set", "gopher_quality.words.mim=3"], 2, "Did you mean min"),
        (["build", "{in}", "-o", "{new}", "--recipe", "finweb"], 2, "Did you mean fineweb?"),
        (["build", "{in}", "-o", "{new}", "--set", "url.blocklist=/no/such.list"], 2, "/no/such.list"),
        (["build", "{in}", "-o", "{new}", "--set", "extract.engine=magic"], 2, "unknown"),
        (["build", "{in}", "-o", "{out}", "--set", "language.score.above=0.5"], 1, "0.65 → 0.5"),
        (["build", "/no/such/file.warc.gz", "-o", "{new}"], 1, "no file"),
        (["build", "{empty}", "-o", "{new}"], 1, "holds no archive"),
        (["build", "{in}", "-o", "{in}/out"], 1, "can't be written"),
        (["build", "{in}", "-o", "{new}" + "x" * 300], 1, "can't be read: File name too long"),
        (["generate", "{new}" + "x" * 300, "the"], 2, "can't be read: File name too long"),
        (["tokenizer", "show", "x" * 300, "the"], 2, "can't be read: File name too long"),
        (["build", "{in}", "-o", "{loop}/out"], 1, "can't be read: Too many levels"),
        (["build", "{in}", "-o", "{new}\udcff"], 2, "not UTF-8"),
        (["build", "{in}", "-o", "s3://"], 2, "names no bucket"),
        (["build", "{in}", "-o", "s3://bucket/a//b"], 2, "empty parts"),
        (["build", "{in}", "-o", "s3://bucket/./b"], 2, "dots"),
        (["build", "{in}", "-o", "s3://bucket/a\nb"], 2, "control characters"),
        (["build", "{in}", "-o", "{foreign}"], 1, "holds other files, such as run.json"),
        (["build", "{in}", "-o", "{begun}"], 1, "holds other files, such as .work/plan.json"),
        (["export", "{out}", "-o", "{foreign}", "--for", "datasets"], 1, "holds other files, such as export.json"),
        (["explain", "{foreign}", "x"], 1, "was not written by corpus"),
        (["verify", "{loop}"], 1, "can't be read: Too many levels"),
        (["build", "{in}", "-o", "{new}", "--ray", "--address", "x"], 2, "Leave one of them out"),
        (["build", "-o", "{new}"], 2, "Missing argument"),
        (["explain", "{out}", "http://never.example/"], 1, "no record"),
        (["ls", "{out}", "--rule", "url.domian"], 2, "Did you mean url.domain"),
        (["explain", "{empty}", "x"], 1, "no finished run"),
        (["verify", "{empty}"], 1, "no finished run"),
        (["report", "{begun}"], 1, "has not ended. If it was interrupted, run the same `corpus build` again"),
        (["biuld"], 2, "There is no command 'biuld'. Did you mean build?"),
        (["recipes", "shwo"], 2, "Did you mean 'show'?"),
        (["build", "{in}"], 2, "Missing option '-o' / '--out'.\nExample: corpus build "),
        (["tune", "{out}"], 2, "Missing option '--set'.\nExample: corpus tune out --set "),
        (["build", "{in}", "-o", "{new}", "--set", "words.min=30"], 2, "Did you mean gopher_quality.words?"),
        (["tune", "{out}", "--set", "words.min=30"], 2, "Did you mean gopher_quality.words?"),
        (["tune", "{out}", "--set", "gopher_quality.words.min=many"], 2, 'must be a number or "off"'),
        (["ls", "{out}", "--rule", "alpha_ratio"], 2, "Did you mean gopher_quality.alpha_ratio?"),
        (["ls", "{out}", "--rule", "nosuch"], 2, "rights, url, and their rules, such as c4.citations."),
        (["build", "{in}", "-o", "{in}"], 1, "w.warc.gz is a file, not a folder"),
        (["remove", "{out}", "--domains", "www.a.example"], 2, "There is no file www.a.example. Put the entries"),
        (["remove", "{out}", "--urls", "{in}"], 2, "can't be read: it is not UTF-8"),
        (["build", "{in}", "-o", "{new}", "--recipe", "{empty}"], 2, "can't be read: Is a directory"),
        (["build", "{in}", "-o", "{new}", "--allow-module", "no.py"], 2, "can't be read: No such file or directory"),
    ],
)
def test_expected_failures_are_one_sentence_and_write_nothing(corpus, built, tmp_path, arguments, code, says):
    archive, out, _ = built
    places = {"in": archive, "out": out, "new": tmp_path / "new"}
    for name in ("empty", "foreign", "begun"):
        places[name] = tmp_path / name
        places[name].mkdir()
    for name in ("run.json", "export.json"):
        (places["foreign"] / name).write_text("{}")
    (places["begun"] / ".work").mkdir()
    (places["begun"] / ".work" / "plan.json").write_text('{"target": "datasets"}')
    places["loop"] = tmp_path / "loop"
    places["loop"].symlink_to(places["loop"])
    found, stdout, err = corpus(*[argument.format(**places) for argument in arguments])
    assert found == code, err
    assert says in err
    assert "Traceback" not in err
    assert stdout == ""
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_numbers_that_are_none_are_refused(number):
    options = [
        one for _, command in commands() for one in command.params if isinstance(one.type, click.types.FloatParamType)
    ]
    assert len(options) > 5
    for option in options:
        with pytest.raises(click.BadParameter):
            option.type_cast_value(click.Context(cli), number)


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "tokens", "-o", "model", "--seed", 2**64),
        ("train", "tokens", "-o", "model", "--seed", -1),
        ("generate", "model", "Once", "--seed", 2**64),
        ("tokenizer", "train", "out", "-o", "tok", "--vocab-size", 5_000_000_000),
    ],
)
def test_numbers_that_are_too_large_are_refused(corpus, arguments):
    code, _, err = corpus(*arguments)
    assert code == 2
    assert f"{arguments[-1]} is not in the range" in err


def test_our_own_bug_leaves_a_traceback_in_a_file(corpus, built, monkeypatch):
    def broken(folder):
        raise RuntimeError("a bug")

    monkeypatch.setattr("jobs.verbs.look.open_run", broken)
    code, _, err = corpus("verify", built[1])
    assert code == 70
    report = Path(err.split()[-1])
    told = report.read_text()
    assert "in broken\n" in told
    assert told.endswith("\nRuntimeError\n")  # without the message, which may quote a page
    report.unlink()


def shell(line, archive, out, tmp_path, **environment):
    """Run a line of shell in which `corpus` is the command line."""
    names = {"corpus": f"{sys.executable} -m jobs.cli", "in": archive, "out": out, "tmp": tmp_path}
    env = {**os.environ, "PYTHONPATH": os.getcwd(), **environment}
    return subprocess.run(["bash", "-c", line.format(**names)], capture_output=True, env=env)


ASCII = {"PYTHONIOENCODING": "ascii"}
NO_UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize(
    "verb",
    [
        "recipes", "explain {out} http://good.example/a", "tune {out} --set gopher_quality.words.min=30",
        "diff {out} {out}", "report {out} -o {tmp}/report.html", "verify {out}",
    ],
)  # fmt: skip
def test_what_ascii_has_not_is_replaced(built, tmp_path, monkeypatch, verb):
    _, out, _ = built
    shown = {name: io.TextIOWrapper(io.BytesIO(), encoding="ascii") for name in ("stdout", "stderr")}
    with monkeypatch.context() as patched:
        for name, stream in shown.items():
            patched.setattr(sys, name, stream)
        code = run_command(*verb.format(out=out, tmp=tmp_path).split())
        for stream in shown.values():
            stream.flush()
    assert code == 0, shown["stderr"].buffer.getvalue()
    assert any(stream.buffer.getvalue() for stream in shown.values())


@pytest.mark.parametrize(
    ("verb", "environment"), [("stages", NO_UTF8), ("stages", ASCII), ("build {in} -o {out}", NO_UTF8)]
)
def test_what_the_terminal_can_not_show_is_replaced(built, tmp_path, verb, environment):
    archive, out, _ = built
    done = shell(f"{{corpus}} {verb}", archive, out, tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert done.stderr.isascii()


def test_json_is_complete_in_any_encoding(built, tmp_path):
    archive, out, _ = built
    utf8 = {"PYTHONIOENCODING": "utf-8"}
    plain, whole = (shell("{corpus} stages --json", archive, out, tmp_path, **how).stdout for how in (ASCII, utf8))
    assert json.loads(plain) == json.loads(whole)
    assert plain.isascii()
    assert not whole.isascii()


@pytest.mark.parametrize(
    ("verb", "closed"),
    [
        ("recipes --json", ">&-"), ("explain {out} http://good.example/a", ">&-"), ("build --help", ">&-"),
        ("tune {out} --set url.domain=off", "<&- >&- 2>&-"), ("report {out} -o {tmp}/report.html", "2>&-"),
    ],
)  # fmt: skip
def test_closed_streams(built, tmp_path, verb, closed):
    archive, out, _ = built
    done = shell(f"{{corpus}} {verb} {closed}", archive, out, tmp_path)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr


def test_a_build_without_streams_leaves_the_same_bytes(built, tmp_path):
    """The files that it opens get no message of its own or of its processes. `built` had no processes."""
    archive, out, _ = built
    assert shell("{corpus} build {in} -o {tmp}/out --json <&- >&- 2>&-", archive, out, tmp_path).returncode == 0
    assert tree(tmp_path / "out") == tree(out)


def test_an_error_without_streams_keeps_its_code(built, tmp_path):
    archive, out, _ = built
    assert shell("{corpus} verify {tmp} <&- >&- 2>&-", archive, out, tmp_path).returncode == 1


@pytest.mark.parametrize("sink", ["| true", "> /dev/full"])
def test_nobody_takes_the_output(built, tmp_path, sink):
    archive, out, _ = built
    done = shell(f"set -o pipefail; {{corpus}} stages {sink}", archive, out, tmp_path)
    assert done.returncode in (0, 1)  # 0 where all was written before the reader ended
    assert b"Traceback" not in done.stderr
    assert b"bug" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["build", "{odd}.warc.gz", "-o", "{new}"], 1),
        (["build", "{in}", "-o", "{odd}"], 2),
        (["build", "{in}", "-o", "{link}/out"], 2),
        (["build", "{in}", "-o", "{new}", "--set", "url.blocklist={odd}"], 2),
        (["build", "{in}", "-o", "{new}", "--allow-module", "{odd}.py"], 2),
        (["build", "{in}", "-o", "{new}", "--recipe", "{odd}"], 2),
        (["build", "{in}", "-o", "{new}", "--against", "{odd}"], 2),
        (["build", "http://127.0.0.1:1/\udcff.warc.gz", "-o", "{new}"], 2),
        (["build", "{in}", "-o", "{new}", "--workers", "\udcff"], 2),
        (["\udcff"], 2),
        (["explain", "{out}", "http://good.example/\udcff"], 1),
        (["explain", "{odd}", "http://good.example/"], 2),
        (["tune", "{out}", "--set", "url.\udcff=off"], 2),
        (["verify", "{out}", "--inputs", "{odd}"], 1),
        (["report", "{link}"], 2),
        (["tokenize", "{out}", "-o", "{new}", "--tokenizer", "{odd}"], 2),
        (["export", "{link}", "-o", "{new}", "--for", "datasets"], 2),
        (["diff", "{out}", "{odd}"], 2),
        (["remove", "{out}", "--urls", "{odd}"], 2),
        (["sample", "-o", "{odd}"], 2),
        (["blocklist", "build", "{odd}", "-o", "{new}"], 2),
        (["tokenizer", "compare", "{odd}", "--on", "{out}"], 2),
    ],
)
def test_arguments_that_are_not_utf_8(corpus, built, tmp_path, arguments, code):
    archive, out, _ = built
    (tmp_path / "odd\udcff").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "odd\udcff")
    places = {
        "in": archive,
        "out": out,
        "new": tmp_path / "new",
        "odd": tmp_path / "odd\udcff",
        "link": tmp_path / "link",
    }
    found, _, err = corpus(*[argument.format(**places) for argument in arguments])
    assert found == code, err
    assert "Traceback" not in err
    err.encode()


def test_no_file_of_the_current_folder_is_imported(built, tmp_path):
    archive, out, _ = built
    for name in ("json", "jobs", "corpus", "filters"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not this one')")
    line = f"cd {{tmp}} && {sys.executable} -P -m jobs.cli build {{in}} -o {{tmp}}/out --workers 1"
    done = shell(line, archive, out, tmp_path)
    assert done.returncode == 0, done.stderr


def test_names_that_are_not_utf_8_and_are_no_part_of_the_output(corpus, built, tmp_path):
    archive, _, _ = built
    recipe = tmp_path / "odd\udcff.toml"
    recipe.write_text((Path(__file__).parents[2] / "filters" / "recipes" / "default.toml").read_text())
    assert corpus("build", archive, "-o", tmp_path / "out", "--recipe", recipe)[0] == 0
    assert "odd?.toml" in (tmp_path / "out" / "timings.json").read_text()


def test_explain_reads_bytes_as_a_header_does(corpus, tmp_path):
    """A URL with bytes that are not UTF-8 stands in the ledger as Latin-1."""
    archive = tmp_path / "w.warc"
    archive.write_bytes(record("response", "http://good.example/cafX", http(page())).replace(b"cafX", b"caf\xe9"))
    assert corpus("build", archive, "-o", tmp_path / "out")[0] == 0
    assert "kept" in corpus("explain", tmp_path / "out", "http://good.example/caf\udce9")[1]


def test_work_goes_on_where_nobody_reads_its_progress(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stderr, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stderr)
        progress = Progress()
        progress.start("pass", 1)
        progress.end()
        print("the funnel", file=sys.stderr, flush=True)


@pytest.mark.parametrize("verb", ["stages", "recipes"])
def test_listings(corpus, verb):
    code, out, _ = corpus(verb)
    assert code == 0
    assert "gopher_quality" in out
    listed = json.loads(corpus(verb, "--json")[1])
    assert len(listed) >= 2


def test_sample(corpus, tmp_path):
    assert corpus("sample", "-o", tmp_path / "s.warc.gz", "--pages", "60")[0] == 0
    assert (tmp_path / "s.warc.gz").stat().st_size > 10_000


def test_blocklist(corpus, tmp_path, built):
    (tmp_path / "domains").write_text("good.example\n")
    code, out, _ = corpus("blocklist", "build", tmp_path / "domains", "-o", tmp_path / "my.list", "--json")
    assert code == 0
    assert json.loads(out)["domains"] == 1
    archive, _, _ = built
    done = corpus("build", archive, "-o", tmp_path / "out", "--json", "--set", f"url.blocklist={tmp_path / 'my.list'}")
    assert json.loads(done[1])["records"]["dropped"]["url"] == {"domain": 2}


@pytest.mark.parametrize(
    "command",
    [
        ["verify", "{folder}/\x1b[2J\u202eevil"],
        ["explain", "{folder}", "\x1b]0;evil\x07"],
        ["build", "{folder}/\x1b[31mno.warc.gz", "-o", "{folder}/out"],
        ["\x1b[2J"],
        ["stages", "\x1b[2J\u2066"],
    ],
    ids=["a folder", "a URL", "an input", "a verb", "a stage"],
)
def test_no_name_gives_the_terminal_orders(corpus, tmp_path, command):
    code, out, err = corpus(*(word.format(folder=tmp_path) for word in command))
    assert code in (1, 2)
    assert not set("\x1b\x07\u202e\u2066") & set(out + err)
