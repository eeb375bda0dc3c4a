"""Plugins: Python modules with a user's own stages. The user must allow a run to execute plugins.

The source of a plugin travels with the run to every machine that judges pages, and its digest joins the fingerprint. A
plugin may import installed packages, but no module from its own folder.
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

from corpus.errors import ConfigError, reason_of
from corpus.imports import share_process
from corpus.stage import Stage


@dataclass(frozen=True)
class Plugin:
    """The name and the source of a module."""

    name: str
    source: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.source.encode()).hexdigest()


def read_plugin(named: str) -> Plugin:
    """Return the module from a .py file, or the module with a dotted name.

    Nothing is executed yet. Raises ConfigError.
    """
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
        return Plugin(path.stem, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The module {path} can't be read: {reason_of(error)}.", "Give a .py file.") from None


def stages_of(plugins: Iterable[Plugin]) -> dict[str, type[Stage]]:
    """Execute plugins and return the stages that they define, by name. Raises ConfigError."""
    found: dict[str, type[Stage]] = {}
    for plugin in plugins:
        loaded = load_plugin(plugin)
        classes = [value for value in vars(loaded).values() if isinstance(value, type) and issubclass(value, Stage)]
        own = {cls.name: cls for cls in classes if cls.__module__ == loaded.__name__ and cls.name}
        if not own:
            raise ConfigError(f"The module {plugin.name} defines no stage.", "Derive a class with a `name` from Stage.")
        if twice := sorted(found.keys() & own.keys()):
            raise ConfigError(f"Two modules define a stage `{twice[0]}`.", "Give one of them another name.")
        found |= own
    return found


class _PluginLoader(importlib.abc.InspectLoader):
    """A loader that executes a module from its source text."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    def get_source(self, fullname: str) -> str:
        return self._plugin.source


def load_plugin(plugin: Plugin) -> ModuleType:
    """Execute a plugin once, and return its module. Raises ConfigError."""
    name = f"corpus_user_{plugin.name}_{plugin.digest[:8]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_loader(name, _PluginLoader(plugin))
        assert spec is not None
        assert spec.loader is not None
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[name] = loaded
        share_process()
        try:
            spec.loader.exec_module(loaded)
        except Exception as error:
            del sys.modules[name]
            raise ConfigError(f"The module {plugin.name} does not load: {error!r}.", "Correct the module.") from error
    return sys.modules[name]
