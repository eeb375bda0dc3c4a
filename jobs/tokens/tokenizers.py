"""`corpus tokenizer train`, `show` and `compare`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from itertools import cycle
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from corpus.errors import ConfigError, OutputError
from corpus.storage.store import Location, as_json
from corpus.tokens.encoder import Encoder
from corpus.tokens.texts import Texts, open_texts, read_sample
from corpus.tokens.token_files import add_data
from corpus.tokens.tokenizer import Tokenizer
from corpus.tokens.train_tokenizer import train_tokenizer
from jobs.runner.derived import register
from jobs.runner.folder import open_folder
from jobs.runner.terminal import say

MOST_CHARS = 2_000_000_000
"""The number of characters to learn from: 2 billion, as in nanochat. More text changes little."""

COMPARED_BYTES = 50 << 20
"""The number of bytes of text on which tokenizers are compared. More text changes none of the printed ratios."""

_ALL = "all"
_REPORT_EVERY_S = 10.0
_FILES = {"training.json", "token_bytes.json", "tokenizer_config.json", "tokenizer.json"}


def train(folder: Location, out: Location, vocab_size: int, most_chars: int = MOST_CHARS) -> dict[str, Any]:
    """Learn a tokenizer from the texts of a folder, write it to `out`, and return the content of training.json.

    tokenizer.json is written last, after the byte length of each id and the configuration file for `transformers`.
    """
    texts = open_texts(folder)
    store = open_folder(out)
    other = OutputError(f"{store.where()} has another tokenizer, or other files.", "Give an empty folder with -o.")
    with store.only_run():
        if store.names() - _FILES - {".work"}:
            raise other
        if texts.run:
            register(folder, "tokenizer", out)
        made = train_tokenizer(PurePosixPath(store.location).name, _read_texts(texts, most_chars), vocab_size)
        facts = {
            "texts": texts.identity(),
            "most_chars": most_chars,
            "vocab_size": made.vocab_size,
            "specials": made.specials,
            "sha256": made.sha256,
            "versions": {name: metadata.version(name) for name in ("corpus", "rustbpe")},
        }
        files = {
            "training.json": as_json(facts),
            "token_bytes.json": as_json(made.token_bytes.tolist(), None),
            "tokenizer_config.json": as_json(
                {  # the file that `transformers.AutoTokenizer` reads
                    "tokenizer_class": "PreTrainedTokenizerFast",
                    "bos_token": made.bos_text,
                    "eos_token": made.bos_text,
                    "clean_up_tokenization_spaces": False,
                }
            ),
            "tokenizer.json": made.data,
        }
        if any(store.get(name) not in (None, data) for name, data in files.items()):
            raise other
        for name, data in files.items():
            add_data(store, "tokenizer", data, 0, name)
        store.remove(".work")
    return facts


def _read_texts(texts: Texts, most_chars: int) -> Iterator[str]:
    """Yield the texts to learn from, and print a line of progress now and then.

    The progress counts characters. A character has at least one byte, so their number is at most the number of bytes in
    parquet footers.
    """
    chars, reported = 0, time.monotonic()
    for batch in read_sample(texts, most_chars):
        for text in batch["text"].to_pylist():
            chars += len(text)
            yield text
        if time.monotonic() - reported > _REPORT_EVERY_S:
            reported = time.monotonic()
            say(f"read {chars / 1e6:,.0f} million characters")
    say(f"learning from {chars / 1e6:,.1f} million characters")


@dataclass(frozen=True)
class ShownToken:
    """A token of a text, for printing."""

    id: int
    bytes: bytes

    @property
    def text(self) -> str:
        """The text of the token. Invalid bytes, and characters that move the cursor, are escaped."""
        text = self.bytes.decode("utf-8", "backslashreplace")
        return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def tokens_of(tokenizer: Tokenizer, text: str) -> list[ShownToken]:
    """Return the tokens of a text. Raises ConfigError if the text is not Unicode."""
    try:
        ids, _ = Encoder(tokenizer).encode([text])
    except (UnicodeEncodeError, TypeError):
        raise ConfigError("The text is not valid UTF-8.", "Give text; single bytes have no encoding.") from None
    return [ShownToken(number, tokenizer.tokens[number] or b"") for number in ids.tolist()]


_COLORS = ("#a8d1ff", "#b9e6b0", "#ffd59e", "#ffb3b3", "#d7c2ff")


def show_tokens(found: Sequence[ShownToken], console: Console) -> None:
    """Print tokens and ids on colored backgrounds, as Tiktokenizer does. Without colors, bars separate them."""
    styles = [Style(color="black", bgcolor=color) for color in _COLORS]
    bar, space = ("", " ") if console.color_system else ("│", "")
    for cells in ([one.text for one in found], [f"{space}{one.id}{space}" for one in found]):
        console.print(Text(bar).join(Text(cell, style) for cell, style in zip(cells, cycle(styles))))
    size = sum(len(one.bytes) for one in found)
    console.print(f"{len(found)} tokens, {size} bytes, {size / max(len(found), 1):.2f} bytes per token")


def compare(
    tokenizers: Sequence[Tokenizer], folder: Location, report: Callable[[str], None] = print
) -> list[dict[str, Any]]:
    """Return the bytes of text per token of each tokenizer.

    The first row is for all texts. The next rows are for single languages, the language with most text first.
    """
    texts = open_texts(folder)
    extra = ("language",) if "language" in texts.columns else ()
    encoders = [Encoder(one) for one in tokenizers]
    counts: dict[str, np.ndarray] = {}
    for done, batch in enumerate(read_sample(texts, COMPARED_BYTES, extra)):
        written = batch["text"].to_pylist()
        sizes = [len(text.encode()) for text in written]
        tokens = [encoder.encode(written)[1] for encoder in encoders]
        rows = np.array([np.ones(len(written)), sizes, *tokens], dtype=np.int64).T
        languages = batch["language"].to_pylist() if extra else [None] * len(written)
        for language, row in zip(languages, rows, strict=True):
            for name in (_ALL, language or "unknown"):
                counts[name] = counts.get(name, 0) + row
        if done % 20 == 19 and counts:
            report(f"{counts[_ALL][1] / 1e6:,.0f} MB")
    ranked = sorted(counts.items(), key=lambda item: (item[0] != _ALL, -item[1][1], item[0]))
    compared = []
    for name, row in ranked:
        documents, size, *tokens = row.tolist()
        per_token = {one.name: round(size / count, 4) for one, count in zip(tokenizers, tokens, strict=True)}
        compared.append({"language": name, "documents": documents, "bytes": size, "bytes_per_token": per_token})
    return compared


def show_comparison(rows: Sequence[dict[str, Any]], console: Console) -> None:
    """Print bytes per token as a table. The highest value of each row is bold."""
    table = Table("language", box=None, header_style="dim")
    for heading in ("documents", "MB", *(rows[0]["bytes_per_token"] if rows else ())):
        table.add_column(heading, justify="right")
    for row in rows:
        cells = [f"{value:.2f}" for value in row["bytes_per_token"].values()]
        styled = [Text(cell, "bold" if cell == max(cells, key=float) else "") for cell in cells]
        table.add_row(row["language"], f"{row['documents']:,}", f"{row['bytes'] / 1e6:.2f}", *styled)
    console.print(table)
    console.print("Bytes of text per token: more is better for the same size of vocabulary.")
