"""The language screen: pages in other languages go before extraction, and pages that it can't judge stay."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.document import Document
from corpus.errors import ConfigError
from corpus.outcome import DROPPED
from corpus.pipeline import Pipeline
from corpus.warc.reader import read_warc
from corpus.warc.record import HTML, Record
from filters import load_recipe, recipe_from_dict
from filters.extract.page import Page
from filters.language.screen import LanguageScreen
from native import kernels
from tests.filters.test_recipes import GERMAN
from tests.growth import assert_linear
from tests.reference.visible_text import visible_text as by_patterns
from tests.warcs import WORDS, http, page


def visible_text(html: str, chars: int) -> str:
    return kernels.visible_text(html.encode(), chars, 16)


def record(block, kind="response"):
    headers = {"warc-target-uri": "http://a.example/", "content-type": "application/http; msgtype=response"}
    return Record("w", 0, kind, headers, block, len(block))


def measured(block, kind="response", **options):
    stage = LanguageScreen(**options)
    stage.prepare()
    return dict(stage.apply(Document.of(record(block, kind))))


def score(block, kind="response", **options):
    return measured(block, kind, **options)["wanted_score"]


def test_foreign_pages_are_dropped_and_wanted_ones_pass():
    german = Pipeline.of([LanguageScreen()]).judge(Document.of(record(http(page(body=GERMAN * 3)))))
    assert (german.outcome, german.rule, german.limit) == (DROPPED, "wanted_score", 0.05)
    assert score(http(page(body=GERMAN * 3)), wanted=["de"]) > 0.5
    assert score(http(page())) > 0.5


def test_a_page_that_is_dropped_says_its_language():
    german = page(body=GERMAN * 3)
    assert measured(http(german))["label"] == "de"
    for outcome in (
        Pipeline.of([LanguageScreen()]).judge(Document.of(record(http(german)))),
        Pipeline(Pipeline.of([LanguageScreen()]).stages, "first").judge(Document.of(record(http(german)))),
    ):
        assert (outcome.outcome, outcome.measures["screen.label"]) == (DROPPED, "de")


def test_the_language_is_that_of_the_text_that_was_judged():
    """Text in short pieces is seen by resiliparse alone."""
    pieces = "".join(f"<b>{word}</b> " for word in (GERMAN * 3).split())
    assert visible_text(pieces, 4000) == ""
    assert measured(http(page(body=pieces)))["label"] == "de"


def test_only_a_low_score_comes_with_a_language():
    assert measured(http(page(body=GERMAN * 3)), wanted=["de"])["label"] is None
    article = f"<p>{GERMAN}</p>" * 10 + f"<p>{WORDS}</p>" * 10
    assert measured(http(page(body=article)))["label"] is None
    assert measured(http(b""))["label"] is None


def test_a_page_without_an_http_message_is_looked_at_too():
    bare = record(page(body=GERMAN * 3), "resource")
    bare.headers["content-type"] = "text/html"
    assert Pipeline.of([LanguageScreen()]).judge(Document.of(bare)).rule == "wanted_score"


def test_english_menus_do_not_save_a_foreign_page():
    menu = "".join(f"<li>{word}</li>" for word in ("Home", "About us", "Contact", "Imprint") * 30)
    assert score(http(page(body=f"<ul>{menu}</ul>" + GERMAN * 10))) < 0.05


def test_english_scripts_do_not_save_a_foreign_page():
    script = f"<script>var text = '{WORDS * 3}';</script><STYLE>{WORDS}</STYLE>"
    assert score(http(page(body=script + GERMAN * 10))) < 0.05


@pytest.mark.parametrize("times", [2, 10, 60])
@pytest.mark.parametrize("order", ["{consent}{article}", "{article}{consent}", "{consent}{article}{consent}"])
def test_a_foreign_consent_text_of_any_length_does_not_decide(order, times):
    consent = "".join(f"<p>{GERMAN}</p>" for _ in range(times))
    article = f"<p>{WORDS}</p>" * max(times // 2, 2)
    assert score(http(page(body=order.format(consent=consent, article=article)))) > 0.05
    assert score(http(page(body=consent * 2 + "".join(f"<a>Read more, number {n}</a>" for n in range(9))))) < 0.05


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        (http(b""), "response"),
        (http(page(body="Kurz.")), "response"),
        (http(b"\x89PNG\r\n\x1a\n" + bytes(2000), "image/png"), "response"),
        (http(page(body=GERMAN * 3), status="404 Not Found"), "response"),
        (GERMAN.encode(), "conversion"),
    ],
)
def test_what_cannot_be_judged_has_no_score(block, kind):
    assert score(block, kind) is None


def test_the_languages_must_be_those_that_are_kept():
    with pytest.raises(ConfigError, match=r"Set screen\.wanted to \['de'\]"):
        load_recipe("fineweb", ["language.label.one_of=['de']"])
    with pytest.raises(ConfigError, match="keeps every language"):
        load_recipe("fineweb", ["language.label=off"])
    with pytest.raises(ConfigError, match="every page would be dropped"):
        load_recipe("fineweb", ["language.label=off", "screen.wanted=[]"])
    load_recipe("fineweb", ["language.label=off", "screen.wanted_score=off"])
    with pytest.raises(ConfigError, match="screen saves extraction, but comes after it"):
        recipe_from_dict({"stages": [{"stage": "extract"}, {"stage": "screen"}, {"stage": "language"}]})
    both = ["language.label.one_of=['de', 'en']", "screen.wanted=['en', 'de']"]
    assert load_recipe("fineweb", both).canonical() == load_recipe("fineweb", both[::-1]).canonical()


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>sixteen letters.</p>", "sixteen letters."),
        ("<p>fifteen letters</p>", ""),
        ("sixteen letters.", "sixteen letters."),
        ("<script>sixteen letters.</script>and sixteen more", "and sixteen more"),
        ("<script>sixteen letters.", ""),
        ("<scripted>sixteen letters.</scripted>", "sixteen letters."),
        ("<p title='a'>sixteen letters.<p>again the sixteen", "sixteen letters.\nagain the sixteen"),
        ("<ſcript>sixteen letters.</ſcript>", "sixteen letters."),
        ("<", ""),
        ("", ""),
    ],
)
def test_visible_text(html, text):
    assert visible_text(html, 4000) == text


def test_visible_text_is_cut():
    assert len(visible_text("<p>" + "é" * 50 + "</p>" * 1000, 30)) == 30


@pytest.mark.parametrize(
    "junk", ["<script", "<style></style>", "<", ">", "<a", "é ", "</script", "<template>x</templat"]
)
def test_visible_text_takes_linear_time(junk):
    assert_linear(lambda size: junk * (size // len(junk)), lambda html: visible_text(html, len(html)), 100_000)


TAGS = "<p> </p <b <script> </SCRIPT <style </style> <noscript> </noscript> <template> </template <scripted> <style_"
PIECES = st.sampled_from(
    [*TAGS.split(), ">", "sixteen letters.", "\u3000\xa0 fünfzehn Zeich ", "\x1c\u2009\u2028中文中文"]
) | st.text("ab<> é中\x85\u180e\u200b", max_size=20)


@settings(max_examples=500)
@given(st.lists(PIECES, max_size=15).map("".join), st.integers(1, 80))
def test_visible_text_is_what_patterns_give(html, chars):
    for most in (chars, len(html)):
        assert visible_text(html, most) == by_patterns(html, most)


def test_visible_text_is_what_patterns_give_on_real_pages(shared_data):
    for item in read_warc(shared_data / "warc" / "mixed-00001.warc.gz"):
        if isinstance(item, Record) and (seen := Page(item)).media_type in HTML and seen.body:
            for chars in (1_000, len(seen.html)):
                assert kernels.visible_text(seen.utf8, chars, 16) == by_patterns(seen.html, chars)


@pytest.mark.slow
def test_the_kept_set_is_the_same_with_and_without(shared_data):
    """On every real archive, the screen drops no page that would be kept."""
    with_screen, without = load_recipe("fineweb").pipeline(), load_recipe("fineweb").pipeline()
    wanted = ("extract", "language", "gopher_repetition", "gopher_quality", "c4", "fineweb")
    without.stages = [bound for bound in without.stages if bound.name in wanted]
    with_screen.stages = [bound for bound in with_screen.stages if bound.name in (*wanted, "screen")]
    for path in sorted((shared_data / "warc").glob("*.warc.gz")):
        kept = [{o.doc.id for o in pipeline.run(read_warc(path)) if o.kept} for pipeline in (with_screen, without)]
        assert kept[0] == kept[1]
