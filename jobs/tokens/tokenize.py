"""`corpus tokenize`: texts in, a folder of tokens out (`corpus.tokens.token_folder`).

encode (one task per slice) → boxes of the shuffle → write (one task per output file) → tokens.json. Everything except
tokens.json is under .work/, or is a file that counts only once tokens.json names it. So the same command continues a
run from where it ended.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import metadata
from typing import Any

import numpy as np

from corpus.cpus import usable_cpus
from corpus.errors import InputError, IntegrityError
from corpus.storage.commits import Commit, Part
from corpus.storage.crash_points import reached
from corpus.storage.store import Location, as_json, open_store
from corpus.storage.task_commits import get_value, put_value
from corpus.tokens.encode_slice import COUNTS, Encoding, encode_slice
from corpus.tokens.encoder import Encoder
from corpus.tokens.shuffle import ROW_BYTES, Cut, fill_boxes, plan_cuts
from corpus.tokens.texts import Texts, TextSlice, open_texts
from corpus.tokens.token_files import FileTask, add_data, write_file
from corpus.tokens.token_folder import FORMAT_VERSION, SPLITS
from corpus.tokens.tokenizer import Tokenizer
from corpus.version import TOKEN_ROOMS, versions
from jobs.runner.derived import register
from jobs.runner.engine import Engine, Stop
from jobs.runner.execution import Execution, JobResult, Stopped, executing
from jobs.runner.folder import claim, open_folder
from jobs.runner.progress import Progress
from jobs.runner.terminal import say

FILE_TOKENS = 100_000_000
"""The number of tokens per file. They take 200 or 400 MB."""


@dataclass(frozen=True)
class TokenizeJob:
    """The options of a tokenization. Without `val_share`, `val_share_for` decides."""

    texts: Location
    out: Location
    tokenizer: Tokenizer
    layout: str = "flat"
    seed: int = 0
    val_share: float | None = None
    file_tokens: int = FILE_TOKENS


def val_share_for(documents: int) -> float:
    """Return the share of documents for validation: one in a hundred.

    A small corpus has a larger share, to get some hundred documents, but at most one in ten. A very large corpus has a
    smaller share, which gives 50,000 documents.
    """
    return round(min(max(0.01, min(0.1, 100 / documents)), max(50_000 / documents, 1e-6)), 6)


def tokenize(job: TokenizeJob, make_engine: Callable[[], Engine], progress: Progress) -> JobResult:
    """Run a tokenization to its end, or to the first stop signal. Raises CorpusError."""
    _ = job.tokenizer.bos, _encoder(job.tokenizer.data)  # both raise ConfigError before any work starts
    texts = open_texts(job.texts)
    plan = _plan(job, texts)
    store = open_folder(job.out)
    with store.only_run(), Stop() as stop:
        finished = claim(store, plan, "tokens.json")
        if texts.run:
            register(job.texts, "tokens", job.out)
        if finished is not None:
            store.remove(".work")
            return JobResult(0, finished, already_done=True)
        started = time.monotonic()
        try:
            with executing(store, make_engine, stop, progress) as execution:
                run = _Tokenizing(job, plan, texts, execution)
                boxes, encoded = run.encode()
                engines = sorted({done.facts["engine"] for done in encoded})
                if "tokenizers" in engines:
                    say("HF tokenizers encodes the texts, because gigatoken can't or gives other ids.")
                totals = run.totals(encoded)
                info = run.finish(totals, run.write(boxes, encoded, totals))
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


def _plan(job: TokenizeJob, texts: Texts) -> dict[str, Any]:
    """Return everything that decides the bytes of the result."""
    return {
        "texts": texts.identity(),
        "tokenizer": job.tokenizer.sha256,
        "layout": job.layout,
        "seed": job.seed,
        "val_share": val_share_for(texts.rows) if job.val_share is None else job.val_share,
        "file_tokens": job.file_tokens,
        "versions": versions(TOKEN_ROOMS) | {name: metadata.version(name) for name in ("gigatoken", "tokenizers")},
    }


@dataclass(frozen=True)
class _Tokenizing:
    """A running tokenization."""

    job: TokenizeJob
    plan: dict[str, Any]
    texts: Texts
    execution: Execution

    def encode(self) -> tuple[int, list[Commit]]:
        """Send the ids of all slices to boxes. Return the number of boxes per split, and the commits."""
        store, tokenizer = self.execution.store, self.job.tokenizer
        store.put_new(_TOKENIZER, tokenizer.data)
        # an id per 4 bytes of text, about
        size = self.texts.bytes // 4 * tokenizer.dtype.itemsize + ROW_BYTES * self.texts.rows
        bits, encoded = fill_boxes(store, size, self._encode)
        return 1 << bits, encoded

    def _encode(self, bits: int) -> list[Commit]:
        encoding = Encoding(self.job.tokenizer.sha256, self.job.seed, self.plan["val_share"], bits)
        common = {"store": self.execution.store.location, "encoding": asdict(encoding)}
        payloads = [{**common, "slice": asdict(part)} for part in self.texts.slices()]
        return self.execution.commits("encode", encode_task, payloads)

    def totals(self, encoded: list[Commit]) -> dict[str, dict[str, int]]:
        """Return the totals of each split. If a split is empty, free the folder again and raise InputError."""
        by_slice = [done.facts["splits"] for done in encoded]
        found = {split: {name: sum(one[split][name] for one in by_slice) for name in COUNTS} for split in SPLITS}
        share = self.plan["val_share"]
        for split, wanted in (("train", True), ("val", share > 0)):
            if wanted and not found[split]["documents"]:
                self.execution.store.remove(".work")
                what = f"No document of {self.texts.rows} is in {split}, with a share of {share} for val."
                raise InputError(what, "Give another --val-share, or more documents.")
        return found

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

    def finish(self, totals: dict[str, dict[str, int]], written: list[Commit]) -> dict[str, Any]:
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
        parts = [part for done in written for part in done.parts]
        beside = {"tokenizer.json": tokenizer.data, "token_bytes.json": as_json(tokenizer.token_bytes.tolist(), None)}
        parts += [add_data(self.execution.store, "tokenizer", data, 0, name) for name, data in beside.items()]
        return {
            "version": FORMAT_VERSION,
            "layout": self.job.layout,
            "dtype": tokenizer.dtype.name,
            "tokenizer": {key: getattr(tokenizer, key) for key in ("name", "sha256", "vocab_size", "bos", "bos_text")},
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
    return encode_slice(store, TextSlice(**payload["slice"]), encoding, tokenizer, encoder).as_dict()


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
