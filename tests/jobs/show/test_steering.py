"""`corpus tune`: its answer to other limits fits a build with them, and --write makes that run, byte for byte."""

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import lxml.html
import pytest

from corpus.errors import ConfigError, InputChanged, InputError
from corpus.revise.differences import diff
from corpus.revise.limits import with_limits
from corpus.revise.url_differences import diff_by_url
from corpus.run import open_run
from corpus.tables.takedown import Takedown
from jobs.build.replay_run import replay
from jobs.runner.local_engine import LocalEngine
from jobs.runner.progress import Progress
from tests.documents import EVERY_INPUT, write_inputs
from tests.engines import InProcess
from tests.jobs.build.test_build import build_quietly, job, tree
from tests.jobs.report.test_report import check_all
from tests.stubs import recipe_from_dict
from tests.warcs import WORDS, page, write_warc

STAGES = {
    "stages": [
        {"stage": "url"},
        {"stage": "paragraphs"},
        {"stage": "gopher_quality", "stop_words": {"min": 1}},
        {"stage": "minhash", "prefer": "fineweb.char_dup_ratio"},
        {"stage": "c4", "terminal_punctuation": False, "sentences": {"min": 2}},
        {"stage": "fineweb", "line_punct_ratio": {"min": "off"}, "char_dup_ratio": {"max": 0.5}},
    ]
}


def make_pages(archive, count, seed):
    """Pages of all lengths. Some repeat others, some break rules, and some have banned words in their URLs."""
    rng = random.Random(seed)
    words = WORDS.split()
    pages = {}
    for number in range(count):
        host = "xxx-videos.example" if number % 13 == 3 else f"www.site{number % 9}.example"
        path = "hot-sexy-teen" if number % 17 == 5 else "page"
        text = " ".join(rng.choices(words, k=rng.choice([5, 20, 35, 45, 60, 90, 150])))
        if number % 7 == 2:
            text = WORDS + f"It was told in chapter {number // 40}."
        if number % 11 == 4:
            text += " { curly } brackets."
        if number % 19 == 6:
            text = "lorem ipsum dolor. " + text
        pages[f"http://{host}/{path}/{archive}{number}"] = page(f"Page {number}", text)
    return pages


@pytest.fixture(scope="module")
def archives(request, tmp_path_factory):
    inputs = {"a.warc.gz": make_pages("a", 150, 1), "b.warc": make_pages("b", 80, 2), "c.warc.gz": {}}
    return write_inputs(tmp_path_factory.mktemp("archives"), inputs, getattr(request, "param", "archives"))


@pytest.fixture(scope="module")
def run(archives, tmp_path_factory):
    out = tmp_path_factory.mktemp("tuned") / "out"
    assert build_quietly(job([archives], out, STAGES)).exit_code == 0
    return open_run(out)


def recipe_with(run, settings):
    return recipe_from_dict(with_limits(run.info, settings))


def write(run, recipe, out, inputs=(), taken=None):
    made = job(inputs, out, recipe.canonical(), workers=2)
    return replay(run, made, taken or Takedown.of(), lambda: LocalEngine(2), Progress(quiet=True))


CHANGES = {
    "tighter": ["gopher_quality.words.min=70"],
    "looser": ["gopher_quality.words.min=30"],
    "a rule switched off": ["c4.curly_bracket=off"],
    "a gate looser": ["url.hard_words=off"],
    "a rule whose detail the ledger has not": ["url.soft_words.max=0", "gopher_quality.words.max=200"],
    "both ways": ["gopher_quality.words.min=30", "c4.sentences.min=4", "gopher_quality.mean_word_length.max=4.5"],
    "duplicates alike less": ["minhash.similarity.below=0.9"],
    "duplicates switched off": ["minhash.similarity=off"],
}


FAST = "both ways"
"""The other changes run the same code on other rules, and each takes two starts of a page worker."""


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=() if name == FAST else pytest.mark.slow) for name in CHANGES],
    ids=lambda name: name.replace(" ", "_"),
)
def changed(request, run, archives, tmp_path_factory):
    """(settings, the run of a fresh build with them)."""
    settings = CHANGES[request.param]
    out = tmp_path_factory.mktemp("fresh") / "out"
    assert build_quietly(job([archives], out, recipe_with(run, settings).canonical())).exit_code == 0
    return settings, open_run(out)


@EVERY_INPUT
def test_a_written_run_is_that_of_a_fresh_build(run, changed, tmp_path):
    settings, fresh = changed
    result = write(run, recipe_with(run, settings), tmp_path / "out")
    assert result.exit_code == 0
    assert tree(tmp_path / "out") == tree(Path(fresh.location))
    open_run(tmp_path / "out").verify()
    assert write(run, recipe_with(run, settings), tmp_path / "out").already_done
    with pytest.raises(ConfigError, match="in place of itself"):
        write(run, recipe_with(run, {}), run.location)


@EVERY_INPUT
def test_the_answer_holds_what_a_fresh_build_finds(run, changed):
    settings, fresh = changed
    found = run.tune(settings)
    kept = fresh.info["records"]["kept"]
    assert found.kept[0] <= kept <= found.kept[1]
    assert not found.exact or kept == found.kept[0]
    dropped = fresh.info["records"]["dropped"]
    for row in found.rules.to_pylist():
        stage, _, measure = row["rule"].partition(".")
        if not found.passing[1] - found.passing[0]:
            assert row["dropped_now"] == dropped.get(stage, {}).get(measure, 0)


@EVERY_INPUT
def test_report_and_differences_count_every_row(run, changed):
    _, fresh = changed
    check_all(run.location, lxml.html.fromstring(run.report().html))

    def end(row):
        dropped = f"{row['stage']}.{row['rule']}" if row["stage"] else f"{row['outcome']}: {row['rule']}"
        return "kept" if row["outcome"] == "kept" else dropped

    ends = [{row["id"]: end(row) for row in one.ledger().to_pylist()} for one in (run, fresh)]
    assert ends[0].keys() == ends[1].keys()
    moves = Counter((ends[0][id], ends[1][id]) for id in ends[0] if ends[0][id] != ends[1][id])
    for compare in (diff, diff_by_url):
        found = compare(run, fresh)
        assert {pair: move.documents for pair, move in found.moves.items()} == moves
        assert found.same == len(ends[0]) - moves.total()


@pytest.mark.slow
def test_few_pages_are_read(run, tmp_path):
    """A tighter limit reads only pages that are new in the samples."""
    write(run, recipe_with(run, ["gopher_quality.words.min=70"]), tmp_path / "out")
    timings = json.loads((tmp_path / "out" / "timings.json").read_text())
    assert timings["pass"]["read"] < 40


@pytest.mark.slow
def test_archives_that_moved(run, archives, tmp_path):
    """`--inputs` names them. Another file of the same name is refused, and so is a run whose archive is needed and
    missing."""
    recipe = recipe_with(run, ["gopher_quality.words.min=30"])
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in archives.iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    assert write(run, recipe, tmp_path / "a", [str(moved)]).exit_code == 0
    (moved / "b.warc").write_bytes((archives / "b.warc").read_bytes() + b"\r\n")
    with pytest.raises(InputChanged, match=r"b\.warc is not the archive"):
        write(run, recipe, tmp_path / "b", [str(moved)])
    (moved / "b.warc").unlink()
    with pytest.raises(
        InputError, match=r"Some pages of b\.warc must be read again. Give its present place with --inputs"
    ):
        write(run, recipe, tmp_path / "c", [str(moved)])


def test_other_code_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr("jobs.build.replay_run.versions", lambda: {"code": "other"})
    with pytest.raises(ConfigError, match="made with other code"):
        write(run, recipe_with(run, ["gopher_quality.words.min=30"]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_same_command_goes_on(run, tmp_path, monkeypatch):
    """A run that was stopped before it was packed leaves only its work, and is taken up."""
    recipe = recipe_with(run, ["gopher_quality.words.min=30"])
    import jobs.build.build

    def stopped(*_args, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(jobs.build.build, "pack", stopped)
        write(run, recipe, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".work"}
    assert write(run, recipe, tmp_path / "out").exit_code == 0
    write(run, recipe, tmp_path / "whole")
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


HOSTILE = {"stages": [{"stage": "hostile"}, *STAGES["stages"]]}
LANGUAGE = {"stage": "language", "label": {"one_of": "off"}, "score": {"above": "off"}}
QUALITY = {"stage": "gopher_quality", "stop_words": {"min": 1}, "by_language": {"en": {"words": {"min": 60}}}}
OF_LANGUAGES = {"stages": [*STAGES["stages"][:2], LANGUAGE, QUALITY, *STAGES["stages"][3:]]}
"""Short texts of random words are found to be in many languages."""

KINDS = {
    "stops at the first": (
        {**STAGES, "measures": "first"},
        {},
        ["gopher_quality.words.min=30", "c4.curly_bracket=off"],
    ),
    "without index": (STAGES, {"index": False}, ["gopher_quality.words.min=30"]),
    "by lines": ({"stages": [*STAGES["stages"], {"stage": "lines"}]}, {}, ["gopher_quality.words.min=70"]),
    "pages that fail": (HOSTILE, {}, ["hostile.survived.max=0"]),
    "pages that fail still": (HOSTILE, {}, ["gopher_quality.words.min=30"]),
    "by language": (OF_LANGUAGES, {}, ["gopher_quality.en.words.min=40", "gopher_quality.words.min=10"]),
    "small parts": ({**STAGES, "output": {"rows_per_part": 20}}, {}, ["gopher_quality.words.min=40"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda name: name.replace(" ", "_"))
def test_kinds_of_runs(kind, archives, tmp_path):
    stages, options, settings = KINDS[kind]
    inputs = [archives]
    if stages is HOSTILE:
        acts = ["raise", "segfault", "", "abort"]
        pages = {f"http://h.example/{act}?{act}": page(act, WORDS) for act in acts}
        inputs.append(write_warc(tmp_path / "h.warc.gz", pages))
    build_quietly(job(inputs, tmp_path / "base", stages, **options))
    base = open_run(tmp_path / "base")
    recipe = recipe_with(base, settings)
    build_quietly(job(inputs, tmp_path / "fresh", recipe.canonical(), **options))
    made = job([], tmp_path / "made", recipe.canonical(), **options)
    replay(base, made, Takedown.of(), lambda: InProcess(), Progress(quiet=True))
    assert tree(tmp_path / "made") == tree(tmp_path / "fresh")
    found = base.tune(settings)
    assert found.kept[0] <= open_run(tmp_path / "fresh").info["records"]["kept"] <= found.kept[1]


@pytest.mark.slow
def test_what_was_compared_and_not_removed_is_known(tmp_path):
    """Two pages share a key and are not similar enough. A lower limit removes one of them, though none was removed
    before."""
    rng = random.Random(2)
    words = [a + b for a in ("ba", "ki", "mo", "tu", "re") for b in ("lor", "men", "dar", "fis", "gon", "hup")]
    text = rng.choices(words, k=300)
    other = [rng.choice(words) if number % 25 == 0 else word for number, word in enumerate(text)]
    pages = {f"http://{name}.example/": " ".join(one).encode() for name, one in (("a", text), ("b", other))}
    archive = write_warc(tmp_path / "w.warc.gz", pages)
    stages = {"stages": [{"stage": "paragraphs"}, {"stage": "minhash", "similarity": {"below": 0.9}}]}
    build_quietly(job([archive], tmp_path / "base", stages))
    base = open_run(tmp_path / "base")
    settings = ["minhash.similarity.below=0.5"]
    build_quietly(job([archive], tmp_path / "fresh", recipe_with(base, settings).canonical()))
    assert base.ledger(columns=["minhash.cluster_size"]).column(0).to_pylist() == [1, 1]
    assert base.info["records"]["kept"] == 2
    assert open_run(tmp_path / "fresh").info["records"]["kept"] == 1
    assert base.tune(settings).kept == (0, 2)


def corpus_command(*arguments):
    subprocess.run([sys.executable, "-m", "jobs.cli", *map(str, arguments)], check=True, stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_a_stage_of_ones_own(archives, tmp_path):
    """The answer needs no module, --write needs it, and both work as for our own stages."""
    example = Path(__file__).parents[3] / "examples"
    own = ["--allow-module", example / "code_share.py"]
    setting = ["--set", "code_share.code_ratio.max=0.01"]
    command = ["build", archives / "a.warc.gz", "--recipe", example / "code_share.toml", *own]
    corpus_command(*command, "-o", tmp_path / "base")
    corpus_command(*command, "-o", tmp_path / "fresh", *setting)
    found = open_run(tmp_path / "base").tune({"code_share.code_ratio.max": 0.01})
    assert found.exact
    assert found.kept[0] == open_run(tmp_path / "fresh").info["records"]["kept"]
    corpus_command("tune", tmp_path / "base", *setting, "--write", tmp_path / "made", *own)
    assert tree(tmp_path / "made") == tree(tmp_path / "fresh")


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting", ["gopher_quality.words.min=80", "gopher_quality.words.min=30", "c4.curly_bracket.max=off"]
)
def test_real_pages(shared_data, tmp_path_factory, setting):
    """A tighter limit, a looser one, and a rule switched off, on real archives."""
    folder = tmp_path_factory.getbasetemp()
    archive = shared_data / "warc" / "mixed-00001.warc.gz"
    base = folder / "real-base"
    if not base.exists():
        corpus_command("build", archive, "-o", base)
    fresh, made = (tmp_path_factory.mktemp(name) / "out" for name in ("fresh", "made"))
    corpus_command("build", archive, "-o", fresh, "--set", setting)
    corpus_command("tune", base, "--write", made, "--set", setting)
    assert tree(made) == tree(fresh)
    found = open_run(base).tune([setting])
    assert found.kept[0] <= open_run(fresh).info["records"]["kept"] <= found.kept[1]
