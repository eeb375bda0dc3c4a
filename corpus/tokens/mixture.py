"""A mixture: the sources of the texts to train on, and how often texts are repeated. It is TOML, with data only.

    seed = 0
    tokens = 1_000_000_000                  # in total; by default, every source is used in full
    epochs = 4                              # the most passes through a source, on average

    [[sources]]
    name = "web"
    path = "out"                            # a run or parquet files, relative to this file
    weight = 0.7                            # the source's share of `tokens`
    share = 0.5                             # half of the documents, chosen by hash
    filter = ["language == 'en'", "gopher_quality.alpha_ratio >= 0.8"]
    repeat = { by = "duplicates", 1 = 1, 2 = 2, 3 = 3, 5 = 5, 100 = 8, 1000 = 1 }

    [[sources]]
    name = "books"
    path = "books.parquet"
    tokens = 200_000_000                    # the number of tokens, instead of a weight
    repeat = { by = "score", edges = [0.2, 0.5], repeat = [0, 1, 2.5] }

The canonical form has every value, but no paths. A folder of tokens is bound to this form and to the sources' files.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from corpus.errors import ConfigError, did_you_mean
from corpus.net.urls import is_url
from corpus.storage.store import Location

EPOCHS = 4.0
"""Up to four epochs of a text teach a model almost as much as new text. Each later epoch teaches less, and after about
sixteen epochs the model learns hardly anything (Muennighoff and others, 2023, "Scaling Data-Constrained Language
Models")."""

CLUSTER = "duplicates"
"""A `repeat` by this column counts the whole cluster, a document and its duplicates, as FineWeb-2's table does."""

_TOP = {"seed", "tokens", "epochs", "sources"}
_SOURCE = {"name", "path", "weight", "tokens", "share", "filter", "repeat"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")
_CONDITION = re.compile(r"\s*([^\s=!<>]+)\s*(==|!=|<=|>=|<|>)\s*(\S.*?)\s*", re.DOTALL)
_WHOLE = re.compile(r"-?[0-9]{1,15}")
_MOST_REPEATS = 1000
_MOST = 2**63 - 1


@dataclass(frozen=True)
class Condition:
    """A condition on a column: `language == "en"`. A row without a value does not meet the condition."""

    column: str
    op: str
    value: str | int | float | bool

    def __str__(self) -> str:
        return f"{self.column} {self.op} {self.value!r}"


@dataclass(frozen=True)
class Repeat:
    """The number of times that a document is taken. Without a column `by`, every document is taken `copies[0]` times.
    With a column, a document is taken `copies[n]` times if n of the `edges` are at or below its value, and once if it
    has no value. With 1.5 copies, a hash selects half of the documents for a second copy."""

    by: str = ""
    edges: tuple[float, ...] = ()
    copies: tuple[float, ...] = (1.0,)


ONCE = Repeat()


@dataclass(frozen=True)
class MixtureSource:
    """One source of a mixture. `tokens` and `weight` are None if the file does not set them."""

    name: str
    path: Location
    weight: float | None
    tokens: int | None
    share: float
    conditions: tuple[Condition, ...]
    repeat: Repeat

    def canonical(self) -> dict[str, Any]:
        """Return every value that decides results, as plain data. The path does not decide results."""
        values = asdict(self)
        return {name: values[name] for name in values if name not in ("name", "path")}


@dataclass(frozen=True)
class Mixture:
    """The sources of a mixture, and the settings that apply to all of them."""

    seed: int
    tokens: int | None
    epochs: float
    sources: tuple[MixtureSource, ...]

    def canonical(self) -> dict[str, Any]:
        sources = {source.name: source.canonical() for source in self.sources}
        return {"seed": self.seed, "tokens": self.tokens, "epochs": self.epochs, "sources": sources}

    def budgets(self) -> dict[str, int | None]:
        """Return the number of tokens to take from each source, by name. None means the whole source. Sources with
        `tokens` get these, and the weights divide the rest."""
        budgets = {source.name: source.tokens for source in self.sources}
        weights = {source.name: Fraction(source.weight) for source in self.sources if source.weight is not None}
        left = (self.tokens or 0) - sum(tokens or 0 for tokens in budgets.values())
        done, given = Fraction(0), 0
        for name, weight in weights.items():
            done += weight
            upto = round(left * done / sum(weights.values()))
            budgets[name], given = upto - given, upto
        return budgets


def read_mixture(file: Path) -> Mixture:
    """Read a mixture file. Raises ConfigError, which names the wrong line or key."""
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no file {file}.", "Name a mixture file, a run, or a folder of parquet.") from None
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}.", "Check its permissions.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}.", "Correct that line.") from None
    try:
        return _mixture(data, file.parent)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error.what}", error.todo) from None


def _mixture(data: Mapping[str, Any], folder: Path) -> Mixture:
    _known(data, _TOP, "A mixture")
    tables = data.get("sources")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise ConfigError("The mixture has no sources.", "Add a [[sources]] table with `name` and `path`.")
    sources = tuple(_source(table, number, folder) for number, table in enumerate(tables, 1))
    names = [source.name for source in sources]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"Two sources have the name '{min(twice)}'.", "Give one of them another `name`.")
    tokens = _whole(data, "tokens", 1, "a mixture") if "tokens" in data else None
    _check_budgets(tokens, sources)
    seed = _whole(data, "seed", 0, "a mixture") if "seed" in data else 0
    mixture = Mixture(seed, tokens, _number(data, "epochs", EPOCHS, 1, _MOST_REPEATS, "a mixture"), sources)
    for name, budget in mixture.budgets().items():
        if budget is not None and budget < 1:
            raise ConfigError(f"'{name}' gets less than one token.", "Raise its weight, or `tokens`.")
    return mixture


def _check_budgets(tokens: int | None, sources: Sequence[MixtureSource]) -> None:
    weighted = [source.name for source in sources if source.weight is not None]
    fixed = sum(source.tokens or 0 for source in sources)
    free = [source.name for source in sources if source.weight is None and source.tokens is None]
    if tokens is None:
        if weighted:
            what = f"'{weighted[0]}' has a weight, which is a share of `tokens`, but the mixture has no `tokens`."
            raise ConfigError(what, "Add `tokens = …` at the top, or remove the weight.")
        return
    if free:
        todo = "Give the source a `weight` or `tokens`, or remove `tokens` at the top."
        raise ConfigError(f"The mixture has `tokens`, but '{free[0]}' has neither a weight nor tokens.", todo)
    if fixed > tokens or (weighted and fixed == tokens):
        what = f"The sources with `tokens` take {fixed:,} of {tokens:,}, so the others get none."
        raise ConfigError(what if weighted else f"The sources take {fixed:,} of {tokens:,} tokens.", "Change a number.")
    if not weighted and fixed < tokens:
        what = f"The sources have {fixed:,} tokens together, but the mixture has {tokens:,}."
        raise ConfigError(what, "Give a source a weight, or remove `tokens` at the top.")


def _source(table: Mapping[str, Any], number: int, folder: Path) -> MixtureSource:
    name = table.get("name")
    where = f"source {number}"
    _known(table, _SOURCE, f"A source ({name if isinstance(name, str) else number})")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        what = f"The `name` of {where} is not valid." if "name" in table else f"Source {number} has no `name`."
        raise ConfigError(what, "Use at most 60 letters, digits, dots, dashes and underscores.")
    where = f"'{name}'"
    path = table.get("path")
    if not isinstance(path, str) or not path or "\0" in path:
        raise ConfigError(f"{where} has no `path`.", "Name a finished run, or a folder or file of parquet.")
    if "weight" in table and "tokens" in table:
        raise ConfigError(f"{where} has both a weight and tokens.", "Leave one of them out.")
    weight = _number(table, "weight", 1, 0, _MOST, where, above=True) if "weight" in table else None
    tokens = _whole(table, "tokens", 1, where) if "tokens" in table else None
    share = _number(table, "share", 1, 0, 1, where, above=True)
    filters = table.get("filter", [])
    if not isinstance(filters, list):
        raise ConfigError(f"The `filter` of {where} is not a list.", 'Write filter = ["column >= 1"].')
    conditions = tuple(_condition(text, where) for text in filters)
    location = path if is_url(path) else folder / path
    return MixtureSource(name, location, weight, tokens, share, conditions, _repeat(table.get("repeat", 1), where))


def _condition(text: object, where: str) -> Condition:
    todo = 'Write column, comparison and value: "language == \'en\'", "score >= 0.5". Comparisons: == != < <= > >='
    found = _CONDITION.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ConfigError(f"A filter of {where} is not a comparison: {_shown(text)}.", todo)
    column, op, raw = found.groups()
    try:
        values = tomllib.loads(f"value = {raw}")
    except (tomllib.TOMLDecodeError, RecursionError):
        values = {}
    value = values.get("value")
    fits = isinstance(value, str | bool) or (isinstance(value, int | float) and _in_range(value, -_MOST, _MOST))
    if len(values) != 1 or not fits:
        raise ConfigError(f"The value in a filter of {where} is no string, number or boolean: {_shown(text)}.", todo)
    if isinstance(value, bool) and op not in ("==", "!="):
        raise ConfigError(f"A filter of {where} uses {op} with true or false: {_shown(text)}.", "Use == or !=.")
    return Condition(column, op, value)  # type: ignore[arg-type]  # `fits` says what it is


def _repeat(given: object, where: str) -> Repeat:
    if not isinstance(given, Mapping):
        return Repeat(copies=(_copies(given, where),))
    by = given.get("by")
    if not isinstance(by, str) or not by:
        raise ConfigError(f"The `repeat` of {where} has no `by`.", 'Write repeat = { by = "duplicates", 1 = 1 }.')
    if "edges" in given or "repeat" in given:
        _known(given, {"by", "edges", "repeat"}, f"A `repeat` with edges ({where})")
        edges, repeat = given.get("edges"), given.get("repeat")
        if not isinstance(edges, list) or not isinstance(repeat, list) or len(repeat) != len(edges) + 1 or not edges:
            what = f"The `repeat` of {where} needs a list `edges`, and a list `repeat` with one more number."
            raise ConfigError(what, "Write edges = [0.2, 0.5], repeat = [0, 1, 2].")
        numbers = [_checked(edge, "An edge", -_MOST, _MOST, where) for edge in edges]
        if any(low >= high for low, high in pairwise(numbers)):
            raise ConfigError(f"The `edges` of {where} are not in ascending order.", "Sort them.")
        return Repeat(by, tuple(numbers), tuple(_copies(one, where) for one in repeat))
    keys = [key for key in given if key != "by"]
    if not keys or not all(_WHOLE.fullmatch(key) for key in keys):
        odd = next((key for key in keys if not _WHOLE.fullmatch(key)), "")
        what = f"The `repeat` of {where} has the key '{odd}'." if odd else f"The `repeat` of {where} is empty."
        raise ConfigError(what, "Write whole numbers and their repeats (1 = 1, 2 = 2), or `edges` and `repeat`.")
    ordered = sorted(keys, key=int)
    if len({int(key) for key in keys}) < len(keys):
        raise ConfigError(f"The `repeat` of {where} has a number twice.", "Leave one of them out.")
    copies = (1.0, *(_copies(given[key], where) for key in ordered))
    return Repeat(by, tuple(float(key) for key in ordered), copies)


def _copies(value: object, where: str) -> float:
    return _checked(value, "A number of repeats", 0, _MOST_REPEATS, where)


def _number(
    table: Mapping[str, Any], key: str, default: float, least: float, most: float, where: str, above: bool = False
) -> float:
    return _checked(table.get(key, default), f"`{key}`", least, most, where, above)


def _checked(value: object, what: str, least: float, most: float, where: str, above: bool = False) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _in_range(value, least, most):
        value = None
    if value is None or (above and value == least):
        bounds = f"{'above' if above else 'from'} {least:g} to {most:g}" if most < _MOST else f"above {least:g}"
        bounds = "that is finite" if least == -_MOST else bounds
        raise ConfigError(f"{what} of {where} is not a number {bounds}.", "Correct it.")
    return float(value)


def _in_range(value: float, least: float, most: float) -> bool:
    return least <= value <= most  # False for nan and infinity, because the bounds are finite


def _whole(table: Mapping[str, Any], key: str, least: int, where: str) -> int:
    value = table[key]
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST:
        raise ConfigError(f"`{key}` of {where} is not a whole number of at least {least}.", "Correct it.")
    return value


def _known(data: Mapping[str, Any], known: Iterable[str], what: str) -> None:
    for key in data:
        if key not in known:
            raise ConfigError(f"{what} has no key '{key}'.", did_you_mean(key, known))


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
