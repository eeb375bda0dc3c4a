"""The tokens and the trained model of these tests."""

import pytest
import torch

from corpus.tokens.token_folder import open_tokens
from jobs.model.pretraining import Pretraining
from jobs.model.train import train
from jobs.model.train_settings import TrainWorker
from tests.jobs.model.runs import SETTINGS


@pytest.fixture(scope="session")
def tokens(tokens_folder):
    return open_tokens(tokens_folder)


@pytest.fixture(scope="session")
def whole(tokens, tmp_path_factory):
    """The weights of a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole") / "model"
    torch.set_num_threads(1)
    train(folder, Pretraining(tokens, SETTINGS), TrainWorker())
    return folder
