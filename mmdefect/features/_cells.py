"""Means of smoothed planes over cells, without the smoothed planes.

To smooth along a column is to multiply by a matrix, to average over cells as well, so both are
one: C(cell, y) = Σ P(cell, v) G(v, y), which holds zeros but for the few rows around a cell. What
is wanted is C plane Cᵀ, at the cells alone: with four pixels to a cell and a window of 37 rows a
seventh of the products.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from mmdefect.jit import WORTH_A_THREAD, in_bands, reordered

Planes = NDArray[np.float32]
_Band = tuple[Planes, NDArray[np.int64], NDArray[np.int64]]


def cells_of(planes: Planes, cells: tuple[int, int], bell: tuple[float, ...] = (1.0,)) -> Planes:
    """Average smoothed planes over cells that tile them, as adaptive average pooling does.

    Parameters
    ----------
    planes : float32 array (plane, y, x)
        Finite.
    cells : (int, int)
        Rows and columns of cells.
    bell : tuple of float
        Weights that smooth along both axes, an odd number; the border is repeated.

    Returns
    -------
    float32 array (plane, row, column)
    """
    count, height, width = planes.shape
    down, across = _band(height, cells[0], bell), _band(width, cells[1], bell)
    found = np.empty((count, *cells), np.float32)
    work = count * int((down[2] - down[1]).max()) * width
    in_bands(_average, cells[0], planes, *down, *across, found, least=WORTH_A_THREAD // work)
    return found


@lru_cache(maxsize=64)
def _band(side: int, cells: int, bell: tuple[float, ...]) -> _Band:
    """Give the matrix (cell, pixel), and from where to where its rows are not zero."""
    places = np.arange(cells)
    first, last = places * side // cells, -(-(places + 1) * side // cells)
    reach = len(bell) // 2
    pixel = np.arange(-reach, side + reach)
    inside = (pixel >= first[:, None]) & (pixel < last[:, None])
    wide = inside / (last - first)[:, None]
    wide = correlate1d(wide, np.array(bell[::-1]), axis=1, mode="constant")
    matrix = wide[:, reach : reach + side].astype(np.float32)
    matrix[:, 0] += wide[:, :reach].sum(1)
    matrix[:, -1] += wide[:, reach + side :].sum(1)
    return matrix, np.maximum(first - reach, 0), np.minimum(last + reach, side)


@reordered
def _average(
    band: int,
    start: int,
    stop: int,
    planes: Planes,
    down: Planes,
    tops: NDArray[np.int64],
    bottoms: NDArray[np.int64],
    across: Planes,
    lefts: NDArray[np.int64],
    rights: NDArray[np.int64],
    found: Planes,
) -> None:
    """Sum up some rows of cells: along y over whole rows, then along x."""
    width = planes.shape[2]
    row = np.empty(width, np.float32)
    for p in range(len(planes)):
        plane = planes[p]
        for i in range(start, stop):
            weights, y, bottom = down[i], tops[i], bottoms[i]
            row[:] = 0
            while y + 4 <= bottom:
                a, b, c, d = weights[y], weights[y + 1], weights[y + 2], weights[y + 3]
                one, two, three, four = plane[y], plane[y + 1], plane[y + 2], plane[y + 3]
                for x in range(width):
                    row[x] += a * one[x] + b * two[x] + c * three[x] + d * four[x]
                y += 4
            while y < bottom:
                a, one = weights[y], plane[y]
                for x in range(width):
                    row[x] += a * one[x]
                y += 1
            for j in range(len(across)):
                share, total = across[j], np.float32(0)
                for x in range(lefts[j], rights[j]):
                    total += share[x] * row[x]
                found[p, i, j] = total
