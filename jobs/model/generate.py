"""Continue prompts with a trained model, token by token."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from corpus.errors import InputError
from corpus.tokens.encoder import Encoder
from corpus.tokens.tokenizer import Tokenizer
from jobs.model.checkpoint import load_model, load_tokenizer
from jobs.model.model import GPT, Cache

MOST_KEPT = 0.8
"""If no more than this share of a batch goes on, the others are forgotten. That copies the whole cache."""


@dataclass(frozen=True)
class Sampling:
    """The way in which the next token is drawn. At temperature 0, the likeliest token is taken."""

    max_tokens: int = 200
    temperature: float = 0.8
    top_k: int | None = 50
    seed: int = 0


@dataclass(frozen=True)
class Drawn:
    """A drawn token of a sequence, the logarithm of its probability, and the likeliest tokens with their probabilities.

    The probabilities are those before temperature and top-k. `last` is True if the token ends its sequence.
    """

    row: int
    id: int
    log_probability: float
    likeliest: tuple[tuple[int, float], ...]
    last: bool


class Continuer:
    """A model with its tokenizer. Raises InputError if `folder` has no model, and IntegrityError if it is damaged."""

    def __init__(self, folder: Path, device: str = "cpu", kind: type[GPT] = GPT) -> None:
        self.model, self.state = load_model(folder, torch.device(device), kind)
        self.bos: int = self.state["bos"]
        self.tokenizer = load_tokenizer(folder)

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder(self.tokenizer)  # this takes some 80 ms, because the encoder is checked on samples

    def encode(self, prompt: str) -> list[int]:
        """Return the ids of a prompt at the start of a document.

        If the prompt contains the name of a special token, the name is plain text.
        """
        ids, _ = self._encoder.encode([prompt.encode("utf-8", "replace").decode()])
        return [self.bos, *ids.tolist()]

    def draw(self, prompt: Sequence[int], sampling: Sampling, number: int = 0, shown: int = 0) -> Iterator[Drawn]:
        """Yield up to `max_tokens` tokens, and none after the end of the document.

        Each `number` gives another continuation. The same number, seed and device give the same continuation.
        """
        ends = endings(self.tokenizer)  # the document ends with the separator, or with any other token without text
        banned = unused(self.model, self.tokenizer)
        for drawn in draw(self.model, [prompt], sampling, ends, [number], shown, banned, slide=True):
            if drawn.id not in ends:
                yield drawn


def endings(tokenizer: Tokenizer) -> set[int]:
    """Return the ids without text. Each of them ends a document."""
    return {number for number, token in enumerate(tokenizer.tokens) if token is None}


def unused(model: GPT, tokenizer: Tokenizer) -> range:
    """Return the ids of a model that its tokenizer does not have. They must never be drawn."""
    return range(len(tokenizer.tokens), model.shape.vocab_size)


# the parameters are the settings of one draw, for several sequences
def draw(
    model: GPT, prompts: Sequence[Sequence[int]], sampling: Sampling | Sequence[Sampling], ends: Collection[int],
    numbers: Sequence[int] | None = None, shown: int = 0, banned: Collection[int] = (), slide: bool = False,
    dropped: Collection[int] = (),
) -> Iterator[Drawn]:  # fmt: skip
    """Continue many prompts at once, and yield the tokens as they are drawn.

    The number of a sequence and the seed decide its draws. Other sequences have no influence. `sampling` is a single
    value for all sequences, or one value for each. A sequence ends after an id of `ends`, after `max_tokens`, or when
    it fills the window. With `slide`, it continues in a full window, whose later half is read again. The caller can end
    a sequence by adding its row to `dropped`.
    """
    window, device = model.shape.window, model.head.weight.device
    alive = list(range(len(prompts)))
    each = [sampling] * len(prompts) if isinstance(sampling, Sampling) else sampling
    chances = pad_sequence([_chances(*one) for one in zip(each, numbers or alive, strict=True)], True).to(device)
    temperatures = torch.tensor([[one.temperature] for one in each], dtype=torch.float64, device=device)
    top_ks = torch.tensor([[one.top_k or model.shape.vocab_size] for one in each], device=device)
    held = [list(prompt if len(prompt) <= window or not slide else prompt[-(window // 2) :]) for prompt in prompts]
    never = torch.tensor([*banned], dtype=torch.int64, device=device)
    over: set[int] = set()
    most = max(one.max_tokens for one in each)
    cache, ids = _read(model, held, most)
    for step in range(most):
        with torch.no_grad():  # as a decorator, it would be entered for each token
            logits = model.logits(model.trunk(ids, cache)[:, -1])
            logits[:, never] = -torch.inf
            chosen = _choose(logits, temperatures[alive], top_ks[alive], chances[alive, step])
            logs = logits.log_softmax(-1)
            top = logs.topk(min(shown, logits.size(1)))
        found = logs.gather(1, chosen[:, None])[:, 0].tolist()
        likeliest = [
            tuple(zip(*row, strict=True)) for row in zip(top.indices.tolist(), top.values.exp().tolist(), strict=True)
        ]
        full = cache.length == window and not slide
        for at, (row, number) in enumerate(zip(alive, chosen.tolist(), strict=True)):
            if row in over:
                continue
            held[row].append(number)
            last = number in ends or full or step + 1 == each[row].max_tokens
            yield Drawn(row, number, found[at], likeliest[at], last)
            if last or row in dropped:
                over.add(row)
        if len(over) == len(prompts):
            return
        going = [at for at, row in enumerate(alive) if row not in over]
        if len(going) <= MOST_KEPT * len(alive):
            alive = [alive[at] for at in going]
            kept = torch.tensor(going, device=device)
            cache.keep(kept)
            chosen = chosen[kept]
        ids = chosen[:, None]
        if cache.length == window:
            cache, ids = _read(model, [held[row][-(window // 2) :] for row in alive], most)


def _read(model: GPT, prompts: Sequence[Sequence[int]], most: int) -> tuple[Cache, Tensor]:
    """Return an empty cache with room for `most` more tokens, and the ids of prompts (batch, time) with padding on
    their left."""
    device = model.head.weight.device
    longest = max(map(len, prompts))
    if longest > model.shape.window:
        what = f"A prompt of {longest} tokens does not fit the window of {model.shape.window}."
        raise InputError(what, "Shorten it, or train a model with a larger --window.")
    padding = [longest - len(prompt) for prompt in prompts]
    ids = [[0] * missing + list(prompt) for missing, prompt in zip(padding, prompts, strict=True)]
    room = min(model.shape.window, longest + most)  # sequences that go on are copied, with all their room
    cache = Cache(model.shape, room, torch.tensor(padding, device=device), model.compute)
    return cache, torch.tensor(ids, device=device)


def _chances(sampling: Sampling, number: int) -> Tensor:
    """Return the random draws of a sequence, one per token, from [0, 1)."""
    digest = hashlib.sha256(f"{sampling.seed} {number}".encode()).digest()
    chance = torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)  # torch allows 63 bits
    return torch.rand(sampling.max_tokens, dtype=torch.float64, generator=chance)


def _choose(logits: Tensor, temperatures: Tensor, top_ks: Tensor, chances: Tensor) -> Tensor:
    """Return one id for each row of logits. Temperatures and top-ks are columns."""
    greedy = temperatures == 0
    likeliest = logits.argmax(-1) if greedy.any() else None  # this takes longer than the maximum alone
    if likeliest is not None and greedy.all():
        return likeliest
    logits = logits / temperatures.where(~greedy, 1).clamp(min=1e-30).float()  # smaller ones would give infinity
    if int(top_ks.min()) < logits.size(1):
        count = min(int(top_ks.max()), logits.size(1))
        least = logits.topk(count).values.gather(1, top_ks.clamp(max=count) - 1)
        logits = logits.masked_fill(logits < least, -torch.inf)
    upto = logits.softmax(-1).cumsum(-1)  # in float64, this takes as long as a block of the model
    total = upto[:, -1:]
    wanted = torch.minimum(chances[:, None].float() * total, total.nextafter(-total))  # rounding may give the total
    drawn = torch.searchsorted(upto, wanted, right=True)[:, 0]
    return drawn if likeliest is None else likeliest.where(greedy[:, 0], drawn)


class TextStream:
    """A converter from tokens to text. Bytes wait until their character is complete. Invalid bytes become U+FFFD."""

    def __init__(self, tokens: Sequence[bytes | None]) -> None:
        self._tokens = tokens
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, token: int) -> str:
        return self._decoder.decode(self._tokens[token] or b"")

    def end(self) -> str:
        """Return the rest of an incomplete character."""
        return self._decoder.decode(b"", final=True)


def token_text(token: bytes | None) -> str:
    """Return a token on one line, in quotes. Invisible characters and invalid bytes are escaped."""
    if token is None:
        return "end of document"
    try:
        text = token.decode()
    except UnicodeDecodeError:
        return repr(token)[1:]
    return repr(text) if text.isprintable() else "'" + text.encode("unicode_escape").decode() + "'"
