"""Portions of a finished run. Whole replays are in tests/jobs/show/test_steering.py and test_remove.py."""

import pyarrow as pa

from corpus.revise.portion_replay import _exceptions


def test_an_exception_is_said_once_in_the_order_of_the_ledger():
    ledger = pa.table({"id": ["w:0", "w:5", "w:9", "w:12"]})
    before = [{"id": "w:9", "stopped_by": "memory"}, {"id": "w:12", "stopped_by": "timeout"}]
    now = [{"id": "w:0", "stopped_by": "memory"}, {"id": "w:9", "stopped_by": "timeout"}]
    assert _exceptions(before, now, ledger) == [now[0], now[1], before[1]]
    assert _exceptions([], [], ledger) == []
