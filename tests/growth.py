"""How the work of a function grows with the size of its input."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import TypeVar

Input = TypeVar("Input")
Result = TypeVar("Result")

TIMES = 16
"""The large input is so many times as large as the small one. Linear work takes 16 times as long, quadratic 256
times."""

MOST = 64.0
"""The most times as long that linear work may take. It is 4 times what linear work needs, and a quarter of what
quadratic work needs. The 4 are for `n log n`, which takes 20 times as long, and for caches: a small input may lie in
one where a large one does not."""

_TRIES = 5
_ENOUGH_S = 0.1
"""A small input is measured three times in each try, or until it took so long: then one reading is as good as three."""


def assert_linear(
    make: Callable[[int], Input],
    work: Callable[[Input], Result],
    size: int,
    clock: Callable[[], float] = time.thread_time,
) -> Result:
    """Assert that `work` takes linear time, and return its result for `make(size)`.

    The size must be one at which quadratic work takes seconds. Less may hide behind what each call costs. `clock` is
    the CPU time of this thread, which other processes and threads leave alone. Take `time.process_time` for work that
    has threads of its own.

    Each of both inputs counts with its shortest time, since everything that disturbs makes work longer. So one good try
    is enough, and work that is not linear fails every try. A machine may become faster between two measurements, and
    then not even quadratic work takes much longer with the large input. So a good try must also be good when the small
    input is measured once more after it.
    """
    small, large = make(size // TIMES), make(size)

    def seconds(given: Input) -> tuple[float, Result]:
        started = clock()
        made = work(given)
        return clock() - started, made

    def shortest() -> float:
        spent: list[float] = []
        while len(spent) < 3 and sum(spent) < _ENOUGH_S:
            spent.append(seconds(small)[0])
        return min(spent)

    work(small)  # loads what is loaded once
    collects = gc.isenabled()
    gc.disable()  # a collection goes through all objects of the process, and a large input meets more of them
    try:
        shorter = longer = float("inf")
        for _ in range(_TRIES):
            shorter = min(shorter, shortest())
            taken, result = seconds(large)
            longer = min(longer, taken)
            if longer <= MOST * shorter:
                shorter = min(shorter, shortest())
                if longer <= MOST * shorter:
                    return result
    finally:
        if collects:
            gc.enable()
    raise AssertionError(
        f"Not linear: {TIMES} times the input takes {longer / max(shorter, 1e-9):.0f} times as long"
        f" ({shorter:.4f} s and {longer:.4f} s of CPU time; more than {MOST:.0f} times is too much)."
    )
