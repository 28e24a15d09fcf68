"""Cameras on a robot's hand, targets on it, and turntables: what moves, tied to the rig.

All three are one equation: ``given · mount · seen = still``, where ``given`` is what the robot's
controller or the table's encoder says, ``seen`` the target's pose in the rig's frame, and ``still``
the pose that never changes. Of a turntable nobody can see where its frame's origin lies along the
axis, nor its zero; the two are left as they come.

OpenCV's closed form [1]_ begins; then the reprojection error of all views decides. A robot is less
exact than a corner, so the standard deviations come from how far whole views are off, not from the
number of corners.

References
----------
.. [1] Park, Martin: Robot sensor calibration: solving AX = XB on the Euclidean group, IEEE
   Transactions on Robotics and Automation 10, 1994.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mmdefect.calibration._blocks import free_numbers, typical
from mmdefect.calibration._bundle import (
    CAMERA,
    Array,
    Block,
    State,
    project,
    rotations,
    solve,
)
from mmdefect.calibration._closed import hand_eye, spread, table_axis
from mmdefect.calibration._given import bundled
from mmdefect.calibration._graph import chained, inverse, turned_by
from mmdefect.calibration.intrinsics import Outlier, worst_of
from mmdefect.calibration.rig import Views
from mmdefect.calibration.target import Target
from mmdefect.errors import CalibrationError
from mmdefect.registration import Pose, Rig

KINDS = ("camera-on-hand", "target-on-hand", "turntable")
_LEAST_VIEWS = 4
_TABLE = [0, 1, 3, 4, 6, 7, 8, 9, 10, 11]
_MOST_SHIFT, _MOST_OFF = 5.0, 3.0
_STEP = 1e-6
_ROUNDS = 20


@dataclass(frozen=True)
class Motion:
    """What a robot or turntable has to do with the rig.

    Parameters
    ----------
    kind : str
        One of ``KINDS``.
    mount : Pose
        From the rig's frame into the flange's (camera on the hand), the base's (target on the
        hand) or the table's, whose z is its axis.
    still : Pose
        From the target's frame into the base's, the flange's, or the table's at angle 0.
    deviations : array (12,)
        Standard deviations of both: turns in radians, shifts in mm; 0 for a turntable's two
        numbers that mean nothing.
    errors : dict of str to (float, float)
        By view, how far the target was from where the motion says, mm and degrees.
    rms : float, px
        Distance of the target's points from where they were seen.
    outliers : tuple of Outlier
    """

    kind: str
    mount: Pose
    still: Pose
    deviations: Array
    errors: Mapping[str, tuple[float, float]]
    rms: float
    outliers: tuple[Outlier, ...]

    @property
    def axis(self) -> tuple[Array, Array]:
        """A turntable's axis in the rig's frame: a point in mm, and the direction."""
        return self.mount.centre, self.mount.rotation[2]


def turned(angle: float) -> Pose:
    """Give a turntable's pose at an angle.

    Parameters
    ----------
    angle : float, degrees
        Positive about the axis, as a right hand's fingers go.

    Returns
    -------
    Pose
        From the table's frame at that angle into the one at 0.
    """
    return Pose(rotations(np.deg2rad([[0.0, 0.0, angle]]))[0])


def calibrate_motion(
    rig: Rig, views: Views, target: Target, given: Mapping[str, Pose], kind: str
) -> Motion:
    """Tie a robot or a turntable to a calibrated rig.

    Parameters
    ----------
    rig : Rig
    views : mapping of str to mapping of str to Sighting
        By camera and view.
    target : Target
    given : mapping of str to Pose
        By view: from the flange's frame into the base's in mm, or ``turned`` by the table's angle.
    kind : str
        One of ``KINDS``.

    Returns
    -------
    Motion

    Raises
    ------
    CalibrationError
        When fewer than four views have a pose, when more than a third do not fit, or when all
        turns are about one axis, so that a hand's place along it stays open.
    """
    if kind not in KINDS:
        raise CalibrationError(f"the motion is {kind!r}; there are: {', '.join(KINDS)}")
    views = {c: {v: s for v, s in one.items() if v in given} for c, one in views.items()}
    views = {camera: one for camera, one in views.items() if one}
    count = len({view for one in views.values() for view in one})
    if count < _LEAST_VIEWS:
        raise CalibrationError(
            f"{count} view(s) have both the target and a pose, but {_LEAST_VIEWS} are the least; "
            "name the poses as the views, and record 10 to 20"
        )
    fit = _Fit(rig, views, target, given, kind)
    outliers: list[Outlier] = []
    while True:
        fit.refine()
        errors = fit.by_view()
        worst = worst_of(list(errors.values()))
        if worst is None:
            break
        view = list(errors)[worst[0]]
        outliers.append(Outlier("motion", view, worst[1], worst[2], "the pose given for it is off"))
        fit.leave_out(view)
        if len(errors) - 1 < max(_LEAST_VIEWS, count * 2 / 3):
            raise CalibrationError(
                f"only {len(errors) - 1} of {count} views agree with one {kind}; are the poses "
                "from flange to base in mm, and named as the views?"
            )
    return fit.motion(tuple(outliers))


class _Fit:
    """Blocks, given poses, and the two poses that are sought."""

    def __init__(
        self, rig: Rig, views: Views, target: Target, given: Mapping[str, Pose], kind: str
    ) -> None:
        bundle = bundled(rig, views, target)
        self._kind, self._target, self._views = kind, target, bundle.views
        held = free_numbers([(2, False, False)] * len(bundle.names), len(bundle.views))
        self._blocks, self._state = bundle.blocks, bundle.state
        self._free = solve(bundle.blocks, bundle.state, held)
        boards = zip(self._free.state.board_turns, self._free.state.board_shifts, strict=True)
        self._seen = dict(zip(self._views, (Pose(*board) for board in boards), strict=True))
        steps = {view: given[view] for view in self._views}
        self._given = steps if kind == "camera-on-hand" else _inverted(steps)
        self._kept = list(self._views)
        self._chosen = _TABLE if kind == "turntable" else list(range(12))
        self.mount, self.still = self._begin()

    def _begin(self) -> tuple[Pose, Pose]:
        """Find both poses in closed form."""
        seen, given = self._seen, self._given
        first = self._kept[0]
        if self._kind == "turntable":
            mount = table_axis([(seen[v], given[v]) for v in self._kept])
        else:
            mount = hand_eye([(seen[v], given[v]) for v in self._kept])
        return mount, chained(given[first], chained(mount, seen[first]))

    def refine(self) -> None:
        """Minimise the reprojection error by Gauss and Newton's method."""
        damping, (slopes, off) = 1e-6, self._linear()
        for _ in range(_ROUNDS):
            normal = slopes.T @ slopes
            normal += damping * np.diag(np.diag(normal)) + 1e-12 * np.eye(len(normal))
            step = np.zeros(12)
            step[self._chosen] = -np.linalg.solve(normal, slopes.T @ off)
            before = (self.mount, self.still)
            self.mount, self.still = self._moved(step)
            trial = self._linear()
            if not (trial[1] ** 2).sum() <= (off**2).sum():
                self.mount, self.still = before
                damping *= 10
                continue
            gain, (slopes, off) = 1 - (trial[1] ** 2).sum() / (off**2).sum(), trial
            damping = max(damping / 10, 1e-9)
            if gain < 1e-7:
                break

    def _moved(self, step: Array) -> tuple[Pose, Pose]:
        """Change both poses by a step (12,)."""
        turn_mount, turn_still = rotations(np.stack([step[:3], step[6:9]]))
        return (
            chained(Pose(turn_mount, step[3:6]), self.mount),
            chained(Pose(turn_still, step[9:]), self.still),
        )

    def _boards(self, mount: Pose, still: Pose) -> State:
        """Give the state in which the target moves as given."""
        back = inverse(mount)
        boards = [chained(back, chained(inverse(self._given[v]), still)) for v in self._views]
        turns, shifts = ([getattr(b, part) for b in boards] for part in ("rotation", "translation"))
        return replace(self._state, board_turns=np.stack(turns), board_shifts=np.stack(shifts))

    def _blocks_kept(self) -> list[Block]:
        """List the blocks of views that are not left out."""
        return [block for block in self._blocks if self._views[block.view] in self._kept]

    def _linear(self) -> tuple[Array, Array]:
        """Give derivatives (n, free) and residuals (n,), px."""
        now = self._boards(self.mount, self.still)
        moves = np.stack([self._boards_move(now, number) for number in self._chosen], axis=-1)
        slopes, off = [], []
        for block in self._blocks_kept():
            found, by_all = project(block, now)
            slopes.append((by_all[:, :, CAMERA:] @ moves[block.view]).reshape(-1, moves.shape[2]))
            off.append((found - block.pixels).ravel())
        return np.concatenate(slopes), np.concatenate(off)

    def _boards_move(self, now: State, number: int) -> Array:
        """Give how all targets turn and shift (view, 6) with one of the sought numbers."""
        step = np.zeros(12)
        step[number] = _STEP
        then = self._boards(*self._moved(step))
        turns = then.board_turns @ now.board_turns.transpose(0, 2, 1)
        vectors = np.stack([turns[:, 2, 1], turns[:, 0, 2], turns[:, 1, 0]], axis=1)
        shifts = then.board_shifts - now.board_shifts
        moves: Array = np.concatenate([vectors, shifts], axis=1) / _STEP
        return moves

    @staticmethod
    def _off(blocks: list[Block], state: State) -> Array:
        """Give the residuals (n,) of all blocks, px."""
        return np.concatenate([(project(b, state)[0] - b.pixels).ravel() for b in blocks])

    def by_view(self) -> dict[str, float]:
        """Give the typical error of every view that is kept, px."""
        state = self._boards(self.mount, self.still)
        found = {}
        for view in self._kept:
            own = [b for b in self._blocks if self._views[b.view] == view]
            found[view] = typical(self._off(own, state).reshape(-1, 2))
        return found

    def leave_out(self, view: str) -> None:
        """Leave a view out, and begin anew."""
        self._kept.remove(view)
        self.mount, self.still = self._begin()

    def motion(self, outliers: tuple[Outlier, ...]) -> Motion:
        """Tell what was found."""
        slopes, off = self._linear()
        left = 6 * len(self._kept) - len(self._chosen)
        whole = (off**2).sum() - (self._off(self._blocks_kept(), self._free.state) ** 2).sum()
        variance = max(float(whole) / left, (off**2).sum() / max(len(off) - 12, 1))
        deviations = np.zeros(12)
        deviations[self._chosen] = spread(slopes) * np.sqrt(variance)
        errors = self._errors()
        self._believable(deviations, errors)
        rms = float(np.sqrt((off**2).sum() / (len(off) / 2)))
        return Motion(self._kind, self.mount, self.still, deviations, errors, rms, outliers)

    def _believable(self, deviations: Array, errors: Mapping[str, tuple[float, float]]) -> None:
        """Refuse poses that contradict the views, or leave the mount open."""
        usual = float(np.median([mm for mm, _ in errors.values()]))
        if not usual <= _MOST_OFF:
            raise CalibrationError(
                f"the views do not agree with one {self._kind}: they are {usual:.3g} mm off, and "
                f"at most {_MOST_OFF:g} mm was promised; are the poses from flange to base in mm, "
                "the angles in degrees, and all named as the views?"
            )
        if not deviations[[3, 4, 5]].max() <= _MOST_SHIFT:
            raise CalibrationError(
                f"the {self._kind}'s place stays open by {deviations[3:6].max():.3g} mm, and at "
                f"most {_MOST_SHIFT:g} mm was promised; turn the hand by 20° or more about "
                "different axes"
            )

    def _errors(self) -> dict[str, tuple[float, float]]:
        """Give how far the target of every view is off, mm and degrees."""
        state, errors = self._boards(self.mount, self.still), {}
        middle = self._target.points.mean(0)
        for number, view in enumerate(self._views):
            if view in self._kept:
                found = Pose(state.board_turns[number], state.board_shifts[number])
                seen = self._seen[view]
                shift = found.into(middle) - seen.into(middle)
                errors[view] = (float(np.linalg.norm(shift)), np.degrees(turned_by(found, seen)))
        return errors


def _inverted(poses: Mapping[str, Pose]) -> dict[str, Pose]:
    """Undo every pose."""
    return {view: inverse(pose) for view, pose in poses.items()}
