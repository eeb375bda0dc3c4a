"""Steps that the driver does alone: they are counted, and a signal ends them."""

import itertools
import json
import os
import signal
from dataclasses import replace

import pytest

from corpus.storage.store import LocalStore
from jobs.build.build import build
from jobs.runner.engine import Stop
from jobs.runner.execution import Execution, Stopped
from jobs.runner.progress import Progress
from jobs.runner.state import STATE
from tests.engines import engine_of
from tests.jobs.build.test_build import STAGES, build_quietly, job, tree
from tests.warcs import WORDS, page, write_warc


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


def test_after_a_signal_no_other_phase_starts(tmp_path):
    """A run is stopped at the start of each of its phases, those of the driver alone too, and continued each time."""
    pages = {f"http://site{number}.example/": page(f"Page {number}", WORDS) for number in range(20)}
    archive = write_warc(tmp_path / "a.warc.gz", pages)
    made = job([archive], tmp_path / "out", {"stages": [*STAGES["stages"], {"stage": "minhash"}]})
    met, started = set(), []

    class Signalled(Progress):
        def start(self, phase, *given, **more):
            started.append(phase)
            super().start(phase, *given, **more)
            step = phase, started.count(phase)
            if step not in met:
                met.add(step)
                os.kill(os.getpid(), signal.SIGINT)

    codes = []
    while not codes or codes[-1]:
        started.clear()
        codes.append(build(made, lambda: engine_of(1), Signalled(quiet=True)).exit_code)
        assert codes[-1] == (0 if len(codes) > len(met) else 130)
    assert {"pass", "reading commits", "comparing (minhash)", "pack", "manifest"} == {phase for phase, _ in met}
    assert build_quietly(replace(made, out=tmp_path / "undisturbed")).exit_code == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "undisturbed")
