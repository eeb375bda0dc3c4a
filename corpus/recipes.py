"""A recipe: the ordered stages of a run with every parameter and limit, in TOML. It is data only.

    name = "mine"
    description = "English pages of some length."
    measures = "all"                  # or "first": stop at the first broken limit

    [output]
    rows_per_part = 100000            # rows per file of corpus/

    [[stages]]
    stage = "gopher_quality"          # the name of a stage in the registry
    name = "quality"                  # the name in the ledger, by default the same
    language = "en"                   # a parameter
    words = { min = 30, max = "off" } # limits of a measure. Other measures keep their defaults
    languages = ["en", "de"]          # documents in other languages skip this stage

    [stages.by_language.de]           # what documents in German have instead, if a stage before sets the language
    stop_list = ["der", "und"]        # a parameter
    words = { min = 40 }              # a bound. The other bounds are those of all languages

The canonical form has every value, including defaults. The digest of this form is the recipe's part of a fingerprint.
Workers, unit sizes, paths and the like are never part of a recipe.
"""

from __future__ import annotations

import json
import re
import textwrap
import tomllib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from corpus.collective import Collective
from corpus.documents.columns import choose_columns
from corpus.documents.items import Item, documents_of
from corpus.documents.tables import Table, column, names_of, with_rows
from corpus.errors import ConfigError, did_you_mean
from corpus.notebook import recipe_html
from corpus.outcome import FAILED, REMOVED, Outcome
from corpus.pipeline import Pipeline
from corpus.settings import OFF, Settings, changes_of, pairs_of, part_of
from corpus.stage import BoundStage, Limit, Stage, read_table
from corpus.text.words import PAGE, check_segmenter

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_LANGUAGE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
ARCHIVE_GIVES = ("page", "url")
"""The parts that each record of an archive has before any stage."""

RESERVED = {"stage", "name", "languages", "by_language"}
"""The keys of a stage's table that no parameter and no measure may have."""

_TOP = {"name", "description", "measures", "output", "stages"}

ROWS_PER_PART = 100_000
"""The corpus rows of one output file: about 500 MB of text. Only one row group at a time is in memory."""


@dataclass(frozen=True)
class Recipe:
    """An ordered list of stage instances with their limits."""

    name: str
    description: str
    measures: str
    rows_per_part: int
    stages: tuple[BoundStage, ...]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], registry: Mapping[str, type[Stage]]) -> Recipe:
        """Make a recipe from parsed TOML or from a canonical form. Raises ConfigError."""
        _known(data, _TOP, "A recipe")
        measures = data.get("measures", "all")
        if measures not in ("all", "first"):
            raise ConfigError(f"measures = {measures!r} is unknown.", 'Write "all" or "first".')
        output = data.get("output", {})
        if not isinstance(output, Mapping):
            raise ConfigError("[output] is not a table.", "Write `[output]`, and rows_per_part = … below this line.")
        _known(output, {"rows_per_part"}, "[output]")
        rows = output.get("rows_per_part", ROWS_PER_PART)
        if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
            what = f"output.rows_per_part = {rows!r} is not a number of rows."
            raise ConfigError(what, "Give a whole number of at least 1.")
        stages = tuple(_bind(table, registry) for table in data.get("stages", []))
        if not stages:
            raise ConfigError("The recipe has no stages.", "Add a [[stages]] table. `corpus stages` lists all stages.")
        names = [bound.name for bound in stages]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ConfigError(f"The stage name '{twice.pop()}' is used twice.", "Give one of them another `name`.")
        _check_order(stages)
        language_column(stages)
        for bound in stages:
            bound.stage.agree(stages)
        return cls(str(data.get("name", "unnamed")), str(data.get("description", "")), measures, rows, stages)

    @classmethod
    def of(
        cls,
        stages: Iterable[Stage | BoundStage],
        *,
        name: str = "mine",
        description: str = "",
        measures: str = "all",
        rows_per_part: int = ROWS_PER_PART,
    ) -> Recipe:
        """Make a recipe from stages, such as `Recipe.of([Language(), GopherQuality().bind(words={"min": 30})])`."""
        given = list(stages)
        for one in given:
            if not isinstance(one, Stage | BoundStage):
                raise ConfigError(f"{one!r} is not a stage.", "Give instances, such as GopherQuality().")
        bound = [one if isinstance(one, BoundStage) else BoundStage.of(one) for one in given]
        data = {
            "name": name,
            "description": description,
            "measures": measures,
            "output": {"rows_per_part": rows_per_part},
            "stages": [_canonical(one) for one in bound],
        }
        return cls.from_dict(data, {one.stage.name: type(one.stage) for one in bound})

    @classmethod
    def from_toml(cls, text: str, registry: Mapping[str, type[Stage]]) -> Recipe:
        """Make a recipe from TOML text. Raises ConfigError."""
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"The recipe is not valid TOML: {error}.", "Correct that line.") from None
        return cls.from_dict(data, registry)

    def with_settings(self, settings: Settings, registry: Mapping[str, type[Stage]]) -> Recipe:
        """Return the recipe with some values changed, such as "gopher_quality.words.min=30". Raises ConfigError."""
        pairs = pairs_of(settings)
        changed = self.canonical()
        for pair in pairs:
            changed = _with_setting(changed, pair)
        return self.from_dict(changed, registry) if pairs else self

    def canonical(self) -> dict[str, Any]:
        """Return every value that decides results, in one form that `from_dict` reads back."""
        return {
            "name": self.name,
            "description": self.description,
            "measures": self.measures,
            "output": {"rows_per_part": self.rows_per_part},
            "stages": [_canonical(bound) for bound in self.stages],
        }

    def resources(self) -> dict[str, str]:
        """Return the sha256 of every file that decides results, by `stage.file`."""
        found = check_segmenter(self._languages_of_words)
        for bound in self.stages:
            found |= {f"{bound.name}.{name}": digest for name, digest in bound.resources().items()}
        return found

    @property
    def _languages_of_words(self) -> set[str] | None:
        """The languages of pages whose words are split by the rules of their language, or None for any language."""
        if not any(bound.stage.params.get("language") == PAGE for bound in self.stages):
            return set()
        labels = [bound.limits.get("label") for bound in self.stages if "language" in bound.stage.sets]
        known = [set(limit.one_of) for limit in labels if limit is not None and limit.one_of is not None]
        return set.intersection(*known) if known else None

    def checked(self) -> dict[str, Any]:
        """Return what stages look for in pages, by stage (see `Stage.checked`)."""
        found = {bound.name: bound.stage.checked() for bound in self.stages}
        return {name: content for name, content in found.items() if content}

    def check_input(self, gives: Iterable[str]) -> None:
        """Raise ConfigError if a stage reads a page, URL, text or language that an item does not have at this point, or
        if the words of a language can't be found."""
        there = set(gives)
        lacking: dict[str, list[str]] = {}
        for bound in self.stages:
            for what in bound.reads - there:
                lacking.setdefault(what, []).append(bound.name)
            there.update(bound.stage.sets)
        if lacking:
            what = min(lacking)  # the page comes first, because a recipe without pages needs no URLs
            raise ConfigError(*_lacks(lacking[what], what))
        check_segmenter(self._languages_of_words)

    def pipeline(self) -> Pipeline:
        return Pipeline(self.stages, self.measures)

    def run(self, items: Iterable[Item], *, dedup: bool = True) -> Iterator[Outcome]:
        """Yield the outcome of each item, in order. Items are texts, dicts, documents, or the records of an archive.

        A dict has a text or HTML, and perhaps an id, URL, date and language, under the usual names (docs/documents.md).
        The outcome of an item without a text is `failed`. If the recipe compares documents, no outcome comes before the
        last item was read, because the verdict on each document depends on all of them. So all documents are in memory.
        A build over the same documents gives the same verdicts. With `dedup=False` nothing is compared, and each
        outcome comes at once. Raises ConfigError if the recipe needs something that the items lack.
        """
        outcomes = self._judged.run(documents_of(items, self.check_input))
        if not dedup or not self._judged.collective:
            yield from outcomes
            return
        found = list(outcomes)
        for bound in self.stages:
            if isinstance(bound.stage, Collective):
                kept = [one for one in found if one.kept and bound.stage.kind in one.signed]
                bound.stage.compare(bound, kept)
        yield from found

    def batch(self, table: Table) -> Table:
        """Return the rows of a table that the recipe keeps, with the texts that the recipe makes.

        The table is a dict of columns, a pyarrow table, or a pandas or polars data frame. The result has the same type.
        Use this function in `datasets.Dataset.map(recipe.batch, batched=True)` and Ray Data's `map_batches`. Columns
        have the usual names. Documents are not compared, because each call sees one batch alone. The first call warns
        about this.
        """
        names = names_of(table)
        columns = choose_columns(names, {}, "The table")
        self.check_input(columns.gives)
        wanted = {*columns.names, *(name.partition(".")[0] for name in columns.names)}
        used = {name: column(table, name) for name in names if name in wanted}
        rows = [dict(zip(used, row, strict=True)) for row in zip(*used.values(), strict=True)]
        outcomes = list(self._alone.run(documents_of(rows)))
        wrong = [one for one in outcomes if one.detail.startswith("type: ")]
        if outcomes and len(wrong) == len(outcomes):
            raise ConfigError(
                f"No row of the table has a text: {wrong[0].detail[6:]}.", "Name the column of texts `text`."
            )
        broken = [one for one in outcomes if one.outcome == FAILED and one.rule == "error"]
        if broken:
            what = f"{broken[0].stage} failed on {len(broken)} of {len(outcomes)} documents"
            warnings.warn(f"{what}, first with\n{broken[0].traceback}", stacklevel=2)
        kept = [number for number, one in enumerate(outcomes) if one.kept]
        return with_rows(table, kept, columns.text or "text", [outcomes[number].text for number in kept])

    @cached_property
    def _alone(self) -> Pipeline:
        """The pipeline of `batch`. The first use warns about the stages that are left out."""
        if names := [bound.name for bound in self.stages if isinstance(bound.stage, Collective)]:
            warnings.warn(f"`batch` removes no duplicates: it leaves out {' and '.join(names)}.", stacklevel=4)
        return self._judged

    @cached_property
    def _judged(self) -> Pipeline:
        """The pipeline of `run` and `batch`. Its models are loaded once."""
        return self.pipeline()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_judged", "_alone")}

    def __hash__(self) -> int:
        return hash(self.to_toml())

    def __repr__(self) -> str:
        return f"Recipe({self.name!r}: {', '.join(bound.name for bound in self.stages)})"

    def to_toml(self) -> str:
        """Return the recipe as TOML, with every value. `from_toml` turns this text into the same recipe."""
        return recipe_toml(self.canonical())

    def _repr_html_(self) -> str:
        stages = [(bound.name, {name: limit.bounds for name, limit in bound.limits.items()}) for bound in self.stages]
        return recipe_html(self.name, self.description, stages)


def recipe_toml(canonical: Mapping[str, Any], meaning: Callable[[str, str], str] = lambda stage, key: "") -> str:
    """Return a canonical recipe as valid TOML. `meaning` returns the comment for a parameter or measure of a stage."""
    lines = [f"{key} = {_toml(canonical[key])}" for key in ("name", "description", "measures", "output")]
    for stage in canonical["stages"]:
        lines += ["", "[[stages]]"]
        for key, value in stage.items():
            if key == "by_language":
                for code, changes in value.items():
                    lines += [
                        "",
                        f"[stages.by_language.{code}]",
                        *(f"{name} = {_toml(changes[name])}" for name in changes),
                    ]
                continue
            comment = textwrap.wrap(meaning(stage["stage"], key), 100)
            lines += [*(f"# {line}" for line in comment), f"{key} = {_toml(value)}"]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """Return a value as TOML, which writes texts, numbers and lists as JSON does."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }" if value else "{}"
    return json.dumps(value, ensure_ascii=False)


def _lacks(names: Sequence[str], what: str) -> tuple[str, str]:
    """Return the error for stages that read a part that no item has, and what to do."""
    name, off = names[0], " ".join(f"--set {name}=off" for name in names)
    if what == "page":
        todo = f"Use the recipe text, name a column of HTML with --html, or switch these stages off: {off}."
        return f"{name} reads the HTML of a page, but the documents are texts.", todo
    if what == "url":
        todo = f"Name a column of URLs with --url, or switch these stages off: {off}."
        return f"{name} reads the URL of a page, but the documents have no URL.", todo
    todo = f'Add a stage that does. `corpus stages` lists all stages. Your own stage declares `sets = ("{what}",)`.'
    return f"{name} reads the {what} of a page, but no earlier stage sets the {what}.", todo


def _check_order(stages: Sequence[BoundStage]) -> None:
    """Raise ConfigError if a stage reads something that only a later stage sets."""
    there: set[str] = set()
    for at, bound in enumerate(stages):
        late = [other for other in stages[at + 1 :] if bound.reads.difference(there).intersection(other.stage.sets)]
        if late:
            what = " and ".join(sorted(bound.reads.difference(there).intersection(late[0].stage.sets)))
            raise ConfigError(
                f"{bound.name} reads the {what} that {late[0].name} sets, but comes before it.",
                f"Use this order: {', '.join(_in_order(stages))}.",
            )
        there.update(bound.stage.sets)


def language_column(stages: Sequence[BoundStage]) -> str:
    """Return the ledger column with the language that chooses the limits of a page. It is empty if no limit depends on
    the language.

    Raises ConfigError if the ledger can't say which limits a page had. All later verdicts from the ledger need this.
    """
    chosen = [bound for bound in stages if bound.by_language]
    if not chosen:
        return ""
    name = chosen[0].name
    setters = [bound for bound in stages if "language" in bound.stage.sets and not bound.languages]
    if len(setters) != 1:
        what = f"{name} has limits by language, but {len(setters) or 'no'} stages set the language of every page."
        raise ConfigError(what, "Have one such stage: language, or your own.")
    (setter,) = setters
    if setter.limits.get("label", Limit()).of is not str:
        what = f"{name} has limits by language, but {setter.name} does not measure the language."
        raise ConfigError(what, "Your own stage that sets the language yields it as the measure `label`, of type str.")
    if len(setter.instances) > 1:
        raise ConfigError(f"{setter.name} has parameters by language, but sets the language.", "Give limits only.")
    return setter.columns["label"]


def _in_order(stages: Sequence[BoundStage]) -> list[str]:
    """Return the names of the stages in an order in which each stage finds what it reads."""
    left, names = list(stages), []
    while left:
        ready = (b for b in left if not any(b.reads.intersection(o.stage.sets) for o in left if o is not b))
        found = next(ready, left[0])
        left.remove(found)
        names.append(found.name)
    return names


def _known(table: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise ConfigError(f"{where} has no '{key}'.", did_you_mean(key, known))


def _bind(table: Mapping[str, Any], registry: Mapping[str, type[Stage]]) -> BoundStage:
    use = table.get("stage") if isinstance(table, Mapping) else None
    if not isinstance(use, str):
        raise ConfigError("A [[stages]] table has no `stage`.", "Name a stage. `corpus stages` lists all stages.")
    if use not in registry:
        todo = f"{did_you_mean(use, registry)} Load your own stage with --allow-module, or modules=[…] in Python."
        raise ConfigError(f"There is no stage '{use}'.", todo)
    cls = registry[use]
    name = table.get("name", use)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is not a valid stage name.", "Use lower-case letters, digits and underscores.")
    if name == REMOVED:
        raise ConfigError(f"'{name}' is reserved for pages taken down.", "Choose another stage name.")
    languages = table.get("languages", [])
    if not isinstance(languages, list) or not all(isinstance(code, str) for code in languages):
        raise ConfigError(f"{name}.languages = {languages!r} is not a list of language codes.", 'Write ["en", "de"].')
    own = table.get("by_language", {})
    if not isinstance(own, dict) or not all(isinstance(changes, dict) for changes in own.values()):
        raise ConfigError(
            f"{name}.by_language is not a table of tables.", f"Write [stages.by_language.de] below {name}."
        )
    if wrong := [code for code in own if not _LANGUAGE.fullmatch(code)]:
        raise ConfigError(f"{name}.by_language has {wrong[0]!r}, which is no language code.", "Write codes such as de.")
    if own and issubclass(cls, Collective):
        raise ConfigError(f"{name} has limits by language, but compares documents.", "It takes one limit for all.")
    params, limits = read_table(cls, name, {k: v for k, v in table.items() if k not in RESERVED}, cls.limits)
    bound = BoundStage(name, cls(**params), limits, tuple(languages), own)
    bound.of_language(None)  # reads the changes of all languages, so that an error comes now
    return bound


def _canonical(bound: BoundStage) -> dict[str, Any]:
    table: dict[str, Any] = {"stage": bound.stage.name, "name": bound.name}
    if bound.languages:
        table["languages"] = list(bound.languages)
    table |= bound.stage.params
    for measure, limit in bound.limits.items():
        table[measure] = _shown(limit, {**type(bound.stage).limits[measure].bounds, **limit.bounds})
    if bound.by_language:
        table["by_language"] = {code: _own_canonical(bound, code) for code in sorted(bound.by_language)}
    return table


def _own_canonical(bound: BoundStage, code: str) -> dict[str, Any]:
    """Return what a language changes, in the order of the stage's table."""
    changes, own = bound.by_language[code], bound.of_language(code)
    table = {name: value for name, value in own.stage.params.items() if name in changes}
    return table | {name: _shown(limit, changes[name]) for name, limit in own.limits.items() if name in changes}


def _shown(limit: Limit, names: Iterable[str]) -> dict[str, Any]:
    """Return the named bounds of a limit, as recipes write them."""
    return {name: limit.bounds.get(name, "off") for name in sorted(names)}


def _with_setting(data: dict[str, Any], setting: tuple[str, Any]) -> dict[str, Any]:
    """Change one `stage.measure.bound=value`, `stage.parameter=value` or `key=value` of canonical `data`, or switch a
    stage off with `stage=off`."""
    path, value = setting
    first, *keys = path.split(".")
    if value in OFF and any(table["name"] == path for table in data["stages"]):
        data["stages"] = [table for table in data["stages"] if table["name"] != path]
        return data
    if first in _TOP - {"stages"}:
        changed, keys = data, [first, *keys]
    else:
        tables = {table["name"]: table for table in data["stages"]}
        if first in tables and not keys:
            what = f"{value!r} is not a setting of the stage '{first}'."
            raise ConfigError(what, f"Switch it off with {first}=off, or name one of its measures or parameters.")
        if first not in tables:
            rules = [f"{name}.{key}" for name, table in tables.items() for key in table if key not in RESERVED]
            raise ConfigError(f"The recipe has no stage '{first}'.", did_you_mean(first, tables, rules))
        changed = tables[first]
    everywhere = changed
    changed, (key, *bound) = part_of(changed, keys, data["stages"])
    if isinstance(everywhere.get(key), dict) and key not in RESERVED and len(bound) <= 1:
        before = everywhere[key] | changed.get(key, {})
        changed[key] = changed.get(key, {}) | changes_of(path, before, "".join(bound), value)
    elif bound:
        known = [name for name, inner in everywhere.items() if isinstance(inner, dict) and name not in RESERVED]
        raise ConfigError(f"'{path}' names no limit: the stage has no measure '{key}'.", did_you_mean(key, known))
    else:
        changed[key] = value
    return data
