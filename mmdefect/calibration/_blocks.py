"""From sightings to the bundle's blocks, and from its numbers back to cameras."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mmdefect.calibration._bundle import VIEW, Array, Block
from mmdefect.calibration._opencv import opencv
from mmdefect.calibration.sighting import Sighting
from mmdefect.calibration.target import Target
from mmdefect.registration import BrownConrady, Camera, Pose

_RADIAL = {1: [True, False, True, True, False], 2: [True, True, True, True, False]}
_RADIAL[3] = [True] * 5
_RAYLEIGH_MEDIAN = 1.17741


def block_of(sighting: Sighting, target: Target, camera: int = 0, view: int = 0) -> Block:
    """Make a bundle's block of a sighting.

    Parameters
    ----------
    sighting : Sighting
    target : Target
    camera, view : int

    Returns
    -------
    Block
    """
    radius = target.diameter / 2 if target.round and not sighting.centres else 0.0
    return Block(camera, view, target.points[sighting.numbers], sighting.pixels, radius)


def typical(residuals: Array) -> float:
    """Give the typical error in one coordinate of residuals (n, 2), px, by the median."""
    return float(np.median(np.linalg.norm(residuals, axis=1)) / _RAYLEIGH_MEDIAN)


def camera_of(inner: Array, size: tuple[int, int], pose: Pose | None = None) -> Camera:
    """Make a camera of its nine numbers.

    Parameters
    ----------
    inner : array (9,)
    size : (int, int), px
        Height and width.
    pose : Pose, optional

    Returns
    -------
    Camera
    """
    fx, fy, cx, cy, *lens = (float(number) for number in inner)
    return Camera(*size, fx, fy, cx, cy, BrownConrady(*lens), pose or Pose())


def flatness(block: Block) -> float:
    """Give the typical distance of a block's points from a plane's picture without a lens, px."""
    cv2 = opencv()
    matrix, _ = cv2.findHomography(block.points[:, :2], block.pixels)
    if matrix is None:
        return float("inf")
    fitted = cv2.perspectiveTransform(block.points[None, :, :2], matrix)[0]
    return typical(fitted - block.pixels)


def free_numbers(cameras: Sequence[tuple[int, bool, bool]], views: int) -> NDArray[np.bool_]:
    """Tell which numbers of a bundle may change.

    Parameters
    ----------
    cameras : sequence of (int, bool, bool)
        Of each camera its radial terms, whether its lens is free, and whether its pose is.
    views : int

    Returns
    -------
    array (15 · cameras + 6 · views,), bool
    """
    free = [
        [lens] * 4 + [lens and term for term in _RADIAL[radial]] + [pose] * 6
        for radial, lens, pose in cameras
    ]
    return np.array([*np.ravel(free), *([True] * (VIEW * views))], dtype=bool)
