"""Numbers in a form for people, and text of pages in a form that is safe to show."""

import pytest

from jobs.report import formatting


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (formatting.percent(1, 3), "33.3%"),
        (formatting.percent(1, 10**6), "<0.01%"),
        (formatting.percent(10**6 - 1, 10**6), ">99.99%"),
        (formatting.percent(0, 5), "0%"),
        (formatting.percent(0, 0), "–"),
        (formatting.size(999), "999 B"),
        (formatting.size(999_600), "1 MB"),
        (formatting.size(44_933_396), "44.9 MB"),
        (formatting.value(0.05), "0.05"),
        (formatting.value(100_000), "100,000"),
        (formatting.value(3.0), "3"),
        (formatting.seconds(0.2), "200 ms"),
        (formatting.tick(2500), "2.5k"),
        (formatting.limit({"min": 50, "one_of": ["a", "b"]}), "min 50, one of a, b"),
    ],
)
def test_numbers_for_people(shown, text):
    assert shown == text


def test_hidden_characters_are_shown():
    assert formatting.crawled("a\u200bb\u202ec") == (
        '<bdi>a<span class="hidden-char">⟨U+200B⟩</span>b<span class="hidden-char">⟨U+202E⟩</span>c</bdi>'
    )
    assert formatting.crawled("<b>") == "<bdi>&lt;b&gt;</bdi>"
    assert formatting.crawled("नि\u200dक 👩\u200d👧") == "<bdi>नि\u200dक 👩\u200d👧</bdi>"
    assert formatting.crawled("x" * 12, 10) == '<bdi>xxxxxxxxxx</bdi> <span class="cut">… 2 more characters</span>'
    assert formatting.plain("x" * 12, 10) == "xxxxxxxxxx … 2 more characters"
