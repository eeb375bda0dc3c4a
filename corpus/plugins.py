"""Users' own stages: Python modules that a run was explicitly allowed to execute.

The source travels with the run to wherever pages are judged, and its digest joins the fingerprint. A module may
import what is installed there, but none of its neighbours.
"""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from corpus.errors import ConfigError
from corpus.stage import Stage


@dataclass(frozen=True)
class Module:
    """A module's name and source."""

    name: str
    source: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.source.encode()).hexdigest()


def read_module(named: str) -> Module:
    """The module in a .py file, or an importable one by its dotted name. Nothing is executed yet."""
    path = Path(named)
    if path.suffix != ".py":
        try:
            spec = importlib.util.find_spec(named)
        except (ImportError, ValueError):
            spec = None
        if spec is None or not spec.origin or not spec.origin.endswith(".py"):
            raise ConfigError(f"There is no module {named}.", "Give the path of a .py file, or a name that imports.")
        path = Path(spec.origin)
    try:
        return Module(path.stem, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The module {path} can't be read ({type(error).__name__}).", "Give a .py file.") from None


def stages_of(modules: Iterable[Module]) -> dict[str, type[Stage]]:
    """Execute modules and find the stages that they define, by name."""
    found: dict[str, type[Stage]] = {}
    for module in modules:
        loaded = _load(module)
        classes = [value for value in vars(loaded).values() if isinstance(value, type) and issubclass(value, Stage)]
        own = {cls.name: cls for cls in classes if cls.__module__ == loaded.__name__ and cls.name}
        if not own:
            raise ConfigError(
                f"The module {module.name} defines no stage.", "A stage is a class derived from Stage, with a `name`."
            )
        found |= own
    return found


class _Source(importlib.abc.InspectLoader):
    """Executes a module from the source at hand."""

    def __init__(self, module: Module) -> None:
        self._module = module

    def get_source(self, fullname: str) -> str:
        return self._module.source


def _load(module: Module) -> ModuleType:
    name = f"corpus_user_{module.name}_{module.digest[:8]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_loader(name, _Source(module))
        assert spec is not None
        assert spec.loader is not None
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[name] = loaded
        try:
            spec.loader.exec_module(loaded)
        except Exception as error:
            del sys.modules[name]
            raise ConfigError(f"The module {module.name} does not load: {error!r}.", "Mend it.") from error
    return sys.modules[name]
