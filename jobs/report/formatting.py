"""Values as people read them, and text of crawled pages in a form that is safe to show."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from corpus.revise.limits import Limits

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e0fff\ud800-\udfff]"
)
"""Invisible characters: control characters, changes of text direction, marks and tags.

The joiners of Indic and Arabic scripts (U+200C, U+200D) and variation selectors belong to the text, so they are not
included.
"""


def crawled(text: Any, most: int = 2_000) -> Markup:
    """Return the text of a page: escaped, cut, in its own direction, and with invisible characters shown as codes."""
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
    """Return text of a page without markup, for titles and labels."""
    whole = str(text)
    seen = _HIDDEN.sub(lambda hidden: f"⟨U+{ord(hidden.group()):04X}⟩", whole[:most])
    return seen + (f" … {len(whole) - most:,} more characters" if len(whole) > most else "")


def content_policy(style: str, script: str) -> str:
    """Return the content security policy of a page that has only this style sheet and this script, and makes no
    requests.
    """
    style, script = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script))
    sources = f"style-src 'sha256-{style}'; script-src 'sha256-{script}'"
    return f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'"


def count(number: int) -> str:
    """Return a whole number with thousands separators."""
    return f"{number:,}"


def percent(part: float, whole: float) -> str:
    """Return a share in percent. Only a share of exactly 0 is shown as 0%, and only the whole as 100%."""
    if not whole:
        return "–"
    share = 100 * part / whole
    digits = 0 if share in (0, 100) else 1 if 0.1 <= share <= 99.9 else 2
    shown = f"{share:.{digits}f}"
    if part and float(shown) == 0:
        return "<0.01%"
    return ">99.99%" if part < whole and float(shown) == 100 else f"{shown}%"


def size(number: float) -> str:
    """Return a number of bytes with a unit, in powers of 1000."""
    unit = "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if number < 999.5:
            break
        number, unit = number / 1000, larger
    return f"{number:.0f} {unit}" if unit == "B" or number >= 99.5 else f"{number:.3g} {unit}"


def value(number: Any) -> str:
    """Return a measured value or a bound: whole numbers with separators, other numbers with four digits."""
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
    """Return a label of an axis, such as 0.05, 50, 2k or 1M."""
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= factor * 0.9995:
            return f"{number / factor:.3g}{unit}"
    return f"{number:.3g}"


def seconds(number: float) -> str:
    """Return a duration with a unit."""
    for least, factor, unit in ((5400, 3600, "h"), (90, 60, "min"), (1, 1, "s")):
        if number >= least:
            return f"{number / factor:.1f} {unit}"
    return f"{1e3 * number:.3g} ms" if number >= 0.001 or not number else f"{1e6 * number:.3g} µs"


def limit(bounds: dict[str, Any]) -> str:
    """Return a limit in words, such as "min 50, max 100,000"."""
    return ", ".join(f"{bound.replace('_', ' ')} {value(given)}" for bound, given in bounds.items())


def limits(given: Limits) -> str:
    """Return the limits of a measure in words. Of a bound that depends on the language, return the least and the
    most.
    """
    every = [one.bounds for one in (given.base, *given.own.values())]
    if all(bounds == every[0] for bounds in every):
        return limit(every[0])
    parts = []
    for bound in dict.fromkeys(bound for bounds in every for bound in bounds):
        values = [bounds[bound] for bounds in every if bound in bounds]
        ends = dict.fromkeys(map(value, (min(values), max(values))))
        parts.append(f"{bound.replace('_', ' ')} {' to '.join(ends)}")
    return f"{', '.join(parts)} (by language)"


def breakable(name: str) -> Markup:
    """Return a name in which lines may break after underscores."""
    return Markup("_<wbr>").join(name.split("_"))
