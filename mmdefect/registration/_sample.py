"""Compiled sampling: what another sensor saw at the points of the reference's surface.

Frames are interpolated bilinearly. Where the reference's pixel is w > 1 sensor pixels wide, the
interpolated frame is averaged over a square √(w² - 1) pixels wide, which with the interpolation's
own width makes w; a ramp stays exactly that ramp. All pixels that count must lie in the frame and
hold a measurement; else the result is NaN, which is what one NaN makes of a mean anyway.
"""

from typing import Any

import numpy as np

from mmdefect.jit import compiled, inlined
from mmdefect.registration._lens import bent, held_lens, held_motion, moved

_LEAST_SHARE = 1e-4
_LEAST_WIDTH = 1e-2
_MOST_WIDTH = 60.0
_ONE: Any = np.uintp(1)


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
    shares = np.empty((2, int(_MOST_WIDTH) + 4))
    line = np.empty((10, surface.shape[2]))
    for i in range(start, stop):
        _project(surface[:, i], motion, camera, lens, ratio, grid, pixel, slack, line)
        if _averages(line[2]):
            _weigh_nearest(line)
        for k in range(frame.shape[0]):
            out[k, i] = np.nan
        for j in range(surface.shape[2]):
            column, row, wide = line[0, j], line[1, j], line[2, j]
            if column != column or (seen.size and not seen[i, j]):
                continue
            if near.size and _hidden(line[3, j], line[4, j], line[5, j], near):
                continue
            if wide > 1:
                _mean(column, row, min(wide, _MOST_WIDTH), shares, frame, out, i, j)
            elif wide > _LEAST_WIDTH:
                _mean_of_nine(line[:, j], frame, out, i, j)
            else:
                _between(column, row, frame, out, i, j)


@inlined
def _project(
    points: Any, motion: Any, camera: Any, lens: Any, ratio: float, grid: Any, pixel: float,
    slack: float, line: Any,
) -> None:  # fmt: skip
    """Bring a row of points before the sensor: no branches, so that it takes wide registers.

    ``line`` (6, x) takes column and row on the frame, NaN where there is no point or it is not in
    front; the width of the mean; column and row on the plane ``grid``; and the depth, mm, at which
    what lies there would hide the point.
    """
    m = held_motion(motion)
    bends = held_lens(lens)
    fx, fy, cx, cy = camera[0], camera[1], camera[2], camera[3]
    gx, ax, gy, ay = grid[0], grid[1], grid[2], grid[3]
    for j in range(points.shape[1]):
        ahead = float(points[2, j])
        x, y, z = moved(m, float(points[0, j]), float(points[1, j]), ahead)
        over = 1 / z if ahead > 0 and z > 0 else np.nan
        x, y, wide = x * over, y * over, ratio * ahead * over
        line[3, j], line[4, j], line[5, j] = x * gx + ax, y * gy + ay, z - pixel * ahead - slack
        x, y = bent(bends, x, y)
        line[0, j], line[1, j] = x * fx + cx, y * fy + cy
        line[2, j] = np.sqrt(max(wide * wide - 1, 0.0))


@inlined
def _hidden(column: float, row: float, z: float, near: Any) -> bool:
    """Tell whether all four neighbours in the sensor's view lie before the depth z."""
    if not (0 <= column < near.shape[1] - 1 and 0 <= row < near.shape[0] - 1):
        return False
    i, j = np.uintp(int(row)), np.uintp(int(column))
    below, beside = i + _ONE, j + _ONE
    upper = min(near[i, j], near[i, beside])
    return bool(min(upper, near[below, j], near[below, beside]) * z > 1)


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
    x, y = int(column + _LEAST_SHARE), int(row + _LEAST_SHARE)
    across, down = max(column - x, 0.0), max(row - y, 0.0)
    left, right = np.uintp(x), np.uintp(min(x + (across > _LEAST_SHARE), columns - 1))
    top, lower = np.uintp(y), np.uintp(min(y + (down > _LEAST_SHARE), rows - 1))
    for k in range(np.uintp(frame.shape[0])):
        one = frame[k, top, left] + across * (frame[k, top, right] - frame[k, top, left])
        two = frame[k, lower, left] + across * (frame[k, lower, right] - frame[k, lower, left])
        mean = one + down * (two - one)
        out[k, i, j] = mean if abs(mean) < np.inf else np.nan


@inlined
def _averages(wide: Any) -> bool:
    """Tell whether any pixel of a row is a mean."""
    for j in range(len(wide)):
        if wide[j] > _LEAST_WIDTH:
            return True
    return False


@inlined
def _weigh_nearest(line: Any) -> None:
    """Weigh the pixels beside the nearest one, for means at most one pixel wide.

    Rows 6 and 7 of ``line`` (10, x) take the shares of the pixel before it in its row and after
    it, rows 8 and 9 those above and below it. A share that does not count is 0.
    """
    for axis in range(2):
        for j in range(line.shape[1]):
            half = 0.5 * min(line[2, j], 1.0)
            away = line[axis, j] - np.floor(line[axis, j] + 0.5)
            over = 0.5 / half
            before = (_below(away + 1 + half) - _below(away + 1 - half)) * over
            after = (_below(away - 1 + half) - _below(away - 1 - half)) * over
            level = 1 - before - after
            before = before if before > _LEAST_SHARE else 0.0
            after = after if after > _LEAST_SHARE else 0.0
            whole = 1 / (level + before + after)
            line[6 + 2 * axis, j], line[7 + 2 * axis, j] = before * whole, after * whole


@inlined
def _mean_of_nine(line: Any, frame: Any, out: Any, i: int, j: int) -> None:
    """Write the mean of the interpolated frame over a square at most one pixel wide."""
    rows, columns = frame.shape[1:]
    x, y = int(np.floor(line[0] + 0.5)), int(np.floor(line[1] + 0.5))
    west, east, north, south = line[6], line[7], line[8], line[9]
    first, last = x - (west > 0), x + (east > 0)
    top, bottom = y - (north > 0), y + (south > 0)
    if not ((first >= 0) & (last < columns) & (top >= 0) & (bottom < rows)):
        return
    left, middle, right = np.uintp(first), np.uintp(x), np.uintp(last)
    upper, centre, lower = np.uintp(top), np.uintp(y), np.uintp(bottom)
    level = 1 - north - south
    for k in range(np.uintp(frame.shape[0])):
        over, along, under = frame[k, upper], frame[k, centre], frame[k, lower]
        before = north * over[left] + level * along[left] + south * under[left]
        at = north * over[middle] + level * along[middle] + south * under[middle]
        after = north * over[right] + level * along[right] + south * under[right]
        mean = west * before + (1 - west - east) * at + east * after
        out[k, i, j] = mean if abs(mean) < np.inf else np.nan


@inlined
def _mean(
    column: float, row: float, wide: float, shares: Any, frame: Any, out: Any, i: int, j: int
) -> None:
    """Write the mean of the interpolated frame over a square ``wide`` pixels wide."""
    first, across = _weigh(column, wide, shares[0])
    upper, down = _weigh(row, wide, shares[1])
    if not (
        first >= 0
        and first + across <= frame.shape[2]
        and upper >= 0
        and upper + down <= frame.shape[1]
    ):
        return
    left, top = np.uintp(first), np.uintp(upper)
    for k in range(np.uintp(frame.shape[0])):
        total = 0.0
        for m in range(np.uintp(down)):
            along = 0.0
            for n in range(np.uintp(across)):
                along += shares[0, n] * frame[k, top + m, left + n]
            total += shares[1, m] * along
        out[k, i, j] = total if abs(total) < np.inf else np.nan


@inlined
def _weigh(at: float, wide: float, shares: Any) -> tuple[int, int]:
    """Give the first pixel of a mean that counts, how many do, and their shares of it."""
    half = wide / 2
    first, last = int(np.ceil(at - half - 1)), int(np.floor(at + half + 1))
    if _share(at - first, half) <= _LEAST_SHARE:
        first += 1
    if _share(at - last, half) <= _LEAST_SHARE:
        last -= 1
    whole, count = 0.0, np.uintp(last - first + 1)
    for n in range(count):
        shares[n] = _share(at - (first + n), half)
        whole += shares[n]
    for n in range(count):
        shares[n] /= whole
    return first, last - first + 1


@inlined
def _share(away: float, half: float) -> float:
    """Give a pixel's share of the mean, from the distance of the mean's middle to its centre."""
    return (_below(away + half) - _below(away - half)) / (2 * half)


@inlined
def _below(u: float) -> float:
    """Integrate linear interpolation's weight, a triangle from -1 to 1, up to a place."""
    u = min(max(u, -1.0), 1.0)
    return 0.5 + u - 0.5 * u * abs(u)
