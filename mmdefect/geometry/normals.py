"""Local planes of an organised cloud: oriented normals, roughness, surface variation.

For every point the points q within a radius of p, p included, are found in the window around its
pixel, and the plane through their mean with the smallest sum of squared distances is taken: its
normal is the eigenvector of the covariance

    C = mean (q − m)(q − m)ᵀ,   m = mean q,   eigenvalues λ0 ≤ λ1 ≤ λ2,

that belongs to λ0 [1]_. √λ0 is the root-mean-square distance from that plane, the *roughness* in
the cloud's unit; λ0 / (λ0 + λ1 + λ2) is the *surface variation* [2]_, 0 on a plane and at most
1/3.

λ0 is found by Laguerre's iteration on the characteristic polynomial of C over its trace. All three
roots are real and the start 0 lies below them, so the iteration climbs to the smallest without
overshooting. The eigenvector is the longest cross product of two rows of C − λ0 I.

Sums run over differences from p, in float32; the eigenvalues are found in float64.

References
----------
.. [1] Hoppe et al.: Surface reconstruction from unorganized points, SIGGRAPH 1992.
.. [2] Pauly, Gross, Kobbelt: Efficient simplification of point-sampled surfaces, VIS 2002.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmdefect.geometry.grid import (
    Cloud,
    Map,
    check_cloud,
    over_bands,
    padded,
    reaches,
    sensor_at,
    spans,
)
from mmdefect.jit import reordered

_CHUNK = 256
_ONE = np.float32(1)
_ZERO = np.float32(0)
_TWO = np.float32(2)
_NO_PLANE = 1e-20


class LocalPlanes(NamedTuple):
    """What the plane through a point's neighbours says.

    Attributes
    ----------
    normals : Cloud (3, y, x)
        Of length 1, towards the sensor; NaN where fewer than three points, or points on one
        line, were near.
    roughness : Map (y, x), unit of the cloud
        Root-mean-square distance of the neighbours from the plane.
    variation : Map (y, x), 1
        Smallest eigenvalue over the sum of all three.
    """

    normals: Cloud
    roughness: Map
    variation: Map


def local_planes(points: NDArray[np.floating], radius: float) -> LocalPlanes:
    """Fit a plane to the surroundings of every point.

    Parameters
    ----------
    points : float array (3, y, x)
        Coordinates; NaN where missing.
    radius : float, unit of the points
        A neighbour is a point at most this far away; at most ``MOST_REACH`` pixels away.

    Returns
    -------
    LocalPlanes

    Raises
    ------
    SceneError
        When the points are no organised cloud.
    """
    cloud = check_cloud(points)
    reach = reaches(cloud, radius)
    wide = padded(cloud, *reach.max(0))
    sensor = sensor_at(cloud)
    between = spans(cloud)
    planes = np.full((5, *cloud.shape[1:]), np.nan, dtype=np.float32)
    limit = np.float32(radius * radius)

    def loop(first: int, last: int) -> None:
        _fit_rows(wide, reach, between, limit, sensor, planes, first, last)

    over_bands(loop, cloud.shape[1])
    return LocalPlanes(planes[:3], planes[3], planes[4])


@reordered
def _fit_rows(
    wide: Cloud,
    reach: NDArray[np.int64],
    between: NDArray[np.int64],
    limit: np.float32,
    sensor: NDArray[np.float64],
    planes: Map,
    first: int,
    last: int,
) -> None:
    """Fit the planes of a band of rows."""
    pad_y, pad_x = reach[:, 0].max(), reach[:, 1].max()
    sums = np.empty((10, _CHUNK), np.float32)
    steps = np.empty((4, _CHUNK), np.float32)
    told = np.empty((5, _CHUNK), np.float32)
    for y in range(first, last):
        for left in range(between[y, 0], between[y, 1], _CHUNK):
            size = min(_CHUNK, between[y, 1] - left)
            count = np.uint64(size)
            here = wide[:, y + pad_y, left + pad_x : left + pad_x + size].copy()
            sums[:] = _ZERO
            for down in range(-reach[y, 0], reach[y, 0] + 1):
                there = wide[:, y + pad_y + down, left : left + size + 2 * pad_x].copy()
                for right in range(-reach[y, 1], reach[y, 1] + 1):
                    _step(here, there, np.uint64(right + pad_x), count, limit, steps)
                    if _any_near(steps[0], size):
                        _add(steps, sums, count)
            _solve(here, sums, sensor, count, told)
            planes[:, y, left : left + size] = told[:, :size]


@reordered
def _step(
    here: Cloud, there: Cloud, shift: np.uint64, count: np.uint64, limit: np.float32, steps: Map
) -> None:
    """Give the steps to the neighbours at one offset, 0 where they are too far or missing."""
    for x in range(count):
        dx = there[0, x + shift] - here[0, x]
        dy = there[1, x + shift] - here[1, x]
        dz = there[2, x + shift] - here[2, x]
        near = dx * dx + dy * dy + dz * dz <= limit
        steps[0, x] = _ONE if near else _ZERO
        steps[1, x] = dx if near else _ZERO
        steps[2, x] = dy if near else _ZERO
        steps[3, x] = dz if near else _ZERO


@reordered
def _any_near(near: Map, size: int) -> bool:
    """Tell whether any pixel has a neighbour at this offset."""
    for x in range(size):
        if near[x] > _ZERO:
            return True
    return False


@reordered
def _add(steps: Map, sums: Map, count: np.uint64) -> None:
    """Add steps and their products."""
    for x in range(count):
        near, dx, dy, dz = steps[0, x], steps[1, x], steps[2, x], steps[3, x]
        sums[0, x] += near
        sums[1, x] += dx
        sums[2, x] += dy
        sums[3, x] += dz
        sums[4, x] += dx * dx
        sums[5, x] += dx * dy
        sums[6, x] += dx * dz
        sums[7, x] += dy * dy
        sums[8, x] += dy * dz
        sums[9, x] += dz * dz


@reordered
def _solve(
    here: Cloud, sums: Map, sensor: NDArray[np.float64], count: np.uint64, told: Map
) -> None:
    """Turn sums into oriented normals, roughness and variation."""
    matrix = np.empty((8, _CHUNK), np.float64)
    _covariance(sums, matrix, count)
    _smallest_root(matrix, count)
    for x in range(count):
        root = matrix[7, x]
        xx, yy, zz = matrix[0, x] - root, matrix[3, x] - root, matrix[5, x] - root
        xy, xz, yz = matrix[1, x], matrix[2, x], matrix[4, x]
        nx, ny, nz, length = _across(xx, xy, xz, yy, yz, zz)
        facing = (
            nx * (sensor[0] - sensor[3] * here[0, x])
            + ny * (sensor[1] - sensor[3] * here[1, x])
            + nz * (sensor[2] - sensor[3] * here[2, x])
        )
        known = (sums[0, x] > _TWO) & (length > _NO_PLANE)
        turn = 1.0 / np.sqrt(length)
        turn = (turn if facing >= 0.0 else -turn) if known else np.nan
        told[0, x] = nx * turn
        told[1, x] = ny * turn
        told[2, x] = nz * turn
        told[3, x] = np.sqrt(root * matrix[6, x]) if known else np.nan
        told[4, x] = root if known else np.nan


@reordered
def _covariance(sums: Map, matrix: NDArray[np.float64], count: np.uint64) -> None:
    """Give xx, xy, xz, yy, yz, zz of the covariance over its trace, and the trace."""
    for x in range(count):
        share = 1.0 / sums[0, x]
        mx, my, mz = sums[1, x] * share, sums[2, x] * share, sums[3, x] * share
        xx = sums[4, x] * share - mx * mx
        yy = sums[7, x] * share - my * my
        zz = sums[9, x] * share - mz * mz
        scale = 1.0 / (xx + yy + zz)
        matrix[0, x] = xx * scale
        matrix[1, x] = (sums[5, x] * share - mx * my) * scale
        matrix[2, x] = (sums[6, x] * share - mx * mz) * scale
        matrix[3, x] = yy * scale
        matrix[4, x] = (sums[8, x] * share - my * mz) * scale
        matrix[5, x] = zz * scale
        matrix[6, x] = xx + yy + zz


@reordered
def _smallest_root(matrix: NDArray[np.float64], count: np.uint64) -> None:
    """Find the smallest eigenvalue of matrices of trace 1, at least 0."""
    for x in range(count):
        xx, yy, zz = matrix[0, x], matrix[3, x], matrix[5, x]
        xy, xz, yz = matrix[1, x], matrix[2, x], matrix[4, x]
        minors = xx * yy - xy * xy + xx * zz - xz * xz + yy * zz - yz * yz
        det = xx * (yy * zz - yz * yz) - xy * (xy * zz - yz * xz) + xz * (xy * yz - yy * xz)
        root = _climb(_climb(_climb(0.0, minors, det), minors, det), minors, det)
        root = _climb(_climb(_climb(root, minors, det), minors, det), minors, det)
        matrix[7, x] = root


@reordered
def _climb(root: float, minors: float, det: float) -> float:
    """Take one of Laguerre's steps towards the smallest root of r³ − r² + minors r − det."""
    value = ((root - 1.0) * root + minors) * root - det
    slope = (3.0 * root - 2.0) * root + minors
    under = 4.0 * slope * slope - value * (36.0 * root - 12.0)
    step = -3.0 * value / (slope + np.sqrt(under if under > 0.0 else 0.0))
    return root + (step if step > 0.0 else 0.0)


@reordered
def _across(
    xx: float, xy: float, xz: float, yy: float, yz: float, zz: float
) -> tuple[float, float, float, float]:
    """Give the longest cross product of two rows of a symmetric matrix, and its squared length."""
    ax, ay, az = xy * yz - xz * yy, xz * xy - xx * yz, xx * yy - xy * xy
    bx, by, bz = xy * zz - xz * yz, xz * xz - xx * zz, xx * yz - xy * xz
    cx, cy, cz = yy * zz - yz * yz, yz * xz - xy * zz, xy * yz - yy * xz
    a, b, c = ax * ax + ay * ay + az * az, bx * bx + by * by + bz * bz, cx * cx + cy * cy + cz * cz
    use_b = b > a
    ax, ay, az = bx if use_b else ax, by if use_b else ay, bz if use_b else az
    a = b if use_b else a
    use_c = c > a
    ax, ay, az = cx if use_c else ax, cy if use_c else ay, cz if use_c else az
    return ax, ay, az, c if use_c else a
