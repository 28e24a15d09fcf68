"""Compiled rasterising of a scanner's mesh: for each of a camera's pixels the nearest triangle.

Rays meet triangles exactly: in a camera's undistorted plane a triangle stays one, and the inverse
depth is linear across it. A lens only decides through which point of that plane a pixel looks.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.jit import compiled, in_bands, inlined, threads
from mmdefect.registration._mesh import NOTHING, WALL

_MARGIN = 1e-3
_INSIDE = -1e-6


def rasterise(
    mesh: tuple[Any, ...],
    size: tuple[int, int],
    pixels: NDArray[np.float32] | None = None,
    rays: NDArray[np.float32] | None = None,
    *,
    walls: bool,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Rasterise a mesh.

    Parameters
    ----------
    mesh : tuple
        x, y, w (y, x) as ``stand`` gives them, the scanner's depth (y, x) in mm, the state (y, x),
        and the slope and slack of the jump rule.
    size : (int, int)
        Height and width of the raster.
    pixels : array (2, y, x), optional
        On which pixels the points fall through the lens; without a lens, on x and y.
    rays : array (2, height, width), optional
        Through which point of the undistorted plane each pixel looks.
    walls : bool
        Whether triangles across a depth step count.

    Returns
    -------
    array (height, width), float32, 1/mm
        Inverse depth of the nearest triangle, 0 where there is none.
    array (height, width), uint8
        The highest state of its corners; ``WALL`` where it spans a depth step.
    """
    count = threads()
    near = np.zeros((count, *size), dtype=np.float32)
    kind = np.zeros((count, *size), dtype=np.uint8)
    rows = len(mesh[0]) - 1
    in_bands(_rasterise, rows, *mesh, walls, pixels, rays, near, kind, bands=count)
    if count > 1:
        in_bands(_merge, size[0], near, kind)
    return near[0], kind[0]


@compiled
def _merge(band: int, start: int, stop: int, near: Any, kind: Any) -> None:
    """Keep the nearest of all bands in the first one's arrays."""
    for other in range(1, near.shape[0]):
        for i in range(start, stop):
            for j in range(near.shape[2]):
                if near[other, i, j] > near[0, i, j]:
                    near[0, i, j] = near[other, i, j]
                    kind[0, i, j] = kind[other, i, j]


@compiled
def _rasterise(
    band: int, start: int, stop: int, x: Any, y: Any, w: Any, depth: Any, state: Any,
    slope: float, slack: float, walls: bool, pixels: Any, rays: Any, near: Any, kind: Any,
) -> None:  # fmt: skip
    """Rasterise the triangles below rows ``start`` to ``stop``: two a square of four points.

    The square is cut along the diagonal whose ends differ less in depth, or beside a missing
    corner.
    """
    nearest, kinds = near[band], kind[band]
    for i in range(start, stop):
        for j in range(state.shape[1] - 1):
            falling = _cut(i, j, depth, state)
            if falling < 0:
                continue
            left = j if falling else j + 1
            right = 2 * j + 1 - left
            for half in range(2):
                column = right if half == 0 else left
                row = i + half
                of = _kind(i, left, i + 1, right, row, column, depth, state, slope, slack)
                if of == NOTHING or (of == WALL and not walls):
                    continue
                _triangle(
                    i, left, i + 1, right, row, column, x, y, w, pixels, rays, of, nearest, kinds
                )


@inlined
def _cut(i: int, j: int, depth: Any, state: Any) -> int:
    """Tell how to cut a square: 1 along the falling diagonal, 0 the rising one, -1 not at all."""
    a, b = state[i, j] == NOTHING, state[i, j + 1] == NOTHING
    c, d = state[i + 1, j] == NOTHING, state[i + 1, j + 1] == NOTHING
    missing = int(a) + int(b) + int(c) + int(d)
    if missing > 1:
        return -1
    if missing == 1:
        return 1 if b or c else 0
    falls = abs(depth[i, j] - depth[i + 1, j + 1]) <= abs(depth[i, j + 1] - depth[i + 1, j])
    return 1 if falls else 0


@inlined
def _kind(
    i0: int, j0: int, i1: int, j1: int, i2: int, j2: int, depth: Any, state: Any,
    slope: float, slack: float,
) -> int:  # fmt: skip
    """Give a triangle's kind: its corners' highest state, ``WALL``, or ``NOTHING``."""
    s0, s1, s2 = int(state[i0, j0]), int(state[i1, j1]), int(state[i2, j2])
    if s0 == NOTHING or s1 == NOTHING or s2 == NOTHING:
        return NOTHING
    d0, d1, d2 = depth[i0, j0], depth[i1, j1], depth[i2, j2]
    closest = min(d0, d1, d2)
    if max(d0, d1, d2) - closest > slope * closest + slack:
        return WALL
    return max(s0, s1, s2)


@inlined
def _triangle(
    i0: int, j0: int, i1: int, j1: int, i2: int, j2: int, x: Any, y: Any, w: Any, pixels: Any,
    rays: Any, of: int, near: Any, kind: Any,
) -> None:  # fmt: skip
    """Find the pixels that a triangle may cover."""
    w0, w1, w2 = float(w[i0, j0]), float(w[i1, j1]), float(w[i2, j2])
    if not (w0 > 0 and w1 > 0 and w2 > 0):
        return
    x0, x1, x2 = float(x[i0, j0]), float(x[i1, j1]), float(x[i2, j2])
    y0, y1, y2 = float(y[i0, j0]), float(y[i1, j1]), float(y[i2, j2])
    left, right, top, bottom = min(x0, x1, x2), max(x0, x1, x2), min(y0, y1, y2), max(y0, y1, y2)
    if pixels is not None:
        p0, p1, p2 = pixels[0, i0, j0], pixels[0, i1, j1], pixels[0, i2, j2]
        q0, q1, q2 = pixels[1, i0, j0], pixels[1, i1, j1], pixels[1, i2, j2]
        left, right = float(min(p0, p1, p2)), float(max(p0, p1, p2))
        top, bottom = float(min(q0, q1, q2)), float(max(q0, q1, q2))
    first = int(np.ceil(max(left - _MARGIN, 0.0)))
    last = int(np.floor(min(right + _MARGIN, near.shape[1] - 1.0)))
    upper = int(np.ceil(max(top - _MARGIN, 0.0)))
    lower = int(np.floor(min(bottom + _MARGIN, near.shape[0] - 1.0)))
    x1, y1, x2, y2 = x1 - x0, y1 - y0, x2 - x0, y2 - y0
    area = x1 * y2 - x2 * y1
    if area != 0 and first <= last:
        _fill(
            x0, y0, w0, x1 / area, y1 / area, w1 - w0, x2 / area, y2 / area, w2 - w0,
            first, last, upper, lower, rays, of, near, kind,
        )  # fmt: skip


@inlined
def _fill(
    x0: float, y0: float, w0: float, x1: float, y1: float, w1: float, x2: float, y2: float,
    w2: float, first: int, last: int, upper: int, lower: int, rays: Any, of: int,
    near: Any, kind: Any,
) -> None:  # fmt: skip
    """Write a triangle where it is nearer than what was written before."""
    for i in range(upper, lower + 1):
        for j in range(first, last + 1):
            if rays is None:
                px, py = j - x0, i - y0
            else:
                px, py = rays[0, i, j] - x0, rays[1, i, j] - y0
            one, two = px * y2 - py * x2, py * x1 - px * y1
            if one >= _INSIDE and two >= _INSIDE and one + two <= 1 - _INSIDE:
                depth = w0 + one * w1 + two * w2
                if depth > near[i, j]:
                    near[i, j] = depth
                    kind[i, j] = of
