"""The helper that tells linear work from quadratic."""

import gc
import time

import pytest

from tests.growth import assert_linear


def pairs(count: int) -> int:
    return sum(1 for one in range(count) for other in range(count) if one == other)


@pytest.mark.parametrize("clock", [time.thread_time, time.process_time])
def test_linear_work_passes(clock):
    assert assert_linear(range, sum, 1_000_000, clock) == sum(range(1_000_000))
    assert assert_linear(lambda size: list(range(size, 0, -1)), sorted, 200_000, clock)[0] == 1


def test_work_of_constant_or_no_time_passes():
    assert assert_linear(bytes, lambda data: data[:3], 10_000_000) == bytes(3)
    assert assert_linear(lambda size: None, lambda nothing: nothing, 16) is None


@pytest.mark.parametrize("clock", [time.thread_time, time.process_time])
def test_quadratic_work_fails(clock):
    with pytest.raises(AssertionError, match="Not linear"):
        assert_linear(int, pairs, 2_000, clock)


class Clock:
    """A clock that work moves: the time for a size is what `costs` gives, call by call."""

    def __init__(self, costs):
        self.costs, self.now = costs, 0.0

    def __call__(self):
        return self.now

    def work(self, size):
        self.now += next(self.costs[size])


def test_one_try_without_disturbance_is_enough():
    small = [9, 0.01, 0.03, 0.02, 0.04, 0.03, 0.02, 0.03, 0.02, 0.04]  # the first one warms up
    clock = Clock({100: iter(small), 1_600: iter([2, 0.6])})
    assert_linear(int, clock.work, 1_600, clock)
    assert clock.now > sum(small)


def test_a_disturbed_small_input_hides_nothing():
    clock = Clock({100: iter([1, *[0.05, 0.001, 0.03] * 5]), 1_600: iter([0.256] * 5)})
    with pytest.raises(AssertionError, match="256 times"):
        assert_linear(int, clock.work, 1_600, clock)


def test_a_machine_that_becomes_faster_hides_nothing():
    clock = Clock({100: iter([1, *[0.05, 0.04, 0.04, 0.01, 0.01, 0.01] * 5]), 1_600: iter([2.56] * 5)})
    with pytest.raises(AssertionError, match="256 times"):
        assert_linear(int, clock.work, 1_600, clock)


def test_collections_go_on_afterwards():
    assert_linear(int, lambda size: None, 16)
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        assert_linear(int, lambda size: 1 / 0, 16)
    assert gc.isenabled()
