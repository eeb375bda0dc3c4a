"""The report in a real browser: nothing of a page runs, nothing is fetched, and it is usable at any size, by keyboard,
in light and dark, and without script."""

import json

import pytest

from corpus.run import open_run
from filters import load_recipe
from jobs.build.build import build
from jobs.build.plan import Job
from jobs.report.render import write_report
from jobs.runner.local_engine import LocalEngine
from jobs.runner.progress import Progress
from tests.browsers import COLOURS, TOO_WIDE, Opened, contrast, luminance
from tests.engines import InProcess
from tests.reports import pages, sample, write_run
from tests.warcs import WORDS, http, page, record

BAD = (
    "<script>document.title='run'; alert(1)</script>"
    "<img src=x onerror=alert(2)></script></style></title></bdi>"
    "<svg onload=alert(3)><a href='javascript:alert(4)'>link</a>\u202e\u2066reversed\u0000\u0007&lt;b&gt;{{ 7 * 7 }}"
)
SHOWN = (BAD.replace("\u202e", "⟨U+202E⟩").replace("\u2066", "⟨U+2066⟩").replace("\u0000", "⟨U+0000⟩")).replace(
    "\u0007", "⟨U+0007⟩"
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A report in which every text that a page may choose is an attack, some of them a megabyte long."""
    folder = tmp_path_factory.mktemp("hostile")
    long = "y" * 1_000_000
    rows = [sample("kept", n, url=f"http://a.example/{BAD}", excerpt=BAD + long, detail=BAD) for n in range(3)]
    rows += [sample("first.words", 7, url=BAD + long, excerpt=BAD, detail=BAD, value=7.0, limit=50.0, near=True)]
    found = pages(120)
    for number, one in enumerate(found):
        one["first.note"] = BAD if number % 2 else long
    info = {
        "exceptions": [{"id": f"{BAD}:7", "stopped_by": "timeout"}],
        "quarantined": [{"warc": BAD, "start": 0, "end": 9, "record": BAD, "attempts": {BAD: 1}, "reason": BAD}],
        "complete": False,
        "dedup": {
            "compared": 9,
            "removed": {"exact": 0, "all": 2},
            "unverified": 0,
            "largest": [{"id": BAD, "documents": 3}],
            "archives": [{"warc": BAD, "compared": 9, "removed": 2, "rate": 0.2}],
            "domains": {"number": 1, "most_removed": [{"domain": BAD, "compared": 9, "removed": 2, "rate": 0.2}]},
        },
    }
    run = write_run(folder / "run", found, samples=rows, **info)
    (run / "timings.json").write_text(json.dumps({"seconds": 1.0, "host": BAD, "argv": [BAD], "cpus": 2, "dedup": {}}))
    write_report(open_run(run), run / "report.html")
    return run / "report.html"


@pytest.mark.parametrize("script", [True, False])
def test_nothing_of_a_page_runs(browser, hostile, script):
    with Opened(browser, hostile.as_uri(), script=script) as opened:
        for details in opened.page.query_selector_all("details"):
            details.query_selector("summary").click()
        opened.page.mouse.wheel(0, 5_000)
        text = opened.page.inner_text("main")
        assert opened.noted == []
        assert opened.requests == [hostile.as_uri()]
        assert opened.page.title().endswith("corpus report")
        assert text.count(SHOWN) >= 8
        assert "more characters" in text
        assert "\u202e" not in text
        assert opened.page.is_visible("#search") == script


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_readable(browser, hostile, width, scheme):
    with Opened(browser, hostile.as_uri(), width, scheme) as opened:
        opened.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        across = opened.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert across[0] <= across[1], "the page scrolls sideways"
        assert opened.page.evaluate(TOO_WIDE) == []
        pairs = opened.page.evaluate(COLOURS)
        assert len(pairs) > 5
        for what, text, ground in pairs:
            assert contrast(text, ground) >= 4.5, what
        paper = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (luminance(paper) > 0.5) == (scheme == "light")
        assert opened.noted == []


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    run = write_run(tmp_path_factory.mktemp("plain") / "run", pages(400))
    write_report(open_run(run), run / "report.html")
    return run / "report.html"


def test_search(browser, plain):
    with Opened(browser, plain.as_uri()) as opened:
        whole = opened.page.locator("#samples article").count()
        opened.page.fill("#query", "first.words 1,001")
        shown = opened.page.locator("#samples article:visible")
        assert 0 < shown.count() < whole
        assert all("1,001" in text for text in shown.all_inner_texts())
        assert opened.page.inner_text("#search output").split()[0] == str(shown.count())
        opened.page.fill("#query", "no such thing anywhere")
        assert shown.count() == 0
        assert opened.page.inner_text("#search output") == "0 samples"
        opened.page.fill("#query", "")
        assert opened.page.locator("#samples details[open]").count() == 0
        assert opened.page.locator("#samples details:visible").count() > 3
        assert opened.noted == []


def test_keyboard(browser, plain):
    with Opened(browser, plain.as_uri()) as opened:
        opened.page.keyboard.press("Tab")
        assert opened.page.evaluate("document.activeElement.className") == "skip"
        assert opened.page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
        opened.page.keyboard.press("Enter")
        assert opened.page.evaluate("document.activeElement.id") == "main"
        for _ in range(200):
            opened.page.keyboard.press("Tab")
            if opened.page.evaluate("document.activeElement.tagName") == "SUMMARY":
                break
        outline = opened.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none"
        opened.page.keyboard.press("Enter")
        assert opened.page.evaluate("document.activeElement.parentElement.open")


def test_a_rule_leads_to_its_samples(browser, plain):
    with Opened(browser, plain.as_uri()) as opened:
        opened.page.click(".rules a[href='#samples-first.words']")
        group = opened.page.locator("[id='samples-first.words']")
        assert group.evaluate("(one) => one.open")
        assert group.locator("article").first.is_visible()


def test_hostile_pages_through_a_build(browser, tmp_path):
    """Titles, URLs and texts that are attacks, from an archive to the screen."""
    attack = "&lt;script&gt;alert(1)&lt;/script&gt; &lt;/script&gt;&lt;img src=x onerror=alert(2)&gt; \u202eback "
    bodies = {
        "http://a.example/<script>alert(5)</script>/": page(attack, attack * 3 + WORDS),
        "http://b.example/\"onmouseover=alert(6)'": page(attack, attack + WORDS * 2),
        "http://c.example/long": page(attack, attack + "z" * 1_000_000 + WORDS),
        "http://d.example/short": page(attack, attack),
    }
    raw = b"".join(record("response", url, http(body), number) for number, (url, body) in enumerate(bodies.items()))
    (tmp_path / "w.warc").write_bytes(raw)
    made = Job(load_recipe("default", ["minhash.similarity.below=off"]), [str(tmp_path / "w.warc")], tmp_path / "out")
    build(made, lambda: InProcess(), Progress(quiet=True))
    out = tmp_path / "out" / "report.html"
    write_report(open_run(tmp_path / "out"), out)
    with Opened(browser, out.as_uri(), width=390) as opened:
        opened.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        text = opened.page.inner_text("#samples")
        assert "<script>alert(1)</script> </script><img src=x onerror=alert(2)>" in text
        assert "http://a.example/<script>alert(5)</script>/" in text
        assert opened.noted == []
        assert opened.requests == [out.as_uri()]


def bounding_box(located):
    return located.bounding_box() or {"height": 0}


@pytest.mark.slow
def test_real_run(browser, shared_data, tmp_path):
    """The page of a real archive at both widths, light and dark."""
    archive = shared_data / "warc" / "mixed-00000.warc.gz"
    made = Job(load_recipe("default"), [str(archive)], tmp_path / "out", workers=2)
    build(made, lambda: LocalEngine(2), Progress(quiet=True))
    out = tmp_path / "out" / "report.html"
    assert write_report(open_run(tmp_path / "out"), out) < 5_000_000
    for width in (1400, 390):
        for scheme in ("light", "dark"):
            with Opened(browser, out.as_uri(), width, scheme) as opened:
                across = opened.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
                assert across[0] <= across[1]
                for section in ("funnel", "rules", "measures", "samples"):
                    opened.page.locator(f"#{section} h2").scroll_into_view_if_needed()
                    assert opened.page.is_visible(f"#{section} h2")
                histograms = opened.page.locator("svg.histogram:not(.wide)")
                assert histograms.count() > 20
                assert all(box["height"] > 80 for box in map(bounding_box, histograms.all()))
                assert opened.noted == []
                assert opened.requests == [out.as_uri()]
