"""A folder of tokens, for reading: flat files of ids in a global shuffle, split into train and val.

    tokens = open_tokens("tokens")
    tokens.train.read(0, 1024)     # ids, across file borders

Each document is stored as the separator (`bos`) and its tokens. The files `train-00000.bin`, … hold ids only, uint16 or
uint32, little-endian, so `np.memmap` reads them too. Next to each file is its document index, in datatrove's format.
`tokens.json` is written last: a folder without it is not finished.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from corpus.errors import InputError, IntegrityError
from corpus.json_data import parse_json
from corpus.storage.commits import sha256_of
from corpus.storage.safe_join import safe_join

FORMAT_VERSION = 1
SPLITS = ("train", "val")
_MOST_IDS = 1 << 31


@dataclass(frozen=True)
class Split:
    """The training or the validation documents, as one long sequence of ids in several files."""

    folder: Path
    dtype: np.dtype[Any]
    info: dict[str, Any]
    """The split's entry in tokens.json: tokens, documents, bytes of text, files."""
    vocab_size: int

    @property
    def tokens(self) -> int:
        return int(self.info["tokens"])

    @property
    def documents(self) -> int:
        return int(self.info["documents"])

    @property
    def files(self) -> list[Path]:
        return [safe_join(self.folder, entry["name"]) for entry in self.info["files"]]

    @cached_property
    def _starts(self) -> list[int]:
        """The first token of each file, followed by the number of tokens."""
        return [0, *accumulate(entry["tokens"] for entry in self.info["files"])]

    @cached_property
    def _maps(self) -> list[np.ndarray]:
        """The files, mapped into memory. An empty file is an exception, because it can't be mapped."""
        return [
            np.memmap(path, dtype=self.dtype, mode="r") if entry["tokens"] else np.empty(0, self.dtype)
            for path, entry in zip(self.files, self.info["files"], strict=True)
        ]

    def read(self, start: int, count: int) -> np.ndarray:
        """Return the ids from `start` to `start + count` as a new array.

        Raises ValueError if the positions are out of range, and IntegrityError for an id that is not in the vocabulary.
        """
        if start < 0 or count < 0 or start + count > self.tokens:
            raise ValueError(f"tokens {start} to {start + count} of {self.tokens}")
        read = np.empty(count, self.dtype)
        got, file = 0, bisect_right(self._starts, start) - 1
        while got < count:
            inner = start + got - self._starts[file]
            some = self._maps[file][inner : inner + count - got]
            read[got : got + len(some)] = some
            got += len(some)
            file += 1
        if count and read.max() >= self.vocab_size:
            raise IntegrityError(f"{self.folder} has an id that is not in its vocabulary.", "Tokenize again.")
        return read


@dataclass(frozen=True)
class Tokens:
    """A finished folder of tokens."""

    folder: Path
    info: dict[str, Any]
    """The content of tokens.json."""
    train: Split
    val: Split

    @property
    def vocab_size(self) -> int:
        """The highest id plus one."""
        return int(self.info["tokenizer"]["vocab_size"])

    @property
    def bos(self) -> int:
        """The id before each document: `<|bos|>`, or `<|endoftext|>` in OpenAI's vocabularies."""
        return int(self.info["tokenizer"]["bos"])

    @property
    def tokenizer_path(self) -> Path:
        """The path of tokenizer.json, which `tokenizers` and `transformers` can load."""
        return self.folder / "tokenizer.json"

    @cached_property
    def token_bytes(self) -> np.ndarray:
        """The number of bytes of each id, int32 (vocab_size,). It is 0 for specials and for ids without a token."""
        lengths = parse_json((self.folder / "token_bytes.json").read_text(encoding="utf-8"))
        return np.array(lengths, dtype=np.int32)

    def verify(self) -> None:
        """Read every file again. Raises IntegrityError, which names the file, if one has changed."""
        for entry in self.info["files"]:
            file = safe_join(self.folder, entry["name"])
            if sha256_of(file) != entry["sha256"]:
                raise _damaged(file)


def open_tokens(folder: str | Path) -> Tokens:
    """Open a folder of tokens.

    Raises InputError if the folder has no finished tokens in flat files, and IntegrityError if a file is missing or has
    another length.
    """
    path = Path(folder) / "tokens.json"
    try:
        info = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{folder} holds no finished tokens.", "Run `corpus tokenize … -o` on it first.") from None
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}.", "Check its permissions.") from None
    except ValueError:
        raise IntegrityError(f"{path} is damaged.", "Restore it, or tokenize again.") from None
    try:
        if info["version"] != FORMAT_VERSION:
            raise InputError(f"{path} is of format {info['version']}, not {FORMAT_VERSION}.", "Tokenize again.")
        if info["layout"] == "parquet":
            raise InputError(f"{folder} holds tokens as parquet.", "Tokenize into another folder with --format flat.")
        if info["dtype"] not in ("uint16", "uint32"):
            raise IntegrityError(f"{path} gives its ids a type other than uint16 and uint32.", "Tokenize again.")
        dtype, vocab_size = np.dtype(info["dtype"]).newbyteorder("<"), int(info["tokenizer"]["vocab_size"])
        if info["layout"] not in ("flat", "megatron") or not 0 < vocab_size <= _MOST_IDS:
            raise _damaged(path)
        splits = [Split(path.parent, dtype, info["splits"][name], vocab_size) for name in SPLITS]
        sizes = {entry["name"]: int(entry["bytes"]) for entry in info["files"]}
        for split in splits:
            counts = [int(entry["tokens"]) for entry in split.info["files"]]
            if min(counts, default=0) < 0 or sum(counts) != split.tokens:
                raise _damaged(path)
            if any(sizes[entry["name"]] != entry["tokens"] * dtype.itemsize for entry in split.info["files"]):
                raise _damaged(path)
    except (KeyError, TypeError, ValueError):
        raise _damaged(path) from None
    for name, size in sizes.items():
        file = safe_join(path.parent, name)
        if not file.exists() or file.stat().st_size != size:
            raise _damaged(file)
    return Tokens(path.parent, info, *splits)


def _damaged(file: Path) -> IntegrityError:
    return IntegrityError(f"{file} is missing or damaged.", "Restore it, or tokenize again.")
