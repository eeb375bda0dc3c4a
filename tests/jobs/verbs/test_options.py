"""The meaning of the options of the verbs."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from jobs.runner.local_engine import LocalEngine
from jobs.verbs import options


@pytest.mark.parametrize(
    ("arguments", "workers"), [(["--no-ray"], 5), (["--no-ray", "--workers", "3"], 3), ([], 5), (["--workers", "3"], 3)]
)
def test_one_worker_per_usable_cpu_unless_workers_says_otherwise(monkeypatch, tmp_path, arguments, workers):
    monkeypatch.setattr(options, "usable_cpus", lambda: 5)

    @click.command()
    @options.engine_options
    def command(where):
        assert where.at_once == workers
        if where.no_ray:
            engine = where.engine(tmp_path)
            assert isinstance(engine, LocalEngine)
            assert engine.workers == workers

    assert CliRunner().invoke(command, arguments, catch_exceptions=False).exit_code == 0
