"""The Ray cluster that a run starts on this machine is closed to all others."""

import ipaddress
import os
import stat
import subprocess
import sys
from contextlib import suppress
from itertools import chain
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


def listening(process):
    """The addresses on which a process listens, from the tables of Linux."""
    table = {}
    for kind, size in (("tcp", 4), ("tcp6", 16)):
        for line in Path(f"/proc/{process}/net/{kind}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":  # listens
                words = bytes.fromhex(fields[1].partition(":")[0])
                host = b"".join(words[at : at + 4][::-1] for at in range(0, size, 4))
                table[f"socket:[{fields[9]}]"] = ipaddress.ip_address(host)
    opened = [os.readlink(name) for name in Path(f"/proc/{process}/fd").iterdir() if name.is_symlink()]
    return [table[name] for name in opened if name in table]


def is_loopback(address):
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


@pytest.mark.ray
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_all_processes_of_a_running_cluster_listen_on_the_loopback_alone(ray_engine):
    import ray

    engine = ray_engine()
    own = f"{engine._temp}/".encode()  # all of Ray's processes have the folder in their arguments or environment
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if own in (process / "cmdline").read_bytes() + (process / "environ").read_bytes():
                found[(process / "comm").read_text().strip()] = listening(process.name)
    assert {"gcs_server", "raylet"} <= {name for name, addresses in found.items() if addresses}, found
    assert all(map(is_loopback, chain(*found.values(), listening(os.getpid())))), found
    assert ray.get_runtime_context().gcs_address.startswith("127.0.0.1:")
    assert "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER" not in os.environ


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
    own["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # as for all processes of this cluster
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
