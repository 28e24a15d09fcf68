"""Simple point feature histograms: bins of pairs, counted for whole rows of pixels at once.

``mmdefect.geometry.fpfh`` says what is counted. Counts are kept in bytes, 32 or 64 of which fit
into a register, and are added up before they can overflow.
"""

import math

import numpy as np
from numpy.typing import NDArray

from mmdefect.jit import reordered

BINS = 33
PLACES = 40
"""Numbers kept for a pixel: its bins, the number of its pairs, and padding."""
_CHUNK = 256
_FULL = 255
_NONE = np.float32(255)
_MIDDLE = np.float32(5)
_HALF = np.float32(5.5)
_TEN = np.float32(10)
_HUNDRED = np.float32(100)
_ZERO = np.float32(0)
_ONE = np.float32(1)
_EDGES = [(2 * k - 1) * math.pi / 11 for k in range(1, 6)]
_C1, _C2, _C3, _C4, _C5 = (np.float32(math.cos(edge)) for edge in _EDGES)
_S1, _S2, _S3, _S4, _S5 = (np.float32(math.sin(edge)) for edge in _EDGES)


@reordered
def count_rows(
    wide: NDArray[np.float32],
    reach: NDArray[np.int64],
    between: NDArray[np.int64],
    limit: np.float32,
    simple: NDArray[np.float32],
    first: int,
) -> None:
    """Count the pairs of rows of pixels.

    Parameters
    ----------
    wide : float32 array (6, y + 4 rows, x + 2 columns)
        Coordinates and normals, NaN where missing, with two margins of rows and one of columns.
    reach : int array (y + 2 rows, 2)
        Half the window's height and width, with one margin of rows.
    between : int array (y + 2 rows, 2)
        Columns between which there are points, likewise.
    limit : float32
        The radius squared.
    simple : float32 array (row, x + 2 columns, PLACES)
        Written to: percent of the pairs by bin, and their number.
    first : int
        The first of the rows, counted from the first row of the margin in `reach`.
    """
    rows, columns = reach[:, 0].max(), reach[:, 1].max()
    near = np.empty(_CHUNK, np.float32)
    bins = np.empty((3, _CHUNK), np.uint8)
    counts = np.empty((BINS, _CHUNK), np.uint8)
    sums = np.empty((BINS, _CHUNK), np.float32)
    for y in range(first, first + len(simple)):
        simple[y - first] = _ZERO
        for left in range(between[y, 0], between[y, 1], _CHUNK):
            size = min(_CHUNK, between[y, 1] - left)
            count = np.uint64(size)
            here = wide[:, y + rows, left + columns : left + columns + size].copy()
            counts[:] = 0
            sums[:] = _ZERO
            held = 0
            for down in range(-reach[y, 0], reach[y, 0] + 1):
                there = wide[:, y + rows + down, left : left + size + 2 * columns].copy()
                for right in range(-reach[y, 1], reach[y, 1] + 1):
                    shift = np.uint64(right + columns)
                    _squares(here, there, shift, count, limit, near)
                    if (down == 0 and right == 0) or not _any(near, size):
                        continue
                    _bins(here, there, shift, count, near, bins)
                    _count(bins, counts, count)
                    held += 1
                    if held == _FULL:
                        _empty(counts, sums)
                        held = 0
            _empty(counts, sums)
            _write(sums, simple[y - first, left + columns : left + columns + size])


@reordered
def _squares(
    here: NDArray[np.float32],
    there: NDArray[np.float32],
    shift: np.uint64,
    count: np.uint64,
    limit: np.float32,
    near: NDArray[np.float32],
) -> None:
    """Give squared distances at one offset, −1 where it is too far or a point is missing."""
    for x in range(count):
        dx = there[0, x + shift] - here[0, x]
        dy = there[1, x + shift] - here[1, x]
        dz = there[2, x + shift] - here[2, x]
        square = dx * dx + dy * dy + dz * dz
        near[x] = square if square <= limit else -_ONE


@reordered
def _any(near: NDArray[np.float32], size: int) -> bool:
    """Tell whether any pixel has a neighbour at this offset."""
    for x in range(size):
        if near[x] >= _ZERO:
            return True
    return False


@reordered
def _bins(
    here: NDArray[np.float32],
    there: NDArray[np.float32],
    shift: np.uint64,
    count: np.uint64,
    near: NDArray[np.float32],
    bins: NDArray[np.uint8],
) -> None:
    """Find the bins of the pairs at one offset."""
    for x in range(count):
        square = near[x]
        dx = there[0, x + shift] - here[0, x]
        dy = there[1, x + shift] - here[1, x]
        dz = there[2, x + shift] - here[2, x]
        ux, uy, uz = here[3, x], here[4, x], here[5, x]
        vx, vy, vz = there[3, x + shift], there[4, x + shift], there[5, x + shift]
        own = ux * dx + uy * dy + uz * dz
        other = vx * dx + vy * dy + vz * dz
        cosine = ux * vx + uy * vy + uz * vz
        triple = dx * (uy * vz - uz * vy) + dy * (uz * vx - ux * vz) + dz * (ux * vy - uy * vx)
        turned = abs(own) < abs(other)
        along = -other if turned else own
        rest = (-own if turned else other) - along * cosine
        across = square - along * along
        steep = _ONE / np.sqrt(across)
        alpha = _angle_bin(rest * steep, cosine)
        phi = _bin(triple * steep)
        theta = _bin(along / np.sqrt(square))
        told = across > _ZERO
        missing = square < _ZERO
        alpha = _NONE if missing else (alpha if told else _MIDDLE)
        phi = _NONE if missing else (phi if told else _MIDDLE)
        theta = _NONE if missing else (theta if told else _MIDDLE)
        bins[0, x] = np.uint8(np.int32(alpha))
        bins[1, x] = np.uint8(np.int32(phi))
        bins[2, x] = np.uint8(np.int32(theta))


@reordered
def _bin(value: np.float32) -> np.float32:
    """Find the bin, before rounding down, of a number in [−1, 1]."""
    place = _HALF * value + _HALF
    place = place if place > _ZERO else _ZERO
    return place if place < _TEN else _TEN


@reordered
def _angle_bin(sine: np.float32, cosine: np.float32) -> np.float32:
    """Find the bin of an angle in [−π, π]: it is past an edge e when sin(angle − e) ≥ 0."""
    size = abs(sine)
    past = (
        (_ONE if size * _C1 >= cosine * _S1 else _ZERO)
        + (_ONE if size * _C2 >= cosine * _S2 else _ZERO)
        + (_ONE if size * _C3 >= cosine * _S3 else _ZERO)
        + (_ONE if size * _C4 >= cosine * _S4 else _ZERO)
        + (_ONE if size * _C5 >= cosine * _S5 else _ZERO)
    )
    return _MIDDLE + (past if sine >= _ZERO else -past)


@reordered
def _count(bins: NDArray[np.uint8], counts: NDArray[np.uint8], count: np.uint64) -> None:
    """Add one to the counts of the bins found."""
    for third in range(3):
        found = bins[third]
        for b in range(11):
            row = counts[11 * third + b]
            for x in range(count):
                row[x] = np.uint8(row[x] + (np.uint8(1) if found[x] == b else np.uint8(0)))


@reordered
def _empty(counts: NDArray[np.uint8], sums: NDArray[np.float32]) -> None:
    """Add the bytes to the sums and start them anew."""
    for b in range(BINS):
        for x in range(_CHUNK):
            sums[b, x] += np.float32(counts[b, x])
            counts[b, x] = 0


@reordered
def _write(sums: NDArray[np.float32], simple: NDArray[np.float32]) -> None:
    """Turn counts into percent, pixel by pixel, with the number of pairs after the last bin."""
    for x in range(len(simple)):
        pairs = _ZERO
        for b in range(11):
            pairs += sums[b, x]
        percent = _HUNDRED / pairs if pairs > _ZERO else _ZERO
        for b in range(BINS):
            simple[x, b] = sums[b, x] * percent
        simple[x, BINS] = pairs
