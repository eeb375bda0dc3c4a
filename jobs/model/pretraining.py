"""The objective of pretraining: windows of a folder of tokens, in which every token adds to the loss."""

from __future__ import annotations

from typing import Any

import torch

from corpus.tokens.token_folder import Tokens
from jobs.model.evaluate import evaluate
from jobs.model.model import GPT
from jobs.model.train import Batch, compute_type
from jobs.model.train_settings import Settings, Shape, TrainWorker
from jobs.model.windows import Windows


class Pretraining:
    """A training `Objective` over tokens. Raises InputError if there are fewer tokens than one window needs."""

    def __init__(self, tokens: Tokens, settings: Settings) -> None:
        self.tokens, self.settings = tokens, settings
        self._windows = Windows(tokens.train, settings.window, settings.seed)

    def bound(self) -> dict[str, Any]:
        return self.settings.bound(self.tokens)

    @property
    def tokenizer(self) -> bytes:
        return self.tokens.tokenizer_path.read_bytes()

    def facts(self) -> dict[str, Any]:
        seen = self.settings.steps * self.settings.batch * self.settings.window
        val_share = self.tokens.info.get("plan", {}).get("val_share", 0.0)
        return {"bos": self.tokens.bos, "epochs": seen / self.tokens.train.tokens, "val_share": val_share}

    def first(self) -> GPT:
        shape = Shape.of_depth(self.settings.depth, self.tokens.vocab_size, self.settings.window)
        model = GPT(shape, compute_type(self.settings))
        model.init_weights(self.settings.seed)
        return model

    def batch(self, model: GPT, step: int, worker: TrainWorker) -> Batch:
        share = self.settings.batch // worker.workers
        ids, targets = self._windows.batch(step * self.settings.batch + worker.rank * share, share)
        return Batch(ids, targets, torch.full(ids.shape, 1 / ids.numel()))

    def evaluate(self, model: GPT, worker: TrainWorker) -> dict[str, Any]:
        return evaluate(model, self.tokens.val, self.tokens.token_bytes, self.settings.eval_tokens, worker)
