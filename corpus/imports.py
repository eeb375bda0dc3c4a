"""Import a library without the heavy packages that it would load for features unused here.

spaCy and presidio import torch and transformers wherever these are installed, as they are for the trainer. Importing
these would cost every page worker 2 s of start-up and 140 MB. spaCy also imports its own commands, which takes half of
the time of its import.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, cast

import pyarrow as pa

HEAVY = ("torch", "transformers", "tensorflow")
_COMMANDS = {"spacy.cli": (), "spacy.cli.info": ("info",)}
"""Modules that spaCy imports but does not use, and the names that it imports from them."""

_process_is_ours = False


@contextmanager
def without_heavy(*unused: str) -> Iterator[None]:
    """Hide the heavy packages from imports inside the block, except those that are already loaded.

    Empty modules stand for spaCy's commands if spaCy is not loaded yet. In a process of ours, they stand for the
    packages and modules in `unused` too: what is imported inside the block can never use these.
    """
    empty = {} if "spacy" in sys.modules else {name: _empty(name, names) for name, names in _COMMANDS.items()}
    with _hidden({**dict.fromkeys(HEAVY), **empty}), _stand_ins(unused if _process_is_ours else ()):
        yield


def leave_out_unused() -> None:
    """Make this a process of ours, in which `without_heavy` leaves out more, and pandas is left out of pyarrow.

    Other programs in the process might miss what is left out. pyarrow finds that pandas is not installed, unless it is
    loaded. It would load pandas (.35 s) when it first makes an array of a list, to see if the list is a Series, and
    when it first copies an array to numpy. It asks once. It looks again if it is asked for a data frame. A Series then
    counts as any sequence.
    """
    global _process_is_ours
    _process_is_ours = True
    with _hidden({"pandas": None}):
        with suppress(AttributeError):  # pyarrow takes None for the package
            pa.array([])
        pa.array([True]).to_numpy(zero_copy_only=False)


def share_process() -> None:
    """Let `without_heavy` leave out less from now on, because code of the user will run in this process."""
    global _process_is_ours
    _process_is_ours = False


@contextmanager
def _stand_ins(names: Sequence[str]) -> Iterator[None]:
    sys.meta_path.insert(0, finder := _StandIns(names))
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name, module in sys.modules.items() if isinstance(module, _AnyName)]:
            del sys.modules[name]


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


class _Nothing(type):
    """A class that does nothing. Every name in it is a decorator, and every name in its objects is a method."""

    def __getattr__(cls, name: str) -> Callable[..., Callable[[Any], Any]]:
        return lambda *_, **__: lambda decorated: decorated


class _StandIns(MetaPathFinder, Loader):
    """Finds empty modules for some packages and modules, and for all in them."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        unused = any(name == one or name.startswith(f"{one}.") for one in self._names)
        return ModuleSpec(name, self, is_package=True) if unused else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _AnyName(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _AnyName(ModuleType):
    """A module in which every name is an empty class."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Nothing(name, (), {"__getattr__": lambda self, name: lambda *_, **__: None})


def _empty(name: str, names: Iterable[str]) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(dict.fromkeys(names))
    return module
