"""Settings laid over a recipe: `stage.measure.bound=value`, as on the command line or from Python."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from corpus.errors import ConfigError, did_you_mean

Settings = Iterable[str] | Mapping[str, Any]
"""The settings: `stage.measure.bound=value` as on the command line, or {"stage.measure.bound": value}.

The values "off", "none" and None switch a bound off. If the setting names no bound, they switch the whole rule off.
"""

OFF = ("off", "none", None)


def changes_of(path: str, before: Mapping[str, Any], bound: str, value: Any) -> dict[str, Any]:
    """Return the bounds that the setting `path` = `value` changes, in the form of recipes.

    `before` are the bounds of the limit. `bound` is the bound in the path, or empty. Raises ConfigError if the setting
    names no bound.
    """
    if bound:
        changes = {bound: value}
    elif value in OFF:
        changes = dict.fromkeys(before, "off")
    elif isinstance(value, Mapping):
        changes = dict(value)
    else:
        names = " or ".join(f"{path}.{name}=…" for name in (before or ("min", "max")))
        raise ConfigError(f"'{path}' names no bound.", f"Write {names}, or {path}=off.")
    return {name: "off" if given in OFF else given for name, given in changes.items()}


def pairs_of(settings: Settings) -> list[tuple[str, Any]]:
    """Return settings as pairs of path and value. Raises ConfigError."""
    if isinstance(settings, str):
        settings = [settings]
    return list(settings.items()) if isinstance(settings, Mapping) else [setting_of(one) for one in settings]


def setting_of(setting: str) -> tuple[str, Any]:
    """Return the path and the value of `path=value`. A value without quotes is a text. Raises ConfigError."""
    path, separator, raw = setting.partition("=")
    if not separator or not all(path.strip().split(".")):
        raise ConfigError(f"'{setting}' is not a setting.", "Write stage.measure.bound=value or stage.parameter=value.")
    try:
        return path.strip(), tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        return path.strip(), raw.strip()


def part_of(
    table: dict[str, Any], keys: list[str], tables: Iterable[Mapping[str, Any]]
) -> tuple[dict[str, Any], list[str]]:
    """Return the part of a stage's table that the path of a setting leads to, and the rest of the path.

    A path may name a language before a measure or parameter: `gopher_quality.de.words.min`. Then the part is what this
    language changes. `tables` are those of all stages. Raises ConfigError for a language that they don't name.
    """
    if len(keys) > 1 and keys[0] not in table and keys[1] in table:
        known = {code for one in tables for code in (*one.get("by_language", ()), *_labels(one))}
        if known and keys[0] not in known:
            what = f"'{keys[0]}.{keys[1]}' names no measure, and '{keys[0]}' is no language of the recipe."
            raise ConfigError(what, did_you_mean(keys[0], sorted(known), (keys[1],)))
        own: dict[str, Any] = table.setdefault("by_language", {}).setdefault(keys[0], {})
        return own, keys[1:]
    return table, keys


def _labels(table: Mapping[str, Any]) -> Iterable[str]:
    """Return the languages that a stage keeps, if it measures the language as `label`."""
    allowed = table.get("label", {}).get("one_of", ())
    return allowed if isinstance(allowed, list) else ()
