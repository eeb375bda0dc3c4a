"""The contract of a per-document stage: measures with limits, and parameters. It never decides by itself.

    class Shouting(Stage):
        "Share of upper-case letters."

        upper_ratio = Limit(max=0.3)

        def apply(self, doc):
            yield "upper_ratio", ratio(sum(map(str.isupper, doc.text)), len(doc.text))

    Shouting().check("HELLO WORLD").rule      # 'upper_ratio'

`apply` yields its measures in the order in which the rules apply, each once, as `(name, value)` or
`(name, value, detail)`; the first value outside its limit is the verdict (`corpus.pipeline`).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from corpus.document import Document
from corpus.errors import ConfigError, did_you_mean
from corpus.outcome import DROPPED, FAILED, KEPT, Outcome, Value

Measured = tuple[str, Value] | tuple[str, Value, str]


@dataclass(frozen=True, slots=True)
class Limit:
    """What a measure may be: `min`, `max` inclusive, `above`, `below` strict, `one_of` for categories.

    A bound of None is switched off; a value of None (not measurable) is never outside.
    `of` is the type of the measure: int, float or str.
    """

    min: float | None = None
    max: float | None = None
    above: float | None = None
    below: float | None = None
    one_of: tuple[str, ...] | None = None
    of: type = float

    def __post_init__(self) -> None:
        # one form per number, so that 10 and 10.0 make one fingerprint
        for name in ("min", "max", "above", "below"):
            bound = getattr(self, name)
            if bound is not None:
                whole = self.of is int and float(bound).is_integer()
                object.__setattr__(self, name, int(bound) if whole else float(bound))

    def broken_by(self, value: Value) -> tuple[str, float | None] | None:
        """The (bound name, bound) that `value` is outside of, or None. The bound of `one_of` is None."""
        if value is None:
            return None
        if isinstance(value, str):
            return ("one_of", None) if self.one_of is not None and value not in self.one_of else None
        if self.min is not None and value < self.min:
            return "min", self.min
        if self.max is not None and value > self.max:
            return "max", self.max
        if self.above is not None and value <= self.above:
            return "above", self.above
        if self.below is not None and value >= self.below:
            return "below", self.below
        return None

    @property
    def bounds(self) -> dict[str, Any]:
        """The bounds that are on, for recipes and reports."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "of"}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items() if v is not None}

    def with_bounds(self, where: str, bounds: dict[str, Any]) -> Limit:
        """This limit with some bounds replaced; "off" switches one off. `where` names it in errors."""
        known = {f.name for f in fields(self)} - {"of"}
        changes: dict[str, Any] = {}
        for name, bound in bounds.items():
            if name not in known:
                raise ConfigError(f"{where} has no bound '{name}'.", did_you_mean(name, known))
            if bound == "off":
                changes[name] = None
            elif name == "one_of":
                if not isinstance(bound, list) or not all(isinstance(b, str) for b in bound):
                    raise ConfigError(f"{where}.one_of must be a list of texts.", f"It is {bound!r}.")
                changes[name] = tuple(bound)
            elif isinstance(bound, bool) or not isinstance(bound, int | float) or bound != bound:
                raise ConfigError(f'{where}.{name} must be a number or "off".', f"It is {bound!r}.")
            else:
                changes[name] = bound
        changed = replace(self, **changes)
        wrong = set(changed.bounds) - ({"one_of"} if self.of is str else known - {"one_of"})
        if wrong:
            takes = "one_of" if self.of is str else "min, max, above and below"
            raise ConfigError(f"{where} has no bound '{wrong.pop()}'.", f"It takes {takes}.")
        return changed


def ratio(part: int, whole: int) -> float | None:
    """part / whole as one division of two integers; None where there is no whole."""
    return part / whole if whole else None


class Stage:
    """One rule family over single documents. Constructors only store keyword parameters.

    What a stage loads (models, lists) it loads in `prepare`, into attributes that end in `_`: these stay
    in the process, are not pickled and are no part of its identity. Files that decide results are named
    by `resources`, so that their digests join the recipe's fingerprint.
    """

    name: ClassVar[str] = ""
    """Its name in the registry, in recipes and, by default, in the ledger."""
    limits: ClassVar[dict[str, Limit]] = {}
    source: ClassVar[str] = ""
    """The paper or code that the defaults come from."""
    gate: ClassVar[bool] = False
    """True: a document dropped here goes no further (no text yet, or the wrong language)."""
    costly: ClassVar[bool] = False
    """True: the later measures of this stage cost too much to be taken for a document that it drops."""
    detailed: ClassVar[tuple[str, ...]] = ()
    """The measures that may come with a detail. It is not in the ledger of a document that they don't drop, so these
    documents are read again where another limit makes them."""

    def __init_subclass__(cls) -> None:
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Limit)}
        cls.limits = {**cls.limits, **own}

    def apply(self, doc: Document) -> Iterator[Measured]:
        """Yield the measures of `doc` in the order of the rules; may set `doc.text` when it ends."""
        raise TypeError(f"{type(self).__name__} has no apply()")  # a class without rules is no stage

    def visit(self, outcome: Outcome, bound: BoundStage, first: bool) -> bool:
        """Take the measures of a document into `outcome`, under the limits of `bound`; the first broken one is the
        verdict. False where the document goes no further."""
        stopped = False
        for measure, value, *detail in self.apply(outcome.doc):
            limit = bound.limits[measure]
            if value != value:  # NaN
                value = None
            if type(value) is not limit.of and value is not None:
                value = _of(limit.of, measure, value)
            outcome.measures[bound.columns[measure]] = value
            broken = limit.broken_by(value)
            if broken is None:
                continue
            if outcome.outcome == KEPT:
                if detail and measure not in self.detailed:
                    raise TypeError(f"{measure} comes with a detail, but is not among the stage's `detailed`")
                outcome.outcome, outcome.stage, outcome.rule, outcome.value = DROPPED, bound.name, measure, value
                outcome.bound, outcome.limit = broken
                outcome.detail = detail[0] if detail else value if isinstance(value, str) else ""
            if self.costly or first:
                return False
            stopped = stopped or self.gate
        return not stopped

    def prepare(self) -> None:
        """Load models and lists once per process, into attributes that end in `_`."""

    def agree(self, stages: Sequence[BoundStage]) -> None:
        """Raise ConfigError where this stage contradicts others of its recipe."""

    def redact(self, text: str) -> str:
        """The text as it may be shown to people. Only stages that remove personal data have something to do."""
        return text

    def resources(self) -> dict[str, str]:
        """The sha256 of each file that decides results, by name. Raises ConfigError where one is missing."""
        return {}

    @property
    def params(self) -> dict[str, Any]:
        """The constructor's keyword parameters with their values, in order; lists as recipes write them."""
        values = {name: getattr(self, name) for name in param_names(type(self))}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def check(self, text: str, **fields: Any) -> Outcome:
        """The outcome of this stage alone, at its default limits, for one text (and url=…, language=…)."""
        outcome = Outcome(KEPT, Document(text=text, **fields))
        self.prepare()
        outcome.finished = BoundStage.of(self).judge(outcome)
        return outcome

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.endswith("_")}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.params.items())})"


def param_names(stage: type[Stage]) -> list[str]:
    """The names of the keyword parameters of a stage class."""
    if stage.__init__ is object.__init__:
        return []
    return [p for p in inspect.signature(stage).parameters]


@dataclass(frozen=True)
class BoundStage:
    """A stage under its name in the recipe, with its limits there. Where `languages` are given, documents in
    other languages pass it by."""

    name: str
    stage: Stage
    limits: dict[str, Limit]
    languages: tuple[str, ...] = ()
    columns: dict[str, str] = field(init=False)
    """Measure name to its ledger column, `stage.measure`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", {measure: f"{self.name}.{measure}" for measure in self.limits})

    @classmethod
    def of(cls, stage: Stage) -> BoundStage:
        """A stage at its default limits, under its own name."""
        return cls(stage.name or type(stage).__name__, stage, dict(stage.limits))

    def judge(self, outcome: Outcome, first: bool = False) -> bool:
        """Run the stage over one document; False where the document goes no further. With `first`, the first broken
        limit ends it. An exception in the stage is an outcome too."""
        try:
            return self.stage.visit(outcome, self, first)
        except Exception as error:  # whatever a page makes a library raise is that page's fate, not the run's
            kind = "memory" if isinstance(error, MemoryError) else "error"
            if outcome.outcome == KEPT or kind == "memory":
                outcome.outcome, outcome.stage, outcome.rule = FAILED, self.name, kind
                # the class only: a message may quote the page
                outcome.value, outcome.limit, outcome.bound, outcome.detail = None, None, "", type(error).__name__
            return False


def _of(kind: type, measure: str, value: Value) -> Value:
    """The value in the type of its measure, in which the ledger has it."""
    found: Value = kind(value)
    if found != value:
        raise TypeError(f"{measure} is of {kind.__name__}, and {value!r} is none")
    return found
