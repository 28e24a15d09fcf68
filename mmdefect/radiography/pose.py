"""Where the part stands, from its radiograph: small moves away from the nominal place.

A fixture leaves half a millimetre and a degree; unmended, every edge of the part would be a defect.
The pose is found by what the radiograph itself shows, coarse to fine, so that an edge that is off
by several pixels still feels its place. Moves that the picture does not tell (along the beam) are
held by what a fixture allows.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmdefect.radiography.expected import expected_attenuation
from mmdefect.radiography.solid import Solid
from mmdefect.registration import Camera, Pose

_IN_PLANE, _ALL = (0, 1, 5), (0, 1, 2, 3, 4, 5)
_LEVELS = ((4, 1.5, _IN_PLANE, 3), (2, 1.2, _IN_PLANE, 3), (2, 1.2, _ALL, 2))
"""Pixels that are made one, their blur (px of these), the moves, and how often they are mended."""
_STEPS = np.array([0.2, 0.2, 0.2, 0.004, 0.004, 0.004])
_ALLOWED = np.array([1.0, 1.0, 0.2, 0.02, 0.02, 0.02])
"""Of a fixture: mm, and rad about the part's middle; one standard deviation."""
_HUBER = 2.0
_ALIKE = 10.0
"""Pixels that err alike, by what the law does not know: so much weaker speaks the picture."""


def moved(numbers: NDArray[np.float64], middle: NDArray[np.float64]) -> Pose:
    """Make a pose of three shifts (mm) and a turn (rad) about a place.

    Parameters
    ----------
    numbers : array (6,)
    middle : array (3,), mm

    Returns
    -------
    Pose
    """
    from scipy.spatial.transform import Rotation

    rotation = Rotation.from_rotvec(numbers[3:]).as_matrix()
    return Pose(rotation, middle + numbers[:3] - rotation @ middle)


def find_pose(measured: NDArray[np.float64], solids: Sequence[Solid], camera: Camera) -> Pose:
    """Find where the part stands.

    Parameters
    ----------
    measured : array (y, x), 1
        −log transmission; NaN where blind.
    solids : sequence of Solid
        The part's, one a material, which move together.
    camera : Camera
        The panel's.

    Returns
    -------
    Pose
        From the nominal place.

    Raises
    ------
    SensorError
        When the part is not in the picture.

    Notes
    -----
    Gauss–Newton on the blurred difference between measured and expected attenuation, whose
    derivatives by the pose come from moved solids.
    """
    middle = solids[0].middle
    numbers = np.zeros(6)
    for binned, sigma, moves, times in _LEVELS:
        picture, panel = _coarse(measured, camera, binned)
        for _ in range(times):
            numbers = numbers + _step(picture, solids, panel, numbers, middle, sigma, moves)
    return moved(numbers, middle)


def _coarse(
    measured: NDArray[np.float64], camera: Camera, binned: int
) -> tuple[NDArray[np.float64], Camera]:
    """Make squares of pixels one, by the mean of what is known in them."""
    if binned == 1:
        return measured, camera
    rows, columns = (side // binned for side in measured.shape)
    squares = measured[: rows * binned, : columns * binned].reshape(rows, binned, columns, binned)
    known = np.isfinite(squares)
    count = known.sum(axis=(1, 3))
    total = np.where(known, squares, 0.0).sum(axis=(1, 3))
    picture = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    aside = (binned - 1) / 2
    panel = replace(
        camera,
        height=rows,
        width=columns,
        fx=camera.fx / binned,
        fy=camera.fy / binned,
        cx=(camera.cx - aside) / binned,
        cy=(camera.cy - aside) / binned,
    )
    return picture, panel


def _step(
    measured: NDArray[np.float64],
    solids: Sequence[Solid],
    camera: Camera,
    numbers: NDArray[np.float64],
    middle: NDArray[np.float64],
    sigma: float,
    moves: Sequence[int],
) -> NDArray[np.float64]:
    """Give one move (6,) that brings the expected nearer to the measured."""
    lengths = _lengths(solids, camera, moved(numbers, middle))
    found = expected_attenuation(measured, lengths, blur=1.0)
    left = measured - found.attenuation
    known = np.isfinite(left)
    share = np.maximum(ndimage.gaussian_filter(known.astype(np.float64), sigma), 1e-3)

    def smooth(picture: NDArray[np.float64]) -> NDArray[np.float64]:
        spread: NDArray[np.float64] = ndimage.gaussian_filter(np.where(known, picture, 0.0), sigma)
        evened: NDArray[np.float64] = spread / share
        return evened

    columns = []
    for axis in moves:
        step = _STEPS[axis]
        aside = np.zeros(6)
        aside[axis] = step
        sides = [_lengths(solids, camera, moved(numbers + s * aside, middle)) for s in (1, -1)]
        grown = [
            slope * np.nan_to_num(more - less) / (2 * step)
            for slope, more, less in zip(found.slope, *sides, strict=True)
        ]
        columns.append(smooth(np.sum(grown, axis=0))[known])
    beside = [*_plain(measured.shape), found.attenuation, found.attenuation**2]
    columns += [smooth(picture)[known] for picture in beside]
    basis, target = np.stack(columns, axis=1), smooth(left)[known]
    spread = max(1.4826 * float(np.median(np.abs(target))), 1e-6)
    weights = np.minimum(1.0, _HUBER * spread / np.maximum(np.abs(target), 1e-12))
    count, chosen = len(moves), list(moves)
    held = np.full(basis.shape[1], 1e-9 * len(target))
    held[:count] = (spread / _ALLOWED[chosen]) ** 2 * len(target) / _ALIKE
    normal = (basis * weights[:, None]).T @ basis + np.diag(held)
    right = (basis * weights[:, None]).T @ target
    right[:count] -= held[:count] * numbers[chosen]
    move = np.zeros(6)
    move[chosen] = np.linalg.solve(normal, right)[:count]
    return move


def _plain(shape: tuple[int, ...]) -> list[NDArray[np.float64]]:
    """Give what the law's fit can take up too: a level and its two slopes (y, x)."""
    down, across = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    return [np.ones(shape), down, across]


def _lengths(solids: Sequence[Solid], camera: Camera, pose: Pose) -> list[NDArray[np.float64]]:
    return [solid.lengths(camera, pose) for solid in solids]
