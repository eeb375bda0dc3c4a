"""The page of a run in a real browser: what a person does with pointer and keyboard, and what no page can do."""

import signal
import subprocess
import sys
import tomllib

import pytest

from corpus.run import open_run
from tests.browsers import COLOURS, TOO_WIDE, Opened, contrast, luminance
from tests.commands import run_command
from tests.corpus.revise.test_what_if import pages as pages_around_limits
from tests.jobs.browse.conftest import CUT, HOSTILE, RECIPE, html, sentences
from tests.ledgers import judged, recipe, write_run
from tests.servers import serving as site
from tests.warcs import write_warc

WORDS = "#m-gopher_quality\\.words"
HANDLE = f"{WORDS} .handle[data-bound=min]"


@pytest.fixture
def opened(browser, browsed):
    with Opened(browser, browsed.url) as made:
        made.page.wait_for_selector("#limits[data-decided='']")
        yield made
        assert made.noted == []
        assert {request.split("/")[2] for request in made.requests} == {browsed.origin.partition("//")[2]}


def decided(page, setting):
    page.wait_for_selector(f"#limits[data-decided='{setting}']")


def texts(page, selector):
    return [one.text_content() for one in page.query_selector_all(selector)]


def row_of(browsed, url):
    desk = browsed.served.desk()
    return desk.run.number_of(open_run(desk.given.place).find(url)[0]["id"])


def show(page, browsed, row, tab="text"):
    page.goto(f"{browsed.url}#page?row={row}")
    page.wait_for_selector(f"#page-head[data-row='{row}']", state="attached")
    page.click(f"#tab-{tab}")
    page.wait_for_selector(f"#panel[data-shown='{row} {tab}']")


def test_a_limit_is_dragged_undone_and_copied(opened, browsed):
    page = opened.page
    before = page.text_content("#kept")
    page.locator(WORDS).scroll_into_view_if_needed()
    grab = page.wait_for_selector(f"{HANDLE} .grab").bounding_box()
    page.mouse.move(grab["x"] + grab["width"] / 2, grab["y"] + 40)
    page.mouse.down()
    page.mouse.move(grab["x"] + 60, grab["y"] + 45, steps=5)
    page.mouse.move(grab["x"] + 90, grab["y"] + 45, steps=5)
    page.mouse.up()
    now = int(page.get_attribute(HANDLE, "aria-valuenow"))
    assert now > 60
    setting = f"gopher_quality.words.min={now}"
    decided(page, setting)
    tuned = browsed.served.desk().run.tune([setting])
    assert page.text_content("#kept").startswith(f"Kept {tuned.before} → {tuned.kept[0]}.")
    assert page.text_content("#kept") != before
    assert texts(page, "#changes code") == [f"gopher_quality.words.min: 50 → {now}"]
    assert f"drops 2 → {tuned.rules['dropped_now'][0]}" in page.text_content(WORDS)
    assert len(texts(page, "#go li")) == min(tuned.before - tuned.kept[0], 12)
    page.click("#go summary")
    page.wait_for_selector("#go .text bdi")
    assert texts(page, "#go .text")[0].startswith("The ")
    page.click("#copy-command")
    page.wait_for_selector("#copied-text:visible")
    assert f"--set {setting} --write out-2" in page.text_content("#copied-text")
    page.click("#copy-recipe")
    page.wait_for_selector("#copied-text:has-text('[[stages]]')")
    recipe = tomllib.loads(page.text_content("#copied-text"))
    assert recipe["stages"][1]["words"] == {"min": now, "max": 100_000}
    page.click("#undo")
    decided(page, "")
    assert page.text_content("#kept") == before
    page.keyboard.press("Control+Shift+Z")
    decided(page, setting)


def test_the_keyboard_is_enough_and_a_setting_has_a_name(opened):
    page = opened.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.locator(WORDS).scroll_into_view_if_needed()
    page.wait_for_selector(f"{HANDLE} .grab")
    page.focus(HANDLE)
    page.keyboard.press("PageUp")
    first = int(page.get_attribute(HANDLE, "aria-valuenow"))
    assert first > 50
    page.keyboard.press("ArrowLeft")
    second = int(page.get_attribute(HANDLE, "aria-valuenow"))
    assert 50 <= second < first
    assert page.get_attribute(HANDLE, "aria-valuetext") == f"min {second}"
    page.fill(f"{WORDS} input[aria-label='gopher_quality.words max']", "300")
    for step, setting in (("undo", ""), ("redo", f"gopher_quality.words.min={second}")):
        page.evaluate(f"document.getElementById('{step}').click()")
        decided(page, setting)  # an answer that comes meanwhile leaves alone what somebody types
    page.keyboard.press("Tab")
    decided(page, f"gopher_quality.words.min={second} gopher_quality.words.max=300")
    page.fill("#setting-name", "shorter")
    page.click("#save")
    page.click("#reset")
    decided(page, "")
    page.reload()
    decided(page, "")
    page.select_option("#saved", "shorter")
    decided(page, f"gopher_quality.words.min={second} gopher_quality.words.max=300")
    page.click(f"{WORDS} button[aria-label='gopher_quality.words max off']")
    decided(page, f"gopher_quality.words.min={second} gopher_quality.words.max=off")


def test_pages_are_searched_read_and_judged(opened, browsed):
    page = opened.page
    page.click("nav a[href='#pages']")
    page.fill("#query [name=url]", "cut.example")
    page.press("#query [name=url]", "Enter")
    page.wait_for_selector("#found:has-text('1 pages')")
    page.click("#table tbody a")
    page.wait_for_selector("#page-head[data-row]")
    page.focus("#tab-text")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#panel[data-shown$='steps']")
    assert any(CUT in text for text in texts(page, "#panel del[title='cut by c4']"))
    assert texts(page, "#panel ins.personal") == ["<EMAIL>"]
    page.click("nav a[href='#judge']")
    page.click("#draw button")
    for key in "jks":
        row = page.wait_for_selector("#candidate[data-row]").get_attribute("data-row")
        page.keyboard.press(key)
        page.wait_for_selector(f"#candidate:not([data-row='{row}'])")
    page.wait_for_selector("#agreement td:has-text('2')")
    labels = browsed.served.desk().labels
    assert sorted(line["label"] for line in labels.lines.values()) == ["bad", "good"]
    page.click("nav a[href='#compare']")
    page.click("#moves button[aria-label*='from kept to gopher_quality.words']")
    page.click("#moved-pages button")
    page.wait_for_selector("#both[data-shown] article .text")
    assert texts(page, "#both .standing") == ["kept ", "dropped gopher_quality.words"]


def test_a_late_answer_does_not_replace_a_newer_one(opened, browsed):
    """The answer to the first judgement is held back until the second was given."""
    page = opened.page
    page.click("nav a[href='#judge']")
    page.wait_for_selector("#labels-file:has-text('labels.jsonl')")
    page.evaluate("""() => {
      const table = document.getElementById("agreement");
      const seen = [];
      const see = () => {
        table.dataset.answers = seen.push(table.querySelector("td").textContent);
        table.dataset.seen = seen.join(" ");
      };
      new MutationObserver(see).observe(table, {childList: true, subtree: true});
    }""")
    judged = len(browsed.served.desk().labels.lines)
    asked, held = [], []
    page.route("**/label", lambda route: (asked.append(route), held.append((route, route.fetch()))))
    page.click("#draw button")
    for key in "jk":
        row = page.wait_for_selector("#candidate[data-row]").get_attribute("data-row")
        page.keyboard.press(key)
        page.wait_for_selector(f"#candidate:not([data-row='{row}'])")
    page.evaluate("fetch('state').then((answer) => answer.json())")  # whatever was sent before has reached `asked`
    for answers in (1, 2):
        while not held or len(held) < len(asked) - answers + 1:
            page.wait_for_timeout(10)
        route, answer = held.pop()
        route.fulfill(response=answer)
        page.wait_for_selector(f"#agreement[data-answers='{answers}']")
    assert page.get_attribute("#agreement", "data-seen") == f"{judged + 1} {judged + 2}"


def test_nothing_that_a_page_holds_runs_or_leads_elsewhere(opened, browsed):
    page = opened.page
    for name in HOSTILE:
        row = row_of(browsed, f"http://{name}.hostile.example/")
        for tab in ("text", "steps", "source", "original"):
            show(page, browsed, row, tab)
        frame = page.wait_for_selector("#panel iframe").content_frame()
        frame.wait_for_selector("[data-corpus=kept]")
        assert frame.query_selector("script, img[src], link, iframe, object, svg, form, a[href]") is None
        assert frame.evaluate("origin") == "null"
    assert page.title() == "out – corpus serve"
    assert page.query_selector("main img, main script, main svg image") is None


@pytest.mark.slow
def test_a_page_from_which_nothing_was_taken_out_can_do_nothing_in_its_frame(browser, browsed, tmp_path, monkeypatch):
    """The sandbox and the policy of the frame hold by themselves. The other site is a server that counts."""
    with site(tmp_path) as evil, Opened(browser, browsed.url) as opened:
        raw = "".join(HOSTILE.values()).replace("http://evil.example", evil.url)
        monkeypatch.setattr(type(browsed.served.desk()), "original", lambda self, asked: f"<b>here</b>{raw}")
        page = opened.page
        show(page, browsed, 5, "original")
        frame = page.wait_for_selector("#panel iframe").content_frame()
        frame.wait_for_selector("b")
        for link in ("#go", "#out", "#send"):
            frame.evaluate(f"document.querySelector('{link}').click()")
        page.click("nav a[href='#limits']")
        page.wait_for_selector("#limits[data-decided='']")
        assert (evil.headers, evil.asked) == ([], [])  # a preconnect, which no policy forbids, sends no request
        assert page.title() == "out – corpus serve"
        # the browser notes what it forbids; a dialog would be noted by its number
        assert not any(note in "1234567" for note in opened.noted)
        assert len(opened.noted) > 3


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_readable(browser, browsed, width, scheme):
    with Opened(browser, browsed.url, width, scheme) as opened:
        page = opened.page
        page.wait_for_selector("#limits[data-decided='']")
        page.locator(WORDS).scroll_into_view_if_needed()
        page.wait_for_selector(f"{HANDLE} .grab")
        show(page, browsed, row_of(browsed, "http://cut.example/a"), "steps")
        page.click("nav a[href='#pages']")
        page.wait_for_selector("#table tbody tr")
        page.evaluate("document.querySelectorAll('main > section').forEach((one) => { one.hidden = false; })")
        across = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert across[0] <= across[1], "the page scrolls sideways"
        assert page.evaluate(TOO_WIDE) == []
        for what, text, ground in page.evaluate(COLOURS):
            assert contrast(text, ground) >= 4.5, what
        assert (luminance(page.evaluate("getComputedStyle(document.body).backgroundColor")) > 0.5) == (
            scheme == "light"
        )
        unnamed = page.evaluate(
            """[...document.querySelectorAll('input, select, button, [role=slider], progress, iframe, table')].filter(
              (one) => !(one.labels && one.labels.length) && !one.getAttribute('aria-label') && !one.textContent.trim()
              && !one.title && !(one.caption && one.caption.textContent)).map((one) => one.outerHTML.slice(0, 90))"""
        )
        assert unnamed == []
        assert opened.noted == []


@pytest.mark.slow
def test_another_site_can_not_read_or_write(browser, browsed):
    """A page of another origin in the same browser, which even knows the address."""
    with Opened(browser, "about:blank") as opened:
        page = opened.page
        page.route(
            "http://evil.example/**", lambda route: route.fulfill(body="<title>evil</title>", content_type="text/html")
        )
        page.goto("http://evil.example/")
        for options in ("{}", "{mode: 'no-cors'}", "{method: 'POST', mode: 'no-cors', body: '{\"row\": 0}'}"):
            read = page.evaluate(
                f"fetch('{browsed.url}run', {options}).then((one) => one.text()).catch((error) => 'failed')"
            )
            assert read in ("failed", "")
        page.evaluate(
            f"""new Promise((done) => {{ const form = document.createElement('form'); form.method = 'post';
            form.action = '{browsed.url}label'; form.target = 'f'; form.enctype = 'text/plain';
            const frame = document.createElement('iframe'); frame.name = 'f'; frame.onload = done;
            document.body.append(frame, form); form.submit(); }})"""
        )
        framed = page.evaluate(
            f"""new Promise((done) => {{ const frame = document.createElement('iframe'); frame.src = '{browsed.url}';
            frame.onload = () => done(frame.contentDocument === null); document.body.append(frame); }})"""
        )
        assert framed
        assert not any("judged" in frame.content() for frame in page.frames if frame != page.main_frame)
    assert browsed.served.desk().writing.state()["out"] == ""


@pytest.mark.slow
def test_a_page_of_one_line_of_five_megabytes(browser, serving, tmp_path):
    words = " ".join(sentences(1, 60_000)).replace(". ", " ")
    assert len(words) > 5_000_000
    write_warc(tmp_path / "w.warc.gz", {"http://long.example/": html([words]).encode()})
    (tmp_path / "r.toml").write_text(RECIPE)
    inputs = ("build", tmp_path / "w.warc.gz", "-o", tmp_path / "out", "--recipe", tmp_path / "r.toml")
    assert run_command(*inputs, "--workers", 1) == 0
    with serving(tmp_path / "out") as made, Opened(browser, made.url) as opened:
        opened.page.wait_for_selector("#limits[data-decided='']")
        for tab in ("text", "steps", "original", "copies", "source"):
            show(opened.page, made, 0, tab)
        assert opened.page.text_content("#panel .what").startswith("The first 400,000 of 5,")
        assert opened.noted == []


@pytest.mark.slow
def test_the_limits_of_one_language(browser, serving, tmp_path):
    """For stages of a user, whose module the server does not load."""
    made = recipe(by_language=True)
    write_run(tmp_path / "run", made, judged(made, pages_around_limits(200, 1)))
    with serving(tmp_path / "run") as made, Opened(browser, made.url) as opened:
        page = opened.page
        page.wait_for_selector("#limits[data-decided='']")
        page.select_option("#for-language select", "de")
        field = "input[aria-label='first.words min']"
        assert page.input_value(field) == "90"
        page.fill(field, "30")
        page.keyboard.press("Tab")
        decided(page, "first.de.words.min=30")
        tuned = made.served.desk().run.tune(["first.de.words.min=30"])
        assert f"Kept {tuned.before} → " in page.text_content("#kept")
        page.select_option("#for-language select", "")
        assert page.input_value(field) == "50"
        one_of = "input[aria-label^='door.label']"
        page.fill(one_of, "en, de")
        page.keyboard.press("Tab")
        decided(page, 'first.de.words.min=30 door.label.one_of=["en","de"]')
        assert opened.noted == []


@pytest.mark.slow
def test_the_command_prints_the_address(browser, run_folder, tmp_path):
    command = [sys.executable, "-m", "jobs.cli", "serve", run_folder, "--port", "0", "--labels", tmp_path / "labels"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        url = next(word for line in server.stderr for word in line.split() if word.startswith("http"))
        with Opened(browser, url) as opened:
            opened.page.wait_for_selector("#limits[data-decided='']")
        server.send_signal(signal.SIGINT)
        assert server.wait() == 130
    assert len(url.rstrip("/").rpartition("/")[2]) >= 32
