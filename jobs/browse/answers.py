"""Answers that are kept, because a page asks the same questions again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Answers:
    """The newest answers to questions. A question that is asked twice at the same time is answered once."""

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._found: OrderedDict[Hashable, Any] = OrderedDict()
        self._asked: dict[Hashable, threading.Lock] = {}

    def get(self, question: Hashable, answer: Callable[[], T]) -> T:
        """Return the answer to a question, which `answer` finds if nobody has asked before."""
        with self._lock:
            asked = self._asked.setdefault(question, threading.Lock())
        with asked:
            with self._lock:
                if question in self._found:
                    self._found.move_to_end(question)
                    return self._found[question]
            try:
                found = answer()
            except BaseException:
                with self._lock:
                    self._asked.pop(question, None)
                raise
            with self._lock:
                self._found[question] = found
                while len(self._found) > self._most:
                    self._asked.pop(self._found.popitem(last=False)[0], None)
            return found
