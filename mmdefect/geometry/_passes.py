"""Single passes over a cloud's points, where NumPy would make an array of every step.

A cloud of 800 × 800 points has 7.7 MB: an expression of four NumPy operations reads and writes that
eight times over. Each loop here reads it once and writes what it has to.
"""

import numpy as np
from numpy.typing import NDArray

from mmdefect.jit import compiled, reordered

_WIDEST = np.float32(1.5)
_NAN = np.float32(np.nan)
_ZERO = np.float32(0)


@compiled
def clear(cloud: NDArray[np.float32]) -> None:
    """Make a point missing in all coordinates where one of them is not finite.

    Parameters
    ----------
    cloud : float32 array (3, y, x)
        Written to.
    """
    for y in range(cloud.shape[1]):
        for x in range(cloud.shape[2]):
            # a difference of equal numbers is 0, of infinities or NaN it is NaN
            rest = (cloud[0, y, x] - cloud[0, y, x]) + (cloud[1, y, x] - cloud[1, y, x])
            rest += cloud[2, y, x] - cloud[2, y, x]
            cloud[0, y, x] = cloud[0, y, x] if rest == _ZERO else _NAN
            cloud[1, y, x] = cloud[1, y, x] if rest == _ZERO else _NAN
            cloud[2, y, x] = cloud[2, y, x] if rest == _ZERO else _NAN


@compiled
def sides(cloud: NDArray[np.float32]) -> tuple[int, int, int]:
    """Count points, those before the plane z = 0, and those that are seen at a wide angle.

    Parameters
    ----------
    cloud : float32 array (3, y, x)
        NaN where missing.

    Returns
    -------
    int
        Points with a z.
    int
        Those with z > 0.
    int
        Those more than ±56° from the z axis (a tangent of 1.5) in x or in y.
    """
    seen, before, wide = 0, 0, 0
    for y in range(cloud.shape[1]):
        for x in range(cloud.shape[2]):
            z = cloud[2, y, x]
            far = _WIDEST * abs(z)
            seen += z - z == _ZERO
            before += (z > _ZERO) & (z - z == _ZERO)
            aside = (abs(cloud[0, y, x]) > far) | (abs(cloud[1, y, x]) > far)
            wide += aside & (z - z == _ZERO)
    return seen, before, wide


@reordered
def votes(
    places: NDArray[np.float64],
    normals: NDArray[np.float64],
    offsets: NDArray[np.float64],
    fit: float,
    counts: NDArray[np.int64],
) -> None:
    """Count for each plane the points that lie near it.

    Parameters
    ----------
    places : float64 array (3, point)
    normals : float64 array (plane, 3)
        Of length 1.
    offsets : float64 array (plane,)
        A point p lies on the plane where normal · p is the offset.
    fit : float
        How far away is near.
    counts : int64 array (plane,)
        Written to.
    """
    xs, ys, zs = places[0], places[1], places[2]
    for plane in range(len(normals)):
        a, b, c, d = normals[plane, 0], normals[plane, 1], normals[plane, 2], offsets[plane]
        near = 0
        for point in range(np.uint64(places.shape[1])):
            near += abs(a * xs[point] + b * ys[point] + c * zs[point] - d) <= fit
        counts[plane] = near
