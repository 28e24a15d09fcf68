"""Several cameras and projectors, calibrated together.

Each camera is calibrated by itself first, so that a bad one is named before it spoils the others.
Then one bundle over all lenses and poses makes the views that several cameras share count: a
coarse infrared camera is held by the sharp ones beside it, every camera weighed by its own noise.

A view that fits each camera but not all of them together was not one view: the target moved
between the exposures, or files were paired wrongly. Only the bundle can tell.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from mmdefect.calibration._blocks import block_of, camera_of, free_numbers, typical
from mmdefect.calibration._bundle import CAMERA, Array, Block, Solution, State, solve
from mmdefect.calibration._graph import agreed, chained, joined, shared_views
from mmdefect.calibration.intrinsics import WORSE, CameraFit, Outlier, calibrate_camera
from mmdefect.calibration.sighting import Sighting
from mmdefect.calibration.target import Target
from mmdefect.errors import CalibrationError
from mmdefect.registration import Pose, Rig

if TYPE_CHECKING:
    from mmdefect.calibration.motion import Motion

Views = Mapping[str, Mapping[str, Sighting]]
_MOST_LOST = 1 / 3
_LEAST_ERROR = 0.02
_CELLS = 8
_CONTRADICTS = "fits its camera, but not the other cameras' views of that name"


@dataclass(frozen=True)
class SensorFit:
    """One camera or projector of a rig, and how well it is known.

    Parameters
    ----------
    deviations : array (15,)
        Standard deviations of fx, fy, cx, cy (px), k1, k2, p1, p2, k3 (1), of the rotation about
        the camera's x, y, z (radians) and of its translation (mm); 0 for what was held.
    sigma : float, px
        Noise of one coordinate of a point.
    errors : dict of str to array (n, 2), px
        Found minus seen, by view.
    coverage : float, 1
        Share of the frame's 8 x 8 cells in which points were seen.
    leaning : float, degrees
        By how much the target leaned against the sensor at most.
    radial : int
        Radial terms of the lens.
    inverted : bool
        Whether the target's dark was bright in most views.
    """

    deviations: Array
    sigma: float
    errors: Mapping[str, Array]
    coverage: float
    leaning: float
    radial: int
    inverted: bool

    @property
    def rms(self) -> float:
        """Root-mean-square distance of all points from where they were seen, px."""
        return float(np.sqrt((np.concatenate(list(self.errors.values())) ** 2).sum(1).mean()))


@dataclass(frozen=True)
class RigFit:
    """A rig, calibrated.

    Parameters
    ----------
    rig : Rig
        Its frame is the reference's.
    target : Target
    sensors : dict of str to SensorFit
    poses : dict of str to Pose
        The target's in the rig's frame, by view.
    outliers : tuple of Outlier
    shared : dict of (str, str) to int
        How many views two cameras share.
    unseen : dict of str to tuple of str
        By camera, the views in which the target was not found.
    motion : Motion, optional
        Of a robot's hand or a turntable.
    """

    rig: Rig
    target: Target
    sensors: Mapping[str, SensorFit]
    poses: Mapping[str, Pose]
    outliers: tuple[Outlier, ...]
    shared: Mapping[tuple[str, str], int]
    unseen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    motion: "Motion | None" = None


def calibrate_rig(
    views: Views, target: Target, *, reference: str | None = None, name: str = "rig"
) -> RigFit:
    """Calibrate cameras, and projectors whose sightings were read in cameras, together.

    Parameters
    ----------
    views : mapping of str to mapping of str to Sighting
        By camera and view; not every camera needs to see every view.
    target : Target
    reference : str, optional
        The camera whose frame is the rig's; the first when left out.
    name : str
        The rig's.

    Returns
    -------
    RigFit

    Raises
    ------
    CalibrationError
        When a camera cannot be calibrated (see ``calibrate_camera``), when cameras share too few
        views, or when more than a third of a camera's views contradict the others.
    """
    reference = reference or next(iter(views), "")
    if reference not in views:
        raise CalibrationError(
            f"the reference {reference!r} has no views; there are views of: "
            f"{', '.join(views) or 'no camera'}"
        )
    fits = {camera: calibrate_camera(views[camera], target, name=camera) for camera in views}
    return join(fits, views, target, reference, name)


def join(
    fits: Mapping[str, CameraFit], views: Views, target: Target, reference: str, name: str
) -> RigFit:
    """Bring calibrated cameras into one rig.

    Parameters
    ----------
    fits : mapping of str to CameraFit
    views : mapping of str to mapping of str to Sighting
        From which they were made.
    target : Target
    reference, name : str
        As for ``calibrate_rig``.

    Returns
    -------
    RigFit

    Raises
    ------
    CalibrationError
        As ``calibrate_rig``.
    """
    poses = {camera: fit.poses for camera, fit in fits.items()}
    bundle = _Bundle(fits, joined(poses, target, reference), views, target)
    solution, lost = bundle.solved()
    outliers = [outlier for fit in fits.values() for outlier in fit.outliers] + lost
    sensors = bundle.sensors(solution)
    cameras = {}
    for place, camera in enumerate(bundle.cameras):
        turn, shift = solution.state.turns[place], solution.state.shifts[place]
        size = (fits[camera].camera.height, fits[camera].camera.width)
        cameras[camera] = camera_of(solution.state.inner[place], size, Pose(turn, shift))
    seen = {key[1] for key in bundle.keys}
    boards = zip(solution.state.board_turns, solution.state.board_shifts, strict=True)
    found = {v: Pose(*b) for v, b in zip(bundle.views, boards, strict=True) if v in seen}
    rig = Rig(name, reference, {camera: cameras[camera] for camera in views})
    ordered = {camera: sensors[camera] for camera in views}
    return RigFit(rig, target, ordered, found, tuple(outliers), shared_views(poses))


class _Bundle:
    """The blocks of all cameras, and where the solver begins.

    Parameters
    ----------
    fits : mapping of str to CameraFit
    placed : dict of str to Pose
        The cameras' in the rig's frame, the reference first.
    views : mapping of str to mapping of str to Sighting
    target : Target
    """

    def __init__(
        self, fits: Mapping[str, CameraFit], placed: dict[str, Pose], views: Views, target: Target
    ) -> None:
        self.cameras, self._fits = list(placed), fits
        self.views = sorted({view for fit in fits.values() for view in fit.poses})
        self.keys: list[tuple[str, str]] = []
        self.blocks: list[Block] = []
        self.lost: list[Outlier] = []
        self._sightings, self._target, boards = views, target, []
        for number, view in enumerate(self.views):
            poses = {c: fits[c].poses[view] for c in self.cameras if view in fits[c].poses}
            told = agreed(poses, placed, target)
            boards.append(told.board)
            for camera in poses:
                seen = turned_over(views[camera][view], target, told.turned[camera])
                if camera in told.against:
                    self._lose(camera, view, seen, chained(placed[camera], told.board))
                    continue
                self.keys.append((camera, view))
                self.blocks.append(block_of(seen, target, self.cameras.index(camera), number))
        self._sigma = np.array([fits[camera].sigma for camera in self.cameras])
        self._start = State(
            np.stack([fits[camera].inner for camera in self.cameras]),
            np.stack([placed[camera].rotation for camera in self.cameras]),
            np.stack([placed[camera].translation for camera in self.cameras]),
            np.stack([board.rotation for board in boards]),
            np.stack([board.translation for board in boards]),
        )

    def _lose(self, camera: str, view: str, seen: Sighting, pose: Pose) -> None:
        """Leave out a view that is far from what the other cameras say."""
        fit = self._fits[camera]
        found = fit.camera.project(pose.into(self._target.points[seen.numbers]))
        error = typical(found - seen.pixels) if np.isfinite(found).all() else float("inf")
        self.lost.append(Outlier(camera, view, error, fit.sigma, _CONTRADICTS))

    def solved(self) -> tuple[Solution, list[Outlier]]:
        """Solve, leaving out views that contradict the others, the worst first."""
        state, sigma, lost = self._start, self._sigma, self.lost
        while True:
            self._enough()
            solution = solve(self.blocks, state, self._free(), sigma)
            worst = self._worst(solution)
            if worst is None:
                return solution, lost
            place, error, usual = worst
            camera, view = self.keys.pop(place)
            del self.blocks[place]
            lost.append(Outlier(camera, view, error, usual, _CONTRADICTS))
            state, sigma = solution.state, solution.sigma

    def _enough(self) -> None:
        """Refuse a camera of which too many views contradict the others."""
        for camera in self.cameras:
            before = len(self._fits[camera].poses)
            if sum(key[0] == camera for key in self.keys) < before * (1 - _MOST_LOST):
                raise CalibrationError(
                    f"{camera}: more than a third of its {before} views contradict those of the "
                    "other cameras; hold the target still while all cameras expose, and name the "
                    "frames of one view alike"
                )

    def _free(self) -> np.ndarray:
        """Tell which numbers may change: not the reference's pose, nor a view nobody saw."""
        radial = [self._fits[camera].radial for camera in self.cameras]
        free = free_numbers([(r, True, i > 0) for i, r in enumerate(radial)], len(self.views))
        seen = {block.view for block in self.blocks}
        for number in range(len(self.views)):
            first = CAMERA * len(self.cameras) + 6 * number
            free[first : first + 6] &= number in seen
        return free

    def _worst(self, solution: Solution) -> tuple[int, float, float] | None:
        """Find the block that fits worst among its camera's, if it is an outlier."""
        errors = np.array([typical(residuals) for residuals in solution.residuals])
        owners = np.array([block.camera for block in self.blocks])
        usual = np.array([np.median(errors[owners == owner]) for owner in owners])
        share = errors / np.maximum(usual, _LEAST_ERROR)
        place = int(np.argmax(share))
        return (place, float(errors[place]), float(usual[place])) if share[place] > WORSE else None

    def sensors(self, solution: Solution) -> dict[str, SensorFit]:
        """Tell how well each camera is known."""
        found = {}
        for number, camera in enumerate(self.cameras):
            fit, sightings = self._fits[camera], self._sightings[camera]
            own = [i for i, key in enumerate(self.keys) if key[0] == camera]
            pixels = np.concatenate([self.blocks[i].pixels for i in own])
            leans = [abs(fit.poses[self.keys[i][1]].rotation[2, 2]) for i in own]
            inverted = np.mean([sightings[self.keys[i][1]].inverted for i in own])
            found[camera] = SensorFit(
                deviations=solution.deviations[CAMERA * number : CAMERA * (number + 1)],
                sigma=float(solution.sigma[number]),
                errors={self.keys[i][1]: solution.residuals[i] for i in own},
                coverage=covered(pixels, (fit.camera.height, fit.camera.width)),
                leaning=float(np.degrees(np.arccos(min(*leans, 1.0)))),
                radial=fit.radial,
                inverted=bool(inverted > 0.5),
            )
        return found


def turned_over(sighting: Sighting, target: Target, over: bool) -> Sighting:
    """Count a sighting's points from the target's other end.

    Parameters
    ----------
    sighting : Sighting
    target : Target
        One that looks the same upside down.
    over : bool
        Whether to do so.

    Returns
    -------
    Sighting
    """
    if not over:
        return sighting
    numbers = len(target.points) - 1 - sighting.numbers
    return replace(sighting, numbers=numbers[::-1], pixels=sighting.pixels[::-1])


def covered(pixels: Array, size: tuple[int, int]) -> float:
    """Give the share of a frame's 8 x 8 cells that hold one of pixels (n, 2)."""
    height, width = size
    cells = np.floor((pixels + 0.5) / [width, height] * _CELLS).astype(int)
    return len(np.unique(np.clip(cells, 0, _CELLS - 1), axis=0)) / _CELLS**2
