"""Votes on which of two answers is better, stored in a file, and the ranking of models that follows from them.

Each line of the file is {"prompt": messages, "chosen": text, "rejected": text, "models": [of the chosen, of the
rejected]}, which `corpus reward` reads. A vote on two answers of the same model does not count in the ranking.

The ranking is by Bradley and Terry (1952): the odds that a beats b are exp(strength a - strength b).
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corpus.errors import InputError
from corpus.json_data import parse_json
from corpus.storage.replacing import append_line
from jobs.assistant.conversation import Conversation

ELO = 400 / np.log(10)
"""The number of points per unit of strength. A model with 400 points more wins ten of eleven times."""


class Votes:
    """A file of votes. Only its owner can read it. Raises InputError if it has lines that are not votes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self.wins: Counter[tuple[str, str]] = Counter()
        try:
            lines = path.read_bytes().splitlines() if path.exists() else []
        except OSError as error:
            raise InputError(f"{path} can't be read: {error.strerror}.", "Name another file with --votes.") from None
        for number, line in enumerate(lines, 1):
            try:
                better, worse = parse_json(line)["models"]
                self.wins[str(better), str(worse)] += 1
            except (ValueError, TypeError, LookupError):
                raise InputError(f"Line {number} of {path} is no vote.", "Name another file with --votes.") from None

    def add(self, prompt: Conversation, chosen: str, rejected: str, models: list[str]) -> None:
        """Save a vote.

        `models` are the models of the chosen and the rejected answer. Raises OSError; then no part of the vote is
        saved.
        """
        vote = {"prompt": [message.as_dict() for message in prompt], "chosen": chosen, "rejected": rejected}
        line = (json.dumps({**vote, "models": models}, ensure_ascii=False) + "\n").encode()
        with self._lock:
            append_line(self.path, line)
            self.wins[models[0], models[1]] += 1

    def ranking(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the ranking of the models that votes link with `names`, in Elo points around 0."""
        with self._lock:
            wins = {pair: count for pair, count in self.wins.items() if pair[0] != pair[1]}
        linked = set(names)
        while more := {name for pair in wins if linked & {*pair} for name in pair} - linked:
            linked |= more
        ranked = bradley_terry({pair: count for pair, count in wins.items() if linked >= {*pair}})
        rows = [{"model": name, "points": round(at), "interval": [round(at - half), round(at + half)],
                 "won": sum(count for pair, count in wins.items() if pair[0] == name),
                 "lost": sum(count for pair, count in wins.items() if pair[1] == name)}
                for name, at, half in ranked]  # fmt: skip
        return {"votes": self.wins.total(), "ranking": rows}


def bradley_terry(wins: Mapping[tuple[str, str], int]) -> list[tuple[str, float, float]]:
    """Return models with their points and half of the points' 95% interval, the best first.

    Each pair of models that met gets half a vote for either side, so that 5 : 0 does not give infinite points. With
    this, the interval for two models is about right from few votes on (Gart 1966). The points of models that votes link
    have the mean 0.
    """
    names = sorted({name for pair in wins for name in pair})
    place = {name: at for at, name in enumerate(names)}
    won = np.zeros((len(names), len(names)))
    for (better, worse), count in wins.items():
        won[place[better], place[worse]] += count
    met = won + won.T
    won[met > 0] += 0.5
    met = won + won.T
    strengths = np.zeros(len(names))
    for _ in range(100):  # Newton's method, in steps of at most 1
        odds = 1 / (1 + np.exp(strengths[None] - strengths[:, None]))
        weights = met * odds * (1 - odds)
        information = np.diag(weights.sum(1)) - weights
        spread = np.linalg.pinv(information, hermitian=True)
        step = spread @ (won - met * odds).sum(1)
        largest = np.abs(step).max(initial=0)
        strengths += step / max(1, largest)
        if largest < 1e-9:
            break
    half = 1.96 * np.sqrt(np.diag(spread)) if names else strengths
    order = np.argsort(-strengths, kind="stable")
    return [(names[at], float(ELO * strengths[at]), float(ELO * half[at])) for at in order]
