"""Separable filters of single planes, in compiled loops.

A filter that is the product of a column and a row costs two short sums per pixel,

    rows(y, x) = Σ_k across_k plane(y, x + k),    out(y, x) = Σ_k down_k rows(y + k, x),

with the border repeated. A library's convolution is made for many channels at once and spends most
of its time on arranging one; here both sums run along x, where neighbours lie side by side, and
take four terms at a time so that a sum is stored once for four products.
"""

import numpy as np
from numpy.typing import NDArray

from mmdefect.jit import WORTH_A_THREAD, in_bands, reordered

Planes = NDArray[np.float32]


def separable(planes: Planes, down: Planes, across: Planes) -> Planes:
    """Filter every plane by the product of a column and a row; the border is repeated.

    Parameters
    ----------
    planes : float32 array (plane, y, x)
        Finite.
    down, across : float32 array (2 r + 1,)
        Weights, the first of which belongs to the pixel before.

    Returns
    -------
    float32 array (plane, y, x)
    """
    count, height, width = planes.shape
    flat = np.ascontiguousarray(planes).reshape(-1, width)
    rows = np.empty_like(flat)
    least = WORTH_A_THREAD // (width * len(across))
    in_bands(_across, len(flat), flat, np.ascontiguousarray(across), rows, least=least)
    filtered = np.empty_like(flat)
    in_bands(_down, len(flat), rows, np.ascontiguousarray(down), height, filtered, least=least)
    return filtered.reshape(count, height, width)


@reordered
def _across(
    band: int, start: int, stop: int, planes: Planes, weights: Planes, filtered: Planes
) -> None:
    """Filter along x."""
    width, taps = planes.shape[1], len(weights)
    reach = taps // 2
    row = np.empty(width + 2 * reach, np.float32)
    for y in range(start, stop):
        row[:reach] = planes[y, 0]
        row[reach : reach + width] = planes[y]
        row[reach + width :] = planes[y, width - 1]
        out = filtered[y]
        w = weights[0]
        for x in range(width):
            out[x] = w * row[x]
        for k in range(1, taps - 1, 4):
            left = min(4, taps - k)
            a, b = weights[k], weights[k + 1] if left > 1 else np.float32(0)
            c = weights[k + 2] if left > 2 else np.float32(0)
            d = weights[k + 3] if left > 3 else np.float32(0)
            i, j, m = k + min(1, left - 1), k + min(2, left - 1), k + min(3, left - 1)
            one, two, three, four = row[k:], row[i:], row[j:], row[m:]
            for x in range(width):
                out[x] += a * one[x] + b * two[x] + c * three[x] + d * four[x]


@reordered
def _down(
    band: int,
    start: int,
    stop: int,
    planes: Planes,
    weights: Planes,
    height: int,
    filtered: Planes,
) -> None:
    """Filter along y, within each plane of so many rows."""
    width, taps = planes.shape[1], len(weights)
    reach = taps // 2
    for place in range(start, stop):
        first = place // height * height
        last = first + height - 1
        out = filtered[place]
        out[:] = 0
        for k in range(0, taps, 4):
            left = min(4, taps - k)
            a, b = weights[k], weights[k + 1] if left > 1 else np.float32(0)
            c = weights[k + 2] if left > 2 else np.float32(0)
            d = weights[k + 3] if left > 3 else np.float32(0)
            at = place - reach + k
            one = planes[min(max(at, first), last)]
            two = planes[min(max(at + 1, first), last)]
            three = planes[min(max(at + 2, first), last)]
            four = planes[min(max(at + 3, first), last)]
            for x in range(width):
                out[x] += a * one[x] + b * two[x] + c * three[x] + d * four[x]
