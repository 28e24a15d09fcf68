"""Rows measured by their difference to a query, those first and only that may be the nearest.

Whatever gives a lower bound of squared distances, in floats (``_search``) or in bytes
(``_quantised``), leaves the rest to this loop: a row whose bound is above what the best one so
far allows is passed over, 64 at a look. Of rows at the same distance the first one counts, so that
the answer does not depend on the bound.
"""

import numpy as np
from numpy.typing import NDArray

from mmdefect.jit import reordered

_STEP = np.uint64(128)
_LANES = 64
_FAR = np.float32(np.inf)


@reordered
def measure(
    bounds: NDArray[np.float32],
    lowest: np.float32,
    lost: np.float32,
    spare: np.float32,
    query: NDArray[np.float32],
    rows: NDArray[np.float32],
    best: NDArray[np.float32],
    found: NDArray[np.int64],
    q: int,
    first: int,
) -> None:
    """Measure the rows whose bound lies below what the best one so far allows.

    The most promising row comes first: it rules most others out.

    Parameters
    ----------
    bounds : float32 array (row,)
        Lower bounds of the squared distances, less the query's own square.
    lowest : float32
        The smallest of them.
    lost : float32
        By how much a distance may be smaller than its bound says.
    spare : float32
        By how much a bound may be too large, less the query's own square.
    query : float32 array (feature,)
    rows : float32 array (row, feature)
    best : float32 array (query,)
        Squared distances; written to at `q`.
    found : int64 array (query,)
        The nearest row's number, which is `first` for row 0; written to at `q`.
    q, first : int
    """
    columns = len(bounds)
    limit = _limit(best[q], lost, spare)
    if not lowest <= limit:
        return
    for most in (lowest, _FAR):
        for left in range(0, columns, _LANES):
            right = min(left + _LANES, columns)
            if _any_below(bounds, left, right, min(most, limit)):
                for row in range(left, right):
                    if bounds[row] <= min(most, limit):
                        square = _square(query, rows[row], best[q])
                        if square < best[q] or (square == best[q] and first + row < found[q]):
                            best[q], found[q] = square, first + row
                            limit = _limit(square, lost, spare)


@reordered
def _limit(best: np.float32, lost: np.float32, spare: np.float32) -> np.float32:
    """Give the largest bound that a row as near as the best one may have."""
    reach = np.sqrt(best) + lost
    return np.float32(reach * reach + spare)


@reordered
def _any_below(values: NDArray[np.float32], start: int, stop: int, most: np.float32) -> bool:
    """Tell whether any of some values is at most so large."""
    count = 0
    for place in range(start, stop):
        count += values[place] <= most
    return count > 0


@reordered
def _square(query: NDArray[np.float32], row: NDArray[np.float32], enough: np.float32) -> np.float32:
    """Give the squared distance, or a part of it once that is more than enough."""
    total = np.float32(0)
    width = np.uint64(len(query))
    for first in range(np.uint64(0), width, _STEP):
        part = np.float32(0)
        for feature in range(first, min(first + _STEP, width)):
            apart = query[feature] - row[feature]
            part += apart * apart
        total += part
        if total > enough:
            return total
    return total
