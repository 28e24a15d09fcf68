"""A first shift, looked for everywhere: climbing only finds the hill it stands on.

The edges of both pictures are correlated at all shifts at once, on a coarse grid. The few highest
places are all climbed later; how far the best leads over the second tells whether there is one
answer or several, as on woven or printed patterns.
"""

import numpy as np

from mmdefect.alignment.climb import brought
from mmdefect.alignment.edges import Edges, Picture, edges_of
from mmdefect.alignment.warps import Warp

_APART = 3
_LEAST_SHARE = 0.3


def first_shifts(
    fixed: Picture, moving: Picture, start: Warp, reach: float, most: int = 3
) -> list[Warp]:
    """List the shifts under which edges agree best.

    Parameters
    ----------
    fixed, moving : Picture
    start : Warp
        From the fixed picture's grid to the moving one; the shifts come on top of it.
    reach : float, px
        How far to look, of the fixed picture.
    most : int
        How many to list.

    Returns
    -------
    list of Warp
        The best first.
    """
    one, other = edges_of(fixed), edges_of(brought(moving, start, fixed.size))
    surface = correlated(one, other, int(np.ceil(reach)))
    found: list[Warp] = []
    middle = surface.shape[0] // 2
    while len(found) < most and np.isfinite(surface).any():
        row, column = np.unravel_index(int(np.nanargmax(surface)), surface.shape)
        found.append(start @ Warp.shift(float(column - middle), float(row - middle)))
        top, left = max(row - _APART, 0), max(column - _APART, 0)
        surface[top : row + _APART + 1, left : column + _APART + 1] = np.nan
    return found or [start]


def correlated(one: Edges, other: Edges, reach: int) -> np.ndarray:
    """Correlate edges at all shifts up to some reach.

    Parameters
    ----------
    one, other : Edges
        Of one size.
    reach : int, px

    Returns
    -------
    float array (shift, shift)
        At [reach + down, reach + right] the correlation of ``one`` at a pixel with ``other`` that
        far down and right of it, over pixels that both are sure of; NaN where these are few.
    """
    size = one.sure.shape
    padded = size[0] + reach, size[1] + reach

    def spectrum(planes: np.ndarray) -> np.ndarray:
        return np.asarray(np.fft.rfft2(planes, padded))

    def matched(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        full = np.fft.irfft2(np.conj(spectrum(first)) * spectrum(second), padded)
        if full.ndim == 3:
            full = full.sum(0)
        places = np.arange(-reach, reach + 1)
        return np.asarray(full[np.ix_(places % padded[0], places % padded[1])])

    left, right = one.sure.astype(np.float32), other.sure.astype(np.float32)
    first, second = one.tensor * left, other.tensor * right
    product = matched(first, second)
    powers = matched((first**2).sum(0), right), matched(left, (second**2).sum(0))
    count = matched(left, right)
    few = count < _LEAST_SHARE * min(left.sum(), right.sum()) + 1
    with np.errstate(divide="ignore", invalid="ignore"):
        surface = product / np.sqrt(np.maximum(powers[0], 0) * np.maximum(powers[1], 0))
    surface[few | ~np.isfinite(surface)] = np.nan
    return np.asarray(surface)
