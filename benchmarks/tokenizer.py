"""Measure tokenizers: encoding, training and compression: `python -m benchmarks.tokenizer [--save]`.

The texts are all real ones of the shared data. Times are CPU seconds of one process with one thread, except where the
output names more threads. The encoders take turns in one run. tiktoken gets the same vocabulary and split pattern.
Held-out hosts are one in five, by hash of the host: no tokenizer is compared on a host that it was trained on.
"""

import argparse
import csv
import gzip
import hashlib
import json
import os
import resource
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one core, except for training
os.environ["RAYON_NUM_THREADS"] = "2"

import numpy as np
import pyarrow.parquet as pq
import tiktoken

from benchmarks.machine import machine_line, shared_data
from corpus.tokens.byte_level_bpe import GPT2_PATTERN, GPT4_PATTERN, O200K_PATTERN, OUR_PATTERN
from corpus.tokens.encoder import Encoder
from corpus.tokens.load_tokenizer import load_tokenizer
from corpus.tokens.tokenizer import Tokenizer
from corpus.tokens.train_tokenizer import MOST_CHARS_PER_TEXT, SPECIALS, train_tokenizer

FIGURES = Path(__file__).parent / "figures" / "tokenizer.txt"
SIZES = (8192, 16384, 32768, 50257, 65536)
NOT_ENGLISH = ("url", "language", "extract")
LANGUAGES = ("en", "de", "fr", "es", "ru", "zh", "ja", "ko", "ar", "hi")
PATTERNS = {"gpt2": GPT2_PATTERN, "cl100k": GPT4_PATTERN, "o200k": O200K_PATTERN}
ROUNDS = 3

Say = Callable[[str], None]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Real:
    """One real text: its source, its host if that is known, and whether it is English."""

    source: str
    text: str
    host: str
    english: bool

    @property
    def held(self) -> bool:
        return bool(self.host) and int(hashlib.sha256(self.host.encode()).hexdigest()[:8], 16) % 5 == 0


def real_texts(data: Path) -> list[Real]:
    """Pages as extracted and as filtered, main text by hand, news, e-mails, synthetic and translated sentences."""
    found = []
    for row in pq.read_table(data / "parity" / "datatrove_0.10.1.parquet").to_pylist():
        host, english = urlsplit(row["url"]).hostname or row["url"], row["stage"] not in NOT_ENGLISH
        found += [Real(kind, row[kind], host, english) for kind in ("text", "final_text") if row[kind]]
    with gzip.open(data / "truth" / "main_text.jsonl.gz", "rt", encoding="utf-8") as file:
        for page in map(json.loads, file):
            found.append(Real("truth", page["text"], urlsplit(page["url"]).hostname or page["url"], True))
    for path in sorted((data / "dedup").glob("*.train.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            found += [Real("news", line.partition(" ")[2], "", True) for line in file]
    with gzip.open(data / "pii" / "emails.jsonl.gz", "rt", encoding="utf-8") as file:
        found += [Real("e-mail", json.loads(line)["text"], "", True) for line in file]
    with open(data / "pii" / "synth_pii.json", encoding="utf-8") as file:
        found += [Real("pii", row["full_text"], "", True) for row in json.load(file)]
    with gzip.open(data / "langid" / "sentences.tsv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        found += [Real(f"langid.{row[0]}", row[1], "", False) for row in rows]
    return [text for text in found if text.text]


def size_of(texts: Iterable[str]) -> int:
    return sum(len(text.encode()) for text in texts)


def cpu(work: Callable[[], Result]) -> tuple[float, float, Result]:
    """Return the CPU seconds of all threads, the wall seconds, and the result of `work`."""
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    result = work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, time.perf_counter() - started, result


def as_tiktoken(tokenizer: Tokenizer) -> tiktoken.Encoding:
    ranks = {token: rank for rank, token in enumerate(tokenizer.tokens) if token}
    return tiktoken.Encoding(
        tokenizer.name, pat_str=PATTERNS.get(tokenizer.name, OUR_PATTERN), mergeable_ranks=ranks, special_tokens={}
    )


def encode_each(peer: tiktoken.Encoding, texts: list[str]) -> list[list[int]]:
    return list(map(peer.encode_ordinary, texts))


def encoding(say: Say, tokenizers: Sequence[Tokenizer], texts: list[str]) -> None:
    """Print the speed of the encoders, and whether all ids are equal."""
    size = size_of(texts) / 1e6
    say(f"\nEncoding {len(texts):,} texts, {size:.1f} MB, one core: MB per CPU second")
    say("first: each text for the first time, with no word known; then: texts with known words. Start: CPU seconds")
    say("                HF  tiktoken   first    then    x HF: first   then    x tiktoken: first   then    start")
    checks = []
    for tokenizer in tokenizers:
        slow = Encoder(tokenizer)
        slow._fast = None
        hf, _, (expected, counts) = cpu(partial(slow.encode, texts))
        started, _, encoder = cpu(partial(Encoder, tokenizer))
        assert encoder.engine == "gigatoken"
        cold, _, (ids, lengths) = cpu(partial(encoder.encode, texts))
        warm = min(cpu(partial(encoder.encode, texts))[0] for _ in range(ROUNDS))
        peer = as_tiktoken(tokenizer)
        runs = [cpu(partial(encode_each, peer, texts)) for _ in range(ROUNDS)]
        tik = min(spent for spent, _, _ in runs)
        say(
            f"  {tokenizer.name:9}{size / hf:7.1f}{size / tik:10.1f}{size / cold:8.1f}{size / warm:8.1f}"
            f"{hf / cold:15.1f}{hf / warm:7.1f}{tik / cold:21.1f}{tik / warm:7.1f}{started:9.1f}"
        )
        same = np.array_equal(ids, expected) and np.array_equal(lengths, counts)
        theirs = np.fromiter((number for one in runs[0][2] for number in one), dtype=np.uint32)
        sums = np.add.reduceat(tokenizer.token_bytes[ids], np.cumsum(lengths) - lengths).tolist()
        right = sum(total == len(text.encode()) for total, text in zip(sums, texts, strict=True))
        checks.append(
            f"  {tokenizer.name:9} {len(ids):,} ids: HF's {same}, tiktoken's {np.array_equal(theirs, ids)}; "
            f"bytes of tokens add up to the text's in {right:,} of {len(texts):,} texts"
        )
    for line in checks:
        say(line)


def hf_trained(texts: list[str], vocab_size: int) -> dict[str, int]:
    from tokenizers import Regex, models, pre_tokenizers, trainers
    from tokenizers import Tokenizer as HF

    made = HF(models.BPE())
    split = pre_tokenizers.Split(Regex(OUR_PATTERN), "isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, show_progress=False, initial_alphabet=alphabet)
    made.train_from_iterator((text[:MOST_CHARS_PER_TEXT] for text in texts), trainer)
    return made.get_vocab()


def training(say: Say, texts: list[str], vocab_size: int = 32768) -> None:
    """Print the time of our trainer beside HF's, both with as many threads as there are cores."""
    learned = vocab_size - len(SPECIALS)
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    ours_cpu, ours_wall, ours = cpu(lambda: train_tokenizer("ours", texts, vocab_size))
    hf_cpu, hf_wall, hf = cpu(lambda: hf_trained(texts, learned))
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    common = len(hf.keys() & ours.content["model"]["vocab"].keys())
    say(
        f"\nTraining {vocab_size:,} ids on {len(texts):,} texts, {size_of(texts) / 1e6:.1f} MB, "
        f"{MOST_CHARS_PER_TEXT:,} characters of each at most, two threads"
    )
    say(f"  HF's BpeTrainer  {hf_cpu:6.1f} s CPU  {hf_wall:6.1f} s wall")
    say(f"  ours (rustbpe)   {ours_cpu:6.1f} s CPU  {ours_wall:6.1f} s wall   {ours_cpu / hf_cpu:.2f} of the CPU time")
    say(f"  {common:,} of {learned:,} learned tokens in common (ties are broken differently)")


def ratio(tokenizer: Tokenizer, texts: list[str]) -> float:
    """Bytes of text per token."""
    return size_of(texts) / len(Encoder(tokenizer).encode(texts)[0])


def held_out(say: Say, real: list[Real], known: Sequence[Tokenizer]) -> None:
    """Print the compression of English pages of held-out hosts by tokenizers that were trained on the other hosts."""
    pages = [one.text for one in real if one.source == "text" and one.english and one.held]
    rest = [one for one in real if not one.held and one.source != "final_text"]
    sets = {
        "English": [one.text for one in rest if one.english],
        "all": [one.text for one in rest if not one.source.startswith("langid")],
    }
    base = ratio(known[0], pages)
    say(
        f"\nCompression of {len(pages):,} English pages of held-out hosts, {size_of(pages) / 1e6:.1f} MB: "
        "bytes per token, and against gpt2's"
    )
    for name, texts in sets.items():
        for size in SIZES:
            value = ratio(train_tokenizer("t", texts, size), pages)
            note = f"trained on {name} text of the other hosts, {size_of(texts) / 1e6:.1f} MB"
            say(f"  {size:7,} ids {value:7.3f}  {value / base - 1:+7.2%}   {note}")
    for one in known:
        value = ratio(one, pages)
        say(f"  {one.vocab_size:7,} ids {value:7.3f}  {value / base - 1:+7.2%}   {one.name}")


def by_language(say: Say, real: list[Real], known: Sequence[Tokenizer]) -> None:
    """Print the bytes per token by language, on sentences that no tokenizer of ours has seen."""
    texts = [one.text for one in real if one.source != "final_text" and not one.source.startswith("langid")]
    everyone = [*(train_tokenizer(f"{size:,}", texts, size) for size in SIZES), *known]
    say(f"\nBytes per token on 200 sentences of each language; ours trained on {size_of(texts) / 1e6:.1f} MB of pages")
    say(f"  {'':6}" + "".join(f"{one.name:>8}" for one in everyone))
    encoders = [Encoder(one) for one in everyone]
    groups = {language: [one.text for one in real if one.source == f"langid.{language}"] for language in LANGUAGES}
    groups["all 75"] = [one.text for one in real if one.source.startswith("langid")]
    for language, sentences in groups.items():
        values = [size_of(sentences) / len(encoder.encode(sentences)[0]) for encoder in encoders]
        say(f"  {language:6}" + "".join(f"{value:8.2f}" for value in values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--save", action="store_true", help=f"write them to figures/{FIGURES.name} too")
    options = parser.parse_args()
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    data = shared_data()
    real = real_texts(data)
    texts = [one.text for one in real]
    known = [load_tokenizer(name, data / "vocab") for name in ("gpt2", "cl100k", "o200k")]
    say(machine_line())
    training(say, texts)
    encoding(say, [train_tokenizer("ours 32k", texts, 32768), *known], texts)
    held_out(say, real, known)
    by_language(say, real, known)
    if options.save:
        FIGURES.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
