"""Samples of the documents of an arm."""

import numpy as np
import pytest

from corpus.tokens.token_folder import open_tokens
from jobs.ablate.selection import Selection, shared_documents


@pytest.fixture(scope="module")
def split(tokens_folder):
    return open_tokens(tokens_folder).train


def documents(ids, bos):
    """The documents in a sequence of ids. The last one may be cut."""
    return [tuple(part.tolist()) for part in np.split(ids, np.flatnonzero(ids == bos))[1:]]


def all_documents(split, bos):
    return documents(split.read(0, split.tokens), bos)


def test_a_selection_has_whole_documents_each_once_up_to_its_last_token(split, tokens_folder):
    bos = open_tokens(tokens_folder).bos
    there = all_documents(split, bos)
    selection = Selection(split, "arm 0", split.tokens // 2)
    found = documents(selection.read(0, selection.tokens), bos)
    assert (selection.tokens, len(found)) == (split.tokens // 2, selection.documents)
    left = list(there)
    for one in found[:-1]:
        left.remove(one)
    assert any(one[: len(found[-1])] == found[-1] for one in left)
    assert found[:-1] != there[: len(found) - 1]


def test_any_part_is_read_as_from_the_whole(split):
    selection = Selection(split, "arm 0", split.tokens // 3)
    whole = selection.read(0, selection.tokens)
    draw = np.random.default_rng(0)
    for _ in range(50):
        start, end = sorted(draw.integers(0, selection.tokens + 1, 2).tolist())
        assert (selection.read(start, end - start) == whole[start:end]).all()
    for start, count in ((-1, 2), (0, selection.tokens + 1), (selection.tokens, 1)):
        with pytest.raises(ValueError):
            selection.read(start, count)


def test_another_seed_gives_other_documents_and_the_same_seed_the_same(split):
    selections = [Selection(split, key, 500).read(0, 500).tolist() for key in ("arm 0", "arm 1", "other 0", "arm 0")]
    assert selections[0] == selections[3]
    assert selections[0] not in selections[1:3]
    assert selections[1] != selections[2]


def test_a_selection_of_more_than_everything_has_everything(split, tokens_folder):
    bos = open_tokens(tokens_folder).bos
    selection = Selection(split, "arm 0", 10 * split.tokens)
    assert selection.tokens == split.tokens
    assert sorted(documents(selection.read(0, selection.tokens), bos)) == sorted(all_documents(split, bos))


@pytest.mark.parametrize("share", [0.3, 0.49, 0.8, 1.0])
def test_the_null_arm_shares_no_more_documents_than_it_must(split, tokens_folder, share):
    most = int(share * split.tokens)
    firsts = [Selection(split, "arm 0", most, backwards=back) for back in (False, True)]
    used = [set(one._starts.tolist()) for one in firsts]
    shared = len(used[0] & used[1]) / len(used[0])
    assert shared == pytest.approx(shared_documents(split, most), abs=0.05)
    if share < 0.5:
        assert not shared
