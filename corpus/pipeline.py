"""A sequence of stages with their limits.

A pipeline turns one document into one outcome, without files, processes or Ray.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from corpus.collective import Collective
from corpus.document import Document
from corpus.outcome import FAILED, KEPT, SKIPPED, Outcome
from corpus.stage import BoundStage, Measured, Stage
from corpus.warc.record import Damage, Record, is_page

TOGETHER = -1
"""Announced instead of an index while a stage works on several documents at once."""


class Pipeline:
    """A sequence of stages that judges documents.

    `measures` is "all" or "first". With "all", later text stages measure a dropped document too, so that other limits
    can be judged from the ledger alone. With "first", a document ends at the first broken limit.
    """

    def __init__(self, stages: Iterable[BoundStage], measures: str = "all") -> None:
        self.stages = list(stages)
        self.measures = measures
        self.seconds: dict[str, float] = {}
        """The CPU time by stage. The reader empties this dict."""
        self._prepared = False

    @classmethod
    def of(cls, stages: Iterable[Stage]) -> Pipeline:
        """Bind stages to their default limits. Each stage has its own name."""
        return cls(map(BoundStage.of, stages))

    @property
    def collective(self) -> list[Collective]:
        """The collective stages, in order."""
        return [bound.stage for bound in self.stages if isinstance(bound.stage, Collective)]

    @property
    def redact(self) -> Callable[[str], str] | None:
        """The function that removes personal data from a text, or None if no stage has such a function."""
        return next((bound.stage.redact for bound in self.stages if type(bound.stage).redact is not Stage.redact), None)

    @property
    def columns(self) -> dict[str, type]:
        """The ledger columns that the stages may fill, with their types, in order."""
        return {column: bound.limits[measure].of for bound in self.stages for measure, column in bound.columns.items()}

    def prepare(self) -> None:
        """Load the models and lists of all stages, once per process."""
        if not self._prepared:
            for bound in self.stages:
                bound.prepare()
            self._prepared = True

    def judge(self, doc: Document) -> Outcome:
        """Return the outcome of a document."""
        outcome = Outcome(KEPT, doc)
        self.judge_all([outcome])
        return outcome

    def judge_all(
        self, outcomes: Sequence[Outcome], announce: Callable[[int], None] = lambda index: None, single: bool = False
    ) -> None:
        """Run the stages over documents that no stage has dropped.

        Each stage sees all documents before the next stage starts, so that its code and memos stay in the cache. This
        is a tenth faster than going page by page. `announce` is called with the index of the document before a stage
        touches it, and with TOGETHER before a stage touches several at once. With `single`, no stage does so.
        """
        self.prepare()
        going = list(enumerate(outcomes))
        for bound in self.stages:
            started = time.process_time()
            here = [(at, one) for at, one in going if not bound.languages or one.doc.language in bound.languages]
            batch: dict[int, list[Measured]] = {}
            if bound.stage.wants_batches and not single and len(here) > 1 and len(bound.instances) == 1:
                announce(TOGETHER)
                batch = _measured(bound.stage, here)
            ended = set()
            for index, outcome in here:
                announce(index)
                if not bound.judge(outcome, self.measures == "first", batch.get(index)):
                    ended.add(index)
            going = [(index, outcome) for index, outcome in going if index not in ended]
            self.seconds[bound.name] = self.seconds.get(bound.name, 0.0) + time.process_time() - started
        collective = self.collective
        for _, outcome in going:
            outcome.finished = True
            for stage in collective:
                stage.complete(outcome)

    def judge_record(self, item: Record | Damage) -> Outcome | None:
        """Return the outcome of a record or of damage, or None for a record type that is only counted."""
        outcome = entry(item)
        if outcome is not None and outcome.kept:
            self.judge_all([outcome])
        return outcome

    def run(self, items: Iterable[Document | Record | Damage]) -> Iterator[Outcome]:
        """Yield the outcomes of all documents, judged records and damage, in order."""
        for item in items:
            outcome = self.judge(item) if isinstance(item, Document) else self.judge_record(item)
            if outcome is not None:
                yield outcome


def _measured(stage: Stage, outcomes: Sequence[tuple[int, Outcome]]) -> dict[int, list[Measured]]:
    """Return the measures of documents that a stage judges together, by index. If the stage raises an exception, there
    are none, so that each document is judged by itself and only one of them fails."""
    try:
        found = stage.apply_batch([outcome.doc for _, outcome in outcomes])
        return {index: one for (index, _), one in zip(outcomes, found, strict=True)}
    except Exception:
        return {}


def entry(item: Record | Damage) -> Outcome | None:
    """Return the outcome of a record before any stage.

    It is failed for damage. It is skipped for a response that holds neither an HTTP message nor a page, such as a
    capture of DNS. Otherwise it is kept. It is None for a record that is only counted.
    """
    if isinstance(item, Damage):
        doc = Document(id=item.id, url=item.url)
        detail = f"{item.kind}: {item.length} bytes unread" if item.warc else f"{item.kind}: {item.detail}"
        return Outcome(FAILED, doc, rule="damaged", detail=detail)
    if not item.judged:
        return None
    if item.kind == "response" and not item.is_http and not is_page(item.headers):
        return Outcome(SKIPPED, Document.of(item), rule="not_http", detail=item.content_type[:100])
    return Outcome(KEPT, Document.of(item))
