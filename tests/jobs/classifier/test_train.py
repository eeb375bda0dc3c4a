"""Training: the same bytes, figures of sites that were not seen, n-grams as fastText sees them, and clear errors."""

import random
from collections import Counter

import fasttext
import numpy as np
import pytest

from corpus.errors import InputError
from jobs.classifier.judge import fit, judged, reliability, roc
from jobs.classifier.pages import Page
from jobs.classifier.telling import ngrams, telling
from jobs.classifier.train import Settings, check_pages, folds_of, judge_held_out, train
from tests.jobs.classifier.pages import documents

SMALL = Settings(epochs=5, buckets=1 << 12, folds=3)


def pages(*labels, count=60, **how):
    rows = [row for label in labels for row in documents(label, count, **how)]
    return [Page(r["id"], r["url"], r["url"].split("/")[2], r["label"], r["text"].lower(), r["text"]) for r in rows]


@pytest.mark.parametrize("max_kb", [0, 50])
def test_twice_gives_the_same_bytes(tmp_path, max_kb):
    settings = Settings(epochs=3, buckets=1 << 12, max_kb=max_kb)
    for name in ("a", "b"):
        train(pages("good", "bad"), settings, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    if max_kb:
        assert (tmp_path / "a").stat().st_size <= 1000 * max_kb


def test_held_out_pages_are_judged_by_models_that_have_not_seen_their_site(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "jobs.classifier.train.train", lambda own, settings, path: seen.append(own) or train(own, settings, path)
    )
    all_pages = pages("good", "bad")
    found = judge_held_out(all_pages, SMALL)
    folds = folds_of(all_pages, SMALL)
    for fold, own in enumerate(seen):
        held = {page.site for page, number in zip(all_pages, folds, strict=True) if number == fold}
        assert held.isdisjoint(page.site for page in own)
    right = [max(one, key=one.get) == page.label for one, page in zip(found, all_pages, strict=True)]
    assert np.mean(right) > 0.8


def test_each_fold_has_whole_sites_of_each_label():
    all_pages = pages("good", "bad", "other", count=90)
    folds = folds_of(all_pages, SMALL)
    assert all(
        len({f for page, f in zip(all_pages, folds, strict=True) if page.site == one.site}) == 1 for one in all_pages
    )
    counts = Counter((page.label, fold) for page, fold in zip(all_pages, folds, strict=True))
    assert len(counts) == 9
    shuffled = list(zip(all_pages, folds, strict=True))
    random.Random(1).shuffle(shuffled)
    assert folds_of([page for page, _ in shuffled], SMALL) == [fold for _, fold in shuffled]
    assert folds_of(all_pages, Settings(seed=1, folds=3)) != folds


@pytest.mark.parametrize(
    ("found", "what"),
    [
        ([], "no page with a text and a label"),
        (pages("good"), "All pages have the label 'good'"),
        (pages("good") + pages("bad", sites=2), "label 'bad' are of 2 sites, but 3 folds"),
    ],
)
def test_pages_that_teach_nothing_are_refused(found, what):
    with pytest.raises(InputError, match=what):
        check_pages(found, SMALL)


@pytest.mark.parametrize("line", ["a b c", "casino bonus ünïcödé 日 本", "one"])
def test_ngrams_are_the_rows_that_fasttext_adds_up(tmp_path, line):
    train(pages("good", "bad"), SMALL, tmp_path / "model.bin")
    model = fasttext.load_model(str(tmp_path / "model.bin"))
    words = {word: number for number, word in enumerate(model.get_words())}
    rows = {}
    found = [rows[gram] for gram in ngrams(line, words, SMALL, rows)]
    mean = model.get_input_matrix()[found].mean(axis=0)
    assert np.allclose(mean, model.get_sentence_vector(line), atol=1e-6)


def test_the_telling_ngrams_are_the_words_of_the_label(tmp_path):
    all_pages = pages("good", "bad")
    found = {}
    train(all_pages, SMALL, tmp_path / "model.bin", lambda model: found.update(telling(all_pages, model, SMALL)))
    assert {one["ngram"] for one in found["bad"]} & {"casino", "bonus", "prize"}
    assert all(len(rows) <= 20 for rows in found.values())
    assert not {one["ngram"] for one in found["bad"]} & {one["ngram"] for one in found["good"]}


def test_roc_and_its_area():
    has = np.array([True, True, False, False])
    assert roc(np.array([0.9, 0.8, 0.2, 0.1]), has) == ([[0, 0], [0, 0.5], [0, 1], [0.5, 1], [1, 1]], 1.0)
    assert roc(np.array([0.1, 0.2, 0.8, 0.9]), has)[1] == 0
    assert roc(np.array([0.5, 0.5, 0.5, 0.5]), has)[1] == 0.5
    assert roc(np.array([0.9, 0.5, 0.5, 0.1]), has)[1] == 0.875


def test_calibration_finds_the_chance_that_made_the_labels():
    rng = np.random.default_rng(0)
    odds = rng.normal(scale=3, size=20_000)
    has = rng.random(20_000) < 1 / (1 + np.exp(-(0.5 * odds - 1)))
    found = fit(odds, has)
    assert (found.a, found.b) == pytest.approx((0.5, -1), abs=0.06)
    scores = np.array([found(1 / (1 + np.exp(-one))) for one in odds])
    assert reliability(scores, has)["error"] < 0.02


@pytest.mark.parametrize("has", [[True] * 4, [True, True, False, False], [False, False, True, True]])
def test_calibration_survives_perfect_and_useless_models(has):
    found = fit(np.array([13.8, 13.8, -13.8, -13.8]), np.array(has))
    assert found.a >= 0
    assert 0 < found(0.0) <= found(1.0) < 1


def test_scores_of_a_page_come_from_the_calibration_of_other_folds():
    all_pages = pages("good", "bad", count=6)
    found = [{"good": 0.8, "bad": 0.2} if page.label == "good" else {"bad": 0.9, "good": 0.1} for page in all_pages]
    folds = [number % 2 for number in range(len(all_pages))]
    one = judged(all_pages, found, folds)
    assert one.said == [page.label for page in all_pages]
    changed = judged(
        all_pages, [{"good": 0.5, "bad": 0.5} if f else x for x, f in zip(found, folds, strict=True)], folds
    )
    odd = [number for number, fold in enumerate(folds) if fold]
    assert not np.array_equal(one.scores["good"][odd], changed.scores["good"][odd])
    even = [number for number, fold in enumerate(folds) if not fold]
    assert not np.array_equal(one.scores["good"][even], changed.scores["good"][even])
