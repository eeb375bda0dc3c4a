"""The Ray cluster that a run starts on this machine is closed to all others."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from corpus.storage.private_folder import private_folder
from jobs.runner.ray_engine import ray_folder

ROOT = Path(__file__).resolve().parents[2]


def mode(path):
    return stat.S_IMODE(Path(path).stat().st_mode)


def test_token_and_folder_are_private(monkeypatch, tmp_path):
    before = os.umask(0)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "nobody's")
    try:
        private_folder.cache_clear()
        folder = ray_folder.__wrapped__()
        private_folder.cache_clear()
        again = ray_folder.__wrapped__()
    finally:
        os.umask(before)
    assert mode(folder) == 0o700
    assert mode(folder / "token") == 0o600
    assert len((folder / "token").read_text()) == 64
    assert (folder / "token").read_text() != (again / "token").read_text()
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert os.environ["RAY_AUTH_TOKEN_PATH"] == str(again / "token")


@pytest.mark.ray
def test_a_running_cluster_has_no_dashboard_and_a_private_folder(ray_engine):
    import ray

    engine = ray_engine()
    assert ray._private.worker._global_node.webui_url in (None, "")
    folder = Path(engine._temp)
    assert mode(folder) & 0o077 == 0 or mode(folder.parent) == 0o700
    assert mode(folder.parent) == 0o700
    assert Path(ray._private.worker._global_node.get_session_dir_path()).is_relative_to(folder)
    assert mode(os.environ["RAY_AUTH_TOKEN_PATH"]) == 0o600
    assert Path(os.environ["RAY_AUTH_TOKEN_PATH"]).parent == folder.parent


CLIENT = """
import sys, ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False, configure_logging=False)
except Exception as error:
    print(type(error).__name__)
else:
    print("in", ray.get(ray.remote(lambda: 6 * 7).remote()))
"""


def client(address, **environment):
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    own |= {"HOME": "/nonexistent", "RAY_USAGE_STATS_ENABLED": "0", **environment}
    done = subprocess.run([sys.executable, "-c", CLIENT, address], capture_output=True, text=True, env=own, cwd=ROOT)
    return done.stdout.strip().splitlines()[-1:]


@pytest.mark.slow
@pytest.mark.ray
def test_a_client_without_the_token_is_refused(ray_engine, tmp_path):
    import ray

    ray_engine()
    address = ray.get_runtime_context().gcs_address
    wrong = tmp_path / "token"
    wrong.write_text("0" * 64)
    (without,) = client(address, RAY_AUTH_MODE="disabled")
    (other,) = client(address, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(wrong))
    assert "Error" in without, without
    assert "Error" in other, other
    right = client(address, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=os.environ["RAY_AUTH_TOKEN_PATH"])
    assert right == ["in 42"]
