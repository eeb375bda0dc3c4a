"""The page in a real browser: what a person does, with pointer and keyboard, and what no text of a model can do."""

import json

import pytest

from jobs.model.generate import Continuer, Sampling
from tests.browsers import COLOURS, TOO_WIDE, Opened, contrast, luminance

BAD = "<script>document.title='run'; alert(1)</script><img src=x onerror=alert(2)></script></style>\u202e\u0007"
SHORT = "<img src=x onerror=alert(2)>"  # the window is small
SHOWN = BAD.replace("\u202e", "⟨U+202E⟩").replace("\u0007", "⟨U+0007⟩")


@pytest.fixture
def opened(browser, served):
    with Opened(browser, served.url) as made:
        made.page.wait_for_selector("#model option", state="attached")
        yield made
        assert made.noted == []
        assert {request.split("/")[2] for request in made.requests} == {f"127.0.0.1:{served.port}"}


def settled(page, section):
    page.wait_for_selector(f"#{section} .stop", state="hidden")


def texts(page, selector):
    return [one.text_content() for one in page.query_selector_all(selector)]


def start(page, text, tokens=8, model="base"):
    page.select_option("#model", model)
    page.fill("#temperature", "0")
    page.fill("#max_tokens", str(tokens))
    page.fill("#prompt", text)
    page.press("#prompt", "Control+Enter")
    page.wait_for_selector("#more:enabled")
    settled(page, "continue")


def test_a_branch_goes_on_from_another_token(opened, models):
    page = opened.page
    start(page, "the old dog")
    before = texts(page, "#tokens span")
    assert len(before) == 8
    page.click("#tokens span:nth-child(3)")
    other = json.loads(page.text_content("#alternatives li:nth-child(2) b"))
    page.click("#alternatives li:nth-child(2) button")
    page.wait_for_selector("#tokens span:nth-child(11)")
    settled(page, "continue")
    after = texts(page, "#tokens span")
    assert after[:3] == [*before[:2], other]
    continuer = Continuer(models.base)
    ids = {token: number for number, token in enumerate(continuer.tokenizer.tokens)}
    prompt = continuer.encode("the old dog") + [ids[text.encode()] for text in after[:3]]
    expected = [drawn.id for drawn in continuer.draw(prompt, Sampling(8, 0))]
    assert "".join(after[3:]) == continuer.tokenizer.decode(expected).decode()
    page.click("#branches li button")
    assert texts(page, "#tokens span") == before
    assert len(texts(page, "#branches li")) == 1


def test_the_keyboard_is_enough(opened):
    page = opened.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    start(page, "a child", 4)
    page.focus("#more")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith(texts(page, "#tokens span")[1])
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.tagName") == "BUTTON"
    page.keyboard.press("Escape")
    assert not page.is_visible("#alternatives")
    assert page.evaluate("document.activeElement.parentElement.id") == "tokens"
    page.focus("nav a[href='#chat']")
    page.keyboard.press("Enter")
    page.wait_for_selector("#chat h2")
    assert not page.is_visible("#continue")
    assert page.get_attribute("nav a[href='#chat']", "aria-current") == "page"


def test_a_conversation_with_a_tool(opened):
    page = opened.page
    page.select_option("#model", "assistant")
    page.fill("#temperature", "0")
    page.click("nav a[href='#chat']")
    page.check("#specials")
    page.fill("#message", "shout a dog")
    page.press("#message", "Enter")
    page.wait_for_selector("#read span")
    assert texts(page, "#turns h3") == ["user", "assistant", "tool", "assistant"]
    assert texts(page, "#turns .said") == ["shout a dog", "Well: ", "A DOG", "A DOG!"]
    assert texts(page, "#turns .call") == ["shout(a dog)"]
    specials = texts(page, "#read .special")
    assert specials.count("<|im_start|>") == specials.count("<|im_end|>") == 4
    assert page.text_content("#read").endswith("A DOG!<|im_end|>")
    page.click("#new")
    page.uncheck("#tools")
    page.fill("#message", "shout a dog")
    page.press("#message", "Enter")
    page.wait_for_selector("#turns article:nth-child(2)")
    settled(page, "chat")
    assert texts(page, "#turns h3") == ["user", "assistant"]


def test_a_vote(browser, serving, tmp_path):
    with (
        serving(tmp_path / "votes.jsonl", "assistant", "twin") as made,
        Opened(browser, f"{made.url}/#compare") as opened,
    ):
        page = opened.page
        page.wait_for_selector("#pair option", state="attached")
        page.fill("#temperature", "9")
        page.fill("#seed", "1")
        page.fill("#question", "hello")
        page.press("#question", "Enter")
        page.wait_for_selector("#sides button:enabled")
        answers = texts(page, "#sides .said")
        page.keyboard.press("2")
        page.wait_for_selector("#ranking tbody tr")
        vote = json.loads((tmp_path / "votes.jsonl").read_text(encoding="utf-8"))
        assert [vote["rejected"], vote["chosen"]] == answers
        assert vote["prompt"] == [{"role": "user", "content": "hello"}]
        assert sorted(vote["models"]) == ["assistant", "twin"]
        assert texts(page, "#ranking tbody th")[0] == vote["models"][0]
        assert page.text_content("#voted") == "Votes so far: 1"
        assert opened.noted == []


def test_nothing_that_a_model_or_a_person_writes_runs(opened, served, monkeypatch):
    page = opened.page
    for worker in served.workers.values():
        monkeypatch.setattr(worker, "tokens", [BAD.encode()] * 1000)
    start(page, BAD, 2)
    assert texts(page, "#tokens span")[0] == SHOWN
    page.click("#tokens span")
    page.select_option("#model", "assistant")
    page.click("nav a[href='#chat']")
    page.check("#specials")
    page.fill("#message", SHORT)
    page.press("#message", "Enter")
    page.wait_for_selector("#read span")
    assert texts(page, "#turns .said")[0] == SHORT
    page.click("nav a[href='#compare']")
    page.fill("#question", SHORT)
    page.press("#question", "Enter")
    settled(page, "compare")
    assert page.title() == "corpus serve"
    assert page.query_selector("img, script + script") is None


def test_an_error_is_shown_and_the_page_goes_on(opened):
    page = opened.page
    page.select_option("#model", "assistant")
    page.click("nav a[href='#chat']")
    page.fill("#message", "long " * 300)
    page.press("#message", "Enter")
    page.wait_for_selector("#error:visible")
    assert "window" in page.text_content("#error")
    opened.noted.clear()  # the browser notes the status
    settled(page, "chat")
    page.fill("#temperature", "0")
    page.fill("#message", "hello")
    page.press("#message", "Enter")
    page.wait_for_selector("#turns article.assistant")
    settled(page, "chat")
    assert not page.is_visible("#error")
    assert texts(page, "#turns .said")[-1] == "The sea is near."


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_readable(browser, served, width, scheme):
    with Opened(browser, served.url, width, scheme) as opened:
        page = opened.page
        page.wait_for_selector("#model option", state="attached")
        start(page, "the old dog", 30)
        page.click("#tokens span")
        page.evaluate("document.querySelectorAll('section, [hidden]').forEach((one) => { one.hidden = false; })")
        page.check("#specials")
        page.fill("#question", "x" * 300)
        across = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert across[0] <= across[1], "the page scrolls sideways"
        assert page.evaluate(TOO_WIDE) == []
        pairs = page.evaluate(COLOURS)
        assert len(pairs) > 8
        for what, text, ground in pairs:
            assert contrast(text, ground) >= 4.5, what
        assert (luminance(page.evaluate("getComputedStyle(document.body).backgroundColor")) > 0.5) == (
            scheme == "light"
        )
        assert opened.noted == []
