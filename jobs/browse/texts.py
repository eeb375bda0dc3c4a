"""Texts beside each other: what a stage cut or replaced, what two texts have in common, and where they differ.

A text is shown as pieces: [text, kind, by]. The kind is "" for text that stays, "cut", "added", or "shared".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import pairwise
from typing import NamedTuple

_LINES = re.compile(r"[^\n]*\n|[^\n]+")
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
_WORD = re.compile(r"\w+")
_MOST_PAIRS = 1_000_000
"""If two lists have more pairs than this, only deletions are found in them, as comparing all pairs would take long."""

_MOST_WORDS = 2_000
SHARED_WORDS = 5
"""Words are shared if they stand in so many words in a row that both texts have."""


class Piece(NamedTuple):
    """A piece of a text. `by` names the stage that cut or added it."""

    text: str
    kind: str = ""
    by: str = ""


def changes(before: str, after: str) -> Iterator[tuple[str, str]]:
    """Yield ("", text), ("cut", text) and ("added", text), line by line, and word by word in lines that changed."""
    for kind, old, new in _opcodes(_LINES.findall(before), _LINES.findall(after)):
        olds, news = _WORDS.findall("".join(old)), _WORDS.findall("".join(new))
        if kind == "replace" and len(olds) + len(news) <= _MOST_WORDS:
            for inner, cut, added in _opcodes(olds, news):
                yield from _change(inner, cut, added)
        else:
            yield from _change(kind, old, new)


def _change(kind: str, old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str, str]]:
    if kind == "equal":
        yield "", "".join(old)
        return
    if old:
        yield "cut", "".join(old)
    if new:
        yield "added", "".join(new)


def _opcodes(old: list[str], new: list[str]) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield (kind, parts of `old`, parts of `new`) as `SequenceMatcher` does, in bounded time."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    if start:
        yield "equal", old[:start], new[:start]
    olds, news = old[start : len(old) - end], new[start : len(new) - end]
    if len(olds) * len(news) <= _MOST_PAIRS:
        for kind, a, b, c, d in SequenceMatcher(None, olds, news, autojunk=False).get_opcodes():
            yield kind, olds[a:b], news[c:d]
    else:
        yield from _deletions(olds, news)
    if end:
        yield "equal", old[len(old) - end :], new[len(new) - end :]


def _deletions(old: list[str], new: list[str]) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield the differences if `new` is `old` with parts left out, and otherwise all of `old` as replaced."""
    places, at = [], 0
    for part in new:
        while at < len(old) and old[at] != part:
            at += 1
        if at == len(old):
            yield "replace", old, new
            return
        places.append(at)
        at += 1
    kept = set(places)
    for number, part in enumerate(old):
        yield ("equal", [part], [part]) if number in kept else ("delete", [part], [])


def steps(texts: Sequence[tuple[str, str]]) -> list[Piece]:
    """Return the text after the last stage, with everything that stages cut from the first text or added to it. `texts`
    are (stage, text after it), in order."""
    pieces = [Piece(texts[0][1])] if texts else []
    for (_, before), (stage, after) in pairwise(texts):
        pieces = list(_joined(_applied(pieces, changes(before, after), stage)))
    return pieces


def _applied(pieces: Iterable[Piece], changed: Iterable[tuple[str, str]], stage: str) -> Iterator[Piece]:
    """Yield the pieces after a stage. Pieces that were cut before stay where they are."""
    waiting = iter(pieces)
    rest: Piece | None = None
    for kind, text in changed:
        if kind == "added":
            yield Piece(text, "added", stage)
            continue
        while text:
            piece = rest or next(waiting)
            rest = None
            if piece.kind == "cut":
                yield piece
                continue
            part, more = piece.text[: len(text)], piece.text[len(text) :]
            text = text[len(part) :]
            rest = piece._replace(text=more) if more else None
            yield Piece(part, "cut", stage) if kind else piece._replace(text=part)
    yield from [rest] if rest else []
    yield from waiting


def _joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Yield the pieces, with equal neighbors as one."""
    last: Piece | None = None
    for piece in pieces:
        if last and last[1:] == piece[1:]:
            last = last._replace(text=last.text + piece.text)
        else:
            if last:
                yield last
            last = piece
    yield from [last] if last else []


def differences(one: str, other: str) -> tuple[list[Piece], list[Piece]]:
    """Return two texts with their differences: "cut" is what only the first has, "added" what only the second has."""
    found = [Piece(text, kind) for kind, text in changes(one, other)]
    return [piece for piece in found if piece.kind != "added"], [piece for piece in found if piece.kind != "cut"]


def shared(one: str, other: str) -> tuple[list[Piece], list[Piece]]:
    """Return two texts with the words that they share."""
    grams = [_grams([word.group().lower() for word in _WORD.finditer(text)]) for text in (one, other)]
    both = set(grams[0]) & set(grams[1])
    return _marked(one, both), _marked(other, both)


def _grams(words: list[str]) -> list[tuple[str, ...]]:
    return [tuple(words[at : at + SHARED_WORDS]) for at in range(max(len(words) - SHARED_WORDS + 1, 0))]


def _marked(text: str, both: set[tuple[str, ...]]) -> list[Piece]:
    found = list(_WORD.finditer(text))
    marks = [False] * len(found)
    for at, gram in enumerate(_grams([word.group().lower() for word in found])):
        if gram in both:
            marks[at : at + SHARED_WORDS] = [True] * SHARED_WORDS
    pieces, done, end, was = [], 0, 0, False
    for word, mark in zip(found, marks, strict=True):
        if mark != was:
            edge = word.start() if mark else end
            pieces.append(Piece(text[done:edge], "shared" if was else ""))
            done, was = edge, mark
        end = word.end()
    edge = end if was else len(text)
    pieces += [Piece(text[done:edge], "shared" if was else ""), Piece(text[edge:])]
    return [piece for piece in pieces if piece.text]
