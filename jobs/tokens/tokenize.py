"""`corpus tokenize`: texts in, a folder of tokens out (`corpus.tokens.token_folder`).

encode (one task per slice) → boxes of the shuffle → write (one task per output file) → tokens.json. For a mixture, two
phases come first: survey (which documents its ledgers choose) and count (how far a budget of tokens reaches).
tokens.json is written last. Until then, every other file is temporary, or counts only after tokens.json names it. So
the same command continues an interrupted job.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from importlib import metadata
from typing import Any

import numpy as np

from corpus.cpus import usable_cpus
from corpus.errors import InputError, IntegrityError
from corpus.storage.commits import Commit, Part
from corpus.storage.crash_points import reached
from corpus.storage.store import Location, Store, as_json, open_store
from corpus.storage.task_commits import get_value, put_value
from corpus.tokens.apart import Apart
from corpus.tokens.choice import Reach, SourceSlice
from corpus.tokens.count_slice import Counting, count_slice
from corpus.tokens.encode_slice import COUNTS, Encoding, encode_slice
from corpus.tokens.encoder import Encoder
from corpus.tokens.shuffle import ROW_BYTES, Cut, fill_boxes, plan_cuts
from corpus.tokens.token_files import FileTask, add_data, write_file
from corpus.tokens.token_folder import FORMAT_VERSION, SPLITS
from corpus.tokens.tokenizer import Tokenizer
from corpus.version import TOKEN_ROOMS, versions
from jobs.runner.engine import Engine, Stop
from jobs.runner.execution import Execution, JobResult, Stopped, executing
from jobs.runner.folder import claim, open_folder
from jobs.runner.progress import Progress
from jobs.runner.terminal import say
from jobs.tokens.mixing import add_surveys, find_reach, survey_payloads, survey_task, table_of
from jobs.tokens.sources import Sources, open_sources

FILE_TOKENS = 100_000_000
"""The number of tokens per file. A file has 200 or 400 MB."""


@dataclass(frozen=True)
class TokenizeJob:
    """A tokenization as the user asked for it. `texts` is a folder of texts, or a mixture file. If `val_share` is None,
    `val_share_for` chooses the share. Documents that are held `apart` are not trained on."""

    texts: Location
    out: Location
    tokenizer: Tokenizer
    layout: str = "flat"
    seed: int = 0
    val_share: float | None = None
    file_tokens: int = FILE_TOKENS
    apart: Apart | None = None


def val_share_for(documents: int) -> float:
    """Return the share of documents for validation: one in a hundred.

    A small corpus has a larger share, to get about a hundred documents, but at most one in ten. A very large corpus has
    a smaller share, so that 50,000 documents are for validation.
    """
    return round(min(max(0.01, min(0.1, 100 / documents)), max(50_000 / documents, 1e-6)), 6)


def tokenize(job: TokenizeJob, make_engine: Callable[[], Engine], progress: Progress) -> JobResult:
    """Tokenize to the end, or to the first stop signal. Raises CorpusError."""
    _ = job.tokenizer.bos, _encoder(job.tokenizer.data)  # raise ConfigError before any work
    sources = open_sources(job.texts, job.seed)
    plan = _plan(job, sources)
    store = open_folder(job.out)
    with store.only_run(), Stop() as stop:
        finished = claim(store, plan, "tokens.json")
        sources.register(job.out)
        if finished is not None:
            store.remove(".work")
            return JobResult(0, finished, already_done=True)
        started = time.monotonic()
        try:
            with executing(store, make_engine, stop, progress) as execution:
                info, engines = _Tokenizing(job, plan, sources, execution).make()
        except Stopped:
            return JobResult(128 + stop.signal)
        seconds = round(time.monotonic() - started, 1)
        timings = {"seconds": seconds, "host": socket.gethostname(), "cpus": usable_cpus(), "encoders": engines}
        store.replace("timings.json", as_json(timings))
        reached("before_tokens_json")
        store.put_new("tokens.json", as_json(info))
        reached("after_tokens_json")
        store.remove(".work")
        reached("tokens_work_removed")
    return JobResult(0, info)


def tokenize_within(job: TokenizeJob, execution: Execution) -> None:
    """Tokenize as a part of another job, whose execution writes to the folder of the tokens. Raises Stopped."""
    sources = open_sources(job.texts, job.seed)
    store, plan = execution.store, _plan(job, sources)
    store.prepare()
    if claim(store, plan, "tokens.json") is None:
        store.put_new("tokens.json", as_json(_Tokenizing(job, plan, sources, execution).make()[0]))
    store.remove(".work")


def _plan(job: TokenizeJob, sources: Sources) -> dict[str, Any]:
    """Return everything that decides the bytes of the result."""
    return {
        **sources.plan(),
        "tokenizer": job.tokenizer.sha256,
        "layout": job.layout,
        "seed": sources.seed,
        "val_share": val_share_for(sources.rows) if job.val_share is None else job.val_share,
        "file_tokens": job.file_tokens,
        "versions": versions(TOKEN_ROOMS) | {name: metadata.version(name) for name in ("gigatoken", "tokenizers")},
        **({"apart": job.apart.sha256} if job.apart else {}),
    }


@dataclass(frozen=True)
class _Tokenizing:
    """A running tokenization."""

    job: TokenizeJob
    plan: dict[str, Any]
    sources: Sources
    execution: Execution

    def make(self) -> tuple[dict[str, Any], list[str]]:
        """Return the content of tokens.json, and the libraries that encoded."""
        boxes, encoded = self.encode(*self.reaches())
        engines = sorted({done.facts["engine"] for done in encoded})
        if "tokenizers" in engines:
            say("HF tokenizers encodes, because gigatoken can't, or gives different ids.")
        totals, mixed = self.totals(encoded)
        return self.finish(totals, encoded, self.write(boxes, encoded, totals)) | mixed, engines

    @cached_property
    def slices(self) -> list[list[SourceSlice]]:
        """The slices of each source."""
        return [source.slices() for source in self.sources.all]

    def reaches(self) -> tuple[list[Reach], int]:
        """Return how far the budget of each source reaches, and about how many bytes the rows of all tokens take."""
        store, mixture = self.execution.store, self.sources.mixture
        store.put_new(_TOKENIZER, self.job.tokenizer.data)
        if self.job.apart:
            store.put_new(_APART, self.job.apart.data)
        if mixture is None:
            texts = self.sources.all[0].texts
            return [Reach()], self._size(texts.bytes, texts.rows)
        reaches, size = [], 0
        counting = (self.job.tokenizer.sha256, self.plan["val_share"])
        with self._folder_is_free_again():
            for source, slices in zip(self.sources.all, self.slices, strict=True):
                surveyed = self.execution.phase("survey", survey_task, survey_payloads(source, slices))
                survey = add_surveys(source, surveyed)
                reach = find_reach(source, slices, survey, counting, count_task, self.execution, mixture.epochs)
                reaches.append(reach)
                size += self._size(survey["copied_bytes"], survey["copies"]) * max(reach.passes, 1)
        return reaches, size

    def _size(self, text_bytes: int, rows: int) -> int:
        return text_bytes // 4 * self.job.tokenizer.dtype.itemsize + ROW_BYTES * rows  # an id stands for about 4 bytes

    @contextmanager
    def _folder_is_free_again(self) -> Iterator[None]:
        """Free the folder for other settings if these settings give no tokens, but not if an input has changed."""
        try:
            yield
        except InputError as error:
            if type(error) is InputError:
                self.execution.store.remove(".work")
            raise

    def encode(self, reaches: list[Reach], size: int) -> tuple[int, list[Commit]]:
        """Send the ids of all slices to boxes. Return the number of boxes per split, and the commits."""
        bits, encoded = fill_boxes(self.execution.store, size, lambda bits: self._encode(bits, reaches))
        return 1 << bits, encoded

    def _encode(self, bits: int, reaches: list[Reach]) -> list[Commit]:
        apart = self.plan.get("apart", "")
        encoding = Encoding(self.job.tokenizer.sha256, self.sources.seed, self.plan["val_share"], bits, apart)
        common = {"store": self.execution.store.location, "encoding": asdict(encoding)}
        payloads = [
            {**common, "source": asdict(part), "reach": asdict(reach)}
            for slices, reach in zip(self.slices, reaches, strict=True)
            for part in slices
        ]
        return self.execution.commits("encode", encode_task, payloads)

    def totals(self, encoded: list[Commit]) -> tuple[dict[str, dict[str, int]], dict[str, Any]]:
        """Return the totals of each split, and the table of a mixture. If a split is empty, or a source is seen too
        often, free the folder again and raise InputError."""
        by_slice = [done.facts["splits"] for done in encoded]
        found = {split: {name: sum(one[split][name] for one in by_slice) for name in COUNTS} for split in SPLITS}
        share = self.plan["val_share"]
        with self._folder_is_free_again():
            for split, wanted in (("train", True), ("val", share > 0)):
                if wanted and not found[split]["documents"]:
                    what = f"None of the {self.sources.rows} documents is in {split}. The share of val is {share}."
                    raise InputError(what, "Give another --val-share, or more documents.")
            if self.sources.mixture is None:
                return found, {}
            numbers = [number for number, slices in enumerate(self.slices) for _ in slices]
            return found, {"mixture": table_of(self.sources, list(zip(numbers, encoded, strict=True)))}

    def write(self, boxes: int, encoded: list[Commit], totals: dict[str, dict[str, int]]) -> list[Commit]:
        """Write the output files, in order."""
        weights = np.zeros(len(SPLITS) * boxes, dtype=np.int64)
        for done in encoded:
            at, tokens = done.facts["weights"]
            weights[at] += np.array(tokens, dtype=np.int64)
        tasks = []
        item_bytes = self.job.tokenizer.dtype.itemsize
        for first_box, split in zip((0, boxes), SPLITS, strict=True):
            tokens = totals[split]["tokens"]
            borders = [*range(0, tokens, self.job.file_tokens), tokens]
            cuts = plan_cuts(weights[first_box:][:boxes].tolist(), borders)
            tasks += [FileTask(split, at, cut, first_box, self.job.layout, item_bytes) for at, cut in enumerate(cuts)]
        store = self.execution.store
        common = {"store": store.location, "parts": put_value(store, [asdict(done.parts[0]) for done in encoded])}
        return self.execution.commits("write", write_task, [{**common, "task": asdict(task)} for task in tasks])

    def finish(self, totals: dict[str, dict[str, int]], encoded: list[Commit], written: list[Commit]) -> dict[str, Any]:
        """Write the tokenizer's files and return the content of tokens.json. Raises IntegrityError if counts differ."""
        tokenizer = self.job.tokenizer
        splits: dict[str, dict[str, Any]] = {}
        for split in SPLITS:
            own = [done for done in written if done.parts[0].key.startswith(f"{split}-")]
            files = [{"name": done.parts[0].key} | {name: done.facts[name] for name in COUNTS} for done in own]
            sums = {name: sum(file[name] for file in files) for name in COUNTS}
            if sums != totals[split]:
                raise IntegrityError(f"{split} got {sums} instead of {totals[split]}.", "Please report this.")
            splits[split] = {**sums, "files": files}
        documents = sum(split["documents"] for split in splits.values())
        read = sum(done.facts["chosen"]["read"] for done in encoded)
        parts = [part for done in written for part in done.parts]
        beside = {"tokenizer.json": tokenizer.data, "token_bytes.json": as_json(tokenizer.token_bytes.tolist(), None)}
        parts += [add_data(self.execution.store, "tokenizer", data, 0, name) for name, data in beside.items()]
        return {
            "version": FORMAT_VERSION,
            "layout": self.job.layout,
            "dtype": tokenizer.dtype.name,
            "tokenizer": {key: getattr(tokenizer, key) for key in ("name", "sha256", "vocab_size", "bos", "bos_text")},
            "splits": splits,
            "documents": {
                "in": self.sources.rows,
                "tokenized": documents,
                "empty": self.sources.rows - read,
                **(
                    {"held_apart": sum(done.facts["chosen"].get("held_apart", 0) for done in encoded)}
                    if self.job.apart
                    else {}
                ),
            },
            "files": [{"name": part.key, "bytes": part.bytes, "sha256": part.sha256} for part in parts],
            "plan": self.plan,
        }


_TOKENIZER, _APART = ".work/tokenizer.json", ".work/apart.bin"


def encode_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Encode and commit one slice."""
    store, encoding = open_store(payload["store"]), Encoding(**payload["encoding"])
    tokenizer, encoder = _stored_encoder(store, encoding.tokenizer)
    source, reach = SourceSlice.from_dict(payload["source"]), Reach(**payload["reach"])
    apart = Apart.from_bytes(store.get(_APART), encoding.apart) if encoding.apart else None
    return encode_slice(store, source, reach, encoding, tokenizer, encoder, apart).as_dict()


def count_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Count the tokens of one slice, and commit."""
    store, counting = open_store(payload["store"]), Counting(**payload["counting"])
    _, encoder = _stored_encoder(store, counting.tokenizer)
    return count_slice(store, SourceSlice.from_dict(payload["source"]), counting, encoder).as_dict()


def _stored_encoder(store: Store, sha256: str) -> tuple[Tokenizer, Encoder]:
    tokenizer, encoder = _encoder(store.get(_TOKENIZER) or b"{}")
    if tokenizer.sha256 != sha256:
        raise IntegrityError(f"{store.where(_TOKENIZER)} is damaged.", "Delete the folder, and tokenize again.")
    return tokenizer, encoder


@lru_cache(maxsize=1)
def _encoder(data: bytes) -> tuple[Tokenizer, Encoder]:
    """Return the tokenizer and its encoder.

    They are cached, because an encoder takes a second to make, and becomes faster with the words that it has seen.
    """
    tokenizer = Tokenizer("tokenizer.json", data)
    return tokenizer, Encoder(tokenizer)


def write_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Write and commit one output file."""
    store = open_store(payload["store"])
    parts = [Part(**part) for part in get_value(store, payload["parts"])]
    task = FileTask(**{**payload["task"], "cut": Cut(**payload["task"]["cut"])})
    return write_file(store, task, parts, payload["parts"]).as_dict()
