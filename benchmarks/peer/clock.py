"""CPU time of a process and its children, living and ended. Both sides import this, so it has no dependencies."""

import multiprocessing
import resource
import time


def tree_cpu() -> float:
    """CPU seconds, user and system, of this process, its ended children, and those of `multiprocessing` that live.

    The sandbox that datatrove extracts in is such a child; `RUSAGE_CHILDREN` counts it only once it has ended.
    """
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = time.process_time() + ended.ru_utime + ended.ru_stime
    for child in multiprocessing.active_children():
        try:
            total += time.clock_gettime(~child.pid << 3 | 2)  # the kernel's clock of a process: CPUCLOCK_SCHED
        except OSError:  # it has ended meanwhile
            continue
    return total


class Lap:
    """The CPU and wall seconds since this object was made."""

    def __init__(self) -> None:
        self._cpu, self._wall = tree_cpu(), time.perf_counter()

    def took(self) -> dict[str, float]:
        return {"cpu": tree_cpu() - self._cpu, "wall": time.perf_counter() - self._wall}
