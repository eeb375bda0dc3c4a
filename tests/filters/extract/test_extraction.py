import gzip
import io
import logging
import math
import pickle

import pyarrow.parquet as pq
import pytest
import trafilatura
from fastwarc.warc import ArchiveIterator, WarcRecordType
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.document import Document
from corpus.errors import ConfigError
from corpus.pipeline import Pipeline
from corpus.warc.record import Record
from filters import extract_text
from filters.extract import Extract
from filters.extract.extraction import lost_words
from filters.gopher import GopherRepetition

TRAFILATURA = Extract(engine="trafilatura")
SENTENCE = "The quick brown fox jumps over the lazy dog, and then it goes home to sleep. "
PARAGRAPHS = "".join(f"<p>Part {i}. {SENTENCE * 3}</p>" for i in range(9))
ARTICLE = f"<article><h1>A story</h1>{PARAGRAPHS}</article>"
PAGE = f"<!doctype html><html><head><title>t</title></head><body>{ARTICLE}</body></html>"


def record(body=PAGE, *, status=b"200 OK", headers=(), warc=(), kind="response"):
    body = body.encode() if isinstance(body, str) else body
    if kind == "response":
        lines = [b"HTTP/1.1 " + status, *headers]
        body = b"\r\n".join(lines) + b"\r\n\r\n" + body
    return Record("x.warc", 0, kind, {"content-type": "application/http", **dict(warc)}, body, len(body))


def judge(item, stage=None):
    return Pipeline.of([stage or TRAFILATURA]).judge_record(item)


def measured(item, stage=None):
    return {name.partition(".")[2]: value for name, value in judge(item, stage).measures.items()}


def test_a_page():
    outcome = judge(record(headers=[b"Content-Type: text/html; charset=utf-8"]))
    assert outcome.kept
    assert SENTENCE.strip() in outcome.text
    assert outcome.doc.page is None
    assert outcome.measures == {
        "extract.http_status": 200,
        "extract.media_type": "text/html",
        "extract.body_bytes": len(PAGE),
        "extract.tags": PAGE.count("<"),
        "extract.attributes": 0,
        "extract.depth": 4,
        "extract.charset": "utf-8",
        "extract.charset_source": "http",
        "extract.engine_used": "trafilatura",
        "extract.chars": len(outcome.text),
    }


@pytest.mark.parametrize(
    ("item", "rule", "value"),
    [
        (record(status=b"404 Not Found"), "http_status", 404),
        (record(status=b"301 Moved"), "http_status", 301),
        (record(b"%PDF-1.4 x", headers=[b"Content-Type: text/html"]), "media_type", "application/pdf"),
        (record(gzip.compress(b"x")), "media_type", "application/gzip"),
        (record("{}", headers=[b"Content-Type: application/json; charset=x"]), "media_type", "application/json"),
        (record("words only"), "media_type", "application/octet-stream"),
        (record(warc=[("warc-identified-payload-type", "text/plain")]), "media_type", "text/plain"),
        (record(""), "body_bytes", 0),
        (record(b"<html>" + bytes(21 << 20)), "body_bytes", (20 << 20) + 1),
        (
            record(gzip.compress(b"<html>" + bytes(100 << 20)), headers=[b"Content-Encoding: gzip"]),
            "body_bytes",
            (20 << 20) + 1,
        ),
        (record("<html>" + "<br>" * 60_000), "tags", 60_001),
        (record("<html><p " + "".join(f'a{i}="b" ' for i in range(5001)) + ">"), "attributes", 5001),
        (record("<html><p " + "".join(f"a{i} " for i in range(5001)) + ">"), "attributes", 5001),
        (record("<html>" + "<div>" * 1001), "depth", 1002),
        (record("<html>" + "<font>" * 1001), "depth", 1002),
        (record("<html><body></body></html>"), "chars", 0),
        (record("", kind="conversion"), "body_bytes", 0),
        (record(" word" * 1_100_000, kind="conversion"), "chars", 5_500_000),
    ],
)
def test_each_rule_drops(item, rule, value):
    outcome = judge(item)
    assert (outcome.outcome, outcome.rule, outcome.value) == ("dropped", rule, value)
    assert outcome.doc.page is None


def test_a_broken_encoding_is_noted():
    outcome = judge(
        record(gzip.compress(bytes(100 << 20)), headers=[b"Content-Encoding: gzip", b"Content-Type: text/html"])
    )
    assert outcome.detail == "too_large"


def test_http_0_9_has_no_status():
    item = record()
    item.block = PAGE.encode()
    assert measured(item)["http_status"] is None
    assert judge(item).kept


@pytest.mark.parametrize(
    ("own", "charset", "source"),
    [
        ("text/html; charset=iso-8859-1", "windows-1252", "http"),
        ("text/html charset=iso-8859-1", "windows-1252", "http"),
        ("text/html", "windows-1252", "detected"),
        ("", "windows-1252", "detected"),
    ],
)
def test_a_resource_is_judged_like_a_response(own, charset, source):
    """By its own Content-Type. It has no status."""
    text = PAGE.replace("lazy dog", "faule Hündin")
    url = ("warc-target-uri", "http://a.example/")
    outcome = judge(record(text.encode("cp1252"), kind="resource", warc=[("content-type", own), url]))
    assert "faule Hündin" in outcome.text
    found = {name: outcome.measures[f"extract.{name}"] for name in ("http_status", "charset", "charset_source")}
    assert found == {"http_status": None, "charset": charset, "charset_source": source}


def test_a_page_without_a_message_is_judged_whatever_the_record_is():
    warc = [("content-type", "text/html"), ("warc-target-uri", "ftp://a.example/x.html")]
    item = record("HTTP/1.1 is a protocol.\r\n\r\n" + PAGE, kind="resource", warc=warc)
    assert judge(item).measures["extract.http_status"] is None
    ftp = record(kind="response", warc=warc)
    ftp.block = PAGE.encode()
    assert judge(ftp).kept
    message = record(status=b"404 Not Found")
    message.kind = "resource"
    assert judge(message).value == 404


@pytest.mark.parametrize(("own", "kind"), [("image/png", "image/png"), ("", "application/octet-stream")])
def test_a_resource_that_turns_out_to_be_no_page_is_dropped(own, kind):
    warc = [("content-type", own), ("warc-target-uri", "http://a.example/"), ("warc-identified-payload-type", "")]
    item = record("words only", kind="resource", warc=warc)
    outcome = Pipeline.of([TRAFILATURA]).judge(Document.of(item))
    assert (outcome.rule, outcome.value) == ("media_type", kind)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("One.\r\n\r\nTwo.\r\n", "One.\n\nTwo.\n"),
        ("One.\r\rTwo.", "One.\n\nTwo."),
        ("One. \t\n \u00a0\n  Two.", "One.\n\n  Two."),
        ("One.\n\nTwo.", "One.\n\nTwo."),
        ("", ""),
    ],
)
def test_blank_lines_of_a_text_are_empty(text, lines):
    assert judge(record(text, kind="conversion")).text == lines
    pipeline = Pipeline.of([TRAFILATURA, GopherRepetition()])
    outcome = pipeline.judge(Document(text=text))
    assert outcome.doc.text == lines
    if lines:
        assert outcome.measures["gopher_repetition.dup_line_frac"] == 0


def test_a_conversion_record_is_a_text():
    outcome = judge(record("\ufeffEin Satz.\nNoch einer.\0", kind="conversion"))
    assert outcome.text == "Ein Satz.\nNoch einer."
    assert outcome.measures["extract.engine_used"] == "none"
    assert judge(record(b"caf\xe9 au lait", kind="conversion")).text == "caf\ufffd au lait"


def test_a_conversion_record_that_is_a_page_is_extracted():
    outcome = judge(record(kind="conversion", warc=[("content-type", "text/html")]))
    assert outcome.measures["extract.engine_used"] == "trafilatura"
    assert SENTENCE.strip() in outcome.text
    assert "<p>" not in outcome.text


def test_a_bare_text_stays():
    pipeline = Pipeline.of([TRAFILATURA])
    assert pipeline.judge(Document(text="Only words.")).text == "Only words."
    assert pipeline.judge(Document(text="")).rule == "chars"


def test_text_of_a_page_without_an_archive():
    html = f"<html><body><article><p>{'Fishermen know the sea. ' * 20}</p></article></body></html>"
    assert TRAFILATURA.text(html).startswith("Fishermen know")
    assert extract_text(html.encode()) == TRAFILATURA.text(html)
    assert extract_text("") == extract_text("<p>") == ""
    assert extract_text("<b>" * 70_000 + "x") == ""
    assert "é" in extract_text(html.replace("sea", "sé").encode("utf-8"), "https://a.example/")


def test_encodings_and_charset_of_the_message_count():
    text = PAGE.replace("lazy dog", "faule Hündin — träge")
    headers = [b"Content-Encoding: gzip", b"Content-Type: text/html; charset=iso-8859-1"]
    outcome = judge(record(gzip.compress(text.encode("cp1252")), headers=headers))
    assert "faule Hündin — träge" in outcome.text
    assert outcome.measures["extract.charset"] == "windows-1252"
    assert "faule Hündin" in judge(record(b"\xff\xfe" + text.encode("utf-16-le"))).text


# markup: the text that libxml2 loses, and the scan's estimate of it


@pytest.mark.parametrize("depth", [260, 900])
def test_text_nested_deeper_than_libxml2_goes_is_kept(depth):
    deep = "<div>" * depth + f"<p>Deep words. {SENTENCE * 5}</p>" + "</div>" * depth
    page = f"<!doctype html><html><body><p>{SENTENCE * 4}</p>{deep}<p>Words after. {SENTENCE * 5}</p></body></html>"
    text = judge(record(page)).text
    assert "Deep words." in text
    assert "Words after." in text
    assert "Words after." not in trafilatura.extract(page, favor_precision=True, include_comments=False)


def test_nested_tables_are_seen_as_deep():
    nested = "<table><tr><td>" * 90 + f"<p>Deep words. {SENTENCE * 5}</p>" + "</td></tr></table>" * 90
    page = f"<!doctype html><html><body>{nested}<p>Words after. {SENTENCE * 5}</p></body></html>"
    assert "Words after." in judge(record(page)).text


def test_scripts_that_write_tags_do_not_count_as_depth():
    script = "<script>" + "if (i<b && '<div>') " * 400 + "</SCRIPT>"
    assert measured(record(PAGE.replace("<article>", script + "<!--" + "<div>" * 300 + "--><article>")))["depth"] == 4


# engines


def test_resiliparse():
    outcome = judge(record(PAGE.replace("</p>", "&nbsp; x</p>\n\n\n\n")), Extract(engine="resiliparse"))
    assert outcome.measures["extract.engine_used"] == "resiliparse"
    assert SENTENCE.strip() in outcome.text
    assert "\n\n\n" not in outcome.text
    assert outcome.text == outcome.text.strip()


def test_rescue_takes_the_other_text_where_much_is_missing():
    # a page whose text trafilatura mistakes for boilerplate
    lost = f"<!doctype html><html><body><p>{SENTENCE}</p><div class='comments'>{PARAGRAPHS}</div></body></html>"
    plain = judge(record(lost))
    rescued = judge(record(lost), Extract(engine="rescue"))
    assert len(plain.text) < 0.3 * len(rescued.text)
    assert rescued.measures["extract.engine_used"] == "resiliparse"
    assert measured(record(), Extract(engine="rescue"))["engine_used"] == "trafilatura"
    assert judge(record(), Extract(engine="rescue")).text == judge(record()).text
    assert measured(record(lost), Extract(engine="rescue", rescue_ratio=1000.0))["engine_used"] == "trafilatura"


@pytest.mark.parametrize(
    ("text", "other", "lost"),
    [
        ("", "", math.inf),
        ("a b", "a b", 0),
        ("a b", "x " * 30, 0),
        ("a b", "x " * 60, 30),
        ("a b", "a " * 60, 29.5),
        ("a b c d", ("a b " + "x" * 100) + "\nshort line", 0.25),
    ],
)
def test_lost_words_are_counted_in_long_lines(text, other, lost):
    assert lost_words(text, other) == lost


def test_an_unknown_engine_is_refused():
    with pytest.raises(ConfigError, match="trafilatura"):
        Extract(engine="trafilatra")


def test_it_can_be_pickled_and_shown():
    stage = pickle.loads(pickle.dumps(Extract(engine="rescue", rescue_ratio=0.4)))  # noqa: S301
    assert repr(stage).startswith("Extract(engine='rescue', rescue_ratio=0.4, layout_tables=False")


def test_an_exception_in_an_engine_is_a_failure(monkeypatch):
    def fails(*args, **kwargs):
        raise RecursionError("some text of the page")

    monkeypatch.setattr("filters.extract.extraction.trafilatura_text", fails)
    outcome = judge(record())
    assert (outcome.outcome, outcome.rule, outcome.detail) == ("failed", "error", "RecursionError")
    assert outcome.doc.page is None


def test_trafilatura_writes_nothing(capfd):
    judge(record("<p>x"))
    assert logging.getLogger("trafilatura.core").getEffectiveLevel() == logging.CRITICAL
    assert capfd.readouterr() == ("", "")


@settings(max_examples=150)
@given(st.binary(max_size=300), st.sampled_from([b"<html>", b"<!doctype html><body><p>", b"\xff\xfe<\0"]))
def test_extraction_never_raises_and_is_always_writable(tail, start):
    for engine in ("trafilatura", "rescue"):
        outcome = judge(record(start + tail), Extract(engine=engine))
        assert outcome.outcome in ("kept", "dropped")
        outcome.doc.text.encode()


# real pages


def responses(path, limit):
    with open(path, "rb") as file:
        stream = io.BytesIO(file.read(limit))
        try:
            for item in ArchiveIterator(stream, record_types=WarcRecordType.response, parse_http=False):
                headers = {name.lower(): value for name, value in item.headers}
                block = item.reader.read()
                yield Record(path.name, item.stream_pos, "response", headers, block, len(block))
        except OSError:
            return  # the file is cut at `limit`


def is_utf8(item):
    try:
        item.block.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("name", ["english-00000", "mixed-00000"])
def test_the_text_is_trafilaturas_own(shared_data, name):
    table = pq.read_table(
        shared_data / "parity" / "datatrove_0.10.1.parquet",
        columns=["id", "text"],
        filters=[("warc", "=", f"{name}.warc.gz")],
    )
    reference = dict(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True))
    # for bytes that are not UTF-8 the reference guessed the charset, often wrongly
    records = [r for r in responses(shared_data / "warc" / f"{name}.warc.gz", 3 << 20) if is_utf8(r)][:60]
    assert len(records) == 60
    for item in records:
        assert judge(item).doc.text == (reference[item.record_id] or ""), item.url
