"""What cards and reports say of the conditions by which the pages of a run were chosen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_KINDS = {"languages": "their main language is", "domains": "their domain is", "urls_like": "their URL is like"}
_SHOWN = 20
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069`]")


def choice_line(info: Mapping[str, Any], mark: str = "`") -> str:
    """Return two sentences about the choice of pages, or "" if the run read whole archives.

    `mark` goes before and after each value that the user gave.
    """
    if "choice" not in info:
        return ""
    choice, chosen = info["choice"], info["chosen"]
    asked = [f"{said} {_any_of(choice[kind], mark)}" for kind, said in _KINDS.items() if choice[kind]]
    return (
        f"Only chosen pages were read, by the index of {', '.join(choice['crawls'])}: {' and '.join(asked)}. "
        f"{chosen['captures']:,} of the {chosen['index']['rows']:,} captures in the index were chosen."
    )


def _any_of(values: Any, mark: str) -> str:
    if isinstance(values, Mapping):  # a long list: its number and its digest
        return f"one of {values['number']:,} (SHA-256 of the list: {values['sha256']})"
    shown = [f"{mark}{_UNSAFE.sub(chr(0xFFFD), value)}{mark}" for value in values[:_SHOWN]]
    more = [f"{len(values) - _SHOWN:,} more"] if len(values) > _SHOWN else []
    return " or ".join([*shown, *more])
