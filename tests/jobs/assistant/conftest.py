"""The base model of these tests, and the format of their conversations."""

import pytest

from jobs.assistant.conversation import ChatFormat
from jobs.model.generate import Continuer
from tests.bpe import small_tokenizer

WINDOW = 96


@pytest.fixture(scope="session")
def chat():
    return ChatFormat(small_tokenizer())


@pytest.fixture
def base(base_folder):
    return Continuer(base_folder)
