"""A Slurm cluster of Debian's packages on the loopback: a controller and two nodes on this machine, with a munge of its
own. Everything is in one folder, and ends with it."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.s3 import free_ports
from tests.waiting import wait_until

NODES = ("one", "two")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin"])
CONFIG = """\
ClusterName=tests
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
KillWait=10
NodeName=one NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2
NodeName=two NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE
"""
"""AuthInfo has the seconds after which a job that was requeued may start again."""


class Slurm:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "munge.key").touch(mode=0o600)
        (folder / "munge.key").write_bytes(secrets.token_bytes(128))
        for name in ("state", *NODES):
            (folder / name).mkdir()
        config = CONFIG.format(folder=folder, ports=free_ports(3), host=socket.gethostname())
        (folder / "slurm.conf").write_text(config)
        (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")  # it is loaded, but no plugin above asks it
        self.env = {**os.environ, "PATH": PATH, "SLURM_CONF": str(folder / "slurm.conf")}
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        own = {name: self.folder / f"munge.{name}" for name in ("socket", "pid", "log", "seed")}
        files = [f"--{name.replace('log', 'log-file').replace('pid', 'pid-file')}={path}" for name, path in own.items()]
        files = [option.replace("--seed", "--seed-file") for option in files]
        self._run("munged", "--foreground", "--force", f"--key-file={self.folder / 'munge.key'}", *files)
        wait_until(own["socket"].exists)
        config = self.env["SLURM_CONF"]
        self._run("slurmctld", "-D", "-i", "-f", config)
        for node in NODES:
            self._run("slurmd", "-D", "-N", node, "-f", config)
        wait_until(lambda: self.tell("sinfo", "--noheader", "--Node", "--format=%T").split() == ["idle", "idle"])

    def _run(self, program: str, *options: str) -> None:
        with (self.folder / f"{program}-{len(self._daemons)}.out").open("wb") as out:
            made = subprocess.Popen([program, *options], env=self.env, stdout=out, stderr=out, start_new_session=True)
        self._daemons.append(made)

    def tell(self, *command: str) -> str:
        """Run a command of Slurm's, and return what it prints."""
        for daemon in self._daemons:
            assert daemon.poll() is None, "".join(log.read_text() for log in self.folder.glob("*.out"))
        return subprocess.run(command, env=self.env, stdout=subprocess.PIPE, text=True, check=False).stdout

    def submit(self, *command: str) -> tuple[str, subprocess.Popen[str]]:
        """Submit a job. Return its number, and a process that ends with it and with its exit code."""
        batch = ["sbatch", "--parsable", "--wait", *command]
        waits = subprocess.Popen(batch, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert waits.stdout is not None
        with waits.stdout as told:
            return told.readline().strip(), waits

    def close(self) -> None:
        if self._daemons:
            self.tell("scancel", "--user=root")
            wait_until(lambda: not self.tell("squeue", "--noheader"))
        for daemon in reversed(self._daemons):
            daemon.send_signal(signal.SIGTERM)
            daemon.wait()


@contextmanager
def slurm() -> Iterator[Slurm]:
    """Start a cluster. Skip the test where there is no Slurm, or where its nodes can't run."""
    missing = [name for name in PROGRAMS if not shutil.which(name, path=PATH)]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: apt-get install slurm-wlm munge")
    if os.geteuid():
        pytest.skip("nodes of Slurm need root")
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    made = Slurm(folder)
    try:
        made.start()
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)
