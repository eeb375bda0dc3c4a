"""Continue a prompt with a trained model, token by token."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from corpus.errors import ConfigError, IntegrityError
from corpus.tokens.encoder import Encoder
from corpus.tokens.tokenizer import Tokenizer
from jobs.model.checkpoint import load_model
from jobs.model.model import Cache


@dataclass(frozen=True)
class Sampling:
    """The way in which the next token is drawn. At temperature 0 it is the likeliest one."""

    max_tokens: int = 200
    temperature: float = 0.8
    top_k: int | None = 50
    seed: int = 0


@dataclass(frozen=True)
class Drawn:
    """A drawn token, and the likeliest tokens with their probabilities before temperature and top-k."""

    id: int
    likeliest: tuple[tuple[int, float], ...]


class Continuer:
    """A model with its tokenizer. Raises InputError if `folder` has no model, and IntegrityError if it is damaged."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        self.device = torch.device(device)
        self.model, state = load_model(folder, self.device)
        self.bos: int = state["bos"]
        file = folder / "tokenizer.json"
        try:
            self.tokenizer = Tokenizer(file.name, file.read_bytes())
        except (OSError, ConfigError):
            raise IntegrityError(f"{file} is missing or damaged.", "Copy it from the folder of the tokens.") from None

    def encode(self, prompt: str) -> list[int]:
        """Return the ids of a prompt at the start of a document. The name of a special token in it is plain text."""
        ids, _ = Encoder(self.tokenizer).encode([prompt.encode("utf-8", "replace").decode()])
        return [self.bos, *ids.tolist()]

    def draw(self, prompt: Sequence[int], sampling: Sampling, number: int = 0, shown: int = 0) -> Iterator[Drawn]:
        """Yield up to `max_tokens` tokens, and none after the end of the document. Each `number` gives another
        continuation. The same number, seed and device give the same continuation."""
        digest = hashlib.sha256(f"{sampling.seed} {number}".encode()).digest()
        chance = torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)  # 63 bits, torch's limit
        window, tokens = self.model.shape.window, self.tokenizer.tokens
        held: list[int] = []
        ids = list(prompt)
        for _ in range(sampling.max_tokens):
            held += ids
            if len(held) > window:  # read the later half again
                ids = held = held[-(window // 2) :]
            if len(ids) == len(held):
                cache = Cache(self.model.shape, 1, self.device, self.model.compute)
            with torch.no_grad():
                logits = self.model(torch.tensor([ids], device=self.device), cache=cache)[0, -1].float().cpu()
            logits[len(tokens) :] = -torch.inf
            chosen = _choose(logits, sampling, chance)
            if chosen == self.bos or tokens[chosen] is None:
                return  # the separator, or any other token without text, ends the document
            top = logits.softmax(0).topk(min(shown, len(logits)))
            yield Drawn(chosen, tuple(zip(top.indices.tolist(), top.values.tolist(), strict=True)))
            ids = [chosen]


def _choose(logits: Tensor, sampling: Sampling, chance: torch.Generator) -> int:
    if sampling.temperature == 0:
        return int(logits.argmax())
    # as doubles, and with the likeliest at 0, since very small temperatures would give infinity
    logits = (logits - logits.max()).double() / sampling.temperature
    if sampling.top_k:
        least = logits.topk(min(sampling.top_k, len(logits))).values[-1]
        logits = logits.masked_fill(logits < least, -torch.inf)
    return int(torch.multinomial(logits.softmax(0), 1, generator=chance))


class TextStream:
    """Turns tokens into text. Bytes wait until their character is complete. Invalid bytes become U+FFFD."""

    def __init__(self, tokens: Sequence[bytes | None]) -> None:
        self._tokens = tokens
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, token: int) -> str:
        return self._decoder.decode(self._tokens[token] or b"")

    def end(self) -> str:
        """Return the rest of an incomplete character."""
        return self._decoder.decode(b"", final=True)


def token_text(token: bytes | None) -> str:
    """Return a token on one line: in quotes, with escapes for invisible characters and invalid bytes."""
    if token is None:
        return "end of document"
    try:
        text = token.decode()
    except UnicodeDecodeError:
        return repr(token)[1:]
    return repr(text) if text.isprintable() else "'" + text.encode("unicode_escape").decode() + "'"
