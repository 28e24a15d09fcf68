"""From what the network expected to one number a cell, and from cells to a part's score."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mmdefect.jit import reordered

from ._powers import LOG2E, power
from ._tokens import Tokens

Maps = NDArray[np.float32]

_WORST_SHARE = 0.005
_ALL_SUBSETS = 4
_LEAST_WEIGHT, _MOST_ERROR, _TIMES, _ZERO, _ONE = (
    np.float32(number) for number in (0.1, 100, LOG2E, 0, 1)
)


def standing_out(
    mean: Maps, log_variance: Maps, shown: Maps, kept: NDArray[np.bool_], there: NDArray[np.bool_]
) -> Maps:
    """Measure how far what was shown is from what was foretold.

    Parameters
    ----------
    mean, log_variance : float32 array (sensor, cell, dim)
        What the network expected.
    shown : float32 array (sensor, cell, dim)
    kept : bool array (sensor, dim)
        Which numbers of a sensor's tokens mean something.
    there : bool array (sensor, cell)

    Returns
    -------
    float32 array (sensor, cell)
        About 0 with a spread of 1 where the network is right about itself; NaN where nothing was
        shown.
    """
    found = np.full(there.shape, np.nan, dtype=np.float32)
    for own in zip(mean, log_variance, shown, kept.astype(np.float32), there, found, strict=True):
        _stand_out(*own)
    return found


@reordered
def _stand_out(
    mean: Maps,
    log_variance: Maps,
    shown: Maps,
    counts: Maps,
    there: NDArray[np.bool_],
    found: Maps,
) -> None:
    """Measure one sensor's cells; 1 counts a number of a token, 0 does not."""
    for c in range(len(found)):
        if there[c]:
            expected, spread, own = mean[c], log_variance[c], shown[c]
            total, square = _ZERO, _ZERO
            for d in range(len(counts)):
                variance = power(spread[d] * _TIMES)
                away = own[d] - expected[d]
                weight = (max(_ONE - variance, _ZERO) + _LEAST_WEIGHT) * counts[d]
                total += weight * (min(away * away / variance, _MOST_ERROR) - _ONE)
                square += weight * weight
            found[c] = total / np.sqrt(square + square)


def worst_of(cells: NDArray[np.float32], apart: NDArray[np.bool_]) -> float:
    """Score a part by its worst cells, as a detector would.

    Parameters
    ----------
    cells : float32 array (row, column)
        NaN without evidence.
    apart : bool array (row, column)
        Cells that do not count.

    Returns
    -------
    float
        NaN without evidence.
    """
    counted = cells[np.isfinite(cells) & ~apart]
    worst = max(1, round(_WORST_SHARE * counted.size))
    return float(np.sort(counted)[-worst:].mean()) if counted.size else float("nan")


def subsets_of(sensors: tuple[str, ...]) -> list[tuple[str, ...]]:
    """List what may be left of the sensors when some are missing: two of them at least.

    Of more than four sensors only the sets that lack one.

    Examples
    --------
    >>> subsets_of(("rgb", "points", "xray"))
    [('rgb', 'points'), ('rgb', 'xray'), ('points', 'xray')]
    """
    least = 2 if len(sensors) <= _ALL_SUBSETS else len(sensors) - 1
    sizes = range(len(sensors) - 1, least - 1, -1)
    return [chosen for size in sizes for chosen in combinations(sensors, size)]


def only(tokens: Tokens, kept: Tensor, geometry: int) -> Tokens:
    """Hide the sensors that are not kept (sensor,), and with the geometry the places."""
    placed = tokens.placed if geometry < 0 else tokens.placed & kept[geometry]
    return tokens._replace(there=tokens.there & kept[:, None], placed=placed)
