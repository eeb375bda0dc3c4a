"""A cluster of processes: the same command gives the same bytes, and a faulty cluster is found before any work starts.
Also the files in deploy/, as far as they can be checked without a cloud."""

import copy
import functools
import http.client
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
import yaml

from jobs.runner.ray_engine import ray_folder
from tests.jobs.build.test_build import tree
from tests.ray_clusters import cluster, environment
from tests.waiting import wait_until
from tests.warcs import WORDS, page, write_warc

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"


def build(archive, out, *options, env=None):
    command = [sys.executable, "-m", "jobs.cli", "build", str(archive), "-o", str(out), "--unit-mb", "0.01"]
    return subprocess.run([*command, *options], capture_output=True, text=True, env=env, cwd=ROOT)


@pytest.fixture(autouse=True, scope="module")
def own_token():
    """Make the token now: Ray reads it at its first import, and a test here may import Ray before another one starts a
    cluster."""
    ray_folder()


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    made = tmp_path_factory.mktemp("auth") / "token"
    made.touch(mode=0o600)
    made.write_text("a-token-of-the-tests-0123456789abcdef")
    return made


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    pages = {f"http://site{n}.example/": page(f"Town {n}", f"Page {n}. " + WORDS[n % 40 :] * 2) for n in range(120)}
    return write_warc(tmp_path_factory.mktemp("in") / "a.warc.gz", pages)


@pytest.fixture(scope="module")
def closed(token):
    with cluster(token) as made:
        yield made


@pytest.mark.slow
def test_same_bytes_from_a_third_process(archive, closed, token, tmp_path):
    done = build(archive, tmp_path / "cluster", "--address", closed.address, env=environment(token))
    assert done.returncode == 0, done.stderr
    assert build(archive, tmp_path / "laptop").returncode == 0
    assert tree(tmp_path / "cluster") == tree(tmp_path / "laptop")
    assert not (tmp_path / "cluster" / ".work").exists()


@pytest.mark.slow
def test_a_job_that_is_submitted(archive, token, tmp_path):
    """deploy/submit.sh submits the job, from a process that is no part of the cluster."""
    pytest.importorskip("aiohttp_cors", reason="a dashboard, which takes jobs, needs ray[default]")
    with cluster(token, dashboard=True) as made:
        stranger = http.client.HTTPConnection(made.dashboard.removeprefix("http://"))
        stranger.request("GET", "/api/jobs/")
        assert stranger.getresponse().status == 401
        stranger.close()
        own = environment(token) | {"RAY_ADDRESS": made.dashboard}
        command = ["bash", str(DEPLOY / "submit.sh"), "build", str(archive), "-o", str(tmp_path / "job")]
        for _ in range(30):  # a head that has just started has no agent for the job yet, and says so after a while
            done = subprocess.run([*command, "--unit-mb", "0.01"], capture_output=True, text=True, env=own, cwd=ROOT)
            if "No available agent" not in done.stderr:
                break
        assert done.returncode == 0, done.stdout + done.stderr
    assert build(archive, tmp_path / "laptop").returncode == 0
    assert tree(tmp_path / "job") == tree(tmp_path / "laptop")


@pytest.mark.slow
def test_a_wrong_token_is_refused(archive, closed, token, tmp_path):
    other = token.with_name("other")
    other.write_text("another-token-0123456789abcdef0123456789")
    done = build(archive, tmp_path / "out", "--address", closed.address, env=environment(other))
    assert done.returncode == 2
    assert f"cluster at {closed.address} can't be joined" in done.stderr
    assert len(done.stderr.splitlines()) == 3  # and no line of native code
    assert not list(tmp_path.rglob("*.parquet"))


@pytest.mark.slow
def test_a_folder_that_a_node_lacks_is_found_before_work_starts(archive, closed, token, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    hide = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs none {shlex.quote(str(out))} && exec "$0" "$@"')
    if subprocess.run([*hide, "true"], capture_output=True).returncode:
        pytest.skip("a node without the folder needs a mount namespace, which is not allowed here")
    closed.add(hide)
    done = build(archive, out, "--address", closed.address, env=environment(token))
    assert done.returncode == 1, done.stderr
    assert "does not have the output folder" in done.stderr
    left = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert left <= {".work/plan.json", ".work/units.json"}


ILL_NODE = """
import sys

import ray

from corpus.errors import OutputError
from jobs.runner.engine import Stop
from jobs.runner.loop import Task, run
from jobs.runner.ray_engine import RayEngine

def write(payload):
    if ray.get_runtime_context().get_node_id() == payload["ill"]:
        raise OutputError("The bucket can't be used.", "Check the credentials.")
    return {}

engine = RayEngine(None, sys.argv[1])
ill = next(node["NodeID"] for node in ray.nodes() if node["Resources"].get("CPU"))
with Stop() as stop:
    done = list(run(engine, [Task(write, {"ill": ill})] * 20, stop))
engine.close()
assert all(one.result is not None for one in done), engine.tally
assert engine.tally, "the node was never asked"
"""


@pytest.mark.slow
def test_what_one_node_can_not_write_another_does(token):
    with cluster(token) as made:
        made.add()
        command = [sys.executable, "-c", ILL_NODE, made.address]
        done = subprocess.run(command, capture_output=True, text=True, env=environment(token), cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_cluster_without_token_is_joined_by_flag_only(archive, token, tmp_path):
    with cluster(None) as opened:
        done = build(archive, tmp_path / "a", "--address", opened.address, env=environment(token))
        assert done.returncode == 2, done.stderr
        assert "token" in done.stderr
        assert not list(tmp_path.rglob("*.parquet"))
        bare = environment(None)
        done = build(archive, tmp_path / "b", "--address", opened.address, "--insecure-cluster", env=bare)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("mode", [{}, {"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_MODE": "token"}])
def test_no_cluster_is_joined_without_a_token(archive, tmp_path, mode):
    # nothing listens at this address: the run is refused before it connects
    done = build(archive, tmp_path / "out", "--address", "127.0.0.1:1", env=environment(None) | mode)
    assert done.returncode == 2
    assert "There is no token" in done.stderr
    assert "--insecure-cluster" in done.stderr


def test_ray_up_file_passes_rays_own_schema(monkeypatch):
    from ray.autoscaler._private.util import prepare_config, validate_config

    given = yaml.safe_load((DEPLOY / "ray-up.yaml").read_text())
    validate_config(prepare_config(copy.deepcopy(given)))
    types = given["available_node_types"]
    assert given["head_node_type"] in types
    assert types["head"]["resources"] == {"CPU": 0}
    for commands in (given["head_start_ray_commands"], given["worker_start_ray_commands"]):
        (start,) = (command for command in commands if "ray start" in command)
        assert "RAY_AUTH_MODE=token ray start" in start.replace("RAY_USAGE_STATS_ENABLED=0 ", "")
        assert parses("start", start.partition("ray start ")[2])
    assert "--dashboard-host=127.0.0.1" in given["head_start_ray_commands"][1]
    assert given["file_mounts"] == {"/home/ray/.ray/auth_token": "~/.ray/auth_token"}
    broken = prepare_config({**copy.deepcopy(given), "docker": {"picture": "x"}})
    with pytest.raises(Exception, match="picture"):
        validate_config(broken)


def parses(verb, arguments):
    """The options of a command line of Ray's, by Ray's own parser, which exits at an unknown option."""
    from ray.scripts.scripts import cli

    command = cli.get_command(None, verb)
    return command.make_context(verb, shlex.split(os.path.expandvars(arguments))).params


KUBERAY = {
    "": "apiVersion kind metadata spec",
    "spec": "activeDeadlineSeconds backoffLimit clusterSelector deletionStrategy entrypoint entrypointNumCpus "
    "entrypointNumGpus entrypointResources jobId managedBy metadata rayClusterSpec runtimeEnvYAML "
    "shutdownAfterJobFinishes submissionMode submitterConfig submitterPodTemplate suspend ttlSecondsAfterFinished",
    "rayClusterSpec": "authOptions autoscalerOptions enableInTreeAutoscaling gcsFaultToleranceOptions "
    "headGroupSpec headServiceAnnotations managedBy rayVersion suspend workerGroupSpecs",
    "authOptions": "enableK8sTokenAuth mode secretName",
    "headGroupSpec": "enableIngress headService labels rayStartParams resources serviceType template",
    "worker": "groupName idleTimeoutSeconds labels maxReplicas minReplicas numOfHosts rayStartParams replicas "
    "resources scaleStrategy suspend template",
}
"""The fields of KubeRay 1.6: https://ray-project.github.io/kuberay/reference/api/"""


def fields(name):
    return set(KUBERAY[name].split())


def test_rayjob_has_only_fields_that_kuberay_knows():
    job = yaml.safe_load((DEPLOY / "rayjob.yaml").read_text())
    spec, ray = job["spec"], job["spec"]["rayClusterSpec"]
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert set(job) <= fields("")
    assert set(spec) <= fields("spec")
    assert set(ray) <= fields("rayClusterSpec")
    assert set(ray["authOptions"]) <= fields("authOptions")
    assert set(ray["headGroupSpec"]) <= fields("headGroupSpec")
    assert all(set(group) <= fields("worker") for group in ray["workerGroupSpecs"])
    assert spec["submissionMode"] in {"K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"}
    assert all(isinstance(spec[name], int) for name in ("backoffLimit", "activeDeadlineSeconds"))
    assert ray["authOptions"]["mode"] == "token"


def test_rayjob_pods_are_alike_and_unprivileged():
    ray = yaml.safe_load((DEPLOY / "rayjob.yaml").read_text())["spec"]["rayClusterSpec"]
    groups = [ray["headGroupSpec"], *ray["workerGroupSpecs"]]
    pods = [group["template"]["spec"] for group in groups]
    for group, pod in zip(groups, pods, strict=True):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())  # a map of strings
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert not container["securityContext"]["allowPrivilegeEscalation"]
        assert not pod["automountServiceAccountToken"]
        mounts = {mount["name"] for mount in container["volumeMounts"]}
        assert mounts == {volume["name"] for volume in pod["volumes"]}
    assert len({pod["containers"][0]["image"] for pod in pods}) == 1
    assert groups[0]["rayStartParams"]["num-cpus"] == "0"


def commands():
    """Every command of `corpus` in deploy/ and docs/cluster.md."""
    job = yaml.safe_load((DEPLOY / "rayjob.yaml").read_text())
    yield job["spec"]["entrypoint"]
    for line in (ROOT / "docs" / "cluster.md").read_text().splitlines():
        found = re.search(r"(?:^| -- )(corpus (?:build|tokenize) .*)", line)
        if found:
            yield found[1]


def test_commands_are_ours():
    from jobs.cli import cli

    given = list(commands())
    assert len(given) >= 3
    for command in given:
        _, verb, *arguments = shlex.split(command)
        params = cli.get_command(click.Context(cli), verb).make_context(verb, arguments).params
        assert params["address"], command


def test_versions_of_ray_agree():
    locked = re.search(r"^ray==(\S+)", (ROOT / "requirements.lock").read_text(), re.M)[1]
    job = yaml.safe_load((DEPLOY / "rayjob.yaml").read_text())
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == locked
    assert f"rayproject/ray:{locked}-py311" in (DEPLOY / "Dockerfile").read_text()


def test_submit_runs_ray_job_submit(tmp_path):
    """A stand-in for `ray` shows its arguments, and Ray's own parser reads them."""
    fake = tmp_path / "ray"
    fake.write_text('#!/bin/sh\n[ "$RAY_AUTH_MODE" = token ] && printf "%s\\n" "$@"\n')
    fake.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "RAY_ADDRESS": "http://127.0.0.1:8265"}
    command = [DEPLOY / "submit.sh", "build", "a b.warc.gz", "-o", "/mnt/shared/out"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    job, submit, *arguments = done.stdout.splitlines()
    assert (job, submit) == ("job", "submit")

    from ray.dashboard.modules.job.cli import submit as rays

    params = rays.make_context("submit", arguments).params
    assert params["submission_id"].startswith("corpus-")
    assert params["entrypoint"] == ("corpus", "build", "a b.warc.gz", "-o", "/mnt/shared/out", "--address", "auto")
    del env["RAY_ADDRESS"]
    assert subprocess.run(command, env=env, capture_output=True).returncode == 1


def test_the_image_gets_all_that_a_build_reads():
    """What setup.py, pyproject.toml and the Dockerfile itself name is among what the Dockerfile copies."""
    lines = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    copied: set[str] = set()
    for line in lines:
        words = [word for word in line.split() if not word.startswith("--chown=")]
        if words[:1] == ["COPY"] and not words[1].startswith("--from="):
            copied |= set(words[1:-1])
        elif words[:1] == ["RUN"]:
            assert set(re.findall(r" -r (\S+)", line)) <= copied, line
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (kernels,) = re.findall(r'cmake_source_dir="(.+?)"', (ROOT / "setup.py").read_text())
    packages = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    licences = {path.name for pattern in ("LICEN[CS]E*", "NOTICE*") for path in ROOT.glob(pattern)}
    needed = {"pyproject.toml", "setup.py", project["project"]["readme"], kernels} | packages | licences
    assert needed <= copied
    assert all((ROOT / name).exists() for name in copied)


STAND_INS = {
    "scontrol": 'case $1 in requeue) SAY;; *) echo "   NodeAddr=127.0.0.1 NodeHostName=a";; esac',
    "scancel": '[[ $3 == 7.0 ]] && kill $(< "$SAID.srun")',
    "srun": 'SAY\necho $$ > "$SAID.srun"\nwhile [[ $1 == -* ]]; do shift; done\nexec "$@"',
    "ray": """SAY
stat -c %a "$(dirname "$(grep -o "/tmp/ray-[^ ]*" <<< "$*")")" >> "$SAID.modes"
echo "Ray runtime started."
exec sleep infinity""",
    "corpus": """[[ $CODE ]] || trap 'kill $!; exit 143' TERM
SAY
until (($(wc -l < "$SAID.modes") == 2)); do sleep 0.01; done
[[ ! $CODE ]] || exit $CODE
sleep infinity & wait""",
}
"""What stands in for these programs. SAY writes a line with the token and the arguments."""


@pytest.fixture
def slurm_job(tmp_path):
    """A function that starts deploy/slurm.sh as the first of three nodes, and one for what the stand-ins have said."""
    says = 'echo "$RAY_AUTH_MODE $RAY_AUTH_TOKEN ${0##*/} ${*@Q}" >> "$SAID"'
    for name, body in STAND_INS.items():
        (tmp_path / name).write_text("#!/bin/bash\n" + body.replace("SAY", says) + "\n")
        (tmp_path / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SAID": str(tmp_path / "said"), "CODE": ""}
    env |= {"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "3", "SLURMD_NODENAME": "a", "SLURM_CPUS_ON_NODE": "4"}
    env["SLURM_JOB_CPUS_PER_NODE"] = "4(x2),2"

    def start(**more):
        command = [DEPLOY / "slurm.sh", "build", "a b.warc.gz", "-o", "/shared/out"]
        # a shell ignores SIGINT for what it starts in the background, and no script can catch what was ignored before
        caught = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        return subprocess.Popen(command, env=env | more, stdout=subprocess.DEVNULL, preexec_fn=caught)

    def lines():
        said = Path(env["SAID"])
        return [shlex.split(line) for line in said.read_text().splitlines()] if said.exists() else []

    return start, lines


def test_slurm_script_starts_a_cluster_and_ends_with_the_code_of_the_command(slurm_job, tmp_path):
    start, lines = slurm_job
    assert start(CODE="3").wait() == 3
    modes, tokens, programs, arguments = zip(*((*line[:3], line[3:]) for line in lines()), strict=True)
    assert set(modes) == {"token"}
    (token,) = set(tokens)
    assert len(token) == 64
    assert not any(token in word for words in arguments for word in words)
    assert sorted(programs) == ["corpus", "ray", "ray", "srun"]
    said = dict(zip(programs, arguments, strict=True))
    head, worker = [words for program, words in zip(programs, arguments, strict=True) if program == "ray"]
    if "--head" not in head:
        head, worker = worker, head
    address = f"127.0.0.1:{20000 + 7}"
    params = [parses(words[0], shlex.join(words[1:])) for words in (head, worker)]
    assert [(one["head"], one["num_cpus"], one["include_dashboard"]) for one in params] == [
        (True, 3, False),
        (False, 4, None),
    ]
    assert (params[0]["port"], params[1]["address"]) == (20007, address)
    assert all(one["block"] and one["node_ip_address"] == "127.0.0.1" for one in params)
    assert params[0]["temp_dir"] != params[1]["temp_dir"]
    assert not any(Path(one["temp_dir"]).parent.exists() for one in params)
    assert (tmp_path / "said.modes").read_text().split() == ["700", "700"]  # Ray opens its own folder to everyone
    assert "--exclude=a" in said["srun"] and "--nodes=2" in said["srun"]
    assert said["corpus"] == ["build", "a b.warc.gz", "-o", "/shared/out", "--workers", "10", "--address", address]


@pytest.mark.parametrize(("number", "again"), [(signal.SIGUSR1, True), (signal.SIGINT, False)])
def test_slurm_script_stops_the_command_and_asks_for_more_time(slurm_job, number, again):
    """Slurm sends SIGUSR1 before the time of the job is up. SIGINT is for people who stop a run."""
    start, lines = slurm_job
    job = start()
    caught = f"/proc/{job.pid}/status"
    bit = 1 << (number - 1)
    wait_until(lambda: int(re.search(r"SigCgt:\s+(\w+)", Path(caught).read_text())[1], 16) & bit)
    wait_until(lambda: sorted(line[2] for line in lines()) == ["corpus", "ray", "ray", "srun"])
    job.send_signal(number)
    assert job.wait() == 143
    assert [line[3:] for line in lines() if line[2] == "scontrol"] == [["requeue", "7"]] * again
