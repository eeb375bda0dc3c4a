"""Steps that the driver does alone: they are counted, and a signal ends them."""

import itertools
import json

import pytest

from corpus.storage.store import LocalStore
from jobs.runner.engine import Stop
from jobs.runner.execution import Execution, Stopped
from jobs.runner.progress import Progress
from jobs.runner.state import STATE


@pytest.fixture
def execution(tmp_path):
    return Execution(LocalStore(tmp_path), engine=None, stop=Stop(), progress=Progress(quiet=True))


def phases(execution):
    return json.loads(execution.store.get(STATE))["phases"]


def test_steps_are_a_phase(execution):
    assert list(execution.follow("reading", iter("abc"), 3)) == ["a", "b", "c"]
    assert phases(execution) == {"reading": [3, 3]}


def test_a_signal_ends_them_before_the_next_step(execution):
    steps = itertools.count()
    with pytest.raises(Stopped):
        for step in execution.follow("reading", steps, 10**6):
            if step == 4:
                execution.stop.signal = 2
    assert next(steps) == 5
    assert phases(execution) == {"reading": [5, 10**6]}
