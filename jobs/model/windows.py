"""The tokens of a training step: windows without replacement, in an order that (seed, epoch) decides.

The state of the reader is one integer, the number of windows read so far. No other state is needed, because no random
numbers are drawn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from corpus.errors import InputError

_ROUNDS = 4


class Ids(Protocol):
    """A sequence of token ids: a split, or a part of one."""

    @property
    def tokens(self) -> int:
        """The number of ids."""

    def read(self, start: int, count: int) -> np.ndarray:
        """Return the ids from `start` to `start + count` as a new array."""


def shuffled(positions: np.ndarray, size: int, seed: int, epoch: int) -> np.ndarray:
    """Return the positions after a permutation of range(size). The permutation itself is never stored.

    It is a Feistel network over the next power of four, repeated until the result is in the range (cycle walking; Black
    and Rogaway 2002). The result is the same on every machine and version.
    """
    half = np.uint64(max(1, (size - 1).bit_length() + 1) // 2)
    mask = (np.uint64(1) << half) - np.uint64(1)
    digest = hashlib.sha256(f"{seed} {epoch}".encode()).digest()
    keys = np.frombuffer(digest, "<u8", _ROUNDS)
    found = positions.astype(np.uint64)
    todo = np.ones(len(found), bool)
    while todo.any():
        left, right = found[todo] >> half, found[todo] & mask
        for key in keys:
            left, right = right, left ^ (_mix(right ^ key) & mask)
        found[todo] = left << half | right
        todo = found >= size
    return found.astype(np.int64)


def _mix(x: np.ndarray) -> np.ndarray:
    """Apply the finalizer of splitmix64."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = x ^ (x >> np.uint64(31))
    return mixed


class Windows:
    """A split cut into windows of `length` tokens. A window comes with the token after it.

    In each epoch, every token is a target once. Exceptions are the first token, and the tokens of a shorter last
    window.
    """

    def __init__(self, split: Ids, length: int, seed: int) -> None:
        self.split, self.length, self.seed = split, length, seed
        self.count = (split.tokens - 1) // length
        if self.count < 1:
            what = f"There are {split.tokens} training tokens, fewer than one window of {length} and its next token."
            raise InputError(what, "Train on more text, or with a smaller --window.")

    def batch(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets (count, length) of `count` windows.

        The first window is number `first`, counted over all epochs.
        """
        numbers = np.arange(first, first + count)
        starts = np.empty(count, np.int64)
        for epoch in np.unique(numbers // self.count):
            here = numbers // self.count == epoch
            starts[here] = shuffled(numbers[here] % self.count, self.count, self.seed, int(epoch))
        rows = np.stack([self.split.read(int(start) * self.length, self.length + 1) for start in starts])
        ids = torch.from_numpy(rows.astype(np.int64))
        return ids[:, :-1], ids[:, 1:]


def in_order(split: Ids, length: int, limit: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the first `limit` targets of a split in order, as batches of windows (batch, length).

    A shorter last window is a batch by itself. If there is no target, there is no batch.
    """
    targets = min(limit, split.tokens - 1)
    whole = max(0, targets) // length
    for first in range(0, whole, batch):
        count = min(batch, whole - first)
        ids = torch.from_numpy(split.read(first * length, count * length + 1).astype(np.int64))
        yield ids[:-1].view(count, length), ids[1:].view(count, length)
    rest = targets - whole * length
    if rest > 0:
        ids = torch.from_numpy(split.read(whole * length, rest + 1).astype(np.int64))[None]
        yield ids[:, :-1], ids[:, 1:]
