import gzip
import hashlib
import pickle
import struct
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.document import Document
from corpus.errors import ConfigError
from filters.language.identification import BUNDLED, LID_176_FTZ, Language, Predictor, _heliport

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
    assert hashlib.sha256(BUNDLED.read_bytes()).hexdigest() == LID_176_FTZ


def test_a_model_of_ones_own_is_hashed_and_can_be_pinned(tmp_path):
    model = tmp_path / "own.ftz"
    model.write_bytes(BUNDLED.read_bytes())
    assert Language(model=str(model)).resources() == {"own.ftz": LID_176_FTZ}
    Language(model=str(model), sha256=LID_176_FTZ).prepare()


def test_a_damaged_missing_or_foreign_model_stops_before_any_page(tmp_path):
    damaged = tmp_path / "damaged.ftz"
    damaged.write_bytes(BUNDLED.read_bytes()[:100_000])
    with pytest.raises(ConfigError, match="has sha256"):
        Language(model=str(damaged), sha256=LID_176_FTZ).prepare()
    with pytest.raises(ConfigError, match=r"damaged\.ftz can't be used: it is damaged"):
        Language(model=str(damaged)).prepare()
    foreign = tmp_path / "foreign.bin"
    foreign.write_bytes(b"no model")
    for stage in (Language(model=str(foreign)), Language(model=str(tmp_path / "missing"))):
        with pytest.raises(ConfigError, match=r"fastText model|can't be read"):
            stage.prepare()
        with pytest.raises(ConfigError):
            stage.resources()


def test_the_model_is_not_pickled(language):
    copy = pickle.loads(pickle.dumps(language))  # noqa: S301
    assert copy.params == language.params == {"model": "", "sha256": "", "engine": "fasttext", "given": False}
    assert not hasattr(copy, "model_")


def test_loading_is_silent_and_brings_no_downloader():
    code = (
        "import sys; from filters.language.identification import Language; Language().prepare();"
        "assert not {'requests', 'spacy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def write_model(path, words):
    """Write a fastText model that knows a word of each language: `words` maps labels to words."""
    labels, dim = list(words), len(words)
    entries = [("</s>", 0), *((word, 0) for word in words.values()), *((f"__label__{one}", 1) for one in labels)]
    data = struct.pack("<2i", 793712314, 12)
    data += struct.pack("<12id", dim, 5, 1, 1, 5, 1, 3, 3, 0, 0, 0, 100, 1e-4)  # softmax, supervised, no n-grams
    data += struct.pack("<3i2q", len(entries), dim + 1, dim, dim + 1, -1)
    for name, kind in entries:
        data += name.encode() + b"\0" + struct.pack("<qb", 1, kind)
    unit = [2.0 * (at == row) for row in range(dim) for at in range(dim)]
    for rows, values in ((dim + 1, [0.0] * dim + unit), (dim, unit)):  # the words, after the end of a line; the labels
        data += struct.pack(f"<?2q{len(values)}f", False, rows, dim, *values)
    path.write_bytes(data)
    return str(path)


def test_another_model_by_its_path_gives_our_codes(tmp_path):
    path = write_model(tmp_path / "model.bin", {"deu_Latn": "und", "srp_Latn": "i", "cmn_Hani": "的"})
    stage = Language(model=path).bind(
        label={"one_of": ["de", "sr_Latn", "zh"]},
        score={"above": "off"},
        by_language={"de": {"score": {"min": 0.8}}, "zh": {"score": {"min": 0.9}}},
    )
    german, serbian, chinese = (stage.check(text) for text in ("und und", "i i", "的 的 und"))
    assert german.kept
    assert german.doc.language == "de"
    assert 0.85 < german.doc.language_score < 0.9
    assert serbian.measures["language.label"] == "sr_Latn"
    assert (chinese.rule, chinese.limit) == ("score", 0.9)  # the limit of the language that the stage found itself
    assert Predictor(path).of("und und 的", ["de", "zh"]) > 0.9


def test_an_unknown_engine_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match=r"'helipot' is unknown\. Did you mean heliport"):
        Language(engine="helipot")


def test_heliport_is_to_be_installed_by_the_user(monkeypatch):
    _heliport.cache_clear()
    monkeypatch.setitem(sys.modules, "heliport", None)
    with pytest.raises(ConfigError, match="heliport is not installed"):
        Language(engine="heliport").resources()


def test_heliport_gives_our_codes_and_no_score():
    pytest.importorskip("heliport")
    outcome = Language(engine="heliport").bind(label={"one_of": ["de"]}).check(GERMAN)
    assert (outcome.kept, outcome.doc.language, outcome.measures["language.score"]) == (True, "de", None)
    assert Language(engine="heliport").check("\ud800 12").rule == "label"
    assert len(Language(engine="heliport").resources()["heliport"]) == 64


@pytest.mark.parametrize(
    ("given", "code"), [("de", "de"), ("deu", "de"), ("deu_Latn", "de"), ("als", "sq"), (None, "en")]
)
def test_a_language_that_the_file_names_is_taken(given, code):
    stage = Language(given=True).bind(label={"one_of": ["de", "sq", "en"]})
    outcome = stage.check(ENGLISH, language=given)
    assert (outcome.kept, outcome.doc.language, outcome.measures["language.label"]) == (True, code, code)
    assert (outcome.measures["language.score"] is None) == (given is not None)
    assert Language().check(ENGLISH, language=given).doc.language == "en"
