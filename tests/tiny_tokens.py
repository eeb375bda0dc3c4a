"""A folder of tokens of made sentences, small enough for a training of a second."""

import random
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpus.tokens.token_folder import open_tokens
from jobs.runner.progress import Progress
from jobs.tokens.tokenize import TokenizeJob, tokenize
from tests.bpe import small_tokenizer
from tests.engines import InProcess

SUBJECTS = ("the fisherman", "a child", "my neighbour", "the old dog", "our teacher", "the café owner")
VERBS = ("sees", "likes", "looks for", "never forgets", "draws")
OBJECTS = ("the sea.", "three boats.", "a red house.", "the way home.", "日本の海。")


def sentences(count, seed=0):
    draw = random.Random(seed)
    return [" ".join((draw.choice(SUBJECTS), draw.choice(VERBS), draw.choice(OBJECTS))) for _ in range(count)]


def make_tokens(folder, documents=200):
    """Make the tokens of documents of a few sentences each. A tenth is for validation."""
    texts = [" ".join(sentences(8, seed)) for seed in range(documents)]
    source = folder / "texts"
    source.mkdir(parents=True)
    pq.write_table(pa.table({"text": texts}), source / "part-00000.parquet")
    job = TokenizeJob(source, folder / "tokens", small_tokenizer(), val_share=0.1)
    tokenize(job, lambda: InProcess(), Progress(quiet=True))
    return folder / "tokens"


class Ids:
    """A split in memory."""

    def __init__(self, ids):
        self.ids, self.tokens = np.array(ids, np.uint16), len(ids)

    def read(self, start, count):
        assert 0 <= start <= start + count <= self.tokens
        return self.ids[start : start + count]


def in_memory(folder, **changed):
    """The tokens of a folder, with parts of them replaced."""
    tokens = open_tokens(folder)
    names = ("info", "vocab_size", "bos", "token_bytes", "tokenizer_path", "train", "val")
    return SimpleNamespace(**{name: getattr(tokens, name) for name in names} | changed)
