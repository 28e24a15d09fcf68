"""Edge energy by direction and blob energy by sign, of one plane at one scale.

With g a Gaussian and g′, g″ its derivatives, a plane is filtered along x by all three at once;
along y

    dx = g g′,    dy = g′ g,    blob = g g″ + g″ g    (down, across)

are summed in one pass that writes the energies: of dx and dy, of both diagonals (dx ± dy) / √2,
each by its amount times the scale, and of what is darker or brighter than around it, times the
scale squared [1]_.

References
----------
.. [1] Lindeberg: Feature detection with automatic scale selection, IJCV 30, 1998.
"""

import numpy as np
from numpy.typing import NDArray

from mmdefect.jit import WORTH_A_THREAD, in_bands, reordered

Plane = NDArray[np.float32]
Planes = NDArray[np.float32]

ENERGIES = 6
_DIAGONAL = np.float32(0.7071)


def energies(plane: Plane, bells: Planes, scale: float, weight: Plane) -> Planes:
    """Measure the energies at every pixel.

    Parameters
    ----------
    plane : float32 array (y, x)
        Finite; the border is repeated.
    bells : float32 array (3, 2 r + 1)
        A sampled Gaussian, its first and its second derivative.
    scale : float
        The Gaussian's standard deviation in pixels.
    weight : float32 array (y, x)
        By which every energy is multiplied; of size 0 for one everywhere.

    Returns
    -------
    float32 array (6, y, x)
        Of edges along x, one diagonal, y and the other; of dark and of bright blobs, where the
        second derivative is above and below zero.
    """
    height, width = plane.shape
    rows = np.empty((3, height, width), np.float32)
    found = np.empty((ENERGIES, height, width), np.float32)
    least = max(1, WORTH_A_THREAD // (3 * bells.shape[1] * width))
    in_bands(_across, height, np.ascontiguousarray(plane), bells, rows, least=least)
    in_bands(_down, height, rows, bells, np.float32(scale), weight, found, least=least)
    return found


@reordered
def _across(band: int, start: int, stop: int, plane: Plane, bells: Planes, rows: Planes) -> None:
    """Filter along x by all three."""
    width, taps = plane.shape[1], bells.shape[1]
    reach = taps // 2
    wide = np.empty(width + taps, np.float32)
    for y in range(start, stop):
        wide[:reach] = plane[y, 0]
        wide[reach : reach + width] = plane[y]
        wide[reach + width :] = plane[y, width - 1]
        for kind in range(3):
            bell, out = bells[kind], rows[kind, y]
            out[:] = 0
            for k in range(0, taps - 1, 2):
                a, b = bell[k], bell[k + 1]
                one, two = wide[k:], wide[k + 1 :]
                for x in range(width):
                    out[x] += a * one[x] + b * two[x]
            last, one = bell[taps - 1], wide[taps - 1 :]
            for x in range(width):
                out[x] += last * one[x]


@reordered
def _down(
    band: int,
    start: int,
    stop: int,
    rows: Planes,
    bells: Planes,
    scale: np.float32,
    weight: Plane,
    found: Planes,
) -> None:
    """Filter along y, and write the energies."""
    height, width, taps = rows.shape[1], rows.shape[2], bells.shape[1]
    dx, dy = np.empty(width, np.float32), np.empty(width, np.float32)
    blob, one = np.empty(width, np.float32), np.float32(1)
    zero, square = np.float32(0), scale * scale
    for y in range(start, stop):
        dx[:] = 0
        dy[:] = 0
        blob[:] = 0
        for k in range(taps):
            at = min(max(y + k - taps // 2, 0), height - 1)
            a, b, c = bells[0, k], bells[1, k], bells[2, k]
            smooth, first, second = rows[0, at], rows[1, at], rows[2, at]
            for x in range(width):
                dx[x] += a * first[x]
                dy[x] += b * smooth[x]
                blob[x] += a * second[x] + c * smooth[x]
        for x in range(width):
            share = weight[y, x] if weight.size else one
            by, squared = share * scale, share * square
            found[0, y, x] = abs(dx[x]) * by
            found[1, y, x] = abs(dx[x] + dy[x]) * _DIAGONAL * by
            found[2, y, x] = abs(dy[x]) * by
            found[3, y, x] = abs(dx[x] - dy[x]) * _DIAGONAL * by
            found[4, y, x] = max(blob[x], zero) * squared
            found[5, y, x] = max(-blob[x], zero) * squared
