"""Import a library without the heavy packages that it would load for features unused here.

spaCy and presidio import torch and transformers wherever these are installed, as they are for the trainer. Importing
these would cost every page worker 2 s of start-up and 140 MB. spaCy also imports its own commands, which takes half of
the time of its import.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import cast

import pyarrow as pa

HEAVY = ("torch", "transformers", "tensorflow")
_COMMANDS = {"spacy.cli": (), "spacy.cli.info": ("info",)}
"""Modules that spaCy imports but does not use, and the names that it imports from them."""


@contextmanager
def without_heavy() -> Iterator[None]:
    """Hide the heavy packages from imports inside the block, except those that are already loaded.

    Empty modules stand for spaCy's commands if spaCy is not loaded yet.
    """
    empty = {} if "spacy" in sys.modules else {name: _empty(name, names) for name, names in _COMMANDS.items()}
    with _hidden({**dict.fromkeys(HEAVY), **empty}):
        yield


def leave_out_pandas() -> None:
    """Let pyarrow find that pandas is not installed, unless it is loaded.

    pyarrow would load pandas (.35 s) when it first makes an array of a list, to see if the list is a Series, and when
    it first copies an array to numpy. It asks once. It looks again if it is asked for a data frame. For a process of
    our own, since a Series then counts as any sequence.
    """
    with _hidden({"pandas": None}):
        with suppress(AttributeError):  # pyarrow takes None for the package
            pa.array([])
        pa.array([True]).to_numpy(zero_copy_only=False)


@contextmanager
def _hidden(stands_for: Mapping[str, ModuleType | None]) -> Iterator[None]:
    """Hide modules that are not loaded. None stands for a package that is not installed."""
    modules = cast(dict[str, ModuleType | None], sys.modules)
    hidden = {name: module for name, module in stands_for.items() if name not in modules}
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
