"""Compiled sampling: what another sensor saw at the points of the reference's surface.

A reference pixel receives the mean over a square on the sensor's frame: one sensor pixel wide,
which is bilinear interpolation, or as wide as the reference's pixel there when that is wider.
All pixels of the square must lie in the frame and hold a measurement; else the result is NaN,
which is what one NaN makes of a mean anyway.
"""

from typing import Any

import numpy as np

from mmdefect.jit import compiled, inlined
from mmdefect.registration._lens import bent, moved

_LEAST_SHARE = 1e-4


@compiled
def sample(
    band: int, start: int, stop: int, surface: Any, motion: Any, camera: Any, lens: Any,
    ratio: float, near: Any, grid: Any, pixel: float, slack: float, seen: Any,
    frame: Any, out: Any,
) -> None:  # fmt: skip
    """Sample a frame (channel, y, x) at the surface (axis, y, x), mm, into ``out``.

    ``near`` is the sensor's inverse depth on the plane ``grid`` (empty: nothing hides);
    ``pixel`` times a point's depth, plus ``slack``, is how far behind it a point is still seen.
    ``seen`` (y, x) says where the sensor sees it at all (empty: everywhere). ``ratio`` is the
    sensor's focal length over the reference's, both in px.
    """
    channels = frame.shape[0]
    for i in range(start, stop):
        for j in range(surface.shape[2]):
            for k in range(channels):
                out[k, i, j] = np.nan
            ahead = float(surface[2, i, j])
            if not ahead > 0 or (seen.size and not seen[i, j]):
                continue
            x, y, z = moved(motion, surface[0, i, j], surface[1, i, j], ahead)
            if not z > 0:
                continue
            x, y = x / z, y / z
            if near.size and _hidden(x, y, z - pixel * ahead - slack, near, grid):
                continue
            x, y = bent(lens, x, y)
            x, y, wide = x * camera[0] + camera[2], y * camera[1] + camera[3], ratio * ahead / z
            if wide > 1:
                _mean(x, y, wide, frame, out, i, j)
            else:
                _between(x, y, frame, out, i, j)


@inlined
def _hidden(x: float, y: float, z: float, near: Any, grid: Any) -> bool:
    """Tell whether all four neighbours in the sensor's view lie before the depth z."""
    column, row = x * grid[0] + grid[1], y * grid[2] + grid[3]
    if not (0 <= column < near.shape[1] - 1 and 0 <= row < near.shape[0] - 1):
        return False
    j, i = int(column), int(row)
    farthest = min(near[i, j], near[i, j + 1], near[i + 1, j], near[i + 1, j + 1])
    return bool(farthest * z > 1)


@inlined
def _between(column: float, row: float, frame: Any, out: Any, i: int, j: int) -> None:
    """Write the mean over one pixel's square, which is bilinear interpolation."""
    rows, columns = frame.shape[1:]
    if not (
        column >= -_LEAST_SHARE
        and column <= columns - 1 + _LEAST_SHARE
        and row >= -_LEAST_SHARE
        and row <= rows - 1 + _LEAST_SHARE
    ):
        return
    left, top = int(column + _LEAST_SHARE), int(row + _LEAST_SHARE)
    right = left + 1 if column - left > _LEAST_SHARE else left
    lower = top + 1 if row - top > _LEAST_SHARE else top
    right, lower = min(right, columns - 1), min(lower, rows - 1)
    across, down = max(column - left, 0.0), max(row - top, 0.0)
    for k in range(frame.shape[0]):
        one = frame[k, top, left] + across * (frame[k, top, right] - frame[k, top, left])
        two = frame[k, lower, left] + across * (frame[k, lower, right] - frame[k, lower, left])
        mean = one + down * (two - one)
        out[k, i, j] = mean if abs(mean) < np.inf else np.nan


@inlined
def _mean(column: float, row: float, wide: float, frame: Any, out: Any, i: int, j: int) -> None:
    """Write the mean over a square of a frame."""
    rows, columns = frame.shape[1:]
    left, right, top, bottom = column - wide / 2, column + wide / 2, row - wide / 2, row + wide / 2
    least = _LEAST_SHARE * wide
    if not (
        left >= -0.5 - least
        and right <= columns - 0.5 + least
        and top >= -0.5 - least
        and bottom <= rows - 0.5 + least
    ):
        return
    first, last = int(np.floor(left + 0.5 + least)), int(np.ceil(right - 0.5 - least))
    upper, lower = int(np.floor(top + 0.5 + least)), int(np.ceil(bottom - 0.5 - least))
    for k in range(frame.shape[0]):
        total, weights = 0.0, 0.0
        for m in range(max(upper, 0), min(lower, rows - 1) + 1):
            high = min(bottom, m + 0.5) - max(top, m - 0.5)
            for n in range(max(first, 0), min(last, columns - 1) + 1):
                weight = high * (min(right, n + 0.5) - max(left, n - 0.5))
                total += weight * frame[k, m, n]
                weights += weight
        mean = total / weights
        out[k, i, j] = mean if abs(mean) < np.inf else np.nan
