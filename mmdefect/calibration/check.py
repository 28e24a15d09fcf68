"""Whether a rig's file still holds, from a few new views of the target.

Three errors of each camera tell what happened. The *floor* is what remains when every view may
be any smooth picture of a plane: blur and noise. *Alone*, the camera's lens must hold: it has been
turned, refocused or bumped inside when this is worse than the floor. *Together*, its pose must
hold as well. All are taken from the same points, so no limit has to be guessed for a camera's
sharpness.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mmdefect.calibration._blocks import block_of, free_numbers, typical
from mmdefect.calibration._bundle import Block, Solution, State, project, solve
from mmdefect.calibration._given import bundled, inner_of
from mmdefect.calibration._opencv import opencv
from mmdefect.calibration.rig import Views
from mmdefect.calibration.sighting import Sighting
from mmdefect.calibration.target import Target
from mmdefect.errors import CalibrationError
from mmdefect.registration import Camera, Pose, Rig

_LEAST_LIMIT = 0.2
_TIMES = 2.0
_CUBIC_POINTS = 30


@dataclass(frozen=True)
class SensorCheck:
    """How a rig's camera does on new views.

    Parameters
    ----------
    views : int
        In how many the target was seen.
    floor, alone, together : float, px
        Typical error in one coordinate of a point: of any smooth picture of a plane, with the
        rig's lens, and with the rig's lenses and poses.
    limit : float, px
        What ``alone`` and ``together`` may be at most.
    bump : float, px
        By how much its points move in the frame if its pose is fitted anew to the reference's.
    lens_holds, pose_holds : bool
    """

    views: int
    floor: float
    alone: float
    together: float
    limit: float
    bump: float
    lens_holds: bool
    pose_holds: bool

    @property
    def holds(self) -> bool:
        """Whether the rig's file is still right for it."""
        return self.lens_holds and self.pose_holds


@dataclass(frozen=True)
class RigCheck:
    """How a rig does on new views.

    Parameters
    ----------
    sensors : dict of str to SensorCheck
    unseen : tuple of str
        The rig's cameras without a view.
    """

    sensors: Mapping[str, SensorCheck]
    unseen: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether the rig's file is still right for every camera that was looked at."""
        return all(sensor.holds for sensor in self.sensors.values())


def check_rig(rig: Rig, views: Views, target: Target, *, limit: float | None = None) -> RigCheck:
    """Measure a rig's errors on new views of a target.

    Parameters
    ----------
    rig : Rig
    views : mapping of str to mapping of str to Sighting
        By camera and view; one is enough, three to five leaning ones are better.
    target : Target
    limit : float, px, optional
        What the errors may be at most; twice the floor, but no less than 0.2 px, when left out.

    Returns
    -------
    RigCheck

    Raises
    ------
    CalibrationError
        When there is no view, a camera is not the rig's, or frames are of another size.
    """
    views = {name: seen for name, seen in views.items() if seen}
    _known(rig, views)
    bundle = bundled(rig, views, target)
    names, blocks, state = bundle.names, bundle.blocks, bundle.state
    alone = {
        name: _alone(bundle.straight[name], bundle.poses[name], rig.cameras[name], target)
        for name in names
    }
    held = [(2, False, False)] * len(names)
    count = len(bundle.views)
    together = solve(blocks, state, free_numbers(held, count))
    loose = [(2, False, number > 0) for number in range(len(names))]
    bumps = _bumps(blocks, solve(blocks, together.state, free_numbers(loose, count)), together)
    found = {}
    for number, name in enumerate(names):
        floor = float(
            np.median([_floor(block_of(o, target)) for o in bundle.straight[name].values()])
        )
        most = limit if limit is not None else max(_TIMES * floor, _LEAST_LIMIT)
        own = _of(together, blocks, number)
        found[name] = SensorCheck(
            len(bundle.straight[name]), floor, alone[name], own, most, bumps[number],
            alone[name] <= most, alone[name] > most or own <= most,
        )  # fmt: skip
    return RigCheck(found, tuple(name for name in rig.cameras if name not in found))


def _known(rig: Rig, views: Views) -> None:
    """Refuse views that are not the rig's."""
    if not views:
        raise CalibrationError(
            "the target was found in no view; show it whole and in focus to the rig's cameras"
        )
    strange = sorted(set(views) - set(rig.cameras))
    if strange:
        raise CalibrationError(
            f"there are views of {', '.join(strange)}, but the rig {rig.name!r} has cameras for: "
            f"{', '.join(rig.cameras)}; name the folders so"
        )
    for name, seen in views.items():
        for view, one in seen.items():
            refused = rig.size_refused(name, one.size)
            if refused:
                raise CalibrationError(f"{name}: {view}: {refused}")


def _alone(
    seen: Mapping[str, Sighting], poses: Mapping[str, Pose], camera: Camera, target: Target
) -> float:
    """Give the typical error of a camera whose every view may have its own pose, px."""
    blocks = [block_of(one, target, 0, number) for number, one in enumerate(seen.values())]
    state = State(
        inner_of(camera)[None],
        np.eye(3)[None],
        np.zeros((1, 3)),
        np.stack([pose.rotation for pose in poses.values()]),
        np.stack([pose.translation for pose in poses.values()]),
    )
    solution = solve(blocks, state, free_numbers([(2, False, False)], len(blocks)))
    return _of(solution, blocks, 0)


def _of(solution: Solution, blocks: list[Block], camera: int) -> float:
    """Give the typical error of one camera's points, px."""
    own = [r for b, r in zip(blocks, solution.residuals, strict=True) if b.camera == camera]
    return typical(np.concatenate(own))


def _bumps(blocks: list[Block], loose: Solution, held: Solution) -> list[float]:
    """Give by how far each camera's points move when its pose is fitted anew, px."""
    fixed = replace(loose.state, turns=held.state.turns, shifts=held.state.shifts)
    found = []
    for camera in range(len(held.state.inner)):
        own = [block for block in blocks if block.camera == camera]
        moves = [project(block, loose.state)[0] - project(block, fixed)[0] for block in own]
        found.append(float(np.median(np.linalg.norm(np.concatenate(moves), axis=1))))
    return found


def _floor(block: Block) -> float:
    """Give the typical error of a block against any smooth picture of a plane, px.

    A homography, and a cubic surface over its residuals, which takes a changed lens out.
    """
    cv2 = opencv()
    matrix, _ = cv2.findHomography(block.points[:, :2], block.pixels)
    off = cv2.perspectiveTransform(block.points[None, :, :2], matrix)[0] - block.pixels
    taken = 8
    if len(off) >= _CUBIC_POINTS:
        x, y = (block.pixels - block.pixels.mean(0)).T / np.ptp(block.pixels)
        powers = [(i, j) for i in range(4) for j in range(4 - i)]
        basis = np.stack([x**i * y**j for i, j in powers], axis=1)
        off = off - basis @ np.linalg.lstsq(basis, off, rcond=None)[0]
        taken = 2 * len(powers)
    return float(typical(off) / np.sqrt(max(1 - taken / (2 * len(off)), 0.1)))
