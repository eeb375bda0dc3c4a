"""Every file of a folder from a stranger, changed at random: each verb ends with a sentence, and nothing outside of the
folder changes."""

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpus.digests import digest
from corpus.run import open_run
from corpus.storage import parquet_files
from corpus.storage.commits import sha256_of
from corpus.storage.manifest import SEAL
from corpus.storage.store import as_json
from tests.security.test_hostile_folder import finished, run, tokens, verbs  # noqa: F401
from tests.security.test_stays_inside import snapshot

ROOT = Path(__file__).resolve().parents[2]
ENDS = {0, 1, 2, 3}
NAMES = [
    "../victim/precious.txt",
    "/etc/hostname",
    "corpus/../../victim/precious.txt",
    "./corpus/part-00000.parquet",
    "corpus//part-00000.parquet",
    "CORPUS/PART-00000.PARQUET",
    "corpus/part-00000.parquet\0",
    "corpus\\part-00000.parquet",
    "link/precious.txt",
    "x" * 5000,
    "/".join(["x"] * 600),
    "",
    ".",
    "..",
    "~/precious.txt",
    "\ud800",
]
VALUES = [None, True, -1, 0, 10**30, 0.5, "x", [], {}, [[]], [{}], {"x": {}}, [None]]


def at_random(data, draw):
    """Change one place of some JSON, anywhere."""
    places = [((), data)]
    for place, value in places:
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        places += [((*place, key), one) for key, one in inner]
    place, _ = draw(st.sampled_from(places[1:]))
    inner = data
    for key in place[:-1]:
        inner = inner[key]
    if draw(st.integers(0, 4)) == 0:
        del inner[place[-1]]
    else:
        inner[place[-1]] = draw(st.sampled_from([*VALUES, *NAMES]))
    return data


def seal(out):
    """Seal a changed run again, as a stranger would."""
    files = {
        path.relative_to(out).as_posix(): sha256_of(path) for path in [out / "run.json", *(out / "manifest").iterdir()]
    }
    files.pop(SEAL, None)
    (out / SEAL).write_bytes(as_json({"files": files, "sha256": digest(files)}))


def outside(place):
    return {name: was for name, was in snapshot(place).items() if not name.startswith(str(place / "out"))}


@pytest.fixture
def place(finished, tmp_path_factory):  # noqa: F811
    return make_place(finished, tmp_path_factory)


def make_place(finished, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("place")
    shutil.copytree(finished, folder / "out")
    (folder / "victim").mkdir()
    (folder / "victim" / "precious.txt").write_text("precious")
    (folder / "out" / "link").symlink_to(folder / "victim")
    (folder / "takedown.txt").write_text(open_run(finished).corpus(columns=["url"])["url"][0].as_py())
    return folder


def check(place, command, may_make=()):
    before = outside(place)
    code, said = run(*command)
    assert code in ENDS, (command, said)
    assert "precious" not in said.replace("precious.txt", ""), (command, said)
    after = {name: was for name, was in outside(place).items() if not name.startswith(tuple(map(str, may_make)))}
    assert after == before, command


def change_a_run(finished, tmp_path_factory, draw):  # noqa: F811
    place = make_place(finished, tmp_path_factory)
    out = place / "out"
    kind = draw(st.sampled_from(["run.json", "manifest", "index", "timings.json", "removed.json", "swap", "derived"]))
    if kind == "swap":
        (out / ".work").mkdir()
        words = st.sampled_from([*NAMES, ".work/takedown-0123456789abcdef", "corpus", "ledger", "run.json"])
        journal = {"fresh": draw(words), "replace": draw(st.lists(words, max_size=3)), "remove": draw(st.lists(words))}
        (out / ".work" / "swap.json").write_text(json.dumps(journal))
    elif kind == "derived":
        (out / "derived").mkdir()
        entry = {"kind": draw(st.sampled_from(NAMES)), "name": draw(st.sampled_from(NAMES))}
        (out / "derived" / "x.json").write_text(json.dumps(entry))
    elif kind == "removed.json":
        (out / kind).write_text(json.dumps(at_random({"urls": ["x"], "domains": ["y"], "hides": True}, draw)))
    else:
        pattern = {"manifest": "manifest/*-*.json", "index": "index/index.json"}.get(kind, kind)
        file = draw(st.sampled_from(sorted(out.glob(pattern))))
        file.write_text(json.dumps(at_random(json.loads(file.read_text()), draw)))
        seal(out)
    made = [place / "exported"]
    command = draw(st.sampled_from(list(verbs(place))))
    check(place, command, made)


def test_a_run_that_was_changed_at_random(finished, tmp_path_factory):  # noqa: F811
    @settings(max_examples=25, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def changed(data):
        change_a_run(finished, tmp_path_factory, data.draw)

    changed()


@pytest.mark.slow
def test_runs_that_were_changed_at_random(finished, tmp_path_factory):  # noqa: F811
    @settings(max_examples=1500, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def changed(data):
        change_a_run(finished, tmp_path_factory, data.draw)

    changed()


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
def test_an_index_that_names_other_files(place, name):
    file = place / "out" / "index" / "index.json"
    index = json.loads(file.read_text())
    for kind in ("keys", "texts", "docs"):
        index["parts"][0][kind]["key"] = name
    file.write_text(json.dumps(index))
    check(place, ("verify", place / "out"))
    assert run("verify", place / "out")[0] == 1


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
def test_tokens_that_name_other_files(tokens, place, name):  # noqa: F811
    folder = place / "out" / "tokens"
    shutil.copytree(tokens, folder)
    info = json.loads((folder / "tokens.json").read_text())
    info["files"][0]["name"] = info["splits"]["train"]["files"][0]["name"] = name
    (folder / "tokens.json").write_text(json.dumps(info))
    check(place, ("train", folder, "-o", place / "model", "--preset", "demo", "--steps", 1), [place / "model"])


def bomb(path, schema):
    """A small file with the columns of a table, whose texts take 2 GB each."""
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 2_000, pa.int32()), pa.array(["x" * (1 << 20)]))
    columns = [long if field.type == pa.string() else pa.nulls(2_000, field.type) for field in schema]
    names = [field.name for field in schema]
    table = pa.table(columns, names=names)
    pq.write_table(table, path, compression="zstd", dictionary_pagesize_limit=1 << 26, write_statistics=False,
                   store_schema=False, row_group_size=2_000, write_page_checksum=True)  # fmt: skip


@pytest.mark.parametrize("kind", ["corpus", "ledger", "samples"])
def test_a_table_that_asks_for_far_more_memory_than_its_size(place, kind, monkeypatch):
    monkeypatch.setattr(parquet_files, "_LEAST", 1 << 24)
    out = place / "out"
    entry = next((out / "manifest").glob(f"{kind}-*.json"))
    listed = json.loads(entry.read_text())
    path = out / listed["key"]
    bomb(path, pq.read_schema(path))
    data = path.read_bytes()
    footer = data[-8 - int.from_bytes(data[-8:-4], "little") :]
    (path.parent / "footer").write_bytes(footer)
    facts = {"bytes": len(data), "sha256": sha256_of(path), "rows": 2_000, "footer": sha256_of(path.parent / "footer")}
    (path.parent / "footer").unlink()
    entry.write_bytes(as_json({**listed, **facts}))
    seal(out)
    assert len(data) < 100_000
    ends = {}
    for command in verbs(place):
        if command[0] not in ("export", "remove"):  # their processes have the limit of a GiB
            code, said = run(*command)
            assert code in ENDS, (command, said)
            ends[command[0]] = code, said
    assert ends["verify"][0] == 1
    assert "more memory than its size allows" in ends["verify"][1]


SECRETS = {
    "AWS_ACCESS_KEY_ID": "canary-id-4711",
    "AWS_SECRET_ACCESS_KEY": "canary-key-4711",
    "AWS_SESSION_TOKEN": "canary-token-4711",
    "HF_TOKEN": "canary-hf-4711",
    "HTTPS_PROXY": "http://u:canary-proxy-4711@127.0.0.1:9",
}


def test_no_secret_is_in_any_file_during_or_after_a_run(tmp_path):
    """A build, polled: all files of its folder, and those of the folder for temporary files."""
    assert run("sample", "-o", tmp_path / "s.warc.gz", "--pages", "60")[0] == 0
    for name in ("out", "tmp"):
        (tmp_path / name).mkdir()
    env = {**os.environ, **SECRETS, "TMPDIR": str(tmp_path / "tmp"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "jobs.cli", "build", tmp_path / "s.warc.gz", "-o", tmp_path / "out", "--keep-work"]
    command += ["--workers", "1"]
    looked, seen = set(), set()

    def look():
        for name in ("out", "tmp"):
            for folder, _, files in os.walk(tmp_path / name):  # which passes over folders that go meanwhile
                for path in (Path(folder) / file for file in files):
                    with suppress(OSError):
                        found = path.read_bytes()
                        looked.add(path.relative_to(tmp_path).parts[1])
                        seen.update(one for one, secret in SECRETS.items() if secret[-11:].encode() in found)

    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as build:
        while build.returncode is None:
            look()
            with suppress(subprocess.TimeoutExpired):
                build.wait(0.02)
        said = build.stderr.read()
    look()
    assert build.returncode == 0, said
    assert seen == set()
    assert "4711" not in said
    assert {".work", "corpus", "ledger", "run.json"} <= looked


def test_the_table_of_threats_names_tests_that_exist():
    named = re.findall(r"`(tests/[^`]*)`", (ROOT / "docs" / "reliability.md").read_text())
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists()] == []
