"""From what the network expected to one number a cell, and from cells to a part's score."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ._tokens import Tokens

_WORST_SHARE = 0.005
_LEAST_WEIGHT = 0.1
_MOST_ERROR = 100.0
_ALL_SUBSETS = 4


def standing_out(mean: Tensor, log_variance: Tensor, shown: Tensor, kept: Tensor) -> Tensor:
    """Measure how far what was shown is from what was foretold.

    Parameters
    ----------
    mean, log_variance : Tensor (sensor, cell, dim), float32
        What the network expected.
    shown : Tensor (sensor, cell, dim), float32
    kept : Tensor (sensor, dim), bool
        Which numbers of a sensor's tokens mean something.

    Returns
    -------
    Tensor (sensor, cell), float32
        About 0 with a spread of 1 where the network is right about itself.
    """
    variance = log_variance.exp()
    error = ((shown - mean).square() / variance).clamp(max=_MOST_ERROR)
    weight = ((1 - variance).clamp_min(0) + _LEAST_WEIGHT) * kept[:, None]
    return (weight * (error - 1)).sum(-1) / (2 * weight.square().sum(-1)).sqrt()


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
