"""Personal data of the crawl appears nowhere: not in corpus, ledger, samples or run.json, and not on a terminal."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from corpus.revise.explain import explain
from corpus.run import open_run
from jobs.sample.crawl import write_sample
from jobs.show.runs import show_explanation
from tests.servers import serving
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


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of a run, and what the build printed."""
    folder = tmp_path_factory.mktemp("canaries")
    write_warc(folder / "w.warc.gz", dict(pages()))
    command = [sys.executable, "-m", "jobs.cli", "build", str(folder / "w.warc.gz"), "-o", str(folder / "out")]
    done = subprocess.run([*command, "--workers", "1", "--json"], capture_output=True, text=True, check=True)
    return folder / "out", done


def test_no_canary_in_any_output(built):
    out, done = built
    run = open_run(out)
    shown = Console(width=120, file=io.StringIO())
    for row in run.ledger(columns=["id"]).to_pylist():
        show_explanation(explain(run, row["id"]), shown)
    written = [done.stdout, done.stderr, shown.file.getvalue()]
    for path in out.rglob("*"):
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


def test_the_masked_page_is_found_by_its_own_url(built):
    (row,) = open_run(built[0]).find(f"http://site.example/list?email={MAIL}&x=1")
    assert MAIL not in row["url"]


ROOT = Path(__file__).resolve().parents[3]
CANARIES = (MAIL, MAIL.replace("@", "%40"), "canary.bird", PHONE, "555-0142", "secret-pass")
KEYS = {
    "AWS_SECRET_ACCESS_KEY": "canary-aws-secret", "AWS_SESSION_TOKEN": "canary-session", "HF_TOKEN": "canary-hub",
    "RAY_AUTH_TOKEN": "canary-ray-token", "AZURE_STORAGE_KEY": "canary-azure",
}  # fmt: skip


def corpus(folder, *arguments, codes=(0,)):
    """Run one command, with credentials in its environment and a scratch folder of its own. Return all that it
    prints."""
    (folder / "tmp").mkdir(exist_ok=True)
    env = {**os.environ, **KEYS, "TMPDIR": str(folder / "tmp")}
    command = [sys.executable, "-m", "jobs.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT)
    assert done.returncode in codes, done.stderr
    return done.stdout + done.stderr


def everything(folder):
    """Yield the names and texts of all files below, and the values of parquet files."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path)
            yield path.read_bytes().decode(errors="replace")
            if path.suffix == ".parquet":
                yield repr(pq.read_table(path).to_pylist())


@pytest.mark.slow
def test_no_canary_in_what_is_made_of_a_run(tmp_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_warc(folder / "w.warc.gz", dict(pages()))
    write_sample(folder / "more.warc.gz", pages=60)
    given = (folder / "w.warc.gz", folder / "more.warc.gz")
    said = corpus(folder, "build", *given, "-o", folder / "out", "--keep-work")
    out, other, limit = folder / "out", tmp_path / "other", "gopher_quality.words.min=20"
    (tmp_path / "gone.txt").write_text("http://title.example/a\n")
    written = [
        said,
        corpus(tmp_path, "report", out, "-o", tmp_path / "report.html"),
        corpus(tmp_path, "tune", out, "--set", limit),
        corpus(tmp_path, "tune", out, "--set", limit, "--json"),
        corpus(tmp_path, "tune", out, "--set", limit, "--write", other),
        corpus(tmp_path, "diff", out, other),
        corpus(tmp_path, "diff", out, other, "--json"),
        corpus(tmp_path, "explain", out, f"http://site.example/list?email={MAIL}&x=1").replace(MAIL, "", 1),
        corpus(tmp_path, "remove", other, "--urls", tmp_path / "gone.txt"),
        corpus(tmp_path, "verify", out),
        corpus(tmp_path, "export", out, "-o", tmp_path / "export", "--for", "datasets"),
        corpus(tmp_path, "tokenizer", "train", out, "-o", tmp_path / "tok", "--vocab-size", 300),
        corpus(tmp_path, "tokenize", out, "-o", tmp_path / "tokens", "--tokenizer", tmp_path / "tok"),
        *(text for text in everything(tmp_path)),
    ]
    # intermediate parts hold no credential; the texts that they hold go with them
    written += [text for path in out.iterdir() if path.name != ".work" for text in everything(path)]
    text = "\n".join(written)
    assert "<EMAIL>" in text or "email@example.com" in text
    for canary in (*CANARIES, *KEYS.values()):
        assert canary not in text, (canary, text[max(0, text.index(canary) - 200) :][:400])
    for canary in KEYS.values():
        assert canary not in "\n".join(everything(out / ".work"))


def test_no_credential_of_a_url_in_any_output(tmp_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("www")
    write_warc(folder / "w.warc.gz", dict(pages()))
    with serving(folder) as server:
        query = "X-Amz-Signature=canary-signature&sig=canary-sig"
        url = f"http://user:canary-password@{server.url.removeprefix('http://')}/w.warc.gz?{query}"
        said = [corpus(tmp_path, "build", url, "-o", tmp_path / "out", "--keep-work", "--workers", 1)]
        assert any("canary-signature" in asked for asked, _, _ in server.asked)  # it was sent
        said += [corpus(tmp_path, "build", url, "-o", tmp_path / "dry", "--dry-run")]
        gone = url.replace("w.warc.gz", "none.warc.gz")
        said += [corpus(tmp_path, "build", gone, "-o", tmp_path / "gone", codes=(1,))]
    text = "\n".join([*said, *everything(tmp_path)])
    assert "none.warc.gz" in text
    for canary in ("canary-password", "canary-signature", "canary-sig", *KEYS.values()):
        assert canary not in text, (canary, text[max(0, text.index(canary) - 200) :][:400])
