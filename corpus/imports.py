"""Imports without what they pull in for features that nobody uses here.

spaCy and presidio import torch and transformers where these are installed, which they are for the trainer: 2 s of
start-up and 140 MB in every page worker.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import cast

HEAVY = ("torch", "transformers", "tensorflow")


@contextmanager
def without_heavy() -> Iterator[None]:
    """Let what is imported inside believe that the heavy packages are not installed, unless they are in use already."""
    modules = cast(dict[str, ModuleType | None], sys.modules)
    blocked = [name for name in HEAVY if name not in modules]
    modules.update(dict.fromkeys(blocked))
    try:
        yield
    finally:
        for name in blocked:
            del modules[name]
