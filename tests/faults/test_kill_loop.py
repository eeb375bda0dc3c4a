"""SIGKILL anywhere, and the same command again: the bytes of the undisturbed run, hardly any work done twice, and no
process or file left of a killed run."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pyarrow.parquet as pq
import pytest

from corpus.run import open_run
from filters import recipe_text
from filters.decontaminate.build import build_index
from jobs.sample.crawl import write_sample
from tests.bpe import small_tokenizer
from tests.crawls import table_of, write_archive, write_index, write_lists
from tests.documents import write_inputs
from tests.faults.kills import OUTLIVES_S, ROOT, Story, Work
from tests.filters.decontaminate.items import ITEMS
from tests.other_programs import polars_lines
from tests.warcs import WORDS

SEED = int(os.environ.get("CORPUS_SEED", "1"))


def write_archives(folder: Path, kind: str = "archives") -> Path:
    """Two archives of pages of which some repeat others, as a whole or line by line. Or documents like these."""
    folder.mkdir()
    words, inputs = WORDS.split(), dict[str, dict[str, bytes]]()
    for name in "ab":
        rng, pages, lines = Random(name), {}, [""]
        for number in range(40):
            if number % 5 != 4:  # otherwise like the page before it
                lines = [" ".join(Random(rng.randrange(40)).choices(words, k=30)) for _ in range(6)]
            own = " ".join(rng.choices(words, k=8))
            pages[f"http://{name}{number}.example/"] = "\n".join([*lines, own]).encode()
        inputs[f"{name}.warc.gz"] = pages
    return write_inputs(folder, inputs, kind, harmed=False)


def write_crawl(base: Path) -> Path:
    """Such archives as a copy of a crawl, with an index of two files."""
    rng, words, listed = Random(8), WORDS.split(), []
    for name in "ab":
        pages: dict[str, tuple[bytes, str | None]] = {}
        for number in range(40):
            text = "\n".join(" ".join(Random(rng.randrange(99)).choices(words, k=30)) for _ in range(6))
            pages[f"http://{name}{number}.example/"] = text.encode(), rng.choice(["deu", "deu,eng", "eng"])
        listed += write_archive(base, f"{name}.warc.gz", pages)
    write_lists(base, dict.fromkeys(one.archive for one in listed), write_index(base, table_of(listed)))
    return base


ELSEWHERE = {"apart_begun", "trial_begun", "trial_trained"}
"""The points of an ablation, at which tests/jobs/ablate kills."""


def named_points() -> set[str]:
    """The points that the sources name, without those of an ablation."""
    files = [path for room in ("corpus", "jobs") for path in (ROOT / room).rglob("*.py") if path.name != "crash.py"]
    return {name for path in files for name in re.findall(r'\breached\("(\w+)"\)', path.read_text())} - ELSEWHERE


MIXTURE = """
epochs = 100
[[sources]]
name = "some"
path = "RUN"
tokens = 700
[[sources]]
name = "often"
path = "RUN"
repeat = { by = "duplicates", 1 = 1.5, 2 = 3 }
tokens = 9000
"""


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Work]]:
    """Commands on this machine, measured undisturbed."""
    folder = tmp_path_factory.mktemp("kills")
    archives, tables = write_archives(folder / "in"), write_archives(folder / "tables", "documents")
    made = {}
    inputs = {
        "build": archives,
        "documents": tables,
        "lines": archives,
        "chosen": write_crawl(folder / "crawl"),
        "tokenize": folder / "build" / "whole",
        "mixture": folder / "m.toml",
    }
    inputs["mixture"].write_text(MIXTURE.replace("RUN", str(inputs["tokenize"])))
    for kind, given in inputs.items():
        command = [sys.executable, "-m", "tests.faults.killed_run", kind, "local", str(given)]
        made[kind] = Work(kind, command, folder / kind)
        made[kind].measure()
    removed = open_run(made["lines"].folder / "whole").info["records"]["dropped"]
    assert removed.keys() == {"minhash", "lines"}  # there is something to compare
    yield made
    end(made)


def end(works: dict[str, Work]) -> None:
    for work in works.values():
        work.slowest_end()


def tell(record: Callable[..., None], what: str, stories: list[Story]) -> None:
    """Check and record the results of stories of one work and one kind of kill."""
    again = sum(story.done_again() for story in stories)
    kills, allowed = sum(story.kills for story in stories), sum(story.allowed for story in stories)
    left = stories[0].work.slowest_end()
    record(
        what,
        tried=kills,
        measured=f"{again} pieces of work done again of {allowed} under way, processes gone after {left:.0f} s",
        limit=f"what was under way, {OUTLIVES_S:.0f} s",
    )


@pytest.mark.slow
def test_every_named_point_is_reached(works) -> None:
    assert {point for work in works.values() for point in work.points()} == named_points()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["build", "documents", "lines", "chosen", "tokenize", "mixture"])
def test_killed_at_every_named_point(works, kind, record_result) -> None:
    """Kill the command at each of its points, at any of the times that it gets there, then at another point, then no
    more."""
    work, chance, stories = works[kind], Random(SEED), []
    for point in work.points():
        story = Story(work, f"at-{point}")
        assert story.crash(point, chance.randint(1, work.times_in_one_process(point))), point
        other = chance.choice(work.points())
        story.crash(other, chance.randint(1, work.times_in_one_process(other)))
        story.finish()
        stories.append(story)
    tell(record_result, f"kill at named points: {kind}, without Ray", stories)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "kills"), [("build", 12), ("documents", 10), ("lines", 6), ("chosen", 6), ("tokenize", 6), ("mixture", 4)]
)
def test_driver_killed_at_any_time(works, kind, kills, record_result) -> None:
    tell(record_result, f"kill the driver: {kind}, without Ray", killed_drivers(works[kind], kills))


@pytest.mark.slow
def test_documents_of_real_pages_killed_at_any_time(shared_data, tmp_path, record_result) -> None:
    """The command line with the whole recipe, on texts that another program wrote."""
    table = pq.read_table(shared_data / "parity" / "datatrove_0.10.1.parquet", columns=["id", "url", "text"])
    rows = [row for row in table.to_pylist()[:500] if row["text"]]
    (tmp_path / "in").mkdir()
    for number in range(3):
        polars_lines(rows[number::3], tmp_path / "in" / str(number), 0)
    options = ["--recipe", "text", "--unit-mb", "0.1", "--workers", "2", "-o"]
    command = [sys.executable, "-m", "jobs.cli", "build", str(tmp_path / "in"), *options]
    work = Work("real", command, tmp_path / "real")
    work.measure()
    stories = killed_drivers(work, 10)
    tell(record_result, "kill the driver: texts of real pages, recipe `text`, without Ray", stories)


@pytest.mark.slow
def test_every_stage_killed_at_any_time(tmp_path, record_result) -> None:
    """The command line with opt-outs, a classifier, an index of benchmark items, limits by language, and keepers by the
    score of the classifier."""
    write_sample(tmp_path / "sample.warc.gz", pages=200)
    build_index(ITEMS, tmp_path / "evals")
    settings = {
        "decontaminate.index": tmp_path / "evals",
        "minhash.prefer": "classifier.score",
        "gopher_quality.de.words.min": 20,
        "language.label.one_of": ["en", "de", "fr", "es"],
    }
    recipe = recipe_text("multilingual") + '\n[[stages]]\nstage = "classifier"\n'
    (tmp_path / "mine.toml").write_text(recipe)
    options = [option for name, value in settings.items() for option in ("--set", f"{name}={value}")]
    options += ["--recipe", str(tmp_path / "mine.toml"), "--unit-mb", "0.03", "--workers", "2", "-o"]
    command = [sys.executable, "-m", "jobs.cli", "build", str(tmp_path / "sample.warc.gz"), *options]
    work = Work("stages", command, tmp_path / "stages")
    work.measure()
    run = open_run(work.folder / "whole")
    assert "minhash" in run.info["records"]["dropped"]
    stories = killed_drivers(work, 10)
    tell(record_result, "kill the driver: sample crawl, every stage, without Ray", stories)


def killed_drivers(work: Work, kills: int) -> list[Story]:
    """Kill the driver of a command at any time and run it again, until it was killed so often."""
    chance, stories = Random(SEED), list[Story]()
    while sum(story.kills for story in stories) < kills:
        story = Story(work, f"driver-{len(stories)}")
        while story.kill_driver(chance.randint(1, len(work.lines) // 2)):
            pass
        story.finish()
        stories.append(story)
    return stories


@pytest.mark.slow
def test_page_workers_killed_at_any_time(works, record_result) -> None:
    work, chance, stories = works["build"], Random(SEED), []
    while sum(story.kills for story in stories) < 10:
        story = Story(work, f"pages-{len(stories)}")
        counts = chance.sample(range(1, work.times("unit_begun") + work.times("unit_batch_taken")), 3)
        assert story.kill_others("corpus.sandbox.page_worker", "unit_", counts, chance) > 0
        story.finish()
        stories.append(story)
    tell(record_result, "kill page workers: build, without Ray", stories)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "kills"), [("build", 5), ("documents", 3), ("lines", 3), ("tokenize", 3), ("mixture", 2)]
)
def test_supervisors_killed_at_any_time(works, kind, kills, record_result) -> None:
    work, chance, stories = works[kind], Random(SEED), []
    while sum(story.kills for story in stories) < kills:
        story = Story(work, f"supervisors-{len(stories)}")
        story.kill_others("jobs.runner.local_worker", "", chance.sample(range(1, len(work.lines) // 2), 2), chance)
        story.finish()
        stories.append(story)
    tell(record_result, f"kill supervisors: {kind}, without Ray", stories)


@pytest.fixture(scope="module")
def on_ray(works, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Work]]:
    """The command line on Ray: the default recipe on the sample crawl, and tokens from the output of the cheap
    build."""
    folder = tmp_path_factory.mktemp("ray")
    write_sample(folder / "sample.warc.gz", pages=120)
    (folder / "tokenizer.json").write_bytes(small_tokenizer(60).data)
    cli = [sys.executable, "-m", "jobs.cli"]
    build = ["build", str(folder / "sample.warc.gz"), "--unit-mb", "0.03", "--ray", "--workers", "2", "-o"]
    texts = str(works["build"].folder / "whole")
    tokenize = ["tokenize", texts, "--tokenizer", str(folder / "tokenizer.json"), "--ray", "--workers", "2"]
    tokenize += ["--file-tokens", "4000", "-o"]
    made = {name: Work(name, [*cli, *verb], folder / name) for name, verb in (("build", build), ("tokenize", tokenize))}
    for work in made.values():
        work.measure()
    yield made
    end(made)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "kills"), [("build", 6), ("tokenize", 2)])
def test_driver_killed_on_ray(on_ray, kind, kills, record_result) -> None:
    work, chance, stories = on_ray[kind], Random(SEED), []
    driver = str(work.kept[0].pid)
    first = next(number for number, line in enumerate(work.lines, 1) if line.split()[1] != driver)  # Ray has started
    sessions = 0
    while sum(story.kills for story in stories) < kills:
        story = Story(work, f"driver-{len(stories)}")
        while story.kill_driver(chance.randint(first, max(first, len(work.lines) // 2))):
            sessions += len(list(Path("/tmp").glob(f"corpus-ray-*/*/session_*_{story.last.pid}")))
        story.finish()
        stories.append(story)
    assert sessions  # there was something to sweep
    tell(record_result, f"kill the driver: {kind}, on Ray", stories)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "says", "kills"), [
    ("build", "ray::_stream", 4), ("build", "corpus.sandbox.page_worker", 3), ("tokenize", "ray::_stream", 2),
])  # fmt: skip
def test_workers_killed_on_ray(on_ray, kind, says, kills, record_result) -> None:
    work, chance, stories = on_ray[kind], Random(SEED), []
    points = "unit_" if says.startswith("corpus") else ""
    most = sum(line.startswith(points) for line in work.lines)
    while sum(story.kills for story in stories) < kills:
        story = Story(work, f"{says[-6:]}-{len(stories)}")
        story.kill_others(says, points, chance.sample(range(1, most), 2), chance)
        story.finish()
        stories.append(story)
    what = "page workers" if says.startswith("corpus") else "supervisors"
    tell(record_result, f"kill {what}: {kind}, on Ray", stories)


POINTS_ON_RAY = ("unit_read", "part_stored", "before_commit", "after_link", "piece_made", "before_list", "before_seal")


@pytest.mark.slow
def test_killed_at_named_points_on_ray(on_ray, record_result) -> None:
    """Some of these points are in a task, some in the driver."""
    work, chance, stories = on_ray["build"], Random(SEED), []
    for point in POINTS_ON_RAY:
        story = Story(work, f"at-{point}")
        assert story.crash(point, 1), point
        other = chance.choice(work.points())
        story.crash(other, 1)
        story.finish()
        stories.append(story)
    tell(record_result, "kill at named points: build, on Ray", stories)
