"""One camera's focal lengths, principal point and lens from views of a target.

* *The lens* gets two radial terms, and a third only if the views ask for it (Schwarz's criterion):
  a term that they cannot tell from 0 bends the model where no corner was seen.
* *A view is an outlier* when its points fit three times worse than the median view's, measured
  by medians, so that one bad corner does not condemn a view. Outliers are left out one at a time,
  the worst first; a view whose points do not even lie as on the target is one from the start.
* *Views that do not constrain* the focal length show in its standard deviation, which comes from
  the equations themselves: above one percent the views are refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmdefect.calibration._blocks import (
    block_of,
    camera_of,
    flatness,
    free_numbers,
    typical,
)
from mmdefect.calibration._bundle import (
    INNER,
    Array,
    Block,
    Solution,
    State,
    robust_loss,
    solve,
)
from mmdefect.calibration._opencv import opencv
from mmdefect.calibration.sighting import Sighting
from mmdefect.calibration.target import Target
from mmdefect.errors import CalibrationError
from mmdefect.registration import Camera, Pose

LEAST_VIEWS = 4
WORSE = 3.0
_MOST_LOST = 1 / 3
_FOCAL_LIMIT = 0.01
_LEAST_ERROR = 0.02
_BENT = 0.03


@dataclass(frozen=True)
class Outlier:
    """A view that does not fit.

    Parameters
    ----------
    camera, view : str
    error : float, px
        Its points' typical error in one coordinate.
    usual : float, px
        The median view's.
    reason : str
    """

    camera: str
    view: str
    error: float
    usual: float
    reason: str


@dataclass(frozen=True)
class CameraFit:
    """One camera, calibrated by itself.

    Parameters
    ----------
    camera : Camera
        In its own frame.
    inner : array (9,)
        fx, fy, cx, cy in px, k1, k2, p1, p2, k3.
    deviations : array (9,)
        Their standard deviations; 0 for a term that was left out.
    poses : dict of str to Pose
        The target's in the camera's frame, by view.
    errors : dict of str to array (n, 2), px
        Found minus seen, by view.
    sigma : float, px
        Noise of one coordinate of a point.
    outliers : tuple of Outlier
    radial : int
        How many radial terms the lens got.
    """

    camera: Camera
    inner: Array
    deviations: Array
    poses: Mapping[str, Pose]
    errors: Mapping[str, Array]
    sigma: float
    outliers: tuple[Outlier, ...]
    radial: int


def calibrate_camera(
    sightings: Mapping[str, Sighting], target: Target, *, name: str = "camera",
    radial: int | None = None,
) -> CameraFit:  # fmt: skip
    """Find a camera's focal lengths, principal point and lens.

    Parameters
    ----------
    sightings : mapping of str to Sighting
        By view.
    target : Target
    name : str
        The camera's, for messages.
    radial : int, optional
        How many radial terms the lens has, 1 to 3; 2 or 3 by the views if left out.

    Returns
    -------
    CameraFit

    Raises
    ------
    CalibrationError
        When there are fewer than four views, when they are of unlike size, when more than a third
        of them do not fit, or when they leave the focal length uncertain by more than 1 %.
    """
    views = list(sightings)
    size = _common_size(sightings, name)
    seen = [block_of(sighting, target) for sighting in sightings.values()]
    _enough(views, name, len(views))
    kept, outliers = _flat_ones(seen, views, name, target)
    terms = radial or 2
    while True:
        _enough(views, name, len(kept))
        blocks = [_numbered(seen[index], place) for place, index in enumerate(kept)]
        solution = _fit(blocks, size, terms, name)
        worst = worst_of([typical(r) for r in solution.residuals])
        if worst is None:
            break
        place, error, usual = worst
        outliers.append(
            Outlier(name, views[kept.pop(place)], error, usual, "does not fit the camera")
        )
    if radial is None:
        terms, solution = _chosen_terms(blocks, solution)
    names = [views[index] for index in kept]
    fit = _as_fit(solution, names, size, tuple(outliers), terms)
    _constrained(fit, name)
    return fit


def worst_of(errors: Sequence[float]) -> tuple[int, float, float] | None:
    """Find the view that fits worst, if it is an outlier.

    Parameters
    ----------
    errors : sequence of float, px
        By view.

    Returns
    -------
    (int, float, float) or None
        Which, its error and the median error; None when all are within three times the median.
    """
    usual = float(np.median(errors))
    place = int(np.argmax(errors))
    if errors[place] <= WORSE * max(usual, _LEAST_ERROR):
        return None
    return place, float(errors[place]), usual


def _common_size(sightings: Mapping[str, Sighting], name: str) -> tuple[int, int]:
    """Give the frames' one size."""
    sizes = {sighting.size: view for view, sighting in sightings.items()}
    if len(sizes) > 1:
        told = "; ".join(f"{h}x{w} in {view}" for (h, w), view in sizes.items())
        raise CalibrationError(
            f"{name}: the views are of unlike size ({told}); calibrate with frames as they are "
            "recorded"
        )
    return next(iter(sizes), (0, 0))


def _enough(views: Sequence[str], name: str, count: int) -> None:
    """Refuse too few views, or too many that do not fit."""
    if len(views) < LEAST_VIEWS:
        raise CalibrationError(
            f"{name}: the target was found in {len(views)} view(s), but {LEAST_VIEWS} are the "
            "least; record 10 to 20, tilted by up to 40° to different sides"
        )
    if count < max(LEAST_VIEWS, len(views) * (1 - _MOST_LOST)):
        raise CalibrationError(
            f"{name}: only {count} of {len(views)} views agree with one camera; the target's "
            "description is wrong, the lens was moved between views, or frames are mixed up"
        )


def _flat_ones(
    seen: Sequence[Block], views: Sequence[str], name: str, target: Target
) -> tuple[list[int], list[Outlier]]:
    """Leave out views whose points do not lie as on the target, but for a lens."""
    errors = [flatness(block) for block in seen]
    widths = [float(np.ptp(block.pixels, axis=0).max()) for block in seen]
    flat = [error for error, wide in zip(errors, widths, strict=True) if error <= _BENT * wide]
    limit = 5 * max(float(np.median(flat or [0.0])), 1.0)
    kept = [i for i, error in enumerate(errors) if error <= min(limit, _BENT * widths[i])]
    lost = [
        Outlier(
            name,
            views[index],
            error,
            float(np.median(errors)),
            "points do not lie as on the target",
        )
        for index, error in enumerate(errors)
        if index not in kept
    ]
    return kept, lost


def _numbered(block: Block, view: int) -> Block:
    """Give a block another view's number."""
    return Block(block.camera, view, block.points, block.pixels, block.radius)


def _fit(blocks: list[Block], size: tuple[int, int], radial: int, name: str) -> Solution:
    """Solve one camera, beginning with OpenCV's solution."""
    cv2 = opencv()
    flags = cv2.CALIB_ZERO_TANGENT_DIST | cv2.CALIB_FIX_K3 | cv2.CALIB_FIX_K2
    try:
        _, matrix, lens, turns, shifts = cv2.calibrateCamera(
            [b.points.astype(np.float32) for b in blocks],
            [b.pixels.astype(np.float32)[:, None] for b in blocks],
            size[::-1], None, None, flags=flags,
        )  # fmt: skip
    except cv2.error as error:
        raise CalibrationError(
            f"{name}: OpenCV found no camera behind {len(blocks)} views ({error.err}); tilt the "
            "target to different sides"
        ) from error
    inner = np.array([matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2], *lens.ravel()[:5]])
    state = State(
        inner[None],
        np.eye(3)[None],
        np.zeros((1, 3)),
        np.stack([cv2.Rodrigues(turn)[0] for turn in turns]),
        np.stack([shift.ravel() for shift in shifts]),
    )
    return solve(blocks, state, free_numbers([(radial, True, False)], len(blocks)))


def _chosen_terms(blocks: list[Block], two: Solution) -> tuple[int, Solution]:
    """Take a third radial term if Schwarz's criterion wants it."""
    three = solve(blocks, two.state, free_numbers([(3, True, False)], len(blocks)), two.sigma)
    old, new = (np.concatenate(one.residuals) / two.sigma[0] for one in (two, three))
    gain = float(robust_loss(old).sum() - robust_loss(new).sum())
    return (3, three) if gain > np.log(old.size) else (2, two)


def _as_fit(
    solution: Solution, views: list[str], size: tuple[int, int], outliers: tuple[Outlier, ...],
    radial: int,
) -> CameraFit:  # fmt: skip
    """Name what a solution holds."""
    state = solution.state
    poses = zip(views, state.board_turns, state.board_shifts, strict=True)
    return CameraFit(
        camera=camera_of(state.inner[0], size),
        inner=state.inner[0],
        deviations=solution.deviations[:INNER],
        poses={view: Pose(turn, shift) for view, turn, shift in poses},
        errors=dict(zip(views, solution.residuals, strict=True)),
        sigma=float(solution.sigma[0]),
        outliers=outliers,
        radial=radial,
    )


def _constrained(fit: CameraFit, name: str) -> None:
    """Refuse a camera whose focal length the views leave open."""
    share = float((fit.deviations[:2] / np.abs(fit.inner[:2])).max())
    if share <= _FOCAL_LIMIT and fit.inner[:2].min() > 0:
        return
    leaning = max(
        np.degrees(np.arccos(min(abs(p.rotation[2, 2]), 1.0))) for p in fit.poses.values()
    )
    told = f"by {share:.1%}" if np.isfinite(share) else "open altogether"
    raise CalibrationError(
        f"{name}: {len(fit.poses)} views leave the focal length uncertain {told}, and at most "
        f"{_FOCAL_LIMIT:.0%} was promised; the target leans by {leaning:.0f}° at most: record "
        "views that lean by 20° to 40° to different sides"
    )
