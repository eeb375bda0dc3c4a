"""Nodes that vanish in mid-run, jobs of Slurm that stop, and attempts that come back late: the same bytes, and one
winner."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP

import pytest

from corpus.storage.commits import read_commit
from corpus.storage.store import LocalStore, _object_store, open_store
from tests import ray_clusters
from tests.faults.kills import ROOT, begun, under_way
from tests.faults.nodes import cluster
from tests.jobs.build.test_build import tree
from tests.processes import command_line, descendants, parent, state
from tests.ray_clusters import network
from tests.s3 import BUCKET, s3_server
from tests.slurm import slurm
from tests.waiting import wait_until
from tests.warcs import WORDS, page, write_warc

pytestmark = pytest.mark.slow


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short name, since socket paths end at 107 characters."""
    folder = Path(tempfile.mkdtemp(prefix="nodes-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def token(short: Path) -> Path:
    made = short / "token"
    made.touch(mode=0o600)
    made.write_text("a-token-of-the-tests-0123456789abcdef")
    return made


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from jobs.sample.crawl import write_sample

    path = tmp_path_factory.mktemp("in") / "sample.warc.gz"
    write_sample(path, pages=2400)  # some 200 units, so that no node finishes before others have begun
    return path


@pytest.fixture(scope="module")
def laptop(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], int]:
    """The output of the build on one machine without Ray, and the number of its pieces of work."""
    folder = tmp_path_factory.mktemp("laptop")
    env = {**os.environ, "CORPUS_CRASH_TRACE": str(folder / "trace")}
    run = start(archive, folder / "out", "--workers", "2", env=env)
    _, said = run.communicate()
    assert run.returncode == 0, said
    return tree(folder / "out"), begun(lines(folder / "trace"))


def start(archive: Path, out: Path | str, *options: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "jobs.cli", "build", str(archive), "-o", str(out), "--unit-mb", "0.06", *options]
    return subprocess.Popen(command, env=env, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def commits(out: Path) -> list[Path]:
    return list(out.glob(".work/commits/pass/*.json"))


def lines(trace: Path) -> list[str]:
    return trace.read_text().splitlines() if trace.exists() else []


IMPATIENT = {"RAY_health_check_period_ms": "1000", "RAY_health_check_timeout_ms": "5000"}
"""Ray's settings for a head that soon gives up a node that does not answer."""

# otherwise Ray's driver hears of the task's end only 420 s later, long after the cluster has given the node up
DRIVER = {"RAY_grpc_client_keepalive_time_ms": "20000", "RAY_grpc_client_keepalive_timeout_ms": "20000"}


def in_work(trace: Path) -> set[int]:
    """The workers that have begun a unit, and not yet read it to its end."""
    last = {int(line.split()[1]): line.split()[0] for line in lines(trace)}
    found = {pid for pid, point in last.items() if point in ("unit_begun", "unit_batch_taken")}
    return {pid for pid in found if state(pid) not in ("", "Z")}


def at_work(trace: Path, raylet: int) -> bool:
    """Return True if a worker of a node has begun a unit, and not yet read it to its end."""
    return any(parent(pid) == raylet for pid in in_work(trace))


def busy(pid: int) -> list[str]:
    """The page workers, and the Ray workers that have something to do, below a process."""
    said = [command_line(one) for one in descendants(pid)]
    return [line for line in said if "corpus.sandbox.page_worker" in line or line.startswith("ray::_stream")]


def test_nodes_removed_in_mid_run(archive, laptop, short, token, tmp_path, record_result) -> None:
    """Two of three nodes go, one after the other, each in the middle of a unit. Then another one comes. Before all
    that, the driver is killed, and the cluster must drop its work."""
    out, trace = tmp_path / "out", tmp_path / "trace"
    whole, pieces = laptop
    with cluster(3, short, token, CORPUS_CRASH_TRACE=str(trace)) as nodes:
        run = start(archive, out, "--address", nodes.address, env=nodes.env)
        wait_until(lambda: bool(commits(out)) or run.poll() is not None)
        assert run.poll() is None, run.communicate()
        run.kill()
        run.communicate()
        under_way_then = under_way(lines(trace))
        wait_until(lambda: not busy(nodes.pid))

        run = start(archive, out, "--address", nodes.address, env=nodes.env)
        for node, raylet in enumerate(nodes.raylets):
            wait_until(lambda raylet=raylet: at_work(trace, raylet) or run.poll() is not None)
            assert run.poll() is None, run.communicate()
            nodes.remove(node)
        nodes.add()
        wait_until(lambda: at_work(trace, nodes.raylets[-1]) or run.poll() is not None)
        _, said = run.communicate()
        assert run.returncode == 0, said
    assert tree(out) == whole
    assert not (out / ".work").exists()
    again = begun(lines(trace)) - pieces
    assert 0 <= again <= under_way_then + 2
    record_result(
        "nodes removed from a cluster of three, while they work",
        tried=2,
        measured=f"{again} pieces of work done again of {under_way_then + 2} under way, as the driver was killed, too",
        limit="what was under way",
    )


def test_the_head_is_lost(archive, laptop, short, token, tmp_path, record_result) -> None:
    """A cluster does not outlive its head: the driver ends, and the same command, here without Ray, takes up the
    run."""
    out = tmp_path / "out"
    with cluster(2, short, token) as nodes:
        run = start(archive, out, "--address", nodes.address, env=nodes.env)
        wait_until(lambda: bool(commits(out)) or run.poll() is not None)
        assert run.poll() is None, run.communicate()
        (head,) = [pid for pid in descendants(nodes.pid) if "/gcs_server " in command_line(pid)]
        os.kill(head, SIGKILL)
        lost = time.monotonic()
        wait_until(lambda: run.poll() is not None)
        lost = time.monotonic() - lost
        _, said = run.communicate()
        assert run.returncode in (0, 1), said  # 0 if the work was done before Ray knew
    run = start(archive, out, "--workers", "2")
    _, said = run.communicate()
    assert run.returncode == 0, said
    assert tree(out) == laptop[0]
    record_result("the head of a cluster", tried=1, measured=f"the driver ends after {lost:.0f} s")


def test_a_partitioned_node_comes_back(archive, laptop, short, token, tmp_path, record_result) -> None:
    """A node stops before a commit, the cluster counts it as lost, and it goes on when another node has done the
    work."""
    out, trace, paused = tmp_path / "out", tmp_path / "trace", tmp_path / "paused"
    stop = {"CORPUS_CRASH_AT": "before_commit", "CORPUS_CRASH_SIGNAL": "SIGSTOP", "CORPUS_CRASH_ONCE": str(paused)}
    with cluster(2, short, token, CORPUS_CRASH_TRACE=str(trace), **IMPATIENT) as nodes:
        nodes.add(**stop)
        run = start(archive, out, "--address", nodes.address, "--keep-work", env=nodes.env | DRIVER)
        wait_until(lambda: (paused.exists() and bool(paused.read_text())) or run.poll() is not None)
        assert run.poll() is None, run.communicate()
        worker = int(paused.read_text())
        raylet = parent(worker)
        wait_until(lambda: state(worker) == "T")
        os.kill(raylet, SIGSTOP)
        _, said = run.communicate()
        assert run.returncode == 0, said
        assert state(worker) == "T"  # it is late, indeed
        before = {path: path.stat() for path in out.rglob("*") if path.is_file()}
        os.kill(worker, SIGCONT)
        wait_until(lambda: f"after_commit {worker}" in lines(trace))
        os.kill(raylet, SIGCONT)
        wait_until(lambda: not command_line(worker).startswith("ray::_stream"))  # the task is done, or its worker is
    after = {path: path.stat() for path in out.rglob("*") if path.is_file()}
    assert {path: (stat.st_ino, stat.st_mtime_ns) for path, stat in after.items()} == {
        path: (stat.st_ino, stat.st_mtime_ns) for path, stat in before.items()
    }
    assert {name: sha256 for name, sha256 in tree(out).items() if not name.startswith(".work/")} == laptop[0]
    record_result("a partitioned node that comes back after the run", tried=1, measured="nothing changed by it")


def tasks(pids: list[int]) -> list[int]:
    """Those of some processes that are Ray workers with something to do."""
    return [pid for pid in pids if command_line(pid).startswith("ray::_stream")]


def test_a_partition_a_killed_node_and_a_killed_driver(archive, laptop, token, tmp_path, monkeypatch, record_result):
    """Nodes with a network of their own build into a bucket. The driver is killed, and runs again. The link of a node
    that works goes down, and comes up when others have done its work. Another node is killed with all its processes."""
    out, trace = f"s3://{BUCKET}/out", tmp_path / "trace"
    with network() as net, s3_server(tmp_path / "s3", net.address(1)) as server:
        environ = {**server.environment(), **IMPATIENT, "CORPUS_CRASH_TRACE": str(trace)}
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        _object_store.cache_clear()  # stores keep the endpoint that they were made with
        store = open_store(out)
        with ray_clusters.cluster(token, network=net, **environ) as nodes:
            nodes.add()
            cut, killed, fresh = 2, 3, 4

            def command() -> subprocess.Popen[str]:
                return start(archive, out, "--address", nodes.address, env=nodes.env | DRIVER)

            run = command()
            wait_until(lambda: any(store.keys(".work/commits/pass")) or run.poll() is not None)
            assert run.poll() is None, run.communicate()
            run.kill()
            run.communicate()
            wait_until(lambda: not tasks([*net.processes(cut), *net.processes(killed)]))

            run = command()
            for node, how in ((cut, net.cut), (killed, net.kill)):
                wait_until(lambda node=node: in_work(trace) & set(net.processes(node)) or run.poll() is not None)
                assert run.poll() is None, run.communicate()
                how(node)
            nodes.add()
            wait_until(lambda: in_work(trace) & set(net.processes(fresh)) or run.poll() is not None)
            # the pass ends when others have done the work of both
            wait_until(lambda: any("pack_begun" in line for line in lines(trace)) or run.poll() is not None)
            assert run.poll() is None or run.returncode == 0, run.communicate()
            net.restore(cut)
            _, said = run.communicate()
            assert run.returncode == 0, said
            wait_until(lambda: not tasks(net.processes(cut)))
        for key in store.keys(""):
            (tmp_path / "copy" / key).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "copy" / key).write_bytes(store.get(key))
        checked = subprocess.run([sys.executable, "-m", "jobs.cli", "verify", out], capture_output=True, text=True)
    made = {name: sha256 for name, sha256 in tree(tmp_path / "copy").items() if not name.startswith(".work/")}
    assert made == laptop[0]
    assert checked.returncode == 0, checked.stderr
    tries = json.loads((tmp_path / "copy" / "timings.json").read_text())["failed_tries"]
    lost = sum(counts.get("node lost", 0) for counts in tries.values())
    assert lost >= 2
    record_result(
        "nodes with networks of their own, a bucket: a link goes down and comes back, a node and the driver are killed",
        tried=3,
        measured=f"{lost} tries lost with their nodes",
    )


def test_a_slurm_job_that_is_stopped(archive, laptop, tmp_path, record_result) -> None:
    """What Slurm sends before the time is up stops a job in order, and it starts again by itself. It is cancelled, and
    submitted once more."""
    out, paused = tmp_path / "out", tmp_path / "paused"
    stop = {"CORPUS_CRASH_AT": "before_commit:3", "CORPUS_CRASH_SIGNAL": "SIGSTOP", "CORPUS_CRASH_ONCE": str(paused)}
    with slurm() as there:
        there.env |= {"PYTHONPATH": str(ROOT), "RAY_raylet_start_wait_time_s": "120", **stop}
        command = [str(ROOT / "deploy" / "slurm.sh"), "build", str(archive), "-o", str(out), "--unit-mb", "0.06"]
        first, second = tmp_path / "first.log", tmp_path / "second.log"
        job, run = there.submit("--nodes=2", f"--output={first}", *command)

        def in_the_middle() -> bool:
            """A worker waits, so the run can't get to its end."""
            return paused.exists() and bool(paused.read_text())

        wait_until(lambda: (in_the_middle() and nodes_of(first) == 2) or run.poll() is not None)
        there.tell("scancel", "--batch", "--signal=USR1", job)
        wait_until(lambda: "Stopping after the units in work" in first.read_text() or run.poll() is not None)
        os.kill(int(paused.read_text()), SIGCONT)
        wait_until(lambda: nodes_of(first) > 2 or run.poll() is not None)
        paused.unlink()
        wait_until(lambda: in_the_middle() or run.poll() is not None)
        assert run.poll() is None, first.read_text()
        there.tell("scancel", job)
        run.wait()
        assert not (out / "run.json").exists()
        _, run = there.submit("--nodes=2", f"--output={second}", *command)
        assert run.wait() == 0, second.read_text()
        wait_until(lambda: not any(folder.exists() for folder in folders_of(second)))
        for folder in folders_of(first):  # Slurm may kill a cancelled job before it has removed them
            shutil.rmtree(folder, ignore_errors=True)
    assert tree(out) == laptop[0]
    assert not (out / ".work").exists()
    record_result("a Slurm job that is stopped as at its time limit, and one that is cancelled", tried=2)


def folders_of(log: Path) -> list[Path]:
    """Ray's folders, as a job names them."""
    found = [Path(name) for name in re.findall(r"/tmp/ray-\w{8}", log.read_text())]
    assert found
    return found


def nodes_of(log: Path) -> int:
    """The number of Ray nodes that a job has started."""
    return log.read_text().count(ray_clusters.STARTED) if log.exists() else 0


ATTEMPT = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from corpus.sandbox.attempt import attempt_unit
from corpus.sandbox.guard import Guard
from corpus.storage.store import LocalStore
from corpus.sandbox.unit import Unit
from tests.jobs.build.test_build import STAGES
from tests.stubs import FACTORY, recipe_from_dict
path = Path(sys.argv[1])
unit = Unit(path.name, str(path), "x", "stream", "plain", "warc", 0, path.stat().st_size)
guard = Guard(recipe_from_dict(STAGES).canonical(), FACTORY)
done = attempt_unit(LocalStore(sys.argv[2]), guard, unit, "depends")
guard.close()
print(json.dumps(asdict(done), sort_keys=True))
"""


def attempt(path: Path, out: Path, **environ: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ATTEMPT, str(path), str(out)]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environ}, stdout=subprocess.PIPE, text=True)


def test_an_attempt_that_comes_back_late(tmp_path, record_result) -> None:
    """The attempt is stopped at each point that it reaches, while another attempt at the same unit gets to its end."""
    pages = {f"http://site{n}.example/": page(f"Town {n}", WORDS[n:]) for n in range(20)}
    path = write_warc(tmp_path / "a.warc", pages, compressed=False)
    attempt(path, tmp_path / "whole", CORPUS_CRASH_TRACE=str(tmp_path / "trace")).communicate()
    whole = parts(tmp_path / "whole")
    points = [line.split()[0] for line in lines(tmp_path / "trace")]
    winners = []
    for number, point in enumerate(points):
        out = tmp_path / f"out-{number}"
        times = points[: number + 1].count(point)
        late = attempt(path, out, CORPUS_CRASH_AT=f"{point}:{times}", CORPUS_CRASH_SIGNAL="SIGSTOP")
        wait_until(lambda late=late: late.poll() is not None or state(late.pid) == "T")
        assert late.poll() is None
        was_first = bool(commits(out))
        other = attempt(path, out)
        told, _ = other.communicate()
        (winner,) = commits(out)
        late.send_signal(SIGCONT)
        late_told, _ = late.communicate()
        assert (late.returncode, other.returncode) == (0, 0)
        assert late_told == told == winner_of(out)
        assert commits(out) == [winner]
        assert parts(out) == whole
        assert not list((out / ".work" / "tmp").iterdir())
        winners.append("late" if was_first else "other")
    assert winners == sorted(winners, reverse=True)  # the attempt that commits first wins
    record_result(
        "an attempt that stops, and comes back late",
        tried=len(points),
        measured=f"one winner each: {winners.count('other')} times the other, {winners.count('late')} times itself",
    )


def parts(out: Path) -> dict[str, str]:
    return {name: sha256 for name, sha256 in tree(out).items() if name.startswith(".work/parts/")}


def winner_of(out: Path) -> str:
    """The commit, as an attempt prints it."""
    (file,) = commits(out)
    made = read_commit(LocalStore(out), str(file.relative_to(out)))
    assert made is not None
    return json.dumps(asdict(made), sort_keys=True) + "\n"
