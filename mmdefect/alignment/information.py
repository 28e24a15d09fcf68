"""Mutual information: how much one picture's grey values tell of the other's.

It needs no edges and no sign, only that like is mapped to like, so it errs for other reasons than
the correlation of edges does: where both agree, that is worth something. The joint histogram is
filled with linear Parzen windows in both directions, which makes the measure differentiable [1]_.

References
----------
.. [1] Thévenaz and Unser: Optimization of mutual information for multiresolution image
   registration, IEEE Trans. Image Processing 9, 2000.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.alignment.climb import Standing, brought
from mmdefect.alignment.edges import Picture, slope_of
from mmdefect.alignment.warps import Warp

Floats = NDArray[np.floating[Any]]

BINS = 32
_SMOOTHING = 1.0
_SLOW = 48


class InformationMeasure:
    """Mutual information of grey values, nats.

    Parameters
    ----------
    fixed, moving : Picture
    weight : array (y, x), optional
        How much each pixel of the grid counts.
    """

    def __init__(self, fixed: Picture, moving: Picture, weight: Floats | None = None) -> None:
        fixed, self._moving = _levelled(fixed), _levelled(moving)
        self._fixed = fixed
        self._seen = _eroded(fixed.seen)
        self._weight = np.ones(fixed.size) if weight is None else weight

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the grid, px."""
        return self._fixed.size

    def at(self, warp: Warp) -> Standing:
        """Measure the information under a warp."""
        other = brought(self._moving, warp, self.size)
        known = self._seen & _eroded(other.seen)
        weight = np.where(known, self._weight, 0.0)
        a, b, w = self._fixed.values[known], other.values[known], weight[known]
        force = np.zeros((2, *self.size), np.float32)
        bend = np.zeros((3, *self.size), np.float32)
        if w.sum() <= 0:
            return Standing(0.0, force, bend, weight.astype(np.float32))
        value, pull, strength = information(a, b, w)
        right, down = (plane[known] for plane in slope_of(other.values))
        force[:, known] = pull * right, pull * down
        bend[:, known] = strength * np.stack([right * right, right * down, down * down])
        return Standing(value, force, bend, weight.astype(np.float32))


def information(
    a: Floats, b: Floats, weight: Floats
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Measure mutual information, and how it changes with the second picture's values.

    Parameters
    ----------
    a, b : array (pixel,)
        Grey values in bins, 0 to ``BINS`` - 1.
    weight : array (pixel,)

    Returns
    -------
    float, nats
    array (pixel,)
        Slope with each value of ``b``.
    array (pixel,)
        A positive guess at the negative second derivative.
    """
    weight = weight / weight.sum()
    row, column = np.minimum(a.astype(np.intp), BINS - 2), np.minimum(b.astype(np.intp), BINS - 2)
    up, along = a - row, b - column
    joint = np.zeros(BINS * BINS)
    for i, share in ((0, 1 - up), (1, up)):
        for j, part in ((0, 1 - along), (1, along)):
            cell = (row + i) * BINS + column + j
            joint += np.bincount(cell, weight * share * part, BINS * BINS)
    table = joint.reshape(BINS, BINS)
    alone = np.outer(table.sum(1), table.sum(0))
    full = table > 0
    value = float((table[full] * np.log(table[full] / alone[full])).sum())
    logs = np.log((table + 1e-7) / (table.sum(0) + BINS * 1e-7))
    rise = np.diff(logs, axis=1)
    pull = weight * ((1 - up) * rise[row, column] + up * rise[row + 1, column])
    spread = _spread(table)
    return value, pull, weight / spread[row]


def _spread(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the variance of the second value given the first (bin,), in bins², at least 1."""
    places = np.arange(BINS)
    mass = table.sum(1) + 1e-9
    mean = table @ places / mass
    return np.asarray(np.maximum(table @ places**2 / mass - mean**2, 1.0))


def _levelled(picture: Picture) -> Picture:
    """Smooth a picture, take slow shading away, and spread its values over the bins."""
    from scipy.ndimage import gaussian_filter, uniform_filter

    smooth = gaussian_filter(picture.values, _SMOOTHING)
    counted = picture.seen.astype(np.float32)
    slow = uniform_filter(smooth * counted, _SLOW) / (uniform_filter(counted, _SLOW) + 1e-3)
    flat = smooth - slow
    known = flat[picture.seen]
    low, high = np.quantile(known, [0.01, 0.99]) if known.size else (0.0, 0.0)
    if high <= low:
        return Picture(np.zeros_like(flat), picture.seen)
    values = np.clip((flat - low) / (high - low), 0, 1) * (BINS - 1.001)
    return Picture(values.astype(np.float32), picture.seen)


def _eroded(seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Leave a rim out that smoothing mixed with what was filled in."""
    from scipy.ndimage import binary_erosion

    return np.asarray(binary_erosion(seen, iterations=3))
