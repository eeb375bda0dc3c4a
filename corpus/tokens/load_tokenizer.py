"""Tokenizers by name, folder or file. Nothing is ever downloaded.

A name of OpenAI's vocabularies is looked up in a folder that the user names, in tiktoken's cache, and in installed
packages. A file must have the sha256 that tiktoken pins.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from corpus.errors import ConfigError, did_you_mean
from corpus.tokens.byte_level_bpe import (
    GPT2_PATTERN,
    GPT4_PATTERN,
    O200K_PATTERN,
    to_chars,
    tokenizer_json,
)
from corpus.tokens.tokenizer import Tokenizer

_END = "<|endoftext|>"
_FIM = {"<|fim_prefix|>": 100258, "<|fim_middle|>": 100259, "<|fim_suffix|>": 100260}


@dataclass(frozen=True)
class _File:
    """A vocabulary file: its name, its sha256, and its name in tiktoken's cache (the sha1 of its URL)."""

    name: str
    sha256: str
    cached: str


_GPT2_VOCAB = _File(
    "encoder.json",
    "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    "6c7ea1a7e38e3a7f062df639a5b80947f075ffe6",
)
_GPT2_MERGES = _File(
    "vocab.bpe",
    "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
    "6d1cbeee0f20b3d9449abfede4726ed8212e3aee",
)
_CL100K = _File(
    "cl100k_base.tiktoken",
    "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
)
_O200K = _File(
    "o200k_base.tiktoken",
    "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "fb374d419588a4632f3f557e76b4b70aebbca790",
)
KNOWN = {"gpt2": (_GPT2_VOCAB, _GPT2_MERGES), "cl100k": (_CL100K,), "o200k": (_O200K,)}

_PACKAGES = (("litellm", "litellm_core_utils/tokenizers"), ("llama_index", "core/_static/tiktoken_cache"))
"""Packages that carry files of tiktoken's cache, and their folders."""


def load_tokenizer(given: str, vocab_dir: Path | None = None) -> Tokenizer:
    """Return the tokenizer of a name (gpt2, cl100k, o200k), a folder, a tokenizer.json or a .tiktoken file.

    Raises ConfigError if there is none, or if a vocabulary is not the published one.
    """
    try:
        return _load(given, vocab_dir)
    except OSError as error:
        raise ConfigError(f"{given} can't be read: {error.strerror}.", "Name another folder or file.") from None


def _load(given: str, vocab_dir: Path | None) -> Tokenizer:
    if given in KNOWN:
        return _of_files(given, [_find(given, file, vocab_dir) for file in KNOWN[given]])
    path = Path(given)
    if not path.exists():
        what = f"There is no tokenizer {given}."
        raise ConfigError(what, f"{did_you_mean(given, KNOWN)} Or give a folder or a tokenizer.json.")
    file = path / "tokenizer.json" if path.is_dir() else path
    for name, files in KNOWN.items():
        inside = [file.parent / one.name for one in files]
        named = path.name == files[0].name or (path.is_dir() and not file.exists())
        if named and all(one.exists() for one in inside):
            return _of_files(name, inside)
    if file.suffix != ".json" or not file.exists():
        raise ConfigError(f"{given} holds no tokenizer.json.", "Name a folder or file that has one.")
    return Tokenizer(path.name if path.is_dir() else path.stem, file.read_bytes())


def _find(name: str, file: _File, vocab_dir: Path | None) -> Path:
    for path in _places(file, vocab_dir):
        if path.is_file():
            return path
    where = "the folder of --vocab-dir" if vocab_dir else "tiktoken's cache or an installed package"
    all_files = " and ".join(one.name for one in KNOWN[name])
    raise ConfigError(
        f"The vocabulary of {name} is not on this machine: there is no {file.name} in {where}.",
        f"Give --vocab-dir, a folder that holds {all_files}, or set CORPUS_VOCAB_DIR to it; nothing is downloaded.",
    )


def _places(file: _File, vocab_dir: Path | None) -> Iterator[Path]:
    if vocab_dir is not None:
        yield vocab_dir / file.name
        yield vocab_dir / file.cached
        return
    yield Path(os.environ.get("TIKTOKEN_CACHE_DIR") or Path(tempfile.gettempdir()) / "data-gym-cache") / file.cached
    for package, folder in _PACKAGES:
        spec = importlib.util.find_spec(package)
        for root in (spec.submodule_search_locations or []) if spec else []:
            yield Path(root) / folder / file.cached


def _of_files(name: str, paths: list[Path]) -> Tokenizer:
    contents = []
    for file, path in zip(KNOWN[name], paths, strict=True):
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise ConfigError(f"{path} is not the published {file.name}.", "Get it again, or name another folder.")
        contents.append(content)
    if name == "gpt2":
        return Tokenizer(name, _gpt2(*contents))
    if name == "cl100k":
        return Tokenizer(name, _ranked(contents[0], GPT4_PATTERN, {_END: 100257, **_FIM, "<|endofprompt|>": 100276}))
    return Tokenizer(name, _ranked(contents[0], O200K_PATTERN, {_END: 199999, "<|endofprompt|>": 200018}))


def _gpt2(encoder: bytes, bpe: bytes) -> bytes:
    vocab: dict[str, int] = json.loads(encoder)
    lines = bpe.decode().split("\n")[1:-1]  # the first line is a version
    merges = [(left, right) for left, _, right in (line.partition(" ") for line in lines)]
    return tokenizer_json(vocab, merges, GPT2_PATTERN, {_END: vocab.pop(_END)})


def _ranked(tiktoken: bytes, pattern: str, specials: dict[str, int]) -> bytes:
    """Make a tokenizer from a file of ranks. tiktoken merges any pair whose bytes have a rank, so each such pair is a
    merge, and a match that is a token is taken whole."""
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, tiktoken.splitlines())}
    merges = []
    for token in ranks:
        pairs = [(token[:at], token[at:]) for at in range(1, len(token))]
        both = sorted(
            (ranks[left], ranks[right], left, right) for left, right in pairs if {left, right} <= ranks.keys()
        )
        merges += [(to_chars(left), to_chars(right)) for _, _, left, right in both]
    vocab = {to_chars(token): rank for token, rank in ranks.items()}
    return tokenizer_json(vocab, merges, pattern, specials, ignore_merges=True)
