"""`corpus.build` and what its run answers; comparisons in memory are those of a build."""

import json
import random
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow.compute as pc
import pytest

import corpus
from corpus.stage import Stage
from tests.engines import InProcess
from tests.warcs import page, write_warc

_WORDS = random.Random(0)
SENTENCES = [
    " ".join("".join(_WORDS.choices("abcdefghijklmnop", k=_WORDS.randint(2, 9))) for _ in range(9)) + "."
    for _ in range(1_500)
]


def stories(count, seed):
    """Texts that share sentences: copies, near copies, chains of them, and strangers."""
    draw = random.Random(seed)
    texts = []
    for _ in range(count):
        if texts and draw.random() < 0.6:
            lines = draw.choice(texts).split("\n")
            for _ in range(draw.choice((0, 0, 1, 2, 4))):
                lines[draw.randrange(len(lines))] = draw.choice(SENTENCES)
        else:
            lines = draw.sample(SENTENCES, draw.choice((3, 6, 12, 20)))
        texts.append("\n".join(lines))
    texts[::17] = ["short"] * len(texts[::17])
    return texts


def dedup(**params):
    return {"name": "dedup", "stages": [{"stage": "minhash", **params}, {"stage": "lines", "chars_left": {"min": 80}}]}


def preferring(prefer):
    """A recipe that measures words after it compares documents."""
    quality = {"stage": "gopher_quality", "name": "quality", "words": {"min": 20}, "stop_words": {"min": "off"}}
    return {"name": "preferring", "stages": [{"stage": "minhash", "prefer": prefer}, quality]}


@pytest.mark.parametrize(
    "recipe",
    [
        dedup(),
        dedup(clusters="classic", scheme="datatrove"),
        dedup(verify="containment", prefer="earliest", numbers=True),
        preferring("quality.mean_word_length"),
        preferring("newest"),
        {"name": "lines", "stages": [{"stage": "lines", "keep": "none", "documents": 3}]},
    ],
    ids=["verified", "classic", "containment", "by a later measure", "newest", "lines"],
)
def test_comparisons_in_memory_are_those_of_a_build(tmp_path, recipe, monkeypatch):
    monkeypatch.setattr("jobs.python.LocalEngine", InProcess)
    rows = [
        {"text": text, "url": f"https://s{number % 7}.example/{number}", "date": f"2026-01-{number % 28 + 1:02}"}
        for number, text in enumerate(stories(250, 1))
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = corpus.build(tmp_path / "in.jsonl", tmp_path / "out", recipe, alarm_rate=1, workers=1)
    found = list(corpus.recipe(recipe).run(rows))
    ledger = run.ledger().to_pylist()
    ids = {row["id"]: str(number) for number, row in enumerate(ledger)}
    assert 20 < run.counts["kept"] < 230
    for row, outcome in zip(ledger, found, strict=True):
        assert (row["outcome"], row["stage"] or "", row["rule"] or "") == (outcome.outcome, outcome.stage, outcome.rule)
        assert (row["value"], row["limit"]) == (outcome.value, outcome.limit)
        assert ids.get(row["detail"], "") == outcome.detail
        for name in run.info["columns"]:
            value = outcome.measures.get(name)
            assert row[name] == (value if not name.endswith("kept_in") else None) or ids[row[name]] == value, name
    texts = [outcome.text for outcome in found if outcome.kept]
    assert [doc.text for doc in run.documents()] == texts


@pytest.fixture
def archive(tmp_path):
    pages = {f"https://a.example/{number}": page(body=text) for number, text in enumerate(stories(12, 3))}
    return write_warc(tmp_path / "x.warc.gz", pages)


@pytest.fixture
def recipe():
    return {"name": "short", "stages": [{"stage": "extract"}, {"stage": "gopher_quality"}]}


def test_a_run_from_python(tmp_path, archive, recipe):
    steps = []
    run = corpus.build(archive, tmp_path / "out", recipe, set={"gopher_quality.stop_words": "off"}, workers=1,
                       on_progress=steps.append)  # fmt: skip
    assert run.counts["in"] == 12 == run.ledger(columns=["id"]).num_rows
    assert "12 records" in repr(run)
    dropped = run.ledger(columns=["url", "rule"], filter=pc.field("outcome") == "dropped").to_pylist()
    assert dropped
    assert {row["rule"] for row in dropped} <= set(run.counts["dropped"]["gopher_quality"])
    assert run.explain(dropped[0]["url"])[0]["rule"] == dropped[0]["rule"]
    assert run.tune({"gopher_quality.words.min": 1}).kept[0] >= run.counts["kept"]
    assert [doc.url for doc in run.documents()] == run.corpus(["url"])["url"].to_pylist()
    assert steps[0].phase == "pass"
    assert str(steps[-1]).startswith(steps[-1].phase)
    assert sum(step.records["in"] for step in steps if step.done == step.units and step.phase == "pass") == 12
    again = corpus.build(archive, tmp_path / "out", recipe, set={"gopher_quality.stop_words": "off"})
    assert again.info == run.info
    with pytest.raises(corpus.OutputError):
        corpus.build(archive, tmp_path / "out", recipe)


def test_in_a_thread(tmp_path, archive, recipe):
    found = []
    thread = threading.Thread(target=lambda: found.append(corpus.build(archive, tmp_path / "out", recipe, workers=1)))
    thread.start()
    thread.join()
    assert found[0].counts["in"] == 12


def test_what_a_notebook_shows_of_a_run(tmp_path, archive, recipe, monkeypatch):
    monkeypatch.setattr("jobs.python.LocalEngine", InProcess)
    run = corpus.build([archive], tmp_path / "out", {**recipe, "name": "<b>bold"}, workers=1)
    assert "<b>bold" not in run._repr_html_()
    assert "gopher_quality" in run._repr_html_()
    shown = run.report()
    assert shown._repr_html_().startswith("<iframe sandbox")
    assert "<script" not in shown._repr_html_()
    shown.save(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text() == shown.html


def test_errors(tmp_path, archive, recipe, monkeypatch):
    monkeypatch.setattr("jobs.python.LocalEngine", InProcess)

    class Own(Stage):
        name = "own"

        def apply(self, doc):
            return iter(())

    with pytest.raises(corpus.InputError):
        corpus.build(tmp_path / "nothing", tmp_path / "out", recipe)
    with pytest.raises(corpus.ConfigError, match="no recipe 'defualt'") as error:
        corpus.build(archive, tmp_path / "out", "defualt")
    assert "default" in error.value.todo
    with pytest.raises(corpus.ConfigError, match="don't know the stage own"):
        corpus.build(archive, tmp_path / "out", corpus.Recipe.of([Own()]))
    assert not (tmp_path / "out").exists()
    (tmp_path / "same.jsonl").write_text('{"text": "one"}\n' * 2_000)
    with pytest.raises(corpus.AlarmError, match="Stopped"):
        corpus.build(tmp_path / "same.jsonl", tmp_path / "alarm", dedup(), alarm_rate=0.5, workers=1)
    for wrong, what in (
        ({"workers": 0}, "0 is not a number"),
        ({"columns": {"txt": "x"}}, "'txt' is not a part"),
    ):
        with pytest.raises(corpus.ConfigError, match=what):
            corpus.build(archive, tmp_path / "out", recipe, **wrong)
    for texts in (["One text.\nAnother line."], [7], {"text": 1}.values()):
        with pytest.raises(corpus.ConfigError, match="An input is not a path"):
            corpus.build(texts, tmp_path / "out", recipe)
    assert {"build", "recipe"} <= set(dir(corpus))
    with pytest.raises(AttributeError, match="no attribute 'biuld'"):
        corpus.biuld  # noqa: B018


def test_a_script_with_the_name_of_a_package_starts_no_builds_without_end(tmp_path, archive):
    """The page worker imports the script, which builds again."""
    script = (
        "import tempfile, corpus\n"
        f"run = corpus.build({str(archive)!r}, tempfile.mkdtemp() + '/out', 'default', workers=1)\n"
        "print(*(unit['reason'] for unit in run.info['quarantined']))\n"
    )
    (tmp_path / "phonenumbers.py").write_text(script)
    done = subprocess.run([sys.executable, tmp_path / "phonenumbers.py"], capture_output=True, text=True, check=True)
    assert "phonenumbers.py" in done.stdout
    assert "check_not_ours" in done.stdout


def test_all_public_names_are_there_and_documented():
    text = (Path(__file__).parents[2] / "docs" / "python.md").read_text()
    for name in corpus.__all__:
        assert getattr(corpus, name)
        assert f"`{name}" in text or f"corpus.{name}" in text, name
