"""The reference surface of a part, fitted robustly, and the height above it.

z is a polynomial in x and y, of degree 1 (a plane) to 4, found by least squares that are
reweighted with Tukey's biweight [1]_: what stands on the surface or is missing from it has no say,
and a tilted fixture is no defect. Heights are distances from the surface to first order: the
residual in z over √(1 + |∇z|²), exact for a plane.

References
----------
.. [1] Beaton, Tukey: The fitting of power series, meaning polynomials, Technometrics 16, 1974.
"""

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import SceneError
from mmdefect.geometry.grid import Map, check_cloud, sensor_at
from mmdefect.geometry.median import median_of
from mmdefect.jit import reordered

_ROUNDS = 8
_TUKEY = 4.685
_LEAST_SPREAD = 0.01
_MOST_DEGREE = 4
_BLOCK = 1024

Floats = NDArray[np.float64]
Rows = NDArray[np.float64]  # (term, point)


def height_above_reference(points: NDArray[np.floating], degree: int = 1) -> Map:
    """Measure the signed height of every point above the fitted surface.

    Parameters
    ----------
    points : float array (3, y, x)
        Coordinates; NaN where missing.
    degree : int
        Of the polynomial, 1 to 4.

    Returns
    -------
    Map (y, x), float32, unit of the points
        Positive towards the sensor; NaN where missing.

    Raises
    ------
    SceneError
        When the points are no organised cloud, or the degree is none of these.
    """
    if degree not in range(1, _MOST_DEGREE + 1):
        raise SceneError(
            f"degree {degree!r} was given, but 1 (a plane) to {_MOST_DEGREE} was promised; "
            "choose one of them"
        )
    cloud = check_cloud(points)
    where = np.isfinite(cloud[0])
    height = np.full(where.shape, np.nan, dtype=np.float32)
    if where.any():
        x, y, z = cloud[:, where].astype(np.float64)
        place = sensor_at(cloud)
        away = place[3] == 1 and bool(np.median(z) > 0)
        above = residuals(x, y, z, degree)
        height[where] = -above if away else above
    return height


def height_above_plane(depth: NDArray[np.floating]) -> Map:
    """Measure how far a depth map's pixels lie before its plane over rows and columns.

    Parameters
    ----------
    depth : float array (y, x)
        Distance from the sensor; NaN where missing.

    Returns
    -------
    Map (y, x), float32, unit of the depth
        Along the optical axis, positive towards the sensor; NaN where missing.
    """
    where = np.isfinite(depth)
    height = np.full(where.shape, np.nan, dtype=np.float32)
    if where.any():
        y, x = (index.astype(np.float64) for index in np.nonzero(where))
        height[where] = -residuals(x, y, depth[where].astype(np.float64), 1, along_z=True)
    return height


def residuals(
    x: Floats,
    y: Floats,
    z: Floats,
    degree: int,
    *,
    along_z: bool = False,
) -> Floats:
    """Give signed distances from the polynomial that fits best.

    Parameters
    ----------
    x, y, z : float array (point,)
        At least one point.
    degree : int
        Of the polynomial in x and y.
    along_z : bool
        Whether distances are along z instead of across the surface.

    Returns
    -------
    float array (point,)
        Towards larger z is positive.
    """
    u, v, scale = _centred(x, y, degree)
    powers = [(i, j) for total in range(degree, -1, -1) for i in range(total, -1, -1)
              for j in (total - i,)]  # fmt: skip
    design = np.stack([u**i * v**j for i, j in powers])
    least = max(_LEAST_SPREAD * float(z.std()), 1e-9)
    residual, apart = np.zeros_like(z), np.empty_like(z)
    middle, reach = 0.0, np.inf
    for _ in range(_ROUNDS):
        matrix, told = _balanced(design, z, residual, middle, reach)
        solution = np.asarray(np.linalg.lstsq(matrix, told, rcond=None)[0], dtype=np.float64)
        _leave(design, z, solution, residual)
        middle = median_of(residual)
        np.abs(np.subtract(residual, middle, out=apart), out=apart)
        reach = _TUKEY * max(1.4826 * median_of(apart), least)
    if along_z:
        return np.asarray(residual)
    terms = list(zip(powers, solution, strict=True))
    along_x = sum(c * i * u ** max(i - 1, 0) * v**j for (i, j), c in terms if i)
    along_y = sum(c * j * u**i * v ** max(j - 1, 0) for (i, j), c in terms if j)
    return np.asarray(residual / np.sqrt(1 + (along_x**2 + along_y**2) / scale**2))


@reordered
def _balanced(
    design: Rows, z: Floats, residual: Floats, middle: float, reach: float
) -> tuple[Rows, Floats]:
    """Sum up the equations of least squares, weighted by Tukey's biweight of the residuals."""
    terms, points = design.shape
    matrix, told = np.zeros((terms, terms)), np.zeros(terms)
    weights, weighted = np.empty(_BLOCK), np.empty(_BLOCK)
    for start in range(0, points, _BLOCK):
        count = min(_BLOCK, points - start)
        for k in range(count):
            scaled = (residual[start + k] - middle) / reach
            weights[k] = max(1 - scaled * scaled, 0.0) ** 2
        for i in range(terms):
            row, total = design[i, start : start + count], 0.0
            for k in range(count):
                weighted[k] = weights[k] * row[k]
                total += weighted[k] * z[start + k]
            told[i] += total
            for j in range(i + 1):
                other, total = design[j, start : start + count], 0.0
                for k in range(count):
                    total += weighted[k] * other[k]
                matrix[i, j] += total
    for i in range(terms):
        matrix[:i, i] = matrix[i, :i]
    return matrix, told


@reordered
def _leave(design: Rows, z: Floats, solution: Floats, residual: Floats) -> None:
    """Write down what a solution leaves of z."""
    residual[:] = z
    for i in range(len(design)):
        row = design[i]
        for k in range(len(z)):
            residual[k] -= solution[i] * row[k]


def _centred(x: Floats, y: Floats, degree: int) -> tuple[Floats, Floats, float]:
    """Move places to their mean and, for higher powers, bring them to [−1, 1]."""
    u, v = x - x.mean(), y - y.mean()
    extent = float(max(np.abs(u).max(), np.abs(v).max()))
    scale = 1.0 if degree == 1 or extent == 0 else extent
    return u / scale, v / scale, scale
