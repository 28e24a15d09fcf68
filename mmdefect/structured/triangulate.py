"""Where a pixel's ray meets the projector's light.

A projector is a camera that looks the other way. A column of it lights a plane, which its lens
bends; so the depth along a pixel's ray is found by closed form and corrected by what the lens model
says of the point, until it lands on the column.

Where columns and rows were coded, depth comes from the axis that sees it better, and the other one
checks: light that came by way of another surface lands elsewhere.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import RegistrationError
from mmdefect.jit import compiled, in_bands, inlined
from mmdefect.registration import Camera
from mmdefect.registration._lens import bent, frame_numbers, lens_numbers, motion, moved
from mmdefect.structured._loops import LONELY, OUTSIDE, UNSURE
from mmdefect.structured.codes import AXES
from mmdefect.structured.decode import Decoded, Limits

Map = NDArray[np.float32]
_ROUNDS = 8
_EXACT = 1e-8
_STEEPEST = float(np.tan(np.deg2rad(75.0)))


@dataclass(frozen=True)
class Sight:
    """The rays of a camera's pixels, worked out once.

    Parameters
    ----------
    camera : Camera
    """

    camera: Camera

    @cached_property
    def slopes(self) -> Map:
        """Slopes x / z and y / z (2, y, x) of every pixel's ray, in the camera's own frame."""
        rays = self.camera.directions() @ self.camera.pose.rotation.T
        slopes = np.moveaxis(rays[..., :2] / rays[..., 2:], -1, 0)
        return np.ascontiguousarray(slopes, dtype=np.float32)


@dataclass(frozen=True)
class Depths:
    """Depth along a camera's axis.

    Parameters
    ----------
    depth : Map (y, x), mm
        NaN where ``flags`` is not 0.
    noise : Map (y, x), mm
        Standard deviation that the camera's noise gives it.
    flags : array (y, x), uint8
        As for ``Decoded``, with ``LONELY`` (16: no surface around it).
    """

    depth: Map
    noise: Map
    flags: NDArray[np.uint8]


@inlined
def _met(m: Any, axis: int, u: float, v: float, target: float) -> Any:
    """Give the depth at which a ray with slopes u, v has a slope in the projector."""
    a, b = m[9 + axis], m[3 * axis] * u + m[3 * axis + 1] * v + m[3 * axis + 2]
    c, d = m[11], m[6] * u + m[7] * v + m[8]
    return (a - target * c) / (target * d - b)


@compiled
def _meet(
    band: int, start: int, stop: int, slopes: Any, place: Any, spread: Any, m: Any, frame: Any,
    lens: Any, axis: int, plain: bool, near: float, far: float, depth: Any, noise: Any, flags: Any,
) -> None:  # fmt: skip
    """Find depths for one axis of the projector, 0 for columns and 1 for rows.

    What the lens bends is nearly the same for the left neighbour, and so that is where to start.
    """
    for y in range(start, stop):
        bend = 0.0
        for x in range(depth.shape[1]):
            depth[y, x] = noise[y, x] = np.nan
            if flags[y, x] != 0:
                continue
            u, v = float(slopes[0, y, x]), float(slopes[1, y, x])
            wanted = (place[y, x] - frame[2 + axis]) / frame[axis]
            z = _met(m, axis, u, v, wanted + bend)
            for _ in range(0 if plain else _ROUNDS):
                px, py, pz = moved(m, u * z, v * z, z)
                off = wanted - bent(lens, px / pz, py / pz)[axis]
                bend += off
                z = _met(m, axis, u, v, wanted + bend)
                if abs(off) < _EXACT:
                    break
            beside = _met(m, axis, u, v, wanted + bend + 1 / frame[axis])
            if not near <= z <= far or moved(m, u * z, v * z, z)[2] <= 0:
                flags[y, x] |= OUTSIDE
                bend = 0.0
                continue
            depth[y, x] = z
            noise[y, x] = abs(beside - z) * spread[y, x]


@compiled
def _check(
    band: int, start: int, stop: int, slopes: Any, depth: Any, other: Any, m: Any, frame: Any,
    lens: Any, axis: int, most: float, flags: Any,
) -> None:  # fmt: skip
    """Mark points that the projector's other axis saw elsewhere."""
    for y in range(start, stop):
        for x in range(depth.shape[1]):
            z = float(depth[y, x])
            px, py, pz = moved(m, slopes[0, y, x] * z, slopes[1, y, x] * z, z)
            seen = bent(lens, px / pz, py / pz)
            if flags[y, x] == 0 and not (
                abs(frame[axis] * seen[axis] + frame[2 + axis] - other[y, x]) <= most
            ):
                flags[y, x] |= UNSURE


@compiled
def _seclude(
    band: int, start: int, stop: int, depth: Any, noise: Any, slope: float, least: int, before: Any,
    flags: Any,
) -> None:  # fmt: skip
    """Mark points of which too few neighbours lie on one surface; who is out of the frame does."""
    rows, columns = depth.shape
    for y in range(start, stop):
        for x in range(columns):
            if before[y, x] != 0:
                continue
            z, near = depth[y, x], 0
            most = slope * z + 4 * noise[y, x]
            for j in range(y - 1, y + 2):
                if near > least:
                    break
                for i in range(x - 1, x + 2):
                    if not (0 <= j < rows and 0 <= i < columns):
                        near += 1
                    elif before[j, i] == 0:
                        near += abs(depth[j, i] - z) <= most
            if near <= least:
                flags[y, x] |= LONELY


def triangulate(
    decoded: Decoded,
    sight: Sight,
    projector: Camera,
    limits: Limits | None = None,
    *,
    near: float = 0.0,
    far: float = np.inf,
) -> Depths:
    """Meet a camera's rays with the projector's light.

    Parameters
    ----------
    decoded : Decoded
    sight : Sight
        Of the camera; kept by who decodes many captures.
    projector : Camera
    limits : Limits, optional
    near, far : float, mm
        Depths that are believed.

    Returns
    -------
    Depths

    Raises
    ------
    RegistrationError
        When the frames are not the camera's, or camera and projector stand in one place.
    """
    camera, limits = sight.camera, limits or Limits()
    check_size(decoded.flags.shape, camera)
    m = motion(camera.pose, projector.pose)
    axes = sorted(decoded.places, key=lambda axis: -_baseline(m, AXES.index(axis)))
    if not _baseline(m, AXES.index(axes[0])) > 0:
        raise RegistrationError(
            "the camera and the projector stand in one place, but a baseline was promised; "
            "correct their translations in the rig file"
        )
    rows, shape = camera.height, (camera.height, camera.width)
    depth, noise = np.empty(shape, np.float32), np.empty(shape, np.float32)
    flags = decoded.flags.copy()
    light = m, frame_numbers(projector), lens_numbers(projector)
    plain = not light[2][1:6].any()
    axis = AXES.index(axes[0])
    found = decoded.places[axes[0]], decoded.spreads[axes[0]]
    in_bands(
        _meet, rows, sight.slopes, *found, *light, axis, plain, max(near, 1e-6), far, depth, noise,
        flags,
    )  # fmt: skip
    for name in axes[1:]:
        in_bands(
            _check, rows, sight.slopes, depth, decoded.places[name], *light, AXES.index(name),
            limits.skew, flags,
        )  # fmt: skip
    return secluded(Depths(depth, noise, flags), camera, limits)


def secluded(depths: Depths, camera: Camera, limits: Limits) -> Depths:
    """Mark points without a surface around them, and blank whatever is marked.

    Neighbours lie on one surface when their depths differ by no more than a plane at 75° to the
    line of sight makes of a pixel's diagonal, and four times their noise.
    """
    flags = depths.flags.copy()
    slope = np.float32(_STEEPEST * np.sqrt(2) / min(camera.fx, camera.fy))
    in_bands(
        _seclude, len(flags), depths.depth, depths.noise, slope, limits.neighbours, depths.flags,
        flags,
    )  # fmt: skip
    for values in (depths.depth, depths.noise):
        values[flags != 0] = np.nan
    return Depths(depths.depth, depths.noise, flags)


def check_size(found: tuple[int, ...], camera: Camera) -> None:
    """Refuse frames, of so many rows and columns, that are not a camera's."""
    if found != (camera.height, camera.width):
        raise RegistrationError(
            f"the frames have {found[0]}x{found[1]} pixels (rows x columns), but the rig promises "
            f"{camera.height}x{camera.width}; record them as the camera was calibrated"
        )


def _baseline(m: NDArray[np.float64], axis: int) -> float:
    """Give how far the projector stands from the camera along an axis of the projector's, mm."""
    return abs(float(m[9 + axis]))
