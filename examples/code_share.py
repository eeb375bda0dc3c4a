"""A stage of one's own: the share of lines that look like program code.

    corpus build crawl.warc.gz -o out --allow-module examples/code_share.py --recipe examples/code_share.toml

Explain, the report and retuning know it like any other: its values and limits are data.
"""

import re
from collections.abc import Iterator

from corpus import Document, Limit, Stage, ratio
from corpus.stage import Measured

_CODE = re.compile(r"[;{}]\s*$|^\s*(def|class|import|return|function|var|const|#include|public|private)\b|=>|\(\);")


class CodeShare(Stage):
    """Share of lines that look like program code, and how many there are."""

    name = "code_share"
    source = "our own"
    reads = ("text",)

    code_lines = Limit(of=int)
    code_ratio = Limit(max=0.2, share=True)

    def __init__(self, *, min_line_length: int = 4) -> None:
        self.min_line_length = min_line_length

    def apply(self, doc: Document) -> Iterator[Measured]:
        lines = [line for line in doc.lines if len(line) >= self.min_line_length]
        code = sum(_CODE.search(line) is not None for line in lines)
        yield "code_lines", code
        yield "code_ratio", ratio(code, len(lines))
