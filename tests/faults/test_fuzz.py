"""The fuzzer itself, a few of its pages, and pages that it or a person once found."""

from __future__ import annotations

import gzip
import json
import random
import re
from pathlib import Path

import pytest

from corpus.document import Document
from corpus.warc.http_message import decode_body, parse_http
from filters.extract.charset import http_charset
from filters.extract.structure import scan
from filters.pii import Pii, findings
from tests.faults import fuzz
from tests.faults.mutate import MUTATIONS, mutated
from tests.growth import assert_linear
from tests.reference.structure import LONG_TAG
from tests.warcs import page

CRASHERS = json.loads((Path(__file__).parent / "data" / "crashers.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("crasher", CRASHERS, ids=lambda crasher: crasher["what"])
def test_what_once_failed(crasher) -> None:
    """No page fails in any way, and what once took quadratic time is linear."""

    def body(times: int) -> bytes:
        return (crasher["before"] + crasher["atom"] * times + crasher["after"]).encode()

    assert assert_linear(body, lambda page: fuzz.fault_of(page, crasher["charset"]), crasher["times"]) == ""


def test_some_pages_of_the_fuzzer() -> None:
    bodies = fuzz.real_pages([], most=30)
    faults = {seed: fuzz.fault_of(*fuzz.page_of_seed(seed, bodies)[:2]) for seed in range(20)}
    assert set(faults.values()) == {""}, faults


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_every_mutation_changes_pages_and_takes_any(mutation) -> None:
    body = page("A & B").replace(b"<body>", b"<body class=a><table><tr><td>1</td></tr></table>")
    changed = [mutation(random.Random(seed), body, page("Other")) for seed in range(60)]
    assert sum(one != body for one in changed) >= 10
    assert changed == [mutation(random.Random(seed), body, page("Other")) for seed in range(60)]
    for seed in range(20):
        mutation(random.Random(seed), b"<", b"x")


def test_a_seed_gives_the_same_page() -> None:
    assert mutated(random.Random(7), page(), page("B")) == mutated(random.Random(7), page(), page("B"))


def test_faults_are_found(monkeypatch) -> None:
    """The fuzzer reports a stage that raises, a result that differs, and a fast path that differs."""
    assert fuzz.fault_of(page()) == ""
    monkeypatch.setattr(fuzz, "extract", lambda html: "something else")
    assert fuzz.fault_of(page()) == "fast extraction differs"
    results = iter(range(100))
    monkeypatch.setattr(fuzz, "judged", lambda body, charset: ("kept", next(results)))
    assert fuzz.fault_of(page()) == "not deterministic"
    monkeypatch.setattr(fuzz, "judged", lambda body, charset: ("failed", "extract", "error"))
    assert fuzz.fault_of(page()) == "failed: extract error"
    monkeypatch.setattr(fuzz, "judged", lambda body, charset: 1 / 0)
    assert fuzz.fault_of(page()) == "escaped: ZeroDivisionError"


def test_a_fault_is_made_small(monkeypatch) -> None:
    monkeypatch.setattr(fuzz, "fault_of", lambda body, *_: "bad" if b"x" in body and b"y" in body else "")
    assert fuzz.shrink(b"<p>much x and more</p> y" * 20) in (b"xy", b"yx")


_PLAINLY = re.compile(rb"""[\s/]++[^\s/=]++(?:\s*+=\s*+(?:"[^"]*+"?|'[^']*+'?|[^\s"']++))?""")


def test_attributes_are_counted_as_before() -> None:
    """The pattern that takes linear time counts what the plain one counts."""
    chance = random.Random(3)
    for _ in range(3_000):
        inside = bytes(chance.choices(b"""ab=/ "'\n""", k=chance.randrange(60)))
        tag = b"a" + inside + b" " + b"x" * LONG_TAG
        assert scan(b"<" + tag + b">").attributes == sum(1 for _ in _PLAINLY.finditer(tag)), tag


@pytest.mark.parametrize(
    ("before", "blank", "after"), [(b"<a", b" ", b">"), (b"<a", b"/", b"=>"), (b"<aa=", b" ", b">")]
)
def test_megabytes_of_blanks_take_linear_time(before: bytes, blank: bytes, after: bytes) -> None:
    assert assert_linear(lambda size: before + blank * size + after, scan, 1_000_000).attributes <= 2


def test_blanks_in_a_charset_header_take_linear_time() -> None:
    assert assert_linear(lambda size: "text/html; charset=" + " " * size + ";", http_charset, 60_000) is None
    assert http_charset("text/html; charset = ' utf-8'") == "utf-8"


def test_many_gzip_members_before_much_data_take_linear_time() -> None:
    def block(members: int) -> bytes:
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
        return head + gzip.compress(b"a") * members + b"\x1f\x8bjunk" + bytes(members * 2_000)

    decoded = assert_linear(block, lambda data: decode_body(parse_http(data), 1 << 20), 999)
    assert decoded == (b"a" * 999, "")


def test_more_addresses_than_are_looked_at_drop_the_page(monkeypatch) -> None:
    monkeypatch.setattr(findings, "MOST_STRETCHES", 100)
    stage = Pii(entities=["ip_address"])
    stage.prepare()
    enough = dict(one[:2] for one in stage.apply(Document(text="::1 " * 100)))
    too_many = dict(one[:2] for one in stage.apply(Document(text="::1 " * 110)))
    assert enough["unsearched"] == 0
    assert too_many["unsearched"] == 40
