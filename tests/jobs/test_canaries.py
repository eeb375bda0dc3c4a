"""Personal data of the crawl shows up nowhere: not in corpus, ledger, samples or run.json, nor on a terminal."""

import io
import subprocess
import sys

import pyarrow.parquet as pq
from rich.console import Console

from corpus.explain import explain
from corpus.run import open_run
from jobs.explain import show
from tests.warcs import WORDS, page, write_warc

MAIL, PHONE = "canary.bird@cage-door.example.com", "+1 202-555-0142"
SAID = f"Write to {MAIL} or call {PHONE} before noon, she said, and nobody did. "


def pages():
    """The canaries in pages that end at different stages, in titles, in markup that breaks, and in URLs."""
    yield "http://kept.example/a", page("A town", WORDS + SAID)
    yield "http://title.example/a", page(f"Ask {MAIL}", WORDS + SAID)
    yield "http://short.example/a", page("Short", SAID * 2)
    yield "http://repeated.example/a", page("Again", SAID * 40)
    yield "http://curly.example/a", page("Code", WORDS + SAID + "function () { return 1; }")
    yield "http://twin.example/a", page("A town", WORDS + SAID)
    yield "http://twin.example/b", page("A town", WORDS + SAID)
    yield "http://xxx-videos.example/a", page("Blocked", WORDS + SAID)
    yield "http://broken.example/a", b"<html><body><p>" + (WORDS + SAID).encode() + b"<div" * 300
    yield f"http://{MAIL.partition('@')[0]}:secret-pass@site.example/a", page("A town", WORDS + SAID)
    yield f"http://site.example/list?email={MAIL}&x=1", page("A town", WORDS[:300] + SAID)
    yield f"http://site.example/of/{MAIL.replace('@', '%40')}", page("A town", WORDS[100:] + SAID)


def test_no_canary_in_any_output(tmp_path):
    write_warc(tmp_path / "w.warc.gz", dict(pages()))
    command = [sys.executable, "-m", "jobs.cli", "build", str(tmp_path / "w.warc.gz"), "-o", str(tmp_path / "out")]
    done = subprocess.run([*command, "--no-ray", "--json"], capture_output=True, text=True, check=True)
    run = open_run(tmp_path / "out")
    shown = Console(width=120, file=io.StringIO())
    for row in run.ledger.to_table(columns=["id"]).to_pylist():
        show(explain(run, row["id"]), shown)
    written = [done.stdout, done.stderr, shown.file.getvalue()]
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            written.append(path.read_bytes().decode(errors="replace"))
            if path.suffix == ".parquet":
                written.append(repr(pq.read_table(path).to_pylist()))
    everything = "\n".join(written)
    assert run.info["records"]["in"] == 12
    assert run.info["records"]["kept"] >= 1
    assert len(run.info["records"]["dropped"]) >= 4
    assert "<EMAIL>" in everything
    for canary in (MAIL, MAIL.replace("@", "%40"), "canary.bird", PHONE, "555-0142", "secret-pass"):
        assert canary not in everything, canary


def test_the_masked_page_is_found_by_its_own_url(tmp_path):
    write_warc(tmp_path / "w.warc.gz", dict(pages()))
    command = [sys.executable, "-m", "jobs.cli", "build", str(tmp_path / "w.warc.gz"), "-o", str(tmp_path / "out")]
    subprocess.run([*command, "--no-ray"], capture_output=True, check=True)
    (row,) = open_run(tmp_path / "out").find(f"http://site.example/list?email={MAIL}&x=1")
    assert MAIL not in row["url"]
