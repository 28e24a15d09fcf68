"""How far a place lies above or below the surface around it.

* The surface is fitted to the ring around the place and to nothing else, so a dent has no say in
  what it is measured against, however deep it is. It is a quadric in x and y, by least squares
  reweighted with Tukey's biweight: a neighbouring rivet has no say either.
* It is carried on into the place, which is as far as a quadric may be trusted: a place much
  larger than its ring is measured against an extrapolation, and the caller chooses the ring.
"""

import numpy as np
from numpy.typing import NDArray

from mmdefect.geometry.grid import sensor_at

_ROUNDS, _TUKEY, _MAD = 8, 4.685, 1.4826
_LEAST_POINTS = 12

Mask = NDArray[np.bool_]


def height_above_ring(points: NDArray[np.floating], place: Mask, ring: Mask) -> NDArray[np.float64]:
    """Measure how far the points of a place stand out of the surface around it.

    Parameters
    ----------
    points : float array (3, y, x)
        An organised cloud; NaN where missing.
    place : bool array (y, x)
        Whose points are measured.
    ring : bool array (y, x)
        Whose points are the surface.

    Returns
    -------
    float64 array (y, x), unit of the points
        Across the surface, positive towards the sensor; NaN outside the place, where nothing was
        measured, and everywhere when the ring has fewer than twelve points.
    """
    height = np.full(place.shape, np.nan)
    seen = np.isfinite(points).all(0)
    inside, around = place & seen, ring & seen
    if around.sum() < _LEAST_POINTS or not inside.any():
        return height
    x, y, z = points[:, around].astype(np.float64)
    middle = np.array([x.mean(), y.mean()])
    scale = max(float(np.abs(x - middle[0]).max()), float(np.abs(y - middle[1]).max()), 1e-9)
    solution = _fitted(_design(x, y, middle, scale), z)
    u, v, w = points[:, inside].astype(np.float64)
    rise = w - _design(u, v, middle, scale) @ solution
    a, b = (u - middle[0]) / scale, (v - middle[1]) / scale
    along_x = (solution[1] + 2 * a * solution[3] + b * solution[4]) / scale
    along_y = (solution[2] + a * solution[4] + 2 * b * solution[5]) / scale
    away = sensor_at(points.astype(np.float32))[3] == 1 and bool(np.median(z) > 0)
    height[inside] = (-1 if away else 1) * rise / np.sqrt(1 + along_x**2 + along_y**2)
    return height


def _design(
    x: NDArray[np.float64], y: NDArray[np.float64], middle: NDArray[np.float64], scale: float
) -> NDArray[np.float64]:
    """Give the terms of a quadric at some places."""
    u, v = (x - middle[0]) / scale, (y - middle[1]) / scale
    return np.column_stack([np.ones_like(u), u, v, u * u, u * v, v * v])


def _fitted(design: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit the terms, leaving out what does not belong to the surface."""
    weights = np.ones(len(z))
    solution: NDArray[np.float64] = np.zeros(design.shape[1])
    for _ in range(_ROUNDS):
        weighted = design * weights[:, None]
        square, right = weighted.T @ design, weighted.T @ z
        solution = np.asarray(np.linalg.lstsq(square, right, rcond=None)[0], dtype=np.float64)
        apart = z - design @ solution
        spread = max(_MAD * float(np.median(np.abs(apart - np.median(apart)))), 1e-9)
        scaled = (apart - np.median(apart)) / (_TUKEY * spread)
        weights = np.where(np.abs(scaled) < 1, (1 - scaled**2) ** 2, 0.0)
    return solution
