"""Read the items of benchmarks from files, for `corpus evals index`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import groupby
from typing import Any

from corpus.documents.columns import Columns, choose_columns, choose_names
from corpus.documents.files import PAGE, as_stored, columns_in, format_of, read_part
from corpus.documents.row import Row
from corpus.errors import ConfigError, InputError
from corpus.net.remote import open_source
from corpus.warc.plan import Range
from filters.decontaminate.build import Item
from filters.decontaminate.index import NAME
from jobs.build.inputs import Input

USUAL = {
    "question": ("question", "problem", "query", "prompt", "input", "text"),
    "answer": ("answer", "answers", "solution", "target", "output"),
    "choices": ("choices", "options"),
    "name": ("benchmark", "eval_key", "dataset"),
    "id": ("eval_instance_index", "question_id", "id", "idx"),
    "right": ("is_correct", "correct"),
}
"""The names that benchmarks use for each part of an item, the likeliest first."""

_LETTER = re.compile(r"\(?[A-Za-z]\)?\.?")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


def read_items(files: Sequence[Input], asked: Mapping[str, str], unread: list[str]) -> Iterator[Item]:
    """Yield the items of some files, in order.

    Rows that follow each other and have the same question and id are the choices of one item. The place of each row
    that has no question is added to `unread`. Raises ConfigError if a file has no column of questions.
    """
    for file in files:
        rows = _rows(file, asked, unread)
        for (name, question, _), group in groupby(rows, lambda row: row[1]):
            alike = list(group)
            answers = dict.fromkeys(answer for _, _, found, _ in alike for answer in found)
            right = {answer for _, _, _, answer in alike if answer}
            yield Item(name, question, tuple(answers), alike[0][0], right.pop() if len(right) == 1 else "")


def read_texts(files: Sequence[Input]) -> Iterator[str]:
    """Yield the texts of some files of documents."""
    for file in files:
        for item in _documents(file, lambda there, name: choose_columns(there, {}, name)):
            if isinstance(item, Row) and item.text:
                yield item.text


_Row = tuple[str, tuple[str, str, str], list[str], str]


def _rows(file: Input, asked: Mapping[str, str], unread: list[str]) -> Iterator[_Row]:
    """Yield the source of each row, its benchmark, question and id, its answers, and the right one if it has it."""
    names: dict[str, str] = {}

    def choose(there: Sequence[str], name: str) -> Columns:
        names.update(choose_names(there, asked, USUAL, name))
        if not names["question"]:
            listed = ", ".join(there[:20])
            what = f"{name} has no column with a known name for questions. It has the columns {listed}."
            raise ConfigError(what, "Give its name with --question.")
        return Columns(text=names["question"], keep=tuple({name: None for name in names.values() if name}))

    for number, item in enumerate(_documents(file, choose)):
        source = f"{file.name}:{number}"
        if not isinstance(item, Row) or not item.text:
            unread.append(source)
            continue
        values = json.loads(item.metadata or "{}")
        parts = {part: values.get(name) for part, name in names.items()}
        own = "" if parts["id"] is None else str(parts["id"])
        named = parts["name"] if isinstance(parts["name"], str) else file.name.partition(".")[0]
        name = _NOT_IN_NAMES.sub("_", named)[:64]
        if not NAME.fullmatch(name):
            name = "unnamed"
        answers = answers_of(parts["answer"], parts["choices"])
        right = _right_of(parts["answer"], answers) if parts["right"] in (None, True, "true", 1) else ""
        yield f"{source} {own}".rstrip(), (name, item.text, own), answers, right


def answers_of(answer: Any, choices: Any) -> list[str]:
    """Return all choices, and the answer if it is a text and not the letter of a choice."""
    if isinstance(choices, Mapping):  # as in ARC: the texts and their letters
        choices = choices.get("text")
    found = [str(one) for one in choices if isinstance(one, str | int | float)] if isinstance(choices, list) else []
    for one in answer if isinstance(answer, list) else [answer]:
        points = found and (isinstance(one, int) or (isinstance(one, str) and _LETTER.fullmatch(one)))
        if isinstance(one, str | int | float) and not points:
            found.append(str(one))
    return [one for one in dict.fromkeys(found) if one.strip()]


def _right_of(answer: Any, answers: Sequence[str]) -> str:
    """Return the right answer of a row, given all of its answers. It may be named by its number or its letter."""
    if isinstance(answer, str) and answer in answers:
        return answer
    at = answer if isinstance(answer, int) else -1
    if isinstance(answer, str) and _LETTER.fullmatch(answer):
        at = ord(answer.strip("().").upper()) - ord("A")
    if 0 <= at < len(answers):
        return answers[at]
    return str(answer) if str(answer) in answers else ""


def _documents(file: Input, choose: Any) -> Iterable[Any]:
    form = format_of(file.name)
    if form is None or form.layout == PAGE:
        raise InputError(f"{file.name} is not a file of rows.", "Give parquet or JSON Lines.")
    with closing(open_source(file.path, file.name, tag=file.tag)) as source:
        if not source.size:
            return
        stored = as_stored(source, form)
        yield from read_part(source, stored, Range(0, source.size), choose(columns_in(source, stored), file.name))
