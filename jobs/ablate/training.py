"""One training of an ablation, as a task with one commit.

All arms share the first weights and the order of windows of a seed. Their documents differ. A training that is killed
goes on from its last checkpoint, and its commit has the same bytes.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from corpus.storage.commits import commit, commit_key, read_commit
from corpus.storage.crash_points import reached
from corpus.storage.store import open_store
from corpus.storage.task_commits import get_value
from corpus.tokens.token_folder import Tokens, open_tokens
from jobs.ablate.cloze import answer
from jobs.ablate.lm_eval import evaluate_tasks
from jobs.ablate.selection import Selection
from jobs.model.curve import read_metrics
from jobs.model.evaluate import evaluate
from jobs.model.generate import Continuer
from jobs.model.model import GPT
from jobs.model.pretraining import Pretraining
from jobs.model.train import train
from jobs.model.train_settings import Settings, TrainWorker
from jobs.model.windows import Ids, Windows


@dataclass(frozen=True)
class Trial:
    """One training: an arm, a seed, and the number of a learning rate. `backwards` is True for the null arm, which
    takes its documents from the other end of the baseline's order. `tokens` is the folder of the arm's tokens, `sets`
    are the folders of the validation sets with the split to use, and `most` is the number of tokens in a selection."""

    arm: str
    seed: int
    rate: int
    tokens: str
    selection: str
    backwards: bool
    sets: dict[str, tuple[str, str]]
    most: int
    settings: dict[str, Any]


class Trained(Pretraining):
    """The objective of a trial: windows of a selection. It is evaluated on every validation set."""

    def __init__(self, tokens: Tokens, settings: Settings, selection: Selection, sets: Mapping[str, Ids]) -> None:
        self.tokens, self.settings, self.selection, self.sets = tokens, settings, selection, sets
        self._windows = Windows(selection, settings.window, settings.seed)

    def facts(self) -> dict[str, Any]:
        return {"bos": self.tokens.bos, "documents": self.selection.documents}

    def evaluate(self, model: GPT, worker: TrainWorker) -> dict[str, Any]:
        measured = {
            name: evaluate(model, split, self.tokens.token_bytes, self.settings.eval_tokens, worker)["bpb"]
            for name, split in self.sets.items()
        }
        return {"sets": measured}


def train_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Train, evaluate and commit one trial. The facts are its bits per byte by step and set, and the downstream
    scores."""
    store, trial = open_store(payload["store"]), Trial(**payload["trial"])
    key = commit_key("train", {"arm": trial.arm, "seed": trial.seed, "rate": trial.rate}, payload["depends"])
    done = read_commit(store, key)
    if done is None:
        reached("trial_begun")
        folder = Path(payload["store"], ".work", "training", f"{trial.arm}-{trial.seed}-{trial.rate}")
        torch.set_num_threads(1)
        facts = _train(folder, trial, payload["device"])
        questions = get_value(store, payload["questions"]) if payload["questions"] and not trial.rate else []
        facts |= _downstream(folder, questions, payload["lm_eval"] if not trial.rate else [], payload["device"])
        reached("trial_trained")
        done = commit(store, key, [], facts)
        shutil.rmtree(folder, ignore_errors=True)
    return done.as_dict()


def _train(folder: Path, trial: Trial, device: str) -> dict[str, Any]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    tokens = open_tokens(trial.tokens)
    selection = Selection(tokens.train, trial.selection, trial.most, trial.backwards)
    sets = {name: getattr(open_tokens(place), split) for name, (place, split) in trial.sets.items()}
    objective = Trained(tokens, Settings(**trial.settings), selection, sets)
    state = train(folder, objective, TrainWorker(device, picture=False))
    assert state is not None  # nothing stops this training but its end
    rows = [
        {"step": row["step"], "tokens": row["tokens"], "set": name, "bpb": bpb}
        for row in read_metrics(folder)
        for name, bpb in row.get("sets", {}).items()
    ]
    return {"rows": rows, "documents": state["documents"], "parameters": state["parameters"]}


def _downstream(
    folder: Path, questions: Sequence[Mapping[str, Any]], tasks: Sequence[str], device: str
) -> dict[str, Any]:
    scores: dict[str, Any] = {}
    if questions:
        scores["cloze"] = answer(Continuer(folder, device), questions)
    if tasks:
        scores["lm_eval"] = evaluate_tasks(folder, tasks, device)
    return scores


def payloads(store: str, trials: Sequence[Trial], depends: str, more: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the tasks of some trials. A training may take weeks, so its deadline is far away."""
    common = {"store": store, "depends": depends, "wall_s": _WALL_S, **more}
    return [{**common, "trial": asdict(trial)} for trial in trials]


_WALL_S = 365 * 86400.0
