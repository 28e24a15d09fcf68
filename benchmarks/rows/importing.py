"""What ``import mmdefect`` and ``mmdefect --help`` cost over a bare Python."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

from case import Case, Check

TITLE = "Import and help"
HELP = "import sys; from mmdefect.cli import main; sys.argv[1:] = ['--help']; main()"
ROUNDS = 9


def cases(quick: bool) -> dict[str, Callable[[], Case]]:
    return {
        "import mmdefect": partial(made, "import mmdefect", 0.05),
        "mmdefect --help": partial(made, HELP, 0.3),
    }


def made(code: str, most: float) -> Case:
    def checks() -> Sequence[Check]:
        clock, busy = zip(*(apart(code) for _ in range(ROUNDS)), strict=True)
        return (
            Check("seconds over bare Python, of processor time, median", median(busy), most=most),
            Check("seconds over bare Python, by the clock, median", median(clock)),
        )

    return Case(ours=lambda: ran(code), checks=checks, rounds=3, memory=False, threads=(1,))


def apart(code: str) -> tuple[float, float]:
    """Run with and without, one after the other: seconds of the clock and of the processor."""
    bare, full = ran("pass"), ran(code)
    return full[0] - bare[0], full[1] - bare[1]


def ran(code: str) -> tuple[float, float]:
    """Run a program: seconds of the clock, and of the processor."""
    import resource

    def used() -> float:
        told = resource.getrusage(resource.RUSAGE_CHILDREN)
        return told.ru_utime + told.ru_stime

    clock, busy = time.perf_counter(), used()
    subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - clock, used() - busy
