"""Import a library without the heavy packages that it would load for features unused here.

spaCy and presidio import torch and transformers wherever these are installed, as they are for the trainer. Importing
these would cost every page worker 2 s of start-up and 140 MB. spaCy also imports its own commands, which takes half of
the time of its import.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import cast

HEAVY = ("torch", "transformers", "tensorflow")
_COMMANDS = {"spacy.cli": (), "spacy.cli.info": ("info",)}
"""Modules that spaCy imports but does not use, and the names that it imports from them."""


@contextmanager
def without_heavy() -> Iterator[None]:
    """Hide the heavy packages from imports inside the block, except those that are already loaded.

    Empty modules stand for spaCy's commands if spaCy is not loaded yet.
    """
    modules = cast(dict[str, ModuleType | None], sys.modules)
    hidden: dict[str, ModuleType | None] = dict.fromkeys(name for name in HEAVY if name not in modules)
    if "spacy" not in modules:
        hidden |= {name: _empty(name, names) for name, names in _COMMANDS.items()}
    modules.update(hidden)
    try:
        yield
    finally:
        for name in hidden:
            del modules[name]


def _empty(name: str, names: Iterable[str]) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(dict.fromkeys(names))
    return module
