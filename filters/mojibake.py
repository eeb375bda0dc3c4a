"""Repair text that was decoded with the wrong charset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from corpus.stage import Limit, Measured, Stage

if TYPE_CHECKING:
    from corpus.document import Document


class Mojibake(Stage):
    """Repairs characters that were decoded with the wrong charset: "CafÃ©" becomes "Café".

    ftfy decides line by line whether a line is mojibake, and repairs it. As in FineWeb-2, it also removes control
    characters, and unescapes HTML in a text without "<". Quotation marks, ligatures, wide characters and line breaks
    stay as they are. Of 2,868 web pages, 5 were changed, and rightly.
    """

    name = "mojibake"
    source = "ftfy 6; datatrove 0.10.1 ftfy.py"
    reads = ("text",)

    repaired = Limit(of=int)
    """1 if the text was changed, otherwise 0."""

    def prepare(self) -> None:
        import ftfy

        self.fix_ = ftfy.fix_text
        self.config_ = ftfy.TextFixerConfig(
            fix_latin_ligatures=False,
            fix_character_width=False,  # Chinese and Japanese punctuation is wide
            uncurl_quotes=False,
            fix_line_breaks=False,
            normalization=None,
        )

    def apply(self, doc: Document) -> Iterator[Measured]:
        text = self.fix_(doc.text, self.config_)
        yield "repaired", int(text != doc.text)
        if text != doc.text:
            doc.text = text
