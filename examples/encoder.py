"""A score by a transformer encoder with ONNX Runtime (`pip install onnxruntime tokenizers`), many pages at once.

    corpus build crawl.warc.gz -o out --allow-module examples/encoder.py --recipe mine.toml

In the recipe, `folder` names a folder with model.onnx and tokenizer.json. Their digests belong to the run's
fingerprint. So that a text gets the same score in every run, one thread computes, batches have one shape, and scores
are rounded.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from corpus import Document, Limit, Stage
from corpus.stage import Measured

ROWS = 16  # in a batch


class Encoder(Stage):
    """The first output of an encoder with a head for one number, such as FineWeb-Edu's classifier."""

    name = "encoder"
    source = "your own model"
    reads = ("text",)

    score = Limit()

    def __init__(self, *, folder: str = "encoder", tokens: int = 512) -> None:
        self.folder = folder
        self.tokens = tokens

    def resources(self) -> dict[str, str]:
        files = [Path(self.folder, name) for name in ("model.onnx", "tokenizer.json")]
        return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    def prepare(self) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.model_ = onnxruntime.InferenceSession(str(Path(self.folder, "model.onnx")), options)
        self.tokenizer_ = Tokenizer.from_file(str(Path(self.folder, "tokenizer.json")))
        self.tokenizer_.enable_truncation(self.tokens)
        self.tokenizer_.enable_padding(length=self.tokens)

    def apply(self, doc: Document) -> Iterator[Measured]:
        yield from self.apply_batch([doc])[0]

    def apply_batch(self, docs: Sequence[Document]) -> list[list[Measured]]:
        texts = [doc.text.encode("utf-8", "replace").decode() for doc in docs]
        found = self.tokenizer_.encode_batch([*texts, *[""] * (-len(texts) % ROWS)])
        arrays = {key: np.array([getattr(one, of) for one in found], np.int64)
                  for key, of in (("input_ids", "ids"), ("attention_mask", "attention_mask"))}  # fmt: skip
        batches = ({key: rows[at : at + ROWS] for key, rows in arrays.items()} for at in range(0, len(found), ROWS))
        scores = np.concatenate([self.model_.run(None, one)[0].reshape(ROWS, -1)[:, 0] for one in batches])
        return [[("score", round(float(score), 6))] for score in scores[: len(docs)]]
