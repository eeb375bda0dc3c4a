"""The errors that this project raises on purpose. The command line turns each into an exit code.

Damaged records and hostile pages never raise an error. Such records and pages become rows of the ledger.
"""

from __future__ import annotations

import difflib
import errno
import os
import traceback
from collections.abc import Iterable


class CorpusError(Exception):
    """An expected failure. One sentence says what happened, and another says what to do. Exit code 1."""

    def __init__(self, what: str, todo: str = "") -> None:
        super().__init__(f"{what} {todo}".strip())
        self.what = what
        self.todo = todo


class ConfigError(CorpusError):
    """A recipe, limit, option or path is wrong. Exit code 2, as for wrong usage."""


class UndeclaredMeasure(TypeError):
    """A stage yielded a measure that it does not declare. The page is `failed`, with this class as the detail."""


class InputError(CorpusError):
    """An input can't be read, such as a folder without archives or a file that is no archive."""


class InputChanged(InputError):
    """An input file has changed since the run began."""


class InputUnreachable(InputError):
    """A server does not deliver an input, or has stopped delivering it."""


class ServerDown(InputUnreachable):
    """A server that has answered before has not answered for minutes. It may come back."""


class OutputError(CorpusError):
    """An output can't be written, or belongs to another recipe."""


class AlarmError(CorpusError):
    """Deduplication would remove more than the user allowed, so the run stopped before it was packed."""


class NoRoom(OutputError):
    """The file system of an output accepts no more data."""


class IntegrityError(CorpusError):
    """Committed data does not match its record.

    The data is missing or changed, or its counts or ranges do not add up.
    """


_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
"""The errors that only a write can raise: no space, a quota, the limit of file sizes, a read-only file system."""


def no_room(error: OSError, folder: object) -> NoRoom | None:
    """Return the error to raise if a write to `folder` failed for lack of room.

    Return None if it failed for another reason.
    """
    if error.errno not in _NO_ROOM:
        return None
    return NoRoom(
        f"{folder} accepts no more data: {os.strerror(error.errno)}.",
        "Make room and run the same command again. It continues where this run stopped.",
    )


def traced(error: BaseException) -> str:
    """Return the place where an error was raised and the errors that led to it, as tracebacks and class names.

    Messages are left out, since they may quote a page.
    """
    chain = [error]
    while (before := _led_to(chain[-1])) is not None and before not in chain:
        chain.append(before)
    return "\nThis led to another error:\n".join(
        "".join(traceback.format_tb(one.__traceback__)) + f"{class_of(one)}\n" for one in reversed(chain)
    )


def _led_to(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def class_of(error: BaseException) -> str:
    """Return the class of an error. For an error of the operating system, add its reason."""
    reason = f": {os.strerror(error.errno)}" if isinstance(error, OSError) and error.errno else ""
    return type(error).__name__ + reason


def reason_of(error: Exception) -> str:
    """Return why a file can't be read, without the class of the error."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else "it has another form"


_LISTED = 20
"""If there are more known names, only the stages among `stage.rule` are listed."""


def did_you_mean(name: str, known: Iterable[str], longer: Iterable[str] = ()) -> str:
    """Return a sentence for the end of an error message. The sentence suggests the known names most like `name`.

    If `name` is the end of known names, such as `words` for `gopher_quality.words`, only these are suggested. `longer`
    are more names for this case.
    """
    known = sorted(known)
    whole = sorted(one for one in {*known, *longer} if one.endswith(f".{name}"))
    near = whole or difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    first = [one for one in known if "." not in one]
    if first and len(known) > max(len(first), _LISTED):
        rule = next(one for one in known if "." in one)
        return f"Known: {', '.join(first)}, and their rules, such as {rule}."
    return f"Known: {', '.join(known)}."
