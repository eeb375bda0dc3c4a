"""Find out what a model knows: ask questions with known answers several times, and count the right answers.

If the model usually answers a question right, it knows the answer. For all other questions, it learns to say that it
doesn't know. Each question is asked twice as often as this decision needs. The first answers decide whether it is
known. The other answers give the figures, because the first ones would make a model look better than it is: a question
may count as known by luck.
"""

from __future__ import annotations

import heapq
import json
import random
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from corpus.errors import InputError
from corpus.storage.store import Location
from corpus.tokens.texts import open_texts, read_slice
from jobs.assistant.assistant import Speaker, in_groups
from jobs.assistant.conversation import BadConversation, ChatFormat, Conversation, Faults, read_lines
from jobs.assistant.lessons import recall
from jobs.assistant.lessons.lesson import answered, asked, is_held_out
from jobs.assistant.score import AT_ONCE
from jobs.assistant.search import passages
from jobs.model.generate import Continuer, Sampling

REFUSAL = "I don't know."
KNOWN = 0.6
"""A model knows an answer if at least this share of its answers is right."""


@dataclass(frozen=True)
class Fact:
    """A question and its answer.

    Facts with the same `about` are held out together. `begins` is a text without its end, for a base model, which
    continues texts but does not answer questions. `known` is the result of an earlier interrogation.
    """

    question: str
    answer: str
    about: str = ""
    begins: str = ""
    known: bool | None = None


@dataclass(frozen=True)
class Verdict:
    """A model's answers to a fact: the share of right answers, and the share of refusals. All other answers are made
    up.

    `answer` is the right answer in the model's own words, if it has given one.
    """

    fact: Fact
    known: bool
    answer: str
    right: int
    refused: int
    times: int


def read_facts(file: Path) -> list[Fact]:
    """Return the facts of a JSONL file. Raises InputError, which names the lines that are no facts."""
    faults = Faults(str(file))
    facts = [fact for _, fact in read_lines(file, faults, _fact, "facts, or a run")]
    if faults.lines or not facts:
        what = f"{faults}." if faults.lines else f"{file} has no facts."
        raise InputError(what, 'Write {"question": …, "answer": …} on each line.')
    return facts


def _fact(data: Any) -> Fact:
    try:
        fact = Fact(**data)
        "".join((fact.question, fact.answer, fact.about, fact.begins)).encode()
    except (TypeError, UnicodeError):
        raise BadConversation("is no fact") from None
    if fact.known not in (None, True, False) or not fact.question.strip() or not normal(fact.answer):
        raise BadConversation("is no fact")
    return fact


def cloze(run: Location, count: int, seed: int) -> list[Fact]:
    """Return questions that ask how passages of a run continue. The passages are from `count` of its documents."""

    def drawn() -> Iterator[tuple[float, str, tuple[str, str]]]:
        for part in open_texts(run).slices():
            for batch in read_slice(part):
                for name, text in zip(batch["id"].to_pylist(), batch["text"].to_pylist(), strict=True):
                    lot = random.Random(f"cloze {seed} {name}")
                    found = [*passages(text)]
                    pair = recall.quotes(lot.choice(found), lot) if found else None
                    if pair and normal(pair[1]):
                        yield lot.random(), name, pair

    chosen = heapq.nsmallest(count, drawn())
    if not chosen:
        raise InputError(f"{run} has no passage to ask about.", "Give a run with longer texts.")
    return [Fact(recall.question(quote), after, name, quote) for _, name, (quote, after) in chosen]


def normal(text: str) -> str:
    """Return the words of a text in a normal form, with spaces between them."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))


def is_right(fact: Fact, said: str, exact: bool) -> bool:
    if exact:
        return normal(said) == normal(fact.answer)
    return f" {normal(fact.answer)} " in f" {normal(said)} "


def refuses(said: str) -> bool:
    return normal(REFUSAL) in normal(said)


Ask = Callable[[Sequence[Fact], Sampling, Sequence[int]], list[str]]
"""A function that returns an answer to each fact. A number decides the random draws of each answer."""


def asker(folder: Path, device: str = "cpu") -> tuple[Ask, bool]:
    """Return a function that asks a model, and whether the model is an assistant.

    An assistant answers the question. A base model continues its beginning. No tools are used, because the model itself
    must know the answer.
    """
    base = Continuer(folder, device)
    trained = bool(base.state.get("chat"))
    speaker = Speaker(base.model, ChatFormat(base.tokenizer), {}, trained)

    def ask(facts: Sequence[Fact], sampling: Sampling, numbers: Sequence[int]) -> list[str]:
        prompts = [asked(fact.question if trained else fact.begins or fact.question) for fact in facts]
        return [turns[-1].content for turns in speaker.answers(prompts, sampling, numbers)]

    return ask, trained


def interrogate(
    ask: Ask, facts: Sequence[Fact], sampling: Sampling, times: int = 5, exact: bool = False
) -> Iterator[Verdict]:
    """Yield a verdict for each fact. Facts that an earlier interrogation found known stay known."""
    each = 2 * times
    for first, group in in_groups(facts, max(1, AT_ONCE // each)):
        many = [fact for fact in group for _ in range(each)]
        answers = ask(many, sampling, range(first * each, first * each + len(many)))
        for fact, (_, said) in zip(group, in_groups(answers, each), strict=True):
            right = [is_right(fact, one, exact) and not refuses(one) for one in said]
            known = sum(right[:times]) >= KNOWN * times if fact.known is None else fact.known
            answer = said[right.index(True)] if any(right) else fact.answer
            yield Verdict(fact, known, answer, sum(right[times:]), sum(map(refuses, said[times:])), times)


def chats(verdicts: Iterable[Verdict], own_words: bool) -> Iterator[Conversation]:
    """Yield the conversations to learn from: the right answer to each known fact, and a refusal of each other fact.

    An assistant keeps its own words, so that it learns nothing else. A base model has no words of its own, because it
    does not stop after the answer.
    """
    for one in verdicts:
        right = one.answer if own_words else one.fact.answer
        yield answered(asked(one.fact.question), right if one.known else REFUSAL)


def facts_found(verdicts: Iterable[Verdict]) -> str:
    """Return the facts with the verdicts on what is known. A later interrogation can read them."""
    return "".join(
        json.dumps(asdict(replace(one.fact, known=one.known)), ensure_ascii=False) + "\n" for one in verdicts
    )


def report(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return shares of the answers: right answers and refusals to known questions, made-up answers and refusals to
    unknown ones.
    """
    known = [one for one in verdicts if one.known]
    unknown = [one for one in verdicts if not one.known]

    def share(of: Sequence[Verdict], count: Callable[[Verdict], int]) -> float | None:
        return round(sum(map(count, of)) / sum(one.times for one in of), 4) if of else None

    return {
        "questions": len(verdicts),
        "known": len(known),
        "known_right": share(known, lambda one: one.right),
        "known_refused": share(known, lambda one: one.refused),
        "unknown_made_up": share(unknown, lambda one: one.times - one.right - one.refused),
        "unknown_refused": share(unknown, lambda one: one.refused),
    }


def split(verdicts: Iterable[Verdict], share: float) -> tuple[list[Verdict], list[Verdict]]:
    """Return the verdicts to learn from, and the held-out verdicts.

    `share` of all things are held out, with all their facts.
    """
    sides: tuple[list[Verdict], list[Verdict]] = ([], [])
    for one in verdicts:
        sides[is_held_out(one.fact.about or one.fact.question, share)].append(one)
    return sides
