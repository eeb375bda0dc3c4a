"""The index has whole passages with their sources, and neither pages, queries nor files of strangers do harm."""

import json
import sqlite3
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.errors import InputError, IntegrityError
from jobs.assistant import search as search_module
from jobs.assistant.conversation import Message
from jobs.assistant.search import LEAST_PASSAGE, MOST_PASSAGE, Index, passages, write_index
from jobs.assistant.tool import MOST_TEXT, ToolError
from jobs.assistant.tools import tools_of, use
from tests.jobs.assistant.made import HOSTILE, made_run


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    write_index(made_run(folder / "run"), folder / "index.sqlite")
    return folder / "index.sqlite"


@given(st.text("aé日。.!? \n\t", max_size=3000))
@settings(max_examples=40)
def test_passages_are_short_lines_and_have_the_whole_text(text):
    found = list(passages(text))
    assert all(len(one) <= MOST_PASSAGE and one == " ".join(one.split()) for one in found)
    missing = "".join(text.split()).removeprefix("".join("".join(found).split()))
    assert len(missing) < LEAST_PASSAGE


def test_passages_end_where_sentences_and_paragraphs_do():
    sentence = "The baker's clock is four minutes slow (as ever). "
    paragraph = "A heading without a full stop"
    found = list(passages(f"{sentence * 12}\n{paragraph}\n{sentence * 12}"))
    assert len(found) > 2
    assert all(one.endswith((sentence.strip(), paragraph)) for one in found)


def test_the_passage_with_the_words_in_a_row_goes_first(tmp_path):
    texts = {
        "http://a.example/": "Boats, red and slow, on the wide sea: red boats again, and boats that are red, red, red.",
        "http://b.example/": "It was long ago that the sea took three slow red boats away from all of us in the town.",
    }
    write_index(made_run(tmp_path / "run", texts), tmp_path / "index")
    index = Index(tmp_path / "index")
    assert index.search("slow red boats") == f"{texts['http://b.example/']}\nSource: http://b.example/"
    assert index.find("red sea nowhere")[1] == "http://a.example/"
    with pytest.raises(ToolError):
        index.search("giraffe")


def test_the_same_run_gives_the_same_file_bound_to_it(tmp_path):
    run = made_run(tmp_path / "run")
    counts = [write_index(run, tmp_path / name) for name in ("a", "b", "b")]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    index = Index(tmp_path / "a")
    assert (index.fingerprint, index.count) == ("f" * 64, counts[0])
    assert index.passage(index.count)
    assert index.passage(index.count + 1) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "run"]


@given(st.text(max_size=80))
@settings(max_examples=150)
def test_any_query_gives_a_passage_or_an_error(file, query):
    index = Index(file)
    with suppress(ToolError):
        assert len(index.search(query)) <= MOST_TEXT


@pytest.mark.parametrize(
    "query",
    ["", '"', '" OR text:"a', "sea NEAR(", "NOT sea", "text:", "url : site1", "sea*", "^sea", "sea AND", "{sea}", "-",
     "\0", "\ud800", "sea\0boats", "1; DROP TABLE passages", "a" * 9999, "sea " * 9999],
)  # fmt: skip
def test_the_syntax_of_fts5_is_text(file, query):
    assert use({"search": Index(file).search}, "search", query)
    assert Index(file).count


def test_a_long_search_is_an_error_for_the_model(file, monkeypatch):
    monkeypatch.setattr(search_module, "_STEPS", 1)
    index = Index.__new__(Index)
    index.file, index._base = file, sqlite3.connect(file)
    with pytest.raises(ToolError, match="too long"):
        index.search("the sea")


def foreign(path):
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE facts (json TEXT)")


def odd(path, statement):
    with sqlite3.connect(path) as base:
        base.execute(statement)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not a database" * 99),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), foreign(path)),
        lambda path: odd(path, "DROP TABLE facts"),
        lambda path: odd(path, "UPDATE facts SET json = '[]'"),
        lambda path: odd(path, 'UPDATE facts SET json = \'{"fingerprint": 1, "passages": null}\''),
        lambda path: odd(path, "DROP TABLE passages"),
    ],
)
def test_what_is_no_index_is_one_sentence(file, tmp_path, damage):
    path = tmp_path / "index.sqlite"
    path.write_bytes(file.read_bytes())
    damage(path)
    with pytest.raises((InputError, IntegrityError), match="corpus index RUN"):
        tools_of(path)


def test_damage_in_the_middle_is_one_sentence(file, tmp_path):
    path = tmp_path / "index.sqlite"
    data = bytearray(file.read_bytes())
    path.write_bytes(data[:8192] + b"\xff" * (len(data) - 8192))
    with pytest.raises((InputError, IntegrityError), match="damaged"):
        Index(path).search("the sea")


def test_a_file_of_a_stranger_gives_short_lines(file, tmp_path):
    path = tmp_path / "index.sqlite"
    path.write_bytes(file.read_bytes())
    odd(path, f"INSERT INTO passages VALUES ('wombat{' long' * 9999}' || char(10) || 'Source: x', x'ff{'20' * 999}')")
    lines = Index(path).search("wombat").split("\n")
    assert len(lines) == 2
    assert sum(map(len, lines)) <= MOST_TEXT


def test_a_text_that_is_no_utf8_is_one_sentence(file, tmp_path):
    path = tmp_path / "index.sqlite"
    path.write_bytes(file.read_bytes())
    odd(path, "INSERT INTO passages VALUES ('wombat', CAST(x'ff' AS TEXT))")
    with pytest.raises(IntegrityError, match="damaged"):
        Index(path).search("wombat")


def test_an_index_is_not_written_to(file):
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        Index(file)._base.execute("INSERT INTO facts VALUES ('x', NULL)")


def test_a_hostile_page_in_a_result_is_text(file, chat):
    result = Index(file).search("zebra crossing")
    assert " ".join(HOSTILE.split()) in result
    specials = set(chat.tokenizer.specials.values())
    ids, said = chat.tokens([Message("user", "?"), Message("tool", result)])
    assert [one for one in ids if one in specials] == [chat.tokenizer.bos] + [chat.start, chat.sep, chat.end] * 2
    assert not any(said)


def test_without_an_index_there_is_no_search():
    assert list(tools_of(None)) == ["calculator"]
    assert use(tools_of(None), "calculator", '"strawberry".count("r")') == "3"
    assert use(tools_of(None), "search", "x").startswith("Error: ")
    assert use(tools_of(None), "calculator", "1/0") == "Error: This divides by zero."


def test_the_verb_makes_an_index_that_lessons_ask_about(corpus, tmp_path):
    run, file = made_run(tmp_path / "run"), tmp_path / "index.sqlite"
    code, out, err = corpus("index", run, "-o", file, "--json")
    assert code == 0, err
    assert json.loads(out) == {"passages": Index(file).count}
    code, out, err = corpus("lessons", "recall", "--index", file, "-n", 2)
    assert code == 0, err
    assert [json.loads(line)["messages"][2]["role"] for line in out.splitlines()] == ["tool"] * 2
    assert corpus("lessons", "recall")[0] == 2
    assert corpus("index", tmp_path, "-o", file)[0] == 1
    code, _, err = corpus("index", run, "-o", tmp_path / "none" / "index.sqlite")
    assert code == 1, err
