"""`corpus classifier train`, and the score of its model in a run, its tools and a mixture."""

import json
import re
import stat
from pathlib import Path

import pytest

from corpus.errors import ConfigError
from corpus.run import open_run
from filters.classifier.tokens import View
from jobs.classifier.make import Task, make_classifier
from jobs.classifier.pages import Page, Pages, Reading
from jobs.classifier.train import Settings
from jobs.runner.local_engine import LocalEngine
from jobs.runner.progress import Progress
from tests.jobs.classifier.pages import OWN, documents, write_lines
from tests.warcs import page, write_warc

ROOT = Path(__file__).parents[3]
FAST = ("--epochs", "3", "--folds", "2", "--workers", "1")


def blocks(language=""):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / "classifier.md").read_text(), re.DOTALL)


def two_folders(folder, count=40):
    for label in ("good", "bad"):
        write_lines(folder / label / "pages.jsonl", documents(label, count))


def test_the_example_of_the_docs_runs_and_its_score_is_a_measure_like_others(corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    two_folders(tmp_path, 60)
    new = documents("good", 10, seed=1) + documents("bad", 10, seed=1)
    write_lines(tmp_path / "new.jsonl", new)
    (tmp_path / "quality.toml").write_text(blocks("toml")[0])
    commands = blocks()[0].splitlines()
    said = ""
    for command in commands:
        code, _, said = corpus(*command.split()[1:])
        assert code == 0, said
    run = open_run(tmp_path / "out")
    rows = {row["record_id"]: row for row in run.ledger().to_pylist()}
    assert {rows[one["id"]]["quality.label"] for one in new if one["label"] == "bad"} == {"bad"}
    dropped = {name for name, row in rows.items() if row["outcome"] == "dropped"}
    assert dropped == {one["id"] for one in new if one["label"] == "bad"}
    assert all(rows[name]["value"] == rows[name]["quality.score"] < 0.5 for name in dropped)
    code, out, said = corpus("explain", "out", new[-1]["url"], "--json")
    assert '"score"' in out, said
    code, out, _ = corpus("tune", "out", "--set", "quality.score.min=off", "--json")
    assert json.loads(out)["kept"] == {"before": 10, "least": 20, "most": 20}
    assert corpus("report", "out")[0] == 0
    assert "quality.score" in (tmp_path / "out" / "report.html").read_text().replace("<wbr>", "")
    (tmp_path / "mixture.toml").write_text(f'[[sources]]\nname = "web"\npath = "out"\n{blocks("toml")[1]}')
    assert corpus("tokenizer", "train", "out", "-o", "tok", "--vocab-size", "300")[0] == 0
    code, out, said = corpus("tokenize", "mixture.toml", "--tokenizer", "tok", "--dry-run", "--json")
    assert code == 0, said
    scores = [rows[one["id"]]["quality.score"] for one in new if one["label"] == "good"]
    copies = sum(2 if score < 0.9 else 4 for score in scores)
    assert re.search(rf'"copies": {copies}\b', out), out


def test_labels_of_a_column_and_the_files_of_a_model(corpus, tmp_path):
    rows = [row for label in ("good", "bad", "other") for row in documents(label, 30)]
    rows += [
        dict(rows[0], id="twin"),
        dict(rows[1], id="other label", label="bad"),
        {"id": "no text", "text": " ", "label": "bad"},
    ]
    rows += [{"id": "no label", "text": "Some text without a label."}]
    file = write_lines(tmp_path / "pages.jsonl", rows)
    out = tmp_path / "model"
    code, found, said = corpus("classifier", "train", "--labelled", file, "-o", out, *FAST, "--json")
    assert code == 0, said
    facts = json.loads(found)
    assert facts["labels"] == ["bad", "good", "other"]
    assert facts["left_out"] == {"without text": 1, "without a label": 1, "repeated": 1, "with two labels": 2}
    assert facts == json.loads((out / "classifier.json").read_text())
    assert {path.name for path in out.iterdir()} == {"model.bin", "classifier.json", "report.html", "report.json"}
    assert stat.S_IMODE((out / "report.html").stat().st_mode) == 0o600
    report = json.loads((out / "report.json").read_text())
    assert {row["label"]: row["pages"] for row in report["labels"]} == facts["pages"]
    assert all(0 <= row["auc"] <= 1 for row in report["labels"])
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert corpus("classifier", "train", "--labelled", file, "-o", out, *FAST)[0] == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    code, _, said = corpus("classifier", "train", "--labelled", file, "-o", out, *FAST, "--seed", "1")
    assert (code, "another model: settings.seed: 0 → 1" in said) == (1, True)


def test_nothing_of_a_page_gets_into_the_report_unescaped_or_unmasked(corpus, tmp_path):
    for label in ("good", "bad"):
        start = "<script>alert(1)</script> mail bob@mail.com"
        evil = [dict(row, text=f"{start} {row['text']}") for row in documents(label, 24)]
        write_lines(tmp_path / label / "pages.jsonl", evil)
    out = tmp_path / "model"
    code, _, said = corpus(
        "classifier", "train", "--good", tmp_path / "good", "--bad", tmp_path / "bad", "-o", out, *FAST
    )
    assert code == 0, said
    html = (out / "report.html").read_text()
    assert "alert(1)" in html
    assert "<script>alert" not in html
    assert "bob@mail.com" not in html


def test_pages_of_a_run_by_their_rule_are_read_again(corpus, tmp_path):
    words = [*OWN["bad"].split(), *OWN["other"].split()]
    pages = {f"http://site{number}.example/a": page(word, f"{word} is short.") for number, word in enumerate(words)}
    archive = write_warc(tmp_path / "w.warc.gz", pages)
    assert corpus("build", archive, "-o", tmp_path / "run", "--set", "url=off", "--set", "language=off")[0] == 0
    dropped = open_run(tmp_path / "run").counts["dropped"]
    (stage, rules), *_ = dropped.items()
    rule = f"{stage}.{next(iter(rules))}"
    good = write_lines(tmp_path / "good.jsonl", documents("good", 30))
    query = f"{tmp_path / 'run'}:rule={rule}"
    code, found, said = corpus(
        "classifier", "train", "--good", good, "--bad", query, "-o", tmp_path / "m", *FAST, "--json"
    )
    assert code == 0, said
    assert json.loads(found)["pages"]["bad"] > 0
    assert [
        one["kind"] for one in map(json.loads, (p.read_text() for p in (tmp_path / "run" / "derived").iterdir()))
    ] == ["classifier"]
    code, _, said = corpus(
        "classifier", "train", "--good", good, "--bad", f"{tmp_path / 'run'}:rule=c4.nothing", "-o", tmp_path / "n"
    )
    assert (code, "no rule 'c4.nothing'" in said) == (2, True)


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (("--good", "good"), 2, "Give --bad"),
        (("--bad", "bad"), 2, "Give --good"),
        ((), 2, "no pages of one of the two kinds"),
        (("--labelled", "good", "--good", "good"), 2, "labels of its own"),
        (("--good", "good", "--bad", "bad", "--see", "wrds"), 2, "Did you mean words"),
        (("--good", "good", "--bad", "none"), 1, "There is no file"),
        (("--labelled", "good", "--label", "topc"), 2, "no column 'topc'"),
        (("--good", "good", "--bad", "bad", "-o", "."), 1, "holds other files"),
    ],
)
def test_mistakes_are_named(corpus, tmp_path, monkeypatch, words, code, what):
    monkeypatch.chdir(tmp_path)
    two_folders(tmp_path, 24)
    out = () if "-o" in words else ("-o", "model")
    found, _, said = corpus("classifier", "train", *words, *out)
    assert (found, what in said) == (code, True), said


def test_a_wanted_label_that_no_page_has_is_named(tmp_path, monkeypatch):
    rows = [row for label in ("good", "bad") for row in documents(label, 24)]
    pages = [Page(row["id"], row["url"], row["url"], row["label"], row["text"], "") for row in rows]
    monkeypatch.setattr("jobs.classifier.make.read_pages", lambda sources, how: Pages(pages, {}, []))
    how = Reading(tmp_path, LocalEngine, Progress(), {}, View(), 0, 100)
    with pytest.raises(ConfigError, match="No page has the label 'god'"):
        make_classifier(Task((), "god", Settings()), tmp_path / "m", how)
