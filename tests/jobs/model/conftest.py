"""The tokens and the trained model of these tests."""

import pytest
import torch

from corpus.tokens.token_folder import open_tokens
from jobs.model.pretraining import Pretraining
from jobs.model.train import train
from jobs.model.train_settings import TrainWorker
from tests.jobs.model.runs import SETTINGS
from tests.tiny_tokens import make_tokens


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tokens_folder(tmp_path_factory):
    return make_tokens(tmp_path_factory.mktemp("train"))


@pytest.fixture(scope="session")
def tokens(tokens_folder):
    return open_tokens(tokens_folder)


@pytest.fixture(scope="session")
def whole(tokens, tmp_path_factory):
    """The weights of a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole") / "model"
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    train(folder, Pretraining(tokens, SETTINGS), TrainWorker())
    torch.set_num_threads(before)
    return folder
