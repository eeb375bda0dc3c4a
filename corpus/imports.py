"""Import a library without the heavy packages that it would load for features unused here.

spaCy and presidio import torch and transformers wherever these are installed, as they are for the trainer. Importing
these would cost every page worker 2 s of start-up and 140 MB.
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
    """Hide the heavy packages from imports inside the block, except those that are already loaded."""
    modules = cast(dict[str, ModuleType | None], sys.modules)
    blocked = [name for name in HEAVY if name not in modules]
    modules.update(dict.fromkeys(blocked))
    try:
        yield
    finally:
        for name in blocked:
            del modules[name]
