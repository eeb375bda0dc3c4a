"""Judge pages with a learned model: quality, type, topic, or whatever labels its training pages had."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from corpus.document import Document
from corpus.errors import ConfigError, did_you_mean
from corpus.stage import Limit, Measured, Stage
from filters.classifier.model import Model, open_model

if TYPE_CHECKING:
    from corpus.stage import BoundStage


class Classifier(Stage):
    """The most likely label of a page by a linear n-gram model, and the probability of the wanted label.

    No limit is set by default. `score.min = 0.5` keeps pages that probably have the wanted label, and
    `label.one_of = ["article", "forum"]` keeps pages by their label. A recipe may have several of these stages, each
    with a `name` of its own: the measures are then `quality.score`, `topic.label` and so on. `corpus classifier train`
    makes models from your own pages (docs/classifier.md), and any supervised fastText model can be used. `page_type`
    ships with corpus: article, collection, documentation, forum, listing, product and service, trained on the
    development pages of WCXB (Murrough-Foley/web-content-extraction-benchmark, CC-BY-4.0).
    """

    name = "classifier"
    source = "arXiv:1607.01759 (fastText); the models are our own or yours"
    reads = ("text",)

    label = Limit(of=str)
    """The most likely label. Null if the page has no text."""
    score = Limit(share=True)
    """The probability of the wanted label. Null if the page has no text."""

    def __init__(self, *, model: str = "page_type", wanted: str = "") -> None:
        self.model = model
        """A folder made by `corpus classifier train`, a fastText model file, or the name of a model that ships."""
        self.wanted = wanted
        """The label that `score` is for. If empty, the one that the model names, such as `good`, or else the most
        likely label of each page."""

    def agree(self, stages: Sequence[BoundStage]) -> None:
        try:
            model = open_model(self.model)
        except ConfigError:
            return  # `resources` raises it before work starts; a finished run can be read without its model
        own = next(bound for bound in stages if bound.stage is self)
        self._check(model, (self.wanted, *(own.limits["label"].one_of or ())))

    def resources(self) -> dict[str, str]:
        return dict(open_model(self.model).digests)

    def prepare(self) -> None:
        model = open_model(self.model)
        self._check(model, (self.wanted,))
        self.scorer_ = model.load()
        self.wanted_ = self.wanted or model.wanted

    def apply(self, doc: Document) -> Iterator[Measured]:
        label = score = None
        if doc.text and not doc.text.isspace():
            label, score = self.scorer_.judge(doc, self.wanted_)
        yield "label", label
        yield "score", None if score is None else round(score, 6)

    def _check(self, model: Model, labels: Sequence[str]) -> None:
        for label in filter(None, labels):
            if label not in model.labels:
                known = did_you_mean(label, model.labels)
                raise ConfigError(f"The model {self.model} has no label '{label}'.", known)
