"""The figures of a classifier, from the judgements of pages of sites that its models have not seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from filters.classifier.model import Calibration, logit
from jobs.classifier.pages import Page

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_STEPS = 60
_ROC_POINTS = 60
_BINS = 10
_SHOWN = 12
_MOST_IN_MATRIX = 20


@dataclass(frozen=True)
class Judged:
    """Pages with their held-out judgements: the calibrated probability of each label by each page, and the calibration
    that all pages give."""

    labels: list[str]
    truth: list[str]
    scores: dict[str, Floats]
    calibration: dict[str, Calibration]
    said: list[str]
    """The most likely label of each page, before the calibration, as the stage says it."""


def judged(pages: Sequence[Page], found: Sequence[Mapping[str, float]], folds: Sequence[int]) -> Judged:
    """Calibrate held-out judgements. The score of a page is calibrated by the pages of other folds, so the figures
    hold for pages that neither the model nor its calibration has seen."""
    labels = sorted({page.label for page in pages})
    truth = [page.label for page in pages]
    fold = np.array(folds)
    scores, calibration = {}, {}
    for label in labels:
        odds = np.array([logit(one.get(label, 0.0)) for one in found])
        has = np.array([own == label for own in truth])
        calibration[label] = fit(odds, has)
        values = np.empty(len(pages))
        for number in sorted(set(folds)):
            here = fold == number
            one = fit(odds[~here], has[~here])
            values[here] = 1 / (1 + np.exp(-(one.a * odds[here] + one.b)))
        scores[label] = values.round(6)
    said = [max(one, key=lambda label: one[label]) if one else labels[0] for one in found]
    return Judged(labels, truth, scores, calibration, said)


def fit(odds: Floats, has: Bools) -> Calibration:
    """Return the calibration by Platt's method (Platt 1999; Lin, Lin and Weng 2007): the logistic function of the log
    odds that makes the labels most likely, by Newton's steps. The numbers are rounded, so that machines agree."""
    positive, negative = int(has.sum()), int((~has).sum())
    target = np.where(has, (positive + 1) / (positive + 2), 1 / (negative + 2))
    a, b = 1.0, 0.0
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-(a * odds + b)))
        weight, off = np.maximum(p * (1 - p), 1e-12), target - p
        first, second = float((off * odds).sum()), float(off.sum())
        aa, ab, bb = (
            float((weight * odds * odds).sum()) + 1e-6,
            float((weight * odds).sum()),
            float(weight.sum()) + 1e-6,
        )
        det = aa * bb - ab * ab
        step = (bb * first - ab * second) / det, (aa * second - ab * first) / det
        longest = max(abs(step[0]), abs(step[1]), 1.0)  # short steps, so that the search can't run away
        a, b = a + step[0] / longest, b + step[1] / longest
        if max(map(abs, step)) < 1e-9:
            break
    return Calibration(round(max(a, 0.0), 4), round(b, 4))


def figures(one: Judged) -> dict[str, Any]:
    """Return the figures as data: of each label, of all of them, and the calibration."""
    counts = Counter(zip(one.truth, one.said, strict=True))
    rows = [_of_label(one, label, counts) for label in one.labels]
    right = sum(counts[label, label] for label in one.labels)
    matrix = [[counts[label, said] for said in one.labels] for label in one.labels]
    return {
        "accuracy": round(right / len(one.truth), 4),
        "macro_f1": round(sum(row["f1"] for row in rows) / len(rows), 4),
        "labels": rows,
        "confusion": matrix if len(one.labels) <= _MOST_IN_MATRIX else [],
    }


def _of_label(one: Judged, label: str, counts: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    hit = counts[label, label]
    there = sum(counts[label, said] for said in one.labels)
    said = sum(counts[true, label] for true in one.labels)
    has = np.array([true == label for true in one.truth])
    points, area = roc(one.scores[label], has)
    return {
        "label": label,
        "pages": there,
        "precision": round(hit / said, 4) if said else 0.0,
        "recall": round(hit / there, 4),
        "f1": round(2 * hit / (said + there), 4),
        "auc": area,
        "roc": points,
        "by_score": by_score(one.scores[label], has),
        "calibration": reliability(one.scores[label], has),
    }


def roc(scores: Floats, has: Bools) -> tuple[list[list[float]], float]:
    """Return points of the ROC curve (share of other pages, share of pages with the label), and the area under it.
    Pages with equal scores count half."""
    order = np.argsort(-scores, kind="stable")
    hits, others = np.cumsum(has[order]), np.cumsum(~has[order])
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    x = np.concatenate(([0.0], others[ends] / max(others[-1], 1)))
    y = np.concatenate(([0.0], hits[ends] / max(hits[-1], 1)))
    area = float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))
    shown = np.unique(np.linspace(0, len(x) - 1, min(len(x), _ROC_POINTS)).round().astype(int))
    return [[round(float(x[at]), 4), round(float(y[at]), 4)] for at in shown], round(area, 4)


def by_score(scores: Floats, has: Bools) -> list[dict[str, Any]]:
    """Return, for limits on the score, how many pages pass, and the precision and recall of those."""
    rows = []
    for limit in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        kept = scores >= limit
        hit = int((kept & has).sum())
        number = int(kept.sum())
        precision = round(hit / number, 4) if number else None
        rows.append({"min": limit, "pages": number, "precision": precision, "recall": round(hit / int(has.sum()), 4)})
    return rows


def reliability(scores: Floats, has: Bools) -> dict[str, Any]:
    """Return the mean score and the share of pages with the label, by tenths of the score, and the mean distance
    between the two (the expected calibration error)."""
    rows, error = [], 0.0
    for tenth in range(_BINS):
        here = np.minimum((scores * _BINS).astype(int), _BINS - 1) == tenth
        if number := int(here.sum()):
            mean, share = float(scores[here].mean()), float(has[here].mean())
            rows.append({"pages": number, "score": round(mean, 4), "share": round(share, 4)})
            error += number / len(scores) * abs(mean - share)
    return {"error": round(error, 4), "bins": rows}


def shown_pages(pages: Sequence[Page], one: Judged) -> dict[str, list[tuple[Page, str, float]]]:
    """Return pages for people: those between two labels, and mistakes far from any doubt. Each has the label that was
    said, and its score."""
    order = []
    for number, page in enumerate(pages):
        own = sorted((float(one.scores[label][number]) for label in one.labels), reverse=True)
        order.append((own[0] - own[1], page.id, number))
    order.sort()
    near = [number for _, _, number in order[:_SHOWN]]
    wrong = [number for _, _, number in reversed(order) if one.said[number] != one.truth[number]][:_SHOWN]
    return {
        kind: [(pages[at], one.said[at], float(one.scores[one.said[at]][at])) for at in numbers]
        for kind, numbers in (("near", near), ("wrong", wrong))
    }
