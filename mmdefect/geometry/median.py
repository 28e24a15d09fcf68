"""The median of many values without ordering them all.

A few of the values, evenly taken and ordered, tell between which two of them the median almost
surely lies [1]_. One pass counts the values below and gathers those between; the middle ones are
among these, or the values are ordered after all. So the median is exact, whatever the few tell.

References
----------
.. [1] Floyd, Rivest: Expected time bounds for selection, Communications of the ACM 18, 1975.
"""

import numpy as np
from numpy.typing import NDArray

from mmdefect.jit import compiled

_FEW = 1024
_ASIDE = 64  # places among the few, four deviations of the median's own
_WORTH = 8 * _FEW


def median_of(values: NDArray[np.float64]) -> float:
    """Give the median.

    Parameters
    ----------
    values : float64 array (value,)
        At least one; finite.

    Returns
    -------
    float
        The mean of both middle values where their number is even.
    """
    count = len(values)
    if count < _WORTH:
        return float(np.median(values))
    few = np.sort(values[:: count // _FEW])
    low, high = few[len(few) // 2 - _ASIDE], few[len(few) // 2 + _ASIDE]
    between = np.empty(count)
    below, held = _gathered(values, low, high, between)
    first, last = (count - 1) // 2 - below, count // 2 - below
    if first < 0 or last >= held:
        return float(np.median(values))
    middle = np.partition(between[:held], (first, last))[[first, last]]
    return float(middle.mean())


@compiled
def _gathered(
    values: NDArray[np.float64], low: float, high: float, between: NDArray[np.float64]
) -> tuple[int, int]:
    """Count the values below low, and gather those from low to high."""
    below = held = 0
    for value in values:
        below += value < low
        between[held] = value
        held += low <= value <= high
    return below, held
