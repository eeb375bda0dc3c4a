"""A small run with pages of all kinds, hostile ones among them, and servers of it in this process."""

import random
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import httpx2
import pytest

from jobs.browse.desk import Given, Served
from jobs.browse.server import server
from jobs.web.server import listen
from tests.commands import run_command
from tests.warcs import write_warc

TOKEN = "the-token"
RECIPE = """
name = "browsed"
description = "For tests."
[[stages]]
stage = "extract"
[[stages]]
stage = "gopher_quality"
[[stages]]
stage = "minhash"
[[stages]]
stage = "c4"
[[stages]]
stage = "pii"
"""
CUT = "Please enable javascript in your browser to see all of the comments below."
HOSTILE = {
    "script": "<script>parent.document.title='run';alert(1)</script><img src=x onerror='alert(2)'>",
    "svg": "<svg onload='alert(3)'><script>alert(4)</script><image href='http://evil.example/a.png'/></svg>",
    "css": "<style>@import 'http://evil.example/a.css';p{background:url(http://evil.example/b.png)}</style>"
    "<link rel=stylesheet href='http://evil.example/c.css'><link rel=preconnect href='http://evil.example'>",
    "links": "<a id=go href='javascript:alert(5)'>a</a><a id=out href='http://evil.example/d' target=_top>b</a>"
    "<form action='http://evil.example/e'><button id=send>c</button></form>"
    "<meta http-equiv=refresh content='0;url=http://evil.example/f'><base href='http://evil.example/'>"
    "<iframe src='http://evil.example/g'></iframe><object data='http://evil.example/h'></object>",
    "bidi": "<p>The word \u202eevil\u202c and \u0007 and \u2066more\u2069 stand in this sentence of the page.</p>",
    "mutated": "<noscript><p title='</noscript><img src=x onerror=alert(6)>'></noscript>"
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(7)&gt;'>",
}


def sentences(seed, count):
    """Sentences of made words, with the stop words and line ends that the rules want."""
    rng = random.Random(seed)
    names = [
        "harbour",
        "letter",
        "garden",
        "winter",
        "engine",
        "market",
        "bridge",
        "island",
        "doctor",
        "window",
        "painter",
        "river",
        "baker",
        "teacher",
    ]
    drawn = [[rng.choice(names) for _ in range(5)] for _ in range(count)]
    return [
        f"The {a} of the {b} was with that {c} {d}, and all of the people have seen a {e}." for a, b, c, d, e in drawn
    ]


def html(lines, extra="", title="A page"):
    body = "".join(f"<p>{line}</p>" for line in lines)
    return (
        f"<html><head><title>{title}</title></head><body><article><h1>{title}</h1>{body}{extra}</article></body></html>"
    )


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """The user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def pages():
    """Pages by URL: of 1 to 40 sentences, two duplicates, one with a line that C4 cuts and an address, hostile ones."""
    made = {f"http://site{number % 5}.example/{number}": html(sentences(number, number)) for number in range(1, 41)}
    made["http://copy.example/a"] = html([*sentences(40, 40), "The ending of the copy is with that other letter."])
    lines, personal = sentences(50, 20), "Write to jane.doe@company.com and say that you have read it."
    made["http://cut.example/a"] = html([*lines[:9], CUT, personal, *lines[9:]])
    for number, (name, extra) in enumerate(HOSTILE.items()):
        made[f"http://{name}.hostile.example/"] = html(sentences(60 + number, 12), extra, f"<i>{name}</i>")
    return {url: page.encode() for url, page in made.items()}


@pytest.fixture(scope="session")
def folder(pages, tmp_path_factory):
    folder = tmp_path_factory.mktemp("browse")
    (folder / "r.toml").write_text(RECIPE)
    write_warc(folder / "crawl.warc.gz", pages)
    words = ("build", folder / "crawl.warc.gz", "-o", folder / "out", "--recipe", folder / "r.toml", "--workers", 1)
    assert run_command(*words) == 0
    return folder


@pytest.fixture(scope="session")
def run_folder(folder):
    return folder / "out"


@pytest.fixture(scope="session")
def second_folder(run_folder):
    """A run with other limits."""
    second = run_folder.with_name("second")
    words = ("tune", run_folder, "--set", "gopher_quality.words.min=200", "--write", second, "--workers", 1)
    assert run_command(*words) == 0
    return second


@pytest.fixture(scope="session")
def serving():
    """A function that serves a run, for `with`. It gives the address, and what is served."""

    @contextmanager
    def serve(place, other=None, **given):
        served = Served(Given(place, other, **given))
        listening = listen("127.0.0.1", 0)
        made = server(served, "127.0.0.1", TOKEN)
        thread = threading.Thread(target=made.run, args=([listening],))
        thread.start()
        origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            with httpx2.Client(timeout=None) as client:
                yield SimpleNamespace(origin=origin, url=f"{origin}/{TOKEN}/", served=served, client=client)
        finally:
            made.handle_exit(2, None)
            thread.join()

    return serve


@pytest.fixture(scope="module")
def browsed(serving, run_folder, second_folder, tmp_path_factory):
    with serving(run_folder, second_folder, labels=tmp_path_factory.mktemp("labels") / "labels.jsonl") as made:
        yield made
