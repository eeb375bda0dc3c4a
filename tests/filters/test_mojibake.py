"""Text in the wrong charset is repaired, and other text stays as it is."""

import pytest

pytest.importorskip("ftfy")

from filters.mojibake import Mojibake
from tests.growth import assert_linear


@pytest.mark.parametrize(
    ("text", "repaired"),
    [
        ("Archery is the ‚Äònew‚Äô curling?", "Archery is the ‘new’ curling?"),
        ("Quá»‘c\nCafé rÃ©cupÃ©rer", "Quốc\nCafé récupérer"),
        ("a\x07b", "ab"),
    ],
)
def test_mojibake_is_repaired(text, repaired):
    outcome = Mojibake().check(text)
    assert outcome.doc.text == repaired
    assert outcome.measures == {"mojibake.repaired": 1}


@pytest.mark.parametrize(
    "text",
    ["“Größe” ﬁne Ａ，全角。\r\n", "L’été à São Paulo – 5 €", "如果 a < b &amp; c", "voix ambiguë… « où ? »", "Ã", ""],
)
def test_other_text_stays(text):
    outcome = Mojibake().check(text)
    assert (outcome.doc.text, outcome.measures) == (text, {"mojibake.repaired": 0})


def test_the_time_grows_with_the_text():
    stage = Mojibake()
    assert_linear(lambda size: "Ã©â€™ &am " * (size // 10), lambda text: stage.check(text), 200_000)
