"""Tokenizers by name, folder or file. Nothing is ever downloaded.

OpenAI's vocabularies have names. The file for a name is searched in a folder that the user names, in tiktoken's cache,
and in installed packages. The file must have the sha256 that tiktoken demands.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from corpus.errors import ConfigError, did_you_mean
from corpus.json_data import parse_json
from corpus.tokens.byte_level_bpe import BYTE_OF_CHAR, GPT2_PATTERN, GPT4_PATTERN, O200K_PATTERN, tokenizer_json
from corpus.tokens.tokenizer import Tokenizer

_END = "<|endoftext|>"


@dataclass(frozen=True)
class _File:
    """A vocabulary file: its path on OpenAI's server, and its sha256."""

    path: str
    sha256: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def cached(self) -> str:
        """The name in tiktoken's cache: the sha1 of the URL."""
        return hashlib.sha1(f"https://openaipublic.blob.core.windows.net/{self.path}".encode()).hexdigest()


KNOWN = {
    "gpt2": (
        _File("gpt-2/encodings/main/encoder.json", "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"),
        _File("gpt-2/encodings/main/vocab.bpe", "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"),
    ),
    "cl100k": (
        _File("encodings/cl100k_base.tiktoken", "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"),
    ),
    "o200k": (
        _File("encodings/o200k_base.tiktoken", "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"),
    ),
}

_PACKAGES = (("litellm", "litellm_core_utils/tokenizers"), ("llama_index", "core/_static/tiktoken_cache"))
"""The packages that contain files of tiktoken's cache, and their folders."""


def load_tokenizer(given: str, vocab_dir: Path | None = None) -> Tokenizer:
    """Return the tokenizer for a name (gpt2, cl100k, o200k), a folder, a tokenizer.json or a .tiktoken file.

    Raises ConfigError if there is no such tokenizer, or if a vocabulary is not the published one.
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
        beside = [file.parent / one.name for one in files]
        named = path.name == files[0].name or (path.is_dir() and not file.exists())
        if named and all(one.exists() for one in beside):
            return _of_files(name, beside)
    if file.suffix != ".json" or not file.exists():
        raise ConfigError(f"{given} holds no tokenizer.json.", "Name a folder or file that has one.")
    return Tokenizer(path.name if path.is_dir() else path.stem, file.read_bytes())


def _find(name: str, file: _File, vocab_dir: Path | None) -> Path:
    for path in _candidates(file, vocab_dir):
        if path.is_file():
            return path
    where = "the folder of --vocab-dir" if vocab_dir else "tiktoken's cache or an installed package"
    all_files = " and ".join(one.name for one in KNOWN[name])
    what = f"The vocabulary of {name} is not on this machine: there is no {file.name} in {where}."
    todo = f"Give --vocab-dir, a folder that holds {all_files}, or set CORPUS_VOCAB_DIR to it; nothing is downloaded."
    raise ConfigError(what, todo)


def _candidates(file: _File, vocab_dir: Path | None) -> Iterator[Path]:
    if vocab_dir is not None:
        yield from (vocab_dir / file.name, vocab_dir / file.cached)
        return
    yield Path(os.environ.get("TIKTOKEN_CACHE_DIR") or Path(tempfile.gettempdir()) / "data-gym-cache") / file.cached
    for package, folder in _PACKAGES:
        spec = importlib.util.find_spec(package)
        for root in (spec.submodule_search_locations or []) if spec else []:
            yield Path(root) / folder / file.cached


def _of_files(name: str, paths: list[Path]) -> Tokenizer:
    contents = [path.read_bytes() for path in paths]
    for file, path, content in zip(KNOWN[name], paths, contents, strict=True):
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise ConfigError(f"{path} is not the published {file.name}.", "Download it again, or name another folder.")
    if name == "gpt2":
        return Tokenizer(name, _gpt2(*contents))
    if name == "cl100k":
        specials = {_END: 100257, "<|fim_prefix|>": 100258, "<|fim_middle|>": 100259, "<|fim_suffix|>": 100260}
        return Tokenizer(name, _ranked(contents[0], GPT4_PATTERN, {**specials, "<|endofprompt|>": 100276}))
    return Tokenizer(name, _ranked(contents[0], O200K_PATTERN, {_END: 199999, "<|endofprompt|>": 200018}))


def _gpt2(encoder: bytes, bpe: bytes) -> bytes:
    vocab: dict[str, int] = parse_json(encoder)
    specials = {_END: vocab.pop(_END)}
    token = {chars: bytes(map(BYTE_OF_CHAR.__getitem__, chars)) for chars in vocab}
    merges = [line.split(" ") for line in bpe.decode().split("\n")[1:-1]]  # the first line is a version
    ranks = {token[chars]: rank for chars, rank in vocab.items()}
    return tokenizer_json(ranks, [(token[left], token[right]) for left, right in merges], GPT2_PATTERN, specials)


def _ranked(tiktoken: bytes, pattern: str, specials: dict[str, int]) -> bytes:
    """Make a tokenizer from a file of ranks.

    tiktoken merges any pair whose bytes have a rank, so each such pair becomes a merge. A match of the pattern that is
    itself a token is not split at all.
    """
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, tiktoken.splitlines())}
    merges: list[tuple[bytes, bytes]] = []
    for token in ranks:
        halves = ((token[:at], token[at:]) for at in range(1, len(token)))
        pairs = [pair for pair in halves if ranks.keys() >= {*pair}]
        merges += sorted(pairs, key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
    return tokenizer_json(ranks, merges, pattern, specials, ignore_merges=True)
