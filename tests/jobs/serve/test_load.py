"""Many clients at once, and clients that behave badly. None of them may disturb the others."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from jobs.model.generate import Continuer, Sampling, draw
from jobs.serve import worker as worker_file
from jobs.serve.worker import MOST_WAITING, ROWS, TextEnd
from jobs.web.requests import MOST_BODY
from tests.waiting import wait_until

PROMPT = "the old dog"
LONG = {"model": "base", "prompt": "the", "max_tokens": 4000, "temperature": 1.0, "seed": 5}


class Draws:
    """Records the batches of the draws, and holds them until it is told to go on. Its sequences do not end by
    themselves."""

    def __init__(self, monkeypatch):
        self.sizes, self.rows, self.go = [], [], threading.Event()

        def held(model, prompts, sampling, ends, *more):
            self.sizes.append(len(prompts))
            self.go.wait()
            for drawn in draw(model, prompts, sampling, (), *more):
                self.rows.append(drawn.row)
                yield drawn

        monkeypatch.setattr(worker_file, "draw", held)


@pytest.fixture
def draws(monkeypatch):
    made = Draws(monkeypatch)
    yield made
    made.go.set()


def complete(served, seed, tokens=8):
    made = served.client.completions.create(
        model="base", prompt=PROMPT[: 3 + seed % 5], max_tokens=tokens, temperature=seed % 3 / 2, seed=seed
    )
    return made.choices[0].text


def waiting(served):
    return len(served.workers["base"]._waiting)


def test_what_arrives_while_the_model_works_joins_the_next_batch(served, models, draws):
    continuer = Continuer(models.base)
    alone = []
    for seed in range(50):
        prompt = continuer.encode(PROMPT[: 3 + seed % 5])
        drawn = draw(continuer.model, [prompt], Sampling(8, seed % 3 / 2, None, seed), ())
        alone.append(continuer.tokenizer.decode(one.id for one in drawn).decode(errors="replace"))
    with ThreadPoolExecutor(51) as clients:
        first = clients.submit(complete, served, 0)
        wait_until(lambda: draws.sizes == [1])
        others = [clients.submit(complete, served, seed) for seed in range(50)]
        wait_until(lambda: waiting(served) == 50)
        draws.go.set()
        assert first.result() == alone[0]
        assert [other.result() for other in others] == alone
    assert draws.sizes == [1, 50]


def test_a_batch_has_no_more_rows_than_the_memory_is_made_for(served, draws):
    with ThreadPoolExecutor(4) as clients:
        first = clients.submit(complete, served, 0)
        wait_until(lambda: draws.sizes == [1])
        ask = {"model": "base", "prompt": "a", "max_tokens": 2, "n": ROWS // 2}
        others = [clients.submit(served.client.completions.create, **ask) for _ in range(3)]
        wait_until(lambda: waiting(served) == 3)
        draws.go.set()
        assert first.result()
        assert {len(other.result().choices) for other in others} == {ROWS // 2}
    assert draws.sizes == [1, ROWS, ROWS // 2]


def test_a_client_that_leaves_ends_its_rows(served, draws):
    draws.go.set()
    stream = served.client.completions.create(**LONG, n=2, stream=True)
    next(stream)
    stream.close()
    assert complete(served, 1, 3)
    assert draws.rows.count(0) < 4000


@pytest.mark.parametrize("streams", [True, False])
def test_a_client_that_leaves_before_its_turn_has_none(served, draws, streams):
    with ThreadPoolExecutor(1) as clients:
        first = clients.submit(complete, served, 0)
        wait_until(lambda: draws.sizes == [1])
        body = json.dumps({**LONG, "stream": streams}).encode()
        with socket.create_connection(("127.0.0.1", served.port)) as client:
            client.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"
                           % (len(body), body))  # fmt: skip
            wait_until(lambda: waiting(served) == 1)
            left = served.workers["base"]._waiting[0]
        wait_until(lambda: left.gone)
        draws.go.set()
        first.result()
    assert complete(served, 0)
    assert draws.sizes == [1, 1]


def test_a_reader_that_stalls_is_dropped(served, draws, monkeypatch):
    """The tokens of this test are large, so that the buffers of the connection are soon full."""
    monkeypatch.setattr(served.workers["base"], "tokens", [b"x" * 40_000] * 1000)
    draws.go.set()
    body = json.dumps({**LONG, "stream": True}).encode()
    with socket.create_connection(("127.0.0.1", served.port)) as client:
        client.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"
                       % (len(body), body))  # fmt: skip
        wait_until(lambda: len(draws.rows) > 1)
        other = complete(served, 1, 3)
        assert len(draws.rows) < 4000
        data = b""
        while chunk := client.recv(1 << 20):
            data += chunk
    assert other
    assert b"200 OK" in data
    assert b"[DONE]" not in data


def test_a_slow_reader_gets_everything(served, draws, monkeypatch):
    """It reads each piece only when the model has gone on, and is behind by some pieces at most."""
    draws.go.set()
    with served.client.completions.create(**{**LONG, "max_tokens": 200}, stream=True) as stream:
        text = ""
        for number, chunk in enumerate(stream):
            wait_until(lambda number=number: len(draws.rows) >= min(200, number + 100))
            text += chunk.choices[0].text
    whole = served.client.completions.create(**{**LONG, "max_tokens": 200})
    assert text == whole.choices[0].text


def test_a_stream_of_many_choices_is_not_taken_for_one_that_stalls(served, draws):
    draws.go.set()
    ends = [choice.index
            for chunk in served.client.completions.create(**{**LONG, "max_tokens": 12}, n=ROWS, stream=True)
            for choice in chunk.choices if choice.finish_reason]  # fmt: skip
    assert sorted(ends) == list(range(ROWS))


def test_when_too_many_wait_the_next_is_told_to_come_later(served, draws):
    with ThreadPoolExecutor(8) as clients:
        first = clients.submit(complete, served, 0)
        wait_until(lambda: draws.sizes == [1])
        many = {"model": "base", "prompt": "a", "max_tokens": 1, "n": ROWS}
        others = [clients.submit(served.client.completions.create, **many) for _ in range(MOST_WAITING // ROWS)]
        wait_until(lambda: waiting(served) == MOST_WAITING // ROWS)
        answer = httpx2.post(f"{served.url}/v1/completions", json={"model": "base"})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert "waiting" in answer.json()["error"]["message"]
        draws.go.set()
        assert [len(other.result().choices) for other in [*others]] == [ROWS] * len(others)
        first.result()
    assert complete(served, 0)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large(served, chunked):
    body = b" " * (4 * MOST_BODY)
    content = (body[at : at + 65536] for at in range(0, len(body), 65536)) if chunked else body
    answer = httpx2.post(f"{served.url}/v1/completions", content=content)
    assert answer.status_code == 413
    assert f"{MOST_BODY:,}" in answer.json()["error"]["message"]


def test_a_model_that_fails_ends_its_requests_and_goes_on(served, draws, monkeypatch, capsys, openai):
    expected = None
    draws.go.set()
    expected = complete(served, 0)
    with monkeypatch.context() as patch:
        patch.setattr(worker_file, "draw", lambda *_: 1 / 0)
        with pytest.raises(openai.InternalServerError, match="The server failed"):
            complete(served, 0)
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert complete(served, 0) == expected


def test_the_end_of_the_server_ends_its_streams(serving, tmp_path, draws, openai):
    with serving(tmp_path / "votes.jsonl", "base") as made:
        draws.go.set()
        chunks = iter(made.client.completions.create(**LONG, stream=True))
        next(chunks)
        draws.go.clear()
        with ThreadPoolExecutor(1) as clients:
            late = clients.submit(complete, made, 0)
            wait_until(lambda: waiting(made) == 1)
            made.workers["base"].stop()
            draws.go.set()
            with pytest.raises(openai.APIError, match="is stopping"):
                list(chunks)
            with pytest.raises(openai.InternalServerError, match="is stopping"):
                late.result()
        with pytest.raises(openai.InternalServerError, match="is stopping"):
            complete(made, 0)
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(made.url)


@pytest.mark.parametrize(
    "host, origin, status",
    [
        ("127.0.0.1:{port}", None, 200),
        ("localhost:{port}", "http://localhost:{port}", 200),
        ("[::1]", "http://[::1]", 200),
        ("LOCALHOST", None, 200),
        ("evil.example:{port}", None, 421),
        ("localhost.evil.example", None, 421),
        ("127.0.0.1.evil.example", None, 421),
        ("", None, 421),
        ("127.0.0.1:{port}", "http://evil.example", 403),
        ("127.0.0.1:{port}", "http://127.0.0.1:1", 403),
        ("127.0.0.1:{port}", "https://127.0.0.1:{port}", 403),
        ("127.0.0.1:{port}", "null", 403),
    ],
)
@pytest.mark.parametrize("method, path", [("GET", "/"), ("POST", "/v1/completions")])
def test_pages_of_other_sites_can_do_nothing(served, host, origin, status, method, path):
    headers = {"Host": host.format(port=served.port)}
    if origin:
        headers["Origin"] = origin.format(port=served.port)
    body = {"model": "base", "prompt": "a", "max_tokens": 1} if method == "POST" else None
    answer = httpx2.request(method, served.url + path, headers=headers, json=body)
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers


def read(pieces, stops):
    text = TextEnd([piece.encode() if isinstance(piece, str) else piece for piece in pieces], stops)
    shown = []
    for number in range(len(pieces)):
        shown.append(text.add(number))
        if text.over:
            return shown
    return [*shown, text.add(None)]


def test_text_that_may_become_a_stop_waits():
    assert read(["a", "b", "c", "d"], ["bcx"]) == ["a", "", "", "bcd", ""]
    assert read(["a", "b", "c", "d"], ["bc", "d"]) == ["a", "", ""]
    assert read(["aab", "aac"], ["aac", "ba"]) == ["aa", ""]
    assert read(["ab", "ab"], ["abc"]) == ["", "ab", "ab"]
    assert read([b"\xe6\x97", b"\xa5x", b"\xe6"], []) == ["", "日x", "", "\ufffd"]
