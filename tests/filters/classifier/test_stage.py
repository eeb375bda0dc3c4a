"""The stage `classifier`: its measures are fastText's, calibrated, and bad models are named before any work."""

import json
import shutil
import struct

import fasttext
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.document import Document
from corpus.errors import ConfigError
from filters import load_recipe
from filters.classifier import Classifier
from filters.classifier.model import FACTS, MODELS, Calibration, open_model
from filters.classifier.tokens import line_of
from filters.language.identification import checked_model
from tests.warcs import WORDS

SHIPPED = MODELS / "page_type"


def recipe(**table):
    return load_recipe({"stages": [{"stage": "classifier", **table}]})


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(SHIPPED, tmp_path / "model")


@pytest.fixture(scope="module")
def scorer():
    return open_model("page_type").load()


@pytest.fixture(scope="module")
def itself():
    model = open_model("page_type")
    predict = fasttext.load_model(str(model.file)).f.predict
    return lambda line: {label[9:]: probability for probability, label in predict(line + "\n", -1, 0.0, "strict")}


@settings(max_examples=200)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_prediction_is_that_of_fasttext_itself(scorer, itself, text):
    doc = Document(text=text, url="http://a.example/shop/1")
    expected = itself(line_of(doc, scorer.model.view))
    best = next(iter(expected))
    assert scorer.judge(doc) == (best, scorer.model.calibration[best](expected[best]))
    for label in scorer.model.labels:
        assert scorer.judge(doc, label) == (best, scorer.model.calibration[label](expected.get(label, 0.0)))


@pytest.mark.parametrize("text", ["caf\udce9 \ud800", "a\0b\0", "a\nb", "x" * 1_000_000, "word " * 200_000, "</s> a"])
def test_no_text_breaks_it(text):
    outcome = Classifier().check(text)
    assert outcome.measures["classifier.label"] in open_model("page_type").labels
    assert 0 <= outcome.measures["classifier.score"] <= 1


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_without_text_there_is_nothing_to_measure(text):
    assert Classifier().check(text).measures == {"classifier.label": None, "classifier.score": None}


def test_the_score_is_that_of_the_wanted_label_or_of_the_most_likely_one():
    most = Classifier().check(WORDS).measures
    label, score = most["classifier.label"], most["classifier.score"]
    assert Classifier(wanted=label).check(WORDS).measures["classifier.score"] == score == round(score, 6)
    other = next(one for one in open_model("page_type").labels if one != label)
    assert Classifier(wanted=other).check(WORDS).measures["classifier.score"] < score


def test_limits_drop_and_several_instances_have_names_of_their_own():
    label = Classifier().check(WORDS).measures["classifier.label"]
    other = next(one for one in open_model("page_type").labels if one != label)
    stages = [
        {"stage": "classifier", "name": "topic", "label": {"one_of": [label]}},
        {"stage": "classifier", "name": "quality", "wanted": other, "score": {"min": 0.999}},
    ]
    (outcome,) = load_recipe({"stages": stages}).run([WORDS])
    assert (outcome.reason, outcome.measures["topic.label"]) == (outcome.reason, label)
    assert (outcome.stage, outcome.rule) == ("quality", "score")


def test_the_fingerprint_has_the_model_and_its_facts(folder):
    before = recipe(model=str(folder)).resources()
    assert set(before) == {f"classifier.{SHIPPED_FILE}", f"classifier.{FACTS}"}
    facts = json.loads((folder / FACTS).read_text())
    facts["calibration"][facts["labels"][0]] = [2.0, 0.0]
    (folder / FACTS).write_text(json.dumps(facts))
    after = recipe(model=str(folder)).resources()
    assert before.keys() == after.keys()
    assert before != after


SHIPPED_FILE = json.loads((SHIPPED / FACTS).read_text())["model"]["file"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda file: file.write_bytes(b"no model"), "not a fastText model"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1]), "it is damaged"),
        (lambda file: file.write_bytes(file.read_bytes() + b"x"), "it is damaged"),
        (lambda file: file.write_bytes(file.read_bytes()[:100]), "it is damaged"),
        (lambda file: file.write_bytes(b""), "not a fastText model"),
        (lambda file: file.write_bytes(file.read_bytes()[:36] + struct.pack("<i", 1) + file.read_bytes()[40:]),
         "it is not a classifier"),
        (lambda file: file.unlink(), "No such file"),
        (lambda file: shutil.copy(checked_model()[0], file), "not the model that classifier.json names"),
        (lambda file: (file.parent / FACTS).unlink(), "has no classifier.json"),
        (lambda file: (file.parent / FACTS).write_text("{"), "damaged"),
        (lambda file: (file.parent / FACTS).write_text('{"labels": 1}'), "damaged"),
    ],
)  # fmt: skip
def test_a_bad_model_is_named_before_any_work(folder, change, what):
    change(folder / SHIPPED_FILE)
    with pytest.raises(ConfigError, match=what):
        recipe(model=str(folder)).resources()


def test_unknown_models_and_labels_are_named_with_a_suggestion():
    with pytest.raises(ConfigError, match=r"no model 'page_typ'.*page_type"):
        recipe(model="page_typ").resources()
    with pytest.raises(ConfigError, match=r"no label 'artcle'.*article"):
        recipe(wanted="artcle")
    with pytest.raises(ConfigError, match=r"no label 'artcle'.*article"):
        recipe(label={"one_of": ["artcle"]})
    with pytest.raises(ConfigError, match="no label 'artcle'"):
        Classifier(wanted="artcle").check("text")


def test_a_run_can_be_read_without_its_model():
    assert recipe(model="no/such/folder", wanted="good").stages[0].stage.wanted == "good"


def test_a_model_of_another_origin_sees_the_text_as_it_is():
    path = str(checked_model()[0])
    outcome = Classifier(model=path, wanted="de").check("Das ist ein\ndeutscher Satz.")
    assert outcome.measures["classifier.label"] == "de"
    assert outcome.measures["classifier.score"] > 0.9


@given(st.floats(0, 1.001), st.floats(0, 5), st.floats(-9, 9))
def test_a_calibrated_score_is_a_probability(value, a, b):
    assert 0 <= Calibration(a, b)(value) <= 1
