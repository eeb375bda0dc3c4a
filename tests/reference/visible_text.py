"""What `kernels.visible_text` gives, by patterns."""

from __future__ import annotations

import re

_MIN_RUN = 16
_RUN = re.compile(rf">([^<]{{{_MIN_RUN},}})")  # beginning with a plain character makes this three times as fast
_HIDDEN = re.compile(r"<(script|style|noscript|template)\b", re.IGNORECASE)
_CLOSING = {tag: re.compile(rf"</{tag}\b", re.IGNORECASE) for tag in ("script", "style", "noscript", "template")}


def visible_text(html: str, chars: int) -> str:
    parts: list[str] = []
    size = start = 0
    if html[:1] != "<":
        html = ">" + html
    while size < chars and start < len(html):
        hidden = _HIDDEN.search(html, start)
        end = hidden.start() if hidden else len(html)
        for run in _RUN.finditer(html, start, end):
            text = run.group(1).strip()
            if len(text) >= _MIN_RUN:
                parts.append(text[: chars - size])
                size += len(parts[-1]) + 1
                if size >= chars:
                    break
        if hidden is None:
            break
        closing = _CLOSING[hidden.group(1).lower()].search(html, hidden.end())
        start = closing.end() if closing else len(html)
    return "\n".join(parts)
