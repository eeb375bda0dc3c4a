"""From crawl archives or documents to training text: the public names of the library (docs/python.md).

Nothing in this package imports Ray or torch. `build` and `recipe` come from the packages `jobs` and `filters`, which
are above this one, so they are looked up when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from corpus.document import Document
from corpus.errors import AlarmError, ConfigError, CorpusError, InputError, IntegrityError, OutputError
from corpus.outcome import Outcome
from corpus.recipes import Recipe
from corpus.run import Run, open_run
from corpus.stage import BoundStage, Limit, Measured, Stage, ratio
from corpus.warc.reader import read_warc
from corpus.warc.record import Damage, Record

if TYPE_CHECKING:
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

_ABOVE = {"build": ("jobs.python", "build"), "recipe": ("filters", "load_recipe")}


def __getattr__(name: str) -> Any:
    if name in _ABOVE:
        module, function = _ABOVE[name]
        return getattr(import_module(module), function)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
