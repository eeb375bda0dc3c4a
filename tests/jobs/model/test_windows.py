"""The windows of a training: every target once, in an order that seed and epoch decide."""

import numpy as np
import pytest
import torch

from corpus.errors import InputError
from jobs.model.windows import Windows, in_order, shuffled
from tests.tiny_tokens import Ids


@pytest.mark.parametrize("size", [*range(1, 20), 64, 65, 1000])
def test_the_shuffle_is_a_permutation(size):
    for epoch in range(3):
        assert sorted(shuffled(np.arange(size), size, 7, epoch)) == list(range(size))


def test_the_shuffle_differs_by_seed_and_epoch_and_not_by_what_is_asked():
    places = np.arange(1000)
    orders = [tuple(shuffled(places, 1000, seed, epoch)) for seed in range(3) for epoch in range(3)]
    assert len({*orders, tuple(places)}) == 10
    assert shuffled(np.array([5, 700]), 1000, 0, 0).tolist() == [orders[0][5], orders[0][700]]


def test_the_shuffle_leaves_no_neighbours_together():
    order = shuffled(np.arange(10_000), 10_000, 0, 0)
    together = (np.abs(np.diff(order)) == 1).mean()
    assert together < 0.002  # two of ten thousand are expected
    assert abs(np.corrcoef(order, np.arange(10_000))[0, 1]) < 0.05


def test_an_epoch_has_every_target_once():
    windows = Windows(Ids(range(103)), 10, seed=1)
    assert windows.count == 10
    ids, targets = windows.batch(0, 10)
    assert sorted(targets.flatten().tolist()) == list(range(1, 101))
    assert torch.equal(ids + 1, targets)


def test_a_batch_may_span_epochs_and_depends_on_nothing_else():
    windows = Windows(Ids(range(71)), 10, seed=1)
    all_at_once = windows.batch(0, 21)[0]
    assert torch.equal(torch.cat([windows.batch(first, 3)[0] for first in range(0, 21, 3)]), all_at_once)
    epochs = all_at_once.reshape(3, 70)
    assert all(torch.equal(epoch.sort().values, epochs[0].sort().values) for epoch in epochs)
    assert not torch.equal(epochs[0], epochs[1])


def test_one_window_is_enough_and_less_is_not():
    assert Windows(Ids(range(11)), 10, 0).count == 1
    with pytest.raises(InputError, match="There are 10 training tokens, fewer than one window of 10"):
        Windows(Ids(range(10)), 10, 0)


@pytest.mark.parametrize("limit", [5, 30, 33, 1000])
def test_validation_reads_every_target_once_up_to_the_limit(limit):
    read = [target for _, targets in in_order(Ids(range(60)), 10, limit, 2) for target in targets.flatten().tolist()]
    assert read == list(range(1, min(limit, 59) + 1))
