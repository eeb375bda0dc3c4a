"""Files behind URLs: retries, blocks read ahead, changed files, and secrets that stay secret."""

import os
import random
import subprocess
import sys
import tempfile
import threading

import obstore
import pytest

import corpus.net.client
import corpus.net.remote
from corpus.errors import ConfigError, InputChanged, InputUnreachable, ServerDown
from corpus.net.client import Client, RetryTimes, open_transport
from corpus.net.remote import FETCH_BYTES, RemoteSource, open_source, whole_blocks
from corpus.net.transport import PermanentError, TransientError
from corpus.net.urls import redact, url_name
from corpus.sandbox.guard import Guard
from corpus.sandbox.protocol import Board
from corpus.sandbox.unit import Unit
from corpus.warc.reader import read_warc
from corpus.warc.source import LocalSource, Window
from tests.servers import serving_s3
from tests.stubs import FACTORY, recipe_from_dict
from tests.waiting import PATIENCE_S, wait_until
from tests.warcs import page, write_warc

MIB = 1 << 20
QUICK = RetryTimes(first_wait_s=0.001, total_s=0.2, unreached_s=0.02)
DATA = random.Random(3).randbytes(18 * MIB + 12_345)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("www")
    (made / "bucket" / "in").mkdir(parents=True)
    (made / "bucket" / "in" / "a b%20.bin").write_bytes(DATA[:5000])
    (made / "big.bin").write_bytes(DATA)
    (made / "small.bin").write_bytes(DATA[:5000])
    (made / "empty.bin").write_bytes(b"")
    return made


@pytest.fixture
def server(folder, monkeypatch):
    with serving_s3(folder, monkeypatch) as made:
        yield made


@pytest.fixture
def client():
    with Client(RetryTimes(first_wait_s=0.001)) as made:
        yield made


@pytest.fixture
def quick():
    """A client that gives up soon."""
    with Client(QUICK) as made:
        yield made


@pytest.fixture(params=["http", "s3"])
def small(request, server):
    """The URL of a file of 5000 bytes."""
    return f"{server.url}/small.bin" if request.param == "http" else "s3://bucket/in/a b%20.bin"


@pytest.mark.parametrize(
    ("url", "shown", "name"),
    [
        ("https://a.example/x/y.warc.gz", "https://a.example/x/y.warc.gz", "y.warc.gz"),
        ("https://u:SECRET@a.example:8/y.warc.gz?sig=SECRET/z#SECRET", "https://a.example:8/y.warc.gz", "y.warc.gz"),
        ("https://SECRET@a.example?SECRET", "https://a.example", None),
        ("https://a.example/a%20b.warc.gz", "https://a.example/a%20b.warc.gz", "a b.warc.gz"),
        ("s3://bucket/x/a%20b.warc.gz", "s3://bucket/x/a%20b.warc.gz", "a%20b.warc.gz"),
        ("https://[::bad/x", "https://…", None),
        ("https://[::1]:80/x", "https://[::1]:80/x", "x"),
        ("https://me:SECRET/more@a.example/x", "https://…", "x"),
        ("https://me:SEC?RET@a.example/x", "https://…", None),
        ("https://a.example/%0a", "https://a.example/%0a", None),
    ],
)
def test_what_is_shown_of_a_url(url, shown, name):
    assert redact(url) == shown
    if name is None:
        with pytest.raises(ConfigError):
            url_name(url)
    else:
        assert url_name(url) == name


def test_paths_are_shown_as_they_are():
    assert redact("/data/what?.warc.gz") == "/data/what?.warc.gz"


@pytest.mark.parametrize(("offset", "length"), [(0, 10), (17, 4000), (4990, 100), (0, 5000), (0, 9999)])
def test_ranges(small, client, offset, length):
    assert client.read(small, offset, length)[0] == DATA[:5000][offset : offset + length]


@pytest.mark.parametrize("fault", ["503", "429", "500", "reset", "vanish", "short", "shifted"])
def test_what_passes_is_waited_for(server, client, fault):
    server.faults = [fault, "503", fault]
    assert client.read(f"{server.url}/small.bin", 100, 2000)[0] == DATA[100:2100]


@pytest.mark.parametrize("fault", ["503", "500", "reset", "vanish"])
def test_what_passes_is_waited_for_in_object_stores(server, client, fault):
    server.faults = [fault, fault]
    assert client.read("s3://bucket/in/a b%20.bin", 100, 2000)[0] == DATA[100:2100]


def test_a_broken_transfer_goes_on_where_it_broke(server, client):
    server.faults = ["reset"] * 4
    assert client.read(f"{server.url}/big.bin", 0, MIB)[0] == DATA[:MIB]
    firsts = [first for _, first, _ in server.asked]
    assert firsts == sorted(set(firsts))
    assert firsts[-1] >= MIB // 2


@pytest.mark.parametrize(
    ("asked", "at_least", "at_most"), [("0", 0.5, 2), ("7", 7, 7.5), ("9999", 60, 60.5), ("x", 0.5, 2)]
)
def test_servers_say_how_long_to_wait(server, monkeypatch, asked, at_least, at_most):
    slept = []
    monkeypatch.setattr(Client, "_sleep", lambda self, seconds: slept.append(seconds))
    monkeypatch.setattr(corpus.net.client.time, "monotonic", lambda: 0.0)
    server.faults = [f"503{asked}"]
    with Client(RetryTimes(first_wait_s=1, total_s=1000)) as client:
        client.read(f"{server.url}/small.bin", 0, 10)
    assert at_least <= max(slept) <= at_most


def test_waits_grow_and_end(server, monkeypatch):
    """Waits double, with jitter, up to the longest wait. The client gives up after `total_s` without data."""
    now, slept = [0.0], []

    def sleep(self, seconds):
        if seconds > 0.1:
            slept.append(seconds)
        now[0] += max(0, seconds)

    monkeypatch.setattr(Client, "_sleep", sleep)
    monkeypatch.setattr(corpus.net.client.time, "monotonic", lambda: now[0])
    server.always = "500"
    with (
        Client(RetryTimes(first_wait_s=1, longest_wait_s=8, total_s=60)) as client,
        pytest.raises(InputUnreachable, match="500"),
    ):
        client.read(f"{server.url}/small.bin", 0, 10)
    for number, seconds in enumerate(slept):
        assert min(8, 2**number) / 2 <= seconds <= min(8, 2**number)
    assert 50 < now[0] <= 60


def test_a_connection_that_says_nothing_is_left_for_another(server, client, monkeypatch):
    monkeypatch.setattr("corpus.net.transport.READ_S", 0.1)
    asked, again = [], threading.Event()

    def before(path):
        asked.append(path)
        if len(asked) == 1:
            again.wait(PATIENCE_S)
        again.set()

    server.before = before
    assert client.read("s3://bucket/in/a b%20.bin", 0, 10)[0] == DATA[:10]
    assert len(asked) >= 2


def test_a_request_that_took_all_the_time_is_repeated(quick, monkeypatch):
    class Stalled:
        tries = 0

        def list(self, prefix):
            self.tries += 1
            if self.tries == 1:
                now[0] += QUICK.total_s
                raise TransientError("it stopped answering")
            return ["x"]

        def close(self): ...

    now = [0.0]
    monkeypatch.setattr(corpus.net.client.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(corpus.net.client, "open_transport", lambda url: Stalled())
    assert quick.list("s3://bucket/") == ["s3://bucket/x"]


@pytest.mark.parametrize(
    ("fault", "says"), [("403", "denied"), ("404", "nothing"), ("no-ranges", "ranges"), ("400", "400"), ("500", "500")]
)
def test_what_does_not_pass_is_one_sentence(server, small, quick, fault, says):
    server.always = fault
    with pytest.raises(InputUnreachable, match=says) as caught:
        quick.read(small, 1, 10)
    assert "\n" not in str(caught.value)
    assert redact(small) in str(caught.value)


def test_a_server_that_always_sends_wrong_ranges(server, quick):
    server.always = "shifted"
    with pytest.raises(InputUnreachable, match="another range"):
        quick.read(f"{server.url}/small.bin", 1, 10)


@pytest.mark.parametrize(
    "place",
    [
        "http://127.0.0.1:1/x",
        "http://no-such-host.invalid/x",
        "http://127.0.0.1:99999/x",
        "http://me:SECRET@a.example:b/x",
        "http:///x",
        "https://",
        "s3:///x",
    ],
)
def test_no_server(place):
    """The client has no patience with a server that never answered."""
    with (
        Client(RetryTimes(first_wait_s=0.001, total_s=1e9, unreached_s=0.02)) as client,
        pytest.raises(InputUnreachable, match="can't be") as caught,
    ):
        client.read(place, 0, 10)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(("fault", "kind"), [("503", ServerDown), ("404", InputUnreachable)])
def test_only_a_server_that_has_answered_may_come_back(server, quick, fault, kind):
    assert quick.read(f"{server.url}/small.bin", 0, 10)[0] == DATA[:10]
    server.always = fault
    with pytest.raises(InputUnreachable) as caught:
        quick.read(f"{server.url}/small.bin", 0, 10)
    assert type(caught.value) is kind


def test_a_server_without_tls(server, quick):
    with pytest.raises(InputUnreachable, match="TLS"):
        quick.read(server.url.replace("http:", "https:") + "/small.bin", 0, 10)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Error performing PUT http://169.254.169.254/latest/api/token in 1ms - HTTP error", "no credentials"),
        ("Received redirect without LOCATION, this normally indicates an incorrectly configured region", "region"),
    ],
)
def test_what_object_stores_mean(server, text, says):
    error = obstore.exceptions.GenericError(text)
    refusal = open_transport("s3://bucket/x")._explained(error)
    assert isinstance(refusal, PermanentError)
    assert says in refusal.reason


@pytest.mark.parametrize("fault", ["403", "404", "503", "shifted", "no-ranges", ""])
def test_secrets_are_sent_and_never_said(server, quick, fault):
    server.always = fault
    url = server.url.replace("//", "//me:SECRET@") + "/small.bin?sig=SECRET"
    if fault:
        with pytest.raises(InputUnreachable) as caught:
            quick.read(url, 1, 10)
        assert "SECRET" not in repr(caught.value)
        assert caught.value.__suppress_context__
    else:
        assert quick.read(url, 1, 10)[0] == DATA[1:11]
        assert server.asked == [("/small.bin?sig=SECRET", 1, 10)]
    assert server.headers[0]["authorization"].startswith("Basic ")


def test_an_empty_file(server, client):
    for url in (f"{server.url}/empty.bin", "s3://bucket/empty.bin"):
        (server.folder / "bucket" / "empty.bin").write_bytes(b"")
        data, stat = client.read(url, 0, 10)
        assert (data, stat.size) == (b"", 0)


def test_small_files_need_no_ranges(server, client):
    server.always = "no-ranges"
    assert client.read(f"{server.url}/small.bin", 0, 6000)[0] == DATA[:5000]


@pytest.mark.parametrize("etags", [True, False])
def test_a_file_that_changed(server, client, small, etags):
    server.etags = etags
    file = server.folder / ("small.bin" if small.startswith("http") else "bucket/in/a b%20.bin")
    source = RemoteSource(small, client=client)
    assert source.read(4000, 10) == DATA[4000:4010]
    again = open_source(small, "n", tag=source.tag, client=client)
    assert again.read(4000, 10) == DATA[4000:4010]
    try:
        file.write_bytes(DATA[:4999] + (b"" if not etags else b"?"))
        with pytest.raises(InputChanged, match="changed"):
            again.read(100, 10)
    finally:
        file.write_bytes(DATA[:5000])
        source.close()
        again.close()


def test_a_file_that_changes_while_it_is_sent(server, client):
    (server.folder / "moving.bin").write_bytes(DATA[:5000])
    server.faults = ["reset"]

    def change(path):
        if server.asked:
            (server.folder / "moving.bin").write_bytes(DATA[1:5001])

    server.before = change
    with pytest.raises(InputChanged):
        client.read(f"{server.url}/moving.bin", 0, 4000)


def test_a_local_file_that_changed(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"one")
    tag = LocalSource(path).tag
    source = LocalSource(path, tag=tag)
    assert source.read(0, 9) == b"one"
    source.check()
    os.utime(path, ns=(1, 1))
    with pytest.raises(InputChanged, match="changed"):
        source.check()
    with pytest.raises(InputChanged):
        open_source(str(path), "x", tag=tag)
    source.close()
    path.unlink()
    with pytest.raises(InputChanged):
        LocalSource(path, tag=tag)


def test_read_in_order_few_requests_and_one_connection_are_enough(server, client):
    source = RemoteSource(f"{server.url}/big.bin", client=client)
    window = Window(source)
    assert b"".join(window.block(number) for number in range(19)) == DATA
    source.close()
    assert server.connections == 1
    assert len(server.asked) <= 6
    assert sum(length for *_, length in server.asked) == len(DATA)  # no byte is fetched twice
    assert max(length for *_, length in server.asked) <= FETCH_BYTES


def test_a_span_is_read_ahead_and_no_further(server, client):
    tag = f"{len(DATA)} {client.read(f'{server.url}/big.bin', 0, 1)[1].validator}"
    server.asked.clear()
    spans = [whole_blocks(MIB + 77, 12 * MIB + 5)]
    source = open_source(f"{server.url}/big.bin", "n", tag=tag, spans=spans, client=client)
    window = Window(source)
    assert window.read(MIB + 77, 11 * MIB) == DATA[MIB + 77 : 12 * MIB + 77]
    source.close()
    assert server.asked == [("/big.bin", MIB, FETCH_BYTES), ("/big.bin", MIB + FETCH_BYTES, 4 * MIB)]


def test_each_of_many_spans_is_one_request_and_the_next_one_is_ahead(server, client):
    tag = f"{len(DATA)} {client.read(f'{server.url}/big.bin', 0, 1)[1].validator}"
    server.asked.clear()
    spans = [(10, 500), (5 * MIB, 5 * MIB + 9), (6 * MIB, 15 * MIB), (len(DATA) - 7, len(DATA) + 99)]
    source = open_source(f"{server.url}/big.bin", "n", tag=tag, spans=spans, client=client)
    for start, end in spans:
        assert source.read(start, 5) == DATA[start : start + 5]
        assert source.read(start + 5, end - start - 5) == DATA[start + 5 : end]
    source.close()
    wanted = [(10, 490), (5 * MIB, 9), (6 * MIB, FETCH_BYTES), (14 * MIB, MIB), (len(DATA) - 7, 7)]
    assert server.asked == [("/big.bin", *one) for one in wanted]


def test_without_spans_nothing_is_ahead(server, client):
    tag = f"{len(DATA)} {client.read(f'{server.url}/big.bin', 0, 1)[1].validator}"
    server.asked.clear()
    source = open_source(f"{server.url}/big.bin", "n", tag=tag, spans=(), client=client)
    assert source.read(3, 9 * MIB) == DATA[3 : 9 * MIB + 3]
    assert source.read(9 * MIB + 3, 4) == DATA[9 * MIB + 3 : 9 * MIB + 7]
    source.close()
    assert server.asked == [("/big.bin", 3, 9 * MIB), ("/big.bin", 9 * MIB + 3, 4)]


def test_reads_here_and_there_are_small(server, client):
    source = RemoteSource(f"{server.url}/big.bin", client=client)
    for offset in (9 * MIB, 3 * MIB, 15 * MIB):
        assert source.read(offset, 1000) == DATA[offset : offset + 1000]
    assert source.read(len(DATA) - 5, 1000) == DATA[-5:]
    assert source.read(len(DATA), 10) == b""
    source.close()
    assert sum(length for *_, length in server.asked) < 100_000


def test_a_read_ahead_that_fails_is_no_error(server, client):
    source = RemoteSource(f"{server.url}/big.bin", client=client)
    source = open_source(f"{server.url}/big.bin", "n", tag=source.tag, spans=[(0, len(DATA))], client=client)
    server.faults = ["", "404"]
    assert source.read(0, 10) == DATA[:10]
    assert source.read(9 * MIB, 10) == DATA[9 * MIB : 9 * MIB + 10]
    source.close()


def test_a_process_asks_for_few_things_at_a_time(server, client):
    """Twenty threads share a client. It never sends more than eight requests at a time."""
    lock, gate, busy, most = threading.Lock(), threading.Semaphore(0), [0], [0]

    def before(path):
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
            if busy[0] == 8:
                gate.release(20)
        gate.acquire()
        with lock:
            busy[0] -= 1

    server.before = before
    threads = [threading.Thread(target=client.read, args=(f"{server.url}/small.bin", 0, 9)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 8


def test_who_waits_for_a_server_says_so(server, client, monkeypatch):
    monkeypatch.setattr(corpus.net.remote, "_WAIT_S", 0.01)
    goes_on = threading.Event()
    tag = RemoteSource(f"{server.url}/small.bin", client=client).tag
    server.before = lambda path: goes_on.wait(PATIENCE_S)
    source = open_source(f"{server.url}/small.bin", "n", tag=tag, client=client, waiting=goes_on.set)
    assert source.read(0, 10) == DATA[:10]
    assert goes_on.is_set()
    source.close()


def test_a_record_that_waits_keeps_its_cpu_clock():
    with tempfile.TemporaryFile() as file:
        board = Board(file.fileno())
        board.waiting()
        assert board.read() is None
        board.announce((5, 1))
        first = board.read()
        sum(range(200_000))
        board.waiting()
        second = board.read()
        board.close()
    assert second.place == (5, 1)
    assert second.cpu == first.cpu
    assert second.wall > first.wall


def test_a_slow_server_is_no_fault_of_a_page(server, folder):
    path = write_warc(folder / "slow.warc.gz", {f"http://{n}.example/": page(str(n)) for n in range(3)})
    url = f"{server.url}/slow.warc.gz"
    with RemoteSourceOf(url) as source:
        unit = Unit(path.name, url, "x", "members", "gzip", "warc", 0, source.size, source.tag)
    guard, rows, clocks = Guard(recipe_from_dict({"stages": [{"stage": "paragraphs"}]}).canonical(), FACTORY), [], set()

    def before(path):
        """Hold the answer until the clock of the record that needs it was started three times."""

        def started():
            notice = guard._worker._board.read()
            clocks.update([notice.wall] if notice else [])
            return len(clocks) >= 3

        wait_until(started)

    server.before = before
    server.asked.clear()
    try:
        guard.run(unit, lambda batch: rows.extend(batch.tables["ledger"].to_pylist()))
    finally:
        guard.close()
    assert len(server.asked) == 1  # the worker was not stopped and started again
    assert [row["outcome"] for row in rows] == ["kept"] * 3


class RemoteSourceOf(RemoteSource):
    """A source as a context manager."""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def test_archives_are_read_as_from_a_disk(server, folder):
    path = write_warc(folder / "w.warc.gz", {f"http://{n}.example/": page(str(n)) for n in range(30)})
    with RemoteSourceOf(f"{server.url}/w.warc.gz") as source:
        assert list(read_warc(source)) == list(read_warc(path))


def test_local_runs_import_no_library_for_servers(tmp_path):
    path = write_warc(tmp_path / "w.warc.gz", {"http://a.example/": page()})
    script = (
        "import sys, corpus.sandbox.page_worker, jobs.build.contents, jobs.build.inputs\n"
        f"for item in jobs.build.inputs.find_inputs([{str(path)!r}]): jobs.build.contents.plan_units(item, 1000)\n"
        "print({'urllib3', 'obstore'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
