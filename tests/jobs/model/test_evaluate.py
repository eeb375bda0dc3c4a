"""Bits per byte."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from jobs.model.evaluate import evaluate
from jobs.model.train_settings import TrainWorker
from tests.jobs.model.runs import uniform
from tests.tiny_tokens import Ids


def test_a_uniform_model_scores_the_logarithm_of_the_vocabulary(tokens):
    found = evaluate(uniform(), tokens.val, tokens.token_bytes, 10**9, TrainWorker())
    assert found["bits_per_token"] == pytest.approx(math.log2(tokens.vocab_size), rel=1e-6)
    ids = tokens.val.read(1, tokens.val.tokens - 1)
    text = tokens.token_bytes[ids]
    assert found["val_tokens"] == (text > 0).sum() < len(ids)
    assert found["bpb"] == pytest.approx(math.log2(tokens.vocab_size) * (text > 0).sum() / text.sum(), rel=1e-6)


def test_bytes_are_those_of_tokens_and_not_of_their_decoded_text(tokens):
    """A single byte of a character decodes to U+FFFD, which has three bytes. By those, bits per byte would be a
    third."""
    raw = "日本の海。\xff".encode() + b"\xff\xfe"
    split = Ids([tokens.bos, *raw, tokens.bos, *raw])
    found = evaluate(uniform(), split, tokens.token_bytes, 10**9, TrainWorker())
    assert found["val_tokens"] == 2 * len(raw)
    assert found["bpb"] == pytest.approx(math.log2(tokens.vocab_size), rel=1e-6)


def test_what_the_loss_of_validation_is(tokens):
    model = uniform(8)
    torch.nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(0))
    split = Ids([tokens.bos, 65, 66, 67, tokens.bos, 68, 69])
    found = evaluate(model, split, tokens.token_bytes, 10**9, TrainWorker())
    ids = torch.from_numpy(split.ids.astype(np.int64))
    nats = F.cross_entropy(model(ids[None, :-1])[0], ids[1:], reduction="none")
    kept = [0, 1, 2, 4, 5]  # not the separator
    assert found["val_loss"] == pytest.approx(nats[kept].mean().item(), rel=1e-5)


@pytest.mark.parametrize("ids", [[], [0], [0, 0, 0]])
def test_without_text_there_is_nothing_to_say(tokens, ids):
    split = Ids([tokens.bos if number == 0 else number for number in ids])
    assert evaluate(uniform(), split, tokens.token_bytes, 10**9, TrainWorker()) == {}
