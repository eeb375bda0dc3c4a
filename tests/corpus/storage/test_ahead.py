"""Requests that run at the same time, with answers in order."""

import itertools
import threading

import pytest

from corpus.storage.ahead import ahead


def test_results_come_in_order_and_the_work_is_done_at_the_same_time():
    together = threading.Barrier(3)

    def work(number):
        if number < 3:
            together.wait()  # returns only when three threads are here
        return 2 * number

    assert list(ahead(work, range(40), 3)) == [2 * number for number in range(40)]


def test_no_more_is_taken_when_the_reader_stops():
    numbers = itertools.count()
    results = ahead(str, numbers, 4)
    assert [next(results) for _ in range(3)] == ["0", "1", "2"]
    results.close()
    assert next(numbers) == 7


def test_an_error_reaches_the_reader_at_its_place():
    def work(number):
        if number == 2:
            raise KeyError(number)
        return number

    results = ahead(work, range(9))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(KeyError):
        next(results)
