"""A small base model, and an assistant made of it."""

import pytest
import torch

from corpus.tokens.token_folder import open_tokens
from jobs.assistant.conversation import ChatFormat
from jobs.model.generate import Continuer
from jobs.model.pretraining import Pretraining
from jobs.model.train import train
from jobs.model.train_settings import Settings, TrainWorker
from tests.bpe import small_tokenizer
from tests.tiny_tokens import make_tokens

WINDOW = 96


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Threads that wait for each other make small models slow on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def chat():
    return ChatFormat(small_tokenizer())


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("assistant")
    settings = Settings(depth=1, window=WINDOW, batch=4, steps=20, lr=0.01, seed=0, precision="fp32", eval_every=20,
                        eval_tokens=200)  # fmt: skip
    train(folder / "base", Pretraining(open_tokens(make_tokens(folder)), settings), TrainWorker())
    return folder / "base"


@pytest.fixture
def base(base_folder):
    return Continuer(base_folder)
