"""Closed forms in which the search for a hand's mount and a table's axis begins."""

import numpy as np

from mmdefect.calibration._bundle import Array
from mmdefect.calibration._graph import chained, inverse
from mmdefect.calibration._opencv import opencv
from mmdefect.errors import CalibrationError
from mmdefect.registration import Pose


def hand_eye(pairs: list[tuple[Pose, Pose]]) -> Pose:
    """Give the mount by OpenCV's closed form from seen and given poses.

    Parameters
    ----------
    pairs : list of (Pose, Pose)
        The target's pose in the rig's frame, and the hand's.

    Returns
    -------
    Pose

    Raises
    ------
    CalibrationError
        When the poses leave it open.
    """
    cv2 = opencv()
    turn, shift = cv2.calibrateHandEye(
        [given.rotation for _, given in pairs],
        [given.translation for _, given in pairs],
        [seen.rotation for seen, _ in pairs],
        [seen.translation for seen, _ in pairs],
        method=cv2.CALIB_HAND_EYE_PARK,
    )
    if not np.isfinite(turn).all() or not np.isfinite(shift).all():
        raise CalibrationError(
            "the poses given turn about one axis only, or not at all, and leave the hand's place "
            "open; turn the hand by 20° or more about different axes"
        )
    left, _, right = np.linalg.svd(turn)
    left[:, 2] *= np.linalg.det(left @ right)
    return Pose(left @ right, shift.ravel())


def table_axis(pairs: list[tuple[Pose, Pose]]) -> Pose:
    """Give the mount of a turntable from seen and given poses: its axis in the rig's frame.

    Parameters
    ----------
    pairs : list of (Pose, Pose)
        The target's pose in the rig's frame, and the table's, undone.

    Returns
    -------
    Pose
        From the rig's frame into the table's; its z is the axis.

    Raises
    ------
    CalibrationError
        When the table hardly turned.
    """
    start, angles = pairs[0], []
    turns, shifts, ways = [], [], []
    for seen, given in pairs[1:]:
        moved = chained(seen, inverse(start[0]))
        step = chained(inverse(given), start[1]).rotation
        angles.append(np.arctan2(step[1, 0], step[0, 0]))
        off = moved.rotation - moved.rotation.T
        ways.append(np.sign(np.sin(angles[-1])) * np.array([off[2, 1], off[0, 2], off[1, 0]]))
        turns.append(np.eye(3) - moved.rotation)
        shifts.append(moved.translation)
    way = np.sum(ways, axis=0)
    if np.abs(np.sin(angles)).max() < 0.1 or not np.linalg.norm(way) > 0:
        raise CalibrationError(
            "the table turned by less than 6° or by half turns only; turn it by 20° to 40° a view"
        )
    way = way / np.linalg.norm(way)
    rows = np.concatenate([*turns, way[None]])
    point, *_ = np.linalg.lstsq(rows, np.concatenate([*shifts, [0.0]]), rcond=None)
    side = np.cross(way, np.eye(3)[int(np.argmin(np.abs(way)))])
    side /= np.linalg.norm(side)
    rotation = np.stack([side, np.cross(way, side), way])
    return Pose(rotation, -rotation @ point)


def spread(slopes: Array) -> Array:
    """Give standard deviations for unit noise; infinite where nothing is said.

    Parameters
    ----------
    slopes : array (n, m)
        Derivatives of residuals.

    Returns
    -------
    array (m,)
    """
    scale = np.linalg.norm(slopes, axis=0)
    if not (scale > 0).all():
        return np.full(len(scale), np.inf)
    values, vectors = np.linalg.eigh((slopes / scale).T @ (slopes / scale))
    if values[0] < 1e-10:
        return np.full(len(scale), np.inf)
    spread: Array = np.sqrt((vectors**2 / values).sum(1)) / scale
    return spread
