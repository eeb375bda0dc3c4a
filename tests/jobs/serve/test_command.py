"""`corpus serve` on the command line."""

import signal
import socket
import subprocess
import sys

import httpx2
import pytest

from jobs.verbs.serving import _names


def test_a_port_in_use_is_said(corpus, models, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, said = corpus("serve", models.base, "--port", port, "--votes", tmp_path / "v")
    assert code == 2
    assert said.splitlines()[-1].startswith(f"Error: 127.0.0.1:{port} can't be used: Address already in use. Give")


@pytest.mark.parametrize("host", ["no.such.host.invalid", "256.1.1.1", "\udcff", "a" * 70])
def test_a_host_that_is_none_is_said(corpus, models, tmp_path, host):
    code, _, said = corpus("serve", models.base, "--host", host, "--port", 0, "--votes", tmp_path / "v")
    assert code == 2
    assert "can't be used" in said


def test_what_is_no_model_is_said(corpus, tmp_path, models):
    code, _, said = corpus("serve", tmp_path, "--port", 0, "--votes", tmp_path / "v")
    assert (code, "has no trained model" in said) == (1, True)
    (tmp_path / "v").write_text("hello\n")
    code, _, said = corpus("serve", models.base, "--port", 0, "--votes", tmp_path / "v")
    assert (code, "Line 1 of" in said) == (1, True)
    code, _, said = corpus("serve", models.base, models.base, "--port", 0, "--votes", tmp_path / "w")
    assert (code, "given twice" in said) == (2, True)


def test_a_missing_package_is_said(corpus, models, monkeypatch):
    monkeypatch.delitem(sys.modules, "jobs.web.server")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, _, said = corpus("serve", models.base)
    assert (code, "needs uvicorn, which is not installed. Run `make setup`" in said) == (2, True)


def test_models_have_the_names_of_their_folders(tmp_path):
    folders = [tmp_path / "a" / "model", tmp_path / "b" / "model", tmp_path / "a" / "other"]
    assert _names([folders[0], folders[2]]) == ["model", "other"]
    assert _names(folders[:2]) == ["a/model", "b/model"]
    deep = [tmp_path / name / "x" / "model" for name in "ab"]
    assert _names(deep) == ["a/x/model", "b/x/model"]


def test_ctrl_c_ends_in_order(models, tmp_path):
    votes = tmp_path / "votes.jsonl"
    command = [sys.executable, "-m", "jobs.cli", "serve", models.base, "--port", "0", "--votes", votes]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        said = process.stderr.readline() + process.stderr.readline()
        url = next(word for word in said.split() if word.startswith("http")).rstrip("/")
        body = {"model": "base", "prompt": "the", "max_tokens": 4096, "n": 8, "stream": True}
        with httpx2.stream("POST", f"{url}/v1/completions", json=body, timeout=None) as stream:
            lines = stream.iter_lines()
            next(lines)
            process.send_signal(signal.SIGINT)
            rest = [line for line in lines if line]
        assert process.wait() == 130
        assert process.stderr.read().strip() in ("", "Interrupted.")
    assert "is stopping" in rest[-1]
    assert not votes.exists()
