"""JSON from files that a stranger may have written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


def parse_json(data: bytes | str) -> Any:
    """Return the data of a JSON text. Raises ValueError if the text is not JSON or is nested too deeply."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


@dataclass(frozen=True)
class Maybe:
    """The shape of an entry that may be absent, or null."""

    shape: Any


def check_shape(data: Any, shape: Any, at: str = "") -> None:
    """Raise ValueError unless data has the shape.

    A shape is a type, a tuple of types, `{"key": shape, …}` for an object with at least these keys, `{str: shape}` for
    an object with any keys, or `[shape]` for a list. `object` allows everything. True does not count as a number. A
    number must not be negative, or 2^63 or more.
    """
    where = f"`{at[:100]}`" if at else "it"
    kind: Any = type(shape) if isinstance(shape, dict | list) else shape
    if not isinstance(data, kind) or (isinstance(data, bool) and kind not in (bool, object)):
        raise ValueError(f"{where} is of another type")
    if isinstance(data, int) and kind is not object and not 0 <= data < 1 << 63:
        raise ValueError(f"{where} is out of range")
    if isinstance(shape, list):
        for number, value in enumerate(data):
            check_shape(value, shape[0], f"{at}[{number}]")
    elif isinstance(shape, dict) and str in shape:
        for key, value in data.items():
            check_shape(value, shape[str], f"{at}.{ascii(key)[1:-1]}")
    elif isinstance(shape, dict):
        for key, inner in shape.items():
            below = f"{at}.{key}".lstrip(".")
            optional = isinstance(inner, Maybe)
            if data.get(key) is not None:
                check_shape(data[key], inner.shape if isinstance(inner, Maybe) else inner, below)
            elif not optional:
                raise ValueError(f"`{below}` is missing")
