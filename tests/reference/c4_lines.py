"""C4's line cleaning in plain Python. The oracle of the kernel."""

from __future__ import annotations

import re

from filters.c4 import C4
from tests.reference.sentences import count_by_tokens

_CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
_BRACKET = re.compile(
    r"(?P<latex>\\[A-Za-z]{2,}\*?(?:\[[^\[\]{}]{0,40}])?\{|[\^_\\]\{|\{(?=[^{}]{0,40}\\[A-Za-z]{2}))|}?\{|}"
)
_POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")


def cleaned(stage: C4, text: str) -> tuple[dict[str, int], str]:
    """Return the measures, and the text of the lines that are kept."""
    counts = dict.fromkeys(stage.limits, 0)
    kept: list[str] = []
    for raw in text.splitlines():
        line = raw.strip()
        words = line.split()
        if any(len(word) > stage.max_word_length for word in words):
            counts["line_long_word"] += 1
            continue
        line, found = _CITATION.subn("", line)
        counts["citations"] += found
        if stage.terminal_punctuation and (not line.endswith((".", "?", "!", '"', "'")) or line.endswith("...")):
            counts["line_no_end_mark"] += 1
            continue
        if len(words) < stage.min_words_per_line:
            counts["line_few_words"] += 1
            continue
        lower = line.lower()
        counts["lorem_ipsum"] += "lorem ipsum" in lower
        if not stage.javascript_lines and "javascript" in lower:
            counts["line_javascript"] += 1
            continue
        counts["curly_bracket"] += "{" in line and not (stage.latex and _is_latex(line))
        if not stage.policy_lines and any(phrase in lower for phrase in _POLICY):
            counts["line_policy"] += 1
            continue
        counts["sentences"] += count_by_tokens(line.strip(), stage.language)
        kept.append(line)
    return counts, "\n".join(kept).strip()


def _is_latex(line: str) -> bool:
    """Return True if every curly bracket of a line is in a LaTeX formula."""
    depth = 0
    for bracket in _BRACKET.finditer(line):
        if bracket.group() == "}":
            depth = max(depth - 1, 0)
        elif depth or bracket.lastgroup == "latex":
            depth += bracket.group() != "}{"  # "}{" ends one argument and begins another
        else:
            return False
    return True
