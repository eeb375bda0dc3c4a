"""Judging: limits decide in order, dropped documents are measured further, and exceptions are outcomes."""

import pickle

import pytest

from corpus.document import Document
from corpus.outcome import DROPPED, FAILED, KEPT, SKIPPED, Outcome
from corpus.pipeline import TOGETHER, Pipeline
from corpus.stage import BoundStage, Limit, Stage, ratio
from corpus.warc.record import Damage, Record


class Letters(Stage):
    """Counts letters."""

    name = "letters"
    a = Limit(max=2, of=int)
    b = Limit(above=0, of=int)

    def apply(self, doc):
        yield "a", doc.text.count("a")
        yield "b", doc.text.count("b")


class Kind(Stage):
    """Says what a text starts with."""

    name = "kind"
    gate = True
    first = Limit(one_of=("a", "b"), of=str)
    size = Limit(of=int)

    def apply(self, doc):
        yield "first", doc.text[:1]
        yield "size", len(doc.text)


class Broken(Stage):
    """Raises on x, and measures nonsense on n."""

    name = "broken"
    measure = Limit(max=1)

    def apply(self, doc):
        if "x" in doc.text:
            raise ValueError(doc.text)
        yield "measure", float("nan") if "n" in doc.text else 0.5


def judge(text, *stages, measures="all"):
    return Pipeline([BoundStage(s.name, s, dict(s.limits)) for s in stages], measures).judge(Document(text=text))


@pytest.mark.parametrize(
    ("limit", "inside", "outside"),
    [
        (Limit(min=2), 2, 1.9),
        (Limit(max=2), 2, 2.1),
        (Limit(above=2), 2.1, 2),
        (Limit(below=2), 1.9, 2),
        (Limit(min=1, max=3), 1, 4),
        (Limit(one_of=("a",), of=str), "a", "b"),
    ],
)
def test_bounds(limit, inside, outside):
    assert limit.broken_by(inside) is None
    assert limit.broken_by(None) is None
    assert limit.broken_by(outside) is not None
    assert Limit(of=limit.of).broken_by(outside) is None


def test_the_first_broken_limit_is_the_verdict_and_all_is_measured():
    outcome = judge("aaaa", Letters())
    assert (outcome.outcome, outcome.stage, outcome.rule, outcome.value, outcome.limit) == (
        DROPPED,
        "letters",
        "a",
        4,
        2,
    )
    assert outcome.measures == {"letters.a": 4, "letters.b": 0}
    assert outcome.reason == "letters.a: 4 > max 2"
    assert outcome.text == ""


def test_measures_first_stops_at_the_verdict():
    assert judge("aaaa", Letters(), measures="first").measures == {"letters.a": 4}


def test_a_gate_stops_the_document_and_a_text_stage_does_not():
    stopped = judge("zaaa", Kind(), Letters())
    assert (stopped.rule, stopped.detail, stopped.measures) == ("first", "z", {"kind.first": "z", "kind.size": 4})
    assert stopped.reason == "kind.first: z is not a or b"
    going_on = judge("aaaa", Letters(), Kind())
    assert (going_on.rule, going_on.measures["kind.first"]) == ("a", "a")


def test_a_costly_stage_stops_in_the_middle(monkeypatch):
    monkeypatch.setattr(Kind, "costly", True)
    assert judge("zaaa", Kind(), Letters()).measures == {"kind.first": "z"}


def test_kept():
    outcome = judge("ab", Kind(), Letters())
    assert (outcome.outcome, outcome.reason, outcome.text) == (KEPT, "", "ab")


def test_an_exception_is_a_failure_with_its_class_and_never_its_message():
    outcome = judge("x secret", Broken())
    assert (outcome.outcome, outcome.stage, outcome.rule, outcome.detail) == (FAILED, "broken", "error", "ValueError")


def test_a_measure_that_is_not_declared_is_named_by_the_class_of_the_failure():
    class Misspelled(Letters):
        def apply(self, doc):
            yield "lettres", 1

    outcome = Misspelled().check("abc")
    assert (outcome.outcome, outcome.rule, outcome.detail) == (FAILED, "error", "UndeclaredMeasure")


def test_a_dropped_document_stays_dropped_when_a_later_stage_raises():
    outcome = judge("aaax", Letters(), Broken())
    assert (outcome.outcome, outcome.rule) == (DROPPED, "a")


def test_nan_is_no_measure():
    assert judge("n", Broken()).measures == {"broken.measure": None}


class Loose(Stage):
    """Measures in other types than it declares."""

    name = "loose"
    share = Limit(max=5)
    size = Limit(of=int)

    def apply(self, doc):
        yield "share", len(doc.text)
        yield "size", len(doc.text) / 2


def test_a_value_is_of_the_type_of_its_measure():
    outcome = judge("123456", Loose())
    assert (type(outcome.value), type(outcome.measures["loose.size"])) == (float, int)
    outcome = judge("123", Loose())
    assert (outcome.outcome, outcome.rule, outcome.detail) == (FAILED, "error", "TypeError")


def test_one_stage_on_a_string():
    assert Letters().check("aaa b").rule == "a"
    assert Letters().check("ab").kept


def test_record_kinds():
    def record(kind, url="http://x.example/", content_type="application/http"):
        headers = {"warc-target-uri": url, "content-type": content_type}
        return Record("w", 7, kind, headers, b"", 0)

    items = [
        record("request"),
        record("response", "dns:x.example", "text/dns"),
        Damage("w", 3, 50, "gzip"),
        record("conversion", content_type="text/plain"),
        record("resource", content_type="image/png"),
        record("resource", content_type="text/html"),
        record("response", "ftp://x.example/a.html", "text/html"),
        record("response", "ftp://x.example/a.txt", "text/plain"),
        record("response", "metadata://x.example/index", "text/html"),
    ]
    outcomes = list(Pipeline.of([Broken()]).run(items))
    skipped, kept = (SKIPPED, "not_http"), (KEPT, "")
    ends = [skipped, (FAILED, "damaged"), kept, kept, kept, skipped, skipped]
    assert [(o.outcome, o.rule) for o in outcomes] == ends
    assert outcomes[1].detail == "gzip: 50 bytes unread"


def test_what_is_loaded_is_not_pickled():
    stage = Letters()
    stage.model_ = object()
    stage.param = 3
    assert vars(pickle.loads(pickle.dumps(stage))) == {"param": 3}  # noqa: S301


def test_ratio():
    assert ratio(1, 3) == 1 / 3
    assert ratio(0, 0) is None


class Counted(Stage):
    """Says how many documents it got at once."""

    name = "counted"
    reads = ("text",)
    together = Limit(max=2, of=int)
    broken = Limit(of=int)

    def apply(self, doc):
        yield from self.apply_batch([doc])[0]

    def apply_batch(self, docs):
        if any(doc.text == "raise" for doc in docs):
            raise ValueError("page text")
        return [[("together", len(docs)), ("broken", 0)] for _ in docs]


def test_a_stage_that_wants_batches_gets_all_documents_at_once_and_each_has_a_verdict():
    outcomes = [Outcome(KEPT, Document(text=text)) for text in "abc"]
    announced = []
    Pipeline.of([Counted()]).judge_all(outcomes, announced.append)
    assert announced == [TOGETHER, 0, 1, 2]
    assert [(one.rule, one.value) for one in outcomes] == [("together", 3)] * 3
    alone = [Outcome(KEPT, Document(text=text)) for text in "abc"]
    Pipeline.of([Counted()]).judge_all(alone, single=True)
    assert [one.measures["counted.together"] for one in alone] == [1, 1, 1]
    assert Counted().check("a").measures["counted.together"] == 1


def test_if_a_batch_raises_only_its_page_fails():
    outcomes = [Outcome(KEPT, Document(text=text)) for text in ("a", "raise", "c")]
    Pipeline.of([Counted()]).judge_all(outcomes)
    assert [one.outcome for one in outcomes] == [KEPT, "failed", KEPT]
