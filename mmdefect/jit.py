"""Loops over pixels, compiled on the user's machine and shared out over threads.

* numba brings its own compiler, so no wheel of ours has to fit a platform.
* The machine code is kept beside the module or, where that folder is read-only, in the user's
  cache; where neither can be written it is compiled anew in every process.
* The loops release Python's lock, and plain threads share out bands of rows: numba's own threads
  must not be called from two threads at once, and do not survive a fork.
* Threads are started once and wait: starting one costs as much as filtering a small picture. What
  is shared out is the largest piece there is, since two libraries that both share out small ones
  are slower on two cores than on one.
* ``FAST`` leaves NaN and infinity alone (NaN is how a measurement is missing) and lets the
  compiler fuse products.
"""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache, partial
from typing import Any, TypeVar, cast

import numba

Loop = TypeVar("Loop", bound=Callable[..., Any])
Result = TypeVar("Result")

FAST = {"contract", "nsz"}
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": FAST}
_REORDERED = FAST | {"reassoc", "arcp"}
_INLINED = _OPTIONS | {"forceinline": True, "_nrt": False}
WORTH_A_THREAD = 4_000_000
"""Products of two numbers that take about half a millisecond, as long as waking a thread pays."""

_MOST_THREADS = 8
_here = threading.local()


def compiled(loop: Loop) -> Loop:
    """Compile a function of arrays and numbers when it is first called.

    Parameters
    ----------
    loop : callable
        Of what numba understands; division by zero gives an infinity as in NumPy.

    Returns
    -------
    callable
        The same function, compiled; type-checked as written.
    """
    return _compiled(loop, FAST)


def reordered(loop: Loop) -> Loop:
    """Compile a function whose sums the compiler may reorder, which lets it use wide registers.

    Parameters
    ----------
    loop : callable
        As for ``compiled``.

    Returns
    -------
    callable
        The same function, compiled; type-checked as written.
    """
    return _compiled(loop, _REORDERED)


def _compiled(loop: Loop, fast: set[str]) -> Loop:
    """Compile, and keep the machine code where there is a folder for it."""
    options = _OPTIONS | {"fastmath": fast}
    try:
        made = numba.njit(cache=True, **options)(loop)
    except RuntimeError:  # numba found no folder that it may write to
        made = numba.njit(**options)(loop)
    return cast(Loop, made)


def inlined(step: Loop) -> Loop:
    """Compile a function into the loops that call it, as if it were written there.

    It does not count the references to its arrays, which costs more than what most such functions
    do; the loop that calls it holds them. So it makes no arrays.

    Parameters
    ----------
    step : callable
        Called from compiled loops only.

    Returns
    -------
    callable
        The same function, compiled; type-checked as written.
    """
    return cast(Loop, numba.njit(**_INLINED)(step))


def inlined_reordered(step: Loop) -> Loop:
    """Compile a function into the loops that call it, with sums that the compiler may reorder.

    Parameters
    ----------
    step : callable
        As for ``inlined``.

    Returns
    -------
    callable
        The same function, compiled; type-checked as written.
    """
    return cast(Loop, numba.njit(**_INLINED | {"fastmath": _REORDERED})(step))


def threads() -> int:
    """Tell how many threads share a loop.

    Returns
    -------
    int
        ``OMP_NUM_THREADS`` where it is set, else the processor cores this process may use; from
        1 to 8.
    """
    told = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if told.isdigit():
        return min(max(int(told), 1), _MOST_THREADS)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(cores or 1, _MOST_THREADS)


def in_bands(
    loop: Callable[..., None], rows: int, *arguments: Any, bands: int = 0, least: int = 1
) -> None:
    """Run a loop over bands of rows, one thread a band; within a task all rows are one band.

    Parameters
    ----------
    loop : callable (band, start, stop, *arguments)
        Releases Python's lock; writes to its own rows, or to its own band's arrays.
    rows : int
    *arguments
        Passed on.
    bands : int, optional
        Exactly so many; as many as there are threads when left out.
    least : int
        Rows that are worth waking a thread for, where ``bands`` is left out.
    """
    bands = bands or max(1, min(_free(), rows // max(least, 1)))
    edges = [rows * band // bands for band in range(bands + 1)]
    _shared(
        [partial(loop, band, edges[band], edges[band + 1], *arguments) for band in range(bands)]
    )


def side_by_side(tasks: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run tasks on as many threads as share a loop, torch with one thread in each.

    Parameters
    ----------
    tasks : sequence of callable ()
        Independent of each other; worth it where they release Python's lock.

    Returns
    -------
    list
        What they gave, in their order. The first error is raised once all threads are at rest.
    """
    if len(tasks) < 2:
        return [task() for task in tasks]
    return _shared([partial(copy_context().run, _alone, task) for task in tasks])


def _free() -> int:
    """Tell how many threads may share what is begun here."""
    return 1 if getattr(_here, "busy", False) else threads()


def _shared(tasks: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run tasks: the caller takes some of them itself, waiting threads the others."""
    hands = min(len(tasks), _free())
    if hands <= 1:
        return [task() for task in tasks]
    left = deque(enumerate(tasks))
    given: dict[int, Result] = {}
    others = [_pool(os.getpid()).submit(_work_off, left, given) for _ in range(hands - 1)]
    try:
        _work_off(left, given)
    finally:
        errors = [one.exception() for one in others]
    for error in filter(None, errors):
        raise error
    return [given[place] for place in range(len(tasks))]


def _work_off(left: "deque[tuple[int, Callable[[], Result]]]", given: dict[int, Result]) -> None:
    """Take tasks until none is left, or until one fails."""
    _here.busy = True
    try:
        while left:
            try:
                place, task = left.popleft()
            except IndexError:  # another thread was faster
                return
            given[place] = task()
    except BaseException:
        left.clear()
        raise
    finally:
        _here.busy = False


def _alone(task: Callable[[], Result]) -> Result:
    """Run a task in which torch shares nothing out."""
    torch = sys.modules.get("torch")
    own = torch.get_num_threads() if torch and getattr(_here, "busy", False) else 1
    if torch is None or own == 1:
        return task()
    torch.set_num_threads(1)
    try:
        return task()
    finally:
        torch.set_num_threads(own)


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """Keep threads that wait for tasks; a forked process has none of its parent's."""
    return ThreadPoolExecutor(_MOST_THREADS - 1, "mmdefect")
