"""The index of robots.txt: which answer counts, redirects, and rules for robots and for mining."""

import itertools
import json

import pytest

from corpus.errors import ConfigError
from corpus.warc.record import Record
from filters.rights import Rights
from filters.rights.robots import FACTS, FILE, RobotsIndex, SiteFiles
from tests.warcs import http

pytest.importorskip("protego")

AGENTS = ["CCBot", "GPTBot", "*"]


def answer(url, body="", status="200 OK", date="2026-01-01T00:00:00Z", extra=""):
    block = http(body.encode(), "text/plain", status, extra)
    headers = {"warc-target-uri": url, "warc-date": date, "content-type": "application/http; msgtype=response"}
    return Record("robots.warc.gz", 0, "response", headers, block, len(block))


def disallow(*agents):
    return "".join(f"User-agent: {agent}\nDisallow: /\n\n" for agent in agents)


@pytest.fixture
def make(tmp_path):
    numbers = itertools.count()

    def made(*records):
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        files = SiteFiles()
        for record in records:
            files.add(record)
        (folder / FACTS).write_text(json.dumps(files.write(folder)))
        return RobotsIndex(folder)

    return made


@pytest.mark.parametrize(
    ("text", "url", "kept_out"),
    [
        (disallow("GPTBot"), "https://a.example/x", ["GPTBot"]),
        (disallow("*"), "http://a.example/", AGENTS),
        ("", "https://a.example/x", []),
        ("User-agent: ccbot\nDisallow: /private/*.html$", "https://A.example/private/a/b.html", ["CCBot"]),
        ("User-agent: ccbot\nDisallow: /private/*.html$", "https://a.example/private/a/b.html?x", []),
        ("\ufeffUser-Agent: GPTBot\r\nUser-Agent: CCBot\r\nDisallow: / # all", "https://a.example/x", AGENTS[:2]),
        (disallow("*") + "User-agent: GPTBot\nAllow: /\n", "https://a.example/x", ["CCBot", "*"]),
        ("<html><body>Not found</body></html>", "https://a.example/x", []),
        (disallow("GPTBot"), "https://b.a.example/x", None),
        (disallow("GPTBot"), "https://a.example:8443/x", None),
        (disallow("GPTBot"), "https://a.example:443/x", ["GPTBot"]),
        (disallow("GPTBot"), "", None),
    ],
)
def test_robots_that_may_not_fetch_a_page(make, text, url, kept_out):
    assert make(answer("https://a.example/robots.txt", text)).disallowed(url, AGENTS) == kept_out


OLD, NEW = "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"
HERE = "http://a.example/robots.txt"


@pytest.mark.parametrize(
    ("answers", "kept_out"),
    [
        ([answer(HERE, disallow("GPTBot"), date=OLD), answer(HERE, disallow("CCBot"), date=NEW)], ["CCBot"]),
        ([answer(HERE, disallow("GPTBot"), date=OLD), answer(HERE, status="404 Not Found", date=NEW)], ["GPTBot"]),
        ([answer(HERE, status="404 Not Found")], []),
        ([answer(HERE, status="503 Busy")], None),
        ([answer(HERE, status="301 Moved", extra="Location: https://a.example/robots.txt\r\n")], None),
        (
            [
                answer(HERE, status="301 Moved", extra="Location: https://www.a.example/robots.txt\r\n"),
                answer("https://www.a.example/robots.txt", disallow("GPTBot")),
            ],
            ["GPTBot"],
        ),
        (
            [
                answer(HERE, status="302 Found", extra="Location: //b.example/robots.txt\r\n"),
                answer("http://b.example/robots.txt", status="302 Found", extra=f"Location: {HERE}\r\n"),
            ],
            None,
        ),
        ([answer(HERE, status="301 Moved", extra="Location: /\r\n")], None),
        ([answer("http://a.example/robots.txt.bak", disallow("*")), answer("http://a.example/x", "x")], None),
    ],
    ids=["newest", "file before none", "none", "server fails", "to https", "redirect", "circle", "home", "other files"],
)
def test_the_answer_that_counts_does_not_depend_on_the_order(make, answers, kept_out):
    for order in itertools.permutations(answers):
        assert make(*order).disallowed("https://a.example/x", AGENTS) == kept_out


def tdmrep(text):
    return answer("https://a.example/.well-known/tdmrep.json", text if isinstance(text, str) else json.dumps(text))


@pytest.mark.parametrize(
    ("rules", "path", "reserved"),
    [
        ([{"location": "/", "tdm-reservation": 1}], "/x", 1),
        ([{"location": "*", "tdm-reservation": "1"}], "/x", 1),
        ({"location": "/", "tdm-reservation": 1}, "/x", 1),
        ([{"location": "/free/", "tdm-reservation": 0}, {"location": "/", "tdm-reservation": 1}], "/free/x", 0),
        ([{"location": "/", "tdm-reservation": 1}, {"location": "/free/", "tdm-reservation": 0}], "/free/x", 1),
        ([{"location": "/a/*.jpg$", "tdm-reservation": 1}], "/a/b/c.jpg", 1),
        ([{"location": "/a/*.jpg$", "tdm-reservation": 1}], "/a/b/c.jpg.html", None),
        ([{"location": "/", "tdm-reservation": 2}], "/x", None),
        ([{"location": "/\nAllow: /", "tdm-reservation": 1}], "/x", None),
        ([{"location": 1, "tdm-reservation": 1}, "x", None, {"tdm-reservation": 1}], "/x", None),
        ("not JSON", "/x", None),
        ("[" * 100_000, "/x", None),
    ],
)
def test_reservations_of_a_site(make, rules, path, reserved):
    index = make(tdmrep(rules))
    assert index.reservation(f"http://a.example{path}") == reserved
    assert index.reservation("http://b.example/x") is None
    assert index.disallowed("http://a.example/x", AGENTS) is None


def test_an_index_of_other_bytes_is_refused(make, tmp_path):
    make(answer(HERE, disallow("GPTBot")))
    folder = tmp_path / "0"
    with (folder / FILE).open("ab") as file:
        file.write(b"x")
    for stage in (Rights(robots_index=str(folder)), Rights(robots_index=str(tmp_path / "missing"))):
        with pytest.raises(ConfigError, match="index"):
            stage.resources()


def test_the_stage_measures_by_the_index(make, tmp_path):
    make(
        answer(HERE, disallow("GPTBot", "ClaudeBot")), tdmrep([{"location": "/x", "tdm-reservation": 1}]),
    )  # fmt: skip
    stage = Rights(robots_index=str(tmp_path / "0"))
    assert set(stage.resources()) == {"robots", "robots_parser"}
    found = stage.check(html="<p>x</p>", url="http://a.example/x").measures
    assert (found["rights.robots"], found["rights.robots_agents"]) == (2, "GPTBot, ClaudeBot")
    assert (found["rights.tdm_reservation"], found["rights.declared"]) == (1, "site tdm-reservation: 1")
    page = '<meta name="tdm-reservation" content="0">'
    assert stage.check(html=page, url="http://a.example/x").measures["rights.tdm_reservation"] == 0
    unknown = stage.check(html="<p>x</p>", url="http://b.example/x").measures
    assert (unknown["rights.robots"], unknown["rights.robots_agents"]) == (None, None)


def test_equal_files_are_stored_once(make, tmp_path):
    text = disallow("GPTBot") * 1000
    make(*(answer(f"http://{number}.example/robots.txt", text) for number in range(100)))
    assert (tmp_path / "0" / FILE).stat().st_size < 2 * len(text)
