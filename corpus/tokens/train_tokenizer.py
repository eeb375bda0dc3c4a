"""Training of a byte-level BPE on texts, by rustbpe, kept as one tokenizer.json."""

from __future__ import annotations

from collections.abc import Iterable

from corpus.errors import ConfigError, InputError
from corpus.tokens.byte_level_bpe import OUR_PATTERN, merge_of, tokenizer_json
from corpus.tokens.tokenizer import Tokenizer

MOST_CHARS_PER_TEXT = 10_000
"""Longer texts are cut here, so that a page of endless tables can't dominate the vocabulary (nanochat's value)."""

SPECIALS = (
    "<|bos|>", "<|im_start|>", "<|im_sep|>", "<|im_end|>", "<|call|>",
    *(f"<|reserved_{number}|>" for number in range(1, 12)),
)  # fmt: skip
"""The special tokens: the separator of documents, the marks of conversations (`Tokenizer.turn_marks`), and reserved
tokens.

Without reserved tokens, fine-tuning with a new special token would have to enlarge the embeddings.
"""


def train_tokenizer(name: str, texts: Iterable[str], vocab_size: int, at_most: bool = False) -> Tokenizer:
    """Learn a vocabulary of `vocab_size` ids, with the special tokens at its end. The order of the texts and the number
    of threads change nothing.

    Raises ConfigError for an impossible size, and InputError if the texts give fewer tokens. With `at_most`, the
    vocabulary is then smaller.
    """
    import rustbpe  # type: ignore[import-not-found,import-untyped,unused-ignore]

    learned = vocab_size - len(SPECIALS)
    if learned < 256:
        least = 256 + len(SPECIALS)
        raise ConfigError(f"A vocabulary of {vocab_size} is too small.", f"256 bytes and specials are {least}.")
    learner = rustbpe.Tokenizer()
    learner.train_from_iterator((text[:MOST_CHARS_PER_TEXT] for text in texts), learned, pattern=OUR_PATTERN)
    ranks = {bytes(token): rank for token, rank in learner.get_mergeable_ranks()}
    if at_most:
        learned = min(learned, len(ranks))
    if len(ranks) < learned:
        most = len(ranks) + len(SPECIALS)
        raise InputError(f"The texts give a vocabulary of {most} at most.", f"Use --vocab-size {most}, or more texts.")
    merges = [merge_of(token, ranks) for token in sorted(ranks, key=ranks.__getitem__)[256:]]
    specials = {special: learned + number for number, special in enumerate(SPECIALS)}
    return Tokenizer(name, tokenizer_json(ranks, merges, OUR_PATTERN, specials))
