"""A run folder from a stranger. No verb reads or writes outside of it, whatever names its files contain."""

import contextlib
import io
import json
import shutil

import numpy as np
import pytest

from corpus.errors import CorpusError, IntegrityError
from corpus.run import open_run
from corpus.storage.store import LocalStore
from corpus.storage.swap import JOURNAL, RUN_FILES, finish_swap, fresh_folder
from corpus.tokens.token_folder import open_tokens
from tests.commands import run_command
from tests.security.test_stays_inside import snapshot
from tests.tiny_tokens import make_tokens


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    archive, out = folder / "s.warc.gz", folder / "out"
    for command in (["sample", "-o", archive, "--pages", "60"], ["build", archive, "-o", out]):
        code, said = run(*command)
        assert code == 0, said
    return folder / "out"


@pytest.fixture
def place(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "out")
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "precious.txt").write_text("precious")
    url = open_run(finished).corpus(columns=["url"])["url"][0].as_py()
    (tmp_path / "takedown.txt").write_text(f"{url}\n")
    return tmp_path


def run(*command):
    """Return the exit code and the output of a verb. A bug of ours would be exit code 70."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = run_command(*command)
    return code, said.getvalue()


def verbs(place):
    out = place / "out"
    yield "verify", out
    yield "report", out
    yield "explain", out, "http://nobody.example/"
    yield "tune", out, "--set", "gopher_quality.words.min=30"
    yield "diff", out, out
    yield "export", out, "-o", place / "exported", "--for", "datasets"
    yield "remove", out, "--urls", place / "takedown.txt"
    yield "build", place / "none.warc.gz", "-o", out


JOURNALS = [
    {"fresh": "../victim", "replace": ["corpus"], "remove": []},
    {"fresh": ".work/takedown-0123456789abcdef", "replace": [], "remove": ["../victim"]},
    {"fresh": ".work/takedown-0123456789abcdef", "replace": ["../victim"], "remove": []},
    {"fresh": ".work/takedown-0123456789abcdef", "replace": [], "remove": ["/etc/hostname"]},
    {"fresh": "corpus", "replace": ["ledger"], "remove": []},
    {"fresh": ".work/takedown-../../../victim", "replace": ["corpus"], "remove": []},
    {"fresh": ["x"], "replace": "corpus", "remove": "run.json"},
    {"fresh": ".work/takedown-0123456789abcdef", "replace": [["corpus"]], "remove": [None]},
    {"fresh": ".work/takedown-0123456789abcdef"},
    [],
    None,
    "x",
]


@pytest.mark.parametrize("journal", JOURNALS)
def test_a_hostile_swap_moves_nothing(place, journal):
    (place / "out" / ".work").mkdir()
    (place / "out" / JOURNAL).write_text(json.dumps(journal))
    before = snapshot(place)
    for command in verbs(place):
        code, said = run(*command)
        assert code == 1, (command, said)
        assert snapshot(place) == before, command


def test_our_own_swap_through_links_moves_nothing(place):
    fresh = place / "out" / fresh_folder("0123456789abcdef")
    fresh.parent.mkdir()
    fresh.symlink_to(place / "victim")
    journal = {"fresh": fresh_folder("0123456789abcdef"), "replace": list(RUN_FILES), "remove": []}
    (place / "out" / JOURNAL).write_text(json.dumps(journal))
    before = snapshot(place)
    with pytest.raises(IntegrityError, match="symbolic link"):
        finish_swap(LocalStore(place / "out"))
    after = snapshot(place)
    after.pop(str(place / "out" / ".work" / "gone"), None)
    assert after == before


@pytest.mark.parametrize("name", ["/etc/hostname", "../victim/precious.txt", "corpus/../run.json", 7, "\ud800"])
def test_a_manifest_that_names_others(place, name):
    entry = next((place / "out" / "manifest").glob("corpus-*.json"))
    entry.write_text(json.dumps({**json.loads(entry.read_text()), "key": name}))
    before = snapshot(place)
    for command in verbs(place):
        code, said = run(*command)
        assert code in (0, 1), (command, said)
        assert "precious" not in said
        assert {path: was for path, was in snapshot(place).items() if str(place / "victim") in path} == {
            path: was for path, was in before.items() if str(place / "victim") in path
        }


@pytest.mark.parametrize("linked", ["corpus", "ledger", "manifest", "index", "samples", ".work", "run.json"])
def test_a_link_in_the_place_of_a_part_is_named(place, linked):
    path = place / "out" / linked
    if path.exists():
        path.rename(place / "victim" / "moved")
    path.symlink_to(place / "victim" / "moved")
    before = {name: was for name, was in snapshot(place).items() if str(place / "victim") in name}
    for command in verbs(place):
        code, said = run(*command)
        assert code in (0, 1), (command, said)
        after = {name: was for name, was in snapshot(place).items() if str(place / "victim") in name}
        assert after == before, command
    code, said = run("verify", place / "out")
    assert code == 1, said


DEEP = "[" * 20_000 + "]" * 20_000


def test_json_that_is_nested_too_deeply_is_damage(finished, place):
    for name in sorted(path.relative_to(finished) for path in finished.rglob("*.json")):
        shutil.rmtree(place / "out")
        shutil.copytree(finished, place / "out")
        (place / "out" / name).write_text(DEEP)
        for command in verbs(place):
            code, said = run(*command)
            assert code in (0, 1), (name, command, said)


def test_requests_go_only_where_the_user_says(place, monkeypatch):
    """timings.json says where the archives were, and anybody can write it. Credentials would go there."""
    run_ = open_run(place / "out")
    dropped = run_.ledger(columns=["id", "outcome", "stage"]).to_pylist()
    page = next(row["id"] for row in dropped if row["stage"] == "gopher_quality")
    asked = []
    monkeypatch.setattr("corpus.net.client.Client.read", lambda self, url, *args: asked.append(url))
    timings = json.loads((place / "out" / "timings.json").read_text())
    for url in ("https://u:secret@evil.example/s.warc.gz", "s3://evil/s.warc.gz"):
        hostile = {**timings, "inputs": dict.fromkeys(timings["inputs"], url)}
        (place / "out" / "timings.json").write_text(json.dumps(hostile))
        code, said = run("explain", place / "out", page, "--text")
        assert (code, asked) == (1, [])
        assert "timings.json says" in said
        assert "--inputs" in said
        assert "secret" not in said


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    return make_tokens(tmp_path_factory.mktemp("tokens"))


def changed(info, path, value):
    """Return a copy of tokens.json with another value at a path of keys."""
    info = json.loads(json.dumps(info))
    inner = info
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return info


@pytest.mark.parametrize("value", [None, "x", -1, 10**30, [], {}, [[]], 0.5], ids=str)
@pytest.mark.parametrize(
    "path",
    [
        ("version",),
        ("layout",),
        ("dtype",),
        ("files",),
        ("files", 0),
        ("files", 0, "name"),
        ("files", 0, "bytes"),
        ("splits",),
        ("splits", "train"),
        ("splits", "train", "files"),
        ("splits", "train", "files", 0, "tokens"),
        ("splits", "train", "tokens"),
        ("tokenizer",),
        ("tokenizer", "vocab_size"),
    ],
    ids=lambda path: ".".join(map(str, path)),
)
def test_a_changed_tokens_json_is_one_sentence(tokens, tmp_path, path, value):
    info = json.loads((tokens / "tokens.json").read_text())
    shutil.copytree(tokens, tmp_path / "t")
    (tmp_path / "t" / "tokens.json").write_text(json.dumps(changed(info, path, value)))
    with pytest.raises(CorpusError):
        opened = open_tokens(tmp_path / "t")
        opened.train.read(0, opened.train.tokens)


@pytest.mark.parametrize("content", [DEEP, "[]", "7", "null", '"x"', "{}", "{"], ids=lambda content: content[:5])
def test_a_tokens_json_of_something_else_is_one_sentence(tokens, tmp_path, content):
    shutil.copytree(tokens, tmp_path / "t")
    (tmp_path / "t" / "tokens.json").write_text(content)
    with pytest.raises(CorpusError):
        open_tokens(tmp_path / "t")


def test_an_id_beyond_the_vocabulary_is_damage(tokens, tmp_path):
    """The model would fail with an exception of its library, or read beyond its weights."""
    shutil.copytree(tokens, tmp_path / "t")
    opened = open_tokens(tmp_path / "t")
    file = opened.train.files[0]
    ids = np.fromfile(file, opened.train.dtype)
    ids[len(ids) // 2] = opened.vocab_size
    ids.tofile(file)
    with pytest.raises(IntegrityError, match="not in its vocabulary"):
        open_tokens(tmp_path / "t").train.read(0, opened.train.tokens)


@pytest.mark.parametrize("dtype", ["O", "object", "float64", "V8", 7])
def test_tokens_of_a_strange_type_are_not_mapped(tmp_path, dtype):
    info = {"version": 1, "layout": "flat", "dtype": dtype, "files": []}
    (tmp_path / "tokens.json").write_text(json.dumps(info))
    with pytest.raises(CorpusError):
        open_tokens(tmp_path)


def test_tokens_outside_of_their_folder_are_not_read(tmp_path):
    file = {"name": "../victim.bin", "bytes": 0, "tokens": 0, "sha256": ""}
    info = {"version": 1, "layout": "flat", "dtype": "uint16", "files": [file]}
    (tmp_path / "tokens").mkdir()
    (tmp_path / "victim.bin").write_bytes(b"")
    (tmp_path / "tokens" / "tokens.json").write_text(json.dumps(info))
    with pytest.raises(IntegrityError):
        open_tokens(tmp_path / "tokens")
