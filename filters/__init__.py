"""The stages (one file per rule family), their registry `STAGES`, and the named recipes.

from corpus.warc.reader import read_warc
from filters import load_recipe

for outcome in load_recipe("fineweb").run(read_warc("x.warc.gz")):
    print(outcome.doc.url, outcome.reason or outcome.text[:80])
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from corpus.errors import ConfigError, did_you_mean, reason_of
from corpus.plugins import Plugin, read_plugin, stages_of
from corpus.recipes import Recipe
from corpus.settings import Settings
from corpus.stage import Stage
from filters.c4 import C4
from filters.classifier import Classifier
from filters.decontaminate import Decontaminate
from filters.extract import Extract
from filters.fineweb import FineWebQuality
from filters.gopher import GopherQuality, GopherRepetition
from filters.language import Language, LanguageScreen
from filters.line_dedup import LineDedup
from filters.minhash import MinHash
from filters.mojibake import Mojibake
from filters.pii import Pii
from filters.rights import Rights
from filters.symbol_lines import SymbolLines
from filters.url import Url

STAGES: dict[str, type[Stage]] = {
    stage.name: stage
    for stage in (
        Url,
        LanguageScreen,
        Rights,
        Extract,
        Language,
        GopherRepetition,
        GopherQuality,
        Decontaminate,
        MinHash,
        C4,
        FineWebQuality,
        Classifier,
        Mojibake,
        Pii,
        SymbolLines,
        LineDedup,
    )
}


def recipe_names() -> list[str]:
    """Return the names of the recipes that ship with corpus."""
    folder = resources.files("filters") / "recipes"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_recipe(
    name: str | Mapping[str, Any] | Recipe = "default",
    set: Settings = (),
    modules: Iterable[Plugin | str | os.PathLike[str]] = (),
) -> Recipe:
    """Load a recipe and change it by settings such as "gopher_quality.words.min=30".

    `name` is a named recipe, a TOML file, a dict in the form of one, or a recipe. `set` is a list as on the command
    line, or a dict. `modules` are Python files with stages of your own. They are executed, and the recipe can then
    name their stages.
    """
    known = registry([one if isinstance(one, Plugin) else read_plugin(os.fspath(one)) for one in modules])
    if isinstance(name, Recipe):
        known = {**{bound.stage.name: type(bound.stage) for bound in name.stages}, **known}
        return name.with_settings(set, known)
    data = Recipe.from_dict(name, known) if isinstance(name, Mapping) else Recipe.from_toml(recipe_text(name), known)
    return data.with_settings(set, known)


def extract_text(html: str | bytes, url: str | None = None) -> str:
    """Return the main text of a page of HTML, as the stage `extract` of the default recipe finds it.

    It is empty if there is none, or if the page is too large or too deep.
    """
    return Extract().text(html, url)


def registry(modules: Iterable[Plugin] = ()) -> dict[str, type[Stage]]:
    """Return our stages and those of the user's modules, by name.

    Raises ConfigError if a module uses a name of ours.
    """
    own = stages_of(modules)
    if taken := sorted(own.keys() & STAGES.keys()):
        raise ConfigError(f"A module defines a stage `{taken[0]}`, which is one of ours.", "Give it another name.")
    return {**own, **STAGES}


def recipe_text(name: str) -> str:
    """Return the TOML of a named recipe or of a file."""
    if name in recipe_names():
        return (resources.files("filters") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")
    path = Path(name)
    if path.suffix != ".toml" and not path.exists():
        raise ConfigError(f"There is no recipe '{name}'.", did_you_mean(name, recipe_names()))
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The recipe {name} can't be read: {reason_of(error)}.", "Give a TOML file.") from None


def recipe_from_dict(data: dict[str, Any], modules: Iterable[Plugin] = ()) -> Recipe:
    """Return the recipe of a canonical form, as page workers receive it."""
    return Recipe.from_dict(data, registry(modules))
