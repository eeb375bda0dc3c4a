"""LineDedup in a run: removed lines, dropped documents, and the ledger."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jobs.build.compare
from corpus.dedup.lines import NOT_COMPARED
from corpus.document import Document
from corpus.errors import ConfigError
from corpus.run import open_run
from corpus.text.lines import split_lines, without_lines
from filters.line_dedup import LineDedup
from jobs.build.build import build
from jobs.build.plan import make_plan
from jobs.cli import main
from jobs.runner.progress import Progress
from tests.engines import InProcess, engine_of
from tests.filters.test_minhash import letters, text
from tests.jobs.build.test_build import job, tree
from tests.line_runs import of_texts
from tests.stubs import recipe_from_dict
from tests.warcs import page, write_warc


def own(seed, lines=6):
    """Return lines that no other seed has."""
    return [f"{letters(seed * 1000 + number)} stands in this line and in no other one." for number in range(lines)]


COMMON = "Sign up for our letter, which comes every week."


def texts_of(tmp_path, pages, **lines):
    """Return the remaining text, verdict row and facts of each page, without a pass."""
    bodies = ["\n".join(body) if isinstance(body, list) else body for body in pages.values()]
    left, rows, info = of_texts(tmp_path, bodies, **lines)
    texts = {name: text for name, text in zip(pages, left, strict=True) if text is not None}
    return texts, dict(zip(pages, rows, strict=True)), info


def run(tmp_path, pages, *, minhash=None, **lines):
    """Run a whole build, with one archive for each page."""
    stages = [{"stage": "paragraphs"}, {"stage": "pii"}]
    stages += [{"stage": "minhash", **minhash}] if minhash is not None else []
    for number, name in enumerate(pages):
        body = "\n".join(pages[name]) if isinstance(pages[name], list) else pages[name]
        write_warc(tmp_path / f"{number}.warc.gz", {f"http://{name}.example/": body.encode()})
    made = job(sorted(tmp_path.glob("*.warc.gz")), tmp_path / "out", {"stages": [*stages, {"stage": "lines", **lines}]})
    assert build(made, lambda: InProcess(), Progress(quiet=True)).exit_code == 0
    found = open_run(tmp_path / "out")
    found.verify()
    rows = {short(row["url"]): row for row in found.ledger().to_pylist()}
    texts = {short(row["url"]): row["text"] for row in found.corpus().to_pylist()}
    assert set(texts) == {name for name, row in rows.items() if row["outcome"] == "kept"}
    return found, rows, texts


def short(url):
    return url.removeprefix("http://").removesuffix(".example/")


def measures(row):
    return {name.removeprefix("lines."): value for name, value in row.items() if name.startswith("lines.")}


def test_a_line_stays_in_the_first_document_that_has_it(tmp_path):
    pages = {"a": own(1), "b": [*own(2), COMMON], "c": [COMMON, *own(3)], "d": [*own(4), COMMON, *own(5)]}
    texts, rows, info = texts_of(tmp_path, pages)
    assert texts["a"] == "\n".join(own(1))
    assert texts["b"] == "\n".join([*own(2), COMMON])
    assert texts["c"] == "\n".join(own(3))
    assert texts["d"] == "\n".join(own(4) + own(5))
    assert rows["a"] is rows["b"] is None
    assert info["removed"] == {"documents": {}, "lines": 2, "chars": 2 * len(COMMON), "from_documents": 2}
    assert info["compared"]["documents"] == 4


def test_lines_are_equal_after_normalisation(tmp_path):
    pages = {"a": [*own(1), "Page 17 of 20"], "b": [*own(2), "  page 23 OF 99!"], "c": [*own(3), "Page of"]}
    texts, _, _ = texts_of(tmp_path, pages)
    assert texts["b"] == "\n".join(own(2))
    assert texts["c"].endswith("\nPage of")


def test_lines_as_they_are(tmp_path):
    pages = {"a": [*own(1), "Page 17", "More"], "b": [*own(2), "Page 18", " More\t"]}
    texts, _, _ = texts_of(tmp_path, pages, normalise=False)
    assert texts["b"] == "\n".join([*own(2), "Page 18"])


def test_short_lines_can_be_left_alone(tmp_path):
    pages = {"a": [*own(1), "Introduction", COMMON], "b": ["Introduction", *own(2), COMMON]}
    texts, rows, _ = texts_of(tmp_path, pages, min_chars=20)
    assert texts["b"] == "\n".join(["Introduction", *own(2)])
    assert rows["b"]["lines_compared"] == 7


def test_blank_lines_and_punctuation_are_never_compared(tmp_path):
    pages = {"a": "\n\n".join(own(1)) + "\n***\n \n", "b": "\n\n".join(own(2)) + "\n***\n \n"}
    texts, rows, _ = texts_of(tmp_path, pages)
    assert texts == pages
    assert rows == {"a": None, "b": None}


def test_paragraphs(tmp_path):
    pages = {
        "a": "\n".join(own(1)) + f"\n\n{COMMON}\nFor free.",
        "b": f"{COMMON}\nFor free.\n\n\n" + "\n".join(own(2)),
        "c": f"{COMMON}\n" + "\n".join(own(3)),
    }
    texts, _, _ = texts_of(tmp_path, pages, split="paragraphs")
    assert texts == {**pages, "b": "\n".join(own(2))}


def test_only_lines_of_enough_documents(tmp_path):
    other = "Only two have this one."
    pages = {"a": [*own(1), COMMON, other], "b": [*own(2), COMMON], "c": [*own(3), COMMON, other]}
    texts, _, _ = texts_of(tmp_path, pages, documents=3)
    assert texts["a"] == "\n".join([*own(1), COMMON, other])
    assert texts["b"] == "\n".join(own(2))
    assert texts["c"] == "\n".join([*own(3), other])


def test_boilerplate_out_of_all(tmp_path):
    pages = {name: [COMMON, *own(number)] for number, name in enumerate("abc", 1)}
    texts, rows, _ = texts_of(tmp_path, pages, documents=3, keep="none")
    assert texts == {name: "\n".join(own(number)) for number, name in enumerate("abc", 1)}
    assert [rows[name]["kept_in"] for name in "abc"] == [None] * 3


def test_what_comes_twice_in_one_document_stays(tmp_path):
    refrain = [*own(1, 3), "And the river runs on.", *own(2, 3), "And the river runs on."]
    pages = {"a": refrain, "b": [*own(3), "And the river runs on.", *own(4), "And the river runs on."]}
    texts, rows, _ = texts_of(tmp_path, pages)
    assert texts["a"] == "\n".join(refrain)
    assert texts["b"] == "\n".join(own(3) + own(4))
    assert rows["b"]["lines_removed"] == 2


def test_a_document_that_loses_too_much_is_dropped(tmp_path):
    pages = {"a": own(1, 20), "b": [*own(1, 18), *own(2, 3)], "c": own(3)}
    texts, rows, info = texts_of(tmp_path, pages)
    assert set(texts) == {"a", "c"}
    row = rows["b"]
    chars = [sum(map(len, lines)) for lines in (own(1, 18), own(2, 3))]
    assert (row["rule"], row["value"], row["limit"]) == ("removed_ratio", chars[0] / sum(chars), 0.8)
    assert (row["lines_removed"], row["chars_left"]) == (18, chars[1])
    assert info["removed"]["documents"] == {"removed_ratio": 1}
    assert info["removed"]["lines"] == 0  # the lines of a dropped document are not counted


def test_a_document_of_which_too_little_is_left_is_dropped(tmp_path):
    pages = {"a": [*own(1, 4), *own(2, 4)], "b": [*own(2, 4), *own(3, 2)], "c": own(4, 2)}
    texts, rows, _ = texts_of(tmp_path, pages)
    assert (rows["b"]["rule"], rows["b"]["limit"]) == ("chars_left", 200)
    assert rows["b"]["value"] == sum(map(len, own(3, 2)))
    assert texts["c"] == "\n".join(own(4, 2))  # it is as short, but loses nothing


def test_limits_are_settings(tmp_path):
    pages = {"a": [*own(1, 4), *own(2, 4)], "b": [*own(2, 4), *own(3, 2)], "c": own(2, 4)}
    off = {"removed_ratio": {"max": "off"}, "chars_left": {"min": "off"}}
    texts, rows, _ = texts_of(tmp_path / "off", pages, **off)
    assert texts == {"a": "\n".join(pages["a"]), "b": "\n".join(own(3, 2)), "c": ""}
    assert rows["c"]["removed_ratio"] == 1
    for name, limit in (("compared", {"min": 5}), ("removed", {"max": 3}), ("removed", {"below": 4})):
        texts, rows, _ = texts_of(tmp_path / f"{name}{limit}", pages, **off, **{name: limit})
        assert rows["c"]["rule"] == name
        assert rows["c"]["limit"] == next(iter(limit.values()))


def test_a_dropped_document_frees_its_lines(tmp_path):
    """b loses nearly all lines to a and is dropped. The lines that it shares with c stay in c."""
    pages = {"a": own(1, 20), "b": [*own(1, 20), *own(2, 3)], "c": [*own(2, 3), *own(3)], "d": [*own(2, 3), *own(4)]}
    texts, rows, _ = texts_of(tmp_path, pages)
    assert set(texts) == {"a", "c", "d"}
    assert texts["c"] == "\n".join(pages["c"])
    assert texts["d"] == "\n".join(own(4))
    assert rows["d"]["kept_in"] == "w.warc.gz:2"
    assert rows["b"]["kept_in"] == "w.warc.gz:0"


def test_of_many_documents_the_one_that_keeps_most_is_named(tmp_path):
    pages = {"a": own(1, 2), "b": own(2, 3), "c": own(3, 3), "d": [*own(1, 2), *own(2, 3), *own(3, 3), *own(4)]}
    _, rows, _ = texts_of(tmp_path, pages)
    assert rows["d"]["kept_in"] == "w.warc.gz:1"  # the first among equals


# whole runs


def test_ledger_corpus_and_samples_of_both_dedups(tmp_path):
    base = text(1)
    pages = {
        "a": [base, "Only a has this line, and f."],
        "b": base + " and here are some more words than a has",
        "c": [*own(1, 10), COMMON],
        "d": [*own(1, 10), text(7, 10)],
        "e": [COMMON, *own(2)],
        "f": ["Only a has this line, and f.", COMMON, *own(3)],
    }
    found, rows, texts = run(tmp_path, pages, minhash={})
    assert set(texts) == {"b", "c", "e", "f"}
    assert (rows["a"]["stage"], rows["a"]["detail"]) == ("minhash", rows["b"]["id"])
    assert set(measures(rows["a"]).values()) == {None}
    gone = rows["d"]
    assert (gone["outcome"], gone["stage"], gone["rule"]) == ("dropped", "lines", "removed_ratio")
    assert (gone["value"], gone["limit"], gone["detail"]) == (gone["lines.removed_ratio"], 0.8, rows["c"]["id"])
    assert texts["c"] == "\n".join(pages["c"])
    assert texts["e"] == "\n".join(own(2))
    assert texts["f"] == "\n".join([pages["f"][0], *own(3)])  # a is gone and keeps no line
    size = sum(map(len, own(2)))
    assert measures(rows["e"]) == {
        "compared": 7,
        "removed": 1,
        "removed_ratio": len(COMMON) / (size + len(COMMON)),
        "chars_left": size,
        "kept_in": rows["c"]["id"],
    }
    assert set(measures(rows["c"]).values()) == {None}
    assert found.info["records"]["dropped"] == {"minhash": {"similarity": 1}, "lines": {"removed_ratio": 1}}
    assert found.info["lines"]["compared"]["documents"] == 5
    assert [entry["lines"] for entry in found.info["lines"]["archives"]] == [0, 0, 0, 0, 1, 1]
    duplicates = {short(row["url"]): row["duplicates"] for row in found.corpus().to_pylist()}
    assert duplicates == {"b": 1, "c": 0, "e": 0, "f": 0}
    samples = pq.read_table(tmp_path / "out" / "samples" / "part-00000.parquet").to_pylist()
    rules = {short(row["url"]): row["rule"] for row in samples}
    assert rules["a"] == "minhash.similarity"
    assert rules["d"] == "lines.removed_ratio"
    assert {rules[name] for name in texts} == {"kept"}
    # documents that lost lines are not what was signed
    assert found.info["index"] is None
    assert not (tmp_path / "out" / "index").exists()


# recipes


@pytest.mark.parametrize(
    ("stages", "match"),
    [
        ([{"stage": "lines"}, {"stage": "pii"}], "'pii' comes after it"),
        ([{"stage": "lines"}, {"stage": "minhash"}], "'minhash' comes after it"),
        ([{"stage": "lines"}, {"stage": "lines", "name": "again"}], "'again' comes after it"),
        ([{"stage": "lines", "removed_ratio": {"min": 0.1}}], "removed_ratio can't have the bound 'min'"),
        ([{"stage": "lines", "chars_left": {"max": 1000}}], "chars_left can't have the bound 'max'"),
        ([{"stage": "lines", "kept_in": {"one_of": ["x"]}}], "kept_in can't have the bound 'one_of'"),
        ([{"stage": "lines", "split": "words"}], "split = 'words'"),
        ([{"stage": "lines", "keep": "last"}], "keep = 'last'"),
        ([{"stage": "lines", "documents": 1}], "documents = 1"),
        ([{"stage": "lines", "min_chars": 0}], "min_chars = 0"),
    ],
)
def test_recipes_that_cannot_be(stages, match):
    with pytest.raises(ConfigError, match=match):
        recipe_from_dict({"stages": [{"stage": "paragraphs"}, *stages]})


def test_lines_are_not_compared_with_earlier_runs(tmp_path):
    write_warc(tmp_path / "a.warc.gz", {"http://a.example/": b"x"})
    stages = {"stages": [{"stage": "paragraphs"}, {"stage": "minhash"}, {"stage": "lines"}]}
    with pytest.raises(ConfigError, match="within one run"):
        make_plan(job([tmp_path / "a.warc.gz"], tmp_path / "new", stages, against=(str(tmp_path / "old"),)))


def test_documents_of_other_languages_pass_it_by(tmp_path):
    language = {"stage": "language", "label": {"one_of": "off"}, "score": {"min": "off"}}
    stages = {"stages": [{"stage": "paragraphs"}, language, {"stage": "lines", "languages": ["xx"]}]}
    pages = {f"http://{name}.example/": "\n".join(own(1)).encode() for name in "ab"}
    write_warc(tmp_path / "a.warc.gz", pages)
    build(job([tmp_path / "a.warc.gz"], tmp_path / "out", stages), lambda: InProcess(), Progress(quiet=True))
    found = open_run(tmp_path / "out")
    assert found.info["records"]["kept"] == 2
    assert found.info["lines"]["compared"]["documents"] == 0


# the alarm, the command line, the same bytes


def test_an_alarm_stops_the_run_before_it_is_packed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(jobs.build.compare, "ALARM_DOCUMENTS", 4)
    shared = "<p>".join(own(1, 30))
    pages = {f"http://{number}.example/": page("x", f"{shared}<p>{text(number, 40)}") for number in range(6)}
    write_warc(tmp_path / "a.warc.gz", pages)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[[stages]]\nstage = "extract"\n[[stages]]\nstage = "lines"\nremoved_ratio = { max = "off" }\n')
    command = ["build", str(tmp_path / "a.warc.gz"), "-o", str(tmp_path / "out"), "--recipe", str(recipe)]
    monkeypatch.setattr("sys.argv", ["corpus", *command, "--alarm-rate", "0.5"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 4
    assert "characters of the run" in capsys.readouterr().err
    assert not (tmp_path / "out" / "corpus").exists()
    assert json.loads((tmp_path / "out" / ".work" / "dedup.json").read_text())["removed"]["lines"] > 0
    monkeypatch.setattr("sys.argv", ["corpus", *command, "--alarm-rate", "1"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0


@pytest.mark.parametrize("minhash", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_same_bytes_however_it_ran(tmp_path, minhash):
    rng = np.random.default_rng(1)
    pool = [line for seed in range(40) for line in own(seed, 5)]
    for name in "ab":
        pages = {}
        for number in range(60):
            some = [pool[place] for place in rng.zipf(1.3, 14) % len(pool)]
            pages[f"http://{name}{number}.example/"] = "\n".join([*some, *own(100 + number, 3)]).encode()
        write_warc(tmp_path / f"{name}.warc.gz", pages)
    compared = [{"stage": "minhash"}, {"stage": "lines"}] if minhash else [{"stage": "lines"}]
    stages = {"stages": [{"stage": "paragraphs"}, *compared]}
    inputs = [tmp_path / "a.warc.gz", tmp_path / "b.warc.gz"]
    trees = []
    for number, (workers, unit, memory) in enumerate(((1, None, 1 << 30), (2, 6_000, 1 << 14), (1, 2_500, 1 << 13))):
        made = job(inputs, tmp_path / str(number), stages, unit_bytes=unit, workers=workers, dedup_memory=memory)
        result = build(made, lambda workers=workers: engine_of(workers), Progress(quiet=True))
        assert result.exit_code == 0
        open_run(tmp_path / str(number)).verify()
        trees.append(tree(tmp_path / str(number)))
    assert trees[0] == trees[1] == trees[2]
    facts = open_run(tmp_path / "0").info["lines"]["removed"]
    assert facts["lines"] > 100
    assert facts["documents"]["removed_ratio"] > 1


# hashes and splits


@given(st.text(alphabet="ab \n", max_size=40), st.sampled_from(["lines", "paragraphs"]), st.data())
def test_cutting_takes_those_lines_and_nothing_else(original, split, data):
    parts = split_lines(original, split)
    gone = data.draw(st.sets(st.integers(0, len(parts) - 1)))
    left = [part for number, part in enumerate(parts) if number not in gone]
    found = without_lines(original, sorted(gone), split)
    if not gone:
        assert found == original
    if left:
        assert split_lines(found, split) == left
    else:
        assert found == ""


def test_hashes_and_lengths_lie_line_by_line():
    signed = LineDedup().sign(Document(text="One.\n\n—\nTwo\nONE"))
    hashes, chars = np.frombuffer(signed.hashes, "<u8"), np.frombuffer(signed.chars, "<u4")
    assert chars.tolist() == [4, 1, 3, 3]
    assert hashes[0] == hashes[3] != hashes[2]
    assert hashes[1] == NOT_COMPARED
