"""Arrays that are written anew for every capture: a page of memory that is new costs microseconds.

A capture of 800 x 800 pixels passes through fifty megabytes that nobody asks for afterwards. The
system hands out new memory page by page, cleared, and takes it back when it is released; that
takes longer than the loops that write it. So each thread keeps a few such arrays for the next time.
"""

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_MOST = 32 << 20  # bytes; what is larger is not kept
_kept = threading.local()


def scratch(purpose: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Give an array to write to, which holds anything.

    Parameters
    ----------
    purpose : str
        What it is for; the next call in this thread with the same purpose gives the same memory.
    shape : tuple of int
    dtype : dtype-like

    Returns
    -------
    array
        Not to be kept, nor returned to whoever may keep it.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size > _MOST:
        return np.empty(shape, dtype=dtype)
    held = getattr(_kept, purpose, None)
    if held is None or held.nbytes < size:
        held = np.empty(size, dtype=np.uint8)
        setattr(_kept, purpose, held)
    return held[:size].view(dtype).reshape(shape)
