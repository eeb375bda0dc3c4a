"""Matplotlib's SVG without styles, ids and definitions, which the page's security policy forbids.

Elements have classes instead, and the page's style sheet gives their colors, light and dark. The class comes from the
artist's gid: `x-class`, or `x-class:title` with a title that shows when the pointer rests on the element.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from markupsafe import Markup, escape

_NUMBER = re.compile(r"-?\d+\.\d+")
_SPACE = re.compile(r"\s+")
_ANCHOR = re.compile(r"text-anchor:\s*(\w+)")
_SVG = "{http://www.w3.org/2000/svg}"


def inline(drawn: bytes, label: str, kind: str) -> Markup:
    """The SVG element for a drawing. Screen readers read `label`; `kind` is its class."""
    root = ElementTree.fromstring(drawn)  # matplotlib wrote it in this process
    parts: list[str] = []
    for group in root.iter(f"{_SVG}g"):
        name, _, title = group.get("id", "").partition(":")
        if not name.startswith("x-"):
            continue
        for element in group:
            parts.append(_element(element, name.removeprefix("x-"), title))
    box = escape(root.get("viewBox", ""))
    head = f'<svg class="{escape(kind)}" viewBox="{box}" role="img" aria-label="{escape(label)}">'
    return Markup(head + "".join(parts) + "</svg>")


def _element(element: ElementTree.Element, name: str, title: str) -> str:
    css = escape(name)
    if element.tag == f"{_SVG}path":
        inner = f"<title>{escape(title)}</title>" if title else ""
        return f'<path class="{css}" d="{_path(element.get("d", ""))}">{inner}</path>'
    if element.tag == f"{_SVG}text":
        found = _ANCHOR.search(element.get("style", ""))
        anchor = f' text-anchor="{found.group(1)}"' if found and found.group(1) != "start" else ""
        x, y = (_short(element.get(axis, "0")) for axis in ("x", "y"))
        return f'<text class="{css}" x="{x}" y="{y}"{anchor}>{escape(element.text or "")}</text>'
    return ""


def _path(data: str) -> str:
    return str(escape(_SPACE.sub(" ", _NUMBER.sub(lambda number: _short(number.group()), data)).strip()))


def _short(number: str) -> str:
    return f"{float(number):.1f}".removesuffix(".0")
