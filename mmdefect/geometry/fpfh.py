"""Fast point feature histograms on the grid of an organised cloud.

For a pair of points with unit normals let s be the one whose normal makes the smaller angle with
the line between them, t the other and d the step from s to t. With v = d × n_s / |d × n_s| and
w = n_s × v the pair is described by [1]_

    α = atan2(w · n_t, n_s · n_t),   φ = v · n_t,   θ = n_s · d / |d|.

* The *simple* histogram of a point counts α, φ and θ of its pairs with all other points within the
  radius, 11 bins each over [−π, π) and [−1, 1), in percent of the pairs.
* The FPFH of a point is its own simple histogram plus the mean of its neighbours', weighted by
  1 / |d|².

That is Open3D's reckoning, term by term: a point is not its own neighbour; a pair that lies on
one spot, or in line with n_s, counts as α = φ = θ = 0; neighbours at distance 0 have no weight;
each third of the FPFH sums to 200. Two things differ on purpose: a point without a neighbour has
no descriptor (NaN, where Open3D gives zeros), and so has a point that is missing.

Why it is quick:

* The window around a pixel replaces the tree.
* No angle is computed: |d × n_s|² = |d|² − (n_s · d)², all three numbers follow from dot products
  and one triple product, and α's bin from comparing with the directions of its edges.
* Pixels side by side are worked on together, offset by offset; bins are counted in bytes.

References
----------
.. [1] Rusu, Blodow, Beetz: Fast point feature histograms (FPFH) for 3D registration, ICRA 2009.
"""

import numpy as np
from numpy.typing import NDArray

from mmdefect.geometry._histograms import BINS, PLACES, count_rows
from mmdefect.geometry.grid import Cloud, check_directed, over_bands, padded, reaches, spans
from mmdefect.jit import reordered

_BLOCK = 96
_CHUNK = 128
_ROOM = 16
_ZERO = np.float32(0)
_ONE = np.float32(1)
_U1, _U2, _U3, _U4, _U5, _U6, _U7 = (np.uint64(k) for k in range(1, 8))
_UPLACES = np.uint64(PLACES)


def fpfh(
    points: NDArray[np.floating], normals: NDArray[np.floating], radius: float
) -> NDArray[np.float32]:
    """Describe the surroundings of every point.

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
    float32 array (33, y, x)
        Three histograms of 11 bins, of α, φ and θ, each with the sum 200; NaN at points that
        are missing or have no neighbour. A view whose 33 numbers lie side by side in memory.

    Raises
    ------
    SceneError
        When points or normals are no organised cloud, or differ in shape.
    """
    cloud, facing = check_directed(points, normals)
    missing = np.isnan(cloud[0])
    facing[:, missing] = np.nan
    reach = reaches(cloud, radius)
    rows, columns = reach.max(0)
    wide = padded(np.concatenate([cloud, facing]), 2 * rows, columns)
    far = np.pad(reach, ((rows, rows), (0, 0)), mode="edge")
    between = np.pad(spans(cloud), ((rows, rows), (0, 0)))
    height, width = missing.shape
    described = np.full((height, width, BINS), np.nan, dtype=np.float32)
    limit = np.float32(radius * radius)

    def loop(first: int, last: int) -> None:
        _describe(wide, far, between, limit, described, first, last)

    over_bands(loop, height)
    return np.moveaxis(described, -1, 0)


def _describe(
    wide: NDArray[np.float32],
    reach: NDArray[np.int64],
    between: NDArray[np.int64],
    limit: np.float32,
    described: NDArray[np.float32],
    first: int,
    last: int,
) -> None:
    """Describe a band of rows, block by block; a block's last histograms serve the next one.

    `wide` has two margins above and below, `reach` and `between` one: row y of the cloud is row
    y + 2 margins of `wide` and y + margin of the others.
    """
    rows = int(reach[:, 0].max())
    block = min(_BLOCK, last - first)
    simple = np.zeros((block + 2 * rows, wide.shape[2], PLACES), np.float32)
    count_rows(wide, reach, between, limit, simple[: 2 * rows], first)
    for top in range(first, last, block):
        size = min(block, last - top)
        new = simple[2 * rows : 2 * rows + size]
        count_rows(wide, reach, between, limit, new, top + 2 * rows)
        _blend_rows(wide, reach, between, limit, simple, described, top, size)
        simple[: 2 * rows] = simple[block : block + 2 * rows].copy()


@reordered
def _blend_rows(
    wide: NDArray[np.float32],
    reach: NDArray[np.int64],
    between: NDArray[np.int64],
    limit: np.float32,
    simple: NDArray[np.float32],
    described: NDArray[np.float32],
    top: int,
    size: int,
) -> None:
    """Blend the histograms of a block of rows."""
    rows = reach[:, 0].max()
    for row in range(size):
        first, last = between[top + row + rows]
        for left in range(first, last, _CHUNK):
            lanes = min(_CHUNK, last - left)
            _blend(wide, reach, limit, simple, described, top + row, row, left, lanes)


@reordered
def _blend(
    wide: NDArray[np.float32],
    reach: NDArray[np.int64],
    limit: np.float32,
    simple: NDArray[np.float32],
    described: NDArray[np.float32],
    y: int,
    row: int,
    left: int,
    size: int,
) -> None:
    """Describe `size` pixels side by side; `row` is theirs within the block."""
    rows, columns = reach[:, 0].max(), reach[:, 1].max()
    high, broad = reach[y + rows, 0], reach[y + rows, 1]
    most = (2 * high + 1) * (2 * broad + 1) + 8
    weights = np.empty((most, _CHUNK + _ROOM), np.float32)
    places = np.zeros(most, np.uint64)
    total = np.zeros(_CHUNK, np.float32)
    here = wide[:3, y + 2 * rows, left + columns : left + columns + size].copy()
    found = 0
    for down in range(-high, high + 1):
        there = wide[:3, y + 2 * rows + down, left : left + size + 2 * columns].copy()
        for right in range(-broad, broad + 1):
            shift = np.uint64(right + columns)
            if _weigh(here, there, shift, np.uint64(size), limit, weights[found], total):
                place = (row + rows + down) * simple.shape[1] + left + columns + right
                places[found] = np.uint64(place * PLACES)
                found += 1
    weights[found : found + 8] = _ZERO
    flat = simple.reshape(-1)
    blended = np.empty(PLACES, np.float32)
    for x in range(size):
        own = simple[row + rows, left + columns + x]
        if total[x] > _ZERO:
            start = np.uint64(x * PLACES)
            _sum_up(flat, weights[:, x], places, start, np.uint64(found), blended)
            share = _ONE / total[x]
            for b in range(BINS):
                described[y, left + x, b] = blended[b] * share + own[b]
        else:
            lonely = own[BINS] == _ZERO
            for b in range(BINS):
                described[y, left + x, b] = np.nan if lonely else own[b]


@reordered
def _weigh(
    here: Cloud,
    there: Cloud,
    shift: np.uint64,
    count: np.uint64,
    limit: np.float32,
    weights: NDArray[np.float32],
    total: NDArray[np.float32],
) -> bool:
    """Give the weights of the neighbours at one offset, and whether there is any."""
    for x in range(count):
        dx = there[0, x + shift] - here[0, x]
        dy = there[1, x + shift] - here[1, x]
        dz = there[2, x + shift] - here[2, x]
        square = dx * dx + dy * dy + dz * dz
        weight = _ONE / square
        weights[x] = weight if (square <= limit) & (square > _ZERO) else _ZERO
    for x in range(count):
        if weights[x] > _ZERO:
            for z in range(count):
                total[z] += weights[z]
            return True
    return False


@reordered
def _sum_up(
    flat: NDArray[np.float32],
    weights: NDArray[np.float32],
    places: NDArray[np.uint64],
    start: np.uint64,
    found: np.uint64,
    blended: NDArray[np.float32],
) -> None:
    """Add up weighted histograms, eight at a time; what is past the last has no weight."""
    blended[:] = _ZERO
    for k in range(np.uint64(0), found, np.uint64(8)):
        w0, w1, w2, w3 = weights[k], weights[k + _U1], weights[k + _U2], weights[k + _U3]
        w4, w5, w6, w7 = weights[k + _U4], weights[k + _U5], weights[k + _U6], weights[k + _U7]
        p0, p1 = places[k] + start, places[k + _U1] + start
        p2, p3 = places[k + _U2] + start, places[k + _U3] + start
        p4, p5 = places[k + _U4] + start, places[k + _U5] + start
        p6, p7 = places[k + _U6] + start, places[k + _U7] + start
        for b in range(_UPLACES):
            blended[b] += (
                w0 * flat[p0 + b] + w1 * flat[p1 + b] + w2 * flat[p2 + b] + w3 * flat[p3 + b]
            ) + (w4 * flat[p4 + b] + w5 * flat[p5 + b] + w6 * flat[p6 + b] + w7 * flat[p7 + b])
