"""Other processes, as /proc shows them."""

from __future__ import annotations

from pathlib import Path


def children(pid: int) -> list[int]:
    task = Path(f"/proc/{pid}/task")
    try:
        return [int(child) for thread in task.iterdir() for child in (thread / "children").read_text().split()]
    except OSError:
        return []


def descendants(pid: int) -> list[int]:
    """A process, its children, and all their descendants."""
    found = [pid]
    for one in found:
        found += children(one)
    return found


def command_line(pid: int) -> str:
    """The command line of a process. It is empty for one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def parent(pid: int) -> int:
    return int(_status(pid)[1])


def state(pid: int) -> str:
    """The state of a process: R runs, S sleeps, T is stopped, Z has ended. It is empty if there is no such process."""
    try:
        return _status(pid)[0]
    except OSError:
        return ""


def _status(pid: int) -> list[str]:
    """The fields from the state on. The name before them may hold any characters."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
