"""Two cameras that see the projector's light: the projector itself need not be calibrated.

For every pixel of the first camera the second is searched along the pixel's ray, from far to near
in steps of a pixel, for the place where it saw the same column (or row) of the projector. The place
is found between pixels, by interpolation between the two by two around it, and nothing is
smoothed. Most pixels lie a step from where their left neighbour was found, and are looked for
there first.

Where both axes were coded the other one checks. Where the light crosses the ray's picture more than
once (repeated by a wrong fringe, or seen round an edge) the crossing that the other axis
confirms is taken, and without another axis none.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import RegistrationError
from mmdefect.jit import compiled, in_bands, inlined
from mmdefect.registration import Camera
from mmdefect.registration._lens import bent, frame_numbers, lens_numbers, motion
from mmdefect.structured._loops import OUTSIDE, UNSURE
from mmdefect.structured.decode import Decoded, Limits
from mmdefect.structured.triangulate import Depths, Sight, check_size, secluded

_AROUND = 3
_WIDEST = 8.0
_BEYOND = 1.0
_ROUNDS = 4
_EXACT = 1e-5
_NEXT_TO_NOTHING = 1e-3


@inlined
def _seen(m: Any, frame: Any, lens: Any, u: float, v: float, w: float) -> tuple[float, float]:
    """Give column and row in the second camera of the point on a ray at inverse depth w."""
    x = m[0] * u + m[1] * v + m[2] + m[9] * w
    y = m[3] * u + m[4] * v + m[5] + m[10] * w
    z = m[6] * u + m[7] * v + m[8] + m[11] * w
    if z <= 0:
        return np.nan, np.nan
    a, b = bent(lens, x / z, y / z)
    return frame[0] * a + frame[2], frame[1] * b + frame[3]


@inlined
def _between(places: Any, flags: Any, column: float, row: float) -> float:
    """Interpolate a map between the four pixels around; NaN where one that counts is not valid."""
    rows, columns = places.shape
    if not (0 <= column <= columns - 1 and 0 <= row <= rows - 1):
        return np.nan
    j, i = min(int(row), rows - 2), min(int(column), columns - 2)
    total = weights = 0.0
    for dj in range(2):
        for di in range(2):
            weight = abs(1 - dj - (row - j)) * abs(1 - di - (column - i))
            if weight > _NEXT_TO_NOTHING:
                if flags[j + dj, i + di] != 0:
                    return np.nan
                total += weight * places[j + dj, i + di]
                weights += weight
    return total / weights


@inlined
def _off(
    m: Any, frame: Any, lens: Any, places: Any, flags: Any, u: float, v: float, w: float, own: float
) -> float:
    """Give by how much the second camera's place differs from a pixel's own at inverse depth w."""
    column, row = _seen(m, frame, lens, u, v, w)
    return _between(places, flags, column, row) - own


@compiled
def _crossing(
    m: Any, frame: Any, lens: Any, places: Any, flags: Any, others: Any, checked: bool, skew: float,
    u: float, v: float, own: float, other: float, base: float, step: float, first: int, last: int,
) -> tuple[int, int, float, float]:  # fmt: skip
    """Search steps first to last of inverse depth for where both cameras saw one place.

    Gives how many crossings there were, at which step, its inverse depth, and the slope there.
    """
    count, where, found, slope, least = 0, 0, np.nan, np.nan, np.inf
    one = before = np.nan
    for k in range(first, last + 1):
        after = _off(m, frame, lens, places, flags, u, v, base + step * k, own)
        rise, beyond, w = np.nan, 0.0, base + step * k
        if before * after <= 0 and before != 0:
            rise = after - before
            w = _refined(m, frame, lens, places, flags, u, v, own, w - step, w, before, after)
        elif np.isnan(after) and np.isfinite(one):
            rise = before - one
            beyond = -before / rise
            w += step * (beyond - 1)
        elif np.isnan(before) and k > first:
            rise = _off(m, frame, lens, places, flags, u, v, w + step, own) - after
            beyond = after / rise
            w -= step * beyond
        agrees = abs(rise) <= _WIDEST and 0 <= beyond <= _BEYOND
        if agrees and checked:
            agrees = _agrees(m, frame, lens, others, flags, u, v, w, other, skew)
        if agrees and beyond == 0:
            count = count + 1 if least == 0 else 1
        if agrees and (beyond < least or beyond == 0):
            count = max(count, 1)
            where, found, slope, least = k, w, rise / step, beyond
        one, before = before, after
    return count, where, found, slope


@inlined
def _refined(
    m: Any, frame: Any, lens: Any, places: Any, flags: Any, u: float, v: float, own: float,
    low: float, high: float, a: float, b: float,
) -> float:  # fmt: skip
    """Narrow a crossing down between two inverse depths, whose differences have unlike signs."""
    w = high - b * (high - low) / (b - a)
    for _ in range(_ROUNDS):
        c = _off(m, frame, lens, places, flags, u, v, w, own)
        if not abs(c) > _EXACT:
            break
        if (c > 0) == (a > 0):
            low, a = w, c
        else:
            high, b = w, c
        w = high - b * (high - low) / (b - a)
    return w


@inlined
def _agrees(
    m: Any, frame: Any, lens: Any, others: Any, flags: Any, u: float, v: float, w: float,
    other: float, skew: float,
) -> Any:  # fmt: skip
    """Tell whether the second camera saw the other axis's place too, at the nearest pixel."""
    column, row = _seen(m, frame, lens, u, v, w)
    j = min(max(int(np.floor(row + 0.5)), 0), others.shape[0] - 1)
    i = min(max(int(np.floor(column + 0.5)), 0), others.shape[1] - 1)
    for near in (i, i - 1, i + 1):
        if 0 <= near < others.shape[1] and flags[j, near] == 0:
            return abs(others[j, near] - other) <= skew
    return False


@compiled
def _search(
    band: int, start: int, stop: int, slopes: Any, own: Any, other: Any, spread: Any,
    own_flags: Any, places: Any, others: Any, spreads: Any, flags: Any, m: Any, frame: Any,
    lens: Any, checked: bool, skew: float, base: float, step: float, steps: int, depth: Any,
    noise: Any,
) -> None:  # fmt: skip
    """Find depths; a pixel is looked for around its left neighbour's place first."""
    for y in range(start, stop):
        last = -1
        for x in range(depth.shape[1]):
            depth[y, x] = noise[y, x] = np.nan
            if own_flags[y, x] != 0:
                continue
            u, v = float(slopes[0, y, x]), float(slopes[1, y, x])
            count, where, w, slope = 0, 0, np.nan, np.nan
            for wide in range(0 if last >= 0 else 1, 2):
                low = 0 if wide else max(last - _AROUND - 1, 0)
                high = steps if wide else min(last + _AROUND, steps)
                count, where, w, slope = _crossing(
                    m, frame, lens, places, flags, others, checked, skew, u, v, own[y, x],
                    other[y, x], base, step, low, high,
                )  # fmt: skip
                if count == 1:
                    break
            if count != 1 or not w > 0:
                own_flags[y, x] |= UNSURE if count else OUTSIDE
                continue
            last = where
            column, row = _seen(m, frame, lens, u, v, w)
            beside = spreads[int(row + 0.5), int(column + 0.5)]
            depth[y, x] = 1 / w
            noise[y, x] = np.sqrt(spread[y, x] ** 2 + beside**2) / abs(slope) / (w * w)


def match(
    decoded: tuple[Decoded, Decoded],
    sight: Sight,
    second: Camera,
    limits: Limits | None = None,
    *,
    near: float | None = None,
    far: float = np.inf,
) -> Depths:
    """Find the depths at which two cameras saw the same places of the projector.

    Parameters
    ----------
    decoded : (Decoded, Decoded)
        Of the first and of the second camera, from one code.
    sight : Sight
        Of the first camera.
    second : Camera
    limits : Limits, optional
    near, far : float, mm
        Depths that are searched; near is the distance between the cameras when left out.

    Returns
    -------
    Depths
        On the first camera's grid.

    Raises
    ------
    RegistrationError
        When frames are not their camera's, or the cameras stand in one place.
    """
    camera, limits = sight.camera, limits or Limits()
    one, two = decoded
    check_size(one.flags.shape, camera)
    check_size(two.flags.shape, second)
    m = motion(camera.pose, second.pose)
    baseline = float(np.linalg.norm(m[9:]))
    near = baseline if near is None else near
    if not (baseline > 0 and 0 < near < far):
        raise RegistrationError(
            f"the cameras stand {baseline:g} mm apart and depths from {near:g} to {far:g} mm are "
            "searched, but a baseline and a range were promised; correct the rig or the range"
        )
    axes = sorted(one.places, key=lambda axis: -_steepness(two, axis, m))
    axis, other = axes[0], axes[-1]
    step = 1 / (max(second.fx, second.fy) * baseline)
    base = 1 / far
    steps = int(np.ceil((1 / near - base) / step))
    depth = np.empty((camera.height, camera.width), np.float32)
    noise, flags = np.empty_like(depth), one.flags.copy()
    in_bands(
        _search, camera.height, sight.slopes, one.places[axis], one.places[other],
        one.spreads[axis], flags, two.places[axis], two.places[other], two.spreads[axis],
        two.flags, m, frame_numbers(second), lens_numbers(second), len(axes) > 1, limits.skew,
        base, step, steps, depth, noise,
    )  # fmt: skip
    return secluded(Depths(depth, noise, flags), camera, limits)


def _steepness(decoded: Decoded, axis: str, m: NDArray[np.float64]) -> float:
    """Give by how much a place changes from pixel to pixel along the baseline, px."""
    along = np.abs(m[9:11]) / max(float(np.abs(m[9:11]).sum()), 1e-12)
    places = np.where(decoded.valid, decoded.places[axis], np.nan)
    changes = [np.abs(np.diff(places, axis=side)) for side in (1, 0)]
    medians = [float(np.median(c[np.isfinite(c)])) if np.isfinite(c).any() else 0 for c in changes]
    return float(along @ medians)
