"""Compiled loops over a scanner's rows and columns: outliers, holes, places before a camera.

A pixel's *state* says what stands there: ``NOTHING``, a ``MEASURED`` point, a hole ``BRIDGED``
well enough to place other sensors, or one only ``GUESSED`` at, which may hide but never places.
"""

from typing import Any

import numpy as np

from mmdefect.jit import compiled, inlined
from mmdefect.registration._lens import bent, held_lens, held_motion, moved

NOTHING, MEASURED, BRIDGED, GUESSED, WALL = 0, 1, 2, 3, 4
RIM = 2


@compiled
def look(band: int, start: int, stop: int, points: Any, axis: Any, depth: Any) -> None:
    """Give the depth (y, x) of points along a scanner's axis; NaN for what is no point before it.

    ``axis`` (4,) holds the axis in the points' frame, and the scanner's shift along it in mm.
    """
    for i in range(start, stop):
        for j in range(depth.shape[1]):
            x, y, z = points[0, i, j], points[1, i, j], points[2, i, j]
            along = axis[0] * x + axis[1] * y + axis[2] * z + axis[3]
            depth[i, j] = along if along > 0 and along < np.inf else np.nan


@compiled
def link(
    band: int, start: int, stop: int, depth: Any, slope: float, slack: float, out: Any
) -> None:
    """Mark points that share a surface with one of their eight neighbours as ``MEASURED``.

    ``depth`` (y, x) is NaN where nothing was measured. The others are outliers, or nothing.
    """
    for i in range(start, stop):
        for j in range(depth.shape[1]):
            z = depth[i, j]
            out[i, j] = MEASURED if z > 0 and _linked(depth, i, j, slope * z + slack) else NOTHING


@inlined
def _linked(depth: Any, i: int, j: int, most: float) -> bool:
    """Tell whether one of eight neighbours differs by no more than ``most``."""
    z, rows, columns = depth[i, j], depth.shape[0], depth.shape[1]
    for k in range(max(i - 1, 0), min(i + 2, rows)):
        for n in range(max(j - 1, 0), min(j + 2, columns)):
            if abs(depth[k, n] - z) <= most and (k != i or n != j):
                return True
    return False


@compiled
def reach_across(
    band: int, start: int, stop: int, state: Any, most: int, before: Any, after: Any
) -> None:
    """Count the pixels from each hole to the next point before and after it in its row.

    Counts end at ``most + 1``.
    """
    columns = state.shape[1]
    for i in range(start, stop):
        far = most + 1
        for j in range(columns):
            far = 0 if state[i, j] == MEASURED else min(far + 1, most + 1)
            before[i, j] = far
        far = most + 1
        for j in range(columns - 1, -1, -1):
            far = 0 if state[i, j] == MEASURED else min(far + 1, most + 1)
            after[i, j] = far


@compiled
def reach_down(state: Any, most: int, before: Any, after: Any) -> None:
    """Count the pixels from each hole to the next point above and below it in its column."""
    rows, columns = state.shape
    for i in range(rows):
        for j in range(columns):
            far = before[i - 1, j] if i > 0 else most + 1
            before[i, j] = 0 if state[i, j] == MEASURED else min(far + 1, most + 1)
    for i in range(rows - 1, -1, -1):
        for j in range(columns):
            far = after[i + 1, j] if i < rows - 1 else most + 1
            after[i, j] = 0 if state[i, j] == MEASURED else min(far + 1, most + 1)


@compiled
def bridge(
    band: int, start: int, stop: int, points: Any, depth: Any, gaps: Any,
    small: int, most: int, step: float, slack: float, state: Any,
) -> None:  # fmt: skip
    """Bridge holes between points before and after them in a row, a column, or both.

    ``gaps`` (4, y, x) is what ``reach_across`` and ``reach_down`` counted. All points at the ends
    must agree in depth within ``step`` times their depth plus ``slack``; a pair that does not
    keeps the hole open. Writes ``points`` (plane, y, x), whatever its planes are, and ``state``.
    """
    for i in range(start, stop):
        for j in range(depth.shape[1]):
            if state[i, j] == MEASURED:
                continue
            left, right, up, down = gaps[0, i, j], gaps[1, i, j], gaps[2, i, j], gaps[3, i, j]
            across, along = left + right - 1 <= most, up + down - 1 <= most
            near, far = np.inf, 0.0
            if across:
                near = min(depth[i, j - left], depth[i, j + right])
                far = max(depth[i, j - left], depth[i, j + right])
            if along:
                near = min(near, depth[i - up, j], depth[i + down, j])
                far = max(far, depth[i - up, j], depth[i + down, j])
            if not (across or along) or far - near > step * near + slack:
                continue
            for axis in range(points.shape[0]):
                total, weights = 0.0, 0.0
                if across:
                    weight = 1 / (left + right)
                    one, other = points[axis, i, j - left], points[axis, i, j + right]
                    total += weight * (one + (other - one) * left * weight)
                    weights += weight
                if along:
                    weight = 1 / (up + down)
                    one, other = points[axis, i - up, j], points[axis, i + down, j]
                    total += weight * (one + (other - one) * up * weight)
                    weights += weight
                points[axis, i, j] = total / weights
            short = min(left + right, up + down) - 1
            state[i, j] = BRIDGED if short <= small else GUESSED


@inlined
def ending(
    depth: Any, state: Any, i: int, j: int, down: int, across: int, slope: float, slack: float
) -> float:
    """Give the depth of a measured point (i, j) whose surface comes from its inner neighbour.

    Infinite when one of the two is not there or they lie on different surfaces.
    """
    k, n = i + down, j + across
    rows, columns = depth.shape
    if min(i, k) < 0 or min(j, n) < 0 or max(i, k) >= rows or max(j, n) >= columns:
        return float(np.inf)
    if state[i, j] != MEASURED or state[k, n] != MEASURED:
        return float(np.inf)
    edge = depth[i, j]
    return float(edge if abs(edge - depth[k, n]) <= slope * edge + slack else np.inf)


@compiled
def grow(
    band: int, start: int, stop: int, points: Any, depth: Any, slope: float, slack: float,
    state: Any,
) -> None:  # fmt: skip
    """Carry surfaces on by up to ``RIM`` pixels where they end, along their slope, as ``GUESSED``.

    Of several surfaces that end there the nearest is carried on. Reads measured points only, so
    bands do not feel each other. Writes ``points`` (plane, y, x), of which the last is depth.
    """
    for i in range(start, stop):
        for j in range(depth.shape[1]):
            if state[i, j] != NOTHING:
                continue
            nearest, far, down, across = np.inf, 0, 0, 0
            for reach in range(1, RIM + 1):
                for k, n in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                    edge = ending(depth, state, i + reach * k, j + reach * n, k, n, slope, slack)
                    if edge < nearest:
                        nearest, far, down, across = edge, reach, k, n
            if nearest == np.inf:
                continue
            for axis in range(points.shape[0]):
                edge = points[axis, i + far * down, j + far * across]
                inner = points[axis, i + (far + 1) * down, j + (far + 1) * across]
                points[axis, i, j] = edge + far * (edge - inner)
            state[i, j] = GUESSED


@compiled
def stand(
    band: int, start: int, stop: int, points: Any, state: Any, motion: Any, plane: Any,
    x: Any, y: Any, w: Any,
) -> None:  # fmt: skip
    """Bring points before a camera: pixels of an undistorted plane, and the inverse depth.

    ``plane`` holds scale and offset in x, then in y. ``w``, 1/mm, is 0 where nothing stands or it
    is not in front.
    """
    m = held_motion(motion)
    across, right, down, under = plane[0], plane[1], plane[2], plane[3]
    for i in range(start, stop):
        for j in range(state.shape[1]):
            p, q, z = moved(
                m, float(points[0, i, j]), float(points[1, i, j]), float(points[2, i, j])
            )
            over = 1 / z
            x[i, j], y[i, j] = p * over * across + right, q * over * down + under
            w[i, j] = over if (z > 0) & (state[i, j] != NOTHING) else 0.0


@compiled
def bend(band: int, start: int, stop: int, seen: Any, camera: Any, lens: Any, out: Any) -> None:
    """Give the pixels (2, y, x) on which undistorted pixels fall through a lens.

    ``seen`` (3, y, x) is what ``stand`` wrote; ``camera`` holds fx, fy, cx, cy. Beyond the lens's
    reach the inverse depth becomes 0.
    """
    bends = held_lens(lens)
    fx, fy, cx, cy = camera[0], camera[1], camera[2], camera[3]
    across, down = 1 / fx, 1 / fy
    for i in range(np.uintp(start), np.uintp(stop)):
        for j in range(np.uintp(seen.shape[2])):
            p, q = bent(bends, (seen[0, i, j] - cx) * across, (seen[1, i, j] - cy) * down)
            out[0, i, j], out[1, i, j] = p * fx + cx, q * fy + cy
            seen[2, i, j] = seen[2, i, j] if abs(p + q) < np.inf else 0.0


@compiled
def lift(
    band: int, start: int, stop: int, near: Any, kind: Any, rays: Any, placing: Any, measured: Any
) -> None:
    """Give the points (3, y, x) that a camera's rays (2, y, x) meet, from their inverse depth.

    ``placing`` takes those that may place other sensors, ``measured`` those that were measured;
    the others are NaN.
    """
    for i in range(np.uintp(start), np.uintp(stop)):
        for j in range(np.uintp(kind.shape[1])):
            ahead = 1 / near[i, j]
            own = ahead if kind[i, j] == MEASURED else np.float32(np.nan)
            ahead = ahead if kind[i, j] == BRIDGED else own
            x, y = rays[0, i, j], rays[1, i, j]
            placing[0, i, j], placing[1, i, j], placing[2, i, j] = x * ahead, y * ahead, ahead
            measured[0, i, j], measured[1, i, j], measured[2, i, j] = x * own, y * own, own


@compiled
def carry(
    band: int, start: int, stop: int, points: Any, state: Any, motion: Any, placing: Any,
    measured: Any,
) -> None:  # fmt: skip
    """Move points (3, y, x), and divide them as ``lift`` does."""
    m = held_motion(motion)
    for i in range(np.uintp(start), np.uintp(stop)):
        for j in range(np.uintp(state.shape[1])):
            x, y, z = moved(
                m, float(points[0, i, j]), float(points[1, i, j]), float(points[2, i, j])
            )
            own = 0.0 if state[i, j] == MEASURED else np.nan
            some = 0.0 if state[i, j] == BRIDGED else own
            placing[0, i, j], placing[1, i, j], placing[2, i, j] = x + some, y + some, z + some
            measured[0, i, j], measured[1, i, j], measured[2, i, j] = x + own, y + own, z + own
