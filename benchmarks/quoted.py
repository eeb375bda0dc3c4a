"""Documents quote the saved figures: `python -m benchmarks.quoted` writes the quotes anew.

<!-- quoted from FILE: REGEX -->
(a block of all lines of benchmarks/figures/FILE in which REGEX is found)
<!-- end of quote -->

Within a line of text, <!-- quoted from FILE: REGEX -->1.5 and 2.5<!-- end of quote --> is what the first group of
REGEX matches in each of those lines.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIGURES = Path(__file__).parent / "figures"
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_QUOTE = re.compile(r"(<!-- quoted from (\S+): (.+?) -->)(\n?).*?(<!-- end of quote -->)", re.DOTALL)


def quoted(document: str) -> str:
    """Return a document with its quotes as the saved figures have them. Raises ValueError for an empty quote."""

    def fill(found: re.Match[str]) -> str:
        saved = (FIGURES / found[2]).read_text(encoding="utf-8").splitlines()
        lines = [line.rstrip() for line in saved if re.search(found[3], line)]
        if not lines:
            raise ValueError(f"No line of {found[2]} has {found[3]!r}.")
        if found[4]:
            return f"{found[1]}\n```\n" + "\n".join(lines) + f"\n```\n{found[5]}"
        values = [match[1] for line in lines if (match := re.search(found[3], line))]
        return f"{found[1]}{' and '.join(values)}{found[5]}"

    return _QUOTE.sub(fill, document)


if __name__ == "__main__":
    for path in DOCUMENTS:
        path.write_text(quoted(path.read_text(encoding="utf-8")), encoding="utf-8")
