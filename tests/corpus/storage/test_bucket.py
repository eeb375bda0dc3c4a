"""A store in a bucket of a real S3 server: faults of the server, leases, and a whole build."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from functools import partial

import pyarrow as pa
import pytest

from corpus.errors import OutputError
from corpus.net.client import Client, RetryTimes
from corpus.net.transport import BucketTransport
from corpus.storage.boxes import Outbox
from corpus.storage.bucket import ObjectStore
from corpus.storage.commits import add_part, check_part, commit, read_commit
from corpus.storage.lease import KEY, Lease
from corpus.storage.store import open_store
from jobs.build.build import build
from jobs.runner.local_engine import LocalEngine
from jobs.runner.progress import Progress
from tests.corpus.storage.conftest import QUICK, scratch
from tests.engines import InProcess
from tests.jobs.build.test_build import build_quietly, job, tree
from tests.s3 import BUCKET, SECRET
from tests.waiting import PATIENCE_S
from tests.warcs import WORDS, page, write_warc


def fetched(store):
    """Return the keys of all objects under a prefix, also those that `keys` hides."""
    names = store._client.ask(store.location, lambda objects: objects.list(store._prefix))
    return {name.removeprefix(f"{store._prefix}/") for name in names}


def test_more_keys_than_one_request_deletes(bucket, monkeypatch):
    monkeypatch.setattr("corpus.storage.bucket.DELETE_KEYS", 3)
    for number in range(8):
        bucket.put_new(f"a/{number}", b"")
    bucket.put_new("b", b"")
    bucket.remove("a")
    assert list(bucket.keys("")) == ["b"]


@pytest.mark.parametrize(
    "fault", ["503", "409", "lost", "reset", *(pytest.param(name, marks=pytest.mark.slow) for name in ("500", "slow"))]
)
def test_faults_are_waited_out(bucket, proxy, fault):
    """Each request fails twice before it succeeds. If its answer was lost, the server has done the work."""
    seen = {}

    def twice(method, path):
        if fault == "409" and method != "PUT":
            return ""
        seen[method, path] = seen.get((method, path), 0) + 1
        return fault if seen[method, path] <= 2 else ""

    proxy.fault = twice
    content = os.urandom(300_000)
    part = add_part(bucket, "x", scratch(bucket, content), 1)
    made = commit(bucket, ".work/commits/c.json", [part], {})
    assert read_commit(bucket, ".work/commits/c.json") == made
    assert check_part(bucket, part).to_pybytes() == content
    assert bucket.read(part.key, 1000, 10) == content[1000:1010]
    bucket.replace("timings.json", b"2")
    assert bucket.get("timings.json") == b"2"
    assert set(bucket.keys("")) == {part.key, ".work/commits/c.json", "timings.json"}
    bucket.remove(".work")
    proxy.fault = lambda method, path: ""
    assert fetched(bucket) == {"timings.json"}
    assert proxy.made[fault] >= 6


@pytest.mark.parametrize("fault", ["503", "reset"])
def test_a_server_that_does_not_recover_is_one_sentence(proxy, fault):
    with Client(RetryTimes(first_wait_s=0.001, longest_wait_s=0.01, total_s=0.2, unreached_s=0.2)) as client:
        ill = ObjectStore(f"s3://{BUCKET}/ill", client)
        proxy.fault = lambda method, path: fault
        with pytest.raises(OutputError, match=r"can't be used: .*, in .* tries") as raised:
            ill.put_new("x", b"0" * 1000)
        assert SECRET not in str(raised.value)
        proxy.fault = lambda method, path: ""
        assert ill.size("x") is None


def test_a_wrong_secret_is_one_sentence(bucket_server, monkeypatch):
    for name, value in (bucket_server.environment() | {"AWS_SECRET_ACCESS_KEY": "canary-of-a-wrong-secret"}).items():
        monkeypatch.setenv(name, value)
    with Client(QUICK) as client, pytest.raises(OutputError, match="access is denied") as raised:
        ObjectStore(f"s3://{BUCKET}/x", client).prepare()
    assert "canary" not in str(raised.value)


def test_a_bucket_that_is_not_there_is_refused_at_once(bucket, proxy):
    proxy.fault = lambda method, path: "404"
    with pytest.raises(OutputError, match=r"there is no such bucket \(404\)"):
        bucket.prepare()
    assert len(proxy.asked) == 1


def test_a_server_that_overwrites_objects_is_refused(bucket, proxy):
    proxy.fault = lambda method, path: "deaf"
    with pytest.raises(OutputError, match="overwrites existing objects even when a request forbids it"):
        bucket.prepare()


def test_an_exception_leaves_nothing(bucket):
    schema = pa.schema([("n", pa.int64())])
    with pytest.raises(ZeroDivisionError), Outbox(bucket, "things", 1) as out:
        out.put(0, pa.record_batch([pa.array([1])], schema=schema))
        raise ZeroDivisionError
    assert fetched(bucket) == set()


def test_a_kill_during_an_upload_leaves_nothing(bucket, proxy):
    proxy.fault = lambda method, path: "stuck" if method == "PUT" else ""
    program = (
        "import sys; from corpus.storage.store import open_store; store = open_store(sys.argv[1]); "
        "path = store.scratch(); "
        "path.write_bytes(b'0' * (8 << 20)); store.adopt(path, 'corpus/part-00000.parquet')"
    )
    writer = subprocess.Popen([sys.executable, "-c", program, bucket.location])
    assert proxy.held.wait(PATIENCE_S)
    writer.kill()
    assert writer.wait() == -signal.SIGKILL
    proxy.fault = lambda method, path: ""
    assert fetched(bucket) == set()
    assert bucket.put_new("corpus/part-00000.parquet", b"whole")


def test_a_second_run_is_refused(bucket, monkeypatch):
    monkeypatch.setattr("corpus.storage.lease._LOOK_S", 0.05)
    with Lease(bucket._client, bucket.location, renewed_s=0.01):
        assert KEY in fetched(bucket)
        assert KEY not in bucket.names()
        other = ObjectStore(bucket.location, bucket._client)
        with pytest.raises(OutputError, match="Another run is writing to s3://"), other.only_run():
            raise AssertionError
    assert KEY not in fetched(bucket)
    with bucket.only_run():  # the lease is free again
        pass


def _hold(place, held):
    store = open_store(place)
    with store.only_run():
        held.set()
        signal.pause()


def test_the_lease_of_a_killed_run_is_free_at_once(bucket):
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    holder = context.Process(target=_hold, args=(bucket.location, held))
    holder.start()
    assert held.wait(PATIENCE_S)
    holder.kill()
    holder.join()
    with Lease(bucket._client, bucket.location, renewed_s=3600, expires_s=3600):  # otherwise it would wait for an hour
        pass


def _foreign(bucket):
    """Write a lease as a run on another machine would."""
    return bucket.put_new(KEY, json.dumps({"run": "theirs", "host": "elsewhere", "pid": 1}).encode())


def test_a_lease_that_nobody_renews_is_taken_over(bucket):
    assert _foreign(bucket)
    with Lease(bucket._client, bucket.location, renewed_s=0.01, expires_s=0.05) as lease:
        assert json.loads(bucket.get(KEY))["run"] == lease._content["run"]


def test_a_run_that_lost_its_lease_stops(bucket):
    """Another run took over during a long pause of this one, which must not remove the files of the other run."""
    bucket.put_new(".work/commits/theirs.json", b"{}")
    with pytest.raises(OutputError, match="Another run"), bucket.only_run():
        lease = bucket._lease
        lease._ended.set()  # the renewer sleeps, as the whole process would
        lease._renewer.join()
        lease._ended.clear()
        theirs = partial(BucketTransport.put, key=lease._name, data=b'{"run": "theirs"}', over=None)
        bucket._client.ask(bucket.location, theirs)
        lease._renewed_s = 0.001
        lease._renew()
        bucket.remove(".work")
    assert ".work/commits/theirs.json" in fetched(bucket)
    assert json.loads(bucket.get(KEY)) == {"run": "theirs"}


def test_after_a_silence_a_run_looks_who_holds_its_lease(bucket):
    """The store did not answer for longer than a lease lasts. Another run may have taken it over, or not."""
    with pytest.raises(OutputError, match="Another run"), bucket.only_run():
        lease = bucket._lease
        lease._ended.set()
        lease._renewer.join()
        lease._ended.clear()
        lease._heard -= 3600
        bucket.remove(".work")  # the lease is still this run's own
        theirs = partial(BucketTransport.put, key=lease._name, data=b'{"run": "theirs"}', over=None)
        bucket._client.ask(bucket.location, theirs)
        bucket.remove(".work")
    assert json.loads(bucket.get(KEY)) == {"run": "theirs"}


def test_a_lease_is_not_lost_while_the_store_is_silent(bucket, monkeypatch):
    with bucket.only_run():
        lease = bucket._lease
        lease._ended.set()
        lease._renewer.join()
        lease._ended.clear()
        asked = []

        def silent(*question):
            asked.append(question)
            if len(asked) == 5:
                lease._ended.set()
            raise OutputError("The store does not answer.", "Wait.")

        with monkeypatch.context() as patched:
            patched.setattr(lease._client, "ask", silent)
            lease._heard, lease._renewed_s = -1e9, 0.001
            lease._renew()
        lease._ended.clear()
        bucket.remove(".work")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("archive") / "a.warc.gz"
    words = WORDS.split()
    write_warc(path, {f"http://s{n}.example/": page(f"{n}", " ".join(words[: 40 + n % 30])) for n in range(60)})
    return path


def test_a_build_leaves_the_same_bytes(archive, bucket, bucket_server, monkeypatch, tmp_path):
    """A build with input, output and index in the bucket has the files of a build in a folder."""
    monkeypatch.setenv("AWS_ENDPOINT", bucket_server.url)
    stages = {
        "stages": [{"stage": "paragraphs", "chars": {"min": 10}}, {"stage": "minhash"}],
    }
    objects = ObjectStore(f"s3://{BUCKET}/in", bucket._client)
    objects.put_new("a.warc.gz", archive.read_bytes())
    build_quietly(job([archive], tmp_path / "out", stages, unit_bytes=3000, alarm_rate=1))
    made = job(["s3://runs/in/a.warc.gz"], bucket.location, stages, unit_bytes=6000, alarm_rate=1)
    assert build(made, lambda: LocalEngine(1), Progress(quiet=True)).exit_code == 0
    keys = fetched(bucket)
    for key in keys:
        (tmp_path / "copy" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / key).write_bytes(bucket.get(key))
    assert tree(tmp_path / "copy") == tree(tmp_path / "out")
    assert build(made, lambda: InProcess(), Progress(quiet=True)).already_done
