"""The register of what was made from a run."""

import json
import stat

import pytest

from corpus.run import open_run
from corpus.storage.store import LocalStore
from jobs.runner.derived import register, registered
from tests.bpe import small_tokenizer
from tests.jobs.build.test_build import tree
from tests.ledgers import judged, recipe, write_run
from tests.security.test_hostile_folder import run as command_line


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run", recipe(), judged(recipe(), [{}, {}]))


def test_entries_are_kept_once_and_sorted(run):
    for _ in range(2):
        register(run, "tokens", run.parent / "t")
        register(str(run), "export", "https://u:secret@s.example/e")
    assert registered(run) == [
        {"kind": "export", "name": "https://s.example/e"},
        {"kind": "tokens", "name": str(run.parent / "t")},
    ]
    assert len(list((run / "derived").iterdir())) == 2


def test_a_folder_that_can_not_be_written_fails_nothing(run, monkeypatch, capsys):
    monkeypatch.setattr(
        "jobs.runner.derived.write_whole", lambda *given: (_ for _ in ()).throw(PermissionError(13, "no"))
    )
    register(run, "tokens", "t")
    assert capsys.readouterr().err == f"{run} can't be written, so a takedown there will not name t.\n"
    assert registered(run) == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"kind": 7, "name": "x"}', "[" * 50_000])
def test_what_is_no_entry_is_passed_over(run, content):
    register(run, "tokens", "t")
    (run / "derived" / "x.json").write_text(content)
    assert registered(run) == [{"kind": "tokens", "name": "t"}]


def test_a_link_in_its_place_is_not_followed(run, capsys):
    (run.parent / "victim").mkdir()
    (run / "derived").symlink_to(run.parent / "victim")
    register(run, "tokens", "t")
    assert "can't be written" in capsys.readouterr().err
    assert registered(run) == []
    assert list((run.parent / "victim").iterdir()) == []


def test_the_run_stays_whole(run):
    before, files = json.loads((run / "run.json").read_text()), tree(run)
    register(run, "tokens", "t")
    assert open_run(run).info == before
    assert tree(run) == files
    assert stat.S_ISDIR((run / "derived").stat().st_mode)
    assert "derived" in LocalStore(run).names()


def test_all_outputs_of_a_run_are_registered_and_a_takedown_names_them(tmp_path):
    place, out = tmp_path, tmp_path / "out"
    (place / "tok").mkdir()
    (place / "tok" / "tokenizer.json").write_bytes(small_tokenizer().data)
    commands = [
        ("sample", "-o", place / "s.warc.gz", "--pages", 60),
        ("build", place / "s.warc.gz", "-o", out),
        ("tokenize", out, "-o", place / "t", "--tokenizer", place / "tok", "--val-share", 0.5),
        ("export", out, "-o", place / "e", "--for", "datasets"),
        ("build", place / "s.warc.gz", "-o", place / "later", "--against", out),
        ("tune", out, "--set", "gopher_quality.words.min=30", "--write", place / "tuned"),
    ]
    for command in commands:
        done = command_line(*command)
        assert done[0] == 0, done
    made = [("export", "e"), ("run", "later"), ("run", "tuned"), ("tokens", "t")]
    assert registered(out) == [{"kind": kind, "name": str(place / name)} for kind, name in made]
    assert registered(place / "tuned") == []
    assert command_line("verify", out)[0] == 0
    url = open_run(out).corpus(columns=["url"])["url"][0].as_py()
    (place / "urls.txt").write_text(url)
    code, said = command_line("remove", out, "--urls", place / "urls.txt")
    assert code == 0
    assert all(f"Made from this run: {kind} {place / name}\n" in said for kind, name in made)
    assert "still contain its pages" in said
    assert len(registered(out)) == 4
    assert command_line("verify", out)[0] == 0
    assert not (out / ".work").exists()
