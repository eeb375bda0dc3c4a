"""The meaning of the options of the verbs."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from jobs.runner import ray_engine
from jobs.runner.local_engine import LocalEngine
from jobs.verbs import options


@pytest.fixture
def where(monkeypatch):
    """A function that gives what `engine_options` make of arguments and environment, and what is said on stderr."""
    monkeypatch.setattr(options, "usable_cpus", lambda: 5)
    for name in ("RAY_ADDRESS", *options._RAY_JOB):
        monkeypatch.delenv(name, raising=False)

    def parse(*arguments, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

        @click.command()
        @options.engine_options
        def command(where):
            found.append(where)

        found = []
        result = CliRunner().invoke(command, arguments)
        return (found[0] if found else result.exit_code), result.stderr

    return parse


@pytest.fixture
def engines(monkeypatch):
    """What a Ray engine would be made of."""
    made = []
    monkeypatch.setattr(ray_engine, "RayEngine", lambda *arguments: made.append(arguments))
    return made


@pytest.mark.parametrize(("arguments", "workers"), [([], 5), (["--workers", "3"], 3)])
def test_one_worker_per_usable_cpu_unless_workers_says_otherwise(where, engines, arguments, workers):
    found, said = where(*arguments)
    engine = found.engine("out")
    assert isinstance(engine, LocalEngine)
    assert found.at_once == engine.workers == workers
    assert engines == []
    assert said == ""


@pytest.mark.parametrize(
    ("arguments", "made"),
    [
        (["--ray"], (None, None, "out", False)),
        (["--ray", "--workers", "3"], (3, None, "out", False)),
        (["--address", "head:6379"], (None, "head:6379", "out", False)),
        (["--address", "head:6379", "--insecure-cluster"], (None, "head:6379", "out", True)),
    ],
)
def test_ray_is_used_where_it_is_asked_for(where, engines, arguments, made):
    found, said = where(*arguments, RAY_ADDRESS="other:6379")  # what is said in the command counts
    found.engine("out")
    assert engines == [made]
    assert said == ""


@pytest.mark.parametrize(
    ("environment", "address", "says"),
    [
        ({"RAY_ADDRESS": "head:6379"}, "head:6379", "RAY_ADDRESS is set, so this runs on Ray, at head:6379."),
        ({"RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"}, "auto", "This is part of a Ray job"),
        ({"RAY_JOB_ID": "01000000"}, "auto", "This is part of a Ray job"),
        ({"RAY_JOB_CONFIG_JSON_ENV_VAR": "{}", "RAY_ADDRESS": "head:6379"}, "head:6379", "RAY_ADDRESS is set"),
    ],
)
def test_an_environment_of_ray_means_ray_and_is_named(where, engines, environment, address, says):
    found, said = where(**environment)
    found.engine("out")
    assert engines == [(None, address, "out", False)]
    assert said.startswith(says)
    assert said.count("\n") == 1


def test_what_marks_a_ray_job_is_what_ray_sets():
    from ray._private.ray_constants import RAY_INTERNAL_FLAGS
    from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR

    assert {RAY_JOB_CONFIG_JSON_ENV_VAR} == options._RAY_JOB - set(RAY_INTERNAL_FLAGS)


def test_an_empty_address_is_none(where, engines):
    assert isinstance(where(RAY_ADDRESS="")[0].engine("out"), LocalEngine)


def test_ray_here_and_a_cluster_exclude_each_other(where):
    code, said = where("--ray", "--address", "head:6379")
    assert code == 2
    assert "--ray starts Ray here, --address joins a cluster" in said
