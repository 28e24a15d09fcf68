"""Compiled sampling: what another sensor saw at the points of the reference's surface.

Frames are interpolated bilinearly. Where the reference's pixel is w > 1 sensor pixels wide, the
interpolated frame is averaged over a square √(w² - 1) pixels wide, which with the interpolation's
own width makes w; a ramp stays exactly that ramp. All pixels that count must lie in the frame and
hold a measurement; else the result is NaN, which is what one NaN makes of a mean anyway.
"""

from typing import Any

import numpy as np

from mmdefect.jit import compiled, inlined
from mmdefect.registration._lens import bent, moved

_LEAST_SHARE = 1e-4
_LEAST_WIDTH = 1e-2
_MOST_WIDTH = 60.0


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
    shares = np.empty(int(_MOST_WIDTH) + 4)
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
            wide = np.sqrt(max(wide * wide - 1, 0.0))
            if wide > _LEAST_WIDTH:
                _mean(x, y, min(wide, _MOST_WIDTH), shares, frame, out, i, j)
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
    """Write what bilinear interpolation finds."""
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
def _mean(
    column: float, row: float, wide: float, shares: Any, frame: Any, out: Any, i: int, j: int
) -> None:
    """Write the mean of the interpolated frame over a square ``wide`` pixels wide."""
    rows, columns = frame.shape[1:]
    first, last = _first(column, wide), _last(column, wide)
    upper, lower = _first(row, wide), _last(row, wide)
    if not (first >= 0 and last < columns and upper >= 0 and lower < rows):
        return
    whole = 0.0
    for n in range(first, last + 1):
        shares[n - first] = _share(column - n, wide)
        whole += shares[n - first]
    for k in range(frame.shape[0]):
        total, weights = 0.0, 0.0
        for m in range(upper, lower + 1):
            along = 0.0
            for n in range(first, last + 1):
                along += shares[n - first] * frame[k, m, n]
            high = _share(row - m, wide)
            total += high * along
            weights += high
        mean = total / (weights * whole)
        out[k, i, j] = mean if abs(mean) < np.inf else np.nan


@inlined
def _first(at: float, wide: float) -> int:
    """Give the first pixel of a mean that counts."""
    first = int(np.ceil(at - wide / 2 - 1))
    return first if _share(at - first, wide) > _LEAST_SHARE else first + 1


@inlined
def _last(at: float, wide: float) -> int:
    """Give the last pixel of a mean that counts."""
    last = int(np.floor(at + wide / 2 + 1))
    return last if _share(at - last, wide) > _LEAST_SHARE else last - 1


@inlined
def _share(away: float, wide: float) -> float:
    """Give a pixel's share of the mean, from the distance of the mean's middle to its centre."""
    return (_below(away + wide / 2) - _below(away - wide / 2)) / wide


@inlined
def _below(u: float) -> float:
    """Integrate linear interpolation's weight, a triangle from -1 to 1, up to a place."""
    u = min(max(u, -1.0), 1.0)
    return 0.5 * (1 + u) * (1 + u) if u < 0 else 1 - 0.5 * (1 - u) * (1 - u)
