"""Votes and the ranking of models."""

import json
import math
import os
import stat

import httpx2
import numpy as np
import pytest

from corpus.errors import InputError
from jobs.assistant.conversation import Faults, Message
from jobs.assistant.reward import Pair, read_pairs
from jobs.serve.votes import ELO, Votes, bradley_terry

ASKED = (Message("user", "日本?"),)


def test_votes_are_saved_for_their_owner_alone(served):
    vote = {"prompt": [{"role": "user", "content": "hello"}], "chosen": "a\n", "rejected": "日", "models": ["base"] * 2}
    answer = httpx2.post(f"{served.url}/votes", json=vote)
    assert answer.json() == {"votes": 1, "ranking": []}
    assert httpx2.get(f"{served.url}/votes").json() == answer.json()


def test_the_file_of_votes(tmp_path):
    path = tmp_path / "votes.jsonl"
    votes = Votes(path)
    before = os.umask(0)
    votes.add(ASKED, "good\n", "bad", ["a", "b"])
    os.umask(before)
    votes.add(ASKED, "", "x", ["a", "a"])
    faults = Faults("")
    assert read_pairs(path, faults) == [Pair(ASKED, "good\n", "bad"), Pair(ASKED, "", "x")]
    assert not faults.lines
    first, second = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert first == {"prompt": [{"role": "user", "content": "日本?"}], "chosen": "good\n", "rejected": "bad",
                     "models": ["a", "b"]}  # fmt: skip
    assert (second["chosen"], second["models"]) == ("", ["a", "a"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Votes(path).ranking(["a"]) == votes.ranking(["a"])
    assert votes.ranking(["a"])["votes"] == 2


@pytest.mark.parametrize("line", ["{", "[]", "7", '{"models": ["a"]}', '{"models": 7}', "{}"])
def test_a_file_of_something_else_is_refused(tmp_path, line):
    path = tmp_path / "votes.jsonl"
    path.write_text('{"models": ["a", "b"]}\n' + line + "\n")
    with pytest.raises(InputError, match=r"Line 2 of .* is no vote"):
        Votes(path)


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "other").write_text("")
    (tmp_path / "votes.jsonl").symlink_to(tmp_path / "other")
    with pytest.raises(OSError):
        Votes(tmp_path / "votes.jsonl").add(ASKED, "a", "b", ["a", "b"])
    assert (tmp_path / "other").read_text() == ""


def test_a_full_disk_loses_no_vote_and_saves_no_part_of_one(tmp_path, monkeypatch):
    path = tmp_path / "votes.jsonl"
    votes = Votes(path)
    votes.add(ASKED, "a", "b", ["a", "b"])
    whole, write = path.read_bytes(), os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:10]))
    with pytest.raises(OSError):
        votes.add(ASKED, "a", "b", ["a", "b"])
    assert path.read_bytes() == whole
    assert votes.ranking(["a"])["votes"] == 1


@pytest.mark.parametrize(
    "changed",
    [{"models": ["base"]}, {"models": 7}, {"models": ["base", "x"]}, {"models": ["base", []]}, {"chosen": 7},
     {"rejected": "\ud800"}, {"prompt": "hello"}, {"prompt": None}, {"prompt": []}],
)  # fmt: skip
def test_what_is_no_vote_is_refused(served, changed):
    vote = {
        "prompt": [{"role": "user", "content": "hello"}],
        "chosen": "a",
        "rejected": "b",
        "models": ["base", "base"],
        **changed,
    }
    before = httpx2.get(f"{served.url}/votes").json()
    assert httpx2.post(f"{served.url}/votes", content=json.dumps(vote)).status_code in (400, 404)
    assert httpx2.get(f"{served.url}/votes").json() == before


def test_two_models_have_the_odds_of_their_votes():
    (first, at, half), (second, other, _) = bradley_terry({("a", "b"): 30, ("b", "a"): 10})
    assert (first, second) == ("a", "b")
    assert (at - other) / ELO == pytest.approx(math.log(30.5 / 10.5))
    assert 2 * half / ELO == pytest.approx(1.96 * math.sqrt(1 / 30.5 + 1 / 10.5))
    assert bradley_terry({}) == []
    (_, at, half), _ = bradley_terry({("a", "b"): 5})
    assert at - half < 0 < at + half < math.inf


def test_intervals_hold_the_truth_as_often_as_they_say():
    draw = np.random.default_rng(0)
    truth = {"a": 0.8, "b": 0.1, "c": -0.9}
    held = []
    for _ in range(400):
        wins = {}
        for one, other in (("a", "b"), ("b", "c"), ("a", "c")):
            won = int(draw.binomial(20, 1 / (1 + math.exp(truth[other] - truth[one]))))
            wins |= {(one, other): won, (other, one): 20 - won}
        held += [abs(at / ELO - truth[name]) <= half / ELO for name, at, half in bradley_terry(wins)]
    assert 0.93 <= np.mean(held) <= 0.98


def test_only_models_that_votes_link_are_ranked(tmp_path):
    path = tmp_path / "votes.jsonl"
    pairs = [("a", "b")] * 4 + [("b", "c")] * 3 + [("x", "y")] * 5 + [("a", "a")]
    path.write_text("".join(json.dumps({"models": pair}) + "\n" for pair in pairs))
    found = Votes(path).ranking(["b"])
    assert [row["model"] for row in found["ranking"]] == ["a", "b", "c"]
    assert [(row["won"], row["lost"]) for row in found["ranking"]] == [(4, 0), (3, 4), (0, 3)]
    assert found["votes"] == 13
    assert sum(row["points"] for row in found["ranking"]) == pytest.approx(0, abs=2)
    assert Votes(path).ranking(["new"])["ranking"] == []
