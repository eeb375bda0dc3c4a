"""`corpus ablate`: arms in, verdicts out.

apart (what training must not see) → one tokenizer → tokens of each arm → train (one task per training) → results.json.
The baseline and the null arm are trained first, so that the noise is known before the rest. results.json is written
last, and the same command continues an interrupted job.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

from corpus.digests import digest
from corpus.errors import InputError
from corpus.storage.commits import Commit
from corpus.storage.store import as_json
from corpus.storage.task_commits import put_value
from corpus.version import TOKEN_ROOMS, versions
from jobs.ablate.arms import check_arms
from jobs.ablate.cloze import read_questions
from jobs.ablate.design import AblateJob, Design
from jobs.ablate.forecast import RATES
from jobs.ablate.prepare import prepare
from jobs.ablate.results import tell_noise, write_results
from jobs.ablate.show import show_budget, show_forecast
from jobs.ablate.training import Trial, payloads, train_task
from jobs.model.train_settings import RULES
from jobs.runner.engine import Engine, Stop
from jobs.runner.execution import Execution, JobResult, Stopped, executing
from jobs.runner.folder import claim, open_folder
from jobs.runner.progress import Progress
from jobs.tokens.tokenize import val_share_for

ROOMS = (*TOKEN_ROOMS, "jobs/ablate", "jobs/model")
"""The rooms that decide the results of an ablation."""


def ablate(job: AblateJob, make_engine: Callable[[], Engine], progress: Progress) -> JobResult:
    """Run an ablation to its end, or to the first stop signal. Raises CorpusError."""
    identities = check_arms(job.arms, job.held_out)
    questions = read_questions(job.questions)
    share = job.val_share or val_share_for(min(arm.open().rows for arm in job.arms))
    plan = _plan(job, identities, questions, share)
    store = open_folder(job.out)
    with store.only_run(), Stop("the trainings in work. They also continue from checkpoints") as stop:
        finished = claim(store, plan, "results.json")
        if finished is not None:
            store.remove(".work")
            return JobResult(0, finished, already_done=True)
        started = time.monotonic()
        try:
            with executing(store, make_engine, stop, progress) as execution:
                try:
                    prepared = prepare(job.arms, job.held_out, job.tokenizer, job.vocab_size, share, execution)
                    design = Design(job, prepared)
                    show_budget(design.budget, design.shared, prepared.set_tokens)
                except InputError as error:
                    if type(error) is InputError:  # no text has changed, so the folder is free for other settings
                        store.remove(".work")
                    raise
                show_forecast(design.forecast, job.seeds, job.device)
                results = write_results(store, design, _train(design, digest(plan), questions, execution))
        except Stopped:
            return JobResult(128 + stop.signal)
        results["plan"] = plan
        store.replace("timings.json", as_json({"seconds": round(time.monotonic() - started, 1)}))
        store.put_new("results.json", as_json(results))
        store.remove(".work")
    return JobResult(0, results)


def _plan(
    job: AblateJob, identities: dict[str, Any], questions: Sequence[dict[str, Any]], val_share: float
) -> dict[str, Any]:
    """Return everything that decides the results."""
    names = ("depth", "window", "batch", "tokens", "lr", "seeds", "epochs", "eval_tokens", "precision")
    return {
        "arms": {one.name: identities[one.name] for one in job.arms},
        "order": [one.name for one in job.arms],
        "held_out": {one.name: identities[one.name] for one in job.held_out},
        "tokenizer": job.tokenizer.sha256 if job.tokenizer else {"vocab_size": job.vocab_size},
        "val_share": val_share,
        "settings": {name: getattr(job, name) for name in names},
        "rates": list(RATES),
        "questions": digest(list(questions)) if questions else "",
        "lm_eval": list(job.lm_eval),
        "versions": versions(ROOMS) | {"torch": metadata.version("torch"), "training": str(RULES)},
    }


def _train(
    design: Design, depends: str, questions: Sequence[dict[str, Any]], execution: Execution
) -> list[tuple[Trial, Commit]]:
    """Train all arms: first baseline and null arm, whose difference is printed."""
    job, store = design.job, execution.store
    asked = put_value(store, list(questions)) if questions else ""
    more = {"questions": asked, "lm_eval": list(job.lm_eval), "device": job.device}
    done: list[tuple[Trial, Commit]] = []
    for name, arms in (("noise", design.arms[:2]), ("train", design.arms[2:])):
        trials = design.trials(arms)
        made = execution.commits(name, train_task, payloads(store.location, trials, depends, more))
        done += zip(trials, made, strict=True)
        if name == "noise":
            tell_noise(design, done)
    return done
