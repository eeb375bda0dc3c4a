"""The contract of a stage: measures with limits, and parameters. A stage measures, and the limits decide.

    class Shouting(Stage):
        "Share of upper-case letters."

        upper_ratio = Limit(max=0.3)

        def apply(self, doc):
            yield "upper_ratio", ratio(sum(map(str.isupper, doc.text)), len(doc.text))

    Shouting().check("HELLO WORLD").rule      # 'upper_ratio'

`apply` yields each measure once, in the order of the rules, as `(name, value)` or `(name, value, detail)`. The first
value outside its limit is the verdict.
"""

from __future__ import annotations

import inspect
import math
import operator
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any, ClassVar, Self

from corpus.document import Document
from corpus.documents.row import page_of_html
from corpus.errors import ConfigError, UndeclaredMeasure, did_you_mean
from corpus.outcome import DROPPED, FAILED, KEPT, Outcome, Value
from corpus.text.words import PAGE

Measured = tuple[str, Value] | tuple[str, Value, str]

BREAKS: dict[str, Callable[[Any, Any], Any]] = {
    "min": operator.lt, "max": operator.gt, "above": operator.le, "below": operator.ge,
}  # fmt: skip
"""For each bound, the comparison that shows whether a number, or each number of an array, breaks the bound. The order
is that of `Limit.broken_by`."""

_BOUNDS = ("min", "max", "above", "below", "one_of")
_MOST = 1 << 63
"""The ledger's integers have 64 bits."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The allowed range of a measure: `min` and `max` inclusive, `above` and `below` strict, `one_of` for categories.

    A bound of None is switched off. A value of None (there was nothing to measure) breaks no limit. `of` is the type of
    the measure: int, float or str.
    """

    min: float | None = None
    max: float | None = None
    above: float | None = None
    below: float | None = None
    one_of: tuple[str, ...] | None = None
    of: type = float
    share: bool = False
    """True: the measure is a share of a whole, so its bounds are between 0 and 1."""

    def __post_init__(self) -> None:
        # each number has one form, so that 10 and 10.0 give the same fingerprint
        for name in ("min", "max", "above", "below"):
            bound = getattr(self, name)
            if bound is not None:
                whole = self.of is int and float(bound).is_integer()
                object.__setattr__(self, name, int(bound) if whole else float(bound))

    def broken_by(self, value: Value) -> tuple[str, float | None] | None:
        """Return the bound that `value` breaks, as (name, number), or None. The number of `one_of` is None."""
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
        """The bounds that are switched on, as recipes write them."""
        values = {name: getattr(self, name) for name in _BOUNDS}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items() if v is not None}

    def with_bounds(self, where: str, bounds: dict[str, Any]) -> Limit:
        """Return this limit with other bounds. "off" switches a bound off. `where` names the limit in errors."""
        changes: dict[str, Any] = {}
        for name, bound in bounds.items():
            if name not in _BOUNDS:
                raise ConfigError(f"{where} has no bound '{name}'.", did_you_mean(name, _BOUNDS))
            if bound == "off":
                changes[name] = None
            elif (name == "one_of") != (self.of is str):
                takes = "one_of" if self.of is str else "min, max, above and below"
                raise ConfigError(f"{where} has no bound '{name}'.", f"It takes {takes}.")
            elif name == "one_of":
                if not isinstance(bound, list) or not all(isinstance(b, str) for b in bound):
                    raise ConfigError(f"{where}.one_of must be a list of texts.", f"It is {bound!r}.")
                changes[name] = tuple(bound)
            elif isinstance(bound, bool) or not isinstance(bound, int | float) or not math.isfinite(bound):
                raise ConfigError(f'{where}.{name} must be a number or "off".', f"It is {bound!r}.")
            elif not abs(bound) < _MOST:
                raise ConfigError(f"{where}.{name} = {bound} is too large.", "The ledger has numbers below 2⁶³.")
            elif self.share and not 0 <= bound <= 1:
                raise ConfigError(f"{where}.{name} = {bound} is not between 0 and 1.", "It is a share of a whole.")
            else:
                changes[name] = bound
        changed = replace(self, **changes)
        lows = [bound for bound in (changed.min, changed.above) if bound is not None]
        highs = [bound for bound in (changed.max, changed.below) if bound is not None]
        if lows and highs and max(lows) > min(highs):
            what = f"{where} allows no value: the least is {max(lows)} and the most is {min(highs)}."
            raise ConfigError(what, 'Change one of the two bounds, or set it to "off".')
        return changed


def ratio(part: int, whole: int) -> float | None:
    """Return `part / whole` as one division of two integers, or None if `whole` is 0."""
    return part / whole if whole else None


class Stage:
    """A rule family over single documents. The constructor only stores keyword parameters.

    A stage loads its models and lists in `prepare`, into attributes that end in `_`. These attributes are not pickled,
    and are ignored when two stages are compared. `resources` names the files that decide results, so that their digests
    join the recipe's fingerprint.
    """

    name: ClassVar[str] = ""
    """The name in the registry, in recipes and, by default, in the ledger."""
    limits: ClassVar[dict[str, Limit]] = {}
    source: ClassVar[str] = ""
    """The paper or the code that the default limits come from."""
    gate: ClassVar[bool] = False
    """True: later stages do not measure a document that this stage drops (no text yet, or the wrong language)."""
    costly: ClassVar[bool] = False
    """True: the stage stops measuring after its verdict, because its later measures cost too much."""
    reads: ClassVar[tuple[str, ...]] = ()
    """The parts that a page must have before this stage: "page" (its HTML), "url", "text", "language". A record of an
    archive has the first two."""
    sets: ClassVar[tuple[str, ...]] = ()
    """The parts that a page has after this stage: "text", "language", or both."""
    detailed: ClassVar[tuple[str, ...]] = ()
    """The measures that may come with a detail. The ledger has a detail only for documents that such a measure drops.
    If a changed limit drops other documents, their pages must be read again."""

    def __init_subclass__(cls) -> None:
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Limit)}
        cls.limits = {**cls.limits, **own}

    def apply(self, doc: Document) -> Iterator[Measured]:
        """Yield the measures of `doc` in the order of the rules. At the end, a stage may set `doc.text`."""
        raise TypeError(f"{type(self).__name__} has no apply()")  # a class without rules is not a stage

    def apply_batch(self, docs: Sequence[Document]) -> list[list[Measured]]:
        """Return the measures of several documents, as `apply` yields them. A stage implements this method, too, if its
        model is faster with many documents at once. The measures of a document must not depend on the others."""
        return [list(self.apply(doc)) for doc in docs]

    @property
    def wants_batches(self) -> bool:
        """True if the stage implements `apply_batch`."""
        return type(self).apply_batch is not Stage.apply_batch

    def visit(self, outcome: Outcome, bound: BoundStage, first: bool, given: Iterable[Measured] | None = None) -> bool:
        """Measure a document and store the values in `outcome`. The first broken limit of `bound` is the verdict.
        Return False if later stages must not see the document. With `first`, measuring ends at the first broken
        limit. `given` has the measures if `apply_batch` made them."""
        stopped = False
        limits = bound.limits
        for measure, value, *detail in self.apply(outcome.doc) if given is None else given:
            if measure not in limits:
                raise UndeclaredMeasure(f"{measure} is not declared. {did_you_mean(measure, limits)}")
            if bound.by_language:  # looked up after each measure: the stage itself may set the language
                limits = bound.of_language(outcome.doc.language).limits
            limit = limits[measure]
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
                    raise TypeError(f"{measure} comes with a detail, but `detailed` does not name it")
                outcome.outcome, outcome.stage, outcome.rule, outcome.value = DROPPED, bound.name, measure, value
                outcome.bound, outcome.limit = broken
                outcome.allowed = limit.one_of or ()
                outcome.detail = detail[0] if detail else value if isinstance(value, str) else ""
            if self.costly or first:
                return False
            stopped = stopped or self.gate
        return not stopped

    def __new__(cls, **params: Any) -> Self:
        wrong = sorted(cls.limits.keys() & params.keys())
        if wrong:
            raise ConfigError(
                f"{wrong[0]} is a limit of {cls.__name__}, not a parameter.",
                f'Give limits with bind: {cls.__name__}().bind({wrong[0]}={{"min": …}}), or in a recipe.',
            )
        return super().__new__(cls)

    def bind(
        self,
        name: str = "",
        languages: Sequence[str] = (),
        by_language: Mapping[str, Mapping[str, Any]] | None = None,
        **limits: Mapping[str, Any],
    ) -> BoundStage:
        """Return this stage with other limits, for `Recipe.of`: `GopherQuality().bind(words={"min": 30})`.

        `by_language` has what single languages change: `{"de": {"mean_word_length": {"max": 12}}}`. Raises ConfigError
        if the stage has no such measure or bound.
        """
        bound = BoundStage.of(self)
        changed = dict(bound.limits)
        for measure, bounds in limits.items():
            if measure not in changed:
                raise ConfigError(f"{bound.name} has no measure '{measure}'.", did_you_mean(measure, changed))
            where = f"{name or bound.name}.{measure}"
            if not isinstance(bounds, Mapping):
                raise ConfigError(f"{where} = {bounds!r} is not a limit.", f'Give bounds: {measure}={{"min": …}}.')
            changed[measure] = changed[measure].with_bounds(where, dict(bounds))
        own = {language: dict(table) for language, table in (by_language or {}).items()}
        return BoundStage(name or bound.name, self, changed, tuple(languages), own)

    def prepare(self) -> None:
        """Load models and lists once per process, into attributes that end in `_`."""

    def agree(self, stages: Sequence[BoundStage]) -> None:
        """Raise ConfigError if this stage contradicts another one of its recipe."""

    def redact(self, text: str) -> str:
        """Return the text as people may see it. Only a stage that removes personal data changes the text."""
        return text

    def resources(self) -> dict[str, str]:
        """Return the sha256 of each file that decides results, by name. Raises ConfigError if a file is missing."""
        return {}

    def checked(self) -> dict[str, Any]:
        """Return what the stage looks for in pages, as JSON data for run.json, if a list of the user says so."""
        return {}

    @property
    def params(self) -> dict[str, Any]:
        """The constructor's parameters with their values, in order and as recipes write them."""
        values = {name: getattr(self, name) for name in param_names(type(self))}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def check(self, text: str = "", *, html: str | bytes | None = None, **fields: Any) -> Outcome:
        """Return the outcome of this stage alone, at its default limits (see `BoundStage.check`)."""
        return BoundStage.of(self).check(text, html=html, **fields)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.endswith("_")}

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Stage) and self.params == other.params

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.params.items())})"


def read_table(
    cls: type[Stage], where: str, table: Mapping[str, Any], limits: Mapping[str, Limit]
) -> tuple[dict[str, Any], dict[str, Limit]]:
    """Return the parameters in the table of a stage, and `limits` with the bounds in the table. `where` names the stage
    in errors. Raises ConfigError."""
    params: dict[str, Any] = {}
    changed, defaults = dict(limits), cls().params
    for key, value in table.items():
        if key in changed:
            if not isinstance(value, dict):
                todo = "Write { min = …, max = … } or one bound."
                raise ConfigError(f"{where}.{key} = {value!r} is not a limit.", todo)
            changed[key] = changed[key].with_bounds(f"{where}.{key}", value)
        elif key in defaults:
            kind = type(defaults[key])
            nested = isinstance(value, list) and any(isinstance(one, list | dict) for one in value)
            if nested or (type(value) is not kind and not (kind is float and type(value) is int)):
                raise ConfigError(f"{where}.{key} = {value!r} has the wrong type.", f"It takes a {kind.__name__}.")
            params[key] = value
        else:
            known = {*changed, *defaults}
            raise ConfigError(f"The stage '{where}' has no measure or parameter '{key}'.", did_you_mean(key, known))
    return params, changed


def param_names(stage: type[Stage]) -> tuple[str, ...]:
    """Return the names of the parameters of a stage class."""
    return () if stage.__init__ is object.__init__ else _parameters(stage.__init__)


@cache  # each task of a comparison makes its recipe
def _parameters(init: Callable[..., None]) -> tuple[str, ...]:
    return tuple(inspect.signature(init).parameters)[1:]


@dataclass(frozen=True)
class BoundStage:
    """A stage with its name and its limits in a recipe. If `languages` are given, documents in other languages skip
    it."""

    name: str
    stage: Stage
    limits: dict[str, Limit]
    languages: tuple[str, ...] = ()
    by_language: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The changes of single languages, by code: parameters, and bounds of limits, as recipes write them. A bound that a
    language does not name is the bound of all languages."""

    @cached_property
    def _own(self) -> dict[str, BoundStage]:
        """This stage as it is for the languages with changes. Raises ConfigError."""
        return {code: self._with(f"{self.name}.{code}", table) for code, table in self.by_language.items()}

    def _with(self, where: str, table: Mapping[str, Any]) -> BoundStage:
        params, limits = read_table(type(self.stage), where, table, self.limits)
        stage = type(self.stage)(**{**self.stage.params, **params}) if params else self.stage
        return BoundStage(self.name, stage, limits)

    def of_language(self, language: str | None) -> BoundStage:
        """Return this stage with the parameters and limits for documents in a language."""
        return self._own.get(language or "", self)

    def prepare(self) -> None:
        """Load the models and lists of the stage, for all languages."""
        for stage in self.instances:
            stage.prepare()

    def resources(self) -> dict[str, str]:
        """Return the sha256 of each file that decides results, by name."""
        return {name: digest for stage in self.instances for name, digest in sorted(stage.resources().items())}

    @property
    def instances(self) -> list[Stage]:
        """The stage, and one more for each language that has parameters of its own."""
        return [self.stage, *(bound.stage for bound in self._own.values() if bound.stage is not self.stage)]

    @cached_property
    def columns(self) -> dict[str, str]:
        """The ledger column of each measure: `stage.measure`."""
        return {measure: f"{self.name}.{measure}" for measure in self.limits}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("columns", "_own")}

    def __hash__(self) -> int:
        return hash((self.name, self.stage, self.languages))

    def check(self, text: str = "", *, html: str | bytes | None = None, **fields: Any) -> Outcome:
        """Return the outcome of this stage alone, at these limits, for one text or one page of HTML. `fields` are
        fields of Document, such as `url` and `language`.

        Raises ConfigError if the stage reads something that is not given.
        """
        for name, value, kinds in (("text", text, str), ("html", html, str | bytes | None)):
            if not isinstance(value, kinds):
                raise ConfigError(f"The {name} is of type {type(value).__name__}.", "Give a str.")
        record = page_of_html(html, fields.get("url", "")) if html is not None else None
        for what, given in (("page", record), ("url", fields.get("url")), ("language", fields.get("language"))):
            if what in self.reads and not given:
                name = {"page": "html"}.get(what, what)
                raise ConfigError(f"{type(self.stage).__name__} reads the {name} of a page.", f"Call check({name}=…).")
        outcome = Outcome(KEPT, Document(text=text, record=record, **fields))
        self.prepare()
        outcome.finished = self.judge(outcome)
        return outcome

    @classmethod
    def of(cls, stage: Stage) -> BoundStage:
        """Bind a stage to its default limits, under its own name."""
        return cls(stage.name or type(stage).__name__, stage, dict(stage.limits))

    @property
    def reads(self) -> set[str]:
        """The parts that a page must have before this stage."""
        chosen = "language" not in self.stage.sets and (self.by_language or self.stage.params.get("language") == PAGE)
        return {*self.stage.reads, *(["language"] if self.languages or chosen else [])}

    def judge(self, outcome: Outcome, first: bool = False, given: Iterable[Measured] | None = None) -> bool:
        """Run the stage over one document (`Stage.visit`). If the stage raises an exception, the outcome is failed."""
        try:
            return self.of_language(outcome.doc.language).stage.visit(outcome, self, first, given)
        except Exception as error:  # if a library raises on a page, only this page fails
            kind = "memory" if isinstance(error, MemoryError) else "error"
            if outcome.outcome == KEPT or kind == "memory":
                outcome.outcome, outcome.stage, outcome.rule = FAILED, self.name, kind
                # only the class: a message may quote the page
                outcome.value, outcome.limit, outcome.bound, outcome.detail = None, None, "", type(error).__name__
                outcome.traceback = traceback.format_exc()
            return False


def _of(kind: type, measure: str, value: Value) -> Value:
    """Return the value in the type of its measure, for the ledger."""
    found: Value = kind(value)
    if found != value:
        raise TypeError(f"{measure} is of type {kind.__name__}, so {value!r} is not a valid value")
    return found
