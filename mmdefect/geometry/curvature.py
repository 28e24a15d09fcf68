"""Signed mean curvature from how the normals open.

On a surface of curvature κ along a direction, a step of length s along it turns the normal n by
κ s towards the step: (n_q − n_p) · (q − p) ≈ κ |q − p|². The mean of κ over all directions is the
mean curvature H, so over the neighbours q of p, in the sense of least squares,

    H = Σ (n_q − n_p) · (q − p) / Σ |q − p|².

With normals towards the sensor H is positive where the surface bulges towards it, +1/R on a ball
of radius R, and negative in a dent. Noise of single points enters only through their normals,
which are means over a surrounding themselves.
"""

import numpy as np
from numpy.typing import NDArray

from mmdefect.geometry.grid import Cloud, Map, check_directed, over_bands, padded, reaches, spans
from mmdefect.jit import reordered

_CHUNK = 256
_ZERO = np.float32(0)


def mean_curvature(
    points: NDArray[np.floating], normals: NDArray[np.floating], radius: float
) -> Map:
    """Measure the mean curvature around every point.

    Parameters
    ----------
    points : float array (3, y, x)
        Coordinates; NaN where missing.
    normals : float array (3, y, x)
        Of length 1; a point whose normal is missing is missing.
    radius : float, unit of the points
        A neighbour is another point at most this far away; at most ``MOST_REACH`` pixels away.

    Returns
    -------
    Map (y, x), float32, 1 over the unit of the points
        Positive where the normals open; NaN at points that are missing or have no neighbour.

    Raises
    ------
    SceneError
        When points or normals are no organised cloud, or differ in shape.
    """
    cloud, facing = check_directed(points, normals)
    reach = reaches(cloud, radius)
    wide = padded(np.concatenate([cloud, facing]), *reach.max(0))
    curvature = np.full(cloud.shape[1:], np.nan, dtype=np.float32)
    between = spans(cloud)
    limit = np.float32(radius * radius)

    def loop(first: int, last: int) -> None:
        _measure_rows(wide, reach, between, limit, curvature, first, last)

    over_bands(loop, cloud.shape[1])
    return curvature


@reordered
def _measure_rows(
    wide: NDArray[np.float32],
    reach: NDArray[np.int64],
    between: NDArray[np.int64],
    limit: np.float32,
    curvature: Map,
    first: int,
    last: int,
) -> None:
    """Measure a band of rows."""
    rows, columns = reach[:, 0].max(), reach[:, 1].max()
    opened = np.empty(_CHUNK, np.float32)
    stepped = np.empty(_CHUNK, np.float32)
    for y in range(first, last):
        for left in range(between[y, 0], between[y, 1], _CHUNK):
            size = min(_CHUNK, between[y, 1] - left)
            here = wide[:, y + rows, left + columns : left + columns + size].copy()
            opened[:] = _ZERO
            stepped[:] = _ZERO
            for down in range(-reach[y, 0], reach[y, 0] + 1):
                there = wide[:, y + rows + down, left : left + size + 2 * columns].copy()
                for right in range(-reach[y, 1], reach[y, 1] + 1):
                    shift = np.uint64(right + columns)
                    _add(here, there, shift, np.uint64(size), limit, opened, stepped)
            for x in range(size):
                known = stepped[x] > _ZERO
                curvature[y, left + x] = opened[x] / stepped[x] if known else np.nan


@reordered
def _add(
    here: Cloud,
    there: Cloud,
    shift: np.uint64,
    count: np.uint64,
    limit: np.float32,
    opened: Map,
    stepped: Map,
) -> None:
    """Add what the neighbours at one offset say."""
    for x in range(count):
        dx = there[0, x + shift] - here[0, x]
        dy = there[1, x + shift] - here[1, x]
        dz = there[2, x + shift] - here[2, x]
        square = dx * dx + dy * dy + dz * dz
        turn = (
            (there[3, x + shift] - here[3, x]) * dx
            + (there[4, x + shift] - here[4, x]) * dy
            + (there[5, x + shift] - here[5, x]) * dz
        )
        near = square <= limit
        opened[x] += turn if near else _ZERO
        stepped[x] += square if near else _ZERO
