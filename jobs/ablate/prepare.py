"""From the texts of all arms to tokens: what is held apart, one tokenizer, the tokens of each arm and set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from corpus.errors import CorpusError, InputError
from corpus.storage.store import Store, open_store
from corpus.tokens.apart import Apart, hash_slice
from corpus.tokens.choice import WHOLE, SourceSlice
from corpus.tokens.encode_slice import is_in_val
from corpus.tokens.token_folder import Split, Tokens, open_tokens
from corpus.tokens.tokenizer import Tokenizer
from corpus.tokens.train_tokenizer import MOST_CHARS_PER_TEXT, train_tokenizer
from jobs.ablate.arms import Arm
from jobs.runner.execution import Execution
from jobs.tokens.sources import Sources
from jobs.tokens.tokenize import TokenizeJob, tokenize_within

MOST_BYTES = 200_000_000
"""The number of bytes from which a shared tokenizer learns, over all arms."""

BYTES_PER_ID, LEAST_IDS, MOST_IDS = 1000, 512, 4096
"""A shared vocabulary has an id for so many bytes of an arm, but within bounds. The ids of a larger one would be
too rare to be learned."""

_TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class Prepared:
    """The tokens of all arms, and of the sets that no arm is trained on."""

    folder: Path
    arms: tuple[str, ...]
    held_out: tuple[str, ...]
    tokenizer: Tokenizer

    @cached_property
    def tokens(self) -> dict[str, Tokens]:
        return {name: open_tokens(self.place(name)) for name in (*self.arms, *self.held_out)}

    def place(self, name: str) -> Path:
        return self.folder / name

    @property
    def sets(self) -> dict[str, tuple[str, str]]:
        """The folder and the split of each validation set: a slice of each arm, and the sets of others."""
        slices = {name: (str(self.place(name)), "val") for name in self.arms}
        return slices | {name: (str(self.place(name)), "train") for name in self.held_out}

    @property
    def set_tokens(self) -> dict[str, int]:
        return {name: self.split(name).tokens for name in self.sets}

    def split(self, name: str) -> Split:
        """Return the tokens of a validation set."""
        found: Split = getattr(self.tokens[name], self.sets[name][1])
        return found


def prepare(
    arms: tuple[Arm, ...], held_out: tuple[Arm, ...], tokenizer: Tokenizer | None, vocab_size: int | None,
    val_share: float, execution: Execution,
) -> Prepared:  # fmt: skip
    """Tokenize all arms by one tokenizer. Raises Stopped, and CorpusError with the name of the arm."""
    store = execution.store
    work = Path(store.location, ".work")
    held_out = tuple(one.readable(work / "rows") for one in held_out)
    opened = {one.name: one.open() for one in (*arms, *held_out)}
    shares = {one.name: val_share for one in arms} | {one.name: 1.0 for one in held_out}
    slices = [(part, shares[name]) for name, sources in opened.items() for part in slices_of(sources)]
    common = {"store": store.location}
    payloads = [{**common, "source": asdict(part), "val_share": share} for part, share in slices]
    apart = Apart.of_commits(store, execution.commits("apart", apart_task, payloads))
    if tokenizer is None:
        own = {one.name: opened[one.name] for one in arms}
        tokenizer = _shared_tokenizer(store, own, vocab_size, val_share, apart)
    prepared = Prepared(
        work / "tokens", tuple(one.name for one in arms), tuple(one.name for one in held_out), tokenizer
    )
    for one in (*arms, *held_out):
        outside = one in held_out
        job = TokenizeJob(one.location, prepared.place(one.name), tokenizer, val_share=0.0 if outside else val_share,
                          apart=None if outside else apart)  # fmt: skip
        try:
            tokenize_within(job, replace(execution, store=open_store(job.out)))
        except CorpusError as error:
            raise type(error)(f"'{one.name}': {error.what}", error.todo) from None
    for name in prepared.sets:
        if prepared.split(name).tokens < 2:
            raise InputError(f"The validation set '{name}' has no text.", "Raise --val-share, or give more texts.")
    return prepared


def slices_of(sources: Sources) -> list[SourceSlice]:
    return [part for source in sources.all for part in source.slices()]


def apart_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Hash and commit the validation documents of one slice."""
    source = SourceSlice.from_dict(payload["source"])
    return hash_slice(open_store(payload["store"]), source, payload["val_share"]).as_dict()


def _shared_tokenizer(
    store: Store, arms: Mapping[str, Sources], vocab_size: int | None, val_share: float, apart: Apart
) -> Tokenizer:
    """Return a tokenizer that is learned from the same number of bytes of each arm. None of them are in a validation
    set. By default, its size suits the smallest arm."""
    if (data := store.get(f".work/{_TOKENIZER}")) is None:
        most = min(MOST_BYTES // len(arms), *(sum(one.texts.bytes for one in arm.all) for arm in arms.values()))
        found = [list(_some_texts(arm, most, val_share, apart)) for arm in arms.values()]
        least = min(sum(map(len, texts)) for texts in found)
        texts = (text for own in found for text in _first_bytes(own, least))
        size = vocab_size or shared_vocab(least)
        data = train_tokenizer("shared", texts, size, at_most=vocab_size is None).data
        store.put_new(f".work/{_TOKENIZER}", data)
    return Tokenizer("shared", data)


def shared_vocab(size: int) -> int:
    """Return the size of a vocabulary for arms with so many bytes."""
    return min(max(size // BYTES_PER_ID, LEAST_IDS), MOST_IDS)


def _some_texts(arm: Sources, most: int, val_share: float, apart: Apart) -> Iterator[bytes]:
    """Yield training texts of an arm, chosen by hash, until they have `most` bytes."""
    total = sum(source.texts.bytes for source in arm.all)
    limit = int(min(1.25 * most / max(total, 1), 1.0) * (WHOLE - 1))
    for part in slices_of(arm):
        for found in part.read(Counter(), part.part.text_columns):
            chosen = found.where((found.ranks <= limit) & ~apart.contains(found))
            for text in chosen.table["text"].to_pylist():
                if most <= 0:
                    return
                if not is_in_val(text, val_share):
                    data = text[:MOST_CHARS_PER_TEXT].encode()
                    yield data
                    most -= len(data)


def _first_bytes(texts: Sequence[bytes], left: int) -> Iterator[str]:
    for text in texts:
        yield text[: max(left, 0)].decode("utf-8", "ignore")
        left -= len(text)
