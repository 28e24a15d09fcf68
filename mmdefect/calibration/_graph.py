"""Cameras joined by the views that they share: from single cameras' poses to one rig's frame.

Where two cameras saw the same target, each view tells how one stands to the other. All views must
tell the same, so the one that agrees best with the others begins the bundle. A target that looks
the same upside down gives each view two answers, of which the right ones agree and the wrong
ones do not, provided that the target leaned differently.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mmdefect.calibration.target import Target
from mmdefect.errors import CalibrationError
from mmdefect.registration import Pose

LEAST_SHARED = 3
_SURE = 2.0
_FAR = np.deg2rad(10)
Poses = Mapping[str, Mapping[str, Pose]]


def joined(poses: Poses, target: Target, reference: str) -> dict[str, Pose]:
    """Find every camera's pose in the reference's frame.

    Parameters
    ----------
    poses : mapping of str to mapping of str to Pose
        The target's in the cameras' frames, by camera and view.
    target : Target
    reference : str

    Returns
    -------
    dict of str to Pose
        By camera, in the order in which they were reached from the reference.

    Raises
    ------
    CalibrationError
        When a camera shares fewer than three views with those reached before it, or when views of
        a target that looks the same upside down are too alike to tell.
    """
    placed = {reference: Pose()}
    while len(placed) < len(poses):
        shared, known, new = max(
            (len(set(poses[known]) & set(poses[new])), known, new)
            for known in placed
            for new in poses
            if new not in placed
        )
        if shared < LEAST_SHARED:
            missing = sorted(set(poses) - set(placed))
            raise CalibrationError(
                f"{', '.join(missing)}: shares at most {shared} view(s) with "
                f"{', '.join(placed)}, but {LEAST_SHARED} are the least; show the target where "
                "both see it, and name frames of one view alike"
            )
        placed[new] = chained(relative(poses[known], poses[new], target, new), placed[known])
    return placed


def relative(start: Mapping[str, Pose], end: Mapping[str, Pose], target: Target, name: str) -> Pose:
    """Find the pose that takes one camera's frame into another's.

    Parameters
    ----------
    start, end : mapping of str to Pose
        The target's in either camera's frame, by view.
    target : Target
    name : str
        The second camera's, for messages.

    Returns
    -------
    Pose

    Raises
    ------
    CalibrationError
        When two answers fit as well.
    """
    views = sorted(set(start) & set(end))
    turns = half_turns(target)
    answers = [
        [chained(chained(end[view], turn), inverse(start[view])) for turn in turns]
        for view in views
    ]
    reach = float(np.median([np.linalg.norm(end[view].translation) for view in views]))
    every = [answer for both in answers for answer in both]
    costs = [
        float(np.median([min(apart(answer, other, reach) for other in both) for both in answers]))
        for answer in every
    ]
    best = every[int(np.argmin(costs))]
    others = [
        cost for cost, answer in zip(costs, every, strict=True) if apart(answer, best, reach) > _FAR
    ]
    if target.turns and others and min(others) < _SURE * max(min(costs), _FAR / 20):
        raise CalibrationError(
            f"{name}: the target looks the same upside down, and the views that it shares are too "
            "alike to tell which way it was held; lean it to different sides, or use one with an "
            "odd and an even number of squares"
        )
    return best


def half_turns(target: Target) -> list[Pose]:
    """Give the motions (1 or 2) of a target's frame under which it looks the same."""
    if not target.turns:
        return [Pose()]
    middle = (target.points[0] + target.points[-1]) / 2
    turn = np.diag([-1.0, -1.0, 1.0])
    return [Pose(), Pose(turn, middle - turn @ middle)]


@dataclass(frozen=True)
class Agreed:
    """What the cameras say of one view.

    Parameters
    ----------
    board : Pose
        The target's in the rig's frame.
    turned : dict of str to bool
        Which cameras called its points from the other end.
    against : set of str
        Which say something else altogether.
    """

    board: Pose
    turned: dict[str, bool]
    against: set[str]


def agreed(poses: Mapping[str, Pose], cameras: Mapping[str, Pose], target: Target) -> Agreed:
    """Find the pose of a view's target on which most cameras agree.

    Parameters
    ----------
    poses : mapping of str to Pose
        The target's in one view, in the cameras' frames.
    cameras : mapping of str to Pose
        The cameras' in the rig's frame, in the order in which they count when votes are even.
    target : Target

    Returns
    -------
    Agreed
    """
    turns = half_turns(target)
    votes = []
    for anchor in poses:
        board = chained(inverse(cameras[anchor]), poses[anchor])
        turned, against = {}, set()
        for name, pose in poses.items():
            wanted = chained(cameras[name], board)
            reach = float(np.linalg.norm(pose.translation))
            off = [apart(chained(pose, turn), wanted, reach) for turn in turns]
            turned[name] = bool(np.argmin(off))
            if min(off) > _FAR:
                against.add(name)
        votes.append(Agreed(board, turned, against))
    return min(votes, key=lambda vote: len(vote.against))


def chained(second: Pose, first: Pose) -> Pose:
    """Give the pose that does one and then the other."""
    rotation = second.rotation @ first.rotation
    left, _, right = np.linalg.svd(rotation)
    return Pose(left @ right, second.rotation @ first.translation + second.translation)


def inverse(pose: Pose) -> Pose:
    """Give the pose that undoes another."""
    return Pose(pose.rotation.T, pose.centre)


def apart(one: Pose, other: Pose, reach: float) -> float:
    """Give the distance of two poses in radians: their turn, and their shift over a reach in mm."""
    return turned_by(one, other) + float(
        np.linalg.norm(one.translation - other.translation) / reach
    )


def turned_by(one: Pose, other: Pose) -> float:
    """Give the angle between two poses in radians."""
    off = one.rotation - other.rotation
    return float(2 * np.arcsin(min(np.linalg.norm(off) / np.sqrt(8), 1.0)))


def shared_views(poses: Poses) -> dict[tuple[str, str], int]:
    """Count the views that every two cameras share."""
    names: Sequence[str] = list(poses)
    return {(a, b): len(set(poses[a]) & set(poses[b])) for a, b in combinations(names, 2)}
