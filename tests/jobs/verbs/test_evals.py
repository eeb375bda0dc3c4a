"""`corpus evals`: from items to an index, a build with it, and the report of the run."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.errors import ConfigError
from filters.decontaminate.index import EvalIndex
from jobs.build.eval_items import answers_of, read_items
from jobs.build.inputs import find_inputs
from tests.commands import run_command
from tests.filters.decontaminate.items import LONG, SHORT, prose

ROWS = [
    {"eval_key": "arith", "question": LONG, "answer": "88"},
    {"eval_key": "facts", "question": SHORT, "answer": "Venus", "is_correct": False},
    {"eval_key": "facts", "question": SHORT, "answer": "Mercury", "is_correct": True},
    {"eval_key": "facts", "question": None, "answer": "nothing"},
    {"eval_key": "a b/ü", "question": "Why?", "answer": ""},
]


@pytest.fixture
def items(tmp_path):
    path = tmp_path / "items.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, ROWS)).encode()))
    return path


def words(seed):
    return f"The {prose(110, seed)} is of the town, and it has to be with that."


@pytest.fixture
def pages(tmp_path):
    texts = [words(1), f"{words(2)}\n{LONG}", f"{words(3)}\n{SHORT} It is Mercury.\n{LONG}", f"{words(4)}\n{SHORT}"]
    path = tmp_path / "pages.jsonl"
    rows = [{"text": text, "url": f"https://a.example/{number}"} for number, text in enumerate(texts)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def build(pages, out, *settings):
    rules = [
        f"--set={one}=off" for one in ("language", "gopher_repetition", "gopher_quality", "minhash", "c4", "fineweb")
    ]
    return run_command("build", pages, "-o", out, "--recipe", "text", "--workers", 1, *rules, *settings)


def test_a_run_says_which_items_it_found_and_where(items, pages, tmp_path, capfd):
    index, out = tmp_path / "evals", tmp_path / "out"
    assert run_command("evals", "index", items, "-o", index, "--json") == 0
    captured = capfd.readouterr()
    made = json.loads(captured.out)
    assert made["index"] == EvalIndex.open(index, verify=True).digest
    assert made["unread"] == ["items.jsonl.gz:3"]
    counts = {one["name"]: (one["items"], one["left_out"]) for one in made["benchmarks"]}
    assert counts == {"a_b_": (1, 1), "arith": (1, 0), "facts": (1, 0)}
    assert "facts: 1 item\n" in captured.err

    assert build(pages, out, f"--set=decontaminate.index={index}") == 0
    info = json.loads((out / "run.json").read_text())
    assert info["checked"] == {"decontaminate": {"index": made["index"], "benchmarks": made["benchmarks"]}}
    assert info["records"]["dropped"] == {"decontaminate": {"overlap": 2}}
    assert run_command("verify", out) == 0
    capfd.readouterr()
    assert run_command("evals", "report", out, "--json") == 0
    (found,) = json.loads(capfd.readouterr().out)
    assert found["benchmarks"][1] == {
        "benchmark": "arith", "items": 1, "left_out": 0, "found": 1,
        "in_kept": 0, "in_dropped": 1, "kept_pages": 0, "dropped_pages": 2,
    }  # fmt: skip
    assert [(page["url"], page["found"], page["rule"]) for page in found["pages"]] == [
        ("https://a.example/1", "arith:0", "decontaminate.overlap"),
        ("https://a.example/2", "arith:0 facts:0", "decontaminate.overlap"),
    ]
    assert run_command("evals", "report", out) == 0
    assert "1 (2 pages)" in capfd.readouterr().out


def test_other_limits_are_judged_from_the_ledger(items, pages, tmp_path, capfd):
    index, out = tmp_path / "evals", tmp_path / "out"
    run_command("evals", "index", items, "-o", index)
    build(pages, out, f"--set=decontaminate.index={index}")
    capfd.readouterr()
    rules = ["--set", "decontaminate.overlap=off", "--set", "decontaminate.items.max=1"]
    assert run_command("tune", out, *rules, "--json") == 0
    assert json.loads(capfd.readouterr().out)["kept"] == {"before": 2, "least": 3, "most": 3}
    assert run_command("tune", out, *rules, "--write", tmp_path / "tuned") == 0
    assert json.loads((tmp_path / "tuned" / "run.json").read_text())["checked"].keys() == {"decontaminate"}
    capfd.readouterr()
    assert run_command("evals", "report", tmp_path / "tuned", "--json") == 0
    (found,) = json.loads(capfd.readouterr().out)
    assert (found["benchmarks"][1]["in_kept"], found["benchmarks"][1]["in_dropped"]) == (1, 1)


def test_items_are_cut_from_the_corpus(items, pages, tmp_path, capfd):
    index, out = tmp_path / "evals", tmp_path / "out"
    run_command("evals", "index", items, "-o", index)
    build(pages, out, f"--set=decontaminate.index={index}", "--set=decontaminate.action=cut")
    texts = pq.read_table(out / "corpus")["text"].to_pylist()
    assert [text.split("\n") for text in texts] == [[words(1)], [words(2)], [words(3)], [words(4), SHORT]]
    capfd.readouterr()
    assert run_command("evals", "report", out) == 0
    assert "cut from kept pages" in capfd.readouterr().out


def test_a_run_without_an_index_has_no_report(pages, tmp_path, capfd):
    assert build(pages, tmp_path / "out") == 0
    assert " decontaminate  0        4     off\n" in capfd.readouterr().err
    assert "checked" not in json.loads((tmp_path / "out" / "run.json").read_text())
    assert run_command("evals", "report", tmp_path / "out") == 2
    assert "looked for benchmark items. Build with --set decontaminate.index=DIR" in capfd.readouterr().err


def test_columns_of_parquet_are_named(tmp_path, capfd):
    path = tmp_path / "quiz-1.parquet"
    pq.write_table(pa.table({"q": [SHORT, LONG], "options": [["Venus", "Mars"], None], "answer": [1, 0]}), path)
    assert run_command("evals", "index", path, "-o", tmp_path / "evals") == 2
    assert "no column with a known name for questions" in capfd.readouterr().err
    unread = []
    found = list(read_items(find_inputs([str(path)]), {"question": "q"}, unread))
    assert [(one.benchmark, one.question, one.answers, one.source) for one in found] == [
        ("quiz-1", SHORT, ("Venus", "Mars"), "quiz-1.parquet:0"),
        ("quiz-1", LONG, ("0",), "quiz-1.parquet:1"),
    ]
    with pytest.raises(ConfigError, match="no column 'a' for --answer"):
        list(read_items(find_inputs([str(path)]), {"question": "q", "answer": "a"}, unread))


@pytest.mark.parametrize(
    ("answer", "choices", "found"),
    [
        ("B", ["red", "blue"], ["red", "blue"]),
        (1, ["red", "blue"], ["red", "blue"]),
        ("blue", ["red", "blue"], ["red", "blue"]),
        ("B", {"label": ["A", "B"], "text": ["red", "blue"]}, ["red", "blue"]),
        ("B", None, ["B"]),
        (["nineteen", "19", 19], None, ["nineteen", "19"]),
        (None, None, []),
        ({"value": 3}, [None, "", "x", ["y"]], ["x"]),
    ],
)
def test_answers_are_all_choices_and_the_answer_itself(answer, choices, found):
    assert answers_of(answer, choices) == found
