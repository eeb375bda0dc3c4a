"""The meanings of a stage's measures and parameters: the docstrings below its attributes."""

from __future__ import annotations

import ast
import inspect
import textwrap
import threading
from itertools import pairwise

from corpus.stage import Stage

_PARSING = threading.Lock()
"""Python 3.11 may raise SystemError if several threads parse at the same time."""


def meanings(stage: type[Stage]) -> dict[str, str]:
    """Return the docstrings of a stage's attributes by name, from its class bodies and constructors."""
    found: dict[str, str] = {}
    for cls in reversed(stage.__mro__[: stage.__mro__.index(Stage)]):
        with _PARSING:
            (body,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
        assert isinstance(body, ast.ClassDef)
        makers = [node.body for node in body.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
        for statements in (body.body, *makers):
            for statement, after in pairwise(statements):
                if isinstance(statement, ast.Assign) and isinstance(after, ast.Expr):
                    name = ast.unparse(statement.targets[0]).removeprefix("self.")
                    found[name] = " ".join(str(ast.literal_eval(after.value)).split())
    return found
