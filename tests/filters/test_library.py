"""Library use: a recipe over an archive, and one stage on a string, without Ray and without files."""

from corpus import read_warc
from filters import load_recipe
from filters.gopher import GopherQuality
from tests.warcs import WORDS, page, write_warc


def test_a_recipe_over_an_archive(tmp_path):
    pages = {
        "http://a.example/": page(),
        "http://xxx-videos.example/": page(),
        "http://b.example/": page(body="Too short."),
    }
    path = write_warc(tmp_path / "x.warc.gz", pages)
    outcomes = list(load_recipe("fineweb").run(read_warc(path)))
    assert [outcome.doc.url for outcome in outcomes] == list(pages)
    assert "three fishermen" in outcomes[0].text
    assert outcomes[1].reason == "url.domain: 1 > max 0 (xxx-videos.example)"
    assert outcomes[2].reason.startswith("gopher_repetition.top_2_gram")


def test_settings_are_laid_over_a_recipe(tmp_path):
    path = write_warc(tmp_path / "x.warc.gz", {"http://a.example/": page()})
    (outcome,) = load_recipe("fineweb", ["gopher_quality.words.min=5000"]).run(read_warc(path))
    assert outcome.rule == "words"
    assert outcome.limit == 5000


def test_one_stage_on_a_string():
    assert GopherQuality().check(WORDS * 2).kept
    outcome = GopherQuality().check("Too short a text.")
    assert (outcome.rule, outcome.value, outcome.limit) == ("words", 4, 50)
