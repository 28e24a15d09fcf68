"""Loops over pixels, compiled on the user's machine and shared out over threads.

* numba brings its own compiler, so no wheel of ours has to fit a platform.
* The machine code is kept beside the module or, where that folder is read-only, in the user's
  cache; where neither can be written it is compiled anew in every process.
* The loops release Python's lock, and plain threads share out bands of rows: numba's own threads
  must not be called from two threads at once, and do not survive a fork.
* ``FAST`` leaves NaN and infinity alone (NaN is how a measurement is missing) and lets the
  compiler fuse products.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

import numba

Loop = TypeVar("Loop", bound=Callable[..., Any])

FAST = {"contract", "nsz"}
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": FAST}
_MOST_THREADS = 8


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
    return _compiled(loop, FAST | {"reassoc", "arcp"})


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

    Parameters
    ----------
    step : callable
        Called from compiled loops only.

    Returns
    -------
    callable
        The same function, compiled; type-checked as written.
    """
    return cast(Loop, numba.njit(forceinline=True, **_OPTIONS)(step))


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


def in_bands(loop: Callable[..., None], rows: int, *arguments: Any, bands: int = 0) -> None:
    """Run a loop over bands of rows, one thread a band.

    Parameters
    ----------
    loop : callable (band, start, stop, *arguments)
        Releases Python's lock; writes to its own rows, or to its own band's arrays.
    rows : int
    *arguments
        Passed on.
    bands : int, optional
        As many as there are threads when left out.
    """
    bands = bands or threads()
    edges = [rows * band // bands for band in range(bands + 1)]
    if bands == 1:
        loop(0, 0, rows, *arguments)
        return
    with ThreadPoolExecutor(bands) as pool:
        running = [
            pool.submit(loop, band, edges[band], edges[band + 1], *arguments)
            for band in range(bands)
        ]
        for one in running:
            one.result()
