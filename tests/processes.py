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
    """A process, its children, and theirs."""
    found = [pid]
    for one in found:
        found += children(one)
    return found


def command_line(pid: int) -> str:
    """What a process calls itself; empty for one that ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def parent(pid: int) -> int:
    return int(_status(pid)[1])


def state(pid: int) -> str:
    """R runs, S sleeps, T is stopped, Z has ended; empty where there is none of that number."""
    try:
        return _status(pid)[0]
    except OSError:
        return ""


def _status(pid: int) -> list[str]:
    """The fields from the state on; the name before it may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
