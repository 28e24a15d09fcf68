"""The camera's equations for compiled loops: the same as in ``camera``, one point at a time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.jit import inlined
from mmdefect.registration.camera import Camera, Division, Pose

Numbers = NDArray[np.float64]
_DIVISION = 1.0


def lens_numbers(camera: Camera) -> Numbers:
    """Give a lens as numbers (7,): its model, its coefficients, the square of its reach."""
    lens = camera.lens
    if isinstance(lens, Division):
        return np.array([_DIVISION, lens.kappa, 0, 0, 0, 0, np.inf])
    return np.array([0, lens.k1, lens.k2, lens.p1, lens.p2, lens.k3, lens.reach**2])


def frame_numbers(camera: Camera) -> Numbers:
    """Give a camera's fx, fy, cx, cy (4,), px."""
    return np.array([camera.fx, camera.fy, camera.cx, camera.cy])


def motion(start: Pose | None, end: Pose | None) -> Numbers:
    """Give the motion from one frame into another as numbers (12,): rotation by rows, shift in mm.

    Parameters
    ----------
    start, end : Pose or None
        Of the two cameras; None is the rig's frame.
    """
    start, end = start or Pose(), end or Pose()
    rotation = end.rotation @ start.rotation.T
    return np.concatenate([rotation.ravel(), end.translation - rotation @ start.translation])


@inlined
def held_motion(m: Any) -> tuple[float, ...]:
    """Take a motion's numbers out of their array, so that a loop that writes reads them once."""
    return m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7], m[8], m[9], m[10], m[11]


@inlined
def held_lens(lens: Any) -> tuple[float, ...]:
    """Take a lens's numbers out of their array, as ``held_motion`` does."""
    return lens[0], lens[1], lens[2], lens[3], lens[4], lens[5], lens[6]


@inlined
def moved(m: Any, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Move a point by twelve numbers."""
    return (
        m[0] * x + m[1] * y + m[2] * z + m[9],
        m[3] * x + m[4] * y + m[5] * z + m[10],
        m[6] * x + m[7] * y + m[8] * z + m[11],
    )


@inlined
def bent(lens: Any, x: float, y: float) -> tuple[float, float]:
    """Bend normalised coordinates as the lens does; NaN beyond its reach."""
    r2 = x * x + y * y
    if lens[0] == _DIVISION:
        scale = 2 / (1 + np.sqrt(1 - 4 * lens[1] * r2))
        return x * scale, y * scale
    reached = 1.0 if r2 <= lens[6] else np.nan
    radial = 1 + r2 * (lens[1] + r2 * (lens[2] + r2 * lens[5]))
    across = 2 * lens[3] * x * y + lens[4] * (r2 + 2 * x * x)
    down = lens[3] * (r2 + 2 * y * y) + 2 * lens[4] * x * y
    return (x * radial + across) * reached, (y * radial + down) * reached
