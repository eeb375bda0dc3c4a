"""The number of CPUs that this process may use, which can be fewer than the machine has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def usable_cpus(root: Path = Path("/")) -> int:
    """Return the number of CPUs in the affinity mask of this process, or the CPU quota of its cgroup if that is less.

    A quota is rounded up to whole CPUs. `root` is the folder that contains `proc` and `sys`.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([allowed, *_quotas(root)])


def _quotas(root: Path) -> Iterator[int]:
    """The quotas of the cgroups that this process is in. The quota of a parent cgroup also holds for its children."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        folder = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        for part in ["", *path.split("/")]:
            folder /= part if part != ".." else ""  # a path that leaves the cgroup namespace starts with ".."
            if controllers:
                limits = [_read(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
            else:
                limits = _read(folder / "cpu.max").split()
            if len(limits) == 2 and all(limit.isdecimal() for limit in limits):  # "max" and -1 mean no quota
                quota, period = map(int, limits)
                yield max(1, -(-quota // period))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
