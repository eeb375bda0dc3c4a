"""Crash points: which process ends at which point, and the trace of points."""

import os
import signal

from corpus.storage.crash_points import Crash


def test_one_process_is_hit_at_the_time_asked_for(tmp_path):
    taken = []
    before = signal.signal(signal.SIGUSR1, lambda *_: taken.append(len((tmp_path / "trace").read_text().splitlines())))
    asked = {"CORPUS_CRASH_AT": "here:2", "CORPUS_CRASH_ONCE": str(tmp_path / "once"), "CORPUS_CRASH_SIGNAL": "SIGUSR1"}
    asked["CORPUS_CRASH_TRACE"] = str(tmp_path / "trace")
    try:
        first, second = Crash(asked), Crash(asked)
        for crash in (first, second):
            for point in ("here", "elsewhere", "here", "here"):
                crash.reached(point)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert taken == [3]  # at the second time, and not in a second process with the same variables
    assert (tmp_path / "once").read_text() == str(os.getpid())
    own = f" {os.getpid()}"
    assert (tmp_path / "trace").read_text().splitlines() == [
        f"{p}{own}" for p in ("here", "elsewhere", "here", "here")
    ] * 2
