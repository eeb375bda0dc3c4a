"""The results of the fault tests: rows in build/reliability.json, and the table that `make test-slow` ends with.

python -m tests.faults.results              # the table of the last run
python -m tests.faults.results --publish    # … into benchmarks/figures and docs/reliability.md
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = ROOT / "build" / "reliability.json"
FIGURES = ROOT / "benchmarks" / "figures" / "reliability.json"
DOCUMENT = ROOT / "docs" / "reliability.md"
COLUMNS = ("fault", "tried", "survived", "lost", "measured", "limit")
_TABLE = re.compile(r"(?<=<!-- results -->\n).*?(?=<!-- end of results -->)", re.DOTALL)

Row = dict[str, str]


def save(rows: Iterable[Row], file: Path = FILE) -> list[Row]:
    """Put rows into the file, in place of those of the same fault, and return all rows in order."""
    known = {row["fault"]: row for row in [*load(file), *rows]}
    file.parent.mkdir(exist_ok=True)
    ordered = [known[fault] for fault in sorted(known)]
    file.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return ordered


def load(file: Path = FILE) -> list[Row]:
    """The rows of a file, or none if there is no file."""
    found: list[Row] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    return found


def markdown(rows: Iterable[Row]) -> str:
    """The rows as a table."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *([row.get(name, "") for name in COLUMNS] for row in rows)]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)


def published(document: str) -> str:
    """The table that a document shows."""
    found = _TABLE.search(document)
    return found[0] if found else ""


def publish() -> None:
    """Copy the rows of the last run to the figures, and show them in the document."""
    rows = save(load(), FIGURES)
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(_TABLE.sub(lambda _: markdown(rows), text), encoding="utf-8")


if __name__ == "__main__":
    if "--publish" in sys.argv:
        publish()
    print(markdown(load()), end="")
