"""The fixtures of these tests."""

import pytest

from tests.bpe import small_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return small_tokenizer()
