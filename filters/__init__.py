"""The stages: one file per rule family, this explicit registry, and the named recipes.

from corpus import read_warc
from filters import load_recipe

for outcome in load_recipe("fineweb").run(read_warc("x.warc.gz")):
    print(outcome.doc.url, outcome.reason or outcome.text[:80])
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from corpus.errors import ConfigError, did_you_mean
from corpus.plugins import Plugin, stages_of
from corpus.recipe import Recipe
from corpus.stage import Stage
from filters.c4 import C4
from filters.extract.extraction import Extract
from filters.fineweb import FineWebQuality
from filters.gopher import GopherQuality, GopherRepetition
from filters.language.identification import Language
from filters.language.screen import LanguageScreen
from filters.line_dedup import LineDedup
from filters.minhash import MinHash
from filters.pii.personal_data import Pii
from filters.url.url_filter import Url

STAGES: dict[str, type[Stage]] = {
    stage.name: stage
    for stage in (
        Url,
        LanguageScreen,
        Extract,
        Language,
        GopherRepetition,
        GopherQuality,
        MinHash,
        C4,
        FineWebQuality,
        Pii,
        LineDedup,
    )
}


def recipe_names() -> list[str]:
    """The names of the recipes that ship with the project."""
    folder = resources.files("filters") / "recipes"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_recipe(name: str = "default", settings: Sequence[str] = (), modules: Iterable[Plugin] = ()) -> Recipe:
    """A named recipe, or the one in a TOML file, with settings such as "gopher_quality.words.min=30" laid over it.

    `modules` are executed: the stages that they define can be named in the recipe.
    """
    return Recipe.from_toml(recipe_text(name), registry(modules), settings)


def registry(modules: Iterable[Plugin] = ()) -> dict[str, type[Stage]]:
    """Our stages and those of the user's modules."""
    return {**stages_of(modules), **STAGES}


def recipe_text(name: str) -> str:
    """The TOML of a named recipe or of a file."""
    if name in recipe_names():
        return (resources.files("filters") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")
    path = Path(name)
    if path.suffix != ".toml" and not path.exists():
        raise ConfigError(f"There is no recipe '{name}'.", did_you_mean(name, recipe_names()))
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The recipe {name} can't be read ({type(error).__name__}).", "Give a TOML file.") from None


def recipe_from_dict(data: dict[str, Any], modules: Iterable[Plugin] = ()) -> Recipe:
    """The recipe of a canonical form: how page workers get theirs."""
    return Recipe.from_dict(data, registry(modules))
