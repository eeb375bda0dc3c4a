"""From crawl archives or documents to training text: the public names of the library (docs/python.md).

Nothing in this package imports Ray or torch. Each name is looked up when it is first used, so that a page worker loads
only what it needs. `build` and `recipe` come from the packages `jobs` and `filters`, which are above this one.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corpus.document import Document
    from corpus.errors import AlarmError, ConfigError, CorpusError, InputError, IntegrityError, OutputError
    from corpus.outcome import Outcome
    from corpus.recipes import Recipe
    from corpus.run import Run, open_run
    from corpus.stage import BoundStage, Limit, Measured, Stage, ratio
    from corpus.warc.reader import read_warc
    from corpus.warc.record import Damage, Record
    from filters import load_recipe as recipe
    from jobs.python import build

__all__ = [
    "AlarmError",
    "BoundStage",
    "ConfigError",
    "CorpusError",
    "Damage",
    "Document",
    "InputError",
    "IntegrityError",
    "Limit",
    "Measured",
    "Outcome",
    "OutputError",
    "Recipe",
    "Record",
    "Run",
    "Stage",
    "build",
    "open_run",
    "ratio",
    "read_warc",
    "recipe",
]

_HOMES = {
    "corpus.document": ("Document",),
    "corpus.errors": ("AlarmError", "ConfigError", "CorpusError", "InputError", "IntegrityError", "OutputError"),
    "corpus.outcome": ("Outcome",),
    "corpus.recipes": ("Recipe",),
    "corpus.run": ("Run", "open_run"),
    "corpus.stage": ("BoundStage", "Limit", "Measured", "Stage", "ratio"),
    "corpus.warc.reader": ("read_warc",),
    "corpus.warc.record": ("Damage", "Record"),
    "filters": ("recipe",),
    "jobs.python": ("build",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        found = getattr(import_module(_HOME[name]), "load_recipe" if name == "recipe" else name)
        globals()[name] = found
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
