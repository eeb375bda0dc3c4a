"""Values as a person reads them, and text of crawled pages as a browser may have it."""

from __future__ import annotations

import re
from typing import Any

from markupsafe import Markup, escape

LONGEST = 2_000
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e0fff\ud800-\udfff]"
)
"""Characters that can't be seen: control characters, those that turn the direction of text, invisible marks and tags.
The joiners of Indic and Arabic scripts (U+200C, U+200D) and variation selectors belong to the text."""

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def crawled(text: Any, most: int = LONGEST) -> Markup:
    """Text that came with a page, escaped, in its own direction, with what can't be seen made visible, and cut."""
    whole = str(text)
    parts = [Markup("<bdi>")]
    done = 0
    for hidden in _HIDDEN.finditer(whole, 0, most):
        code = Markup('<span class="hidden-char">⟨U+{:04X}⟩</span>').format(ord(hidden.group()))
        parts += [escape(whole[done : hidden.start()]), code]
        done = hidden.end()
    parts += [escape(whole[done:most]), Markup("</bdi>")]
    if len(whole) > most:
        parts.append(Markup(' <span class="cut">… {:,} more characters</span>').format(len(whole) - most))
    return Markup("").join(parts)


def plain(text: Any, most: int = 200) -> str:
    """The same for places that hold no markup: a title, a label."""
    whole = str(text)
    seen = _HIDDEN.sub(lambda hidden: f"⟨U+{ord(hidden.group()):04X}⟩", whole[:most])
    return seen + (f" … {len(whole) - most:,} more characters" if len(whole) > most else "")


def count(number: int) -> str:
    """A whole number in groups of three."""
    return f"{number:,}"


def percent(part: float, whole: float) -> str:
    """A share; never 0% of something, nor 100% of less than all."""
    if not whole:
        return "–"
    share = 100 * part / whole
    digits = 0 if share in (0, 100) else 1 if 0.1 <= share <= 99.9 else 2
    shown = f"{share:.{digits}f}"
    if part and float(shown) == 0:
        return "<0.01%"
    return ">99.99%" if part < whole and float(shown) == 100 else f"{shown}%"


def size(number: float) -> str:
    """Bytes in powers of 1000."""
    for unit in _UNITS:
        if number < 999.5 or unit == _UNITS[-1]:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 99.5 else f"{number:.3g} {unit}"
        number /= 1000
    raise AssertionError("the last unit takes all")


def value(number: Any) -> str:
    """A measured value or a bound: whole numbers in groups, others with as many digits as say something."""
    if number is None:
        return "–"
    if isinstance(number, list):
        return ", ".join(map(str, number)) or "none"
    if isinstance(number, bool):
        return "yes" if number else "no"
    if isinstance(number, int) or (isinstance(number, float) and number.is_integer() and abs(number) < 1e15):
        return f"{int(number):,}"
    return f"{number:.4g}" if isinstance(number, float) else str(number)


def tick(number: float) -> str:
    """A label of an axis: 0.05, 50, 2k, 1M."""
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= factor * 0.9995:
            return f"{number / factor:.3g}{unit}"
    return f"{number:.3g}"


def seconds(number: float) -> str:
    """A time."""
    if number >= 5400:
        return f"{number / 3600:.1f} h"
    if number >= 90:
        return f"{number / 60:.1f} min"
    if number >= 1:
        return f"{number:.1f} s"
    return f"{1e3 * number:.3g} ms" if number >= 0.001 or not number else f"{1e6 * number:.3g} µs"


def limit(bounds: dict[str, Any]) -> str:
    """A limit in words: "min 50, max 100,000"."""
    return ", ".join(f"{bound.replace('_', ' ')} {value(given)}" for bound, given in bounds.items())


def breakable(name: str) -> Markup:
    """A name that may be broken after its underscores."""
    return Markup("_<wbr>").join(name.split("_"))
