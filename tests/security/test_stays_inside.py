"""Nothing is written outside the output folder, whatever an archive or its name claims."""

import gzip
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from corpus.run import open_run
from tests.servers import serving
from tests.warcs import WORDS, http, page

ROOT = Path(__file__).resolve().parents[2]
UP = "../" * 12


def claims(target):
    """Yield (URL, record id, more WARC headers, more HTTP headers) that name a file outside the output folder."""
    path = str(target)
    yield f"http://a.example/{UP}{path}", f"<urn:uuid:{UP}{path}>", "", ""
    yield f"file://{path}", f"<file://{path}>", f"WARC-Filename: {path}\r\n", ""
    yield path, path, f"WARC-Filename: {UP}{path}\r\n", ""
    yield f"http://{UP}{path}", f"{UP}{path}", f"WARC-Concurrent-To: <{path}>\r\n", ""
    yield (
        "http://b.example/%2e%2e%2f%2e%2e%2fhit",
        "<../../hit>",
        "",
        f'Content-Disposition: attachment; filename="{path}"\r\n',
    )
    yield (
        "http://c.example/a\\..\\..\\hit",
        "<..\\..\\hit>",
        f"WARC-Block-Digest: {path}\r\n",
        f"Content-Location: {path}\r\n",
    )
    yield f"http://d.example/\0{path}", f"<{path}\0>", "", f"Location: file://{path}\r\n"
    yield "http://..", "<.work/plan.json>", "WARC-Filename: .work/plan.json\r\n", ""
    yield "http://e.example/;touch hit;`touch hit`$(touch hit)|touch hit", "<$(touch hit)>", "", ""


def archive(target):
    records = []
    head = f"WARC-Type: warcinfo\r\nWARC-Filename: {UP}{target}\r\nContent-Length: 0\r\n"
    records.append(f"WARC/1.0\r\n{head}\r\n\r\n\r\n")
    for number, (url, name, warc, answer) in enumerate(claims(target)):
        body = page(f"Page {number} {target}", f"{number}. {target} {WORDS[number:]}").decode()
        block = http(body.encode(), extra=answer).decode()
        head = (
            f"WARC-Type: response\r\nWARC-Target-URI: {url}\r\nWARC-Record-ID: {name}\r\n"
            f"WARC-Date: 2026-01-02T03:04:05Z\r\n{warc}"
            f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(block.encode())}\r\n"
        )
        records.append(f"WARC/1.0\r\n{head}\r\n{block}\r\n\r\n")
    return b"".join(gzip.compress(record.encode(), mtime=0) for record in records)


def documents(target):
    """The same claims as rows of documents, also in a column that is kept and in the name of a column."""
    rows = []
    for number, (url, name, *_) in enumerate(claims(target)):
        html = page(f"Page {number} {target}", f"{number}. {target} {WORDS[number:]}").decode()
        rows.append({"html": html, "url": url, "id": name, "path": f"{UP}{target}", f"{UP}{target}": "x"})
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def snapshot(folder, *without):
    """Return all files and folders below, with the content of the files. Links are not followed."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.name.startswith("torchinductor_"):  # torch makes this folder when it is imported
            continue
        if not any(path == left or left in path.parents for left in without):
            known = os.readlink(path) if path.is_symlink() else ""
            known += hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else str(path.is_dir())
            found[str(path)] = known
    return found


@pytest.fixture
def place(tmp_path):
    """A folder with everything that a run may see: its archive, home, temporary folder and output."""
    for name in ("in", "home", "tmp", "work"):
        (tmp_path / name).mkdir()
    (tmp_path / "work" / "precious.txt").write_text("precious")
    return tmp_path


def corpus(place, *arguments):
    env = {**os.environ, "HOME": str(place / "home"), "TMPDIR": str(place / "tmp"), "PYTHONPATH": str(ROOT)}
    env |= {"XDG_CACHE_HOME": str(place / "home" / "cache"), "MPLCONFIGDIR": "", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "jobs.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=place / "work")


NAMES = ("..%2f..%2fhit", "-o hit", "hit;touch hit", "$(touch hit)", "...")


@pytest.mark.parametrize(
    ("ending", "make"), [(".warc.gz", archive), (".jsonl", documents)], ids=["archives", "documents"]
)
def test_nothing_is_written_outside(place, ending, make):
    archives = [place / "in" / f"{name}{ending}" for name in NAMES]
    for number, path in enumerate(archives):  # a folder would pass over those that begin with a dot
        path.write_bytes(make(place / "work" / f"hit-{number}"))
    if make is documents:
        archives = [path for path in archives if not path.name.startswith(".")]  # the name of no file of documents
    before = snapshot(place)
    out = place / "work" / "out"
    options = ["--keep-columns", "path"] if make is documents else []
    options += ["--workers", 1, "--alarm-rate", 1]  # all pages are alike
    done = corpus(place, "build", *archives, "-o", out, *options)
    assert done.returncode == 0, done.stderr
    records = open_run(out).info["records"]
    assert records["kept"] > 0, records
    assert records["in"] >= len(archives) * 9
    assert snapshot(place, out) == before
    assert all(path.resolve().is_relative_to(out) for path in out.rglob("*"))
    left = {path.name for path in out.iterdir()}
    assert left <= {"corpus", "ledger", "samples", "manifest", "index", "run.json", "timings.json"}


def test_the_name_of_a_url_leads_nowhere_else(place):
    (place / "hit.warc.gz").write_bytes(archive(place / "work" / "hit"))  # the server would look for such a name here
    (place / "in" / "x").mkdir()
    before = snapshot(place)
    out = place / "work" / "out"
    with serving(place / "in" / "x") as server:
        done = corpus(place, "build", f"{server.url}/..%2f..%2fhit.warc.gz", "-o", out, "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert [item["name"] for item in open_run(out).info["inputs"]] == ["hit.warc.gz"]
    assert snapshot(place, out) == before
