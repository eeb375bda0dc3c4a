"""Corpora of made sentences for ablations, and small ablations of them."""

import random
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.ablate.ablate import ablate
from jobs.ablate.arms import Arm
from jobs.ablate.design import AblateJob
from jobs.runner.progress import Progress
from tests.bpe import small_tokenizer
from tests.engines import engine_of
from tests.tiny_tokens import sentences

SMALL = {
    "tokenizer": small_tokenizer(), "depth": 1, "window": 32, "batch": 8, "tokens": 48 * 32 * 8, "val_share": 0.1,
    "eval_tokens": 1500,
}  # fmt: skip


def texts_of(seed, count=400):
    """Documents of eight sentences. Each seed gives others."""
    return [" ".join(sentences(8, f"{seed} {number}")) for number in range(count)]


def half_shuffled(texts, seed=0):
    """The same texts. In each of them, half of the words change places."""
    draw, made = random.Random(seed), []
    for text in texts:
        words = text.split(" ")
        places = draw.sample(range(len(words)), len(words) // 2)
        moved = places[:]
        draw.shuffle(moved)
        for place, word in zip(places, [words[at] for at in moved], strict=True):
            words[place] = word
        made.append(" ".join(words))
    return made


def write_texts(folder, texts, **columns):
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"text": texts, **columns}), folder / "part-00000.parquet", row_group_size=100)
    return folder


def job_of(out, *locations, **changed):
    return replace(AblateJob(tuple(Arm.parse(str(one)) for one in locations), out, **SMALL), **changed)


def run(job, workers=1):
    return ablate(job, lambda: engine_of(workers), Progress(quiet=True))


def verdicts(results, arm):
    """The verdict on an arm by each set."""
    return {one["set"]: one["verdict"] for one in results["verdicts"] if one["arm"] == arm}
