"""Compiled rasterising of a scanner's mesh: for each of a camera's pixels the nearest triangle.

Rays meet triangles exactly: in a camera's undistorted plane a triangle stays one, and the inverse
depth is linear across it. A lens only decides through which point of that plane a pixel looks.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.jit import compiled, in_bands, inlined, threads
from mmdefect.registration._mesh import NOTHING, WALL
from mmdefect.registration._scratch import scratch

_MARGIN = 1e-3
_INSIDE = -1e-6
_ONE: Any = np.uintp(1)
_FOUR: Any = np.uintp(4)
_KINDS = 7


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
        x, y, w (y, x) as ``stand`` gives them, and how the squares are cut (y - 1, x - 1).
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
        The highest state of its corners; ``WALL`` where it spans a depth step. Both are written
        over when this thread rasterises again.
    """
    count = threads()
    near = scratch("near", (count, *size), np.float32)
    kind = scratch("kind", (count, *size), np.uint8)
    in_bands(_clear, count, near, kind, bands=count)
    in_bands(_rasterise, len(mesh[3]), *mesh, walls, pixels, rays, near, kind, bands=count)
    if count > 1:
        in_bands(_merge, size[0], near, kind)
    return near[0], kind[0]


@compiled
def _clear(band: int, start: int, stop: int, near: Any, kind: Any) -> None:
    """Clear the arrays of bands."""
    near[start:stop] = 0
    kind[start:stop] = 0


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
    band: int, start: int, stop: int, x: Any, y: Any, w: Any, squares: Any, walls: bool,
    pixels: Any, rays: Any, near: Any, kind: Any,
) -> None:  # fmt: skip
    """Rasterise the triangles below rows ``start`` to ``stop``.

    Squares that may cover a pixel are listed first, row by row: whether one does cannot be
    foretold, and a processor that guesses wrong in the middle of the work does it twice.
    """
    listed = np.empty((8, squares.shape[1]), dtype=np.int32)
    for i in range(np.uintp(start), np.uintp(stop)):
        count = _list(i, x, y, w, squares, walls, pixels, near.shape[1:], listed)
        for n in range(np.uintp(count)):
            _square(listed[:, n], i, x, y, w, rays, near[band], kind[band])


@inlined
def _list(
    i: int, x: Any, y: Any, w: Any, squares: Any, walls: bool, pixels: Any,
    size: tuple[int, int], listed: Any,
) -> int:  # fmt: skip
    """List the squares of a row that may cover a pixel; give their number.

    ``listed`` (8, n) takes the columns of the diagonal's upper and lower end, the kinds of the
    triangles above and below it, and the first and last column and row of pixels.
    """
    count = np.uintp(0)
    below = i + _ONE
    for j in range(np.uintp(squares.shape[1])):
        square = np.uintp(squares[i, j])
        right = j + (square & _ONE)
        left = j + _ONE - (square & _ONE)
        ends = min(w[i, left], w[below, right]) > 0
        upper = _drawn(int(square >> _ONE) & _KINDS, walls, ends & (w[i, right] > 0))
        lower = _drawn(int(square >> _FOUR), walls, ends & (w[below, left] > 0))
        if (upper == NOTHING) & (lower == NOTHING):
            continue
        if pixels is None:
            west, east = _between(x, i, left, below, right, upper, lower)
            north, south = _between(y, i, left, below, right, upper, lower)
        else:
            west, east = _between(pixels[0], i, left, below, right, upper, lower)
            north, south = _between(pixels[1], i, left, below, right, upper, lower)
        first = np.ceil(max(west - _MARGIN, 0.0))
        last = np.floor(min(east + _MARGIN, size[1] - 1.0))
        top = np.ceil(max(north - _MARGIN, 0.0))
        bottom = np.floor(min(south + _MARGIN, size[0] - 1.0))
        listed[0, count], listed[1, count], listed[2, count] = left, right, upper
        listed[3, count], listed[4, count], listed[5, count] = lower, first, last
        listed[6, count], listed[7, count] = top, bottom
        count += np.uintp((first <= last) & (top <= bottom))
    return int(count)


@inlined
def _drawn(kind: int, walls: bool, ahead: bool) -> int:
    """Give a triangle's kind, or ``NOTHING`` where it is not to be drawn."""
    return kind if ahead & (walls | (kind != WALL)) else NOTHING


@inlined
def _square(listed: Any, i: int, x: Any, y: Any, w: Any, rays: Any, near: Any, kind: Any) -> None:
    """Write the two triangles of a square as it is listed."""
    left: Any = np.uintp(listed[0])
    right: Any = np.uintp(listed[1])
    below = i + _ONE
    place = (float(x[i, left]), float(y[i, left]), float(w[i, left]))
    end = _from(place, x, y, w, below, right)
    one, other = _from(place, x, y, w, i, right), _from(place, x, y, w, below, left)
    _fill(
        place, end, one, other, listed[4], listed[5], listed[6], listed[7], rays,
        listed[2], listed[3], near, kind,
    )  # fmt: skip


@inlined
def _between(
    at: Any, i: int, left: int, below: int, right: int, upper: int, lower: int
) -> tuple[float, float]:
    """Give the bounds of a square along one axis, without a corner that neither triangle has."""
    one, end = float(at[i, left]), float(at[below, right])
    least, most = min(one, end), max(one, end)
    if upper != NOTHING:
        corner = float(at[i, right])
        least, most = min(least, corner), max(most, corner)
    if lower != NOTHING:
        corner = float(at[below, left])
        least, most = min(least, corner), max(most, corner)
    return least, most


@inlined
def _from(
    place: tuple[float, float, float], x: Any, y: Any, w: Any, i: int, j: int
) -> tuple[float, float, float]:
    """Give the way from a place to a corner: right, down, and in inverse depth."""
    return x[i, j] - place[0], y[i, j] - place[1], w[i, j] - place[2]


@inlined
def _fill(
    place: tuple[float, float, float], end: tuple[float, float, float],
    one: tuple[float, float, float], other: tuple[float, float, float],
    first: int, last: int, top: int, bottom: int, rays: Any, upper: int, lower: int,
    near: Any, kind: Any,
) -> None:  # fmt: skip
    """Write two triangles with a common edge where they are nearer than what was written before."""
    over = 1 / (end[0] * one[1] - one[0] * end[1]) if upper != NOTHING else np.nan
    under = 1 / (end[0] * other[1] - other[0] * end[1]) if lower != NOTHING else np.nan
    i, j, end_of_row = np.uintp(top), np.uintp(first), np.uintp(last)
    for _ in range((bottom + 1 - top) * (last + 1 - first)):
        if rays is None:
            px, py = j - place[0], i - place[1]
        else:
            px, py = rays[0, i, j] - place[0], rays[1, i, j] - place[1]
        beside = py * end[0] - px * end[1]
        far, aside = (px * one[1] - py * one[0]) * over, beside * over
        inside = (far >= _INSIDE) & (aside >= _INSIDE) & (far + aside <= 1 - _INSIDE)
        high = place[2] + far * end[2] + aside * one[2]
        high = high if inside else np.float64(0)
        far, aside = (px * other[1] - py * other[0]) * under, beside * under
        inside = (far >= _INSIDE) & (aside >= _INSIDE) & (far + aside <= 1 - _INSIDE)
        low = place[2] + far * end[2] + aside * other[2]
        low = low if inside else np.float64(0)
        before, was = near[i, j], int(kind[i, j])
        depth = np.float32(high if high > low else low)
        nearer = depth > before
        near[i, j] = depth if nearer else before
        kind[i, j] = was + nearer * ((upper if high >= low else lower) - was)
        over_the_end = j == end_of_row
        i, j = i + np.uintp(over_the_end), np.uintp(first) if over_the_end else j + _ONE
