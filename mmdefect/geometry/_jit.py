"""Loops over a pixel's neighbours, compiled on the user's machine.

* numba brings its own compiler, so no wheel of ours has to fit a platform.
* The machine code is kept beside the module or, where that folder is read-only, in the user's
  cache; where neither can be written it is compiled anew in every process.
* The loops release Python's lock and are shared out over bands of rows by plain threads: numba's
  own threads must not be called from two threads at once.
* `FAST` leaves NaN and infinity alone (NaN is how a point is missing) and lets the compiler
  reorder sums and fuse products.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Loop = TypeVar("Loop", bound=Callable[..., Any])

FAST = {"contract", "reassoc", "nsz", "arcp"}


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
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": FAST}
    try:
        made = numba.njit(cache=True, **options)(loop)
    except RuntimeError:  # numba found no folder that it may write to
        made = numba.njit(**options)(loop)
    return cast(Loop, made)
