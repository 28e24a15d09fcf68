"""From transmission to attenuation, and over dead pixels."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_LEAST = 1e-4
_SQUARE = np.ones((3, 3), dtype=bool)
_LEAST_AROUND = 3


def attenuation(transmission: NDArray[np.floating]) -> NDArray[np.float64]:
    """Give −log of transmission: by Beer's law the sum of what lies in a ray's way.

    Parameters
    ----------
    transmission : array (…, y, x), 1

    Returns
    -------
    array (…, y, x), float64, 1
        At most 9.2: noise around and below 0 counts as a transmission of 1e-4, because a logarithm
        has no answer there and the place is known to be dark, not blind. NaN stays.
    """
    told: NDArray[np.float64] = -np.log(np.maximum(transmission, _LEAST, dtype=np.float64))
    return told


def repaired(
    values: NDArray[np.float64], dead: NDArray[np.bool_], reach: int = 2
) -> NDArray[np.float64]:
    """Fill dead pixels with the median of their neighbours.

    Parameters
    ----------
    values : array (…, y, x)
    dead : bool array (…, y, x)
    reach : int, px
        Clusters are filled from their rim inwards, so many pixels deep.

    Returns
    -------
    array (…, y, x), float64
        NaN where a cluster is deeper, or fewer than three of the eight neighbours are known.
    """
    filled = np.where(dead, np.nan, values)
    for plane, gaps in zip(
        filled.reshape(-1, *filled.shape[-2:]), dead.reshape(-1, *dead.shape[-2:]), strict=True
    ):
        left = gaps.copy()
        for _ in range(reach):
            if left.any():
                left &= ~_fill_rim(plane, left)
    return filled


def _fill_rim(plane: NDArray[np.float64], left: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill, in place, gaps (y, x) that have enough neighbours; tell which were."""
    around = np.pad(plane, 1, constant_values=np.nan)
    rows, columns = np.nonzero(left)
    offsets = np.argwhere(_SQUARE) - 1
    near = around[rows[:, None] + 1 + offsets[:, 0], columns[:, None] + 1 + offsets[:, 1]]
    enough = np.isfinite(near).sum(axis=1) >= _LEAST_AROUND
    filled = np.zeros_like(left)
    if enough.any():
        filled[rows[enough], columns[enough]] = True
        plane[rows[enough], columns[enough]] = np.nanmedian(near[enough], axis=1)
    return filled


def grown(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """Grow a mask (y, x) by some pixels."""
    if pixels < 1:
        return mask
    bigger: NDArray[np.bool_] = ndimage.binary_dilation(mask, _SQUARE, iterations=pixels)
    return bigger
