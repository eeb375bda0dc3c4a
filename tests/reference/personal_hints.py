"""What findings of personal data contain, as regular expressions. The oracle of the kernel."""

from __future__ import annotations

import re

CORES = {
    "ip_address": r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|:[0-9A-Fa-f]{0,4}:",
    "credit_card": r"\d{4}[- ]?\d{3,4}[- ]?\d{3,4}[- ]?\d{3}",
    "iban": r"[A-Z]{2}[0-9]{2}[ -]?[A-Z0-9]{4}",
    "us_ssn": r"[0-9]{3}[- .]?[0-9]{2}[- .]?[0-9]{4}",
    "crypto": r"(?:[bB][cC]1|[13])\w{25}",
}
_BETWEEN = "[ \t\u00a0,().\\-\u2013/]"


def kinds_of(text: str) -> set[str]:
    return {kind for kind, core in CORES.items() if re.search(core, text)}


def clusters_of(text: str) -> list[tuple[int, int, int]]:
    """Return begin, end and number of digits of each run of digits with at most 16 other characters between them."""
    found: list[tuple[int, int, int]] = []
    between = 0
    for place, char in enumerate(text):
        if char.isdecimal():
            near = bool(found) and between <= 16
            begin, _, digits = found.pop() if near else (place, place, 0)
            found.append((begin, place + 1, digits + 1))
            between = 0
        else:
            between += re.match(_BETWEEN, char) is None
    return found
