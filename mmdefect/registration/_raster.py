"""Compiled rasterising of a scanner's mesh: for each of a camera's pixels the nearest triangle.

Rays meet triangles exactly: in a camera's undistorted plane a triangle stays one, and the inverse
depth is linear across it. A lens only decides through which point of that plane a pixel looks.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.jit import compiled, in_bands, threads
from mmdefect.registration._mesh import NOTHING, WALL

_INSIDE = -1e-6


def rasterise(
    mesh: tuple[Any, ...],
    plane: NDArray[np.float64],
    size: tuple[int, int],
    pixels: NDArray[np.float32] | None = None,
    rays: NDArray[np.float32] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Rasterise a mesh.

    Parameters
    ----------
    mesh : tuple
        x, y, w (y, x) as ``stand`` gives them, the scanner's depth (y, x) in mm, the state (y, x),
        and the slope and slack of the jump rule.
    plane : array (4,)
        Scale and offset in x, then in y: from normalised coordinates to pixels without a lens.
    size : (int, int)
        Of the raster.
    pixels : array (2, y, x), optional
        On which pixels the points fall through the lens.
    rays : array (2, height, width), optional
        Through which point of the undistorted plane, in pixels, each pixel looks.

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
    through_lens = pixels is not None and rays is not None
    nothing = np.zeros((2, 1, 1), dtype=np.float32)
    fallen = pixels if pixels is not None else nothing
    looks = rays if rays is not None else nothing
    rows = mesh[4].shape[0] - 1
    in_bands(_rasterise, rows, *mesh, plane, through_lens, fallen, looks, near, kind, bands=count)
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
    slope: float, slack: float, plane: Any, through_lens: bool, pixels: Any, rays: Any,
    near: Any, kind: Any,
) -> None:  # fmt: skip
    """Rasterise the triangles below rows ``start`` to ``stop``, two a square of four points."""
    columns = state.shape[1]
    for i in range(start, stop):
        for j in range(columns - 1):
            a, b, c, d = state[i, j], state[i, j + 1], state[i + 1, j], state[i + 1, j + 1]
            missing = (a == NOTHING) + (b == NOTHING) + (c == NOTHING) + (d == NOTHING)
            if missing > 1:
                continue
            arguments = (
                x, y, w, depth, state, slope, slack, plane, through_lens, pixels, rays,
                near[band], kind[band],
            )  # fmt: skip
            if missing == 1:
                if a == NOTHING:
                    _triangle(i, j + 1, i + 1, j + 1, i + 1, j, *arguments)
                elif b == NOTHING:
                    _triangle(i, j, i + 1, j + 1, i + 1, j, *arguments)
                elif c == NOTHING:
                    _triangle(i, j, i, j + 1, i + 1, j + 1, *arguments)
                else:
                    _triangle(i, j, i, j + 1, i + 1, j, *arguments)
            elif abs(depth[i, j] - depth[i + 1, j + 1]) <= abs(depth[i, j + 1] - depth[i + 1, j]):
                _triangle(i, j, i, j + 1, i + 1, j + 1, *arguments)
                _triangle(i, j, i + 1, j + 1, i + 1, j, *arguments)
            else:
                _triangle(i, j, i, j + 1, i + 1, j, *arguments)
                _triangle(i, j + 1, i + 1, j + 1, i + 1, j, *arguments)


@compiled
def _triangle(
    i0: int, j0: int, i1: int, j1: int, i2: int, j2: int, x: Any, y: Any, w: Any, depth: Any,
    state: Any, slope: float, slack: float, plane: Any, through_lens: bool, pixels: Any,
    rays: Any, near: Any, kind: Any,
) -> None:  # fmt: skip
    """Find the pixels that one triangle may cover, and its kind."""
    w0, w1, w2 = float(w[i0, j0]), float(w[i1, j1]), float(w[i2, j2])
    if not (w0 > 0 and w1 > 0 and w2 > 0):
        return
    x0, y0 = x[i0, j0] * plane[0] + plane[1], y[i0, j0] * plane[2] + plane[3]
    x1, y1 = x[i1, j1] * plane[0] + plane[1], y[i1, j1] * plane[2] + plane[3]
    x2, y2 = x[i2, j2] * plane[0] + plane[1], y[i2, j2] * plane[2] + plane[3]
    if through_lens:
        left = min(pixels[0, i0, j0], pixels[0, i1, j1], pixels[0, i2, j2])
        right = max(pixels[0, i0, j0], pixels[0, i1, j1], pixels[0, i2, j2])
        top = min(pixels[1, i0, j0], pixels[1, i1, j1], pixels[1, i2, j2])
        bottom = max(pixels[1, i0, j0], pixels[1, i1, j1], pixels[1, i2, j2])
    else:
        left, right = min(x0, x1, x2), max(x0, x1, x2)
        top, bottom = min(y0, y1, y2), max(y0, y1, y2)
    first = int(np.ceil(max(left - 1e-3, 0.0)))
    last = int(np.floor(min(right + 1e-3, near.shape[1] - 1.0)))
    upper = int(np.ceil(max(top - 1e-3, 0.0)))
    lower = int(np.floor(min(bottom + 1e-3, near.shape[0] - 1.0)))
    if first > last or upper > lower:
        return
    d0, d1, d2 = depth[i0, j0], depth[i1, j1], depth[i2, j2]
    closest = min(d0, d1, d2)
    of = max(state[i0, j0], state[i1, j1], state[i2, j2])
    if max(d0, d1, d2) - closest > slope * closest * 1.4142 + slack:
        of = WALL
    _fill(
        x0, y0, w0, x1, y1, w1, x2, y2, w2, first, last, upper, lower, of, through_lens, rays,
        near, kind,
    )  # fmt: skip


@compiled
def _fill(
    x0: float, y0: float, w0: float, x1: float, y1: float, w1: float, x2: float, y2: float,
    w2: float, first: int, last: int, upper: int, lower: int, of: int, through_lens: bool,
    rays: Any, near: Any, kind: Any,
) -> None:  # fmt: skip
    """Write a triangle where it is nearer than what was written before."""
    x1, y1, x2, y2 = x1 - x0, y1 - y0, x2 - x0, y2 - y0
    area = x1 * y2 - x2 * y1
    if area == 0:
        return
    inverse = 1 / area
    for i in range(upper, lower + 1):
        for j in range(first, last + 1):
            px, py = float(j), float(i)
            if through_lens:
                px, py = float(rays[0, i, j]), float(rays[1, i, j])
            px, py = px - x0, py - y0
            one, two = (px * y2 - x2 * py) * inverse, (x1 * py - px * y1) * inverse
            if one < _INSIDE or two < _INSIDE or one + two > 1 - _INSIDE:
                continue
            depth = w0 + one * (w1 - w0) + two * (w2 - w0)
            if depth > near[i, j]:
                near[i, j] = depth
                kind[i, j] = of
