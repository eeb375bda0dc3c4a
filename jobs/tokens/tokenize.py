"""`corpus tokenize`: texts in, a folder of tokens out (`corpus.tokens.token_folder`).

encode (one task per slice) → boxes of the shuffle → write (one task per output file) → tokens.json. Everything except
tokens.json lies under .work/, or is a file that counts only once tokens.json names it. So the same command takes up a
run wherever it ended.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import metadata
from typing import Any

import numpy as np

from corpus.errors import InputError, IntegrityError
from corpus.storage.commits import Commit, Part
from corpus.storage.crash_points import reached
from corpus.storage.store import Location, Store, as_json, open_store
from corpus.storage.task_commits import get_value, put_value
from corpus.tokens.encode_slice import COUNTS, Encoding, encode_slice
from corpus.tokens.encoder import Encoder
from corpus.tokens.shuffle import ROW_BYTES, Cut, fill_boxes, plan_cuts
from corpus.tokens.texts import Texts, TextSlice, open_texts
from corpus.tokens.token_files import FileTask, add_data, write_file
from corpus.tokens.token_folder import FORMAT_VERSION, SPLITS
from corpus.tokens.tokenizer import Tokenizer
from corpus.version import TOKEN_ROOMS, versions
from jobs.runner.engine import Engine, Stop
from jobs.runner.execution import JobResult, Stopped, executing
from jobs.runner.folder import claim, open_folder
from jobs.runner.progress import Progress
from jobs.runner.retries import Function

FILE_TOKENS = 100_000_000
"""Tokens of a file: 200 or 400 MB."""


@dataclass(frozen=True)
class TokenizeJob:
    """A tokenization as the user asked for it. Without `val_share` the number of documents decides
    (`val_share_for`)."""

    texts: Location
    out: Location
    tokenizer: Tokenizer
    layout: str = "flat"
    seed: int = 0
    val_share: float | None = None
    file_tokens: int = FILE_TOKENS


def val_share_for(documents: int) -> float:
    """Return the share of documents for validation: one in a hundred. Small corpora give more, for some hundred
    documents, but at most one in ten. Very large ones give less, for 50,000 documents."""
    return round(min(max(0.01, min(0.1, 100 / documents)), max(50_000 / documents, 1e-6)), 6)


def tokenize(job: TokenizeJob, make_engine: Callable[[], Engine], progress: Progress) -> JobResult:
    """Tokenize to the end, or to the first stop signal. Raises CorpusError."""
    _check(job.tokenizer)
    texts = open_texts(job.texts)
    plan = _plan(job, texts)
    store = open_folder(job.out)
    with store.only_run(), Stop() as stop:
        finished = claim(store, plan, "tokens.json")
        if finished is not None:
            store.remove(".work")
            return JobResult(0, finished, already_done=True)
        started = time.monotonic()
        try:
            with executing(store, make_engine, stop, progress) as execution:
                run = _Tokenizing(job, plan, texts, store, execution.commits)
                boxes, encoded = run.encode()
                engines = sorted({done.facts["engine"] for done in encoded})
                if "tokenizers" in engines:
                    print(
                        "HF tokenizers encodes: the fast way does not know this tokenizer, or differs.", file=sys.stderr
                    )
                totals = run.totals(encoded)
                info = run.finish(totals, run.write(boxes, encoded, totals))
        except Stopped:
            return JobResult(128 + stop.signal)
        timings = {
            "seconds": round(time.monotonic() - started, 1),
            "host": socket.gethostname(),
            "cpus": os.cpu_count(),
            "encoders": engines,
        }
        store.replace("timings.json", as_json(timings))
        reached("before_tokens_json")
        store.put_new("tokens.json", as_json(info))
        reached("after_tokens_json")
        store.remove(".work")
        reached("tokens_work_removed")
    return JobResult(0, info)


def _check(tokenizer: Tokenizer) -> None:
    """Raise ConfigError before any task would."""
    _ = tokenizer.bos
    _encoder(tokenizer.data)


def _plan(job: TokenizeJob, texts: Texts) -> dict[str, Any]:
    """Return everything that decides the bytes of the result."""
    libraries = {name: metadata.version(name) for name in ("gigatoken", "tokenizers")}
    return {
        "texts": texts.identity(),
        "tokenizer": job.tokenizer.sha256,
        "layout": job.layout,
        "seed": job.seed,
        "val_share": val_share_for(texts.rows) if job.val_share is None else job.val_share,
        "file_tokens": job.file_tokens,
        "versions": versions(TOKEN_ROOMS) | libraries,
    }


@dataclass(frozen=True)
class _Tokenizing:
    """A tokenization that is running. `phase` runs a function over payloads."""

    job: TokenizeJob
    plan: dict[str, Any]
    texts: Texts
    store: Store
    phase: Callable[[str, Function, list[dict[str, Any]]], list[Commit]]

    def encode(self) -> tuple[int, list[Commit]]:
        """Send the ids of all slices to boxes. Return the number of boxes of a split, and the commits."""
        self.store.put_new(_TOKENIZER, self.job.tokenizer.data)
        # four bytes of text make an id, about
        size = self.texts.bytes // 4 * self.job.tokenizer.dtype.itemsize + ROW_BYTES * self.texts.rows
        bits, encoded = fill_boxes(self.store, size, self._encode)
        return 1 << bits, encoded

    def _encode(self, bits: int) -> list[Commit]:
        encoding = Encoding(self.job.tokenizer.sha256, self.job.seed, self.plan["val_share"], bits)
        common = {"store": self.store.location, "encoding": asdict(encoding)}
        return self.phase("encode", encode_task, [{**common, "piece": asdict(part)} for part in self.texts.slices()])

    def totals(self, encoded: list[Commit]) -> dict[str, dict[str, int]]:
        """Return tokens, documents and bytes of text by split. Raises InputError if a split is empty, and frees the
        folder again."""
        found = {
            split: {name: sum(done.facts["splits"][split][name] for done in encoded) for name in COUNTS}
            for split in SPLITS
        }
        share = self.plan["val_share"]
        for split, wanted in (("train", True), ("val", share > 0)):
            if wanted and not found[split]["documents"]:
                self.store.remove(".work")
                raise InputError(
                    f"No document of {self.texts.rows} is in {split}, with a share of {share} for val.",
                    "Give another --val-share, or more documents.",
                )
        return found

    def write(
        self, boxes: int, encoded: list[Commit], totals: dict[str, dict[str, int]]
    ) -> list[tuple[FileTask, Commit]]:
        """Write the output files, in order."""
        weights = np.zeros(len(SPLITS) * boxes, dtype=np.int64)
        for done in encoded:
            at, tokens = done.facts["weights"]
            weights[at] += np.array(tokens, dtype=np.int64)
        tasks = []
        for number, split in enumerate(SPLITS):
            tokens = totals[split]["tokens"]
            borders = [*range(0, tokens, self.job.file_tokens), tokens]
            cuts = plan_cuts(weights[number * boxes :][:boxes].tolist(), borders)
            for at, cut in enumerate(cuts):
                task = FileTask(split, at, cut, number * boxes, self.job.layout, self.job.tokenizer.dtype.itemsize)
                tasks.append(task)
        parts = put_value(self.store, [asdict(done.parts[0]) for done in encoded])
        common = {"store": self.store.location, "parts": parts}
        written = self.phase("write", write_task, [{**common, "task": asdict(task)} for task in tasks])
        return list(zip(tasks, written, strict=True))

    def finish(self, totals: dict[str, dict[str, int]], written: list[tuple[FileTask, Commit]]) -> dict[str, Any]:
        """Return the content of tokens.json. Raises IntegrityError if the counts do not balance. Write the files beside
        it."""
        tokenizer = self.job.tokenizer
        splits: dict[str, dict[str, Any]] = {}
        for split in SPLITS:
            own = [done for task, done in written if task.split == split]
            files = [{"name": done.parts[0].key} | {name: done.facts[name] for name in COUNTS} for done in own]
            sums = {name: sum(file[name] for file in files) for name in COUNTS}
            if sums != totals[split]:
                raise IntegrityError(f"{split} got {sums} instead of {totals[split]}.", "Please report this.")
            splits[split] = {**sums, "files": files}
        documents = sum(split["documents"] for split in splits.values())
        parts = [part for _, done in written for part in done.parts]
        beside = {"tokenizer.json": tokenizer.data, "token_bytes.json": as_json(tokenizer.token_bytes.tolist(), None)}
        parts += [add_data(self.store, "tokenizer", data, 0, name) for name, data in beside.items()]
        return {
            "version": FORMAT_VERSION,
            "layout": self.job.layout,
            "dtype": tokenizer.dtype.name,
            "tokenizer": {
                "name": tokenizer.name,
                "sha256": tokenizer.sha256,
                "vocab_size": tokenizer.vocab_size,
                "bos": tokenizer.bos,
                "bos_text": tokenizer.bos_text,
            },
            "splits": splits,
            "documents": {"in": self.texts.rows, "tokenized": documents, "empty": self.texts.rows - documents},
            "files": [{"name": part.key, "bytes": part.bytes, "sha256": part.sha256} for part in parts],
            "plan": self.plan,
        }


_TOKENIZER = ".work/tokenizer.json"


def encode_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Encode and commit one slice."""
    store, encoding = open_store(payload["store"]), Encoding(**payload["encoding"])
    tokenizer, encoder = _encoder(store.get(_TOKENIZER) or b"{}")
    if tokenizer.sha256 != encoding.tokenizer:
        raise IntegrityError(f"{store.where(_TOKENIZER)} is damaged.", "Delete the folder, and tokenize again.")
    return encode_slice(store, TextSlice(**payload["piece"]), encoding, tokenizer, encoder).as_dict()


@lru_cache(maxsize=1)
def _encoder(data: bytes) -> tuple[Tokenizer, Encoder]:
    """Return the encoder, kept from slice to slice: it takes a second to make, and gets faster with the words it has
    seen."""
    tokenizer = Tokenizer("tokenizer.json", data)
    return tokenizer, Encoder(tokenizer)


def write_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Write and commit one output file."""
    store = open_store(payload["store"])
    parts = [Part(**part) for part in get_value(store, payload["parts"])]
    task = FileTask(**{**payload["task"], "cut": Cut(**payload["task"]["cut"])})
    return write_file(store, task, parts, payload["parts"]).as_dict()
